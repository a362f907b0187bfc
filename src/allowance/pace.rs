//! How evenly slots are spent: governor's GCRA over a clock and a store of our own.
//!
//! The pace only shapes what the ledger permits, and does not keep the limit itself: a GCRA quota
//! of N per hour lets 2N − 1 through in an hour.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{NotKeyed, StateStore};
use governor::{Quota, RateLimiter};

use crate::outcome::FULL_PACE;
use crate::time::{Moment, nanos};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    pub(super) slots: u32,
    pub(super) over: Duration,
    /// How many slots at once, after rest.
    pub(super) burst: u32,
}

impl Rate {
    /// The time between two slots at `sixteenths` of this rate, rounded up to the nanosecond.
    #[must_use]
    pub(super) fn interval(&self, sixteenths: u8) -> Duration {
        let slots = u128::from(self.slots.max(1)) * u128::from(sixteenths.clamp(1, FULL_PACE));
        let interval = (self.over.as_nanos() * u128::from(FULL_PACE)).div_ceil(slots);
        Duration::from_nanos(u64::try_from(interval).unwrap_or(u64::MAX).max(1))
    }

    /// A part of this rate: so many of so many slots, and no burst.
    #[must_use]
    pub(super) fn lowered(self, part: u32, of: u32) -> Self {
        let over = (self.over.as_nanos() * u128::from(of)).div_ceil(u128::from(part.max(1)));
        let over = Duration::from_nanos(u64::try_from(over).unwrap_or(u64::MAX));
        Self { over, burst: 1, ..self }
    }

    /// The burst at `sixteenths` of this rate, at least one.
    fn burst(&self, sixteenths: u8) -> NonZeroU32 {
        let part = u64::from(self.burst) * u64::from(sixteenths.clamp(1, FULL_PACE))
            / u64::from(FULL_PACE);
        u32::try_from(part).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN)
    }
}

/// The pace of one scope. Each slot takes one turn of it.
#[derive(Debug)]
pub(super) struct Pace {
    rate: Rate,
    /// The interval and burst at the present speed.
    interval: Duration,
    burst: u32,
    store: Store,
    limiter: Limiter,
}

type Limiter = RateLimiter<NotKeyed, Store, Store, NoOpMiddleware<Nanos>>;

/// A state of the pace to which it can be restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Checkpoint(u64);

impl Pace {
    /// A pace at rest, at `sixteenths` of this rate.
    #[must_use]
    pub(super) fn new(rate: Rate, sixteenths: u8) -> Self {
        Self::with_store(Store::default(), rate, sixteenths)
    }

    /// Changes the rate; what was spent of the burst stays spent.
    pub(super) fn set_rate(&mut self, rate: Rate, sixteenths: u8) {
        *self = Self::with_store(self.store.clone(), rate, sixteenths);
    }

    /// Changes the speed; what was spent of the burst stays spent. The burst becomes smaller in
    /// the same proportion, so that the calls that a throttle held back do not go all at once.
    pub(super) fn set_speed(&mut self, sixteenths: u8) {
        self.set_rate(self.rate, sixteenths);
    }

    /// Takes as many turns as a call costs. It may go with the first of them and the next call
    /// waits for all, so that a call that costs more than the burst can go too.
    ///
    /// # Errors
    /// It is too early; the moment is when the next turn comes.
    pub(super) fn take_turn(&self, now: Moment, units: u32) -> Result<(), Moment> {
        let Some(further) = units.checked_sub(1) else { return Ok(()) };
        self.store.set_now(now);
        let turn = self.limiter.check();
        turn.map_err(|wait| Moment::from_nanos(wait.earliest_possible().as_u64()))?;
        if further > 0 {
            let ahead = nanos(self.interval).saturating_mul(u64::from(further));
            self.store.set_arrival(self.store.arrival().saturating_add(ahead));
        }
        Ok(())
    }

    /// Spends what is left of the burst: the next turn comes one interval from now.
    pub(super) fn spend_burst(&self, now: Moment) {
        let ahead = nanos(self.interval).saturating_mul(u64::from(self.burst));
        let spent = now.as_nanos().saturating_add(ahead);
        self.store.set_arrival(self.store.arrival().max(spent));
    }

    /// Takes over what another pace has spent.
    pub(super) fn inherit(&self, from: &Self) {
        self.store.set_arrival(self.store.arrival().max(from.store.arrival()));
    }

    /// The state before a turn is taken, to give it back.
    #[must_use]
    pub(super) fn checkpoint(&self) -> Checkpoint {
        Checkpoint(self.store.arrival())
    }

    /// Gives back all turns taken since the checkpoint. A single turn cannot be given back once
    /// others follow it: GCRA keeps one moment, from which it cannot be subtracted.
    pub(super) fn restore(&self, checkpoint: Checkpoint) {
        self.store.set_arrival(checkpoint.0);
    }

    /// When the `position`-th turn from now comes, counted from 1.
    #[must_use]
    pub(super) fn estimate(&self, now: Moment, position: u32) -> Moment {
        let interval = nanos(self.interval);
        let turns = interval.saturating_mul(u64::from(position.saturating_sub(1)));
        let tolerance = interval.saturating_mul(u64::from(self.burst.saturating_sub(1)));
        let arrival = self.store.arrival().max(now.as_nanos());
        Moment::from_nanos(arrival.saturating_add(turns).saturating_sub(tolerance)).max(now)
    }

    fn with_store(store: Store, rate: Rate, sixteenths: u8) -> Self {
        let interval = rate.interval(sixteenths);
        let quota = Quota::with_period(interval).expect("an interval is at least a nanosecond");
        let burst = rate.burst(sixteenths);
        // governor counts from the moment when a limiter is made, which has to be the same for all.
        store.set_now(Moment::START);
        let limiter = Limiter::new(quota.allow_burst(burst), store.clone(), store.clone());
        Self { rate, interval, burst: burst.get(), store, limiter }
    }
}

/// The clock that governor reads and the store in which it keeps its state.
///
/// It is shared and atomic because a limiter owns its store and gives no access to it. There is no
/// contention, because a pace is behind its account's lock.
#[derive(Clone, Debug, Default)]
struct Store(Arc<StoreState>);

#[derive(Debug, Default)]
struct StoreState {
    now: AtomicU64,
    /// GCRA's theoretical arrival time; zero before the first turn.
    arrival: AtomicU64,
}

impl Store {
    fn set_now(&self, now: Moment) {
        self.0.now.store(now.as_nanos(), Ordering::Relaxed);
    }

    fn arrival(&self) -> u64 {
        self.0.arrival.load(Ordering::Relaxed)
    }

    fn set_arrival(&self, arrival: u64) {
        self.0.arrival.store(arrival, Ordering::Relaxed);
    }
}

impl GovernorClock for Store {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(self.0.now.load(Ordering::Relaxed))
    }
}

impl StateStore for Store {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _key: &NotKeyed, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let arrival = Some(self.arrival()).filter(|arrival| *arrival > 0).map(Nanos::new);
        let (taken, arrival) = decide(arrival)?;
        self.set_arrival(arrival.as_u64());
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(burst: u32) -> Rate {
        Rate { slots: 10, over: Duration::from_secs(1), burst }
    }

    fn ms(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    #[test]
    fn turns_are_evenly_spaced_after_the_burst() {
        let pace = Pace::new(second(2), FULL_PACE);
        assert_eq!(pace.take_turn(ms(5_000), 1), Ok(()));
        assert_eq!(pace.take_turn(ms(5_000), 1), Ok(()));
        assert_eq!(pace.take_turn(ms(5_000), 1), Err(ms(5_100)));
        assert_eq!(pace.take_turn(ms(5_100), 1), Ok(()));
    }

    #[test]
    fn a_turn_can_be_given_back() {
        let pace = Pace::new(second(1), FULL_PACE);
        let checkpoint = pace.checkpoint();
        assert_eq!(pace.take_turn(ms(0), 1), Ok(()));
        pace.restore(checkpoint);
        assert_eq!(pace.take_turn(ms(0), 1), Ok(()));
        assert_eq!(pace.take_turn(ms(0), 1), Err(ms(100)));
    }

    #[test]
    fn a_call_takes_as_many_turns_as_it_costs() {
        let pace = Pace::new(second(2), FULL_PACE);
        assert_eq!(pace.take_turn(ms(0), 0), Ok(()));
        assert_eq!(pace.take_turn(ms(0), 5), Ok(()));
        assert_eq!(pace.take_turn(ms(0), 1), Err(ms(400)));
        assert_eq!(pace.take_turn(ms(0), 0), Ok(()), "it costs nothing");
        assert_eq!(pace.take_turn(ms(400), 1), Ok(()));
    }

    #[test]
    fn a_new_speed_keeps_what_was_spent() {
        let mut pace = Pace::new(second(1), FULL_PACE);
        assert_eq!(pace.take_turn(ms(1_000), 1), Ok(()));
        pace.set_speed(FULL_PACE / 2);
        assert_eq!(pace.take_turn(ms(1_050), 1), Err(ms(1_100)));
        assert_eq!(pace.take_turn(ms(1_100), 1), Ok(()));
        assert_eq!(pace.take_turn(ms(1_200), 1), Err(ms(1_300)));
    }

    #[test]
    fn a_slower_pace_has_a_smaller_burst_and_regains_it() {
        let mut pace = Pace::new(second(8), FULL_PACE);
        let at_once =
            |pace: &Pace, now| (0..20).filter(|_| pace.take_turn(ms(now), 1).is_ok()).count();
        pace.set_speed(FULL_PACE / 2);
        assert_eq!(at_once(&pace, 10_000), 4);
        pace.set_speed(1);
        assert_eq!(at_once(&pace, 100_000), 1);
        pace.set_speed(FULL_PACE);
        assert_eq!(at_once(&pace, 200_000), 8);
    }

    #[test]
    fn a_spent_burst_leaves_evenly_spaced_turns() {
        let pace = Pace::new(second(5), FULL_PACE);
        pace.spend_burst(ms(1_000));
        assert_eq!(pace.estimate(ms(1_000), 2), ms(1_200));
        for turn in 1..=3 {
            assert_eq!(pace.take_turn(ms(1_000 + turn * 100 - 1), 1), Err(ms(1_000 + turn * 100)));
            assert_eq!(pace.take_turn(ms(1_000 + turn * 100), 1), Ok(()));
        }
    }

    #[test]
    fn a_lower_rate_refills_no_burst() {
        let mut pace = Pace::new(second(2), FULL_PACE);
        assert_eq!((pace.take_turn(ms(1_000), 1), pace.take_turn(ms(1_000), 1)), (Ok(()), Ok(())));
        pace.set_rate(Rate { slots: 5, ..second(2) }, FULL_PACE);
        assert_eq!(pace.take_turn(ms(1_000), 1), Ok(()), "the slower rate's own tolerance");
        assert!(pace.take_turn(ms(1_000), 1).is_err());
    }

    #[test]
    fn estimates_are_when_turns_come() {
        let pace = Pace::new(second(2), FULL_PACE);
        for expected in [0, 0, 100, 200] {
            assert_eq!(pace.estimate(ms(0), 1), ms(expected));
            assert_eq!(pace.take_turn(ms(expected), 1), Ok(()));
        }
        assert_eq!(Pace::new(second(2), FULL_PACE).estimate(ms(0), 4), ms(200));
    }

    #[test]
    fn an_interval_is_rounded_up() {
        let thirds = Rate { slots: 3, over: Duration::from_nanos(10), burst: 1 };
        assert_eq!(thirds.interval(FULL_PACE), Duration::from_nanos(4));
        assert_eq!(thirds.interval(1), Duration::from_nanos(54));
    }
}
