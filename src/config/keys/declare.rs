//! How a setting is declared, and how declarations are walked.
//!
//! A declaration is a static with everything there is to know about one key: path, format, bounds,
//! default and meaning. The groups it is in say where it may stand. The resolver reads a setting
//! by naming its static, so a lookup can neither misspell a key nor mistake a type; the check of a
//! file, the JSON Schema, the suggestions and the test of the reference file walk the groups.

use serde_json::Value as Json;

use crate::config::format::{AnyFormat, Format};

/// A declared key, without the type of its content.
pub(crate) trait Declaration: Sync {
    /// The path below the place where it stands, dotted.
    fn path(&self) -> &'static str;
    /// What it means, in one sentence.
    fn doc(&self) -> &'static str;
    fn absent(&self) -> Absent;
    fn default(&self) -> Option<Json>;
    /// What it holds; `inside` are the keys below its path.
    fn kind(&'static self, inside: Keys) -> Kind;
}

/// Keys that may stand in the same places.
pub(crate) type Group = &'static [&'static dyn Declaration];
/// All keys that may stand in one place.
pub(crate) type Groups = &'static [Group];

/// A declared key. Its content decides what may stand there and how it is read.
pub(crate) struct Declared<C> {
    path: &'static str,
    pub(crate) content: C,
    absent: Absent,
    doc: &'static str,
}

/// What it means that a key is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absent {
    /// It has its default, or the keys inside have theirs.
    Default,
    Means(&'static str),
    Required,
}

/// A value with a default.
pub(crate) type Setting<F> = Declared<WithDefault<F>>;
/// A value that may be absent.
pub(crate) type Optional<F> = Declared<Single<F>>;
/// A list of values.
pub(crate) type List<F> = Declared<Values<F>>;
/// A map of further keys.
pub(crate) type Section = Declared<Map>;
/// A list of maps.
pub(crate) type Maps = Declared<MapList>;
/// Values or maps under names that the operator chooses.
pub(crate) type Entries = Declared<Named>;
/// A reference to a secret: `{ env: NAME }` or `{ file: PATH }`.
pub(crate) type SecretSetting = Declared<SecretReference>;
/// Rules of a dialect, which the dialect room checks itself.
pub(crate) type Rules = Declared<RuleData>;

pub(crate) struct WithDefault<F: Format> {
    pub(crate) format: F,
    pub(crate) default: F::Value,
}

pub(crate) struct Single<F>(pub(crate) F);

pub(crate) struct Values<F> {
    pub(crate) format: F,
    pub(crate) min: usize,
    pub(crate) max: usize,
    pub(crate) bare: Bare,
}

/// Whether an entry without a list stands for a list of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bare {
    Refused,
    ListOfOne,
}

pub(crate) struct Map {
    /// The keys inside; without groups, those that are declared with a longer path.
    pub(crate) of: Option<Groups>,
    /// The key whose bare value may stand for the map.
    pub(crate) shorthand: Option<&'static str>,
}

pub(crate) struct MapList {
    pub(crate) of: Groups,
    pub(crate) min: usize,
    pub(crate) max: usize,
    pub(crate) bare: Bare,
}

impl MapList {
    /// So many maps, or none.
    pub(crate) const fn up_to(max: usize, of: Groups) -> Self {
        Self { of, min: 0, max, bare: Bare::Refused }
    }

    /// The same, or a map alone.
    pub(crate) const fn or_bare(self) -> Self {
        Self { min: 1, bare: Bare::ListOfOne, ..self }
    }
}

pub(crate) struct Named {
    pub(crate) of: Element,
    pub(crate) max: usize,
}

pub(crate) struct SecretReference;

pub(crate) struct RuleData;

/// What a key may hold.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Value(&'static dyn AnyFormat),
    Map(Keys),
    /// A map of these keys, or the bare value of the named one.
    Shorthand {
        key: &'static str,
        keys: Keys,
    },
    /// A map from names of the operator's choosing.
    Named {
        of: Element,
        max: usize,
    },
    List {
        of: Element,
        min: usize,
        max: usize,
        bare: Bare,
    },
    Secret,
    Data(Data),
}

/// What an entry of a list or of a map of names may hold.
#[derive(Clone, Copy)]
pub(crate) enum Element {
    Value(&'static dyn AnyFormat),
    Map(Groups),
    Shorthand(&'static str, Groups),
    Secret,
    Dialect,
}

/// What data of the dialect room describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Data {
    Dialect,
    Rules,
}

impl From<Element> for Kind {
    fn from(element: Element) -> Self {
        match element {
            Element::Value(format) => Self::Value(format),
            Element::Map(groups) => Self::Map(Keys::of(groups)),
            Element::Shorthand(key, groups) => Self::Shorthand { key, keys: Keys::of(groups) },
            Element::Secret => Self::Secret,
            Element::Dialect => Self::Data(Data::Dialect),
        }
    }
}

/// The keys of one map.
#[derive(Clone, Copy)]
pub(crate) struct Keys {
    groups: Groups,
    /// The path of the map in its place; empty for the place itself.
    below: &'static str,
}

/// One key of a map.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) doc: &'static str,
    pub(crate) absent: Absent,
    pub(crate) default: Option<Json>,
    pub(crate) kind: Kind,
}

impl Keys {
    pub(crate) const fn of(groups: Groups) -> Self {
        Self { groups, below: "" }
    }

    pub(crate) fn each(self) -> impl Iterator<Item = Key> {
        let declared = self.groups.iter().flat_map(|group| group.iter().copied());
        declared.filter_map(move |declared| {
            let path = declared.path();
            let name = match self.below {
                "" => path,
                below => path.strip_prefix(below)?.strip_prefix('.')?,
            };
            let kind = declared.kind(Self { below: path, ..self });
            let (doc, absent, default) = (declared.doc(), declared.absent(), declared.default());
            (!name.contains('.')).then_some(Key { name, doc, absent, default, kind })
        })
    }

    pub(crate) fn find(self, name: &str) -> Option<Key> {
        self.each().find(|key| key.name == name)
    }

    /// What stands at a path, where the declarations reach that far.
    pub(crate) fn kind_at<'p>(self, path: impl IntoIterator<Item = &'p str>) -> Option<Kind> {
        path.into_iter().try_fold(Kind::Map(self), |kind, name| match kind {
            Kind::Map(keys) | Kind::Shorthand { keys, .. } => keys.find(name).map(|key| key.kind),
            Kind::Named { of, .. } => Some(of.into()),
            Kind::Value(_) | Kind::List { .. } | Kind::Secret | Kind::Data(_) => None,
        })
    }

    /// `a`, `b`, `c`: the names for a diagnostic.
    pub(crate) fn names(self) -> String {
        let names = self.each().map(|key| format!("`{}`", key.name));
        names.collect::<Vec<_>>().join(", ")
    }
}

impl Key {
    /// What is accepted there, for a diagnostic.
    pub(crate) fn accepted(&self) -> String {
        match &self.kind {
            Kind::Value(format) => format.accepted(),
            Kind::Secret => SECRETS.into(),
            Kind::Shorthand { .. } | Kind::Map(_) => format!("a map: {}", self.doc),
            Kind::Named { .. } => format!("a map from names to their settings: {}", self.doc),
            Kind::List { bare: Bare::Refused, .. } => format!("a list: {}", self.doc),
            Kind::List { bare: Bare::ListOfOne, .. } => {
                format!("one, or a list: {}", self.doc)
            }
            Kind::Data(_) => self.doc.into(),
        }
    }
}

/// How a reference to a secret is written, for a diagnostic.
pub(crate) const SECRETS: &str = "`{ env: NAME }` or `{ file: PATH }`";

/// What can be declared.
trait Content: Sync {
    fn kind(&'static self, inside: Keys) -> Kind;

    fn default(&self) -> Option<Json> {
        None
    }
}

impl<C: Content> Declaration for Declared<C> {
    fn path(&self) -> &'static str {
        self.path
    }

    fn doc(&self) -> &'static str {
        self.doc
    }

    fn absent(&self) -> Absent {
        self.absent
    }

    fn default(&self) -> Option<Json> {
        self.content.default()
    }

    fn kind(&'static self, inside: Keys) -> Kind {
        self.content.kind(inside)
    }
}

impl<F: Format<Value: Sync>> Content for WithDefault<F> {
    fn kind(&'static self, _inside: Keys) -> Kind {
        Kind::Value(&self.format)
    }

    fn default(&self) -> Option<Json> {
        Some(self.format.to_json(&self.default))
    }
}

impl<F: Format> Content for Single<F> {
    fn kind(&'static self, _inside: Keys) -> Kind {
        Kind::Value(&self.0)
    }
}

impl<F: Format> Content for Values<F> {
    fn kind(&'static self, _inside: Keys) -> Kind {
        let Self { min, max, bare, .. } = *self;
        Kind::List { of: Element::Value(&self.format), min, max, bare }
    }
}

impl Content for Map {
    fn kind(&'static self, inside: Keys) -> Kind {
        let keys = self.of.map_or(inside, Keys::of);
        self.shorthand.map_or(Kind::Map(keys), |key| Kind::Shorthand { key, keys })
    }
}

impl Content for MapList {
    fn kind(&'static self, _inside: Keys) -> Kind {
        let Self { of, min, max, bare } = *self;
        Kind::List { of: Element::Map(of), min, max, bare }
    }
}

impl Content for Named {
    fn kind(&'static self, _inside: Keys) -> Kind {
        Kind::Named { of: self.of, max: self.max }
    }
}

impl Content for SecretReference {
    fn kind(&'static self, _inside: Keys) -> Kind {
        Kind::Secret
    }
}

impl Content for RuleData {
    fn kind(&'static self, _inside: Keys) -> Kind {
        Kind::Data(Data::Rules)
    }
}

impl<C> Declared<C> {
    pub(crate) const fn new(
        path: &'static str,
        content: C,
        absent: Absent,
        doc: &'static str,
    ) -> Self {
        Self { path, content, absent, doc }
    }
}

/// A setting with its default.
pub(crate) const fn setting<F: Format>(
    path: &'static str,
    format: F,
    default: F::Value,
    doc: &'static str,
) -> Setting<F> {
    Declared { path, content: WithDefault { format, default }, absent: Absent::Default, doc }
}

/// A setting that may be absent, or is required.
pub(crate) const fn optional<F: Format>(
    path: &'static str,
    format: F,
    absent: Absent,
    doc: &'static str,
) -> Optional<F> {
    Declared { path, content: Single(format), absent, doc }
}

/// A section whose keys have defaults.
pub(crate) const fn section(path: &'static str, doc: &'static str) -> Section {
    Declared { path, content: Map::INSIDE, absent: Absent::Default, doc }
}

impl Map {
    pub(crate) const INSIDE: Self = Self { of: None, shorthand: None };

    pub(crate) const fn of(groups: Groups) -> Self {
        Self { of: Some(groups), shorthand: None }
    }

    pub(crate) const fn or_bare(self, key: &'static str) -> Self {
        Self { shorthand: Some(key), ..self }
    }
}

/// Declares the settings of one group, each as a static that the resolver reads by its name.
macro_rules! group {
    (
        $(#[$about:meta])* $group:ident:
        $($(#[$reason:meta])* $name:ident: $type:ty = $declared:expr;)*
    ) => {
        $($(#[$reason])* pub(crate) static $name: $type = $declared;)*
        $(#[$about])* pub(crate) static $group: $crate::config::keys::declare::Group =
            &[$(&$name),*];
    };
}
pub(super) use group;
