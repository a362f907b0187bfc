//! What is checked of a head whatever it came as: absolute targets, Upgrade, HTTP/2's own.
//!
//! Behind them a head has one shape whatever it came as: a `Host`, and a target of path and query.
//! Refuses to look at what only the route table or the vendor understands.

use http::header::{COOKIE, HOST, HeaderName, UPGRADE};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version};

use super::handler::Refused;
use super::host;
use crate::headers::requires_upgrade;
use crate::routing::authority;
use crate::routing::route::AbsoluteForm;

/// What a head may be; from the settings of the front door.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Bytes of a head, its request line included.
    pub(super) head_bytes_max: usize,
    /// Header lines of a head.
    pub(super) headers_max: usize,
    /// Bytes of a request target.
    pub(super) target_bytes_max: usize,
}

/// What HTTP/2 counts for each header beside its bytes (RFC 9113 §6.5.2).
const HEADER_OVERHEAD_BYTES: usize = 32;

/// The ports of authorities that name none.
const HTTP_PORT: u16 = 80;
const HTTPS_PORT: u16 = 443;

/// Checks a head and gives it its one shape.
pub(super) fn check<B>(request: &mut Request<B>, bounds: Bounds) -> Result<(), Refused> {
    if request.version() == Version::HTTP_2 {
        return check_http2(request, bounds);
    }
    if request.uri().authority().is_some() {
        make_relative(request)?;
    }
    // Heads are short: comparing names costs less than hashing one.
    let offers = request.headers().keys().any(|name| *name == UPGRADE);
    // HTTP/1.0 has no Upgrade, so there it says nothing.
    let insists = offers && request.version() == Version::HTTP_11;
    if insists && requires_upgrade(request.headers()) {
        return Err(Refused::UpgradeUnsupported);
    }
    Ok(())
}

/// An absolute target names the same host as `Host` does, and is then written without it.
fn make_relative<B>(request: &mut Request<B>) -> Result<(), Refused> {
    let uri = request.uri();
    if uri.scheme() != Some(&Scheme::HTTP) {
        let detail = "A target with another scheme than http needs a connection of that scheme.";
        return Err(Refused::Malformed { detail });
    }
    let Some(authority) = uri.authority().cloned() else { return Ok(()) };
    agree_on_host(request.headers_mut(), &authority, HTTP_PORT)?;
    *request.uri_mut() = path_and_query(request.uri())?;
    request.extensions_mut().insert(AbsoluteForm);
    Ok(())
}

/// A query that stands alone behind an authority is the root's.
fn path_and_query(uri: &Uri) -> Result<Uri, Refused> {
    match uri.path_and_query() {
        Some(path) if path.as_str().starts_with('?') => {
            Uri::try_from(format!("/{}", path.as_str())).map_err(|_| Refused::TargetTooLong)
        }
        Some(path) => Ok(path.clone().into()),
        None => Ok(Uri::from_static("/")),
    }
}

/// The authority becomes the `Host` where there is none.
fn agree_on_host(
    headers: &mut HeaderMap,
    authority: &Authority,
    default_port: u16,
) -> Result<(), Refused> {
    if !host::is_valid(authority.as_str().as_bytes()) {
        return Err(Refused::Malformed { detail: "The request's authority names no host." });
    }
    let Some(host) = headers.get(HOST) else {
        let value = HeaderValue::from_str(authority.as_str()).ok();
        headers.extend(value.map(|value| (HOST, value)));
        return Ok(());
    };
    let host = host.to_str().unwrap_or_default();
    let same = authority::same(host, authority.as_str(), default_port);
    if same && headers.get_all(HOST).iter().count() == 1 {
        return Ok(());
    }
    Err(Refused::Malformed { detail: "The Host header differs from the request's authority." })
}

/// HTTP/2 may send each cookie in a field of its own; whoever reads HTTP/1.1 expects one field
/// (RFC 9113 §8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    if headers.len() == headers.keys_len() || headers.get_all(COOKIE).iter().nth(1).is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(mut joined) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        joined.set_sensitive(headers[COOKIE].is_sensitive());
        headers.insert(COOKIE, joined);
    }
}

fn check_http2<B>(request: &mut Request<B>, bounds: Bounds) -> Result<(), Refused> {
    if request.method() == Method::CONNECT {
        return Err(Refused::UpgradeUnsupported);
    }
    check_size(request, bounds)?;
    if request.uri().path() == "*" && request.method() != Method::OPTIONS {
        return Err(Refused::Malformed { detail: "The target `*` belongs to OPTIONS." });
    }
    match request.uri().authority().cloned() {
        Some(authority) => {
            let secure = request.uri().scheme() == Some(&Scheme::HTTPS);
            let default_port = if secure { HTTPS_PORT } else { HTTP_PORT };
            agree_on_host(request.headers_mut(), &authority, default_port)?;
        }
        None => check_lone_host(request.headers())?,
    }
    *request.uri_mut() = path_and_query(request.uri())?;
    join_cookies(request.headers_mut());
    Ok(())
}

fn check_size<B>(request: &Request<B>, bounds: Bounds) -> Result<(), Refused> {
    let target = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    if target > bounds.target_bytes_max {
        return Err(Refused::TargetTooLong);
    }
    let size = |(name, value): (&HeaderName, &HeaderValue)| {
        name.as_str().len() + value.len() + HEADER_OVERHEAD_BYTES
    };
    let bytes = target + request.headers().iter().map(size).sum::<usize>();
    let fits = request.headers().len() <= bounds.headers_max && bytes <= bounds.head_bytes_max;
    if fits { Ok(()) } else { Err(Refused::HeadersTooLarge) }
}

fn check_lone_host(headers: &HeaderMap) -> Result<(), Refused> {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(only), None) if host::is_valid(only.as_bytes()) => Ok(()),
        _ => Err(Refused::Malformed { detail: "The request names no host, or more than one." }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { head_bytes_max: 400, headers_max: 3, target_bytes_max: 20 };

    fn checked(version: Version, uri: &str, headers: &[(&str, &str)]) -> Result<String, Refused> {
        let mut request = Request::builder().version(version).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(()).unwrap();
        check(&mut request, BOUNDS)?;
        let value = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        let headers = request.headers();
        let shown = |name| headers.get(name).map(value).unwrap_or_default();
        let target = request.uri().path_and_query().unwrap().as_str();
        Ok(format!("{} {target} {}", shown(HOST), shown(COOKIE)))
    }

    fn http1(uri: &str, headers: &[(&str, &str)]) -> Result<String, Refused> {
        checked(Version::HTTP_11, uri, headers)
    }

    fn http2(uri: &str, headers: &[(&str, &str)]) -> Result<String, Refused> {
        checked(Version::HTTP_2, uri, headers)
    }

    #[test]
    fn an_absolute_target_becomes_relative_when_the_hosts_agree() {
        assert_eq!(http1("http://A:1/b?c", &[("host", "a:1")]).unwrap(), "a:1 /b?c ");
        assert_eq!(http1("http://a", &[("host", "a")]).unwrap(), "a / ");
        assert_eq!(http1("http://a?c", &[("host", "a")]).unwrap(), "a /?c ");
        assert_eq!(http1("http://a:80/b", &[("host", "A.")]).unwrap(), "A. /b ");
        assert!(http1("http://a/b", &[("host", "b")]).is_err());
        assert!(http1("http://a:81/b", &[("host", "a")]).is_err());
        assert!(http1("http://u:p@a/b", &[("host", "a")]).is_err());
        assert!(http1("https://a/b", &[("host", "a")]).is_err());
        assert_eq!(http1("/b", &[("host", "a")]).unwrap(), "a /b ");
    }

    #[test]
    fn an_offer_to_upgrade_is_ignored_unless_the_client_insists() {
        for upgrade in ["h2c", "TLS/1.2", "TLS/1.0, HTTP/1.1", ""] {
            let offer = [("connection", "upgrade"), ("upgrade", upgrade), ("host", "a")];
            assert_eq!(http1("/", &offer).unwrap(), "a / ", "{upgrade:?}");
        }
        let socket = [("connection", "upgrade"), ("upgrade", "websocket"), ("host", "a")];
        assert_eq!(http1("/", &socket), Err(Refused::UpgradeUnsupported));
        assert_eq!(checked(Version::HTTP_10, "/", &socket).unwrap(), "a / ", "HTTP/1.0 has none");
    }

    #[test]
    fn cookies_of_http2_become_one_field() {
        let crumbs = [("host", "a"), ("cookie", "a=1"), ("x", "1"), ("cookie", "b=\"2\"; c=3")];
        assert_eq!(http2("http://a/b", &crumbs).unwrap_err(), Refused::HeadersTooLarge);
        let crumbs = [("cookie", "a=1"), ("cookie", "b=\"2\"; c=3"), ("cookie", "d")];
        assert_eq!(http2("http://a/b", &crumbs).unwrap(), "a /b a=1; b=\"2\"; c=3; d");
        assert_eq!(http2("http://a/b", &crumbs[..1]).unwrap(), "a /b a=1");
        let old = [("host", "a"), crumbs[0], crumbs[1]];
        assert_eq!(http1("/b", &old).unwrap(), "a /b a=1", "HTTP/1.1 passes as it is");
    }

    #[test]
    fn http2_heads_get_a_host_and_keep_the_bounds() {
        assert_eq!(http2("http://a/b", &[]).unwrap(), "a /b ");
        assert_eq!(http2("http://a/b", &[("host", "A")]).unwrap(), "A /b ");
        assert_eq!(http2("https://a.:443/b", &[("host", "a")]).unwrap(), "a /b ");
        assert!(http2("http://a/b", &[("host", "b")]).is_err());
        assert!(http2("http://u@a/b", &[]).is_err());
        assert!(http2("http://a/b", &[("host", "a"), ("host", "a")]).is_err());
        assert!(http2("/b", &[]).is_err());
        assert_eq!(http2("/b", &[("host", "a")]).unwrap(), "a /b ");
        let long = http2("http://a/b123456789012345678901234567890", &[]);
        assert_eq!(long, Err(Refused::TargetTooLong));
        let many = [("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")];
        assert_eq!(http2("http://a/", &many), Err(Refused::HeadersTooLarge));
        let large = "x".repeat(400);
        assert_eq!(http2("http://a/", &[("a", &large)]), Err(Refused::HeadersTooLarge));
    }
}
