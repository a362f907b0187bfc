//! `evenkeel config`: the settings in force, and the schema for editors.

use std::io::Write;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::source::{ReadOnlySource, report};
use crate::config::{Environment, load, schema};

/// Shows what the configuration means.
#[derive(Args, Clone, Debug)]
pub struct ConfigArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    /// The settings in force as YAML, each with where it comes from; secrets hidden.
    Show(ReadOnlySource),
    /// The JSON Schema of the configuration, for editors.
    Schema,
}

pub fn run(args: &ConfigArgs, out: &mut dyn Write, err: &mut dyn Write) -> ExitCode {
    let text = match &args.what {
        What::Schema => format!("{:#}\n", schema()),
        What::Show(source) => match load(&source.request(), &Environment::of_process()) {
            Ok(loaded) => loaded.show(),
            Err(diagnostics) => return report(&diagnostics, err),
        },
    };
    match out.write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        config: ConfigArgs,
    }

    fn config(line: &[&str]) -> (ExitCode, String, String) {
        let args = Line::parse_from(std::iter::once(&"config").chain(line)).config;
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = run(&args, &mut out, &mut err);
        (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn every_value_is_shown_with_its_origin() {
        let line = ["show", "-c", "config/examples/minimal.yaml", "--set", "shutdown.grace=5s"];
        let (code, out, err) = config(&line);
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::SUCCESS), "{err}");
        for line in [
            "  grace: 5s  # --set shutdown.grace\n",
            "  address: 127.0.0.1:8080  # default\n",
            "    url: https://api.vendor.example  # config/examples/minimal.yaml:",
        ] {
            assert!(out.contains(line), "{line} is not in\n{out}");
        }
    }

    #[test]
    fn secrets_need_not_be_there_to_be_shown() {
        let file = "config/examples/shared-service.yaml";
        let (code, out, err) = config(&["show", "--without-secrets", "-c", file]);
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::SUCCESS), "{err}");
        assert!(out.contains("key: { env: STOREFRONT_KEY }"), "{out}");
        assert!(!out.contains("unread"), "{out}");
    }

    #[test]
    fn the_schema_is_json() {
        let (_, out, _) = config(&["schema"]);
        let schema: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(schema["properties"]["version"]["const"], 1);
    }
}
