//! The route table: finds the upstream of a request by host and path prefix.
//!
//! Matching never changes a byte of the target.

use super::authority;

pub use super::path::{CallPath, Matcher, PathReading, Pattern, PatternError};

/// A request extension: the target was in absolute form (`GET http://host/path`), which is served
/// only when this gateway serves that host.
#[derive(Clone, Copy, Debug)]
pub struct AbsoluteForm;

/// The route table, sorted by specificity.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    entries: Vec<Entry>,
    /// Whether any entry has a host. Most tables have none, and then the host need not be read.
    by_host: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// In lower case and without a port; `None` matches any host.
    pub host: Option<Box<str>>,
    /// Whole path segments, such as `/wordbee`, which are removed; empty for `/`.
    pub prefix: Box<str>,
    /// Index of the upstream.
    pub upstream: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Index of the upstream.
    pub upstream: usize,
    /// Length of the path prefix that is removed.
    pub prefix_bytes: usize,
}

impl Routes {
    #[must_use]
    pub fn new(mut entries: Vec<Entry>) -> Self {
        let rank = |entry: &Entry| (entry.host.is_none(), std::cmp::Reverse(entry.prefix.len()));
        entries.sort_by_key(rank);
        let by_host = entries.iter().any(|entry| entry.host.is_some());
        Self { entries, by_host }
    }

    /// Most specific first.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Whether any route has a host; otherwise the host need not be read.
    #[must_use]
    pub const fn by_host(&self) -> bool {
        self.by_host
    }

    /// `host` is as the client wrote it, with or without a port.
    #[must_use]
    pub fn find(&self, host: Option<&str>, path: &str) -> Option<Route> {
        let host = host.map(authority::host);
        let lies_under = |prefix: &str| {
            path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let matches = |entry: &&Entry| entry.matches_host(host) && lies_under(&entry.prefix);
        let entry = self.entries.iter().find(matches)?;
        Some(Route { upstream: entry.upstream, prefix_bytes: entry.prefix.len() })
    }

    /// Whether some route matches this host, whatever the path.
    #[must_use]
    pub fn serves_host(&self, host: Option<&str>) -> bool {
        let host = host.map(authority::host);
        self.entries.iter().any(|entry| entry.matches_host(host))
    }

    /// Whether a route to this upstream names this host.
    #[must_use]
    pub fn names_host(&self, host: &str, upstream: usize) -> bool {
        let named =
            |entry: &&Entry| entry.host.as_deref().is_some_and(|it| authority::same_host(it, host));
        self.entries.iter().filter(named).any(|entry| entry.upstream == upstream)
    }
}

impl Entry {
    fn matches_host(&self, host: Option<&str>) -> bool {
        self.host
            .as_deref()
            .is_none_or(|wanted| host.is_some_and(|host| host.eq_ignore_ascii_case(wanted)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Routes {
        let entry = |host: Option<&str>, prefix: &str, upstream| Entry {
            host: host.map(Into::into),
            prefix: prefix.into(),
            upstream,
        };
        Routes::new(vec![
            entry(None, "/a", 0),
            entry(None, "/a/b", 1),
            entry(Some("api.local"), "", 2),
        ])
    }

    #[test]
    fn the_most_specific_route_wins_on_whole_segments() {
        let rows = [
            (None, "/a", Some((0, 2))),
            (None, "/a/x", Some((0, 2))),
            (None, "/ab", None),
            (None, "/a/b/c", Some((1, 4))),
            (Some("API.local:8080"), "/a/b", Some((2, 0))),
            (Some("api.local."), "/a/b", Some((2, 0))),
            (Some("api.local.:80"), "/x", Some((2, 0))),
            (Some("[::1]:80"), "/a", Some((0, 2))),
            (None, "/", None),
        ];
        for (host, path, expected) in rows {
            let found = table().find(host, path).map(|route| (route.upstream, route.prefix_bytes));
            assert_eq!(found, expected, "{host:?} {path}");
        }
    }
}
