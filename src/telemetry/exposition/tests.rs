//! The exposition, as a scrape reads it.

use std::collections::HashSet;
use std::time::Duration;

use http::{Method, StatusCode};

use super::super::metrics::{AttemptResult, CLIENTS_MAX, EndedCall, Metrics, Throttle};
use super::super::table::{METRICS, MetricKind};
use super::*;
use crate::allowance::HoldView;
use crate::allowance::{LedgerKind, LeversView, ScopeKind, ScopeView};
use crate::outcome::HoldCause;
use crate::retry::decision::RetryReason;

fn metrics() -> Arc<Metrics> {
    let upstreams = ["wordbee", "od\"d\n"].map(Into::into).into();
    Arc::new(Metrics::new(upstreams, ["shop", "night"].map(Into::into).into(), 2))
}

fn ended(method: &Method, status: u16, code: Option<Code>) -> EndedCall<'_> {
    let status = StatusCode::from_u16(status).unwrap();
    EndedCall { client: 1, method, status, code, took: Duration::from_millis(30) }
}

fn has(text: &str, line: &str) {
    assert!(text.lines().any(|found| found == line), "no `{line}` in\n{text}");
}

/// The name, the labels and the value of a line.
fn parsed(line: &str) -> (&str, &str, f64) {
    let (series, value) = line.rsplit_once(' ').expect(line);
    let (name, labels) = series.split_once('{').unwrap_or((series, "x}"));
    assert!(labels.len() > 1 && labels.ends_with('}'), "{line}");
    (name, labels, value.parse().expect(line))
}

const QUEUED: Option<(BottleneckKind, Duration)> =
    Some((BottleneckKind::Pace, Duration::from_secs(2)));
const LEFT: Option<(BottleneckKind, Duration)> =
    Some((BottleneckKind::Client, Duration::from_secs(1)));

#[test]
fn shards_are_added_up() {
    let metrics = metrics();
    for worker in 0..2 {
        let shard = metrics.shard(worker);
        shard.call_started(0);
        shard.call_started(0);
        shard.call_ended(0, &ended(&Method::GET, 200, None));
        shard.call_ended(1, &ended(&Method::from_bytes(b"BREW").unwrap(), 799, Some(Code::Gone)));
        let bad = AttemptResult::Status(StatusCode::BAD_REQUEST);
        shard.attempt_ended(0, &Method::PUT, bad, Duration::from_millis(20));
        let reset = AttemptResult::Failure(FailureKind::Reset);
        shard.attempt_ended(0, &Method::GET, reset, Duration::from_secs(300));
        shard.retried(0, RetryReason::Failure(FailureKind::Reset));
        shard.retried(0, RetryReason::Code(Code::TransientConflict));
        shard.not_retried(0, StoppedBy::Patience);
        shard.slot_requested(0, LimitOf::Upstream, SlotResult::Queued, QUEUED);
        shard.slot_requested(0, LimitOf::Upstream, SlotResult::Immediate, None);
        shard.slot_requested(0, LimitOf::Client, SlotResult::ClientLeft, LEFT);
        shard.problem(Some(1), Code::Gone, Source::Upstream);
        shard.problem(None, Code::RouteNotFound, Source::Client);
        shard.throttled(0, Throttle::Unexpected);
        shard.throttled(0, Throttle::Expected);
        shard.unrecognised(0);
        shard.connection_opened();
        shard.connection_opened();
        shard.connection_closed();
    }
    let text = metrics.render(&[]);
    let lines = [
        "http_server_request_duration_seconds_count{upstream=\"wordbee\",http_request_method=\"GE\
            T\",url_scheme=\"http\",http_route=\"/v\",http_response_status_code=\"200\"} 2",
        "http_server_request_duration_seconds_bucket{le=\"0.025\",upstream=\"wordbee\",http_reque\
            st_method=\"GET\",url_scheme=\"http\",http_route=\"/v\",http_response_status_code=\"2\
            00\"} 0",
        "http_server_request_duration_seconds_count{upstream=\"od\\\"d\\n\",http_request_method=\
            \"_OTHER\",url_scheme=\"http\",http_route=\"/v\",http_response_status_code=\"_OTHER\"\
            ,error_type=\"_OTHER\"} 2",
        "http_server_active_requests{upstream=\"wordbee\"} 2.0",
        "evenkeel_client_calls_total{upstream=\"wordbee\",client=\"night\",result=\"ok\"} 2",
        "http_client_request_duration_seconds_count{upstream=\"wordbee\",http_request_method=\"PU\
            T\",server_address=\"vendor.example\",server_port=\"443\",http_response_status_code=\"\
            400\",error_type=\"400\"} 2",
        "http_client_request_duration_seconds_count{upstream=\"wordbee\",http_request_method=\"GE\
            T\",server_address=\"vendor.example\",server_port=\"443\",error_type=\"reset\"} 2",
        "http_client_request_duration_seconds_bucket{le=\"120.0\",upstream=\"wordbee\",http_reque\
            st_method=\"GET\",server_address=\"vendor.example\",server_port=\"443\",error_type=\"\
            reset\"} 0",
        "evenkeel_upstream_attempts_total{upstream=\"wordbee\",outcome=\"answered\"} 2",
        "evenkeel_upstream_attempts_total{upstream=\"wordbee\",outcome=\"reset\"} 2",
        "evenkeel_retries_total{upstream=\"wordbee\",reason=\"transient_conflict\"} 2",
        "evenkeel_retries_suppressed_total{upstream=\"wordbee\",reason=\"patience\"} 2",
        "evenkeel_ratelimit_requests_total{upstream=\"wordbee\",limit_of=\"upstream\",result=\"acquir\
            ed\"} 2",
        "evenkeel_ratelimit_requests_total{upstream=\"wordbee\",limit_of=\"client\",result=\"cancell\
            ed\"} 2",
        "evenkeel_ratelimit_time_in_queue_seconds_sum{upstream=\"wordbee\",limit_of=\"upstream\",wa\
            ited_for=\"pace\"} 4.0",
        "evenkeel_ratelimit_time_in_queue_seconds_sum{upstream=\"wordbee\",limit_of=\"client\",wait\
            ed_for=\"client_limit\"} 2.0",
        "evenkeel_problems_total{upstream=\"od\\\"d\\n\",problem=\"gone\",source=\"upstream\"} 2",
        "evenkeel_problems_total{problem=\"route_not_found\",source=\"client\"} 2",
        "evenkeel_upstream_throttled_total{upstream=\"wordbee\"} 4",
        "evenkeel_upstream_throttled_unexpected_total{upstream=\"wordbee\"} 2",
        "evenkeel_problems_unrecognised_total{upstream=\"wordbee\"} 2",
        "evenkeel_client_connections_open 2.0",
        "evenkeel_client_connections_total 4",
    ];
    for line in lines {
        has(&text, line);
    }
}

fn view() -> AccountView {
    let hold = HoldView {
        id: 7,
        cause: HoldCause::Maintenance,
        remaining: Duration::from_secs(90),
        failed_probes: 2,
    };
    let window = Duration::from_secs(3600);
    let scope = ScopeView {
        name: "hour".into(),
        kind: ScopeKind::Units {
            kind: LedgerKind::Window,
            limit: 900,
            configured: 1000,
            learned: Some(900),
            window,
        },
        occupied: 100,
        waiting: 3,
        pace_sixteenths: 8,
        next_release: Duration::from_millis(1500),
        drift: Some(-3),
        hold: Some(hold),
        levers: LeversView::default(),
        record: None,
        in_flight: 2,
        elsewhere: 0,
        next_slot: Some(Duration::ZERO),
        observe: false,
    };
    AccountView {
        upstreams: vec![0],
        key: "from a header".into(),
        scopes: vec![scope],
        waiting: 5,
        waiting_by_class: [1, 3, 0],
        waiting_by_client: vec![("shop".into(), 3), ("nightly".into(), 1)],
        longest_wait: Duration::from_secs(4),
        overflow_calls: Some(6),
    }
}

#[test]
fn accounts_become_gauges_without_their_keys() {
    let text = metrics().render(&[view(), view()]);
    let lines = [
        "evenkeel_ratelimit_limit{upstream=\"wordbee\",policy=\"hour\"} 900.0",
        "evenkeel_ratelimit_limit_configured{upstream=\"wordbee\",policy=\"hour\"} 1000.0",
        "evenkeel_ratelimit_remaining{upstream=\"wordbee\",policy=\"hour\"} 800.0",
        "evenkeel_ratelimit_occupied{upstream=\"wordbee\",policy=\"hour\"} 200.0",
        "evenkeel_ratelimit_reset_seconds{upstream=\"wordbee\",policy=\"hour\"} 1.5",
        "evenkeel_pace_ratio{upstream=\"wordbee\",policy=\"hour\"} 0.5",
        "evenkeel_hold{upstream=\"wordbee\",policy=\"hour\",cause=\"maintenance\"} 2.0",
        "evenkeel_hold{upstream=\"wordbee\",policy=\"hour\",cause=\"outage\"} 0.0",
        "evenkeel_hold_remaining_seconds{upstream=\"wordbee\",policy=\"hour\"} 90.0",
        "evenkeel_waiting_calls{upstream=\"wordbee\"} 10.0",
        "evenkeel_longest_wait_seconds{upstream=\"wordbee\"} 4.0",
        "evenkeel_accounts{upstream=\"wordbee\"} 2.0",
        "evenkeel_accounts_overflow_calls_total{upstream=\"wordbee\"} 12",
        "evenkeel_ratelimit_drift{upstream=\"wordbee\",policy=\"hour\"} -3.0",
        "evenkeel_ratelimit_in_flight{upstream=\"wordbee\",policy=\"hour\"} 4.0",
        "evenkeel_unrecorded{upstream=\"wordbee\",policy=\"hour\"} 0.0",
        "evenkeel_waiting_calls_by_class{upstream=\"wordbee\",class=\"normal\"} 6.0",
        "evenkeel_waiting_calls_by_client{upstream=\"wordbee\",client=\"shop\"} 6.0",
        "evenkeel_waiting_calls_by_client{upstream=\"wordbee\",client=\"_OTHER\"} 2.0",
    ];
    for line in lines {
        has(&text, line);
    }
    assert!(!text.contains("from a header"));
}

#[test]
fn every_metric_of_the_table_is_described_and_every_line_parses() {
    let metrics = metrics();
    metrics.shard(0).call_ended(0, &ended(&Method::PUT, 404, Some(Code::NotFound)));
    let text = metrics.render(&[view()]);
    assert!(text.ends_with("# EOF\n"));
    let mut names = HashSet::new();
    for metric in METRICS {
        assert!(names.insert(metric.name), "{} is listed twice", metric.name);
        let described = metric.name.trim_end_matches("_total");
        assert!(text.contains(&format!("# HELP {described} {}\n", metric.help)), "{}", metric.name);
        assert_eq!(metric.name.ends_with("_total"), metric.kind == MetricKind::Counter);
    }
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, _, _) = parsed(line);
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        assert!(names.contains(name) || names.contains(base.unwrap_or_default()), "{line}");
    }
}

#[test]
fn clients_beyond_the_bound_share_a_series() {
    let names = (0..CLIENTS_MAX + 50).map(|n| format!("c{n}").into()).collect();
    let metrics = Arc::new(Metrics::new(vec!["u".into()], names, 1));
    for client in [CLIENTS_MAX - 1, CLIENTS_MAX, CLIENTS_MAX + 49] {
        let ended = EndedCall { client, ..ended(&Method::GET, 200, None) };
        metrics.shard(0).call_ended(0, &ended);
    }
    let text = metrics.render(&[]);
    has(&text, "evenkeel_client_calls_total{upstream=\"u\",client=\"c199\",result=\"ok\"} 1");
    has(&text, "evenkeel_client_calls_total{upstream=\"u\",client=\"_OTHER\",result=\"ok\"} 2");
}

#[test]
fn an_expected_throttle_is_not_counted_as_unexpected() {
    let metrics = metrics();
    metrics.shard(1).throttled(0, Throttle::Expected);
    let text = metrics.render(&[]);
    has(&text, "evenkeel_upstream_throttled_unexpected_total{upstream=\"wordbee\"} 0");
}
