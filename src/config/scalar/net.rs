//! Words of the network: addresses, hosts, URLs, headers, methods, paths.

use std::fmt;

use http::HeaderName;
use http::uri::Authority;

use super::{Fit, Misfit, Plain};
use crate::config::fault::Sort;
use crate::routing::authority;
use crate::upstream::{Origin, Scheme};

/// Where an upstream is.
#[derive(Clone, Debug)]
pub(in crate::config) struct Url {
    pub(in crate::config) origin: Origin,
    pub(in crate::config) path: Box<str>,
}

impl PartialEq for Url {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

pub(super) const HEADERS: &str = "a header name: letters, digits and `-`";
pub(super) const ADDRESSES: &str =
    "an IP address and a port: 127.0.0.1:8080, 0.0.0.0:8080, [::1]:8080";
pub(super) const HOSTS: &str = "a host name without scheme, port or path, such as `api.local`";
pub(super) const PREFIXES: &str =
    "a path of whole segments, such as `/vendor`, or `/` for everything";
pub(super) const PATTERNS: &str =
    "a path behind the route's prefix: `/a/*` for one segment, `/a/**` for any rest";

/// Headers that frame a message or name its host: they cannot carry a value of ours.
pub(super) const FRAMING: [&str; 9] = [
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

pub(super) fn header(text: &str) -> Fit {
    let name = HeaderName::try_from(text.to_ascii_lowercase())
        .map_err(|_| Misfit::new(Sort::Type, format!("`{text}` is no header name"), HEADERS))?;
    if FRAMING.contains(&name.as_str()) {
        let message = format!("`{text}` belongs to the connection");
        return Err(Misfit::new(Sort::Conflict, message, "any other header"));
    }
    Ok(Plain::Header(name, text.into()))
}

/// Headers that carry credentials: a renewed token is the same account, and keys are shown.
pub(super) const CREDENTIALS: [&str; 6] =
    ["authorization", "cookie", "proxy-authorization", "set-cookie", "x-api-key", "x-auth-token"];

pub(super) fn account_header(text: &str) -> Fit {
    let fit = header(text)?;
    if CREDENTIALS.contains(&text.to_ascii_lowercase().as_str()) {
        let message = format!("`{text}` carries a credential, which is not an account");
        let accepted = "a header that names the account and stays the same when a token is renewed";
        return Err(Misfit::new(Sort::Conflict, message, accepted));
    }
    Ok(fit)
}

pub(super) const METHODS: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];

pub(super) fn method(text: &str) -> Fit {
    if METHODS.contains(&text) {
        return Ok(Plain::Method(text.parse().expect("the list holds methods")));
    }
    let accepted = format!("{}; without `methods` every method", METHODS.join(", "));
    Err(Misfit::new(Sort::Type, format!("`{text}` is no method"), accepted))
}

pub(super) fn address(text: &str) -> Fit {
    text.parse()
        .map(Plain::Address)
        .map_err(|_| Misfit::new(Sort::Type, format!("`{text}` is no address"), ADDRESSES))
}

pub(super) fn host(text: &str) -> Fit {
    let misfit = || Misfit::new(Sort::Type, format!("`{text}` is no host"), HOSTS);
    let text = authority::without_final_dot(text);
    let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let bracketed = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let ipv6 = bracketed.is_some_and(|inside| inside.parse::<std::net::Ipv6Addr>().is_ok());
    let labels = text.chars().all(named) && !text.split('.').any(str::is_empty);
    if !(ipv6 || labels) {
        return Err(misfit());
    }
    Ok(Plain::Host(text.to_ascii_lowercase().into()))
}

pub(super) fn prefix(text: &str) -> Fit {
    if !text.starts_with('/') {
        let message = format!("`{text}` does not begin with a slash");
        return Err(Misfit::new(Sort::Type, message, PREFIXES));
    }
    if !usable_prefix(text) {
        return Err(Misfit::new(Sort::Type, format!("`{text}` is no prefix"), PREFIXES));
    }
    Ok(Plain::Prefix(text.trim_end_matches('/').into()))
}

pub(super) fn usable_prefix(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-._~!$&'()+,=:@".contains(c);
    let climbs = || text.split('/').any(|segment| matches!(segment, "." | ".."));
    text.chars().all(plain) && !text.contains("//") && !climbs()
}

pub(super) fn pattern(text: &str) -> Fit {
    match text.parse() {
        Ok(pattern) => Ok(Plain::Pattern(text.into(), pattern)),
        Err(fault) => Err(Misfit::new(Sort::Type, format!("`{text}`: {fault}"), PATTERNS)),
    }
}

pub(super) const URLS: &str = "an absolute URL: https://api.vendor.example/v1";

pub(super) fn url(text: &str) -> Result<Url, Vec<Misfit>> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, behind) = rest.split_at(end);
    let (path, extra) = behind.split_at(behind.find(['?', '#']).unwrap_or(behind.len()));
    let path = path.trim_end_matches('/');
    let mut misfits = Vec::new();
    let mut refuse = |sort, message: &str, accepted: &str| {
        misfits.push(Misfit::new(sort, message, accepted));
    };
    if authority.contains('@') {
        let remedy = "the credential under `auth`, as `{ env: NAME }` or `{ file: PATH }`";
        refuse(Sort::Secret, "the URL carries a credential", remedy);
    }
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "https" => Some(Scheme::Https),
        "http" => Some(Scheme::Http),
        "" => {
            refuse(Sort::Type, "the URL has no scheme", URLS);
            None
        }
        other => {
            refuse(Sort::Type, &format!("`{other}` is not spoken here"), SCHEMES);
            None
        }
    };
    if extra.starts_with('?') {
        refuse(Sort::Type, "the URL has a query, which no call would keep", URLS);
    }
    if extra.contains('#') {
        refuse(Sort::Type, "the URL has a fragment, which no call would keep", URLS);
    }
    let host = authority.rsplit('@').next().unwrap_or(authority);
    let origin = origin(scheme.unwrap_or(Scheme::Https), host);
    if origin.is_none() {
        refuse(Sort::Type, "the URL has no usable host", URLS);
    }
    if !path.is_empty() && !usable_prefix(path) {
        refuse(Sort::Type, "the URL's path is not plain", URLS);
    }
    match origin {
        Some(origin) if misfits.is_empty() => Ok(Url { origin, path: path.into() }),
        Some(_) | None => Err(misfits),
    }
}

pub(super) const SCHEMES: &str = "`https://` or `http://`";

pub(super) fn origin(scheme: Scheme, authority: &str) -> Option<Origin> {
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
    host_is_plain(written.host()).then_some(())?;
    let shown = if port == standard { host.clone() } else { format!("{host}:{port}") };
    Some(Origin { scheme, authority: shown.parse().ok()?, host: bare.into(), port })
}

pub(super) fn host_is_plain(text: &str) -> bool {
    host(text).is_ok()
}

/// Scheme and authority.
pub(in crate::config) fn origin_text(origin: &Origin) -> String {
    let scheme = match origin.scheme {
        Scheme::Http => "http",
        Scheme::Https => "https",
    };
    format!("{scheme}://{}", origin.authority)
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", origin_text(&self.origin), self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_origins_with_a_plain_path() {
        let rows = [
            ("https://API.vendor.example:443/v1/", "https://api.vendor.example/v1", 443),
            ("https://api.vendor.example./v1", "https://api.vendor.example/v1", 443),
            ("https://api.vendor.example.:8443", "https://api.vendor.example:8443", 8443),
            ("http://[::1]:8080", "http://[::1]:8080", 8080),
            ("http://127.0.0.1:80/", "http://127.0.0.1", 80),
        ];
        for (text, shown, port) in rows {
            let url = url(text).unwrap();
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
            assert!(url(text).is_err(), "{text}");
        }
    }
}
