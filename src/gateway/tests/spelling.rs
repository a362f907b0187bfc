//! Requests whose vendor may read method, path or headers in another way than they are written.

use http::{HeaderName, Method};

use super::OK;
use super::harness::{harness, policy, window};
use super::upstream::{ExchangeScript, Headers};
use crate::allowance::{AccountRule, Spread};
use crate::gateway::{AddKey, CallPolicy, Idempotency, Repeat, Upstream};
use crate::routing::route::Matcher;

const BROKEN: ExchangeScript = ExchangeScript::respond(1, 500, &[], "{}");

/// Adds a route that grants retries and requires a header.
fn generous(upstream: &mut Upstream) {
    let policy = CallPolicy {
        repeat: Repeat::Declared,
        attempts: 9,
        require: vec![HeaderName::from_static("x-team")],
        idempotency: Idempotency { header: HeaderName::from_static("x-once"), add: AddKey::Never },
        ..policy("auto")
    };
    let path = Some("/things/*".parse().unwrap());
    upstream.routes.push((Matcher { methods: None, path }, policy));
}

const TEAM: (&str, &str) = ("x-team", "7");

#[tokio::test(start_paused = true)]
async fn an_ambiguous_path_is_granted_no_retries_and_must_have_the_required_header() {
    let rows = [
        ("/vendor/things/a", 401, 0, 4),
        ("/vendor/%74hings/a", 401, 0, 1),
        ("/vendor/THINGS/a", 401, 0, 1),
        ("/vendor/things//a", 401, 0, 1),
        ("/vendor/things%2Fa", 401, 0, 1),
        ("/vendor/things/a/", 401, 0, 1),
        ("/vendor/other/a", 502, 1, 1),
    ];
    for (target, status, sent, sent_with) in rows {
        let harness = harness("auto", &[BROKEN], generous);
        let response = harness.call_to(Method::POST, target, &[]).await;
        assert_eq!(response.status.as_u16(), status, "{target}");
        assert_eq!(harness.attempts().len(), sent, "attempts of {target}");
        let harness = super::harness::harness("auto", &[BROKEN], generous);
        harness.call_to(Method::POST, target, &[TEAM]).await;
        assert_eq!(harness.attempts().len().min(4), sent_with, "{target}");
        let harness = super::harness::harness("auto", &[BROKEN], generous);
        harness.call_to(Method::POST, target, &[TEAM, ("x-once", "k")]).await;
        assert_eq!(harness.attempts().len().min(4), sent_with, "{target} with the route's key");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_with_a_method_override_is_not_retried() {
    let usual = "/vendor/things?q=1";
    let rows: [(&str, Headers, bool); 8] = [
        (usual, &[], true),
        (usual, &[("x-http-method-override", "DELETE")], false),
        (usual, &[("x-http-method", "PATCH")], false),
        (usual, &[("x-method-override", "post")], false),
        (usual, &[("x-http-method-override", "GET")], true),
        ("/vendor/things?_method=patch", &[], false),
        ("/vendor/things?a=1&%5Fmethod=patch", &[], false),
        (usual, &[("x-http-method-override", "PATCH"), ("idempotency-key", "k")], true),
    ];
    for (target, headers, repeats) in rows {
        let harness = harness("auto", &[BROKEN, OK], |_| {});
        let response = harness.call_to(Method::GET, target, headers).await;
        let sent = if repeats { 2 } else { 1 };
        assert_eq!(harness.attempts().len(), sent, "{target} {headers:?}");
        if !repeats {
            let problem = response.problem();
            assert_eq!(problem["stopped_by"], "method", "{target} {headers:?}");
            assert_eq!(problem["outcome_unknown"], true, "{target} {headers:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_decisive_header_with_more_than_one_reading_is_refused() {
    let by_header = |upstream: &mut Upstream| {
        upstream.account = AccountRule::Header(HeaderName::from_static("x-account"));
        upstream.allowances.push(window("all", 1, 3_600, Spread::None));
        generous(upstream);
    };
    let usual = "/vendor/things?q=1";
    let rows: [(&str, Headers, u16); 8] = [
        (usual, &[("x-account", "7")], 200),
        (usual, &[("x-account", "7"), ("x-account", "7")], 400),
        (usual, &[("x-account", " 7")], 400),
        (usual, &[("x-account", "7\t")], 400),
        (usual, &[("x-account", "7,8")], 400),
        ("/vendor/things/a", &[("x-team", "")], 401),
        ("/vendor/things/a", &[("x-team", " ")], 401),
        ("/vendor/things/a", &[("x-team", "7"), ("x-team", "")], 400),
    ];
    for (target, headers, status) in rows {
        let harness = harness("auto", &[OK], by_header);
        let response = harness.call_to(Method::GET, target, headers).await;
        assert_eq!(response.status.as_u16(), status, "{headers:?}: {:?}", response.body);
        assert_eq!(harness.attempts().len(), usize::from(status == 200), "{headers:?}");
        if status == 400 {
            assert_eq!(response.problem()["source"], "client");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_required_header_reaches_the_vendor() {
    let harness = harness("auto", &[OK], generous);
    let asked = [TEAM, ("connection", "x-team"), ("x_team", "8")];
    let response = harness.call_to(Method::GET, "/vendor/things/a", &asked).await;
    response.assert_status(200);
    let sent = &harness.attempts()[0].headers;
    assert_eq!(sent["x-team"], "7");
    assert!(!sent.contains_key("x_team"), "a server may read it as the same header");
}

#[tokio::test(start_paused = true)]
async fn one_account_has_one_allowance_however_its_header_is_written() {
    let by_header = |upstream: &mut Upstream| {
        upstream.account = AccountRule::Header(HeaderName::from_static("x-account"));
        upstream.allowances.push(window("all", 1, 3_600, Spread::None));
    };
    let same: [Headers; 3] = [
        &[("x-account", "7")],
        &[("x-account", "7"), ("connection", "x-account")],
        &[("x-account", "7"), ("x_account", "8")],
    ];
    let none: [Headers; 4] =
        [&[], &[("x-account", "")], &[("x-account", " ")], &[("x_account", "8")]];
    for spellings in [&same[..], &none[..]] {
        let harness = harness("auto", &[OK], by_header);
        for (number, headers) in spellings.iter().enumerate() {
            let response = harness.call(Method::GET, headers).await;
            let expected = if number == 0 { 200 } else { 429 };
            assert_eq!(response.status.as_u16(), expected, "{headers:?}");
        }
        harness.assert_attempts(1);
    }
}
