//! Which value is in force for each setting, and where it is written.

use std::fmt;

use super::tree::Position;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Written(Position),
    /// The dialect of this name promises it.
    Dialect(String),
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Written(position) => write!(f, "{position}"),
            Self::Dialect(name) => write!(f, "dialect {name}"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// One value in force.
#[derive(Clone, Debug)]
pub struct EffectiveValue {
    /// The path of its key, dotted: `upstreams.wordbee.timeouts.attempt`.
    pub key: String,
    /// The value as the file would write it; a secret only as a reference.
    pub value: String,
    pub origin: Origin,
}

/// All values in force, in the order in which they were read.
#[derive(Clone, Debug, Default)]
pub struct Provenance(Vec<EffectiveValue>);

impl Provenance {
    /// Where the value of a key comes from. A key of a route entry that is not written there
    /// (`upstreams.x.routes.0.wait.max`) comes from its upstream.
    #[must_use]
    pub fn origin_of(&self, key: &str) -> Option<&Origin> {
        self.effective(key).map(|effective| &effective.origin)
    }

    /// The value in force for a key, under the same rule.
    #[must_use]
    pub fn effective(&self, key: &str) -> Option<&EffectiveValue> {
        let exact = self.0.iter().find(|effective| effective.key == key);
        exact.or_else(|| {
            let (upstream, inside) = key.split_once(".routes.")?;
            let (_, setting) = inside.split_once('.')?;
            let outside = format!("{upstream}.{setting}");
            self.0.iter().find(|effective| effective.key == outside)
        })
    }

    #[must_use]
    pub fn all(&self) -> &[EffectiveValue] {
        &self.0
    }

    pub(super) fn record(&mut self, key: String, value: String, origin: Origin) {
        self.0.push(EffectiveValue { key, value, origin });
    }
}
