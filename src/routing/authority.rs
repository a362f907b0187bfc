//! Compares authorities (host and optional port) of requests and URLs.
//!
//! `name` and `name.` are the same host, hosts are case-insensitive, and a missing port is the
//! scheme's default.

/// The host of an authority, without its port and without the dot that ends an absolute name.
#[must_use]
pub fn host(authority: &str) -> &str {
    let (host, _) = split(authority);
    without_final_dot(host)
}

/// Whether two authorities name the same host and port; a missing port is the `default`.
#[must_use]
pub fn same(one: &str, other: &str, default: u16) -> bool {
    same_host(one, other) && port(one, default) == port(other, default)
}

/// Whether two authorities name the same host, whatever their ports.
#[must_use]
pub fn same_host(one: &str, other: &str) -> bool {
    host(one).eq_ignore_ascii_case(host(other))
}

/// The port of an authority; `None` when it is not a valid port.
#[must_use]
pub fn port(authority: &str, default: u16) -> Option<u16> {
    match split(authority).1 {
        None | Some("") => Some(default),
        Some(text) => text.parse().ok(),
    }
}

/// `api.example.` and `api.example` are the same host; this is the second form.
#[must_use]
pub fn without_final_dot(host: &str) -> &str {
    host.strip_suffix('.').filter(|host| !host.is_empty()).unwrap_or(host)
}

fn split(authority: &str) -> (&str, Option<&str>) {
    let after_brackets = authority.rfind(']').unwrap_or(0);
    match authority[after_brackets..].rfind(':') {
        Some(colon) => {
            let (host, port) = authority.split_at(after_brackets + colon);
            (host, Some(&port[1..]))
        }
        None => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_compared_by_host_and_port() {
        let rows = [
            ("a", "A", true),
            ("a.", "a", true),
            ("a.:80", "a", true),
            ("a:", "a", true),
            ("a:080", "a:80", true),
            ("a:8080", "a", false),
            ("[::1]:80", "[::1]", true),
            ("[::1]", "[::2]", false),
            ("a..", "a", false),
            ("u@a", "a", false),
            ("a:x", "a:x", true),
            ("a:x", "a", false),
            ("b", "a", false),
        ];
        for (one, other, expected) in rows {
            assert_eq!(same(one, other, 80), expected, "{one} {other}");
            assert_eq!(same(other, one, 80), expected, "{other} {one}");
        }
        assert_eq!(
            (host("API.local.:8080"), host("[::1]:80"), host(".")),
            ("API.local", "[::1]", ".")
        );
    }
}
