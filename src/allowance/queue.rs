//! The queue of an account: the order of waiting calls, and their lanes.
//!
//! Calls that need the same set of scopes form one lane, so that only the head of each lane has to
//! be tried. When a call may go is decided by the account's state.

use std::collections::{BTreeMap, BTreeSet};

use super::rank::Rank;
use super::slot_request::{GrantedSlot, SlotRequest};
use crate::time::Moment;

/// Lanes of one account. Calls with further sets of scopes share the last one, where they cannot
/// overtake each other.
const LANES_MAX: usize = 64;

/// A place in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket {
    rank: Rank,
    number: u64,
}

#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) request: SlotRequest,
    since: Moment,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    waiters: BTreeMap<Ticket, Waiter>,
    lanes: Vec<Lane>,
    /// Calls that have left the queue with a slot, until their task collects it.
    granted: BTreeMap<Ticket, GrantedSlot>,
    /// Calls that have been dismissed, until their task notices.
    dismissed: BTreeSet<Ticket>,
    tickets: u64,
}

#[derive(Debug)]
struct Lane {
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

    pub(super) fn first(&self) -> Option<Ticket> {
        self.waiters.first_key_value().map(|(ticket, _)| *ticket)
    }

    /// Since when the call has waited that has waited longest.
    pub(super) fn oldest(&self) -> Option<Moment> {
        self.waiters.values().map(|waiter| waiter.since).min()
    }

    /// All waiting calls, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Ticket, &SlotRequest)> {
        self.waiters.iter().map(|(ticket, waiter)| (*ticket, &waiter.request))
    }

    /// The first call of each lane, in order.
    pub(super) fn lane_heads(&self) -> Vec<(Ticket, SlotRequest)> {
        let mut heads: Vec<_> =
            self.lanes.iter().filter_map(|lane| lane.tickets.first().copied()).collect();
        heads.sort_unstable();
        heads.into_iter().map(|ticket| (ticket, self.waiters[&ticket].request)).collect()
    }

    pub(super) fn join(&mut self, request: SlotRequest, since: Moment) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket { rank: request.rank, number: self.tickets };
        self.insert(ticket, Waiter { request, since });
        ticket
    }

    /// Changes the requests of all waiting calls; they keep their places.
    pub(super) fn change_requests(&mut self, change: impl Fn(&SlotRequest) -> SlotRequest) {
        self.lanes.clear();
        for (ticket, waiter) in std::mem::take(&mut self.waiters) {
            let request = change(&waiter.request);
            self.insert(ticket, Waiter { request, ..waiter });
        }
    }

    fn insert(&mut self, ticket: Ticket, waiter: Waiter) {
        let scopes = waiter.request.scopes;
        let known = self.lanes.iter().position(|lane| lane.scopes == scopes);
        let place = known.unwrap_or_else(|| {
            if self.lanes.len() < LANES_MAX {
                self.lanes.push(Lane { scopes, tickets: BTreeSet::new() });
            }
            self.lanes.len() - 1
        });
        self.lanes[place].tickets.insert(ticket);
        self.waiters.insert(ticket, waiter);
    }

    pub(super) fn leave(&mut self, ticket: Ticket) -> Option<Waiter> {
        let waiter = self.waiters.remove(&ticket)?;
        for lane in &mut self.lanes {
            lane.tickets.remove(&ticket);
        }
        self.lanes.retain(|lane| !lane.tickets.is_empty());
        Some(waiter)
    }

    pub(super) fn grant(&mut self, ticket: Ticket, slot: GrantedSlot) {
        if self.leave(ticket).is_some() {
            self.granted.insert(ticket, slot);
        }
    }

    pub(super) fn dismiss(&mut self, ticket: Ticket) -> Option<Waiter> {
        let waiter = self.leave(ticket)?;
        self.dismissed.insert(ticket);
        Some(waiter)
    }

    /// The slot that the call has been granted meanwhile.
    pub(super) fn collect_grant(&mut self, ticket: Ticket) -> Option<GrantedSlot> {
        self.granted.remove(&ticket)
    }

    /// Whether the call has been dismissed meanwhile.
    pub(super) fn collect_dismissal(&mut self, ticket: Ticket) -> bool {
        self.dismissed.remove(&ticket)
    }
}
