//! What `auto` guesses from the usual signs of throttling, quotas, maintenance and bad credentials,
//! under any status.
//!
//! Throttling that only words show never makes an unsafe method repeatable, and inside a success
//! nothing is repeated. A false alarm stops every call while a miss costs one, so a mere mention of
//! a limit does not count as throttling, and no vendor's private number is interpreted.

use std::borrow::Cow;
use std::sync::LazyLock;

use http::header::WWW_AUTHENTICATE;
use regex::Regex;
use serde_json::Value;

use super::draft::{Action, Draft, at_most_unknown};
use super::evidence::Evidence;
use super::status::{MAINTENANCE, THROTTLE};
use crate::dialect::document::{BodyFormat, pointer};
use crate::dialect::hint::{self, pattern};
use crate::outcome::{Code, Facts, Processing};

/// What the signs say; `None` leaves it to the status. `by_status` is the status's own row of the
/// replay table.
pub(super) fn guess<'a>(evidence: &Evidence<'_>, by_status: Processing) -> Option<Draft<'a>> {
    let signs = Signs::of(evidence);
    let draft = if evidence.head.is_error() { signs.error(by_status)? } else { signs.success()? };
    Some(Draft { rule: "auto", ..draft })
}

struct Signs<'a> {
    evidence: &'a Evidence<'a>,
    codes: Codes,
    /// The vendor's sentence, without URLs.
    sentence: Cow<'a, str>,
    /// The sentence without what it only quotes (`event 'too many requests' is unknown`) and
    /// without rates that are not of calls (`interest rate limit exceeded`).
    claims: String,
}

impl<'e> Signs<'e> {
    fn of(evidence: &'e Evidence<'e>) -> Self {
        // The names of a JSON body's members are not words of the vendor.
        let sentence = match (&evidence.facts.message, evidence.document.format) {
            (Some(message), _) => message,
            (None, BodyFormat::Json | BodyFormat::Form) => "",
            (
                None,
                BodyFormat::Empty
                | BodyFormat::Html
                | BodyFormat::Text
                | BodyFormat::Xml
                | BodyFormat::Unreadable,
            ) => evidence.text(),
        };
        let sentence = hint::without_links(sentence);
        let claims = OTHER_RATES.replace_all(&sentence, " ");
        let claims = QUOTED.replace_all(&claims, "$1 $2");
        let claims = claims.split_whitespace().collect::<Vec<_>>().join(" ");
        Self { evidence, codes: Codes::of(evidence), sentence, claims }
    }

    /// Throttling inside a success counts only where the body itself says that it is an error.
    fn success<'m>(&self) -> Option<Draft<'m>> {
        let tree = &self.evidence.document.tree;
        let refused = |name| tree.get(name) == Some(&Value::Bool(false));
        let given = |name| match tree.get(name) {
            Some(Value::Array(items)) => !items.is_empty(),
            Some(Value::Object(members)) => !members.is_empty(),
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Null | Value::Bool(_) | Value::Number(_)) | None => false,
        };
        let error = refused("ok") || refused("success") || given("errors") || given("error");
        let action = Action::HoldOnly(THROTTLE);
        (error && self.says_throttled())
            .then(|| Draft::new(Code::RateLimited, Processing::Processed, action))
    }

    fn error<'m>(&self, by_status: Processing) -> Option<Draft<'m>> {
        let status = self.evidence.status();
        if self.reports_deadlock() {
            let processing = at_most_unknown(by_status);
            return Some(Draft::new(Code::TransientConflict, processing, Action::Retry(None)));
        }
        if self.is_over_quota() {
            return Some(Draft::new(Code::QuotaExhausted, by_status, Action::Final));
        }
        if self.is_throttled() {
            let certain = status == 429 || status == 503 && self.says_throttled();
            let processing = if certain { Processing::NotProcessed } else { Processing::Unknown };
            return Some(Draft::new(Code::RateLimited, processing, Action::Hold(THROTTLE)));
        }
        if status == 503 && MAINTENANCE_WORDS.is_match(&self.sentence) {
            let action = Action::Hold(MAINTENANCE);
            return Some(Draft::new(Code::UpstreamMaintenance, by_status, action));
        }
        self.refuses_credential()
            .then(|| Draft::new(Code::CredentialRejected, Processing::Processed, Action::Final))
    }

    /// Under a status with a meaning of its own, "deadlock" is only a word.
    fn reports_deadlock(&self) -> bool {
        let status = self.evidence.status();
        let plausible = !has_own_meaning(status) && !matches!(status, 401..=403);
        let worded = || DEADLOCK.is_match(&self.sentence) && !REQUIRES.is_match(&self.sentence);
        plausible && (self.codes.any(&LOCK_CODES) || worded())
    }

    /// A quota that a short wait does not restore.
    fn is_over_quota(&self) -> bool {
        let status = self.evidence.status();
        let plausible = matches!(status, 402 | 403 | 429);
        let daily = status == 403 && self.codes.any(&["quotaexceeded", "requestlimitexceeded"]);
        let worded = status != 402 && QUOTA_WORDS.is_match(&self.sentence);
        let coded = daily || self.codes.any(&QUOTA_CODES);
        // Google names the violated quota, and with it whether it is one per day.
        let names_daily_quota = || {
            let details = pointer::at(&self.evidence.document.tree, "/error/details");
            let details = details.and_then(Value::as_array).into_iter().flatten();
            let violations = details.filter_map(|it| it.get("violations")?.as_array()).flatten();
            let mut quotas = violations.filter_map(|it| it.get("quotaId")?.as_str());
            quotas.any(|quota| quota.contains("PerDay"))
        };
        plausible && (coded || worded || names_daily_quota())
    }

    fn is_throttled(&self) -> bool {
        let Evidence { head, document, wall, retry_after, .. } = *self.evidence;
        // Something else than words shows that there were too many calls.
        let is_confirmed = || {
            self.nothing_remains()
                || hint::asks_to_return(head.headers, &document.tree, &self.sentence, wall)
                || WAIT_A_LITTLE.is_match(&self.sentence)
        };
        match self.evidence.status() {
            420 | 429 => true,
            503 => self.says_throttled() || self.mentions_limit() || self.nothing_remains(),
            // GitHub's response to HEAD: nothing remains, and there is no body to say so.
            403 if document.format == BodyFormat::Empty && self.nothing_remains() => true,
            status if has_own_meaning(status) => {
                (retry_after.is_some() || self.nothing_remains()) && self.says_throttled()
            }
            _ => self.says_throttled() || self.mentions_limit() && is_confirmed(),
        }
    }

    /// It says that a limit was exceeded or reached, or that calls were too many.
    fn says_throttled(&self) -> bool {
        let worded = THROTTLED.is_match(&self.claims) && !REQUIRES.is_match(&self.sentence);
        worded || self.codes.any(&THROTTLED_CODES)
    }

    /// It mentions a limit of a rate, perhaps only one that a field must keep.
    fn mentions_limit(&self) -> bool {
        let worded = LIMIT_WORDS.is_match(&self.claims) && !REQUIRES.is_match(&self.sentence);
        worded || self.codes.any(&LIMIT_CODES)
    }

    fn nothing_remains(&self) -> bool {
        hint::nothing_remains(self.evidence.head.headers)
    }

    fn refuses_credential(&self) -> bool {
        let mut challenges = self.evidence.head.headers.get_all(WWW_AUTHENTICATE).iter();
        let challenged = challenges.any(|value| {
            value.to_str().is_ok_and(|value| value.contains("error=\"invalid_token\""))
        });
        let coded = self.codes.any(&CREDENTIAL_CODES);
        match self.evidence.status() {
            401 => challenged || coded || CREDENTIAL_WORDS.is_match(&self.sentence),
            400 | 403 => coded,
            _ => false,
        }
    }
}

/// Statuses that words never turn into a throttle: a missing page is one whatever it says.
fn has_own_meaning(status: u16) -> bool {
    matches!(status, 404 | 405 | 406 | 410 | 411 | 413 | 414 | 415 | 416 | 422 | 431 | 451)
}

/// The machine-readable codes of a body, as lower-case letters and digits.
struct Codes(Vec<String>);

impl Codes {
    fn of(evidence: &Evidence<'_>) -> Self {
        let Facts { code, children, .. } = evidence.facts;
        let children = children.iter().filter_map(|child| child.code.as_deref());
        let policy = evidence.document.tree.get("policyName").and_then(Value::as_str);
        let codes = code.as_deref().into_iter().chain(children).chain(policy);
        let plain = |code: &str| -> String {
            let letters = code.chars().filter(char::is_ascii_alphanumeric).take(CODE_CHARS_MAX);
            letters.map(|c| c.to_ascii_lowercase()).collect()
        };
        Self(codes.take(CODES_MAX).map(plain).collect())
    }

    fn any(&self, wanted: &[&str]) -> bool {
        self.0.iter().any(|code| wanted.contains(&code.as_str()))
    }
}

/// Codes of one body that are compared.
const CODES_MAX: usize = 20;
/// Characters of a code that are compared.
const CODE_CHARS_MAX: usize = 60;

/// Codes that by themselves mean too many calls.
const THROTTLED_CODES: [&str; 22] = [
    "throttled",
    "throttledexception",
    "throttlingexception",
    "throttlingerror",
    "throttleexceeded",
    "throttledrequest",
    "requestthrottled",
    "requestthrottledexception",
    "requestlimitexceeded",
    "provisionedthroughputexceeded",
    "provisionedthroughputexceededexception",
    "toomanyrequests",
    "toomanyrequestsexception",
    "slowdown",
    "ratelimited",
    "ratelimitexceeded",
    "ratelimitexceededexception",
    "ratelimitreached",
    "userratelimitexceeded",
    "concurrentlimitexceeded",
    "requestratetoolarge",
    "prioritylimitexceeded",
];

/// Codes that may also name a field, or a limit of something else than calls.
const LIMIT_CODES: [&str; 11] = [
    "throttling",
    "throttle",
    "ratelimit",
    "ratelimits",
    "ratelimiterror",
    "limitexceeded",
    "limitexceededexception",
    "bandwidthlimitexceeded",
    "quotaexceeded",
    "resourceexhausted",
    "ratelimiting",
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

/// Sentences that say that there were too many calls.
static THROTTLED: LazyLock<Regex> = LazyLock::new(|| {
    let many = "too many (?:api |http |concurrent |simultaneous |parallel |recent ){0,2}(?:requests|calls)";
    let limit = concat!(
        r"(?:\b(?:rate|request|call)s?[ _-]?(?:limits?|quota)|\bthrottle|\brequest rate|^\W*rate)",
        r"(?: for [^.]{1,80}?| of [^.]{1,40}?)?",
        r" ?(?:has been |have been |was |were |is |are )?(?:exceeded|reached|hit)",
    );
    let exceeded =
        r"exceed(?:s|ed|ing)? (?:\w+ ){0,3}(?:request|rate|call)s? (?:limits?|rate|quota)";
    let reached =
        r"(?:reach|hit)(?:ed|ing)? (?:\w+ ){0,3}(?:request|rate|call)s? (?:limits?|quota)";
    let past = r"(?:been|being|was|were) (?:throttled|rate[ -]limited)\b";
    let claims = format!(r"(?:\b{many}|{limit}|\b{exceeded}|\b{reached}){CLAIM_ENDS}");
    pattern(&format!(r"(?i)(?:{claims}|\b{past}|\benhance your calm\b)"))
});

/// What may follow such words: the end, a number, or a word that begins another part of the
/// sentence. A noun turns them into a name: "a rate limit bug", "the call limits exceeded flag".
const CLAIM_ENDS: &str = concat!(
    r"(?: (?:window|threshold|policy|allowance))?(?:\W*$| ?[^\w\s%]| \d+(?:[^\d%]|$)",
    r"| (?:a|after|again|against|allowed|already|an|and|any|are|as|at|be|because|been|before|being|but|by|can",
    r"|currently|do|due|during|error|every|exception|for|from|has|have|if|in|is|it|its|made|may|more|must|no|not|now",
    r"|of|on|only|or|over|per|please|received|recently|retry|sent|set|since|slow|so|that|the|then|there|these|they",
    r"|this|through|to|today|too|try|under|until|using|via|wait|was|we|were|when|while|will|with|within|you|your)\b)",
);

/// Words that a sentence quotes or uses as a name, and the word before or behind them.
static QUOTED: LazyLock<Regex> = LazyLock::new(|| {
    let quoted = r#"(?:"[^"]{1,80}"|`[^`]{1,80}`|'[^']{1,80}'|“[^”]{1,80}”|‘[^’]{1,80}’)"#;
    let called = r"\b(?:named|called|titled)\s+[^.,;:]{1,60}";
    pattern(&format!(r"(?i)(\w\s+){quoted}|^\W*{quoted}(\s+\w)|{called}"))
});

/// Rates and calls of something else than an API.
static OTHER_RATES: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)\b(?:interest|exchange|currency|fx|swap|tax|vat|loan|mortgage|commission|discount|wage|pay|room|shipping",
        r"|conversion|growth|inflation|birth|heart|pulse|infusion|flow|frame|bit|baud|sampl(?:e|ing)|refresh|margin)",
        r"[ -](?:rate|call)s?\b",
    ))
});

/// Sentences that mention a limit of a rate.
static LIMIT_WORDS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)(?:\b(?:rate[ -]?limit(?:s|ed|ing)?|(?:request|api call|call) (?:limit|rate)s?",
        r"|throttl(?:ed|ing)|abuse detection|slow down)\b|^\s*retry later\s*$)",
    ))
});

/// Sentences that say what a value must be, even if they mention limits.
static REQUIRES: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)\b(?:(?:must|should|cannot|can.?t|may|shall|can)(?: not)? (?:be (?:\w+ ){0,2}(?:between|than|at|less|greater|positive|an?|of|set|one|integer)|exceed|contain|have)",
        r"|exceed(?:s|ed|ing)? (?:the |its )?(?:maximum|max|allowed|permitted|range|value)",
        r"|is not (?:a valid|valid|allowed)|invalid value|is required|unknown (?:field|parameter)|in (?:\w+ ){0,2}(?:batch|array|list|payload|body|bulk|document|file))\b",
    ))
});

/// A wait without a number.
static WAIT_A_LITTLE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)\bwait (?:a |for a )?(?:few|couple of|some|while|moment|little)\b")
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
