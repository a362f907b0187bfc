//! The names under which vendors keep the facts of an error, in one spelling: lower case letters
//! and digits only.

use http::StatusCode;

/// Objects that hold the error itself.
pub(super) const ENVELOPES: [&str; 9] = [
    "error",
    "fault",
    "odataerror",
    "exception",
    "errorresponse",
    "apierror",
    "serviceexception",
    "responsestatus",
    "errorinfo",
];

/// Sentences, the most specific first.
pub(super) const MESSAGES: [&str; 24] = [
    "message",
    "errormessage",
    "errormsg",
    "msg",
    "errordescription",
    "detail",
    "description",
    "errorsummary",
    "errortext",
    "faultstring",
    "usermessage",
    "displaymessage",
    "developermessage",
    "localizedmessage",
    "oauthproblemadvice",
    "exceptionmessage",
    "title",
    "summary",
    "reasonphrase",
    "details",
    "info",
    "text",
    "reason",
    "statustext",
];

/// Machine codes, the most specific first.
pub(super) const CODES: [&str; 17] = [
    "code",
    "errorcode",
    "errcode",
    "type",
    "amzntype",
    "errorname",
    "name",
    "category",
    "errortype",
    "faultcode",
    "oauthproblem",
    "reason",
    "status",
    "errorid",
    "errornumber",
    "exception",
    "policyname",
];

/// References of the occurrence.
pub(super) const REFERENCES: [&str; 20] = [
    "requestid",
    "reqid",
    "xrequestid",
    "traceid",
    "correlationid",
    "debugid",
    "errorid",
    "incidentid",
    "referenceid",
    "referencenumber",
    "reference",
    "pspreference",
    "eventid",
    "supportid",
    "supportreference",
    "rayid",
    "logid",
    "activityid",
    "clientrequestid",
    "instance",
];

/// When it happened.
pub(super) const DATES: [&str; 6] =
    ["timestamp", "date", "datetime", "occurredat", "servertime", "time"];

/// Headers that carry a code.
pub(super) const CODE_HEADERS: [&str; 3] = ["x-amzn-errortype", "x-ms-error-code", "x-error-code"];

/// Headers that carry a reference.
pub(super) const REFERENCE_HEADERS: [&str; 14] = [
    "x-request-id",
    "request-id",
    "x-amzn-requestid",
    "x-amz-request-id",
    "x-github-request-id",
    "x-ms-request-id",
    "concur-correlationid",
    "x-correlation-id",
    "x-trace-id",
    "x-amzn-trace-id",
    "x-shopify-request-id",
    "x-hubspot-correlation-id",
    "x-okta-request-id",
    "cf-ray",
];

/// Lists of single errors, the most telling first.
pub(super) const LISTS: [&str; 22] = [
    "errors",
    "errormessages",
    "errormessagelist",
    "error",
    "validationerrors",
    "fielderrors",
    "invalidfields",
    "invalidparams",
    "violations",
    "failures",
    "issues",
    "causes",
    "errorcauses",
    "errorchain",
    "rootcause",
    "details",
    "detail",
    "message",
    "nonfielderrors",
    "elements",
    "problems",
    "messages",
];

/// Inside a single error: its sentence.
pub(super) const PART_MESSAGES: [&str; 13] = [
    "message",
    "msg",
    "detail",
    "description",
    "errormessage",
    "errorsummary",
    "title",
    "text",
    "details",
    "summary",
    "error",
    "reason",
    "issue",
];

/// Inside a single error: its code.
pub(super) const PART_CODES: [&str; 10] = [
    "code",
    "errorcode",
    "issue",
    "reason",
    "type",
    "errortype",
    "keyword",
    "rule",
    "name",
    "statuscode",
];

/// Inside a single error: the field it is about.
pub(super) const PART_FIELDS: [&str; 14] = [
    "pointer",
    "field",
    "fieldname",
    "param",
    "parameter",
    "path",
    "property",
    "propertyname",
    "propertypath",
    "location",
    "loc",
    "fields",
    "attribute",
    "target",
];

/// Names of lists that belong to no field.
pub(super) const NO_FIELDS: [&str; 6] = ["nonfielderrors", "all", "base", "errors", "general", ""];

/// A name in one spelling.
pub(super) fn plain(name: &str) -> String {
    if name == "__type" {
        return "amzntype".to_owned();
    }
    let letters = name.chars().filter(char::is_ascii_alphanumeric).take(40);
    letters.map(|c| c.to_ascii_lowercase()).collect()
}

/// A code without the name space before it and the address behind it (AWS).
pub(super) fn short(code: String) -> String {
    if code.contains("://") {
        return code;
    }
    let tail = code.rsplit('#').next().unwrap_or(&code);
    match tail.split_once(':') {
        Some((head, rest)) if rest.starts_with("http") => head.to_owned(),
        Some(_) | None => tail.to_owned(),
    }
}

/// One word, as codes are.
pub(super) fn is_word(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '/');
    !text.is_empty() && text.chars().all(plain)
}

/// Whether a text only repeats what a status means.
pub(super) fn is_phrase(text: &str, status: u16) -> bool {
    let phrase = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    phrase.is_some_and(|phrase| plain(phrase) == plain(text))
}
