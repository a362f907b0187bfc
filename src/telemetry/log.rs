//! Sets up the log: text for a person at a terminal, JSON for a machine, always on stderr.

use std::io::{self, IsTerminal};
use std::time::SystemTime;

use jiff::Timestamp;
use serde::Serializer;
use serde::ser::SerializeMap;
use tracing::{Event, Subscriber};
use tracing_serde::SerdeMapVisitor;
use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::fmt::format::{FormatEvent, Writer};
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{FmtContext, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Registry, fmt, reload};

use super::log_writer::{self, LogThread, LogWriter};
use super::settings::{Format, Settings};
use crate::clock::Clock;

/// Why the log could not be set up.
#[derive(Debug)]
pub enum LogError {
    /// The configured level is neither a level nor a filter.
    Level { found: String, cause: String },
    /// The system gave no thread.
    Thread(io::Error),
    /// The process has a log already.
    Twice,
}

impl std::fmt::Display for LogError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Level { found, cause } => {
                write!(f, "`{found}` is neither a log level nor a log filter: {cause}")
            }
            Self::Thread(cause) => write!(f, "cannot start the log's thread: {cause}"),
            Self::Twice => f.write_str("the log is set up already"),
        }
    }
}

impl std::error::Error for LogError {}

/// Keeps the log running; dropping it writes the lines that still wait.
#[derive(Debug)]
pub struct Log {
    _thread: LogThread,
    level: LevelHandle,
}

/// Changes which lines are written while the program runs.
#[derive(Clone, Debug)]
pub struct LevelHandle(reload::Handle<Targets, Registry>);

impl LevelHandle {
    /// Writes lines of this level and more important ones from now on.
    ///
    /// # Errors
    /// It is neither a level nor a filter.
    pub fn set(&self, level: &str) -> Result<(), LogError> {
        let filter = filter(level)?;
        // Fails only when the log has ended.
        let _ = self.0.reload(filter);
        Ok(())
    }
}

impl Log {
    /// Sets up the log of the process, on stderr.
    ///
    /// # Errors
    /// The level cannot be parsed, there is no thread for the writer, or a log is set up already.
    pub fn start(settings: &Settings, clock: Clock) -> Result<Self, LogError> {
        let filter = filter(&settings.level)?;
        let (writer, thread) = log_writer::start().map_err(LogError::Thread)?;
        let style = match (settings.format, io::stderr().is_terminal()) {
            (Format::Json, _) | (Format::Auto, false) => Style::Json,
            (Format::Auto | Format::Text, true) => Style::ColouredText,
            (Format::Text, false) => Style::Text,
        };
        let (subscriber, level) = subscriber(writer, filter, style, clock);
        tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::Twice)?;
        Ok(Self { _thread: thread, level })
    }

    #[must_use]
    pub fn level(&self) -> LevelHandle {
        self.level.clone()
    }
}

fn filter(level: &str) -> Result<Targets, LogError> {
    let error =
        |cause: ParseError| LogError::Level { found: level.to_owned(), cause: cause.to_string() };
    level.parse().map_err(error)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    ColouredText,
    Text,
    Json,
}

fn subscriber(
    writer: LogWriter,
    filter: Targets,
    style: Style,
    clock: Clock,
) -> (Box<dyn Subscriber + Send + Sync>, LevelHandle) {
    let (filter, level) = reload::Layer::new(filter);
    let filtered = Registry::default().with(filter);
    let layer = fmt::layer().with_writer(writer).with_timer(WallTime(clock));
    let subscriber: Box<dyn Subscriber + Send + Sync> = match style {
        // The layer itself honours NO_COLOR.
        Style::ColouredText => Box::new(filtered.with(layer.with_target(false).compact())),
        Style::Text => Box::new(filtered.with(layer.with_ansi(false).with_target(false).compact())),
        Style::Json => {
            let layer = layer.json().flatten_event(true);
            Box::new(filtered.with(layer.map_event_format(|inner| JsonLine { clock, inner })))
        }
    };
    (subscriber, LevelHandle(level))
}

/// Room for a line; most calls fit.
const LINE_BYTES_USUAL: usize = 1024;

/// Writes an event as tracing-subscriber's flattened JSON does (`inner`), but serialises it into
/// one buffer first: `inner` checks and copies each token, 20,000 instructions of a logged call.
struct JsonLine<F> {
    clock: Clock,
    inner: F,
}

impl<F> JsonLine<F> {
    fn serialize(&self, line: &mut Vec<u8>, event: &Event<'_>) -> serde_json::Result<()> {
        let mut serializer = serde_json::Serializer::new(line);
        let mut map = serializer.serialize_map(None)?;
        let mut timestamp = String::new();
        // Writing to a string cannot fail.
        let _ = write_timestamp(&mut timestamp, self.clock.wall());
        map.serialize_entry("timestamp", &timestamp)?;
        map.serialize_entry("level", event.metadata().level().as_str())?;
        let mut visitor = SerdeMapVisitor::new(map);
        event.record(&mut visitor);
        let mut map = visitor.take_serializer()?;
        map.serialize_entry("target", event.metadata().target())?;
        map.end()
    }
}

impl<S, N, F> FormatEvent<S, N> for JsonLine<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        // Spans exist at debug level only.
        if context.lookup_current().is_some() {
            return self.inner.format_event(context, writer, event);
        }
        let mut line = Vec::with_capacity(LINE_BYTES_USUAL);
        self.serialize(&mut line, event).map_err(|_| std::fmt::Error)?;
        line.push(b'\n');
        writer.write_str(std::str::from_utf8(&line).map_err(|_| std::fmt::Error)?)
    }
}

/// RFC 3339 with microseconds, by the program's clock.
struct WallTime(Clock);

impl FormatTime for WallTime {
    fn format_time(&self, out: &mut Writer<'_>) -> std::fmt::Result {
        write_timestamp(out, self.0.wall())
    }
}

fn write_timestamp(out: &mut impl std::fmt::Write, wall: SystemTime) -> std::fmt::Result {
    write!(out, "{:.6}", Timestamp::try_from(wall).unwrap_or_default())
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::log_writer::tests::lines_written;
    use super::*;

    /// The JSON lines that `act` logs.
    pub(crate) fn captured(act: impl FnOnce()) -> String {
        captured_at("info", act)
    }

    fn captured_at(level: &str, act: impl FnOnce()) -> String {
        lines_written(|writer| {
            let filter = filter(level).unwrap();
            let (subscriber, _) = subscriber(writer, filter, Style::Json, Clock::start());
            tracing::subscriber::with_default(subscriber, act);
        })
    }

    #[test]
    fn an_invalid_level_is_named() {
        let error = filter("evenkeel=loud").unwrap_err().to_string();
        assert!(error.contains("`evenkeel=loud`"), "{error}");
        assert!(filter("warn,evenkeel::call=info").is_ok());
    }

    #[test]
    fn events_below_the_level_are_not_written() {
        let text = captured(|| {
            tracing::debug!("hidden");
            tracing::warn!(error = "x", "shown");
        });
        assert!(!text.contains("hidden") && text.contains("\"message\":\"shown\""), "{text}");
    }

    #[test]
    fn the_level_changes_while_the_log_runs() {
        let text = lines_written(|writer| {
            let level = filter("info").unwrap();
            let (subscriber, level) = subscriber(writer, level, Style::Json, Clock::start());
            tracing::subscriber::with_default(subscriber, || {
                for change in ["debug", "warn"] {
                    tracing::debug!("{change} follows");
                    tracing::info!("{change} is next");
                    level.set(change).unwrap();
                }
                tracing::info!("hidden");
                assert!(level.set("evenkeel=loud").is_err());
            });
        });
        let messages: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["message"].clone())
            .collect();
        assert_eq!(messages, ["debug is next", "warn follows", "warn is next"]);
    }

    #[test]
    fn spans_are_shown_at_debug_level_only() {
        let act = || {
            let _span = tracing::debug_span!("outer", depth = 1).entered();
            tracing::info!("inside");
        };
        let text = captured_at("debug", act);
        assert!(text.contains("\"span\":{\"depth\":1,\"name\":\"outer\"}"), "{text}");
        assert!(!captured(act).contains("outer"));
    }

    #[test]
    fn every_type_of_field_becomes_its_json_type() {
        let text = captured(|| {
            let (none, some) = (None::<&str>, Some(7));
            let error: &dyn std::error::Error = &io::Error::other("broken");
            tracing::error!(
                none, some, minus = -3, float = 1.5, yes = true, text = "a \"b\"\n",
                shown = %"c\t\u{1}\\", debug = ?[Some("d"), None], error, "with {}", 9
            );
        });
        let mut line: Value = serde_json::from_str(&text).unwrap();
        let line = line.as_object_mut().unwrap();
        let stamp = line.remove("timestamp").unwrap();
        assert_eq!(stamp.as_str().map(str::len), Some("2026-11-21T23:42:39.999999Z".len()));
        let expected = json!({
            "level": "ERROR", "message": "with 9", "some": 7, "minus": -3, "float": 1.5,
            "yes": true, "text": "a \"b\"\n", "shown": "c\t\u{1}\\",
            "debug": "[Some(\"d\"), None]", "error": "broken", "target": module_path!(),
        });
        assert_eq!(&Value::Object(std::mem::take(line)), &expected);
    }

    #[test]
    fn timestamps_have_microseconds() {
        let rows = [
            (Duration::ZERO, "1970-01-01T00:00:00.000000Z"),
            (Duration::new(951_782_400, 1_999), "2000-02-29T00:00:00.000001Z"),
            (Duration::new(1_795_304_559, 999_999_999), "2026-11-21T23:42:39.999999Z"),
        ];
        for (since, expected) in rows {
            let mut written = String::new();
            write_timestamp(&mut written, UNIX_EPOCH + since).unwrap();
            assert_eq!(written, expected);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_one_line_and_reads_back(
            text in "(?s:.{0,60})",
            odd in "[\u{0}-\u{9f}\\\\\"]{0,20}",
        ) {
            let text = text + &odd;
            let written = captured(|| tracing::info!(shown = %text, debug = ?text, text));
            prop_assert_eq!(written.lines().count(), 1);
            let line: Value = serde_json::from_str(&written).unwrap();
            prop_assert_eq!(&line["text"], &text);
            prop_assert_eq!(&line["shown"], &text);
            prop_assert_eq!(&line["debug"], &format!("{text:?}"));
        }
    }
}
