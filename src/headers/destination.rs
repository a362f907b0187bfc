//! `Destination` (RFC 4918) names the second resource of a COPY or a MOVE as the client reaches
//! it; it is mapped forward to what its vendor knows.
//!
//! Refuses what would leave the route, as the target does.

use http::{HeaderMap, HeaderValue};

use super::location::{Rewrite, split_authority, under};
use super::names::DESTINATION;
use crate::routing::authority;

/// A destination that the route does not lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfRoute;

impl std::fmt::Display for OutOfRoute {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the Destination header leads out of the request's route")
    }
}

impl std::error::Error for OutOfRoute {}

/// Maps every `Destination` of a request forward; one at another host stays for the vendor to
/// judge.
///
/// # Errors
/// It is a path of ours outside the route, or climbs.
pub fn lead_forward(headers: &mut HeaderMap, rewrite: &Rewrite<'_>) -> Result<(), OutOfRoute> {
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
        lead_forward(&mut headers, &rewrite)?;
        Ok(headers[DESTINATION].to_str().unwrap().to_owned())
    }

    #[test]
    fn a_destination_is_what_the_vendor_knows() {
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
