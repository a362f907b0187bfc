//! What `auto` must and must not guess from a response, and the waits it must read.

use super::*;

/// The status, the headers and the body of a response.
type Response = (u16, &'static [(&'static str, &'static str)], &'static str);

const EXHAUSTED: &[(&str, &str)] = &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "30")];

#[test]
fn a_mere_mention_of_a_limit_is_not_throttling() {
    let rows: [Response; 28] = [
        (404, &[], r#"{"code":3001,"message":"The customer does not exist."}"#),
        (400, &[], r#"{"code":20429,"message":"The number is not in service."}"#),
        (422, &[], r#"{"message":"Rate limit must be between 1 and 100."}"#),
        (400, &[], r#"{"message":"Rate limit must be between 1 and 100."}"#),
        (400, &[], r#"{"message":"The field rate_limit exceeded the maximum of 100."}"#),
        (400, &[], r#"{"message":"Rate limit exceeded the maximum allowed value."}"#),
        (400, &[], r#"{"message":"Bad cursor. See https://docs.example.com/api/rate-limiting"}"#),
        (403, &[], r#"{"message":"Forbidden: (www.example.com/too-many-requests)"}"#),
        (
            400,
            &[],
            r#"{"message":"Unknown field, see [limits](https://x.example/rate-limit-exceeded)."}"#,
        ),
        (
            409,
            &[],
            r#"{"code":"LimitExceeded","message":"Cannot exceed quota for RolesPerAccount: 1000"}"#,
        ),
        (
            409,
            &[],
            r#"{"__type":"LimitExceededException","message":"Cannot exceed quota for UsersPerAccount"}"#,
        ),
        (400, &[], r#"{"code":"quota_exceeded","message":"quota must not exceed 5 GB"}"#),
        (400, &[], r#"{"code":"RESOURCE_EXHAUSTED","message":"The disk is full."}"#),
        (422, &[], r#"{"message":"Rate limit exceeded"}"#),
        (404, &[], r#"{"message":"Too many requests"}"#),
        (405, &[], r#"{"code":"TooManyRequests","message":"Too many requests"}"#),
        (403, &[], "<html><title>Forbidden</title><body>Read about our rate limits.</body></html>"),
        (403, EXHAUSTED, r#"{"message":"Must have admin rights to Repository."}"#),
        (400, &[], r#"{"throttling":"on","limits":{"rate_limit":5}}"#),
        (500, &[], r#"{"message":"The request exceeded the time limit."}"#),
        (400, &[], r#"{"message":"Too many pending friend requests"}"#),
        (400, &[], r#"{"message":"Too many requests in one batch: 30 of 20"}"#),
        (409, &[], r#"{"message":"The exchange rate exceeded the tolerance."}"#),
        (
            400,
            &[],
            r#"{"errors":[{"field":"throttle","code":"required"}],"message":"throttle is required"}"#,
        ),
        (400, &[("retry-after", "5")], r#"{"message":"The name is taken."}"#),
        (
            403,
            &[],
            r#"{"message":"Your plan has no access to rate limits. Upgrade at https://x.example/too-many-requests"}"#,
        ),
        (402, &[], r#"{"message":"Payment required: quota of seats exceeded"}"#),
        (500, &[], r#"{"message":"Cannot load the rate limit settings."}"#),
    ];
    for (status, headers, body) in rows {
        let found = classified("auto", status, headers, body);
        assert_eq!((found.code == RateLimited, found.hold), (false, None), "{status} {body}");
    }
}

#[test]
fn words_that_a_sentence_only_quotes_are_not_throttling() {
    let rows: [Response; 18] = [
        (400, &[], r#"{"message":"You hit a rate limit bug"}"#),
        (400, &[], r#"{"message":"You hit a rate limit bug in the calculator."}"#),
        (400, &[], r#"{"message":"Please set the call limits exceeded flag."}"#),
        (400, &[], r#"{"message":"Notification 'rate limit exceeded' has no template."}"#),
        (400, &[], r#"{"message":"\"Too many requests\" is no event type."}"#),
        (400, &[], r#"{"message":"No alert rule named rate limit exceeded."}"#),
        (400, &[], r#"{"message":"Interest rate limit exceeded."}"#),
        (409, &[], r#"{"message":"Exchange rate limit hit: EURUSD 1.2"}"#),
        (400, &[], r#"{"message":"The loan rate limit was reached for this borrower."}"#),
        (400, &[], r#"{"message":"Margin call limit exceeded"}"#),
        (400, &[], r#"{"message":"Frame-rate limit exceeded: 120 > 60"}"#),
        (400, &[], r#"{"message":"Throttle exceeded 100% opening"}"#),
        (400, &[], r#"{"message":"Too many requests in the array `requests`: at most 20."}"#),
        (400, &[], r#"{"message":"Too many requests in payload; the batch may hold 50."}"#),
        (400, &[], r#"{"error":"Too many calls scheduled for this agent"}"#),
        (400, &[], r#"{"message":"See [Rate limit exceeded](https://docs.example.com/x)"}"#),
        (400, &[], r#"{"message":"See <a href='https://x.example'>Too many requests</a>"}"#),
        (400, &[], r#"{"message":"The value 'rate limit exceeded' of reason is invalid."}"#),
    ];
    for (status, headers, body) in rows {
        let found = classified("auto", status, headers, body);
        assert_eq!((found.code == RateLimited, found.hold), (false, None), "{status} {body}");
    }
}

#[test]
fn throttling_under_another_status_needs_confirmation() {
    const REMAINING: &[(&str, &str)] = &[("x-ratelimit-remaining", "0")];
    const AFTER: &[(&str, &str)] = &[("retry-after", "30")];
    let rows: [Response; 26] = [
        (400, &[], r#"{"message":"You have exceeded the 'reads per second' rate limit."}"#),
        (400, &[], r#"{"message":"Rate limit exceeded\nafter 100 requests"}"#),
        (403, &[], r#"{"message":"You have reached your hourly call limit today"}"#),
        (400, &[], r#"{"message":"Exchange rate API: rate limit exceeded"}"#),
        (400, &[], r#"{"message":"Error: \"Rate limit exceeded\""}"#),
        (400, &[], r#"{"message":"\"Too many requests\""}"#),
        (400, &[], r#"{"message":"You've hit your call limit, don't retry yet"}"#),
        (400, &[], r#"{"message":"Rate limit exceeded (see docs)"}"#),
        (400, &[], r#"{"message":"Too many requests have been made"}"#),
        (400, &[], r#"{"message":"Too many requests please slow down"}"#),
        (400, &[], r#"{"message":"Request limit exceeded 500 per hour"}"#),
        (400, &[], r#"{"message":"You exceeded the rate limit window of 60s"}"#),
        (420, &[], ""),
        (429, &[], r#"{"message":"slow"}"#),
        (503, &[], r#"{"message":"Please slow down"}"#),
        (403, &[], r#"{"message":"You have exceeded a secondary rate limit."}"#),
        (
            403,
            &[],
            r#"{"message":"You have triggered an abuse detection mechanism. Please wait a few minutes before you try again."}"#,
        ),
        (403, AFTER, r#"{"message":"You are close to our rate limit."}"#),
        (403, REMAINING, r#"{"message":"API rate limit for user 1."}"#),
        (403, REMAINING, ""),
        (400, &[], r#"{"message":"The rate limit has been reached."}"#),
        (400, &[], r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#),
        (401, &[], r#"{"message":"Too many requests"}"#),
        (409, &[], r#"{"code":"rate_limit","message":"Rate limit. Try again in 5 seconds."}"#),
        (400, &[], r#"{"code":"quota_exceeded","message":"Quota.","retry_after":5}"#),
        (422, REMAINING, r#"{"message":"Rate limit exceeded"}"#),
    ];
    for (status, headers, body) in rows {
        let found = classified("auto", status, headers, body);
        assert_eq!(found.code, RateLimited, "{status} {headers:?} {body}");
        assert!(found.hold.is_some(), "{status} {body}");
    }
}

#[test]
fn a_missing_page_about_deadlocks_is_not_a_deadlock() {
    for status in [401, 403, 404, 405, 410, 413, 422] {
        let body = r#"{"message":"No article about deadlock detection."}"#;
        assert_ne!(classified("auto", status, &[], body).code, TransientConflict, "{status}");
    }
    let link = r#"{"message":"Bad request, see https://docs.example.com/deadlock"}"#;
    assert_eq!(classified("auto", 400, &[], link).code, InvalidRequest);
}

/// Waits of zero, in the past or out of grammar.
const IGNORED: [(&str, &str); 20] = [
    ("retry-after", "0"),
    ("retry-after", "0.0"),
    ("retry-after", "00:00:00"),
    ("retry-after", "Wed, 31 Dec 1969 23:59:59 GMT"),
    ("retry-after", "Thu, 01 Jan 1970 00:00:00 GMT"),
    ("retry-after", "soon"),
    ("retry-after", "-1"),
    ("retry-after", "9999999999999"),
    ("retry-after", "1,2"),
    ("retry-after", "1e3"),
    ("retry-after", "+5"),
    ("retry-after", "0x10"),
    ("retry-after", "\"5\""),
    ("retry-after", "2678401"),
    ("retry-after", "5;x"),
    ("retry-after", "Thu, 01 Jan 1970 00:00:30"),
    ("retry-after-ms", "0"),
    ("retry-after-ms", "-5"),
    ("x-ms-retry-after-ms", "0"),
    ("x-ms-retry-after-ms", "1e9"),
];

#[test]
fn an_ignored_wait_leaves_the_outcome_unknown() {
    for (name, value) in IGNORED {
        let found = classified("auto", 503, &[(name, value)], "");
        assert_eq!(
            (found.code, found.processing, found.remedy, found.hold, found.wait),
            (UpstreamError, Processing::Unknown, Remedy::Backoff, None, None),
            "{name}: {value}"
        );
        let hold = classified("auto", 429, &[(name, value)], "").hold.unwrap();
        assert_eq!(hold.length, None, "{name}: {value}");
    }
    let twice = [("retry-after", "5"), ("retry-after", "1")];
    let found = classified("auto", 503, &twice, "");
    assert_eq!(found.processing, Processing::Unknown);
    assert_eq!(found.wait.map(|wait| wait.span), Some(seconds(5)), "the longer one counts");
    let same = [("retry-after", "5"), ("retry-after", "5")];
    assert_eq!(classified("auto", 503, &same, "").processing, Processing::NotProcessed);
}

#[test]
fn a_lenient_retry_after_orders_a_hold_but_makes_no_post_repeatable() {
    for value in ["0.2", "30s", "00:00:30", "2.5 minutes"] {
        let found = classified("auto", 503, &[("retry-after", value)], "");
        assert_eq!(found.processing, Processing::Unknown, "{value}");
        assert!(found.hold.unwrap().length.is_some(), "{value}");
    }
    let mention = classified("auto", 503, &[], r#"{"message":"The rate limit service is down"}"#);
    assert_eq!(
        mention.processing,
        Processing::Unknown,
        "a mention does not make a POST repeatable"
    );
    let words = classified("auto", 503, &[], "Down for maintenance");
    assert_eq!((words.code, words.processing), (UpstreamMaintenance, Processing::Unknown));
    for (name, value) in [
        ("retry-after", "30"),
        ("retry-after", "Thu, 01 Jan 1970 00:00:30 GMT"),
        ("retry-after-ms", "30000"),
    ] {
        let found = classified("auto", 503, &[(name, value)], "");
        assert_eq!(found.processing, Processing::NotProcessed, "{value}");
        assert_eq!(found.hold.unwrap().length.unwrap().span, seconds(30), "{value}");
    }
}

#[test]
fn a_wait_of_zero_is_ignored_in_favour_of_the_next_hint() {
    let rows: [Response; 7] = [
        (429, &[("retry-after-ms", "0"), ("retry-after", "7")], ""),
        (429, &[("retry-after", "0")], r#"{"retry_after":7}"#),
        (429, &[], r#"{"retry_after":0,"details":{"retryAfterSeconds":7}}"#),
        (429, &[("x-ratelimit-reset", "0")], "Try again in 7 seconds"),
        (429, &[("ratelimit", "\"a\";r=0;t=0")], r#"{"retry_after_ms":7000}"#),
        (429, &[], r#"{"retry_after":"0s","message":"retry after 7"}"#),
        (429, &[], "Try again in 0 seconds. Try again in 7 seconds."),
    ];
    for (status, headers, body) in rows {
        let found = classified("auto", status, headers, body).wait.map(|wait| wait.span);
        assert_eq!(found, Some(seconds(7)), "{headers:?} {body}");
    }
}

#[test]
fn units_in_names_are_read() {
    let headers = [
        ("X-RateLimit-Reset-Us", "8000000", 8),
        ("X-RateLimit-ResetInMs", "8000", 8),
        ("X-RateLimit-TimeToResetMs", "8000", 8),
        ("X-RateLimit-Reset_Ms", "8000", 8),
        ("X-RateLimit-Reset-Nanos", "8000000000", 8),
        ("X-RateLimit-Retry-After", "8", 8),
        ("X-Rate-Limit-Retry-After-Seconds", "8", 8),
        ("X-Retry-After-Ms", "8000", 8),
        ("X-Retry-After", "8", 8),
        ("X-Rate-Limit-Window-Reset-Ms", "8000", 8),
        ("X-RateLimit-Reset-Millis", "8000", 8),
        ("X-RateLimit-Reset-Milliseconds", "8000", 8),
        ("X-RateLimit-ResetMs", "8000", 8),
        ("X-RateLimit-Reset-In-Minutes", "2", 120),
        ("X-RateLimit-Reset-Seconds", "8", 8),
        ("X-RateLimit-Reset-At", "1000", 1000),
        ("X-RateLimit-Reset-Epoch", "1000", 1000),
        ("X-RateLimit-Reset-Epoch-Ms", "8000", 8),
        ("X-RateLimit-Reset-In", "8", 8),
        ("X-RateLimit-Reset-After", "8.5", 9),
        ("X-RateLimit-Reset-Requests", "8", 8),
        ("X-RateLimit-Reset-Minute", "8", 8),
        ("X-RateLimit-Reset", "PT1M30S", 90),
    ];
    for (name, value, expected) in headers {
        let name = name.to_ascii_lowercase();
        let found = classified("auto", 429, &[(&name, value)], "").wait;
        assert_eq!(found.map(|wait| up(wait.span)), Some(expected), "{name}: {value}");
    }
    let bodies = [
        (r#"{"retry_after_us":8000000}"#, 8),
        (r#"{"reset_in_minutes":2}"#, 120),
        (r#"{"resetInMs":8000}"#, 8),
        (r#"{"retry_after_minutes":2}"#, 120),
        (r#"{"retryAfterMillis":8000}"#, 8),
        (r#"{"retryAfterMS":8000}"#, 8),
        (r#"{"retry_after_in_hours":1}"#, 3600),
        (r#"{"retry_in":8}"#, 8),
        (r#"{"retry_at":"1970-01-01T00:00:08Z"}"#, 8),
        (r#"{"reset_at":8}"#, 8),
        (r#"{"resetsAtEpochMs":8000}"#, 8),
        (r#"{"wait_seconds":8}"#, 8),
        (r#"{"try_again_in":"PT1M"}"#, 60),
        (r#"{"retryDelay":"8s"}"#, 8),
        (r#"{"retry_after":"1 minute and 30 seconds"}"#, 90),
        (r#"{"error":{"rate_limit_reset_ms":8000}}"#, 8),
    ];
    for (body, expected) in bodies {
        let found = classified("auto", 429, &[], body).wait;
        assert_eq!(found.map(|wait| up(wait.span)), Some(expected), "{body}");
    }
    let none = [
        r#"{"retry_count_ms":3}"#,
        r#"{"max_retry_after":3}"#,
        r#"{"reset":3}"#,
        r#"{"retries":3,"retry":3}"#,
        r#"{"reset_password_in":3}"#,
        r#"{"retry_after":null,"retry_in":true}"#,
        r#"{"trial_resets_in_days":3}"#,
    ];
    for body in none {
        assert_eq!(classified("auto", 429, &[], body).wait, None, "{body}");
    }
    let elsewhere = classified("auto", 500, &[], r#"{"reset_in_minutes":2}"#);
    assert_eq!(elsewhere.wait, None, "a reset is a wait only for throttling");
}

fn up(span: Duration) -> u64 {
    crate::time::seconds_up(span)
}

#[test]
fn prose_states_a_wait_only_where_it_is_about_trying_again() {
    let silent = [
        "Support is available 24 hours a day.",
        "Support will be available in 2 hours.",
        "Retry after the 30 day trial has ended.",
        "Retry after 30 day trial.",
        "Retry after 3 failed attempts",
        "Your session expires in 1 hour.",
        "You made 100 requests in 1 hour.",
        "You may retry. The report is ready in 1 hour.",
        "The retry limit is 5 per 10 minutes",
        "We retry webhooks for 3 days.",
        "Average wait time is 30 minutes.",
        "Limits: 60 requests in 1 minute. Please try again later.",
        "Try again in 2 months.",
        "Please try again in 2027.",
        "Try again in 2 days and 1 month.",
        "Try again in 2 hours and a half.",
        "Try again in 1 hour 30.",
        "Try again in an hour and a half.",
        "Try again in a few minutes.",
        "See https://x.example/retry-after/30 for more.",
        "Password resets in 5 steps.",
        "Wait 30 seconds while the report is made.",
        "retry in 5-x",
    ];
    for text in silent {
        let body = format!(r#"{{"message":"{text}"}}"#);
        assert_eq!(classified("auto", 429, &[], &body).wait, None, "{text}");
        assert_eq!(classified("auto", 503, &[], &body).wait, None, "{text}");
    }
}

#[test]
fn a_compound_span_is_read_whole() {
    let rows = [
        ("Try again in an hour.", 3_600),
        ("Try again in 1 hr. 5 min.", 3_900),
        (r"Try again in\n2 hours, 3 minutes.", 7_380),
        (r"Try again in 2\u00a0hours, 3\u202fminutes.", 7_380),
        ("Try again in <b>2 hours, 3 minutes</b>.", 7_380),
        ("Try again in 2 hours; 3 minutes.", 7_380),
        ("Try again in 2 hours & 3 minutes.", 7_380),
        ("Try again in 2 hours plus 3 minutes.", 7_380),
        ("Try again in 2 hours and half an hour.", 9_000),
        ("Try again in half an hour.", 1_800),
        ("Try again in thirty seconds.", 30),
        ("Try again in 1,000 seconds.", 1_000),
        ("Retry in 5s. 2 more requests are open.", 5),
        ("Try again in one hour and two minutes.", 3_720),
        ("Try again in 1 hour (3600 seconds)", 3_600),
        ("You can make your next request in 5 seconds", 5),
        ("Try again in 2 hours, 3 minutes.", 7_380),
        ("Try again in 1h30m", 5_400),
        ("Please retry in 1 minute and 30 seconds.", 90),
        ("Retry after 1 hour, 2 minutes, and 3 seconds", 3_723),
        ("Try again in 1 day, 2:03:04.", 93_784),
        ("Please wait 1 minute 30 seconds before trying again", 90),
        ("Try again in 5-10 minutes.", 600),
        ("Try again in 5 to 10 minutes.", 600),
        ("try again in PT1M30S", 90),
        ("Try again in 2 weeks", 1_209_600),
        ("Please try again in about 5 minutes, or contact us.", 300),
        ("You can retry your request in 20s.", 20),
        ("Retry after 134", 134),
        ("Retry after Thu, 01 Jan 1970 00:00:30 GMT", 30),
        ("Expected available in 831.0 seconds.", 831),
        ("Your quota resets in 16 seconds", 16),
        ("Requests blocked for 00:05:00. Maximum allowed 5 per 00:00:01.", 300),
        ("Please wait at least 10 seconds and try again", 10),
        ("Retry-After: 7", 7),
        ("Please try again after '372' seconds.", 372),
    ];
    for (text, expected) in rows {
        let body = format!(r#"{{"message":"{text}"}}"#);
        let found = classified("auto", 429, &[], &body).wait;
        assert_eq!(found.map(|wait| up(wait.span)), Some(expected), "{text}");
    }
}
