//! How vendors report errors: the body of a response becomes a document, the document yields facts,
//! and head and facts together give a classification.
//!
//! | step | files |
//! | --- | --- |
//! | bytes → `Document` | `document` |
//! | document → [`Facts`] | `facts`: `extract` for places a dialect names, else `auto` |
//! | head and facts → [`Classification`] | `classify`: rules, usual signs, status |
//! | wait hints and rate limits of a head, a body, a sentence | `hint` |
//! | an error of gRPC in a head | `grpc` |
//! | an error of our own in the vendor's shape | `own` |
//! | text → [`Dialect`] | `compile`; the compiled form is `definition`, ours are in `built_in` |
//! | samples → text of a [`Dialect`] | `learn` |

mod built_in;
mod classify;
mod compile;
mod definition;
mod document;
mod facts;
mod grpc;
#[doc(hidden)]
pub mod hint;
mod learn;
mod own;
mod spelling;
mod verdict;

use std::time::SystemTime;

use bytes::Bytes;

use crate::outcome::{Classification, Facts, ResponseHead};
use classify::Evidence;
use document::Document;

pub use built_in::{builtin, builtin_names, builtin_text, compile};
pub use classify::{HeadDecides, classify_failure};
pub use compile::{DialectError, compile_extending, extends, schema};
pub use definition::{Dialect, Extract, HoldRule, Place, Replay, Retry, Rule, RuleScope, When};
pub use document::{BODY_BYTES_MAX, BrokenOff, decoded, is_compressed};
pub use grpc::is_grpc_error;
pub use hint::standing;
pub use learn::{LearnError, SAMPLES_MAX, Sample, learn};
pub use own::{OwnError, OwnTemplate, RenderedError};

/// The dialect of every upstream without one of its own.
pub const AUTO: &str = "auto";

/// What a response means, with the facts that a problem needs; `None` for a success, which goes to
/// the client as it is. `body` is what arrived, still encoded, and `None` unless it is complete.
#[must_use]
pub fn understand(
    dialect: &Dialect,
    head: ResponseHead<'_>,
    body: Option<Bytes>,
    wall: SystemTime,
) -> Option<(Classification, Facts)> {
    let (sent, head) = (head, grpc::as_http(head));
    let document = Document::read(head.headers, body);
    let mut facts = facts::of_response(dialect, head, &document);
    if head.status != sent.status {
        grpc::add_facts(&mut facts, head.headers);
    }
    let evidence = Evidence::new(head, &document, &facts, wall);
    let classification = classify::classify_response(dialect, &evidence)?;
    facts.error = facts::error_member(dialect, head, document);
    Some((classification, facts))
}

/// When the head of a response may place a hold before its body is read.
#[must_use]
pub fn head_decides(head: ResponseHead<'_>, wall: SystemTime) -> HeadDecides {
    classify::head_decides(grpc::as_http(head), wall)
}

/// What a response means whose body is not available; `None` for a success.
#[must_use]
pub fn classify_head(
    dialect: &Dialect,
    head: ResponseHead<'_>,
    wall: SystemTime,
) -> Option<Classification> {
    understand(dialect, head, None, wall).map(|(classification, _)| classification)
}

#[cfg(test)]
mod tests;
