//! Settings of a simulated vendor: which one it is, its rate limits, how fast its time runs.
//!
//! Every span here is in the vendor's time and is divided by `scale`. These types are separate from
//! the gateway's settings, so that an error there cannot change what the vendor counts.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Default bound of the request log: twice what the longest test needs, about 40 MB.
pub const LOG_MAX: usize = 200_000;
/// Default bound of concurrent connections: more than any test opens, fewer than the usual limit
/// of open files.
pub const CONNECTIONS_MAX: usize = 10_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VendorKind {
    /// The service of droplink-errors: `{"error": "…"}` under `/api/v1`.
    Droplink,
    /// The service of wordbee-errors: `{"error": {…}, "reason": "…"}` under `/api`.
    Wordbee,
}

/// How the window of an allowance moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowKind {
    /// The window ends now.
    Rolling,
    /// Windows follow each other from `Allowance::offset` on.
    ClockAligned,
    /// Neither kind of window may be exceeded.
    Both,
}

/// A rate limit for each account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Requests in each window.
    pub limit: usize,
    pub window: Duration,
    pub window_kind: WindowKind,
    /// Where the first clock-aligned window starts on the vendor's clock.
    pub offset: Duration,
}

impl Allowance {
    /// `limit` requests per `window`, rolling and clock-aligned.
    #[must_use]
    pub const fn new(limit: usize, window: Duration) -> Self {
        Self { limit, window, window_kind: WindowKind::Both, offset: Duration::ZERO }
    }

    /// The same allowance on a clock that runs `scale` times as fast.
    #[must_use]
    pub fn scaled(self, scale: u32) -> Self {
        let scale = scale.max(1);
        Self { window: self.window / scale, offset: self.offset / scale, ..self }
    }
}

/// When a request is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counting {
    /// As soon as its head has been read.
    AtArrival,
    /// At a random point between arrival and response, even if the client has disconnected by then.
    Late,
}

/// Whether requests over the limit are counted themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedRequests {
    Counted,
    NotCounted,
}

/// How a vendor responds to a request over the limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThrottleStyle {
    /// 429 with the vendor's error body, without `Retry-After`.
    #[default]
    Plain,
    /// 429 with `Retry-After` in seconds.
    RetryAfter,
    /// 429 with `Retry-After` as hours, minutes and seconds, which RFC 9110 does not allow.
    ClockText,
    /// 400, so that only the message shows what is wrong.
    Disguised,
}

/// Bounds of a uniformly distributed delay before the response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    pub min: Duration,
    pub max: Duration,
}

/// An account and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Wordbee's account id; a label for Droplink, whose key is the account.
    pub account: String,
    pub key: String,
}

impl Credential {
    #[must_use]
    pub fn new(account: &str, key: &str) -> Self {
        Self { account: account.to_owned(), key: key.to_owned() }
    }
}

#[derive(Clone, Debug)]
pub struct VendorSettings {
    pub kind: VendorKind,
    /// How many times faster than real time its time runs.
    pub scale: u32,
    /// Rate limits of every account; none means no limit.
    pub allowances: Vec<Allowance>,
    pub counting: Counting,
    pub refused: RefusedRequests,
    pub throttling: ThrottleStyle,
    pub latency: Latency,
    pub credentials: Vec<Credential>,
    /// Makes its random numbers reproducible.
    pub seed: Option<u64>,
    /// Bound of the request log.
    pub log_max: usize,
    /// Bound of concurrent connections; further ones wait to be accepted.
    pub connections_max: usize,
}

impl VendorSettings {
    /// Droplink without a rate limit, since its documentation states none.
    #[must_use]
    pub fn droplink() -> Self {
        Self::of(VendorKind::Droplink, Vec::new())
    }

    /// Wordbee with the limit that its error message states: 1000 per hour.
    #[must_use]
    pub fn wordbee() -> Self {
        Self::of(VendorKind::Wordbee, vec![Allowance::new(1000, Duration::from_secs(3600))])
    }

    fn of(kind: VendorKind, allowances: Vec<Allowance>) -> Self {
        Self {
            kind,
            scale: 1,
            allowances,
            counting: Counting::AtArrival,
            refused: RefusedRequests::Counted,
            throttling: ThrottleStyle::Plain,
            latency: Latency::default(),
            // The client behind the gateway, one that bypasses it, and a third for tests.
            credentials: ["demo", "direct", "other"]
                .map(|name| Credential::new(name, &format!("{name}-key")))
                .to_vec(),
            seed: None,
            log_max: LOG_MAX,
            connections_max: CONNECTIONS_MAX,
        }
    }

    /// Converts a span of the vendor's time to real time.
    #[must_use]
    pub fn real(&self, span: Duration) -> Duration {
        span / self.scale.max(1)
    }
}
