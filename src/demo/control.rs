//! The vendor's own door: `/_vendor/…` tells it how to behave and asks what it saw.
//!
//! ```text
//! POST /_vendor/control    one command or a list of them, as JSON (see `Command`):
//!   {"deadlock":{"times":1}}                      {"throttle":{"times":2,"style":"retry_after"}}
//!   {"maintenance":{"for_ms":300000}}             "open"    "expire_tokens"    "behave"
//!   {"die":{"probability":0.01}}                  {"latency":{"min_ms":0,"max_ms":200}}
//!   {"order":{"times":1,"methods":["POST"],"path":"/api/*","act":{"fail":500}}}
//! GET  /_vendor/log?after=N    GET /_vendor/stats    POST /_vendor/reset
//! ```
//!
//! What comes in here is neither logged nor counted. It listens where the vendor listens, so a
//! vendor belongs on loopback.

use std::collections::BTreeMap;

use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Answer, AnswerBody};
use super::arrivals::Log;
use super::script::Command;
use super::vendor::Shared;

/// Where this door is.
const PREFIX: &str = "/_vendor/";
/// The longest list of commands that is read.
const COMMANDS_BYTES_MAX: usize = 1024 * 1024;

/// One command or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Commands {
    Several(Vec<Command>),
    One(Command),
}

/// Whether a request is for this door.
pub(super) fn is_meant(path: &str) -> bool {
    path.starts_with(PREFIX)
}

/// Answers at this door.
pub(super) async fn answer(shared: &Shared, request: Request<Incoming>) -> Response<AnswerBody> {
    let (head, body) = request.into_parts();
    let word = head.uri.path().strip_prefix(PREFIX).unwrap_or_default();
    let answer = match (&head.method, word) {
        (&Method::POST, "control") => obey(shared, body).await,
        (&Method::POST, "reset") => {
            shared.reset();
            Answer::empty(StatusCode::NO_CONTENT)
        }
        (&Method::GET, "log") => log(shared, head.uri.query().unwrap_or_default()),
        (&Method::GET, "stats") => Answer::json(StatusCode::OK, &stats(shared)),
        _ => Answer::new(StatusCode::NOT_FOUND, "text/plain", "control, reset, log or stats\n"),
    };
    answer.into_response(shared.clock)
}

async fn obey(shared: &Shared, body: Incoming) -> Answer {
    let refused = |text: String| Answer::new(StatusCode::BAD_REQUEST, "text/plain", text + "\n");
    let bytes = match Limited::new(body, COMMANDS_BYTES_MAX).collect().await {
        Ok(whole) => whole.to_bytes(),
        Err(error) => return refused(error.to_string()),
    };
    let commands = match read(&bytes) {
        Ok(commands) => commands,
        Err(error) => return refused(error.to_string()),
    };
    commands.iter().for_each(|command| shared.obey(command));
    Answer::empty(StatusCode::NO_CONTENT)
}

/// A single command is read by itself first: its complaint is the more helpful one.
fn read(bytes: &[u8]) -> serde_json::Result<Vec<Command>> {
    serde_json::from_slice(bytes).map(|one: Command| vec![one]).or_else(|complaint| {
        match serde_json::from_slice(bytes) {
            Ok(Commands::Several(several)) => Ok(several),
            Ok(Commands::One(one)) => Ok(vec![one]),
            Err(_) => Err(complaint),
        }
    })
}

fn log(shared: &Shared, query: &str) -> Answer {
    let after = query.strip_prefix("after=").and_then(|number| number.parse().ok()).unwrap_or(0);
    let log = shared.log().after(after);
    Answer::json(StatusCode::OK, &serde_json::to_value(log).unwrap_or_default())
}

/// What a person wants to know at a glance.
fn stats(shared: &Shared) -> Value {
    let log = shared.log();
    let count =
        |wanted: fn(&super::Arrival) -> bool| log.arrivals.iter().filter(|one| wanted(one)).count();
    json!({
        "arrivals": log.last_number(),
        "forgotten": log.dropped,
        "counted": count(|one| one.counted_ns.is_some()),
        "throttled": count(|one| one.throttled),
        "delivered": count(|one| one.delivered),
        "unanswered": count(|one| one.status.is_none()),
        "unread": shared.unread(),
        "by_status": by_status(&log),
        "worst_windows": worst_windows(shared, &log),
    })
}

fn by_status(log: &Log) -> BTreeMap<u16, usize> {
    let mut counts = BTreeMap::new();
    log.arrivals
        .iter()
        .filter_map(|one| one.status)
        .for_each(|status| *counts.entry(status).or_default() += 1);
    counts
}

fn worst_windows(shared: &Shared, log: &Log) -> Vec<Value> {
    let one = |allowance: &super::Allowance| {
        json!({"limit": allowance.limit, "window_ns": super::arrivals::nanos(allowance.window),
            "worst": log.worst_window(allowance.window)})
    };
    shared.allowances().iter().map(one).collect()
}
