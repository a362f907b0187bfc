//! `Evenkeel-Errors`: in which shape the client of one request wants its errors.

use http::HeaderMap;

use super::names::EVENKEEL_ERRORS;

/// The shape that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskedErrors {
    Problem,
    Vendor,
}

/// The shape that a request asks for; an unknown word, or two that differ, ask for none.
#[must_use]
pub fn asked_errors(headers: &HeaderMap) -> Option<AskedErrors> {
    let mut words = headers.get_all(EVENKEEL_ERRORS).iter().map(|value| {
        let word = value.as_bytes().trim_ascii().to_ascii_lowercase();
        match &*word {
            b"problem" => Some(AskedErrors::Problem),
            b"vendor" => Some(AskedErrors::Vendor),
            _ => None,
        }
    });
    let first = words.next()??;
    words.all(|word| word == Some(first)).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::super::tests::map;
    use super::*;

    #[test]
    fn one_known_word_is_a_wish() {
        let rows: [(&[&'static str], _); 6] = [
            (&[], None),
            (&["vendor"], Some(AskedErrors::Vendor)),
            (&[" Problem "], Some(AskedErrors::Problem)),
            (&["vendor", "vendor"], Some(AskedErrors::Vendor)),
            (&["vendor", "problem"], None),
            (&["vendr"], None),
        ];
        for (values, expected) in rows {
            let rows: Vec<_> = values.iter().map(|value| ("evenkeel-errors", *value)).collect();
            assert_eq!(asked_errors(&map(&rows)), expected, "{values:?}");
        }
    }
}
