//! A dialect: how one vendor speaks when something is wrong, as data.
//!
//! These are the compiled values; `dialect/file.rs` reads them from text. Refuses to look at an
//! answer: `classify` does.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use regex::Regex;

use crate::outcome::{Code, FailureKind, HoldCause, Support};

/// The pace after a throttle: half, unless a rule says otherwise (D29).
pub(super) const SLOW_SIXTEENTHS: u8 = 8;

/// How one vendor speaks when something is wrong.
#[derive(Clone, Debug)]
pub struct Dialect {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// Whether what no rule covers is guessed from the usual signs.
    pub guesses: bool,
    /// Where the vendor documents its errors.
    pub documentation: Option<Arc<str>>,
    /// Whom to contact, unless a rule says otherwise.
    pub support: Option<Support>,
    /// The vendor's own promise of an answer (D3); an upstream's own setting is stronger.
    pub attempt_timeout: Option<Duration>,
    /// Where the facts of an error live.
    pub extract: Extract,
    /// In order; the first that matches wins.
    pub rules: Vec<Rule>,
}

impl Dialect {
    /// The dialect as a route bends it: its own rules first, its own places instead.
    #[must_use]
    pub fn for_route(&self, rules: Vec<Rule>, extract: Option<Extract>) -> Self {
        let mut bent = self.clone();
        bent.rules.splice(0..0, rules);
        bent.extract = extract.unwrap_or(bent.extract);
        bent
    }

    /// Whom to contact about a hold of this cause: as the rule says that orders such holds.
    #[must_use]
    pub fn support_under(&self, cause: HoldCause) -> Option<&Support> {
        let orders = |rule: &&Rule| rule.hold.is_some_and(|hold| hold.cause == cause);
        let own = self.rules.iter().filter(orders).find_map(|rule| rule.support.as_ref());
        own.or(self.support.as_ref())
    }
}

/// Where the facts of an error live; of each list the first that yields text wins.
#[derive(Clone, Debug, Default)]
pub struct Extract {
    /// The human sentence.
    pub message: Vec<Place>,
    /// The machine's code.
    pub code: Vec<Place>,
    /// A second reason, when it differs from the message (W10).
    pub reason: Vec<Place>,
    /// Free details.
    pub details: Vec<Place>,
    /// The vendor's reference of this occurrence.
    pub reference: Vec<Place>,
    /// When the vendor says it happened.
    pub date: Vec<Place>,
    /// The long-running operation it belongs to.
    pub operation: Vec<Place>,
    /// The list of child errors.
    pub children: Vec<Place>,
    /// Inside a child: its sentence.
    pub child_message: Vec<Place>,
    /// Inside a child: its code.
    pub child_code: Vec<Place>,
    /// Inside a child: its details, which stand in for a missing sentence.
    pub child_details: Vec<Place>,
    /// Inside a child: the field it is about.
    pub child_pointer: Vec<Place>,
    /// Members that are never surfaced, at any depth (W9).
    pub ignore: Vec<Box<str>>,
}

/// One place to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A JSON Pointer into the body's tree.
    Pointer(Box<str>),
    /// A header of the answer.
    Header(HeaderName),
    /// The whole body as text.
    Text,
}

/// What one kind of error means.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name, for logs and `explain`.
    pub name: Box<str>,
    /// When it applies.
    pub when: When,
    /// What it means.
    pub code: Code,
    /// Whether it is safe to send any method again.
    pub replay: Replay,
    /// Whether and when sending again helps, without a hold.
    pub retry: Option<Retry>,
    /// What it closes.
    pub hold: Option<HoldRule>,
    /// The status the client gets, instead of the code's own.
    pub status: Option<http::StatusCode>,
    /// Its own support line.
    pub support: Option<Support>,
}

/// Conditions; all that are given must hold, of a list any.
#[derive(Clone, Debug, Default)]
pub struct When {
    /// Statuses, as inclusive ranges.
    pub status: Vec<(u16, u16)>,
    /// The extracted message, else the decoded body, matches.
    pub text: Option<Regex>,
    /// The extracted code is one of these.
    pub code: Vec<Box<str>>,
    /// A place of the body holds one of these texts.
    pub body: Vec<(Place, Vec<Box<str>>)>,
    /// A header is there and matches.
    pub header: Vec<(HeaderName, Option<Regex>)>,
    /// No answer came, for one of these reasons.
    pub failure: Vec<FailureKind>,
}

/// What a rule knows about sending again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Replay {
    /// What the replay table says.
    #[default]
    ByTable,
    /// The vendor did nothing, whatever the method.
    AnyMethod,
}

/// Sending again without a hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retry {
    /// After this wait; without one, after our own backoff.
    pub after: Option<Duration>,
}

/// What a rule closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldRule {
    /// Allowance or upstream.
    pub scope: RuleScope,
    /// Throttling or maintenance.
    pub cause: HoldCause,
    /// For how long, when the vendor does not say.
    pub length: Option<Duration>,
    /// Never shorter than this, whatever the vendor says.
    pub at_least: Duration,
    /// The pace afterwards, in sixteenths of the present one.
    pub slow_sixteenths: u8,
}

/// What a rule may close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleScope {
    /// The allowances the attempt paid, or the one whose window the vendor names.
    Allowance,
    /// The whole upstream.
    Upstream,
}
