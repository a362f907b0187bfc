//! What a vendor says about sending again: `x-should-retry` and its kin.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Whether to send the request again, in the words of the vendor or in ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    Retry,
    Stop,
}

/// Read by the SDKs that Stainless generates (OpenAI, Anthropic and many others).
pub const X_SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
/// Read by Stripe's SDKs.
pub const STRIPE_SHOULD_RETRY: HeaderName = HeaderName::from_static("stripe-should-retry");

impl Advice {
    pub const HEADERS: [HeaderName; 2] = [X_SHOULD_RETRY, STRIPE_SHOULD_RETRY];

    /// What a head says. Where it contradicts itself, the advice to stop counts.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let lines = Self::HEADERS.into_iter().flat_map(|name| headers.get_all(name));
        let said = lines.filter_map(|line| match line.as_bytes().trim_ascii() {
            b"true" => Some(Self::Retry),
            b"false" => Some(Self::Stop),
            _ => None,
        });
        said.reduce(|one, other| if other == Self::Stop { other } else { one })
    }

    #[must_use]
    pub const fn value(self) -> HeaderValue {
        match self {
            Self::Retry => HeaderValue::from_static("true"),
            Self::Stop => HeaderValue::from_static("false"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_is_read_under_each_name_and_the_advice_to_stop_counts() {
        type Lines<'a> = &'a [(HeaderName, &'a str)];
        let rows: [(Lines<'_>, Option<Advice>); 6] = [
            (&[], None),
            (&[(STRIPE_SHOULD_RETRY, "false")], Some(Advice::Stop)),
            (&[(X_SHOULD_RETRY, "true")], Some(Advice::Retry)),
            (&[(X_SHOULD_RETRY, "perhaps")], None),
            (&[(X_SHOULD_RETRY, "true"), (STRIPE_SHOULD_RETRY, "false")], Some(Advice::Stop)),
            (&[(X_SHOULD_RETRY, "false"), (X_SHOULD_RETRY, "true")], Some(Advice::Stop)),
        ];
        for (lines, expected) in rows {
            let line = |(name, value): &(HeaderName, &str)| (name.clone(), value.parse().unwrap());
            let headers: HeaderMap = lines.iter().map(line).collect();
            assert_eq!(Advice::of(&headers), expected, "{lines:?}");
        }
    }
}
