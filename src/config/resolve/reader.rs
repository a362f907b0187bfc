//! Typed reads of merged settings: the value in force for a declared setting, with its origin.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::diagnostic::{Diagnostic, DiagnosticCode, Diagnostics};
use crate::config::environment::Environment;
use crate::config::format::Format;
use crate::config::item::{Content, Field, Item, SecretRef};
use crate::config::keys::{Declaration, Groups, List, Maps, Optional, SecretSetting, Setting};
use crate::config::provenance::{Origin, Provenance};
use crate::config::secret::{Secret, SecretsRead};
use crate::config::tree::Location;
use crate::dialect::Dialect;

/// What resolving needs and what it produces beside the settings.
pub(super) struct Resolver<'a> {
    pub(super) root: &'a Item,
    pub(super) env: &'a Environment,
    pub(super) secrets: SecretsRead,
    pub(super) diagnostics: &'a mut Diagnostics,
    pub(super) provenance: Provenance,
    pub(super) warnings: Vec<String>,
    /// The dialects of this configuration; `None` stands for a faulty one.
    pub(super) own_dialects: BTreeMap<String, Option<Arc<Dialect>>>,
}

/// The maps in which settings of one place are looked up, the strongest first.
#[derive(Clone)]
pub(super) struct Scope<'a> {
    /// Where the settings belong, dotted.
    pub(super) path: String,
    pub(super) groups: Groups,
    /// Stronger than a dialect.
    pub(super) strong: Vec<&'a Item>,
    /// Weaker than a dialect: `defaults`.
    pub(super) weak: Option<&'a Item>,
    pub(super) record: Record,
}

/// Which values go into the provenance.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Record {
    All,
    /// Those written in the strongest map itself. The others are recorded where they belong.
    Own,
}

impl<'a> Scope<'a> {
    pub(super) fn of(item: Option<&'a Item>, groups: Groups, path: impl Into<String>) -> Self {
        let strong = item.into_iter().collect();
        Self { path: path.into(), groups, strong, weak: None, record: Record::All }
    }

    /// The full path of a setting.
    pub(super) fn key(&self, setting: &dyn Declaration) -> String {
        match &*self.path {
            "" => setting.path().to_owned(),
            path => format!("{path}.{}", setting.path()),
        }
    }

    /// What is written in the strongest map itself.
    pub(super) fn own(&self, setting: &dyn Declaration) -> Option<&'a Item> {
        debug_assert!(self.declares(setting), "`{}` has no {}", self.path, setting.path());
        self.strong.first()?.find(setting.path())
    }

    /// The same with its key, for diagnostics about the key.
    pub(super) fn own_field(&self, setting: &dyn Declaration) -> Option<&'a Field> {
        let (map, name) = setting.path().rsplit_once('.').unwrap_or(("", setting.path()));
        let item = self.strong.first()?;
        if map.is_empty() { item.field(name) } else { item.find(map)?.field(name) }
    }

    pub(super) fn strong(&self, setting: &dyn Declaration) -> Option<&'a Item> {
        debug_assert!(self.declares(setting), "`{}` has no {}", self.path, setting.path());
        self.strong.iter().find_map(|item| item.find(setting.path()))
    }

    pub(super) fn written(&self, setting: &dyn Declaration) -> Option<&'a Item> {
        self.strong(setting).or_else(|| self.weak?.find(setting.path()))
    }

    /// The fields under names of the operator's choosing.
    pub(super) fn entries(&self, entries: &dyn Declaration) -> &'a [Field] {
        self.own(entries).map_or(&[], Item::fields)
    }

    /// The maps of a list.
    pub(super) fn maps(&self, list: &Maps) -> &'a [Item] {
        self.own(list).map_or(&[], Item::entries)
    }

    /// The value in force, without recording it.
    pub(super) fn value<F: Format<Value: Clone + Sync>>(&self, setting: &Setting<F>) -> F::Value {
        let written = self.written(setting).and_then(|item| parsed(&setting.content.format, item));
        written.unwrap_or_else(|| setting.content.default.clone())
    }

    /// The written value, without recording it.
    pub(super) fn written_value<F: Format>(&self, setting: &Optional<F>) -> Option<F::Value> {
        parsed(&setting.content.0, self.written(setting)?)
    }

    /// The values of a list in the scope itself, without recording them.
    pub(super) fn written_list<F: Format>(&self, setting: &List<F>) -> Option<Vec<F::Value>> {
        let items = self.own(setting)?.entries();
        Some(items.iter().filter_map(|item| parsed(&setting.content.format, item)).collect())
    }

    /// Whether the setting may stand in this scope.
    pub(super) fn declares(&self, setting: &dyn Declaration) -> bool {
        let mut declared = self.groups.iter().flat_map(|group| group.iter());
        declared.any(|declared| declared.path() == setting.path())
    }
}

/// The value of a checked text. A faulty one has been reported and gives none.
fn parsed<F: Format>(format: &F, item: &Item) -> Option<F::Value> {
    let Content::Text(text) = &item.content else { return None };
    format.parse(text).ok()
}

impl<'a> Resolver<'a> {
    /// The value in force. Where a faulty one is written, the default stands in; the diagnostic
    /// keeps it from coming into force.
    pub(super) fn get<F: Format<Value: Clone + Sync>>(
        &mut self,
        scope: &Scope<'a>,
        setting: &Setting<F>,
    ) -> F::Value {
        let value = scope.value(setting);
        let written = scope.written(setting);
        if written.is_none_or(|item| !item.is_faulty()) {
            let origin = written.map_or(Origin::Default, |item| self.origin(item));
            self.record(scope, setting, setting.content.format.to_yaml(&value), origin);
        }
        value
    }

    /// The value that is written, if there is one.
    pub(super) fn optional<F: Format>(
        &mut self,
        scope: &Scope<'a>,
        setting: &Optional<F>,
    ) -> Option<F::Value> {
        let value = scope.written_value(setting)?;
        let origin = scope.written(setting).map_or(Origin::Default, |item| self.origin(item));
        self.record(scope, setting, setting.content.0.to_yaml(&value), origin);
        Some(value)
    }

    /// The values of a list in the scope itself.
    pub(super) fn list<F: Format>(
        &mut self,
        scope: &Scope<'a>,
        setting: &List<F>,
    ) -> Vec<F::Value> {
        self.record_own(scope, setting);
        scope.written_list(setting).unwrap_or_default()
    }

    /// The values of a list in the strongest map that has it.
    pub(super) fn layered_list<F: Format>(
        &mut self,
        scope: &Scope<'a>,
        setting: &List<F>,
    ) -> Option<Vec<F::Value>> {
        let item = scope.written(setting)?;
        self.record(scope, setting, flow(item), self.origin(item));
        let values = item.entries().iter();
        Some(values.filter_map(|item| parsed(&setting.content.format, item)).collect())
    }

    fn origin(&self, item: &Item) -> Origin {
        Origin::Written(self.diagnostics.sources.position(item.at))
    }

    pub(super) fn record(
        &mut self,
        scope: &Scope<'a>,
        setting: &dyn Declaration,
        value: String,
        origin: Origin,
    ) {
        if scope.record == Record::All || scope.own(setting).is_some() {
            self.provenance.record(scope.key(setting), value, origin);
        }
    }

    /// Records a default that follows from another value; a faulty value is not replaced by it.
    pub(super) fn record_derived(
        &mut self,
        scope: &Scope<'a>,
        setting: &dyn Declaration,
        value: String,
    ) {
        if scope.own(setting).is_none() {
            self.record(scope, setting, value, Origin::Default);
        }
    }

    /// Records a list or a map of the scope itself, on one line.
    pub(super) fn record_own(&mut self, scope: &Scope<'a>, setting: &dyn Declaration) {
        if let Some(item) = scope.own(setting) {
            let origin = self.origin(item);
            self.record(scope, setting, flow(item), origin);
        }
    }

    pub(super) fn secret(&mut self, scope: &Scope<'a>, setting: &SecretSetting) -> Option<Secret> {
        let item = scope.written(setting)?;
        if let Content::Secret(reference) = &item.content {
            self.record(scope, setting, reference.to_yaml(), self.origin(item));
        }
        self.resolved_secret(item, scope.key(setting))
    }

    /// A secret under a name of the operator's choosing.
    pub(super) fn named_secret(&mut self, field: &'a Field, map: &str) -> Option<Secret> {
        let key = format!("{map}.{}", field.key);
        if let Content::Secret(reference) = &field.item.content {
            self.provenance.record(key.clone(), reference.to_yaml(), self.origin(&field.item));
        }
        self.resolved_secret(&field.item, key)
    }

    fn resolved_secret(&mut self, item: &'a Item, key: String) -> Option<Secret> {
        let Content::Secret(reference) = &item.content else { return None };
        if self.secrets == SecretsRead::No {
            return Some(Secret::unread(&key));
        }
        let folder = self.diagnostics.sources.folder(item.at);
        if let SecretRef::File(path) = reference {
            self.diagnostics.read.push(folder.join(&**path));
        }
        let message = match Secret::resolve(reference, self.env, folder) {
            Ok(secret) if http::HeaderValue::from_bytes(secret.bytes()).is_ok() => {
                if let [b'"', .., b'"'] | [b'\'', .., b'\''] = secret.bytes() {
                    let message = "the secret is in quotes, which are sent as a part of it";
                    self.warn(item.at, &key, message);
                }
                return Some(secret);
            }
            Ok(_) => "the secret has bytes that a header cannot carry".to_owned(),
            Err(message) => message,
        };
        let diagnostic = Diagnostic::new(DiagnosticCode::Secret, Some(item.at), message).key(key);
        let accepted = "one line of visible characters, in a variable or a file";
        self.diagnostics.push(diagnostic.accepted(accepted));
        None
    }

    /// Reports settings that contradict each other, once for each place.
    pub(super) fn conflict(
        &mut self,
        at: Option<Location>,
        key: String,
        message: impl Into<String>,
        accepted: impl Into<String>,
    ) {
        let diagnostic = Diagnostic::new(DiagnosticCode::Conflict, at, message);
        self.diagnostics.push_once(diagnostic.key(key).accepted(accepted));
    }

    pub(super) fn warn(&mut self, at: Location, key: &str, message: &str) {
        let position = self.diagnostics.sources.position(at);
        self.warnings.push(format!("{key}: {message} ({position})"));
    }
}

/// A value on one line.
fn flow(item: &Item) -> String {
    match &item.content {
        Content::Text(text) => crate::config::format::to_yaml(text),
        Content::Secret(reference) => reference.to_yaml(),
        Content::Data(node) => node.to_json().to_string(),
        Content::Faulty => String::new(),
        Content::List(items) => {
            format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", "))
        }
        Content::Map(fields) => {
            let pair = |field: &Field| format!("{}: {}", field.key, flow(&field.item));
            format!("{{ {} }}", fields.iter().map(pair).collect::<Vec<_>>().join(", "))
        }
    }
}
