//! Reads the metrics of the process itself from `/proc` at scrape time.
//!
//! They exist on Linux only; elsewhere they are absent from the exposition.

use std::fs;

/// Clock ticks in a second, as `/proc` counts them on every architecture of Linux.
const TICKS_PER_SECOND: f64 = 100.0;

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Process {
    pub(super) cpu_seconds: f64,
    pub(super) resident_bytes: f64,
    pub(super) virtual_bytes: f64,
    pub(super) threads: f64,
    pub(super) open_files: f64,
    pub(super) open_files_max: f64,
    /// Seconds since 1970.
    pub(super) start_seconds: f64,
}

impl Process {
    pub(super) fn read() -> Option<Self> {
        let text = |path: &str| fs::read_to_string(path).ok();
        let files = ProcFiles {
            stat: &text("/proc/self/stat")?,
            status: &text("/proc/self/status")?,
            limits: &text("/proc/self/limits")?,
            system: &text("/proc/stat")?,
        };
        // One of the entries is the directory that is being read.
        let open_files = fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1);
        Some(Self { open_files: open_files as f64, ..files.process()? })
    }
}

/// The contents of the files.
struct ProcFiles<'a> {
    stat: &'a str,
    status: &'a str,
    limits: &'a str,
    system: &'a str,
}

impl ProcFiles<'_> {
    fn process(&self) -> Option<Process> {
        // The name in parentheses may contain spaces; the numbers after it begin with field 3.
        let (_, numbers) = self.stat.rsplit_once(')')?;
        let ticks = |field: usize| numbers.split_whitespace().nth(field - 3)?.parse::<f64>().ok();
        let status = |name| number(self.status, name);
        Some(Process {
            cpu_seconds: (ticks(14)? + ticks(15)?) / TICKS_PER_SECOND,
            resident_bytes: status("VmRSS:")? * 1024.0,
            virtual_bytes: status("VmSize:")? * 1024.0,
            threads: status("Threads:")?,
            open_files: 0.0,
            // `unlimited` is not a number.
            open_files_max: number(self.limits, "Max open files").unwrap_or(f64::INFINITY),
            start_seconds: number(self.system, "btime")? + ticks(22)? / TICKS_PER_SECOND,
        })
    }
}

/// The first number after `name`, in the line that begins with it.
fn number(text: &str, name: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_parsed() {
        let files = ProcFiles {
            stat: "7 (even) keel) S 1 7 7 0 -1 4194304 1 0 0 0 250 50 0 0 20 0 4 0 1000 9 9",
            status: "Name:\teven\nVmSize:\t  2048 kB\nVmRSS:\t    1024 kB\nThreads:\t4\n",
            limits: "Limit  Soft  Hard\nMax open files            1024      4096      files\n",
            system: "cpu  1 2\nbtime 1700000000\n",
        };
        let expected = Process {
            cpu_seconds: 3.0,
            resident_bytes: 1_048_576.0,
            virtual_bytes: 2_097_152.0,
            threads: 4.0,
            open_files: 0.0,
            open_files_max: 1024.0,
            start_seconds: 1_700_000_010.0,
        };
        assert_eq!(files.process(), Some(expected));
        assert_eq!(ProcFiles { stat: "7 (x", ..files }.process(), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_threads_memory_and_files() {
        let process = Process::read().expect("/proc is there");
        assert!(process.threads >= 1.0 && process.resident_bytes > 0.0);
        assert!(process.open_files >= 3.0 && process.open_files < process.open_files_max);
    }
}
