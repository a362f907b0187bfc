//! A dialect as data: how one vendor reports errors. `compile` makes it from text, `facts` and
//! `classify` apply it.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use regex::Regex;

use super::own::OwnTemplate;
use crate::outcome::{Code, FailureKind, HoldCause, Support};

/// The pace after a throttle: half, unless a rule says otherwise (D29).
pub(super) const SLOW_SIXTEENTHS: u8 = 8;

#[derive(Clone, Debug, Default)]
pub struct Dialect {
    /// The name in the configuration.
    pub name: Arc<str>,
    /// Whether what no rule covers is guessed from the usual signs.
    pub guesses: bool,
    /// Where the vendor documents its errors.
    pub documentation: Option<Arc<str>>,
    /// The support contact, unless a rule has its own.
    pub support: Option<Support>,
    /// How long the vendor may take to respond, as it documents (D3); the upstream's own setting
    /// takes precedence.
    pub attempt_timeout: Option<Duration>,
    /// Whether the vendor asks for calls that are spread evenly (W21); the allowance's own setting
    /// takes precedence.
    pub spreads_evenly: bool,
    pub extract: Extract,
    /// The shape of the gateway's own errors for clients that get the vendor's.
    pub own: Option<OwnTemplate>,
    /// In order; the first that matches applies.
    pub rules: Vec<Rule>,
}

impl Dialect {
    /// The support contact for a hold of this cause: that of the rule that orders such holds, else
    /// the dialect's.
    #[must_use]
    pub fn support_under(&self, cause: HoldCause) -> Option<&Support> {
        let orders = |rule: &&Rule| rule.hold.is_some_and(|hold| hold.cause == cause);
        let own = self.rules.iter().filter(orders).find_map(|rule| rule.support.as_ref());
        own.or(self.support.as_ref())
    }
}

/// Where in a response the facts of an error are; of each list the first place with a text counts.
#[derive(Clone, Debug, Default)]
pub struct Extract {
    /// The sentence for people.
    pub message: Vec<Place>,
    /// The machine-readable code.
    pub code: Vec<Place>,
    /// A second sentence, when it differs from the message (W10).
    pub reason: Vec<Place>,
    pub details: Vec<Place>,
    /// The vendor's reference of this occurrence.
    pub reference: Vec<Place>,
    /// When the vendor says it happened.
    pub date: Vec<Place>,
    /// The long-running operation it belongs to.
    pub operation: Vec<Place>,
    /// Lists of child errors.
    pub children: Vec<Place>,
    /// The following places are relative to one child.
    pub child_message: Vec<Place>,
    pub child_code: Vec<Place>,
    /// Used as the child's message where there is none.
    pub child_details: Vec<Place>,
    /// The field the child is about.
    pub child_pointer: Vec<Place>,
    /// Members that are left out of the details, at any depth (W9).
    pub ignore: Vec<Box<str>>,
}

impl Extract {
    /// These places, then those of a dialect that is extended.
    pub(super) fn before(mut self, base: Self) -> Self {
        self.message.extend(base.message);
        self.code.extend(base.code);
        self.reason.extend(base.reason);
        self.details.extend(base.details);
        self.reference.extend(base.reference);
        self.date.extend(base.date);
        self.operation.extend(base.operation);
        self.children.extend(base.children);
        self.child_message.extend(base.child_message);
        self.child_code.extend(base.child_code);
        self.child_details.extend(base.child_details);
        self.child_pointer.extend(base.child_pointer);
        self.ignore.extend(base.ignore);
        self
    }
}

/// A part of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A JSON Pointer into the document's tree.
    Pointer(Box<str>),
    Header(HeaderName),
    /// The whole body as text.
    Text,
}

/// What one kind of error means, and what to do about it.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The name in logs and in `explain`.
    pub name: Box<str>,
    pub when: When,
    pub code: Code,
    pub replay: Replay,
    pub retry: Option<Retry>,
    pub hold: Option<HoldRule>,
    /// The status that the client gets, instead of the code's own.
    pub status: Option<http::StatusCode>,
    pub support: Option<Support>,
}

/// The conditions of a rule. All that are given must hold; of a list, one.
#[derive(Clone, Debug, Default)]
pub struct When {
    /// Statuses, as inclusive ranges.
    pub status: Vec<(u16, u16)>,
    /// Matches the extracted message, else the decoded body.
    pub text: Option<Regex>,
    /// Values of the extracted code.
    pub code: Vec<Box<str>>,
    /// Places and the texts they may hold.
    pub body: Vec<(Place, Vec<Box<str>>)>,
    /// Headers that are present, with a pattern for the value if there is one.
    pub header: Vec<(HeaderName, Option<Regex>)>,
    /// The kinds of failure; such a rule applies only where no response arrived.
    pub failure: Vec<FailureKind>,
}

/// Whether a request that met a rule's error may be sent again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Replay {
    /// As the replay table says.
    #[default]
    ByTable,
    /// Whatever the method: the vendor did nothing.
    AnyMethod,
}

/// A retry without a hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retry {
    /// The wait before it; without one, the gateway's own backoff.
    pub after: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldRule {
    pub scope: RuleScope,
    pub cause: HoldCause,
    /// How long, when the vendor does not say.
    pub length: Option<Duration>,
    /// The shortest hold, even if the vendor states a shorter wait.
    pub at_least: Duration,
    /// The pace afterwards, in sixteenths of the present one.
    pub slow_sixteenths: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleScope {
    /// The allowances that the attempt paid, or the one whose window the vendor states.
    Allowance,
    /// The whole upstream.
    Upstream,
}
