//! `evenkeel config`: the settings in force, and the schema for editors.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::check::refuse;
use crate::config::{Dialects, Environment, Flags, Request, SecretsRead, load, schema};

/// From where the configuration is read; the same for every verb.
#[derive(Args, Clone, Debug, Default)]
pub struct ConfigSource {
    /// A file, a folder of *.yaml, or `-`; may be repeated, later ones win.
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// One setting, stronger than files and environment; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
}

impl ConfigSource {
    /// What to ask the loader for.
    #[must_use]
    pub fn request(&self) -> Request {
        let (files, sets) = (self.files.clone(), self.sets.clone());
        Request { text: None, files, sets, flags: Flags::default(), secrets: SecretsRead::Yes }
    }
}

/// A configuration that is only looked at: the secrets it names need not be there.
#[derive(Args, Clone, Debug, Default)]
pub struct LookedAt {
    #[command(flatten)]
    source: ConfigSource,
    /// Reads no secret, so that it works where the secrets are not.
    #[arg(long)]
    without_secrets: bool,
}

impl LookedAt {
    /// What to ask the loader for.
    #[must_use]
    pub fn request(&self) -> Request {
        let secrets = if self.without_secrets { SecretsRead::No } else { SecretsRead::Yes };
        Request { secrets, ..self.source.request() }
    }
}

/// Shows what the configuration means.
#[derive(Args, Clone, Debug)]
pub struct ConfigArgs {
    #[command(subcommand)]
    what: What,
}

/// What to show.
#[derive(Clone, Debug, Subcommand)]
enum What {
    /// The settings in force as YAML, each with where it comes from; secrets hidden.
    Show(LookedAt),
    /// The JSON Schema of the configuration, for editors.
    Schema,
}

/// Shows it.
pub fn run(
    args: &ConfigArgs,
    dialects: &Dialects,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> ExitCode {
    let text = match &args.what {
        What::Schema => format!("{:#}\n", schema(dialects)),
        What::Show(source) => match load(&source.request(), &Environment::of_process(), dialects) {
            Ok(loaded) => loaded.show(),
            Err(faults) => return refuse(&faults, err),
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
    use crate::config::tests::DIALECTS;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        config: ConfigArgs,
    }

    fn config(line: &[&str]) -> (ExitCode, String, String) {
        let args = Line::parse_from(std::iter::once(&"config").chain(line)).config;
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = run(&args, &DIALECTS, &mut out, &mut err);
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
