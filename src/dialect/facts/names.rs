//! The names under which vendors keep the facts of an error, in one spelling: lower-case letters
//! and digits only.

use http::StatusCode;
use serde_json::{Map, Value};

use super::values::{escaped, scalar};

/// Objects that hold the error itself.
const ENVELOPES: [&str; 9] = [
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

/// Messages, the most specific first.
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

/// Codes, the most specific first.
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

pub(super) const DATES: [&str; 6] =
    ["timestamp", "date", "datetime", "occurredat", "servertime", "time"];

pub(super) const CODE_HEADERS: [&str; 3] = ["x-amzn-errortype", "x-ms-error-code", "x-error-code"];

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

/// Lists of single errors, the most specific first.
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
    "modelstate",
    "elements",
    "problems",
    "messages",
];

pub(super) const CHILD_MESSAGES: [&str; 13] = [
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

pub(super) const CHILD_CODES: [&str; 9] =
    ["code", "errorcode", "issue", "reason", "type", "errortype", "keyword", "rule", "statuscode"];

/// The field that a single error is about.
pub(super) const CHILD_FIELDS: [&str; 14] = [
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

pub(super) const MEMBERS_MAX: usize = 200;

/// The members of one object, by their names in one spelling.
pub(super) struct Members<'a> {
    at: String,
    list: Vec<(String, &'a str, &'a Value)>,
}

impl<'a> Members<'a> {
    pub(super) fn of(map: &'a Map<String, Value>, at: &str) -> Self {
        let members = map.iter().take(MEMBERS_MAX);
        let list = members.map(|(name, value)| (plain(name), name.as_str(), value)).collect();
        Self { at: at.to_owned(), list }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (String, &'a Value)> {
        self.list.iter().map(|(_, name, value)| (self.pointer(name), *value))
    }

    /// The members of these names with their pointers, in the order of the names.
    pub(super) fn named<'b>(
        &'b self,
        names: &'b [&str],
    ) -> impl Iterator<Item = (String, &'a Value)> + 'b {
        let candidates = names
            .iter()
            .flat_map(|wanted| self.list.iter().filter(move |(plain, _, _)| plain == wanted));
        candidates.map(|(_, name, value)| (self.pointer(name), *value))
    }

    pub(super) fn is_envelope(name: &str) -> bool {
        ENVELOPES.contains(&plain(name).as_str())
    }

    /// The object that holds the error itself: `{"error": {…}}` and its kin.
    pub(super) fn envelope(&self) -> Option<(String, &'a Value)> {
        self.named(&ENVELOPES).find(|(_, value)| value.is_object())
    }

    /// The members of the first member of this name that is an object.
    pub(super) fn object(&self, name: &str) -> Option<Self> {
        let mut objects = self.list.iter().filter(|(plain, _, _)| plain == name);
        objects.find_map(|(_, name, value)| Some(Self::of(value.as_object()?, &self.pointer(name))))
    }

    /// The first text or number of these names, whose pointer is noted.
    pub(super) fn take(&self, names: &[&str], pointers: &mut Vec<String>) -> Option<String> {
        let mut candidates = self.named(names);
        let (at, text) = candidates.find_map(|(at, value)| Some((at, scalar(value)?)))?;
        pointers.push(at);
        Some(text)
    }

    fn pointer(&self, name: &str) -> String {
        format!("{}/{}", self.at, escaped(name))
    }
}

/// A name in one spelling.
pub(super) fn plain(name: &str) -> String {
    if name == "__type" {
        return "amzntype".to_owned();
    }
    let letters = name.chars().filter(char::is_ascii_alphanumeric).take(40);
    letters.map(|c| c.to_ascii_lowercase()).collect()
}

/// A code without its namespace and the URL behind it (AWS).
pub(super) fn short(code: String) -> String {
    if code.starts_with("http") {
        return code;
    }
    let tail = code.rsplit('#').next().unwrap_or(&code);
    match tail.split_once(':') {
        Some((head, rest)) if rest.starts_with("http") => head.to_owned(),
        Some(_) | None => tail.to_owned(),
    }
}

/// Whether a text is the URL of a page that explains a status, not an error.
pub(super) fn is_status_page(text: &str) -> bool {
    let pages = [
        "https://tools.ietf.org/html/rfc",
        "https://www.rfc-editor.org/rfc",
        "https://httpstatuses.",
    ];
    pages.iter().any(|page| text.starts_with(page))
}

/// Whether a text is a single word, as codes are.
pub(super) fn is_word(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '/');
    !text.is_empty() && text.chars().all(plain)
}

/// Whether a text is the reason phrase of the status; `NOT_FOUND` counts as a code all the same.
pub(super) fn is_phrase(text: &str, status: u16) -> bool {
    let phrase = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let shouted = text.contains('_') || !text.contains(|c: char| c.is_ascii_lowercase());
    !shouted && phrase.is_some_and(|phrase| plain(phrase) == plain(text))
}
