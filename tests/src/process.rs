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

/// Reads what a process and its living descendants have used. Memory that they share counts for each of them.
///
/// # Errors
/// The process has ended.
pub fn usage_of_tree(id: u32) -> Result<Usage> {
    let mut all = usage(id)?;
    for descendant in descendants(id)? {
        // One that has ended since is accounted for nowhere.
        let Ok(used) = usage(descendant) else { continue };
        all.cpu += used.cpu;
        all.resident_max_bytes += used.resident_max_bytes;
    }
    Ok(all)
}

fn descendants(id: u32) -> Result<Vec<u32>> {
    let mut parents = Vec::new();
    for entry in std::fs::read_dir("/proc").context("list the processes")? {
        let name = entry?.file_name();
        let Some(process) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{process}/stat")) else { continue };
        // After the name come the state and the parent.
        let parent = stat.rsplit_once(')').and_then(|(_, fields)| fields.split_whitespace().nth(1));
        if let Some(parent) = parent.and_then(|parent| parent.parse::<u32>().ok()) {
            parents.push((process, parent));
        }
    }
    let mut found = vec![id];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(parents.iter().filter(|(_, its)| *its == parent).map(|(process, _)| *process));
        next += 1;
    }
    Ok(found.split_off(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_accounted_for() {
        let usage = usage(std::process::id()).unwrap();
        assert!(usage.resident_max_bytes > 100_000);
    }

    #[test]
    fn children_are_accounted_for_with_their_parents() {
        let mut shell = std::process::Command::new("sh");
        // The shell stays, because something follows.
        shell.arg("-c").arg("cat; true").stdin(std::process::Stdio::piped());
        let mut child = shell.spawn().unwrap();
        while descendants(child.id()).unwrap().is_empty() {
            std::thread::yield_now();
        }
        let (alone, all) = (usage(child.id()).unwrap(), usage_of_tree(child.id()).unwrap());
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(all.resident_max_bytes > alone.resident_max_bytes);
    }
}
