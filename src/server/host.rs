//! What may stand in a `Host` header, and where an absolute target's path begins.
//!
//! Refuses to decide whether a host is served here: that is the route table's business.

/// Whether `value` is a host with or without a port, and nothing else.
pub(super) fn is_valid(value: &[u8]) -> bool {
    let (name, port) = split_port(value);
    !name.is_empty() && is_name(name) && port.iter().all(u8::is_ascii_digit)
}

/// What follows the authority of `http://host…` or `https://host…`; empty for none.
pub(super) fn behind_authority(target: &[u8]) -> Option<&[u8]> {
    let rest = after_scheme(target, b"http://").or_else(|| after_scheme(target, b"https://"))?;
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    is_valid(&rest[..end]).then_some(&rest[end..])
}

fn after_scheme<'a>(target: &'a [u8], scheme: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = target.split_at_checked(scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// The name and the digits behind its last colon, brackets respected.
fn split_port(value: &[u8]) -> (&[u8], &[u8]) {
    let name_end = value.iter().rposition(|byte| *byte == b']').map_or(0, |end| end + 1);
    match value[name_end..].iter().position(|byte| *byte == b':') {
        Some(colon) => (&value[..name_end + colon], &value[name_end + colon + 1..]),
        None => (value, b""),
    }
}

fn is_name(name: &[u8]) -> bool {
    match name.strip_prefix(b"[").map(|rest| rest.strip_suffix(b"]")) {
        Some(inside) => inside.is_some_and(is_ip_literal),
        None => name.iter().all(|byte| is_name_byte(*byte)),
    }
}

fn is_ip_literal(inside: &[u8]) -> bool {
    let plain = |byte: &u8| is_name_byte(*byte) || *byte == b':';
    !inside.is_empty() && inside.iter().all(plain)
}

/// RFC 3986 `reg-name` without the comma, which proxies use to join two headers into one.
const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'%')
        || matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b';' | b'=')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_and_perhaps_a_port() {
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
    fn an_absolute_target_has_scheme_and_authority() {
        let behind = |target: &'static str| behind_authority(target.as_bytes());
        assert_eq!(behind("http://a/b?c"), Some(&b"/b?c"[..]));
        assert_eq!(behind("HTTPS://a:1"), Some(&b""[..]));
        assert_eq!(behind("http:///b"), None);
        assert_eq!(behind("http://u@a/b"), None);
        assert_eq!(behind("ftp://a/b"), None);
        assert_eq!(behind("a:443"), None);
    }
}
