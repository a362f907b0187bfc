//! Authentication that holds for a connection instead of a request: NTLM, and Negotiate where it
//! stands for NTLM or where the server remembers.
//!
//! Every request on such a connection is served as the client that authenticated. So an HTTP/1.1
//! connection that saw it serves the client's connection it saw it for, and no other; over HTTP/2,
//! where requests of many clients share a connection, such a request gets a connection of its own.

use http::header::{AUTHORIZATION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};

/// Whether a request with these headers authenticates the connection it is sent on.
pub(super) fn binds(headers: &HeaderMap) -> bool {
    [AUTHORIZATION, PROXY_AUTHORIZATION].iter().any(|name| headers.get_all(name).iter().any(names))
}

/// Whether an answer asks for that.
pub(super) fn challenges(status: StatusCode, headers: &HeaderMap) -> bool {
    let asks =
        matches!(status, StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED);
    let names_in = |name| headers.get_all(name).iter().any(names);
    asks && [WWW_AUTHENTICATE, PROXY_AUTHENTICATE].iter().any(names_in)
}

/// Whether a list of credentials or challenges has such a scheme in it.
fn names(value: &HeaderValue) -> bool {
    value.as_bytes().split(|byte| *byte == b',').any(|part| {
        let scheme = part.trim_ascii().split(u8::is_ascii_whitespace).next().unwrap_or_default();
        scheme.eq_ignore_ascii_case(b"ntlm") || scheme.eq_ignore_ascii_case(b"negotiate")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &http::HeaderName, values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn ntlm_and_negotiate_bind_in_any_case() {
        for value in ["NTLM TlRM", "ntlm TlRM", "Negotiate YII=", " NEGOTIATE"] {
            assert!(binds(&headers(&AUTHORIZATION, &[value])), "{value}");
        }
        for value in ["Bearer NTLM", "Basic bnRsbQ==", "NTLMv9 x", "Digest a=\"NTLM\"", ""] {
            assert!(!binds(&headers(&AUTHORIZATION, &[value])), "{value}");
        }
    }

    #[test]
    fn a_challenge_is_found_in_any_place() {
        let two = headers(&WWW_AUTHENTICATE, &["Basic realm=\"x\"", "NTLM"]);
        assert!(challenges(StatusCode::UNAUTHORIZED, &two));
        assert!(!challenges(StatusCode::OK, &two), "nothing is asked for");
        let list = headers(&WWW_AUTHENTICATE, &["Basic realm=\"x\", Negotiate"]);
        assert!(challenges(StatusCode::UNAUTHORIZED, &list));
        let proxy = headers(&PROXY_AUTHENTICATE, &["NTLM"]);
        assert!(challenges(StatusCode::PROXY_AUTHENTICATION_REQUIRED, &proxy));
        let bearer = headers(&WWW_AUTHENTICATE, &["Bearer realm=\"ntlm\""]);
        assert!(!challenges(StatusCode::UNAUTHORIZED, &bearer));
    }
}
