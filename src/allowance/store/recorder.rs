//! Writes the records of accounts, on the control thread: at once where units have to be set aside,
//! and within a second after any other change.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::Records;
use super::journal::{Journal, StateError};
use super::line::Line;
use crate::allowance::account::Account;
use crate::allowance::accounts::Accounts;
use crate::allowance::recovered::{RecordRules, UnknownPast};
use crate::allowance::settings::{StateSettings, UpstreamAllowances};
use crate::allowance::unit_record::AllowanceRecord;
use crate::clock::Clock;

/// How long a settlement may be unrecorded: after a restart it counts as so much later.
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);

/// After a failure it is tried again at this interval.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Keeps the records of the accounts.
#[derive(Debug)]
pub struct Recorder {
    /// `None` while another thread writes.
    journal: Option<Journal>,
    records: Arc<Records>,
    clock: Clock,
    failing: bool,
}

/// Why records cannot be kept.
#[derive(Debug)]
pub enum RecordError {
    State(StateError),
    /// Nothing is on record of these allowances, and their windows are long.
    UnknownPast(Vec<UnknownPast>),
}

/// What is written at once.
struct Batch {
    accounts: Vec<Arc<Account>>,
    lines: Vec<Line>,
    rewrite: bool,
}

impl Recorder {
    /// Opens the records of a former process, for the accounts of these upstreams.
    ///
    /// # Errors
    /// The state directory cannot be used, or it has to be said from what an allowance starts.
    pub fn open(
        settings: &StateSettings,
        upstreams: &[UpstreamAllowances],
        clock: Clock,
    ) -> Result<Self, RecordError> {
        let (journal, recovered) =
            Journal::open(&settings.dir, clock).map_err(RecordError::State)?;
        if settings.first_start.is_none() {
            let unknown = upstreams.iter().flat_map(|it| recovered.unknown(it));
            let unknown: Vec<_> = unknown.collect();
            if !unknown.is_empty() {
                return Err(RecordError::UnknownPast(unknown));
            }
        }
        if recovered.damaged {
            tracing::error!(
                dir = %settings.dir.display(),
                "a part of the records of allowances is damaged: all of them count as spent"
            );
        }
        let rules = RecordRules {
            shortest: settings.shortest,
            first_start: settings.first_start,
            began: clock.now(),
        };
        let records = Arc::new(Records::new(recovered, rules));
        Ok(Self { journal: Some(journal), records, clock, failing: false })
    }

    /// What the accounts need of it.
    #[must_use]
    pub fn records(&self) -> Arc<Records> {
        Arc::clone(&self.records)
    }

    /// Writes the first records, before any call is served.
    ///
    /// # Errors
    /// The state directory cannot be written.
    pub async fn begin(&mut self, accounts: &Accounts) -> Result<(), RecordError> {
        for unknown in self.records.take_unknown() {
            tracing::warn!(
                allowance = %unknown.allowance,
                "what was spent before is not on record and counts as the whole allowance, for up \
                 to {:?}", unknown.window
            );
        }
        self.write(accounts).await.map_err(|error| {
            let journal = self.journal.as_ref();
            RecordError::State(journal.expect("no other thread writes").unwritable(error))
        })
    }

    /// Writes what changes, until it is stopped. `accounts` are those in force.
    pub async fn run(
        mut self,
        accounts: impl Fn() -> Arc<Accounts>,
        mut stop: oneshot::Receiver<()>,
    ) -> Self {
        loop {
            let interval = if self.failing { RETRY_INTERVAL } else { FLUSH_INTERVAL };
            let pause = self.clock.sleep_until(self.clock.now().plus(interval));
            tokio::select! {
                () = self.records.due.notified(), if !self.failing => {}
                () = pause => {}
                _ = &mut stop => return self,
            }
            let result = self.write(&accounts()).await;
            let failed = result.is_err();
            match result {
                Err(error) if !self.failing => tracing::error!(
                    %error,
                    "the records of allowances cannot be written: once those on record are spent, \
                     calls are refused"
                ),
                Ok(()) if self.failing => tracing::info!("records are written again"),
                Err(_) | Ok(()) => {}
            }
            self.failing = failed;
        }
    }

    /// Writes the last records: of all that was set aside, nothing more is used.
    pub async fn finish(&mut self, accounts: &Accounts) {
        let now = self.clock.now();
        let recorded = accounts.recorded().into_iter();
        let lines = recorded.filter_map(|account| account_line(&account, account.last_record(now)));
        let lines = lines.chain([Line::Stopped]).collect();
        let batch = Batch { accounts: Vec::new(), lines, rewrite: false };
        if let Err(error) = self.commit(batch).await {
            tracing::error!(%error, "the last records of allowances cannot be written");
        }
    }

    async fn write(&mut self, accounts: &Accounts) -> io::Result<()> {
        let batch = self.batch(accounts);
        if batch.lines.is_empty() { Ok(()) } else { self.commit(batch).await }
    }

    fn batch(&self, accounts: &Accounts) -> Batch {
        let now = self.clock.now();
        let rewrite = self.journal.as_ref().is_none_or(Journal::wants_rewrite);
        let mut batch = Batch { accounts: Vec::new(), lines: Vec::new(), rewrite };
        if rewrite {
            let unopened = self.records.unopened(now).into_iter();
            batch.lines.extend(unopened.map(|(id, records)| Line::Account(id, records)));
        }
        for account in accounts.recorded() {
            let is_due = rewrite || account.has_changed();
            let records = if is_due { account.record(now) } else { Vec::new() };
            if let Some(line) = account_line(&account, records) {
                batch.lines.push(line);
                batch.accounts.push(account);
            }
        }
        let groups = self.records.groups(rewrite);
        batch.lines.extend(groups.into_iter().map(|(name, all)| Line::Group(name, all)));
        batch
    }

    async fn commit(&mut self, batch: Batch) -> io::Result<()> {
        let Batch { accounts, lines, rewrite } = batch;
        let journal = self.journal.take();
        let written = tokio::task::spawn_blocking(move || {
            let Some(mut journal) = journal else {
                return (None, Err(io::Error::other("an earlier write has panicked")));
            };
            let result = if rewrite { journal.rewrite(&lines) } else { journal.append(&lines) };
            (Some(journal), result)
        });
        let (journal, result) = match written.await {
            Ok(written) => written,
            Err(panic) => (None, Err(io::Error::other(panic))),
        };
        self.journal = journal;
        accounts.iter().for_each(|account| account.recorded(result.is_ok()));
        result
    }
}

fn account_line(account: &Account, records: Vec<AllowanceRecord>) -> Option<Line> {
    let id = account.record_id().filter(|_| !records.is_empty())?;
    Some(Line::Account(id, records))
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State(error) => error.fmt(f),
            Self::UnknownPast(unknown) => {
                f.write_str("nothing is on record of what was spent of ")?;
                for (number, it) in unknown.iter().enumerate() {
                    let comma = if number == 0 { "" } else { ", " };
                    write!(f, "{comma}`{}`", it.allowance)?;
                }
                f.write_str(
                    ". Set `state.first_start` to `spent` if it may have been used already, and to \
                     `unused` for this start if it has not",
                )
            }
        }
    }
}

impl std::error::Error for RecordError {}
