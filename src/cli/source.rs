//! Which configuration a verb reads, and how it reports one that is not valid.

use std::io::{IsTerminal as _, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::config::{Colours, Diagnostics, Flags, LoadRequest, SecretsRead};

/// The exit code for an invalid configuration (`EX_CONFIG` of sysexits.h).
pub const EXIT_CONFIG: u8 = 78;

/// The flags that every verb with a configuration has.
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
    #[must_use]
    pub fn request(&self) -> LoadRequest {
        let (files, sets) = (self.files.clone(), self.sets.clone());
        LoadRequest { text: None, files, sets, flags: Flags::default(), secrets: SecretsRead::Yes }
    }
}

/// The flags of verbs that run nothing, so that the secrets of the configuration may be absent.
#[derive(Args, Clone, Debug, Default)]
pub struct ReadOnlySource {
    #[command(flatten)]
    source: ConfigSource,
    /// Reads no secret, so that it works where the secrets are not.
    #[arg(long)]
    without_secrets: bool,
}

impl ReadOnlySource {
    #[must_use]
    pub fn request(&self) -> LoadRequest {
        let secrets = if self.without_secrets { SecretsRead::No } else { SecretsRead::Yes };
        LoadRequest { secrets, ..self.source.request() }
    }
}

/// Reports what is wrong with the configuration, and returns the exit code for it.
pub fn report(diagnostics: &Diagnostics, err: &mut dyn Write) -> ExitCode {
    match write!(err, "{}", diagnostics.render(colours())) {
        Ok(()) => ExitCode::from(EXIT_CONFIG),
        Err(_) => ExitCode::FAILURE,
    }
}

/// Whether stderr shows colours.
pub fn colours() -> Colours {
    if std::io::stderr().is_terminal() { Colours::Ansi } else { Colours::Plain }
}
