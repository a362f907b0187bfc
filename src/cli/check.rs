//! `evenkeel check`: reads and resolves the configuration, and reports what is wrong with it.

use std::io::Write;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::files;
use super::source::{EXIT_CONFIG, ReadOnlySource, report};
use crate::config::{Environment, Loaded, load};

/// Checks the configuration and reports everything that is wrong with it.
#[derive(Args, Clone, Debug)]
pub struct CheckArgs {
    #[command(flatten)]
    source: ReadOnlySource,
    /// How mistakes are written: with excerpts on stderr, or as JSON on stdout.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Human,
    /// For programs.
    Json,
}

pub fn run(args: &CheckArgs, out: &mut dyn Write, err: &mut dyn Write) -> ExitCode {
    let loaded = load(&args.source.request(), &Environment::of_process());
    let written = match (&loaded, args.format) {
        (Ok(loaded), format) => warn(loaded, files::allowed(), err).and_then(|()| match format {
            Format::Human => {
                loaded.settings.summary().iter().try_for_each(|line| writeln!(out, "{line}"))
            }
            Format::Json => writeln!(out, "[]"),
        }),
        (Err(diagnostics), Format::Human) => return report(diagnostics, err),
        (Err(diagnostics), Format::Json) => writeln!(out, "{:#}", diagnostics.json()),
    };
    match (loaded, written) {
        (Ok(_), Ok(())) => ExitCode::SUCCESS,
        (Err(_), Ok(())) => ExitCode::from(EXIT_CONFIG),
        (Ok(_) | Err(_), Err(_)) => ExitCode::FAILURE,
    }
}

/// Warns of settings without effect, and of limits of this machine, which may not be the one that
/// the gateway runs on.
fn warn(loaded: &Loaded, files: Option<u64>, err: &mut dyn Write) -> std::io::Result<()> {
    for warning in &loaded.warnings {
        writeln!(err, "warning: {warning}")?;
    }
    match files::too_few(files, &loaded.settings) {
        Some(shortage) => writeln!(err, "warning: on this machine {shortage}"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        check: CheckArgs,
    }

    /// Exit code, stdout, stderr.
    fn check(line: &[&str]) -> (String, String, String) {
        let args = Line::parse_from(std::iter::once(&"check").chain(line)).check;
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = run(&args, &mut out, &mut err);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (format!("{code:?}"), text(out), text(err))
    }

    #[test]
    fn what_is_wrong_is_said_and_78() {
        let wrong = "tests/data/config/62-five-at-once.yaml";
        let (code, out, err) = check(&["-c", wrong]);
        assert_eq!(code, format!("{:?}", ExitCode::from(78)));
        assert_eq!(out, "");
        assert!(err.ends_with("62-five-at-once.yaml: 5 errors\n"), "{err}");
        let (code, out, err) = check(&["-c", wrong, "--format", "json"]);
        assert_eq!((code, err.as_str()), (format!("{:?}", ExitCode::from(78)), ""));
        let diagnostics: serde_json::Value = serde_json::from_str(&out).unwrap();
        let first = serde_json::json!({
            "code": "type",
            "message": "`127.0.0.1` is not a valid socket address",
            "key": "listen.address",
            "layer": "file",
            "source": wrong,
            "line": 1,
            "column": 20,
            "found": "127.0.0.1",
            "accepted": "an IP address and a port: 127.0.0.1:8080, 0.0.0.0:8080, [::1]:8080",
            "nearest": "127.0.0.1:8080",
        });
        assert_eq!((diagnostics.as_array().unwrap().len(), &diagnostics[0]), (5, &first));
    }

    #[test]
    fn connections_that_the_machine_has_no_files_for_are_warned_of() {
        let args = Line::parse_from(["check", "-c", "config/examples/minimal.yaml"]).check;
        let loaded = load(&args.source.request(), &Environment::default()).unwrap();
        let warned = |files| {
            let mut err = Vec::new();
            warn(&loaded, files, &mut err).unwrap();
            String::from_utf8(err).unwrap()
        };
        assert_eq!((warned(None), warned(Some(20_000))), (String::new(), String::new()));
        let text = warned(Some(1_024));
        let begins = "warning: on this machine the system allows 1024 open files, fewer than";
        assert!(text.starts_with(begins) && text.lines().count() == 1, "{text}");
        assert!(text.contains("`connections.max` of all upstreams 256"), "{text}");
    }

    #[test]
    fn what_is_in_order_is_one_line_per_upstream() {
        let (code, out, err) = check(&["-c", "config/examples/minimal.yaml"]);
        assert_eq!(code, format!("{:?}", ExitCode::SUCCESS), "{err}");
        assert_eq!(out, "vendor: /vendor -> https://api.vendor.example; all 10/s; dialect auto\n");
        assert_eq!(err, "");
    }
}
