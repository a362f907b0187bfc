//! `evenkeel healthcheck`: asks a running gateway's `/readyz`; for container probes.
//!
//! It finds the admin listener where `run` finds it: in the same files, variables and flags. Of the
//! configuration only that address is read, so secrets and upstreams may be out of its reach. Ends
//! with 0 or 1 and nothing else: container engines keep the other codes for themselves.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::source::{ConfigSource, report};
use crate::config::{Environment, admin_address};

/// Connecting, asking and each read take no longer.
const STEP_TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes of the answer that are read: the status line is enough.
const ANSWER_BYTES_MAX: u64 = 4096;

/// Asks whether a gateway is ready.
#[derive(Args, Clone, Debug)]
pub struct HealthcheckArgs {
    #[command(flatten)]
    source: ConfigSource,
    /// The address of its admin listener, instead of the configured one.
    #[arg(long, value_name = "ADDR")]
    admin: Option<SocketAddr>,
}

/// Asks, and says on stderr why it is not ready.
pub fn run(args: &HealthcheckArgs, environment: &Environment, err: &mut dyn Write) -> ExitCode {
    let configured = || admin_address(&args.source.request(), environment);
    let admin = match args.admin.map_or_else(configured, Ok) {
        Ok(admin) => reachable(admin),
        Err(faults) => {
            report(&faults, err);
            return ExitCode::FAILURE;
        }
    };
    let why = match ask(admin) {
        Ok(answer) if answer.starts_with("HTTP/1.1 200 ") => return ExitCode::SUCCESS,
        Ok(answer) => answer.lines().last().unwrap_or("it answered nothing").to_owned(),
        Err(error) => error.to_string(),
    };
    // The exit code says it too.
    let _ = writeln!(err, "not ready at {admin}: {why}");
    ExitCode::FAILURE
}

/// Where a listener on this address is reached from the same machine.
fn reachable(address: SocketAddr) -> SocketAddr {
    let loopback: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    let anywhere = address.ip().is_unspecified();
    SocketAddr::new(if anywhere { loopback } else { address.ip() }, address.port())
}

fn ask(admin: SocketAddr) -> io::Result<String> {
    let mut socket = TcpStream::connect_timeout(&admin, STEP_TIMEOUT)?;
    socket.set_read_timeout(Some(STEP_TIMEOUT))?;
    socket.set_write_timeout(Some(STEP_TIMEOUT))?;
    let request = format!("GET /readyz HTTP/1.1\r\nhost: {admin}\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    socket.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn asking(admin: SocketAddr) -> HealthcheckArgs {
        HealthcheckArgs { source: ConfigSource::default(), admin: Some(admin) }
    }

    #[test]
    fn any_address_means_this_machine() {
        for (bound, asked) in
            [("0.0.0.0:9", "127.0.0.1:9"), ("[::]:9", "[::1]:9"), ("10.0.0.1:9", "10.0.0.1:9")]
        {
            assert_eq!(reachable(bound.parse().unwrap()), asked.parse().unwrap());
        }
    }

    fn check_against(answer: &'static str) -> (String, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let admin = listener.local_addr().unwrap();
        let gateway = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let read = socket.read(&mut request).unwrap();
            assert!(request[..read].starts_with(b"GET /readyz HTTP/1.1\r\n"));
            socket.write_all(answer.as_bytes()).unwrap();
        });
        let mut err = Vec::new();
        let code = run(&asking(admin), &Environment::of([]), &mut err);
        gateway.join().unwrap();
        (format!("{code:?}"), String::from_utf8(err).unwrap())
    }

    #[test]
    fn only_a_200_is_healthy() {
        let (code, err) = check_against("HTTP/1.1 200 OK\r\n\r\nready\n");
        assert_eq!((code, err.as_str()), (format!("{:?}", ExitCode::SUCCESS), ""));
        let (code, err) = check_against("HTTP/1.1 503 Service Unavailable\r\n\r\ndraining\n");
        assert_eq!(code, format!("{:?}", ExitCode::FAILURE));
        assert!(err.ends_with(": draining\n"), "{err}");
    }

    #[test]
    fn nobody_there_is_not_healthy() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let admin = listener.local_addr().unwrap();
        drop(listener);
        let mut err = Vec::new();
        let code = run(&asking(admin), &Environment::of([]), &mut err);
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::FAILURE));
        assert!(String::from_utf8(err).unwrap().contains(&admin.to_string()));
    }
}
