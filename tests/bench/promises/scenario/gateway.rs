//! The program under test: starts it with a configuration, reads /proc and its metrics, and ends it
//! when the value is dropped.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use evenkeel::clock::Clock;
use evenkeel::time::Moment;
use tempfile::TempDir;

/// A start takes milliseconds, on a busy machine seconds.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// The unit of CPU times in /proc, on all common architectures.
const TICK: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub(crate) struct Gateway {
    child: Child,
    pub(crate) address: SocketAddr,
    admin: SocketAddr,
    _folder: TempDir,
}

impl Gateway {
    /// Starts the program with one upstream at `/v`; `settings` are further lines of its YAML.
    pub(crate) fn start(url: &str, settings: &str) -> Self {
        let settings: String = settings.lines().map(|line| format!("    {line}\n")).collect();
        let yaml = format!("upstreams:\n  vendor:\n    url: {url}\n    route: /v\n{settings}");
        let folder = tempfile::tempdir().expect("a scratch folder");
        let file = folder.path().join("evenkeel.yaml");
        fs::write(&file, yaml).expect("a configuration can be written");
        let (address, admin) = (free_address(), free_address());
        let child = Command::new(env!("CARGO_BIN_EXE_evenkeel"))
            .args(["run", "-c"])
            .arg(&file)
            .args(["--set", &format!("listen.address={address}")])
            .args(["--set", &format!("admin.address={admin}")])
            .args(["--set", "telemetry.log.level=off"])
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("the program starts");
        let mut gateway = Self { child, address, admin, _folder: folder };
        let clock = Clock::start();
        while !gateway.fetch("/readyz").is_some_and(|answer| answer.contains(" 200 ")) {
            let ended = gateway.child.try_wait().expect("the state of a child can be read");
            assert_eq!(ended, None, "the gateway ended instead of serving");
            let waited = clock.now().since(Moment::START);
            assert!(waited < READY_WITHIN, "the gateway was not ready after {waited:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
        gateway
    }

    /// Attempts by the gateway's own count, failed ones included.
    pub(crate) fn attempts(&self) -> u64 {
        self.metric("evenkeel_upstream_attempts_total{")
    }

    /// Calls that are waiting now.
    pub(crate) fn waiting(&self) -> u64 {
        self.metric("evenkeel_waiting_calls{")
    }

    /// Throttled answers that the gateway did not expect; must stay 0.
    pub(crate) fn throttled_unexpected(&self) -> u64 {
        self.metric("evenkeel_upstream_throttled_unexpected_total{")
    }

    /// The sum of all samples whose line starts with `prefix`.
    fn metric(&self, prefix: &str) -> u64 {
        let text = self.fetch("/metrics").expect("the admin listener serves metrics");
        let lines = text.lines().filter(|line| line.starts_with(prefix));
        // Gauges are written with a fraction, which is 0 for the metrics that are read here.
        let whole = |line: &str| line.rsplit(' ').next()?.split('.').next()?.parse::<u64>().ok();
        lines.filter_map(whole).sum()
    }

    /// Resident memory in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let text = self.proc("status");
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kib.expect("status of a process has VmRSS") * 1024
    }

    /// User and system time of all threads since the start.
    pub(crate) fn cpu(&self) -> Duration {
        let text = self.proc("stat");
        let after_name = text.rsplit(") ").next().unwrap_or_default();
        let ticks: Vec<u32> =
            after_name.split(' ').skip(11).take(2).filter_map(|word| word.parse().ok()).collect();
        TICK * ticks.iter().sum()
    }

    fn proc(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.child.id()))
            .expect("the gateway is running")
    }

    /// The whole answer of the admin listener, head included.
    fn fetch(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.admin).ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // Both fail harmlessly if the process has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An unused address, outside the range of ephemeral ports and of the ports that the suite's other
/// gateways use.
pub(crate) fn free_address() -> SocketAddr {
    const FIRST: u16 = 10_000;
    const COUNT: u16 = 5_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() * 61 % u32::from(COUNT)).unwrap_or(0);
    loop {
        let turn = (start + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT) % COUNT;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, FIRST + turn));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}
