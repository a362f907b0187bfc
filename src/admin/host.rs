//! Which hosts the admin API may be addressed by.
//!
//! A web page could point a name of its own at this machine (DNS rebinding), so only `localhost`
//! and IP addresses are accepted. Names are never resolved.

use std::net::{IpAddr, SocketAddr};

use crate::routing::authority;

/// Whether the request's host is the listener bound to `bound`.
pub(super) fn is_ours(host: &str, bound: SocketAddr) -> bool {
    let name_end = host.rfind(']').map_or(0, |end| end + 1);
    let colon = host[name_end..].find(':').map_or(host.len(), |colon| name_end + colon);
    if let Some(port) = host[colon..].strip_prefix(':')
        && port.parse() != Ok(bound.port())
    {
        return false;
    }
    let name = authority::without_final_dot(&host[..colon]);
    let address = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    match address.parse::<IpAddr>() {
        // Rebinding needs a name, so an address is safe.
        Ok(address) => {
            address.is_loopback() || address == bound.ip() || bound.ip().is_unspecified()
        }
        Err(_) => name.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_and_own_addresses_are_accepted() {
        let rows = [
            ("localhost:9", "127.0.0.1:9", true),
            ("LOCALHOST", "127.0.0.1:9", true),
            ("localhost.:9", "127.0.0.1:9", true),
            ("127.0.0.1:9", "127.0.0.1:9", true),
            ("[::1]:9", "127.0.0.1:9", true),
            ("127.0.0.1:8", "127.0.0.1:9", false),
            ("127.0.0.1:x", "127.0.0.1:9", false),
            ("10.0.0.5:9", "10.0.0.5:9", true),
            ("10.0.0.6:9", "10.0.0.5:9", false),
            ("10.0.0.6:9", "0.0.0.0:9", true),
            ("evil.example:9", "0.0.0.0:9", false),
            ("evil.example", "127.0.0.1:9", false),
            ("localhost.evil.example:9", "127.0.0.1:9", false),
            ("", "127.0.0.1:9", false),
        ];
        for (host, bound, ours) in rows {
            assert_eq!(is_ours(host, bound.parse().unwrap()), ours, "{host} at {bound}");
        }
    }
}
