//! `evenkeel healthcheck`: requests `/readyz` of a running gateway, for container probes.
//!
//! The admin address comes from the same files, variables and flags as with `run`. Nothing else of
//! the configuration is read, so secrets need not be accessible. The exit code is 0 or 1 only,
//! since container engines reserve the others.

use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Args;

use super::admin_client::{ask, connectable};
use super::source::{ConfigSource, report};
use crate::config::{Environment, admin_address};

#[derive(Args, Clone, Debug)]
pub struct HealthcheckArgs {
    #[command(flatten)]
    source: ConfigSource,
    /// The address of the admin listener, instead of the configured one.
    #[arg(long, value_name = "ADDR")]
    admin: Option<SocketAddr>,
}

/// Fails with a reason on `err` unless the gateway is ready.
pub fn run(args: &HealthcheckArgs, environment: &Environment, err: &mut dyn Write) -> ExitCode {
    let configured = || admin_address(&args.source.request(), environment);
    let admin = match args.admin.map_or_else(configured, Ok) {
        Ok(admin) => connectable(admin),
        Err(diagnostics) => {
            report(&diagnostics, err);
            return ExitCode::FAILURE;
        }
    };
    let reason = match ask(admin, "GET", "/readyz", None) {
        Ok(response) if response.status == 200 => return ExitCode::SUCCESS,
        Ok(response) => response.body.lines().last().unwrap_or("the response is empty").to_owned(),
        Err(error) => error.to_string(),
    };
    // If stderr is closed, the exit code still shows the failure.
    let _ = writeln!(err, "not ready at {admin}: {reason}");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;

    use super::*;

    fn args(admin: SocketAddr) -> HealthcheckArgs {
        HealthcheckArgs { source: ConfigSource::default(), admin: Some(admin) }
    }

    fn check_against(response: &'static str) -> (String, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let admin = listener.local_addr().unwrap();
        let gateway = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let read = socket.read(&mut request).unwrap();
            assert!(request[..read].starts_with(b"GET /readyz HTTP/1.0\r\n"));
            socket.write_all(response.as_bytes()).unwrap();
        });
        let mut err = Vec::new();
        let code = run(&args(admin), &Environment::of([]), &mut err);
        gateway.join().unwrap();
        (format!("{code:?}"), String::from_utf8(err).unwrap())
    }

    #[test]
    fn only_status_200_is_ready() {
        let (code, err) = check_against("HTTP/1.1 200 OK\r\n\r\nready\n");
        assert_eq!((code, err.as_str()), (format!("{:?}", ExitCode::SUCCESS), ""));
        let (code, err) = check_against("HTTP/1.1 503 Service Unavailable\r\n\r\ndraining\n");
        assert_eq!(code, format!("{:?}", ExitCode::FAILURE));
        assert!(err.ends_with(": draining\n"), "{err}");
    }

    #[test]
    fn a_refused_connection_is_not_ready() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let admin = listener.local_addr().unwrap();
        drop(listener);
        let mut err = Vec::new();
        let code = run(&args(admin), &Environment::of([]), &mut err);
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::FAILURE));
        assert!(String::from_utf8(err).unwrap().contains(&admin.to_string()));
    }
}
