//! Reads what an attempt used out of the body of its response, which is copied while it passes and
//! never held back.
//!
//! Of an event stream only the event that is passing is kept, so that its length does not matter.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

use crate::allowance::{
    COST_CLASSES, ConcurrencyPermit, CostClass, CostRule, UnknownCost, UsedAt, used_in_json,
};
use crate::dialect::{self, BrokenOff};

/// Bytes that are copied of a body, or of one event of a stream.
const COPIED_BYTES_MAX: usize = 256 * 1024;

/// The costs that a response's body says, as it passes.
#[derive(Debug)]
pub(in crate::gateway) struct UsageTap {
    costs: Vec<(CostClass, Arc<CostRule>)>,
    /// The headers by which the body is decoded.
    headers: HeaderMap,
    copy: BodyCopy,
    /// What was said last, by the place of the cost.
    said: [Option<Result<u32, UnknownCost>>; COST_CLASSES],
}

#[derive(Debug)]
enum BodyCopy {
    /// All that has passed; `None` beyond the bound. It is read at its end.
    Whole(Option<Vec<u8>>),
    /// The present event.
    Events(EventReader),
}

impl UsageTap {
    pub(in crate::gateway) fn new(
        costs: Vec<(CostClass, Arc<CostRule>)>,
        headers: &HeaderMap,
    ) -> Self {
        let decisive = headers.iter().filter(|(name, _)| DECISIVE.contains(name));
        let headers: HeaderMap =
            decisive.map(|(name, value)| (name.clone(), value.clone())).collect();
        let readable = is_event_stream(&headers) && !headers.contains_key(CONTENT_ENCODING);
        let copy = match readable {
            true => BodyCopy::Events(EventReader::default()),
            false => BodyCopy::Whole(Some(Vec::new())),
        };
        Self { costs, headers, copy, said: [None; COST_CLASSES] }
    }

    /// Copies what passes.
    pub(in crate::gateway) fn push(&mut self, data: &[u8]) {
        match &mut self.copy {
            BodyCopy::Whole(copied) => {
                let room = |copied: &Vec<u8>| copied.len() + data.len() <= COPIED_BYTES_MAX;
                *copied = copied.take().filter(room);
                copied.iter_mut().for_each(|copied| copied.extend_from_slice(data));
            }
            BodyCopy::Events(events) => {
                events.push(data, |event| read_event(&self.costs, event, &mut self.said));
            }
        }
    }

    /// The body has ended, and what it says is noted. Returns why something is not known.
    pub(in crate::gateway) fn finish(
        mut self,
        permit: &mut ConcurrencyPermit,
    ) -> Option<UnknownCost> {
        let (costs, said) = (&self.costs, &mut self.said);
        match &mut self.copy {
            BodyCopy::Events(events) => events.finish(|event| read_event(costs, event, said)),
            BodyCopy::Whole(copied) => {
                let decode = |copied| dialect::decoded(copied, &self.headers, BrokenOff::Refused);
                let body = copied.take().map(Bytes::from).and_then(decode);
                if let Some(body) = body.as_deref().filter(|_| is_event_stream(&self.headers)) {
                    let mut events = EventReader::default();
                    events.push(body, |event| read_event(costs, event, said));
                    events.finish(|event| read_event(costs, event, said));
                } else {
                    let unreadable = Err(UnknownCost::BodyUnreadable);
                    for ((_, rule), said) in costs.iter().zip(said) {
                        *said = Some(body.as_deref().map_or(unreadable, |it| used(rule, it)));
                    }
                }
            }
        }
        let mut unknown = None;
        for ((class, _), said) in self.costs.iter().zip(self.said) {
            match said.unwrap_or(Err(UnknownCost::Missing)) {
                Ok(units) => permit.note_used(*class, units),
                Err(reason) => unknown = Some(reason),
            }
        }
        unknown
    }
}

/// The headers that say how a body is read.
const DECISIVE: [http::HeaderName; 2] = [CONTENT_TYPE, CONTENT_ENCODING];

fn is_event_stream(headers: &HeaderMap) -> bool {
    const MEDIA_TYPE: &[u8] = b"text/event-stream";
    let media_type = headers.get(CONTENT_TYPE).and_then(|it| it.as_bytes().get(..MEDIA_TYPE.len()));
    media_type.is_some_and(|start| start.eq_ignore_ascii_case(MEDIA_TYPE))
}

fn used(rule: &CostRule, text: &[u8]) -> Result<u32, UnknownCost> {
    match &rule.used {
        Some(UsedAt::Json(pointers)) => used_in_json(text, pointers),
        Some(UsedAt::Header(_)) | None => Err(UnknownCost::Missing),
    }
}

/// The last event counts that says anything. Most say nothing, and some are not JSON.
fn read_event(
    costs: &[(CostClass, Arc<CostRule>)],
    event: &[u8],
    said: &mut [Option<Result<u32, UnknownCost>>],
) {
    for ((_, rule), said) in costs.iter().zip(said) {
        match used(rule, event) {
            Err(UnknownCost::Missing | UnknownCost::BodyUnreadable) => {}
            word => *said = Some(word),
        }
    }
}

/// Splits a stream into the data of its events.
#[derive(Debug, Default)]
struct EventReader {
    line: Vec<u8>,
    data: Vec<u8>,
    /// The present event is longer than what is copied.
    is_cut: bool,
    /// A line feed that follows belongs to the line end before it.
    after_return: bool,
}

impl EventReader {
    fn push(&mut self, mut data: &[u8], mut event: impl FnMut(&[u8])) {
        while let Some(first) = data.first() {
            if std::mem::take(&mut self.after_return) && *first == b'\n' {
                data = &data[1..];
                continue;
            }
            let end = data.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            self.copy(&data[..end.unwrap_or(data.len())]);
            let Some(end) = end else { return };
            self.after_return = data[end] == b'\r';
            self.end_line(&mut event);
            data = &data[end + 1..];
        }
    }

    /// The last event may lack its blank line.
    fn finish(&mut self, mut event: impl FnMut(&[u8])) {
        self.end_line(&mut event);
        self.end_line(&mut event);
    }

    fn copy(&mut self, part: &[u8]) {
        self.is_cut |= COPIED_BYTES_MAX < self.line.len() + self.data.len() + part.len();
        if !self.is_cut {
            self.line.extend_from_slice(part);
        }
    }

    fn end_line(&mut self, event: &mut impl FnMut(&[u8])) {
        if let Some(data) = self.line.strip_prefix(b"data:") {
            self.data.extend_from_slice(data);
            self.data.push(b'\n');
        } else if self.line.is_empty() {
            if !std::mem::take(&mut self.is_cut) && !self.data.is_empty() {
                event(&self.data);
            }
            self.data.clear();
        }
        self.line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The events of a stream that arrives in pieces of this size.
    fn events(stream: &str, piece: usize) -> Vec<String> {
        let (mut reader, mut found) = (EventReader::default(), Vec::new());
        let mut note = |event: &[u8]| found.push(String::from_utf8(event.to_vec()).unwrap());
        stream.as_bytes().chunks(piece).for_each(|piece| reader.push(piece, &mut note));
        reader.finish(note);
        found
    }

    #[test]
    fn a_stream_is_split_into_events_however_it_arrives() {
        let rows: [(&str, &[&str]); 6] = [
            ("data: 1\n\ndata: 2\n\n", &[" 1\n", " 2\n"]),
            ("data:1\r\n\r\ndata:2\r\rdata:3\n\n", &["1\n", "2\n", "3\n"]),
            ("event: x\ndata: 1\ndata: 2\n: no\n\n\n\n", &[" 1\n 2\n"]),
            ("data: 1\n\ndata: 2", &[" 1\n", " 2\n"]),
            ("\n\nid: 7\n\n", &[]),
            ("", &[]),
        ];
        for (stream, expected) in rows {
            for piece in 1..=8 {
                assert_eq!(events(stream, piece), expected, "{stream:?} by {piece}");
            }
        }
    }

    #[test]
    fn an_event_beyond_the_bound_is_passed_over() {
        let long = "x".repeat(COPIED_BYTES_MAX);
        let stream = format!("data: 1\n\ndata: {long}\ndata: 2\n\ndata: 3\n\n");
        assert_eq!(events(&stream, 10_000), [" 1\n", " 3\n"]);
    }
}
