//! The JSON of `GET /api/v1/allowances`: what is granted, used, held, paused and awaited, account
//! by account.
//!
//! It contains no secrets; the key of an account is never a credential.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::query::parameters;
use super::response::Refusal;
use super::status::{hold, seconds};
use crate::allowance::{
    AccountPage, AccountView, LeverOrigin, PageOfAccounts, PauseView, RecordView, ScopeKind,
    ScopeView,
};

/// How many accounts are shown unless the request says so, and the most that it may ask for.
const ACCOUNTS_SHOWN: usize = 100;
const ACCOUNTS_SHOWN_MAX: usize = 1_000;

/// How many clients are named whose calls wait for one account; the others are added up.
const CLIENTS_SHOWN_MAX: usize = 50;

/// Which accounts a request asks for, by the upstream in its path and its query.
///
/// # Errors
/// The upstream is not there, or a parameter is wrong.
pub(super) fn page(
    upstream: Option<&str>,
    query: Option<&str>,
    upstreams: &[Arc<str>],
) -> Result<AccountPage, Refusal> {
    let invalid = |detail: String| Refusal::Invalid(detail.into());
    let upstream = match upstream {
        Some(name) => {
            let number = upstreams.iter().position(|known| **known == *name);
            Some(number.ok_or_else(|| Refusal::unknown_upstream(upstreams))?)
        }
        None => None,
    };
    let mut page = AccountPage { upstream, most: ACCOUNTS_SHOWN, ..AccountPage::default() };
    for (name, value) in parameters(query.unwrap_or_default()).map_err(invalid)? {
        let number = value.parse::<usize>();
        match (&*name, number) {
            ("account", _) => page.key = Some(value),
            ("offset", Ok(offset)) => page.offset = offset,
            ("limit", Ok(most)) if (1..=ACCOUNTS_SHOWN_MAX).contains(&most) => page.most = most,
            ("offset" | "limit", _) => {
                let accepted = "`offset` is a number, `limit` one from 1 to 1000.";
                return Err(invalid(accepted.to_owned()));
            }
            _ => {
                let accepted = "The parameters are `account`, `offset` and `limit`.";
                return Err(invalid(accepted.to_owned()));
            }
        }
    }
    Ok(page)
}

pub(super) fn allowances(
    page: &AccountPage,
    found: &PageOfAccounts,
    upstreams: &[Arc<str>],
) -> Value {
    let next = page.offset.saturating_add(found.accounts.len());
    let truncated = next < found.total && !found.accounts.is_empty();
    json!({
        "accounts_total": found.total,
        "truncated": truncated,
        "next_offset": truncated.then_some(next),
        "accounts": found.accounts.iter().map(|it| account(it, upstreams)).collect::<Vec<_>>(),
    })
}

fn account(account: &AccountView, names: &[Arc<str>]) -> Value {
    let upstreams = account.upstreams.iter().filter_map(|number| names.get(*number));
    let (own, allowances): (Vec<_>, Vec<_>) = account
        .scopes
        .iter()
        .partition(|scope| matches!(scope.kind, ScopeKind::Upstream | ScopeKind::Counted));
    let all = |scope: &&&ScopeView| scope.kind == ScopeKind::Upstream;
    let [interactive, normal, batch] = account.waiting_by_class;
    let (named, others) =
        account.waiting_by_client.split_at(account.waiting_by_client.len().min(CLIENTS_SHOWN_MAX));
    let client = |(name, calls): &(Arc<str>, usize)| json!({ "client": &**name, "waiting": calls });
    json!({
        "upstreams": upstreams.map(|name| &**name).collect::<Vec<_>>(),
        "key": &*account.key,
        "queue": {
            "waiting": account.waiting,
            "longest_wait_seconds": seconds(account.longest_wait),
            "by_class": { "interactive": interactive, "normal": normal, "batch": batch },
            "by_client": named.iter().map(client).collect::<Vec<_>>(),
            "of_other_clients": others.iter().map(|(_, calls)| calls).sum::<usize>(),
        },
        // Those of calls that are exempt are not counted, and are only held with all calls.
        "calls": own.iter().filter(all).map(|scope| upstream(scope, &own)).collect::<Vec<_>>(),
        "allowances": allowances.into_iter().map(allowance).collect::<Vec<_>>(),
    })
}

/// All calls of one upstream to this account.
fn upstream(all: &ScopeView, own: &[&ScopeView]) -> Value {
    let counted = own.iter().find(|it| it.kind == ScopeKind::Counted && it.name == all.name);
    json!({
        "upstream": &*all.name,
        "in_flight": all.in_flight,
        "pace": pace(all),
        "hold": all.hold.as_ref().map(hold),
        "hold_of_counted_calls": counted.and_then(|it| it.hold.as_ref()).map(hold),
        "pause": all.levers.pause.as_ref().map(pause),
    })
}

fn allowance(scope: &ScopeView) -> Value {
    let (kind, limit, configured, learned, window) = match scope.kind {
        ScopeKind::Units { kind, limit, configured, learned, window } => {
            (kind.as_str(), limit, configured, learned, Some(window))
        }
        ScopeKind::Concurrency { limit, configured } => {
            ("concurrency", limit, configured, None, None)
        }
        ScopeKind::Upstream | ScopeKind::Counted => ("calls", 0, 0, None, None),
    };
    let limited_by = match (&scope.levers.lowered, learned) {
        _ if limit == configured => "configuration",
        (_, Some(learned)) if learned == limit => "vendor",
        (Some(_), _) => "operator",
        (None, _) => "vendor",
    };
    json!({
        "name": &*scope.name,
        "kind": kind,
        "window_seconds": window.map(seconds),
        "limit": limit,
        "limited_by": limited_by,
        "limit_configured": configured,
        "limit_learned": learned,
        "lowered": scope.levers.lowered.as_ref().map(origin),
        "used": scope.occupied,
        "used_elsewhere": scope.elsewhere,
        "in_flight": scope.in_flight,
        "remaining": limit.saturating_sub(scope.occupied),
        "next_slot_seconds": scope.next_slot.map(seconds),
        "pace": pace(scope),
        "waiting": scope.waiting,
        "drift": scope.drift,
        "observe": scope.observe,
        "hold": scope.hold.as_ref().map(hold),
        "pause": scope.levers.pause.as_ref().map(pause),
        "record": scope.record.as_ref().map(record),
    })
}

fn pace(scope: &ScopeView) -> f64 {
    f64::from(scope.pace_sixteenths) / 16.0
}

fn pause(pause: &PauseView) -> Value {
    let LeverOrigin { by, reason } = &pause.origin;
    let remaining: Option<Duration> = pause.remaining;
    json!({ "remaining_seconds": remaining.map(seconds), "by": &**by, "reason": &**reason })
}

fn origin(origin: &LeverOrigin) -> Value {
    json!({ "by": &*origin.by, "reason": &*origin.reason })
}

fn record(record: &RecordView) -> Value {
    let state = match (record.shared_free.is_some(), record.failed) {
        (false, false) => "recorded",
        (true, false) => "shared",
        (_, true) => "failed",
    };
    let mut shown = json!({ "state": state, "set_aside": record.set_aside });
    if let Some(free) = record.shared_free {
        shown["shared_free"] = free.into();
    }
    shown
}
