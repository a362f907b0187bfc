//! Every payload pair of `tests/data/problems` through a running gateway: a client receives the
//! problem that `evenkeel normalise` prints for the same response.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::gateway::Gateway;
use crate::support::problem::differences;
use crate::support::script::{Act, Script, Seen};
use crate::support::source;

/// Members that depend on the call and on the time, not on the vendor's response.
const OF_THE_CALL: [&str; 5] =
    ["request_id", "waited_ms", "stopped_by", "retry_after", "retry_after_basis"];

struct Pair {
    name: String,
    answer: Vec<u8>,
    body: Vec<u8>,
    problem: Value,
}

impl Pair {
    fn read(path: &Path) -> Self {
        let capture = std::fs::read(path).unwrap();
        let (head, body) = split(&capture);
        let expected = path.with_extension("problem.json");
        let problem = std::fs::read_to_string(expected).unwrap();
        Self {
            name: path.file_stem().unwrap().to_string_lossy().into_owned(),
            answer: wired(&head, body),
            body: body.to_vec(),
            problem: serde_json::from_str(&problem).unwrap(),
        }
    }

    fn dialect(&self) -> &str {
        self.name.split('-').next().unwrap()
    }
}

/// The head's lines and the body of a capture.
fn split(capture: &[u8]) -> (String, &[u8]) {
    let end = capture.windows(2).position(|two| two == b"\n\n");
    let crlf = capture.windows(4).position(|four| four == b"\r\n\r\n");
    let (head, body) = match (end, crlf) {
        (Some(end), crlf) if crlf.is_none_or(|crlf| end < crlf) => (end, end + 2),
        (_, Some(crlf)) => (crlf, crlf + 4),
        (_, None) => (capture.len(), capture.len()),
    };
    (String::from_utf8_lossy(&capture[..head]).into_owned(), &capture[body..])
}

/// The response with CRLF and a length.
fn wired(head: &str, body: &[u8]) -> Vec<u8> {
    let mut wire = head.lines().map(str::trim_end).collect::<Vec<_>>().join("\r\n");
    wire += &format!("\r\ncontent-length: {}\r\n\r\n", body.len());
    let mut wire = wire.into_bytes();
    wire.extend_from_slice(body);
    wire
}

fn pairs() -> Vec<Pair> {
    let folder = source::root().join("tests/data/problems");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|it| it == "http")).collect();
    files.sort();
    files.iter().map(|path| Pair::read(path)).collect()
}

/// An upstream for each pair, so that a hold on one does not affect the others. Calls do not wait,
/// so that what would be sent again is answered at once.
fn configuration(url: &str, pairs: &[Pair]) -> String {
    let mut yaml = String::from("version: 1\nlisten: { workers: 1 }\nupstreams:\n");
    for (number, pair) in pairs.iter().enumerate() {
        let dialect = pair.dialect();
        yaml += &format!(
            "  p{number}: {{ url: '{url}/{number}', dialect: {dialect}, wait: {{ default: 0s }}, \
             routes: [{{ match: {{ path: /** }}, inspect_success: true }}] }}\n"
        );
    }
    yaml
}

fn number_of(seen: &Seen) -> usize {
    seen.target().trim_start_matches('/').split('/').next().unwrap().parse().unwrap()
}

/// The problem without the members that depend on the call.
fn of_the_answer(problem: &Value) -> Value {
    let mut problem = problem.clone();
    for member in OF_THE_CALL {
        problem[member] = Value::Null;
    }
    if problem["upstream"].is_object() {
        problem["upstream"]["name"] = Value::Null;
    }
    problem
}

#[test]
fn every_payload_comes_out_of_the_live_gateway_as_normalise_says() {
    let pairs = pairs();
    let answers: Vec<_> = pairs.iter().map(|pair| pair.answer.clone()).collect();
    let script = Script::answering(move |seen| vec![Act::Send(answers[number_of(seen)].clone())]);
    let gateway = Gateway::start(&configuration(&script.url(), &pairs));
    let mut wrong = Vec::new();
    for (number, pair) in pairs.iter().enumerate() {
        let answer = gateway.get(&format!("/p{number}/x"));
        if pair.problem.is_null() {
            assert_eq!(answer.body, pair.body, "{} is no error and passes unchanged", pair.name);
            continue;
        }
        let found: Value = serde_json::from_slice(&answer.body).unwrap_or(json!({}));
        assert_eq!(found["status"], answer.status, "{}", pair.name);
        let differences = differences(&of_the_answer(&found), &of_the_answer(&pair.problem));
        wrong.extend(differences.iter().map(|difference| format!("{}: {difference}", pair.name)));
    }
    assert!(pairs.len() > 200, "the folder holds {} pairs", pairs.len());
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}
