//! Callers and a vendor around the pure state of an account: no sockets, no tasks, and the time is
//! that of the next event. Everything is answered after the same latency.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::allowance::account_state::{AccountState, AdmissionDecision};
use crate::allowance::lane::Ticket;
use crate::allowance::scope_layout::{ScopeLayout, UpstreamNeeds};
use crate::allowance::slot_request::GrantedSlot;
use crate::allowance::{
    AccountRule, Allowance, ClientShare, Costs, ProbeFitness, QueueBounds, Refusal, Scheduling,
    Settlement, SlotRequest, UpstreamAllowances, WallClock,
};
use crate::routing::client::Priority;
use crate::routing::method::CallMethod;
use crate::routing::route::CallPath;
use crate::time::{Moment, seconds_up};

/// One program that calls; several may be one client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    pub(super) of: ClientShare,
    pub(super) priority: Priority,
    pub(super) patience: Duration,
    pub(super) costs: Costs,
}

#[derive(Debug)]
pub(super) enum Happening {
    /// A moment has come that was asked for.
    Due(usize),
    /// A call of this caller got a slot.
    Started {
        caller: usize,
        waited: Duration,
    },
    /// A call of this caller was answered by the vendor.
    Answered(usize),
    Refused {
        caller: usize,
        refusal: Refusal,
    },
}

pub(super) struct Simulation {
    pub(super) now: Moment,
    pub(super) state: AccountState,
    needs: UpstreamNeeds,
    pub(super) callers: Vec<Caller>,
    latency: Duration,
    events: BTreeMap<(Moment, u64), Event>,
    waiting: BTreeMap<Ticket, (usize, SlotRequest)>,
    happened: VecDeque<Happening>,
    scheduled: u64,
}

enum Event {
    Due(usize),
    Settle(usize, GrantedSlot),
    Deadline(Ticket),
    Alarm,
}

impl Simulation {
    pub(super) fn new(allowance: Allowance, queue: QueueBounds, callers: Vec<Caller>) -> Self {
        let upstream = UpstreamAllowances {
            name: "vendor".into(),
            url: "".into(),
            account: AccountRule::Upstream,
            allowances: vec![allowance],
            queue,
        };
        let layout = Arc::new(ScopeLayout::of(&upstream));
        let needs = UpstreamNeeds::new(&layout, &upstream);
        let shows = "1970-01-01T00:00:00Z".parse().unwrap();
        let wall = WallClock { moment: Moment::START, shows };
        let scopes = layout.scopes(wall);
        Self {
            now: Moment::START,
            state: AccountState::new(layout, scopes, queue, 0),
            needs,
            callers,
            latency: Duration::from_millis(20),
            events: BTreeMap::new(),
            waiting: BTreeMap::new(),
            happened: VecDeque::new(),
            scheduled: 0,
        }
    }

    /// Asks for a happening at this moment.
    pub(super) fn at(&mut self, moment: Moment, caller: usize) {
        self.schedule(moment, Event::Due(caller));
    }

    /// When a refused caller comes back that obeys `Retry-After`.
    pub(super) fn told(&self, refusal: &Refusal) -> Moment {
        self.now.plus(Duration::from_secs(seconds_up(refusal.retry_after).max(1)))
    }

    /// When a call of this caller would start.
    pub(super) fn estimate(&mut self, caller: usize) -> Moment {
        let request = self.request(caller);
        self.state.estimate(&request, self.now)
    }

    fn request(&self, caller: usize) -> SlotRequest {
        let Caller { of, priority, patience, costs } = self.callers[caller];
        let scheduling = Scheduling {
            of,
            priority,
            arrival: self.now,
            deadline: self.now.plus(patience),
            probe_fitness: ProbeFitness::Replayable,
        };
        let method = CallMethod::from(&http::Method::GET);
        let request = self.needs.slot_request((method, CallPath::new("/")).into(), scheduling);
        SlotRequest { costs, ..request }
    }

    /// The caller makes a call.
    pub(super) fn ask(&mut self, caller: usize) {
        let request = self.request(caller);
        match self.state.admit(request, self.now) {
            AdmissionDecision::Granted(slot) => self.started(caller, slot),
            AdmissionDecision::Queued(ticket) => {
                self.waiting.insert(ticket, (caller, request));
                self.schedule(request.deadline, Event::Deadline(ticket));
                self.dispatch();
            }
            AdmissionDecision::Refused(refusal) => {
                self.happened.push_back(Happening::Refused { caller, refusal });
            }
        }
    }

    /// The next happening before `end`.
    pub(super) fn next(&mut self, end: Moment) -> Option<Happening> {
        loop {
            if let Some(happening) = self.happened.pop_front() {
                return Some(happening);
            }
            let ((at, _), event) = self.events.pop_first().filter(|((at, _), _)| *at < end)?;
            self.now = at;
            match event {
                Event::Due(caller) => return Some(Happening::Due(caller)),
                Event::Settle(caller, slot) => {
                    self.state.settle(&slot, &Settlement::answered(at, at));
                    self.happened.push_back(Happening::Answered(caller));
                }
                Event::Deadline(ticket) => self.give_up(ticket),
                Event::Alarm => {}
            }
            self.dispatch();
        }
    }

    fn give_up(&mut self, ticket: Ticket) {
        if let Some((caller, request)) = self.waiting.remove(&ticket) {
            self.state.withdraw(ticket, self.now);
            let refusal = self.state.refusal(&request, self.now);
            self.happened.push_back(Happening::Refused { caller, refusal });
        }
    }

    fn dispatch(&mut self) {
        for ticket in self.state.dispatch(self.now) {
            if let Some(slot) = self.state.queue.collect_grant(ticket) {
                let (caller, _) = self.waiting.remove(&ticket).unwrap();
                self.started(caller, slot);
            } else if let Some(alarm) = self.state.alarm(ticket) {
                self.schedule(alarm, Event::Alarm);
            }
        }
    }

    fn started(&mut self, caller: usize, slot: GrantedSlot) {
        let waited = self.now.since(slot.request.arrival);
        self.schedule(self.now.plus(self.latency), Event::Settle(caller, slot));
        self.happened.push_back(Happening::Started { caller, waited });
    }

    fn schedule(&mut self, at: Moment, event: Event) {
        if at != Moment::NEVER {
            self.scheduled += 1;
            self.events.insert((at.max(self.now), self.scheduled), event);
        }
    }
}
