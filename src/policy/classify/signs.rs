//! What `auto` guesses: the usual signs of throttling, quotas, maintenance and bad credentials,
//! under any status.
//!
//! Refuses to grant by words what only a vendor's documents can: throttling that is only read
//! from words never makes an unsafe method repeatable, and inside a success nothing is repeated.

use std::sync::LazyLock;

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;
use regex::Regex;
use serde_json::Value;

use super::general::{MAINTENANCE, THROTTLE, at_most_unknown, is_throttling, meaning, processing};
use super::{Meaning, Plan, Processing};
use crate::policy::outcome::Answer;
use crate::policy::pointer;
use crate::policy::problem::Code;
use crate::policy::reading::Reading;

/// What the usual signs say; `None` leaves it to the status.
pub(super) fn guess<'a>(answer: &Answer<'_>, reading: &Reading) -> Option<Meaning<'a>> {
    let codes = Codes::of(reading);
    let mut meaning = if answer.status.as_u16() < 400 {
        hidden(reading, &codes)?
    } else {
        open(answer, reading, &codes)?
    };
    meaning.rule = "auto";
    Some(meaning)
}

/// Throttling inside a success: only where the body itself says that it is an error.
fn hidden<'a>(reading: &Reading, codes: &Codes) -> Option<Meaning<'a>> {
    let throttled = codes.any(&THROTTLE_CODES) || THROTTLE_WORDS.is_match(&reading.text);
    let found = says_error(&reading.tree) && throttled;
    found.then(|| meaning(Code::RateLimited, Processing::Processed, Plan::HoldOnly(THROTTLE)))
}

fn says_error(tree: &Value) -> bool {
    let refused = |name| tree.get(name) == Some(&Value::Bool(false));
    let given = |name| match tree.get(name) {
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::Object(members)) => !members.is_empty(),
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Null | Value::Bool(_) | Value::Number(_)) | None => false,
    };
    refused("ok") || refused("success") || given("errors") || given("error")
}

fn open<'a>(answer: &Answer<'_>, reading: &Reading, codes: &Codes) -> Option<Meaning<'a>> {
    let by_table = processing(answer);
    if codes.any(&LOCK_CODES) || DEADLOCK.is_match(&reading.text) {
        let unsure = at_most_unknown(by_table);
        return Some(meaning(Code::TransientConflict, unsure, Plan::Retry(None)));
    }
    if over_quota(answer, reading, codes) {
        return Some(meaning(Code::QuotaExhausted, by_table, Plan::Final));
    }
    if throttled(answer, reading, codes) {
        let sure = is_throttling(answer.status);
        let processing = if sure { Processing::NotProcessed } else { Processing::Unknown };
        return Some(meaning(Code::RateLimited, processing, Plan::Hold(THROTTLE)));
    }
    if answer.status.as_u16() == 503 && MAINTENANCE_WORDS.is_match(&reading.text) {
        return Some(meaning(
            Code::UpstreamMaintenance,
            Processing::NotProcessed,
            Plan::Hold(MAINTENANCE),
        ));
    }
    refused_credential(answer, reading, codes)
        .then(|| meaning(Code::CredentialRejected, Processing::Processed, Plan::Final))
}

/// Waiting a little does not cure these.
fn over_quota(answer: &Answer<'_>, reading: &Reading, codes: &Codes) -> bool {
    let status = answer.status.as_u16();
    let plausible = matches!(status, 402 | 403 | 429);
    let daily = status == 403 && codes.any(&["quotaexceeded", "requestlimitexceeded"]);
    let said = status != 402 && QUOTA_WORDS.is_match(&reading.text);
    plausible && (daily || codes.any(&QUOTA_CODES) || said || names_a_day(&reading.tree))
}

/// Google's way: a violated quota whose name says that it is one of a day.
fn names_a_day(tree: &Value) -> bool {
    let details =
        pointer::at(tree, "/error/details").and_then(Value::as_array).into_iter().flatten();
    let violations = details.filter_map(|it| it.get("violations")?.as_array()).flatten();
    let mut quotas = violations.filter_map(|it| it.get("quotaId")?.as_str());
    quotas.any(|quota| quota.contains("PerDay"))
}

fn throttled(answer: &Answer<'_>, reading: &Reading, codes: &Codes) -> bool {
    let status = answer.status.as_u16();
    let used_up = matches!(status, 403 | 503) && nothing_remains(answer.headers);
    matches!(status, 420 | 429)
        || used_up
        || codes.any(&THROTTLE_CODES)
        || THROTTLE_WORDS.is_match(&reading.text)
}

/// GitHub's way: a 403 whose `x-ratelimit-remaining` is 0.
fn nothing_remains(headers: &HeaderMap) -> bool {
    let names = ["x-ratelimit-remaining", "ratelimit-remaining", "x-rate-limit-remaining"];
    names.iter().any(|name| headers.get(*name).is_some_and(|value| value.as_bytes() == b"0"))
}

fn refused_credential(answer: &Answer<'_>, reading: &Reading, codes: &Codes) -> bool {
    let challenged =
        answer.headers.get_all(WWW_AUTHENTICATE).iter().any(|value| {
            value.to_str().is_ok_and(|value| value.contains("error=\"invalid_token\""))
        });
    match answer.status.as_u16() {
        401 => {
            challenged || codes.any(&CREDENTIAL_CODES) || CREDENTIAL_WORDS.is_match(&reading.text)
        }
        400 | 403 => codes.any(&CREDENTIAL_CODES),
        _ => false,
    }
}

/// The machine codes of a body, in one spelling.
struct Codes(Vec<String>);

impl Codes {
    fn of(reading: &Reading) -> Self {
        let children = reading.children.iter().filter_map(|child| child.code.as_deref());
        let policy = reading.tree.get("policyName").and_then(Value::as_str);
        let codes = reading.code.as_deref().into_iter().chain(children).chain(policy);
        Self(codes.take(CODES_MAX).map(plain).collect())
    }

    fn any(&self, wanted: &[&str]) -> bool {
        self.0.iter().any(|code| wanted.contains(&code.as_str()))
    }
}

/// Codes that are compared; a body may list many.
const CODES_MAX: usize = 20;

fn plain(code: &str) -> String {
    let letters = code.chars().filter(char::is_ascii_alphanumeric).take(60);
    let plain: String = letters.map(|c| c.to_ascii_lowercase()).collect();
    plain.strip_suffix("exception").map(str::to_owned).unwrap_or(plain)
}

const THROTTLE_CODES: [&str; 27] = [
    "throttled",
    "throttling",
    "throttlingerror",
    "throttle",
    "throttleexceeded",
    "throttledrequest",
    "requestthrottled",
    "requestlimitexceeded",
    "provisionedthroughputexceeded",
    "toomanyrequests",
    "limitexceeded",
    "bandwidthlimitexceeded",
    "slowdown",
    "prioritylimitexceeded",
    "ratelimit",
    "ratelimits",
    "ratelimited",
    "ratelimitexceeded",
    "ratelimiterror",
    "ratelimitreached",
    "userratelimitexceeded",
    "quotaexceeded",
    "resourceexhausted",
    "concurrentlimitexceeded",
    "requestratetoolarge",
    "20429",
    "3001",
];

const QUOTA_CODES: [&str; 7] = [
    "insufficientquota",
    "dailylimitexceeded",
    "daily",
    "monthlylimitexceeded",
    "billinghardlimitreached",
    "creditexhausted",
    "dailyrequestlimitexceeded",
];

const LOCK_CODES: [&str; 3] = ["locktimeout", "deadlock", "deadlockdetected"];

const CREDENTIAL_CODES: [&str; 14] = [
    "invalidtoken",
    "expiredtoken",
    "tokenexpired",
    "invalidapikey",
    "apikeyinvalid",
    "invalidcredentials",
    "invalidclient",
    "invalidgrant",
    "invalidsessionid",
    "invalidauth",
    "invalidaccesstoken",
    "badcredentials",
    "tokenrevoked",
    "signaturedoesnotmatch",
];

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is a constant that a test compiles")
}

/// Sentences that speak of too many calls, and not of lengths, sizes or ranges.
static THROTTLE_WORDS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)\b(?:rate[ -]?limit(?:s|ed|ing)?|too many (?:api )?(?:requests|calls)|throttl(?:ed|ing)",
        r"|(?:request|api call|call) limit (?:has been |was |is )?(?:reached|exceeded|hit)",
        r"|exceed(?:s|ed|ing)? (?:the |your )?(?:request|rate|api call|call)s? (?:limit|rate)",
        r"|abuse detection|slow down|^\s*retry later\s*$|enhance your calm)\b",
    ))
});

static QUOTA_WORDS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)(?:out of call volume quota|insufficient (?:credit|quota)",
        r"|(?:daily|monthly) (?:api |request |call )*(?:limit|quota|allowance) (?:has been |was |is )?(?:reached|exceeded|exhausted|used up)",
        r"|exceeded (?:your|the) (?:daily|monthly))",
    ))
});

static MAINTENANCE_WORDS: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)\bmaintenance\b"));

static DEADLOCK: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)\bdeadlock"));

static CREDENTIAL_WORDS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)\b(?:(?:invalid|expired|revoked|incorrect|bad|wrong|malformed) (?:\w+ ){0,2}(?:token|key|credentials?|session|signature|password)",
        r"|(?:token|key|credentials?|session|signature|password)(?: \w+){0,2} (?:is |are |has |was |been )*(?:not valid|invalid|expired|revoked|incorrect|malformed))\b",
    ))
});
