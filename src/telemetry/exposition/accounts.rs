//! The gauges of accounts: allowances, holds, levers and queues.

use std::collections::BTreeMap;
use std::fmt;

use prometheus_client::encoding::DescriptorEncoder;

use super::family::Family;
use super::scope_totals::ScopeTotals;
use super::{OTHER, Scrape};
use crate::allowance::AccountView;
use crate::outcome::HoldCause;
use crate::telemetry::metrics::CLIENTS_MAX;
use crate::telemetry::table::{self, Metric};

/// How the value of a metric is read.
type ScopeGauge = fn(&ScopeTotals) -> Option<f64>;
type HoldGauge = fn(&ScopeTotals) -> f64;
type AccountsGauge = fn(&[&AccountView]) -> f64;

/// The classes of waiting calls, the most urgent first.
const CLASSES: [&str; 3] = ["interactive", "normal", "batch"];

impl Scrape {
    pub(super) fn scopes(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let scopes = self.summed_scopes();
        let gauges: [(Metric, ScopeGauge); 10] = [
            (table::LIMIT, |scope| scope.limit.map(f64::from)),
            (table::CONFIGURED, |scope| scope.configured.map(f64::from)),
            (table::REMAINING, |scope| scope.remaining.map(f64::from)),
            (table::IN_FLIGHT, |scope| Some(scope.in_flight as f64)),
            (table::UNRECORDED, |scope| scope.limit.map(|_| f64::from(scope.unrecorded))),
            (table::OCCUPIED, |scope| scope.limit.map(|_| scope.occupied as f64)),
            (table::RESET, |scope| scope.limit.map(|_| scope.next_release.as_secs_f64())),
            (table::DRIFT, |scope| scope.drift.map(|drift| drift as f64)),
            (table::QUEUED, |scope| Some(scope.waiting as f64)),
            (table::PACE, |scope| Some(f64::from(scope.pace_sixteenths) / 16.0)),
        ];
        for (metric, value) in gauges {
            let mut family = Family::open(out, metric)?;
            for ((upstream, policy), scope) in &scopes {
                let labels = metric.labels([self.upstream_label(*upstream), *policy]);
                value(scope).map_or(Ok(()), |value| family.gauge(&labels, value))?;
            }
        }
        Ok(())
    }

    pub(super) fn holds(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let scopes = self.summed_scopes();
        let mut family = Family::open(out, table::HOLD)?;
        for ((upstream, policy), scope) in &scopes {
            for cause in HoldCause::ALL {
                let name = self.upstream_label(*upstream);
                let labels = table::HOLD.labels([name, *policy, cause.as_str()]);
                family.gauge(&labels, f64::from(scope.holds[cause as usize]))?;
            }
        }
        let gauges: [(Metric, HoldGauge); 4] = [
            (table::HOLD_REMAINING, |scope| scope.hold_remaining.as_secs_f64()),
            (table::PAUSED, |scope| f64::from(scope.paused)),
            (table::LOWERED, |scope| f64::from(scope.lowered)),
            (table::HOLD_FAILURES, |scope| f64::from(scope.hold_failures)),
        ];
        for (metric, value) in gauges {
            let mut family = Family::open(out, metric)?;
            for ((upstream, policy), scope) in &scopes {
                let labels = metric.labels([self.upstream_label(*upstream), *policy]);
                family.gauge(&labels, value(scope))?;
            }
        }
        Ok(())
    }

    pub(super) fn waiting(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let gauges: [(Metric, AccountsGauge); 3] = [
            (table::WAITING, |own| own.iter().map(|a| a.waiting).sum::<usize>() as f64),
            (table::LONGEST_WAIT, |own| {
                own.iter().map(|a| a.longest_wait).max().unwrap_or_default().as_secs_f64()
            }),
            (table::ACCOUNTS, |own| own.len() as f64),
        ];
        for (metric, value) in gauges {
            let mut family = Family::open(out, metric)?;
            self.each_upstream(|upstream, name| {
                let own: Vec<_> = self.accounts_of(upstream).collect();
                family.gauge(&[("upstream", name)], value(&own))
            })?;
        }
        let mut overflow = Family::open(out, table::OVERFLOW)?;
        self.each_upstream(|upstream, name| {
            let calls = self.accounts_of(upstream).filter_map(|view| view.overflow_calls).sum();
            overflow.counter(&[("upstream", name)], calls)
        })
    }

    /// Waiting calls by class and by client. As elsewhere, further clients share a series.
    pub(super) fn waiting_by(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut family = Family::open(out, table::WAITING_BY_CLASS)?;
        self.each_upstream(|upstream, name| {
            CLASSES.iter().enumerate().try_for_each(|(place, class)| {
                let calls = self.accounts_of(upstream).map(|it| it.waiting_by_class[place]);
                let calls = calls.sum::<usize>();
                family.gauge(&table::WAITING_BY_CLASS.labels([name, class]), calls as f64)
            })
        })?;
        let mut family = Family::open(out, table::WAITING_BY_CLIENT)?;
        let clients = self.names.clients.iter().take(CLIENTS_MAX);
        let own_series: Vec<&str> = clients.map(|name| &**name).collect();
        self.each_upstream(|upstream, name| {
            let mut summed: BTreeMap<&str, usize> = BTreeMap::new();
            let waiting = self.accounts_of(upstream).flat_map(|it| &it.waiting_by_client);
            for (client, calls) in waiting {
                let own = own_series.iter().find(|own| ***own == **client);
                *summed.entry(own.map_or(OTHER, |own| own)).or_default() += calls;
            }
            summed.into_iter().try_for_each(|(client, calls)| {
                family.gauge(&table::WAITING_BY_CLIENT.labels([name, client]), calls as f64)
            })
        })
    }

    fn accounts_of(&self, upstream: usize) -> impl Iterator<Item = &AccountView> {
        self.accounts.iter().filter(move |view| view.upstreams.contains(&upstream))
    }

    /// The scopes of all accounts by upstream and name. An account's key may come from a request,
    /// so it must not become a label.
    fn summed_scopes(&self) -> BTreeMap<(usize, &str), ScopeTotals> {
        let mut summed: BTreeMap<(usize, &str), ScopeTotals> = BTreeMap::new();
        for account in &self.accounts {
            for (upstream, scope) in account
                .upstreams
                .iter()
                .flat_map(|upstream| account.scopes.iter().map(move |scope| (*upstream, scope)))
            {
                summed.entry((upstream, &*scope.name)).or_default().add(scope);
            }
        }
        summed
    }
}
