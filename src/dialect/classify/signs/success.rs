//! Errors that a vendor reports with a status of success, on routes that opted in.
//!
//! A body is an error only where it declares itself to be one: by a flag, a failed status, an error
//! in place of a result, or an error code beside a sentence. A result that merely lists errors of
//! single items is a success.

use http::StatusCode;
use serde_json::{Map, Value};

use super::{Signs, codes, matched, sentence};
use crate::dialect::classify::draft::{Action, Draft};
use crate::dialect::classify::evidence::Evidence;
use crate::dialect::classify::status::{self, THROTTLE};
use crate::dialect::document::BodyFormat;
use crate::dialect::spelling::plain;
use crate::outcome::{Code, Processing, Sign};

/// Objects inside each other that are searched for a declaration.
const DEPTH_MAX: usize = 6;
/// Members of one object that are looked at.
const MEMBERS_MAX: usize = 100;
/// Characters of a text that may be an error as a whole.
const TEXT_CHARS_MAX: usize = 400;
/// The start of such a text, where a word may say that it is one.
const LABEL_BYTES: usize = 12;

pub(super) fn guess<'m>(evidence: &Evidence<'_>) -> Option<Draft<'m>> {
    if !evidence.head.status.is_success() {
        return None;
    }
    let declared = declared(evidence)?;
    let signs = Signs::of(evidence);
    if let Some(status) = declared.status {
        return Some(by_status(&signs, status).by(declared.sign));
    }
    let draft = meaning(&signs);
    let draft = match (draft, declared.certain) {
        (Some(draft), _) => draft,
        (None, true) => {
            Draft::new(Code::InvalidRequest, Processing::Processed, Action::Final).by(declared.sign)
        }
        (None, false) => return None,
    };
    Some(draft)
}

/// What the words mean, without the help of a status.
fn meaning<'m>(signs: &Signs<'_>) -> Option<Draft<'m>> {
    let processed = Processing::Processed;
    let ends = |code, sign| Draft::new(code, processed, Action::Final).by(sign);
    // A repetition may win what a body reports as trouble of the moment.
    let again = |code, sign| Draft::new(code, Processing::Unknown, Action::Retry(None)).by(sign);
    if let Some(sign) = signs.quota() {
        return Some(ends(Code::QuotaExhausted, sign));
    }
    if let Some(sign) = signs.says_throttled() {
        return Some(Draft::new(Code::RateLimited, processed, Action::HoldOnly(THROTTLE)).by(sign));
    }
    let quota = signs.code(&codes::QUOTA_EXCEEDED);
    if let Some(sign) = quota.or_else(|| matched(&sentence::QUOTA_EXCEEDED, &signs.claims)) {
        return Some(ends(Code::QuotaExhausted, sign));
    }
    if let Some(sign) = signs.lock() {
        return Some(again(Code::TransientConflict, sign));
    }
    if let Some(sign) = signs.in_maintenance() {
        return Some(again(Code::UpstreamMaintenance, sign));
    }
    if let Some(sign) = signs.bad_credential() {
        return Some(ends(Code::Unauthenticated, sign));
    }
    let text = &signs.sentence;
    let missing = signs.code(&codes::NOT_FOUND).or_else(|| matched(&sentence::NOT_FOUND, text));
    if let Some(sign) = missing {
        return Some(ends(Code::NotFound, sign));
    }
    if let Some(sign) = signs.code(&codes::FORBIDDEN) {
        return Some(ends(Code::Forbidden, sign));
    }
    let trouble = signs.code(&codes::OVERLOADED);
    let trouble = trouble.or_else(|| matched(&sentence::OVERLOADED, text));
    let trouble = trouble.or_else(|| matched(&sentence::VENDOR_FAULT, text));
    trouble.map(|sign| again(Code::UpstreamError, sign))
}

/// What the status means that a body declares, where its words say nothing of a rate, a lock,
/// maintenance or a credential.
fn by_status<'m>(signs: &Signs<'_>, status: StatusCode) -> Draft<'m> {
    let plain = [Code::NotFound, Code::UpstreamError, Code::Forbidden];
    let worded = meaning(signs).filter(|draft| !plain.contains(&draft.code));
    worded.unwrap_or_else(|| status::of_status(status, None).within_success())
}

struct Declared {
    sign: Sign,
    /// The error status that the body states.
    status: Option<StatusCode>,
    /// Whether the body is an error whatever its words mean.
    certain: bool,
}

impl Declared {
    const fn by(sign: Sign, certain: bool) -> Self {
        Self { sign, status: None, certain }
    }
}

/// How a body declares that it is an error.
fn declared(evidence: &Evidence<'_>) -> Option<Declared> {
    let Evidence { document, facts, .. } = *evidence;
    let worded = facts.message.is_some() || facts.code.is_some();
    let search = Search { worded, root: "" };
    match document.format {
        BodyFormat::Json | BodyFormat::Form | BodyFormat::Xml => match &document.tree {
            Value::Object(map) => search.object(map, "", DEPTH_MAX).or_else(|| {
                // The one element around all of XML.
                let (name, inner) = map.iter().next().filter(|_| map.len() == 1)?;
                Search { worded, root: name }.object(inner.as_object()?, "", DEPTH_MAX)
            }),
            Value::Array(items) => search.array(items, "", DEPTH_MAX),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        },
        BodyFormat::Text | BodyFormat::Html => {
            let text = facts.message.as_deref().unwrap_or(&document.text).trim();
            if text.is_empty() || text.len() > TEXT_CHARS_MAX {
                return None;
            }
            let lower = text.get(..LABEL_BYTES).unwrap_or(text).to_ascii_lowercase();
            let starts = ["error", "err:", "fail", "fault", "exception"];
            let certain = starts.iter().any(|start| lower.starts_with(start));
            Some(Declared::by(Sign::Sentence(super::excerpt(text)), certain))
        }
        BodyFormat::Empty | BodyFormat::Unreadable => None,
    }
}

struct Search<'a> {
    /// Whether the body has a message or a code.
    worded: bool,
    /// The name of the one element around all, if it is skipped.
    root: &'a str,
}

impl Search<'_> {
    fn array(&self, items: &[Value], at: &str, depth: usize) -> Option<Declared> {
        match items {
            [Value::Object(only)] => {
                let found = self.object(only, &format!("{at}/0"), depth.checked_sub(1)?)?;
                found.certain.then_some(found)
            }
            [Value::String(first), rest @ ..] if is_failed(first) && rest.len() <= 4 => {
                Some(Declared::by(member(&format!("{at}/0"), first), true))
            }
            _ => None,
        }
    }

    fn object(&self, map: &Map<String, Value>, at: &str, depth: usize) -> Option<Declared> {
        let depth = depth.checked_sub(1)?;
        let members: Vec<(String, &String, &Value)> = map
            .iter()
            .take(MEMBERS_MAX)
            .map(|(name, value)| (plain(name).into_owned(), name, value))
            .collect();
        let named = |wanted: &'static [&'static str]| {
            members.iter().filter(move |(name, _, _)| wanted.contains(&name.as_str()))
        };
        if named(&GOOD_FLAGS).any(|(_, _, value)| is_true(value)) {
            return None;
        }
        let root = if self.root.is_empty() { String::new() } else { format!("/{}", self.root) };
        let place = |name: &str| format!("{root}{at}/{name}");
        let refused = named(&GOOD_FLAGS).find(|(_, _, value)| is_false(value));
        let refused = refused.or_else(|| named(&BAD_FLAGS).find(|(_, _, value)| is_true(value)));
        if let Some((_, name, value)) = refused {
            return Some(Declared::by(member(&place(name), &value.to_string()), true));
        }
        let failed = named(&STATES).find_map(|(_, name, value)| {
            let text = value.as_str().filter(|text| is_failed(text))?;
            Some(member(&place(name), text))
        });
        if let Some(sign) = failed.filter(|_| self.worded) {
            return Some(Declared::by(sign, true));
        }
        let has_payload = members
            .iter()
            .any(|(name, _, value)| !NO_PAYLOAD.contains(&name.as_str()) && is_payload(value));
        if !has_payload && self.worded {
            let stated = named(&STATUSES).find_map(|(_, name, value)| {
                let status = error_status(value)?;
                Some((status, member(&place(name), &value.to_string())))
            });
            if let Some((status, sign)) = stated {
                return Some(Declared { sign, status: Some(status), certain: true });
            }
        }
        let in_place = named(&ERRORS).find(|(_, _, value)| is_error(value));
        if let Some((_, name, _)) = in_place.filter(|_| !has_payload) {
            return Some(Declared::by(Sign::Member(place(name).into()), true));
        }
        let coded = members.iter().find(|(name, _, value)| {
            ERROR_CODES.iter().any(|end| name.ends_with(end)) && is_error_code(value)
        });
        if let Some((_, name, value)) = coded.filter(|_| !has_payload && self.worded) {
            return Some(Declared::by(member(&place(name), &value.to_string()), true));
        }
        let inner = members.iter().filter(|_| members.len() <= WRAPPER_MEMBERS_MAX);
        let inner = inner.filter_map(|(_, name, value)| match value {
            Value::Object(inner) => self.object(inner, &format!("{at}/{name}"), depth),
            Value::Array(items) if members.len() == 1 => {
                self.array(items, &format!("{at}/{name}"), depth)
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => None,
        });
        let mut inner = inner.filter(|found| found.certain);
        inner.next().or_else(|| {
            // One sentence and little else.
            let bare = at.is_empty() && !has_payload && members.len() <= BARE_MEMBERS_MAX;
            let (_, name, _) = members.first().filter(|_| bare && self.worded)?;
            Some(Declared::by(Sign::Member(place(name).into()), false))
        })
    }
}

/// Members of an object that may wrap the one that declares an error.
const WRAPPER_MEMBERS_MAX: usize = 8;
/// Members of a body that is little more than a sentence.
const BARE_MEMBERS_MAX: usize = 5;

const GOOD_FLAGS: [&str; 7] =
    ["ok", "success", "succeeded", "successful", "issuccess", "issuccessful", "status"];
const BAD_FLAGS: [&str; 7] =
    ["error", "iserror", "haserror", "haserrors", "errorsexist", "failed", "failure"];
const STATES: [&str; 14] = [
    "status",
    "stat",
    "state",
    "result",
    "resultcode",
    "returncode",
    "resultstatus",
    "ack",
    "severity",
    "highestseverity",
    "qualifier",
    "type",
    "message",
    "code",
];
const STATUSES: [&str; 7] =
    ["status", "statuscode", "code", "httpstatus", "httpcode", "httpstatuscode", "errorcode"];
const ERRORS: [&str; 12] = [
    "error",
    "errors",
    "err",
    "fault",
    "exception",
    "errormessage",
    "errormsg",
    "serviceexception",
    "errorresponse",
    "msgerro",
    "errordetail",
    "apierror",
];
/// The ends of names of codes that are set for errors only.
const ERROR_CODES: [&str; 7] =
    ["errorcode", "errcode", "retcode", "returncode", "errno", "infocode", "statuscode"];

/// Members that are no result of the call.
const NO_PAYLOAD: [&str; 24] = [
    "error",
    "errors",
    "err",
    "fault",
    "exception",
    "message",
    "messages",
    "extensions",
    "meta",
    "metadata",
    "links",
    "headers",
    "header",
    "jsonapi",
    "request",
    "params",
    "debug",
    "details",
    "detail",
    "context",
    "status",
    "errordetail",
    "apierror",
    "serviceexception",
];

fn member(at: &str, value: &str) -> Sign {
    Sign::Member(format!("{at}: {}", super::excerpt(value)).into())
}

fn is_false(value: &Value) -> bool {
    match value {
        Value::Bool(flag) => !*flag,
        Value::String(text) => text.eq_ignore_ascii_case("false"),
        Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => false,
    }
}

fn is_true(value: &Value) -> bool {
    match value {
        Value::Bool(flag) => *flag,
        Value::String(text) => text.eq_ignore_ascii_case("true"),
        Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => false,
    }
}

/// Whether a word reports a failure: `fail`, `Failed`, `OVER_QUERY_LIMIT`, `REQUEST_DENIED`.
fn is_failed(text: &str) -> bool {
    let word = text.trim().to_ascii_lowercase();
    let exact = [
        "error",
        "err",
        "fatal",
        "fault",
        "nok",
        "notok",
        "not ok",
        "ko",
        "denied",
        "exception",
        "unauthorized",
        "forbidden",
        "fail",
        "failed",
        "failure",
    ];
    let starts = ["over_", "invalid_", "error_", "no-access", "no_access", "no-login"];
    let ends = ["_error", "_denied", "_failed", "_exceeded", "_not_processed", "_failure"];
    word.len() <= 40
        && (exact.contains(&word.as_str())
            || starts.iter().any(|start| word.starts_with(start))
            || ends.iter().any(|end| word.ends_with(end)))
}

/// Whether a member is a result: something in it is not null.
fn is_payload(value: &Value) -> bool {
    match value {
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => members.values().any(|value| !value.is_null()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Whether the value of `error` and its kin is one.
fn is_error(value: &Value) -> bool {
    match value {
        Value::Array(_) | Value::Object(_) => is_payload(value),
        Value::String(text) => {
            let none = ["", "0", "none", "null", "ok", "no error", "success", "false"];
            !none.contains(&text.trim().to_ascii_lowercase().as_str())
        }
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::Null | Value::Bool(_) => false,
    }
}

/// Whether the value of an error code is not that of a success.
fn is_error_code(value: &Value) -> bool {
    let text = match value {
        Value::String(text) => text.trim().to_ascii_lowercase(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return false,
    };
    let good = ["", "ok", "success", "none", "null", "200", "201", "20000", "10000", "true"];
    !good.contains(&text.as_str()) && !text.bytes().all(|byte| byte == b'0')
}

fn error_status(value: &Value) -> Option<StatusCode> {
    let number = match value {
        Value::Number(number) => number.as_u64()?,
        Value::String(text) => text.parse().ok()?,
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    let status = StatusCode::from_u16(u16::try_from(number).ok()?).ok()?;
    (status.is_client_error() || status.is_server_error()).then_some(status)
}
