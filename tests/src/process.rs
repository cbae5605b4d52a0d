//! What the kernel accounts for a process.

use std::time::Duration;

use anyhow::{Context as _, Result};

/// A process's resources so far.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// Processor time, in user and in kernel mode.
    pub cpu: Duration,
    /// The most memory that was ever resident, in bytes.
    pub resident_max_bytes: u64,
}

/// Reads what a process has used.
///
/// # Errors
/// It has ended.
pub fn usage(id: u32) -> Result<Usage> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).context("read its stat")?;
    // The name, in parentheses, may hold anything; utime and stime are the 12th and 13th fields after it.
    let (_, fields) = stat.rsplit_once(')').context("a name in its stat")?;
    let ticks: u64 =
        fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).context("read its status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("its VmHWM")?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    let per_second = rustix::param::clock_ticks_per_second();
    Ok(Usage { cpu: Duration::from_millis(ticks * 1000 / per_second), resident_max_bytes: kibibytes * 1024 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_accounted_for() {
        let usage = usage(std::process::id()).unwrap();
        assert!(usage.resident_max_bytes > 100_000);
    }
}
