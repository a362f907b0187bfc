//! Clients that send a failed request again by themselves, as most SDKs do.
//!
//! Their retries and ours must not multiply. A client that heeds `x-should-retry: false` is told
//! so when ours are used up (`problem/retry_headers.rs`). To any other client the blind retries
//! are left, so that the vendor is never sent more than one of the two would send alone. What a
//! hold delays is still sent by us: the client's next call waits in the queue like any other.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::outcome::Advice;

/// Whether clients retry by themselves: the setting `client_retries`. The more careful answer is
/// the greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClientRetries {
    /// They do not, whatever their requests say.
    No,
    /// Where the request says so.
    #[default]
    AsRequested,
    Yes,
}

/// The place of a call among those that its client makes of one request of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallSeries {
    /// The client makes only this one, as far as is known.
    Single,
    /// The client retries; the request does not say how often.
    Unnumbered,
    Numbered {
        /// From 1.
        call: u32,
        calls_max: u32,
    },
}

/// `attempt=1; max=3` in the requests of all AWS SDKs.
const AMZ_SDK_REQUEST: &str = "amz-sdk-request";
/// The default of boto3's legacy mode, whose first request does not state its maximum.
const AMZ_CALLS: u32 = 5;
/// The retries before this request, in those of the SDKs that Stainless generates.
const STAINLESS_RETRY_COUNT: &str = "x-stainless-retry-count";
/// These SDKs make two retries unless told otherwise, and do not say how many.
const STAINLESS_CALLS: u32 = 3;

/// In the requests of Stripe's SDKs, which obey `stripe-should-retry`.
pub const STRIPE_SDK: HeaderName = HeaderName::from_static("x-stripe-client-user-agent");

impl CallSeries {
    /// `advice` is the vendor's, which reaches the client and is obeyed there.
    #[must_use]
    pub fn of(request: &HeaderMap, advice: Option<Advice>, setting: ClientRetries) -> Self {
        let obeyed = advice == Some(Advice::Retry) && request.contains_key(STRIPE_SDK);
        match (setting, Self::numbered(request)) {
            (ClientRetries::No, _) => Self::Single,
            (ClientRetries::AsRequested | ClientRetries::Yes, Some(numbered)) => numbered,
            (ClientRetries::AsRequested, None) if !obeyed => Self::Single,
            (ClientRetries::AsRequested | ClientRetries::Yes, None) => Self::Unnumbered,
        }
    }

    fn numbered(request: &HeaderMap) -> Option<Self> {
        let text = |name| request.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let (call, calls_max) = if let Some(value) = text(AMZ_SDK_REQUEST) {
            let number = |name: &str| {
                let members = value.split(';').filter_map(|member| member.split_once('='));
                let mut named = members.filter(|(key, _)| key.trim() == name);
                named.next()?.1.trim().parse::<u32>().ok()
            };
            let call = number("attempt")?;
            (call, number("max").unwrap_or(AMZ_CALLS))
        } else {
            let retries: u32 = text(STAINLESS_RETRY_COUNT)?.trim().parse().ok()?;
            (retries.saturating_add(1), STAINLESS_CALLS)
        };
        let calls_max = calls_max.max(call);
        (calls_max > 1).then_some(Self::Numbered { call, calls_max })
    }

    /// The most attempts of this call, where a call alone may make `attempts_max`. The client's
    /// calls and our retries together stay within the larger of the two.
    #[must_use]
    pub(super) const fn attempts_max(self, attempts_max: u32) -> u32 {
        match self {
            Self::Single | Self::Unnumbered => attempts_max,
            Self::Numbered { call: 0 | 1, calls_max } => 1 + attempts_max.saturating_sub(calls_max),
            Self::Numbered { .. } => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn series(name: &'static str, value: &'static str, setting: ClientRetries) -> CallSeries {
        let line = (HeaderName::from_static(name), HeaderValue::from_static(value));
        CallSeries::of(&HeaderMap::from_iter([line]), None, setting)
    }

    #[test]
    fn an_sdk_of_stripes_retries_where_stripe_says_so() {
        let request = HeaderMap::from_iter([(STRIPE_SDK, HeaderValue::from_static("{}"))]);
        let of = |advice, setting| CallSeries::of(&request, advice, setting);
        let (asked, stopped) = (Some(Advice::Retry), Some(Advice::Stop));
        assert_eq!(of(asked, ClientRetries::AsRequested), CallSeries::Unnumbered);
        assert_eq!(of(stopped, ClientRetries::AsRequested), CallSeries::Single);
        assert_eq!(of(None, ClientRetries::AsRequested), CallSeries::Single);
        assert_eq!(of(asked, ClientRetries::No), CallSeries::Single);
    }

    #[test]
    fn a_request_says_which_call_of_its_client_it_is() {
        let numbered = |call, calls_max| CallSeries::Numbered { call, calls_max };
        let rows = [
            (AMZ_SDK_REQUEST, "attempt=1; max=5", numbered(1, 5)),
            (AMZ_SDK_REQUEST, "ttl=20261130T160000Z; attempt=2;max=3", numbered(2, 3)),
            (AMZ_SDK_REQUEST, "attempt=1", numbered(1, 5)),
            (AMZ_SDK_REQUEST, "attempt=1; max=1", CallSeries::Single),
            (AMZ_SDK_REQUEST, "attempt=x; max=5", CallSeries::Single),
            (STAINLESS_RETRY_COUNT, "0", numbered(1, 3)),
            (STAINLESS_RETRY_COUNT, "1", numbered(2, 3)),
            (STAINLESS_RETRY_COUNT, "7", numbered(8, 8)),
            (STAINLESS_RETRY_COUNT, "4294967295", numbered(u32::MAX, u32::MAX)),
            (STAINLESS_RETRY_COUNT, "-1", CallSeries::Single),
            ("user-agent", "curl/8", CallSeries::Single),
        ];
        for (name, value, expected) in rows {
            let found = series(name, value, ClientRetries::AsRequested);
            assert_eq!(found, expected, "{name}: {value}");
            assert_eq!(series(name, value, ClientRetries::No), CallSeries::Single);
            let declared = series(name, value, ClientRetries::Yes);
            assert_ne!(declared, CallSeries::Single, "{name}: {value}");
        }
    }

    #[test]
    fn no_series_sends_more_than_the_client_or_the_gateway_alone() {
        for (attempts_max, calls_max) in (1..12).flat_map(|a| (2..12).map(move |c| (a, c))) {
            let sent = (1..=calls_max)
                .map(|call| CallSeries::Numbered { call, calls_max }.attempts_max(attempts_max));
            assert_eq!(
                sent.sum::<u32>(),
                attempts_max.max(calls_max),
                "{attempts_max} {calls_max}"
            );
        }
    }
}
