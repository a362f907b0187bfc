//! The state of one account: its scopes, its queue, and the steps that grant slots.
//!
//! A pure state machine; time and chance are arguments. A grant is all or nothing: a call gets a
//! slot of every scope it needs, or none. The steps that settle slots are in `settle.rs`.

use std::sync::Arc;
use std::time::Duration;

use super::calendar::WallClock;
use super::hold::Hold;
use super::lane::Ticket;
use super::queue::Queue;
use super::recovered::RecordRules;
use super::refusal::{Refusal, RefusalReason};
use super::refused_places::RefusedPlaces;
use super::scope::{AttemptRole, Scope, WaitingChange};
use super::scope_layout::ScopeLayout;
use super::scope_set::{members, set_of};
use super::settings::{QueueBounds, SCOPES_MAX, StoreSettings};
use super::slot_request::{GrantedSlot, ProbeFitness, SlotRequest};
use super::view::{ScopeView, TightestAllowance};
use crate::time::Moment;

/// Bits of a hold's id that count the holds of one account; the account's number stands above
/// them. An account that began a hold every second would run out after twelve days; then an
/// operator's release by id may open another account's hold too, and nothing else is affected.
const HOLD_BITS: u32 = 20;

/// Remaining shares are compared in millionths: whole numbers, and finer than one slot of any
/// allowance whose slots are tracked one by one.
const WHOLE_SHARE: u64 = 1_000_000;

#[derive(Debug)]
pub(super) struct AccountState {
    pub(super) scopes: Vec<Scope>,
    pub(super) queue: Queue,
    pub(super) refused_places: RefusedPlaces,
    pub(super) bounds: QueueBounds,
    /// The scopes by number; requests of older configurations are completed by it.
    pub(super) layout: Arc<ScopeLayout>,
    pub(super) configuration: u32,
    /// How its allowances are recorded, if they are.
    pub(super) records: Option<RecordRules>,
    /// The store in which its allowances are shared, if they are.
    pub(super) store: Option<Arc<StoreSettings>>,
    /// The id of the latest hold.
    pub(super) holds: u64,
    /// How many responses have closed a scope; each is a numbered order.
    pub(super) orders: u64,
    grants: u64,
    /// The slow starts of upstreams whose maintenance outlasted its stated end, until the unpaid
    /// retries that wait there are dismissed.
    pub(super) ended_too_early: u64,
    /// The call whose task keeps the account's timer, and the moment for which it is set.
    timekeeper: Option<(Ticket, Moment)>,
}

/// The answer to a slot request.
#[derive(Debug)]
pub(super) enum AdmissionDecision {
    Granted(GrantedSlot),
    Queued(Ticket),
    Refused(Refusal),
}

/// Why there is no slot now.
#[derive(Clone, Copy, Debug)]
struct Blocked {
    /// The scopes without a slot.
    scopes: u64,
    /// When they may have one; `NEVER` if that takes an event.
    next: Moment,
}

impl AccountState {
    pub(super) fn new(
        layout: Arc<ScopeLayout>,
        scopes: Vec<Scope>,
        bounds: QueueBounds,
        number: u32,
    ) -> Self {
        debug_assert!(scopes.len() <= SCOPES_MAX, "configuration bounds the scopes of an account");
        Self {
            scopes,
            queue: Queue::default(),
            refused_places: RefusedPlaces::default(),
            bounds,
            configuration: layout.version,
            records: None,
            store: None,
            layout,
            holds: u64::from(number) << HOLD_BITS,
            orders: 0,
            grants: 0,
            ended_too_early: 0,
            timekeeper: None,
        }
    }

    /// Grants a slot at once, queues the call, or refuses it.
    pub(super) fn admit(&mut self, request: SlotRequest, now: Moment) -> AdmissionDecision {
        let is_older = request.configuration < self.configuration;
        if is_older && let Some(refusal) = self.superseded(&request) {
            return AdmissionDecision::Refused(refusal);
        }
        let request = if is_older { self.completed(&request) } else { request };
        self.queue.raise(now);
        let class = request.class(now);
        let is_first = self.queue.is_empty()
            || !self.queue.waits_before(class, self.contended(request.scopes));
        if is_first && let Ok(slot) = self.try_grant(&request, now) {
            return AdmissionDecision::Granted(slot);
        }
        if request.deadline < self.estimate(&request, now) {
            return AdmissionDecision::Refused(self.refusal(&request, now));
        }
        let full = if self.bounds.all <= self.queue.len() {
            Some(RefusalReason::QueueFull)
        } else {
            let own = self.queue.len_of(request.of.client);
            let full = self.bounds.client_max(self.queue.len() - own) <= own;
            full.then_some(RefusalReason::ClientQueueFull)
        };
        if let Some(reason) = full {
            let retry_after = self.told_wait(&request, now).max(Duration::from_secs(1));
            let refusal = Refusal { reason, retry_after, overtaken: None };
            return AdmissionDecision::Refused(refusal);
        }
        self.adjust_waiting(&request, WaitingChange::Joins);
        AdmissionDecision::Queued(self.queue.join(request, now))
    }

    /// Grants slots to waiting calls, in order, as long as there are any. Returns the calls whose
    /// tasks must be woken.
    pub(super) fn dispatch(&mut self, now: Moment) -> Vec<Ticket> {
        let mut woken = Vec::new();
        let mut next = Moment::NEVER;
        self.queue.raise(now);
        while !self.queue.is_empty() {
            self.appoint_probes(now, &mut woken);
            match self.grant_first(now) {
                Ok(ticket) => woken.push(ticket),
                Err(soonest) => {
                    next = soonest;
                    break;
                }
            }
        }
        self.set_timer(next, &mut woken);
        woken
    }

    /// When this call's task must look again, if it keeps the account's timer.
    pub(super) fn alarm(&self, ticket: Ticket) -> Option<Moment> {
        self.timekeeper.filter(|(keeper, _)| *keeper == ticket).map(|(_, at)| at)
    }

    /// Takes a call out of the queue and gives back what it was granted meanwhile.
    pub(super) fn withdraw(&mut self, ticket: Ticket, now: Moment) {
        if let Some(slot) = self.queue.collect_grant(ticket) {
            self.cancel(&slot, now);
        }
        self.queue.collect_dismissal(ticket);
        if let Some(waiter) = self.queue.leave(ticket) {
            self.no_longer_waits(ticket, &waiter.request);
        }
    }

    pub(super) fn longest_hold(&self, scopes: u64) -> Option<Hold> {
        let holds = members(scopes).filter_map(|number| self.scopes[number].hold.as_ref());
        holds.max_by_key(|hold| hold.until).copied()
    }

    /// Reopens the scope that the hold of this id closes, and those that the same response closed.
    /// Returns whether there is such a hold.
    pub(super) fn release_hold(&mut self, id: u64, now: Moment) -> bool {
        let held = |scope: &&Scope| scope.hold.is_some_and(|hold| hold.id == id);
        let Some(order) = self.scopes.iter().find(held).map(|scope| scope.order) else {
            return false;
        };
        let closed = |scope: &&mut Scope| scope.order == order && scope.hold.is_some();
        self.scopes.iter_mut().filter(closed).for_each(|scope| scope.reopen(now));
        true
    }

    /// Takes over what the calls of this account may have spent while they shared the other one.
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

    /// The wall clock was set.
    pub(super) fn set_wall_clock(&mut self, wall: WallClock) {
        for window in self.scopes.iter_mut().filter_map(Scope::units_mut) {
            window.set_wall_clock(wall);
        }
    }

    /// Whether nothing would be lost if this account were forgotten.
    pub(super) fn is_idle(&mut self, now: Moment) -> bool {
        self.queue.is_empty() && self.scopes.iter_mut().all(|scope| scope.is_idle(now))
    }

    pub(super) fn views(&mut self, now: Moment) -> Vec<ScopeView> {
        self.scopes.iter_mut().filter_map(|scope| scope.view(now)).collect()
    }

    /// The allowance with the smallest remaining share, of those that the call needs.
    pub(super) fn tightest_allowance(
        &mut self,
        request: &SlotRequest,
        now: Moment,
    ) -> Option<TightestAllowance> {
        let scopes = &mut self.scopes;
        let usages = members(request.scopes).filter_map(|number| scopes[number].usage(now));
        usages.min_by_key(|it| u64::from(it.remaining) * WHOLE_SHARE / u64::from(it.limit.max(1)))
    }

    /// Takes a slot of every scope, or of none.
    fn try_grant(&mut self, request: &SlotRequest, now: Moment) -> Result<GrantedSlot, Blocked> {
        let probes = self.check_holds_and_slots(request, now)?;
        let would_wait = self.take_pace_turns(request, now)?;
        self.grants += 1;
        let number = self.grants;
        let occupied =
            members(request.scopes).map(|it| self.scopes[it].occupy(number, request.costs, now));
        let start_by = occupied.fold(Moment::NEVER, Moment::min);
        for scope in members(probes) {
            self.scopes[scope].probe_sent();
        }
        Ok(GrantedSlot {
            request: *request,
            number,
            start_by,
            probes,
            would_wait,
            overtaken: None,
            settled: 0,
            held_early: 0,
            unexpected_throttle: false,
        })
    }

    /// Holds and slots come first, because checking them changes nothing. Returns the scopes for
    /// which the call would be the probe.
    fn check_holds_and_slots(
        &mut self,
        request: &SlotRequest,
        now: Moment,
    ) -> Result<u64, Blocked> {
        let mut blocked = Blocked { scopes: 0, next: now };
        let mut probes = 0;
        for number in members(request.scopes) {
            let scope = &mut self.scopes[number];
            let hold = scope.check_hold(now);
            let slot = if scope.observes() { Ok(()) } else { scope.check_slot(now, request.costs) };
            if let (Ok(role), Ok(())) = (hold, slot) {
                probes |= u64::from(role == AttemptRole::Probe) << number;
                continue;
            }
            blocked.scopes |= 1 << number;
            for next in [hold.err(), slot.err()].into_iter().flatten() {
                blocked.next = blocked.next.max(next);
            }
        }
        if blocked.scopes == 0 { Ok(probes) } else { Err(blocked) }
    }

    /// Takes a turn of every pace; if one is not due, those already taken are given back. Returns
    /// whether an allowance that only observes would have made the call wait.
    fn take_pace_turns(&mut self, request: &SlotRequest, now: Moment) -> Result<bool, Blocked> {
        let mut taken = 0_u64;
        let mut would_wait = false;
        for number in members(request.scopes) {
            let scope = &mut self.scopes[number];
            if scope.observes() {
                if scope.check_slot(now, request.costs).is_err()
                    || scope.take_turn(now, request.costs).is_err()
                {
                    would_wait = true;
                } else {
                    taken |= 1 << number;
                }
                continue;
            }
            if let Err(next) = scope.take_turn(now, request.costs) {
                members(taken).for_each(|number| self.scopes[number].give_turn_back());
                return Err(Blocked { scopes: 1 << number, next });
            }
            taken |= 1 << number;
        }
        Ok(would_wait)
    }

    /// Grants a slot to the first lane head that can have one.
    ///
    /// The scopes that a call waits for are closed to calls of a lower rank; calls that need none
    /// of them overtake it.
    ///
    /// # Errors
    /// No lane head can have a slot; the moment is when that may change.
    fn grant_first(&mut self, now: Moment) -> Result<Ticket, Moment> {
        let (mut closed, mut next) = (0, Moment::NEVER);
        for (ticket, request) in self.queue.lane_heads() {
            if request.scopes & closed != 0 {
                closed |= self.contended(request.scopes);
                continue;
            }
            match self.try_grant(&request, now) {
                Ok(slot) => {
                    self.grant_waiting(ticket, slot);
                    return Ok(ticket);
                }
                Err(blocked) => {
                    closed |= blocked.scopes;
                    next = next.min(blocked.next);
                }
            }
        }
        Err(next)
    }

    /// Where a hold has ended, the first waiting call whose body can be sent again becomes the
    /// probe, else the first. After an outage, calls to a path other than the worst are preferred.
    fn appoint_probes(&mut self, now: Moment, woken: &mut Vec<Ticket>) {
        for number in 0..self.scopes.len() {
            if self.scopes[number].check_hold(now) != Ok(AttemptRole::Probe) {
                continue;
            }
            // The first of those that suit best.
            let mut best: Option<((bool, bool), Ticket, SlotRequest)> = None;
            for (ticket, request) in self.queue.waiters_for(number) {
                let one_shot = request.probe_fitness == ProbeFitness::OneShot;
                let unsuitable = (self.scopes[number].avoids(request.path), one_shot);
                if best.as_ref().is_none_or(|(known, ..)| unsuitable < *known) {
                    best = Some((unsuitable, ticket, *request));
                }
                if unsuitable == (false, false) {
                    break;
                }
            }
            let Some((_, ticket, request)) = best else { continue };
            if let Ok(slot) = self.try_grant(&request, now) {
                self.grant_waiting(ticket, slot);
                woken.push(ticket);
            }
        }
    }

    fn grant_waiting(&mut self, ticket: Ticket, slot: GrantedSlot) {
        self.no_longer_waits(ticket, &slot.request);
        self.queue.grant(ticket, slot);
    }

    pub(super) fn no_longer_waits(&mut self, ticket: Ticket, request: &SlotRequest) {
        self.adjust_waiting(request, WaitingChange::Leaves);
        self.timekeeper = self.timekeeper.filter(|(keeper, _)| *keeper != ticket);
    }

    /// The scopes for which a waiting call can keep others from going first.
    fn contended(&self, scopes: u64) -> u64 {
        set_of(members(scopes).filter(|number| self.scopes[*number].is_contended()))
    }

    /// One timer serves the whole account. The task of one waiting call keeps it, and is woken
    /// when it has to be set to another moment.
    fn set_timer(&mut self, next: Moment, woken: &mut Vec<Ticket>) {
        let Some((first, _)) = self.queue.oldest() else {
            self.timekeeper = None;
            return;
        };
        let keeper = self.timekeeper.map_or(first, |(keeper, _)| keeper);
        if self.timekeeper != Some((keeper, next)) {
            self.timekeeper = Some((keeper, next));
            woken.push(keeper);
        }
    }

    pub(super) fn adjust_waiting(&mut self, request: &SlotRequest, by: WaitingChange) {
        for number in members(request.scopes) {
            self.scopes[number].adjust_waiting(by);
        }
    }
}
