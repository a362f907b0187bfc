//! The contract as pages for people: an overview of the codes and one page for each.
//!
//! A page is a list of blocks; `render` writes it as text, Markdown or HTML. Words between
//! backticks are code.

use super::{Problem, Retryable, sample};
use crate::outcome::{Code, TYPE_PREFIX};

/// A page of the contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    pub(super) title: String,
    pub(super) blocks: Vec<Block>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Block {
    Heading(&'static str),
    Paragraph(String),
    /// Names and values.
    Facts(Vec<(&'static str, String)>),
    /// One line for each code.
    Codes(Vec<Code>),
    Json(String),
}

impl Page {
    /// What all problems have in common, and the list of codes.
    #[must_use]
    pub fn overview() -> Self {
        let paragraph = |text: &str| Block::Paragraph(text.to_owned());
        Self {
            title: "Problems".to_owned(),
            blocks: vec![
                paragraph(
                    "Every error of this gateway, the vendors' errors and its own alike, is \
                     `application/problem+json` (RFC 9457) with the same members. Branch on \
                     `code`, or on `source` and `retryable`; titles and details are for people and \
                     may change. Members may be added: ignore those you do not know.",
                ),
                Block::Heading("In a client program"),
                paragraph(
                    "If `retryable` is false, the same request will not succeed: show `detail`. If \
                     it is true, wait `retry_after` seconds (the header `Retry-After` says the \
                     same), or a growing pause where it is null, and send the request again. If \
                     `outcome_unknown` is true, the request may have been carried out: read the \
                     state before you repeat it. The gateway has already retried what was safe, so \
                     turn off blind retries in the client. Log `request_id`; the operator finds \
                     the call by it.",
                ),
                Block::Heading("Codes"),
                Block::Codes(Code::ALL.to_vec()),
            ],
        }
    }

    /// In place of the page of a code that does not exist; `what` says so.
    #[must_use]
    pub fn no_such_code(what: &str) -> Self {
        let blocks = vec![Block::Paragraph(what.to_owned()), Block::Codes(Code::ALL.to_vec())];
        Self { title: "No such code".to_owned(), blocks }
    }

    /// What a code means, what to do about it, and a sample.
    #[must_use]
    pub fn of(code: Code) -> Self {
        let sources: Vec<&str> = code.sources().iter().map(|source| source.as_str()).collect();
        let retryable = match code.retryable() {
            Retryable::Yes => "yes",
            Retryable::No => "no",
            Retryable::ByReplay => "if the request may safely be sent again",
            Retryable::AsStated => "if the vendor states when",
        };
        let facts = vec![
            ("type", [TYPE_PREFIX, code.as_str()].concat()),
            ("status", code.status().as_u16().to_string()),
            ("source", sources.join(", ")),
            ("retryable", retryable.to_owned()),
        ];
        Self {
            title: code.as_str().to_owned(),
            blocks: vec![
                Block::Paragraph(code.title().to_owned() + "."),
                Block::Facts(facts),
                Block::Heading("What it means"),
                Block::Paragraph(code.about().to_owned()),
                Block::Heading("What a client should do"),
                Block::Paragraph(code.advice().to_owned()),
                Block::Heading("Sample"),
                Block::Json(pretty(&sample(code))),
            ],
        }
    }
}

/// One line for each member.
fn pretty(problem: &Problem) -> String {
    serde_json::to_string_pretty(problem).expect("no member can fail to serialise")
}
