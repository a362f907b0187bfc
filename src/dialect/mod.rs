//! Reading error bodies into one tree, and the dialects that ship with the program.
//!
//! Bytes become text (`decode`, `text`), text becomes a tree (`json`, `html`, `form`), and the
//! tree yields facts: by the places a dialect names (`extract`) or by the usual signs (`auto`).
//! Refuses to decide what the facts mean: `policy::classify` does.

mod auto;
pub mod classify;
pub mod decode;
mod definition;
mod extract;
mod facts;
pub mod file;
mod form;
pub mod hint;
mod html;
mod json;
pub mod pointer;
mod text;

use std::sync::{Arc, LazyLock};
use std::time::SystemTime;

use crate::outcome::{Answer, Class, Failure, Reading, Trouble};
use crate::problem::Problem;
use classify::{Seen, classify};

pub use definition::{Dialect, Extract, HoldRule, Place, Replay, Retry, Rule, RuleScope, When};
pub use file::{Fault, compile, schema};

/// The name of the dialect for everybody who has no own one.
pub const AUTO: &str = "auto";

/// The dialects that ship with the program, as they stand in `config/dialects/`.
const SHIPPED: [(&str, &str); 3] = [
    (AUTO, include_str!("../../config/dialects/auto.yaml")),
    ("droplink", include_str!("../../config/dialects/droplink.yaml")),
    ("wordbee", include_str!("../../config/dialects/wordbee.yaml")),
];

static BUILT_IN: LazyLock<Vec<Arc<Dialect>>> = LazyLock::new(|| {
    let compiled = |(name, yaml): (&str, &str)| {
        let value = serde_saphyr::from_str(yaml).expect("a test parses what ships");
        Arc::new(compile(name, &value).expect("a test compiles what ships"))
    };
    SHIPPED.map(compiled).to_vec()
});

/// A dialect that ships with the program.
#[must_use]
pub fn builtin(name: &str) -> Option<Arc<Dialect>> {
    BUILT_IN.iter().find(|dialect| *dialect.name == *name).cloned()
}

/// The names of the dialects that ship with the program.
pub fn builtin_names() -> impl Iterator<Item = &'static str> {
    SHIPPED.iter().map(|(name, _)| *name)
}

/// The text of a dialect that ships with the program, for people who want to start from it.
#[must_use]
pub fn builtin_text(name: &str) -> Option<&'static str> {
    SHIPPED.iter().find(|(shipped, _)| *shipped == name).map(|(_, yaml)| *yaml)
}

/// What an answer means, and the facts it rests on.
#[must_use]
pub fn understand(dialect: &Dialect, answer: &Answer<'_>, wall: SystemTime) -> (Class, Reading) {
    let reading = read(dialect, answer);
    let class = classify(dialect, &Seen::Answer { answer: *answer, reading: &reading }, wall);
    (class, reading)
}

/// What a failure means.
#[must_use]
pub fn for_failure(dialect: &Dialect, failure: &Failure) -> Trouble {
    classify::failed(dialect, failure)
}

/// The facts of an answer's body.
#[must_use]
pub fn read(dialect: &Dialect, answer: &Answer<'_>) -> Reading {
    let tree = text::parse(answer.headers, answer.body);
    if answer.status.as_u16() >= 400
        && let Some(problem) = Problem::from_value(&tree.value)
    {
        return facts::relayed(problem, tree);
    }
    let places = &dialect.extract;
    let found = extract::facts(places, answer.headers, &tree);
    let recognised = found.message.is_some();
    if recognised {
        return facts::reading(found, tree, places, facts::Recognised::Yes);
    }
    let guessed = auto::facts(answer.headers, &tree, answer.status.as_u16());
    if dialect.guesses {
        let known = guessed.message.is_some() || guessed.code.is_some();
        let known = if known { facts::Recognised::Yes } else { facts::Recognised::No };
        return facts::reading(found.or(guessed), tree, places, known);
    }
    facts::fallback(found, guessed, tree, places)
}

#[cfg(test)]
mod tests;
