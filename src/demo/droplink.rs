//! The endpoints of Droplink as its documentation describes them: create and read a drop, start a
//! job and ask for its state. Every error is `{"error": "…"}`.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::message::{EndpointRequest, VendorResponse, VendorTime};
use super::request_log::nanos;
use super::settings::Credential;

pub(super) const BASE: &str = "/api/v1";
/// How long a job runs, in the vendor's time.
const JOB_RUN: Duration = Duration::from_secs(180);
/// Beyond this bound the oldest drop is discarded.
const DROPS_MAX: usize = 10_000;
/// Jobs running at once; further ones are refused as a malfunction.
const JOBS_MAX: usize = 1_000;

/// Error messages of the documentation.
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

#[derive(Debug, Default)]
pub(super) struct Droplink {
    drops: VecDeque<Value>,
    discarded: usize,
    /// When the job of each definition ends.
    jobs: HashMap<String, u64>,
}

impl Droplink {
    pub(super) fn respond(&mut self, request: EndpointRequest<'_>) -> VendorResponse {
        let segments: Vec<&str> = request.path.split('/').skip(1).collect();
        match (request.method, segments.as_slice()) {
            ("POST", ["drop", "create"]) => self.create_drop(request.body),
            ("GET" | "HEAD", ["drop", id]) => self.read_drop(id),
            ("POST", ["jobs", definition]) => self.start_job(definition, request.now),
            ("GET" | "HEAD", ["jobs", definition]) => {
                let running = self.is_running(definition, request.now);
                let status = if running { "running" } else { "idle" };
                job_status(definition, status)
            }
            _ => failure(StatusCode::NOT_FOUND),
        }
    }

    fn create_drop(&mut self, body: &[u8]) -> VendorResponse {
        let Ok(Value::Object(fields)) = serde_json::from_slice(body) else {
            return error(StatusCode::BAD_REQUEST, BAD_FORMAT);
        };
        for field in ["title", "content"] {
            if !fields.get(field).is_some_and(Value::is_string) {
                let missing = format!("The request is missing a required field: {field}.");
                return error(StatusCode::BAD_REQUEST, &missing);
            }
        }
        let id = self.discarded + self.drops.len() + 1;
        let drop = json!({"id": id, "title": fields["title"], "content": fields["content"],
            "url": format!("https://droplink.cc/d/{id}")});
        let response = VendorResponse::json(StatusCode::OK, &drop);
        if self.drops.len() >= DROPS_MAX {
            self.drops.pop_front();
            self.discarded += 1;
        }
        self.drops.push_back(drop);
        response
    }

    fn read_drop(&self, id: &str) -> VendorResponse {
        let index = id.parse::<usize>().ok().and_then(|id| id.checked_sub(self.discarded + 1));
        match index.and_then(|index| self.drops.get(index)) {
            Some(drop) => VendorResponse::json(StatusCode::OK, drop),
            None => error(StatusCode::BAD_REQUEST, BAD_URI),
        }
    }

    fn start_job(&mut self, definition: &str, now: VendorTime) -> VendorResponse {
        if self.is_running(definition, now) {
            return failure(StatusCode::CONFLICT);
        }
        self.jobs.retain(|_, end| now.ns < *end);
        if self.jobs.len() >= JOBS_MAX {
            return failure(StatusCode::INTERNAL_SERVER_ERROR);
        }
        let end = now.ns.saturating_add(nanos(JOB_RUN / now.scale));
        self.jobs.insert(definition.to_owned(), end);
        job_status(definition, "queued")
    }

    fn is_running(&self, definition: &str, now: VendorTime) -> bool {
        self.jobs.get(definition).is_some_and(|end| now.ns < *end)
    }
}

fn job_status(definition: &str, status: &str) -> VendorResponse {
    VendorResponse::json(StatusCode::OK, &json!({"definition": definition, "status": status}))
}

/// The account of a request is its API key.
pub(super) fn account(headers: &HeaderMap) -> Option<&str> {
    let key = headers.get("x-api-key").or_else(|| headers.get("authorization"))?.to_str().ok()?;
    Some(key.strip_prefix("Bearer ").unwrap_or(key))
}

/// The error of a request without a valid key.
pub(super) fn rejection(headers: &HeaderMap, known: &[Credential]) -> Option<VendorResponse> {
    match account(headers) {
        None => Some(failure(StatusCode::UNAUTHORIZED)),
        Some(key) if known.iter().any(|one| one.key == key) => None,
        Some(_) => Some(failure(StatusCode::FORBIDDEN)),
    }
}

/// The documented error of a status.
pub(super) fn failure(status: StatusCode) -> VendorResponse {
    let message = match status.as_u16() {
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
    VendorResponse { phrase, ..error(status, message) }
}

/// The rate limit error that Droplink sends with status 400.
pub(super) fn over_limit() -> VendorResponse {
    error(StatusCode::BAD_REQUEST, OVER_LIMIT)
}

pub(super) fn deadlock() -> VendorResponse {
    error(StatusCode::BAD_REQUEST, DEADLOCK)
}

fn error(status: StatusCode, message: &str) -> VendorResponse {
    VendorResponse::json(status, &json!({ "error": message }))
}
