//! The vendor's control API under `/_vendor/`: it scripts behaviour and returns what was logged.
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
//! Control requests are neither logged nor counted. They need no credential and use the vendor's
//! own port, so a vendor should listen on loopback only.

use std::collections::BTreeMap;

use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::message::{ResponseBody, VendorResponse};
use super::request_log::{RequestRecord, nanos};
use super::script::Command;
use super::settings::Allowance;
use super::shared::Shared;

const PREFIX: &str = "/_vendor/";
const COMMANDS_BYTES_MAX: usize = 1024 * 1024;

pub(super) fn is_control_path(path: &str) -> bool {
    path.starts_with(PREFIX)
}

pub(super) async fn respond(shared: &Shared, request: Request<Incoming>) -> Response<ResponseBody> {
    let (head, body) = request.into_parts();
    let operation = head.uri.path().strip_prefix(PREFIX).unwrap_or_default();
    let response = match (&head.method, operation) {
        (&Method::POST, "control") => match read_commands(body).await {
            Ok(commands) => {
                commands.iter().for_each(|command| shared.execute(command));
                VendorResponse::empty(StatusCode::NO_CONTENT)
            }
            Err(reason) => text(StatusCode::BAD_REQUEST, reason + "\n"),
        },
        (&Method::POST, "reset") => {
            shared.reset();
            VendorResponse::empty(StatusCode::NO_CONTENT)
        }
        (&Method::GET, "log") => {
            let after = head.uri.query().and_then(|query| query.strip_prefix("after="));
            let log = shared.log().after(after.and_then(|number| number.parse().ok()).unwrap_or(0));
            VendorResponse::json(StatusCode::OK, &serde_json::to_value(log).unwrap_or_default())
        }
        (&Method::GET, "stats") => VendorResponse::json(StatusCode::OK, &stats(shared)),
        _ => text(StatusCode::NOT_FOUND, "use control, reset, log or stats\n".to_owned()),
    };
    response.into_response(shared.clock)
}

fn text(status: StatusCode, body: String) -> VendorResponse {
    VendorResponse::new(status, "text/plain", body)
}

async fn read_commands(body: Incoming) -> Result<Vec<Command>, String> {
    let body = Limited::new(body, COMMANDS_BYTES_MAX).collect().await;
    let bytes = body.map_err(|error| error.to_string())?.to_bytes();
    let commands = match bytes.trim_ascii_start().first() {
        Some(b'[') => serde_json::from_slice(&bytes),
        Some(_) | None => serde_json::from_slice(&bytes).map(|command| vec![command]),
    };
    commands.map_err(|error| error.to_string())
}

fn stats(shared: &Shared) -> Value {
    let log = shared.log();
    let count = |wanted: fn(&RequestRecord) -> bool| {
        log.arrivals.iter().filter(|record| wanted(record)).count()
    };
    let mut by_status = BTreeMap::<u16, usize>::new();
    for status in log.arrivals.iter().filter_map(|record| record.status) {
        *by_status.entry(status).or_default() += 1;
    }
    let worst_window = |allowance: &Allowance| {
        json!({"limit": allowance.limit, "window_ns": nanos(allowance.window),
            "worst": log.worst_window(allowance.window)})
    };
    json!({
        "arrivals": log.last_number(),
        "forgotten": log.dropped,
        "counted": count(|record| record.counted_ns.is_some()),
        "throttled": count(|record| record.throttled),
        "delivered": count(|record| record.delivered),
        "unanswered": count(|record| record.status.is_none()),
        "unread": shared.unread(),
        "by_status": by_status,
        "worst_windows": shared.allowances.iter().map(worst_window).collect::<Vec<_>>(),
    })
}
