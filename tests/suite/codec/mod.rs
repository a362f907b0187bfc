//! The parsers against the vectors of `tests/data/framing`, against httparse and hyper, and under
//! the fuzz targets' properties. `tests/fuzz/run` looks for more of the same with libFuzzer.

mod hyper;
mod wire;

use std::collections::{BTreeMap, BTreeSet};

use evenkeel::http1::{Length, SizePadding};
use evenkeel::upstream::ResponseLimits;
use evenkeel::upstream::examine::ResponseLength;
use http::Method;

use crate::targets::peers::{self, Comparison, DIFFERENCES, Difference, kebab};
use crate::targets::{
    TARGETS, Target, Verdict, chunks, cuts, request_head, response_head, vectors,
};

#[test]
fn request_heads_are_read_as_their_vectors_say() {
    let mut wrong = Vec::new();
    for vector in vectors::read("request-heads.txt") {
        let verdict = |pieces: &[&[u8]]| match request_head::read(pieces, peers::LIMITS) {
            Verdict::Accepted(read) => match read.body {
                Length::None => "body:none".to_owned(),
                Length::Exactly(bytes) => format!("body:{bytes}"),
                Length::Chunks => "body:chunks".to_owned(),
                Length::Close => "body:close".to_owned(),
            },
            rejected @ (Verdict::Rejected(_) | Verdict::Incomplete) => kebab(rejected.name()),
        };
        wrong.extend(differing(&vector, verdict));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn response_heads_are_read_as_their_vectors_say() {
    let bounds = ResponseLimits { head_bytes_max: 64 * 1024, headers_max: 256 };
    let mut wrong = Vec::new();
    for vector in vectors::read("response-heads.txt") {
        let verdict = |pieces: &[&[u8]]| match response_head::read(pieces, &Method::GET, bounds) {
            Verdict::Accepted(read) => match read.body {
                None => "interim".to_owned(),
                Some(ResponseLength::Exactly(bytes)) => format!("body:{bytes}"),
                Some(ResponseLength::Chunks) => "body:chunks".to_owned(),
                Some(ResponseLength::Close) => "body:close".to_owned(),
            },
            rejected @ (Verdict::Rejected(_) | Verdict::Incomplete) => kebab(rejected.name()),
        };
        wrong.extend(differing(&vector, verdict));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn chunks_are_read_as_their_vectors_say() {
    let mut wrong = Vec::new();
    for vector in vectors::read("chunks.txt") {
        let verdict = |pieces: &[&[u8]]| {
            let [client, upstream] = [SizePadding::Rejected, SizePadding::Accepted]
                .map(|padding| chunks::read(pieces, padding));
            match (client, upstream) {
                (Verdict::Accepted(_), Verdict::Accepted(_)) => "accepted",
                (Verdict::Rejected(_), Verdict::Accepted(_)) => "from-upstreams",
                (Verdict::Rejected(_), Verdict::Rejected(_)) => "rejected",
                (Verdict::Incomplete, Verdict::Incomplete) => "incomplete",
                _ => "clients and upstreams are treated differently",
            }
            .to_owned()
        };
        wrong.extend(differing(&vector, verdict));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A sentence for every way of cutting the input whose verdict is not the expected one.
fn differing(vector: &vectors::Vector, verdict: impl Fn(&[&[u8]]) -> String) -> Vec<String> {
    let [whole, single, varied] = cuts(&vector.input);
    let mut ways = vec![("at once", whole), ("in varied pieces", varied)];
    // Each piece is looked at together with what is there: long inputs would take too long.
    if vector.input.len() <= 2000 {
        ways.push(("byte by byte", single));
    }
    let found = ways.into_iter().map(|(way, pieces)| (way, verdict(&pieces)));
    let wrong = found.filter(|(_, found)| *found != vector.expected);
    let sentence = |(way, found)| {
        format!("{}: expected {}, {way} it is {found}", vector.place, vector.expected)
    };
    wrong.map(sentence).collect()
}

#[test]
fn every_target_holds_its_properties_over_seeds_and_their_mutations() {
    for target in TARGETS {
        let seeds = (target.seeds)();
        assert!(seeds.len() >= 30, "{}: {} seeds", target.name, seeds.len());
        seeds.iter().for_each(|seed| (target.run)(seed));
        mutations(&target, 1500).for_each(|input| (target.run)(&input));
    }
}

#[test]
fn every_difference_from_httparse_is_intended() {
    let (mut unexplained, mut shown) = (BTreeMap::new(), BTreeSet::new());
    type Compare = fn(&[u8]) -> Comparison;
    let rows: [(Target, Compare); 3] = [
        (request_head::TARGET, peers::request_head),
        (response_head::TARGET, peers::response_head),
        (chunks::TARGET, peers::chunks),
    ];
    for (target, compare) in rows {
        let mutations = mutations(&target, 6000);
        for input in (target.seeds)().into_iter().chain(mutations) {
            match compare(&input).explained() {
                Ok(row) => shown.extend(row),
                Err(line) => drop(unexplained.entry(line).or_insert(input)),
            }
        }
    }
    none_unexplained(unexplained);
    none_stale("httparse", &shown);
}

/// Fails with one input for each difference that no line of `differences.txt` explains.
#[track_caller]
fn none_unexplained(unexplained: BTreeMap<String, Vec<u8>>) {
    let example = |(line, input): (String, Vec<u8>)| format!("{line} \"{}\"", input.escape_ascii());
    let unexplained: Vec<_> = unexplained.into_iter().map(example).collect();
    assert!(unexplained.is_empty(), "unintended differences:\n{}", unexplained.join("\n"));
}

/// Fails with the lines of `differences.txt` that no input showed.
#[track_caller]
fn none_stale(peer: &str, shown: &BTreeSet<&Difference>) {
    let rows = DIFFERENCES.iter().filter(|row| row.peer.starts_with(peer));
    let stale: Vec<_> = rows.filter(|row| !shown.contains(row)).collect();
    assert!(stale.is_empty(), "no input shows these differences: {stale:#?}");
}

/// Seeds with random changes: bytes replaced, removed or inserted, pieces of other seeds, and the
/// words that HTTP is made of.
fn mutations(target: &Target, count: usize) -> impl Iterator<Item = Vec<u8>> + use<> {
    const WORDS: [&[u8]; 16] = [
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b" ",
        b"\t",
        b":",
        b";",
        b",",
        b"0",
        b"chunked",
        b"Content-Length: 1\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Host: a\r\n",
        b"\r\n ",
        b"HTTP/1.1",
    ];
    let (seeds, bytes_max) = ((target.seeds)(), target.bytes_max);
    let mut random = fastrand::Rng::with_seed(8);
    (0..count).map(move |_| {
        let mut input = seeds[random.usize(..seeds.len())].clone();
        input.truncate(bytes_max);
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..=input.len());
            match random.u8(..5) {
                0 if at < input.len() => input[at] = random.u8(..),
                1 if at < input.len() => drop(input.remove(at)),
                2 => input.insert(at, random.u8(..)),
                3 => {
                    let other = &seeds[random.usize(..seeds.len())];
                    let from = random.usize(..=other.len());
                    let to = random.usize(from..=other.len().min(from + 40));
                    drop(input.splice(at..at, other[from..to].to_vec()));
                }
                _ => drop(input.splice(at..at, WORDS[random.usize(..WORDS.len())].to_vec())),
            }
        }
        input
    })
}
