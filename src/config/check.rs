//! One layer against the table of keys: a tree of what was written → a tree of typed values.
//!
//! Every fault that one value alone can have is found here, in every layer, even where a
//! stronger layer replaces the value. What is faulty stays in the tree as `Faulty`, so that the
//! resolver can go on without complaining about the consequences.

use std::ops::RangeInclusive;

use super::fault::{Fault, Faults, Sort};
use super::keys::{self, Key, Keys, Kind, Scalar};
use super::scalar::{self, Misfit, Plain};
use super::suggest::{self, Meant};
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
const NAMED: &str = "a map from names to their settings";

impl Checker<'_> {
    fn item(&mut self, node: Node, kind: &'static Kind) -> Item {
        match kind {
            Kind::One(scalar) => self.one(&node, scalar),
            Kind::Map(keys) => self.map(node, keys),
            Kind::Short { key, keys } => self.short(node, key, keys),
            Kind::Named { of, max } => self.named(node, of, *max),
            Kind::List { of, min, max } => self.list(node, of, *min..=*max),
            Kind::Secret => self.secret(&node),
            Kind::Data(_) => Item { at: node.at, held: Held::Data(node) },
            Kind::Later { of } => self.later(node, of),
        }
    }

    fn one(&mut self, node: &Node, scalar: &Scalar) -> Item {
        let quoted = matches!(node.value, Value::Quoted(_)) && scalar.is_unquoted();
        let Some(text) = node.text().filter(|_| !quoted) else {
            let meant = node.text().and_then(|text| scalar::meant(text, scalar));
            return self.wrong_type(node, scalar.accepted(), meant.map(|plain| plain.to_yaml()));
        };
        if scalar::variable(text).or_else(|| scalar::variable_inside(text)).is_some() {
            return self.unreplaced(node);
        }
        match scalar::read(text, scalar) {
            Ok(plain) => Item { at: node.at, held: Held::Plain(plain) },
            Err(misfits) => {
                misfits.into_iter().for_each(|misfit| self.misfit(node, misfit));
                faulty(node.at)
            }
        }
    }

    /// `${NAME}` means nothing in a file; the variable that sets the key does.
    fn unreplaced(&mut self, node: &Node) -> Item {
        let message = "variables are not replaced inside a file";
        let listed = self.path.iter().any(|part| part.starts_with(|c: char| c.is_ascii_digit()));
        let variable = self.path.join("__").to_ascii_uppercase();
        let accepted = match listed || self.path.is_empty() {
            true => "the value itself".to_owned(),
            false => format!("the value itself, or no key here and EVENKEEL__{variable} set"),
        };
        let fault = self.fault(Sort::Type, node.at, message).accepted(accepted);
        self.faults.push(fault);
        faulty(node.at)
    }

    fn misfit(&mut self, node: &Node, misfit: Misfit) {
        let text = node.text().unwrap_or_default();
        let secret = misfit.sort == Sort::Secret || may_hold_a_secret(text);
        let mut fault = self.fault(misfit.sort, node.at, misfit.message);
        if secret {
            self.faults.hide(node.at);
        } else {
            fault = fault.found(text);
        }
        self.faults.push(fault.accepted(misfit.accepted).nearest(misfit.nearest));
    }

    fn wrong_type(
        &mut self,
        node: &Node,
        accepted: impl Into<String>,
        meant: Option<String>,
    ) -> Item {
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
        self.faults.push(fault.nearest(meant));
        faulty(node.at)
    }

    fn map(&mut self, node: Node, keys: Keys) -> Item {
        let at = node.at;
        match node.value {
            Value::Nothing => Item { at, held: Held::Map(Vec::new()) },
            Value::Map(members) => Item { at, held: Held::Map(self.members(members, keys)) },
            Value::Plain(_) | Value::Quoted(_) | Value::List(_) => {
                self.hide_where_secret(&node, keys);
                let meant = self.meant_map(&node, keys);
                self.wrong_type(&node, format!("a map with {}", listed(keys)), meant)
            }
        }
    }

    fn meant_map(&mut self, node: &Node, keys: Keys) -> Option<String> {
        let text = node.text().filter(|text| !may_hold_a_secret(text))?;
        let last =
            self.path.iter().rev().find(|part| !part.starts_with(|c: char| c.is_ascii_digit()));
        suggest::of_text(last.map_or("", String::as_str), text, keys)
    }

    /// A misspelt key takes the place of the one that was meant, so that it is not missed too. Of
    /// a key that stands here twice both values are checked, and the first counts.
    fn members(&mut self, members: Vec<Member>, keys: Keys) -> Vec<Field> {
        let (known, unknown): (Vec<_>, Vec<_>) = members
            .into_iter()
            .map(|member| (keys::find(keys, &member.key), member))
            .partition(|(key, _)| key.is_some());
        let mut fields: Vec<Field> = Vec::with_capacity(known.len());
        for (key, member) in known {
            let field = key.map(|key| self.known(member, key));
            let new = |field: &Field| !fields.iter().any(|other| other.key == field.key);
            let field = field.filter(new);
            fields.extend(field);
        }
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
    fn unknown(&mut self, member: &Member, keys: Keys) -> Option<&'static str> {
        self.hide_where_secret(&member.node, keys);
        self.hide_behind_names(&member.key, &member.node);
        self.path.push(member.key.to_string());
        let message = format!("no such key: `{}`", member.key);
        let Meant { key, words, remark } = suggest::of_key(&member.key, &member.node, keys);
        let fault = self.fault(Sort::UnknownKey, member.at, message).found(&*member.key);
        let accepted = remark.map_or_else(|| listed(keys), str::to_owned);
        self.faults.push(fault.accepted(accepted).nearest(words));
        self.path.pop();
        key
    }

    /// Beside a key for a secret, a misspelt key or a misplaced text may well be the secret.
    fn hide_where_secret(&mut self, node: &Node, keys: Keys) {
        if keys::each(keys).any(|key| matches!(key.kind, Kind::Secret)) {
            self.hide(node);
        }
    }

    /// `api_key: …` and the like are no keys of ours, and hold a secret all the same.
    fn hide_behind_names(&mut self, key: &str, node: &Node) {
        if suggest::names_a_secret(key) {
            return self.hide(node);
        }
        match &node.value {
            Value::Plain(text) | Value::Quoted(text) if may_hold_a_secret(text) => self.hide(node),
            Value::Nothing | Value::Plain(_) | Value::Quoted(_) => {}
            Value::List(items) => items.iter().for_each(|item| self.hide_behind_names("", item)),
            Value::Map(members) => {
                members.iter().for_each(|member| self.hide_behind_names(&member.key, &member.node));
            }
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
                let accepted = format!("{}, or a map with {}", scalar.accepted(), listed(keys));
                self.wrong_type(&node, accepted, None)
            }
        }
    }

    fn named(&mut self, node: Node, of: &'static Kind, max: usize) -> Item {
        let at = node.at;
        match node.value {
            Value::Nothing => Item { at, held: Held::Map(Vec::new()) },
            Value::Map(members) => {
                self.bound(members.len(), &(0..=max), at);
                let key = self.path.last().map_or("", String::as_str);
                if let Some(meant) = suggest::of_unnamed(key, &members, of) {
                    let message = format!("`{key}` has settings where the names of its entries go");
                    let fault = self.fault(Sort::Type, at, message).accepted(NAMED);
                    self.faults.push(fault.nearest(Some(meant)));
                    return faulty(at);
                }
                let mut fields: Vec<Field> = Vec::with_capacity(members.len());
                for member in members {
                    let field = self.entry(member, of);
                    if !fields.iter().any(|other| other.key == field.key) {
                        fields.push(field);
                    }
                }
                Item { at, held: Held::Map(fields) }
            }
            Value::Plain(_) | Value::Quoted(_) | Value::List(_) => {
                let (Kind::Map(keys) | Kind::Short { keys, .. }) = of else {
                    return self.wrong_type(&node, NAMED, None);
                };
                self.hide_where_secret(&node, keys);
                let meant = self.meant_map(&node, keys).map(|map| format!("{{ NAME: {map} }}"));
                self.wrong_type(&node, NAMED, meant)
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

    fn list(&mut self, node: Node, of: &'static Kind, bounds: RangeInclusive<usize>) -> Item {
        let at = node.at;
        match node.value {
            Value::Nothing => Item { at, held: Held::List(Vec::new()) },
            Value::List(nodes) => {
                self.bound(nodes.len(), &bounds, at);
                let numbered = nodes.into_iter().take(*bounds.end()).enumerate();
                let items = numbered.map(|(number, node)| self.element(number, node, of)).collect();
                Item { at, held: Held::List(items) }
            }
            Value::Plain(_) | Value::Quoted(_) => {
                let text = node.text().filter(|text| !may_hold_a_secret(text));
                let meant = text.and_then(|text| {
                    let Kind::Map(keys) = of else { return suggest::of_items(text, of) };
                    Some(format!("[{}]", self.meant_map(&node, keys)?))
                });
                self.wrong_type(&node, "a list", meant)
            }
            Value::Map(_) => self.wrong_type(&node, "a list: `- ` begins each entry", None),
        }
    }

    fn element(&mut self, number: usize, node: Node, of: &'static Kind) -> Item {
        self.path.push(number.to_string());
        let item = self.item(node, of);
        self.path.pop();
        item
    }

    fn bound(&mut self, found: usize, bounds: &RangeInclusive<usize>, at: At) {
        if !bounds.contains(&found) {
            let key = self.path.last().map_or("", String::as_str);
            let message = format!("`{key}` has {found} entries");
            let fault = self.fault(Sort::Range, at, message).found(found.to_string());
            self.faults.push(fault.accepted(format!("{} to {}", bounds.start(), bounds.end())));
        }
    }

    fn secret(&mut self, node: &Node) -> Item {
        let at = node.at;
        if let Value::Map(members) = &node.value
            && let [member] = members.as_slice()
            && let Some(text) = member.node.text().filter(|text| !text.is_empty())
        {
            match (&*member.key, scalar::variable(text)) {
                ("env", None) => {
                    return Item { at, held: Held::Secret(SecretRef::Env(text.into())) };
                }
                ("file", None) => {
                    return Item { at, held: Held::Secret(SecretRef::File(text.into())) };
                }
                ("env" | "file", Some(name)) => return self.secret_of_variable(node, name),
                _ => {}
            }
        }
        if let Some(name) = node.text().and_then(scalar::variable) {
            return self.secret_of_variable(node, name);
        }
        self.hide(node);
        let file = node.text().and_then(secret_file);
        let message = match &node.value {
            Value::Plain(_) | Value::Quoted(_) if file.is_some() => "a path alone is no reference",
            Value::Plain(_) | Value::Quoted(_) => "a secret is written down here",
            Value::Nothing | Value::List(_) | Value::Map(_) => "this is no reference to a secret",
        };
        let inside = node.text().and_then(scalar::variable_inside);
        let meant = file.map(|path| format!("{{ file: {path} }}"));
        let meant = meant.or_else(|| inside.map(|name| format!("{{ env: {name} }}")));
        let fault = self.fault(Sort::Secret, at, message).accepted(SECRETS).nearest(meant);
        self.faults.push(fault);
        faulty(at)
    }

    /// `${NAME}` holds no secret, so it may be shown.
    fn secret_of_variable(&mut self, node: &Node, name: &str) -> Item {
        let message = "variables are not replaced inside a file";
        let fault = self.fault(Sort::Secret, node.at, message).accepted(SECRETS);
        self.faults.push(fault.nearest(Some(format!("{{ env: {name} }}"))));
        faulty(node.at)
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
    text.contains("://") && text.contains(['@', '?', '#'])
}

/// The path that a text is, where it can be nothing else: folders that hold secrets are known.
fn secret_file(text: &str) -> Option<&str> {
    const FOLDERS: [&str; 5] = ["/run/secrets/", "/var/run/secrets/", "/etc/", "./", "../"];
    let path = text.strip_prefix("file:").unwrap_or(text).trim();
    let explicit = text.starts_with("file:") && path.starts_with(['/', '.']);
    (explicit || FOLDERS.iter().any(|folder| path.starts_with(folder))).then_some(path)
}

const fn faulty(at: At) -> Item {
    Item { at, held: Held::Faulty }
}

fn listed(keys: Keys) -> String {
    keys::each(keys).map(|key| format!("`{}`", key.name)).collect::<Vec<_>>().join(", ")
}
