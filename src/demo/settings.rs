//! What a simulated vendor is told before it opens: which one it is, what it grants, how fast
//! its time runs.
//!
//! Every span here is the vendor's own time and is divided by `scale`. Refuses to share a word
//! with the gateway's settings: the referee has its own.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Arrivals remembered unless the settings say otherwise: twice the longest test, some 40 MB.
pub const LOG_MAX: usize = 200_000;
/// Connections served at once: more than any test opens, fewer than file descriptors last.
pub const CONNECTIONS_MAX: usize = 10_000;

/// Which vendor is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The service of droplink-errors: `{"error": "…"}` under `/api/v1`.
    Droplink,
    /// The service of wordbee-errors: `{"error": {…}, "reason": "…"}` under `/api`.
    Wordbee,
}

/// How a vendor counts what arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discipline {
    /// Arrivals in the last window, whatever the hour.
    Rolling,
    /// Arrivals since the last full window of the clock.
    ClockAligned,
    /// Both views; either one refuses.
    Both,
}

/// What the vendor grants to each account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Arrivals granted.
    pub limit: usize,
    /// In each window of this length.
    pub window: Duration,
    /// How the window moves.
    pub discipline: Discipline,
    /// Where the first clock-aligned window starts on the vendor's clock.
    pub offset: Duration,
}

impl Allowance {
    /// `limit` arrivals per `window`, counted both ways.
    #[must_use]
    pub const fn new(limit: usize, window: Duration) -> Self {
        Self { limit, window, discipline: Discipline::Both, offset: Duration::ZERO }
    }

    /// The same allowance on a clock that runs `scale` times as fast.
    #[must_use]
    pub fn scaled(self, scale: u32) -> Self {
        let scale = scale.max(1);
        Self { window: self.window / scale, offset: self.offset / scale, ..self }
    }
}

/// When an arrival is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counting {
    /// As soon as its head was read.
    AtArrival,
    /// At a random point between arrival and answer, even if the client has left by then.
    Late,
}

/// Whether a refused arrival takes a place in the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// An arrival is an arrival.
    Counted,
    /// Only what was served counts.
    Free,
}

/// How a vendor words "too many".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Throttling {
    /// 429 in the vendor's words, without a wait.
    #[default]
    Plain,
    /// 429 with `Retry-After` in seconds.
    RetryAfter,
    /// 429 with `Retry-After` as hours, minutes and seconds, which no standard allows.
    ClockText,
    /// 400, and only the sentence tells.
    Disguised,
}

/// Bounds of a uniformly drawn delay before the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// Never sooner.
    pub min: Duration,
    /// Never later.
    pub max: Duration,
}

/// Somebody the vendor knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Wordbee's account id; a label for Droplink, whose key is the account.
    pub account: String,
    /// The API key.
    pub key: String,
}

impl Credential {
    /// The account `account` with its `key`.
    #[must_use]
    pub fn new(account: &str, key: &str) -> Self {
        Self { account: account.to_owned(), key: key.to_owned() }
    }
}

/// Everything a vendor is told before it opens.
#[derive(Clone, Debug)]
pub struct VendorSettings {
    /// Which vendor.
    pub kind: Kind,
    /// How many times faster than the world its time runs.
    pub scale: u32,
    /// What every account may send; none means no limit.
    pub allowances: Vec<Allowance>,
    /// When an arrival is counted.
    pub counting: Counting,
    /// Whether refused arrivals count.
    pub refused: Refused,
    /// How it refuses.
    pub throttling: Throttling,
    /// Delay before each answer.
    pub latency: Latency,
    /// Who may call.
    pub credentials: Vec<Credential>,
    /// A seed makes its chance repeat itself.
    pub seed: Option<u64>,
    /// Arrivals remembered.
    pub log_max: usize,
    /// Connections served at once; one more waits to be accepted.
    pub connections_max: usize,
}

impl VendorSettings {
    /// Droplink with no figure for its limit, as its page has none.
    #[must_use]
    pub fn droplink() -> Self {
        Self::of(Kind::Droplink, Vec::new())
    }

    /// Wordbee with the thousand an hour of its own sentence.
    #[must_use]
    pub fn wordbee() -> Self {
        Self::of(Kind::Wordbee, vec![Allowance::new(1000, Duration::from_secs(3600))])
    }

    fn of(kind: Kind, allowances: Vec<Allowance>) -> Self {
        Self {
            kind,
            scale: 1,
            allowances,
            counting: Counting::AtArrival,
            refused: Refused::Counted,
            throttling: Throttling::Plain,
            latency: Latency::default(),
            credentials: known_credentials(),
            seed: None,
            log_max: LOG_MAX,
            connections_max: CONNECTIONS_MAX,
        }
    }

    /// `span` of vendor time on the world's clock.
    #[must_use]
    pub fn real(&self, span: Duration) -> Duration {
        span / self.scale.max(1)
    }
}

/// The accounts of the demo: one behind the gateway, one that goes past it, one more.
fn known_credentials() -> Vec<Credential> {
    ["demo", "direct", "other"].map(|name| Credential::new(name, &format!("{name}-key"))).to_vec()
}
