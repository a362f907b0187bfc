//! A Redis server of the test's own.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::gateway::{free_address, signal};
use super::time;

/// A Redis server that ends with its value.
pub(crate) struct Redis {
    child: Child,
    port: u16,
    dir: TempDir,
}

impl Redis {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    pub(crate) fn start_with(flags: &[&str]) -> Self {
        let (dir, port) = (tempfile::tempdir().unwrap(), free_address().port());
        let child = launch(port, dir.path(), flags);
        Self { child, port, dir }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn tell(&self, command: &[&str]) -> String {
        let mut cli = Command::new("redis-cli");
        let output = cli.args(["-p", &self.port.to_string()]).args(command).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Kills it and starts it anew, with what was saved last.
    pub(crate) fn restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = launch(self.port, self.dir.path(), &[]);
    }
}

fn launch(port: u16, dir: &Path, flags: &[&str]) -> Child {
    let mut server = Command::new("redis-server");
    server.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
    server.args(flags).current_dir(dir).stdout(Stdio::null());
    let child = server.spawn().expect("tests/run installs redis-server");
    time::until("redis listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    child
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
