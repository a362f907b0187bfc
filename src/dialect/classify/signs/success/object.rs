//! The members of one object of a body under a success: which of them an error may have, and
//! which only a result has.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::dialect::spelling::{plain, shared_start};
use crate::dialect::verdict;

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
        let start = shared_start(map);
        let members = map.iter().take(MEMBERS_MAX);
        let members: Vec<Member<'a>> = members
            .map(|(name, value)| Member { plain: plain(&name[start..]), name, value })
            .collect();
        let is_rpc = map.contains_key("jsonrpc");
        let results = || {
            let results = members.iter().filter(|it| !it.belongs_to_errors() && it.name != "#text");
            results.filter(|it| !(is_rpc && it.name == "id") && says_something(it.value))
        };
        let facts = results().filter(|it| !is_container(it.value)).count();
        let parts = results().filter(|it| holds_result(it.value, RESULT_DEPTH_MAX)).count();
        Self { members, facts, parts }
    }

    /// Whether nothing in it is a result of the call.
    pub(super) fn is_bare(&self) -> bool {
        self.facts == 0 && self.parts == 0
    }

    /// Whether it is a thing that was asked for and may have failed in the past. A thing has more
    /// members of its own than an error; where one is named after errors, more are needed.
    pub(super) fn is_record(&self) -> bool {
        let explained = self.members.iter().any(|it| {
            let ends = ["error", "errcode", "errorcode", "errmsg", "errormessage"];
            let named = ends.iter().any(|end| it.plain.ends_with(end));
            (named || it.plain.starts_with("err")) && !it.is_past() && says_something(it.value)
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
const RECORD_NAMES: [&str; 9] = [
    "object",
    "entity",
    "createdat",
    "createdtime",
    "updatedat",
    "finishedat",
    "created",
    "startedat",
    "finished",
];

impl Member<'_> {
    fn is_message(&self) -> bool {
        let name = self.plain.trim_end_matches(|c: char| c.is_ascii_digit());
        MESSAGES.contains(&name)
            || MESSAGE_ENDS.iter().any(|end| name.ends_with(end))
            || name == "status" && self.value.as_str().is_some_and(|it| it.trim().contains(' '))
    }

    /// Whether errors have such a member, or every response of a vendor.
    pub(super) fn belongs_to_errors(&self) -> bool {
        let name = &*self.plain;
        let state = || match self.value {
            Value::Number(_) => true,
            Value::String(text) => is_failed(text) || verdict::is_success_word(text),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => false,
        };
        !self.is_past()
            && (name.ends_with("status") && state()
                || ENVELOPE.contains(&name)
                || ENVELOPE_STARTS.iter().any(|start| name.starts_with(start))
                || ENVELOPE_ENDS.iter().any(|end| name.ends_with(end)))
    }

    /// Whether its name is that of an error, so that whatever it holds is no result.
    fn is_of_errors(&self) -> bool {
        let ends = ["error", "errors", "fault", "exception", "exceptions"];
        !self.is_past()
            && (self.plain.starts_with("err") || ends.iter().any(|end| self.plain.ends_with(end)))
    }

    /// Whether it is about something before this call: `last_error`.
    fn is_past(&self) -> bool {
        self.plain.starts_with("last") || self.plain.starts_with("previous")
    }
}

const MESSAGES: [&str; 12] = [
    "detail",
    "details",
    "info",
    "information",
    "reason",
    "title",
    "note",
    "text",
    "emsg",
    "rmk",
    "remark",
    "remarks",
];
const MESSAGE_ENDS: [&str; 25] = [
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
    "detail",
    "errnm",
    "errtxt",
    "errornote",
    "messagestring",
    "replytext",
    "explanation",
    "mensaje",
    "mensagem",
    "descricao",
    "descripcion",
    "commentaire",
    "comentario",
    "meldung",
];

/// Members that are no result of the call.
#[rustfmt::skip]
const ENVELOPE: [&str; 68] = [
    "apierror", "apiversion", "code", "context", "copyright", "cost", "date", "debug", "detail",
    "details", "documentation", "erro", "erros", "extensions", "head", "header", "headers",
    "help", "info", "information", "jsonapi", "jsonrpc", "kind", "lang", "language", "links",
    "locale", "meta", "metadata", "moreinfo", "note", "ok", "params", "parameter", "parameters",
    "reason", "rc", "server", "servedby", "serviceexception", "sign", "signature", "stat",
    "status", "success", "resolution", "tid", "title", "ts", "type", "version", "warnings",
    "action", "cmd", "command", "environment", "hint", "ndc", "ratelimit", "summary", "svtrid",
    "termsofuse", "trid", "tmst", "ttl", "isvalid", "extra", "now",
];
#[rustfmt::skip]
const ENVELOPE_STARTS: [&str; 23] = [
    "api", "caus", "debug", "err", "exception", "failcode", "fault", "logid", "message", "msg",
    "request", "respon", "result", "ret", "rtn", "status", "sub", "trace", "wait", "build",
    "haswarning", "terms", "runtime",
];
#[rustfmt::skip]
const ENVELOPE_ENDS: [&str; 40] = [
    "code", "count", "correlationid", "conversationid", "desc", "description", "elapsed", "error",
    "errors", "exception", "fault", "flag", "message", "msg", "reference", "requestid",
    "severity", "success", "time", "timestamp", "traceid", "helpurl", "infourl", "version",
    "header", "milliseconds", "trid", "errornote", "explanation", "errtxt", "errorlist",
    "errorarray", "mensaje", "mensagem", "descricao", "descripcion", "commentaire", "comentario",
    "motivo", "meldung",
];

fn is_container(value: &Value) -> bool {
    value.is_array() || value.is_object()
}

/// Objects inside each other that are searched for a result.
const RESULT_DEPTH_MAX: usize = 4;
/// Parts of a result that are left empty or hold an error; more of them are a report.
const PARTS_MAX: usize = 1;

/// Whether an object or a list holds more than the members of an error.
pub(super) fn holds_result(value: &Value, depth: usize) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return true };
    let map = match value {
        Value::Object(map) => map,
        Value::Array(items) => return !items.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return false,
    };
    let members = || {
        let members = map.iter().filter(|(name, _)| *name != "#text");
        let members = members.map(|(name, value)| Member { plain: plain(name), name, value });
        members.filter(|it| says_something(it.value) && !it.is_of_errors())
    };
    let parts = || members().filter(|it| is_container(it.value) && !it.belongs_to_errors());
    parts().count() > PARTS_MAX
        || members().any(|it| match it.value {
            Value::Array(_) => !it.belongs_to_errors(),
            Value::Object(_) => holds_result(it.value, depth),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                !it.belongs_to_errors()
            }
        })
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
        "nack",
        "ng",
        "not_ok",
        "no",
    ];
    let starts = [
        "over_",
        "invalid_",
        "error_",
        "err_",
        "wrong_",
        "fail_",
        "no-access",
        "no_access",
        "no-login",
    ];
    let ends = [
        "_error",
        "_denied",
        "_expired",
        "_invalid",
        "_disabled",
        "_failed",
        "_exceeded",
        "_not_processed",
        "_failure",
    ];
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

/// The value of a code as text, unless it is one of a success.
pub(super) fn error_code(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_ascii_lowercase(),
        Value::Number(number) if !number.is_f64() => number.to_string(),
        Value::Number(_) | Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            return None;
        }
    };
    (!verdict::is_success_code(&text)).then_some(text)
}

/// Whether a member says of the whole call that there were only warnings.
pub(super) fn is_warning(it: &Member<'_>) -> bool {
    let graded = ["ack", "severity", "severitycode", "resultcode"].contains(&&*it.plain);
    let warned = |text: &str| text.to_ascii_lowercase().ends_with("warning");
    graded && it.value.as_str().is_some_and(warned)
}

/// A number, written as one or as text.
pub(super) fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}
