//! What was understood of an error body, before anything is decided about it.
//!
//! `dialect` extracts the facts from a document. The texts are the vendor's own, not yet cleaned.

use serde_json::Value;

use super::code::Code;

/// Most entries of [`Facts::children`]; a longer list is cut, because no client shows more.
pub const CHILDREN_MAX: usize = 100;

/// Values of [`Facts::details`]; `upstream.details` cannot hold as many in readable form.
pub const DETAIL_VALUES_MAX: usize = 500;

#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Whether the body looks as the dialect expects an error to look.
    pub recognised: bool,
    /// The sentence for people.
    pub message: Option<String>,
    pub code: Option<String>,
    /// A second sentence, when it differs from the message.
    pub reason: Option<String>,
    /// The vendor's reference of this occurrence.
    pub reference: Option<String>,
    /// The long-running operation it belongs to.
    pub operation: Option<String>,
    /// When the vendor says it happened, as written.
    pub occurred_at: Option<String>,
    pub details: Option<Value>,
    /// The body's own member `error`, for clients that look for one.
    pub error: Option<ErrorMember>,
    /// Single errors, in the vendor's order.
    pub children: Vec<ChildError>,
    /// Set when the body is a problem written by another gateway of ours.
    pub relayed: Option<Box<RelayedProblem>>,
    /// Further codes and sentences of the same error, which count only as evidence.
    pub beside: Vec<String>,
    /// Where message and code were found: a JSON Pointer, or the name of a header.
    pub message_at: Option<String>,
    pub code_at: Option<String>,
    /// The values of the document that these facts repeat; `details` leaves them out.
    pub carried: Vec<ValueId>,
}

/// Which value of a document it is: its address, as long as the document stays where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ValueId(usize);

impl ValueId {
    #[must_use]
    pub fn of(value: &Value) -> Self {
        Self(std::ptr::from_ref(value).addr())
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChildError {
    pub message: Option<String>,
    pub code: Option<String>,
    /// The member of the request it is about, as a JSON Pointer.
    pub pointer: Option<String>,
}

/// The member `error` at the top of a body, and what belongs to it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ErrorMember {
    pub value: Value,
    /// `error_description`, where `error` is a registered code of OAuth.
    pub description: Option<String>,
    /// `error_uri`, likewise.
    pub uri: Option<String>,
}

/// A problem that another gateway of ours wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct RelayedProblem {
    pub code: Code,
    pub outcome_unknown: bool,
    /// The whole body, from which `problem` reads it back.
    pub body: Value,
}

impl Facts {
    /// These facts, with what is missing taken from others.
    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        if self.message.is_none() {
            (self.message, self.message_at) = (other.message, other.message_at);
        }
        if self.code.is_none() {
            (self.code, self.code_at) = (other.code, other.code_at);
        }
        self.reason = self.reason.or(other.reason);
        self.reference = self.reference.or(other.reference);
        self.operation = self.operation.or(other.operation);
        self.occurred_at = self.occurred_at.or(other.occurred_at);
        self.error = self.error.or(other.error);
        if self.children.is_empty() {
            self.children = other.children;
        }
        self.beside.extend(other.beside);
        self.carried.extend(other.carried);
        self
    }
}
