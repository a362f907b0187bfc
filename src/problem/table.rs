//! What is known of each code: name, status, title, sources, `retryable`, explanation.
//!
//! The facts themselves are in `rows`, their only home; documents and schemas are made from it.

use std::str::FromStr;

use http::StatusCode;

use super::rows::ROWS;
use crate::outcome::{Code, Source};

/// Whether a problem of a code may succeed later, unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retryable {
    /// It may.
    Yes,
    /// Not as it stands.
    No,
    /// As the replay table says for this request.
    ByReplay,
    /// If the vendor said when.
    AsStated,
}

/// The text is no code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownCode {
    /// What was found.
    pub found: Box<str>,
    /// The code that is spelt most like it.
    pub nearest: Code,
}

impl std::fmt::Display for UnknownCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "no code is called `{}`; the nearest is `{}`", self.found, self.nearest.as_str())
    }
}

impl std::error::Error for UnknownCode {}

/// Everything there is to say about one code.
pub(super) struct Row {
    pub(super) code: Code,
    pub(super) name: &'static str,
    pub(super) status: StatusCode,
    pub(super) title: &'static str,
    pub(super) sources: &'static [Source],
    pub(super) retryable: Retryable,
    /// The error of RFC 9209 when no answer was received.
    pub(super) proxy_error: Option<&'static str>,
    pub(super) about: &'static str,
}

impl Code {
    /// Every code, in the order of the documents.
    pub const ALL: [Self; ROWS.len()] = codes();

    /// Its name: `code` in a problem, the end of its `type`, a label of metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.row().name
    }

    /// One stable sentence for people.
    #[must_use]
    pub const fn title(self) -> &'static str {
        self.row().title
    }

    /// The status of its problems, unless a rule or a policy keeps another.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        self.row().status
    }

    /// Who may say it; the first is the usual one.
    #[must_use]
    pub const fn sources(self) -> &'static [Source] {
        self.row().sources
    }

    /// Whether the same request may succeed later.
    #[must_use]
    pub const fn retryable(self) -> Retryable {
        self.row().retryable
    }

    /// The error of RFC 9209 that fits, when no answer of the vendor stands behind it.
    #[must_use]
    pub const fn proxy_error(self) -> Option<&'static str> {
        self.row().proxy_error
    }

    /// One paragraph: what happened, and what to do about it.
    #[must_use]
    pub const fn about(self) -> &'static str {
        self.row().about
    }

    const fn row(self) -> &'static Row {
        &ROWS[self as usize]
    }
}

impl FromStr for Code {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        let found = Self::ALL.into_iter().find(|code| code.as_str() == text);
        found.ok_or_else(|| UnknownCode { found: text.into(), nearest: nearest(text) })
    }
}

fn nearest(text: &str) -> Code {
    let distance = |code: &Code| strsim::damerau_levenshtein(code.as_str(), text);
    Code::ALL.into_iter().min_by_key(distance).expect("there are codes")
}

const fn codes() -> [Code; ROWS.len()] {
    let mut codes = [Code::InvalidRequest; ROWS.len()];
    let mut n = 0;
    while n < ROWS.len() {
        codes[n] = ROWS[n].code;
        n += 1;
    }
    codes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_stands_in_the_order_of_the_codes() {
        for (place, row) in ROWS.iter().enumerate() {
            assert_eq!(row.code as usize, place, "{}", row.name);
            assert!(row.about.len() > 60 && !row.sources.is_empty(), "{}", row.name);
        }
    }

    #[test]
    fn names_lead_back_to_their_codes() {
        for code in Code::ALL {
            assert_eq!(code.as_str().parse(), Ok(code));
        }
        let unknown = "rate_limit".parse::<Code>().unwrap_err();
        assert_eq!(unknown.nearest, Code::RateLimited);
        assert!(unknown.to_string().contains("`rate_limited`"));
    }
}
