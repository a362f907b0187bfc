//! The program under test as a child process, which ends when its value is dropped.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::time;
use super::wire::{self, Answer, Connection};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_evenkeel");

pub(crate) struct Gateway {
    child: Child,
    /// Where clients are served.
    pub(crate) address: SocketAddr,
    /// The admin listener.
    pub(crate) admin: SocketAddr,
    logs: Arc<Mutex<String>>,
    folder: TempDir,
}

impl Gateway {
    /// Starts on this configuration; the listeners' addresses are added to it.
    #[track_caller]
    pub(crate) fn start(yaml: &str) -> Self {
        Self::start_with(yaml, &[])
    }

    /// The same, with variables of the environment; it sees no others.
    #[track_caller]
    pub(crate) fn start_with(yaml: &str, variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("evenkeel.yaml");
        std::fs::write(&file, yaml).unwrap();
        Self::ready(Self::launch(&["-c", &file.to_string_lossy()], variables, folder))
    }

    /// Starts with this limit of open files.
    #[track_caller]
    pub(crate) fn start_with_files(yaml: &str, files: u32) -> Self {
        Self::start_in_shell(&format!("ulimit -n {files}"), yaml)
    }

    /// Starts after these commands of a shell.
    #[track_caller]
    pub(crate) fn start_in_shell(commands: &str, yaml: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("evenkeel.yaml");
        std::fs::write(&file, yaml).unwrap();
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &format!("{commands}; exec \"$0\" \"$@\""), PROGRAM]);
        Self::ready(Self::spawn(shell, &["-c", &file.to_string_lossy()], &[], folder))
    }

    /// Starts without a file; the flags of the listeners' addresses are added.
    #[track_caller]
    pub(crate) fn start_on_flags(flags: &[&str]) -> Self {
        Self::ready(Self::launch(flags, &[], tempfile::tempdir().unwrap()))
    }

    #[track_caller]
    fn ready(mut gateway: Self) -> Self {
        time::until("the gateway gets ready", || {
            if let Some(status) = gateway.child.try_wait().unwrap() {
                panic!("the gateway ended with {status}:\n{}", gateway.logs());
            }
            is_ready(gateway.admin)
        });
        gateway
    }

    fn launch(flags: &[&str], variables: &[(&str, &str)], folder: TempDir) -> Self {
        Self::spawn(Command::new(PROGRAM), flags, variables, folder)
    }

    fn spawn(
        mut program: Command,
        flags: &[&str],
        variables: &[(&str, &str)],
        folder: TempDir,
    ) -> Self {
        let (address, admin) = (free_address(), free_address());
        let mut child = program
            .arg("run")
            .args(flags)
            .args(["--set", &format!("listen.address={address}")])
            .args(["--set", &format!("admin.address={admin}")])
            .env_clear()
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let logs = collect(child.stderr.take().unwrap());
        Self { child, address, admin, logs, folder }
    }

    /// Writes another configuration over the one it was started on, at once as editors do.
    pub(crate) fn configure(&self, yaml: &str) {
        let path = |name: &str| self.folder.path().join(name);
        std::fs::write(path("next"), yaml).unwrap();
        std::fs::rename(path("next"), path("evenkeel.yaml")).unwrap();
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.address)
    }

    /// One request on a connection of its own.
    #[track_caller]
    pub(crate) fn call(&self, request: &[u8]) -> Answer {
        wire::call(self.address, request)
    }

    /// One GET on a connection of its own.
    #[track_caller]
    pub(crate) fn get(&self, target: &str) -> Answer {
        self.call(&wire::request("GET", target, &[], b""))
    }

    /// One POST on a connection of its own.
    #[track_caller]
    pub(crate) fn post(&self, target: &str, body: &[u8]) -> Answer {
        self.call(&wire::request("POST", target, &[], body))
    }

    pub(crate) fn logs(&self) -> String {
        self.logs.lock().unwrap().clone()
    }

    pub(crate) fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Asks it to stop and waits until it has.
    #[track_caller]
    pub(crate) fn stop(self) -> ExitStatus {
        self.signal("TERM");
        self.stopped()
    }

    /// Waits until it has stopped, after an earlier signal: another one would cut off its drain.
    #[track_caller]
    pub(crate) fn stopped(mut self) -> ExitStatus {
        let mut status = None;
        time::until("the gateway stops", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.expect("it has stopped")
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the gateway's log:\n{}", self.logs());
        }
    }
}

/// A configuration of one upstream under `/v`, with further keys of the upstream.
pub(crate) fn one_upstream(url: &str, more: &str) -> String {
    let more = more.lines().map(|line| format!("    {line}\n")).collect::<String>();
    format!("upstreams:\n  vendor:\n    url: {url}\n    route: /v\n{more}")
}

fn is_ready(admin: SocketAddr) -> bool {
    if std::net::TcpStream::connect(admin).is_err() {
        return false;
    }
    let mut connection = Connection::open(admin);
    connection.send(&wire::request("GET", "/readyz", &[], b""));
    connection.answer_if_any("GET").is_some_and(|answer| answer.status == 200)
}

/// A free address. Ports are taken in turn from below the ephemeral range, so that no outgoing
/// connection of the suite gets the same one in the meantime.
pub(crate) fn free_address() -> SocketAddr {
    const FIRST: u16 = 15_000;
    const COUNT: u16 = 15_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() * 61 % u32::from(COUNT)).unwrap();
    loop {
        let turn = start.wrapping_add(NEXT.fetch_add(1, Ordering::SeqCst)) % COUNT;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, FIRST + turn));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

fn collect(stderr: impl std::io::Read + Send + 'static) -> Arc<Mutex<String>> {
    let logs = Arc::new(Mutex::new(String::new()));
    let written = Arc::clone(&logs);
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let mut text = written.lock().unwrap();
            text.push_str(&line);
            text.push('\n');
        }
    });
    logs
}

/// Sends a signal with the shell's `kill`.
pub(crate) fn signal(process: u32, name: &str) {
    let status = Command::new("sh").arg("-c").arg(format!("kill -{name} {process}")).status();
    assert!(status.unwrap().success(), "no signal {name} to {process}");
}
