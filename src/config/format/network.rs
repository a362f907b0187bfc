//! Addresses, hosts, URLs, headers, methods and paths.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use http::uri::Authority;
use http::{HeaderName, Method};
use serde_json::Value as Json;

use super::guess;
use super::parse::{Format, Mismatch, text_schema};
use crate::config::diagnostic::{DiagnosticCode, nearest};
use crate::routing::authority;
use crate::routing::route::Pattern;
use crate::upstream::{Origin, Scheme};

/// The name of a header, in lower case and as it was written.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    pub(crate) name: HeaderName,
    pub(crate) written: Cow<'static, str>,
}

impl Header {
    pub(crate) const fn of(name: &'static str) -> Self {
        Self { name: HeaderName::from_static(name), written: Cow::Borrowed(name) }
    }
}

/// A header that a setting names.
pub(crate) struct HeaderField {
    /// Headers that are rejected because they carry credentials.
    credentials: &'static [&'static str],
}

impl HeaderField {
    pub(crate) const ANY: Self = Self { credentials: &[] };

    /// A header that tells accounts apart. Accounts are shown in logs and metrics, and a renewed
    /// token must not be another account.
    pub(crate) const OF_ACCOUNT: Self = Self {
        credentials: &[
            "authorization",
            "cookie",
            "proxy-authorization",
            "set-cookie",
            "x-api-key",
            "x-auth-token",
        ],
    };
}

impl Format for HeaderField {
    type Value = Header;

    fn parse(&self, text: &str) -> Result<Header, Vec<Mismatch>> {
        /// Headers that frame a message or name its host.
        const RESERVED: [&str; 9] = [
            "connection",
            "content-length",
            "host",
            "keep-alive",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
            "via",
        ];
        let name = HeaderName::try_from(text.to_ascii_lowercase()).map_err(|_| {
            let message = format!("`{text}` is not a header name");
            Mismatch::new(DiagnosticCode::Type, message, self.accepted())
        })?;
        let conflict = |message, accepted: &str| {
            Err(Mismatch::new(DiagnosticCode::Conflict, message, accepted).into())
        };
        if RESERVED.contains(&name.as_str()) {
            let message = format!("`{text}` belongs to the connection and cannot be set here");
            return conflict(message, "any other header");
        }
        if self.credentials.contains(&name.as_str()) {
            let message = format!("`{text}` carries a credential, which does not name an account");
            let accepted = "a header that names the account and stays the same when a token is \
                            renewed";
            return conflict(message, accepted);
        }
        Ok(Header { name, written: text.to_owned().into() })
    }

    fn write(&self, value: &Header) -> String {
        value.written.to_string()
    }

    fn accepted(&self) -> String {
        "a header name: letters, digits and `-`".into()
    }

    fn schema(&self) -> Json {
        text_schema("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
    }

    fn guess(&self, text: &str) -> Option<String> {
        Some(text.trim_end_matches(':').trim_end().replace(' ', "-"))
    }

    fn may_hold_secret(&self) -> bool {
        true
    }
}

pub(crate) struct HttpMethod;

impl HttpMethod {
    const NAMES: [&'static str; 9] =
        ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];
}

impl Format for HttpMethod {
    type Value = Method;

    fn parse(&self, text: &str) -> Result<Method, Vec<Mismatch>> {
        let known = Self::NAMES.contains(&text).then(|| text.parse().ok()).flatten();
        known.ok_or_else(|| {
            let message = format!("`{text}` is not an HTTP method");
            let accepted = format!("{}; without `methods` every method", self.accepted());
            Mismatch::new(DiagnosticCode::Type, message, accepted).into()
        })
    }

    fn write(&self, value: &Method) -> String {
        value.to_string()
    }

    fn accepted(&self) -> String {
        Self::NAMES.join(", ")
    }

    fn schema(&self) -> Json {
        text_schema("^[A-Z]+$")
    }

    fn guess(&self, text: &str) -> Option<String> {
        nearest(&text.to_ascii_uppercase(), Self::NAMES.into_iter())
    }
}

/// The address of a listener.
pub(crate) struct Address;

impl Format for Address {
    type Value = SocketAddr;

    fn parse(&self, text: &str) -> Result<SocketAddr, Vec<Mismatch>> {
        text.parse().map_err(|_| {
            let message = format!("`{text}` is not a valid socket address");
            Mismatch::new(DiagnosticCode::Type, message, self.accepted()).into()
        })
    }

    fn write(&self, value: &SocketAddr) -> String {
        value.to_string()
    }

    fn accepted(&self) -> String {
        "an IP address and a port: 127.0.0.1:8080, 0.0.0.0:8080, [::1]:8080".into()
    }

    fn schema(&self) -> Json {
        text_schema("^.+:[0-9]+$")
    }

    fn guess(&self, text: &str) -> Option<String> {
        guess::address(text)
    }
}

/// A host without a port, in lower case.
pub(crate) struct Host;

impl Format for Host {
    type Value = Box<str>;

    fn parse(&self, text: &str) -> Result<Box<str>, Vec<Mismatch>> {
        host(text).ok_or_else(|| {
            let message = format!("`{text}` is not a host name");
            Mismatch::new(DiagnosticCode::Type, message, self.accepted()).into()
        })
    }

    fn write(&self, value: &Box<str>) -> String {
        value.to_string()
    }

    fn accepted(&self) -> String {
        "a host name without scheme, port or path, such as `api.local`".into()
    }

    fn schema(&self) -> Json {
        text_schema("^[A-Za-z0-9._:\\[\\]-]+$")
    }

    fn guess(&self, text: &str) -> Option<String> {
        Some(guess::authority(text).split(':').next()?.to_owned())
    }

    fn may_hold_secret(&self) -> bool {
        true
    }
}

fn host(text: &str) -> Option<Box<str>> {
    let text = authority::without_final_dot(text);
    let in_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let bracketed = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let ipv6 = bracketed.is_some_and(|inside| inside.parse::<std::net::Ipv6Addr>().is_ok());
    let name = text.chars().all(in_name) && !text.split('.').any(str::is_empty);
    (ipv6 || name).then(|| text.to_ascii_lowercase().into())
}

/// The path prefix of a route, without a trailing slash.
pub(crate) struct Prefix;

impl Format for Prefix {
    type Value = Box<str>;

    fn parse(&self, text: &str) -> Result<Box<str>, Vec<Mismatch>> {
        if text.starts_with('/') && is_plain_path(text) {
            return Ok(text.trim_end_matches('/').into());
        }
        let message = match text.starts_with('/') {
            true => format!("`{text}` is not a path prefix"),
            false => format!("`{text}` does not begin with a slash"),
        };
        Err(Mismatch::new(DiagnosticCode::Type, message, self.accepted()).into())
    }

    fn write(&self, value: &Box<str>) -> String {
        if value.is_empty() { "/".into() } else { value.to_string() }
    }

    fn accepted(&self) -> String {
        "a path of whole segments, such as `/vendor`, or `/` for everything".into()
    }

    fn schema(&self) -> Json {
        text_schema("^/")
    }

    fn guess(&self, text: &str) -> Option<String> {
        guess::prefix(text)
    }

    fn may_hold_secret(&self) -> bool {
        true
    }
}

/// A directory of this machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Folder;

impl Format for Folder {
    type Value = PathBuf;

    fn parse(&self, text: &str) -> Result<PathBuf, Vec<Mismatch>> {
        let path = PathBuf::from(text);
        if path.is_absolute() && !text.contains('\0') {
            return Ok(path);
        }
        let message = format!("`{text}` is not an absolute path");
        Err(Mismatch::new(DiagnosticCode::Type, message, self.accepted()).into())
    }

    fn write(&self, value: &PathBuf) -> String {
        value.display().to_string()
    }

    fn accepted(&self) -> String {
        "the absolute path of a directory, such as `/var/lib/evenkeel`".into()
    }

    fn schema(&self) -> Json {
        text_schema("^/")
    }
}

fn is_plain_path(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-._~!$&'()+,=:@".contains(c);
    let dots = || text.split('/').any(|segment| matches!(segment, "." | ".."));
    text.chars().all(plain) && !text.contains("//") && !dots()
}

/// A pattern for paths, and as it was written.
#[derive(Clone, Debug)]
pub(crate) struct PathMatch {
    pub(crate) written: Box<str>,
    pub(crate) pattern: Pattern,
}

pub(crate) struct PathPattern;

impl Format for PathPattern {
    type Value = PathMatch;

    fn parse(&self, text: &str) -> Result<PathMatch, Vec<Mismatch>> {
        let pattern = text.parse::<Pattern>().map_err(|error| {
            let message = format!("`{text}`: {error}");
            Mismatch::new(DiagnosticCode::Type, message, self.accepted())
        })?;
        Ok(PathMatch { written: text.into(), pattern })
    }

    fn write(&self, value: &PathMatch) -> String {
        value.written.to_string()
    }

    fn accepted(&self) -> String {
        "a path behind the route's prefix: `/a/*` for one segment, `/a/**` for any rest".into()
    }

    fn schema(&self) -> Json {
        text_schema("^/")
    }

    fn guess(&self, text: &str) -> Option<String> {
        guess::pattern(text)
    }

    fn may_hold_secret(&self) -> bool {
        true
    }
}

/// Where an upstream is.
#[derive(Clone, Debug)]
pub(crate) struct Url {
    pub(crate) origin: Origin,
    pub(crate) path: Box<str>,
}

/// The URL of an upstream: an origin and a plain path.
pub(crate) struct UpstreamUrl;

const URLS: &str = "an absolute URL: https://api.vendor.example/v1";

impl Format for UpstreamUrl {
    type Value = Url;

    fn parse(&self, text: &str) -> Result<Url, Vec<Mismatch>> {
        const SCHEMES: &str = "`https://` or `http://`";
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, behind) = rest.split_at(end);
        let (path, extra) = behind.split_at(behind.find(['?', '#']).unwrap_or(behind.len()));
        let path = path.trim_end_matches('/');
        let mut mismatches = Vec::new();
        let mut reject = |code, message: &str, accepted: &str| {
            mismatches.push(Mismatch::new(code, message, accepted));
        };
        if authority.contains('@') {
            let remedy = "the credential under `auth`, as `{ env: NAME }` or `{ file: PATH }`";
            reject(DiagnosticCode::Secret, "the URL carries a credential", remedy);
        }
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "https" => Some(Scheme::Https),
            "http" => Some(Scheme::Http),
            "" => {
                reject(DiagnosticCode::Type, "the URL has no scheme", URLS);
                None
            }
            other => {
                reject(
                    DiagnosticCode::Type,
                    &format!("the scheme `{other}` is not supported"),
                    SCHEMES,
                );
                None
            }
        };
        if extra.starts_with('?') {
            reject(DiagnosticCode::Type, "the URL has a query, which would not be sent", URLS);
        }
        if extra.contains('#') {
            reject(DiagnosticCode::Type, "the URL has a fragment, which would not be sent", URLS);
        }
        let host = authority.rsplit('@').next().unwrap_or(authority);
        let origin = origin(scheme.unwrap_or(Scheme::Https), host);
        if origin.is_none() {
            reject(DiagnosticCode::Type, "the URL has no valid host", URLS);
        }
        if !path.is_empty() && !is_plain_path(path) {
            reject(
                DiagnosticCode::Type,
                "the URL's path has characters or segments that are not allowed",
                URLS,
            );
        }
        match origin {
            Some(origin) if mismatches.is_empty() => Ok(Url { origin, path: path.into() }),
            Some(_) | None => Err(mismatches),
        }
    }

    fn write(&self, value: &Url) -> String {
        value.to_string()
    }

    fn accepted(&self) -> String {
        URLS.into()
    }

    fn schema(&self) -> Json {
        text_schema("^https?://[^@?#]+$")
    }

    fn guess(&self, text: &str) -> Option<String> {
        guess::url(text)
    }

    fn may_hold_secret(&self) -> bool {
        true
    }
}

fn origin(scheme: Scheme, authority: &str) -> Option<Origin> {
    let standard = match scheme {
        Scheme::Http => 80,
        Scheme::Https => 443,
    };
    let written: Authority = authority.to_ascii_lowercase().parse().ok()?;
    let port_text = written.as_str().strip_prefix(written.host())?;
    let host = authority::without_final_dot(written.host()).to_owned();
    let port = match port_text.strip_prefix(':') {
        Some(port) => port.parse().ok().filter(|port| *port != 0)?,
        None => standard,
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    self::host(written.host())?;
    let shown = if port == standard { host.clone() } else { format!("{host}:{port}") };
    Some(Origin { scheme, authority: shown.parse().ok()?, host: bare.into(), port })
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", origin_text(&self.origin), self.path)
    }
}

/// Scheme and authority.
pub(crate) fn origin_text(origin: &Origin) -> String {
    let scheme = match origin.scheme {
        Scheme::Http => "http",
        Scheme::Https => "https",
    };
    format!("{scheme}://{}", origin.authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_url_is_an_origin_with_a_plain_path() {
        let rows = [
            ("https://API.vendor.example:443/v1/", "https://api.vendor.example/v1", 443),
            ("https://api.vendor.example./v1", "https://api.vendor.example/v1", 443),
            ("https://api.vendor.example.:8443", "https://api.vendor.example:8443", 8443),
            ("http://[::1]:8080", "http://[::1]:8080", 8080),
            ("http://127.0.0.1:80/", "http://127.0.0.1", 80),
        ];
        for (text, shown, port) in rows {
            let url = UpstreamUrl.parse(text).unwrap();
            assert_eq!((url.to_string().as_str(), url.origin.port), (shown, port));
        }
        let bad = [
            "api.vendor.example",
            "ftp://a",
            "https://",
            "https://u:p@a",
            "https://a?x=1",
            "https://a/#f",
            "https://a:0",
            "https://a:99999",
            "https://a b",
            "https://a..",
            "https://.",
            "https://a/%2e",
            "https://a/../b",
        ];
        for text in bad {
            assert!(UpstreamUrl.parse(text).is_err(), "{text}");
        }
    }
}
