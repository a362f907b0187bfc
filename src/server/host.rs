//! Validates `Host` headers and takes absolute request targets apart.
//!
//! Whether a host is served here is for the routes to decide.

/// Whether `value` is a host with an optional port, and nothing else.
pub(super) fn is_valid(value: &[u8]) -> bool {
    if let Some(rest) = value.strip_prefix(b"[") {
        let Some(end) = rest.iter().position(|byte| *byte == b']') else { return false };
        let is_address = |byte: &u8| is_name_byte(*byte) || *byte == b':';
        return 0 < end && rest[..end].iter().all(is_address) && is_port(&rest[end + 1..]);
    }
    let name_bytes = value.iter().position(|byte| !is_name_byte(*byte)).unwrap_or(value.len());
    0 < name_bytes && is_port(&value[name_bytes..])
}

/// Nothing, or a colon and any number of digits.
fn is_port(rest: &[u8]) -> bool {
    match rest {
        [] => true,
        [b':', digits @ ..] => digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// What follows the authority of `http://host…` or `https://host…`, possibly nothing; `None` for
/// any other target.
pub(super) fn after_authority(target: &[u8]) -> Option<&[u8]> {
    let rest = ["http://", "https://"].iter().find_map(|scheme| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme.as_bytes()).then_some(rest)
    })?;
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    is_valid(&rest[..end]).then_some(&rest[end..])
}

/// The bytes of a `reg-name` (RFC 3986 §3.2.2) without the comma, with which proxies join repeated
/// headers.
fn is_name_byte(byte: u8) -> bool {
    const NAME: [bool; 256] = {
        let mut table = [false; 256];
        let mut byte = 0u8;
        while byte < 128 {
            table[byte as usize] = byte.is_ascii_alphanumeric()
                || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'%' | b'!' | b'$' | b'&' | b'\'')
                || matches!(byte, b'(' | b')' | b'*' | b'+' | b';' | b'=');
            byte += 1;
        }
        table
    };
    NAME[usize::from(byte)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_address_with_an_optional_port() {
        let rows: [(&str, bool); 20] = [
            ("a", true),
            ("api.example:8080", true),
            ("127.0.0.1:1", true),
            ("[::1]", true),
            ("[::1]:80", true),
            ("a_b.example", true),
            ("a:", true),
            ("", false),
            (":80", false),
            ("a,b", false),
            ("a b", false),
            ("a/b", false),
            ("a?b", false),
            ("a#b", false),
            ("u@a", false),
            ("a:80:90", false),
            ("a:x", false),
            ("::1", false),
            ("[::1", false),
            ("a\\b", false),
        ];
        for (value, valid) in rows {
            assert_eq!(is_valid(value.as_bytes()), valid, "{value:?}");
        }
    }

    #[test]
    fn an_absolute_target_is_split_behind_its_authority() {
        let after = |target: &'static str| after_authority(target.as_bytes());
        assert_eq!(after("http://a/b?c"), Some(&b"/b?c"[..]));
        assert_eq!(after("HTTPS://a:1"), Some(&b""[..]));
        assert_eq!(after("http:///b"), None);
        assert_eq!(after("http://u@a/b"), None);
        assert_eq!(after("ftp://a/b"), None);
        assert_eq!(after("a:443"), None);
    }
}
