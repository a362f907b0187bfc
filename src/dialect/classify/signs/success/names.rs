//! The names under which bodies under a success keep flags, states, codes and errors.

use http::StatusCode;
use serde_json::Value;

use super::object::{Member, number};

/// The ends of names of flags that are set for a success.
pub(super) const GOOD_FLAGS: [&str; 7] =
    ["success", "succeeded", "succeed", "successful", "isok", "isvalidrequest", "responseok"];
pub(super) const BAD_FLAGS: [&str; 9] = [
    "error",
    "erro",
    "iserror",
    "haserror",
    "haserrors",
    "errorsexist",
    "isfault",
    "errorflag",
    "fault",
];
pub(super) const FAILED_FLAGS: [&str; 3] = ["failed", "failure", "isfailed"];
pub(super) const VERDICTS: [&str; 5] = ["valid", "isvalid", "passed", "compliant", "verified"];

/// The ends of names of members that say how the call went.
pub(super) const STATES: [&str; 12] = [
    "status",
    "stat",
    "result",
    "resultcode",
    "returncode",
    "ack",
    "severity",
    "qualifier",
    "message",
    "code",
    "rc",
    "response",
];
pub(super) const KIND_STATES: [&str; 1] = ["type"];
pub(super) const STATUSES: [&str; 8] = [
    "status",
    "statuscode",
    "code",
    "httpstatus",
    "httpcode",
    "httpstatuscode",
    "errorcode",
    "rcode",
];
pub(super) const ERRORS: [&str; 29] = [
    "error",
    "errors",
    "err",
    "erro",
    "erros",
    "fault",
    "faultstring",
    "exception",
    "errormessage",
    "errormessages",
    "errormsg",
    "serviceexception",
    "errorresponse",
    "msgerro",
    "errordetail",
    "errordetails",
    "errorlist",
    "errorwrappers",
    "faultinfo",
    "apierror",
    "errdesc",
    "errnm",
    "errordesc",
    "errordescription",
    "errortext",
    "errornote",
    "errtext",
    "errtxt",
    "errorcondition",
];
/// The ends of further such names, of objects and sentences.
pub(super) const ERROR_ENDS: [&str; 6] =
    ["error", "errors", "fault", "exception", "errorlist", "errorarray"];

/// The ends of names of codes that are set for errors only.
pub(super) const CODES_OF_ERRORS: [&str; 9] = [
    "errorcode",
    "errcode",
    "retcode",
    "returncode",
    "errno",
    "infocode",
    "statuscode",
    "failcode",
    "errcd",
];
/// The ends of names of codes that say how the call went.
pub(super) const CODES_OF_RESULTS: [&str; 18] = [
    "rtncode",
    "rescode",
    "respcode",
    "responsecode",
    "resultcode",
    "reasoncode",
    "replycode",
    "retval",
    "rspcd",
    "rtcd",
    "rescd",
    "resultcd",
    "coderesult",
    "msgcd",
    "codereponse",
    "coderetour",
    "codigoretorno",
    "codigorespuesta",
];
pub(super) const CODES: [&str; 7] = ["code", "status", "ret", "rc", "cod", "codigo", "result"];

/// The ends of names of objects that are the answer of a call rather than a thing.
pub(super) const ANSWERS: [&str; 7] =
    ["response", "result", "reply", "body", "answer", "summary", "common"];

/// Lists in which a vendor sends one answer of its own.
pub(super) const LISTS: [&str; 3] = ["messages", "notifications", "responses"];

pub(super) fn is_good_flag(it: &Member<'_>) -> bool {
    let name = &*it.plain;
    matches!(name, "ok" | "status") || GOOD_FLAGS.iter().any(|end| name.ends_with(end))
}

pub(super) fn is_code(it: &Member<'_>) -> bool {
    let name = &*it.plain;
    let numbered = name.ends_with("status") && it.value.is_number();
    numbered
        || CODES.contains(&name)
        || CODES_OF_ERRORS.iter().chain(&CODES_OF_RESULTS).any(|end| name.ends_with(end))
}

pub(super) fn has_digit(value: &Value) -> bool {
    value.is_number() || value.as_str().is_some_and(|it| it.contains(|c: char| c.is_ascii_digit()))
}

/// The value of a flag, written as one or as a word.
pub(super) fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        Value::String(_) | Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            None
        }
    }
}

pub(super) fn error_status(value: &Value) -> Option<StatusCode> {
    let status = StatusCode::from_u16(u16::try_from(number(value)?).ok()?).ok()?;
    (status.is_client_error() || status.is_server_error()).then_some(status)
}
