//! The targets of the figures. A missed target is printed; with `--strict` it fails the run.

use crate::report::Figures;
use crate::rows::NORMALISED;

/// Whether missing it counts under `--strict`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rank {
    Target,
    Goal,
}

/// One thing that was promised.
struct Promise {
    rank: Rank,
    words: &'static str,
    row: &'static str,
    label: &'static str,
    bound: Bound,
}

enum Bound {
    AtMost(f64),
    /// Below another line of the same row.
    Below(&'static str),
}

use Bound::{AtMost, Below};
use Rank::{Goal, Target};

const EVENKEEL: &str = "evenkeel";
/// The case of `cases.rs` that settles the target for a grant.
const GRANT: &str = "grant and settle";
/// Growth that still counts as flat: socket buffers' worth of copies, whatever the body's size.
const FLAT_MIB: f64 = 4.0;

const fn promise(rank: Rank, words: &'static str, row: &'static str, bound: Bound) -> Promise {
    Promise { rank, words, row, label: EVENKEEL, bound }
}

const PROMISES: &[Promise] = &[
    promise(Target, "pass-through, CPU × floor", "pass", AtMost(1.65)),
    promise(Target, "pass-through below nginx", "pass", Below("nginx")),
    promise(Target, "pass-through below haproxy", "pass", Below("haproxy")),
    promise(Target, "pass-through below envoy", "pass", Below("envoy")),
    Promise {
        label: NORMALISED,
        ..promise(Target, "normalising a 400, × passing it", "normalising", AtMost(2.0))
    },
    Promise { label: GRANT, ..promise(Target, "a grant, ns", "decisions", AtMost(250.0)) },
    promise(Target, "at rest, RSS MiB", "rest", AtMost(15.0)),
    promise(Target, "growth while a large body passes, MiB", "growth", AtMost(FLAT_MIB)),
    promise(Target, "start to ready, ms", "start", AtMost(50.0)),
    promise(Goal, "pass-through, CPU × floor", "pass", AtMost(1.40)),
    Promise {
        label: NORMALISED,
        ..promise(Goal, "normalising a 400, × passing it", "normalising", AtMost(1.5))
    },
    promise(Goal, "TLS to the upstream below nginx", "tls", Below("nginx")),
    promise(Goal, "TLS to the upstream below haproxy", "tls", Below("haproxy")),
    promise(Goal, "TLS to the upstream below envoy", "tls", Below("envoy")),
    promise(Goal, "HTTP/2 to the upstream below haproxy", "h2-upstream", Below("haproxy")),
    promise(Goal, "HTTP/2 to the upstream below envoy", "h2-upstream", Below("envoy")),
    promise(Goal, "HTTP/2 from the client below nginx", "h2-client", Below("nginx")),
    promise(Goal, "HTTP/2 from the client below haproxy", "h2-client", Below("haproxy")),
    promise(Goal, "HTTP/2 from the client below envoy", "h2-client", Below("envoy")),
    promise(Goal, "p99 at half of saturation, × floor's", "latency", AtMost(1.5)),
    promise(Goal, "per idle client, KiB", "idle client", AtMost(12.0)),
    promise(Goal, "stripped binary, MiB", "size", AtMost(20.0)),
];

/// What became of the targets, the goals aside.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) missed: usize,
    pub(crate) not_measured: usize,
}

/// Prints every promise and counts the targets that were not met.
pub(crate) fn print(figures: &Figures) -> Outcome {
    println!(
        "\n## targets\n\n| | promised | bound | measured | |\n| --- | --- | --- | --- | --- |"
    );
    let mut outcome = Outcome::default();
    for promise in PROMISES {
        let verdict = line(promise, figures.of(promise.row, promise.label), figures);
        match (promise.rank, verdict) {
            (Target, Verdict::Missed) => outcome.missed += 1,
            (Target, Verdict::NotMeasured) => outcome.not_measured += 1,
            (Target, Verdict::Met) | (Goal, _) => {}
        }
    }
    outcome
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Met,
    Missed,
    NotMeasured,
}

fn line(promise: &Promise, value: Option<f64>, figures: &Figures) -> Verdict {
    let (bound, words) = match promise.bound {
        AtMost(most) => (Some(most), format!("≤ {most}")),
        Below(peer) => {
            let peer = figures.of(promise.row, peer);
            (peer, peer.map_or_else(|| "–".into(), |peer| format!("< {peer:.2}")))
        }
    };
    let verdict = verdict(value, bound);
    let said = match verdict {
        Verdict::Met => "met",
        Verdict::Missed => "**missed**",
        Verdict::NotMeasured => "not measured in this run",
    };
    let rank = if promise.rank == Target { "target" } else { "goal" };
    let value = value.map_or_else(|| "–".into(), |value| format!("{value:.2}"));
    println!("| {rank} | {} | {words} | {value} | {said} |", promise.words);
    verdict
}

fn verdict(value: Option<f64>, bound: Option<f64>) -> Verdict {
    match (value, bound) {
        (Some(value), Some(bound)) if value <= bound => Verdict::Met,
        (Some(_), Some(_)) => Verdict::Missed,
        (_, None) | (None, _) => Verdict::NotMeasured,
    }
}
