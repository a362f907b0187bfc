//! Response heads as upstreams send them.

use bytes::BytesMut;
use evenkeel::http1::HeaderCase;
use evenkeel::server::examine::{RequestHeads, write_response};
use evenkeel::upstream::ResponseLimits;
use evenkeel::upstream::examine::{ExaminedResponse, ResponseHeads, ResponseLength};
use http::{Method, Response};

use super::{BodyOf, Fields, Target, Verdict, cuts, fields, vectors};

pub(crate) const TARGET: Target = Target {
    name: "response_head",
    bytes_max: 2048,
    run,
    seeds: || vectors::read("response-heads.txt").into_iter().map(|vector| vector.input).collect(),
};

/// Bounds small enough that short inputs exceed them.
const SMALL: ResponseLimits = ResponseLimits { head_bytes_max: 1024, headers_max: 16 };

/// A response head that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) status: u16,
    pub(crate) fields: Fields,
    /// `None` for an interim response.
    pub(crate) body: Option<ResponseLength>,
    /// Bytes up to its end.
    pub(crate) length: usize,
}

/// The first head of what arrives in these pieces, in response to this method.
pub(crate) fn read(pieces: &[&[u8]], method: &Method, bounds: ResponseLimits) -> Verdict<Read> {
    examined(pieces, method, bounds).0
}

fn examined(
    pieces: &[&[u8]],
    method: &Method,
    bounds: ResponseLimits,
) -> (Verdict<Read>, Option<(Response<()>, HeaderCase)>) {
    let mut heads = ResponseHeads::new(bounds);
    let (mut received, mut given) = (BytesMut::new(), 0);
    for piece in pieces {
        received.extend_from_slice(piece);
        given += piece.len();
        let length = |received: &BytesMut| given - received.len();
        match heads.take(&mut received, method) {
            Ok(None) => assert!(received.len() <= given, "more is left than there was"),
            Err(fault) => return (Verdict::Rejected(format!("{fault:?}")), None),
            Ok(Some(ExaminedResponse::Interim { status, headers })) => {
                let (status, fields) = (status.as_u16(), fields(&headers));
                let read = Read { status, fields, body: None, length: length(&received) };
                return (Verdict::Accepted(read), None);
            }
            Ok(Some(ExaminedResponse::Final { response, body, spelling })) => {
                let (status, fields) = (response.status().as_u16(), fields(response.headers()));
                let read = Read { status, fields, body: Some(body), length: length(&received) };
                return (Verdict::Accepted(read), Some((response, spelling)));
            }
        }
    }
    (Verdict::Incomplete, None)
}

fn run(input: &[u8]) {
    for method in [Method::GET, Method::HEAD] {
        let [whole, single, varied] = cuts(input);
        let (verdict, examined) = examined(&whole, &method, SMALL);
        for pieces in [single, varied] {
            same_verdict(&verdict, &read(&pieces, &method, SMALL));
        }
        if method == Method::GET {
            super::peers::response_head(input).check(input);
        }
        let Some(read) = verdict.accepted() else { continue };
        framing_is_unambiguous(&input[..read.length], read, &method);
        if let Some((response, spelling)) = examined {
            is_stable_when_forwarded(read, &response, &spelling, &method);
        }
    }
}

/// The pieces in which a head arrives decide neither whether it is accepted nor what it says.
fn same_verdict(whole: &Verdict<Read>, pieces: &Verdict<Read>) {
    let alike = match (whole, pieces) {
        // A head beyond a bound that is malformed too is rejected for what was seen first.
        (Verdict::Rejected(_), Verdict::Rejected(_)) => true,
        (one, other) => one == other,
    };
    assert!(alike, "at once {whole:?}, in pieces {pieces:?}");
}

/// What RFC 9112 demands of an accepted head, read again in the simplest way.
fn framing_is_unambiguous(head: &[u8], read: &Read, method: &Method) {
    let lines: Vec<&[u8]> = head.split(|byte| *byte == b'\n').collect();
    let lines = lines.iter().map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let mut lines = lines.skip_while(|line| line.is_empty());
    let status_line = lines.next().expect("a status line");
    assert!(status_line.starts_with(b"HTTP/1."), "{}", status_line.escape_ascii());
    let (mut lengths, mut codings, mut count) = (Vec::new(), Vec::new(), 0);
    for line in lines.take_while(|line| !line.is_empty()) {
        let shown = line.escape_ascii();
        assert!(!line.contains(&b'\r') && !line.contains(&0), "a control character: {shown}");
        let colon = line.iter().position(|byte| *byte == b':').expect("name and value");
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        assert!(!name.is_empty() && !name.contains(&b' ') && !name.contains(&b'\t'), "{shown}");
        count += 1;
        match name.to_ascii_lowercase().as_slice() {
            b"content-length" => lengths.push(value.trim_ascii()),
            b"transfer-encoding" => codings.push(value.trim_ascii().to_ascii_lowercase()),
            _ => {}
        }
    }
    assert!(count <= SMALL.headers_max && head.len() <= SMALL.head_bytes_max + 2, "{count} lines");
    let bodiless = *method == Method::HEAD || [204, 304].contains(&read.status);
    let expected = match (read.body, &lengths[..], &codings[..]) {
        (None, _, _) => return,
        (Some(_), _, _) if bodiless => ResponseLength::Exactly(0),
        (Some(_), [], []) => ResponseLength::Close,
        (Some(_), [length], []) => {
            let digits = length.iter().all(u8::is_ascii_digit);
            assert!(digits, "{}", length.escape_ascii());
            let length = std::str::from_utf8(length).expect("digits").parse().expect("a number");
            ResponseLength::Exactly(length)
        }
        (Some(_), [], [coding]) if coding == b"chunked" => ResponseLength::Chunks,
        _ => panic!("more than one length: {}", head.escape_ascii()),
    };
    assert_eq!(read.body, Some(expected));
}

/// An accepted head is written to a client so that it is read as the same head again.
fn is_stable_when_forwarded(
    read: &Read,
    response: &Response<()>,
    spelling: &HeaderCase,
    method: &Method,
) {
    let request = format!("{method} / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n");
    let request = RequestHeads::new(1024, 16, 128).take(&mut BytesMut::from(&*request));
    let request = request.expect("a plain head").expect("a whole head");
    let length = match read.body {
        Some(ResponseLength::Exactly(bytes)) => Some(bytes),
        Some(ResponseLength::Chunks | ResponseLength::Close) | None => None,
    };
    let response = response.clone().map(|()| BodyOf(length));
    let written = write_response(&request, &response, spelling);
    let bounds = ResponseLimits { head_bytes_max: 8192, headers_max: 20 };
    let Verdict::Accepted(again) = self::read(&[&written], method, bounds) else {
        panic!("not read again: {}", written.escape_ascii());
    };
    assert_eq!((again.status, again.length), (read.status, written.len()));
    assert_eq!(passing(&again.fields), passing(&read.fields), "{}", written.escape_ascii());
    // What ends with its connection is sent on in chunks.
    let expected = match read.body {
        Some(ResponseLength::Close) => Some(ResponseLength::Chunks),
        body => body,
    };
    assert_eq!(again.body, expected, "{}", written.escape_ascii());
}

/// Fields that writing a head neither adds nor drops.
fn passing(fields: &Fields) -> Fields {
    let ours = ["connection", "content-length", "transfer-encoding", "trailer", "date"];
    fields.iter().filter(|(name, _)| !ours.contains(&&**name)).cloned().collect()
}
