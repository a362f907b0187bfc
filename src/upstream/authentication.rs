//! Schemes that authenticate a connection instead of a request: NTLM, and Negotiate where it stands
//! for NTLM or where the server remembers.
//!
//! An upstream serves every further request on such a connection as the client that authenticated.
//! So an HTTP/1.1 connection that saw such a scheme serves only the client connection it saw it
//! for. Over HTTP/2, where requests of many clients share a connection, such a request gets a
//! connection of its own.

use http::header::{AUTHORIZATION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};

/// Whether a request with these headers authenticates the connection it is sent on.
pub(super) fn authenticates_connection(headers: &HeaderMap) -> bool {
    let names_scheme = |name| headers.get_all(name).iter().any(names_connection_scheme);
    [AUTHORIZATION, PROXY_AUTHORIZATION].iter().any(names_scheme)
}

/// Whether a response asks the client to authenticate the connection.
pub(super) fn challenges_connection(status: StatusCode, headers: &HeaderMap) -> bool {
    let is_challenge =
        matches!(status, StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED);
    let names_scheme = |name| headers.get_all(name).iter().any(names_connection_scheme);
    is_challenge && [WWW_AUTHENTICATE, PROXY_AUTHENTICATE].iter().any(names_scheme)
}

/// Whether a list of credentials or challenges contains one of the schemes.
fn names_connection_scheme(value: &HeaderValue) -> bool {
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
    fn ntlm_and_negotiate_are_recognised_in_any_case() {
        for value in ["NTLM TlRM", "ntlm TlRM", "Negotiate YII=", " NEGOTIATE"] {
            assert!(authenticates_connection(&headers(&AUTHORIZATION, &[value])), "{value}");
        }
        for value in ["Bearer NTLM", "Basic bnRsbQ==", "NTLMv9 x", "Digest a=\"NTLM\"", ""] {
            assert!(!authenticates_connection(&headers(&AUTHORIZATION, &[value])), "{value}");
        }
    }

    #[test]
    fn a_challenge_is_recognised_anywhere_in_the_list() {
        let two = headers(&WWW_AUTHENTICATE, &["Basic realm=\"x\"", "NTLM"]);
        assert!(challenges_connection(StatusCode::UNAUTHORIZED, &two));
        assert!(!challenges_connection(StatusCode::OK, &two), "a 200 is no challenge");
        let list = headers(&WWW_AUTHENTICATE, &["Basic realm=\"x\", Negotiate"]);
        assert!(challenges_connection(StatusCode::UNAUTHORIZED, &list));
        let proxy = headers(&PROXY_AUTHENTICATE, &["NTLM"]);
        assert!(challenges_connection(StatusCode::PROXY_AUTHENTICATION_REQUIRED, &proxy));
        let bearer = headers(&WWW_AUTHENTICATE, &["Bearer realm=\"ntlm\""]);
        assert!(!challenges_connection(StatusCode::UNAUTHORIZED, &bearer));
    }
}
