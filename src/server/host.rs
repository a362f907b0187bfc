//! What may stand in a `Host` header, and where an absolute target's path begins.
//!
//! Refuses to decide whether a host is served here: that is the route table's business.

/// Whether `value` is a host with or without a port, and nothing else.
pub(super) fn is_valid(value: &[u8]) -> bool {
    if let Some(rest) = value.strip_prefix(b"[") {
        return is_bracketed(rest);
    }
    let name = name_bytes(value);
    0 < name && is_port(&value[name..])
}

/// An address in brackets, behind the first, with or without a port.
fn is_bracketed(rest: &[u8]) -> bool {
    let Some(end) = rest.iter().position(|byte| *byte == b']') else { return false };
    let plain = |byte: &u8| is_name_byte(*byte) || *byte == b':';
    0 < end && rest[..end].iter().all(plain) && is_port(&rest[end + 1..])
}

/// Nothing, or a colon and perhaps digits.
fn is_port(rest: &[u8]) -> bool {
    match rest {
        [] => true,
        [b':', digits @ ..] => digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// How many bytes of a name it begins with.
fn name_bytes(value: &[u8]) -> usize {
    value.iter().position(|byte| !is_name_byte(*byte)).unwrap_or(value.len())
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

/// RFC 3986 `reg-name` without the comma, which proxies use to join two headers into one.
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
