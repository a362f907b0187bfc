//! The scopes of an account by number, and which of them a call of one upstream needs.
//!
//! A configuration that is reloaded keeps the numbers of scopes, because calls under way refer to
//! them: new scopes get new numbers, and a number is used again only when no call of an older
//! configuration is left.

use std::fmt;
use std::sync::Arc;

use super::calendar::WallClock;
use super::charge::CostClass;
use super::cost_rule::{CostRule, Settles};
use super::refusal::CostExceeded;
use super::scope::{CoveredCalls, Scope};
use super::settings::{Allowance, Grant, Mode, SCOPES_MAX, UpstreamAllowances};
use super::slot_request::{PathId, Scheduling, ScopeNeeds, SlotRequest, UpstreamScopes};
use crate::routing::call_matcher::CallHead;
use crate::time::Moment;

/// The scopes of an account.
#[derive(Clone, Debug, Default)]
pub(super) struct ScopeLayout {
    /// What its records are filed under: the name of the accounts, or of their upstream.
    pub(super) group: Arc<str>,
    pub(super) places: Vec<ScopePlace>,
    /// The number of the configuration.
    pub(super) version: u32,
    /// Which upstreams need which allowances: the numbers of an upstream's scope of all its calls,
    /// and of the allowance.
    needs: Vec<(u8, u8)>,
    additions: Vec<Addition>,
}

/// The scope of one number.
#[derive(Clone, Debug)]
pub(super) struct ScopePlace {
    pub(super) template: ScopeTemplate,
    /// The configuration in which this scope got the number.
    pub(super) since: u32,
    /// The first configuration without it.
    pub(super) retired: Option<u32>,
    /// The scope that it takes the place of, because its window or its calls have changed.
    pub(super) replaces: Option<u8>,
    /// What ends only with a body may outlive its configuration.
    ends_with_body: bool,
}

#[derive(Clone, Debug)]
pub(super) enum ScopeTemplate {
    Upstream(Arc<str>, CoveredCalls),
    SlowStart(Arc<str>),
    Allowance(Allowance),
}

/// A scope that calls of an upstream need from some configuration on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addition {
    pub(super) version: u32,
    /// The number of the upstream's scope of all its calls.
    pub(super) upstream: u8,
    pub(super) scope: u8,
    pub(super) concurrent: bool,
    /// What a call costs there of which it was not found out.
    pub(super) cost: Option<(CostClass, u32)>,
}

/// Which configurations there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Versions {
    /// The one that is being put into force.
    pub(super) new: u32,
    /// The oldest that calls under way still use.
    pub(super) oldest: u32,
}

/// One upstream whose calls use an account, and its name until now.
#[derive(Clone, Debug)]
pub(super) struct Member<'a> {
    pub(super) upstream: &'a UpstreamAllowances,
    pub(super) before: Option<Arc<str>>,
}

/// The scopes of one upstream, each as a set.
#[derive(Clone, Copy, Debug)]
pub(super) struct ScopesOfUpstream {
    pub(super) all: u64,
    pub(super) counted: u64,
    pub(super) allowances: u64,
}

/// An account has no numbers left for further scopes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopesExhausted {
    pub upstream: Arc<str>,
}

impl fmt::Display for ScopesExhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the allowances of `{}` have changed too often while calls of older configurations \
             are under way: reload again when these are over, or restart",
            self.upstream
        )
    }
}

impl ScopeTemplate {
    pub(super) fn scope(&self, wall: WallClock) -> Scope {
        match self {
            Self::Upstream(name, calls) => Scope::upstream(name, *calls),
            Self::SlowStart(name) => Scope::slow_start(name),
            Self::Allowance(allowance) => Scope::allowance(allowance, wall),
        }
    }

    /// Applies what has changed in the settings of a scope.
    pub(super) fn apply_to(&self, scope: &mut Scope, now: Moment) {
        match self {
            Self::Upstream(name, _) | Self::SlowStart(name) => scope.name.clone_from(name),
            Self::Allowance(allowance) => scope.reconfigure(allowance, now),
        }
    }

    pub(super) const fn allowance(&self) -> Option<&Allowance> {
        match self {
            Self::Allowance(allowance) => Some(allowance),
            Self::Upstream(..) | Self::SlowStart(_) => None,
        }
    }

    /// Whether both are for the same thing, by its name.
    fn is_for(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Upstream(one, calls), Self::Upstream(other, others)) => {
                one == other && calls == others
            }
            (Self::SlowStart(one), Self::SlowStart(other)) => one == other,
            (Self::Allowance(one), Self::Allowance(other)) => one.name == other.name,
            (Self::Upstream(..) | Self::SlowStart(_) | Self::Allowance(_), _) => false,
        }
    }

    /// Whether only settings differ that can change while the scope stays what it is.
    fn is_same(&self, other: &Self) -> bool {
        match (self.allowance(), other.allowance()) {
            (Some(one), Some(other)) => one.counts_the_same_as(other),
            (None, _) | (_, None) => self.is_for(other),
        }
    }

    /// Whether its slots are kept until the body of a response has ended.
    fn ends_with_body(&self) -> bool {
        self.allowance().is_some_and(|allowance| {
            let concurrent = matches!(allowance.grant, Grant::Concurrency { .. });
            concurrent || allowance.settles == Settles::AtBodyEnd
        })
    }

    fn rename_upstream(&mut self, before: &str, now: &Arc<str>) {
        match self {
            Self::Upstream(name, _) | Self::SlowStart(name) if **name == *before => {
                *name = Arc::clone(now);
            }
            Self::Upstream(..) | Self::SlowStart(_) | Self::Allowance(_) => {}
        }
    }
}

impl ScopeLayout {
    /// The layout for these upstreams, which share an account.
    ///
    /// # Errors
    /// There are not enough numbers.
    pub(super) fn renewed(
        &self,
        members: &[Member<'_>],
        versions: Versions,
    ) -> Result<Self, ScopesExhausted> {
        let group = members.first().map_or_else(Arc::default, |it| it.upstream.group());
        let mut next = Self { group, version: versions.new, ..self.clone() };
        next.additions.retain(|addition| versions.oldest < addition.version);
        for Member { upstream, before } in members {
            for place in &mut next.places {
                let before = before.as_ref().filter(|_| place.retired.is_none());
                if let Some(before) = before {
                    place.template.rename_upstream(before, &upstream.name);
                }
            }
        }
        next.rename_allowances(members);
        let mut used = 0_u64;
        for Member { upstream, .. } in members {
            let mut all = 0;
            for (order, template) in templates_of(upstream).enumerate() {
                let number = next
                    .place(&template, used, versions)
                    .ok_or_else(|| ScopesExhausted { upstream: Arc::clone(&upstream.name) })?;
                if order == 0 {
                    all = number;
                }
                used |= 1 << number;
                if let Some(allowance) = template.allowance() {
                    next.add_need(self, all, number, allowance);
                }
            }
        }
        for (number, place) in next.places.iter_mut().enumerate() {
            if used >> number & 1 == 0 && place.retired.is_none() {
                place.retired = Some(versions.new);
            }
        }
        Ok(next)
    }

    /// The layout of one upstream's own account.
    #[cfg(test)]
    pub(super) fn of(upstream: &UpstreamAllowances) -> Self {
        let versions = Versions { new: 1, oldest: 1 };
        Self::default().renewed(&[Member { upstream, before: None }], versions).unwrap()
    }

    /// An allowance under a new name is the former one that counted the same and is gone.
    fn rename_allowances(&mut self, members: &[Member<'_>]) {
        let mut all = members.iter().flat_map(|member| &member.upstream.allowances);
        let names: Vec<_> = all.by_ref().map(|allowance| Arc::clone(&allowance.name)).collect();
        for Member { upstream, .. } in members {
            let own = ScopeTemplate::Upstream(Arc::clone(&upstream.name), CoveredCalls::All);
            let Some(own) = self.number_of(&own) else { continue };
            for allowance in &upstream.allowances {
                let template = ScopeTemplate::Allowance(allowance.clone());
                if self.number_of(&template).is_some() {
                    continue;
                }
                let former = self.places.iter().enumerate().position(|(place, former)| {
                    let gone = former.template.allowance().is_some_and(|it| {
                        it.counts_the_same_as(allowance) && !names.contains(&it.name)
                    });
                    gone && former.retired.is_none() && self.needs.contains(&(own, number(place)))
                });
                if let Some(former) = former {
                    self.places[former].template = template;
                }
            }
        }
    }

    /// The number of this scope: the one it has, or a new one. Upstreams that share an account
    /// share the allowances of one name, so those `used` already are not changed again.
    fn place(&mut self, template: &ScopeTemplate, used: u64, versions: Versions) -> Option<u8> {
        let before = self.number_of(template);
        if let Some(number) = before {
            let place = &mut self.places[usize::from(number)];
            if used >> number & 1 == 1 {
                return before;
            }
            if place.template.is_same(template) {
                place.template = template.clone();
                place.ends_with_body |= template.ends_with_body();
                return before;
            }
            place.retired = Some(versions.new);
        }
        let place = ScopePlace {
            template: template.clone(),
            since: versions.new,
            retired: None,
            replaces: before,
            ends_with_body: template.ends_with_body(),
        };
        if self.places.len() < SCOPES_MAX {
            self.places.push(place);
            return Some(number(self.places.len() - 1));
        }
        let free = self.places.iter().position(|place| place.is_free(versions.oldest))?;
        self.additions.retain(|addition| usize::from(addition.scope) != free);
        self.places[free] = place;
        Some(number(free))
    }

    /// The number of the scope of this kind and name.
    pub(super) fn number_of(&self, template: &ScopeTemplate) -> Option<u8> {
        let serves =
            |place: &ScopePlace| place.retired.is_none() && place.template.is_for(template);
        self.places.iter().position(serves).map(number)
    }

    /// Notes that calls of an upstream need an allowance, if they did not until now.
    fn add_need(&mut self, before: &Self, upstream: u8, scope: u8, allowance: &Allowance) {
        let known = |(one, other): (u8, u8)| one == upstream && other == scope;
        let needed = before.places.get(usize::from(scope)).is_some_and(|place| {
            let unchanged = place.since == self.places[usize::from(scope)].since;
            unchanged && before.needs.iter().copied().any(known)
        });
        let version = self.version;
        self.needs.retain(|need| !known(*need));
        self.needs.push((upstream, scope));
        if !needed {
            let concurrent = matches!(allowance.grant, Grant::Concurrency { .. });
            let cost = allowance.cost.as_ref().map(|rule| (allowance.cost_class, rule.default));
            self.additions.push(Addition { version, upstream, scope, concurrent, cost });
        }
    }

    /// The scopes that calls of configurations before `version` do not know that they need.
    pub(super) fn added_since(&self, version: u32) -> impl Iterator<Item = &Addition> {
        self.additions.iter().filter(move |addition| version < addition.version)
    }

    /// The scopes of an upstream and of its allowances.
    pub(super) fn scopes_of_upstream(&self, name: &Arc<str>) -> ScopesOfUpstream {
        let own = |calls| self.number_of(&ScopeTemplate::Upstream(Arc::clone(name), calls));
        let (all, counted) = (own(CoveredCalls::All), own(CoveredCalls::Counted));
        let set = |number: Option<u8>| number.map_or(0, |number| 1 << number);
        let allowances = all.map_or(0, |all| self.allowances_of(all));
        ScopesOfUpstream { all: set(all), counted: set(counted), allowances }
    }

    /// The allowances of the upstream with this number of its scope of all calls, as a set.
    pub(super) fn allowances_of(&self, all: u8) -> u64 {
        let of_upstream = self.needs.iter().filter(|(upstream, _)| *upstream == all);
        let in_use = |number: &u8| self.places[usize::from(*number)].retired.is_none();
        let allowances = of_upstream.map(|(_, scope)| *scope).filter(in_use);
        allowances.fold(0, |allowances, number| allowances | 1 << number)
    }

    pub(super) fn scopes(&self, wall: WallClock) -> Vec<Scope> {
        self.places.iter().map(|place| place.template.scope(wall)).collect()
    }
}

impl ScopePlace {
    /// Whether its number can be given to another scope.
    fn is_free(&self, oldest: u32) -> bool {
        !self.ends_with_body && self.retired.is_some_and(|retired| retired <= oldest)
    }
}

/// What the calls of one upstream need of its account.
#[derive(Debug)]
pub(super) struct UpstreamNeeds {
    version: u32,
    upstream: UpstreamScopes,
    /// What every call needs: the upstream, and the allowances that count all calls.
    always: ScopeNeeds,
    /// The allowances that count or exempt only some calls.
    selective: Vec<(u8, Allowance)>,
    /// The costs that its allowances count.
    costs: Vec<(CostClass, Arc<CostRule>)>,
    /// The allowances that count them and are enforced.
    bounds: Vec<(u8, Allowance)>,
}

impl UpstreamNeeds {
    pub(super) fn new(layout: &ScopeLayout, own: &UpstreamAllowances) -> Self {
        let numbers: Vec<u8> =
            templates_of(own).filter_map(|template| layout.number_of(&template)).collect();
        let (scopes, numbers) = numbers.split_at(3);
        let upstream = UpstreamScopes { all: scopes[0], counted: scopes[1], slow_start: scopes[2] };
        let allowances = numbers.iter().copied().zip(own.allowances.iter().cloned());
        let mut costs: Vec<(CostClass, Arc<CostRule>)> = Vec::new();
        for allowance in &own.allowances {
            let known = costs.iter().any(|(class, _)| *class == allowance.cost_class);
            let rule = allowance.cost.as_ref().filter(|_| !known);
            costs.extend(rule.map(|rule| (allowance.cost_class, Arc::clone(rule))));
        }
        let counts_costs =
            |(_, it): &(u8, Allowance)| it.cost.is_some() && it.mode == Mode::Enforce;
        let bounds = allowances.clone().filter(counts_costs).collect();
        let (selective, plain): (Vec<_>, Vec<_>) =
            allowances.partition(|(_, it)| !(it.counts.is_empty() && it.exempt.is_empty()));
        let mut always = ScopeNeeds { scopes: 1 << upstream.all, ..ScopeNeeds::default() };
        plain.iter().for_each(|(number, allowance)| always.add(*number, allowance));
        Self { version: layout.version, upstream, always, selective, costs, bounds }
    }

    /// What a call needs. In doubt an allowance counts it.
    pub(super) fn slot_request(&self, call: CallHead<'_>, scheduling: Scheduling) -> SlotRequest {
        let mut needs = self.always;
        let mut exempt = false;
        for (number, allowance) in &self.selective {
            if allowance.exempts(call).is_some() {
                exempt = true;
                continue;
            }
            if allowance.may_count(call) {
                needs.add(*number, allowance);
            }
        }
        if !exempt {
            needs.scopes |= 1 << self.upstream.counted;
        }
        let path = PathId::of(call.path.as_str());
        SlotRequest::new(needs, self.upstream, path, scheduling).of_configuration(self.version)
    }

    pub(super) fn costs(&self) -> &[(CostClass, Arc<CostRule>)] {
        &self.costs
    }

    /// The allowance that can never grant what a call costs, if there is one.
    pub(super) fn exceeded_by(&self, request: &SlotRequest) -> Option<CostExceeded> {
        self.bounds.iter().find_map(|(number, allowance)| {
            let (cost, limit) = (request.costs.of(allowance.cost_class), allowance.units().0);
            let exceeded = request.scopes >> number & 1 == 1 && limit < cost;
            let allowance = Arc::clone(&allowance.name);
            exceeded.then_some(CostExceeded { allowance, cost, limit })
        })
    }

    /// What a call needs that is counted only by those allowances that count all calls.
    pub(super) fn plain_request(&self, scheduling: Scheduling) -> SlotRequest {
        let mut needs = self.always;
        needs.scopes |= 1 << self.upstream.counted;
        let request = SlotRequest::new(needs, self.upstream, PathId::default(), scheduling);
        request.of_configuration(self.version)
    }

    /// What a call needs of its client's own limit.
    pub(super) fn client_request(&self, scheduling: Scheduling) -> SlotRequest {
        let request = SlotRequest::new(self.always, self.upstream, PathId::default(), scheduling);
        request.of_configuration(self.version)
    }
}

/// The scopes of an upstream: all its calls, the counted ones, the slow start, its allowances.
fn templates_of(upstream: &UpstreamAllowances) -> impl Iterator<Item = ScopeTemplate> {
    let name = || Arc::clone(&upstream.name);
    let own = [
        ScopeTemplate::Upstream(name(), CoveredCalls::All),
        ScopeTemplate::Upstream(name(), CoveredCalls::Counted),
        ScopeTemplate::SlowStart(name()),
    ];
    let allowances = upstream.allowances.iter().cloned().map(ScopeTemplate::Allowance);
    own.into_iter().chain(allowances)
}

impl ScopeNeeds {
    fn add(&mut self, number: u8, allowance: &Allowance) {
        self.scopes |= 1 << number;
        if allowance.cost_class != CostClass::CALLS {
            self.cost_classes |= allowance.cost_class.bit();
        }
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

fn number(place: usize) -> u8 {
    u8::try_from(place).unwrap_or(u8::MAX)
}
