//! What was understood of an answer's body: the facts of an error, before anybody decides.
//!
//! `dialect/` fills it in from bytes. The texts are the vendor's own, not yet cleaned.

use serde_json::Value;

use crate::problem::Problem;

/// The facts of one error body.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// What the body turned out to be.
    pub form: Form,
    /// Whether it is what the dialect expects an error to look like.
    pub recognised: bool,
    /// The human sentence.
    pub message: Option<String>,
    /// The machine's code.
    pub code: Option<String>,
    /// A second reason, when it differs from the message.
    pub reason: Option<String>,
    /// The vendor's reference of this occurrence.
    pub reference: Option<String>,
    /// The long-running operation it belongs to.
    pub operation: Option<String>,
    /// When the vendor says it happened, as it wrote it.
    pub occurred_at: Option<String>,
    /// What it sent and nothing else here carries.
    pub details: Option<Value>,
    /// Single errors, in the vendor's order.
    pub children: Vec<Part>,
    /// The body is a problem of ours: another gateway stands behind this one.
    pub relayed: Option<Box<Problem>>,
    /// The body as a tree, for rules and hints that look into it.
    pub tree: Value,
    /// What a rule's `text` looks at: the extracted message, else the decoded body.
    pub text: String,
}

/// One of several errors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Its sentence.
    pub message: Option<String>,
    /// Its code.
    pub code: Option<String>,
    /// The member of the request it is about.
    pub pointer: Option<String>,
}

/// What a body turned out to be, whatever its `Content-Type` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Nothing.
    #[default]
    Empty,
    /// JSON.
    Json,
    /// A page.
    Html,
    /// `a=b&c=d`.
    Fields,
    /// Sentences.
    Text,
    /// XML; its facts are not looked for.
    Xml,
    /// Cut short, or not text.
    Unreadable,
}
