//! Checks one layer against the declared settings: a document → a tree of checked values.
//!
//! Every mistake that one value alone can have is found here, in every layer, even where a
//! stronger layer replaces the value. A faulty value stays in the tree as `Faulty`, so that the
//! resolver does not report its consequences.

use std::ops::RangeInclusive;

use super::diagnostic::{Diagnostic, DiagnosticCode, Diagnostics};
use super::format::{self, AnyFormat, Mismatch};
use super::item::{Content, Field, Item, SecretRef};
use super::keys::{self, Bare, Data, Element, Groups, Key, Keys, Kind, SECRETS};
use super::suggest::{self, Suggestion};
use super::synonyms::RENAMED;
use super::tree::{Location, Member, Node, Value};

pub(super) fn layer(node: Node, diagnostics: &mut Diagnostics) -> Item {
    Checker { diagnostics, path: Vec::new() }.map(node, Keys::of(keys::FILE))
}

/// Checks a part of a layer; `path` is where it belongs.
pub(super) fn part(
    node: Node,
    groups: Groups,
    path: &[&str],
    diagnostics: &mut Diagnostics,
) -> Item {
    let path = path.iter().map(|&part| part.to_owned()).collect();
    Checker { diagnostics, path }.map(node, Keys::of(groups))
}

struct Checker<'d> {
    diagnostics: &'d mut Diagnostics,
    path: Vec<String>,
}

const NAMED: &str = "a map from names to their settings";

impl Checker<'_> {
    fn item(&mut self, node: Node, kind: Kind) -> Item {
        let at = node.at;
        match kind {
            Kind::Value(format) => self.value(&node, format),
            Kind::Map(keys) => self.map(node, keys),
            Kind::Shorthand { key, keys } => self.shorthand(node, key, keys),
            Kind::Named { of, max } => self.named(node, of, max),
            Kind::List { of, bare: Bare::ListOfOne, .. }
                if !matches!(node.value, Value::List(_) | Value::Nothing) =>
            {
                Item { at, content: Content::List(vec![self.item(node, of.into())]) }
            }
            Kind::List { of, min, max, .. } => self.list(node, of, min..=max),
            Kind::Secret => self.secret(&node),
            Kind::Data(Data::Dialect | Data::Rules) => Item { at, content: Content::Data(node) },
        }
    }

    fn value(&mut self, node: &Node, format: &dyn AnyFormat) -> Item {
        let quoted = matches!(node.value, Value::Quoted(_)) && format.is_unquoted();
        let Some(text) = node.text().filter(|_| !quoted) else {
            let nearest = node.text().and_then(|text| format.suggest(text));
            return self.wrong_type(node, format.accepted(), nearest);
        };
        if format::variable(text).or_else(|| format::variable_inside(text)).is_some() {
            let listed =
                self.path.iter().any(|part| part.starts_with(|c: char| c.is_ascii_digit()));
            let variable = self.path.join("__").to_ascii_uppercase();
            let accepted = match listed || self.path.is_empty() {
                true => "the value itself".to_owned(),
                false => format!("the value itself, or no key here and EVENKEEL__{variable} set"),
            };
            let message = "variables are not replaced inside a file";
            let diagnostic = self.diagnostic(DiagnosticCode::Type, node.at, message);
            self.push(diagnostic.accepted(accepted));
            return Item::faulty(node.at);
        }
        match format.check(text) {
            Ok(()) => Item { at: node.at, content: Content::Text(text.into()) },
            Err(mismatches) => {
                mismatches.into_iter().for_each(|mismatch| self.mismatch(node, mismatch));
                Item::faulty(node.at)
            }
        }
    }

    fn mismatch(&mut self, node: &Node, mismatch: Mismatch) {
        let text = node.text().unwrap_or_default();
        let secret = mismatch.code == DiagnosticCode::Secret || may_hold_a_secret(text);
        let mut diagnostic = self.diagnostic(mismatch.code, node.at, mismatch.message);
        if secret {
            self.diagnostics.hide(node.at);
        } else {
            diagnostic = diagnostic.found(text);
        }
        self.push(diagnostic.accepted(mismatch.accepted).nearest(mismatch.nearest));
    }

    fn wrong_type(
        &mut self,
        node: &Node,
        accepted: impl Into<String>,
        nearest: Option<String>,
    ) -> Item {
        let key = self.path.last().map_or("the file", String::as_str);
        let found = match &node.value {
            Value::Nothing => "nothing",
            Value::Plain(_) => "a text",
            Value::Quoted(_) => "a text in quotes",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        };
        let message = match &node.value {
            Value::Nothing => format!("`{key}` has no value"),
            Value::Plain(_) | Value::Quoted(_) | Value::List(_) | Value::Map(_) => {
                format!("`{key}` cannot be {found}")
            }
        };
        let diagnostic = self.diagnostic(DiagnosticCode::Type, node.at, message).found(found);
        self.push(diagnostic.accepted(accepted).nearest(nearest));
        Item::faulty(node.at)
    }

    fn map(&mut self, node: Node, keys: Keys) -> Item {
        let at = node.at;
        match node.value {
            Value::Nothing => Item::map(at, Vec::new()),
            Value::Map(members) => {
                let members = self.renamed(members, keys);
                Item::map(at, self.members(members, keys))
            }
            Value::Plain(_) | Value::Quoted(_) | Value::List(_) => {
                self.hide_where_secret(&node, keys);
                let nearest = self.suggested_map(&node, keys);
                self.wrong_type(&node, format!("a map with {}", keys.names()), nearest)
            }
        }
    }

    fn suggested_map(&self, node: &Node, keys: Keys) -> Option<String> {
        let text = node.text().filter(|text| !may_hold_a_secret(text))?;
        let named =
            self.path.iter().rev().find(|part| !part.starts_with(|c: char| c.is_ascii_digit()));
        suggest::map_for_text(named.map_or("", String::as_str), text, keys)
    }

    /// Writes settings under an older name where they stand today.
    fn renamed(&mut self, mut members: Vec<Member>, keys: Keys) -> Vec<Member> {
        for (old, (section, key)) in RENAMED {
            let place = members.iter().position(|member| *member.key == *old);
            let Some(place) = place.filter(|_| keys.find(section).is_some()) else { continue };
            let setting = Member { key: key.into(), ..members.remove(place) };
            let at = setting.at;
            match members.iter_mut().find(|member| *member.key == *section) {
                None => {
                    let node = Node { at, value: Value::Map(vec![setting]) };
                    members.insert(place, Member { key: section.into(), at, node });
                }
                Some(Member { node: Node { value: Value::Map(inside), .. }, .. })
                    if !inside.iter().any(|member| *member.key == *key) =>
                {
                    inside.push(setting);
                }
                Some(_) => {
                    let message = format!("`{old}` is the older name of `{section}.{key}`");
                    let diagnostic = self.diagnostic(DiagnosticCode::Conflict, at, message);
                    self.push(diagnostic.found(old).accepted("one of the two"));
                }
            }
        }
        members
    }

    /// A misspelt key takes the place of the one that was meant, so that it is not reported as
    /// missing too. Of a duplicate key both values are checked, and the first counts.
    fn members(&mut self, members: Vec<Member>, keys: Keys) -> Vec<Field> {
        let (known, unknown): (Vec<_>, Vec<_>) = members
            .into_iter()
            .map(|member| (keys.find(&member.key), member))
            .partition(|(key, _)| key.is_some());
        let mut fields: Vec<Field> = Vec::with_capacity(known.len());
        for (key, member) in known {
            let field = key.map(|key| self.field(member, &key));
            let new = |field: &Field| !fields.iter().any(|other| other.key == field.key);
            fields.extend(field.filter(new));
        }
        for (_, member) in unknown {
            let meant = self.unknown_key(&member, keys);
            let meant = meant.filter(|meant| !fields.iter().any(|field| *field.key == **meant));
            let Member { at, .. } = member;
            fields.extend(meant.map(|key| Field { key: key.into(), at, item: Item::faulty(at) }));
        }
        fields
    }

    fn field(&mut self, member: Member, key: &Key) -> Field {
        let Member { key: name, at, node } = member;
        self.path.push(name.to_string());
        let item = self.item(node, key.kind);
        self.path.pop();
        Field { key: name, at, item }
    }

    /// Returns the key that was probably meant.
    fn unknown_key(&mut self, member: &Member, keys: Keys) -> Option<&'static str> {
        self.hide_where_secret(&member.node, keys);
        self.hide_if_named_like_a_secret(&member.key, &member.node);
        self.path.push(member.key.to_string());
        let message = format!("unknown key: `{}`", member.key);
        let Suggestion { key, words, remark } =
            suggest::for_unknown_key(&member.key, &member.node, keys);
        let diagnostic = self.diagnostic(DiagnosticCode::UnknownKey, member.at, message);
        let accepted = remark.map_or_else(|| keys.names(), str::to_owned);
        self.push(diagnostic.found(&*member.key).accepted(accepted).nearest(words));
        self.path.pop();
        key
    }

    /// Beside a key for a secret, a misspelt key or a misplaced text may well be the secret.
    fn hide_where_secret(&mut self, node: &Node, keys: Keys) {
        if keys.each().any(|key| matches!(key.kind, Kind::Secret)) {
            self.hide(node);
        }
    }

    /// `api_key: …` and the like are not keys of the file, and hold a secret all the same.
    fn hide_if_named_like_a_secret(&mut self, key: &str, node: &Node) {
        if suggest::names_a_secret(key) {
            return self.hide(node);
        }
        match &node.value {
            Value::Plain(text) | Value::Quoted(text) if may_hold_a_secret(text) => self.hide(node),
            Value::Nothing | Value::Plain(_) | Value::Quoted(_) => {}
            Value::List(items) => {
                items.iter().for_each(|item| self.hide_if_named_like_a_secret("", item));
            }
            Value::Map(members) => members
                .iter()
                .for_each(|member| self.hide_if_named_like_a_secret(&member.key, &member.node)),
        }
    }

    fn hide(&mut self, node: &Node) {
        match &node.value {
            Value::Nothing => {}
            Value::Plain(_) | Value::Quoted(_) => self.diagnostics.hide(node.at),
            Value::List(items) => items.iter().for_each(|item| self.hide(item)),
            Value::Map(members) => members.iter().for_each(|member| self.hide(&member.node)),
        }
    }

    fn shorthand(&mut self, node: Node, key: &'static str, keys: Keys) -> Item {
        let Some(Key { kind: Kind::Value(format), .. }) = keys.find(key) else {
            return self.map(node, keys);
        };
        match node.value {
            Value::Map(_) => self.map(node, keys),
            Value::Plain(_) | Value::Quoted(_) => {
                let at = node.at;
                Item::map(at, vec![Field { key: key.into(), at, item: self.value(&node, format) }])
            }
            Value::Nothing | Value::List(_) => {
                let accepted = format!("{}, or a map with {}", format.accepted(), keys.names());
                self.wrong_type(&node, accepted, None)
            }
        }
    }

    fn named(&mut self, node: Node, of: Element, max: usize) -> Item {
        let at = node.at;
        match node.value {
            Value::Nothing => Item::map(at, Vec::new()),
            Value::Map(members) => {
                self.check_length(members.len(), &(0..=max), at);
                let key = self.path.last().map_or("", String::as_str);
                if let Some(nearest) = suggest::entries_without_names(key, &members, of.into()) {
                    let message = format!("`{key}` has settings where the names of its entries go");
                    let diagnostic = self.diagnostic(DiagnosticCode::Type, at, message);
                    self.push(diagnostic.accepted(NAMED).nearest(Some(nearest)));
                    return Item::faulty(at);
                }
                let mut fields: Vec<Field> = Vec::with_capacity(members.len());
                for member in members {
                    let field = self.entry(member, of);
                    if !fields.iter().any(|other| other.key == field.key) {
                        fields.push(field);
                    }
                }
                Item::map(at, fields)
            }
            Value::Plain(_) | Value::Quoted(_) | Value::List(_) => {
                let (Kind::Map(keys) | Kind::Shorthand { keys, .. }) = of.into() else {
                    return self.wrong_type(&node, NAMED, None);
                };
                self.hide_where_secret(&node, keys);
                let map = self.suggested_map(&node, keys);
                self.wrong_type(&node, NAMED, map.map(|map| format!("{{ NAME: {map} }}")))
            }
        }
    }

    fn entry(&mut self, member: Member, of: Element) -> Field {
        let Member { key, at, node } = member;
        self.path.push(key.to_string());
        if !keys::is_name(&key) {
            let message = format!("`{key}` is not a valid name");
            let diagnostic = self.diagnostic(DiagnosticCode::Type, at, message).found(&*key);
            let nearest = key.to_ascii_lowercase().replace(['-', '.', ' '], "_");
            let nearest = Some(nearest).filter(|nearest| keys::is_name(nearest));
            self.push(diagnostic.accepted(keys::NAMES).nearest(nearest));
        }
        let item = self.item(node, of.into());
        self.path.pop();
        Field { key, at, item }
    }

    fn list(&mut self, node: Node, of: Element, bounds: RangeInclusive<usize>) -> Item {
        let at = node.at;
        match node.value {
            Value::Nothing => Item { at, content: Content::List(Vec::new()) },
            Value::List(nodes) => {
                self.check_length(nodes.len(), &bounds, at);
                let mut items = Vec::with_capacity(nodes.len().min(*bounds.end()));
                for (number, node) in nodes.into_iter().take(*bounds.end()).enumerate() {
                    self.path.push(number.to_string());
                    items.push(self.item(node, of.into()));
                    self.path.pop();
                }
                Item { at, content: Content::List(items) }
            }
            Value::Plain(_) | Value::Quoted(_) => {
                let text = node.text().filter(|text| !may_hold_a_secret(text));
                let nearest = text.and_then(|text| {
                    let Kind::Map(keys) = of.into() else {
                        return suggest::list_for_text(text, of.into());
                    };
                    Some(format!("[{}]", self.suggested_map(&node, keys)?))
                });
                self.wrong_type(&node, "a list", nearest)
            }
            Value::Map(_) => self.wrong_type(&node, "a list: `- ` begins each entry", None),
        }
    }

    fn check_length(&mut self, found: usize, bounds: &RangeInclusive<usize>, at: Location) {
        if !bounds.contains(&found) {
            let key = self.path.last().map_or("", String::as_str);
            let message = format!("`{key}` has {found} entries");
            let diagnostic = self.diagnostic(DiagnosticCode::Range, at, message);
            let accepted = format!("{} to {}", bounds.start(), bounds.end());
            self.push(diagnostic.found(found.to_string()).accepted(accepted));
        }
    }

    fn secret(&mut self, node: &Node) -> Item {
        let at = node.at;
        if let Value::Map(members) = &node.value
            && let [member] = members.as_slice()
            && let Some(text) = member.node.text().filter(|text| !text.is_empty())
        {
            let reference = |reference| Item { at, content: Content::Secret(reference) };
            match (&*member.key, format::variable(text)) {
                ("env", None) => return reference(SecretRef::Env(text.into())),
                ("file", None) => return reference(SecretRef::File(text.into())),
                ("env" | "file", Some(name)) => return self.secret_of_variable(at, name),
                _ => {}
            }
        }
        if let Some(name) = node.text().and_then(format::variable) {
            return self.secret_of_variable(at, name);
        }
        self.hide(node);
        let file = node.text().and_then(secret_file);
        let message = match &node.value {
            Value::Plain(_) | Value::Quoted(_) if file.is_some() => {
                "a path alone is not a reference to a secret"
            }
            Value::Plain(_) | Value::Quoted(_) => "a secret is written down here",
            Value::Nothing | Value::List(_) | Value::Map(_) => {
                "this is not a reference to a secret"
            }
        };
        let inside = node.text().and_then(format::variable_inside);
        let nearest = file.map(|path| format!("{{ file: {path} }}"));
        let nearest = nearest.or_else(|| inside.map(|name| format!("{{ env: {name} }}")));
        let diagnostic = self.diagnostic(DiagnosticCode::Secret, at, message);
        self.push(diagnostic.accepted(SECRETS).nearest(nearest));
        Item::faulty(at)
    }

    /// `${NAME}` is not itself a secret, so it may be shown.
    fn secret_of_variable(&mut self, at: Location, name: &str) -> Item {
        let message = "variables are not replaced inside a file";
        let diagnostic = self.diagnostic(DiagnosticCode::Secret, at, message).accepted(SECRETS);
        self.push(diagnostic.nearest(Some(format!("{{ env: {name} }}"))));
        Item::faulty(at)
    }

    fn diagnostic(
        &self,
        code: DiagnosticCode,
        at: Location,
        message: impl Into<String>,
    ) -> Diagnostic {
        Diagnostic::new(code, Some(at), message).key(self.path.join("."))
    }

    fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }
}

/// A URL with a user or a query, which carry keys more often than not.
fn may_hold_a_secret(text: &str) -> bool {
    text.contains("://") && text.contains(['@', '?', '#'])
}

/// The path that a text is, where it is in a folder that usually holds secrets.
fn secret_file(text: &str) -> Option<&str> {
    const FOLDERS: [&str; 5] = ["/run/secrets/", "/var/run/secrets/", "/etc/", "./", "../"];
    let path = text.strip_prefix("file:").unwrap_or(text).trim();
    let explicit = text.starts_with("file:") && path.starts_with(['/', '.']);
    (explicit || FOLDERS.iter().any(|folder| path.starts_with(folder))).then_some(path)
}
