//! The configuration in force as YAML that can be loaded again, each value with its origin; and one
//! line per upstream for the log at start.

use std::fmt::Write as _;

use super::format::Limit;
use super::provenance::EffectiveValue;
use super::settings::{Loaded, Settings};
use crate::allowance::{Allowance, Grant, Mode, Period};
use crate::gateway::Upstream;

impl Loaded {
    /// The settings in force as YAML; secrets appear only as references.
    #[must_use]
    pub fn show(&self) -> String {
        let mut root = Branch { name: "", effective: None, below: Vec::new() };
        for effective in self.provenance.all() {
            let mut branch = &mut root;
            for name in effective.key.split('.') {
                let place = branch.below.iter().position(|below| below.name == name);
                let place = place.unwrap_or_else(|| {
                    branch.below.push(Branch { name, effective: None, below: Vec::new() });
                    branch.below.len() - 1
                });
                branch = &mut branch.below[place];
            }
            branch.effective = Some(effective);
        }
        let mut out = String::new();
        root.below.iter().for_each(|branch| branch.write(0, &mut out));
        out
    }
}

/// A key and what is below it.
struct Branch<'k> {
    name: &'k str,
    effective: Option<&'k EffectiveValue>,
    below: Vec<Self>,
}

impl Branch<'_> {
    fn write(&self, depth: usize, out: &mut String) {
        let indentation = "  ".repeat(depth);
        let number = self.name.starts_with(|c: char| c.is_ascii_digit());
        let head = if number { "-".to_owned() } else { format!("{}:", self.name) };
        let written = match self.effective {
            Some(EffectiveValue { value, origin, .. }) => {
                writeln!(out, "{indentation}{head} {value}  # {origin}")
            }
            None => writeln!(out, "{indentation}{head}"),
        };
        written.expect("writing to a string does not fail");
        self.below.iter().for_each(|branch| branch.write(depth + 1, out));
    }
}

impl Settings {
    /// One line per upstream: routes, URL, allowances, dialect.
    #[must_use]
    pub fn summary(&self) -> Vec<String> {
        let line = |(number, upstream): (usize, &Upstream)| {
            let entries = self.gateway.routes.entries().iter();
            let routes = entries.filter(|entry| entry.upstream == number).map(|entry| {
                let path = if entry.prefix.is_empty() { "/" } else { &*entry.prefix };
                format!("{}{path}", entry.host.as_deref().unwrap_or_default())
            });
            let allowances = match upstream.allowances.as_slice() {
                [] => "no allowance".to_owned(),
                some => some.iter().map(described).collect::<Vec<_>>().join(", "),
            };
            format!(
                "{}: {} -> {}{}; {allowances}; dialect {}",
                upstream.name,
                routes.collect::<Vec<_>>().join(" "),
                upstream.origin,
                upstream.base_path,
                upstream.policy.dialect.name
            )
        };
        self.gateway.upstreams.iter().enumerate().map(line).collect()
    }
}

fn described(allowance: &Allowance) -> String {
    let grant = match &allowance.grant {
        Grant::Window { limit, window, .. } => Limit { calls: *limit, window: *window }.to_string(),
        Grant::Calendar { limit, calendar, .. } => {
            let unit = match calendar.period {
                Period::Day => "day",
                Period::Week(_) => "week",
                Period::Month(_) => "month",
            };
            format!("{limit}/{unit} by the calendar")
        }
        Grant::Bucket { size, refill } => {
            let rate = Limit { calls: refill.units, window: refill.over };
            format!("{size} at once, refilled by {rate}")
        }
        Grant::Concurrency { limit } => format!("{limit} at a time"),
    };
    let mode = match allowance.mode {
        Mode::Enforce => "",
        Mode::Observe => " (observed)",
    };
    format!("{} {grant}{mode}", allowance.name)
}
