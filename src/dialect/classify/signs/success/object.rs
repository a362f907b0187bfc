//! The members of one object of a body under a success: which of them an error may have, and
//! which only a result has.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::dialect::spelling::plain;

/// Members of one object that are looked at.
const MEMBERS_MAX: usize = 100;

pub(super) struct Member<'a> {
    /// The name in one spelling.
    pub(super) plain: Cow<'a, str>,
    pub(super) name: &'a str,
    pub(super) value: &'a Value,
}

pub(super) struct Object<'a> {
    pub(super) members: Vec<Member<'a>>,
    /// Members of a result that are neither objects nor lists.
    pub(super) facts: usize,
    /// Members of a result that are objects or lists.
    pub(super) parts: usize,
}

impl<'a> Object<'a> {
    pub(super) fn of(map: &'a Map<String, Value>) -> Self {
        let members = map.iter().take(MEMBERS_MAX);
        let members: Vec<Member<'a>> =
            members.map(|(name, value)| Member { plain: plain(name), name, value }).collect();
        let counted = |is_part: bool| {
            let results = members.iter().filter(|it| !it.belongs_to_errors() && it.name != "#text");
            results.filter(move |it| says_something(it.value) && is_container(it.value) == is_part)
        };
        let (facts, parts) = (counted(false).count(), counted(true).count());
        Self { members, facts, parts }
    }

    /// The members of these names, in the order of the body.
    pub(super) fn named(&self, names: &'static [&str]) -> impl Iterator<Item = &Member<'a>> {
        self.members.iter().filter(|it| names.contains(&&*it.plain))
    }

    /// Whether nothing in it is a result of the call.
    pub(super) fn is_bare(&self) -> bool {
        self.facts == 0 && self.parts == 0
    }

    /// Whether it is a thing that was asked for and may have failed in the past. A thing has more
    /// members of its own than an error; where one is named after errors, more are needed.
    pub(super) fn is_record(&self) -> bool {
        let explained = self.members.iter().any(|it| {
            let named = it.plain.starts_with("err") || it.plain.ends_with("error");
            named && !it.is_past() && says_something(it.value)
        });
        let named = self.members.iter().any(|it| RECORD_NAMES.contains(&&*it.plain));
        self.facts > if explained && !named { RECORD_FACTS_MAX } else { 1 }
    }

    /// The first sentence or word of the object.
    pub(super) fn said(&self) -> Option<&'a str> {
        let mut texts = self.members.iter().filter(|it| it.is_message());
        texts.find_map(|it| it.value.as_str().map(str::trim).filter(|text| !text.is_empty()))
    }
}

/// Members of a result beside an error that still leave it one: ids and echoes of the request.
const RECORD_FACTS_MAX: usize = 3;

/// Members that say of which kind a thing is, or when it came to be.
const RECORD_NAMES: [&str; 6] =
    ["object", "entity", "createdat", "createdtime", "updatedat", "finishedat"];

impl Member<'_> {
    fn is_message(&self) -> bool {
        MESSAGES.contains(&&*self.plain) || MESSAGE_ENDS.iter().any(|end| self.plain.ends_with(end))
    }

    /// Whether errors have such a member, or every response of a vendor.
    pub(super) fn belongs_to_errors(&self) -> bool {
        let name = &*self.plain;
        !self.is_past()
            && (ENVELOPE.contains(&name)
                || ENVELOPE_STARTS.iter().any(|start| name.starts_with(start))
                || ENVELOPE_ENDS.iter().any(|end| name.ends_with(end)))
    }

    /// Whether it is about something before this call: `last_error`.
    fn is_past(&self) -> bool {
        self.plain.starts_with("last") || self.plain.starts_with("previous")
    }
}

const MESSAGES: [&str; 8] =
    ["detail", "details", "info", "information", "reason", "title", "note", "text"];
const MESSAGE_ENDS: [&str; 11] = [
    "message",
    "msg",
    "description",
    "desc",
    "errortext",
    "responsetext",
    "resulttext",
    "statustext",
    "statusinfo",
    "errormsg",
    "motivo",
];

/// Members that are no result of the call.
const ENVELOPE: [&str; 52] = [
    "apierror",
    "apiversion",
    "code",
    "context",
    "copyright",
    "cost",
    "date",
    "debug",
    "detail",
    "details",
    "documentation",
    "erro",
    "erros",
    "extensions",
    "head",
    "header",
    "headers",
    "help",
    "info",
    "information",
    "jsonapi",
    "jsonrpc",
    "kind",
    "lang",
    "language",
    "links",
    "locale",
    "meta",
    "metadata",
    "moreinfo",
    "note",
    "ok",
    "params",
    "parameter",
    "parameters",
    "reason",
    "rc",
    "server",
    "servedby",
    "serviceexception",
    "sign",
    "signature",
    "stat",
    "status",
    "success",
    "resolution",
    "tid",
    "title",
    "ts",
    "type",
    "version",
    "warnings",
];
const ENVELOPE_STARTS: [&str; 19] = [
    "api",
    "caus",
    "debug",
    "err",
    "exception",
    "failcode",
    "fault",
    "logid",
    "message",
    "msg",
    "request",
    "respon",
    "result",
    "ret",
    "rtn",
    "status",
    "sub",
    "trace",
    "wait",
];
const ENVELOPE_ENDS: [&str; 24] = [
    "code",
    "count",
    "correlationid",
    "conversationid",
    "desc",
    "description",
    "elapsed",
    "error",
    "errors",
    "exception",
    "fault",
    "flag",
    "message",
    "msg",
    "reference",
    "requestid",
    "severity",
    "success",
    "time",
    "timestamp",
    "traceid",
    "helpurl",
    "infourl",
    "version",
];

fn is_container(value: &Value) -> bool {
    value.is_array() || value.is_object()
}

/// Whether a value is more than a place left empty.
pub(super) fn says_something(value: &Value) -> bool {
    match value {
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => members.values().any(says_something),
        Value::String(text) => !text.trim().is_empty(),
        Value::Number(_) | Value::Bool(_) => true,
        Value::Null => false,
    }
}

/// Whether a sentence reports a success.
pub(super) fn says_success(text: &str) -> bool {
    let text = text.trim().to_lowercase();
    let starts = [
        "ok",
        "success",
        "successful",
        "approved",
        "accepted",
        "complete",
        "completed",
        "done",
        "normal",
        "no error",
        "transaction approved",
        "command completed",
    ];
    let first = |start: &&str| {
        let rest = text.strip_prefix(*start);
        rest.is_some_and(|rest| !rest.starts_with(char::is_alphabetic))
    };
    let anywhere = [
        "successfully",
        "成功",
        "正常",
        "완료",
        "정상",
        "успешно",
        "com sucesso",
        "con éxito",
        "exitosa",
        "erfolgreich",
        "avec succès",
        "con successo",
    ];
    let denied = ["not ", "un", "不", "未", "não ", "no se "].iter().any(|no| text.contains(no));
    starts.iter().any(first) || !denied && anywhere.iter().any(|words| text.contains(words))
}

/// Whether a word reports a failure: `fail`, `Failed`, `OVER_QUERY_LIMIT`, `REQUEST_DENIED`.
pub(super) fn is_failed(text: &str) -> bool {
    let word = text.trim().to_ascii_lowercase();
    let exact = [
        "denied",
        "erro",
        "error",
        "err",
        "exception",
        "fail",
        "failed",
        "failure",
        "fatal",
        "fault",
        "fehler",
        "forbidden",
        "invalid",
        "ko",
        "malformed",
        "nok",
        "not ok",
        "not_found",
        "notok",
        "unauthorized",
        "unsuccessful",
    ];
    let starts = ["over_", "invalid_", "error_", "no-access", "no_access", "no-login"];
    let ends = ["_error", "_denied", "_failed", "_exceeded", "_not_processed", "_failure"];
    word.len() <= 40
        && (exact.contains(&word.as_str())
            || starts.iter().any(|start| word.starts_with(start))
            || ends.iter().any(|end| word.ends_with(end)))
}

/// Whether the value of `error` and its kin is one.
pub(super) fn is_error(value: &Value) -> bool {
    match value {
        Value::Array(_) | Value::Object(_) => says_something(value),
        Value::String(text) => {
            let none = ["", "0", "none", "null", "ok", "no error", "success", "false", "off", "on"];
            !none.contains(&text.trim().to_ascii_lowercase().as_str())
        }
        // A fraction is a measure.
        Value::Number(number) => number.as_i64().is_some_and(|number| number != 0),
        Value::Null | Value::Bool(_) => false,
    }
}

/// The value of a code as text, unless it is one of a success: only zeros, 2xx, a round thousand.
pub(super) fn error_code(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_ascii_lowercase(),
        Value::Number(number) if !number.is_f64() => number.to_string(),
        Value::Number(_) | Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            return None;
        }
    };
    let good =
        ["", "ok", "success", "succeeded", "successful", "approved", "accepted", "completed"];
    let none = ["none", "null", "true", "false"];
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let rest = digits.strip_prefix(['1', '2']).unwrap_or(&digits);
    let round = !digits.is_empty()
        && rest.bytes().all(|byte| byte == b'0')
        && (rest.len() == digits.len() || rest.len() > 2);
    let status = digits.len() == 3 && digits == text && digits.starts_with('2');
    let fine = good.contains(&text.as_str()) || none.contains(&text.as_str()) || round || status;
    (!fine).then_some(text)
}

/// A number, written as one or as text.
pub(super) fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}
