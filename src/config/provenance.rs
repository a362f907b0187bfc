//! Which value is in force for each key, and which line says so.

use std::fmt;

use super::tree::Position;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was written here.
    Written(Position),
    /// The dialect of this name says so.
    Dialect(String),
    /// Nobody said anything.
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
pub struct Known {
    /// The path of its key, dotted: `upstreams.wordbee.timeouts.attempt`.
    pub key: String,
    /// The value as the file would write it; a secret only as a reference.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
}

/// All values in force, in the order in which they were asked for.
#[derive(Clone, Debug, Default)]
pub struct Provenance(Vec<Known>);

impl Provenance {
    /// Where the value of a key comes from. A key of a route entry that is not written there
    /// (`upstreams.x.routes.0.wait.max`) comes from its upstream.
    #[must_use]
    pub fn origin_of(&self, key: &str) -> Option<&Origin> {
        self.known(key).map(|known| &known.origin)
    }

    /// The value in force for a key, under the same rule.
    #[must_use]
    pub fn known(&self, key: &str) -> Option<&Known> {
        let exact = self.0.iter().find(|known| known.key == key);
        exact.or_else(|| self.0.iter().find(|known| Some(&known.key) == outside(key).as_ref()))
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Known] {
        &self.0
    }

    pub(super) fn record(&mut self, key: String, value: String, origin: Origin) {
        self.0.push(Known { key, value, origin });
    }
}

/// The key of the upstream that a route entry's key falls back to.
fn outside(key: &str) -> Option<String> {
    let (upstream, inside) = key.split_once(".routes.")?;
    let (_, setting) = inside.split_once('.')?;
    Some(format!("{upstream}.{setting}"))
}
