//! The shards of all workers, added up and written in the text format of OpenMetrics.
//!
//! The encoder escapes; this file only says which series there are. Refuses to hold anything up:
//! what workers write meanwhile is read a scrape later.

mod classic;
mod family;
mod scopes;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::registry::Registry;

use super::access::BrokenBy;
use super::cells::{Cell, Totals, statuses};
use super::metrics::{
    Admitted, ByMethod, LimitOf, METHODS, Names, Problems, Shard, UpstreamCells, UpstreamLabels,
};
use super::process::Process;
use super::table::{self, Metric};
use crate::allowance::{AccountView, BottleneckKind};
use crate::outcome::{Code, FailureKind, HoldCause, Source, StoppedBy};

pub(super) use classic::classic;
use family::Family;
use scopes::Scopes;

/// The label of everything that has none of its own.
const OTHER: &str = "_OTHER";

/// Clients are served in clear.
const URL_SCHEME: &str = "http";

/// From which status on an exchange is an error, by OpenTelemetry: for a client and for a server.
const CLIENT_ERROR: u16 = 400;
const SERVER_ERROR: u16 = 500;

/// How the value of a metric is read.
type CellOf = fn(&UpstreamCells) -> &Cell;
type ScopeOf = fn(&Scopes) -> Option<f64>;
type HoldOf = fn(&Scopes) -> f64;
type QueueOf = fn(&[&AccountView]) -> f64;

/// Every metric as text.
pub(super) fn text(
    names: Arc<Names>,
    shards: Arc<[Arc<Shard>]>,
    accounts: &[AccountView],
) -> String {
    let scrape = Scrape { names, shards, accounts: accounts.to_vec() };
    let mut registry = Registry::default();
    registry.register_collector(Box::new(scrape));
    let mut text = String::new();
    // Writing to a string fails only where an encoder refuses a value, and then says nothing.
    let _ = text::encode(&mut text, &registry);
    text
}

/// One exposition.
#[derive(Debug)]
struct Scrape {
    names: Arc<Names>,
    shards: Arc<[Arc<Shard>]>,
    accounts: Vec<AccountView>,
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let out = &mut encoder;
        self.program(out)?;
        self.calls(out)?;
        self.attempts(out)?;
        self.retries(out)?;
        self.admission(out)?;
        self.problems(out)?;
        self.connections(out)?;
        self.scopes(out)?;
        self.holds(out)?;
        self.waiting(out)?;
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
        Ok(())
    }

    fn calls(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut family = Family::open(out, table::CALLS)?;
        self.each_upstream(|upstream, name| {
            statuses().try_for_each(|status| {
                let rows = self.cells(upstream).filter_map(|cells| cells.calls.seen(status));
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
            let began = self.sum(upstream, |cells| &cells.began);
            let ended = self.sum(upstream, |cells| &cells.ended);
            active.gauge(&[("upstream", name)], began.saturating_sub(ended) as f64)
        })?;
        self.client_calls(out)
    }

    fn client_calls(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut family = Family::open(out, table::CLIENT_CALLS)?;
        self.each_upstream(|upstream, name| {
            let places = self.cells(upstream).map(|cells| cells.clients.len()).max().unwrap_or(0);
            for place in 0..places {
                let client = self.client_label(place, places);
                for (way, result) in ["ok", "problem"].into_iter().enumerate() {
                    let count = self.sum(upstream, |cells| &cells.clients[place][way]);
                    let labels = table::CLIENT_CALLS.labels([name, client, result]);
                    family.counter_unless_zero(&labels, count)?;
                }
            }
            Ok(())
        })
    }

    /// The last place is that of all clients without one of their own.
    fn client_label(&self, place: usize, places: usize) -> &str {
        let own = self.names.clients.get(place).filter(|_| place + 1 < places);
        own.map_or(OTHER, |name| name)
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
                let rows = self.cells(upstream).filter_map(|cells| cells.attempts.seen(status));
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
            let answered =
                |status| self.cells(upstream).filter_map(move |cells| cells.attempts.seen(status));
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
        let seen =
            self.cells(upstream).filter_map(move |cells| cells.failures[kind as usize].get());
        seen.map(|row| &**row)
    }

    fn retries(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut family = Family::open(out, table::RETRIES)?;
        self.each_upstream(|upstream, name| {
            for kind in FailureKind::ALL {
                let count = self.sum(upstream, |cells| &cells.retries_failure[kind as usize]);
                family.counter_unless_zero(&table::RETRIES.labels([name, kind.as_str()]), count)?;
            }
            for code in Code::ALL {
                let count = self.sum(upstream, |cells| &cells.retries_code[code as usize]);
                family.counter_unless_zero(&table::RETRIES.labels([name, code.as_str()]), count)?;
            }
            Ok(())
        })?;
        let mut family = Family::open(out, table::NOT_RETRIED)?;
        self.each_upstream(|upstream, name| {
            StoppedBy::ALL.into_iter().try_for_each(|why| {
                let count = self.sum(upstream, |cells| &cells.not_retried[why as usize]);
                family.counter(&table::NOT_RETRIED.labels([name, why.as_str()]), count)
            })
        })
    }

    fn admission(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut family = Family::open(out, table::ADMITTED)?;
        self.each_upstream(|upstream, name| {
            for of in LimitOf::ALL {
                for how in Admitted::ALL {
                    let (of_place, how_place) = (of as usize, how as usize);
                    let count =
                        self.sum(upstream, |cells| &cells.asked[of_place].admitted[how_place]);
                    let labels = table::ADMITTED.labels([name, of.as_str(), how.as_str()]);
                    match of {
                        LimitOf::Upstream => family.counter(&labels, count)?,
                        // Few clients have a limit of their own.
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
                    let asked = self.cells(upstream).map(|cells| &cells.asked[of as usize]);
                    let totals = Totals::of(asked.map(|asked| &asked.waited[barrier.index()]));
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
            let all = || self.cells(upstream).map(|cells| &cells.problems);
            write_problems(&mut family, name, all)
        })?;
        write_problems(&mut family, "", || self.shards.iter().map(|shard| &shard.nowhere))?;
        let counters: [(Metric, CellOf); 3] = [
            (table::THROTTLED, |cells| &cells.throttled),
            (table::UNEXPECTED, |cells| &cells.unexpected),
            (table::UNRECOGNISED, |cells| &cells.unrecognised),
        ];
        for (metric, cell) in counters {
            let mut family = Family::open(out, metric)?;
            self.each_upstream(|upstream, name| {
                family.counter(&[("upstream", name)], self.sum(upstream, cell))
            })?;
        }
        let mut family = Family::open(out, table::BROKEN)?;
        self.each_upstream(|upstream, name| {
            BrokenBy::ALL.into_iter().try_for_each(|by| {
                let broken = self.cells(upstream).map(|cells| cells.broken[by as usize].read());
                family.counter(&table::BROKEN.labels([name, by.as_str()]), broken.sum())
            })
        })
    }

    fn connections(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let sum = |cell: fn(&Shard) -> &Cell| self.shards.iter().map(|s| cell(s).read()).sum();
        let opened: u64 = sum(|shard| &shard.connections_opened);
        let closed: u64 = sum(|shard| &shard.connections_closed);
        let open = opened.saturating_sub(closed) as f64;
        Family::open(out, table::CONNECTIONS_OPEN)?.gauge(&[], open)?;
        Family::open(out, table::CONNECTIONS)?.counter(&[], opened)
    }

    fn scopes(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let scopes = self.summed_scopes();
        let gauges: [(Metric, ScopeOf); 8] = [
            (table::LIMIT, |scope| scope.limit.map(f64::from)),
            (table::CONFIGURED, |scope| scope.configured.map(f64::from)),
            (table::REMAINING, |scope| scope.remaining.map(f64::from)),
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

    fn holds(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let scopes = self.summed_scopes();
        let mut family = Family::open(out, table::HOLD)?;
        for ((upstream, policy), scope) in &scopes {
            for cause in HoldCause::ALL {
                let name = self.upstream_label(*upstream);
                let labels = table::HOLD.labels([name, *policy, cause.as_str()]);
                family.gauge(&labels, f64::from(scope.holds[cause as usize]))?;
            }
        }
        let gauges: [(Metric, HoldOf); 2] = [
            (table::HOLD_REMAINING, |scope| scope.hold_remaining.as_secs_f64()),
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

    fn waiting(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let gauges: [(Metric, QueueOf); 3] = [
            (table::WAITING, |own| own.iter().map(|a| a.waiting).sum::<usize>() as f64),
            (table::LONGEST_WAIT, |own| {
                own.iter().map(|a| a.longest_wait).max().unwrap_or_default().as_secs_f64()
            }),
            (table::ACCOUNTS, |own| own.len() as f64),
        ];
        for (metric, value) in gauges {
            let mut family = Family::open(out, metric)?;
            self.each_upstream(|upstream, name| {
                let own = self.accounts.iter().filter(|view| view.upstreams.contains(&upstream));
                family.gauge(&[("upstream", name)], value(&own.collect::<Vec<_>>()))
            })?;
        }
        let mut overflow = Family::open(out, table::OVERFLOW)?;
        self.each_upstream(|upstream, name| {
            let own = self.accounts.iter().filter(|view| view.upstreams.contains(&upstream));
            let calls = own.filter_map(|view| view.overflow_calls).sum();
            overflow.counter(&[("upstream", name)], calls)
        })
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

    fn cells(&self, upstream: usize) -> impl Iterator<Item = &UpstreamCells> {
        self.shards.iter().filter_map(move |shard| shard.upstreams.get(upstream))
    }

    fn sum<'a>(&'a self, upstream: usize, cell: impl Fn(&'a UpstreamCells) -> &'a Cell) -> u64 {
        self.cells(upstream).map(|cells| cell(cells).read()).sum()
    }

    /// The scopes of all accounts by upstream and name: an account's key is the client's word,
    /// so it is no label.
    fn summed_scopes(&self) -> BTreeMap<(usize, &str), Scopes> {
        let mut summed: BTreeMap<(usize, &str), Scopes> = BTreeMap::new();
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

/// The durations of all workers by method; nothing where none was observed.
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
            let cell = |problems: &'a Problems| &problems[code as usize][source as usize];
            let count = all().map(|problems| cell(problems).read()).sum();
            let labels = table::PROBLEMS.labels([upstream, code.as_str(), source.as_str()]);
            family.counter_unless_zero(&labels, count)?;
        }
    }
    Ok(())
}

fn status_label(status: u16) -> String {
    if status < 600 { status.to_string() } else { OTHER.to_owned() }
}

/// The status as the kind of error, where it is one.
fn error_label(status: u16, least: u16) -> String {
    if status < least { String::new() } else { status_label(status) }
}

impl Metric {
    /// These values under the names of the table.
    fn labels<'a, const N: usize>(&self, values: [&'a str; N]) -> [(&'static str, &'a str); N] {
        debug_assert_eq!(self.labels.len(), N, "{} has other labels", self.name);
        std::array::from_fn(|place| (self.labels[place], values[place]))
    }
}

#[cfg(test)]
mod tests;
