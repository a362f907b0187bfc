//! What the head of any response says about the vendor's limits.

use std::time::Duration;

/// What an answer says about the vendor's limits, bucket by bucket; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What is said of each; those of which nothing remains come last.
    pub buckets: Vec<Bucket>,
}

/// What an answer says about one bucket that counts requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Requests per window.
    pub limit: Option<u32>,
    /// The window, where it is stated.
    pub window: Option<Duration>,
    /// Requests that remain. Zero is also said of buckets that count other things: without them
    /// there is no request either.
    pub remaining: Option<u32>,
    /// Until more remain.
    pub reset: Option<Duration>,
}

/// Whether a header is one of the `RateLimit` family, in any vendor's spelling.
#[must_use]
pub fn speaks_of_rates(name: &str) -> bool {
    let name = name.as_bytes();
    let spelt = |at: &[u8]| at.starts_with(b"ratelimit") || at.starts_with(b"rate-limit");
    name.len() >= b"ratelimit".len()
        && matches!(name[0], b'r' | b'x' | b'a')
        && name.windows(4).enumerate().any(|(at, four)| four == b"rate" && spelt(&name[at..]))
}
