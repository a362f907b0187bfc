//! All accounts: which one a call belongs to, and what the call needs of it.
//!
//! An account outlives its calls, and the configuration: each configuration has an [`Accounts`] of
//! its own, which continues the accounts of the one before. Only accounts told apart by a header
//! are ever forgotten, once they have no occupied slot, hold or waiting call; they are in
//! `header_accounts.rs`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;

use super::account::Account;
use super::account_state::AccountState;
use super::calendar::WallClock;
use super::charge::CostClass;
use super::cost_rule::CostRule;
use super::header_accounts::{AccountCapacity, HeaderAccounts};
use super::refusal::CostExceeded;
use super::renewal::{groups, predecessors};
use super::scope_layout::{Member, ScopeLayout, ScopesExhausted, UpstreamNeeds, Versions};
use super::settings::{
    AccountRule, Allowance, ClientAllowance, Grant, Mode, QueueBounds, UpstreamAllowances,
};
use super::slot_request::{Scheduling, SlotRequest};
use super::store::{AccountStore, Records, StartKind};
use super::view::UsageView;
use crate::clock::Clock;
use crate::routing::call_matcher::CallHead;
use crate::routing::client::client_id;

/// The most calls of one client that wait for its own limit.
const CLIENT_QUEUE: QueueBounds = QueueBounds::of_one_client(1_000);

/// The wall clock has been set if it is this far from where it should be; less is well within the
/// guard around the boundaries of periods.
const CLOCK_SET: Duration = Duration::from_millis(100);

/// The accounts as one configuration uses them.
#[derive(Debug)]
pub struct Accounts {
    pub(super) upstreams: Vec<UpstreamAccounts>,
    /// The accounts of clients with a limit of their own.
    clients: Vec<Option<UpstreamAccounts>>,
    /// The names of the clients, by what tells them apart in a queue.
    pub(super) client_names: HashMap<u64, Arc<str>>,
    capacity: Arc<AccountCapacity>,
    factory: Arc<AccountFactory>,
    version: u32,
    /// Lives as long as this configuration is used.
    in_use: Arc<()>,
    /// The former configurations that calls under way may still use.
    older: Vec<(u32, Weak<()>)>,
}

#[derive(Debug)]
pub(super) struct UpstreamAccounts {
    pub(super) rules: UpstreamAllowances,
    needs: UpstreamNeeds,
    /// The account of calls that no header tells apart.
    pub(super) sole: Arc<Account>,
    pub(super) by_header: Option<Arc<HeaderAccounts>>,
}

/// Opens accounts, each with a number of its own.
#[derive(Debug)]
struct AccountFactory {
    opened: AtomicU32,
    clock: Clock,
    store: Option<AccountStore>,
    /// What the wall clock was last seen to show.
    wall: Mutex<WallClock>,
}

impl AccountFactory {
    fn new(clock: Clock, store: Option<AccountStore>) -> Self {
        Self { opened: AtomicU32::new(0), clock, store, wall: Mutex::new(wall_clock(clock)) }
    }

    fn wall(&self) -> WallClock {
        *self.wall.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An account that is kept in memory only, such as one with a client's own limit.
    fn open(&self, layout: Arc<ScopeLayout>, queue: QueueBounds, key: Arc<str>) -> Account {
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        let scopes = layout.scopes(self.wall());
        let state = AccountState::new(layout, scopes, queue, number);
        Account::new(state, key, self.clock)
    }

    /// The same, recorded or shared under this key where anything is.
    fn stored(&self, account: Account, key: impl Into<Arc<str>>) -> Account {
        match &self.store {
            Some(AccountStore::Journal(records)) => {
                account.recorded_in(Arc::clone(records), key.into())
            }
            Some(AccountStore::Shared(shared)) => account.shared_as(&shared.settings, key.into()),
            None => account,
        }
    }

    /// From now on, what it shares is exchanged with the store.
    fn join(&self, account: &Arc<Account>) {
        if let Some(AccountStore::Shared(shared)) = &self.store {
            shared.open(account);
        }
    }

    fn records(&self) -> Option<&Arc<Records>> {
        match &self.store {
            Some(AccountStore::Journal(records)) => Some(records),
            Some(AccountStore::Shared(_)) | None => None,
        }
    }
}

/// The party that grants what an account counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CountedBy {
    Vendor,
    /// It is the limit that we impose on a client.
    Us,
}

/// The accounts that upstreams share, as a configuration changes them.
struct AccountGroup {
    members: Vec<usize>,
    /// The accounts that are continued.
    accounts: Option<(Arc<Account>, Option<Arc<HeaderAccounts>>)>,
    layout: Arc<ScopeLayout>,
    /// Accounts that are not continued, in whose place these are.
    earlier: Vec<Arc<Account>>,
}

impl Accounts {
    /// The accounts of these upstreams, and of the clients that have a limit of their own.
    ///
    /// # Panics
    /// An account has more scopes than [`SCOPES_MAX`](super::SCOPES_MAX), which configuration
    /// rejects.
    #[must_use]
    pub fn new(
        upstreams: &[UpstreamAllowances],
        clients: &[ClientAllowance],
        accounts_max: usize,
        clock: Clock,
    ) -> Self {
        Self::with_store(upstreams, clients, accounts_max, clock, None)
    }

    /// The same; what the vendor counts is also kept elsewhere, and what is known there counts.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    #[must_use]
    pub fn with_store(
        upstreams: &[UpstreamAllowances],
        clients: &[ClientAllowance],
        accounts_max: usize,
        clock: Clock,
        store: Option<AccountStore>,
    ) -> Self {
        let none = Self {
            upstreams: Vec::new(),
            clients: Vec::new(),
            client_names: HashMap::new(),
            capacity: Arc::new(AccountCapacity::new(accounts_max)),
            factory: Arc::new(AccountFactory::new(clock, store)),
            version: 0,
            in_use: Arc::default(),
            older: Vec::new(),
        };
        let renewed = none.renewed(upstreams, clients, accounts_max);
        renewed.expect("configuration bounds the scopes of an account")
    }

    /// The accounts under a changed configuration, which is in force for them from now on, for the
    /// calls of this one too.
    ///
    /// # Errors
    /// An account has no numbers left for new scopes. Then nothing has changed.
    pub fn renewed(
        &self,
        upstreams: &[UpstreamAllowances],
        clients: &[ClientAllowance],
        accounts_max: usize,
    ) -> Result<Self, ScopesExhausted> {
        let mut older = self.older.clone();
        older.push((self.version, Arc::downgrade(&self.in_use)));
        older.retain(|(_, in_use)| in_use.strong_count() > 0);
        let new = self.version + 1;
        let oldest = older.iter().map(|(version, _)| *version).min().unwrap_or(new);
        let versions = Versions { new, oldest };
        let limits: Vec<_> = clients.iter().filter_map(limit_rules).collect();
        let upstream_groups =
            plan(upstreams, &self.upstreams.iter().collect::<Vec<_>>(), versions)?;
        let limited: Vec<_> = self.clients.iter().flatten().collect();
        let client_groups = plan(&limits, &limited, versions)?;
        self.capacity.set_max(accounts_max);
        let upstreams = self.apply(CountedBy::Vendor, upstreams, upstream_groups);
        let mut limits = self.apply(CountedBy::Us, &limits, client_groups).into_iter();
        let names = clients.iter().map(|it| (client_id(&it.name), Arc::clone(&it.name)));
        let client_names = names.collect();
        let clients = clients.iter().map(|it| it.limit.as_ref().and_then(|_| limits.next()));
        Ok(Self {
            upstreams,
            clients: clients.collect(),
            client_names,
            capacity: Arc::clone(&self.capacity),
            factory: Arc::clone(&self.factory),
            version: new,
            in_use: Arc::default(),
            older,
        })
    }

    /// Puts the planned layouts into force, and opens the accounts that are new.
    fn apply(
        &self,
        by: CountedBy,
        rules: &[UpstreamAllowances],
        groups: Vec<AccountGroup>,
    ) -> Vec<UpstreamAccounts> {
        let mut opened: Vec<Option<UpstreamAccounts>> = rules.iter().map(|_| None).collect();
        for AccountGroup { members, accounts, layout, earlier } in groups {
            let first = &rules[members[0]];
            if let Some(records) = self.factory.records().filter(|_| by == CountedBy::Vendor) {
                if let Some((sole, _)) = &accounts {
                    records.rename(&sole.group(), &layout.group);
                }
                let all: Vec<_> = members.iter().flat_map(|it| &rules[*it].allowances).collect();
                let start = match self.version {
                    0 => StartKind::Process,
                    _ => StartKind::Reload(self.factory.clock.now()),
                };
                records.enter(&layout.group, &all, start);
            }
            let (sole, by_header) = accounts.unwrap_or_else(|| self.open_group(by, first, &layout));
            let wall = self.factory.wall();
            sole.reconfigure(&layout, first.queue, wall);
            if let Some(by_header) = &by_header {
                by_header.reconfigure(&layout, first.queue, wall);
            }
            // First, so that nothing is spent there that is not counted here.
            earlier.iter().for_each(|account| account.supersede());
            // Accounts that are opened later take over what the overflow account has spent.
            for account in by_header.iter().map(|it| it.overflow()).chain([&sole]) {
                account.count_elsewhere(&earlier);
                account.take_holds_of(&earlier);
            }
            for member in members {
                opened[member] = Some(UpstreamAccounts {
                    rules: rules[member].clone(),
                    needs: UpstreamNeeds::new(&layout, &rules[member]),
                    sole: Arc::clone(&sole),
                    by_header: by_header.clone(),
                });
            }
        }
        opened.into_iter().flatten().collect()
    }

    fn open_group(
        &self,
        by: CountedBy,
        rules: &UpstreamAllowances,
        layout: &Arc<ScopeLayout>,
    ) -> (Arc<Account>, Option<Arc<HeaderAccounts>>) {
        let open = |key: &str| {
            let account = self.factory.open(Arc::clone(layout), rules.queue, key.into());
            let account = match by {
                CountedBy::Vendor => self.factory.stored(account, key),
                CountedBy::Us => account,
            };
            account.begin();
            let account = Arc::new(account);
            self.factory.join(&account);
            account
        };
        let by_header = match &rules.account {
            AccountRule::Named(_) | AccountRule::Upstream => None,
            AccountRule::Header(header) => Some(Arc::new(HeaderAccounts::new(
                header.clone(),
                open("(overflow)"),
                rules.queue,
                Arc::clone(&self.capacity),
            ))),
        };
        (open(""), by_header)
    }

    /// The account that a call belongs to.
    #[must_use]
    pub fn account(&self, upstream: usize, headers: &HeaderMap) -> Arc<Account> {
        let accounts = &self.upstreams[upstream];
        let Some((by_header, key)) = accounts.key_of(headers) else {
            return Arc::clone(&accounts.sole);
        };
        by_header.find(key).unwrap_or_else(|| self.open(by_header, key))
    }

    /// What a client sees of the allowances that its calls to an upstream need. An account that is
    /// not open yet would begin with what the overflow account has spent.
    #[must_use]
    pub fn usage(&self, upstream: usize, headers: &HeaderMap, scheduling: Scheduling) -> UsageView {
        let accounts = &self.upstreams[upstream];
        let account = match accounts.key_of(headers) {
            Some((by_header, key)) => {
                by_header.find(key).unwrap_or_else(|| Arc::clone(by_header.overflow()))
            }
            None => Arc::clone(&accounts.sole),
        };
        account.usage(&accounts.needs.plain_request(scheduling))
    }

    /// What a client sees of its own limit, if it has one.
    #[must_use]
    pub fn client_usage(&self, client: usize, scheduling: Scheduling) -> Option<UsageView> {
        let (account, request) = self.client_limit(client, scheduling)?;
        Some(account.usage(&request))
    }

    /// What a call needs of its account.
    #[must_use]
    pub fn slot_request<'m>(
        &self,
        upstream: usize,
        call: impl Into<CallHead<'m>>,
        scheduling: Scheduling,
    ) -> SlotRequest {
        self.upstreams[upstream].needs.slot_request(call.into(), scheduling)
    }

    /// The costs that allowances of an upstream count beside calls.
    #[must_use]
    pub fn costs(&self, upstream: usize) -> &[(CostClass, Arc<CostRule>)] {
        self.upstreams[upstream].needs.costs()
    }

    /// The allowance that can never grant what a call costs, if there is one.
    #[must_use]
    pub fn exceeded_by(&self, upstream: usize, request: &SlotRequest) -> Option<CostExceeded> {
        self.upstreams[upstream].needs.exceeded_by(request)
    }

    /// The account of a client's own limit, and what a call needs of it.
    #[must_use]
    pub fn client_limit(
        &self,
        client: usize,
        scheduling: Scheduling,
    ) -> Option<(&Arc<Account>, SlotRequest)> {
        let limit = self.clients.get(client)?.as_ref()?;
        Some((&limit.sole, limit.needs.client_request(scheduling)))
    }

    /// Whether any allowance is counted by the calendar, so that the wall clock matters.
    #[must_use]
    pub fn count_by_calendar(&self) -> bool {
        let allowances = self.upstreams.iter().flat_map(|upstream| &upstream.rules.allowances);
        allowances.into_iter().any(|it| matches!(it.grant, Grant::Calendar { .. }))
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
        clients.for_each(|it| it.sole.set_wall_clock(wall));
        self.all().iter().for_each(|(_, account)| account.set_wall_clock(wall));
    }

    /// The accounts whose allowances are recorded.
    pub(super) fn recorded(&self) -> Vec<Arc<Account>> {
        self.all().into_iter().map(|(_, account)| account).collect()
    }

    #[cold]
    fn open(&self, table: &HeaderAccounts, key: &[u8]) -> Arc<Account> {
        let now = self.factory.clock.now();
        if self.capacity.may_sweep(now) {
            let tables = self.upstreams.iter().filter_map(|upstream| upstream.by_header.as_ref());
            self.capacity.release(tables.map(|table| table.sweep(now)).sum());
        }
        let account = table.open(key, now, |layout, queue, key| {
            // A value that a client chooses is never the key of another account.
            let record_key = format!("={key}");
            Arc::new(self.factory.stored(self.factory.open(layout, queue, key), record_key))
        });
        self.factory.join(&account);
        account
    }
}

fn wall_clock(clock: Clock) -> WallClock {
    let shows = Timestamp::try_from(clock.wall()).unwrap_or(Timestamp::MIN);
    WallClock { moment: clock.now(), shows }
}

impl UpstreamAccounts {
    /// The header that tells its accounts apart, and its value in these headers.
    fn key_of<'a>(&'a self, headers: &'a HeaderMap) -> Option<(&'a HeaderAccounts, &'a [u8])> {
        let by_header = self.by_header.as_deref()?;
        let key = headers.get(by_header.header())?.as_bytes();
        // To the vendor too, a blank value names no account.
        (!key.trim_ascii().is_empty()).then_some((by_header, key))
    }

    /// Whether both use the same accounts.
    fn shares(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.sole, &other.sole)
    }

    /// All its accounts.
    pub(super) fn all(&self) -> Vec<Arc<Account>> {
        let by_header = self.by_header.iter().flat_map(|table| table.all());
        std::iter::once(Arc::clone(&self.sole)).chain(by_header).collect()
    }
}

/// A client's own limit, as the allowance of an account.
fn limit_rules(client: &ClientAllowance) -> Option<UpstreamAllowances> {
    let limit = Allowance { mode: Mode::Enforce, ..client.limit.clone()? };
    Some(UpstreamAllowances {
        name: Arc::clone(&client.name),
        url: "".into(),
        account: AccountRule::Upstream,
        allowances: vec![limit],
        queue: CLIENT_QUEUE,
    })
}

/// Which accounts are continued, with which scopes. Changes nothing.
fn plan(
    rules: &[UpstreamAllowances],
    before: &[&UpstreamAccounts],
    versions: Versions,
) -> Result<Vec<AccountGroup>, ScopesExhausted> {
    let former: Vec<_> = before.iter().map(|it| &it.rules).collect();
    let predecessors = predecessors(rules, &former);
    let predecessor = |member: &usize| predecessors[*member].map(|number| before[number]);
    let plan_group = |members: Vec<usize>| {
        // Where the upstreams of an account part, none of the parts continues it.
        let keeps_all = |it: &&UpstreamAccounts| {
            let uses = |member: &usize| predecessor(member).is_some_and(|other| other.shares(it));
            (0..rules.len()).filter(uses).all(|member| members.contains(&member))
        };
        let rule = &rules[members[0]].account;
        let of_name = before.iter().copied().find(|it| match rule {
            AccountRule::Named(_) => it.rules.account == *rule,
            AccountRule::Upstream | AccountRule::Header(_) => false,
        });
        let of_members = members.iter().filter_map(predecessor);
        let mut candidates = of_name.into_iter().chain(of_members);
        let continued =
            candidates.find(|it| it.rules.account.is_continued_by(rule) && keeps_all(it));
        let mut earlier: Vec<Arc<Account>> = Vec::new();
        let mut of_group = Vec::new();
        for member in &members {
            let predecessor = predecessor(member);
            let same = predecessor.filter(|it| continued.is_some_and(|kept| kept.shares(it)));
            let other = predecessor.filter(|_| same.is_none());
            for account in other.iter().flat_map(|it| it.all()) {
                if !earlier.iter().any(|known| Arc::ptr_eq(known, &account)) {
                    earlier.push(account);
                }
            }
            let before = same.map(|it| Arc::clone(&it.rules.name));
            of_group.push(Member { upstream: &rules[*member], before });
        }
        let layout = continued.map(|it| it.sole.layout()).unwrap_or_default();
        let layout = Arc::new(layout.renewed(&of_group, versions)?);
        let accounts = continued.map(|it| (Arc::clone(&it.sole), it.by_header.clone()));
        Ok(AccountGroup { members, accounts, layout, earlier })
    };
    groups(rules).into_iter().map(plan_group).collect()
}
