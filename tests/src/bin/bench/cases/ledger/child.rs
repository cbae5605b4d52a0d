//! The steps that `ledger` runs in processes of their own. They print their figures as JSON.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::{Args, Subcommand};
use futures::StreamExt as _;
use nightbell_core::connector::Connector;
use nightbell_core::fingerprint::Fingerprint;
use nightbell_core::ports::{Clock, Ledger as _};
use nightbell_core::record::{Change, Happening, RecordKey};
use nightbell_core::time::UnixMillis;
use nightbell_ledger::{LedgerSettings, LedgerStore, Opened};
use nightbell_tests::process;
use nightbell_tests::site::CONNECTOR;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// How many commits wait for the disk at once: as many as one connector's owner lets stand.
pub(crate) const IN_FLIGHT: usize = 128;

/// Alerts that are filled in by one commit, each with two entries.
const FILL_ALERTS: u64 = 250;

/// How long entries are kept, as by default.
const EVENT_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
const ALERT_KEPT: Duration = Duration::from_secs(3600);

/// Beyond the number of any alert that is filled in.
const NEVER_FILLED: u64 = 1 << 40;

/// What a ledger's time begins with.
const EPOCH: UnixMillis = UnixMillis(1_790_000_000_000);

/// One step.
#[derive(Debug, Args)]
pub(crate) struct Child {
    #[command(subcommand)]
    step: Step,
}

#[derive(Debug, Subcommand)]
enum Step {
    /// Makes a ledger with so many entries.
    Fill(Work),
    /// Opens it, and times commits and looks.
    Measure(Work),
}

#[derive(Debug, Args)]
struct Work {
    /// How many entries or commits.
    #[arg(long)]
    count: u64,
    /// How many entries it was filled with.
    #[arg(long, default_value_t = 0)]
    filled: u64,
    /// The ledger's folder.
    #[arg(long)]
    folder: PathBuf,
}

/// What filling came to.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Filled {
    pub(crate) seconds: f64,
}

/// What commits and looks came to.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) fresh: Paid,
    pub(crate) known: Paid,
    pub(crate) open_ms: f64,
    pub(crate) disk_bytes: u64,
}

/// What was paid for commits and looks of one kind.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Paid {
    pub(crate) commits_per_second: f64,
    pub(crate) cpu_us_per_commit: f64,
    pub(crate) cpu_us_per_look: f64,
    /// Since the process began.
    pub(crate) resident_max_bytes: u64,
}

/// Which alerts a stretch of work is about.
#[derive(Debug, Clone, Copy)]
enum Alerts {
    /// Such as the ledger has never seen: these numbers and those that follow.
    Fresh { first: u64 },
    /// At random some of those below this number, which are all there.
    Known { end: u64 },
}

/// A time that goes on from [`EPOCH`].
#[derive(Debug, Clone, Copy)]
struct Elapsed(Instant);

impl Clock for Elapsed {
    fn now(&self) -> UnixMillis {
        EPOCH.after(self.0.elapsed())
    }
}

/// What is paid for a stretch of work.
struct Meter {
    start: Instant,
    cpu: Duration,
}

impl Child {
    pub(crate) async fn run(self) -> Result<()> {
        let document = match self.step {
            Step::Fill(work) => serde_json::to_string(&work.fill().await?)?,
            Step::Measure(work) => serde_json::to_string(&work.measure().await?)?,
        };
        println!("{document}");
        Ok(())
    }
}

impl Work {
    async fn fill(self) -> Result<Filled> {
        let start = Instant::now();
        let (ledger, clock, opened) = open(&self.folder).await?;
        ensure!(opened == Opened::Fresh, "a new ledger, not {opened:?}");
        let (connector, alerts) = (connector()?, self.count / 2);
        let mut commits = futures::stream::iter((0..alerts).step_by(usize::try_from(FILL_ALERTS)?))
            .map(|first| {
                let numbers = first..(first + FILL_ALERTS).min(alerts);
                let changes = numbers.flat_map(|number| changes(number, number, number, clock.now()));
                ledger.commit(&connector, changes.collect(), clock.now())
            })
            .buffer_unordered(4);
        while let Some(committed) = commits.next().await {
            committed?;
        }
        drop(commits);
        ensure!(ledger.entries() == alerts * 2, "{} entries", ledger.entries());
        close(ledger).await?;
        Ok(Filled { seconds: start.elapsed().as_secs_f64() })
    }

    async fn measure(self) -> Result<Measured> {
        let start = Instant::now();
        let (ledger, clock, opened) = open(&self.folder).await?;
        let open_ms = start.elapsed().as_secs_f64() * 1e3;
        let Opened::Found { entries } = opened else {
            anyhow::bail!("a ledger that was there, not {opened:?}")
        };
        // Each round leaves more entries than there were.
        let first = NEVER_FILLED + entries * 4;
        let fresh = self.paid(&ledger, clock, Alerts::Fresh { first }).await?;
        let known = self.paid(&ledger, clock, Alerts::Known { end: self.filled / 2 }).await?;
        // What was replaced counts until it is merged away.
        let (least, most) = (entries + 2 * self.count, entries + 4 * self.count);
        let after = ledger.entries();
        ensure!((least..=most).contains(&after), "{after} entries, not {least} to {most}");
        close(ledger).await?;
        Ok(Measured { fresh, known, open_ms, disk_bytes: disk_bytes(&self.folder)? })
    }

    async fn paid(&self, ledger: &LedgerStore, clock: Elapsed, alerts: Alerts) -> Result<Paid> {
        let (_, cpu_us_per_look) = self.looks(ledger, clock, alerts).await?;
        let (commits_per_second, cpu_us_per_commit) = self.commits(ledger, clock, alerts).await?;
        let resident_max_bytes = process::usage(std::process::id())?.resident_max_bytes;
        Ok(Paid { commits_per_second, cpu_us_per_commit, cpu_us_per_look, resident_max_bytes })
    }

    /// Each writes the entries of an event and of an alert key.
    async fn commits(&self, ledger: &LedgerStore, clock: Elapsed, alerts: Alerts) -> Result<(f64, f64)> {
        let connector = connector()?;
        let meter = Meter::start();
        let mut commits = futures::stream::iter(0..self.count)
            .map(|count| {
                let now = clock.now();
                let (event, alert) = (alerts.number(count * 2), alerts.number(count * 2 + 1));
                ledger.commit(&connector, changes(event, alert, u64::MAX - count, now).into(), now)
            })
            .buffer_unordered(IN_FLIGHT);
        while let Some(committed) = commits.next().await {
            committed?;
        }
        Ok(meter.stop(self.count))
    }

    /// Each looks for an event and an alert key.
    async fn looks(&self, ledger: &LedgerStore, clock: Elapsed, alerts: Alerts) -> Result<(f64, f64)> {
        let connector = connector()?;
        let meter = Meter::start();
        let mut looks = futures::stream::iter(0..self.count)
            .map(|count| {
                let number = alerts.number(count + 2 * self.count);
                ledger.look(&connector, event_key(number), vec![alert_key(number)], clock.now())
            })
            .buffer_unordered(IN_FLIGHT);
        while let Some(looked) = looks.next().await {
            let is_there = looked?.by_event.is_some();
            ensure!(is_there == matches!(alerts, Alerts::Known { .. }), "there: {is_there}, of {alerts:?}");
        }
        Ok(meter.stop(self.count))
    }
}

impl Alerts {
    fn number(self, turn: u64) -> u64 {
        match self {
            Self::Fresh { first } => first + turn,
            Self::Known { end } => draw(turn, end),
        }
    }
}

/// A number below `end`, the same for the same `turn`.
fn draw(turn: u64, end: u64) -> u64 {
    splitmix(turn.wrapping_add(end)) % end.max(1)
}

impl Meter {
    fn start() -> Self {
        Self { start: Instant::now(), cpu: cpu() }
    }

    /// How many a second, and the microseconds of processor time for each.
    fn stop(self, count: u64) -> (f64, f64) {
        let count = count as f64;
        let cpu_us = cpu().saturating_sub(self.cpu).as_secs_f64() * 1e6;
        (count / self.start.elapsed().as_secs_f64(), cpu_us / count)
    }
}

/// The processor time of this process with all its threads.
fn cpu() -> Duration {
    clock_gettime(ClockId::ProcessCPUTime).try_into().unwrap_or_default()
}

async fn open(folder: &Path) -> Result<(LedgerStore, Elapsed, Opened)> {
    let (settings, clock) = (LedgerSettings::new(folder), Elapsed(Instant::now()));
    let opened = tokio::task::spawn_blocking(move || LedgerStore::open(&settings, clock)).await?;
    let (ledger, opened) = opened.context("open the ledger")?;
    Ok((ledger, clock, opened))
}

async fn close(ledger: LedgerStore) -> Result<()> {
    tokio::task::spawn_blocking(move || ledger.close()).await?.context("close the ledger")
}

fn connector() -> Result<Connector> {
    CONNECTOR.parse().context("the connector's name")
}

/// What the worker commits for one alert, in number and size: the event's entry, and the alert key's. An event that was
/// delivered is final, so that its entry is a claim, which can change again.
fn changes(event: u64, alert: u64, fresh: u64, now: UnixMillis) -> [Change; 2] {
    let claimed = Happening::Claimed { event: event_key(event), replay: None, until: now };
    let delivered = Happening::Delivered {
        event: event_key(fresh),
        replay: None,
        at: now,
        request_id: Some("3f8a1c52-7f0d-4a6b-9b1e-0c6d2f7e8a90".to_owned()),
    };
    [
        Change { key: RecordKey::Event(event_key(event)), happening: claimed, keep: EVENT_KEPT },
        Change { key: RecordKey::Alert(alert_key(alert)), happening: delivered, keep: ALERT_KEPT },
    ]
}

fn event_key(number: u64) -> Fingerprint {
    fingerprint(number, 1)
}

fn alert_key(number: u64) -> Fingerprint {
    fingerprint(number, 2)
}

/// As evenly spread as a hash.
fn fingerprint(number: u64, space: u64) -> Fingerprint {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&splitmix(number ^ (space << 62)).to_be_bytes());
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    Fingerprint(bytes)
}

/// The generator `SplitMix64`, as a function of its state.
fn splitmix(state: u64) -> u64 {
    let mut mixed = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The bytes of all files in a folder.
fn disk_bytes(folder: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        sum += if meta.is_dir() { disk_bytes(&entry.path())? } else { meta.len() };
    }
    Ok(sum)
}
