//! A live account: its state behind one short lock, and the tasks of waiting calls.
//!
//! Nothing is awaited under the lock, and tasks are woken after it is released. There is no thread
//! and no polling: the task of one waiting call keeps the account's timer.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::Notify;

use super::account_state::{AccountState, AdmissionDecision};
use super::bottleneck::Bottleneck;
use super::calendar::WallClock;
use super::hold::HoldContext;
use super::lane::Ticket;
use super::lever::{LeverOrder, LeverReport};
use super::outage_detector::BlindFailure;
use super::recovered::AccountId;
use super::refusal::Refusal;
use super::scope_layout::ScopeLayout;
use super::settings::{QueueBounds, StoreSettings};
use super::settlement::SettleOutcome;
use super::shared::state::{Ask, Grant};
use super::shared::store_time::StoreTime;
use super::slot::Slot;
use super::slot_request::{GrantedSlot, SlotRequest};
use super::store::Records;
use super::unit_record::AllowanceRecord;
use super::view::{AccountView, TightestAllowance, UsageView};
use crate::clock::Clock;
use crate::time::Moment;

/// The party that the vendor counts; owns allowances, holds and the queue.
#[derive(Debug)]
pub struct Account {
    live: Mutex<LiveState>,
    /// The account whose state this one uses, if it is a handle of the overflow account.
    overflow: Option<Arc<Self>>,
    key: Arc<str>,
    clock: Clock,
    /// Where its allowances are recorded, if they are, and under which key.
    records: Option<(Arc<Records>, Arc<str>)>,
    /// Under which key its allowances are shared, if they are.
    shared: Option<(Arc<str>, OnceLock<SharedName>)>,
}

/// What an account is called in the store, and what to notify when a round trip is due.
#[derive(Debug)]
struct SharedName {
    name: String,
    ask_due: Arc<Notify>,
}

#[derive(Debug)]
struct LiveState {
    state: AccountState,
    /// The tasks of waiting calls.
    wakers: BTreeMap<Ticket, Waker>,
}

/// The answer to a slot request.
#[derive(Debug)]
pub enum Admission {
    Granted(Slot),
    Queued(Waiting),
    /// The call cannot start within its patience.
    Refused(Refusal),
}

impl LiveState {
    fn dispatch(&mut self, now: Moment) -> Vec<Waker> {
        let tickets = self.state.dispatch(now);
        self.wakers_of(tickets)
    }

    fn wakers_of(&mut self, tickets: Vec<Ticket>) -> Vec<Waker> {
        tickets.into_iter().filter_map(|ticket| self.wakers.remove(&ticket)).collect()
    }
}

impl Account {
    pub(super) fn new(state: AccountState, key: Arc<str>, clock: Clock) -> Self {
        let live = LiveState { state, wakers: BTreeMap::new() };
        Self { live: Mutex::new(live), overflow: None, key, clock, records: None, shared: None }
    }

    /// The same; its allowances are recorded under this key from [`begin`](Self::begin) on.
    pub(super) fn recorded_in(self, records: Arc<Records>, key: Arc<str>) -> Self {
        Self { records: Some((records, key)), ..self }
    }

    /// The same; its allowances are shared under this key from [`join`](Self::join) on.
    pub(super) fn shared_as(self, store: &Arc<StoreSettings>, key: Arc<str>) -> Self {
        self.lock().state.share(store);
        Self { shared: Some((key, OnceLock::new())), ..self }
    }

    /// Is kept in step with the store from now on. Returns what it notifies when an exchange is
    /// due, the first time.
    pub(super) fn join(&self) -> Option<Arc<Notify>> {
        let (key, joined) = self.shared.as_ref()?;
        let ask_due = Arc::<Notify>::default();
        // It goes on under this name even if its upstream is renamed.
        let name = format!("{}:{key}", self.group());
        let shared = SharedName { name, ask_due: Arc::clone(&ask_due) };
        joined.set(shared).is_ok().then_some(ask_due)
    }

    /// Counts what is on record of it, besides what it has inherited.
    pub(super) fn begin(&self) {
        if let Some((records, key)) = &self.records {
            records.begin(&mut self.lock().state, key, self.clock.now());
        }
    }

    /// A handle of this account for the calls of one key: it is dropped when they are over.
    pub(super) fn overflow_handle(self: &Arc<Self>) -> Self {
        let queue = QueueBounds::of_one_client(0);
        let unused = AccountState::new(Arc::default(), Vec::new(), queue, 0);
        let overflow = Some(Arc::clone(self));
        let records = self.records.clone();
        Self { overflow, records, ..Self::new(unused, Arc::clone(&self.key), self.clock) }
    }

    /// The value that tells it apart from other accounts of its upstream; empty for the only one.
    /// Never a credential: configuration rejects account headers that carry one.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Asks for a slot of every scope that the request names.
    pub fn acquire(self: &Arc<Self>, request: SlotRequest, now: Moment) -> Admission {
        let mut live = self.lock();
        match live.state.admit(request, now) {
            AdmissionDecision::Granted(granted) => {
                self.release(live, Vec::new());
                Admission::Granted(Slot::new(Arc::clone(self), granted))
            }
            AdmissionDecision::Refused(refusal) => {
                self.release(live, Vec::new());
                Admission::Refused(refusal)
            }
            AdmissionDecision::Queued(ticket) => {
                let bottleneck = live.state.bottleneck(&request, now);
                let wakers = live.dispatch(now);
                self.release(live, wakers);
                Admission::Queued(Waiting {
                    timer: Box::pin(self.clock.sleep_until(request.deadline)),
                    account: Arc::clone(self),
                    request,
                    ticket: Some(ticket),
                    bottleneck,
                })
            }
        }
    }

    /// Reopens the scopes that the hold of this id closes; returns whether there is one.
    pub fn release_hold(&self, id: u64) -> bool {
        self.change(|state, now| state.release_hold(id, now))
    }

    /// Pulls a lever and tells the calls that wait.
    pub(super) fn pull(&self, order: &LeverOrder) -> LeverReport {
        let mut report = LeverReport::default();
        self.settle_with(|state| {
            report = state.pull(order, self.clock.now());
            SettleOutcome { closed: true, ..SettleOutcome::default() }
        });
        report
    }

    /// A call failed blindly with all its attempts, which counts towards an outage.
    pub fn call_failed(
        &self,
        request: &SlotRequest,
        failure: BlindFailure,
        chance: f64,
    ) -> SettleOutcome {
        self.settle_with(|state| {
            let context = HoldContext::new(self.clock.now(), chance);
            state.call_failed(request, failure, context)
        })
    }

    pub(super) fn body_broke_off(&self, request: &SlotRequest) -> SettleOutcome {
        self.settle_with(|state| state.body_broke_off(request, self.clock.now()))
    }

    /// The allowance with the smallest remaining share, of those that a call needs.
    pub fn tightest_allowance(&self, request: &SlotRequest) -> Option<TightestAllowance> {
        let now = self.clock.now();
        self.lock().state.tightest_allowance(request, now)
    }

    /// What the client of this request sees of the allowances of its upstream.
    pub(super) fn usage(&self, request: &SlotRequest) -> UsageView {
        let now = self.clock.now();
        self.lock().state.usage(request, now)
    }

    pub(super) fn view(
        &self,
        upstreams: Vec<usize>,
        overflow_calls: Option<u64>,
        client_names: &HashMap<u64, Arc<str>>,
    ) -> AccountView {
        let now = self.clock.now();
        let state = &mut self.lock().state;
        let clients = state.queue.by_client().filter_map(|(client, calls)| {
            client_names.get(&client).map(|name| (Arc::clone(name), calls))
        });
        let mut waiting_by_client: Vec<_> = clients.collect();
        waiting_by_client
            .sort_by(|(one, first), (other, second)| (second, one).cmp(&(first, other)));
        AccountView {
            upstreams,
            key: Arc::clone(&self.key),
            scopes: state.views(now),
            waiting: state.queue.len(),
            waiting_by_class: state.queue.by_class(),
            waiting_by_client,
            longest_wait: state.queue.oldest().map_or(Duration::ZERO, |(_, at)| now.since(at)),
            overflow_calls,
        }
    }

    /// Takes over what the calls of this account's key may have spent in the other one.
    pub(super) fn inherit(&self, from: &Self, now: Moment) {
        let from = from.lock();
        self.lock().state.inherit(&from.state, now);
    }

    pub(super) fn set_wall_clock(&self, wall: WallClock) {
        self.change(|state, _| state.set_wall_clock(wall));
    }

    /// Puts a layout of a newer configuration into force.
    pub(super) fn reconfigure(
        &self,
        layout: &Arc<ScopeLayout>,
        queue: QueueBounds,
        wall: WallClock,
    ) {
        self.change(|state, now| state.reconfigure(layout, queue, wall, now));
    }

    /// Counts what these accounts have spent, whose place this one takes under another rule.
    pub(super) fn count_elsewhere(&self, accounts: &[Arc<Self>]) {
        let now = self.clock.now();
        let spent = |window| {
            let all = accounts.iter().flat_map(|account| account.lock().state.spent(window, now));
            all.collect()
        };
        self.lock().state.count_elsewhere(spent, now);
    }

    /// Takes over the holds of accounts in whose place this one is.
    pub(super) fn take_holds_of(&self, accounts: &[Arc<Self>]) {
        let now = self.clock.now();
        for account in accounts {
            let former = account.lock();
            self.lock().state.take_holds_of(&former.state, now);
        }
    }

    /// Other accounts take its place: it grants nothing any more, and calls that wait are told.
    pub(super) fn supersede(&self) {
        let mut live = self.lock();
        let dismissed = live.state.supersede();
        let wakers = live.wakers_of(dismissed);
        self.release(live, wakers);
    }

    pub(super) fn layout(&self) -> Arc<ScopeLayout> {
        Arc::clone(&self.lock().state.layout)
    }

    pub(super) fn is_idle(&self, now: Moment) -> bool {
        self.lock().state.is_idle(now)
    }

    pub(super) const fn clock(&self) -> Clock {
        self.clock
    }

    /// Changes the state, then dispatches the queue.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut AccountState, Moment) -> T) -> T {
        let now = self.clock.now();
        let mut live = self.lock();
        let value = change(&mut live.state, now);
        if live.state.queue.is_empty() {
            return value;
        }
        let wakers = live.dispatch(now);
        self.release(live, wakers);
        value
    }

    /// Draws conclusions from the end of an attempt or call, then dispatches the queue. Without
    /// waiting calls, which is the usual case, this reads no clock.
    pub(super) fn settle_with(
        &self,
        settle: impl FnOnce(&mut AccountState) -> SettleOutcome,
    ) -> SettleOutcome {
        let mut live = self.lock();
        let outcome = settle(&mut live.state);
        if live.state.queue.is_empty() {
            return outcome;
        }
        let now = self.clock.now();
        let mut wakers = Vec::new();
        if outcome.closed {
            let dismissed = live.state.dismiss_hopeless(now);
            wakers = live.wakers_of(dismissed);
        }
        wakers.extend(live.dispatch(now));
        self.release(live, wakers);
        outcome
    }

    /// Whether the record of its allowances is out of date.
    pub(super) fn has_changed(&self) -> bool {
        self.lock().state.has_changed()
    }

    /// The record to write now. [`recorded`](Self::recorded) has to follow.
    pub(super) fn record(&self, now: Moment) -> Vec<AllowanceRecord> {
        self.lock().state.record(now)
    }

    /// The record of an account that grants nothing any more.
    pub(super) fn last_record(&self, now: Moment) -> Vec<AllowanceRecord> {
        self.lock().state.last_record(now)
    }

    /// What has become of the latest record. Waiting calls have slots now, or no prospect of any.
    pub(super) fn recorded(&self, written: bool) {
        self.settle_with(|state| {
            state.recorded(written);
            SettleOutcome { closed: !written, ..SettleOutcome::default() }
        });
    }

    /// What its records are filed under, if there are any.
    pub(super) fn record_id(&self) -> Option<AccountId> {
        let (_, key) = self.records.as_ref()?;
        Some(AccountId { group: self.group(), key: Arc::clone(key) })
    }

    pub(super) fn group(&self) -> Arc<str> {
        Arc::clone(&self.lock().state.layout.group)
    }

    /// Gives up the lock, then wakes tasks, and the recorder if it has something to do.
    fn release(&self, mut live: MutexGuard<'_, LiveState>, wakers: Vec<Waker>) {
        let due = live.state.take_record_due();
        let ask_due = live.state.take_ask_due();
        drop(live);
        wakers.into_iter().for_each(Waker::wake);
        if let Some((records, _)) = self.records.as_ref().filter(|_| due) {
            records.notify();
        }
        let notify = self.overflow.as_deref().unwrap_or(self).shared.as_ref();
        if let Some(notify) = notify.filter(|_| ask_due).and_then(|(_, it)| it.get()) {
            notify.ask_due.notify_one();
        }
    }

    /// What it is called in the store.
    pub(super) fn store_name(&self) -> &str {
        self.shared.as_ref().and_then(|(_, joined)| joined.get()).map_or("", |it| &it.name)
    }

    pub(super) fn asks(&self, time: &StoreTime, now: Moment) -> Vec<Ask> {
        self.lock().state.asks(time, now)
    }

    pub(super) fn last_asks(&self, time: &StoreTime, now: Moment) -> Vec<Ask> {
        self.lock().state.last_asks(time, now)
    }

    /// The store has granted what was asked. Returns when the next round trip is due.
    pub(super) fn take_grants(
        &self,
        grants: Vec<Grant>,
        time: &StoreTime,
        asked: Moment,
    ) -> Moment {
        self.change(|state, now| state.take_grants(grants, time, asked, now))
    }

    pub(super) fn asks_were_noted(&self) {
        self.lock().state.asks_were_noted();
    }

    /// The store did not answer. Waiting calls are told if they have no prospect of a slot.
    pub(super) fn store_is_away(&self) {
        self.settle_with(|state| {
            state.store_is_away();
            SettleOutcome { closed: true, ..SettleOutcome::default() }
        });
    }

    fn lock(&self) -> MutexGuard<'_, LiveState> {
        let live = self.overflow.as_ref().map_or(&self.live, |overflow| &overflow.live);
        // A panic under the lock is a defect, but refusing to count would stop every client of
        // the vendor, and the state is only counts.
        live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call in the queue. Dropping it gives up its place; nothing is spent.
#[derive(Debug)]
pub struct Waiting {
    account: Arc<Account>,
    request: SlotRequest,
    /// `None` once it has been granted a slot or refused.
    ticket: Option<Ticket>,
    bottleneck: Bottleneck,
    timer: Pin<Box<tokio::time::Sleep>>,
}

impl Waiting {
    /// What kept the call waiting when it joined the queue.
    #[must_use]
    pub const fn bottleneck(&self) -> &Bottleneck {
        &self.bottleneck
    }

    /// Dispatches the queue and returns what it led to for this call.
    ///
    /// # Errors
    /// It still waits, and has to look again at this moment.
    fn look(&self, ticket: Ticket, waker: &Waker) -> Result<Result<GrantedSlot, Refusal>, Moment> {
        let now = self.account.clock.now();
        let mut live = self.account.lock();
        // It is awake, so it must not be woken by its own dispatch.
        live.wakers.remove(&ticket);
        let mut wakers = live.dispatch(now);
        let state = &mut live.state;
        let outcome = if let Some(granted) = state.queue.collect_grant(ticket) {
            Ok(Ok(granted))
        } else if let Some(overtaken) = state.queue.collect_dismissal(ticket) {
            Ok(Err(Refusal { overtaken, ..state.refusal(&self.request, now) }))
        } else if self.request.deadline <= now {
            let overtaken = state.queue.overtaken(ticket);
            state.withdraw(ticket, now);
            let refusal = Refusal { overtaken, ..state.refusal(&self.request, now) };
            // It may have kept the account's timer, which needs another keeper now.
            wakers.extend(live.dispatch(now));
            Ok(Err(refusal))
        } else {
            let alarm = state.alarm(ticket).unwrap_or(Moment::NEVER);
            live.wakers.insert(ticket, waker.clone());
            Err(alarm.min(self.request.deadline))
        };
        self.account.release(live, wakers);
        outcome
    }
}

impl Future for Waiting {
    type Output = Result<Slot, Refusal>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let ticket = self.ticket.expect("a waiting call is not polled after it is ready");
        loop {
            match self.look(ticket, context.waker()) {
                Ok(outcome) => {
                    self.ticket = None;
                    let account = Arc::clone(&self.account);
                    return Poll::Ready(outcome.map(|granted| Slot::new(account, granted)));
                }
                Err(alarm) => {
                    let instant = self.account.clock.instant(alarm);
                    self.timer.as_mut().reset(instant);
                    if self.timer.as_mut().poll(context).is_pending() {
                        return Poll::Pending;
                    }
                }
            }
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket.take() else { return };
        self.account.lock().wakers.remove(&ticket);
        self.account.change(|state, now| state.withdraw(ticket, now));
    }
}
