//! What the store holds of an account, and how many units a replica may lease.
//!
//! All moments are the store's. A replica knows its clock up to the length of a round trip: it
//! takes the early bound for now, and the late bound for when attempts end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::used::{Release, Used};
use crate::allowance::auto_pace::{AutoPace, Usage};
use crate::allowance::charge::saturated;
use crate::allowance::pace::Rate;
use crate::allowance::settings::Spread;
use crate::outcome::FULL_PACE;
use crate::time::Moment;

/// Units whose turn comes within this time are leased together: at ten thousand calls a second, one
/// round trip serves hundreds of them.
const HORIZON: Duration = Duration::from_millis(100);

/// Turns that are closer than this are one.
const STEP: Duration = Duration::from_millis(1);

/// While other replicas have leases that they may give back, a replica that needs more asks again
/// so often.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// How one allowance is shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::allowance) struct ShareRules {
    pub(in crate::allowance) name: Arc<str>,
    /// Which calls it counts and how: what was counted of others says nothing about it.
    pub(in crate::allowance) counts: Arc<str>,
    pub(in crate::allowance) limit: u32,
    pub(in crate::allowance) release: Release,
    pub(in crate::allowance) spread: Spread,
    /// What a replica may use while the store is away.
    pub(in crate::allowance) reserve: u32,
    /// How many replicas have such a reserve.
    pub(in crate::allowance) reserves_max: u32,
    /// For how long leased units may be used.
    pub(in crate::allowance) start_within: Duration,
    /// The longest that an attempt takes to settle.
    pub(in crate::allowance) ends_within: Duration,
}

/// What a replica has of an allowance, and would like to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::allowance) struct Ask {
    pub(in crate::allowance) rules: Arc<ShareRules>,
    /// The limit that the replica applies, which may be lower than the configured one.
    pub(in crate::allowance) limit: u32,
    /// Units of attempts under way, and those that it has leased and keeps.
    pub(in crate::allowance) held: u64,
    /// More units that it would like to have, and the fewest that are of use to it.
    pub(in crate::allowance) wanted: u32,
    pub(in crate::allowance) needed: u32,
    /// What has settled since the last round trip, and when.
    pub(in crate::allowance) settled: Vec<(Moment, u64)>,
    /// When the attempts of all that it holds or is granted have settled.
    pub(in crate::allowance) over: Moment,
    /// The same of its reserve; `None` if it asks for none.
    pub(in crate::allowance) reserve_over: Option<Moment>,
    /// An operator has all that was settled count as unused.
    pub(in crate::allowance) forgets: bool,
    /// It is the last word of a replica, which has nothing any more.
    pub(in crate::allowance) leaves: bool,
}

/// What a replica is granted, and what it should know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::allowance) struct Grant {
    /// How many units may be used from when on.
    pub(in crate::allowance) steps: Vec<(Moment, u32)>,
    /// When it should ask for the rest.
    pub(in crate::allowance) next: Option<Moment>,
    pub(in crate::allowance) name: Arc<str>,
    pub(in crate::allowance) own_limit: u32,
    /// The lowest limit of the replicas, which binds.
    pub(in crate::allowance) limit: u32,
    /// Units that all replicas together do not use.
    pub(in crate::allowance) free: u64,
    /// When how many units are released, ascending, as far as it is known.
    pub(in crate::allowance) releases: Vec<(Moment, u64)>,
    /// Whether a reserve is leased.
    pub(in crate::allowance) has_reserve: bool,
}

impl Grant {
    /// The allowance and the limit of another replica, if it is lower.
    pub(in crate::allowance) fn lower_limit(&self) -> Option<(Arc<str>, u32)> {
        (self.limit < self.own_limit).then(|| (Arc::clone(&self.name), self.limit))
    }
}

/// The value in the store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::allowance) struct SharedAccount {
    /// How often the store has forgotten what it held, as far as that was noticed.
    pub(in crate::allowance) epoch: u64,
    /// How often the value has been written in this epoch.
    pub(in crate::allowance) writes: u64,
    /// When the epoch began. What was leased before may be unknown.
    pub(in crate::allowance) since: u64,
    /// By then all that is in it has been released.
    matters_until: u64,
    allowances: BTreeMap<Arc<str>, SharedAllowance>,
    replicas: BTreeMap<Arc<str>, Presence>,
    /// No replica has written it before, so that what is not in it was not used in this epoch.
    #[serde(skip)]
    is_new: bool,
}

/// The latest write of a replica that has a share.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Presence {
    write: u64,
    until: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct SharedAllowance {
    counts: Arc<str>,
    /// The epoch in which all that is unknown was counted.
    epoch: u64,
    #[serde(flatten)]
    used: Used,
    shares: BTreeMap<Arc<str>, Share>,
    /// The latest turn of the automatic pace.
    #[serde(default)]
    turn: u64,
    /// When the next turn of the even pace is due.
    #[serde(default)]
    due: u64,
}

/// What one replica has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Share {
    limit: u32,
    leased: u64,
    over: u64,
    #[serde(default)]
    reserve: u32,
    #[serde(default)]
    reserve_over: u64,
}

impl SharedAccount {
    /// An account of which the store holds nothing.
    pub(in crate::allowance) fn new(epoch: u64, since: Moment) -> Self {
        Self { epoch, since: since.as_nanos(), is_new: true, ..Self::default() }
    }

    /// The store has forgotten a part of it: an epoch begins in which all that was free may have
    /// been used.
    #[must_use]
    pub(in crate::allowance) fn after_loss(self, epoch: u64, since: Moment) -> Self {
        Self { epoch, since: since.as_nanos(), ..self }
    }

    /// Whether it is more recent than another value of the same account.
    pub(in crate::allowance) fn is_newer_than(&self, other: &Self) -> bool {
        (other.epoch, other.writes) < (self.epoch, self.writes)
    }

    /// The latest write of a replica that is known here.
    pub(in crate::allowance) fn latest_write(&self, replica: &str) -> Option<u64> {
        self.replicas.get(replica).map(|presence| presence.write)
    }

    pub(in crate::allowance) const fn matters_until(&self) -> Moment {
        Moment::from_nanos(self.matters_until)
    }

    /// Takes note of what a replica has, and grants what it may have besides.
    pub(in crate::allowance) fn grant(
        &mut self,
        (replica, write): (&Arc<str>, u64),
        asks: &[Ask],
        now: Moment,
    ) -> Vec<Grant> {
        let grants = asks.iter().map(|ask| self.grant_one(replica, ask, now)).collect();
        let over = asks.iter().map(|ask| ask.over).max().unwrap_or(now);
        let presence = Presence { write, until: over.as_nanos() };
        self.replicas.retain(|_, it| now.as_nanos() < it.until);
        self.replicas.insert(Arc::clone(replica), presence);
        self.writes += 1;
        let lasts = asks.iter().filter_map(|ask| {
            let allowance = self.allowances.get(&ask.rules.name)?;
            Some(allowance.matters_until(&ask.rules, now))
        });
        let until = lasts.max().unwrap_or(now).max(over);
        self.matters_until = self.matters_until.max(until.as_nanos());
        grants
    }

    fn grant_one(&mut self, replica: &Arc<str>, ask: &Ask, now: Moment) -> Grant {
        let rules = &*ask.rules;
        let since = Moment::from_nanos(self.since);
        let allowance = self.allowances.entry(Arc::clone(&rules.name)).or_default();
        let longest = rules.start_within.saturating_add(rules.ends_within);
        if allowance.counts.is_empty() {
            // What calls have used before it was shared is unknown, unless the account is new too.
            let from = if self.is_new { since.plus(longest) } else { now.plus(longest) };
            allowance.start_spent(ask, from);
        } else if allowance.counts != rules.counts {
            allowance.start_spent(ask, now.plus(longest));
        } else if allowance.epoch < self.epoch {
            allowance.spend_unknown(rules, since.plus(longest), now);
        }
        allowance.epoch = self.epoch;
        allowance.expire(&rules.release, now);
        allowance.used.prune(&rules.release, now);
        if ask.forgets {
            allowance.used = Used::default();
        }
        for (at, units) in &ask.settled {
            allowance.used.add(&rules.release, *at, *units);
        }
        if ask.leaves {
            allowance.shares.remove(replica);
            if 0 < ask.held {
                let (leased, over) = (ask.held, ask.over.as_nanos());
                let share = Share { limit: ask.limit, leased, over, ..Share::default() };
                allowance.shares.insert(Arc::clone(replica), share);
            }
            return Grant::default();
        }
        allowance.lease(replica, ask, now)
    }
}

impl SharedAllowance {
    /// Units of replicas that are not heard of any more have settled.
    fn expire(&mut self, release: &Release, now: Moment) {
        let Self { used, shares, .. } = self;
        shares.retain(|_, share| {
            if share.over <= now.as_nanos() {
                used.add(release, Moment::from_nanos(share.over), share.leased);
                share.leased = 0;
            }
            if share.reserve_over <= now.as_nanos() {
                let over = Moment::from_nanos(share.reserve_over);
                used.add(release, over, share.reserve.into());
                share.reserve = 0;
            }
            now.as_nanos() < share.over.max(share.reserve_over)
        });
    }

    /// What is not known to have settled counts as used until `at`. That includes what was leased:
    /// it may have been given back and leased by another replica since. Reserves are never given
    /// back.
    fn spend_unknown(&mut self, rules: &ShareRules, at: Moment, now: Moment) {
        self.shares.values_mut().for_each(|share| share.leased = 0);
        if let Release::Leaking { .. } = rules.release {
            return self.used.fill(&rules.release, at, self.limit(rules.limit));
        }
        let known = self.occupied(&rules.release, now);
        let unknown = u64::from(self.limit(rules.limit)).saturating_sub(known);
        self.used.add(&rules.release, at, unknown);
    }

    /// All of it counts as used until `at`.
    fn start_spent(&mut self, ask: &Ask, at: Moment) {
        self.counts = Arc::clone(&ask.rules.counts);
        self.used = Used::default();
        self.used.add(&ask.rules.release, at, ask.rules.limit.into());
    }

    fn occupied(&self, release: &Release, now: Moment) -> u64 {
        let leased = self.shares.values().map(|it| it.leased.saturating_add(it.reserve.into()));
        leased.fold(self.used.count(release, now), u64::saturating_add)
    }

    /// When all that is in it has been released.
    fn matters_until(&self, rules: &ShareRules, now: Moment) -> Moment {
        let over = self.shares.values().map(|it| it.over.max(it.reserve_over)).max();
        let settled = Moment::from_nanos(over.unwrap_or(0)).max(now);
        settled.plus(rules.release.length(rules.limit).saturating_mul(2))
    }

    /// The lowest limit that a replica knows.
    fn limit(&self, own: u32) -> u32 {
        self.shares.values().map(|share| share.limit).fold(own, u32::min)
    }

    fn lease(&mut self, replica: &Arc<str>, ask: &Ask, now: Moment) -> Grant {
        let rules = &*ask.rules;
        let share = self.shares.entry(Arc::clone(replica)).or_default();
        (share.limit, share.leased, share.over) = (ask.limit, ask.held, ask.over.as_nanos());
        let limit = self.limit(ask.limit);
        let has_reserve = self.lease_reserve(replica, ask, limit, now);
        let free = u64::from(limit).saturating_sub(self.occupied(&rules.release, now));
        let wanted = self.fair_part(ask, free);
        let next_release = self.next_release(rules, limit, now);
        let usage = Usage { limit, occupied: limit - saturated(free).min(limit), next_release };
        let (steps, next_turn) = self.take_turns(rules, wanted, usage, now);
        let granted = steps.iter().map(|(_, units)| u64::from(*units)).sum::<u64>();
        if let Some(share) = self.shares.get_mut(replica) {
            share.leased = share.leased.saturating_add(granted);
        }
        let left = free - granted.min(free);
        let next = (granted < u64::from(ask.wanted))
            .then(|| next_turn.unwrap_or_else(|| self.next_chance(replica, ask, left, now)));
        let releases = self.releases(rules, now);
        Grant {
            steps,
            next,
            name: Arc::clone(&rules.name),
            own_limit: ask.limit,
            limit,
            free: left,
            releases,
            has_reserve,
        }
    }

    /// Leases or prolongs what a replica may use while the store is away.
    fn lease_reserve(&mut self, replica: &Arc<str>, ask: &Ask, limit: u32, now: Moment) -> bool {
        let Some(over) = ask.reserve_over else { return false };
        let reserves = self.shares.values().filter(|share| 0 < share.reserve).count();
        let free = u64::from(limit).saturating_sub(self.occupied(&ask.rules.release, now));
        let Some(share) = self.shares.get_mut(replica) else { return false };
        let room =
            reserves < ask.rules.reserves_max as usize && u64::from(ask.rules.reserve) <= free;
        if share.reserve == 0 && !room {
            return false;
        }
        share.reserve = share.reserve.max(ask.rules.reserve);
        share.reserve_over = over.as_nanos();
        true
    }

    /// How much of what is wanted is leased, so that the other replicas find some too.
    fn fair_part(&self, ask: &Ask, free: u64) -> u32 {
        let active = self.shares.values().filter(|share| 0 < share.leased).count().max(1) as u64;
        let part = free.div_ceil(active).max(ask.needed.into()).min(free);
        if part < u64::from(ask.needed) { 0 } else { ask.wanted.min(saturated(part)) }
    }

    /// The turns of the pace that come soon, for up to so many units; and when the next one comes,
    /// if the pace is why there are not more.
    fn take_turns(
        &mut self,
        rules: &ShareRules,
        wanted: u32,
        mut usage: Usage,
        now: Moment,
    ) -> (Vec<(Moment, u32)>, Option<Moment>) {
        let mut steps: Vec<(Moment, u32)> = Vec::new();
        let (mut left, end) = (wanted, now.plus(HORIZON));
        while 0 < left {
            let (turn, units) = match rules.spread {
                Spread::None => (now, left),
                Spread::Auto => self.automatic_turn(left, usage, now),
                Spread::Even { burst } => (self.even_turn(rules, usage.limit, burst, now), 1),
            };
            if end < turn {
                return (steps, Some(turn));
            }
            match rules.spread {
                Spread::None => {}
                Spread::Auto => self.turn = turn.as_nanos(),
                Spread::Even { burst } => {
                    let rate = even_rate(rules, usage.limit, burst);
                    let due = Moment::from_nanos(self.due).max(turn);
                    self.due = due.plus(rate.interval(FULL_PACE)).as_nanos();
                }
            }
            usage.occupied = usage.occupied.saturating_add(units);
            left -= units;
            match steps.last_mut().filter(|last| turn.since(last.0) < STEP) {
                Some(last) => *last = (turn, last.1 + units),
                None => steps.push((turn, units)),
            }
        }
        (steps, None)
    }

    /// The next turn of the automatic pace, and how many units start at it.
    fn automatic_turn(&self, wanted: u32, usage: Usage, now: Moment) -> (Moment, u32) {
        let at_once = usage.at_once();
        if 0 < at_once {
            return (now, wanted.min(at_once));
        }
        let pace = AutoPace::after(Moment::from_nanos(self.turn));
        (pace.estimate(now, 1, usage), 1)
    }

    fn even_turn(&self, rules: &ShareRules, limit: u32, burst: u32, now: Moment) -> Moment {
        let interval = even_rate(rules, limit, burst).interval(FULL_PACE);
        let tolerance = interval.saturating_mul(burst.saturating_sub(1));
        Moment::from_nanos(self.due).minus(tolerance).max(now)
    }

    /// When a unit becomes free next. As long as none has settled, it is taken to be the length of
    /// a window after the latest turn.
    fn next_release(&self, rules: &ShareRules, limit: u32, now: Moment) -> Moment {
        self.used.released_by(&rules.release, 1, now).unwrap_or_else(|| {
            Moment::from_nanos(self.turn).max(now).plus(rules.release.length(limit))
        })
    }

    /// When there may be as many units as the replica needs, of which so many are left.
    fn next_chance(&self, replica: &Arc<str>, ask: &Ask, left: u64, now: Moment) -> Moment {
        let more = u64::from(ask.needed.max(1)).saturating_sub(left).max(1);
        let released = self.used.released_by(&ask.rules.release, more, now);
        let others = self.shares.iter().any(|(name, it)| name != replica && 0 < it.leased);
        let given_back = now.plus(ASK_AGAIN);
        match released {
            Some(released) if !others => released,
            Some(released) => released.min(given_back),
            None => given_back,
        }
    }

    /// What is leased is taken to settle now.
    fn releases(&self, rules: &ShareRules, now: Moment) -> Vec<(Moment, u64)> {
        let mut used = self.used.clone();
        let leased = self.shares.values().map(|share| share.leased).sum();
        used.add(&rules.release, now, leased);
        used.curve(&rules.release, now)
    }
}

fn even_rate(rules: &ShareRules, limit: u32, burst: u32) -> Rate {
    Rate { slots: limit, over: rules.release.length(limit), burst }
}
