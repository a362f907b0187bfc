//! One layer against the table of keys: a tree of what was written → a tree of typed values.
//!
//! Every fault that one value alone can have is found here, in every layer, even where a
//! stronger layer replaces the value. What is faulty stays in the tree as `Faulty`, so that the
//! resolver can go on without complaining about the consequences.

use super::fault::{Fault, Faults, Sort, nearest};
use super::keys::{self, Key, Keys, Kind, Scalar};
use super::scalar::{self, Misfit, Plain};
use super::tree::{At, Member, Node, Value};

/// A typed value and where it was written.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) at: At,
    pub(super) held: Held,
}

#[derive(Clone, Debug)]
pub(super) enum Held {
    Plain(Plain),
    Secret(SecretRef),
    Map(Vec<Field>),
    List(Vec<Item>),
    /// Data for a dialect.
    Data(Node),
    /// Something that has been complained about.
    Faulty,
}

/// A key and its typed value.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) key: Box<str>,
    pub(super) at: At,
    pub(super) item: Item,
}

/// Where a secret is to be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SecretRef {
    /// In this variable.
    Env(Box<str>),
    /// In this file.
    File(Box<str>),
}

impl Item {
    pub(super) fn fields(&self) -> &[Field] {
        if let Held::Map(fields) = &self.held { fields } else { &[] }
    }

    pub(super) fn field(&self, key: &str) -> Option<&Field> {
        self.fields().iter().find(|field| *field.key == *key)
    }

    /// What stands at a path of keys.
    pub(super) fn find<'p>(&self, path: impl IntoIterator<Item = &'p str>) -> Option<&Self> {
        path.into_iter().try_fold(self, |item, key| item.field(key).map(|field| &field.item))
    }
}

/// Checks a whole layer.
pub(super) fn layer(node: Node, faults: &mut Faults) -> Item {
    Checker { faults, path: Vec::new() }.map(node, keys::ROOT)
}

struct Checker<'f> {
    faults: &'f mut Faults,
    path: Vec<String>,
}

const SECRETS: &str = "`{ env: NAME }` or `{ file: PATH }`";

impl Checker<'_> {
    fn item(&mut self, node: Node, kind: &'static Kind) -> Item {
        match kind {
            Kind::One(scalar) => self.one(&node, scalar),
            Kind::Map(keys) => self.map(node, keys),
            Kind::Short { key, keys } => self.short(node, key, keys),
            Kind::Named { of, max } => self.named(node, of, *max),
            Kind::List { of, max } => self.list(node, of, *max),
            Kind::Secret => self.secret(&node),
            Kind::Data => Item { at: node.at, held: Held::Data(node) },
            Kind::Later { of } => self.later(node, of),
        }
    }

    fn one(&mut self, node: &Node, scalar: &Scalar) -> Item {
        let quoted = matches!(node.value, Value::Quoted(_)) && scalar.is_unquoted();
        let Some(text) = node.text().filter(|_| !quoted) else {
            return self.wrong_type(node, scalar.accepted());
        };
        match scalar::read(text, scalar) {
            Ok(plain) => Item { at: node.at, held: Held::Plain(plain) },
            Err(misfit) => self.misfit(node, misfit),
        }
    }

    fn misfit(&mut self, node: &Node, misfit: Misfit) -> Item {
        let text = node.text().unwrap_or_default();
        let secret = misfit.sort == Sort::Secret || may_hold_a_secret(text);
        let mut fault = self.fault(misfit.sort, node.at, misfit.message);
        if secret {
            self.faults.hide(node.at);
        } else {
            fault = fault.found(text);
        }
        self.faults.push(fault.accepted(misfit.accepted).nearest(misfit.nearest));
        faulty(node.at)
    }

    fn wrong_type(&mut self, node: &Node, accepted: impl Into<String>) -> Item {
        let key = self.path.last().cloned().unwrap_or_else(|| "the file".to_owned());
        let found = match &node.value {
            Value::Quoted(_) => "a text in quotes",
            Value::Nothing | Value::Plain(_) | Value::List(_) | Value::Map(_) => node.noun(),
        };
        let message = match &node.value {
            Value::Nothing => format!("`{key}` has no value"),
            Value::Plain(_) | Value::Quoted(_) | Value::List(_) | Value::Map(_) => {
                format!("`{key}` cannot be {found}")
            }
        };
        let fault = self.fault(Sort::Type, node.at, message).found(found).accepted(accepted);
        self.faults.push(fault);
        faulty(node.at)
    }

    fn map(&mut self, node: Node, keys: Keys) -> Item {
        let at = node.at;
        match node.value {
            Value::Nothing => Item { at, held: Held::Map(Vec::new()) },
            Value::Map(members) => Item { at, held: Held::Map(self.members(members, keys)) },
            Value::Plain(_) | Value::Quoted(_) | Value::List(_) => {
                self.hide_where_secret(&node, keys);
                self.wrong_type(&node, format!("a map with {}", listed(keys)))
            }
        }
    }

    /// A misspelt key takes the place of the one that was meant, so that it is not missed too.
    fn members(&mut self, members: Vec<Member>, keys: Keys) -> Vec<Field> {
        let (known, unknown): (Vec<_>, Vec<_>) = members
            .into_iter()
            .map(|member| (keys::find(keys, &member.key), member))
            .partition(|(key, _)| key.is_some());
        let mut fields: Vec<Field> =
            known.into_iter().filter_map(|(key, member)| Some(self.known(member, key?))).collect();
        for (_, member) in unknown {
            let meant = self.unknown(&member, keys);
            let meant = meant.filter(|meant| !fields.iter().any(|field| *field.key == **meant));
            let Member { at, .. } = member;
            fields.extend(meant.map(|key| Field { key: key.into(), at, item: faulty(at) }));
        }
        fields
    }

    fn known(&mut self, member: Member, key: &'static Key) -> Field {
        let Member { key: name, at, node } = member;
        self.path.push(name.to_string());
        if matches!(key.kind, Kind::Later { .. }) {
            self.unsupported(key, at);
        }
        let item = self.item(node, &key.kind);
        self.path.pop();
        Field { key: name, at, item }
    }

    /// Returns the key that was probably meant.
    fn unknown(&mut self, member: &Member, keys: Keys) -> Option<String> {
        self.hide_where_secret(&member.node, keys);
        self.path.push(member.key.to_string());
        let message = format!("no such key: `{}`", member.key);
        let nearest = nearest(&member.key, keys::each(keys).map(|key| key.name));
        let fault = self.fault(Sort::UnknownKey, member.at, message).found(&*member.key);
        self.faults.push(fault.accepted(listed(keys)).nearest(nearest.clone()));
        self.path.pop();
        nearest
    }

    /// Beside a key for a secret, a misspelt key or a misplaced text may well be the secret.
    fn hide_where_secret(&mut self, node: &Node, keys: Keys) {
        if keys::each(keys).any(|key| matches!(key.kind, Kind::Secret)) {
            self.hide(node);
        }
    }

    fn hide(&mut self, node: &Node) {
        match &node.value {
            Value::Nothing => {}
            Value::Plain(_) | Value::Quoted(_) => self.faults.hide(node.at),
            Value::List(items) => items.iter().for_each(|item| self.hide(item)),
            Value::Map(members) => members.iter().for_each(|member| self.hide(&member.node)),
        }
    }

    fn unsupported(&mut self, key: &Key, at: At) {
        let message = format!("`{}` is not supported yet", key.name);
        let fault = self.fault(Sort::Unsupported, at, message);
        let accepted = "nothing: the key has a meaning in a later version; remove it until then";
        self.faults.push(fault.found(key.name).accepted(accepted));
    }

    fn short(&mut self, node: Node, key: &'static str, keys: Keys) -> Item {
        let main = keys::find(keys, key).expect("a shorthand names one of its keys");
        match node.value {
            Value::Plain(_) | Value::Quoted(_) => {
                let at = node.at;
                let item = self.item(node, &main.kind);
                let field = Field { key: key.into(), at, item };
                Item { at, held: Held::Map(vec![field]) }
            }
            Value::Map(_) => self.map(node, keys),
            Value::Nothing | Value::List(_) => {
                let Kind::One(scalar) = &main.kind else { return faulty(node.at) };
                self.wrong_type(
                    &node,
                    format!("{}, or a map with {}", scalar.accepted(), listed(keys)),
                )
            }
        }
    }

    fn named(&mut self, node: Node, of: &'static Kind, max: usize) -> Item {
        let at = node.at;
        match node.value {
            Value::Nothing => Item { at, held: Held::Map(Vec::new()) },
            Value::Map(members) => {
                self.bound(members.len(), max, at);
                let field = |member| self.entry(member, of);
                Item { at, held: Held::Map(members.into_iter().map(field).collect()) }
            }
            Value::Plain(_) | Value::Quoted(_) | Value::List(_) => {
                self.wrong_type(&node, "a map from names to their settings")
            }
        }
    }

    fn entry(&mut self, member: Member, of: &'static Kind) -> Field {
        let Member { key, at, node } = member;
        self.path.push(key.to_string());
        if !keys::is_name(&key) {
            let fault = self.fault(Sort::Type, at, format!("`{key}` cannot be a name here"));
            let meant = key.to_ascii_lowercase().replace(['-', '.', ' '], "_");
            let meant = Some(meant).filter(|meant| keys::is_name(meant));
            self.faults.push(fault.found(&*key).accepted(keys::NAMES).nearest(meant));
        }
        let item = self.item(node, of);
        self.path.pop();
        Field { key, at, item }
    }

    fn list(&mut self, node: Node, of: &'static Kind, max: usize) -> Item {
        let at = node.at;
        match node.value {
            Value::Nothing => Item { at, held: Held::List(Vec::new()) },
            Value::List(nodes) => {
                self.bound(nodes.len(), max, at);
                let numbered = nodes.into_iter().take(max).enumerate();
                let items = numbered.map(|(number, node)| self.element(number, node, of)).collect();
                Item { at, held: Held::List(items) }
            }
            Value::Plain(_) | Value::Quoted(_) | Value::Map(_) => self.wrong_type(&node, "a list"),
        }
    }

    fn element(&mut self, number: usize, node: Node, of: &'static Kind) -> Item {
        self.path.push(number.to_string());
        let item = self.item(node, of);
        self.path.pop();
        item
    }

    fn bound(&mut self, found: usize, max: usize, at: At) {
        if found > max {
            let key = self.path.last().map_or("", String::as_str);
            let message = format!("`{key}` has {found} entries");
            let fault = self.fault(Sort::Range, at, message).found(found.to_string());
            self.faults.push(fault.accepted(format!("at most {max}")));
        }
    }

    fn secret(&mut self, node: &Node) -> Item {
        let at = node.at;
        if let Value::Map(members) = &node.value
            && let [member] = members.as_slice()
            && let Some(text) = member.node.text().filter(|text| !text.is_empty())
        {
            match &*member.key {
                "env" => return Item { at, held: Held::Secret(SecretRef::Env(text.into())) },
                "file" => return Item { at, held: Held::Secret(SecretRef::File(text.into())) },
                _ => {}
            }
        }
        self.hide(node);
        let message = match &node.value {
            Value::Plain(_) | Value::Quoted(_) => "a secret is written down here",
            Value::Nothing | Value::List(_) | Value::Map(_) => "this is no reference to a secret",
        };
        let fault = self.fault(Sort::Secret, at, message).accepted(SECRETS);
        self.faults.push(fault);
        faulty(at)
    }

    fn later(&mut self, node: Node, of: &'static Kind) -> Item {
        let at = node.at;
        self.item(node, of);
        faulty(at)
    }

    fn fault(&self, sort: Sort, at: At, message: impl Into<String>) -> Fault {
        Fault::new(sort, Some(at), message).key(self.path.join("."))
    }
}

/// A URL with a user or a query: both carry keys more often than not.
fn may_hold_a_secret(text: &str) -> bool {
    text.contains("://") && text.contains(['@', '?'])
}

const fn faulty(at: At) -> Item {
    Item { at, held: Held::Faulty }
}

fn listed(keys: Keys) -> String {
    keys::each(keys).map(|key| format!("`{}`", key.name)).collect::<Vec<_>>().join(", ")
}
