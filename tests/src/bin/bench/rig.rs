//! A node, a stand-in, and a queue to fill.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use fake_xmatters::{Auth, FakeXmatters, Settings, Snapshot};
use futures::StreamExt as _;
use lapin::options::BasicPublishOptions;
use lapin::{BasicProperties, Confirmation};
use nightbell_tests::node::RabbitNode;
use nightbell_tests::process::{self, Usage};
use nightbell_tests::site::{CONNECTOR, PASSWORD, Site, USER};
use serde::Serialize;

/// The longest that one round may take.
const ROUND_MAX: Duration = Duration::from_secs(600);

/// Publishes that wait for their confirm while a queue is filled.
const UNCONFIRMED_MAX: usize = 512;

/// A node with a site on it.
pub(crate) struct Rig {
    pub(crate) node: RabbitNode,
    pub(crate) site: Site,
    filled: usize,
}

/// One contender's round.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Round {
    /// Alerts a second, from the first to the last that arrived.
    pub(crate) rate: f64,
    /// Processor time of the contender's process for one alert, in microseconds.
    pub(crate) cpu_us: f64,
    /// The most memory that was resident, in bytes.
    pub(crate) resident_max_bytes: u64,
}

impl Rig {
    pub(crate) async fn start() -> Result<Self> {
        let node = RabbitNode::start().await?;
        let site = site(&node.url("/")).await?;
        // Declares the queues.
        site.worker().await?.kill9().await?;
        Ok(Self { node, site, filled: 0 })
    }

    /// The connector's queue.
    pub(crate) fn queue(&self) -> String {
        format!("{}.connector.{CONNECTOR}", self.site.prefix())
    }

    /// Puts so many events that were never seen before into the queue.
    pub(crate) async fn fill(&mut self, count: usize) -> Result<()> {
        let queues = self.site.queues().await?;
        let channel = queues.channel().await?;
        let exchange = format!("{}.events", self.site.prefix());
        let properties = BasicProperties::default().with_delivery_mode(2);
        let numbers = self.filled..self.filled + count;
        self.filled += count;
        let publishes = numbers.map(|number| {
            let body = body(number);
            let (channel, exchange, properties) = (channel.clone(), exchange.clone(), properties.clone());
            async move {
                let options = BasicPublishOptions::default();
                let sent = channel.basic_publish(
                    exchange.as_str().into(),
                    "event.x".into(),
                    options,
                    body.as_bytes(),
                    properties,
                );
                let confirmation = sent.await?.await?;
                ensure!(matches!(confirmation, Confirmation::Ack(None)), "{confirmation:?}");
                Ok(())
            }
        });
        let mut publishes = futures::stream::iter(publishes).buffer_unordered(UNCONFIRMED_MAX);
        while let Some(published) = publishes.next().await {
            published?;
        }
        Ok(())
    }

    /// Waits until the queue is empty, every ack arrived.
    pub(crate) async fn drained(&self) -> Result<()> {
        let queues = self.site.queues().await?;
        let queue = format!("connector.{CONNECTOR}");
        nightbell_tests::wait::until("an empty queue", || async {
            (queues.ready(&queue).await.ok()? == 0).then_some(())
        })
        .await
    }
}

/// A site whose stand-in keeps little of what it gets.
pub(crate) async fn site(queue: &str) -> Result<Site> {
    let auth = Auth::Basic { user: USER.into(), password: PASSWORD.into() };
    let fake = FakeXmatters::start(Settings { auth, requests_kept_max: 16, ..Settings::default() }).await?;
    Site::with(queue, fake)
}

/// An event that was never seen before.
pub(crate) fn body(number: usize) -> String {
    format!(
        r#"{{"project":"shop","test":"test number {number}","id":"bench-{number}","suite":"checkout","environment":"production","message":"expected 200, got 500","details":"{:200}"}}"#,
        "trace"
    )
}

/// Times a process that has just begun to deliver `count` alerts.
pub(crate) async fn time(site: &Site, process: u32, count: usize, before: u64) -> Result<Round> {
    let (start, first) = reached(site, process, before + 1).await?;
    let (end, last) = reached(site, process, before + count as u64).await?;
    let delivered = count.saturating_sub(1) as f64;
    Ok(Round {
        rate: delivered / (end - start).as_secs_f64(),
        cpu_us: (last.cpu - first.cpu).as_secs_f64() * 1e6 / delivered,
        resident_max_bytes: last.resident_max_bytes,
    })
}

async fn reached(site: &Site, process: u32, accepted: u64) -> Result<(Instant, Usage)> {
    let enough = |snapshot: &Snapshot<'_>| snapshot.summary().accepted >= accepted;
    site.fake.wait_until(enough, ROUND_MAX).await?;
    Ok((Instant::now(), process::usage(process)?))
}

/// Writes figures as JSON.
pub(crate) fn write(path: &Path, figures: &impl Serialize) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, serde_json::to_vec_pretty(figures)?)
        .with_context(|| format!("write {}", path.display()))
}

/// The middle of several figures.
pub(crate) fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = figures.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}
