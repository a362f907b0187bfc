//! Every account: which one a call belongs to, and what it needs of it.
//!
//! An account outlives the calls that found it; only one without an occupied slot, hold or waiter
//! is ever forgotten. The accounts that a header tells apart are in `keyed.rs`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http::HeaderMap;

use crate::allowance::shares::Rank;
use crate::clock::Clock;
use crate::routing::client::Priority;
use crate::routing::method::CallMethod;
use crate::routing::route::CallPath;
use crate::time::Moment;

use super::account::Account;
use super::keyed::{AccountsBound, Keyed};
use super::retries::Retries;
use super::scope::{Calls, Scope};
use super::settings::{AccountRule, Allowance, Grant, Mode};
use super::slot_request::{Fitness, PathId, SlotRequest, UpstreamScopes};
use super::state::State;
use super::view::AccountView;

/// What the vault is told of one upstream.
#[derive(Clone, Debug)]
pub struct UpstreamRules {
    /// Its name.
    pub name: Arc<str>,
    /// Whom the vendor counts.
    pub account: AccountRule,
    /// What the vendor grants.
    pub allowances: Vec<Allowance>,
    /// Places in the waiting room.
    pub queue_max: usize,
}

/// All accounts of all upstreams.
#[derive(Debug)]
pub struct Accounts {
    upstreams: Vec<UpstreamAccounts>,
    clients: Vec<Option<Arc<Account>>>,
    bound: AccountsBound,
    numbers: AtomicU32,
    clock: Clock,
}

#[derive(Debug)]
struct UpstreamAccounts {
    plan: Plan,
    sole: Arc<Account>,
    by_header: Option<Keyed>,
    retries: Retries,
}

/// Which scopes of an account one upstream's calls need.
#[derive(Debug)]
struct Plan {
    scopes: Arc<[ScopeRule]>,
    queue_max: usize,
    upstream: UpstreamScopes,
    /// What every call needs: the upstream, and the allowances that count whatever comes.
    always: Needs,
    /// The allowances that look at a call first.
    choosy: Vec<(u8, Allowance)>,
}

/// How one scope of an account is made.
#[derive(Clone, Debug)]
enum ScopeRule {
    Upstream(Arc<str>, Calls),
    Ramp(Arc<str>),
    Allowance(Allowance),
}

/// Who asks, for the order of those who wait.
#[derive(Clone, Copy, Debug)]
pub struct Asker {
    /// How urgent it is.
    pub priority: Priority,
    /// When its call arrived.
    pub arrival: Moment,
    /// It does not start later.
    pub deadline: Moment,
    /// Whether it is fit to be a probe.
    pub fit: Fitness,
}

impl Accounts {
    /// The accounts of these upstreams and of clients with a limit of their own.
    #[must_use]
    pub fn new(
        upstreams: &[UpstreamRules],
        client_limits: &[Option<Allowance>],
        accounts_max: usize,
        clock: Clock,
    ) -> Self {
        let numbers = AtomicU32::new(0);
        let mut named = HashMap::new();
        let plans = upstreams.iter().map(|rules| Plan::new(rules, upstreams));
        let upstreams = plans
            .zip(upstreams)
            .map(|(plan, rules)| UpstreamAccounts::new(plan, rules, &mut named, (&numbers, clock)))
            .collect();
        let clients = client_limits
            .iter()
            .map(|limit| limit.as_ref().map(|limit| client_account(limit, (&numbers, clock))))
            .collect();
        let bound = AccountsBound::new(accounts_max);
        Self { upstreams, clients, bound, numbers, clock }
    }

    /// The account a call belongs to.
    #[must_use]
    pub fn account(&self, upstream: usize, headers: &HeaderMap) -> Arc<Account> {
        let accounts = &self.upstreams[upstream];
        let Some(by_header) = &accounts.by_header else { return Arc::clone(&accounts.sole) };
        // A blank value names no account to the vendor either.
        let value =
            headers.get(by_header.header()).filter(|it| !it.as_bytes().trim_ascii().is_empty());
        let Some(value) = value else {
            return Arc::clone(&accounts.sole);
        };
        let key = value.as_bytes();
        by_header.known(key).unwrap_or_else(|| self.open(accounts, by_header, key))
    }

    /// What a call needs of its account.
    #[must_use]
    pub fn want<'m>(
        &self,
        upstream: usize,
        method: impl Into<CallMethod<'m>>,
        path: CallPath<'_>,
        asker: Asker,
    ) -> SlotRequest {
        self.upstreams[upstream].plan.want(method.into(), path, asker)
    }

    /// The account of a client's own limit, if it has one, and what a call needs of it.
    #[must_use]
    pub fn client(&self, client: usize, asker: Asker) -> Option<(&Arc<Account>, SlotRequest)> {
        let account = self.clients.get(client)?.as_ref()?;
        let upstream = UpstreamScopes { all: 0, counted: 0, ramp: 1 };
        let needs = Needs { scopes: 0b101, ..Needs::default() };
        Some((account, want((needs, PathId::default()), upstream, asker)))
    }

    /// The retry budget of an upstream: a call to it came in.
    pub fn call_came(&self, upstream: usize, now: Moment) {
        self.upstreams[upstream].retries.call(now);
    }

    /// The retry budget of an upstream: a call's first attempt failed blindly.
    pub fn call_failed(&self, upstream: usize, now: Moment) {
        self.upstreams[upstream].retries.call_failed(now);
    }

    /// The retry budget of an upstream: it gave a good answer.
    pub fn answered(&self, upstream: usize) {
        self.upstreams[upstream].retries.answered();
    }

    /// Pays a blind retry, if it can be paid.
    #[must_use]
    pub fn pay_retry(&self, upstream: usize, percent: u32, now: Moment) -> bool {
        self.upstreams[upstream].retries.pay(percent, now)
    }

    /// Opens the scope that a hold of this number closes; whether there was one.
    #[must_use]
    pub fn release_hold(&self, id: u64) -> bool {
        self.all().iter().any(|(_, _, account)| account.release_hold(id))
    }

    /// What an operator sees.
    #[must_use]
    pub fn view(&self) -> Vec<AccountView> {
        let view = |(upstreams, key, account): (Vec<usize>, Arc<str>, Arc<Account>)| {
            let (scopes, waiting, longest_wait) = account.view();
            let overflow_calls = self.overflow_calls(&account);
            AccountView { upstreams, key, scopes, waiting, longest_wait, overflow_calls }
        };
        self.all().into_iter().map(view).collect()
    }

    fn all(&self) -> Vec<(Vec<usize>, Arc<str>, Arc<Account>)> {
        let mut all: Vec<(Vec<usize>, Arc<str>, Arc<Account>)> = Vec::new();
        for (number, upstream) in self.upstreams.iter().enumerate() {
            let shared = all.iter_mut().find(|(_, _, known)| Arc::ptr_eq(known, &upstream.sole));
            match shared {
                Some((upstreams, _, _)) => upstreams.push(number),
                None => all.push((vec![number], "".into(), Arc::clone(&upstream.sole))),
            }
            let Some(by_header) = &upstream.by_header else { continue };
            let keyed = by_header.all().into_iter();
            all.extend(keyed.map(|account| (vec![number], account.key().into(), account)));
        }
        all
    }

    /// How many calls this account has served that found none of their own, if it is for those.
    fn overflow_calls(&self, account: &Arc<Account>) -> Option<u64> {
        let keyed = self.upstreams.iter().filter_map(|upstream| upstream.by_header.as_ref());
        keyed.filter_map(|keyed| keyed.overflow_calls(account)).next()
    }

    #[cold]
    fn open(&self, upstream: &UpstreamAccounts, keyed: &Keyed, key: &[u8]) -> Arc<Account> {
        let now = self.clock.now();
        if self.bound.may_sweep(now) {
            let all = self.upstreams.iter().filter_map(|upstream| upstream.by_header.as_ref());
            self.bound.free(all.map(|keyed| keyed.sweep(now)).sum());
        }
        let open = |key| upstream.plan.open(key, (&self.numbers, self.clock));
        keyed.open(key, &self.bound, now, open)
    }
}

impl UpstreamAccounts {
    fn new(
        plan: Plan,
        rules: &UpstreamRules,
        named: &mut HashMap<Arc<str>, Arc<Account>>,
        origin: (&AtomicU32, Clock),
    ) -> Self {
        let sole = match &rules.account {
            AccountRule::Named(name) => {
                let account =
                    named.entry(Arc::clone(name)).or_insert_with(|| plan.open(sole(), origin));
                Arc::clone(account)
            }
            AccountRule::Upstream | AccountRule::Header(_) => plan.open(sole(), origin),
        };
        let by_header = match &rules.account {
            AccountRule::Header(header) => {
                Some(Keyed::new(header.clone(), |key| plan.open(key, origin)))
            }
            AccountRule::Upstream | AccountRule::Named(_) => None,
        };
        Self { plan, sole, by_header, retries: Retries::default() }
    }
}

impl Plan {
    /// Upstreams of one named account see the same scopes in the same order.
    fn new(rules: &UpstreamRules, upstreams: &[UpstreamRules]) -> Self {
        let sharing = upstreams.iter().filter(|other| shares_account(rules, other));
        let mut scopes: Vec<ScopeRule> = Vec::new();
        let mut own = UpstreamScopes { all: 0, counted: 1, ramp: 2 };
        let mut allowances: Vec<(u8, Allowance)> = Vec::new();
        for other in sharing {
            let is_own = Arc::ptr_eq(&other.name, &rules.name);
            if is_own {
                let all = next(&scopes);
                own = UpstreamScopes { all, counted: all + 1, ramp: all + 2 };
            }
            let both = [Calls::All, Calls::Counted];
            scopes.extend(both.map(|calls| ScopeRule::Upstream(Arc::clone(&other.name), calls)));
            scopes.push(ScopeRule::Ramp(Arc::clone(&other.name)));
            for allowance in &other.allowances {
                let number = place_of(&mut scopes, allowance);
                if is_own {
                    allowances.push((number, allowance.clone()));
                }
            }
        }
        let (choosy, plain): (Vec<_>, Vec<_>) = allowances
            .into_iter()
            .partition(|(_, it)| it.counts.is_some() || !it.exempt.is_empty());
        let mut always = Needs { scopes: 1 << own.all, ..Needs::default() };
        plain.iter().for_each(|(number, allowance)| always.add(*number, &allowance.grant));
        Self { scopes: scopes.into(), queue_max: rules.queue_max, upstream: own, always, choosy }
    }

    fn open(&self, key: Arc<str>, (numbers, clock): (&AtomicU32, Clock)) -> Arc<Account> {
        let scope = |rule: &ScopeRule| match rule {
            ScopeRule::Upstream(name, calls) => Scope::upstream(name, *calls),
            ScopeRule::Ramp(name) => Scope::ramp(name),
            ScopeRule::Allowance(allowance) => Scope::allowance(allowance),
        };
        let number = numbers.fetch_add(1, Ordering::Relaxed);
        let state = State::new(self.scopes.iter().map(scope).collect(), self.queue_max, number);
        Arc::new(Account::new(state, key, clock))
    }

    fn want(&self, method: CallMethod<'_>, path: CallPath<'_>, asker: Asker) -> SlotRequest {
        let mut needs = self.always;
        let mut exempt = Exempt::No;
        for (number, allowance) in &self.choosy {
            if allowance.exempt.iter().any(|matcher| matcher.must_match(method, path)) {
                exempt = Exempt::Yes;
                continue;
            }
            let counts = allowance.counts.as_ref();
            if counts.is_none_or(|matcher| matcher.may_match(method, path)) {
                needs.add(*number, &allowance.grant);
            }
        }
        if exempt == Exempt::No {
            needs.scopes |= 1 << self.upstream.counted;
        }
        want((needs, PathId::of(path.as_str())), self.upstream, asker)
    }
}

/// The key of an account that no other has to be told apart from.
fn sole() -> Arc<str> {
    Arc::from("")
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Exempt {
    Yes,
    No,
}

/// The scopes a call needs, and what is particular about some of them.
#[derive(Clone, Copy, Debug, Default)]
struct Needs {
    scopes: u64,
    concurrent: u64,
    guarded: u64,
    guard: Option<Duration>,
}

impl Needs {
    fn add(&mut self, number: u8, grant: &Grant) {
        self.scopes |= 1 << number;
        match grant {
            Grant::Concurrency { .. } => self.concurrent |= 1 << number,
            Grant::Window { arrival_guard: Some(guard), .. } => {
                self.guarded |= 1 << number;
                // The longest guard is right for all of them: late is safe.
                self.guard = self.guard.max(Some(*guard));
            }
            Grant::Window { arrival_guard: None, .. } => {}
        }
    }
}

fn want((needs, path): (Needs, PathId), upstream: UpstreamScopes, asker: Asker) -> SlotRequest {
    SlotRequest {
        scopes: needs.scopes,
        concurrent: needs.concurrent,
        guarded: needs.guarded,
        guard: needs.guard,
        upstream,
        path,
        rank: Rank::new(asker.priority, asker.arrival),
        priority: asker.priority,
        deadline: asker.deadline,
        fit: asker.fit,
    }
}

fn shares_account(one: &UpstreamRules, other: &UpstreamRules) -> bool {
    match (&one.account, &other.account) {
        (AccountRule::Named(one), AccountRule::Named(other)) => one == other,
        _ => Arc::ptr_eq(&one.name, &other.name),
    }
}

/// Allowances of the same name are one in a shared account.
fn place_of(scopes: &mut Vec<ScopeRule>, allowance: &Allowance) -> u8 {
    let same = |rule: &ScopeRule| match rule {
        ScopeRule::Allowance(known) => known.name == allowance.name,
        ScopeRule::Upstream(..) | ScopeRule::Ramp(_) => false,
    };
    let place = scopes.iter().position(same).unwrap_or_else(|| {
        scopes.push(ScopeRule::Allowance(allowance.clone()));
        scopes.len() - 1
    });
    u8::try_from(place).unwrap_or(u8::MAX)
}

fn next(scopes: &[ScopeRule]) -> u8 {
    u8::try_from(scopes.len()).unwrap_or(u8::MAX)
}

/// A client's own limit is an account of its own, with a single allowance.
fn client_account(limit: &Allowance, (numbers, clock): (&AtomicU32, Clock)) -> Arc<Account> {
    /// Calls of one client that wait for its own limit.
    const QUEUE_MAX: usize = 1_000;
    let limit = Allowance { mode: Mode::Enforce, ..limit.clone() };
    let upstream = [Scope::upstream(&limit.name, Calls::All), Scope::ramp(&limit.name)];
    let scopes = upstream.into_iter().chain([Scope::allowance(&limit)]).collect();
    let number = numbers.fetch_add(1, Ordering::Relaxed);
    Arc::new(Account::new(State::new(scopes, QUEUE_MAX, number), sole(), clock))
}
