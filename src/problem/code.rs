//! Methods of [`Code`] that look up its row of the table.

use std::str::FromStr;

use http::StatusCode;

use super::code_table::{ROWS, Retryable, Row};
use crate::outcome::{Code, Source};

impl Code {
    /// Every code, in the order of the documentation.
    pub const ALL: [Self; ROWS.len()] = {
        let mut codes = [Self::InvalidRequest; ROWS.len()];
        let mut n = 0;
        while n < ROWS.len() {
            codes[n] = ROWS[n].code;
            n += 1;
        }
        codes
    };

    /// The member `code` of a problem, the end of its `type`, and a label of metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.row().name
    }

    #[must_use]
    pub const fn title(self) -> &'static str {
        self.row().title
    }

    /// The status of its problems, unless a dialect's rule or `status: keep` says otherwise.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        self.row().status
    }

    /// Possible values of the member `source`; the first is the usual one.
    #[must_use]
    pub const fn sources(self) -> &'static [Source] {
        self.row().sources
    }

    #[must_use]
    pub const fn retryable(self) -> Retryable {
        self.row().retryable
    }

    /// The error of RFC 9209 when the upstream sent no response.
    #[must_use]
    pub const fn proxy_error(self) -> Option<&'static str> {
        self.row().proxy_error
    }

    /// One paragraph: what happened. What to do about it is the [`advice`](Self::advice).
    #[must_use]
    pub const fn about(self) -> &'static str {
        self.row().about
    }

    const fn row(self) -> &'static Row {
        &ROWS[self as usize]
    }
}

/// A text that names no code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownCode {
    pub found: Box<str>,
    /// The code with the most similar name.
    pub nearest: Code,
}

impl std::fmt::Display for UnknownCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (found, nearest) = (&self.found, self.nearest.as_str());
        write!(f, "`{found}` is not a problem code; did you mean `{nearest}`?")
    }
}

impl std::error::Error for UnknownCode {}

impl FromStr for Code {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        Self::ALL.into_iter().find(|code| code.as_str() == text).ok_or_else(|| {
            let distance = |code: &Self| strsim::damerau_levenshtein(code.as_str(), text);
            let nearest = Self::ALL.into_iter().min_by_key(distance).expect("there are codes");
            UnknownCode { found: text.into(), nearest }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        for (place, row) in ROWS.iter().enumerate() {
            assert_eq!(row.code as usize, place, "{}", row.name);
            assert!(
                row.about.len() > 50 && row.code.advice().len() > 30 && !row.sources.is_empty(),
                "{}",
                row.name
            );
        }
    }

    #[test]
    fn titles_are_distinct_and_become_details_by_a_full_stop() {
        let titles: std::collections::BTreeSet<_> = Code::ALL.map(Code::title).into();
        assert_eq!(titles.len(), Code::ALL.len());
        assert!(titles.iter().all(|title| !title.ends_with('.')), "{titles:?}");
    }

    #[test]
    fn names_parse_back_to_their_codes() {
        for code in Code::ALL {
            assert_eq!(code.as_str().parse(), Ok(code));
        }
        let unknown = "rate_limit".parse::<Code>().unwrap_err();
        assert_eq!(unknown.nearest, Code::RateLimited);
        assert!(unknown.to_string().contains("`rate_limited`"));
    }
}
