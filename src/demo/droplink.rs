//! Droplink as its document describes it: a drop can be created and read, a job can be started,
//! and every error is `{"error": "…"}`.

use std::collections::{HashMap, VecDeque};

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::answer::Answer;
use super::settings::Credential;

/// Where its interface lives.
pub(super) const BASE: &str = "/api/v1";
/// A job runs so long, in its own time.
const JOB_RUN: std::time::Duration = std::time::Duration::from_secs(180);
/// Drops kept; the oldest goes.
const DROPS_MAX: usize = 10_000;
/// Definitions whose job is remembered; beyond it, new jobs are refused as a malfunction.
const JOBS_MAX: usize = 1_000;

/// Sentences of the document.
const BAD_URI: &str = "The specified URI is invalid.";
const BAD_FORMAT: &str = "The request is not formatted correctly.";
const OVER_LIMIT: &str = "The number of requests received exceed the request limit.";
const DEADLOCK: &str =
    "The request encountered a database deadlock. Please resend the request a short time later.";
const NO_HEADER: &str = "The Authorization header is not included in the request.";
const BAD_KEY: &str = "The API Key is invalid or been revoked.";
const BAD_ENDPOINT: &str = "The API Endpoint is invalid.";
const JOB_RUNNING: &str = "A job for the specified definition is already queued or running.";
const OVERLOADED: &str = "Too many requests. Please slow the rate of requests.";
const MALFUNCTION: &str =
    "The system is unable to process the request or the database malfunctioned.";
const MAINTENANCE: &str = "The web service is down for maintenance. \
                           Please sleep for 5 minutes, then retry the request.";

/// What Droplink remembers.
#[derive(Debug, Default)]
pub(super) struct Droplink {
    drops: VecDeque<Value>,
    dropped: usize,
    jobs: HashMap<String, u64>,
}

impl Droplink {
    /// Answers a call; `path` is what follows the base.
    pub(super) fn answer(&mut self, (method, path): (&str, &str), body: &[u8], now: Now) -> Answer {
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        match (method, parts.as_slice()) {
            ("POST", ["drop", "create"]) => self.create(body),
            ("GET" | "HEAD", ["drop", id]) => self.read(id),
            ("POST", ["jobs", definition]) => self.start(definition, now),
            ("GET" | "HEAD", ["jobs", definition]) => self.progress(definition, now),
            _ => failure(StatusCode::NOT_FOUND),
        }
    }

    fn create(&mut self, body: &[u8]) -> Answer {
        let Ok(Value::Object(fields)) = serde_json::from_slice(body) else {
            return error(StatusCode::BAD_REQUEST, BAD_FORMAT);
        };
        for field in ["title", "content"] {
            if !fields.get(field).is_some_and(Value::is_string) {
                let missing = format!("The request is missing a required field: {field}.");
                return error(StatusCode::BAD_REQUEST, &missing);
            }
        }
        let id = self.dropped + self.drops.len() + 1;
        let drop = json!({"id": id, "title": fields["title"], "content": fields["content"],
            "url": format!("https://droplink.cc/d/{id}")});
        self.keep(drop.clone());
        Answer::json(StatusCode::OK, &drop)
    }

    fn keep(&mut self, drop: Value) {
        if self.drops.len() >= DROPS_MAX {
            self.drops.pop_front();
            self.dropped += 1;
        }
        self.drops.push_back(drop);
    }

    fn read(&self, id: &str) -> Answer {
        let place = id.parse::<usize>().ok().and_then(|id| id.checked_sub(self.dropped + 1));
        match place.and_then(|place| self.drops.get(place)) {
            Some(drop) => Answer::json(StatusCode::OK, drop),
            None => error(StatusCode::BAD_REQUEST, BAD_URI),
        }
    }

    fn start(&mut self, definition: &str, now: Now) -> Answer {
        let running = self.jobs.get(definition).is_some_and(|end| now.ns < *end);
        if running {
            return failure(StatusCode::CONFLICT);
        }
        self.jobs.retain(|_, end| now.ns < *end);
        if self.jobs.len() >= JOBS_MAX {
            return failure(StatusCode::INTERNAL_SERVER_ERROR);
        }
        let end = now.ns.saturating_add(super::arrivals::nanos(JOB_RUN / now.scale));
        self.jobs.insert(definition.to_owned(), end);
        Answer::json(StatusCode::OK, &json!({"definition": definition, "status": "queued"}))
    }

    fn progress(&self, definition: &str, now: Now) -> Answer {
        let running = self.jobs.get(definition).is_some_and(|end| now.ns < *end);
        let status = if running { "running" } else { "idle" };
        Answer::json(StatusCode::OK, &json!({"definition": definition, "status": status}))
    }
}

/// The vendor's time: where its clock stands and how fast it runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) ns: u64,
    pub(super) scale: u32,
}

/// Whom a request is counted for: its key.
pub(super) fn account(headers: &HeaderMap) -> Option<&str> {
    let key = headers.get("x-api-key").or_else(|| headers.get("authorization"))?.to_str().ok()?;
    Some(key.strip_prefix("Bearer ").unwrap_or(key))
}

/// Why a request may not come in, if it may not.
pub(super) fn refusal(headers: &HeaderMap, known: &[Credential]) -> Option<Answer> {
    match account(headers) {
        None => Some(failure(StatusCode::UNAUTHORIZED)),
        Some(key) if known.iter().any(|one| one.key == key) => None,
        Some(_) => Some(failure(StatusCode::FORBIDDEN)),
    }
}

/// The document's answer for a status, in its words.
pub(super) fn failure(status: StatusCode) -> Answer {
    let sentence = match status.as_u16() {
        400 => BAD_URI,
        401 => NO_HEADER,
        403 => BAD_KEY,
        404 => BAD_ENDPOINT,
        409 => JOB_RUNNING,
        429 => OVERLOADED,
        500 => MALFUNCTION,
        503 => MAINTENANCE,
        _ => return error(status, &format!("The request failed with code {}.", status.as_u16())),
    };
    let phrase = (status == 500).then_some("Internal Server Error/Not Closed");
    Answer { phrase, ..error(status, sentence) }
}

/// The limit in disguise.
pub(super) fn over_limit() -> Answer {
    error(StatusCode::BAD_REQUEST, OVER_LIMIT)
}

/// The database deadlock.
pub(super) fn deadlock() -> Answer {
    error(StatusCode::BAD_REQUEST, DEADLOCK)
}

fn error(status: StatusCode, sentence: &str) -> Answer {
    Answer::json(status, &json!({ "error": sentence }))
}
