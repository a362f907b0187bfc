//! Request heads as clients send them.

use bytes::BytesMut;
use evenkeel::http1::Length;
use evenkeel::server::examine::{ExaminedRequest, RequestHeads};
use evenkeel::upstream::{RequestHead, examine::write_request};
use http::HeaderValue;

use super::{BodyOf, Fields, Target, Verdict, cuts, fields, vectors};

pub(crate) const TARGET: Target = Target {
    name: "request_head",
    bytes_max: 2048,
    run,
    seeds: || vectors::read("request-heads.txt").into_iter().map(|vector| vector.input).collect(),
};

/// Bounds small enough that short inputs exceed them.
const SMALL: Limits = Limits { head_bytes: 1024, headers: 16, target_bytes: 128 };

#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) head_bytes: usize,
    pub(crate) headers: usize,
    pub(crate) target_bytes: usize,
}

/// A request head that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) version: http::Version,
    pub(crate) fields: Fields,
    pub(crate) body: Length,
    /// Bytes of the head.
    pub(crate) length: usize,
}

/// The first head of what arrives in these pieces.
pub(crate) fn read(pieces: &[&[u8]], limits: Limits) -> Verdict<Read> {
    examined(pieces, limits).0
}

fn examined(pieces: &[&[u8]], limits: Limits) -> (Verdict<Read>, Option<ExaminedRequest>) {
    let mut heads = RequestHeads::new(limits.head_bytes, limits.headers, limits.target_bytes);
    let (mut received, mut given) = (BytesMut::new(), 0);
    for piece in pieces {
        received.extend_from_slice(piece);
        given += piece.len();
        match heads.take(&mut received) {
            Ok(None) => assert_eq!(received.len(), given, "an incomplete head consumes nothing"),
            Err(reason) => return (Verdict::Rejected(reason), None),
            Ok(Some(examined)) => {
                let request = &examined.request;
                let read = Read {
                    method: request.method().to_string(),
                    target: request.uri().to_string(),
                    version: request.version(),
                    fields: fields(request.headers()),
                    body: examined.body,
                    length: given - received.len(),
                };
                return (Verdict::Accepted(read), Some(examined));
            }
        }
    }
    (Verdict::Incomplete, None)
}

fn run(input: &[u8]) {
    let [whole, single, varied] = cuts(input);
    let (verdict, examined) = examined(&whole, SMALL);
    for pieces in [single, varied] {
        same_verdict(&verdict, &read(&pieces, SMALL), input);
    }
    super::peers::request_head(input).check(input);
    let (Some(read), Some(examined)) = (verdict.accepted(), examined) else { return };
    framing_is_unambiguous(&input[..read.length], read);
    is_stable_when_forwarded(read, &examined);
}

/// The pieces in which a head arrives decide neither whether it is accepted nor what it says.
fn same_verdict(whole: &Verdict<Read>, pieces: &Verdict<Read>, input: &[u8]) {
    // Beyond a bound, what was seen first decides the reason.
    let bound = |reason: &str| ["Head", "TargetLength"].contains(&reason);
    let alike = match (whole, pieces) {
        (Verdict::Rejected(one), Verdict::Rejected(other)) => {
            one == other || bound(one) || bound(other)
        }
        // Of a very long incomplete head that arrives at once, the lines are not read early.
        (Verdict::Incomplete, Verdict::Rejected(_)) => {
            input.iter().filter(|byte| **byte == b'\n').count() > 128
        }
        (one, other) => one == other,
    };
    assert!(alike, "at once {whole:?}, in pieces {pieces:?}");
}

/// What RFC 9112 demands of an accepted head, read again in the simplest way.
fn framing_is_unambiguous(head: &[u8], read: &Read) {
    let head = head.strip_prefix(b"\r\n").unwrap_or(head);
    let lines = head.strip_suffix(b"\r\n\r\n").expect("a head ends with an empty line");
    let lines = std::str::from_utf8(lines).map_or_else(
        |_| lines.iter().map(|byte| char::from(*byte)).collect::<String>(),
        str::to_owned,
    );
    let mut lines = lines.split("\r\n");
    let request_line = lines.next().expect("a request line");
    assert_eq!(request_line.split(' ').count(), 3, "two spaces: {request_line:?}");
    let (mut hosts, mut lengths, mut codings, mut count) = (0, Vec::new(), Vec::new(), 0);
    for line in lines {
        assert!(!line.contains(['\r', '\n', '\0']), "a control character: {line:?}");
        let (name, value) = line.split_once(':').expect("name and value");
        assert!(!name.is_empty() && !name.contains([' ', '\t']), "a blank in a name: {line:?}");
        count += 1;
        match name.to_ascii_lowercase().as_str() {
            "host" => hosts += 1,
            "content-length" => lengths.push(value.trim_matches(' ').to_owned()),
            "transfer-encoding" => codings.push(value.trim_matches(' ').to_ascii_lowercase()),
            _ => {}
        }
    }
    let body = match (&lengths[..], &codings[..]) {
        ([], []) => Length::None,
        ([length], []) => {
            assert!(length.bytes().all(|byte| byte.is_ascii_digit()), "{length:?}");
            Length::Exactly(length.parse().expect("digits"))
        }
        ([], [coding]) if coding == "chunked" && read.version == http::Version::HTTP_11 => {
            Length::Chunks
        }
        _ => panic!("more than one length: {lengths:?} {codings:?}"),
    };
    assert_eq!(body, read.body);
    assert!(hosts == 1 || hosts == 0 && read.version == http::Version::HTTP_10, "{hosts} hosts");
    assert!(count <= SMALL.headers && head.len() <= SMALL.head_bytes, "beyond the bounds");
}

/// An accepted head is written to an upstream so that it is read as the same head again.
fn is_stable_when_forwarded(read: &Read, examined: &ExaminedRequest) {
    let request = &examined.request;
    let Some(target) = request.uri().path_and_query().filter(|_| request.uri().host().is_none())
    else {
        return;
    };
    let head = RequestHead {
        method: request.method().clone(),
        target: target.clone(),
        headers: request.headers().clone(),
        client: 0,
        spelling: examined.spelling.clone(),
    };
    let body = match examined.body {
        Length::None => Some(0),
        Length::Exactly(bytes) => Some(bytes),
        Length::Chunks | Length::Close => None,
    };
    let host = HeaderValue::from_static("vendor.example");
    let written = write_request(&head, &BodyOf(body), &host);
    let again = self::read(&[&written], Limits { head_bytes: 8192, headers: 20, ..SMALL });
    let Verdict::Accepted(again) = again else {
        panic!("{again:?} of what was written: {}", written.escape_ascii());
    };
    assert_eq!((&again.method, &again.target), (&read.method, &read.target));
    assert_eq!(again.length, written.len(), "{}", written.escape_ascii());
    let ends = |length: Length| if length == Length::Exactly(0) { Length::None } else { length };
    assert_eq!(ends(again.body), ends(read.body), "{}", written.escape_ascii());
    assert_eq!(passing(&again.fields), passing(&read.fields), "{}", written.escape_ascii());
}

/// Fields that writing a head neither adds nor drops.
fn passing(fields: &Fields) -> Fields {
    let ours = ["host", "connection", "content-length", "transfer-encoding", "trailer"];
    fields.iter().filter(|(name, _)| !ours.contains(&&**name)).cloned().collect()
}
