//! Maps `Destination` (RFC 4918), the second resource of a COPY or a MOVE, to the upstream's URL.
//! Like the target, it must stay inside the route.

use http::{HeaderMap, HeaderValue};

use super::location::{Rewrite, split_authority, under};
use super::names::DESTINATION;
use crate::routing::authority;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfRoute;

impl std::fmt::Display for OutOfRoute {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the Destination header points outside the request's route")
    }
}

impl std::error::Error for OutOfRoute {}

/// Maps every `Destination` of a request. One on another host stays as it is.
///
/// # Errors
/// The path lies outside the route or contains `..`.
pub fn map_destination(headers: &mut HeaderMap, rewrite: &Rewrite<'_>) -> Result<(), OutOfRoute> {
    for (_, value) in headers.iter_mut().filter(|(name, _)| **name == DESTINATION) {
        let Ok(text) = value.to_str() else { continue };
        if let Some(mapped) = mapped(text.trim(), rewrite)? {
            *value = HeaderValue::try_from(mapped).map_err(|_| OutOfRoute)?;
        }
    }
    Ok(())
}

fn mapped(text: &str, rewrite: &Rewrite<'_>) -> Result<Option<String>, OutOfRoute> {
    let (origin, path) = match text.split_once("://") {
        Some((scheme, rest)) => {
            let (there, path) = split_authority(rest);
            let default = if scheme.eq_ignore_ascii_case("https") { 443 } else { 80 };
            let here = rewrite.authority.and_then(|here| here.to_str().ok());
            if !here.is_some_and(|here| authority::same(here, there, default)) {
                return Ok(None);
            }
            (rewrite.origin, path)
        }
        None if text.starts_with('/') => ("", text),
        None => return Ok(None),
    };
    let rest = under(path, rewrite.prefix).ok_or(OutOfRoute)?;
    let root = if rewrite.base_path.is_empty() && !rest.starts_with('/') { "/" } else { "" };
    Ok(Some([origin, rewrite.base_path, root, rest].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    static HERE: HeaderValue = HeaderValue::from_static("here:8080");

    fn led(text: &'static str, prefix: &str, base_path: &str) -> Result<String, OutOfRoute> {
        let origin = "https://dav.vendor.example";
        let rewrite = Rewrite { origin, base_path, scheme: "http", authority: Some(&HERE), prefix };
        let mut headers = HeaderMap::from_iter([(DESTINATION, HeaderValue::from_static(text))]);
        map_destination(&mut headers, &rewrite)?;
        Ok(headers[DESTINATION].to_str().unwrap().to_owned())
    }

    #[test]
    fn a_destination_is_mapped_to_the_upstreams_url() {
        let rows = [
            ("http://here:8080/v/a%20b", "/v", "/dav", Ok("https://dav.vendor.example/dav/a%20b")),
            ("http://HERE.:8080/v", "/v", "", Ok("https://dav.vendor.example/")),
            ("/v/a", "/v", "/dav", Ok("/dav/a")),
            ("/a", "", "", Ok("/a")),
            ("http://other.example/v/a", "/v", "/dav", Ok("http://other.example/v/a")),
            ("http://here/v/a", "/v", "/dav", Ok("http://here/v/a")),
            ("a", "/v", "/dav", Ok("a")),
            ("http://here:8080/w/a", "/v", "/dav", Err(OutOfRoute)),
            ("/vx/a", "/v", "/dav", Err(OutOfRoute)),
            ("/v/../a", "/v", "/dav", Err(OutOfRoute)),
            ("http://here:8080/v/%2e%2E/a", "/v", "/dav", Err(OutOfRoute)),
        ];
        for (text, prefix, base_path, expected) in rows {
            assert_eq!(
                led(text, prefix, base_path).as_deref(),
                expected.as_ref().copied(),
                "{text}"
            );
        }
    }
}
