//! The processes that are measured: started on one core, read through /proc, ended when dropped.
//!
//! Linux only: CPU time in nanoseconds comes from `schedstat`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::error::MeasureError;

/// The limit of open files for each process; an idle client takes two of them in a proxy.
const OPEN_FILES: u32 = 8_192;
/// How much of the log of a failed process the table shows.
const LOG_CHARACTERS_MAX: usize = 160;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Placement {
    /// Only on this core.
    Core(usize),
    /// On any core, as for a user.
    AnyCore,
}

/// A running process; dropping it ends the process.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
}

/// In bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) resident: f64,
    pub(crate) proportional: f64,
}

impl Process {
    /// Starts a program whose output goes to a log file.
    pub(crate) fn start(
        command: &[String],
        placement: Placement,
        log: &Path,
    ) -> Result<Self, MeasureError> {
        let out = fs::File::create(log)?;
        let mut command = command_on(command, placement);
        let child = command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out).spawn()?;
        Ok(Self { child })
    }

    /// Starts a program whose stdin and stdout the benchmark uses.
    pub(crate) fn start_piped(
        command: &[String],
        placement: Placement,
    ) -> Result<Self, MeasureError> {
        let mut command = command_on(command, placement);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        Ok(Self { child })
    }

    /// The next line of stdout.
    pub(crate) fn read_line(&mut self) -> Result<String, MeasureError> {
        let out = self
            .child
            .stdout
            .as_mut()
            .ok_or_else(|| MeasureError::new("the output of the process is not available"))?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        Ok(line)
    }

    /// Fails once the process has ended, with the end of its log.
    pub(crate) fn check_running(&mut self, log: &Path) -> Result<(), MeasureError> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => {
                let text = fs::read_to_string(log).unwrap_or_default();
                let line = text.lines().rev().find(|line| !line.trim().is_empty());
                let line: String =
                    line.unwrap_or_default().chars().take(LOG_CHARACTERS_MAX).collect();
                let colon = if line.is_empty() { "" } else { ": " };
                Err(MeasureError::new(format!("ended with {status}{colon}{line}")))
            }
        }
    }

    /// User and system time of all threads, in nanoseconds.
    pub(crate) fn cpu_nanos(&self) -> Result<f64, MeasureError> {
        let mut total = 0.0;
        for task in fs::read_dir(self.proc("task"))? {
            let Ok(stat) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
            total += number(&stat, "");
        }
        Ok(total)
    }

    pub(crate) fn memory(&self) -> Result<Memory, MeasureError> {
        let text = fs::read_to_string(self.proc("smaps_rollup"))?;
        Ok(Memory {
            resident: number(&text, "Rss:") * 1024.0,
            proportional: number(&text, "Pss:") * 1024.0,
        })
    }

    /// Resets the peak; if the system does not permit it, the peak since the start remains.
    pub(crate) fn reset_peak(&self) {
        let _ = fs::write(self.proc("clear_refs"), "5");
    }

    /// The largest resident size since the peak was reset.
    pub(crate) fn peak(&self) -> Result<f64, MeasureError> {
        Ok(number(&fs::read_to_string(self.proc("status"))?, "VmHWM:") * 1024.0)
    }

    fn proc(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.child.id())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `prlimit` and `taskset` exec the program, so the process id is the program's.
fn command_on(command: &[String], placement: Placement) -> Command {
    let mut wrapped = Vec::new();
    if let Placement::Core(core) = placement {
        wrapped =
            ["prlimit", &format!("--nofile={OPEN_FILES}:"), "taskset", "-c", &core.to_string()]
                .map(ToOwned::to_owned)
                .to_vec();
    }
    wrapped.extend_from_slice(command);
    let mut command = Command::new(&wrapped[0]);
    command.args(&wrapped[1..]);
    command
}

/// The number after `label`, or 0 if there is none.
fn number(text: &str, label: &str) -> f64 {
    let after = text.find(label).map_or("", |at| &text[at + label.len()..]);
    after.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0.0)
}

/// How long this core has been busy since the machine was started, in nanoseconds. The resolution
/// of 10 ms suffices to tell whether other programs used the core.
pub(crate) fn core_busy_nanos(core: usize) -> Result<f64, MeasureError> {
    /// The unit of /proc/stat, on all common architectures.
    const TICK_NANOS: f64 = 1e7;
    let text = fs::read_to_string("/proc/stat")?;
    let label = format!("cpu{core} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&label)).unwrap_or_default();
    let ticks: Vec<f64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; `user` includes the guests that follow.
    let idle: f64 = ticks.iter().skip(3).take(2).sum();
    Ok((ticks.iter().take(8).sum::<f64>() - idle) * TICK_NANOS)
}

/// A loopback address with a free port.
pub(crate) fn free_address() -> Result<SocketAddr, MeasureError> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
