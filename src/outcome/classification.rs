//! The meaning of a response or failure that is not a success: its code, what may be repeated, the
//! hold it orders and the wait it states.

use std::fmt;
use std::time::Duration;

use http::StatusCode;

use super::code::{Code, Support};
use super::hold::{HoldOrder, Wait};
use super::standing::Standing;

#[derive(Clone, Debug)]
pub struct Classification {
    pub code: Code,
    /// The name of the rule that decided, for logs and `explain`.
    pub rule: Box<str>,
    /// What in the response made that rule apply.
    pub sign: Sign,
    pub processing: Processing,
    /// Whether sending again can help, and after which wait.
    pub remedy: Remedy,
    pub hold: Option<HoldOrder>,
    /// When the vendor says to return, for the problem's `retry_after`.
    pub wait: Option<Wait>,
    /// Where the vendor states that wait: a header, a member of the body, or a sentence.
    pub wait_place: Option<Box<str>>,
    /// An allowance that the vendor stated ("Maximum allowed 1000 per 01:00:00"). It can only lower
    /// the configured one.
    pub learned: Option<LearnedLimit>,
    /// What the head says about the vendor's limits; a failure has no head.
    pub standing: Option<Standing>,
    pub support: Option<Support>,
    /// The status that the rule gives the client, instead of the code's own.
    pub status: Option<StatusCode>,
}

/// What in a response decided its meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sign {
    /// The status alone, or the kind of a failure.
    Status,
    /// The conditions of a dialect's rule.
    Rule,
    /// The body is a problem that another gateway of ours wrote.
    Relayed,
    /// A machine-readable code.
    Code(Box<str>),
    /// The words of a sentence.
    Sentence(Box<str>),
    /// A header, with its value.
    Header(Box<str>),
    /// A member of the body, with its value.
    Member(Box<str>),
}

impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status => f.write_str("the status"),
            Self::Rule => f.write_str("the rule's conditions"),
            Self::Relayed => f.write_str("a problem of another gateway"),
            Self::Code(code) => write!(f, "code token {code:?}"),
            Self::Sentence(words) => write!(f, "sentence matched {words:?}"),
            Self::Header(line) => write!(f, "header {line}"),
            Self::Member(member) => write!(f, "member {member}"),
        }
    }
}

/// How far the upstream got with the request: the rows of the replay table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processing {
    /// No byte of it arrived.
    NotSent,
    /// The upstream says that it did nothing.
    NotProcessed,
    Unknown,
    /// It was carried out, or refused for good.
    Processed,
}

/// Whether sending the same request again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// No: the same request gets the same response.
    Final,
    /// Perhaps, after our own backoff: a blind retry, which the retry budget pays for.
    Backoff,
    /// After this wait, which the vendor or its dialect asked for without a hold.
    After(Duration),
    /// After the hold in [`Classification::hold`].
    Hold,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LearnedLimit {
    /// Calls per window.
    pub limit: u32,
    pub window: Duration,
}
