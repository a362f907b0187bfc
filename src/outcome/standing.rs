//! What the head of any response says about the vendor's limits and pauses.

use std::time::Duration;

use super::hold::HoldOrder;

/// What a response head says about the vendor's limits; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Exhausted buckets come last, so that their holds are placed last.
    pub buckets: Vec<Bucket>,
    /// The hold for a pause that the vendor asks for while it still serves.
    pub pause: Option<HoldOrder>,
}

/// What a response head says about one bucket that counts requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Requests per window.
    pub limit: Option<u32>,
    pub window: Option<Duration>,
    /// Requests that remain. Zero is reported for buckets that count other things too: without
    /// tokens left, for example, no request is possible either.
    pub remaining: Option<u32>,
    /// The time until more remain.
    pub reset: Option<Duration>,
}

/// Whether a header belongs to the `RateLimit` family, in any vendor's spelling.
#[must_use]
pub fn is_rate_limit_header(name: &str) -> bool {
    let name = name.as_bytes();
    let spelled = |at: &[u8]| at.starts_with(b"ratelimit") || at.starts_with(b"rate-limit");
    name.len() >= b"ratelimit".len()
        && matches!(name[0], b'r' | b'x' | b'a')
        && name.windows(4).enumerate().any(|(at, four)| four == b"rate" && spelled(&name[at..]))
}
