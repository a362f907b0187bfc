//! An event → one line of JSON.
//!
//! The same line that tracing-subscriber's formatter writes, in a fraction of its time: a failed
//! call has one, so it counts among what a failure costs. Refuses spans, of which there are none
//! unless somebody debugs.

use std::fmt;
use std::ops::Range;
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::tz::Offset;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use super::lines::Lines;
use crate::clock::Clock;
use crate::problem::json::{self, Members};

/// Bytes set aside for a line; that of a failed call is a little shorter.
const LINE_BYTES: usize = 512;

/// Writes every event as a line of JSON.
#[derive(Debug)]
pub(super) struct JsonLines {
    pub(super) lines: Lines,
    pub(super) clock: Clock,
}

impl<S: Subscriber> Layer<S> for JsonLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.lines.hand_in(line(event, self.clock.wall()));
    }
}

/// Timestamp to the microsecond, level, the event's own fields, target.
fn line(event: &Event<'_>, wall: SystemTime) -> Vec<u8> {
    let mut line = Vec::with_capacity(LINE_BYTES);
    let about = event.metadata();
    json::object(&mut line, |members| {
        members.text("timestamp", Stamp::of(wall).as_str());
        members.text("level", about.level().as_str());
        event.record(&mut Fields(members));
        members.text("target", about.target());
    });
    line.push(b'\n');
    line
}

/// A moment to the microsecond, as RFC 3339 writes it. Made by hand: formatting took as long as
/// the rest of the line.
struct Stamp([u8; 27]);

impl Stamp {
    fn of(wall: SystemTime) -> Self {
        let moment = Timestamp::try_from(wall).unwrap_or_default();
        let civil = Offset::UTC.to_datetime(moment);
        let mut stamp = Self(*b"0000-00-00T00:00:00.000000Z");
        stamp.put(0..4, civil.year().unsigned_abs().into());
        stamp.put(5..7, civil.month().unsigned_abs().into());
        stamp.put(8..10, civil.day().unsigned_abs().into());
        stamp.put(11..13, civil.hour().unsigned_abs().into());
        stamp.put(14..16, civil.minute().unsigned_abs().into());
        stamp.put(17..19, civil.second().unsigned_abs().into());
        stamp.put(20..26, civil.subsec_nanosecond().unsigned_abs() / 1000);
        stamp
    }

    fn put(&mut self, digits: Range<usize>, mut number: u32) {
        for digit in self.0[digits].iter_mut().rev() {
            *digit = b"0123456789"[(number % 10) as usize];
            number /= 10;
        }
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("digits and marks are ASCII")
    }
}

/// The fields of an event, as members of its line.
struct Fields<'a, 'b>(&'a mut Members<'b>);

impl Visit for Fields<'_, '_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.value(field.name(), &format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.text(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.value(field.name(), &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.value(field.name(), &value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.value(field.name(), &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.value(field.name(), &value);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;
    use tracing_subscriber::Registry;
    use tracing_subscriber::fmt::{format::Writer, time::FormatTime};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::telemetry::lines::tests::kept;

    const WALL: SystemTime = UNIX_EPOCH;

    /// A moment that both writers show alike.
    struct Epoch;

    impl FormatTime for Epoch {
        fn format_time(&self, to: &mut Writer<'_>) -> fmt::Result {
            to.write_str("1970-01-01T00:00:00.000000Z")
        }
    }

    /// Keeps what `line` makes of every event.
    struct Ours(Arc<Mutex<Vec<u8>>>, SystemTime);

    impl<S: Subscriber> Layer<S> for Ours {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            self.0.lock().unwrap().extend(line(event, self.1));
        }
    }

    /// What we write, and what the formatter writes that everybody knows.
    fn both(act: impl Fn()) -> (String, String) {
        let ours = Arc::default();
        let subscriber = Registry::default().with(Ours(Arc::clone(&ours), WALL));
        tracing::subscriber::with_default(subscriber, &act);
        let theirs = kept(|lines| {
            let json = tracing_subscriber::fmt().json().flatten_event(true).with_timer(Epoch);
            tracing::subscriber::with_default(json.with_writer(lines).finish(), &act);
        });
        let ours = String::from_utf8(std::mem::take(&mut *ours.lock().unwrap())).unwrap();
        (ours, theirs)
    }

    #[test]
    fn every_kind_of_field_is_written_as_the_known_formatter_writes_it() {
        let error: &(dyn std::error::Error + 'static) = &fmt::Error;
        let (ours, theirs) = both(|| {
            tracing::info!(target: "a::\"b\"", n = 1_u64, i = -1_i64, half = 0.5, nan = f64::NAN, "text");
            let (none, some, byte) = (None::<u64>, Some("x"), 3_u8);
            tracing::error!(none, some, byte, yes = true, big = u128::MAX, "with {byte}");
            tracing::warn!(debug = ?[Some("a\n\"b\""), None], shown = %"c\t\u{1}\\", error);
        });
        assert_eq!(ours, theirs);
        assert_eq!(ours.lines().count(), 3, "{ours}");
    }

    #[test]
    fn moments_have_microseconds() {
        let rows = [
            (Duration::new(951_782_400, 1_999), "2000-02-29T00:00:00.000001Z"),
            (Duration::new(1_795_304_559, 999_999_999), "2026-11-21T23:42:39.999999Z"),
        ];
        for (since, expected) in rows {
            let ours = Arc::default();
            let subscriber = Registry::default().with(Ours(Arc::clone(&ours), WALL + since));
            tracing::subscriber::with_default(subscriber, || tracing::info!("x"));
            let written = String::from_utf8(std::mem::take(&mut *ours.lock().unwrap())).unwrap();
            assert!(written.starts_with(&format!("{{\"timestamp\":\"{expected}\"")), "{written}");
        }
    }

    proptest! {
        #[test]
        fn hostile_texts_are_escaped(text in "(?s:.{0,60})", odd in "[\u{0}-\u{9f}\\\\\"]{0,20}") {
            let text = text + &odd;
            let (ours, theirs) = both(|| tracing::info!(shown = %text, debug = ?text, text));
            prop_assert_eq!(ours, theirs);
        }
    }
}
