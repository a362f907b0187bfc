//! Idle connections that serve one client connection only, because they authenticated themselves
//! for it (see `authentication`).
//!
//! They are closed like others when they have been idle too long, and earlier when another call
//! waits for a connection.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use super::h1::Connection;
use super::request::RequestBody;

/// Each with the number of its client connection; the one used last is at the back.
type Entries<B> = VecDeque<(u64, Box<Connection<B>>)>;

pub(super) struct ReservedConnections<B: RequestBody> {
    entries: Mutex<Entries<B>>,
    /// Length of `entries`, readable without the lock: for most upstreams it is always zero.
    count: AtomicUsize,
}

impl<B: RequestBody> Default for ReservedConnections<B> {
    fn default() -> Self {
        Self { entries: Mutex::new(VecDeque::new()), count: AtomicUsize::new(0) }
    }
}

impl<B: RequestBody> ReservedConnections<B> {
    pub(super) fn len(&self) -> usize {
        self.count.load(Relaxed)
    }

    /// The one used last for `client`.
    pub(super) fn take(&self, client: u64) -> Option<Box<Connection<B>>> {
        if self.len() == 0 {
            return None;
        }
        self.update(|entries| {
            let place = entries.iter().rposition(|(owner, _)| *owner == client)?;
            entries.remove(place).map(|(_, connection)| connection)
        })
    }

    pub(super) fn keep(&self, client: u64, connection: Box<Connection<B>>) {
        self.update(|entries| entries.push_back((client, connection)));
    }

    pub(super) fn retain(&self, mut keep: impl FnMut(&mut Box<Connection<B>>) -> bool) {
        if self.len() > 0 {
            self.update(|entries| entries.retain_mut(|(_, connection)| keep(connection)));
        }
    }

    /// Closes the one used longest ago, if there is any.
    pub(super) fn close_oldest(&self) -> bool {
        self.len() > 0 && self.update(VecDeque::pop_front).is_some()
    }

    fn update<T>(&self, update: impl FnOnce(&mut Entries<B>) -> T) -> T {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let result = update(&mut entries);
        self.count.store(entries.len(), Relaxed);
        result
    }
}
