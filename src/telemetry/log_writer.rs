//! Writes complete log lines to stderr from a thread of its own.
//!
//! Lines are queued on a bounded channel, so a reader that stops reading stderr costs log lines,
//! which are counted and reported, and never delays calls. After each write the thread pauses: a
//! busy log then costs one wake-up and one write for hundreds of lines, while the first line after
//! a quiet time is written at once.
//!
//! `tracing-appender` was considered instead. It counts lost lines without reporting them, wakes
//! its thread and writes for every single line, panics if it gets no thread, prints to stdout at
//! exit, and brings three more crates for rotating files.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, Thread, park_timeout};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Short enough that no reader of a log notices; at most fifty wake-ups a second.
const PAUSE: Duration = Duration::from_millis(20);

/// Lines that may wait for the thread, of some hundred bytes each. With one batch per pause this is
/// 200,000 lines a second, several times what a machine that answers nothing but errors writes.
const QUEUED_LINES_MAX: usize = 4096;

/// Bytes gathered for one write: what a pipe takes at once.
const WRITE_BYTES: usize = 64 * 1024;

/// How long the end of the program waits for the last lines, because stderr may be stuck.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Queues lines for the thread.
#[derive(Clone, Debug)]
pub(super) struct LogWriter {
    queue: SyncSender<Vec<u8>>,
    state: Arc<State>,
}

/// What the writer, the thread and its owner share.
#[derive(Debug, Default)]
struct State {
    /// Lines that found the queue full and are not reported yet.
    lost: AtomicU64,
    is_ending: AtomicBool,
}

/// The thread that writes. Dropping it writes the lines that still wait.
#[derive(Debug)]
pub(super) struct LogThread {
    writer: LogWriter,
    thread: Thread,
    /// Disconnects when the thread ends.
    ended: Receiver<()>,
}

/// Starts the thread that writes to stderr.
///
/// # Errors
/// The system gives no thread.
pub(super) fn start() -> io::Result<(LogWriter, LogThread)> {
    let (writer, queue) = channel(QUEUED_LINES_MAX);
    let (at_end, ended) = sync_channel(1);
    let state = Arc::clone(&writer.state);
    let write = move || {
        write_lines(&queue, &state, io::stderr(), || park_timeout(PAUSE));
        drop(at_end);
    };
    let thread = Builder::new().name("log".to_owned()).spawn(write)?.thread().clone();
    Ok((writer.clone(), LogThread { writer, thread, ended }))
}

fn channel(lines_max: usize) -> (LogWriter, Receiver<Vec<u8>>) {
    let (queue, receiver) = sync_channel(lines_max);
    (LogWriter { queue, state: Arc::default() }, receiver)
}

impl Drop for LogThread {
    fn drop(&mut self) {
        // The global subscriber keeps a sender for ever, so the channel never disconnects. The
        // empty line wakes a thread that waits for one; if the queue is full, the thread is busy
        // and sees the flag after its write.
        self.writer.state.is_ending.store(true, Ordering::Release);
        let _ = self.writer.queue.try_send(Vec::new());
        self.thread.unpark();
        let _ = self.ended.recv_timeout(FLUSH_TIMEOUT);
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

/// One write is one line, because the formatter writes complete events.
impl Write for &LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.queue.try_send(line.to_vec()).is_err() {
            self.state.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_lines(queue: &Receiver<Vec<u8>>, state: &State, mut out: impl Write, pause: impl Fn()) {
    while let Ok(line) = queue.recv() {
        write_batch(line, queue, state, &mut out);
        pause();
        if state.is_ending.load(Ordering::Acquire) {
            write_batch(Vec::new(), queue, state, &mut out);
            break;
        }
    }
    let _ = out.flush();
}

/// Writes `first`, all lines that are queued behind it, and how many were lost.
fn write_batch(first: Vec<u8>, queue: &Receiver<Vec<u8>>, state: &State, out: &mut impl Write) {
    let mut batch = first;
    for line in queue.try_iter() {
        if WRITE_BYTES <= batch.len() {
            // Errors are ignored: there is nowhere to report that stderr is closed.
            let _ = out.write_all(&batch);
            batch.clear();
        }
        batch.extend_from_slice(&line);
    }
    let _ = out.write_all(&batch);
    let lost = state.lost.swap(0, Ordering::Relaxed);
    if lost > 0 {
        let _ =
            writeln!(out, "{{\"level\":\"WARN\",\"message\":\"log lines lost\",\"lost\":{lost}}}");
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::cell::Cell;

    use super::*;

    /// The lines that `act` writes.
    pub(in crate::telemetry) fn lines_written(act: impl FnOnce(LogWriter)) -> String {
        let (writer, queue) = channel(QUEUED_LINES_MAX);
        act(writer);
        queue.try_iter().map(|line| String::from_utf8(line).unwrap()).collect()
    }

    /// Keeps each write apart.
    #[derive(Default)]
    struct Writes(Vec<String>);

    impl Write for &mut Writes {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.push(String::from_utf8(bytes.to_vec()).unwrap());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn write(mut writer: &LogWriter, lines: &[&str]) {
        lines.iter().for_each(|line| writer.write_all(line.as_bytes()).unwrap());
    }

    #[test]
    fn lines_are_written_in_order_and_lost_ones_are_counted() {
        let (writer, queue) = channel(2);
        write(&writer, &["1\n", "2\n", "3\n"]);
        let LogWriter { queue: sender, state } = writer;
        drop(sender);
        let mut writes = Writes::default();
        write_lines(&queue, &state, &mut writes, || ());
        let expected = "1\n2\n{\"level\":\"WARN\",\"message\":\"log lines lost\",\"lost\":1}\n";
        assert_eq!(writes.0.concat(), expected);
    }

    #[test]
    fn lines_queued_during_the_pause_are_one_write() {
        let (writer, queue) = channel(QUEUED_LINES_MAX);
        let state = Arc::clone(&writer.state);
        let pauses = Cell::new(0);
        write(&writer, &["1\n"]);
        let mut writes = Writes::default();
        write_lines(&queue, &state, &mut writes, || {
            pauses.set(pauses.get() + 1);
            match pauses.get() {
                1 => write(&writer, &["2\n", "3\n", "4\n"]),
                _ => writer.state.is_ending.store(true, Ordering::Release),
            }
        });
        assert_eq!((writes.0, pauses.get()), (vec!["1\n".to_owned(), "2\n3\n4\n".to_owned()], 2));
    }

    #[test]
    fn many_lines_are_several_writes() {
        let (writer, queue) = channel(QUEUED_LINES_MAX);
        let line = "x".repeat(999) + "\n";
        (0..200).for_each(|_| write(&writer, &[&line]));
        let LogWriter { queue: sender, state } = writer;
        drop(sender);
        let mut writes = Writes::default();
        write_lines(&queue, &state, &mut writes, || ());
        assert_eq!(writes.0.iter().map(String::len).sum::<usize>(), 200 * 1000);
        assert!(writes.0.iter().all(|write| write.len() < WRITE_BYTES + 1000));
        assert_eq!(writes.0.len(), 4);
    }

    #[test]
    fn the_end_writes_the_remaining_lines_even_if_the_queue_was_full() {
        let (writer, queue) = channel(2);
        let state = Arc::clone(&writer.state);
        write(&writer, &["1\n", "2\n"]);
        writer.state.is_ending.store(true, Ordering::Release);
        assert!(writer.queue.try_send(Vec::new()).is_err());
        let mut writes = Writes::default();
        write_lines(&queue, &state, &mut writes, || write(&writer, &["3\n"]));
        assert_eq!(writes.0.concat(), "1\n2\n3\n");
    }

    #[test]
    fn a_closed_stderr_does_not_end_the_thread() {
        struct Closed;

        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }

            fn flush(&mut self) -> io::Result<()> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }

        let (writer, queue) = channel(2);
        let state = Arc::clone(&writer.state);
        write(&writer, &["1\n"]);
        let pauses = Cell::new(0);
        write_lines(&queue, &state, Closed, || {
            pauses.set(pauses.get() + 1);
            write(&writer, &["2\n"]);
            writer.state.is_ending.store(pauses.get() == 3, Ordering::Release);
        });
        assert_eq!(pauses.get(), 3);
        assert_eq!(writer.state.lost.load(Ordering::Relaxed), 0);
    }
}
