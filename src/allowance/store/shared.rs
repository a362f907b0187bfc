//! Keeps accounts that replicas share in step with their store, on the control thread: a task for
//! each account, which sleeps until units are needed or a lease has to be renewed.

use std::fmt::{self, Display};
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::allowance::account::Account;
use crate::allowance::recovered::ASSUMED_SPENT_MAX;
use crate::allowance::settings::{FirstStart, StoreSettings, UpstreamAllowances};
use crate::allowance::shared::session::{Received, Reply, Request, Session};
use crate::allowance::shared::state::Grant;
use crate::clock::Clock;
use crate::time::{Moment, with_jitter};

/// A store that replicas share. It knows the time, holds two texts for each account, and writes
/// them on condition that they have not changed.
pub trait SharedStore: Send + Sync + 'static {
    type Error: Display + Send;

    /// Whether it keeps what it is told.
    ///
    /// # Errors
    /// It may not, or it does not answer.
    fn check(&self) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Whether an error is one that only an operator can mend.
    fn is_final(error: &Self::Error) -> bool;

    /// # Errors
    /// There is no answer: whether anything was written is not known.
    fn ask(
        &self,
        account: &str,
        request: &Request,
    ) -> impl Future<Output = Result<Reply, Self::Error>> + Send;
}

/// How often the store is read before it counts as away at the start.
const FIRST_READS_MAX: usize = 5;

/// How often a round trip is tried in a row if other replicas keep writing first.
const TRIES_MAX: usize = 20;

/// A store that is away is asked again after this time at first, and after twice as long each time.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(1);

/// How long the last round trips may take when the program stops.
const LAST_ROUND_TRIPS_MAX: Duration = Duration::from_secs(1);

const FORGOTTEN: &str = "the store of allowances was emptied, set back or replaced, or its clock was \
    set: what it may have granted counts as used, for a window at most";

const STORE_AWAY: &str = "the store of allowances cannot be used: until it can, this replica goes \
    on with its reserve, and refuses calls where it has none";

/// Why allowances cannot be shared.
#[derive(Debug)]
pub enum SharingError {
    Store(String),
    /// The store is empty, and the windows of these allowances are long.
    UnknownPast(Vec<Arc<str>>),
}

impl Display for SharingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => write!(f, "the store of allowances cannot be used: {error}"),
            Self::UnknownPast(allowances) => write!(
                f,
                "the store of allowances is empty, so that nothing is known of what was spent of \
                 `{}`. Set `store.first_start` to `spent` if it may have been used already, and to \
                 `unused` for this start if it has not",
                allowances.join("`, `")
            ),
        }
    }
}

impl std::error::Error for SharingError {}

/// What accounts know of the store in which they are shared.
#[derive(Debug)]
pub struct SharedAccounts {
    pub(in crate::allowance) settings: Arc<StoreSettings>,
    /// Accounts that were opened and have no task yet; as many as there may be accounts.
    opened: Mutex<Vec<(Weak<Account>, Arc<Notify>)>>,
    has_opened: Notify,
}

impl SharedAccounts {
    /// An account was opened.
    pub(in crate::allowance) fn open(&self, account: &Arc<Account>) {
        if let Some(notify) = account.join() {
            self.lock().push((Arc::downgrade(account), notify));
            self.has_opened.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Weak<Account>, Arc<Notify>)>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Draws a number in 0..1.
pub type Chance = Box<dyn Fn() -> f64 + Send + Sync>;

/// Keeps shared accounts in step with a store.
pub struct Sharing<S> {
    parts: Arc<Parts<S>>,
    accounts: Arc<SharedAccounts>,
}

struct Parts<S> {
    store: S,
    settings: Arc<StoreSettings>,
    replica: Arc<str>,
    clock: Clock,
    chance: Chance,
    /// The latest round trip failed.
    is_away: AtomicBool,
}

impl<S> fmt::Debug for Sharing<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sharing").field("accounts", &self.accounts).finish_non_exhaustive()
    }
}

impl<S: SharedStore> Sharing<S> {
    /// `replica` tells this process apart from all others.
    pub fn new(
        store: S,
        settings: Arc<StoreSettings>,
        clock: Clock,
        (replica, chance): (u128, Chance),
    ) -> Self {
        let accounts = SharedAccounts {
            settings: Arc::clone(&settings),
            opened: Mutex::default(),
            has_opened: Notify::new(),
        };
        let parts = Parts {
            store,
            settings,
            replica: format!("{replica:032x}").into(),
            clock,
            chance,
            is_away: AtomicBool::new(false),
        };
        Self { parts: Arc::new(parts), accounts: Arc::new(accounts) }
    }

    /// What accounts need of it.
    #[must_use]
    pub fn accounts(&self) -> Arc<SharedAccounts> {
        Arc::clone(&self.accounts)
    }

    /// Looks at the store before any call is served. If it is away, calls are served without it.
    ///
    /// # Errors
    /// It cannot be used as it is, or it has to be said from what long windows begin in it.
    pub async fn begin(&self, upstreams: &[UpstreamAllowances]) -> Result<(), SharingError> {
        let store = &self.parts.store;
        let mut checked = store.check().await.map(|()| None);
        for _ in 0..FIRST_READS_MAX {
            if checked.as_ref().is_ok_and(Option::is_none) {
                match store.ask("", &Request::Read).await {
                    Ok(reply) => checked = Ok(Some(reply)),
                    // Opening a connection may take longer than an answer.
                    Err(error) if S::is_final(&error) => checked = Err(error),
                    Err(_) => {}
                }
            }
        }
        match checked {
            Err(error) if S::is_final(&error) => Err(SharingError::Store(error.to_string())),
            Err(error) => {
                self.parts.is_away.store(true, Ordering::Relaxed);
                tracing::error!(%error, "{STORE_AWAY}");
                Ok(())
            }
            Ok(reply) => {
                let header = reply.and_then(|it| it.found).map(|it| it.header);
                let is_empty = header.is_none_or(|header| header.is_empty());
                let all = upstreams.iter().flat_map(|it| &it.allowances);
                let long =
                    all.filter(|it| it.grant.length().is_some_and(|it| ASSUMED_SPENT_MAX < it));
                let long: Vec<_> = long.map(|it| Arc::clone(&it.name)).collect();
                let undecided = is_empty && self.parts.settings.first_start.is_none();
                if undecided && !long.is_empty() {
                    return Err(SharingError::UnknownPast(long));
                }
                Ok(())
            }
        }
    }

    /// Keeps all accounts that are opened, until it is stopped.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let (stopping, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                () = self.accounts.has_opened.notified() => {
                    for (account, notify) in std::mem::take(&mut *self.accounts.lock()) {
                        let keeper = Keeper::new(Arc::clone(&self.parts), account, notify);
                        tasks.spawn(keeper.run(stopped.clone()));
                    }
                }
                Some(_) = tasks.join_next() => {}
                () = &mut stop => break,
            }
        }
        let _ = stopping.send(true);
        let ended = async { while tasks.join_next().await.is_some() {} };
        if self.parts.clock.within(LAST_ROUND_TRIPS_MAX, ended).await.is_none() {
            tracing::warn!(
                "the last use of allowances is not reported to the store: the units of this \
                 replica are free again when its leases end"
            );
        }
    }
}

/// Keeps one account in step.
struct Keeper<S> {
    parts: Arc<Parts<S>>,
    account: Weak<Account>,
    notify: Arc<Notify>,
    session: Session,
    failures: u32,
    /// The limits of other replicas that were lower, by allowance.
    lower_limits: Vec<(Arc<str>, u32)>,
}

/// What a round trip is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Lease,
    /// The program ends.
    Leave,
}

impl<S: SharedStore> Keeper<S> {
    fn new(parts: Arc<Parts<S>>, account: Weak<Account>, notify: Arc<Notify>) -> Self {
        let first_start = parts.settings.first_start.unwrap_or(FirstStart::Spent);
        let session = Session::new(Arc::clone(&parts.replica), first_start);
        Self { parts, account, notify, session, failures: 0, lower_limits: Vec::new() }
    }

    async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        let clock = self.parts.clock;
        // At once, so that there is a reserve before the store is first missed.
        let mut wakes = clock.now();
        loop {
            let is_leaving = tokio::select! {
                () = self.notify.notified(), if self.failures == 0 => false,
                () = clock.sleep_until(wakes) => false,
                _ = stopped.wait_for(|stopped| *stopped) => true,
            };
            let Some(account) = self.account.upgrade() else { return };
            if is_leaving {
                self.keep_in_step(&account, Purpose::Leave).await;
                return;
            }
            wakes = self.keep_in_step(&account, Purpose::Lease).await;
        }
    }

    /// Returns when the next one is due.
    async fn keep_in_step(&mut self, account: &Account, purpose: Purpose) -> Moment {
        let clock = self.parts.clock;
        for _ in 0..TRIES_MAX {
            let asked = clock.now();
            let (request, grants) = match self.session.preparation(asked) {
                Some(request) => (request, Vec::new()),
                None => {
                    let time = *self.session.time().expect("it has been read");
                    let asks = match purpose {
                        Purpose::Lease => account.asks(&time, asked),
                        Purpose::Leave => account.last_asks(&time, asked),
                    };
                    if asks.is_empty() {
                        return Moment::NEVER;
                    }
                    self.session.propose(&asks, asked)
                }
            };
            let asked_store = self.parts.store.ask(account.store_name(), &request);
            let reply = match asked_store.await {
                Ok(reply) => reply,
                Err(error) => return self.failed(account, &error),
            };
            let now = clock.now();
            match self.session.receive(&request, reply, [asked, now]) {
                Err(foreign) => return self.failed(account, &foreign),
                Ok(Received::Read { earlier_was_written }) => {
                    if earlier_was_written {
                        account.asks_were_noted();
                    }
                    if self.session.has_forgotten() {
                        tracing::warn!("{FORGOTTEN}");
                    }
                }
                Ok(Received::Written) if matches!(request, Request::Write { .. }) => {
                    self.succeeded();
                    self.report_lower_limits(account, &grants);
                    let time = self.session.time().expect("it has been read");
                    return account.take_grants(grants, time, asked);
                }
                Ok(Received::Written) => {}
            }
        }
        self.failed(account, &"other replicas keep writing first")
    }

    /// Replicas may be configured differently: the lowest limit binds.
    fn report_lower_limits(&mut self, account: &Account, grants: &[Grant]) {
        let lower: Vec<_> = grants.iter().filter_map(Grant::lower_limit).collect();
        if lower != self.lower_limits {
            for (allowance, limit) in &lower {
                tracing::warn!(
                    account = account.store_name(),
                    %allowance,
                    limit,
                    "another replica has a lower limit for the same allowance, which binds"
                );
            }
            self.lower_limits = lower;
        }
    }

    fn failed(&mut self, account: &Account, error: &dyn Display) -> Moment {
        self.session.unanswered();
        account.store_is_away();
        if !self.parts.is_away.swap(true, Ordering::Relaxed) {
            tracing::error!(%error, "{STORE_AWAY}");
        }
        let pause = RETRY_FIRST.saturating_mul(1 << self.failures.min(5)).min(RETRY_MAX);
        self.failures = self.failures.saturating_add(1);
        let pause = with_jitter(pause, (self.parts.chance)());
        self.parts.clock.now().plus(pause)
    }

    fn succeeded(&mut self) {
        self.failures = 0;
        if self.parts.is_away.swap(false, Ordering::Relaxed) {
            tracing::info!("the store of allowances can be used again");
        }
    }
}
