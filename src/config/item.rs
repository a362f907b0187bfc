//! A checked value with its location: what `check` makes of a document, and what is merged.

use super::tree::{Location, Node};

#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) at: Location,
    pub(super) content: Content,
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    /// The text of a single value that its format accepts.
    Text(Box<str>),
    Secret(SecretRef),
    Map(Vec<Field>),
    List(Vec<Item>),
    /// Data for a dialect.
    Data(Node),
    /// A value with a diagnostic, so that it is neither read nor missed.
    Faulty,
}

/// A key and its checked value.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) key: Box<str>,
    pub(super) at: Location,
    pub(super) item: Item,
}

/// Where a secret is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SecretRef {
    /// In this variable of the environment.
    Env(Box<str>),
    File(Box<str>),
}

impl Item {
    pub(super) const fn map(at: Location, fields: Vec<Field>) -> Self {
        Self { at, content: Content::Map(fields) }
    }

    pub(super) const fn faulty(at: Location) -> Self {
        Self { at, content: Content::Faulty }
    }

    /// The fields of a map, else none.
    pub(super) fn fields(&self) -> &[Field] {
        if let Content::Map(fields) = &self.content { fields } else { &[] }
    }

    /// The entries of a list, else none.
    pub(super) fn entries(&self) -> &[Self] {
        if let Content::List(items) = &self.content { items } else { &[] }
    }

    pub(super) fn field(&self, key: &str) -> Option<&Field> {
        self.fields().iter().find(|field| *field.key == *key)
    }

    /// What stands at a dotted path.
    pub(super) fn find(&self, path: &str) -> Option<&Self> {
        path.split('.').try_fold(self, |item, key| item.field(key).map(|field| &field.item))
    }

    pub(super) const fn is_map(&self) -> bool {
        matches!(self.content, Content::Map(_))
    }

    pub(super) const fn is_faulty(&self) -> bool {
        matches!(self.content, Content::Faulty)
    }
}

impl SecretRef {
    /// The reference as the file writes it; it says nothing about the value.
    pub(super) fn to_yaml(&self) -> String {
        match self {
            Self::Env(name) => format!("{{ env: {name} }}"),
            Self::File(path) => format!("{{ file: {} }}", serde_json::Value::from(&**path)),
        }
    }
}
