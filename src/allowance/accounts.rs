//! All accounts: which one a call belongs to, and what the call needs of it.
//!
//! An account outlives its calls. Only accounts told apart by a header are ever forgotten, once
//! they have no occupied slot, hold or waiting call; they are in `header_accounts.rs`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;

use super::account::Account;
use super::account_state::AccountState;
use super::calendar::WallClock;
use super::header_accounts::{AccountCapacity, HeaderAccounts};
use super::scope::Scope;
use super::scope_layout::{ScopeLayout, client_scopes, client_slot_request};
use super::settings::{AccountRule, Allowance, Mode, QueueBounds, UpstreamAllowances};
use super::slot_request::{Scheduling, SlotRequest};
use super::view::AccountView;
use crate::clock::Clock;
use crate::routing::method::CallMethod;
use crate::routing::route::CallPath;

/// The most calls of one client that wait for its own limit.
const CLIENT_QUEUE: QueueBounds = QueueBounds::of_one_client(1_000);

/// The wall clock has been set if it is this far from where it should be; less is well within the
/// guard around the boundaries of periods.
const CLOCK_SET: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub struct Accounts {
    upstreams: Vec<UpstreamAccounts>,
    /// The accounts of clients with a limit of their own.
    clients: Vec<Option<Arc<Account>>>,
    capacity: AccountCapacity,
    factory: AccountFactory,
}

#[derive(Debug)]
struct UpstreamAccounts {
    layout: ScopeLayout,
    queue: QueueBounds,
    /// The account of calls that no header tells apart.
    sole: Arc<Account>,
    by_header: Option<HeaderAccounts>,
}

/// Opens accounts, each with a number of its own.
#[derive(Debug)]
struct AccountFactory {
    opened: AtomicU32,
    clock: Clock,
    /// What the wall clock was last seen to show.
    wall: Mutex<WallClock>,
}

impl AccountFactory {
    fn new(clock: Clock) -> Self {
        Self { opened: AtomicU32::new(0), clock, wall: Mutex::new(wall_clock(clock)) }
    }

    fn wall(&self) -> WallClock {
        *self.wall.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, scopes: Vec<Scope>, queue: QueueBounds, key: Arc<str>) -> Arc<Account> {
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        let state = AccountState::new(scopes, queue, number);
        Arc::new(Account::new(state, key, self.clock))
    }
}

impl Accounts {
    /// The accounts of these upstreams, and of the clients that have a limit of their own.
    #[must_use]
    pub fn new(
        upstreams: &[UpstreamAllowances],
        client_limits: &[Option<Allowance>],
        accounts_max: usize,
        clock: Clock,
    ) -> Self {
        let factory = AccountFactory::new(clock);
        let mut named = HashMap::new();
        let opened = |own| UpstreamAccounts::new(own, upstreams, &mut named, &factory);
        let opened = upstreams.iter().map(opened).collect();
        let client = |limit: &Allowance| {
            let limit = Allowance { mode: Mode::Enforce, ..limit.clone() };
            factory.open(client_scopes(&limit, factory.wall()), CLIENT_QUEUE, "".into())
        };
        let clients = client_limits.iter().map(|limit| limit.as_ref().map(client)).collect();
        let capacity = AccountCapacity::new(accounts_max);
        Self { upstreams: opened, clients, capacity, factory }
    }

    /// The account that a call belongs to.
    #[must_use]
    pub fn account(&self, upstream: usize, headers: &HeaderMap) -> Arc<Account> {
        let accounts = &self.upstreams[upstream];
        let Some(by_header) = &accounts.by_header else { return Arc::clone(&accounts.sole) };
        let value = headers.get(by_header.header()).map(http::HeaderValue::as_bytes);
        // To the vendor too, a blank value names no account.
        let Some(key) = value.filter(|value| !value.trim_ascii().is_empty()) else {
            return Arc::clone(&accounts.sole);
        };
        by_header.find(key).unwrap_or_else(|| self.open(accounts, by_header, key))
    }

    /// What a call needs of its account.
    #[must_use]
    pub fn slot_request<'m>(
        &self,
        upstream: usize,
        method: impl Into<CallMethod<'m>>,
        path: CallPath<'_>,
        scheduling: Scheduling,
    ) -> SlotRequest {
        self.upstreams[upstream].layout.slot_request(method.into(), path, scheduling)
    }

    /// The account of a client's own limit, and what a call needs of it.
    #[must_use]
    pub fn client_limit(
        &self,
        client: usize,
        scheduling: Scheduling,
    ) -> Option<(&Arc<Account>, SlotRequest)> {
        let account = self.clients.get(client)?.as_ref()?;
        Some((account, client_slot_request(scheduling)))
    }

    /// Reopens the scopes that the hold of this id closes; returns whether there is one.
    #[must_use]
    pub fn release_hold(&self, id: u64) -> bool {
        self.all().iter().any(|(_, account)| account.release_hold(id))
    }

    /// What the API, the metrics and the live page show.
    #[must_use]
    pub fn view(&self) -> Vec<AccountView> {
        let view = |(upstreams, account): (Vec<usize>, Arc<Account>)| {
            let tables = self.upstreams.iter().filter_map(|upstream| upstream.by_header.as_ref());
            let overflow_calls = tables.filter_map(|it| it.overflow_calls(&account)).next();
            account.view(upstreams, overflow_calls)
        };
        self.all().into_iter().map(view).collect()
    }

    /// Whether any allowance is counted by the calendar, so that the wall clock matters.
    #[must_use]
    pub fn count_by_calendar(&self) -> bool {
        self.upstreams.iter().any(|upstream| upstream.layout.counts_by_calendar())
    }

    /// Looks at the wall clock, which decides when calendar periods begin, and tells all accounts
    /// when it was set.
    pub fn follow_wall_clock(&self) {
        let wall = wall_clock(self.factory.clock);
        let mut known = self.factory.wall.lock().unwrap_or_else(PoisonError::into_inner);
        if wall.difference(*known) < CLOCK_SET {
            return;
        }
        *known = wall;
        drop(known);
        let clients = self.clients.iter().flatten();
        clients.for_each(|account| account.set_wall_clock(wall));
        self.all().iter().for_each(|(_, account)| account.set_wall_clock(wall));
    }

    /// Every upstream's accounts with the numbers of the upstreams that use them.
    fn all(&self) -> Vec<(Vec<usize>, Arc<Account>)> {
        let mut all: Vec<(Vec<usize>, Arc<Account>)> = Vec::new();
        for (number, upstream) in self.upstreams.iter().enumerate() {
            match all.iter_mut().find(|(_, known)| Arc::ptr_eq(known, &upstream.sole)) {
                Some((upstreams, _)) => upstreams.push(number),
                None => all.push((vec![number], Arc::clone(&upstream.sole))),
            }
            let by_header = upstream.by_header.iter().flat_map(HeaderAccounts::all);
            all.extend(by_header.map(|account| (vec![number], account)));
        }
        all
    }

    #[cold]
    fn open(
        &self,
        upstream: &UpstreamAccounts,
        table: &HeaderAccounts,
        key: &[u8],
    ) -> Arc<Account> {
        let now = self.factory.clock.now();
        if self.capacity.may_sweep(now) {
            let tables = self.upstreams.iter().filter_map(|upstream| upstream.by_header.as_ref());
            self.capacity.release(tables.map(|table| table.sweep(now)).sum());
        }
        table.open(key, &self.capacity, now, |key| upstream.open(key, &self.factory))
    }
}

fn wall_clock(clock: Clock) -> WallClock {
    let shows = Timestamp::try_from(clock.wall()).unwrap_or(Timestamp::MIN);
    WallClock { moment: clock.now(), shows }
}

impl UpstreamAccounts {
    fn new(
        own: &UpstreamAllowances,
        all: &[UpstreamAllowances],
        named: &mut HashMap<Arc<str>, Arc<Account>>,
        factory: &AccountFactory,
    ) -> Self {
        let layout = ScopeLayout::new(own, all);
        let open = |key: &str| factory.open(layout.scopes(factory.wall()), own.queue, key.into());
        let (sole, by_header) = match &own.account {
            AccountRule::Named(name) => {
                let account = named.entry(Arc::clone(name)).or_insert_with(|| open(""));
                (Arc::clone(account), None)
            }
            AccountRule::Upstream => (open(""), None),
            AccountRule::Header(header) => {
                (open(""), Some(HeaderAccounts::new(header.clone(), open("(overflow)"))))
            }
        };
        Self { layout, queue: own.queue, sole, by_header }
    }

    fn open(&self, key: Arc<str>, factory: &AccountFactory) -> Arc<Account> {
        factory.open(self.layout.scopes(factory.wall()), self.queue, key)
    }
}
