//! The command line, one file per subcommand.
//!
//! Results go to stdout, everything else to stderr. Exit codes: 0 success, 1 runtime error, 2 usage
//! error, 78 configuration error.

mod admin_client;
pub mod allowance;
pub mod capture;
pub mod check;
pub mod config;
pub mod demo;
pub mod dialect;
pub mod explain;
mod files;
mod generation;
pub mod healthcheck;
pub mod learn;
pub mod normalise;
pub mod problem;
pub mod profile;
mod reload;
pub mod run;
pub mod source;
mod state;
mod watch;

use std::io::{Read, Write};
use std::process::ExitCode;
use std::time::SystemTime;

use clap::{Args, Parser, Subcommand};

use crate::clock::Clock;
use crate::config::{Environment, Origin, Provenance, load};

/// A gateway to HTTP APIs: exact rate limits, careful retries, one error format.
#[derive(Debug, Parser)]
#[command(name = "evenkeel", version, arg_required_else_help = true)]
struct CommandLine {
    #[command(subcommand)]
    subcommand: Subcommands,
}

#[derive(Debug, Subcommand)]
enum Subcommands {
    /// Runs the gateway in the foreground.
    Run(run::RunArgs),
    /// Runs two simulated vendors and the gateway in front of them, offline.
    Demo(demo::DemoArgs),
    /// Checks the configuration; exits with 78 if it is invalid.
    Check(check::CheckArgs),
    /// Explains how a request would be handled, and which line of the configuration decides it.
    Explain(ExplainArgs),
    /// Converts a captured vendor error to the problem that a client would get.
    #[command(visible_alias = "normalize")]
    Normalise(normalise::NormaliseArgs),
    /// Proposes a dialect from captured errors of a vendor.
    Learn(learn::LearnArgs),
    /// Prints the contract of problems: codes, JSON Schema, OpenAPI components.
    Problem(problem::ProblemArgs),
    /// Lists the built-in dialects, or prints one.
    Dialect(dialect::DialectArgs),
    /// Lists the built-in profiles of vendors, or prints one.
    Profile(profile::ProfileArgs),
    /// Prints the effective settings, or the JSON Schema of the configuration.
    Config(config::ConfigArgs),
    /// Pauses, lowers or resets what a running gateway may use of its vendors' allowances.
    Allowance(allowance::AllowanceArgs),
    /// Checks whether a running gateway is ready, for container probes.
    Healthcheck(healthcheck::HealthcheckArgs),
}

#[derive(Args, Debug)]
struct ExplainArgs {
    #[command(flatten)]
    source: source::ReadOnlySource,
    #[command(flatten)]
    request: explain::Args,
}

/// Runs the subcommand given on the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let CommandLine { subcommand } = CommandLine::parse();
    let (out, err) = (&mut std::io::stdout(), &mut std::io::stderr());
    match subcommand {
        Subcommands::Run(args) => run::run(&args, err),
        Subcommands::Demo(args) => demo::run(&args, out, err),
        Subcommands::Check(args) => check::run(&args, out, err),
        Subcommands::Explain(args) => {
            let stdin = &mut std::io::stdin();
            let mut streams = Streams { stdin, stdout: out, stderr: err };
            explain(&args, &mut streams, Clock::start().wall())
        }
        Subcommands::Config(args) => config::run(&args, out, err),
        Subcommands::Normalise(args) => {
            let stdin = &mut std::io::stdin();
            let mut streams = Streams { stdin, stdout: out, stderr: err };
            normalise::run(&args, &mut streams, || Clock::start().wall())
        }
        Subcommands::Learn(args) => {
            let stdin = &mut std::io::empty();
            let mut streams = Streams { stdin, stdout: out, stderr: err };
            learn::run(&args, &mut streams, Clock::start().wall())
        }
        Subcommands::Problem(args) => {
            let stdin = &mut std::io::empty();
            problem::run(&args, &mut Streams { stdin, stdout: out, stderr: err })
        }
        Subcommands::Dialect(args) => {
            let stdin = &mut std::io::empty();
            dialect::run(&args, &mut Streams { stdin, stdout: out, stderr: err })
        }
        Subcommands::Profile(args) => {
            let stdin = &mut std::io::empty();
            profile::run(&args, &mut Streams { stdin, stdout: out, stderr: err })
        }
        Subcommands::Allowance(args) => allowance::run(&args, &Environment::of_process(), out, err),
        Subcommands::Healthcheck(args) => healthcheck::run(&args, &Environment::of_process(), err),
    }
}

/// Input and output of a subcommand, which tests replace.
pub struct Streams<'a> {
    pub stdin: &'a mut dyn Read,
    pub stdout: &'a mut dyn Write,
    pub stderr: &'a mut dyn Write,
}

impl std::fmt::Debug for Streams<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Streams").finish_non_exhaustive()
    }
}

fn explain(args: &ExplainArgs, streams: &mut Streams<'_>, now: SystemTime) -> ExitCode {
    let loaded = match load(&args.source.request(), &Environment::of_process()) {
        Ok(loaded) => loaded,
        Err(diagnostics) => return source::report(&diagnostics, streams.stderr),
    };
    let response = match args.request.response(streams.stdin, now) {
        Ok(response) => response,
        Err((code, message)) => {
            // Where standard error cannot be written either, the exit code has to do.
            let _ = writeln!(streams.stderr, "evenkeel explain: {message}");
            return ExitCode::from(code);
        }
    };
    let origin = |key: &str| first_written(&loaded.provenance, key);
    let request = args.request.request();
    let text = explain::explain(&loaded.settings, &origin, &request, response.as_ref());
    match streams.stdout.write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// The place in the configuration of a key, or of the first key below a group of keys.
fn first_written(provenance: &Provenance, group: &str) -> Option<String> {
    let in_group = |key: &str| key.strip_prefix(group).is_some_and(|rest| rest.starts_with('.'));
    let known = provenance.all().iter().filter(|known| known.key == group || in_group(&known.key));
    known.map(|known| &known.origin).find_map(|origin| match origin {
        Origin::Written(_) | Origin::Dialect(_) => Some(origin.to_string()),
        Origin::Default => None,
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::dialect as dialects;

    #[test]
    fn the_clap_definition_is_valid() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn documented_command_lines_are_parsed() {
        let lines = [
            "evenkeel run -c a.yaml -c b.yaml --set listen.address=127.0.0.1:1",
            "evenkeel run --upstream https://api.vendor.example --limit 10/s",
            "evenkeel run --upstream https://a.example --dialect auto --listen 127.0.0.1:1",
            "evenkeel check -c a.yaml --format json",
            "evenkeel explain -c a.yaml GET /wordbee/documents",
            "evenkeel explain GET /wordbee/documents --response throttle.http",
            "evenkeel explain POST /wordbee/documents --response - --status 503",
            "evenkeel config show -c a.yaml --without-secrets",
            "evenkeel check --without-secrets -c a.yaml",
            "evenkeel explain --without-secrets GET /wordbee/documents",
            "evenkeel config schema",
            "evenkeel run --upstream https://a.example --admin 127.0.0.1:1",
            "evenkeel run -c a.yaml --admin [::1]:9901",
            "evenkeel demo --tour",
            "evenkeel demo --port 9000",
            "evenkeel normalise --dialect wordbee --status 400 -",
            "evenkeel normalise one.http - two.http",
            "evenkeel normalize --status 400 --method POST",
            "evenkeel learn --name payco one.http two.http",
            "evenkeel learn --status 400 body.json",
            "evenkeel problem schema",
            "evenkeel dialect",
            "evenkeel dialect graphql",
            "evenkeel profile",
            "evenkeel profile stripe",
            "evenkeel problem openapi",
            "evenkeel problem rate_limited --format html",
            "evenkeel healthcheck --admin 127.0.0.1:9900",
            "evenkeel allowance pause stripe --for 10m --reason incident",
            "evenkeel allowance lower stripe --to 40% --allowance hour --reason incident",
            "evenkeel allowance resume stripe --admin 127.0.0.1:9900 --token-file t",
            "evenkeel healthcheck -c a.yaml --set admin.address=127.0.0.1:1",
        ];
        for line in lines {
            let parsed = CommandLine::try_parse_from(line.split(' '));
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
        }
    }

    #[test]
    fn contradictory_command_lines_are_rejected() {
        let lines = [
            "evenkeel",
            "evenkeel runn",
            "evenkeel run --limit 10/s",
            "evenkeel run --upstream https://a.example -c a.yaml",
            "evenkeel healthcheck --admin nowhere",
            "evenkeel learn",
            "evenkeel demo --port 65533",
            "evenkeel demo --tour --port 9000",
        ];
        for line in lines {
            assert!(CommandLine::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }

    #[test]
    fn an_explanation_names_the_place_of_the_first_key_of_a_group() {
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
            let found = first_written(&provenance, key);
            let matches = match (&found, place) {
                (Some(found), Some(place)) => found.ends_with(place),
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            };
            assert!(matches, "{key}: {found:?}, expected {place:?}");
        }
    }

    #[test]
    fn the_reference_configuration_with_every_key_set_is_valid() {
        let text = std::fs::read_to_string("config/evenkeel.yaml").unwrap();
        let text = text.replace("#? ca: ", "# ca: ").replace("#?   name: acme", "# name: acme");
        let text = text.replace("#?         header: x-used", "# header: x-used");
        let text = text.replace("#? ", "").replace("concurrency: 8", "concurrency: 9");
        let secrets = crate::config::SecretsRead::No;
        let request = crate::config::LoadRequest {
            text: Some(text),
            secrets,
            ..crate::config::LoadRequest::default()
        };
        let loaded = load(&request, &Environment::of([]));
        loaded.unwrap_or_else(|diagnostics| {
            panic!("{}", diagnostics.render(crate::config::Colours::Plain))
        });
    }

    #[test]
    fn every_builtin_dialect_is_found_by_its_name() {
        assert!(dialects::builtin_names().any(|name| name == dialects::AUTO));
        assert!(dialects::builtin_names().all(|name| dialects::builtin(name).is_some()));
    }
}
