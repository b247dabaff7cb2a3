//! The resource usage of processes, from the kernel.

use std::fs;
use std::ops::AddAssign;
use std::time::{Duration, Instant};

use local_stack::{Context, Error, Result};

/// The CPU time of a process to the nanosecond, including threads that have ended.
/// `/proc/<pid>/stat` counts in ticks of ten milliseconds, and `schedstat` excludes threads that
/// have ended.
///
/// # Errors
/// When the process has ended, or the system is not Linux.
#[cfg(target_os = "linux")]
pub fn cpu(pid: u32) -> Result<Duration> {
    let pid = i32::try_from(pid).context("no process")?;
    let clock = nix::time::clock_getcpuclockid(nix::unistd::Pid::from_raw(pid));
    let time = clock.and_then(nix::time::ClockId::now);
    time.map(Duration::from).context("cannot read CPU time")
}

/// The CPU time of a process, which is only available on Linux.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
pub fn cpu(_: u32) -> Result<Duration> {
    Err(Error::new("cannot read CPU time"))
}

/// The CPU time of a process and its descendants.
///
/// # Errors
/// As [`cpu`], for the process itself.
pub fn cpu_of_family(pid: u32) -> Result<Duration> {
    let mut total = cpu(pid)?;
    for child in family(pid) {
        // A process that has ended in the meantime has no CPU clock.
        total.add_assign(cpu(child).unwrap_or_default());
    }
    Ok(total)
}

/// How often the threads of a process have gone to sleep: their voluntary context switches.
///
/// # Errors
/// When the process has ended, or the system is not Linux.
pub fn pauses(pid: u32) -> Result<u64> {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    let threads = threads.context("cannot read a process' threads")?;
    let pauses = threads.flatten().filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("status")).ok()?;
        let mut lines = text.lines();
        let count = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        count.trim().parse::<u64>().ok()
    });
    Ok(pauses.sum())
}

/// Whether all threads of a process sleep.
#[must_use]
pub fn sleeps(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    threads.into_iter().flatten().flatten().all(|thread| {
        let text = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        // The name is in parentheses and may contain any character.
        let state = text
            .rsplit_once(") ")
            .map(|(_, rest)| rest.starts_with('S'));
        state.unwrap_or(true)
    })
}

/// The descendants of a process.
#[must_use]
pub fn family(pid: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let mut open = vec![pid];
    while let Some(parent) = open.pop() {
        let threads = fs::read_dir(format!("/proc/{parent}/task"));
        for thread in threads.into_iter().flatten().flatten() {
            let text = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            let children = text
                .split_whitespace()
                .filter_map(|pid| pid.parse::<u32>().ok());
            open.extend(children.clone());
            found.extend(children);
        }
    }
    found
}

/// A process' memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// Resident bytes.
    pub resident: u64,
    /// Resident bytes, with each shared page divided among the processes that share it.
    pub proportional: u64,
}

impl AddAssign for Memory {
    fn add_assign(&mut self, other: Memory) {
        self.resident += other.resident;
        self.proportional += other.proportional;
    }
}

/// The memory of a process.
///
/// # Errors
/// When the process has ended, or the system is not Linux.
pub fn memory(pid: u32) -> Result<Memory> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"));
    let text = text.context("cannot read memory")?;
    let field = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
        let kilobytes: Option<u64> = kilobytes.and_then(|text| text.parse().ok());
        kilobytes.map(|kilobytes| kilobytes * 1024)
    };
    match (field("Rss:"), field("Pss:")) {
        (Some(resident), Some(proportional)) => Ok(Memory {
            resident,
            proportional,
        }),
        _ => Err(Error::new("cannot read memory")),
    }
}

/// The peak of a process' resident bytes since its start.
///
/// # Errors
/// When the process has ended, or the system is not Linux.
pub fn peak(pid: u32) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"));
    let text = text.context("cannot read memory")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    let kilobytes = kilobytes.ok_or_else(|| Error::new("cannot read memory"))?;
    Ok(kilobytes * 1024)
}

/// The memory of a process and its descendants.
///
/// # Errors
/// As [`memory`], for the process itself.
pub fn memory_of_family(pid: u32) -> Result<Memory> {
    let mut total = memory(pid)?;
    for child in family(pid) {
        total += memory(child).unwrap_or_default();
    }
    Ok(total)
}

/// The CPU time of several processes since a point in time.
#[derive(Debug)]
pub struct Meter {
    pids: Vec<u32>,
    before: Duration,
}

impl Meter {
    /// Starts to count for these processes and their descendants.
    ///
    /// # Errors
    /// As [`cpu`].
    pub fn start(pids: impl IntoIterator<Item = u32>) -> Result<Meter> {
        let pids: Vec<u32> = pids.into_iter().collect();
        let before = total(&pids)?;
        Ok(Meter { pids, before })
    }

    /// The CPU time since the start.
    ///
    /// # Errors
    /// As [`cpu`].
    pub fn read(&self) -> Result<Duration> {
        Ok(total(&self.pids)?.saturating_sub(self.before))
    }

    /// The CPU time since the start, as soon as all processes sleep, or after half a second.
    ///
    /// # Errors
    /// As [`cpu`].
    pub fn settled(&self) -> Result<Duration> {
        let until = Instant::now() + Duration::from_millis(500);
        while !self.pids.iter().all(|pid| sleeps(*pid)) && Instant::now() < until {
            std::thread::yield_now();
        }
        self.read()
    }
}

fn total(pids: &[u32]) -> Result<Duration> {
    pids.iter().map(|pid| cpu_of_family(*pid)).sum()
}

// Only Linux has /proc.
#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_meter_counts_the_work_of_a_process() {
        let meter = Meter::start([std::process::id()]).unwrap();
        let mut sum = 0_u64;
        while meter.read().unwrap() < Duration::from_millis(5) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        let memory = memory(std::process::id()).unwrap();
        assert!(memory.resident >= memory.proportional && memory.proportional > 0);
        assert!(peak(std::process::id()).unwrap() >= memory.proportional);
        assert!(pauses(std::process::id()).is_ok());
        // This thread runs.
        assert!(!sleeps(std::process::id()));
    }
}
