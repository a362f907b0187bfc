//! Keeps one account in step with the store: reads, decides, writes on condition that nothing has
//! changed, and notices when the store has forgotten what it held.
//!
//! Pure: requests go out as values and replies come in as values.
//!
//! A store forgets when it restarts with older data, when a replica of it that lacked the latest
//! writes takes over, or when it is emptied. Two keys tell: a header, which names the process of
//! the store that wrote it, and the value of the account itself. Whatever does not match begins a
//! new epoch, in which everything counts as used that may have been.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::state::{Ask, Grant, SharedAccount};
use super::store_time::StoreTime;
use crate::allowance::settings::FirstStart;
use crate::time::Moment;

/// A clock of the store that runs ahead of ours by more than this was set, and whatever it released
/// too early counts as used.
const CLOCK_SET: Duration = Duration::from_secs(1);

/// A reading of the store's clock is used for so long.
const READING_KEPT: Duration = Duration::from_secs(10);

/// Clocks run apart by less than one part in so many.
const DRIFT: u32 = 1_000;

/// Values are kept in the store for so long after the last unit in them has been released: a
/// replica may be cut off from it.
const KEPT_LONGER: Duration = Duration::from_secs(24 * 60 * 60);

/// What all accounts in a store have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: u32,
    epoch: u64,
    /// The process of the store that wrote it.
    instance: String,
    /// When the epoch began; zero where nothing had been granted before.
    since: u64,
}

const FORMAT: u32 = 1;

/// What is sent to the store. An empty text stands for nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    Read,
    /// Begins an epoch.
    Begin {
        condition: Condition,
        header: String,
    },
    Write {
        condition: Condition,
        version: String,
        value: String,
        kept: Duration,
    },
}

/// What has to be so where a request is executed; otherwise nothing is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The process of the store. After a failover, another one may hold just the version that one
    /// of the replicas knew.
    pub instance: Arc<str>,
    pub header: String,
    pub version: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// What the store holds, if nothing was written.
    pub found: Option<Found>,
    pub shown: Moment,
    /// The process of the store that replied.
    pub instance: Arc<str>,
}

/// What the store holds; an empty text stands for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub header: String,
    pub version: String,
    pub value: String,
}

/// The store holds something under a key of ours that we did not write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::allowance) struct ForeignValue;

impl fmt::Display for ForeignValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "it holds a value under the keys of allowances that this version did not write: use \
             another `store.prefix`, or remove it",
        )
    }
}

/// What a reply says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::allowance) enum Received {
    Written,
    /// What the store holds is known now.
    Read {
        earlier_was_written: bool,
    },
}

#[derive(Debug)]
pub(in crate::allowance) struct Session {
    replica: Arc<str>,
    /// From what an account begins in a store that holds nothing at all.
    first_start: FirstStart,
    header: Header,
    /// The header as the store holds it.
    header_text: String,
    /// The version that the store holds.
    version: String,
    /// The newest value that is known, which may be newer than the one in the store.
    account: Option<SharedAccount>,
    proposed: Option<SharedAccount>,
    time: Option<StoreTime>,
    instance: Arc<str>,
    /// How often this replica has written.
    writes: u64,
    /// The latest write has not been answered.
    is_unresolved: bool,
    /// The store has forgotten something since the epoch began.
    has_forgotten: bool,
}

impl Session {
    pub(in crate::allowance) fn new(replica: Arc<str>, first_start: FirstStart) -> Self {
        Self {
            replica,
            first_start,
            header: Header::default(),
            header_text: String::new(),
            version: String::new(),
            account: None,
            proposed: None,
            time: None,
            instance: "".into(),
            writes: 0,
            is_unresolved: false,
            has_forgotten: false,
        }
    }

    /// The clock of the store, if it has been read lately.
    pub(in crate::allowance) const fn time(&self) -> Option<&StoreTime> {
        self.time.as_ref()
    }

    /// Whether anything was forgotten, and this is not the first use of the store.
    pub(in crate::allowance) const fn has_forgotten(&self) -> bool {
        self.has_forgotten && 0 < self.header.epoch
    }

    /// What has to be read or written before units can be asked for.
    pub(in crate::allowance) fn preparation(&self, now: Moment) -> Option<Request> {
        let time = self.time.filter(|time| now < time.received.plus(READING_KEPT));
        let Some(time) = time.filter(|_| !self.is_unresolved) else { return Some(Request::Read) };
        self.has_forgotten.then(|| {
            let is_first = self.header.epoch == 0 && self.account.is_none();
            let since = match (is_first, self.first_start) {
                (true, FirstStart::Unused) => Moment::START,
                (true, FirstStart::Spent) | (false, _) => time.latest(now),
            };
            let header = Header {
                format: FORMAT,
                epoch: self.header.epoch + 1,
                instance: self.instance.to_string(),
                since: since.as_nanos(),
            };
            Request::Begin { condition: self.condition(), header: text(&header) }
        })
    }

    /// Nothing has changed since the store was read.
    fn condition(&self) -> Condition {
        Condition {
            instance: Arc::clone(&self.instance),
            header: self.header_text.clone(),
            version: self.version.clone(),
        }
    }

    /// Decides by what is known of the store. The grants are in force if it is still so.
    ///
    /// # Panics
    /// Something has to be [prepared](Self::preparation) first.
    pub(in crate::allowance) fn propose(
        &mut self,
        asks: &[Ask],
        now: Moment,
    ) -> (Request, Vec<Grant>) {
        let time = self.time.expect("the store has been read");
        let (epoch, since) = (self.header.epoch, Moment::from_nanos(self.header.since));
        let now = time.earliest(now);
        let mut account = match self.account.clone() {
            Some(known) if known.epoch == epoch => known,
            Some(known) => known.after_loss(epoch, since),
            None => SharedAccount::new(epoch, since),
        };
        self.writes += 1;
        let grants = account.grant((&self.replica, self.writes), asks, now);
        let request = Request::Write {
            condition: self.condition(),
            // Of one write only, so that none is taken for another one.
            version: format!("{}.{}", self.replica, self.writes),
            value: text(&account),
            kept: account.matters_until().since(now).saturating_add(KEPT_LONGER),
        };
        self.proposed = Some(account);
        (request, grants)
    }

    /// Takes the reply to a request that was sent and answered at these moments.
    ///
    /// # Errors
    /// The store holds something that is not ours.
    pub(in crate::allowance) fn receive(
        &mut self,
        request: &Request,
        reply: Reply,
        [sent, received]: [Moment; 2],
    ) -> Result<Received, ForeignValue> {
        let time = StoreTime { shown: reply.shown, sent, received };
        let clock_was_set = self.time.replace(time).is_some_and(|earlier| {
            let drift = received.since(earlier.received) / DRIFT;
            CLOCK_SET.saturating_add(drift) < time.ahead_of(&earlier)
        });
        self.has_forgotten |= clock_was_set;
        self.instance = reply.instance;
        let proposed = self.proposed.take();
        match (reply.found, request) {
            (Some(found), _) => self.find(found, time.earliest(received)),
            (None, Request::Begin { header, .. }) => {
                self.header = parse(header)?;
                self.header_text.clone_from(header);
                self.has_forgotten = clock_was_set;
                Ok(Received::Written)
            }
            (None, Request::Write { version, .. }) => {
                self.version.clone_from(version);
                self.account = proposed;
                Ok(Received::Written)
            }
            (None, Request::Read) => Err(ForeignValue),
        }
    }

    /// The latest request was not answered: whether something was written is not known.
    pub(in crate::allowance) fn unanswered(&mut self) {
        self.is_unresolved = true;
        self.proposed = None;
    }

    fn find(&mut self, found: Found, now: Moment) -> Result<Received, ForeignValue> {
        let header: Header = match &*found.header {
            "" => Header { format: FORMAT, ..Header::default() },
            text => parse(text)?,
        };
        if header.format != FORMAT {
            return Err(ForeignValue);
        }
        let stored: Option<SharedAccount> = match &*found.value {
            "" => None,
            text => Some(parse(text)?),
        };
        let known = self.account.take().filter(|it| now < it.matters_until());
        // Where another replica has begun an epoch, it has dealt with what was forgotten.
        self.has_forgotten &= header.epoch <= self.header.epoch;
        self.has_forgotten |= header.instance != *self.instance || header.epoch < self.header.epoch;
        let is_of_epoch = |known: &SharedAccount| known.epoch == header.epoch;
        let latest = stored.as_ref().and_then(|it| it.latest_write(&self.replica));
        self.account = match (stored, known) {
            (Some(stored), Some(known)) if known.is_newer_than(&stored) => {
                self.has_forgotten |= is_of_epoch(&known);
                Some(known)
            }
            (None, Some(known)) => {
                self.has_forgotten |= is_of_epoch(&known);
                Some(known)
            }
            (stored, _) => stored,
        };
        let epoch = self.header.epoch.max(self.account.as_ref().map_or(0, |it| it.epoch));
        self.header = Header { epoch: header.epoch.max(epoch), ..header };
        (self.header_text, self.version) = (found.header, found.version);
        let was_unresolved = std::mem::replace(&mut self.is_unresolved, false);
        let earlier_was_written = was_unresolved && latest == Some(self.writes);
        Ok(Received::Read { earlier_was_written })
    }
}

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("its keys are texts")
}

fn parse<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, ForeignValue> {
    serde_json::from_str(text).map_err(|_| ForeignValue)
}
