//! The JSON of `GET /api/v1/status`: limits, queues and holds of every account.
//!
//! It contains no secrets; the key of an account is never a credential.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::allowance::{AccountView, HoldView, ScopeKind, ScopeView};

pub(super) struct ProgramStatus {
    pub(super) uptime: Duration,
    pub(super) ready: bool,
    pub(super) draining: bool,
}

pub(super) fn status(
    program: &ProgramStatus,
    upstreams: &[Arc<str>],
    accounts: &[AccountView],
) -> Value {
    let upstreams: Vec<_> = upstreams
        .iter()
        .enumerate()
        .map(|(number, name)| {
            let own = accounts.iter().filter(|account| account.upstreams.contains(&number));
            json!({ "name": &**name, "accounts": own.map(account).collect::<Vec<_>>() })
        })
        .collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": program.uptime.as_secs(),
        "ready": program.ready,
        "draining": program.draining,
        "upstreams": upstreams,
    })
}

fn account(account: &AccountView) -> Value {
    json!({
        "key": &*account.key,
        "waiting": account.waiting,
        "longest_wait_seconds": seconds(account.longest_wait),
        "scopes": account.scopes.iter().map(scope).collect::<Vec<_>>(),
    })
}

fn scope(scope: &ScopeView) -> Value {
    let (kind, limit, configured, window) = match scope.kind {
        ScopeKind::Units { kind, limit, configured, window, .. } => {
            (kind.as_str(), Some(limit), Some(configured), Some(seconds(window)))
        }
        ScopeKind::Concurrency { limit, configured } => {
            ("concurrency", Some(limit), Some(configured), None)
        }
        ScopeKind::Upstream => ("upstream", None, None, None),
        ScopeKind::Counted => ("counted_calls", None, None, None),
    };
    json!({
        "name": &*scope.name,
        "kind": kind,
        "limit": limit,
        "limit_configured": configured,
        "window_seconds": window,
        "occupied": scope.occupied,
        "remaining": limit.map(|limit| limit.saturating_sub(scope.occupied)),
        "next_release_seconds": seconds(scope.next_release),
        "waiting": scope.waiting,
        "drift": scope.drift,
        "pace": f64::from(scope.pace_sixteenths) / 16.0,
        "observe": scope.observe,
        "hold": scope.hold.as_ref().map(hold),
    })
}

pub(super) fn hold(hold: &HoldView) -> Value {
    json!({
        "id": hold.id,
        "cause": hold.cause.as_str(),
        "remaining_seconds": seconds(hold.remaining),
        "failed_probes": hold.failed_probes,
    })
}

/// Rounded to milliseconds.
pub(super) fn seconds(span: Duration) -> f64 {
    (span.as_secs_f64() * 1000.0).round() / 1000.0
}
