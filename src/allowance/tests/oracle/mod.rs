//! One oracle for every kind of grant: random schedules through the account's own state machine,
//! against vendors that keep every arrival and may count it at any time between its send and its
//! settlement.
//!
//! `EVENKEEL_ORACLE_CASES=1000000 cargo test --release --lib oracle` runs a million cases. A
//! failure names its seed, which `EVENKEEL_ORACLE_SEED` runs alone.

mod draw;
mod vendor;

use std::sync::Arc;
use std::time::Duration;

use http::Method;

use self::draw::Draw;
use self::vendor::{Life, START, Vendor};
use crate::allowance::account_state::{AccountState, AdmissionDecision};
use crate::allowance::calendar::WallClock;
use crate::allowance::charge::{COST_CLASSES, CostClass, Costs, UsedCosts};
use crate::allowance::concurrency_limit::PermitEnd;
use crate::allowance::cost_rule::Settles;
use crate::allowance::lever::{Lever, LeverOrder, LeverOrigin, LoweredLimit};
use crate::allowance::scope_layout::{Member, ScopeLayout, ScopeTemplate, UpstreamNeeds, Versions};
use crate::allowance::settings::{
    AccountRule, Allowance, Grant, Mode, QueueBounds, Refill, Spread, UpstreamAllowances,
};
use crate::allowance::settle::ExchangeEnd;
use crate::allowance::settlement::{AttemptEnd, Settlement};
use crate::allowance::shares::ClientShare;
use crate::allowance::slot_request::{GrantedSlot, ProbeFitness, Scheduling};
use crate::outcome::LearnedLimit;
use crate::routing::client::Priority;
use crate::routing::route::CallPath;
use crate::time::{Moment, nanos};

/// So many in the suite, in some seconds.
const CASES: u64 = 10_000;

const STEPS_MAX: u64 = 60;

/// Periods are of use only to longer cases.
const HOUR: u64 = 3_600_000_000_000;

/// Points in time at which everything arrives at once, tried for each case and allowance.
const GATHERINGS: usize = 12;

/// Each may take new numbers of scopes, while calls of every earlier configuration are under way.
const RELOADS_MAX: u32 = 15;

/// Beyond the cases of the suite: schedules that once exceeded a limit.
const ONCE_WRONG: [u64; 3] = [13_739, 62_373, 500_871];

/// A number of cases, or of a seed, that a developer asks for.
#[expect(clippy::disallowed_methods, reason = "the number of cases is no setting")]
pub(in crate::allowance) fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}

#[test]
fn no_vendor_ever_counts_more_than_it_grants() {
    let seeds = match number("EVENKEEL_ORACLE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("EVENKEEL_ORACLE_CASES").unwrap_or(CASES),
    };
    let (mut granted, mut refused, mut reloads) = (0, 0, 0);
    for seed in seeds.clone().chain(ONCE_WRONG) {
        let case = Case::run(seed);
        case.check();
        granted += case.attempts.len() as u64;
        refused += case.refused;
        reloads += case.version - 1;
    }
    // Neither all calls nor none: the limits were reached.
    let cases = seeds.end - seeds.start;
    let reached = cases * 2 < granted && cases * 2 < refused && cases < u64::from(reloads);
    assert!(cases == 1 || reached, "{granted} {refused} {reloads}");
}

/// By how much a settlement is rounded up under this limit.
fn grain_of(allowance: &Allowance) -> u64 {
    match &allowance.grant {
        Grant::Window { window, .. } if 1_024 < allowance.units().0 => nanos(*window).div_ceil(256),
        Grant::Window { .. }
        | Grant::Calendar { .. }
        | Grant::Bucket { .. }
        | Grant::Concurrency { .. } => 0,
    }
}

#[derive(Debug)]
struct Case {
    seed: u64,
    draw: Draw,
    longest: u64,
    allowances: Vec<Allowance>,
    vendors: Vec<Vendor>,
    state: AccountState,
    layout: Arc<ScopeLayout>,
    needs: UpstreamNeeds,
    /// The numbers of the allowances' scopes.
    numbers: Vec<usize>,
    /// The number of the configuration.
    version: u32,
    /// Allowances have been filled with what was known of earlier attempts.
    refilled: bool,
    /// By how much settlements of the first allowance may be rounded up.
    grain: u64,
    now: u64,
    /// The pace of events.
    gap: u64,
    until: u64,
    attempts: Vec<Attempt>,
    refused: u64,
    /// By allowance: the lower limit that the vendor stated, and until when it holds.
    stated: Vec<Option<(u64, u64)>>,
    /// What an operator has lowered all limits to.
    lowered: Option<LoweredLimit>,
    /// Until when an operator has paused everything.
    paused_until: u64,
}

/// What the vendor says an attempt used, by cost class.
type Said = [Option<u32>; COST_CLASSES];

#[derive(Debug)]
struct Attempt {
    slot: GrantedSlot,
    sent: u64,
    stage: Stage,
    /// By allowance: until when it may be counted, and what it used.
    over: Vec<Option<u64>>,
    units: Vec<u64>,
    /// By allowance: the number of its scope, unless that has come into force later.
    numbers: Vec<Option<usize>>,
    /// By allowance: whether it was granted before the present limit came into force.
    earlier: Vec<bool>,
    /// When its head arrived or it was given up, and how.
    ended: Option<(u64, AttemptEnd)>,
    said: Said,
    /// Never counted by the vendor.
    cancelled: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Open,
    /// The head of its response has arrived, its body has not ended.
    Answered(ExchangeEnd),
    Over,
}

impl Case {
    fn run(seed: u64) -> Self {
        let mut draw = Draw::of(seed);
        let longest = draw.magnitude(1_000_000, nanos(Duration::from_secs(31 * 86_400)));
        let count = draw.between(1, 3);
        let allowances: Vec<_> = (0..count).map(|_| drawn_allowance(longest, &mut draw)).collect();
        let steps = draw.between(1, STEPS_MAX);
        let gap = draw.magnitude(longest / 1_000, longest / 2);
        let until = (gap + longest) * 2 * STEPS_MAX;
        let vendors = allowances.iter().map(|it| Vendor::of(&it.grant, until, &mut draw)).collect();
        let upstream = upstream(&allowances);
        let layout = Arc::new(ScopeLayout::of(&upstream));
        let needs = UpstreamNeeds::new(&layout, &upstream);
        let scopes = layout.scopes(wall());
        let state = AccountState::new(Arc::clone(&layout), scopes, upstream.queue, 0);
        let numbers = numbers(&layout, &allowances);
        let (attempts, now, refused) = (Vec::new(), 0, 0);
        let mut case = Self {
            seed,
            draw,
            longest,
            allowances,
            vendors,
            state,
            layout,
            needs,
            numbers,
            version: 1,
            refilled: false,
            grain: grain_of(&upstream.allowances[0]),
            now,
            gap,
            until,
            attempts,
            refused,
            stated: vec![None; usize::try_from(count).unwrap()],
            lowered: None,
            paused_until: 0,
        };
        for _ in 0..steps {
            case.step();
        }
        case
    }

    fn step(&mut self) {
        if !self.draw.one_in(3) {
            self.now += self.draw.below(self.gap);
        }
        match self.draw.below(24) {
            0..12 => self.ask(),
            12..20 => self.end_one(),
            20 if self.version <= RELOADS_MAX => self.reload(),
            // In a part of the cases, so that schedules that were once wrong stay what they were.
            21 if self.seed % 4 == 2 => self.pull_lever(),
            _ => self.wait_for_room(),
        }
    }

    fn ask(&mut self) {
        let now = Moment::from_nanos(self.now);
        let scheduling = Scheduling {
            of: ClientShare { client: 0, share: 1 },
            priority: Priority::Normal,
            arrival: now,
            deadline: now,
            probe_fitness: ProbeFitness::Replayable,
        };
        let path = CallPath::new("/");
        let mut request = self.needs.slot_request((&Method::GET, path).into(), scheduling);
        request.costs = self.costs();
        // As many as fit at once, sometimes.
        let times = if self.draw.one_in(4) { self.draw.between(1, 40) } else { 1 };
        for _ in 0..times {
            match self.state.admit(request, now) {
                AdmissionDecision::Granted(slot) => self.granted(slot),
                AdmissionDecision::Refused(_) => {
                    self.refused += 1;
                    self.check_refusal(request.costs);
                    return;
                }
                AdmissionDecision::Queued(ticket) => {
                    self.state.withdraw(ticket, now);
                    self.check_refusal(request.costs);
                    return;
                }
            }
        }
    }

    /// An operator lowers all limits, gives them back, pauses or resumes.
    fn pull_lever(&mut self) {
        let lever = match self.draw.below(5) {
            0 => {
                Lever::Lower(LoweredLimit::Percent(u8::try_from(self.draw.between(1, 99)).unwrap()))
            }
            1 => {
                let most = self.vendors.iter().map(Vendor::limit).max().unwrap_or(1);
                let units = self.draw.magnitude(1, 2 * most);
                Lever::Lower(LoweredLimit::Units(u32::try_from(units).unwrap()))
            }
            2 => Lever::Raise,
            3 => Lever::Pause(Some(Duration::from_nanos(self.draw.below(self.gap) + 1))),
            _ => Lever::Resume,
        };
        match lever {
            Lever::Lower(to) => self.lowered = Some(to),
            Lever::Raise => self.lowered = None,
            Lever::Pause(length) => {
                self.paused_until = self.now + nanos(length.unwrap_or_default());
            }
            Lever::Resume => self.paused_until = 0,
            Lever::Reset | Lever::ForgetSpent => {}
        }
        let origin = LeverOrigin { by: "".into(), reason: "".into() };
        let upstream = "vendor".into();
        let order = LeverOrder { lever, upstream, account: None, allowance: None, origin };
        self.state.pull(&order, Moment::from_nanos(self.now));
    }

    /// Goes to the moment at which there is room by our own word.
    fn wait_for_room(&mut self) {
        let place = self.draw.index(self.allowances.len());
        let now = Moment::from_nanos(self.now);
        let costs = self.costs();
        if let Err(next) = self.state.scopes[self.numbers[place]].check_slot(now, costs)
            && next < Moment::from_nanos(self.until / 2)
        {
            self.now = next.as_nanos();
        }
    }

    /// From nothing to above every limit.
    fn costs(&mut self) -> Costs {
        let own = [1, 2, 3].map(|class| {
            let limits = self.allowances.iter().zip(&self.vendors);
            let own = limits.filter(|(it, _)| Some(it.cost_class) == CostClass::new(class));
            let most = own.map(|(_, vendor)| vendor.limit()).max().unwrap_or(1);
            let cost = match self.draw.below(4) {
                0 => self.draw.below(3),
                1 => self.draw.below(most + most / 2 + 1),
                _ => self.draw.below(most / 8 + 2),
            };
            u32::try_from(cost).unwrap()
        });
        Costs::new(own)
    }

    fn granted(&mut self, slot: GrantedSlot) {
        assert!(self.paused_until <= self.now, "seed {}: granted in a pause", self.seed);
        let costs = slot.request.costs;
        let count = self.allowances.len();
        let units = self.allowances.iter().map(|it| u64::from(costs.of(it.cost_class))).collect();
        let over = vec![None; count];
        let sent = self.now;
        self.attempts.push(Attempt {
            slot,
            sent,
            stage: Stage::Open,
            over,
            units,
            numbers: self.numbers.iter().copied().map(Some).collect(),
            earlier: vec![false; count],
            ended: None,
            said: [None; COST_CLASSES],
            cancelled: false,
        });
        for place in 0..count {
            let limit = self.limit_in_force(place);
            let units = match self.vendors[place] {
                Vendor::Concurrency { .. } => 1,
                Vendor::Rolling { .. } | Vendor::Calendar { .. } | Vendor::Bucket { .. } => {
                    u64::from(costs.of(self.allowances[place].cost_class))
                }
            };
            let counted = self.vendors[place].counted(&self.lives(place), self.now);
            assert!(
                units == 0 || counted <= limit,
                "seed {}: {counted} of {limit} at a grant at {}: {self:#?}",
                self.seed,
                self.now
            );
        }
    }

    /// What may be used now: less than the vendor grants if it has stated so, or if some is left to
    /// others.
    fn limit_in_force(&self, place: usize) -> u64 {
        let Allowance { grant, headroom, .. } = &self.allowances[place];
        let granted = self.vendors[place].limit();
        // A vendor that leaks in steps may be fuller than our bucket.
        if matches!(grant, Grant::Bucket { refill: Refill { step: Some(_), .. }, .. }) {
            return granted;
        }
        let stated = self.stated[place].filter(|(_, until)| self.now < *until);
        let least = stated.map_or(granted, |(limit, _)| limit.min(granted));
        let least = least.saturating_sub(u64::from(*headroom)).max(1);
        let configured = self.allowances[place].units().0;
        self.lowered.map_or(least, |to| least.min(u64::from(to.of(configured))))
    }

    /// The vendor states a limit for a window of this length.
    fn limit_stated(&mut self, limit: u64, window: Duration) {
        for (place, allowance) in self.allowances.iter().enumerate() {
            // A statement about a window is about no bucket.
            let is_bucket = matches!(allowance.grant, Grant::Bucket { .. });
            if !is_bucket && allowance.grant.length() == Some(window) {
                let kept = window.max(Duration::from_secs(86_400));
                self.stated[place] = Some((limit, self.now + nanos(kept)));
            }
        }
    }

    /// Where nothing is rounded or spread, a call is only refused if it would be one too many.
    fn check_refusal(&mut self, costs: Costs) {
        let [Allowance { grant, cost_class, .. }] = &*self.allowances else { return };
        let exact = match grant {
            Grant::Window { limit, spread, arrival_guard, .. } => {
                *spread == Spread::None && *limit <= 1_024 && arrival_guard.is_none()
            }
            // A lowered bucket has a pace too.
            Grant::Bucket { refill, .. } => refill.step.is_none() && self.lowered.is_none(),
            Grant::Calendar { .. } | Grant::Concurrency { .. } => false,
        };
        let units = u64::from(costs.of(*cost_class));
        let limit = self.limit_in_force(0);
        let given_up = self.attempts.iter().any(|it| it.over[0].is_some_and(|at| self.now < at));
        let paused = self.now < self.paused_until;
        if exact && !given_up && !self.refilled && !paused {
            // A larger limit may have been in force, of which settlements are rounded up.
            let lives = self.lives(0).into_iter();
            let rounded: Vec<_> = lives
                .map(|life| Life { over: life.over.saturating_add(self.grain), ..life })
                .collect();
            let counted = self.vendors[0].counted(&rounded, self.now);
            assert!(
                limit < counted + units,
                "seed {}: refused {units} with {counted} of {limit} at {}: {self:#?}",
                self.seed,
                self.now
            );
        }
    }

    /// Something happens to an attempt that is not over.
    fn end_one(&mut self) {
        let open: Vec<_> = (0..self.attempts.len())
            .filter(|place| self.attempts[*place].stage != Stage::Over)
            .collect();
        if open.is_empty() {
            return;
        }
        let place = open[self.draw.index(open.len())];
        let attempt = &self.attempts[place];
        let slot = attempt.slot;
        match attempt.stage {
            Stage::Answered(end) => self.body_over(place, end),
            Stage::Open => match self.draw.below(12) {
                0 => self.give_up(place),
                1 if slot.settled == 0 => self.cancel(place),
                2 | 3 if slot.request.guarded & !slot.settled != 0 => self.guard_passed(place),
                4 => self.answered(place, AttemptEnd::Unanswered),
                5 => self.answered(place, AttemptEnd::Refused),
                _ => self.answered(place, AttemptEnd::Answered),
            },
            Stage::Over => {}
        }
    }

    fn give_up(&mut self, place: usize) {
        let slot = self.attempts[place].slot;
        self.state.abandon(&slot, Moment::from_nanos(self.now));
        self.over(place, u64::MAX, None);
        self.ended(place, AttemptEnd::Unanswered);
        self.attempts[place].stage = Stage::Over;
    }

    fn cancel(&mut self, place: usize) {
        let attempt = &mut self.attempts[place];
        self.state.cancel(&attempt.slot, Moment::from_nanos(self.now));
        (attempt.cancelled, attempt.stage) = (true, Stage::Over);
    }

    /// By now the vendor has counted it.
    fn guard_passed(&mut self, place: usize) {
        let attempt = &mut self.attempts[place];
        let guarded = attempt.slot.request.guarded;
        self.state.settle_guarded(&attempt.slot, guarded, Moment::from_nanos(self.now));
        attempt.slot.settled |= guarded;
        self.over(place, guarded, Some(self.now));
    }

    fn answered(&mut self, place: usize, end: AttemptEnd) {
        let ended = Moment::from_nanos(self.now);
        let slot = self.attempts[place].slot;
        let used = self.used(place);
        let learned = self.draw.one_in(6).then(|| {
            let told = self.draw.index(self.allowances.len());
            let window = self.allowances[told].grant.length().unwrap_or_default();
            let limit = self.draw.magnitude(1, 2 * self.vendors[told].limit());
            self.limit_stated(limit, window);
            LearnedLimit { limit: u32::try_from(limit).unwrap(), window }
        });
        let sent = Moment::from_nanos(self.attempts[place].sent);
        let answered = Settlement::answered(sent, ended);
        self.state.settle(&slot, &Settlement { end, used, learned, ..answered });
        let (permits, unsettled) = match end {
            AttemptEnd::Answered => (PermitEnd::GivenUp, slot.request.settled_at_body_end),
            AttemptEnd::Unanswered => (PermitEnd::GivenUp, 0),
            AttemptEnd::Refused | AttemptEnd::NotSent => (PermitEnd::Done, 0),
        };
        let settled = !unsettled & !slot.settled & !slot.request.concurrent;
        match end {
            AttemptEnd::Answered => self.over(place, settled, Some(self.now)),
            AttemptEnd::Unanswered | AttemptEnd::Refused | AttemptEnd::NotSent => {
                self.over(place, settled, None);
            }
        }
        self.note_used(place, settled);
        self.ended(place, end);
        let end = ExchangeEnd { grant: slot.number, permits, unsettled, used };
        self.attempts[place].stage = Stage::Answered(end);
    }

    fn body_over(&mut self, place: usize, mut end: ExchangeEnd) {
        if self.draw.one_in(2) {
            end.permits = PermitEnd::Done;
        }
        if end.unsettled != 0 && self.draw.one_in(2) {
            end.used = self.used(place);
        }
        let request = self.attempts[place].slot.request;
        self.state.exchange_over(&request, end, Moment::from_nanos(self.now));
        let scopes = end.unsettled | request.concurrent;
        match end.permits {
            PermitEnd::Done => self.over(place, scopes, Some(self.now)),
            PermitEnd::GivenUp => self.over(place, scopes, None),
        }
        self.note_used(place, end.unsettled);
        self.attempts[place].stage = Stage::Over;
    }

    /// What the vendor says was used: mostly less than reserved, sometimes more.
    fn used(&mut self, place: usize) -> UsedCosts {
        let costs = self.attempts[place].slot.request.costs;
        let (mut used, mut said) = (UsedCosts::UNKNOWN, [None; COST_CLASSES]);
        for (number, said) in said.iter_mut().enumerate().skip(1) {
            let class = class(number);
            let reserved = u64::from(costs.of(class));
            if self.draw.one_in(3) {
                let most = if self.draw.one_in(4) { 2 * reserved + 2 } else { reserved + 1 };
                let units = u32::try_from(self.draw.below(most)).unwrap();
                used.note(class, units);
                *said = Some(units);
            }
        }
        self.attempts[place].said = said;
        used
    }

    /// What was said counts for these scopes, and what was reserved where nothing was said.
    fn note_used(&mut self, place: usize, scopes: u64) {
        let attempt = &mut self.attempts[place];
        for (number, allowance) in self.allowances.iter().enumerate() {
            let own = (0..COST_CLASSES).find(|number| class(*number) == allowance.cost_class);
            if let Some(used) = attempt.said[own.unwrap()]
                && attempt.numbers[number].is_some_and(|scope| scopes >> scope & 1 == 1)
            {
                attempt.units[number] = u64::from(used);
            }
        }
    }

    /// It is over for these scopes, at `at` or after their linger from now.
    fn over(&mut self, place: usize, scopes: u64, at: Option<u64>) {
        let attempt = &mut self.attempts[place];
        for (number, allowance) in self.allowances.iter().enumerate() {
            let over = &mut attempt.over[number];
            let counts = attempt.numbers[number].is_some_and(|scope| scopes >> scope & 1 == 1);
            if counts && over.is_none() {
                *over = Some(at.unwrap_or(self.now + nanos(allowance.linger)));
            }
        }
    }

    /// It is over for the allowances that have come into force since it was granted.
    fn ended(&mut self, place: usize, end: AttemptEnd) {
        self.attempts[place].ended = Some((self.now, end));
        for number in 0..self.allowances.len() {
            if self.attempts[place].numbers[number].is_none() {
                let over = self.seen_over(place, number);
                self.attempts[place].over[number] = over;
            }
        }
    }

    /// When an attempt is over for an allowance that has come into force since it was granted.
    fn seen_over(&self, place: usize, number: usize) -> Option<u64> {
        let (at, end) = self.attempts[place].ended?;
        let Allowance { grant, linger, .. } = &self.allowances[number];
        let lingers = match grant {
            Grant::Concurrency { .. } => end != AttemptEnd::Refused,
            Grant::Window { .. } | Grant::Calendar { .. } | Grant::Bucket { .. } => {
                end != AttemptEnd::Answered
            }
        };
        Some(if lingers { at + nanos(*linger) } else { at })
    }

    /// A changed configuration comes into force. From then on it binds as if it had always been in
    /// force.
    fn reload(&mut self) {
        self.check();
        for allowance in &mut self.allowances {
            let drawn = drawn_allowance(self.longest, &mut self.draw);
            *allowance = match self.draw.below(4) {
                0 => allowance.clone(),
                1 | 2 => relimited(allowance, &drawn),
                _ => Allowance { name: Arc::clone(&allowance.name), ..drawn },
            };
        }
        self.version += 1;
        let upstream = upstream(&self.allowances);
        let versions = Versions { new: self.version, oldest: 1 };
        let members = [Member { upstream: &upstream, before: Some("vendor".into()) }];
        self.layout = Arc::new(self.layout.renewed(&members, versions).unwrap());
        self.state.reconfigure(
            &self.layout,
            QueueBounds::of_one_client(10),
            wall(),
            Moment::from_nanos(self.now),
        );
        self.needs = UpstreamNeeds::new(&self.layout, &upstream);
        let before = std::mem::replace(&mut self.numbers, numbers(&self.layout, &self.allowances));
        for (place, before) in before.into_iter().enumerate() {
            let grant = &self.allowances[place].grant;
            if before == self.numbers[place] {
                self.vendors[place].set_limit(grant);
                // Ours may be fuller than the present size for a while.
                self.refilled |= matches!(grant, Grant::Bucket { .. });
                if place == 0 {
                    self.grain = self.grain.max(grain_of(&self.allowances[0]));
                }
            } else {
                self.vendors[place] = Vendor::of(grant, self.until, &mut self.draw);
                self.stated[place] = None;
                self.refilled = true;
                self.forget_scope(place);
            }
            self.attempts.iter_mut().for_each(|attempt| attempt.earlier[place] = true);
        }
    }

    /// The scope of an allowance is another one, which knows of the attempts only what their
    /// history tells.
    fn forget_scope(&mut self, number: usize) {
        let class = self.allowances[number].cost_class;
        let concurrent = matches!(self.allowances[number].grant, Grant::Concurrency { .. });
        for place in 0..self.attempts.len() {
            let seen = self.seen_over(place, number);
            let attempt = &mut self.attempts[place];
            // A concurrency counts no attempt that had ended when it came into force.
            attempt.over[number] = if concurrent { attempt.ended.map(|(at, _)| at) } else { seen };
            attempt.units[number] = u64::from(attempt.slot.request.costs.of(class));
            attempt.numbers[number] = None;
        }
    }

    /// The attempts as the vendor of an allowance sees them, by what is known now.
    fn lives(&self, place: usize) -> Vec<Life> {
        let counted = self.attempts.iter().filter(|attempt| !attempt.cancelled);
        let life = |attempt: &Attempt| Life {
            sent: attempt.sent,
            over: attempt.over[place].unwrap_or(u64::MAX),
            units: attempt.units[place],
            earlier: attempt.earlier[place],
        };
        counted.map(life).collect()
    }

    /// Whatever the vendor does, it never counts more than it grants, apart from what attempts
    /// used beyond what was reserved for them.
    fn check(&self) {
        let mut draw = Draw::of(self.seed ^ 0xffff);
        for (place, vendor) in self.vendors.iter().enumerate() {
            let mut lives = self.lives(place);
            for (life, attempt) in
                lives.iter_mut().zip(self.attempts.iter().filter(|it| !it.cancelled))
            {
                let class = self.allowances[place].cost_class;
                life.units = life.units.min(u64::from(attempt.slot.request.costs.of(class)));
            }
            let mut times: Vec<u64> =
                lives.iter().flat_map(|life| [life.sent, life.over]).collect();
            if let Vendor::Calendar { resets, .. } = vendor {
                times.extend(resets.iter().flat_map(|reset| [*reset, reset - 1]));
            }
            times.retain(|time| *time < u64::MAX / 2);
            for _ in 0..GATHERINGS.min(times.len()) {
                let at = times[draw.index(times.len())];
                let (most, limit) = (vendor.most(&lives, at), vendor.limit());
                assert!(
                    most <= limit,
                    "seed {}: {most} of {limit} if all arrive at {at}: {self:#?}",
                    self.seed
                );
            }
        }
    }
}

fn upstream(allowances: &[Allowance]) -> UpstreamAllowances {
    UpstreamAllowances {
        name: "vendor".into(),
        url: "".into(),
        account: AccountRule::Upstream,
        allowances: allowances.to_vec(),
        queue: QueueBounds::of_one_client(10),
    }
}

fn wall() -> WallClock {
    WallClock { moment: Moment::START, shows: START.parse().unwrap() }
}

fn numbers(layout: &ScopeLayout, allowances: &[Allowance]) -> Vec<usize> {
    let number = |allowance: &Allowance| {
        let template = ScopeTemplate::Allowance(allowance.clone());
        usize::from(layout.number_of(&template).unwrap())
    };
    allowances.iter().map(number).collect()
}

/// The same with another limit, headroom, linger and spread.
fn relimited(former: &Allowance, drawn: &Allowance) -> Allowance {
    let limit = drawn.grant.units();
    let grant = match former.grant.clone() {
        Grant::Window { window, spread, arrival_guard, .. } => {
            Grant::Window { limit, window, spread, arrival_guard }
        }
        Grant::Calendar { calendar, spread, .. } => Grant::Calendar { limit, calendar, spread },
        Grant::Bucket { refill, .. } => {
            Grant::Bucket { size: limit.saturating_add(refill.step_units()), refill }
        }
        Grant::Concurrency { .. } => Grant::Concurrency { limit },
    };
    Allowance { grant, headroom: drawn.headroom, linger: drawn.linger, ..former.clone() }
}

fn class(number: usize) -> CostClass {
    CostClass::new(u8::try_from(number).unwrap()).unwrap()
}

/// One of any kind, with a limit from 1 to a million.
fn drawn_allowance(longest: u64, draw: &mut Draw) -> Allowance {
    let limit = u32::try_from(draw.magnitude(1, 1_000_000)).unwrap();
    let window = Duration::from_nanos(draw.magnitude(1_000_000, longest));
    let spread = match draw.below(3) {
        0 => Spread::Auto,
        1 => Spread::Even { burst: u32::try_from(draw.between(1, u64::from(limit))).unwrap() },
        _ => Spread::None,
    };
    let guard = Duration::from_nanos(draw.magnitude(1_000, longest));
    let grant = match draw.below(8) {
        0..4 => {
            Grant::Window { limit, window, spread, arrival_guard: draw.one_in(4).then_some(guard) }
        }
        4 if HOUR <= longest => Grant::Calendar { limit, calendar: vendor::calendar(draw), spread },
        4..7 => bucket(limit, window, draw),
        _ => Grant::Concurrency { limit },
    };
    let units = grant.units();
    let class = u8::try_from(draw.below(COST_CLASSES as u64)).unwrap();
    Allowance {
        cost: None,
        name: format!("allowance {}", draw.below(u64::MAX)).into(),
        grant,
        counts: Vec::new(),
        exempt: Vec::new(),
        mode: Mode::Enforce,
        cost_class: CostClass::new(class).unwrap(),
        headroom: if draw.one_in(4) {
            u32::try_from(draw.below(u64::from(units))).unwrap()
        } else {
            0
        },
        settles: if draw.one_in(4) { Settles::AtBodyEnd } else { Settles::AtHead },
        linger: Duration::from_nanos(draw.below(longest / 4)),
        longest_attempt: Duration::ZERO,
    }
}

/// Leaks continuously, or in steps of less than its size.
fn bucket(size: u32, over: Duration, draw: &mut Draw) -> Grant {
    let units = u32::try_from(draw.magnitude(1, u64::from(size))).unwrap();
    let every = Duration::from_nanos(draw.magnitude(1, nanos(over)));
    let refill = Refill { units, over, step: None };
    let stepwise = Refill { step: Some(every), ..refill };
    let fits = stepwise.step_units() < size;
    let refill = if fits && draw.one_in(2) { stepwise } else { refill };
    Grant::Bucket { size, refill }
}
