//! Processes under measurement: started on one core, read through /proc, ended with their handle.
//!
//! Refuses other systems than Linux: CPU time by the nanosecond comes from `schedstat`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::unmeasured::Unmeasured;

/// Descriptors a process may open; idle clients need two each in a relay.
const DESCRIPTORS: u32 = 8_192;
/// How much of a failed process's log goes into the table.
const LOG_TAIL_CHARACTERS: usize = 160;

/// Where a process runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// On this core alone.
    Core(usize),
    /// Wherever the system puts it, as for a user.
    Anywhere,
}

/// A running process; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
}

/// Memory of a process in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) resident: f64,
    pub(crate) proportional: f64,
}

impl Process {
    /// Starts a program whose words go to a log file.
    pub(crate) fn start(command: &[String], place: Place, log: &Path) -> Result<Self, Unmeasured> {
        let out = fs::File::create(log)?;
        let mut command = placed(command, place);
        let child = command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out).spawn()?;
        Ok(Self { child })
    }

    /// Starts a program that is talked to through its stdin and stdout.
    pub(crate) fn start_piped(command: &[String], place: Place) -> Result<Self, Unmeasured> {
        let mut command = placed(command, place);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        Ok(Self { child })
    }

    /// The next line of a piped program's stdout.
    pub(crate) fn line(&mut self) -> Result<String, Unmeasured> {
        let out = self
            .child
            .stdout
            .as_mut()
            .ok_or_else(|| Unmeasured::because("the process is not piped"))?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        Ok(line)
    }

    /// An error once the process has ended by itself.
    pub(crate) fn still_runs(&mut self, log: &Path) -> Result<(), Unmeasured> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(Unmeasured::because(format!("ended with {status}{}", tail(log)))),
        }
    }

    /// User and system time of all threads, in nanoseconds.
    pub(crate) fn cpu_nanos(&self) -> Result<f64, Unmeasured> {
        let mut total = 0.0;
        for task in fs::read_dir(self.proc("task"))? {
            let Ok(stat) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
            total += number(&stat, "");
        }
        Ok(total)
    }

    /// What the process holds now.
    pub(crate) fn memory(&self) -> Result<Memory, Unmeasured> {
        let text = fs::read_to_string(self.proc("smaps_rollup"))?;
        Ok(Memory {
            resident: number(&text, "Rss:") * 1024.0,
            proportional: number(&text, "Pss:") * 1024.0,
        })
    }

    /// Forgets the peak so far; where the system refuses, the peak since the start stands.
    pub(crate) fn forget_peak(&self) {
        let _ = fs::write(self.proc("clear_refs"), "5");
    }

    /// The largest resident size since the peak was forgotten.
    pub(crate) fn peak(&self) -> Result<f64, Unmeasured> {
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

/// `prlimit` and `taskset` replace themselves by the program, so the process id stays.
fn placed(command: &[String], place: Place) -> Command {
    let mut wrapped = Vec::new();
    if let Place::Core(core) = place {
        wrapped =
            ["prlimit", &format!("--nofile={DESCRIPTORS}:"), "taskset", "-c", &core.to_string()]
                .map(ToOwned::to_owned)
                .to_vec();
    }
    wrapped.extend_from_slice(command);
    let mut placed = Command::new(&wrapped[0]);
    placed.args(&wrapped[1..]);
    placed
}

/// The number after `label`, or 0.
fn number(text: &str, label: &str) -> f64 {
    let after = text.find(label).map_or("", |at| &text[at + label.len()..]);
    after.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0.0)
}

/// Time this core has not been idle since the machine started, in nanoseconds, to a hundredth of
/// a second: enough to tell whether somebody else was there.
pub(crate) fn core_busy_nanos(core: usize) -> Result<f64, Unmeasured> {
    /// The unit of /proc/stat, the same on every architecture in use.
    const TICK_NANOS: f64 = 1e7;
    let text = fs::read_to_string("/proc/stat")?;
    let label = format!("cpu{core} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&label)).unwrap_or_default();
    let ticks: Vec<f64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; guests are counted in user already.
    let idle_or_waiting: f64 = ticks.iter().skip(3).take(2).sum();
    Ok((ticks.iter().take(8).sum::<f64>() - idle_or_waiting) * TICK_NANOS)
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let shortened: String = line.chars().take(LOG_TAIL_CHARACTERS).collect();
    if shortened.is_empty() { shortened } else { format!(": {shortened}") }
}

/// A loopback address that nobody listened on a moment ago.
pub(crate) fn free_address() -> Result<SocketAddr, Unmeasured> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
