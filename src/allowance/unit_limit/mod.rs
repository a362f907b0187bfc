//! An allowance that counts units: its ledger, its pace, and what the vendor states.
//!
//! A statement of the vendor's only ever lowers what is granted, and expires: a lower limit when
//! the vendor states a higher one or has not repeated it for a day, slots used elsewhere at the
//! reset that was stated with them.

mod levers;
mod securing;

use std::time::Duration;

use super::auto_pace::{AutoPace, Usage};
use super::calendar::WallClock;
use super::charge::Charge;
use super::ledger::Ledger;
use super::lever::LoweredLimit;
use super::pace::{Checkpoint, Pace, Rate};
use super::reservation::Reservation;
use super::settings::Spread;
use super::view::LedgerKind;
use crate::outcome::FULL_PACE;
use crate::time::Moment;

/// How long a lower limit is kept without being repeated, or for one window if that is longer. By
/// then a vendor that still applies it has had every chance to say so.
const LEARNED_FOR: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Debug)]
pub(super) struct UnitLimit {
    ledger: Ledger,
    configured: u32,
    /// What the vendor grants and we leave: headroom, and one step of a stepwise refill. What the
    /// vendor states is less by as much to us.
    withheld: u32,
    spread: Spread,
    auto: AutoPace,
    /// The even pace, or what slows any other spread after a throttle.
    pub(super) pace: Option<Pace>,
    sixteenths: u8,
    stated: Option<StatedLimit>,
    used_elsewhere: Option<UsedElsewhere>,
    /// What an operator has lowered the limit to.
    lowered: Option<LoweredLimit>,
    drift: Option<i64>,
    /// How its units are secured, if they are recorded or shared.
    reservation: Option<Reservation>,
}

/// The limit that the vendor states, and until when it is believed.
#[derive(Clone, Copy, Debug)]
struct StatedLimit {
    limit: u32,
    until: Moment,
}

/// Units that are occupied besides our own, because the vendor states that fewer remain.
#[derive(Clone, Copy, Debug)]
struct UsedElsewhere {
    units: u32,
    until: Moment,
}

/// The paces before a turn is taken, to give it back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    auto: AutoPace,
    pace: Option<Checkpoint>,
}

impl UnitLimit {
    /// `withheld` is what the vendor grants beyond the limit of the ledger.
    pub(super) fn new(ledger: Ledger, spread: Spread, withheld: u32) -> Self {
        let pace = match spread {
            Spread::Even { burst } => Some(Pace::new(ledger.rate(burst), FULL_PACE)),
            Spread::Auto | Spread::None => None,
        };
        Self {
            configured: ledger.limit(),
            ledger,
            withheld,
            spread,
            auto: AutoPace::default(),
            pace,
            sixteenths: FULL_PACE,
            stated: None,
            used_elsewhere: None,
            lowered: None,
            drift: None,
            reservation: None,
        }
    }

    /// How long a unit is occupied at most.
    pub(super) fn length(&self) -> Duration {
        self.ledger.length()
    }

    pub(super) const fn kind(&self) -> LedgerKind {
        self.ledger.kind()
    }

    /// The limit that applies now, which may be lower than the configured one.
    pub(super) fn limit(&self) -> u32 {
        self.ledger.limit()
    }

    pub(super) const fn configured(&self) -> u32 {
        self.configured
    }

    /// The limit that the vendor stated, as far as it leaves us less than the configured one.
    pub(super) fn learned(&self) -> Option<u32> {
        let stated = self.stated.map(|stated| self.ours(stated.limit));
        stated.filter(|stated| *stated < self.configured)
    }

    /// Units of attempts under way.
    pub(super) fn in_flight(&self) -> u32 {
        self.ledger.in_flight()
    }

    /// What the vendor states as its limit, if it is configured right.
    pub(super) const fn granted(&self) -> u32 {
        self.configured.saturating_add(self.withheld)
    }

    /// By how much the vendor's latest statement exceeded our own figure.
    pub(super) const fn drift(&self) -> Option<i64> {
        self.drift
    }

    /// Units free at `now`. What the vendor stated is forgotten here once it has expired.
    pub(super) fn free(&mut self, now: Moment) -> u32 {
        if self.used_elsewhere.is_some_and(|elsewhere| elsewhere.until <= now) {
            self.used_elsewhere = None;
        }
        if self.stated.is_some_and(|stated| stated.until <= now) {
            self.stated = None;
            self.apply_limit();
        }
        self.ledger.free(now).saturating_sub(self.units_elsewhere())
    }

    /// Units occupied at `now`, those used elsewhere included.
    pub(super) fn occupied(&mut self, now: Moment) -> u32 {
        self.free(now);
        // Where it is not known how much attempts cost, the whole limit is occupied.
        match self.occupied_before() {
            u32::MAX => self.limit(),
            occupied => occupied,
        }
    }

    /// Whether so many units are free at `now`; if not, when they may be.
    pub(super) fn check_slot(&mut self, now: Moment, units: u32) -> Result<(), Moment> {
        self.check_free(now, units)?;
        match &mut self.reservation {
            None => Ok(()),
            Some(reservation) => reservation.check(units, now),
        }
    }

    /// The same, whether it is recorded or not.
    pub(super) fn check_free(&mut self, now: Moment, units: u32) -> Result<(), Moment> {
        if units <= self.free(now) { Ok(()) } else { Err(self.free_at(units)) }
    }

    /// When so many units are free, or a statement of the vendor's expires.
    pub(super) fn free_at(&self, units: u32) -> Moment {
        let limit = self.ledger.limit();
        let release = match self.used_elsewhere {
            None => self.ledger.free_at(limit, units),
            Some(elsewhere) => {
                let left = limit.saturating_sub(elsewhere.units);
                self.ledger.free_at(left, units).min(elsewhere.until)
            }
        };
        let lower = self.stated.filter(|stated| self.ours(stated.limit) < self.configured);
        lower.map_or(release, |stated| release.min(stated.until))
    }

    /// Takes a turn of its paces, for a call of so many units. Returns what gives it back.
    ///
    /// # Errors
    /// It is too early; the moment is when the next turn comes.
    pub(super) fn take_turn(&mut self, now: Moment, units: u32) -> Result<Turn, Moment> {
        let before = Turn { auto: self.auto, pace: self.pace.as_ref().map(Pace::checkpoint) };
        if self.spread == Spread::Auto {
            self.free(now);
            self.auto.take_turn(now, units, self.usage())?;
        }
        if let Some(pace) = &self.pace
            && let Err(next) = pace.take_turn(now, units)
        {
            self.auto = before.auto;
            return Err(next);
        }
        Ok(before)
    }

    /// Gives back all turns taken since this one.
    pub(super) fn give_back(&mut self, turn: Turn) {
        self.auto = turn.auto;
        if let (Some(pace), Some(before)) = (&self.pace, turn.pace) {
            pace.restore(before);
        }
    }

    /// When a call of so many units would start from `start`, behind calls that take `ahead`.
    pub(super) fn estimate(&self, start: Moment, ahead: u32, units: u32) -> Moment {
        let limit = self.ledger.limit();
        if units == 0 {
            return start;
        }
        if limit < units {
            return self.free_at(units).max(start);
        }
        let (first, last) = (ahead.saturating_add(1), ahead.saturating_add(units));
        let reservation = self.reservation.as_ref();
        if reservation.is_some_and(|it| it.has_failed(ahead, units)) {
            return Moment::NEVER;
        }
        let start = reservation.map_or(start, |it| it.estimate(start, last));
        let mut paced = self.pace.as_ref().map_or(start, |pace| pace.estimate(start, first));
        if self.spread == Spread::Auto {
            // A unit of a rolling window starts no sooner than a window after the one whose place
            // it takes.
            let rounds = match self.kind() {
                LedgerKind::Window => (first - 1) / limit.max(1),
                LedgerKind::Calendar | LedgerKind::Bucket => 0,
            };
            let turn = self.auto.estimate(start, first - rounds * limit, self.usage());
            paced = paced.max(turn.plus(self.length().saturating_mul(rounds)));
        }
        let slot = match self.used_elsewhere.filter(|elsewhere| start < elsewhere.until) {
            None => self.ledger.estimate(limit, start, last),
            Some(elsewhere) => {
                let left = limit.saturating_sub(elsewhere.units);
                let before_reset = self.ledger.estimate(left, start, last);
                before_reset.min(self.ledger.estimate(limit, elsewhere.until, last))
            }
        };
        let unit = self.ledger.unit_of_later_period(start, first);
        match unit.filter(|_| self.spread == Spread::Auto) {
            Some(unit) => {
                slot.plus(AutoPace::wait_in_period(unit, limit, self.length())).max(paced)
            }
            None => slot.max(paced),
        }
    }

    /// Takes units for a grant. Returns by when its attempt has to start.
    pub(super) fn occupy(&mut self, grant: u64, units: u32, now: Moment) -> Moment {
        self.ledger.occupy(units);
        match &mut self.reservation {
            None => Moment::NEVER,
            Some(reservation) => reservation.occupy(grant, units, now),
        }
    }

    pub(super) fn settle(&mut self, grant: u64, at: Moment, charge: Charge) {
        self.ledger.settle(at, charge);
        if let Some(reservation) = &mut self.reservation {
            reservation.settle(grant, at, charge);
        }
    }

    pub(super) fn cancel(&mut self, grant: u64, units: u32) {
        self.ledger.cancel(units);
        if let Some(reservation) = &mut self.reservation {
            reservation.cancel(grant, units);
        }
    }

    /// The vendor states a limit for a window of this length. The configured one stays the
    /// maximum.
    pub(super) fn learn_limit(&mut self, stated: u32, now: Moment) {
        let until = now.plus(LEARNED_FOR.max(self.length()));
        self.stated = Some(StatedLimit { limit: stated, until });
        self.apply_limit();
    }

    /// The vendor states how many units remain until a reset; this replaces its last statement.
    pub(super) fn note_remaining(&mut self, remaining: u32, reset: Duration, now: Moment) {
        self.used_elsewhere = None;
        let remaining = i64::from(remaining) - i64::from(self.withheld);
        let free = self.free(now);
        self.drift = Some(remaining - i64::from(free));
        let units = free.saturating_sub(u32::try_from(remaining).unwrap_or(0));
        if units > 0 {
            let until = now.plus(reset.min(self.ledger.released_in(units)));
            self.used_elsewhere = Some(UsedElsewhere { units, until });
        }
    }

    /// The vendor states its limit, and not how much of it remains.
    pub(super) fn note_stated_limit(&mut self, stated: u32) {
        self.drift = Some(i64::from(stated) - i64::from(self.granted()));
    }

    /// The wall clock was set.
    pub(super) fn set_wall_clock(&mut self, wall: WallClock) {
        self.ledger.set_wall_clock(wall);
    }

    /// Whether nothing would be lost if it were forgotten.
    pub(super) fn is_idle(&mut self, now: Moment) -> bool {
        self.occupied(now) == 0 && self.sixteenths == FULL_PACE
    }

    /// Applies a changed limit and spread from the next grant on. What the vendor has stated stays
    /// in force. Returns whether there is another pace.
    pub(super) fn reconfigure(
        &mut self,
        (limit, withheld): (u32, u32),
        spread: Spread,
        now: Moment,
    ) -> bool {
        let changed = (self.configured, self.spread) != (limit, spread);
        (self.configured, self.withheld, self.spread) = (limit, withheld, spread);
        self.ledger.resize(limit, self.granted(), now);
        self.apply_limit();
        if let Some(lease) = self.lease_mut() {
            lease.set_limit(limit);
        }
        if changed {
            let paced = self.is_paced();
            let rate = self.full_rate();
            match &mut self.pace {
                Some(pace) if paced => pace.set_rate(rate, self.sixteenths),
                None if paced => {
                    let pace = Pace::new(rate, self.sixteenths);
                    // The burst may have been spent just now.
                    pace.spend_burst(now);
                    self.pace = Some(pace);
                }
                Some(_) | None => self.pace = None,
            }
        }
        changed
    }

    /// How far back attempts matter to it.
    pub(super) fn reach(&self) -> Duration {
        self.ledger.reach(self.granted())
    }

    /// Counts units that were used until `at` by attempts that did not know of it.
    pub(super) fn count_earlier(&mut self, at: Moment, units: u32) {
        self.ledger.count_earlier(at, units);
        if let Some(reservation) = &mut self.reservation {
            reservation.count_earlier(at, units);
        }
    }

    /// What was used before fills a bucket at most.
    pub(super) fn bound_earlier(&mut self, now: Moment) {
        self.ledger.bound_earlier(now, self.granted());
    }

    /// An attempt ended at `at` that did not know of it, and of which only is known that there was
    /// one, for which `reserved` was occupied.
    pub(super) fn end_unknown(&mut self, at: Moment, reserved: u32, now: Moment) {
        let granted = self.granted();
        self.ledger.end_unknown(at, reserved, granted, now);
        if let Some(reservation) = &mut self.reservation {
            reservation.settle(0, at, Charge { reserved, used: granted });
        }
    }

    /// Takes over what was spent and slowed in another one of the same allowance, but not what the
    /// vendor stated.
    pub(super) fn inherit(&mut self, from: &Self, now: Moment) {
        self.ledger.inherit(&from.ledger);
        if let Some(lease) = self.shared_mut() {
            lease.count_earlier(now, from.ledger.occupied());
        }
        self.set_speed(from.sixteenths, now);
        self.auto.inherit(from.auto);
        if let (Some(own), Some(other)) = (&self.pace, &from.pace) {
            own.inherit(other);
        }
    }

    /// Sets the pace to a part of the full one. If units are not spread evenly, a pace is added
    /// until the full speed is recovered.
    pub(super) fn set_speed(&mut self, sixteenths: u8, now: Moment) {
        self.sixteenths = sixteenths;
        let paced = self.is_paced();
        match &mut self.pace {
            Some(pace) if paced => pace.set_speed(sixteenths),
            None if paced => {
                let pace = Pace::new(self.full_rate(), sixteenths);
                pace.spend_burst(now);
                self.pace = Some(pace);
            }
            Some(_) | None => self.pace = None,
        }
    }

    /// Whether it has a pace of its own now: by its spread, slowed, or as a lowered bucket.
    const fn is_paced(&self) -> bool {
        let even = matches!(self.spread, Spread::Even { .. });
        let lowered = matches!(self.kind(), LedgerKind::Bucket) && self.lowered.is_some();
        even || self.sixteenths < FULL_PACE || lowered
    }

    fn full_rate(&self) -> Rate {
        let burst = match self.spread {
            Spread::Even { burst } => burst,
            Spread::Auto | Spread::None => 1,
        };
        let rate = self.ledger.rate(burst);
        match self.lowered.filter(|_| self.kind() == LedgerKind::Bucket) {
            Some(to) => rate.lowered(to.of(self.configured), self.configured),
            None => rate,
        }
    }

    /// What a limit of the vendor's leaves to us.
    fn ours(&self, stated: u32) -> u32 {
        stated.saturating_sub(self.withheld).max(1)
    }

    /// Puts the lowest of the limits into force.
    fn apply_limit(&mut self) {
        let stated = self.stated.map_or(u32::MAX, |stated| self.ours(stated.limit));
        let lowered = self.lowered.map_or(u32::MAX, |to| to.of(self.configured));
        let limit = self.configured.min(stated).min(lowered);
        if limit == self.ledger.limit() {
            return;
        }
        self.ledger.set_limit(limit);
        let (rate, sixteenths) = (self.full_rate(), self.sixteenths);
        if let Some(pace) = &mut self.pace {
            pace.set_rate(rate, sixteenths);
        }
    }

    /// How much is used. Before the first settlement no release is known; then it is taken to be
    /// one window after the latest grant.
    fn usage(&self) -> Usage {
        let release = self.ledger.next_release();
        let release = release.unwrap_or_else(|| self.auto.latest().plus(self.length()));
        let next_release = self.used_elsewhere.map_or(release, |it| release.min(it.until));
        Usage { limit: self.ledger.limit(), occupied: self.occupied_before(), next_release }
    }

    /// Units occupied when `free` was last asked, those used elsewhere included.
    fn occupied_before(&self) -> u32 {
        self.ledger.occupied().saturating_add(self.units_elsewhere())
    }

    /// Units that others have used, as the vendor states.
    pub(super) fn units_elsewhere(&self) -> u32 {
        self.used_elsewhere.map_or(0, |elsewhere| elsewhere.units)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::allowance::settings::Refill;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(second: u64) -> Moment {
        Moment::from_millis(second * 1000)
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn window(limit: u32) -> UnitLimit {
        UnitLimit::new(Ledger::rolling(limit, MINUTE), Spread::None, 0)
    }

    fn spend(window: &mut UnitLimit, slots: u32, now: Moment) {
        for _ in 0..slots {
            window.occupy(0, 1, now);
            window.settle(0, now, Charge::ONE);
        }
    }

    #[test]
    fn a_learned_limit_expires_after_a_day_or_when_a_higher_one_is_stated() {
        let mut window = window(100);
        window.learn_limit(10, at(0));
        assert_eq!((window.limit(), window.free(at(0))), (10, 10));
        window.learn_limit(20, at(1));
        assert_eq!(window.limit(), 20);
        window.learn_limit(1_000, at(2));
        assert_eq!((window.limit(), window.free(at(2))), (100, 100));
        window.learn_limit(10, at(3));
        window.learn_limit(10, at(1_000));
        let day = 24 * 60 * 60;
        assert_eq!((window.free(at(day + 999)), window.free(at(day + 1_000))), (10, 100));
        let mut weekly = UnitLimit::new(Ledger::rolling(100, seconds(7 * day)), Spread::None, 0);
        weekly.learn_limit(10, at(0));
        assert_eq!((weekly.free(at(7 * day - 1)), weekly.free(at(7 * day))), (10, 100));
    }

    #[test]
    fn a_learned_limit_slows_the_pace_in_proportion() {
        let mut window = UnitLimit::new(Ledger::rolling(60, MINUTE), Spread::Even { burst: 1 }, 0);
        window.learn_limit(6, at(0));
        assert_eq!(window.estimate(at(0), 1, 1), at(10));
        window.learn_limit(60, at(0));
        assert_eq!(window.estimate(at(0), 1, 1), at(1));
    }

    #[test]
    fn what_the_vendor_states_to_remain_lowers_the_free_slots_until_its_reset() {
        let mut window = window(10);
        spend(&mut window, 2, at(0));
        window.note_remaining(3, seconds(20), at(0));
        assert_eq!((window.free(at(1)), window.occupied(at(1))), (3, 7));
        spend(&mut window, 3, at(1));
        assert_eq!(window.check_slot(at(1), 1), Err(at(20)));
        assert_eq!((window.estimate(at(1), 0, 1), window.estimate(at(1), 5, 1)), (at(20), at(60)));
        window.note_remaining(1, seconds(20), at(2));
        assert_eq!((window.free(at(2)), window.free(at(21)), window.free(at(22))), (1, 1, 5));
        window.note_remaining(9, seconds(3_600), at(30));
        assert_eq!(
            window.free(at(30)),
            5,
            "a statement of more than our own figure changes nothing"
        );
        window.note_remaining(1, seconds(3_600), at(30));
        assert_eq!((window.free(at(61)), window.free(at(90))), (6, 10), "at most one window");
    }

    #[test]
    fn what_is_withheld_is_withheld_of_what_the_vendor_states_too() {
        let mut limit = UnitLimit::new(Ledger::rolling(90, MINUTE), Spread::None, 10);
        limit.learn_limit(100, at(0));
        limit.note_stated_limit(100);
        assert_eq!((limit.limit(), limit.granted(), limit.drift()), (90, 100, Some(0)));
        limit.note_remaining(100, seconds(60), at(0));
        assert_eq!((limit.free(at(0)), limit.drift()), (90, Some(0)));
        limit.note_remaining(30, seconds(60), at(0));
        assert_eq!((limit.free(at(0)), limit.drift()), (20, Some(-70)));
        limit.note_remaining(4, seconds(60), at(0));
        assert_eq!(limit.free(at(0)), 0);
        limit.learn_limit(50, at(70));
        assert_eq!(limit.limit(), 40);
        limit.learn_limit(5, at(70));
        assert_eq!(limit.limit(), 1);
    }

    #[test]
    fn what_others_use_of_a_bucket_leaks_too() {
        let refill = Refill { units: 2, over: seconds(1), step: None };
        let mut limit = UnitLimit::new(Ledger::bucket(40, refill), Spread::None, 0);
        limit.note_remaining(30, MINUTE, at(0));
        assert_eq!([0, 4, 5].map(|second| limit.free(at(second))), [30, 30, 40]);
    }

    #[test]
    fn drift_is_how_far_the_vendors_statement_exceeds_our_figure() {
        let mut window = window(10);
        spend(&mut window, 4, at(0));
        for (remaining, drift) in [(6, 0), (9, 3), (2, -4), (2, -4)] {
            window.note_remaining(remaining, seconds(5), at(0));
            assert_eq!(window.drift(), Some(drift));
        }
        window.note_stated_limit(50);
        assert_eq!(window.drift(), Some(40));
    }

    #[derive(Clone, Copy, Debug)]
    enum Event {
        Ask { latency: u64 },
        Remaining(u32, u64),
        Limit(u32),
        Estimate(u64),
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            5 => (0_u64..90).prop_map(|latency| Event::Ask { latency }),
            1 => (0_u32..9, 0_u64..200).prop_map(|(left, reset)| Event::Remaining(left, reset)),
            1 => (1_u32..12).prop_map(Event::Limit),
            1 => (0_u64..500).prop_map(Event::Estimate),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        /// Whatever the vendor states and whatever is estimated, the configured limit is kept, no
        /// more slots are free than the vendor has just stated, and every statement expires.
        #[test]
        fn statements_only_lower_what_is_granted_and_expire(
            limit in 1_u32..9,
            events in prop::collection::vec((0_u64..40, event()), 1..200),
        ) {
            let mut window = window(limit);
            let (mut now, mut open, mut counted) = (0, Vec::<u64>::new(), Vec::new());
            for (gap, event) in events {
                now += gap;
                open.retain(|answer| {
                    if *answer <= now { window.settle(0, at(*answer), Charge::ONE); }
                    now < *answer
                });
                match event {
                    Event::Ask { latency } => if window.check_slot(at(now), 1).is_ok() {
                        window.occupy(0, 1, at(now));
                        open.push(now + latency);
                        counted.push(now + latency / 2);
                    },
                    Event::Remaining(left, reset) => {
                        let before = window.ledger.clone().free(at(now));
                        window.note_remaining(left, seconds(reset), at(now));
                        let most = if reset == 0 { before } else { left.min(before) };
                        prop_assert_eq!(window.free(at(now)), most);
                    }
                    Event::Limit(stated) => {
                        window.learn_limit(stated, at(now));
                        prop_assert_eq!(window.limit(), stated.min(limit));
                    }
                    Event::Estimate(ahead) => {
                        let free = window.free(at(now));
                        window.estimate(at(now + ahead), 2, 1);
                        prop_assert_eq!(window.free(at(now)), free);
                    }
                }
                if window.check_slot(at(now), 1).is_err_and(|next| next <= at(now)) {
                    prop_assert!(false, "the next check would be at once");
                }
            }
            counted.sort_unstable();
            for (place, first) in counted.iter().enumerate() {
                let within = counted[place..].iter().take_while(|it| **it < first + 60).count();
                prop_assert!(within <= limit as usize, "{within} of {limit}");
            }
            open.iter().for_each(|_| window.cancel(0, 1));
            let later = at(now + 100 + 2 * 24 * 60 * 60);
            prop_assert_eq!((window.free(later), window.limit()), (limit, limit));
        }
    }
}
