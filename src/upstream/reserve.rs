//! Unused connections that serve one client's connection only, because they authenticated
//! themselves for it.
//!
//! They are closed like others when they have been unused too long, or when another call waits
//! for room.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::RequestBody;
use super::h1::Connection;

pub(super) struct Reserve<B: RequestBody> {
    connections: Mutex<VecDeque<(u64, Box<Connection<B>>)>>,
    /// How many, for those who pass by.
    count: AtomicUsize,
}

impl<B: RequestBody> Default for Reserve<B> {
    fn default() -> Self {
        Self { connections: Mutex::new(VecDeque::new()), count: AtomicUsize::new(0) }
    }
}

impl<B: RequestBody> Reserve<B> {
    pub(super) fn len(&self) -> usize {
        self.count.load(Relaxed)
    }

    /// The one used last for `client`.
    pub(super) fn take(&self, client: u64) -> Option<Box<Connection<B>>> {
        if self.len() == 0 {
            return None;
        }
        self.change(|all| {
            let place = all.iter().rposition(|(owner, _)| *owner == client)?;
            all.remove(place).map(|(_, connection)| connection)
        })
    }

    pub(super) fn keep(&self, client: u64, connection: Box<Connection<B>>) {
        self.change(|all| all.push_back((client, connection)));
    }

    pub(super) fn retain(&self, mut rests: impl FnMut(&mut Box<Connection<B>>) -> bool) {
        if self.len() > 0 {
            self.change(|all| all.retain_mut(|(_, connection)| rests(connection)));
        }
    }

    /// Whether there was one.
    pub(super) fn close_oldest(&self) -> bool {
        self.len() > 0 && self.change(VecDeque::pop_front).is_some()
    }

    fn change<T>(&self, change: impl FnOnce(&mut VecDeque<(u64, Box<Connection<B>>)>) -> T) -> T {
        let mut connections = self.connections();
        let outcome = change(&mut connections);
        self.count.store(connections.len(), Relaxed);
        outcome
    }

    fn connections(&self) -> MutexGuard<'_, VecDeque<(u64, Box<Connection<B>>)>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
