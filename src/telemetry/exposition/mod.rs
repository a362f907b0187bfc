//! Adds up the shards of all workers and writes them as OpenMetrics text, or in Prometheus' older
//! text format.
//!
//! Workers go on counting meanwhile; a scrape may or may not see what they add.

mod accounts;
mod classic;
mod family;
mod scope_totals;

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::registry::Registry;

use super::call_log::BrokenBy;
use super::counters::{Counter, Totals, statuses};
use super::levers::Levers;
use super::metrics::{
    ByMethod, LimitOf, METHODS, Metrics, Names, Problems, Shard, SlotResult, UpstreamCounters,
    UpstreamLabels, WorkerCounters,
};
use super::process::Process;
use super::reloads::Reloads;
use super::table::{self, Metric};
use crate::allowance::{AccountView, BottleneckKind};
use crate::outcome::{Code, FailureKind, Source, StoppedBy};

use classic::classic;
use family::Family;

/// The label of everything without one of its own, as OpenTelemetry spells it.
const OTHER: &str = "_OTHER";

/// Clients are served without TLS.
const URL_SCHEME: &str = "http";

/// The lowest status that OpenTelemetry counts as an error of a client's exchange.
const CLIENT_ERROR: u16 = 400;
/// The same for a server's.
const SERVER_ERROR: u16 = 500;

/// How the value of a metric is read.
type CounterOf = fn(&UpstreamCounters) -> &Counter;

impl Metrics {
    /// Everything as OpenMetrics text, with gauges of the accounts as they are now.
    #[must_use]
    pub fn render(&self, accounts: &[AccountView]) -> String {
        let (names, shards) = (Arc::clone(&self.names), Arc::clone(&self.shards));
        let (reloads, levers) = (Arc::clone(&self.reloads), Arc::clone(&self.levers));
        let scrape = Scrape { names, shards, reloads, levers, accounts: accounts.to_vec() };
        let mut registry = Registry::default();
        registry.register_collector(Box::new(scrape));
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = text::encode(&mut text, &registry);
        text
    }

    /// The same in Prometheus' older text format, 0.0.4.
    #[must_use]
    pub fn render_classic(&self, accounts: &[AccountView]) -> String {
        classic(&self.render(accounts))
    }
}

#[derive(Debug)]
struct Scrape {
    names: Arc<Names>,
    shards: Arc<[Arc<Shard>]>,
    reloads: Arc<Reloads>,
    levers: Arc<Levers>,
    accounts: Vec<AccountView>,
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let out = &mut encoder;
        self.program(out)?;
        self.levers(out)?;
        self.calls(out)?;
        self.attempts(out)?;
        self.retries(out)?;
        self.admission(out)?;
        self.problems(out)?;
        self.connections(out)?;
        self.scopes(out)?;
        self.holds(out)?;
        self.waiting(out)?;
        self.waiting_by(out)?;
        Process::read().map_or(Ok(()), |process| write_process(out, &process))
    }
}

impl Scrape {
    fn program(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut info = Family::open(out, table::BUILD_INFO)?;
        info.gauge(&[("version", env!("CARGO_PKG_VERSION"))], 1.0)?;
        let numbers = [
            (table::WORKERS, self.shards.len()),
            (table::UPSTREAMS, self.names.upstreams.len()),
            (table::CLIENTS, self.names.clients.len()),
        ];
        for (metric, number) in numbers {
            Family::open(out, metric)?.gauge(&[], number as f64)?;
        }
        let mut reloads = Family::open(out, table::RELOADS)?;
        for (result, count) in self.reloads.counts() {
            reloads.counter(&[("result", result)], count)?;
        }
        Family::open(out, table::CONFIG_LOADED)?.gauge(&[], self.reloads.loaded_seconds())
    }

    fn levers(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut family = Family::open(out, table::LEVERS)?;
        self.each_upstream(|_, name| {
            self.levers.of(name).by_name().try_for_each(|(lever, count)| {
                family.counter(&table::LEVERS.labels([name, lever]), count)
            })
        })?;
        let mut family = Family::open(out, table::FORGOTTEN)?;
        self.each_upstream(|_, name| {
            family.counter(&[("upstream", name)], self.levers.of(name).forgotten_units)
        })
    }

    fn calls(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut family = Family::open(out, table::CALLS)?;
        self.each_upstream(|upstream, name| {
            statuses().try_for_each(|status| {
                let rows =
                    self.counters(upstream).filter_map(|counters| counters.calls.seen(status));
                let (route, code) = (&*self.labels_of(upstream).route, status_label(status));
                let error = error_label(status, SERVER_ERROR);
                by_method(&rows.collect::<Vec<_>>(), |method, totals| {
                    let labels = [name, method, URL_SCHEME, route, &code, &error];
                    family.histogram_unless_empty(&table::CALLS.labels(labels), totals)
                })
            })
        })?;
        let mut active = Family::open(out, table::CALLS_ACTIVE)?;
        self.each_upstream(|upstream, name| {
            let started = self.sum(upstream, |counters| &counters.calls_started);
            let ended = self.sum(upstream, |counters| &counters.calls_ended);
            active.gauge(&[("upstream", name)], started.saturating_sub(ended) as f64)
        })?;
        self.client_calls(out)
    }

    fn client_calls(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut family = Family::open(out, table::CLIENT_CALLS)?;
        self.each_upstream(|upstream, name| {
            let shards = || self.shards.iter().filter_map(|shard| shard.upstreams.get(upstream));
            let places = shards().map(|shard| shard.clients.len()).max().unwrap_or(0);
            for place in 0..places {
                // The last place is shared by all clients without one of their own.
                let own = self.names.clients.get(place).filter(|_| place + 1 < places);
                let client = own.map_or(OTHER, |name| name);
                for (way, result) in ["ok", "problem"].into_iter().enumerate() {
                    let count = shards().map(|shard| shard.clients[place][way].read()).sum();
                    let labels = table::CLIENT_CALLS.labels([name, client, result]);
                    family.counter_unless_zero(&labels, count)?;
                }
            }
            Ok(())
        })
    }

    fn attempts(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut family = Family::open(out, table::ATTEMPTS)?;
        self.each_upstream(|upstream, name| {
            let UpstreamLabels { address, port, .. } = self.labels_of(upstream);
            let port = port.to_string();
            let mut write = |rows: &[&ByMethod], status: &str, error: &str| {
                by_method(rows, |method, totals| {
                    let labels = [name, method, address, &port, status, error];
                    family.histogram_unless_empty(&table::ATTEMPTS.labels(labels), totals)
                })
            };
            for status in statuses() {
                let rows =
                    self.counters(upstream).filter_map(|counters| counters.attempts.seen(status));
                let error = error_label(status, CLIENT_ERROR);
                write(&rows.collect::<Vec<_>>(), &status_label(status), &error)?;
            }
            for kind in FailureKind::ALL {
                write(&self.failures(upstream, kind).collect::<Vec<_>>(), "", kind.as_str())?;
            }
            Ok(())
        })?;
        let mut family = Family::open(out, table::ATTEMPTS_TOTAL)?;
        self.each_upstream(|upstream, name| {
            let answered = |status| {
                self.counters(upstream).filter_map(move |counters| counters.attempts.seen(status))
            };
            let answers = Totals::of(statuses().flat_map(answered).flatten()).count();
            family.counter(&table::ATTEMPTS_TOTAL.labels([name, "answered"]), answers)?;
            FailureKind::ALL.into_iter().try_for_each(|kind| {
                let count = Totals::of(self.failures(upstream, kind).flatten()).count();
                let labels = table::ATTEMPTS_TOTAL.labels([name, kind.as_str()]);
                family.counter_unless_zero(&labels, count)
            })
        })
    }

    fn failures(&self, upstream: usize, kind: FailureKind) -> impl Iterator<Item = &ByMethod> {
        let seen = self
            .counters(upstream)
            .filter_map(move |counters| counters.failures[kind as usize].get());
        seen.map(|row| &**row)
    }

    fn retries(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut family = Family::open(out, table::RETRIES)?;
        self.each_upstream(|upstream, name| {
            for kind in FailureKind::ALL {
                let count =
                    self.sum(upstream, |counters| &counters.retries_after_failure[kind as usize]);
                family.counter_unless_zero(&table::RETRIES.labels([name, kind.as_str()]), count)?;
            }
            for code in Code::ALL {
                let count = self.sum(upstream, |counters| counters.retries_after_code.of(code));
                family.counter_unless_zero(&table::RETRIES.labels([name, code.as_str()]), count)?;
            }
            Ok(())
        })?;
        let mut family = Family::open(out, table::NOT_RETRIED)?;
        self.each_upstream(|upstream, name| {
            StoppedBy::ALL.into_iter().try_for_each(|why| {
                let count = self.sum(upstream, |counters| &counters.not_retried[why as usize]);
                family.counter(&table::NOT_RETRIED.labels([name, why.as_str()]), count)
            })
        })
    }

    fn admission(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut family = Family::open(out, table::ADMITTED)?;
        self.each_upstream(|upstream, name| {
            for of in LimitOf::ALL {
                for how in SlotResult::ALL {
                    let (of_place, how_place) = (of as usize, how as usize);
                    let count = self.sum(upstream, |counters| {
                        &counters.slot_requests[of_place].results[how_place]
                    });
                    let labels = table::ADMITTED.labels([name, of.as_str(), how.as_str()]);
                    match of {
                        LimitOf::Upstream => family.counter(&labels, count)?,
                        // Most clients have no limit of their own.
                        LimitOf::Client => family.counter_unless_zero(&labels, count)?,
                    }
                }
            }
            Ok(())
        })?;
        let mut family = Family::open(out, table::WAITED)?;
        self.each_upstream(|upstream, name| {
            LimitOf::ALL.into_iter().try_for_each(|of| {
                BottleneckKind::LABELLED.into_iter().try_for_each(|barrier| {
                    let all = self
                        .counters(upstream)
                        .map(|counters| &counters.slot_requests[of as usize]);
                    let totals = Totals::of(all.map(|it| &it.waits[barrier.index()]));
                    let labels = table::WAITED.labels([name, of.as_str(), barrier.label()]);
                    // One series of each upstream is always there, so that none is never new.
                    if (of, barrier) == (LimitOf::Upstream, BottleneckKind::Allowance) {
                        family.histogram(&labels, &totals)
                    } else {
                        family.histogram_unless_empty(&labels, &totals)
                    }
                })
            })
        })
    }

    fn problems(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut family = Family::open(out, table::PROBLEMS)?;
        self.each_upstream(|upstream, name| {
            let all = || self.counters(upstream).map(|counters| &counters.problems);
            write_problems(&mut family, name, all)
        })?;
        write_problems(&mut family, "", || self.shards.iter().map(|shard| &shard.worker.problems))?;
        let plain: [(Metric, CounterOf); 3] = [
            (table::THROTTLED, |counters| &counters.throttled),
            (table::UNEXPECTED, |counters| &counters.throttled_unexpectedly),
            (table::UNRECOGNISED, |counters| &counters.unrecognised),
        ];
        for (metric, counter) in plain {
            let mut family = Family::open(out, metric)?;
            self.each_upstream(|upstream, name| {
                family.counter(&[("upstream", name)], self.sum(upstream, counter))
            })?;
        }
        let mut family = Family::open(out, table::BROKEN)?;
        self.each_upstream(|upstream, name| {
            BrokenBy::ALL.into_iter().try_for_each(|by| {
                let broken = self
                    .counters(upstream)
                    .map(|counters| counters.broken_bodies[by as usize].read());
                family.counter(&table::BROKEN.labels([name, by.as_str()]), broken.sum())
            })
        })
    }

    fn connections(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let sum = |cell: fn(&WorkerCounters) -> &Counter| {
            self.shards.iter().map(|shard| cell(&shard.worker).read()).sum()
        };
        let opened: u64 = sum(|worker| &worker.connections_opened);
        let closed: u64 = sum(|worker| &worker.connections_closed);
        let open = opened.saturating_sub(closed) as f64;
        Family::open(out, table::CONNECTIONS_OPEN)?.gauge(&[], open)?;
        Family::open(out, table::CONNECTIONS)?.counter(&[], opened)
    }

    fn each_upstream(&self, mut write: impl FnMut(usize, &str) -> fmt::Result) -> fmt::Result {
        let names = self.names.upstreams.iter().enumerate();
        names.into_iter().try_for_each(|(upstream, labels)| write(upstream, &labels.name))
    }

    fn labels_of(&self, upstream: usize) -> &UpstreamLabels {
        &self.names.upstreams[upstream]
    }

    fn upstream_label(&self, upstream: usize) -> &str {
        self.names.upstreams.get(upstream).map_or(OTHER, |labels| &labels.name)
    }

    fn counters(&self, upstream: usize) -> impl Iterator<Item = &UpstreamCounters> {
        let shards = self.shards.iter().filter_map(move |shard| shard.upstreams.get(upstream));
        shards.map(|shard| &*shard.counters)
    }

    fn sum<'a>(
        &'a self,
        upstream: usize,
        counter: impl Fn(&'a UpstreamCounters) -> &'a Counter,
    ) -> u64 {
        self.counters(upstream).map(|counters| counter(counters).read()).sum()
    }
}

/// Writes the durations of all workers by method.
fn by_method(
    rows: &[&ByMethod],
    mut write: impl FnMut(&str, &Totals) -> fmt::Result,
) -> fmt::Result {
    if rows.is_empty() {
        return Ok(());
    }
    METHODS.iter().enumerate().try_for_each(|(place, method)| {
        write(method, &Totals::of(rows.iter().map(|row| &row[place])))
    })
}

fn write_process(out: &mut DescriptorEncoder<'_>, process: &Process) -> fmt::Result {
    Family::open(out, table::CPU)?.seconds_counter(process.cpu_seconds)?;
    let gauges = [
        (table::RESIDENT, process.resident_bytes),
        (table::VIRTUAL, process.virtual_bytes),
        (table::OPEN_FILES, process.open_files),
        (table::OPEN_FILES_MAX, process.open_files_max),
        (table::THREADS, process.threads),
        (table::STARTED, process.start_seconds),
    ];
    gauges.into_iter().try_for_each(|(metric, value)| Family::open(out, metric)?.gauge(&[], value))
}

fn write_problems<'a, I: Iterator<Item = &'a Problems>>(
    family: &mut Family<'_>,
    upstream: &str,
    all: impl Fn() -> I,
) -> fmt::Result {
    for code in Code::ALL {
        for source in Source::ALL {
            let count = all().map(|problems| problems.of(code)[source as usize].read()).sum();
            let labels = table::PROBLEMS.labels([upstream, code.as_str(), source.as_str()]);
            family.counter_unless_zero(&labels, count)?;
        }
    }
    Ok(())
}

fn status_label(status: u16) -> String {
    if status < 600 { status.to_string() } else { OTHER.to_owned() }
}

/// The label `error_type`, empty for a success.
fn error_label(status: u16, lowest_error: u16) -> String {
    if status < lowest_error { String::new() } else { status_label(status) }
}

impl Metric {
    /// Pairs the metric's labels with values.
    fn labels<'a, const N: usize>(&self, values: [&'a str; N]) -> [(&'static str, &'a str); N] {
        debug_assert_eq!(self.labels.len(), N, "{} has other labels", self.name);
        std::array::from_fn(|place| (self.labels[place], values[place]))
    }
}

#[cfg(test)]
mod tests;
