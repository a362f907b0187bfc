//! The dialects that settings name: own ones are compiled once, built-in ones are asked for.

use std::sync::Arc;

use serde_json::{Value, json};

use super::reader::{Resolver, Scope};
use crate::config::diagnostic::{Diagnostic, DiagnosticCode, nearest};
use crate::config::dialect_file::report;
use crate::config::item::{Content, Field, Item};
use crate::config::keys::{self, Declaration as _};
use crate::config::provenance::Origin;
use crate::config::tree::Node;
use crate::dialect::{self, Dialect, DialectError, Rule};

impl<'a> Resolver<'a> {
    pub(super) fn define_dialects(&mut self, root: &Scope<'a>) {
        for field in root.entries(&keys::DIALECTS) {
            self.define_dialect(root, field, &[]);
        }
    }

    /// Defines a dialect, and before it the one that it extends. `waiting` are those that extend
    /// this one.
    fn define_dialect(
        &mut self,
        root: &Scope<'a>,
        field: &'a Field,
        waiting: &[&'a str],
    ) -> Option<Arc<Dialect>> {
        let name = &*field.key;
        if let Some(known) = self.own_dialects.get(name) {
            return known.clone();
        }
        let compiled = if let Content::Data(node) = &field.item.content {
            let data = node.to_json();
            let waiting: Vec<&str> = waiting.iter().copied().chain([name]).collect();
            let base = dialect::extends(&data).map(|base| self.base(root, base, &waiting));
            let base = base.transpose().map(Option::flatten);
            self.compile(name, node, &data, base)
        } else {
            None
        };
        let compiled = compiled.map(Arc::new);
        self.own_dialects.insert(name.to_owned(), compiled.clone());
        compiled
    }

    /// The dialect that the last of `waiting` extends; none if it is faulty. One may extend the
    /// built-in dialect whose name it takes.
    fn base(
        &mut self,
        root: &Scope<'a>,
        base: &str,
        waiting: &[&'a str],
    ) -> Result<Option<Arc<Dialect>>, DialectError> {
        let (name, own) = (waiting.last().copied(), root.entries(&keys::DIALECTS));
        let built_in = dialect::builtin(base);
        if let Some(first) = waiting.iter().position(|waiting| *waiting == base)
            && (name != Some(base) || built_in.is_none())
        {
            let through = waiting.get(first + 1..).unwrap_or_default();
            return Err(DialectError::circle(base, through));
        }
        match own.iter().find(|field| *field.key == *base && name != Some(base)) {
            Some(field) => Ok(self.define_dialect(root, field, waiting)),
            None => {
                let mut known: Vec<&str> = dialect::builtin_names().collect();
                known.extend(own.iter().map(|field| &*field.key).filter(|own| name != Some(*own)));
                let unknown = || DialectError::unknown_base(base, known.into_iter());
                built_in.map(Some).ok_or_else(unknown)
            }
        }
    }

    fn compile(
        &mut self,
        name: &str,
        node: &Node,
        data: &Value,
        base: Result<Option<Arc<Dialect>>, DialectError>,
    ) -> Option<Dialect> {
        let key = format!("{}.{name}", keys::DIALECTS.path());
        let compiled = dialect::compile_extending(name, data, base);
        let compiled =
            compiled.map_err(|errors| report(self.diagnostics, node, &key, &errors)).ok()?;
        let origin = Origin::Written(self.diagnostics.sources.position(node.at));
        self.provenance.record(key, data.to_string(), origin);
        Some(compiled)
    }

    /// The dialect in force in a scope, with the scope's own rules before the dialect's.
    pub(super) fn dialect(&mut self, scope: &Scope<'a>) -> Option<Arc<Dialect>> {
        let name = self.get(scope, &keys::DIALECT);
        let named = self.dialect_named(&name, scope);
        let is_entry = scope.declares(&keys::RULES);
        let Some(item) = is_entry.then(|| scope.own(&keys::RULES)).flatten() else {
            return named;
        };
        let rules = self.rules(&name, item, &scope.key(&keys::RULES))?;
        named.map(|named| {
            let rules = rules.into_iter().chain(named.rules.iter().cloned()).collect();
            Arc::new(Dialect { rules, ..(*named).clone() })
        })
    }

    fn dialect_named(&mut self, name: &str, scope: &Scope<'a>) -> Option<Arc<Dialect>> {
        if let Some(own) = self.own_dialects.get(name) {
            return own.clone();
        }
        if let Some(builtin) = dialect::builtin(name) {
            return Some(builtin);
        }
        let mut names: Vec<_> = dialect::builtin_names().map(str::to_owned).collect();
        names.extend(self.own_dialects.keys().cloned());
        names.sort();
        names.dedup();
        let at = scope.written(&keys::DIALECT).map(|item| item.at);
        let message = format!("there is no dialect `{name}`");
        let diagnostic = Diagnostic::new(DiagnosticCode::Reference, at, message);
        let diagnostic = diagnostic.key(scope.key(&keys::DIALECT)).found(name);
        let diagnostic = diagnostic.nearest(nearest(name, names.iter().map(String::as_str)));
        self.diagnostics.push_once(diagnostic.accepted(names.join(", ")));
        None
    }

    /// The rules of a route entry are compiled as those of a dialect that has nothing else.
    fn rules(&mut self, name: &str, item: &Item, key: &str) -> Option<Vec<Rule>> {
        let Content::Data(node) = &item.content else { return None };
        let rules = node.to_json();
        let compiled = dialect::compile(name, &json!({ "rules": rules }));
        let below_rules = |mut errors: Vec<DialectError>| {
            for error in &mut errors {
                error.pointer = error.pointer.replacen("/rules", "", 1);
            }
            report(self.diagnostics, node, key, &errors);
        };
        let compiled = compiled.map_err(below_rules).ok()?;
        let origin = Origin::Written(self.diagnostics.sources.position(node.at));
        self.provenance.record(key.to_owned(), rules.to_string(), origin);
        Some(compiled.rules)
    }
}
