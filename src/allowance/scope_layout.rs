//! The scopes that an account has, and which of them a call of one upstream needs.

use std::sync::Arc;

use super::calendar::WallClock;
use super::scope::{CoveredCalls, Scope};
use super::settings::{AccountRule, Allowance, Grant, Settles, UpstreamAllowances};
use super::slot_request::{PathId, Scheduling, ScopeNeeds, SlotRequest, UpstreamScopes};
use crate::routing::method::CallMethod;
use crate::routing::route::CallPath;

/// The scopes of one upstream's accounts.
#[derive(Debug)]
pub(super) struct ScopeLayout {
    templates: Vec<ScopeTemplate>,
    upstream: UpstreamScopes,
    /// What every call needs: the upstream, and the allowances that count all calls.
    always: ScopeNeeds,
    /// The allowances that count or exempt only some calls.
    selective: Vec<(u8, Allowance)>,
}

#[derive(Clone, Debug)]
enum ScopeTemplate {
    Upstream(Arc<str>, CoveredCalls),
    SlowStart(Arc<str>),
    Allowance(Allowance),
}

impl ScopeLayout {
    /// The layout of one upstream's accounts. Upstreams that share an account get the same scopes
    /// in the same order.
    pub(super) fn new(own: &UpstreamAllowances, all: &[UpstreamAllowances]) -> Self {
        let mut templates: Vec<ScopeTemplate> = Vec::new();
        let mut upstream = UpstreamScopes { all: 0, counted: 1, slow_start: 2 };
        let mut allowances: Vec<(u8, Allowance)> = Vec::new();
        for other in all.iter().filter(|other| share_account(own, other)) {
            let is_own = Arc::ptr_eq(&other.name, &own.name);
            if is_own {
                let all = number(templates.len());
                upstream = UpstreamScopes { all, counted: all + 1, slow_start: all + 2 };
            }
            for calls in [CoveredCalls::All, CoveredCalls::Counted] {
                templates.push(ScopeTemplate::Upstream(Arc::clone(&other.name), calls));
            }
            templates.push(ScopeTemplate::SlowStart(Arc::clone(&other.name)));
            for allowance in &other.allowances {
                let place = add_allowance(&mut templates, allowance);
                if is_own {
                    allowances.push((place, allowance.clone()));
                }
            }
        }
        let (selective, plain): (Vec<_>, Vec<_>) = allowances
            .into_iter()
            .partition(|(_, it)| it.counts.is_some() || !it.exempt.is_empty());
        let mut always = ScopeNeeds { scopes: 1 << upstream.all, ..ScopeNeeds::default() };
        plain.iter().for_each(|(number, allowance)| always.add(*number, allowance));
        Self { templates, upstream, always, selective }
    }

    pub(super) fn scopes(&self, wall: WallClock) -> Vec<Scope> {
        let scope = |template: &ScopeTemplate| match template {
            ScopeTemplate::Upstream(name, calls) => Scope::upstream(name, *calls),
            ScopeTemplate::SlowStart(name) => Scope::slow_start(name),
            ScopeTemplate::Allowance(allowance) => Scope::allowance(allowance, wall),
        };
        self.templates.iter().map(scope).collect()
    }

    pub(super) fn counts_by_calendar(&self) -> bool {
        self.templates.iter().any(|template| match template {
            ScopeTemplate::Allowance(it) => matches!(it.grant, Grant::Calendar { .. }),
            ScopeTemplate::Upstream(..) | ScopeTemplate::SlowStart(_) => false,
        })
    }

    /// What a call needs. In doubt an allowance counts it.
    pub(super) fn slot_request(
        &self,
        method: CallMethod<'_>,
        path: CallPath<'_>,
        scheduling: Scheduling,
    ) -> SlotRequest {
        let mut needs = self.always;
        let mut exempt = false;
        for (number, allowance) in &self.selective {
            if allowance.exempt.iter().any(|matcher| matcher.must_match(method, path)) {
                exempt = true;
                continue;
            }
            let counts = allowance.counts.as_ref();
            if counts.is_none_or(|matcher| matcher.may_match(method, path)) {
                needs.add(*number, allowance);
            }
        }
        if !exempt {
            needs.scopes |= 1 << self.upstream.counted;
        }
        SlotRequest::new(needs, self.upstream, PathId::of(path.as_str()), scheduling)
    }
}

/// The scopes of a client's own limit.
pub(super) fn client_scopes(limit: &Allowance, wall: WallClock) -> Vec<Scope> {
    vec![
        Scope::upstream(&limit.name, CoveredCalls::All),
        Scope::slow_start(&limit.name),
        Scope::allowance(limit, wall),
    ]
}

/// What a call needs of its client's own limit.
pub(super) fn client_slot_request(scheduling: Scheduling) -> SlotRequest {
    let upstream = UpstreamScopes { all: 0, counted: 0, slow_start: 1 };
    let needs = ScopeNeeds { scopes: 0b101, ..ScopeNeeds::default() };
    SlotRequest::new(needs, upstream, PathId::default(), scheduling)
}

impl ScopeNeeds {
    fn add(&mut self, number: u8, allowance: &Allowance) {
        self.scopes |= 1 << number;
        match &allowance.grant {
            Grant::Concurrency { .. } => self.concurrent |= 1 << number,
            Grant::Window { .. } | Grant::Calendar { .. } | Grant::Bucket { .. }
                if allowance.settles == Settles::AtBodyEnd =>
            {
                self.settled_at_body_end |= 1 << number;
            }
            Grant::Window { arrival_guard: Some(guard), .. } => {
                self.guarded |= 1 << number;
                // The longest guard serves for all of them: to settle late is safe.
                self.arrival_guard = self.arrival_guard.max(Some(*guard));
            }
            Grant::Window { arrival_guard: None, .. }
            | Grant::Calendar { .. }
            | Grant::Bucket { .. } => {}
        }
    }
}

fn share_account(one: &UpstreamAllowances, other: &UpstreamAllowances) -> bool {
    match (&one.account, &other.account) {
        (AccountRule::Named(one), AccountRule::Named(other)) => one == other,
        _ => Arc::ptr_eq(&one.name, &other.name),
    }
}

/// Adds an allowance unless the account has one of the same name; returns its number.
fn add_allowance(templates: &mut Vec<ScopeTemplate>, allowance: &Allowance) -> u8 {
    let same = |template: &ScopeTemplate| match template {
        ScopeTemplate::Allowance(known) => known.name == allowance.name,
        ScopeTemplate::Upstream(..) | ScopeTemplate::SlowStart(_) => false,
    };
    let place = templates.iter().position(same).unwrap_or_else(|| {
        templates.push(ScopeTemplate::Allowance(allowance.clone()));
        templates.len() - 1
    });
    number(place)
}

fn number(place: usize) -> u8 {
    u8::try_from(place).unwrap_or(u8::MAX)
}
