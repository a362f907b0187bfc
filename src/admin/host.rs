//! Which hosts the admin API answers for: a page in a browser must not reach it under a name of
//! its own that happens to resolve to us (DNS rebinding).
//!
//! Refuses to resolve names: loopback names, the bound address and plain addresses are the list.

use std::net::{IpAddr, SocketAddr};

use crate::routing::authority;

/// Whether `host`, as the request says it, is one of ours.
pub(super) fn is_ours(host: &str, bound: SocketAddr) -> bool {
    let (name, port) = split(host);
    let name = authority::without_final_dot(name);
    let right_port = port.is_none_or(|port| port == bound.port());
    right_port && (name.eq_ignore_ascii_case("localhost") || is_our_address(name, bound.ip()))
}

/// An address cannot be rebound: whoever wrote it meant it.
fn is_our_address(name: &str, bound: IpAddr) -> bool {
    let plain = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    let Ok(address) = plain.parse::<IpAddr>() else { return false };
    address.is_loopback() || address == bound || bound.is_unspecified()
}

fn split(host: &str) -> (&str, Option<u16>) {
    let name_end = host.rfind(']').map_or(0, |end| end + 1);
    match host[name_end..].find(':') {
        // What is no number is nobody's port.
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
    fn only_loopback_names_and_addresses_are_ours() {
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
