//! The order of an account's waiting room: who stands before whom, and in which lines.
//!
//! Calls that need the same set of scopes form one line. Refuses to know when anybody may go: the
//! state asks line by line.

use std::collections::{BTreeMap, BTreeSet};

use crate::allowance::shares::Rank;
use crate::time::Moment;

use super::slot_request::{Granted, SlotRequest};

/// Lines of one account; further sets of scopes share the last one, which only costs them
/// overtaking.
const LINES_MAX: usize = 64;

/// A place in the waiting room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket {
    rank: Rank,
    number: u64,
}

/// One call that waits.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) want: SlotRequest,
    pub(super) since: Moment,
    pub(super) waker: Option<std::task::Waker>,
}

/// The waiting room.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiters: BTreeMap<Ticket, Waiter>,
    lines: Vec<Line>,
    /// Those who left the line with a slot, until they wake up.
    granted: BTreeMap<Ticket, Granted>,
    /// Those who were sent away, until they wake up.
    dismissed: BTreeSet<Ticket>,
    numbers: u64,
}

#[derive(Debug)]
struct Line {
    scopes: u64,
    tickets: BTreeSet<Ticket>,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.waiters.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// Who is to go first, whatever it needs.
    pub(super) fn first(&self) -> Option<Ticket> {
        self.waiters.first_key_value().map(|(ticket, _)| *ticket)
    }

    pub(super) fn oldest(&self) -> Option<Moment> {
        self.waiters.values().map(|waiter| waiter.since).min()
    }

    pub(super) fn waiter(&mut self, ticket: Ticket) -> Option<&mut Waiter> {
        self.waiters.get_mut(&ticket)
    }

    /// Everybody, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Ticket, &Waiter)> {
        self.waiters.iter().map(|(ticket, waiter)| (*ticket, waiter))
    }

    /// The heads of all lines, in order.
    pub(super) fn heads(&self) -> Vec<Ticket> {
        let mut heads: Vec<_> =
            self.lines.iter().filter_map(|line| line.tickets.first().copied()).collect();
        heads.sort_unstable();
        heads
    }

    pub(super) fn join(&mut self, want: SlotRequest, since: Moment) -> Ticket {
        self.numbers += 1;
        let ticket = Ticket { rank: want.rank, number: self.numbers };
        self.line_for(want.scopes).tickets.insert(ticket);
        self.waiters.insert(ticket, Waiter { want, since, waker: None });
        ticket
    }

    /// Takes a call out of its line.
    pub(super) fn leave(&mut self, ticket: Ticket) -> Option<Waiter> {
        let waiter = self.waiters.remove(&ticket)?;
        for line in &mut self.lines {
            line.tickets.remove(&ticket);
        }
        self.lines.retain(|line| !line.tickets.is_empty());
        Some(waiter)
    }

    pub(super) fn grant(&mut self, ticket: Ticket, granted: Granted) -> Option<Waiter> {
        let waiter = self.leave(ticket)?;
        self.granted.insert(ticket, granted);
        Some(waiter)
    }

    pub(super) fn dismiss(&mut self, ticket: Ticket) -> Option<Waiter> {
        let waiter = self.leave(ticket)?;
        self.dismissed.insert(ticket);
        Some(waiter)
    }

    /// The slot that was granted to this ticket meanwhile.
    pub(super) fn collect(&mut self, ticket: Ticket) -> Option<Granted> {
        self.granted.remove(&ticket)
    }

    /// Whether it was sent away meanwhile.
    pub(super) fn collect_dismissal(&mut self, ticket: Ticket) -> bool {
        self.dismissed.remove(&ticket)
    }

    fn line_for(&mut self, scopes: u64) -> &mut Line {
        let found = self.lines.iter().position(|line| line.scopes == scopes);
        let place = found.unwrap_or_else(|| {
            if self.lines.len() < LINES_MAX {
                self.lines.push(Line { scopes, tickets: BTreeSet::new() });
            }
            self.lines.len() - 1
        });
        &mut self.lines[place]
    }
}
