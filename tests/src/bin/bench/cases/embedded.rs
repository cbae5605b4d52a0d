//! `embedded`: the queue in a file, beside RabbitMQ where there is a like.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use comfy_table::Table;
use fake_xmatters::Answer;
use futures::StreamExt as _;
use nightbell_tests::program;
use nightbell_tests::site::{EMBEDDED, Site};
use serde::Serialize;

use crate::deliver;
use crate::rig::{Rig, Round, body, median, site, time, write};

/// Clients that publish at once.
const CLIENTS: usize = 64;

/// Alerts that are published in one go by the command.
const BATCH: usize = 100_000;

/// How much to do.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Sizes {
    pub(crate) alerts: usize,
    pub(crate) rounds: usize,
    pub(crate) waiting: usize,
    pub(crate) passed: usize,
}

#[derive(Debug, Serialize)]
struct Figures {
    sizes: Sizes,
    /// Events a second that were answered with 202, from so many clients at once, one event a request.
    published: Vec<f64>,
    rabbitmq: Vec<Round>,
    embedded: Vec<Round>,
    /// From the start of the process to `/readyz`, in milliseconds, with so many alerts waiting.
    start_ms: Vec<f64>,
    /// The length of the file, in bytes: when `waiting` alerts waited, and while and after `passed` had passed through.
    file_waiting: u64,
    file_passing: u64,
    file_passed: u64,
}

pub(crate) async fn embedded(sizes: Sizes, json: &Path) -> Result<()> {
    program::build_plain()?;
    let mut rig = Rig::start().await?;
    let (mut published, mut rabbitmq, mut delivered) = (Vec::new(), Vec::new(), Vec::new());
    let mut from = 0;
    let own = site(EMBEDDED).await?;
    for _ in 0..sizes.rounds {
        published.push(publish(&own, from, sizes.alerts).await?);
        from += sizes.alerts;
        rabbitmq.push(deliver::nightbell(&mut rig, sizes.alerts).await?);
        fill(&own, from, sizes.alerts).await?;
        from += sizes.alerts;
        delivered.push(deliver(&own, sizes.alerts).await?);
    }
    drop(rig);
    let (start_ms, file_waiting) = starts(sizes).await?;
    let (file_passing, file_passed) = pass(sizes.passed).await?;
    let figures = Figures {
        sizes,
        published,
        rabbitmq,
        embedded: delivered,
        start_ms,
        file_waiting,
        file_passing,
        file_passed,
    };
    write(json, &figures)?;
    show(&figures);
    println!("medians of {} interleaved rounds; figures in {}", sizes.rounds, json.display());
    Ok(())
}

fn show(figures: &Figures) {
    let Sizes { alerts, waiting, passed, .. } = figures.sizes;
    let rate = |rounds: &[Round]| median(rounds.iter().map(|round| round.rate));
    let cpu = |rounds: &[Round]| median(rounds.iter().map(|round| round.cpu_us));
    let (rabbitmq, embedded) = (rate(&figures.rabbitmq), rate(&figures.embedded));
    let mib = |bytes: u64| format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20));
    let mut table = Table::new();
    table.set_header(["what", "figure"]);
    table.add_rows([
        [
            format!("durable publishes/s over HTTP, {CLIENTS} clients, {alerts} alerts"),
            format!("{:.0}", median(figures.published.iter().copied())),
        ],
        [
            "delivered/s from RabbitMQ (CPU an alert)".into(),
            format!("{rabbitmq:.0} ({:.0} us)", cpu(&figures.rabbitmq)),
        ],
        [
            "delivered/s from the embedded queue".into(),
            format!("{embedded:.0} ({:.0} us)", cpu(&figures.embedded)),
        ],
        ["embedded / RabbitMQ".into(), format!("{:.2}", embedded / rabbitmq)],
        [
            format!("start to ready with {waiting} waiting"),
            format!("{:.0} ms", median(figures.start_ms.iter().copied())),
        ],
        [format!("file with {waiting} waiting"), mib(figures.file_waiting)],
        [
            format!("file while {passed} alerts passed, and after a stop"),
            format!("{}, {}", mib(figures.file_passing), mib(figures.file_passed)),
        ],
    ]);
    println!("{table}");
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
async fn starts(sizes: Sizes) -> Result<(Vec<f64>, u64)> {
    let site = site(EMBEDDED).await?;
    site.fake.set_default(Answer::status(401));
    fill(&site, 0, sizes.waiting).await?;
    let mut times = Vec::new();
    for _ in 0..sizes.rounds.max(3) {
        let start = Instant::now();
        let worker = site.worker_soon(Duration::from_millis(2)).await?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
        worker.kill9().await?;
    }
    Ok((times, file_len(&site)?))
}

/// The file's length while so many alerts pass through, at most, and in the end.
async fn pass(count: usize) -> Result<(u64, u64)> {
    let site = site(EMBEDDED).await?;
    let mut longest = 0;
    for from in (0..count).step_by(BATCH) {
        let some = BATCH.min(count - from);
        fill(&site, from, some).await?;
        longest = longest.max(file_len(&site)?);
        deliver(&site, some).await?;
    }
    Ok((longest, file_len(&site)?))
}

fn file_len(site: &Site) -> Result<u64> {
    Ok(std::fs::metadata(site.folder().join("data/queue.redb")).context("the queue's file")?.len())
}
