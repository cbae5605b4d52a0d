//! `ledger`: what a commit costs with few and with many entries. Every size has a folder and processes of its own.

mod child;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use nightbell_ledger::ALLOCATOR_SETTINGS;
use serde_json::json;
use tokio::process::Command;

pub(crate) use self::child::Child;
use self::child::{Filled, Measured};
use crate::options::Options;
use crate::report::{Column, Fold, RESIDENT, Report};

const SIZES: [u64; 4] = [1_000, 100_000, 1_000_000, 10_000_000];

#[derive(Debug, Args)]
pub(crate) struct Ledger {
    /// The most entries; larger sizes are left out.
    #[arg(long, default_value_t = SIZES[3])]
    entries: u64,
    /// How many commits of each kind are timed in each round, enough for the merges that they cause [default: 200000].
    #[arg(long)]
    commits: Option<u64>,
    /// Where the ledgers are made and removed [default: the folder for temporary files].
    #[arg(long)]
    folder: Option<PathBuf>,
}

impl Ledger {
    pub(crate) async fn run(&self, options: &Options) -> Result<()> {
        let commits = options.size(self.commits, 200_000, 1_000);
        let most = if options.size(None, false, true) { self.entries.min(SIZES[0]) } else { self.entries };
        let sizes: Vec<u64> = SIZES.into_iter().filter(|size| *size <= most).collect();
        ensure!(!sizes.is_empty(), "the smallest size has {} entries", SIZES[0]);
        let folder = self.folder.clone().unwrap_or_else(std::env::temp_dir);
        let folder = tempfile::Builder::new().prefix("nightbell-ledger-").tempdir_in(folder)?;
        let path = |size: u64| folder.path().join(size.to_string());
        let settings = json!({ "commits": commits, "in_flight": child::IN_FLIGHT, "entries": sizes });
        let mut report = Report::new("ledger", settings, &columns());
        let mut filled = Vec::new();
        for size in &sizes {
            filled.push(child::<Filled>(&path(*size), "fill", *size, 0).await?);
        }
        for _ in 0..options.rounds(3) {
            for (size, filled) in sizes.iter().zip(&filled) {
                let measured = child::<Measured>(&path(*size), "measure", commits, *size).await?;
                let yardstick = name(sizes[0]);
                let beside = (*size != sizes[0]).then_some(yardstick.as_str());
                report.round(&name(*size), beside, &figures(filled, &measured));
            }
        }
        report.note(format!(
            "{commits} commits, {} at once, each of two entries, durably: of new alerts, then of some at random of those there",
            child::IN_FLIGHT
        ));
        report.finish(options).map(drop)
    }
}

fn columns() -> [Column; 10] {
    let column = |key, title, digits, compared| Column { key, title, digits, fold: Fold::Median, compared };
    [
        column("commits_per_second", "commits/s", 0, true),
        column("cpu_us_per_commit", "CPU µs/commit", 1, true),
        column("cpu_us_per_look", "CPU µs/look", 1, false),
        RESIDENT,
        column("known_commits_per_second", "at random: commits/s", 0, false),
        column("known_cpu_us_per_commit", "CPU µs/commit", 1, true),
        column("known_resident_max_mib", "resident MiB, most", 1, false),
        column("open_ms", "open ms", 0, false),
        column("disk_mib", "disk MiB", 1, false),
        column("fill_seconds", "fill s", 1, false),
    ]
}

fn figures(filled: &Filled, measured: &Measured) -> [f64; 10] {
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let Measured { fresh, known, open_ms, disk_bytes } = measured;
    [
        fresh.commits_per_second,
        fresh.cpu_us_per_commit,
        fresh.cpu_us_per_look,
        mib(fresh.resident_max_bytes),
        known.commits_per_second,
        known.cpu_us_per_commit,
        mib(known.resident_max_bytes),
        *open_ms,
        mib(*disk_bytes),
        filled.seconds,
    ]
}

fn name(size: u64) -> String {
    match size {
        0..1_000_000 => format!("{} k entries", size / 1_000),
        _ => format!("{} M entries", size / 1_000_000),
    }
}

/// Runs one step in a process of its own, so that its memory is its own.
async fn child<T: serde::de::DeserializeOwned>(
    folder: &Path,
    step: &str,
    count: u64,
    filled: u64,
) -> Result<T> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["ledger-child", step, "--count", &count.to_string(), "--filled", &filled.to_string()]);
    command.arg("--folder").arg(folder).envs(ALLOCATOR_SETTINGS);
    command.stdin(Stdio::null()).stderr(Stdio::inherit()).kill_on_drop(true);
    let output = command.output().await.with_context(|| format!("run the {step} of {count}"))?;
    ensure!(output.status.success(), "the {step} of {count} ended with {}", output.status);
    serde_json::from_slice(&output.stdout).with_context(|| format!("read the {step} of {count}"))
}
