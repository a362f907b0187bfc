//! A call is treated by what its vendor may read, however it is spelled.

use super::*;
use crate::routing::route::Matcher;

type Headers = &'static [(&'static str, &'static str)];

const BROKEN: Step = Step::Answer(1, 500, &[], "{}");

/// A route with everything that a route can grant and demand.
fn generous(upstream: &mut Upstream) {
    let policy = CallPolicy {
        repeat: Repeat::Declared,
        attempts: 9,
        require: vec![HeaderName::from_static("x-team")],
        idempotency_header: HeaderName::from_static("x-once"),
        ..policy("auto")
    };
    let path = Some("/things/*".parse().unwrap());
    upstream.routes.push((Matcher { methods: None, path }, policy));
}

const TEAM: (&str, &str) = ("x-team", "7");

#[tokio::test(start_paused = true)]
async fn a_spelling_gains_nothing_from_a_route_and_escapes_none_of_its_demands() {
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
        let bench = bench("auto", &[BROKEN], generous);
        let got = bench.call_to(Method::POST, target, &[]).await;
        assert_eq!((got.status.as_u16(), bench.sent().len()), (status, sent), "{target}");
        let bench = super::bench("auto", &[BROKEN], generous);
        bench.call_to(Method::POST, target, &[TEAM]).await;
        assert_eq!(bench.sent().len().min(4), sent_with, "{target}");
        let bench = super::bench("auto", &[BROKEN], generous);
        bench.call_to(Method::POST, target, &[TEAM, ("x-once", "k")]).await;
        assert_eq!(bench.sent().len().min(4), sent_with, "{target} with the route's key");
    }
}

#[tokio::test(start_paused = true)]
async fn an_overridden_method_promises_nothing() {
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
        let bench = bench("auto", &[BROKEN, OK], |_| {});
        let got = bench.call_to(Method::GET, target, headers).await;
        let sent = if repeats { 2 } else { 1 };
        assert_eq!(bench.sent().len(), sent, "{target} {headers:?}");
        if !repeats {
            let problem = got.problem();
            assert_eq!(problem["stopped_by"], "method", "{target} {headers:?}");
            assert_eq!(problem["outcome_unknown"], true, "{target} {headers:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_header_that_decides_has_one_reading() {
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
        let bench = bench("auto", &[OK], by_header);
        let got = bench.call_to(Method::GET, target, headers).await;
        assert_eq!(got.status.as_u16(), status, "{headers:?}: {:?}", got.body);
        assert_eq!(bench.sent().len(), usize::from(status == 200), "{headers:?}");
        if status == 400 {
            assert_eq!(got.problem()["source"], "client");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_required_header_reaches_the_vendor() {
    let bench = bench("auto", &[OK], generous);
    let asked = [TEAM, ("connection", "x-team"), ("x_team", "8")];
    let got = bench.call_to(Method::GET, "/vendor/things/a", &asked).await;
    assert_eq!(got.status.as_u16(), 200);
    let sent = &bench.sent()[0].headers;
    assert_eq!((&sent["x-team"], sent.contains_key("x_team")), (&"7".parse().unwrap(), false));
}

#[tokio::test(start_paused = true)]
async fn one_account_has_one_allowance_however_it_is_named() {
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
        let bench = bench("auto", &[OK], by_header);
        for (number, headers) in spellings.iter().enumerate() {
            let got = bench.call(Method::GET, headers).await;
            let expected = if number == 0 { 200 } else { 429 };
            assert_eq!(got.status.as_u16(), expected, "{headers:?}");
        }
        assert_eq!(bench.sent().len(), 1);
    }
}
