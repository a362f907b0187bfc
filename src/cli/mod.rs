//! The command line: one file per verb.
//!
//! Results go to stdout, everything else to stderr. Exit codes: 0 ok, 1 runtime failure, 2 usage,
//! 78 configuration. Refuses to decide anything itself.

pub mod check;
pub mod config;
pub mod demo;
pub mod explain;
mod files;
pub mod healthcheck;
pub mod normalise;
pub mod problem;
pub mod run;
pub mod source;

use std::io::{Read, Write};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::clock::Clock;
use crate::config::{Environment, Origin, Provenance, load};

/// Keeps programs that depend on somebody else's HTTP API on an even keel.
#[derive(Debug, Parser)]
#[command(name = "evenkeel", version, arg_required_else_help = true)]
struct CommandLine {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Runs the gateway in the foreground.
    Run(run::RunArgs),
    /// Two simulated vendors and the gateway in front of them, offline.
    Demo(demo::DemoArgs),
    /// Checks the configuration; exit code 78 when something is wrong with it.
    Check(check::CheckArgs),
    /// Says what would happen to a request, and which line of the configuration says so.
    Explain(ExplainArgs),
    /// A captured error of a vendor in, the problem a client would get out.
    #[command(visible_alias = "normalize")]
    Normalise(normalise::NormaliseArgs),
    /// The error contract: its JSON Schema, or one code explained.
    Problem(problem::ProblemArgs),
    /// Shows the settings in force, or the schema of the configuration.
    Config(config::ConfigArgs),
    /// Asks a running gateway whether it is ready; for container probes.
    Healthcheck(healthcheck::HealthcheckArgs),
}

#[derive(Args, Debug)]
struct ExplainArgs {
    #[command(flatten)]
    source: source::ReadOnlySource,
    #[command(flatten)]
    request: explain::Args,
}

/// Does what the command line of this process says.
#[must_use]
pub fn main() -> ExitCode {
    let CommandLine { verb } = CommandLine::parse();
    let (out, err) = (&mut std::io::stdout(), &mut std::io::stderr());
    match verb {
        Verb::Run(args) => run::run(&args, err),
        Verb::Demo(args) => demo::run(&args, out, err),
        Verb::Check(args) => check::run(&args, out, err),
        Verb::Explain(args) => explain(&args, out, err),
        Verb::Config(args) => config::run(&args, out, err),
        Verb::Normalise(args) => {
            let stdin = &mut std::io::stdin();
            let mut streams = Streams { stdin, stdout: out, stderr: err };
            normalise::run(&args, &mut streams, || Clock::start().wall())
        }
        Verb::Problem(args) => {
            let stdin = &mut std::io::empty();
            problem::run(&args, &mut Streams { stdin, stdout: out, stderr: err })
        }
        Verb::Healthcheck(args) => healthcheck::run(&args, &Environment::of_process(), err),
    }
}

/// Where a verb reads and writes: results to `stdout`, everything else to `stderr`.
pub struct Streams<'a> {
    /// Input.
    pub stdin: &'a mut dyn Read,
    /// Results.
    pub stdout: &'a mut dyn Write,
    /// Remarks.
    pub stderr: &'a mut dyn Write,
}

impl std::fmt::Debug for Streams<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Streams").finish_non_exhaustive()
    }
}

fn explain(args: &ExplainArgs, out: &mut dyn Write, err: &mut dyn Write) -> ExitCode {
    let loaded = match load(&args.source.request(), &Environment::of_process()) {
        Ok(loaded) => loaded,
        Err(faults) => return source::report(&faults, err),
    };
    let origin = |key: &str| written(&loaded.provenance, key);
    let text = explain::explain(&loaded.settings, &origin, &args.request.request());
    match out.write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Where a key, or the first one below a group of keys, was written.
fn written(provenance: &Provenance, group: &str) -> Option<String> {
    let inside = |key: &str| key.strip_prefix(group).is_some_and(|rest| rest.starts_with('.'));
    let known = provenance.all().iter().filter(|known| known.key == group || inside(&known.key));
    known.map(|known| &known.origin).find_map(|origin| match origin {
        Origin::Written(_) | Origin::Dialect(_) => Some(origin.to_string()),
        Origin::Default => None,
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::dialect;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn lines_of_the_manual_parse() {
        let lines = [
            "evenkeel run -c a.yaml -c b.yaml --set listen.address=127.0.0.1:1",
            "evenkeel run --upstream https://api.vendor.example --limit 10/s",
            "evenkeel run --upstream https://a.example --dialect auto --listen 127.0.0.1:1",
            "evenkeel check -c a.yaml --format json",
            "evenkeel explain -c a.yaml GET /wordbee/documents",
            "evenkeel config show -c a.yaml --without-secrets",
            "evenkeel check --without-secrets -c a.yaml",
            "evenkeel explain --without-secrets GET /wordbee/documents",
            "evenkeel config schema",
            "evenkeel run --upstream https://a.example --admin 127.0.0.1:1",
            "evenkeel run -c a.yaml --admin [::1]:9901",
            "evenkeel demo --tour",
            "evenkeel demo --port 9000",
            "evenkeel normalise --dialect wordbee --status 400 -",
            "evenkeel normalize --status 400 --method POST",
            "evenkeel problem schema",
            "evenkeel healthcheck --admin 127.0.0.1:9900",
            "evenkeel healthcheck -c a.yaml --set admin.address=127.0.0.1:1",
        ];
        for line in lines {
            let parsed = CommandLine::try_parse_from(line.split(' '));
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let lines = [
            "evenkeel",
            "evenkeel runn",
            "evenkeel run --limit 10/s",
            "evenkeel run --upstream https://a.example -c a.yaml",
            "evenkeel healthcheck --admin nowhere",
            "evenkeel demo --port 65533",
            "evenkeel demo --tour --port 9000",
        ];
        for line in lines {
            assert!(CommandLine::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }

    #[test]
    fn an_explanation_cites_the_first_written_key_of_a_group() {
        let request = crate::config::LoadRequest {
            files: vec!["config/examples/founding-vendors.yaml".into()],
            ..crate::config::LoadRequest::default()
        };
        let provenance = load(&request, &Environment::of([])).unwrap().provenance;
        let rows = [
            ("upstreams.wordbee.url", Some("founding-vendors.yaml:4:10")),
            ("upstreams.wordbee.account", Some("founding-vendors.yaml:6:24")),
            ("upstreams.wordbee.allowances.account", Some("founding-vendors.yaml:8:25")),
            ("upstreams.droplink.routes.0", Some("founding-vendors.yaml:17:18")),
            ("upstreams.droplink.timeouts.attempt", Some("dialect droplink")),
            ("upstreams.wordbee.timeouts.attempt", None),
            ("upstreams.wordbee.acc", None),
        ];
        for (key, place) in rows {
            let told = written(&provenance, key);
            let as_wanted = match (&told, place) {
                (Some(told), Some(place)) => told.ends_with(place),
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            };
            assert!(as_wanted, "{key}: {told:?}, not {place:?}");
        }
    }

    #[test]
    fn the_reference_with_everything_in_it_is_in_order() {
        let text = std::fs::read_to_string("config/evenkeel.yaml").unwrap();
        let text = text.replace("#? ca: ", "# ca: ").replace("#?   name: acme", "# name: acme");
        let text = text.replace("#? ", "").replace("concurrency: 8", "concurrency: 9");
        let secrets = crate::config::SecretsRead::No;
        let request = crate::config::LoadRequest {
            text: Some(text),
            secrets,
            ..crate::config::LoadRequest::default()
        };
        let loaded = load(&request, &Environment::of([]));
        loaded.unwrap_or_else(|faults| panic!("{}", faults.render(crate::config::Colours::Plain)));
    }

    #[test]
    fn every_shipped_dialect_can_be_named() {
        assert!(dialect::builtin_names().any(|name| name == dialect::AUTO));
        assert!(dialect::builtin_names().all(|name| dialect::builtin(name).is_some()));
    }
}
