//! Names of dialects → dialects: own ones compiled once, built-in ones asked for.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use super::{Origin, Resolver, Scope};
use crate::config::check::{Held, Item};
use crate::config::dialects::{DialectFault, Dialects};
use crate::config::fault::{Fault, Sort, nearest};
use crate::config::tree::Node;
use crate::dialect::{Dialect, Rule};

/// The dialects that can be named; an own one that is faulty is known, and `None`.
pub(super) struct Known {
    room: Dialects,
    own: BTreeMap<String, Option<Arc<Dialect>>>,
}

impl Known {
    pub(super) fn new(room: Dialects) -> Self {
        Self { room, own: BTreeMap::new() }
    }

    /// The own dialect of a name, where it was understood.
    pub(super) fn known(&self, name: &str) -> Option<Arc<Dialect>> {
        self.own.get(name)?.clone()
    }
}

impl<'a> Resolver<'a> {
    pub(super) fn define_dialects(&mut self) {
        for field in self.root.field("dialects").map(|field| field.item.fields()).unwrap_or(&[]) {
            let key = format!("dialects.{}", field.key);
            let compiled = match &field.item.held {
                Held::Data(node) => self.compile(&field.key, node, &key),
                Held::Plain(_) | Held::Secret(_) | Held::Map(_) | Held::List(_) | Held::Faulty => {
                    None
                }
            };
            self.dialects.own.insert(field.key.to_string(), compiled.map(Arc::new));
        }
    }

    fn compile(&mut self, name: &str, node: &Node, key: &str) -> Option<Dialect> {
        let data = node.to_json();
        match (self.dialects.room.compile)(name, &data) {
            Ok(dialect) => {
                let origin = Origin::Written(self.faults.sources.position(node.at));
                self.provenance.record(key.to_owned(), data.to_string(), origin);
                Some(dialect)
            }
            Err(faults) => {
                self.dialect_faults(node, key, &faults, "");
                None
            }
        }
    }

    /// Faults of a dialect, at the place of the data they point to.
    fn dialect_faults(&mut self, node: &Node, key: &str, faults: &[DialectFault], root: &str) {
        for found in faults {
            let pointer = found.pointer.strip_prefix(root).unwrap_or(&found.pointer);
            let (key_at, value_at) = node.at_pointer(pointer);
            let name = pointer.rsplit('/').next().unwrap_or_default();
            let names_the_key = found.message.contains(&format!("`{name}`"));
            let at = if names_the_key { key_at } else { value_at };
            let key = format!("{key}{}", pointer.replace('/', "."));
            let fault = Fault::new(Sort::Type, Some(at), &found.message).key(key);
            self.faults.push(fault.accepted(&found.accepted).nearest(found.nearest.clone()));
        }
    }

    /// The dialect in force in a scope, with the scope's own rules first.
    pub(super) fn dialect(&mut self, scope: &Scope<'a>) -> Option<Arc<Dialect>> {
        let name = self.setting(scope, &["dialect"]).to_string();
        let dialect = self.dialect_named(&name, scope);
        let Some(item) = scope.own(&["rules"]) else { return dialect };
        let rules = self.rules(&name, item, &scope.key(&["rules"]))?;
        dialect.map(|dialect| Arc::new(with_rules_first(&dialect, rules)))
    }

    fn dialect_named(&mut self, name: &str, scope: &Scope<'a>) -> Option<Arc<Dialect>> {
        if let Some(own) = self.dialects.own.get(name) {
            return own.clone();
        }
        if let Some(builtin) = (self.dialects.room.builtin)(name) {
            return Some(builtin);
        }
        let written = scope.written(&["dialect"]);
        let names = self.dialect_names();
        let fault = Fault::new(
            Sort::Reference,
            written.map(|item| item.at),
            format!("no dialect has the name `{name}`"),
        );
        let fault = fault.key(scope.key(&["dialect"])).found(name);
        let fault = fault.nearest(nearest(name, names.iter().map(String::as_str)));
        self.faults.push_once(fault.accepted(names.join(", ")));
        None
    }

    fn dialect_names(&self) -> Vec<String> {
        let mut names = (self.dialects.room.names)();
        names.extend(self.dialects.own.keys().cloned());
        names.sort();
        names.dedup();
        names
    }

    /// Rules of a route are read as those of a dialect that has nothing else.
    fn rules(&mut self, name: &str, item: &Item, key: &str) -> Option<Vec<Rule>> {
        let Held::Data(node) = &item.held else { return None };
        let rules = node.to_json();
        match (self.dialects.room.compile)(name, &json!({ "rules": rules })) {
            Ok(dialect) => {
                let origin = Origin::Written(self.faults.sources.position(node.at));
                self.provenance.record(key.to_owned(), rules.to_string(), origin);
                Some(dialect.rules)
            }
            Err(faults) => {
                self.dialect_faults(node, key, &faults, "/rules");
                None
            }
        }
    }
}

fn with_rules_first(dialect: &Dialect, rules: Vec<Rule>) -> Dialect {
    let rules = rules.into_iter().chain(dialect.rules.iter().cloned()).collect();
    Dialect { rules, ..dialect.clone() }
}
