//! The limit of open files: raised as far as the system allows, and compared with the settings.

use std::fmt;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Settings;

/// Open files that are neither a client's connection nor one to an upstream: listeners, the log,
/// name look-ups, the admin listener's connections.
const OWN_FILES: usize = 64;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooFewFiles {
    limit: u64,
    clients: usize,
    upstreams: usize,
}

/// The limit that [`raise`] would reach, or `None` if there is none.
pub(super) fn allowed() -> Option<u64> {
    getrlimit(Resource::Nofile).maximum
}

/// Raises the soft limit to the hard one. Returns the limit in force, or `None` if there is none.
pub(super) fn raise() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return current;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        // Some systems have a bound of their own below the hard limit.
        Err(_) => current,
    }
}

/// Checks whether the settings allow more connections than `limit` open files.
pub(super) fn too_few(limit: Option<u64>, settings: &Settings) -> Option<TooFewFiles> {
    let clients = settings.server.connections_max;
    let upstreams = settings.upstreams.iter().map(|upstream| upstream.connections_max);
    let upstreams = upstreams.fold(0, usize::saturating_add);
    let limit = limit?;
    let needed = clients.saturating_add(upstreams).saturating_add(OWN_FILES);
    (limit < needed as u64).then_some(TooFewFiles { limit, clients, upstreams })
}

impl fmt::Display for TooFewFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, clients, upstreams } = self;
        write!(
            f,
            "the system allows {limit} open files, fewer than the settings may need: \
             `listen.connections.max` {clients}, `connections.max` of all upstreams {upstreams}, \
             and {OWN_FILES} others; raise the limit (`ulimit -Hn`, LimitNOFILE= of systemd, \
             --ulimit nofile= of a container) or lower the settings"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::explain::fixture;

    #[test]
    fn every_connection_counts_as_an_open_file() {
        let compare = |limit, clients, upstreams| {
            let mut settings = fixture::settings();
            settings.server.connections_max = clients;
            settings.upstreams[0].connections_max = upstreams;
            too_few(limit, &settings)
        };
        assert_eq!(compare(None, usize::MAX, usize::MAX), None);
        assert_eq!(compare(Some(1_064), 800, 200), None);
        let short = compare(Some(1_063), 800, 200).unwrap();
        assert_eq!(short, TooFewFiles { limit: 1_063, clients: 800, upstreams: 200 });
        let text = short.to_string();
        assert!(text.contains("1063") && text.contains("LimitNOFILE"), "{text}");
        assert!(compare(Some(1_000), usize::MAX, usize::MAX).is_some());
    }

    #[test]
    fn the_soft_limit_is_raised_to_the_hard_one() {
        let raised = raise();
        let now = getrlimit(Resource::Nofile);
        assert_eq!(now.current, raised);
        assert!(now.maximum.is_none() || raised <= now.maximum);
    }
}
