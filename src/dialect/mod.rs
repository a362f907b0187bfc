//! How vendors report errors: the body of a response becomes a document, the document yields facts,
//! and head and facts together give a classification.
//!
//! | step | files |
//! | --- | --- |
//! | bytes → `Document` | `document` |
//! | document → [`Facts`] | `facts`: `extract` for places a dialect names, else `auto` |
//! | head and facts → [`Classification`] | `classify`: rules, usual signs, status |
//! | wait hints and rate limits of a head, a body, a sentence | `hint` |
//! | an error of our own in the vendor's shape | `own` |
//! | text → [`Dialect`] | `compile`; the compiled form is `definition` |
//! | samples → text of a [`Dialect`] | `learn` |

mod classify;
mod compile;
mod definition;
mod document;
mod facts;
#[doc(hidden)]
pub mod hint;
mod learn;
mod own;

use std::sync::{Arc, LazyLock};
use std::time::SystemTime;

use bytes::Bytes;

use crate::outcome::{Classification, Facts, ResponseHead};
use classify::Evidence;
use document::Document;

pub use classify::{HeadDecides, classify_failure, head_decides};
pub use compile::{DialectError, compile, schema};
pub use definition::{Dialect, Extract, HoldRule, Place, Replay, Retry, Rule, RuleScope, When};
pub use document::BODY_BYTES_MAX;
pub use hint::standing;
pub use learn::{LearnError, SAMPLES_MAX, Sample, learn};
pub use own::{OwnError, OwnTemplate, RenderedError};

/// The dialect of every upstream without one of its own.
pub const AUTO: &str = "auto";

/// The built-in dialects, as they stand in `config/dialects/`.
const BUILT_IN_TEXTS: [(&str, &str); 3] = [
    (AUTO, include_str!("../../config/dialects/auto.yaml")),
    ("droplink", include_str!("../../config/dialects/droplink.yaml")),
    ("wordbee", include_str!("../../config/dialects/wordbee.yaml")),
];

static BUILT_IN: LazyLock<Vec<Arc<Dialect>>> = LazyLock::new(|| {
    let compiled = |(name, yaml): (&str, &str)| {
        let value = serde_saphyr::from_str(yaml).expect("a test parses the built-in dialects");
        Arc::new(compile(name, &value).expect("a test compiles the built-in dialects"))
    };
    BUILT_IN_TEXTS.map(compiled).to_vec()
});

#[must_use]
pub fn builtin(name: &str) -> Option<Arc<Dialect>> {
    BUILT_IN.iter().find(|dialect| *dialect.name == *name).cloned()
}

pub fn builtin_names() -> impl Iterator<Item = &'static str> {
    BUILT_IN_TEXTS.iter().map(|(name, _)| *name)
}

/// The YAML of a built-in dialect, as a start for one's own.
#[must_use]
pub fn builtin_text(name: &str) -> Option<&'static str> {
    BUILT_IN_TEXTS.iter().find(|(builtin, _)| *builtin == name).map(|(_, yaml)| *yaml)
}

/// What a response means, with the facts that a problem needs; `None` for a success, which goes to
/// the client as it is. `body` is what arrived, still encoded, and `None` unless it is complete.
#[must_use]
pub fn understand(
    dialect: &Dialect,
    head: ResponseHead<'_>,
    body: Option<Bytes>,
    wall: SystemTime,
) -> Option<(Classification, Facts)> {
    let document = Document::read(head.headers, body);
    let facts = facts::of_response(dialect, head, &document);
    let evidence = Evidence::new(head, &document, &facts, wall);
    let classification = classify::classify_response(dialect, &evidence)?;
    Some((classification, facts))
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
