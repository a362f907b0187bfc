//! Levers: what an operator changes while the program runs. They belong to the account, so a reload
//! keeps them; a restart does not.
//!
//! A pause is not a hold. It has no probe, ends by time or when it is resumed, and stands beside
//! the holds that the vendor causes, which it neither shortens nor replaces.

use std::sync::Arc;
use std::time::Duration;

use crate::time::Moment;

/// The longest pause that ends by itself: longer waits are no word of anybody's, see holds.
pub const PAUSE_MAX: Duration = Duration::from_secs(31 * 24 * 60 * 60);

/// What an operator asks for, and of what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeverOrder {
    pub lever: Lever,
    pub upstream: Arc<str>,
    /// The key of one account; `None` means all, those opened later included.
    pub account: Option<Arc<str>>,
    /// The name of one allowance; `None` means the upstream and all its allowances.
    pub allowance: Option<Arc<str>>,
    pub origin: LeverOrigin,
}

impl LeverOrder {
    /// Whether it makes sense for an upstream with these allowances.
    ///
    /// # Errors
    /// It names one that is not there, needs one and there is none, or has to name one.
    pub(super) fn check(&self, allowances: Vec<Arc<str>>) -> Result<(), LeverRefusal> {
        if let Some(name) = &self.allowance {
            let known = allowances.contains(name);
            return if known { Ok(()) } else { Err(LeverRefusal::UnknownAllowance(allowances)) };
        }
        match self.lever {
            Lever::Pause(_) | Lever::Resume | Lever::Reset => Ok(()),
            Lever::Lower(_) | Lever::Raise | Lever::ForgetSpent if allowances.is_empty() => {
                Err(LeverRefusal::NoAllowances)
            }
            Lever::Lower(LoweredLimit::Units(_)) if allowances.len() > 1 => {
                Err(LeverRefusal::AmbiguousAllowance(allowances))
            }
            Lever::Lower(_) | Lever::Raise | Lever::ForgetSpent => Ok(()),
        }
    }
}

/// The operator, by the name of the token, and the reason that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeverOrigin {
    pub by: Arc<str>,
    pub reason: Arc<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lever {
    /// Nothing is sent for so long, or until it is resumed.
    Pause(Option<Duration>),
    Resume,
    Lower(LoweredLimit),
    /// Back to the configured limit.
    Raise,
    /// Forgets what was learned and ends holds.
    Reset,
    /// Forgets what was spent.
    ForgetSpent,
}

impl Lever {
    /// The names of all levers, as in the API, the log and the metrics.
    pub const NAMES: [&str; 6] = ["pause", "resume", "lower", "raise", "reset", "forget-spent"];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pause(_) => "pause",
            Self::Resume => "resume",
            Self::Lower(_) => "lower",
            Self::Raise => "raise",
            Self::Reset => "reset",
            Self::ForgetSpent => "forget-spent",
        }
    }
}

/// What an operator lowers a limit to. It stays relative to the configured limit, which a reload
/// may change, and never exceeds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoweredLimit {
    Percent(u8),
    Units(u32),
}

impl LoweredLimit {
    /// At least one: to send nothing is a pause.
    pub(super) fn of(self, configured: u32) -> u32 {
        let lowered = match self {
            Self::Percent(percent) => {
                let part = u64::from(configured) * u64::from(percent) / 100;
                u32::try_from(part).unwrap_or(configured)
            }
            Self::Units(units) => units,
        };
        lowered.clamp(1, configured.max(1))
    }
}

/// What a lever did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeverReport {
    /// How many accounts it reached.
    pub accounts: usize,
    /// The upstream or the allowances that it changed in any of them.
    pub changed: Vec<Arc<str>>,
    /// Units that are no longer counted as spent.
    pub forgotten: u64,
}

impl LeverReport {
    /// Adds what the lever did in another account.
    pub(super) fn add(&mut self, other: Self) {
        self.accounts += other.accounts;
        self.forgotten += other.forgotten;
        for name in other.changed {
            if !self.changed.contains(&name) {
                self.changed.push(name);
            }
        }
    }
}

/// Why a lever does nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeverRefusal {
    /// With the upstreams that there are.
    UnknownUpstream(Vec<Arc<str>>),
    UnknownAccount,
    /// With the allowances that there are.
    UnknownAllowance(Vec<Arc<str>>),
    /// The upstream has no allowances, and this lever is about nothing else.
    NoAllowances,
    /// A number of units means another limit for each allowance; with the ones that there are.
    AmbiguousAllowance(Vec<Arc<str>>),
}

/// The levers of one scope.
#[derive(Clone, Debug, Default)]
pub(super) struct ScopeLevers {
    pub(super) pause: Option<Pause>,
    pub(super) lowered: Option<(LoweredLimit, LeverOrigin)>,
}

#[derive(Clone, Debug)]
pub(super) struct Pause {
    /// `NEVER`: until it is resumed.
    pub(super) until: Moment,
    pub(super) origin: LeverOrigin,
}

impl ScopeLevers {
    /// Until when the scope is paused. A pause that is over is removed.
    pub(super) fn paused_until(&mut self, now: Moment) -> Option<Moment> {
        self.pause.take_if(|pause| pause.until <= now);
        self.pause.as_ref().map(|pause| pause.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lowered_limit_is_a_part_of_the_configured_one_and_never_none_of_it() {
        let rows = [
            (LoweredLimit::Percent(40), 1_000, 400),
            (LoweredLimit::Percent(40), 1, 1),
            (LoweredLimit::Percent(99), u32::MAX, 4_252_017_622),
            (LoweredLimit::Units(30), 1_000, 30),
            (LoweredLimit::Units(2_000), 1_000, 1_000),
        ];
        for (lowered, configured, limit) in rows {
            assert_eq!(lowered.of(configured), limit, "{lowered:?} of {configured}");
        }
    }
}
