//! What an allowance grants: a limit per window or calendar period, a bucket, or calls at a time.

use std::time::Duration;

use jiff::civil::Weekday;

use super::reader::{Resolver, Scope};
use crate::allowance::{Calendar, Grant, Period, Refill, Spread};
use crate::config::diagnostic::{Diagnostic, DiagnosticCode};
use crate::config::format::{Day, Headroom, Length, Limit};
use crate::config::item::Item;
use crate::config::keys::{self, Declaration, Spreading};
use crate::config::provenance::Origin;
use crate::dialect::Dialect;

/// How an allowance says what it grants.
#[derive(Clone, Copy)]
enum Kind {
    Limit,
    Bucket,
    Concurrency,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Limit, Self::Bucket, Self::Concurrency];

    fn key(self) -> &'static dyn Declaration {
        match self {
            Self::Limit => &keys::LIMIT,
            Self::Bucket => &keys::BUCKET,
            Self::Concurrency => &keys::CONCURRENCY,
        }
    }
}

impl<'a> Resolver<'a> {
    pub(super) fn grant(&mut self, scope: &Scope<'a>, dialect: Option<&Dialect>) -> Option<Grant> {
        let is_written = |kind: &Kind| scope.own(kind.key()).is_some();
        let mut written = Kind::ALL.into_iter().filter(is_written);
        let (first, second) = (written.next(), written.next());
        if let (Some(first), Some(second)) = (first, second) {
            let (one, other) = (first.key().path(), second.key().path());
            let message = format!("an allowance has either `{one}` or `{other}`, not both");
            let accepted = format!("two allowances, one with `{one}` and one with `{other}`");
            let at = scope.own(second.key()).map(|item| item.at);
            self.conflict(at, scope.key(second.key()), message, accepted);
            return None;
        }
        let Some(kind) = first else {
            if let Some(item) = scope.strong.first().filter(|item| item.is_map()) {
                let message = format!("`{}` grants nothing", scope.path);
                let code = DiagnosticCode::MissingKey;
                let diagnostic = Diagnostic::new(code, Some(item.at), message);
                let accepted =
                    "`limit: 10/s`, `bucket: { size: 40, refill: 2/s }` or `concurrency: 8`";
                self.diagnostics.push(diagnostic.key(scope.path.clone()).accepted(accepted));
            }
            return None;
        };
        let (beside, without_effect): (&dyn Declaration, &[&dyn Declaration]) = match kind {
            Kind::Limit if scope.own(&keys::RESETS).is_some() => {
                (&keys::RESETS, &[&keys::ARRIVAL_GUARD])
            }
            Kind::Limit => (&keys::LIMIT, &[]),
            Kind::Bucket | Kind::Concurrency => {
                (kind.key(), &[&keys::BURST, &keys::SPREAD, &keys::ARRIVAL_GUARD, &keys::RESETS])
            }
        };
        for setting in without_effect {
            if let Some(item) = scope.own(*setting) {
                let beside = beside.path();
                let message = format!("`{}` has no effect beside `{beside}`", setting.path());
                let accepted = format!("`{beside}` alone");
                self.conflict(Some(item.at), scope.key(*setting), message, accepted);
            }
        }
        match kind {
            Kind::Limit => self.limit(scope, dialect),
            Kind::Bucket => self.bucket(scope),
            Kind::Concurrency => {
                let permits = self.optional(scope, &keys::CONCURRENCY)?;
                Some(Grant::Concurrency { limit: permits })
            }
        }
    }

    fn limit(&mut self, scope: &Scope<'a>, dialect: Option<&Dialect>) -> Option<Grant> {
        let limit = self.optional(scope, &keys::LIMIT)?;
        let spread = self.spread(scope, limit, dialect);
        if let Some(resets) = scope.own(&keys::RESETS) {
            let calendar = self.calendar(scope, resets, limit)?;
            return Some(Grant::Calendar { limit: limit.calls, calendar, spread });
        }
        let arrival_guard = self.arrival_guard(scope, limit.window);
        let Limit { calls, window } = limit;
        Some(Grant::Window { limit: calls, window, spread, arrival_guard })
    }

    fn calendar(&mut self, scope: &Scope<'a>, resets: &'a Item, limit: Limit) -> Option<Calendar> {
        let inside = Scope::of(Some(resets), keys::RESETS_KEYS, scope.key(&keys::RESETS));
        let at = self.get(&inside, &keys::RESETS_AT);
        let zone = self.get(&inside, &keys::RESETS_ZONE);
        let day = self.optional(&inside, &keys::RESETS_DAY);
        if inside.own(&keys::RESETS_DAY).is_some() && day.is_none() {
            return None;
        }
        let units = [
            (Period::Day, "a day"),
            (Period::Week(Weekday::Monday), "a week"),
            (Period::Month(1), "a month"),
        ];
        let unit = units.into_iter().find(|(unit, _)| unit.length() == limit.window);
        let Some((unit, name)) = unit else {
            let message = format!("`{limit}` is not counted by the calendar");
            let accepted = "a `limit` per day, week or month; without `resets`, a rolling window";
            self.conflict(Some(resets.at), scope.key(&keys::RESETS), message, accepted);
            return None;
        };
        let period = match (unit, day) {
            (Period::Week(_), Some(Day::OfWeek(day))) => Period::Week(day),
            (Period::Month(_), Some(Day::OfMonth(day))) => Period::Month(day),
            (unit, None) => unit,
            (unit, Some(_)) => {
                let item = inside.own(&keys::RESETS_DAY);
                let message = format!("this is not how {name} begins");
                let accepted = match unit {
                    Period::Day => "no `day`: every day has its reset",
                    Period::Week(_) => "mon, tue, wed, thu, fri, sat or sun",
                    Period::Month(_) => "a day of the month from 1 to 31",
                };
                let key = inside.key(&keys::RESETS_DAY);
                self.conflict(item.map(|item| item.at), key, message, accepted);
                return None;
            }
        };
        Some(Calendar { period, at, zone })
    }

    fn bucket(&mut self, scope: &Scope<'a>) -> Option<Grant> {
        let item = scope.own(&keys::BUCKET)?;
        let inside = Scope::of(Some(item), keys::BUCKET_KEYS, scope.key(&keys::BUCKET));
        let size = self.optional(&inside, &keys::BUCKET_SIZE);
        let refill = inside.own(&keys::BUCKET_REFILL)?;
        let refill = Scope::of(Some(refill), keys::REFILL_KEYS, inside.key(&keys::BUCKET_REFILL));
        let rate = self.optional(&refill, &keys::REFILL_RATE)?;
        let step = self.optional(&refill, &keys::REFILL_EVERY);
        let size = size?;
        let refill = Refill { units: rate.calls, over: rate.window, step };
        if size <= refill.step_units() {
            let message = format!(
                "a bucket of {size} is not larger than one step of its refill, {} units every {}",
                refill.step_units(),
                Length(step.unwrap_or_default())
            );
            let accepted = "a `size` above one step, or no `every` where the refill is continuous";
            let key = inside.key(&keys::BUCKET_SIZE);
            self.conflict(inside.own(&keys::BUCKET_SIZE).map(|it| it.at), key, message, accepted);
            return None;
        }
        Some(Grant::Bucket { size, refill })
    }

    /// How many units are left to whoever else uses the account.
    pub(super) fn headroom(&mut self, scope: &Scope<'a>, grant: &Grant) -> Option<u32> {
        let granted = grant.units();
        let headroom = match self.get(scope, &keys::HEADROOM) {
            Headroom::Units(units) => units,
            // Rounded up: in doubt more is left.
            Headroom::Percent(percent) => {
                let units = (u64::from(granted) * u64::from(percent)).div_ceil(100);
                u32::try_from(units).unwrap_or(u32::MAX)
            }
        };
        if headroom < granted {
            return Some(headroom);
        }
        let message = format!("a headroom of {headroom} leaves nothing of {granted}");
        let at = scope.own(&keys::HEADROOM).map(|item| item.at);
        self.conflict(at, scope.key(&keys::HEADROOM), message, "less than what is granted");
        None
    }

    pub(super) fn linger(&mut self, scope: &Scope<'a>, grant: &Grant) -> Duration {
        let derived = match grant {
            Grant::Window { .. } | Grant::Calendar { .. } | Grant::Bucket { .. } => {
                keys::WINDOW_LINGER
            }
            Grant::Concurrency { .. } => keys::CONCURRENCY_LINGER,
        };
        self.record_derived(scope, &keys::LINGER, Length(derived).to_string());
        self.optional(scope, &keys::LINGER).unwrap_or(derived)
    }

    pub(super) fn spread(
        &mut self,
        scope: &Scope<'a>,
        limit: Limit,
        dialect: Option<&Dialect>,
    ) -> Spread {
        let burst = scope.own(&keys::BURST);
        let spreading = self.optional(scope, &keys::SPREAD).unwrap_or_else(|| {
            let dialect = dialect.filter(|dialect| dialect.spreads_evenly);
            let origin = dialect.map(|dialect| Origin::Dialect(dialect.name.to_string()));
            let even = burst.is_some() || origin.is_some();
            let (spreading, value) =
                if even { (Spreading::Even, "even") } else { (Spreading::Auto, "auto") };
            if scope.own(&keys::SPREAD).is_none() {
                let origin = origin.unwrap_or(Origin::Default);
                self.record(scope, &keys::SPREAD, value.to_owned(), origin);
            }
            spreading
        });
        let (spread, word) = match spreading {
            Spreading::Even => return Spread::Even { burst: self.burst(scope, limit) },
            Spreading::Auto => (Spread::Auto, "auto"),
            Spreading::None => (Spread::None, "none"),
        };
        if let Some(burst) = burst {
            let message = format!("`burst` has no effect with `spread: {word}`");
            self.conflict(Some(burst.at), scope.key(&keys::BURST), message, "one of the two");
        }
        spread
    }

    fn burst(&mut self, scope: &Scope<'a>, limit: Limit) -> u32 {
        let derived = (limit.calls / keys::BURST_DIVISOR).max(1);
        self.record_derived(scope, &keys::BURST, derived.to_string());
        let burst = self.optional(scope, &keys::BURST).unwrap_or(derived);
        if let Some(item) = scope.own(&keys::BURST)
            && burst > limit.calls
        {
            let message = format!("a burst of {burst} is more than the limit {limit}");
            let accepted = format!("1 to {}", limit.calls);
            self.conflict(Some(item.at), scope.key(&keys::BURST), message, accepted);
        }
        burst
    }

    fn arrival_guard(&mut self, scope: &Scope<'a>, window: Duration) -> Option<Duration> {
        if let Some(guard) = self.optional(scope, &keys::ARRIVAL_GUARD) {
            return Some(guard);
        }
        let guard = (window < keys::GUARDED_BELOW).then_some(keys::ARRIVAL_GUARD_DEFAULT)?;
        self.record_derived(scope, &keys::ARRIVAL_GUARD, Length(guard).to_string());
        Some(guard)
    }
}
