//! The environment, read once and passed as a value, so that tests need no process of their own.

use std::collections::BTreeMap;
use std::ffi::OsString;

/// The prefix of variables that set keys: `EVENKEEL__LISTEN__ADDRESS`.
const PREFIX: &str = "EVENKEEL__";

/// The prefix of defaults that are weaker than every file; images set them.
const DEFAULT_PREFIX: &str = "EVENKEEL_DEFAULT__";

#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, OsString>);

impl Environment {
    #[must_use]
    pub fn of_process() -> Self {
        let named = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value));
        Self(std::env::vars_os().filter_map(named).collect())
    }

    #[must_use]
    pub fn of<'v>(variables: impl IntoIterator<Item = (&'v str, &'v str)>) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// The value of a variable that is set and not empty.
    pub fn value(&self, name: &str) -> Option<&OsString> {
        self.0.get(name).filter(|value| !value.is_empty())
    }

    pub(super) fn settings(&self) -> impl Iterator<Item = Variable<'_>> {
        self.prefixed(PREFIX)
    }

    pub(super) fn defaults(&self) -> impl Iterator<Item = Variable<'_>> {
        self.prefixed(DEFAULT_PREFIX)
    }

    fn prefixed(&self, prefix: &'static str) -> impl Iterator<Item = Variable<'_>> {
        self.0.iter().filter_map(move |(name, value)| {
            let path = name.strip_prefix(prefix)?;
            let path = path.split("__").map(str::to_ascii_lowercase).collect();
            Some((name.as_str(), path, value))
        })
    }
}

/// The name of a variable, the path of its key, and its value.
type Variable<'e> = (&'e str, Vec<String>, &'e OsString);

impl std::fmt::Debug for Environment {
    /// Names only: values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
