//! Complete lines → stderr, by a thread of their own.
//!
//! Lines are handed over on a bounded channel: a reader that stops reading stderr costs lines,
//! which are counted, and never calls. After a write the thread pauses before it looks again, so
//! that a busy log costs one wake and one write for hundreds of lines, and whoever hands one in
//! finds nobody to wake; the first line after a quiet time is written at once. Refuses to know
//! what a line says.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, Thread, park_timeout};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// How long the thread rests after a write: nobody who reads a log notices, and it wakes at most
/// fifty times a second.
const PAUSE: Duration = Duration::from_millis(20);

/// Lines that may wait for the thread; a line is some hundred bytes. In each pause there is room
/// for 200,000 lines a second, several times what a machine of errors and nothing else writes.
const LINES_MAX: usize = 4096;

/// Bytes gathered for one write: what a pipe takes at once.
const WRITE_BYTES: usize = 64 * 1024;

/// How long the end of the program waits for the last lines; stderr may be stuck.
const LAST_LINES_MAX: Duration = Duration::from_secs(1);

/// Where lines are handed in.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    sender: SyncSender<Line>,
    tally: Arc<Tally>,
}

/// What both sides know.
#[derive(Debug, Default)]
struct Tally {
    /// Lines that found no room.
    lost: AtomicU64,
    /// Whether the program ends.
    ending: AtomicBool,
}

#[derive(Debug)]
enum Line {
    Text(Vec<u8>),
    /// No more comes: only to wake a thread that waits for a line.
    End,
}

/// The thread that writes; when dropped, what waits is written first.
#[derive(Debug)]
pub(super) struct Scribe {
    lines: Lines,
    thread: Thread,
    /// Ends when the thread has.
    written: Receiver<()>,
}

/// Starts the thread that writes to stderr.
///
/// # Errors
/// The system gives no thread.
pub(super) fn start() -> io::Result<(Lines, Scribe)> {
    let (lines, receiver) = channel(LINES_MAX);
    let (done, written) = sync_channel(1);
    let tally = Arc::clone(&lines.tally);
    let write = move || {
        write_lines(&receiver, &tally, io::stderr(), || park_timeout(PAUSE));
        drop(done);
    };
    let thread = Builder::new().name("log".to_owned()).spawn(write)?.thread().clone();
    Ok((lines.clone(), Scribe { lines, thread, written }))
}

fn channel(lines_max: usize) -> (Lines, Receiver<Line>) {
    let (sender, receiver) = sync_channel(lines_max);
    (Lines { sender, tally: Arc::default() }, receiver)
}

impl Drop for Scribe {
    fn drop(&mut self) {
        // The subscriber keeps its sender for ever, so the end is said, not deduced. Where there
        // is no room to say it the thread is busy, and sees it when it has written.
        self.lines.tally.ending.store(true, Ordering::Release);
        let _ = self.lines.sender.try_send(Line::End);
        self.thread.unpark();
        let _ = self.written.recv_timeout(LAST_LINES_MAX);
    }
}

impl Lines {
    /// Takes one complete line.
    pub(super) fn hand_in(&self, line: Vec<u8>) {
        if self.sender.try_send(Line::Text(line)).is_err() {
            self.tally.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
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
        self.hand_in(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_lines(lines: &Receiver<Line>, tally: &Tally, mut out: impl Write, pause: impl Fn()) {
    let mut gathered = Vec::new();
    while let Ok(Line::Text(first)) = lines.recv() {
        write_all(first, lines, &mut gathered, &mut out);
        tell_lost(tally, &mut out);
        pause();
        if tally.ending.load(Ordering::Acquire) {
            write_all(Vec::new(), lines, &mut gathered, &mut out);
            tell_lost(tally, &mut out);
            break;
        }
    }
    let _ = out.flush();
}

/// Writes this line and all that wait behind it.
fn write_all(first: Vec<u8>, lines: &Receiver<Line>, gathered: &mut Vec<u8>, out: &mut impl Write) {
    let mut next = Some(first);
    while let Some(line) = next {
        gathered.extend_from_slice(&line);
        next = lines.try_iter().find_map(|line| match line {
            Line::Text(line) => Some(line),
            Line::End => None,
        });
        if next.is_none() || WRITE_BYTES <= gathered.len() {
            // Nobody can be told that stderr is closed.
            let _ = out.write_all(gathered);
            gathered.clear();
        }
    }
}

fn tell_lost(tally: &Tally, out: &mut impl Write) {
    let lost = tally.lost.swap(0, Ordering::Relaxed);
    if lost > 0 {
        let _ =
            writeln!(out, "{{\"level\":\"WARN\",\"message\":\"log lines lost\",\"lost\":{lost}}}");
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::cell::Cell;

    use super::*;

    /// The lines that are handed in meanwhile.
    pub(in crate::telemetry) fn kept(act: impl FnOnce(Lines)) -> String {
        let (lines, receiver) = channel(LINES_MAX);
        act(lines);
        let texts = receiver.try_iter().map(|line| match line {
            Line::Text(line) => String::from_utf8(line).unwrap(),
            Line::End => String::new(),
        });
        texts.collect()
    }

    /// Every write by itself.
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

    fn hand_in(lines: &Lines, texts: &[&str]) {
        texts.iter().for_each(|text| lines.hand_in(text.as_bytes().to_vec()));
    }

    #[test]
    fn lines_are_written_in_order_and_lost_ones_counted() {
        let (lines, receiver) = channel(2);
        hand_in(&lines, &["1\n", "2\n", "3\n"]);
        let Lines { sender, tally } = lines;
        drop(sender);
        let mut writes = Writes::default();
        write_lines(&receiver, &tally, &mut writes, || ());
        let expected = "1\n2\n{\"level\":\"WARN\",\"message\":\"log lines lost\",\"lost\":1}\n";
        assert_eq!(writes.0.concat(), expected);
    }

    #[test]
    fn what_comes_during_the_pause_is_one_write() {
        let (lines, receiver) = channel(LINES_MAX);
        let tally = Arc::clone(&lines.tally);
        let pauses = Cell::new(0);
        hand_in(&lines, &["1\n"]);
        let mut writes = Writes::default();
        write_lines(&receiver, &tally, &mut writes, || {
            pauses.set(pauses.get() + 1);
            match pauses.get() {
                1 => hand_in(&lines, &["2\n", "3\n", "4\n"]),
                _ => lines.tally.ending.store(true, Ordering::Release),
            }
        });
        assert_eq!((writes.0, pauses.get()), (vec!["1\n".to_owned(), "2\n3\n4\n".to_owned()], 2));
    }

    #[test]
    fn many_lines_are_several_writes() {
        let (lines, receiver) = channel(LINES_MAX);
        let line = "x".repeat(999) + "\n";
        (0..200).for_each(|_| hand_in(&lines, &[&line]));
        let Lines { sender, tally } = lines;
        drop(sender);
        let mut writes = Writes::default();
        write_lines(&receiver, &tally, &mut writes, || ());
        assert_eq!(writes.0.iter().map(String::len).sum::<usize>(), 200 * 1000);
        assert!(writes.0.iter().all(|write| write.len() < WRITE_BYTES + 1000));
        assert_eq!(writes.0.len(), 4);
    }

    #[test]
    fn the_end_writes_what_is_left_even_where_it_finds_no_room() {
        let (lines, receiver) = channel(2);
        let tally = Arc::clone(&lines.tally);
        hand_in(&lines, &["1\n", "2\n"]);
        lines.tally.ending.store(true, Ordering::Release);
        assert!(lines.sender.try_send(Line::End).is_err());
        let mut writes = Writes::default();
        write_lines(&receiver, &tally, &mut writes, || hand_in(&lines, &["3\n"]));
        assert_eq!(writes.0.concat(), "1\n2\n3\n");
    }
}
