//! What calls cost: reserved by their requests, settled by what the vendor's responses say.

use std::num::NonZeroU32;
use std::sync::Arc;

use http::{HeaderName, Method};
use serde_json::json;

use super::harness::{DrippingBody, Harness, harness, window};
use super::upstream::ExchangeScript;
use super::{NO_WAIT, OK};
use crate::allowance::{
    Allowance, CostClass, CostPart, CostRule, Grant, ScopeView, Spread, UsedAt,
};
use crate::gateway::Upstream;

/// An allowance of so many units in an hour.
fn units(limit: u32, rule: CostRule) -> impl Fn(&mut Upstream) {
    move |upstream: &mut Upstream| {
        upstream.allowances.push(window("calls", 100, 3_600, Spread::None));
        upstream.allowances.push(Allowance {
            settles: rule.settles(),
            cost: Some(Arc::new(rule.clone())),
            cost_class: CostClass::new(1).unwrap(),
            ..window("units", limit, 3_600, Spread::None)
        });
    }
}

fn occupied(harness: &Harness, name: &str) -> u32 {
    let scopes = harness.gateway.accounts.view().remove(0).scopes;
    scopes.iter().find(|scope: &&ScopeView| &*scope.name == name).unwrap().occupied
}

fn by_json(default: u32, used: Option<UsedAt>) -> CostRule {
    let places = ["/max", "/a"].map(|place| place.parse().unwrap());
    CostRule { request: vec![CostPart::Json(places.into())], default, used }
}

fn used_at(place: &str) -> Option<UsedAt> {
    Some(UsedAt::Json(vec![place.parse().unwrap()]))
}

fn used_in(header: &'static str) -> Option<UsedAt> {
    Some(UsedAt::Header(HeaderName::from_static(header)))
}

#[tokio::test(start_paused = true)]
async fn what_the_head_says_settles_a_cost() {
    let says = |headers| ExchangeScript::respond(10, 200, headers, "fine");
    let rows = [
        (says(&[("x-used", "7")]), 7),
        (says(&[("x-used", "70")]), 70),
        (says(&[("x-used", "0")]), 20),
        (says(&[("x-used", "-3")]), 20),
        (says(&[("x-used", "some")]), 20),
        (says(&[]), 20),
        (ExchangeScript::respond(10, 404, &[("x-used", "3")], "{}"), 3),
    ];
    for (answer, expected) in rows {
        let rule = CostRule { used: used_in("x-used"), ..CostRule::fixed(20) };
        let harness = harness("auto", &[answer], units(100, rule));
        harness.call(Method::GET, &[]).await;
        assert_eq!((occupied(&harness, "units"), occupied(&harness, "calls")), (expected, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_body_says_settles_a_cost_at_its_end() {
    const JSON: (&str, &str) = ("content-type", "application/json");
    const EVENTS: (&str, &str) = ("content-type", "text/event-stream");
    let says = |kind: &'static [_], body| ExchangeScript::respond(10, 200, kind, body);
    let stream = "data: {\"u\":{\"n\":3}}\n\ndata: {\"u\":{\"n\":9}}\n\ndata: {\"u\":null}\n\n\
                  data: [DONE]\n\n";
    let rows = [
        (says(&[JSON], r#"{"u":{"n":7}}"#), 7),
        (says(&[JSON], r#"{"u":{"n":7},"u":{"n":8}}"#), 8),
        (says(&[], r#"{"u":{"n":7}}"#), 7),
        (says(&[JSON], r#"{"u":{"n":0}}"#), 20),
        (says(&[JSON], r#"{"u":{"n":7}"#), 20),
        (says(&[JSON], "{}"), 20),
        (says(&[EVENTS], stream), 9),
        (says(&[EVENTS], "data: {}\n\n"), 20),
    ];
    for (answer, expected) in rows {
        // Where the body comes with its head, and where it streams.
        for answer in [answer, answer.silent_for(5)] {
            let rule = CostRule { used: used_at("/u/n"), ..CostRule::fixed(20) };
            let harness = harness("auto", &[answer], units(100, rule));
            let response = harness.call(Method::GET, &[]).await;
            response.assert_status(200);
            assert_eq!(occupied(&harness, "units"), expected, "{:?}", response.body);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_reserves_what_it_says() {
    // The usual body is `{"a":1}`.
    let harness = harness("auto", &[OK], units(100, by_json(50, None)));
    harness.call(Method::POST, &[]).await.assert_status(200);
    assert_eq!(occupied(&harness, "units"), 1);
    harness.call(Method::POST, &[("content-encoding", "gzip")]).await.assert_status(200);
    assert_eq!(occupied(&harness, "units"), 51, "compressed, it costs the default");
    harness.call(Method::POST, &[("content-encoding", "br"), NO_WAIT]).await.assert_status(429);
    assert_eq!((occupied(&harness, "units"), occupied(&harness, "calls")), (51, 2));
}

#[tokio::test(start_paused = true)]
async fn a_body_of_unknown_length_is_read_before_it_is_admitted() {
    let four = CostPart::Bytes(NonZeroU32::new(4).unwrap());
    let rule = CostRule { request: vec![four], default: 90, used: None };
    for (pieces, expected) in [(10, 25), (200, 90)] {
        // At most 1,024 bytes are kept.
        let harness = harness("auto", &[OK], units(1_000, rule.clone()));
        let body = DrippingBody::new(harness.clock, b"0123456789", 1, pieces);
        harness.upload(&[], body).await.assert_status(200);
        assert_eq!(occupied(&harness, "units"), expected, "{pieces} pieces");
    }
    let harness = harness("auto", &[OK], units(1_000, rule));
    let body = DrippingBody::new(harness.clock, b"0123456789", 1, 200).declared();
    harness.upload(&[], body).await.assert_status(200);
    assert_eq!(occupied(&harness, "units"), 500, "a declared length is known without reading");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_never_fits_is_refused_at_once() {
    let rule = CostRule {
        request: vec![CostPart::Header(HeaderName::from_static("x-units"))],
        default: 5,
        used: None,
    };
    let harness = harness("auto", &[OK], units(100, rule));
    let refused = harness.call(Method::GET, &[("x-units", "101")]).await;
    refused.assert_problem(
        400,
        json!({
            "code": "cost_exceeds_allowance",
            "source": "gateway",
            "retryable": false,
            "detail": "The call costs 101 units of the allowance `units`, which never grants more \
                       than 100.",
        }),
    );
    assert_eq!(refused.after.as_millis(), 0);
    harness.assert_attempts(0);
    harness.call(Method::GET, &[("x-units", "100")]).await.assert_status(200);
}

#[tokio::test(start_paused = true)]
async fn debt_keeps_the_next_call_waiting() {
    let rule = CostRule { used: used_in("x-used"), ..CostRule::fixed(20) };
    let costly = ExchangeScript::respond(10, 200, &[("x-used", "130")], "fine");
    let harness = harness("auto", &[costly, OK], units(100, rule));
    harness.call(Method::GET, &[]).await.assert_status(200);
    let refused = harness.call(Method::GET, &[NO_WAIT]).await;
    refused.assert_problem(429, json!({ "code": "allowance_exhausted" }));
    assert_eq!(refused.retry_after(), 3_600);
}

/// The server need not ask for the end of a body whose last piece was read before.
#[tokio::test(start_paused = true)]
async fn a_body_that_was_inspected_frees_its_place_when_it_has_passed() {
    let harness = harness("auto", &[OK], |upstream| {
        let grant = Grant::Concurrency { limit: 1 };
        upstream.allowances.push(Allowance { grant, ..window("all", 1, 1, Spread::None) });
        upstream.policy.inspect = crate::gateway::Inspect::SuccessToo;
    });
    for _ in 0..3 {
        let answer = harness.call(Method::GET, &[("prefer", "wait=1")]).await;
        answer.assert_status(200);
    }
}
