//! The bounds of the figures. A missed bound is printed; with `--strict` a missed target fails the
//! run.

use crate::cpu_rows::NORMALISED;
use crate::report::Figures;

/// Under `--strict` only targets count.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rank {
    Target,
    Goal,
}

struct Criterion {
    rank: Rank,
    text: &'static str,
    row: &'static str,
    label: &'static str,
    bound: Bound,
}

enum Bound {
    AtMost(f64),
    /// Below the figure of this peer in the same row.
    Below(&'static str),
}

use Bound::{AtMost, Below};
use Rank::{Goal, Target};

const EVENKEEL: &str = "evenkeel";
/// The name in `cases.rs`.
const GRANT: &str = "grant and settle";
/// Buffers take some memory, independent of the size of the body.
const GROWTH_MIB_MAX: f64 = 4.0;

const fn criterion(rank: Rank, text: &'static str, row: &'static str, bound: Bound) -> Criterion {
    Criterion { rank, text, row, label: EVENKEEL, bound }
}

const CRITERIA: &[Criterion] = &[
    criterion(Target, "pass-through, CPU × floor", "pass", AtMost(1.65)),
    criterion(Target, "pass-through below nginx", "pass", Below("nginx")),
    criterion(Target, "pass-through below haproxy", "pass", Below("haproxy")),
    criterion(Target, "pass-through below envoy", "pass", Below("envoy")),
    Criterion {
        label: NORMALISED,
        ..criterion(Target, "normalising a 400, × passing it", "normalising", AtMost(2.0))
    },
    Criterion { label: GRANT, ..criterion(Target, "a grant, ns", "decisions", AtMost(250.0)) },
    criterion(Target, "at rest, RSS MiB", "rest", AtMost(15.0)),
    criterion(Target, "growth while a large body passes, MiB", "growth", AtMost(GROWTH_MIB_MAX)),
    criterion(Target, "start to ready, ms", "start", AtMost(50.0)),
    criterion(Goal, "pass-through, CPU × floor", "pass", AtMost(1.40)),
    Criterion {
        label: NORMALISED,
        ..criterion(Goal, "normalising a 400, × passing it", "normalising", AtMost(1.5))
    },
    criterion(Goal, "TLS to the upstream below nginx", "tls", Below("nginx")),
    criterion(Goal, "TLS to the upstream below haproxy", "tls", Below("haproxy")),
    criterion(Goal, "TLS to the upstream below envoy", "tls", Below("envoy")),
    criterion(Goal, "HTTP/2 to the upstream below haproxy", "h2-upstream", Below("haproxy")),
    criterion(Goal, "HTTP/2 to the upstream below envoy", "h2-upstream", Below("envoy")),
    criterion(Goal, "HTTP/2 from the client below nginx", "h2-client", Below("nginx")),
    criterion(Goal, "HTTP/2 from the client below haproxy", "h2-client", Below("haproxy")),
    criterion(Goal, "HTTP/2 from the client below envoy", "h2-client", Below("envoy")),
    criterion(Goal, "p99 at half of saturation, × floor's", "latency", AtMost(1.5)),
    criterion(Goal, "per idle client, KiB", "idle client", AtMost(12.0)),
    criterion(Goal, "stripped binary, MiB", "size", AtMost(20.0)),
];

/// The number of targets that were not met, goals excluded.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) missed: usize,
    pub(crate) not_measured: usize,
}

/// Prints all criteria and counts the targets that were not met.
pub(crate) fn print(figures: &Figures) -> Outcome {
    println!(
        "\n## targets\n\n| | promised | bound | measured | |\n| --- | --- | --- | --- | --- |"
    );
    let mut outcome = Outcome::default();
    for criterion in CRITERIA {
        match (criterion.rank, print_line(criterion, figures)) {
            (Target, Comparison::Missed) => outcome.missed += 1,
            (Target, Comparison::NotMeasured) => outcome.not_measured += 1,
            (Target, Comparison::Met) | (Goal, _) => {}
        }
    }
    outcome
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Met,
    Missed,
    NotMeasured,
}

fn print_line(criterion: &Criterion, figures: &Figures) -> Comparison {
    let (bound, bound_text) = match criterion.bound {
        AtMost(most) => (Some(most), format!("≤ {most}")),
        Below(peer) => {
            let peer = figures.value(criterion.row, peer);
            (peer, peer.map_or_else(|| "–".into(), |peer| format!("< {peer:.2}")))
        }
    };
    let value = figures.value(criterion.row, criterion.label);
    let (comparison, result) = match (value, bound) {
        (Some(value), Some(bound)) if value <= bound => (Comparison::Met, "met"),
        (Some(_), Some(_)) => (Comparison::Missed, "**missed**"),
        (_, None) | (None, _) => (Comparison::NotMeasured, "not measured in this run"),
    };
    let rank = if criterion.rank == Target { "target" } else { "goal" };
    let value = value.map_or_else(|| "–".into(), |value| format!("{value:.2}"));
    println!("| {rank} | {} | {bound_text} | {value} | {result} |", criterion.text);
    comparison
}
