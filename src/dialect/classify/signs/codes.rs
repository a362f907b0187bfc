//! What machine-readable codes say: every code as a phrase of lower-case words, so that
//! `QpsLimitForApp`, `DAY_LIMIT` and `over-qps` are read by the same patterns.

use std::sync::LazyLock;

use regex::Regex;

use crate::dialect::hint::pattern;

/// A code of the vendor: as written, and as words.
pub(super) struct Code<'a> {
    pub(super) written: &'a str,
    phrase: String,
}

/// Characters of a code that are compared.
const CHARS_MAX: usize = 80;

impl<'a> Code<'a> {
    pub(super) fn of(written: &'a str) -> Self {
        Self { written, phrase: phrase(written) }
    }

    pub(super) fn says(&self, what: &Regex) -> bool {
        what.is_match(&self.phrase)
    }

    /// Whether every word of a limit's code belongs to limits of calls. A single foreign word
    /// makes it a limit of something else: `LEAVE_REQUEST_LIMIT`, `FX_RATE_LIMIT`.
    pub(super) fn is_of_calls(&self) -> bool {
        let number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
        self.phrase.split(' ').all(|word| LIMIT_VOCABULARY.contains(&word) || number(word))
    }
}

/// The words of codes that limit calls.
#[rustfmt::skip]
const LIMIT_VOCABULARY: [&str; 186] = [
    // The limit and what became of it.
    "limit", "limits", "limited", "limiting", "limiter", "quota", "quotas", "threshold", "count",
    "cap", "caps", "allowance", "max", "maximum", "exceed", "exceeded", "exceeds", "exceeding",
    "reached", "over", "hit", "surpassed", "exhausted", "violation", "violated", "too", "many",
    "much", "high", "large", "fast", "frequent", "frequently", "slow", "down", "slowdown",
    "throttle", "throttled", "throttling", "throttles", "spent", "used", "up", "depleted",
    "insufficient", "not", "enough", "no", "out", "more", "low", "required", "hard", "billing",
    // What is counted.
    "rate", "req", "ratelimit", "ratelimited", "ratelimits", "request", "requests", "toomanyrequests",
    "call", "calls", "query", "queries", "api", "apis", "apiinvocation", "invocation",
    "invocations", "hits", "visit", "visits", "operation", "operations", "connection",
    "connections", "access", "traffic", "usage", "frequency", "throughput", "provisioned",
    "bandwidth", "qps", "tps", "rps", "rpm", "concurrent", "concurrency", "simultaneous",
    "parallel", "flow", "control", "flowcontrol", "flood", "wait", "spike", "arrest", "enhance",
    "calm", "credit", "credits", "attempts", "try", "search", "read", "reads", "write", "writes",
    "send", "sending", "message", "messages", "sms", "encode", "rated",
    // For how long.
    "second", "secondly", "seconds", "minute", "minutely", "minutes", "hour", "hourly", "day",
    "daily", "week", "weekly", "month", "monthly", "year", "yearly", "annual", "short", "burst",
    "per", "your", "current",
    // Of whom.
    "user", "users", "app", "application", "appkey", "client", "account", "tenant", "project",
    "developer", "consumer", "ip", "key", "plan", "individual", "global", "total", "primary",
    "secondary", "priority", "server", "service", "gateway", "policies", "policy", "org",
    "number", "business", "momentarily",
    // Around them.
    "e", "err", "error", "exception", "fault", "forbidden", "denied", "http", "is", "was", "has",
    "been", "the", "of", "for", "and", "by",
];

/// The words of a code: `QPSLimitExceeded2` is "qps limit exceeded 2".
fn phrase(code: &str) -> String {
    let mut phrase = String::with_capacity(code.len() + 8);
    let mut before = ' ';
    let mut chars = code.chars().take(CHARS_MAX).peekable();
    while let Some(c) = chars.next() {
        if !c.is_alphanumeric() {
            if before != ' ' {
                phrase.push(' ');
            }
            before = ' ';
            continue;
        }
        let humps = c.is_uppercase()
            && (before.is_lowercase()
                || before.is_uppercase() && chars.peek().is_some_and(|next| next.is_lowercase()));
        if before != ' ' && (humps || c.is_ascii_digit() != before.is_ascii_digit()) {
            phrase.push(' ');
        }
        phrase.extend(c.to_lowercase());
        before = c;
    }
    phrase.truncate(phrase.trim_end().len());
    phrase
}

/// Codes that by themselves mean too many calls.
pub(super) static THROTTLED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"\b(?:too ?many ?(?:\w+ ){0,2}(?:requests?|calls|quer(?:y|ies)|connections|visits|hits|operations|invocations|attempts try)",
        r"|throttled\w*|throttl(?:e|ing) ?(?:exception|error|exceeded|user|api|limit\w*)|requests? throttled|^throttling$|^throttling \w+$",
        r"|throttle limit exceeded(?: \w+)?|number of (?:\w+ ){0,2}requests exceed\w*|limit control|rate ?limit(?:ed|s)? ?(?:exceeded\w*|reached|hit|over\w*|violation|error|exception)|rate ?limited|rate exceeded",
        r"|rate limit quota violation|ratelimit quota violation",
        r"|over ?(?:qps|tps|rps|rate|query limit|request limit|call limit|rate limit)|exceed\w* (?:\w+ ){0,2}(?:rate|requests?|calls?|qps|quer(?:y|ies)) ?(?:limits?)?$",
        r"|max(?:imum)? ?concurren(?:t|cy) ?req\w*|frequency is too high|(?:app|api) call limited|slow ?down|spike ?arrest ?violation|flow ?control|flood(?: ?(?:wait|error))?|too ?(?:fast|frequent(?:ly)?)|frequently (?:access|request)|request ?rate ?too ?large|enhance ?your ?calm",
        r"|(?:rate|requests?|calls?|quer(?:y|ies)|\w*invocations?|api|qps|tps|rps|rpm|traffic|frequency|concurren(?:t|cy)|throughput|usage|access|second(?:ly)?|minute(?:ly)?|hour(?:ly)?|priority)",
        r"(?: (?:per|each|an?|of|in|count|rate|second|minute|hour|call|request)s?){0,3} ?(?:limits?|quota|threshold|rate|count) ?(?:is |was |has been )?(?:exceed\w*|reached|over|hit|surpassed|exhausted|violation)",
        r"|(?:qps|tps|rps|rpm|per (?:second|minute|hour)|minute(?:ly)?|hourly|call|frequency)(?: \w+)? (?:limits?|quota|threshold)",
        r"|quota per (?:second|minute|hour)|(?:call|request|api) rate exceeded|provisioned ?throughput ?exceeded\w*)(?: |$)",
    ))
});

/// Codes that may also name a field, or a limit of something else than calls.
pub(super) static LIMIT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^(?:throttle|rate ?limits?|rate ?limit(?:ing)? ?(?:error)?|limit ?exceeded\w*(?: exception)?|bandwidth ?limit ?exceeded",
        r"|quota ?exceeded|resource ?exhausted)$",
    ))
});

/// Codes of an allowance that a short wait does not restore.
pub(super) static QUOTA: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"\b(?:(?:daily|day|month(?:ly)?|week(?:ly)?|year(?:ly)?|annual)(?: \w+){0,4}? ?(?:limit\w*|quotas?|caps?|threshold|allowance)",
        r"|(?:limit|quota|threshold) (?:exceeded )?(?:per |of (?:the )?)?(?:day|month|week|year)",
        r"|insufficient ?(?:quota|credits?)|not ?enough ?credits?|(?:no|out of|low)(?: \w+)? credits?",
        r"|credits? ?(?:exhausted|used up|depleted|required|insufficient)|credits exceeded|billing ?hard ?limit ?reached|quota ?(?:exhausted|used up)",
        r"|^(?:(?:your|account|user|free|subscription|current|service|api) )?plan limit (?:reached|exceeded))(?: |$)|^daily$",
    ))
});

/// A quota under a status that allows nothing else.
pub(super) static QUOTA_EXCEEDED: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^(?:\w+ )?(?:quota ?exceeded|quota ?reached|over ?quota)$"));

/// Under 403, a limit that a day restores (Salesforce).
pub(super) static REQUEST_LIMIT: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^request ?limit ?exceeded$"));

pub(super) static LOCKED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"\b(?:lock ?(?:wait )?timeout|dead ?lock(?: detected)?|contended transaction|concurrent ?modification(?: exception)?|transaction conflict\w*|serialization failure)(?: |$)",
    )
});

pub(super) static MAINTENANCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^(?:\w+ ){0,3}(?:under |in |scheduled )?maintenance(?: mode| error| in progress)?$")
});

pub(super) static OVERLOADED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?:temporar(?:il)?y ?unavailable|overloaded(?: error)?|(?:server|system|service|engine) ?(?:is )?(?:too )?(?:busy|overloaded|unavailable)|(?:\w+ )?try ?again ?later|over ?capacity)$",
    )
});

pub(super) static CREDENTIAL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"\b(?:(?:invalid|expired|wrong|bad|revoked|incorrect) ?(?:(?:api|access|auth|refresh|session|security|id|bearer|oauth|user|login|client|app|jwt|web) ){0,2}(?:token|api ?key|access ?key(?: id)?|credentials?|client|grant|session ?(?:id)?|auth|signature|ks|login|password)",
        r"|bad ?key|invalid ?key|token ?(?:expired|revoked|invalid)|api ?key ?(?:invalid|expired|not found)|signature ?(?:does ?not ?match|invalid|mismatch)|checksum ?error",
        r"|auth(?:entication)? ?(?:fail(?:ed|ure)?|error)|unauthenticated|not ?authenticated|no ?login|failed check)(?: |$)",
    ))
});

/// Codes of a fault that is the caller's, under a status of the vendor's.
pub(super) static CALLERS_FAULT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"\b(?:validation(?: ?(?:failed|failure|error))?|invalid (?:request(?: error)?|parameter\w*|argument\w*|input|value|field)|out of range|failed precondition|bad (?:request|input)|missing (?:parameter|field|argument)|(?:soap |soapenv |s |env |soap env )?(?:client|sender))$",
    )
});

pub(super) static NOT_FOUND: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\b(?:not found|no such \w+|no record|does not exist|not defined)$"));

pub(super) static ALREADY_EXISTS: LazyLock<Regex> = LazyLock::new(|| pattern(r"^already ?exists$"));

/// That a credential is missing or refused, where no status says which of the two meanings
/// "unauthorized" has.
pub(super) static UNAUTHORIZED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?:^|\b)(?:unauthori[sz]ed|(?:login|auth(?:entication)?|credentials?) ?required|auth(?:entication|orization)? ?exception)$",
    )
});

pub(super) static FORBIDDEN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?:no ?access|access ?denied|forbidden|permission ?denied|not ?allowed|request ?denied)$",
    )
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_words() {
        let rows = [
            ("QpsLimitForAppkeyAndApi", "qps limit for appkey and api"),
            ("USER_DAILY_QUERY_OVER_LIMIT", "user daily query over limit"),
            ("err-code", "err code"),
            ("ERR_403_OVER_QPS", "err 403 over qps"),
            ("SOAPFault", "soap fault"),
            ("too.many.requests", "too many requests"),
        ];
        for (code, words) in rows {
            assert_eq!(phrase(code), words);
        }
    }

    #[test]
    fn codes_of_throttles_and_quotas_are_told_apart() {
        let throttles = [
            "MINUTE_CALL_LIMIT_EXCEEDED",
            "HOURLY_APIINVOCATION_LIMIT_EXCEEDED",
            "Throttling.User",
            "Forbidden.AccessDenied.QpsLimitForAppkeyAndApi",
            "CallRateExceeded",
            "PER_SECOND_THRESHOLD",
            "ERR_403_DEVELOPER_OVER_QPS",
            "ApiCallLimit",
            "OVER_QUERY_LIMIT",
            "TooManyRequestsException",
            "toomanyrequests",
            "error_frequently_access",
            "rate_limit_exceeded2",
            "policies.ratelimit.QuotaViolation",
            "IndividualQuotaPerHour",
            "FloodError",
        ];
        for code in throttles {
            let code = Code::of(code);
            assert!(code.says(&THROTTLED) && code.is_of_calls(), "{}", code.written);
            assert!(!code.says(&QUOTA), "{}", code.written);
        }
        let quotas = [
            "MONTHLY_ENCODE_LIMIT_REACHED",
            "USER_DAILY_QUERY_OVER_LIMIT",
            "DAILY_THRESHOLD",
            "insufficient_quota",
            "credit_used_up",
            "dailyLimitExceeded",
        ];
        for code in quotas {
            assert!(Code::of(code).says(&QUOTA), "{code}");
        }
        let neither = [
            "page_size_limit_exceeded",
            "RequestEntityTooLarge",
            "too_many_recipients",
            "exchange_rate_limit_exceeded",
            "storage_limit_exceeded",
            "TimeLimitExceeded",
            "server_limit",
            "max_depth_exceeded",
        ];
        for code in neither {
            let code = Code::of(code);
            let refused = code.says(&THROTTLED) || code.says(&QUOTA);
            assert!(!refused || !code.is_of_calls(), "{}", code.written);
        }
    }
}
