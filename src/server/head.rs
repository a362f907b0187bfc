//! Checks a parsed request head of either protocol and brings it into one form: a single valid
//! `Host`, and a target of path and query alone.

use http::header::{COOKIE, HOST, HeaderName, UPGRADE};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version};

use super::host;
use super::request_error::RequestError;
use crate::headers::requires_upgrade;
use crate::routing::authority;
use crate::routing::route::AbsoluteForm;

/// Size limits of a request head.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeadLimits {
    /// The request line included.
    pub(super) head_bytes_max: usize,
    pub(super) headers_max: usize,
    pub(super) target_bytes_max: usize,
}

/// HTTP/2 counts this for each header besides its bytes (RFC 9113 §6.5.2).
const HEADER_OVERHEAD_BYTES: usize = 32;

const HTTP_PORT: u16 = 80;
const HTTPS_PORT: u16 = 443;

/// Checks a head and normalises its host and target.
pub(super) fn check<B>(request: &mut Request<B>, limits: HeadLimits) -> Result<(), RequestError> {
    if request.version() == Version::HTTP_2 {
        return check_http2(request, limits);
    }
    // An absolute target is replaced by its path, if its authority agrees with `Host`.
    if let Some(authority) = request.uri().authority().cloned() {
        if request.uri().scheme() != Some(&Scheme::HTTP) {
            return Err(RequestError::TargetScheme);
        }
        reconcile_host(request.headers_mut(), &authority, HTTP_PORT)?;
        *request.uri_mut() = path_and_query(request.uri())?;
        request.extensions_mut().insert(AbsoluteForm);
    }
    // Heads are short: comparing the names costs less than hashing `upgrade`.
    let has_upgrade = request.headers().keys().any(|name| *name == UPGRADE);
    // HTTP/1.0 does not have Upgrade, so the header is ignored there.
    let is_http11 = request.version() == Version::HTTP_11;
    if has_upgrade && is_http11 && requires_upgrade(request.headers()) {
        return Err(RequestError::UpgradeUnsupported);
    }
    Ok(())
}

/// A target without an authority; a query directly behind the authority belongs to the path `/`.
fn path_and_query(uri: &Uri) -> Result<Uri, RequestError> {
    match uri.path_and_query() {
        Some(path) if path.as_str().starts_with('?') => {
            Uri::try_from(format!("/{}", path.as_str())).map_err(|_| RequestError::TargetTooLong)
        }
        Some(path) => Ok(path.clone().into()),
        None => Ok(Uri::from_static("/")),
    }
}

/// Makes the target's authority the `Host` where there is none, and compares them otherwise.
fn reconcile_host(
    headers: &mut HeaderMap,
    authority: &Authority,
    default_port: u16,
) -> Result<(), RequestError> {
    if !host::is_valid(authority.as_str().as_bytes()) {
        return Err(RequestError::InvalidAuthority);
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
    Err(RequestError::HostMismatch)
}

fn check_http2<B>(request: &mut Request<B>, limits: HeadLimits) -> Result<(), RequestError> {
    if request.method() == Method::CONNECT {
        return Err(RequestError::UpgradeUnsupported);
    }
    let target = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    if target > limits.target_bytes_max {
        return Err(RequestError::TargetTooLong);
    }
    let size = |(name, value): (&HeaderName, &HeaderValue)| {
        name.as_str().len() + value.len() + HEADER_OVERHEAD_BYTES
    };
    let bytes = target + request.headers().iter().map(size).sum::<usize>();
    if request.headers().len() > limits.headers_max || bytes > limits.head_bytes_max {
        return Err(RequestError::HeadTooLarge);
    }
    if request.uri().path() == "*" && request.method() != Method::OPTIONS {
        return Err(RequestError::AsteriskTarget);
    }
    match request.uri().authority().cloned() {
        Some(authority) => {
            let secure = request.uri().scheme() == Some(&Scheme::HTTPS);
            let default_port = if secure { HTTPS_PORT } else { HTTP_PORT };
            reconcile_host(request.headers_mut(), &authority, default_port)?;
        }
        None => {
            let mut hosts = request.headers().get_all(HOST).iter();
            match (hosts.next(), hosts.next()) {
                (Some(host), None) if host::is_valid(host.as_bytes()) => {}
                (Some(_), None) => return Err(RequestError::InvalidHost),
                (None, _) => return Err(RequestError::MissingHost),
                (Some(_), Some(_)) => return Err(RequestError::RepeatedHost),
            }
        }
    }
    *request.uri_mut() = path_and_query(request.uri())?;
    // HTTP/2 may send cookies in separate fields, and HTTP/1.1 may not (RFC 9113 §8.2.3).
    let headers = request.headers_mut();
    if headers.keys_len() < headers.len() && headers.get_all(COOKIE).iter().nth(1).is_some() {
        let crumbs: Vec<_> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
        if let Ok(mut joined) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
            joined.set_sensitive(headers[COOKIE].is_sensitive());
            headers.insert(COOKIE, joined);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HeadLimits =
        HeadLimits { head_bytes_max: 400, headers_max: 3, target_bytes_max: 20 };

    fn checked(
        version: Version,
        uri: &str,
        headers: &[(&str, &str)],
    ) -> Result<String, RequestError> {
        let mut request = Request::builder().version(version).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(()).unwrap();
        check(&mut request, LIMITS)?;
        let value = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        let headers = request.headers();
        let shown = |name| headers.get(name).map(value).unwrap_or_default();
        let target = request.uri().path_and_query().unwrap().as_str();
        Ok(format!("{} {target} {}", shown(HOST), shown(COOKIE)))
    }

    fn http1(uri: &str, headers: &[(&str, &str)]) -> Result<String, RequestError> {
        checked(Version::HTTP_11, uri, headers)
    }

    fn http2(uri: &str, headers: &[(&str, &str)]) -> Result<String, RequestError> {
        checked(Version::HTTP_2, uri, headers)
    }

    #[test]
    fn an_absolute_target_becomes_its_path_when_the_hosts_agree() {
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
        assert_eq!(http1("/", &socket), Err(RequestError::UpgradeUnsupported));
        assert_eq!(
            checked(Version::HTTP_10, "/", &socket).unwrap(),
            "a / ",
            "HTTP/1.0 has no Upgrade"
        );
    }

    #[test]
    fn separate_cookies_of_http2_are_joined() {
        let crumbs = [("host", "a"), ("cookie", "a=1"), ("x", "1"), ("cookie", "b=\"2\"; c=3")];
        assert_eq!(http2("http://a/b", &crumbs).unwrap_err(), RequestError::HeadTooLarge);
        let crumbs = [("cookie", "a=1"), ("cookie", "b=\"2\"; c=3"), ("cookie", "d")];
        assert_eq!(http2("http://a/b", &crumbs).unwrap(), "a /b a=1; b=\"2\"; c=3; d");
        assert_eq!(http2("http://a/b", &crumbs[..1]).unwrap(), "a /b a=1");
        let old = [("host", "a"), crumbs[0], crumbs[1]];
        assert_eq!(http1("/b", &old).unwrap(), "a /b a=1", "HTTP/1.1 is not changed");
    }

    #[test]
    fn http2_heads_get_a_host_and_stay_within_the_limits() {
        assert_eq!(http2("http://a/b", &[]).unwrap(), "a /b ");
        assert_eq!(http2("http://a/b", &[("host", "A")]).unwrap(), "A /b ");
        assert_eq!(http2("https://a.:443/b", &[("host", "a")]).unwrap(), "a /b ");
        assert!(http2("http://a/b", &[("host", "b")]).is_err());
        assert!(http2("http://u@a/b", &[]).is_err());
        assert!(http2("http://a/b", &[("host", "a"), ("host", "a")]).is_err());
        assert!(http2("/b", &[]).is_err());
        assert_eq!(http2("/b", &[("host", "a")]).unwrap(), "a /b ");
        let long = http2("http://a/b123456789012345678901234567890", &[]);
        assert_eq!(long, Err(RequestError::TargetTooLong));
        let many = [("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")];
        assert_eq!(http2("http://a/", &many), Err(RequestError::HeadTooLarge));
        let large = "x".repeat(400);
        assert_eq!(http2("http://a/", &[("a", &large)]), Err(RequestError::HeadTooLarge));
    }
}
