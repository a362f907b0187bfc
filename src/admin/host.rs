//! Which hosts the admin API may be addressed by.
//!
//! A web page could point a name of its own at this machine (DNS rebinding), so only `localhost`
//! and IP addresses are accepted. Names are never resolved.

use std::net::{IpAddr, SocketAddr};

use crate::routing::authority;

/// Whether the request's host is the listener bound to `bound`.
pub(super) fn is_ours(host: &str, bound: SocketAddr) -> bool {
    let (name, port) = split_port(host);
    let name = authority::without_final_dot(name);
    if port.is_some_and(|port| port != bound.port()) {
        return false;
    }
    let address = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    match address.parse::<IpAddr>() {
        // Rebinding needs a name, so an address is safe.
        Ok(address) => {
            address.is_loopback() || address == bound.ip() || bound.ip().is_unspecified()
        }
        Err(_) => name.eq_ignore_ascii_case("localhost"),
    }
}

fn split_port(host: &str) -> (&str, Option<u16>) {
    let name_end = host.rfind(']').map_or(0, |end| end + 1);
    match host[name_end..].find(':') {
        // A port that is not a number becomes 0, which no listener has.
        Some(colon) => {
            let port = host[name_end + colon + 1..].parse().unwrap_or(0);
            (&host[..name_end + colon], Some(port))
        }
        None => (host, None),
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
