//! Tables of responses and failures with their classifications under the built-in dialects.

mod guesses;
mod meanings;
mod successes;

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::{builtin, classify_failure, compile, understand};
use crate::outcome::Code::*;
use crate::outcome::{
    Basis, Classification, Delivery, Failure, FailureKind, HoldCause, HoldScope, LearnedLimit,
    Processing, Remedy, ResponseHead, Wait,
};
use crate::problem::{CallContext, upstream_problem};

/// The classification of a response; `None` for a success.
fn understood(
    dialect: &str,
    status: u16,
    headers: &[(&str, &str)],
    body: &str,
) -> Option<Classification> {
    let pair = |(name, value): &(&str, &str)| {
        (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
    };
    let headers: HeaderMap = headers.iter().map(pair).collect();
    let body = Some(Bytes::copy_from_slice(body.as_bytes()));
    let head = ResponseHead { status: StatusCode::from_u16(status).unwrap(), headers: &headers };
    let understood = understand(&builtin(dialect).unwrap(), head, body, SystemTime::UNIX_EPOCH);
    understood.map(|(classification, _)| classification)
}

#[track_caller]
fn classified(dialect: &str, status: u16, headers: &[(&str, &str)], body: &str) -> Classification {
    let found = understood(dialect, status, headers, body);
    found.unwrap_or_else(|| panic!("{dialect} {status} {body} counts as a success"))
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn every_error_status_has_a_code_a_processing_and_a_remedy() {
    let (processed, unknown) = (Processing::Processed, Processing::Unknown);
    let undone = Processing::NotProcessed;
    let rows = [
        (400, InvalidRequest, processed, Remedy::Final),
        (401, Unauthenticated, processed, Remedy::Final),
        (402, InvalidRequest, processed, Remedy::Final),
        (403, Forbidden, processed, Remedy::Final),
        (404, NotFound, processed, Remedy::Final),
        (405, MethodNotAllowed, processed, Remedy::Final),
        (406, NotAcceptable, processed, Remedy::Final),
        (408, RequestTimeout, undone, Remedy::Backoff),
        (409, Conflict, processed, Remedy::Final),
        (410, Gone, processed, Remedy::Final),
        (413, RequestTooLarge, processed, Remedy::Final),
        (414, TargetTooLong, processed, Remedy::Final),
        (415, UnsupportedMediaType, processed, Remedy::Final),
        (418, InvalidRequest, processed, Remedy::Final),
        (421, UpstreamError, undone, Remedy::Backoff),
        (422, Unprocessable, processed, Remedy::Final),
        (425, InvalidRequest, undone, Remedy::Backoff),
        (429, RateLimited, undone, Remedy::Hold),
        (431, HeadersTooLarge, processed, Remedy::Final),
        (499, InvalidRequest, processed, Remedy::Final),
        (500, UpstreamError, unknown, Remedy::Backoff),
        (501, UpstreamError, processed, Remedy::Final),
        (502, UpstreamError, unknown, Remedy::Backoff),
        (503, UpstreamError, unknown, Remedy::Backoff),
        (504, UpstreamTimeout, unknown, Remedy::Backoff),
        (505, UpstreamError, processed, Remedy::Final),
        (529, UpstreamError, unknown, Remedy::Backoff),
        (599, UpstreamError, unknown, Remedy::Backoff),
        (999, UpstreamError, unknown, Remedy::Backoff),
    ];
    for (status, code, processing, remedy) in rows {
        let found = classified("auto", status, &[], "");
        assert_eq!(
            (found.code, found.processing, found.remedy),
            (code, processing, remedy),
            "{status}"
        );
    }
    assert!(understood("auto", 304, &[], "{\"error\":\"x\"}").is_none());
    for status in [200, 204, 299] {
        assert!(understood("auto", status, &[], "{\"id\":\"x\"}").is_none(), "{status}");
    }
}

#[test]
fn a_503_with_retry_after_was_not_processed_and_orders_a_hold() {
    for status in [503, 529] {
        let found = classified("auto", status, &[("retry-after", "7")], "");
        assert_eq!((found.processing, found.remedy), (Processing::NotProcessed, Remedy::Hold));
        let hold = found.hold.unwrap();
        assert_eq!((hold.scope, hold.cause), (HoldScope::Upstream, HoldCause::Maintenance));
        assert_eq!(hold.length, Some(Wait { span: seconds(7), basis: Basis::Upstream }));
    }
    let found = classified("auto", 502, &[("retry-after", "7")], "");
    assert_eq!((found.processing, found.remedy), (Processing::Unknown, Remedy::After(seconds(7))));
    let found = classified("auto", 404, &[("retry-after", "7")], "try again in 9 seconds");
    assert_eq!((found.remedy, found.wait.unwrap().span), (Remedy::Final, seconds(7)));
    let found =
        classified("auto", 404, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "9")], "");
    assert_eq!((found.code, found.wait), (NotFound, None));
}

#[test]
fn droplink_errors_are_classified_as_documented() {
    let body = |sentence: &str| format!("{{\"error\":\"{sentence}\"}}");
    let deadlock = classified("droplink", 400, &[], &body("a database deadlock"));
    assert_eq!(deadlock.processing, Processing::NotProcessed);
    assert_eq!(deadlock.remedy, Remedy::After(seconds(1)));

    let disguised = classified(
        "droplink",
        400,
        &[],
        &body("number of requests received exceed the request limit"),
    );
    let throttled = classified("droplink", 429, &[], &body("Too Many Requests"));
    for found in [disguised, throttled] {
        assert_eq!((found.code, found.processing), (RateLimited, Processing::NotProcessed));
        let hold = found.hold.unwrap();
        assert_eq!(
            (hold.scope, hold.cause, hold.slow_sixteenths),
            (HoldScope::Allowance, HoldCause::Throttle, 8)
        );
        assert_eq!(hold.length, Some(Wait { span: seconds(10), basis: Basis::Dialect }));
    }

    let down = classified("droplink", 503, &[], "");
    let hold = down.hold.unwrap();
    assert_eq!(
        (hold.scope, hold.cause, hold.slow_sixteenths),
        (HoldScope::Upstream, HoldCause::Maintenance, 16)
    );
    assert_eq!(hold.length.unwrap().span, seconds(300));
    assert_eq!(&*down.support.unwrap().contact, "admin@droplink.cc");

    let broken = classified("droplink", 500, &[], "");
    assert_eq!((broken.processing, broken.remedy), (Processing::Unknown, Remedy::Backoff));
    assert_eq!(broken.support, None);
    for status in [401, 403, 404, 409, 418] {
        assert_eq!(classified("droplink", status, &[], "").remedy, Remedy::Final, "{status}");
    }
    let words = classified("droplink", 500, &[], &body("a database deadlock"));
    assert_eq!(words.processing, Processing::Unknown, "only a 400 is documented as rolled back");
}

#[test]
fn wordbee_errors_are_classified_as_documented() {
    let body = r#"{"error":{"type":"Throttling error","message":"Requests throttled. Maximum allowed 1000 per 01:00:00."}}"#;
    let found = classified("wordbee", 429, &[], body);
    let learned = LearnedLimit { limit: 1000, window: seconds(3600) };
    assert_eq!(found.learned, Some(learned));
    let hold = found.hold.unwrap();
    assert_eq!(hold.scope, HoldScope::Window(seconds(3600)));
    assert_eq!((hold.length, hold.at_least), (None, seconds(10)));
    assert_eq!(found.wait, Some(Wait { span: seconds(10), basis: Basis::Dialect }));

    let short = classified("wordbee", 429, &[("retry-after", "2")], body);
    assert_eq!(short.hold.unwrap().length.unwrap().span, seconds(2));
    assert_eq!(
        short.wait.unwrap().span,
        seconds(10),
        "at least ten seconds, whatever the header says"
    );
    let long = classified("wordbee", 429, &[("retry-after", "60")], body);
    assert_eq!(long.wait, Some(Wait { span: seconds(60), basis: Basis::Upstream }));

    let failed = classified("wordbee", 200, &[], r#"{"trm":{"status":"Failed","statusInfo":"x"}}"#);
    assert_eq!((failed.code, failed.remedy), (UpstreamError, Remedy::Final));
    let defect = classified("wordbee", 500, &[], "");
    assert_eq!(defect.remedy, Remedy::Backoff);
    assert_eq!(&*defect.support.unwrap().contact, "Wordbee support");
}

#[test]
fn throttling_in_words_alone_never_makes_a_method_repeatable() {
    let body = r#"{"message":"Rate limit exceeded"}"#;
    let sure = [429, 503];
    let unsure = [400, 401, 403, 409, 420, 500, 502];
    for status in sure {
        assert_eq!(
            classified("auto", status, &[], body).processing,
            Processing::NotProcessed,
            "{status}"
        );
    }
    for status in unsure {
        let found = classified("auto", status, &[], body);
        assert_eq!(
            (found.code, found.processing, found.remedy),
            (RateLimited, Processing::Unknown, Remedy::Hold),
            "{status}"
        );
        assert_eq!(found.hold.unwrap().scope, HoldScope::Allowance);
    }
    let hidden = classified("auto", 200, &[], r#"{"ok":false,"error":"ratelimited"}"#);
    assert_eq!((hidden.processing, hidden.remedy), (Processing::Processed, Remedy::Final));
    assert!(hidden.hold.is_some());
    let data = r#"{"items":[{"message":"Rate limit exceeded"}]}"#;
    assert!(understood("auto", 200, &[], data).is_none());
    let deadlock = classified("auto", 400, &[], r#"{"error":"a database deadlock occurred"}"#);
    assert_eq!((deadlock.code, deadlock.processing), (TransientConflict, Processing::Unknown));
}

#[test]
fn advice_against_retrying_is_followed_under_every_dialect() {
    for dialect in ["auto", "droplink", "wordbee"] {
        let found = classified(dialect, 429, &[("x-should-retry", "false")], "");
        assert_eq!(found.remedy, Remedy::Final);
        assert!(found.hold.is_some(), "the allowance is held all the same");
    }
    let yes = [("stripe-should-retry", "true")];
    let conflict = classified("auto", 409, &yes, "");
    let unsafe_to_repeat = (Remedy::Backoff, Processing::Processed);
    assert_eq!((conflict.remedy, conflict.processing), unsafe_to_repeat);
    let described = classified("droplink", 409, &yes, "");
    assert_eq!(described.remedy, Remedy::Final, "the dialect's rules take precedence");
}

#[test]
fn a_quota_orders_a_hold_only_when_its_end_is_stated() {
    let silent =
        classified("auto", 429, &[], r#"{"error":{"code":"insufficient_quota","message":"x"}}"#);
    assert_eq!((silent.code, silent.remedy, silent.hold), (QuotaExhausted, Remedy::Final, None));
    let named = classified(
        "auto",
        403,
        &[],
        r#"{"message":"Out of call volume quota. Quota will be replenished in 01:00:00."}"#,
    );
    assert_eq!(
        (named.code, named.remedy, named.processing),
        (QuotaExhausted, Remedy::Hold, Processing::Unknown)
    );
    assert_eq!(named.hold.unwrap().length.unwrap().span, seconds(3600));
}

#[test]
fn every_kind_of_failure_has_a_code_a_processing_and_a_remedy() {
    let rows = [
        (
            FailureKind::Dns,
            Delivery::NotSent,
            UpstreamUnreachable,
            Processing::NotSent,
            Remedy::Backoff,
        ),
        (
            FailureKind::Refused,
            Delivery::NotSent,
            UpstreamUnreachable,
            Processing::NotSent,
            Remedy::Backoff,
        ),
        (FailureKind::Tls, Delivery::NotSent, UpstreamTls, Processing::NotSent, Remedy::Backoff),
        (
            FailureKind::TlsCertificate,
            Delivery::NotSent,
            UpstreamTls,
            Processing::NotSent,
            Remedy::Final,
        ),
        (
            FailureKind::RefusedStream,
            Delivery::Refused,
            UpstreamUnreachable,
            Processing::NotProcessed,
            Remedy::Backoff,
        ),
        (
            FailureKind::Reset,
            Delivery::Uncertain,
            UpstreamUnreachable,
            Processing::Unknown,
            Remedy::Backoff,
        ),
        (
            FailureKind::Timeout,
            Delivery::Uncertain,
            UpstreamTimeout,
            Processing::Unknown,
            Remedy::Backoff,
        ),
        (
            FailureKind::Protocol,
            Delivery::Uncertain,
            UpstreamProtocol,
            Processing::Unknown,
            Remedy::Backoff,
        ),
        (
            FailureKind::Truncated,
            Delivery::Uncertain,
            UpstreamTruncated,
            Processing::Unknown,
            Remedy::Backoff,
        ),
    ];
    for (kind, delivery, code, processing, remedy) in rows {
        let found = classify_failure(&builtin("auto").unwrap(), &Failure::new(kind, delivery, "x"));
        assert_eq!(
            (found.code, found.processing, found.remedy),
            (code, processing, remedy),
            "{kind:?}"
        );
    }
}

#[test]
fn droplink_waits_five_minutes_after_a_timeout_only() {
    let droplink = builtin("droplink").unwrap();
    let silence =
        classify_failure(&droplink, &Failure::new(FailureKind::Timeout, Delivery::Uncertain, "x"));
    assert_eq!(
        (silence.processing, silence.remedy),
        (Processing::Unknown, Remedy::After(seconds(300)))
    );
    assert_eq!(silence.wait, Some(Wait { span: seconds(300), basis: Basis::Dialect }));
    let reset =
        classify_failure(&droplink, &Failure::new(FailureKind::Reset, Delivery::Uncertain, "x"));
    assert_eq!(reset.remedy, Remedy::Backoff, "only a timeout waits five minutes (D4)");
}

#[test]
fn a_problem_relayed_from_another_gateway_keeps_its_code() {
    let body = |code: &str, unknown: bool| {
        format!(
            r#"{{"type":"urn:evenkeel:problem:{code}","status":429,"detail":"x","source":"gateway","retryable":true,
            "retry_after":12,"retry_after_basis":"estimate","attempts":0,"waited_ms":0,"outcome_unknown":{unknown}}}"#
        )
    };
    let headers = [("retry-after", "12")];
    let full = classified("wordbee", 429, &headers, &body("allowance_exhausted", false));
    assert_eq!(
        (full.code, full.processing, full.remedy),
        (AllowanceExhausted, Processing::NotProcessed, Remedy::Hold)
    );
    assert_eq!(full.hold.unwrap().length.unwrap().span, seconds(12));
    let silent = classified("auto", 504, &[], &body("upstream_timeout", true));
    assert_eq!((silent.code, silent.processing), (UpstreamTimeout, Processing::Unknown));
}

#[test]
fn rules_placed_before_those_of_a_dialect_take_precedence() {
    let own = serde_json::json!({
        "extract": { "message": ["/why"] },
        "rules": [{ "name": "own", "when": { "status": 409 }, "code": "rate_limited",
            "retry": { "after": "5s" } }],
    });
    let own = compile("own", &own).unwrap();
    let mut dialect = (*builtin("droplink").unwrap()).clone();
    dialect.rules.splice(0..0, own.rules);
    dialect.extract = own.extract;
    let (headers, status) = (HeaderMap::new(), StatusCode::CONFLICT);
    let body = Some(Bytes::from_static(b"{\"why\":\"busy\"}"));
    let head = ResponseHead { status, headers: &headers };
    let (found, facts) = understand(&dialect, head, body, SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!((&*found.rule, found.remedy), ("own", Remedy::After(seconds(5))));
    assert_eq!(facts.message.as_deref(), Some("busy"));
    assert_eq!(classified("droplink", 409, &[], "").code, Conflict);
}

/// Bodies that are large, deep, wide or never end.
fn hostile() -> Vec<(&'static str, String)> {
    let size = 64 * 1024;
    let fill = |part: &str| part.repeat(size / part.len());
    vec![
        ("deep lists", fill("[")),
        ("deep maps", fill("{\"error\":")),
        ("legal depth", "{\"error\":".repeat(100) + "1" + &"}".repeat(100)),
        ("wide list", format!("[{}1]", fill("{\"message\":\"a\"},"))),
        (
            "wide map",
            format!(
                "{{{}\"z\":1}}",
                (0..5_000).map(|n| format!("\"k{n}\":[\"v\"],")).collect::<String>()
            ),
        ),
        ("nested maps", format!("{{\"a\":{{\"b\":[{}0]}}}}", fill("{\"c\":{\"d\":\"e\"}},"))),
        ("long sentence", format!("{{\"error\":\"{}\"}}", fill("a < b "))),
        ("markup", format!("{{\"error\":\"{}\"}}", fill("<b>"))),
        ("half tags", fill("<")),
        ("open scripts", fill("<html><script>")),
        ("open comments", fill("<html><!--")),
        ("headings", fill("<h1>x")),
        ("fields", fill("a=%41&")),
        ("quotes", fill("\"\\")),
        ("surrogates", format!("\"{}\"", fill("\\ud800"))),
        ("words", fill("retry after ")),
        ("numbers", fill("try again in 1s ")),
        ("dots", fill("10.0.0.")),
        ("spaces", fill("{ ")),
    ]
}

#[test]
fn hostile_bodies_end_in_a_small_problem() {
    for (name, body) in hostile() {
        for dialect in ["auto", "wordbee"] {
            let headers = HeaderMap::new();
            let head = ResponseHead { status: StatusCode::TOO_MANY_REQUESTS, headers: &headers };
            let dialect = builtin(dialect).unwrap();
            let body = Some(body.clone().into());
            let (found, facts) = understand(&dialect, head, body, SystemTime::UNIX_EPOCH).unwrap();
            let problem = upstream_problem(&found, Some(facts), &CallContext::default());
            assert_eq!(problem.code, RateLimited, "{name}");
            assert!(problem.detail.chars().count() <= 2_000, "{name}");
            assert!(problem.errors.len() <= 100, "{name}");
            let details = problem.upstream.and_then(|spoken| spoken.details);
            assert!(details.is_none_or(|it| it.to_string().len() <= 4096), "{name}");
        }
    }
}
