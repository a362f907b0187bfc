//! What `auto` guesses: the usual signs of throttling, quotas, maintenance and bad credentials,
//! under any status.
//!
//! Refuses to grant by words what only a vendor's documents can: throttling that is only read
//! from words never makes an unsafe method repeatable, and inside a success nothing is repeated.
//! A false alarm stops everybody, a miss costs one call: so a mention of a limit is no throttle,
//! and no vendor's private number means anything here.

use std::borrow::Cow;
use std::sync::LazyLock;
use std::time::SystemTime;

use http::StatusCode;
use http::header::WWW_AUTHENTICATE;
use regex::Regex;
use serde_json::Value;

use super::general::{MAINTENANCE, THROTTLE, at_most_unknown, meaning};
use super::{Meaning, Plan};
use crate::dialect::hint;
use crate::dialect::pointer;
use crate::outcome::{Answer, Code, Form, Processing, Reading};

/// What the usual signs say; `None` leaves it to the status. `table` is the status's own row of
/// the replay table.
pub(super) fn guess<'a>(
    (answer, reading): (&Answer<'_>, &Reading),
    table: Processing,
    wall: SystemTime,
) -> Option<Meaning<'a>> {
    let signs = Signs {
        answer,
        reading,
        codes: Codes::of(reading),
        claims: claims(&hint::without_links(sentence(reading))),
        sentence: hint::without_links(sentence(reading)),
        wall,
    };
    let mut meaning =
        if answer.status.as_u16() < 400 { signs.hidden()? } else { signs.open(table)? };
    meaning.rule = "auto";
    Some(meaning)
}

/// What an answer is judged by.
struct Signs<'a> {
    answer: &'a Answer<'a>,
    reading: &'a Reading,
    codes: Codes,
    /// The vendor's words, without addresses.
    sentence: Cow<'a, str>,
    /// The same without what it only names.
    claims: String,
    wall: SystemTime,
}

/// A sentence without what it names instead of saying it: quoted words (`event 'too many requests'
/// is unknown`) and rates that are not of calls (`interest rate limit exceeded`).
fn claims(sentence: &str) -> String {
    let told = OTHER_RATES.replace_all(sentence, " ");
    let told = NAMED.replace_all(&told, "$1 $2");
    told.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The words of an answer. The names of a JSON body's members are none.
fn sentence(reading: &Reading) -> &str {
    match (&reading.message, reading.form) {
        (Some(message), _) => message,
        (None, Form::Json | Form::Fields) => "",
        (None, Form::Empty | Form::Html | Form::Text | Form::Xml | Form::Unreadable) => {
            &reading.text
        }
    }
}

impl Signs<'_> {
    /// Throttling inside a success: only where the body itself says that it is an error.
    fn hidden<'m>(&self) -> Option<Meaning<'m>> {
        let found = says_error(&self.reading.tree) && self.says_throttled();
        found.then(|| meaning(Code::RateLimited, Processing::Processed, Plan::HoldOnly(THROTTLE)))
    }

    fn open<'m>(&self, table: Processing) -> Option<Meaning<'m>> {
        if self.met_a_lock() {
            let unsure = at_most_unknown(table);
            return Some(meaning(Code::TransientConflict, unsure, Plan::Retry(None)));
        }
        if self.over_quota() {
            return Some(meaning(Code::QuotaExhausted, table, Plan::Final));
        }
        if self.throttled() {
            let status = self.answer.status.as_u16();
            let sure = status == 429 || status == 503 && self.says_throttled();
            let processing = if sure { Processing::NotProcessed } else { Processing::Unknown };
            return Some(meaning(Code::RateLimited, processing, Plan::Hold(THROTTLE)));
        }
        if self.answer.status.as_u16() == 503 && MAINTENANCE_WORDS.is_match(&self.sentence) {
            return Some(meaning(Code::UpstreamMaintenance, table, Plan::Hold(MAINTENANCE)));
        }
        self.refused_credential()
            .then(|| meaning(Code::CredentialRejected, Processing::Processed, Plan::Final))
    }

    /// A deadlock; under a status that has a meaning of its own it is only a word.
    fn met_a_lock(&self) -> bool {
        let plausible = !has_own_meaning(self.answer.status)
            && !matches!(self.answer.status.as_u16(), 401..=403);
        let said = || DEADLOCK.is_match(&self.sentence) && !REQUIRES.is_match(&self.sentence);
        plausible && (self.codes.any(&LOCK_CODES) || said())
    }

    /// Waiting a little does not cure these.
    fn over_quota(&self) -> bool {
        let Self { answer, reading, codes, .. } = self;
        let status = answer.status.as_u16();
        let plausible = matches!(status, 402 | 403 | 429);
        let daily = status == 403 && codes.any(&["quotaexceeded", "requestlimitexceeded"]);
        let said = status != 402 && QUOTA_WORDS.is_match(&self.sentence);
        plausible && (daily || codes.any(&QUOTA_CODES) || said || names_a_day(&reading.tree))
    }

    fn throttled(&self) -> bool {
        let status = self.answer.status.as_u16();
        let says = || self.says_throttled();
        match status {
            420 | 429 => true,
            503 => says() || self.mentions_limit() || self.nothing_remains(),
            // GitHub's way, answering HEAD: nothing remains, and there are no words to say so.
            403 if self.reading.form == Form::Empty && self.nothing_remains() => true,
            _ if has_own_meaning(self.answer.status) => {
                let head = hint::explicit(self.answer.headers, self.wall).is_some()
                    || self.nothing_remains();
                head && says()
            }
            _ => says() || self.mentions_limit() && self.is_corroborated(),
        }
    }

    /// It says that a limit was exceeded or reached, or that calls were too many.
    fn says_throttled(&self) -> bool {
        let said = THROTTLED.is_match(&self.claims) && !REQUIRES.is_match(&self.sentence);
        said || self.codes.any(&THROTTLED_CODES)
    }

    /// It speaks of a limit of the rate, perhaps of one that a field must keep.
    fn mentions_limit(&self) -> bool {
        let said = LIMIT_WORDS.is_match(&self.claims) && !REQUIRES.is_match(&self.sentence);
        said || self.codes.any(&LIMIT_CODES)
    }

    /// Something else than words says that it is about too many calls.
    fn is_corroborated(&self) -> bool {
        let body = (&self.reading.tree, &*self.sentence);
        self.nothing_remains()
            || hint::asks_to_return(self.answer.headers, body, self.wall)
            || WAIT_A_LITTLE.is_match(&self.sentence)
    }

    fn nothing_remains(&self) -> bool {
        hint::nothing_remains(self.answer.headers)
    }

    fn refused_credential(&self) -> bool {
        let answer = self.answer;
        let challenged = answer.headers.get_all(WWW_AUTHENTICATE).iter().any(|value| {
            value.to_str().is_ok_and(|value| value.contains("error=\"invalid_token\""))
        });
        let named = self.codes.any(&CREDENTIAL_CODES);
        match answer.status.as_u16() {
            401 => challenged || named || CREDENTIAL_WORDS.is_match(&self.sentence),
            400 | 403 => named,
            _ => false,
        }
    }
}

/// Statuses that words never turn into a throttle: a missing page is one whatever it says.
fn has_own_meaning(status: StatusCode) -> bool {
    matches!(status.as_u16(), 404 | 405 | 406 | 410 | 411 | 413 | 414 | 415 | 416 | 422 | 431 | 451)
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

/// Google's way: a violated quota whose name says that it is one of a day.
fn names_a_day(tree: &Value) -> bool {
    let details =
        pointer::at(tree, "/error/details").and_then(Value::as_array).into_iter().flatten();
    let violations = details.filter_map(|it| it.get("violations")?.as_array()).flatten();
    let mut quotas = violations.filter_map(|it| it.get("quotaId")?.as_str());
    quotas.any(|quota| quota.contains("PerDay"))
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
    letters.map(|c| c.to_ascii_lowercase()).collect()
}

/// Codes that say by themselves that there were too many calls.
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

/// Codes that may also name a field, or a limit of things instead of calls.
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

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is a constant that a test compiles")
}

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
    let said = format!(r"(?:\b{many}|{limit}|\b{exceeded}|\b{reached}){CLAIM_ENDS}");
    pattern(&format!(r"(?i)(?:{said}|\b{past}|\benhance your calm\b)"))
});

/// What may follow such words: the end, a number, or a word that begins another part of the
/// sentence. A noun makes a name of them: "a rate limit bug", "the call limits exceeded flag".
const CLAIM_ENDS: &str = concat!(
    r"(?: (?:window|threshold|policy|allowance))?(?:\W*$| ?[^\w\s%]| \d+(?:[^\d%]|$)",
    r"| (?:a|after|again|against|allowed|already|an|and|any|are|as|at|be|because|been|before|being|but|by|can",
    r"|currently|do|due|during|error|every|exception|for|from|has|have|if|in|is|it|its|made|may|more|must|no|not|now",
    r"|of|on|only|or|over|per|please|received|recently|retry|sent|set|since|slow|so|that|the|then|there|these|they",
    r"|this|through|to|today|too|try|under|until|using|via|wait|was|we|were|when|while|will|with|within|you|your)\b)",
);

/// Words that a sentence uses as a name, and the word before or behind them.
static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    let quoted = r#"(?:"[^"]{1,80}"|`[^`]{1,80}`|'[^']{1,80}'|“[^”]{1,80}”|‘[^’]{1,80}’)"#;
    let called = r"\b(?:named|called|titled)\s+[^.,;:]{1,60}";
    pattern(&format!(r"(?i)(\w\s+){quoted}|^\W*{quoted}(\s+\w)|{called}"))
});

/// Rates and calls of other things than an API's.
static OTHER_RATES: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)\b(?:interest|exchange|currency|fx|swap|tax|vat|loan|mortgage|commission|discount|wage|pay|room|shipping",
        r"|conversion|growth|inflation|birth|heart|pulse|infusion|flow|frame|bit|baud|sampl(?:e|ing)|refresh|margin)",
        r"[ -](?:rate|call)s?\b",
    ))
});

/// Sentences that speak of a limit of the rate.
static LIMIT_WORDS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)(?:\b(?:rate[ -]?limit(?:s|ed|ing)?|(?:request|api call|call) (?:limit|rate)s?",
        r"|throttl(?:ed|ing)|abuse detection|slow down)\b|^\s*retry later\s*$)",
    ))
});

/// Sentences that say what a value must be, however much they speak of limits.
static REQUIRES: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)\b(?:(?:must|should|cannot|can.?t|may|shall|can)(?: not)? (?:be (?:\w+ ){0,2}(?:between|than|at|less|greater|positive|an?|of|set|one|integer)|exceed|contain|have)",
        r"|exceed(?:s|ed|ing)? (?:the |its )?(?:maximum|max|allowed|permitted|range|value)",
        r"|is not (?:a valid|valid|allowed)|invalid value|is required|unknown (?:field|parameter)|in (?:\w+ ){0,2}(?:batch|array|list|payload|body|bulk|document|file))\b",
    ))
});

/// A wait that is stated without a number.
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
