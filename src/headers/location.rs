//! Maps a reference under the upstream's URL to the gateway, so that a redirect does not bypass it.
//! A URL on another host, a relative one and an ambiguous one stay as they are.

use http::HeaderValue;

use crate::routing::authority;
use crate::routing::route::{CallPath, PathReading};

/// The upstream's URL, and the URL under which the client reached it through the gateway.
#[derive(Clone, Copy, Debug)]
pub struct Rewrite<'a> {
    /// Scheme and authority of the upstream: `https://api.vendor.example`.
    pub origin: &'a str,
    /// The upstream's base path, without a trailing slash.
    pub base_path: &'a str,
    /// The scheme the client used.
    pub scheme: &'a str,
    /// The authority the client used; without one, references become paths.
    pub authority: Option<&'a HeaderValue>,
    /// The route's prefix.
    pub prefix: &'a str,
}

/// `None` when `text` does not lie under the upstream's URL.
pub(super) fn map_reference(text: &str, rewrite: &Rewrite<'_>) -> Option<String> {
    let (form, path) = split(text, rewrite.origin)?;
    let rest = under(path, rewrite.base_path)?;
    let Rewrite { scheme, authority, prefix, .. } = *rewrite;
    let authority = authority.and_then(|authority| authority.to_str().ok());
    let root = if prefix.is_empty() && !rest.starts_with('/') { "/" } else { "" };
    let path = format!("{prefix}{root}{rest}");
    match (form, authority) {
        (Form::Absolute, Some(authority)) => Some(format!("{scheme}://{authority}{path}")),
        (Form::SchemeRelative, Some(authority)) => Some(format!("//{authority}{path}")),
        (Form::Absolute | Form::SchemeRelative | Form::Path, _) => {
            // A path that begins with two slashes would be a reference to another host.
            (!path.starts_with("//")).then_some(path)
        }
    }
}

#[derive(Clone, Copy)]
enum Form {
    /// `https://authority/path`.
    Absolute,
    /// `//authority/path`.
    SchemeRelative,
    /// `/path`.
    Path,
}

/// The form of a reference to `origin`, and its path, query and fragment.
fn split<'a>(text: &'a str, origin: &str) -> Option<(Form, &'a str)> {
    let (origin_scheme, origin_authority) = origin.split_once("://")?;
    let default_port = if origin_scheme.eq_ignore_ascii_case("https") { 443 } else { 80 };
    let is_ours = |authority: &str| authority::same(authority, origin_authority, default_port);
    if let Some(rest) = text.strip_prefix("//") {
        let (authority, path) = split_authority(rest);
        return is_ours(authority).then_some((Form::SchemeRelative, path));
    }
    if text.starts_with('/') {
        return Some((Form::Path, text));
    }
    let (scheme, rest) = text.split_once("://")?;
    let (authority, path) = split_authority(rest);
    (scheme.eq_ignore_ascii_case(origin_scheme) && is_ours(authority))
        .then_some((Form::Absolute, path))
}

pub(super) fn split_authority(rest: &str) -> (&str, &str) {
    rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()))
}

/// What follows `base_path`, if `path` lies under it on whole segments and without `..`.
pub(super) fn under<'a>(path: &'a str, base_path: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(base_path)?;
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let traversal = CallPath::new(&rest[..end]).reading() == PathReading::Traversal;
    (!traversal && (end == 0 || rest.starts_with('/'))).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    static LOCALHOST: HeaderValue = HeaderValue::from_static("localhost:8080");
    static API: HeaderValue = HeaderValue::from_static("api.local");

    static BEHIND_PREFIX: Rewrite<'_> = Rewrite {
        origin: "https://api.vendor.example",
        base_path: "/v1",
        scheme: "http",
        authority: Some(&LOCALHOST),
        prefix: "/vendor",
    };

    static AT_ROOT: Rewrite<'_> = Rewrite {
        origin: "http://10.0.0.1:9000",
        base_path: "",
        scheme: "https",
        authority: Some(&API),
        prefix: "",
    };

    fn mapped(value: &str, rewrite: &Rewrite<'_>) -> Option<String> {
        map_reference(value, rewrite)
    }

    #[test]
    fn a_reference_under_the_upstreams_url_is_mapped() {
        let rows = [
            ("https://api.vendor.example/v1/jobs/7", "http://localhost:8080/vendor/jobs/7"),
            (
                "HTTPS://API.vendor.example:443/v1/a?b=/v1#c",
                "http://localhost:8080/vendor/a?b=/v1#c",
            ),
            ("https://api.vendor.example./v1/a", "http://localhost:8080/vendor/a"),
            ("https://api.vendor.example/v1", "http://localhost:8080/vendor"),
            ("https://api.vendor.example/v1?x", "http://localhost:8080/vendor?x"),
            ("//api.vendor.example/v1/a", "//localhost:8080/vendor/a"),
            ("/v1/a%2Fb", "/vendor/a%2Fb"),
            ("/v1//a", "/vendor//a"),
        ];
        for (value, expected) in rows {
            assert_eq!(mapped(value, &BEHIND_PREFIX).as_deref(), Some(expected), "{value}");
        }
        let rows = [
            ("http://10.0.0.1:9000", "https://api.local/"),
            ("http://10.0.0.1:9000?x", "https://api.local/?x"),
            ("http://10.0.0.1:9000//evil/x", "https://api.local//evil/x"),
            ("/a", "/a"),
        ];
        for (value, expected) in rows {
            assert_eq!(mapped(value, &AT_ROOT).as_deref(), Some(expected), "{value}");
        }
    }

    #[test]
    fn other_references_stay() {
        let foreign = [
            "https://other.example/v1/a",
            "http://api.vendor.example/v1/a",
            "https://api.vendor.example:8443/v1/a",
            "https://api.vendor.example.evil/v1/a",
            "https://user@api.vendor.example/v1/a",
            "https://api.vendor.example\\@evil/v1/a",
            "https://api.vendor.example/v2/a",
            "https://api.vendor.example/v10/a",
            "https://api.vendor.example/v1/../admin",
            "/v1/%2e%2e/admin",
            "/v2",
            "//evil.example/v1",
            "jobs/7",
            "?page=2",
            "#top",
            "",
            "mailto:a@b",
        ];
        for value in foreign {
            assert_eq!(mapped(value, &BEHIND_PREFIX), None, "{value}");
        }
    }

    #[test]
    fn a_mapped_path_never_becomes_another_host() {
        let nowhere = Rewrite { authority: None, ..AT_ROOT };
        assert_eq!(mapped("http://10.0.0.1:9000//evil/x", &nowhere), None);
        assert_eq!(mapped("http://10.0.0.1:9000/a", &nowhere).as_deref(), Some("/a"));
    }
}
