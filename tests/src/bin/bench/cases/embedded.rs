//! `embedded`: the queue in a file, beside RabbitMQ where there is a like.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use fake_xmatters::Answer;
use futures::StreamExt as _;
use nightbell_tests::program;
use nightbell_tests::site::{CONNECTOR, EMBEDDED, Site};
use serde_json::json;

use crate::cases::deliver::{self, row};
use crate::options::Options;
use crate::report::{CPU, Column, Fold, RATE, RESIDENT, Report};
use crate::rig::{Rig, Round, body, site, time};

/// Clients that publish at once.
const CLIENTS: usize = 64;

/// Alerts that are published in one go by the command.
const BATCH: usize = 100_000;

/// The yardstick's name.
const RABBITMQ: &str = "delivered from RabbitMQ";

#[derive(Debug, Args)]
pub(crate) struct Embedded {
    /// How many alerts are published and delivered in each round [default: 20000].
    #[arg(long)]
    alerts: Option<usize>,
    /// How many alerts wait when the worker is started to see how long that takes [default: 100000].
    #[arg(long)]
    waiting: Option<usize>,
    /// How many alerts pass through before the file is measured [default: 1000000].
    #[arg(long)]
    passed: Option<usize>,
}

impl Embedded {
    pub(crate) async fn run(&self, options: &Options) -> Result<()> {
        let alerts = options.size(self.alerts, 20_000, 200);
        let waiting = options.size(self.waiting, 100_000, 500);
        let passed = options.size(self.passed, 1_000_000, 500);
        let rounds = options.rounds(3);
        let settings = json!({ "alerts": alerts, "clients": CLIENTS, "waiting": waiting, "passed": passed });
        let mut report = Report::new("embedded", settings, &columns());
        let mut rig = Rig::start(options).await?;
        let own = site(EMBEDDED).await?;
        let none = f64::NAN;
        for round in 0..rounds {
            let from = 2 * round * alerts;
            let published = publish(&own, from, alerts).await?;
            report.round("published over HTTP, an event a request", None, &[published]);
            report.round(RABBITMQ, None, &row(deliver::nightbell(&mut rig, alerts).await?));
            fill(&own, from + alerts, alerts).await?;
            let delivered = deliver(&own, alerts).await?;
            report.round("delivered from the file", Some(RABBITMQ), &row(delivered));
        }
        rig.end(&[CONNECTOR]).await?;
        let (starts_ms, file_waiting) = starts(waiting, rounds.max(3)).await?;
        for start_ms in starts_ms {
            report.round(&format!("{waiting} wait"), None, &[none, none, none, start_ms, file_waiting]);
        }
        let (passing, after) = pass(passed).await?;
        report.round(&format!("{passed} pass through, at most"), None, &[none, none, none, none, passing]);
        report.round(&format!("{passed} have passed"), None, &[none, none, none, none, after]);
        report.note(format!("published by {CLIENTS} clients at once, durable when it is answered"));
        report.note(
            "from the start of a worker that was killed to /readyz, and the length of the queue's file",
        );
        report.finish(options).map(drop)
    }
}

fn columns() -> [Column; 5] {
    let column = |key, title, digits| Column { key, title, digits, fold: Fold::Median, compared: false };
    [RATE, CPU, RESIDENT, column("start_ms", "start ms", 0), column("file_mib", "file MiB", 1)]
}

/// Publishes over HTTP while the destination is away, so that the worker does little else; then delivers the backlog.
async fn publish(site: &Site, from: usize, count: usize) -> Result<f64> {
    site.fake.set_default(Answer::status(401));
    let worker = site.worker().await?;
    let client = reqwest::Client::builder().pool_max_idle_per_host(CLIENTS).build()?;
    let url = site.url("/v1/events");
    let start = Instant::now();
    let posts = (from..from + count).map(|number| {
        let post = client.post(&url).header("content-type", "application/json").body(body(number));
        async move {
            let status = post.send().await?.status();
            ensure!(status == 202, "HTTP {status}");
            Ok(())
        }
    });
    let mut posts = futures::stream::iter(posts).buffer_unordered(CLIENTS);
    while let Some(posted) = posts.next().await {
        posted?;
    }
    let rate = count as f64 / start.elapsed().as_secs_f64();
    worker.terminate().await?;
    site.fake.set_default(Answer::accepted());
    deliver(site, count).await?;
    Ok(rate)
}

/// Puts events into the queue without a worker.
async fn fill(site: &Site, from: usize, count: usize) -> Result<()> {
    for first in (from..from + count).step_by(BATCH) {
        let last = (first + BATCH).min(from + count);
        let lines: String = (first..last).map(|number| body(number) + "\n").collect();
        program::run("nightbell", site.folder(), &["publish"], lines.as_bytes()).await?.success()?;
    }
    Ok(())
}

async fn deliver(site: &Site, count: usize) -> Result<Round> {
    let before = site.fake.accepted_count();
    let worker = site.start("")?;
    let round = time(site, worker.id().context("it runs")?, count, before).await?;
    worker.terminate().await?;
    Ok(round)
}

/// How long a worker takes to get ready when much waits, after a kill each time.
async fn starts(waiting: usize, times: usize) -> Result<(Vec<f64>, f64)> {
    let site = site(EMBEDDED).await?;
    site.fake.set_default(Answer::status(401));
    fill(&site, 0, waiting).await?;
    let mut starts_ms = Vec::new();
    for _ in 0..times {
        let start = Instant::now();
        let worker = site.worker_soon(Duration::from_millis(2)).await?;
        starts_ms.push(start.elapsed().as_secs_f64() * 1e3);
        worker.kill9().await?;
    }
    Ok((starts_ms, file_mib(&site)?))
}

/// The file's length while so many alerts pass through, at most, and in the end.
async fn pass(count: usize) -> Result<(f64, f64)> {
    let site = site(EMBEDDED).await?;
    let mut longest = 0.0_f64;
    for from in (0..count).step_by(BATCH) {
        let some = BATCH.min(count - from);
        fill(&site, from, some).await?;
        longest = longest.max(file_mib(&site)?);
        deliver(&site, some).await?;
    }
    Ok((longest, file_mib(&site)?))
}

fn file_mib(site: &Site) -> Result<f64> {
    let file = site.folder().join("data/queue.redb");
    let bytes = std::fs::metadata(file).context("the queue's file")?.len();
    Ok(bytes as f64 / f64::from(1 << 20))
}
