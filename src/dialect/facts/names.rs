//! The names under which vendors keep the facts of an error, in one spelling: lower-case letters
//! and digits only.

use std::borrow::Cow;

use crate::dialect::spelling;

/// Objects that hold the error itself.
pub(super) const ENVELOPES: [&str; 13] = [
    "error",
    "fault",
    "err",
    "problem",
    "errordetail",
    "odataerror",
    "exception",
    "errorresponse",
    "apierror",
    "serviceexception",
    "responsestatus",
    "errorinfo",
    "erro",
];

/// Messages, the most specific first.
#[rustfmt::skip]
pub(super) const MESSAGES: [&str; 51] = [
    "submsg", "submessage", "message", "errormessage", "longmessage", "errormsg", "msg",
    "errordescription", "detail", "description", "errorsummary", "errortext", "errtext",
    "errorstring", "errordetail", "faultstring", "shorttext", "usermessage", "displaymessage",
    "developermessage", "localizedmessage", "oauthproblemadvice", "exceptionmessage", "title",
    "summary", "reasonphrase", "details", "info", "text", "reason", "statustext", "cause",
    "causa", "information", "moreinformation", "note", "string", "mensaje", "mensagem",
    "descripcion", "descricao", "glosa", "meldung", "fehlertext", "libelle", "commentaire",
    "result", "errtxt", "replytext", "rmk", "remarks",
];

/// The ends of further names of messages: `state_message`, `messageTxt`, `MsgErro`.
#[rustfmt::skip]
pub(super) const MESSAGE_ENDS: [&str; 35] = [
    "longmessage", "message", "msg", "messagetxt", "messagetext", "msgtext", "msgs",
    "description", "exceptiontext", "msgerro", "errorreason", "explanation", "statusinfo", "desc",
    "errordetail", "errordetails", "failurereason", "failreason", "errorstring", "errorstr",
    "errorinfo", "errortitle", "errtext", "errortext", "responsetext", "resulttext",
    "messagecontent", "motivo", "errtxt", "errornote", "errnm", "messagestring", "statusdetail",
    "responsedetail", "errordesc",
];

/// Names that hold a code and nothing else, the most specific first.
pub(super) const CODES: [&str; 19] = [
    "subcode",
    "code",
    "errorcode",
    "errcode",
    "amzntype",
    "errorname",
    "errorkey",
    "exceptioncode",
    "errno",
    "errornum",
    "codevalue",
    "oauthproblem",
    "num",
    "codigo",
    "codereponse",
    "coderetour",
    "cstat",
    "cod",
    "errcd",
];

/// The ends of further names of codes: `serviceErrorCode`, `ECODE`.
#[rustfmt::skip]
pub(super) const CODE_ENDS: [&str; 13] = [
    "code", "errno", "messageid", "messagekey", "msgcd", "rspcd", "rescd", "coderesult",
    "coderro", "coderror", "errcd", "retval", "codigoerro",
];

/// The ends of those that say how a call went, before codes of any other thing (`partnerCode`).
pub(super) const RESULT_CODE_ENDS: [&str; 7] =
    ["errorcode", "errcode", "resultcode", "returncode", "responsecode", "respcode", "retcode"];

/// Codes of something else than an error.
pub(super) const NO_CODES: [&str; 17] = [
    "httpcode",
    "httpstatuscode",
    "countrycode",
    "currencycode",
    "languagecode",
    "langcode",
    "localecode",
    "postalcode",
    "postcode",
    "zipcode",
    "areacode",
    "promocode",
    "barcode",
    "qrcode",
    "authcode",
    "exitcode",
    "accesscode",
];

/// Names that often hold a code, but may hold a class of errors, or a sentence.
#[rustfmt::skip]
pub(super) const KINDS: [&str; 22] = [
    "statuscode", "type", "errornumber", "errorid", "name", "category", "errortype", "faultcode",
    "reason", "kind", "key", "status", "result", "number", "exception", "policyname",
    "errorgroup", "errorclass", "errorstatus", "tag", "class", "value",
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

/// The headers that carry a code, apart from those that end in `-error-code`.
pub(super) const CODE_HEADERS: [&str; 2] = ["x-amzn-errortype", "x-ms-error-code"];

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
pub(super) const LISTS: [&str; 27] = [
    "errors",
    "errormessages",
    "errormessagelist",
    "error",
    "errordetails",
    "errorlist",
    "errorwrappers",
    "erros",
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
    "errorarray",
];

#[rustfmt::skip]
pub(super) const CHILD_MESSAGES: [&str; 21] = [
    "message", "msg", "detail", "description", "errormessage", "errorsummary", "title", "text",
    "details", "summary", "error", "reason", "issue", "messagetext", "info", "msgtext",
    "errormsg", "errortext", "shorttext", "messagecontent", "erro",
];

#[rustfmt::skip]
pub(super) const CHILD_CODES: [&str; 18] = [
    "code", "errorcode", "errno", "errorid", "issue", "error", "reason", "type", "errortype",
    "keyword", "rule", "statuscode", "errorkey", "category", "kind", "key", "number", "cod",
];

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

/// The ends of further names of lists: `subErrors`, `constraintViolations`.
pub(super) const LIST_ENDS: [&str; 10] = [
    "errors",
    "errorlist",
    "errordetails",
    "violations",
    "failures",
    "faults",
    "problems",
    "invalidparams",
    "invalidfields",
    "errorarray",
];

/// Names of lists that may as well repeat what was sent.
pub(super) const LOOSE_LISTS: [&str; 4] = ["fields", "params", "parameters", "inputs"];

/// Names of lists that belong to no field.
pub(super) const NO_FIELDS: [&str; 14] = [
    "nonfielderrors",
    "all",
    "base",
    "errors",
    "error",
    "err",
    "general",
    "messages",
    "message",
    "errormessages",
    "problem",
    "fault",
    "item",
    "",
];

/// A name in one spelling; AWS's `__type` is not the `type` of others.
pub(super) fn plain(name: &str) -> Cow<'_, str> {
    if name == "__type" { "amzntype".into() } else { spelling::plain(name) }
}

/// A code without its namespace and the URL behind it (AWS).
pub(super) fn short(code: String) -> String {
    if code.starts_with("http") || !code.contains(['#', ':']) {
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
    let general = |text: &str| {
        let rest = text.trim_end_matches('/');
        let last = rest.rsplit(['/', '#']).next().unwrap_or_default();
        let names = ["problems", "problem", "errors", "error", "docs", "codes", "error-codes"];
        names.contains(&last) || last.contains("status-code")
    };
    pages.iter().any(|page| text.starts_with(page)) || text.starts_with("http") && general(text)
}

/// Whether a text is a single word, as codes are.
pub(super) fn is_word(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '/');
    !text.is_empty() && text.chars().all(plain)
}

/// Whether a word calls itself an error in capitals: `ERROR_NO_BOX`.
pub(in crate::dialect) fn is_shouted_error(text: &str) -> bool {
    let shouted = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    text.chars().all(shouted) && ["ERROR_", "ERR_"].iter().any(|start| text.starts_with(start))
}

/// Whether a word looks like a code: `MONTHLY_LIMIT`, `rate_limit`, `NotFound`, `E1001`.
pub(super) fn is_code_word(text: &str) -> bool {
    let mut letters = text.chars();
    let humps = letters.next().is_some() && letters.any(|c| c.is_ascii_uppercase());
    is_word(text)
        && (humps
            || text.contains(['_', '-', '.', '/'])
            || text.contains(|c: char| c.is_ascii_digit()))
}
