//! The endpoints of Wordbee as its documentation describes them: session tokens, documents and
//! asynchronous operations. The three documented error bodies are reproduced to the byte.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::message::{EndpointRequest, VendorResponse, VendorTime};
use super::request_log::nanos;
use super::settings::{Allowance, Credential};

pub(super) const BASE: &str = "/api";
/// Requests to this path, below the base path, are not counted against the limit.
pub(super) const TOKEN_PATH: &str = "/auth/token";
/// A token expires after this time without use.
const TOKEN_IDLE: Duration = Duration::from_secs(30 * 60);
/// Beyond this bound the least recently used token is discarded.
const TOKENS_MAX: usize = 10_000;
/// Beyond this bound the oldest operation and its document are discarded.
const OPERATIONS_MAX: usize = 10_000;
/// An asynchronous operation waits this long, then executes this long.
const PHASE: Duration = Duration::from_secs(5);
/// A document that exists from the start.
const SAMPLE_ID: u64 = 1;

#[derive(Debug, Default)]
pub(super) struct Wordbee {
    tokens: HashMap<String, Token>,
    operations: VecDeque<Operation>,
    discarded: u64,
}

#[derive(Debug)]
struct Token {
    account: String,
    used_ns: u64,
}

/// An asynchronous operation that creates a document, or fails.
#[derive(Debug)]
struct Operation {
    requestid: u64,
    name: String,
    fails: bool,
    started_ns: u64,
}

impl Wordbee {
    /// Opens a session (POST) or ends it (DELETE).
    pub(super) fn token(
        &mut self,
        request: EndpointRequest<'_>,
        credentials: &[Credential],
        random: [u8; 16],
    ) -> VendorResponse {
        if request.method == "DELETE" {
            let ended = token_of(request.headers).and_then(|token| self.tokens.remove(token));
            let unknown = || invalid_token(request.wall);
            return ended.map_or_else(unknown, |_| VendorResponse::empty(StatusCode::NO_CONTENT));
        }
        if request.method != "POST" {
            return failure(StatusCode::NOT_FOUND, request.wall);
        }
        let body: Value = serde_json::from_slice(request.body).unwrap_or_default();
        let matches =
            |one: &&Credential| body["accountid"] == one.account && body["key"] == one.key;
        let Some(known) = credentials.iter().find(matches) else {
            return bad_request("Invalid private key.", request.wall);
        };
        if self.tokens.len() >= TOKENS_MAX {
            let oldest = self.tokens.iter().min_by_key(|(_, token)| token.used_ns);
            let oldest = oldest.map(|(name, _)| name.clone());
            oldest.and_then(|name| self.tokens.remove(&name));
        }
        let name = format!("{:032x}", u128::from_be_bytes(random));
        let token = Token { account: known.account.clone(), used_ns: request.now.ns };
        self.tokens.insert(name.clone(), token);
        VendorResponse::json(StatusCode::OK, &Value::String(name))
    }

    /// The error of a request without a valid token. A valid token is marked as used.
    pub(super) fn rejection(&mut self, request: EndpointRequest<'_>) -> Option<VendorResponse> {
        let idle = nanos(TOKEN_IDLE / request.now.scale);
        let fresh = |token: &&mut Token| request.now.ns.saturating_sub(token.used_ns) < idle;
        let token = token_of(request.headers).and_then(|name| self.tokens.get_mut(name));
        match token.filter(fresh) {
            Some(token) if Some(token.account.as_str()) == account(request.headers) => {
                token.used_ns = request.now.ns;
                None
            }
            Some(_) | None => Some(invalid_token(request.wall)),
        }
    }

    pub(super) fn expire_tokens(&mut self) {
        self.tokens.clear();
    }

    /// Responds to a request with a valid token.
    pub(super) fn respond(&mut self, request: EndpointRequest<'_>) -> VendorResponse {
        let segments: Vec<&str> = request.path.split('/').skip(1).collect();
        match (request.method, segments.as_slice()) {
            ("POST", ["documents"]) => self.create(request),
            ("GET" | "HEAD", ["documents", id]) => self.document(id, request),
            ("GET" | "HEAD", ["trm", "status"]) => self.status(request),
            _ => failure(StatusCode::NOT_FOUND, request.wall),
        }
    }

    fn create(&mut self, request: EndpointRequest<'_>) -> VendorResponse {
        let body: Value = serde_json::from_slice(request.body).unwrap_or_default();
        let Some(name) = body["name"].as_str() else {
            return bad_request("The document has no name.", request.wall);
        };
        if self.operations.len() >= OPERATIONS_MAX {
            self.operations.pop_front();
            self.discarded += 1;
        }
        let operation = Operation {
            requestid: SAMPLE_ID + self.discarded + self.operations.len() as u64 + 1,
            name: name.to_owned(),
            fails: body["content"].as_str().is_none_or(str::is_empty),
            started_ns: request.now.ns,
        };
        let response = operation.envelope(request.now);
        self.operations.push_back(operation);
        response
    }

    /// A document has the number of the operation that created it.
    fn document(&self, id: &str, request: EndpointRequest<'_>) -> VendorResponse {
        let Ok(id) = id.parse::<u64>() else {
            return failure(StatusCode::NOT_FOUND, request.wall);
        };
        let created = self.operation(id).filter(|one| one.state(request.now) == State::Finished);
        match created.map(|one| one.name.as_str()).or((id == SAMPLE_ID).then_some("Welcome.docx")) {
            Some(name) => VendorResponse::json(StatusCode::OK, &json!({"id": id, "name": name})),
            None => bad_request("The requested file does not exist.", request.wall),
        }
    }

    fn status(&self, request: EndpointRequest<'_>) -> VendorResponse {
        let id = request.query.split('&').find_map(|pair| pair.strip_prefix("requestid="));
        match id.and_then(|id| id.parse().ok()).and_then(|id| self.operation(id)) {
            Some(operation) => operation.envelope(request.now),
            None => failure(StatusCode::NOT_FOUND, request.wall),
        }
    }

    fn operation(&self, id: u64) -> Option<&Operation> {
        let index = id.checked_sub(SAMPLE_ID + self.discarded + 1)?;
        self.operations.get(usize::try_from(index).ok()?)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Executing,
    Finished,
    Failed,
}

impl Operation {
    fn state(&self, now: VendorTime) -> State {
        let age = now.ns.saturating_sub(self.started_ns);
        let phase = nanos(PHASE / now.scale);
        match () {
            () if age < phase => State::Waiting,
            () if age < phase.saturating_mul(2) => State::Executing,
            () if self.fails => State::Failed,
            () => State::Finished,
        }
    }

    /// The HTTP status is 200 even when the operation failed.
    fn envelope(&self, now: VendorTime) -> VendorResponse {
        let state = self.state(now);
        let status = format!("{state:?}");
        let mut trm = json!({"requestid": self.requestid.to_string(), "isbatch": false,
            "status": status, "statusText": status});
        if state == State::Failed {
            trm["statusInfo"] = json!("The file is empty and cannot be processed.");
        }
        let custom = (state == State::Finished).then(|| json!({"documentid": self.requestid}));
        VendorResponse::json(StatusCode::OK, &json!({"trm": trm, "custom": custom}))
    }
}

pub(super) fn account(headers: &HeaderMap) -> Option<&str> {
    headers.get("x-auth-accountid")?.to_str().ok()
}

fn token_of(headers: &HeaderMap) -> Option<&str> {
    headers.get("x-auth-token")?.to_str().ok()
}

/// The vendor's error for a status; the documentation has messages only for some.
pub(super) fn failure(status: StatusCode, wall: SystemTime) -> VendorResponse {
    let title = match status.as_u16() {
        404 => "The method does not exist or a URL parameter is missing or invalid.",
        500 => "An internal error occurred.",
        503 => "The service is temporarily unavailable.",
        _ => {
            return plain(status, &format!("The call failed with code {}.", status.as_u16()), wall);
        }
    };
    plain(status, title, wall)
}

/// A database deadlock in the vendor's default error shape; the documentation does not mention one.
pub(super) fn deadlock(wall: SystemTime) -> VendorResponse {
    bad_request("The transaction was chosen as deadlock victim. Rerun the transaction.", wall)
}

/// The 429 body that the documentation shows.
pub(super) fn throttled(status: StatusCode, granted: &Allowance) -> VendorResponse {
    let period = time_span(granted.window);
    let message = format!("Requests throttled. Maximum allowed {} per {period}.", granted.limit);
    let error = json!({"type": "Throttling error", "message": message});
    VendorResponse::json(status, &json!({"error": error, "reason": message}))
}

/// The first and second documented error body.
fn bad_request(title: &str, wall: SystemTime) -> VendorResponse {
    plain(StatusCode::BAD_REQUEST, title, wall)
}

fn plain(status: StatusCode, title: &str, wall: SystemTime) -> VendorResponse {
    let (date, title) = (date(wall), Value::from(title));
    let body = format!(
        r#"{{ "error": {{ "operation": null, "date": "{date}", "title": {title}, "details": null, "errorurl": null, "messages": [] }}, "reason": {title} }}"#
    );
    VendorResponse::new(status, "application/json; charset=utf-8", body)
}

/// The third documented error body.
fn invalid_token(wall: SystemTime) -> VendorResponse {
    let date = date(wall);
    let child = "API construct session from token failed with error: Not authenticated";
    let body = format!(
        r#"{{ "error": {{ "operation": null, "date": "{date}", "title": "Token invalid or expired.", "details": "Token invalid or expired.", "errorurl": null, "messages": [ {{ "title": "Not authenticated", "details": "{child}", "errorurl": null }} ] }}, "reason": "Not authenticated - {child}" }}"#
    );
    VendorResponse::new(StatusCode::BAD_REQUEST, "application/json; charset=utf-8", body)
}

/// UTC with seven fractional digits, as .NET formats it.
fn date(wall: SystemTime) -> String {
    let moment = jiff::Timestamp::try_from(wall).unwrap_or_default();
    let tenths_of_micros = moment.subsec_nanosecond().unsigned_abs() / 100;
    format!("{}.{tenths_of_micros:07}Z", moment.strftime("%Y-%m-%dT%H:%M:%S"))
}

/// Days, hours, minutes, seconds and fraction as .NET formats a `TimeSpan`.
pub(super) fn time_span(span: Duration) -> String {
    let all = span.as_secs();
    let (hours, minutes, seconds) = (all / 3600 % 24, all / 60 % 60, all % 60);
    let days = if all >= 86_400 { format!("{}.", all / 86_400) } else { String::new() };
    let ticks = span.subsec_nanos() / 100;
    let fraction = if ticks > 0 { format!(".{ticks:07}") } else { String::new() };
    format!("{days}{hours:02}:{minutes:02}:{seconds:02}{fraction}")
}

#[cfg(test)]
mod tests {
    use super::super::message::Content;
    use super::*;

    fn text(response: &VendorResponse) -> String {
        let Content::Whole(body) = &response.body else { panic!("not whole") };
        String::from_utf8(body.to_vec()).unwrap()
    }

    fn at(seconds: u64, nanos: u32) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos)
    }

    #[test]
    fn error_bodies_equal_the_documented_ones() {
        let missing = r#"{ "error": { "operation": null, "date": "2020-12-15T08:34:38.7706101Z", "title": "The requested file does not exist.", "details": null, "errorurl": null, "messages": [] }, "reason": "The requested file does not exist." }"#;
        let key = r#"{ "error": { "operation": null, "date": "2020-12-15T08:44:08.7986219Z", "title": "Invalid private key.", "details": null, "errorurl": null, "messages": [] }, "reason": "Invalid private key." }"#;
        let token = r#"{ "error": { "operation": null, "date": "2020-12-15T10:00:45.4858252Z", "title": "Token invalid or expired.", "details": "Token invalid or expired.", "errorurl": null, "messages": [ { "title": "Not authenticated", "details": "API construct session from token failed with error: Not authenticated", "errorurl": null } ] }, "reason": "Not authenticated - API construct session from token failed with error: Not authenticated" }"#;
        let first =
            bad_request("The requested file does not exist.", at(1_608_021_278, 770_610_100));
        let second = bad_request("Invalid private key.", at(1_608_021_848, 798_621_900));
        let third = invalid_token(at(1_608_026_445, 485_825_200));
        assert_eq!([text(&first), text(&second), text(&third)], [missing, key, token]);
    }

    #[test]
    fn a_429_names_the_limit_in_real_time() {
        let granted = Allowance::new(1000, Duration::from_secs(3600));
        let response = throttled(StatusCode::TOO_MANY_REQUESTS, &granted);
        let expected = r#"{"error":{"type":"Throttling error","message":"Requests throttled. Maximum allowed 1000 per 01:00:00."},"reason":"Requests throttled. Maximum allowed 1000 per 01:00:00."}"#;
        assert_eq!(text(&response), expected);
    }

    #[test]
    fn spans_are_formatted_as_dotnet_formats_them() {
        for (span, written) in [
            (Duration::from_secs(1), "00:00:01"),
            (Duration::from_secs(86_400), "1.00:00:00"),
            (Duration::from_secs(90_061), "1.01:01:01"),
            (Duration::from_millis(1_500), "00:00:01.5000000"),
        ] {
            assert_eq!(time_span(span), written);
        }
    }

    #[test]
    fn a_failed_operation_is_reported_with_status_200() {
        let operation =
            Operation { requestid: 2, name: "a".to_owned(), fails: true, started_ns: 0 };
        let at = |seconds: u64| VendorTime { ns: seconds * 1_000_000_000, scale: 1 };
        for (second, state) in [(0, "Waiting"), (5, "Executing"), (10, "Failed")] {
            let response = operation.envelope(at(second));
            let body: Value = serde_json::from_str(&text(&response)).unwrap();
            assert_eq!((response.status, &body["trm"]["status"]), (StatusCode::OK, &json!(state)));
            assert_eq!(body["trm"]["statusInfo"].is_string(), state == "Failed");
        }
    }
}
