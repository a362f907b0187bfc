//! Asks the admin listener of a running gateway, for verbs that operators and probes use.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// The timeout of connecting and of each read and write.
const STEP_TIMEOUT: Duration = Duration::from_secs(2);
/// The views of all accounts that the listener shows fit.
const RESPONSE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A response, as far as these verbs need it.
#[derive(Debug)]
pub(super) struct AdminResponse {
    pub(super) status: u16,
    pub(super) body: String,
}

/// Replaces the unspecified address, to which nobody can connect, by loopback.
pub(super) fn connectable(address: SocketAddr) -> SocketAddr {
    let loopback: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    let unspecified = address.ip().is_unspecified();
    SocketAddr::new(if unspecified { loopback } else { address.ip() }, address.port())
}

/// Sends one request without a body. HTTP/1.0, so that the response ends with the connection.
///
/// # Errors
/// The listener cannot be reached, or does not speak HTTP.
pub(super) fn ask(
    admin: SocketAddr,
    method: &str,
    target: &str,
    token: Option<&str>,
) -> io::Result<AdminResponse> {
    let mut socket = TcpStream::connect_timeout(&admin, STEP_TIMEOUT)?;
    socket.set_read_timeout(Some(STEP_TIMEOUT))?;
    socket.set_write_timeout(Some(STEP_TIMEOUT))?;
    let token = token.map(|it| format!("authorization: Bearer {it}\r\n")).unwrap_or_default();
    let head = format!("{method} {target} HTTP/1.0\r\nhost: {admin}\r\n{token}\r\n");
    socket.write_all(head.as_bytes())?;
    let mut response = Vec::new();
    socket.take(RESPONSE_BYTES_MAX).read_to_end(&mut response)?;
    let response = String::from_utf8_lossy(&response);
    let not_http = || io::Error::new(io::ErrorKind::InvalidData, "the response is not HTTP");
    let (head, body) = response.split_once("\r\n\r\n").ok_or_else(not_http)?;
    let status = head.split(' ').nth(1).and_then(|it| it.parse().ok()).ok_or_else(not_http)?;
    Ok(AdminResponse { status, body: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unspecified_address_is_replaced_by_loopback() {
        for (bound, expected) in
            [("0.0.0.0:9", "127.0.0.1:9"), ("[::]:9", "[::1]:9"), ("10.0.0.1:9", "10.0.0.1:9")]
        {
            assert_eq!(connectable(bound.parse().unwrap()), expected.parse().unwrap());
        }
    }
}
