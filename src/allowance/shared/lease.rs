//! What this replica has of a shared allowance: units it may grant, for how long, and what it may
//! use while the store is away.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::state::{Ask, Grant, ShareRules};
use super::store_time::StoreTime;
use super::used::{GRAINS, Release};
use crate::allowance::charge::{Charge, saturated};
use crate::allowance::ledger::Ledger;
use crate::allowance::view::RecordView;
use crate::time::Moment;

/// The demand of this time is leased ahead.
const LEASED_AHEAD: Duration = Duration::from_millis(100);

/// While attempts are under way, what has settled is reported at least this often.
const SETTLED_WITHIN: Duration = Duration::from_secs(1);

/// A reserve is leased for this long: so long a replica can do without its store, and so long the
/// units of one that is gone for good are lost to the others.
const RESERVE_FOR: Duration = Duration::from_secs(60 * 60);

#[derive(Debug)]
pub(in crate::allowance) struct SharedLease {
    rules: Arc<ShareRules>,
    /// Units of attempts that have not settled.
    under_way: u64,
    /// Units that may be granted.
    ready: u64,
    /// Units that may be granted from a moment on.
    later: VecDeque<(Moment, u32)>,
    /// No attempt starts after this with units that are leased by now.
    start_by: Moment,
    /// What has settled and was not reported.
    settled: Vec<Settled>,
    /// What is being reported, or was without an answer.
    reported: Vec<Settled>,
    demand: Demand,
    /// More units are needed, or those that are there have to be renewed.
    due: bool,
    /// What a call needs for which too few are leased.
    needed: u32,
    /// Before this, the store has nothing more to grant.
    ask_again: Moment,
    /// The store is away.
    away: bool,
    /// Orders to forget what has settled that have not arrived, and how many of them are on their
    /// way.
    forget_orders: u32,
    forgets_asked: u32,
    reserve: Option<Reserve>,
    /// What all replicas had, at the latest round trip.
    outlook: Outlook,
}

/// What the replica may use while the store is away: a part of the allowance in every window.
#[derive(Debug)]
struct Reserve {
    ledger: Ledger,
    start_by: Moment,
    /// Its grants whose attempts have not settled, and their units.
    grants: Vec<(u64, u32)>,
    /// Nothing more may be used of it, and what settles is reported.
    has_ended: bool,
}

/// Units that settled in the same part of a window.
#[derive(Clone, Copy, Debug)]
struct Settled {
    first: Moment,
    last: Moment,
    units: u64,
}

/// Units that were granted lately.
#[derive(Clone, Copy, Debug, Default)]
struct Demand {
    since: Moment,
    units: u64,
    before: u64,
}

#[derive(Clone, Debug, Default)]
struct Outlook {
    /// The limit that binds, which is the lowest that a replica knows.
    limit: u32,
    free: u64,
    releases: Vec<(Moment, u64)>,
}

impl Reserve {
    /// Units of attempts that have not settled.
    fn under_way(&self) -> u64 {
        self.grants.iter().map(|(_, units)| u64::from(*units)).sum()
    }
}

impl Demand {
    fn note(&mut self, units: u32, now: Moment) {
        self.follow(now);
        self.units = self.units.saturating_add(units.into());
    }

    fn follow(&mut self, now: Moment) {
        let passed = now.since(self.since);
        if LEASED_AHEAD <= passed {
            let before = if passed < 2 * LEASED_AHEAD { self.units } else { 0 };
            *self = Self { since: now, units: 0, before };
        }
    }

    /// What will be needed soon.
    fn ahead(&mut self, now: Moment) -> u64 {
        self.follow(now);
        self.units.max(self.before)
    }
}

impl SharedLease {
    pub(in crate::allowance) fn new(rules: Arc<ShareRules>) -> Self {
        Self {
            outlook: Outlook { limit: rules.limit, ..Outlook::default() },
            rules,
            under_way: 0,
            ready: 0,
            later: VecDeque::new(),
            start_by: Moment::START,
            settled: Vec::new(),
            reported: Vec::new(),
            demand: Demand::default(),
            due: false,
            needed: 0,
            ask_again: Moment::START,
            away: false,
            forget_orders: 0,
            forgets_asked: 0,
            reserve: None,
        }
    }

    /// Other rules are in force from now on; what is leased stays so.
    pub(in crate::allowance) fn set_rules(&mut self, rules: Arc<ShareRules>) {
        self.due |= self.rules != rules;
        self.rules = rules;
    }

    /// Whether so many units may be granted. If not, when, or `NEVER` if that takes a round trip,
    /// which is then due.
    pub(in crate::allowance) fn check(&mut self, units: u32, now: Moment) -> Result<(), Moment> {
        self.ripen(now);
        if u64::from(units) <= self.ready {
            return Ok(());
        }
        if let Some(reserve) = self.usable_reserve(units, now) {
            let limit = reserve.ledger.limit();
            let covers = units <= reserve.ledger.free(now);
            return if covers { Ok(()) } else { Err(reserve.ledger.free_at(limit, units)) };
        }
        let mut sum = self.ready;
        for (at, more) in &self.later {
            sum += u64::from(*more);
            if u64::from(units) <= sum {
                return Err(*at);
            }
        }
        self.needed = self.needed.max(units);
        self.due |= self.ask_again <= now;
        Err(Moment::NEVER)
    }

    /// Turns whose moment has come may be granted, and none after the end of the lease.
    fn ripen(&mut self, now: Moment) {
        if self.start_by < now {
            self.ready = 0;
            self.later.clear();
        }
        while let Some((_, units)) = self.later.front().filter(|(at, _)| *at <= now) {
            self.ready += u64::from(*units);
            self.later.pop_front();
        }
    }

    fn usable_reserve(&mut self, units: u32, now: Moment) -> Option<&mut Reserve> {
        let reserve = self.reserve.as_mut().filter(|it| !it.has_ended && now <= it.start_by)?;
        (self.away && units <= reserve.ledger.limit()).then_some(reserve)
    }

    /// Takes units for a grant. Returns by when its attempt has to start.
    pub(in crate::allowance) fn occupy(&mut self, grant: u64, units: u32, now: Moment) -> Moment {
        self.demand.note(units, now);
        if self.ready < u64::from(units)
            && let Some(reserve) = self.usable_reserve(units, now)
        {
            reserve.ledger.occupy(units);
            reserve.grants.push((grant, units));
            return reserve.start_by;
        }
        self.under_way += u64::from(units);
        self.ready = self.ready.saturating_sub(units.into());
        self.due |= self.is_short() && self.ask_again <= now;
        self.start_by
    }

    /// The attempt of a grant has settled.
    pub(in crate::allowance) fn settle(&mut self, grant: u64, at: Moment, charge: Charge) {
        let Some(reserve) = self.reserve_of(grant) else {
            let (reserved, used) = (u64::from(charge.reserved), u64::from(charge.used));
            self.under_way = self.under_way.saturating_sub(reserved);
            self.ready = (self.ready + reserved).saturating_sub(used);
            return self.count_earlier(at, charge.used);
        };
        if reserve.has_ended {
            self.count_earlier(at, charge.used);
            self.drop_ended_reserve();
        } else {
            reserve.ledger.settle(at, charge);
        }
    }

    pub(in crate::allowance) fn cancel(&mut self, grant: u64, units: u32) {
        let Some(reserve) = self.reserve_of(grant) else {
            self.under_way = self.under_way.saturating_sub(units.into());
            self.ready += u64::from(units);
            return;
        };
        reserve.ledger.cancel(units);
        self.drop_ended_reserve();
    }

    /// The reserve, if this grant was made from it; the grant is over.
    fn reserve_of(&mut self, grant: u64) -> Option<&mut Reserve> {
        let reserve = self.reserve.as_mut()?;
        let place = reserve.grants.iter().position(|(it, _)| *it == grant)?;
        reserve.grants.swap_remove(place);
        Some(reserve)
    }

    /// Another one may be leased when the last attempt of an ended one has settled.
    fn drop_ended_reserve(&mut self) {
        self.reserve = self.reserve.take().filter(|it| !it.has_ended || !it.grants.is_empty());
    }

    /// Counts units that were used until `at`.
    pub(in crate::allowance) fn count_earlier(&mut self, at: Moment, units: u32) {
        let grain = self.window() / GRAINS;
        let units = u64::from(units);
        match self.settled.last_mut() {
            // Late is safe: all count as settled with the last of them.
            Some(part) if part.first <= at && at.since(part.first) < grain => {
                part.last = part.last.max(at);
                part.units = part.units.saturating_add(units);
            }
            _ => self.settled.push(Settled { first: at, last: at, units }),
        }
    }

    /// Whether a round trip is due; asked once for each time that it becomes so.
    pub(in crate::allowance) const fn take_due(&mut self) -> bool {
        std::mem::replace(&mut self.due, false)
    }

    /// Whether fewer than half of the units that will be needed are leased.
    fn is_short(&self) -> bool {
        self.leased() < self.demand.units.max(self.demand.before) / 2
    }

    fn leased(&self) -> u64 {
        self.later.iter().fold(self.ready, |sum, (_, units)| sum + u64::from(*units))
    }

    /// What to ask the store for; either [`granted`](Self::granted) or
    /// [`unanswered`](Self::unanswered) has to follow.
    pub(in crate::allowance) fn ask(
        &mut self,
        (limit, waiting): (u32, u64),
        time: &StoreTime,
        now: Moment,
    ) -> Ask {
        self.ripen(now);
        let ahead = self.demand.ahead(now).saturating_add(waiting).max(self.needed.into());
        let ahead = ahead.min(self.rules.limit.into());
        self.give_back(ahead);
        let leased = self.leased();
        let reserve = self.reserve.as_ref();
        let ended = reserve.filter(|it| it.has_ended).map_or(0, Reserve::under_way);
        let asks_reserve = 0 < self.rules.reserve && reserve.is_none_or(|it| !it.has_ended);
        let wanted = saturated(ahead - leased.min(ahead));
        self.reported.append(&mut self.settled);
        self.forgets_asked = self.forget_orders;
        let over =
            |within: Duration| time.latest(now).plus(within.saturating_add(self.rules.ends_within));
        Ask {
            rules: Arc::clone(&self.rules),
            limit,
            held: self.under_way.saturating_add(leased).saturating_add(ended),
            wanted,
            needed: wanted.min(self.needed.max(1)),
            settled: self.reported.iter().map(|it| (time.latest(it.last), it.units)).collect(),
            over: over(self.rules.start_within),
            reserve_over: asks_reserve.then(|| over(RESERVE_FOR)),
            forgets: 0 < self.forget_orders,
            leaves: false,
        }
    }

    /// What to report when nothing is granted any more. Attempts that have not ended count until
    /// they must have.
    pub(in crate::allowance) fn last_ask(&mut self, time: &StoreTime, now: Moment) -> Ask {
        if let Some(mut reserve) = self.reserve.take() {
            reserve.ledger.free(now);
            let over = now.plus(self.rules.ends_within);
            self.count_earlier(over, reserve.ledger.occupied());
        }
        (self.ready, self.needed) = (0, 0);
        (self.demand, self.start_by) = (Demand::default(), Moment::START);
        self.later.clear();
        Ask { leaves: true, wanted: 0, needed: 0, ..self.ask((self.rules.limit, 0), time, now) }
    }

    /// Units that will not be needed soon are for other replicas.
    fn give_back(&mut self, ahead: u64) {
        let mut spare = self.leased().saturating_sub(ahead);
        while let Some((_, units)) = self.later.back_mut().filter(|_| 0 < spare) {
            let less = spare.min(u64::from(*units));
            spare -= less;
            *units -= saturated(less);
            if *units == 0 {
                self.later.pop_back();
            }
        }
        self.ready -= spare;
    }

    /// The store has taken note of what was asked at `asked`, and grants this.
    pub(in crate::allowance) fn granted(&mut self, grant: Grant, time: &StoreTime, asked: Moment) {
        self.away = false;
        self.forget_orders -= std::mem::take(&mut self.forgets_asked);
        self.reported.clear();
        self.needed = 0;
        self.start_by = asked.plus(self.rules.start_within);
        for (at, units) in grant.steps {
            self.later.push_back((time.own_latest(at), units));
        }
        self.ask_again = grant.next.map_or(Moment::START, |at| time.own_latest(at));
        let own = |(at, units): (Moment, u64)| (time.own_latest(at), units);
        let releases = grant.releases.into_iter().map(own).collect();
        self.outlook = Outlook { limit: grant.limit, free: grant.free, releases };
        self.set_reserve(grant.has_reserve, asked);
    }

    fn set_reserve(&mut self, leased: bool, asked: Moment) {
        // A window has room for the whole reserve again once it has passed. A bucket has not, since
        // all that leaks out of it is for others.
        let renews = !matches!(self.rules.release, Release::Leaking { .. });
        let start_by = asked.plus(RESERVE_FOR);
        let Some(reserve) = &mut self.reserve else {
            let window = if renews { self.window() } else { RESERVE_FOR };
            let ledger = Ledger::rolling(self.rules.reserve, window);
            let reserve = Reserve { ledger, start_by, grants: Vec::new(), has_ended: false };
            self.reserve = leased.then_some(reserve);
            return;
        };
        reserve.ledger.free(asked);
        let occupied = u64::from(reserve.ledger.occupied());
        if reserve.has_ended {
            return;
        }
        if leased && (renews || occupied == 0) {
            reserve.start_by = start_by;
            return;
        }
        // The store has forgotten it, or it is used up: what was used of it is reported.
        reserve.has_ended = true;
        let settled = saturated(occupied.saturating_sub(reserve.under_way()));
        self.count_earlier(asked, settled);
        self.drop_ended_reserve();
    }

    fn window(&self) -> Duration {
        self.rules.release.length(self.rules.limit)
    }

    /// The store did not answer. What was asked may be noted there or not.
    pub(in crate::allowance) const fn unanswered(&mut self) {
        self.away = true;
    }

    /// What has settled counts as unused, for all replicas.
    pub(in crate::allowance) fn forget_spent(&mut self) {
        self.settled.clear();
        self.reported.clear();
        self.forget_orders = self.forget_orders.saturating_add(1);
        self.due = true;
    }

    pub(in crate::allowance) fn view(&self) -> RecordView {
        RecordView {
            failed: self.away,
            set_aside: saturated(self.leased()),
            shared_free: Some(self.outlook.free),
        }
    }

    /// What was asked without an answer is noted in the store.
    pub(in crate::allowance) fn was_noted(&mut self) {
        self.reported.clear();
    }

    /// Whether so many units behind others cannot be had, because the store is away.
    pub(in crate::allowance) fn has_failed(&self, ahead: u32, units: u32) -> bool {
        let wanted = u64::from(ahead) + u64::from(units);
        let reserve = self.reserve.as_ref().filter(|it| !it.has_ended);
        let reserve = reserve.map_or(0, |it| it.ledger.limit());
        self.away && self.leased() < wanted && reserve < units
    }

    /// When there are so many units, counted from the first that is not leased.
    pub(in crate::allowance) fn estimate(&self, start: Moment, position: u32) -> Moment {
        if let Some(reserve) = self.reserve.as_ref().filter(|it| self.away && !it.has_ended) {
            return reserve.ledger.estimate(reserve.ledger.limit(), start, position);
        }
        // Before the first answer, all may be free.
        let free = if self.start_by == Moment::START { u64::MAX } else { self.outlook.free };
        let known = self.leased().saturating_add(free);
        let mut more = u64::from(position).saturating_sub(known);
        if more == 0 {
            return start.max(self.turn_of(position));
        }
        let limit = u64::from(self.outlook.limit.max(1));
        let rounds = u32::try_from((more - 1) / limit).unwrap_or(u32::MAX);
        more -= u64::from(rounds) * limit;
        let length = self.window();
        let mut sum = 0;
        for (at, units) in &self.outlook.releases {
            sum += units;
            if more <= sum {
                return at.plus(length.saturating_mul(rounds)).max(start);
            }
        }
        start.plus(length.saturating_mul(rounds.saturating_add(1)))
    }

    /// When the turn of a unit comes that is leased.
    fn turn_of(&self, position: u32) -> Moment {
        let mut sum = self.ready;
        for (at, units) in &self.later {
            if u64::from(position) <= sum {
                break;
            }
            sum += u64::from(*units);
            if u64::from(position) <= sum {
                return *at;
            }
        }
        Moment::START
    }

    /// When the next round trip is due even if nothing happens: when there may be more, to report
    /// what has settled meanwhile, to give back what is not needed, and before a lease ends.
    pub(in crate::allowance) fn next_ask(&self, now: Moment) -> Moment {
        let again = Some(self.ask_again).filter(|it| *it != Moment::START);
        let soon = !self.settled.is_empty() || 0 < self.leased();
        let settling = (0 < self.under_way).then(|| {
            let often = 2 * self.window() / GRAINS;
            now.plus(often.clamp(LEASED_AHEAD, SETTLED_WITHIN))
        });
        let reserve = self.reserve.as_ref().map(|it| it.start_by.minus(RESERVE_FOR / 2));
        let times = [again, soon.then(|| now.plus(LEASED_AHEAD)), settling, reserve];
        times.into_iter().flatten().min().unwrap_or(Moment::NEVER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allowance::settings::Spread;

    fn at(millisecond: u64) -> Moment {
        Moment::from_millis(millisecond)
    }

    fn lease() -> SharedLease {
        let rules = ShareRules {
            name: "a".into(),
            counts: "all".into(),
            limit: 1_280,
            release: Release::After(Duration::from_millis(12_800)),
            spread: Spread::None,
            reserve: 0,
            reserves_max: 0,
            start_within: Duration::from_secs(5),
            ends_within: Duration::from_secs(60),
        };
        SharedLease::new(Arc::new(rules))
    }

    fn time(now: Moment) -> StoreTime {
        StoreTime { shown: now, sent: now, received: now }
    }

    fn ask(lease: &mut SharedLease, waiting: u64, now: Moment) -> Ask {
        lease.ask((1_280, waiting), &time(now), now)
    }

    fn grant(lease: &mut SharedLease, units: u32, now: Moment) {
        let grant = Grant { steps: vec![(now, units)], ..Grant::default() };
        lease.granted(grant, &time(now), now);
    }

    #[test]
    fn a_lease_is_good_until_its_end() {
        let mut lease = lease();
        assert_eq!(lease.check(1, at(0)), Err(Moment::NEVER));
        assert!(lease.take_due() && !lease.take_due());
        assert_eq!(ask(&mut lease, 2, at(0)).wanted, 2);
        grant(&mut lease, 2, at(0));
        assert_eq!(lease.check(2, at(4_999)), Ok(()));
        assert_eq!(lease.occupy(1, 1, at(4_999)), at(5_000));
        assert_eq!(lease.check(1, at(5_001)), Err(Moment::NEVER));
        assert_eq!(ask(&mut lease, 0, at(5_001)).held, 1, "the attempt under way");
    }

    #[test]
    fn what_settled_is_reported_in_parts_of_a_window_until_it_has_arrived() {
        let mut lease = lease();
        ask(&mut lease, 200, at(0));
        grant(&mut lease, 200, at(0));
        for number in 0..150 {
            lease.occupy(number, 1, at(number));
            lease.settle(number, at(number), Charge::ONE);
        }
        let first = ask(&mut lease, 0, at(150)).settled;
        assert_eq!(first, [(at(99), 100), (at(149), 50)]);
        lease.unanswered();
        lease.occupy(150, 1, at(200));
        lease.settle(150, at(200), Charge::ONE);
        let again = ask(&mut lease, 0, at(201)).settled;
        assert_eq!(again, [(at(99), 100), (at(149), 50), (at(200), 1)]);
        lease.unanswered();
        lease.was_noted();
        assert_eq!(ask(&mut lease, 0, at(202)).settled, []);
    }

    #[test]
    fn what_is_not_needed_is_given_back() {
        let mut lease = lease();
        ask(&mut lease, 20, at(0));
        grant(&mut lease, 20, at(0));
        lease.occupy(1, 3, at(0));
        let asked = ask(&mut lease, 0, at(100));
        assert_eq!((asked.held, asked.wanted), (3 + 3, 0), "as much as it used lately");
        assert_eq!(ask(&mut lease, 0, at(300)).held, 3, "nothing was used since");
    }

    #[test]
    fn to_forget_is_asked_until_it_has_arrived() {
        let mut lease = lease();
        lease.forget_spent();
        assert!(ask(&mut lease, 0, at(0)).forgets);
        lease.forget_spent();
        grant(&mut lease, 0, at(0));
        assert!(ask(&mut lease, 0, at(1)).forgets, "the second time");
        grant(&mut lease, 0, at(1));
        assert!(!ask(&mut lease, 0, at(2)).forgets);
    }

    #[test]
    fn the_last_word_names_what_is_under_way() {
        let mut lease = lease();
        ask(&mut lease, 5, at(0));
        grant(&mut lease, 5, at(0));
        lease.occupy(1, 2, at(0));
        let last = lease.last_ask(&time(at(1)), at(1));
        assert_eq!((last.held, last.leaves), (2, true));
    }
}
