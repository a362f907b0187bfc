//! The log: text for a person at a terminal, JSON for a machine, always on stderr.
//!
//! Lines are handed to a thread of their own over a bounded channel: a reader that stops reading
//! stderr costs lines, which are counted, and never calls. Refuses to write files or to rotate.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::{MakeWriter, format::FmtSpan};

use super::settings::{Format, Settings};

/// Lines that may wait for the writing thread; a line is some hundred bytes.
const LINES_MAX: usize = 4096;

/// How long the end of the program waits for the last lines; stderr may be stuck.
const LAST_LINES_MAX: Duration = Duration::from_secs(1);

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
    sender: SyncSender<Line>,
    /// Ends when the writing thread has.
    written: Receiver<()>,
}

impl Log {
    /// Sets up the log of the program, on stderr.
    ///
    /// # Errors
    /// The level is not understood, or the system gives no thread.
    pub fn start(settings: &Settings) -> Result<Self, LogFault> {
        let filter = filter(&settings.level)?;
        let (sender, receiver) = sync_channel(LINES_MAX);
        let (done, written) = sync_channel(1);
        let lines = Lines { sender: sender.clone(), lost: Arc::default() };
        let lost = Arc::clone(&lines.lost);
        let write = move || {
            write_lines(&receiver, &lost, io::stderr());
            drop(done);
        };
        let thread = std::thread::Builder::new().name("log".to_owned()).spawn(write);
        thread.map_err(LogFault::Thread)?;
        let subscriber = subscriber(lines, filter, Look::of(settings.format));
        tracing::subscriber::set_global_default(subscriber).map_err(|_| LogFault::Twice)?;
        Ok(Self { sender, written })
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // The subscriber keeps its sender for ever, so the end is said, not deduced.
        if self.sender.try_send(Line::End).is_ok() {
            let _ = self.written.recv_timeout(LAST_LINES_MAX);
        }
    }
}

/// Whether a level or a filter is understood.
///
/// # Errors
/// It is not; with what is wrong.
fn filter(level: &str) -> Result<EnvFilter, LogFault> {
    let fault = |cause: tracing_subscriber::filter::ParseError| LogFault::Level {
        found: level.to_owned(),
        cause: cause.to_string(),
    };
    EnvFilter::try_new(level).map_err(fault)
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

fn subscriber<W>(writer: W, filter: EnvFilter, look: Look) -> Boxed
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt()
        .with_writer(writer)
        .with_env_filter(filter)
        .with_span_events(FmtSpan::NONE);
    match look {
        // The builder itself honours NO_COLOR.
        Look::Colourful => Box::new(builder.with_target(false).compact().finish()),
        Look::Text => Box::new(builder.with_ansi(false).with_target(false).compact().finish()),
        Look::Json => Box::new(builder.json().flatten_event(true).finish()),
    }
}

#[derive(Debug)]
enum Line {
    Text(Vec<u8>),
    End,
}

/// Where lines are handed in.
#[derive(Clone, Debug)]
struct Lines {
    sender: SyncSender<Line>,
    /// Lines that found no room.
    lost: Arc<AtomicU64>,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

/// One write is one line: the formatter hands over complete events.
impl Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.sender.try_send(Line::Text(line.to_vec())).is_err() {
            self.lost.fetch_add(1, Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_lines(lines: &Receiver<Line>, lost: &AtomicU64, mut out: impl Write) {
    while let Ok(Line::Text(line)) = lines.recv() {
        // Nobody can be told that stderr is closed.
        let _ = out.write_all(&line);
        let lost = lost.swap(0, Relaxed);
        if lost > 0 {
            let _ = writeln!(
                out,
                "{{\"level\":\"WARN\",\"message\":\"log lines lost\",\"lost\":{lost}}}"
            );
        }
    }
    let _ = out.flush();
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Kept {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    /// What is logged meanwhile, as JSON lines.
    pub(in crate::telemetry) fn captured(act: impl FnOnce()) -> String {
        let kept = Kept::default();
        let writer = kept.clone();
        let subscriber = subscriber(move || writer.clone(), filter("info").unwrap(), Look::Json);
        tracing::subscriber::with_default(subscriber, act);
        kept.text()
    }

    #[test]
    fn lines_are_written_in_order_and_lost_ones_counted() {
        let (sender, receiver) = sync_channel(2);
        let lines = Lines { sender, lost: Arc::default() };
        for line in ["1\n", "2\n", "3\n"] {
            (&lines).write_all(line.as_bytes()).unwrap();
        }
        let kept = Kept::default();
        let Lines { sender, lost } = lines;
        drop(sender);
        write_lines(&receiver, &lost, kept.clone());
        let expected = "1\n{\"level\":\"WARN\",\"message\":\"log lines lost\",\"lost\":1}\n2\n";
        assert_eq!(kept.text(), expected);
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
}
