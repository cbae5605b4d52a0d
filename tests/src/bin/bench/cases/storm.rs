//! `storm`: a flood of events of few alerts, until all are settled.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use fake_xmatters::Snapshot;
use nightbell_tests::process::{self, Usage};
use nightbell_tests::site::CONNECTOR;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::time::timeout;

use crate::cases::bare;
use crate::cases::deliver::WORKER;
use crate::options::Options;
use crate::report::{CPU, Column, Fold, RATE, RESIDENT, Report};
use crate::rig::{ROUND_MAX, Rig, event, round};

/// The yardstick: the bare loop with a set in memory.
const BARE: &str = "bare loop, keys in memory";

/// How often the worker is asked how many it has settled.
const ASK_EVERY: Duration = Duration::from_millis(20);

const POSTS: Column = Column { key: "posts", title: "POSTs", digits: 0, fold: Fold::Median, compared: false };

#[derive(Debug, Args)]
pub(crate) struct Storm {
    /// How many events wait in each round [default: 200000].
    #[arg(long)]
    events: Option<usize>,
    /// How many alert keys they have.
    #[arg(long, default_value_t = 20)]
    keys: usize,
}

impl Storm {
    pub(crate) async fn run(&self, options: &Options) -> Result<()> {
        let events = options.size(self.events, 200_000, 1_000);
        let rate = Column { key: "events_per_second", title: "events/s", ..RATE };
        let cpu = Column { key: "cpu_us_per_event", title: "CPU µs/event", ..CPU };
        let settings = json!({ "events": events, "keys": self.keys });
        let mut report = Report::new("storm", settings, &[rate, cpu, POSTS, RESIDENT]);
        let mut rig = Rig::start(options).await?;
        let mut keys = 0..;
        for _ in 0..options.rounds(3) {
            // Keys that were never seen, so that every round has the same to post.
            let mut flood = || keys.by_ref().take(self.keys).collect::<Vec<usize>>();
            let (for_bare, for_worker) = (flood(), flood());
            report.round(BARE, None, &bare_loop(&mut rig, events, &for_bare).await?);
            report.round(WORKER, Some(BARE), &nightbell(&mut rig, events, &for_worker).await?);
        }
        report.note(format!("{events} events of {} alert keys wait; until all are settled", self.keys));
        report.finish(options)?;
        rig.end(&[CONNECTOR]).await
    }
}

async fn fill(rig: &mut Rig, events: usize, keys: &[usize]) -> Result<()> {
    ensure!(!keys.is_empty(), "at least one key");
    let numbers = rig.take_numbers(events);
    rig.publish(numbers.zip(keys.iter().cycle()).map(|(number, key)| event(number, *key))).await
}

async fn nightbell(rig: &mut Rig, events: usize, keys: &[usize]) -> Result<Vec<f64>> {
    fill(rig, events, keys).await?;
    let before = rig.site.fake.accepted_count();
    let worker = rig.site.start("")?;
    let process = worker.id().context("it runs")?;
    let from = begun(rig, process, before).await?;
    let all = async {
        let mut looks = tokio::time::interval(ASK_EVERY);
        while settled(rig).await? < events as f64 - 0.5 {
            looks.tick().await;
        }
        anyhow::Ok(())
    };
    timeout(ROUND_MAX, all).await.context("not all events were settled")??;
    let figures = figures(rig, events, before, from, process)?;
    worker.terminate().await?;
    rig.clear(&rig.queue()).await?;
    Ok(figures)
}

async fn bare_loop(rig: &mut Rig, events: usize, keys: &[usize]) -> Result<Vec<f64>> {
    fill(rig, events, keys).await?;
    let before = rig.site.fake.accepted_count();
    let mut group = bare::start(rig, &["--storm".into(), events.to_string()])?;
    let from = begun(rig, group.id(), before).await?;
    let stdout = group.child.stdout.take().context("its standard output")?;
    let line = timeout(ROUND_MAX, BufReader::new(stdout).lines().next_line()).await;
    ensure!(line.context("not all events were settled")??.is_some(), "the bare loop ended");
    let figures = figures(rig, events, before, from, group.id())?;
    group.kill().await?;
    rig.clear(&rig.queue()).await?;
    Ok(figures)
}

/// Waits for the first POST.
async fn begun(rig: &Rig, process: u32, before: u64) -> Result<(Instant, Usage)> {
    let first = |snapshot: &Snapshot<'_>| snapshot.summary().accepted > before;
    rig.site.fake.wait_until(first, ROUND_MAX).await?;
    Ok((Instant::now(), process::usage_of_tree(process)?))
}

fn figures(rig: &Rig, events: usize, before: u64, from: (Instant, Usage), process: u32) -> Result<Vec<f64>> {
    let to = (Instant::now(), process::usage_of_tree(process)?);
    let round = round(events, from, to);
    let posts = rig.site.fake.accepted_count() - before;
    Ok(vec![round.rate, round.cpu_us, posts as f64, round.resident_mib])
}

/// How many events a worker has settled since it began; none while it does not listen yet.
async fn settled(rig: &Rig) -> Result<f64> {
    let Ok((_, text)) = rig.site.get("/metrics").await else { return Ok(0.0) };
    let values = text
        .lines()
        .filter(|line| line.starts_with("nightbell_alerts_settled_total{"))
        .filter_map(|line| line.rsplit_once(' '));
    values.map(|(_, value)| Ok(value.parse::<f64>()?)).sum()
}
