//! Converts OpenMetrics text to Prometheus' older text format, 0.0.4.
//!
//! The two differ in the names of counters, in units and in the end marker; samples are the same.

use super::super::table::{METRICS, MetricKind};

pub(super) fn classic(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len() + open_metrics.len() / 16);
    for line in open_metrics.lines() {
        let described = ["# HELP ", "# TYPE "].iter().find_map(|word| {
            let (name, rest) = line.strip_prefix(word)?.split_once(' ')?;
            Some((word, name, rest))
        });
        match described {
            Some((word, name, rest)) => {
                // OpenMetrics describes counters without their `_total`.
                let is_counter = METRICS.iter().any(|metric| {
                    metric.kind == MetricKind::Counter
                        && metric.name.strip_suffix("_total") == Some(name)
                });
                let suffix = if is_counter { "_total" } else { "" };
                text.extend([word, name, suffix, " ", rest, "\n"]);
            }
            None if line.starts_with('#') => {}
            None => text.extend([line, "\n"]),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_converted_and_samples_kept() {
        let open_metrics = "# HELP evenkeel_retries Again \\\"x\\\"\n# TYPE evenkeel_retries counter\n\
            evenkeel_retries_total{a=\"# TYPE\"} 3\n# UNIT x seconds\n# TYPE evenkeel_hold gauge\n\
            evenkeel_hold 1.0\n# EOF\n";
        let expected = "# HELP evenkeel_retries_total Again \\\"x\\\"\n# TYPE evenkeel_retries_total counter\n\
            evenkeel_retries_total{a=\"# TYPE\"} 3\n# TYPE evenkeel_hold gauge\nevenkeel_hold 1.0\n";
        assert_eq!(classic(open_metrics), expected);
    }
}
