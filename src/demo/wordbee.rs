//! Wordbee as its document describes it: tokens, documents, asynchronous calls, and three error
//! payloads whose shape follows the document to the byte.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::answer::Answer;
use super::arrivals::nanos;
use super::droplink::Now;
use super::settings::{Allowance, Credential};

/// Where its interface lives.
pub(super) const BASE: &str = "/api";
/// The one call that is not counted, after the base.
pub(super) const TOKEN_PATH: &str = "/auth/token";
/// A token dies after so long without use.
const TOKEN_IDLE: Duration = Duration::from_secs(30 * 60);
/// Tokens alive at once; the one unused for longest goes.
const TOKENS_MAX: usize = 10_000;
/// Documents and operations kept; the oldest goes.
const OPERATIONS_MAX: usize = 10_000;
/// An asynchronous call waits so long, then executes so long.
const PHASE: Duration = Duration::from_secs(5);
/// The document every customer starts with.
const SAMPLE_ID: u64 = 1;

/// What Wordbee remembers.
#[derive(Debug, Default)]
pub(super) struct Wordbee {
    tokens: HashMap<String, Token>,
    operations: VecDeque<Operation>,
    forgotten: u64,
}

#[derive(Debug)]
struct Token {
    account: String,
    used_ns: u64,
}

/// An asynchronous call that makes a document, or fails.
#[derive(Debug)]
struct Operation {
    requestid: u64,
    name: String,
    fails: bool,
    started_ns: u64,
}

/// The call as the pages see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visit<'a> {
    pub(super) method: &'a str,
    /// What follows the base, without the query.
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    pub(super) headers: &'a HeaderMap,
    /// The beginning of the body; a longer one is only weighed and hashed.
    pub(super) body: &'a [u8],
    pub(super) body_len: u64,
    pub(super) body_hash: u64,
    pub(super) now: Now,
    /// For the dates in payloads.
    pub(super) wall: SystemTime,
}

impl Wordbee {
    /// Obtains or ends a session.
    pub(super) fn token(
        &mut self,
        visit: Visit<'_>,
        known: &[Credential],
        chance: [u8; 16],
    ) -> Answer {
        if visit.method == "DELETE" {
            let ended = token_of(visit.headers).and_then(|token| self.tokens.remove(token));
            let gone = || invalid_token(visit.wall);
            return ended.map_or_else(gone, |_| Answer::empty(StatusCode::NO_CONTENT));
        }
        if visit.method != "POST" {
            return failure(StatusCode::NOT_FOUND, visit.wall);
        }
        let asked: Value = serde_json::from_slice(visit.body).unwrap_or_default();
        let matches =
            |one: &&Credential| asked["accountid"] == one.account && asked["key"] == one.key;
        match known.iter().find(matches) {
            Some(known) => self.open_session(&known.account, visit.now, chance),
            None => bad_request("Invalid private key.", visit.wall),
        }
    }

    fn open_session(&mut self, account: &str, now: Now, chance: [u8; 16]) -> Answer {
        if self.tokens.len() >= TOKENS_MAX {
            let oldest = self.tokens.iter().min_by_key(|(_, token)| token.used_ns);
            let oldest = oldest.map(|(name, _)| name.clone());
            oldest.and_then(|name| self.tokens.remove(&name));
        }
        let name = format!("{:032x}", u128::from_be_bytes(chance));
        let token = Token { account: account.to_owned(), used_ns: now.ns };
        self.tokens.insert(name.clone(), token);
        Answer::json(StatusCode::OK, &Value::String(name))
    }

    /// Why a request may not come in, if it may not; using a token keeps it alive.
    pub(super) fn refusal(&mut self, visit: Visit<'_>) -> Option<Answer> {
        let idle = nanos(TOKEN_IDLE / visit.now.scale);
        let fresh = |token: &&mut Token| visit.now.ns.saturating_sub(token.used_ns) < idle;
        let token = token_of(visit.headers).and_then(|name| self.tokens.get_mut(name));
        match token.filter(fresh) {
            Some(token) if Some(token.account.as_str()) == account(visit.headers) => {
                token.used_ns = visit.now.ns;
                None
            }
            Some(_) | None => Some(invalid_token(visit.wall)),
        }
    }

    pub(super) fn expire_tokens(&mut self) {
        self.tokens.clear();
    }

    /// Answers a call that may come in.
    pub(super) fn answer(&mut self, visit: Visit<'_>) -> Answer {
        let parts: Vec<&str> = visit.path.split('/').skip(1).collect();
        match (visit.method, parts.as_slice()) {
            ("POST", ["documents"]) => self.create(visit),
            ("GET" | "HEAD", ["documents", id]) => self.document(id, visit),
            ("GET" | "HEAD", ["trm", "status"]) => self.status(visit),
            _ => failure(StatusCode::NOT_FOUND, visit.wall),
        }
    }

    fn create(&mut self, visit: Visit<'_>) -> Answer {
        let asked: Value = serde_json::from_slice(visit.body).unwrap_or_default();
        let Some(name) = asked["name"].as_str() else {
            return bad_request("The document has no name.", visit.wall);
        };
        if self.operations.len() >= OPERATIONS_MAX {
            self.operations.pop_front();
            self.forgotten += 1;
        }
        let operation = Operation {
            requestid: SAMPLE_ID + self.forgotten + self.operations.len() as u64 + 1,
            name: name.to_owned(),
            fails: asked["content"].as_str().is_none_or(str::is_empty),
            started_ns: visit.now.ns,
        };
        let answer = operation.envelope(visit.now);
        self.operations.push_back(operation);
        answer
    }

    /// An operation's result carries its number.
    fn document(&self, id: &str, visit: Visit<'_>) -> Answer {
        let Ok(id) = id.parse::<u64>() else {
            return failure(StatusCode::NOT_FOUND, visit.wall);
        };
        let made = self.operation(id).filter(|one| one.state(visit.now) == State::Finished);
        match made.map(|one| one.name.as_str()).or((id == SAMPLE_ID).then_some("Welcome.docx")) {
            Some(name) => Answer::json(StatusCode::OK, &json!({"id": id, "name": name})),
            None => bad_request("The requested file does not exist.", visit.wall),
        }
    }

    fn status(&self, visit: Visit<'_>) -> Answer {
        let asked = visit.query.split('&').find_map(|pair| pair.strip_prefix("requestid="));
        match asked.and_then(|id| id.parse().ok()).and_then(|id| self.operation(id)) {
            Some(operation) => operation.envelope(visit.now),
            None => failure(StatusCode::NOT_FOUND, visit.wall),
        }
    }

    fn operation(&self, id: u64) -> Option<&Operation> {
        let place = id.checked_sub(SAMPLE_ID + self.forgotten + 1)?;
        self.operations.get(usize::try_from(place).ok()?)
    }
}

/// How far an asynchronous call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Executing,
    Finished,
    Failed,
}

impl Operation {
    fn state(&self, now: Now) -> State {
        let age = now.ns.saturating_sub(self.started_ns);
        let phase = nanos(PHASE / now.scale);
        match () {
            () if age < phase => State::Waiting,
            () if age < phase.saturating_mul(2) => State::Executing,
            () if self.fails => State::Failed,
            () => State::Finished,
        }
    }

    /// Status 200 even when it failed.
    fn envelope(&self, now: Now) -> Answer {
        let state = self.state(now);
        let status = format!("{state:?}");
        let mut trm = json!({"requestid": self.requestid.to_string(), "isbatch": false,
            "status": status, "statusText": status});
        if state == State::Failed {
            trm["statusInfo"] = json!("The file is empty and cannot be processed.");
        }
        let custom = (state == State::Finished).then(|| json!({"documentid": self.requestid}));
        Answer::json(StatusCode::OK, &json!({"trm": trm, "custom": custom}))
    }
}

/// Whom a request is counted for.
pub(super) fn account(headers: &HeaderMap) -> Option<&str> {
    headers.get("x-auth-accountid")?.to_str().ok()
}

fn token_of(headers: &HeaderMap) -> Option<&str> {
    headers.get("x-auth-token")?.to_str().ok()
}

/// The answer for a status in the vendor's shape; the document words only some of them.
pub(super) fn failure(status: StatusCode, wall: SystemTime) -> Answer {
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

/// The database deadlock: not in Wordbee's document, in its default error all the same.
pub(super) fn deadlock(wall: SystemTime) -> Answer {
    bad_request("The transaction was chosen as deadlock victim. Rerun the transaction.", wall)
}

/// The 429 of the page's own source.
pub(super) fn throttled(status: StatusCode, granted: &Allowance) -> Answer {
    let period = time_span(granted.window);
    let sentence = format!("Requests throttled. Maximum allowed {} per {period}.", granted.limit);
    let error = json!({"type": "Throttling error", "message": sentence});
    Answer::json(status, &json!({"error": error, "reason": sentence}))
}

/// The document's first and second payload.
fn bad_request(title: &str, wall: SystemTime) -> Answer {
    plain(StatusCode::BAD_REQUEST, title, wall)
}

fn plain(status: StatusCode, title: &str, wall: SystemTime) -> Answer {
    let (date, title) = (date(wall), Value::from(title));
    let body = format!(
        r#"{{ "error": {{ "operation": null, "date": "{date}", "title": {title}, "details": null, "errorurl": null, "messages": [] }}, "reason": {title} }}"#
    );
    Answer::new(status, "application/json; charset=utf-8", body)
}

/// The document's third payload.
fn invalid_token(wall: SystemTime) -> Answer {
    let date = date(wall);
    let child = "API construct session from token failed with error: Not authenticated";
    let body = format!(
        r#"{{ "error": {{ "operation": null, "date": "{date}", "title": "Token invalid or expired.", "details": "Token invalid or expired.", "errorurl": null, "messages": [ {{ "title": "Not authenticated", "details": "{child}", "errorurl": null }} ] }}, "reason": "Not authenticated - {child}" }}"#
    );
    Answer::new(StatusCode::BAD_REQUEST, "application/json; charset=utf-8", body)
}

/// UTC with seven fractional digits.
fn date(wall: SystemTime) -> String {
    let moment = jiff::Timestamp::try_from(wall).unwrap_or_default();
    let tenths_of_micros = moment.subsec_nanosecond().unsigned_abs() / 100;
    format!("{}.{tenths_of_micros:07}Z", moment.strftime("%Y-%m-%dT%H:%M:%S"))
}

/// Days, hours, minutes, seconds and their fraction as .NET writes a span of time.
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
    use super::super::answer::Content;
    use super::*;

    fn text(answer: &Answer) -> String {
        let Content::Whole(body) = &answer.body else { panic!("not whole") };
        String::from_utf8(body.to_vec()).unwrap()
    }

    fn at(seconds: u64, nanos: u32) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos)
    }

    #[test]
    fn payloads_follow_the_document_to_the_byte() {
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
    fn throttling_names_its_real_limit() {
        let granted = Allowance::new(1000, Duration::from_secs(3600));
        let answer = throttled(StatusCode::TOO_MANY_REQUESTS, &granted);
        let expected = r#"{"error":{"type":"Throttling error","message":"Requests throttled. Maximum allowed 1000 per 01:00:00."},"reason":"Requests throttled. Maximum allowed 1000 per 01:00:00."}"#;
        assert_eq!(text(&answer), expected);
    }

    #[test]
    fn spans_are_written_as_dotnet_writes_them() {
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
    fn an_operation_can_fail_inside_a_success() {
        let operation =
            Operation { requestid: 2, name: "a".to_owned(), fails: true, started_ns: 0 };
        let at = |seconds: u64| Now { ns: seconds * 1_000_000_000, scale: 1 };
        for (second, state) in [(0, "Waiting"), (5, "Executing"), (10, "Failed")] {
            let answer = operation.envelope(at(second));
            let body: Value = serde_json::from_str(&text(&answer)).unwrap();
            assert_eq!((answer.status, &body["trm"]["status"]), (StatusCode::OK, &json!(state)));
            assert_eq!(body["trm"]["statusInfo"].is_string(), state == "Failed");
        }
    }
}
