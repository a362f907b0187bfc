//! The queue of an account: its waiting calls in their lanes, and the shares of their clients.
//!
//! Calls that need the same set of scopes form one lane, so that only the head of each lane has to
//! be tried. When a call may go is decided by the account's state. To join, to leave and to be
//! granted a slot takes time that grows with the logarithm of the number of waiting calls.

use std::collections::{BTreeMap, BTreeSet};

use super::bottleneck::BottleneckKind;
use super::charge::Demand;
use super::lane::{Lane, Order, Place, Ticket, Turn};
use super::rank::CLASSES;
use super::shares::Shares;
use super::slot_request::{GrantedSlot, SlotRequest};
use crate::routing::client::Priority;
use crate::time::Moment;

/// Lanes of one account. Calls with further sets of scopes share the last one, where they cannot
/// overtake each other.
const LANES_MAX: usize = 64;

#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) request: SlotRequest,
    since: Moment,
    class: Priority,
    /// The scopes by which its lane is found.
    lane: u64,
    joined: Joined,
}

/// The state of its lane when a call joined it.
#[derive(Clone, Copy, Debug)]
struct Joined {
    class: Priority,
    waiting: u64,
    granted: [u64; 3],
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    waiters: BTreeMap<Ticket, Waiter>,
    lanes: Vec<Lane>,
    shares: Shares,
    /// When waiting calls count as more urgent.
    rises: BTreeSet<(Moment, Ticket)>,
    /// How many calls of each client wait.
    by_client: BTreeMap<u64, usize>,
    /// Calls that have left the queue with a slot, until their task collects it.
    granted: BTreeMap<Ticket, GrantedSlot>,
    /// Calls that have been dismissed, until their task notices, and what overtook them.
    dismissed: BTreeMap<Ticket, Option<BottleneckKind>>,
    tickets: u64,
    /// Turns that were taken, which orders equal ones.
    turns: u64,
}

/// What the calls cost that go before a call, by the scopes that they need.
pub(super) struct Ahead(Vec<(u64, Demand)>);

impl Ahead {
    pub(super) const fn new(calls: Vec<(u64, Demand)>) -> Self {
        Self(calls)
    }

    /// Those of them that need this scope.
    pub(super) fn of(&self, scope: usize) -> Demand {
        let calls = self.0.iter().filter(|(needs, _)| needs >> scope & 1 == 1);
        calls.map(|(_, demand)| *demand).sum()
    }
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.waiters.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// How many calls of this client wait.
    pub(super) fn len_of(&self, client: u64) -> usize {
        self.by_client.get(&client).copied().unwrap_or(0)
    }

    /// How many calls of each client wait.
    pub(super) fn by_client(&self) -> impl Iterator<Item = (u64, usize)> {
        self.by_client.iter().map(|(client, calls)| (*client, *calls))
    }

    /// How many calls of each class wait, the most urgent first.
    pub(super) fn by_class(&self) -> [usize; 3] {
        let from = CLASSES.map(|class| self.lanes.iter().map(|lane| lane.len_from(class)).sum());
        let [interactive, normal, batch]: [usize; 3] = from;
        [interactive, normal - interactive, batch - normal]
    }

    /// Whether a call of this or a more urgent class waits for any of these scopes.
    pub(super) fn waits_before(&self, class: Priority, scopes: u64) -> bool {
        self.lanes.iter().any(|lane| lane.needs & scopes != 0 && lane.len_from(class) > 0)
    }

    /// The call that has waited longest, and since when.
    pub(super) fn oldest(&self) -> Option<(Ticket, Moment)> {
        self.waiters.first_key_value().map(|(ticket, waiter)| (*ticket, waiter.since))
    }

    /// The waiting calls that need this scope, the heads of their lanes before others.
    pub(super) fn waiters_for(&self, scope: usize) -> impl Iterator<Item = (Ticket, &SlotRequest)> {
        let lanes = self.lanes.iter().filter(move |lane| lane.needs >> scope & 1 == 1);
        let mut lanes: Vec<_> = lanes.map(|lane| (lane.head(), lane)).collect();
        lanes.sort_unstable_by_key(|(head, _)| *head);
        let tickets = lanes.into_iter().flat_map(|(_, lane)| lane.tickets());
        let calls = tickets.map(|ticket| (ticket, &self.waiters[&ticket].request));
        calls.filter(move |(_, request)| request.scopes >> scope & 1 == 1)
    }

    /// All waiting calls in the order in which they would go if no other call came.
    pub(super) fn in_order(&self) -> Vec<(Ticket, SlotRequest)> {
        self.sorted(self.lanes.iter().flat_map(Lane::orders).collect())
    }

    /// The first call of each lane, in order.
    pub(super) fn lane_heads(&self) -> Vec<(Ticket, SlotRequest)> {
        self.sorted(self.lanes.iter().filter_map(Lane::head).collect())
    }

    fn sorted(&self, mut orders: Vec<Order>) -> Vec<(Ticket, SlotRequest)> {
        orders.sort_unstable();
        let request = |order: Order| (order.ticket(), self.waiters[&order.ticket()].request);
        orders.into_iter().map(request).collect()
    }

    /// How many calls would go before this one if it joined this class.
    pub(super) fn ahead(&self, request: &SlotRequest, class: Priority) -> Ahead {
        let of = request.of;
        let lanes = || self.lanes.iter().filter(|lane| lane.needs & request.scopes != 0);
        let own = lanes().map(|lane| lane.steps_of(of.client)).sum::<u128>();
        let turn = self.shares.next(of.client) + own;
        let ahead = |lane: &Lane| (lane.needs, lane.ahead(request, class, turn));
        Ahead(lanes().map(ahead).collect())
    }

    pub(super) fn join(&mut self, request: SlotRequest, now: Moment) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        *self.by_client.entry(request.of.client).or_default() += 1;
        let turn = self.shares.next(request.of.client);
        self.insert(ticket, (request, now), request.class(now), turn);
        ticket
    }

    pub(super) fn tickets(&self) -> Vec<Ticket> {
        self.waiters.keys().copied().collect()
    }

    pub(super) fn requests(&self) -> impl Iterator<Item = &SlotRequest> {
        self.waiters.values().map(|waiter| &waiter.request)
    }

    /// Changes the requests of all waiting calls; they keep their places.
    pub(super) fn change_requests(&mut self, change: impl Fn(&SlotRequest) -> SlotRequest) {
        let tickets = self.tickets();
        let turns: Vec<u128> =
            tickets.iter().map(|ticket| self.exit(*ticket).unwrap_or(0)).collect();
        self.lanes.clear();
        for (ticket, turn) in tickets.into_iter().zip(turns) {
            let Some(Waiter { request, since, class, .. }) = self.waiters.remove(&ticket) else {
                continue;
            };
            self.insert(ticket, (change(&request), since), class, turn);
        }
    }

    fn insert(
        &mut self,
        ticket: Ticket,
        (request, since): (SlotRequest, Moment),
        class: Priority,
        turn: u128,
    ) {
        let known = self.lanes.iter().position(|lane| lane.scopes == request.scopes);
        let lane = known.unwrap_or_else(|| {
            if self.lanes.len() < LANES_MAX {
                self.lanes.push(Lane::new(request.scopes));
            }
            self.lanes.len() - 1
        });
        let lane = &mut self.lanes[lane];
        lane.needs |= request.scopes;
        let joined = Joined { class, waiting: lane.len() as u64, granted: lane.granted };
        let waiter = Waiter { request, since, class, lane: lane.scopes, joined };
        self.waiters.insert(ticket, waiter);
        self.enter(ticket, class, turn);
    }

    /// Moves the calls that have waited long enough into the next class.
    pub(super) fn raise(&mut self, now: Moment) {
        while let Some((at, ticket)) = self.rises.first().copied() {
            if now < at {
                return;
            }
            let request = self.waiters[&ticket].request;
            let turn = self.exit(ticket).unwrap_or(0);
            let units = request.costs.largest();
            let turn = self.shares.made_up(request.of, units, turn);
            self.enter(ticket, request.class(now), turn);
        }
    }

    pub(super) fn leave(&mut self, ticket: Ticket) -> Option<Waiter> {
        self.exit(ticket);
        let waiter = self.waiters.remove(&ticket)?;
        self.lanes.retain(|lane| lane.len() > 0);
        let client = waiter.request.of.client;
        if let Some(calls) = self.by_client.get_mut(&client) {
            *calls -= 1;
            if *calls == 0 {
                self.by_client.remove(&client);
            }
        }
        if self.waiters.is_empty() {
            self.shares.forget();
        }
        Some(waiter)
    }

    pub(super) fn grant(&mut self, ticket: Ticket, mut slot: GrantedSlot) {
        slot.overtaken = self.overtaken(ticket);
        let Some(waiter) = self.waiters.get(&ticket) else { return };
        let (of, class, scopes) = (waiter.request.of, waiter.class, waiter.lane);
        let units = waiter.request.costs.largest();
        let turn = self.exit(ticket);
        // Retries and probes overtake the calls of their own client too.
        let in_turn = turn.is_some() && slot.probes == 0;
        self.turns += 1;
        let next = Turn { at: self.shares.charge(of, units, turn), number: self.turns };
        for lane in &mut self.lanes {
            lane.postpone(of.client, next);
            lane.granted[class as usize] += u64::from(lane.scopes == scopes && in_turn);
        }
        self.leave(ticket);
        self.granted.insert(ticket, slot);
    }

    pub(super) fn dismiss(&mut self, ticket: Ticket) -> Option<Waiter> {
        let overtaken = self.overtaken(ticket);
        let waiter = self.leave(ticket)?;
        self.dismissed.insert(ticket, overtaken);
        Some(waiter)
    }

    /// The slot that the call has been granted meanwhile.
    pub(super) fn collect_grant(&mut self, ticket: Ticket) -> Option<GrantedSlot> {
        self.granted.remove(&ticket)
    }

    /// Whether the call has been dismissed meanwhile, and what overtook it before.
    pub(super) fn collect_dismissal(&mut self, ticket: Ticket) -> Option<Option<BottleneckKind>> {
        self.dismissed.remove(&ticket)
    }

    /// What let calls overtake this one that came later, if it would have had a slot without them:
    /// calls of more urgent classes, or else the shares of other clients.
    pub(super) fn overtaken(&self, ticket: Ticket) -> Option<BottleneckKind> {
        let waiter = self.waiters.get(&ticket)?;
        let lane = self.lanes.iter().find(|lane| lane.scopes == waiter.lane)?;
        let since = lane.granted.iter().zip(waiter.joined.granted).map(|(now, then)| now - then);
        let granted: Vec<u64> = since.collect();
        if granted.iter().sum::<u64>() <= waiter.joined.waiting {
            return None;
        }
        let urgent = granted[..waiter.joined.class as usize].iter().any(|granted| *granted > 0);
        Some(if urgent { BottleneckKind::Priority } else { BottleneckKind::Share })
    }

    /// Puts a waiting call into its lane. Its client's flow there has this turn if it is new.
    fn enter(&mut self, ticket: Ticket, class: Priority, turn: u128) {
        let Some(waiter) = self.waiters.get_mut(&ticket) else { return };
        waiter.class = class;
        self.turns += 1;
        let Some(lane) = self.lanes.iter_mut().find(|lane| lane.scopes == waiter.lane) else {
            return;
        };
        let place = Place { arrival: waiter.request.arrival, ticket };
        lane.insert(class, &waiter.request, place, Turn { at: turn, number: self.turns });
        if let Some(at) = waiter.request.rises_from(class) {
            self.rises.insert((at, ticket));
        }
    }

    /// Takes a waiting call out of its lane. Returns the turn of its client, if it is no retry.
    fn exit(&mut self, ticket: Ticket) -> Option<u128> {
        let waiter = self.waiters.get(&ticket)?;
        if let Some(at) = waiter.request.rises_from(waiter.class) {
            self.rises.remove(&(at, ticket));
        }
        let place = Place { arrival: waiter.request.arrival, ticket };
        let lane = self.lanes.iter_mut().find(|lane| lane.scopes == waiter.lane)?;
        lane.remove(waiter.class, &waiter.request, place)
    }
}
