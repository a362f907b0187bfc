//! The log: text for a person at a terminal, JSON for a machine, always on stderr.
//!
//! Refuses to write files or to rotate.

use std::io::{self, IsTerminal};

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Registry, fmt};

use super::json::JsonLines;
use super::lines::{self, Lines, Scribe};
use super::settings::{Format, Settings};
use crate::clock::Clock;

/// The log could not be set up.
#[derive(Debug)]
pub enum LogFault {
    /// The level is none, and no filter either.
    Level {
        /// What was configured.
        found: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The writing thread could not be started.
    Thread(io::Error),
    /// A log was set up before.
    Twice,
}

impl std::fmt::Display for LogFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Level { found, cause } => {
                write!(f, "`{found}` is no log level and no filter: {cause}")
            }
            Self::Thread(cause) => write!(f, "the log cannot start its thread: {cause}"),
            Self::Twice => f.write_str("a log is set up already"),
        }
    }
}

impl std::error::Error for LogFault {}

/// Keeps the log running; when dropped, what waits is written first.
#[derive(Debug)]
pub struct Log {
    _scribe: Scribe,
}

impl Log {
    /// Sets up the log of the program, on stderr.
    ///
    /// # Errors
    /// The level is not understood, or the system gives no thread.
    pub fn start(settings: &Settings, clock: Clock) -> Result<Self, LogFault> {
        let filter = filter(&settings.level)?;
        let (lines, scribe) = lines::start().map_err(LogFault::Thread)?;
        let subscriber = subscriber(lines, filter, Look::of(settings.format), clock);
        tracing::subscriber::set_global_default(subscriber).map_err(|_| LogFault::Twice)?;
        Ok(Self { _scribe: scribe })
    }
}

/// Whether a level or a filter is understood.
///
/// # Errors
/// It is not; with what is wrong.
fn filter(level: &str) -> Result<Targets, LogFault> {
    let fault =
        |cause: ParseError| LogFault::Level { found: level.to_owned(), cause: cause.to_string() };
    level.parse().map_err(fault)
}

/// What a line looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Colourful,
    Text,
    Json,
}

impl Look {
    fn of(format: Format) -> Self {
        match (format, io::stderr().is_terminal()) {
            (Format::Json, _) | (Format::Auto, false) => Self::Json,
            (Format::Auto | Format::Text, true) => Self::Colourful,
            (Format::Text, false) => Self::Text,
        }
    }
}

type Boxed = Box<dyn Subscriber + Send + Sync>;

fn subscriber(lines: Lines, filter: Targets, look: Look, clock: Clock) -> Boxed {
    // At debug level the spans of libraries are shown too, which our own lines do not know.
    let debugs = filter.default_level().is_none_or(|level| level > LevelFilter::INFO);
    let filtered = Registry::default().with(filter);
    if look == Look::Json && !debugs {
        return Box::new(filtered.with(JsonLines { lines, clock }));
    }
    let layer = fmt::layer().with_writer(lines);
    match look {
        // The layer itself honours NO_COLOR.
        Look::Colourful => Box::new(filtered.with(layer.with_target(false).compact())),
        Look::Text => Box::new(filtered.with(layer.with_ansi(false).with_target(false).compact())),
        Look::Json => Box::new(filtered.with(layer.json().flatten_event(true))),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::lines::tests::kept;
    use super::*;

    /// What is logged meanwhile, as JSON lines.
    pub(crate) fn captured(act: impl FnOnce()) -> String {
        captured_at("info", act)
    }

    fn captured_at(level: &str, act: impl FnOnce()) -> String {
        kept(|lines| {
            let subscriber = subscriber(lines, filter(level).unwrap(), Look::Json, Clock::start());
            tracing::subscriber::with_default(subscriber, act);
        })
    }

    #[test]
    fn a_level_that_is_none_is_refused() {
        let fault = filter("evenkeel=loud").unwrap_err().to_string();
        assert!(fault.contains("`evenkeel=loud`"), "{fault}");
        assert!(filter("warn,evenkeel::call=info").is_ok());
    }

    #[test]
    fn events_keep_to_the_level() {
        let text = captured(|| {
            tracing::debug!("hidden");
            tracing::warn!(error = "x", "shown");
        });
        assert!(!text.contains("hidden") && text.contains("\"message\":\"shown\""), "{text}");
    }

    #[test]
    fn who_debugs_sees_spans() {
        let act = || {
            let _span = tracing::debug_span!("outer", depth = 1).entered();
            tracing::info!("inside");
        };
        let text = captured_at("debug", act);
        assert!(text.contains("\"span\":{\"depth\":1,\"name\":\"outer\"}"), "{text}");
        assert!(!captured(act).contains("outer"));
    }
}
