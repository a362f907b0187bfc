//! Maps the scope of an upstream's cookie to the gateway: a path of the upstream becomes the
//! matching path of the route, and a domain of the upstream is removed, so that the cookie belongs
//! to the gateway's host. Name, value and other attributes stay.

use super::location::{Rewrite, under};
use crate::routing::authority;

/// Clients reject cookies with this prefix unless their path is `/`.
const HOST_PREFIX: &str = "__host-";

/// `None` when the cookie needs no change.
pub(super) fn map_cookie(text: &str, rewrite: &Rewrite<'_>) -> Option<String> {
    let mut parts = text.split(';');
    let pair = parts.next()?;
    let mut mapped = pair.to_owned();
    let mut changes = false;
    for part in parts {
        let scope = scope(part, pair, rewrite);
        changes |= scope != Scope::Kept;
        match scope {
            Scope::Kept => mapped.extend([";", part]),
            Scope::Path(path) => mapped.extend(["; Path=", &path]),
            Scope::Removed => {}
        }
    }
    changes.then_some(mapped)
}

#[derive(PartialEq, Eq)]
enum Scope {
    Kept,
    Path(String),
    Removed,
}

fn scope(attribute: &str, pair: &str, rewrite: &Rewrite<'_>) -> Scope {
    let Some((name, value)) = attribute.split_once('=') else { return Scope::Kept };
    let (name, value) = (name.trim(), value.trim());
    if name.eq_ignore_ascii_case("domain") && covers(value, rewrite.origin) {
        return Scope::Removed;
    }
    let start = pair.trim_start().get(..HOST_PREFIX.len());
    let bound = start.is_some_and(|start| start.eq_ignore_ascii_case(HOST_PREFIX));
    if name.eq_ignore_ascii_case("path") && !bound {
        return path(value, rewrite).filter(|path| path != value).map_or(Scope::Kept, Scope::Path);
    }
    Scope::Kept
}

/// Whether clients would send a cookie of this domain to the upstream.
fn covers(domain: &str, origin: &str) -> bool {
    let domain = authority::without_final_dot(domain.strip_prefix('.').unwrap_or(domain));
    let host = authority::host(origin.split_once("://").map_or(origin, |(_, authority)| authority));
    let Some(start) = host.len().checked_sub(domain.len()) else { return false };
    let inside = start == 0 || host.as_bytes()[start - 1] == b'.';
    inside && !domain.is_empty() && host.as_bytes()[start..].eq_ignore_ascii_case(domain.as_bytes())
}

/// Maps a path under the base path to the route's prefix; a path above the base path covers the
/// whole route.
fn path(path: &str, rewrite: &Rewrite<'_>) -> Option<String> {
    let all = || if rewrite.prefix.is_empty() { "/" } else { rewrite.prefix }.to_owned();
    if !path.starts_with('/') {
        return None;
    }
    match under(path, rewrite.base_path) {
        Some("" | "/") => Some(all()),
        Some(rest) => Some([rewrite.prefix, rest].concat()),
        None => under(rewrite.base_path, path.trim_end_matches('/')).map(|_| all()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapped(text: &str, base_path: &str, prefix: &str) -> Option<String> {
        let origin = "https://api.vendor.example:8443";
        map_cookie(text, &Rewrite { origin, base_path, scheme: "http", authority: None, prefix })
    }

    #[test]
    fn a_cookies_scope_is_mapped_to_the_route() {
        let rows = [
            ("a=1; Path=/v1/x; HttpOnly", "/v1", "/v", Some("a=1; Path=/v/x; HttpOnly")),
            ("a=1; path=/v1", "/v1", "/v", Some("a=1; Path=/v")),
            ("a=1;Path=/", "/v1", "/v", Some("a=1; Path=/v")),
            ("a=1; Path=/", "", "/v", Some("a=1; Path=/v")),
            ("a=1; Path=/api/", "/api/v1", "", Some("a=1; Path=/")),
            ("a=1; Path=/x", "", "", None),
            ("a=1; Path=/", "", "", None),
            ("a=1; Path=/v2", "/v1", "/v", None),
            ("a=1; Path=/v10", "/v1", "/v", None),
            ("a=1; Path=x", "/v1", "/v", None),
            ("a=1; Domain=api.vendor.example", "", "", Some("a=1")),
            ("a=1; domain=.VENDOR.example; Secure", "", "", Some("a=1; Secure")),
            ("a=1; Domain=vendor.example.; Path=/", "", "/v", Some("a=1; Path=/v")),
            ("a=1; Domain=other.example", "", "", None),
            ("a=1; Domain=or.example", "", "", None),
            ("a=1; Domain=", "", "", None),
            ("__Host-a=1; Path=/; Secure", "", "/v", None),
            ("Path=/v1; Domain", "/v1", "/v", None),
            ("a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT", "/v1", "/v", None),
        ];
        for (text, base_path, prefix, expected) in rows {
            assert_eq!(mapped(text, base_path, prefix).as_deref(), expected, "{text}");
        }
    }
}
