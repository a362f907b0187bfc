//! The state of one account: its scopes, its queue, and every step they can take.
//!
//! A pure state machine but for the wakers it keeps; time and chance are arguments. Everything is
//! all or nothing: a call gets a slot of every scope it needs, or none.

use std::task::Waker;
use std::time::Duration;

use crate::allowance::hold::Hold;
use crate::routing::client::Priority;
use crate::time::Moment;

use super::queue::{Queue, Ticket};
use super::scope::{Role, Scope};
use super::settings::SCOPES_MAX;
use super::slot_request::{Fitness, Granted, Refusal, RefusalReason, SlotRequest};
use super::view::{Binding, ScopeView};

/// Bits of a hold's number that count the holds of one account; the account's own number stands
/// above them. At a hold a second they last for twelve days of nothing else, and where numbers
/// meet all the same, a release by hand opens another account's hold: no promise rests on them.
const HOLD_BITS: u32 = 20;

/// Shares of what is left are compared in millionths: whole numbers, and finer than one slot of
/// any allowance that is kept exactly.
const WHOLE_SHARE: u64 = 1_000_000;

/// Why there is no slot now.
#[derive(Clone, Copy, Debug)]
struct Blocked {
    /// The scopes that refused.
    awaited: u64,
    /// When they may not refuse any more; `NEVER` when that takes an event.
    next: Moment,
}

/// The state of one account.
#[derive(Debug)]
pub(super) struct State {
    pub(super) scopes: Vec<Scope>,
    queue: Queue,
    queue_max: usize,
    /// The number of the latest hold; numbers of different accounts never meet.
    pub(super) holds: u64,
    /// How many orders closed anything; each has a number of its own.
    pub(super) orders: u64,
    /// How many grants there were.
    grants: u64,
    /// The ramps of upstreams whose hold ended too early by their own word, until the unpaid
    /// retries that wait there have been sent away.
    pub(super) failed_words: u64,
    /// Who keeps the account's timer, and for when it is set.
    timekeeper: Option<(Ticket, Moment)>,
}

/// What entering the waiting room led to.
#[derive(Debug)]
pub(super) enum Entry {
    Granted(Granted),
    Queued(Ticket),
    Refused(Refusal),
}

impl State {
    pub(super) fn new(scopes: Vec<Scope>, queue_max: usize, number: u32) -> Self {
        debug_assert!(scopes.len() <= SCOPES_MAX, "configuration bounds the scopes of an account");
        let holds = u64::from(number) << HOLD_BITS;
        Self {
            scopes,
            queue: Queue::default(),
            queue_max,
            holds,
            orders: 0,
            grants: 0,
            failed_words: 0,
            timekeeper: None,
        }
    }

    /// A slot at once, a place in the queue, or a refusal.
    pub(super) fn enter(&mut self, want: SlotRequest, now: Moment) -> Entry {
        let clear = self.queue.is_empty() || self.ahead_of(&want) == 0;
        if clear && let Ok(granted) = self.try_take(&want, now) {
            return Entry::Granted(granted);
        }
        let start = self.estimate(&want, now);
        if want.deadline < start {
            return Entry::Refused(self.refusal(&want, start, now));
        }
        if self.queue_max <= self.queue.len() {
            let retry_after = now.until(start).max(Duration::from_secs(1));
            return Entry::Refused(Refusal { reason: RefusalReason::QueueFull, retry_after });
        }
        self.count_waiting(&want, Step::In);
        Entry::Queued(self.queue.join(want, now))
    }

    /// Lets everybody go who may, in order; returns the wakers of those who got a slot.
    pub(super) fn dispatch(&mut self, now: Moment) -> Vec<Waker> {
        let mut wakers = Vec::new();
        let mut next = Moment::NEVER;
        while !self.queue.is_empty() {
            self.appoint_probes(now, &mut wakers);
            let (granted, soonest) = self.dispatch_one(now, &mut wakers);
            next = soonest;
            if !granted {
                break;
            }
        }
        self.keep_time(next, &mut wakers);
        wakers
    }

    /// Who keeps the timer, and until when it has to be set.
    pub(super) fn alarm(&self, ticket: Ticket) -> Option<Moment> {
        self.timekeeper.filter(|(keeper, _)| *keeper == ticket).map(|(_, at)| at)
    }

    pub(super) fn queue(&mut self) -> &mut Queue {
        &mut self.queue
    }

    /// A call gives up waiting; the reason it would be given.
    pub(super) fn give_up(&mut self, ticket: Ticket, now: Moment) -> Option<Refusal> {
        let waiter = self.queue.leave(ticket)?;
        self.count_waiting(&waiter.want, Step::Out);
        self.forget_timekeeper(ticket);
        let start = self.estimate(&waiter.want, now);
        Some(self.refusal(&waiter.want, start, now))
    }

    /// Why a call that was sent away was.
    pub(super) fn dismissal(&mut self, want: &SlotRequest, now: Moment) -> Refusal {
        let start = self.estimate(want, now);
        self.refusal(want, start, now)
    }

    pub(super) fn longest_hold(&self, scopes: u64) -> Option<Hold> {
        let holds = members(scopes).filter_map(|number| self.scopes[number].hold.as_ref());
        holds.max_by_key(|hold| hold.until).copied()
    }

    /// Sends away everybody who cannot start within patience any more, and the unpaid retries of an
    /// upstream whose word has failed.
    pub(super) fn dismiss_hopeless(&mut self, now: Moment) -> Vec<Waker> {
        let mut ahead = [0_u32; SCOPES_MAX];
        let mut hopeless = Vec::new();
        let failed = std::mem::take(&mut self.failed_words);
        let Self { queue, scopes, .. } = self;
        for (ticket, waiter) in queue.iter() {
            let mut start = now;
            for scope in members(waiter.want.scopes) {
                ahead[scope] += 1;
                start = start.max(scopes[scope].estimate(now, ahead[scope]));
            }
            if waiter.want.deadline < start || waiter.want.scopes & failed != 0 {
                hopeless.push(ticket);
                members(waiter.want.scopes).for_each(|scope| ahead[scope] -= 1);
            }
        }
        hopeless.into_iter().filter_map(|ticket| self.dismiss(ticket)).collect()
    }

    /// Opens the scope that a hold of this number closes, and those that the same answer closed.
    pub(super) fn release_hold(&mut self, id: u64, now: Moment) -> bool {
        let held = |scope: &&Scope| scope.hold.is_some_and(|hold| hold.id == id);
        let Some(order) = self.scopes.iter().find(held).map(|scope| scope.order) else {
            return false;
        };
        let closed = |scope: &&mut Scope| scope.order == order && scope.hold.is_some();
        self.scopes.iter_mut().filter(closed).for_each(|scope| scope.reopen(now));
        true
    }

    /// Takes over what the calls of this account may have spent while they shared that one.
    pub(super) fn inherit(&mut self, from: &Self, now: Moment) {
        for (own, other) in self.scopes.iter_mut().zip(&from.scopes) {
            own.inherit(other, now);
            own.order = other.order;
            if let Some(hold) = &mut own.hold {
                self.holds += 1;
                hold.id = self.holds;
            }
        }
        self.orders = from.orders;
    }

    pub(super) fn is_idle(&mut self, now: Moment) -> bool {
        self.queue.is_empty() && self.scopes.iter_mut().all(|scope| scope.is_idle(now))
    }

    pub(super) fn views(&mut self, now: Moment) -> Vec<ScopeView> {
        self.scopes.iter_mut().filter_map(|scope| scope.view(now)).collect()
    }

    /// The allowance with the smallest share left, of those the call needs.
    pub(super) fn binding(&mut self, want: &SlotRequest, now: Moment) -> Option<Binding> {
        let scopes = &mut self.scopes;
        let bindings = members(want.scopes).filter_map(|number| scopes[number].binding(now));
        bindings.min_by_key(|it| u64::from(it.remaining) * WHOLE_SHARE / u64::from(it.limit.max(1)))
    }

    /// Takes a slot of everything wanted, or of nothing.
    fn try_take(&mut self, want: &SlotRequest, now: Moment) -> Result<Granted, Blocked> {
        let probes = self.ledgers_allow(want, now)?;
        let would_wait = self.paces_allow(want, now)?;
        self.grants += 1;
        let number = self.grants;
        for scope in members(want.scopes) {
            self.scopes[scope].occupy(number, now);
        }
        for scope in members(probes) {
            self.scopes[scope].probe_sent();
        }
        Ok(Granted { want: *want, probes, number, would_wait: would_wait == Observed::Would })
    }

    /// Holds and ledgers first: they only look. The probes it would have to be.
    fn ledgers_allow(&mut self, want: &SlotRequest, now: Moment) -> Result<u64, Blocked> {
        let mut blocked = Blocked { awaited: 0, next: now };
        let mut probes = 0;
        for number in members(want.scopes) {
            let scope = &mut self.scopes[number];
            let passage = scope.passage(now);
            let room = if scope.observes() { Ok(()) } else { scope.room(now) };
            if let (Ok(role), Ok(())) = (passage, room) {
                probes |= u64::from(role == Role::Probe) << number;
                continue;
            }
            blocked.awaited |= 1 << number;
            for refused in [passage.err(), room.err()].into_iter().flatten() {
                blocked.next = blocked.next.max(refused);
            }
        }
        if blocked.awaited == 0 { Ok(probes) } else { Err(blocked) }
    }

    /// Then the paces; a refusal gives back the turns already taken.
    fn paces_allow(&mut self, want: &SlotRequest, now: Moment) -> Result<Observed, Blocked> {
        let mut taken = 0_u64;
        let mut observed = Observed::WouldNot;
        for number in members(want.scopes) {
            let scope = &mut self.scopes[number];
            if scope.observes() {
                if scope.room(now).is_err() || scope.take_turn(now).is_err() {
                    observed = Observed::Would;
                } else {
                    taken |= 1 << number;
                }
                continue;
            }
            if let Err(next) = scope.take_turn(now) {
                members(taken).for_each(|number| self.scopes[number].give_turn_back());
                return Err(Blocked { awaited: 1 << number, next });
            }
            taken |= 1 << number;
        }
        Ok(observed)
    }

    /// The first head that may go goes; else when one may.
    ///
    /// What a higher rank awaits is closed to lower ranks; calls that do not need it pass.
    fn dispatch_one(&mut self, now: Moment, wakers: &mut Vec<Waker>) -> (bool, Moment) {
        let (mut closed, mut next) = (0, Moment::NEVER);
        for ticket in self.queue.heads() {
            let Some(want) = self.queue.waiter(ticket).map(|waiter| waiter.want) else { continue };
            if want.scopes & closed != 0 {
                closed |= want.scopes & self.contended();
                continue;
            }
            match self.try_take(&want, now) {
                Ok(granted) => {
                    wakers.extend(self.release_waiter(ticket, granted));
                    return (true, next);
                }
                Err(blocked) => {
                    closed |= blocked.awaited;
                    next = next.min(blocked.next);
                }
            }
        }
        (false, next)
    }

    /// Where a hold has ended, the first waiting call that can be sent again becomes the probe,
    /// else the first; after an outage a call to another path than the worst one goes before.
    fn appoint_probes(&mut self, now: Moment, wakers: &mut Vec<Waker>) {
        for scope in 0..self.scopes.len() {
            if self.scopes[scope].passage(now) != Ok(Role::Probe) {
                continue;
            }
            let candidates = self.queue.iter().map(|(ticket, waiter)| (ticket, waiter.want));
            let needing = candidates.filter(|(_, want)| want.scopes >> scope & 1 == 1);
            // The first of those that suit best: `min_by_key` keeps the first of equals.
            let unfit = |(_, want): &(Ticket, SlotRequest)| {
                (self.scopes[scope].avoids(want.path), want.fit != Fitness::Replayable)
            };
            let Some((ticket, want)) = needing.min_by_key(unfit) else { continue };
            if let Ok(granted) = self.try_take(&want, now) {
                wakers.extend(self.release_waiter(ticket, granted));
            }
        }
    }

    fn release_waiter(&mut self, ticket: Ticket, granted: Granted) -> Option<Waker> {
        self.count_waiting(&granted.want, Step::Out);
        self.forget_timekeeper(ticket);
        self.queue.grant(ticket, granted)?.waker
    }

    fn dismiss(&mut self, ticket: Ticket) -> Option<Waker> {
        let waiter = self.queue.dismiss(ticket)?;
        self.count_waiting(&waiter.want, Step::Out);
        self.forget_timekeeper(ticket);
        waiter.waker
    }

    /// One timer for the account, kept by whoever stands first; woken when it has to be reset.
    fn keep_time(&mut self, next: Moment, wakers: &mut Vec<Waker>) {
        let Some(first) = self.queue.first() else {
            self.timekeeper = None;
            return;
        };
        let keeper = self.timekeeper.map_or(first, |(keeper, _)| keeper);
        let unchanged = self.timekeeper == Some((keeper, next));
        self.timekeeper = Some((keeper, next));
        if !unchanged {
            let waker = self.queue.waiter(keeper).and_then(|waiter| waiter.waker.clone());
            wakers.extend(waker);
        }
    }

    fn forget_timekeeper(&mut self, ticket: Ticket) {
        if self.timekeeper.is_some_and(|(keeper, _)| keeper == ticket) {
            self.timekeeper = None;
        }
    }

    pub(super) fn estimate(&mut self, want: &SlotRequest, now: Moment) -> Moment {
        let mut start = now;
        for number in members(want.scopes) {
            let scope = &mut self.scopes[number];
            let ahead = ahead(&scope.waiting, want.priority);
            start = start.max(scope.estimate(now, ahead.saturating_add(1)));
        }
        start
    }

    /// Calls in line before this one, wherever most are.
    pub(super) fn ahead_in(&self, want: &SlotRequest) -> u32 {
        let lines = members(want.scopes).map(|number| &self.scopes[number].waiting);
        lines.map(|waiting| ahead(waiting, want.priority)).max().unwrap_or(0)
    }

    /// Calls in line before this one for anything that can be contended.
    fn ahead_of(&self, want: &SlotRequest) -> u32 {
        let contended = members(want.scopes).filter(|number| self.scopes[*number].is_contended());
        contended
            .map(|number| ahead(&self.scopes[number].waiting, want.priority))
            .max()
            .unwrap_or(0)
    }

    fn contended(&self) -> u64 {
        let contended =
            |(number, scope): (usize, &Scope)| u64::from(scope.is_contended()) << number;
        self.scopes.iter().enumerate().map(contended).sum()
    }

    fn refusal(&self, want: &SlotRequest, start: Moment, now: Moment) -> Refusal {
        let retry_after = now.until(start);
        let reason = match self.longest_hold(want.scopes) {
            Some(hold) => RefusalReason::Held { cause: hold.cause, failures: hold.failures },
            None => RefusalReason::Exhausted { allowance: self.awaited_allowance(want) },
        };
        Refusal { reason, retry_after }
    }

    /// The name of the allowance a call waits for: the one with the most calls in line, the
    /// upstream itself when none is limited.
    fn awaited_allowance(&self, want: &SlotRequest) -> std::sync::Arc<str> {
        let allowances =
            members(want.scopes).filter(|number| self.scopes[*number].is_enforced_allowance());
        let binding = allowances.max_by_key(|number| {
            (self.scopes[*number].waiting.iter().sum::<u32>(), self.scopes[*number].window())
        });
        let number = binding.unwrap_or(usize::from(want.upstream.all));
        std::sync::Arc::clone(&self.scopes[number].name)
    }

    fn count_waiting(&mut self, want: &SlotRequest, step: Step) {
        for number in members(want.scopes) {
            let count = &mut self.scopes[number].waiting[want.priority as usize];
            *count = match step {
                Step::In => count.saturating_add(1),
                Step::Out => count.saturating_sub(1),
            };
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    In,
    Out,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Observed {
    Would,
    WouldNot,
}

fn ahead(waiting: &[u32; 3], priority: Priority) -> u32 {
    waiting[..=priority as usize].iter().sum()
}

/// The members of a set of scope numbers.
pub(super) fn members(mut set: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lowest = set.trailing_zeros() as usize;
        set &= set.wrapping_sub(1);
        (lowest < SCOPES_MAX).then_some(lowest)
    })
}
