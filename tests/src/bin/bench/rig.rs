//! A node, a stand-in, and a queue to fill.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use fake_xmatters::{Auth, FakeXmatters, Settings, Snapshot};
use futures::StreamExt as _;
use lapin::options::{BasicPublishOptions, QueueDeclareOptions, QueuePurgeOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, Queue};
use nightbell_tests::node::RabbitNode;
use nightbell_tests::process::{self, Usage};
use nightbell_tests::queues::Queues;
use nightbell_tests::site::{CONNECTOR, PASSWORD, Site, USER};

use crate::cases::bare::PREFETCH;
use crate::options::Options;

/// The longest that one round may take.
pub(crate) const ROUND_MAX: Duration = Duration::from_secs(600);

/// Publishes that wait for their confirm while a queue is filled.
const UNCONFIRMED_MAX: usize = 512;

/// What comes before the number in a test's name.
const TEST: &str = "test number ";

/// A node with a site on it.
pub(crate) struct Rig {
    pub(crate) site: Site,
    pub(crate) url: String,
    /// None if the node is the caller's.
    node: Option<RabbitNode>,
    filled: usize,
}

/// A message and where it goes.
pub(crate) struct Parcel {
    pub(crate) exchange: String,
    pub(crate) key: String,
    pub(crate) body: String,
    pub(crate) properties: BasicProperties,
}

/// One contender's round.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Round {
    /// Alerts a second, from the first to the last that arrived.
    pub(crate) rate: f64,
    /// Processor time of the contender's processes for one alert, in microseconds.
    pub(crate) cpu_us: f64,
    /// The most memory that was resident, in MiB.
    pub(crate) resident_mib: f64,
}

impl Rig {
    /// Builds the worker, starts a node unless there is one, and lets a worker declare its queues.
    pub(crate) async fn start(options: &Options) -> Result<Self> {
        Self::start_with(options, |_| Ok(())).await
    }

    /// The same with a site that is configured otherwise.
    pub(crate) async fn start_with(
        options: &Options,
        configure: impl FnOnce(&Site) -> Result<()>,
    ) -> Result<Self> {
        options.build()?;
        let (node, url) = match &options.node {
            Some(url) => (None, url.clone()),
            None => {
                let node = RabbitNode::start().await?;
                let url = node.url("/");
                (Some(node), url)
            }
        };
        let site = site(&url).await?;
        configure(&site)?;
        site.worker().await?.kill9().await?;
        Ok(Self { site, url, node, filled: 0 })
    }

    /// Removes what the rig has put on a node that is not its own.
    pub(crate) async fn end(self, connectors: &[&str]) -> Result<()> {
        if self.node.is_some() { Ok(()) } else { self.site.close_with(connectors).await }
    }

    /// The node, where it is the rig's own.
    pub(crate) fn node(&mut self) -> Result<&mut RabbitNode> {
        self.node.as_mut().context("a node of its own, which this case needs")
    }

    /// The connector's queue.
    pub(crate) fn queue(&self) -> String {
        format!("{}.connector.{CONNECTOR}", self.site.prefix())
    }

    /// So many numbers that were never used before.
    pub(crate) fn take_numbers(&mut self, count: usize) -> std::ops::Range<usize> {
        let first = self.filled;
        self.filled += count;
        first..self.filled
    }

    /// How many events were published so far.
    pub(crate) fn published(&self) -> u64 {
        self.filled as u64
    }

    /// Puts so many events that were never seen before into the queue.
    pub(crate) async fn fill(&mut self, count: usize) -> Result<()> {
        let numbers = self.take_numbers(count);
        self.publish(numbers.map(body)).await
    }

    /// Publishes events as a producer does, and waits for the confirms.
    pub(crate) async fn publish(&self, bodies: impl Iterator<Item = String>) -> Result<()> {
        let channel = self.site.queues().await?.channel().await?;
        let exchange = format!("{}.events", self.site.prefix());
        let parcel = |body| Parcel {
            exchange: exchange.clone(),
            key: "event.x".into(),
            body,
            properties: BasicProperties::default().with_delivery_mode(2),
        };
        publish(&channel, bodies.map(parcel)).await
    }

    /// Waits until nobody consumes a queue any more, and removes what has come back to it: a contender that is ended may
    /// leave acknowledgements unsent, and the next one must not be given its alerts.
    pub(crate) async fn clear(&self, queue: &str) -> Result<()> {
        let queues = self.site.queues().await?;
        nightbell_tests::wait::until("a queue without a consumer", || async {
            (look(&queues, queue).await.ok()?.consumer_count() == 0).then_some(())
        })
        .await?;
        queues.channel().await?.queue_purge(queue.into(), QueuePurgeOptions::default()).await?;
        Ok(())
    }

    /// Waits until nothing waits in a queue.
    pub(crate) async fn drained(&self, queue: &str) -> Result<()> {
        let queues = self.site.queues().await?;
        nightbell_tests::wait::until("an empty queue", || async {
            (look(&queues, queue).await.ok()?.message_count() == 0).then_some(())
        })
        .await
    }
}

/// What the broker says of a queue that is there.
pub(crate) async fn look(queues: &Queues, queue: &str) -> Result<Queue> {
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    Ok(queues.channel().await?.queue_declare(queue.into(), options, FieldTable::default()).await?)
}

/// Publishes, many at once, and waits for the confirms.
pub(crate) async fn publish(channel: &Channel, parcels: impl Iterator<Item = Parcel>) -> Result<()> {
    let publishes = parcels.map(|parcel| async move {
        let Parcel { exchange, key, body, properties } = parcel;
        let options = BasicPublishOptions::default();
        let (exchange, key) = (exchange.as_str().into(), key.as_str().into());
        let sent = channel.basic_publish(exchange, key, options, body.as_bytes(), properties);
        let confirmation = sent.await?.await?;
        ensure!(matches!(confirmation, Confirmation::Ack(None)), "{confirmation:?}");
        Ok(())
    });
    let mut publishes = futures::stream::iter(publishes).buffer_unordered(UNCONFIRMED_MAX);
    while let Some(published) = publishes.next().await {
        published?;
    }
    Ok(())
}

/// A site whose stand-in keeps little of what it gets.
pub(crate) async fn site(queue: &str) -> Result<Site> {
    let auth = Auth::Basic { user: USER.into(), password: PASSWORD.into() };
    let fake = FakeXmatters::start(Settings { auth, requests_kept_max: 16, ..Settings::default() }).await?;
    Site::with(queue, fake)?.with_queue(&format!("prefetch = {PREFETCH}"))
}

/// An event that was never seen before.
pub(crate) fn body(number: usize) -> String {
    event(number, number)
}

/// An event of a test that others may be of too.
pub(crate) fn event(number: usize, test: usize) -> String {
    format!(
        r#"{{"project":"shop","test":"{TEST}{test}","id":"bench-{number}","suite":"checkout","environment":"production","message":"expected 200, got 500","details":"{:200}"}}"#,
        "trace"
    )
}

/// The number in a test's name.
pub(crate) fn number(test: &str) -> Option<usize> {
    test.strip_prefix(TEST)?.parse().ok()
}

/// Times a process that has just begun to deliver `count` alerts, with its children.
pub(crate) async fn time(site: &Site, process: u32, count: usize, before: u64) -> Result<Round> {
    let (start, first) = reached(site, process, before + 1).await?;
    let (end, last) = reached(site, process, before + count as u64).await?;
    Ok(round(count.saturating_sub(1), (start, first), (end, last)))
}

/// The figures of a stretch with so many alerts.
pub(crate) fn round(count: usize, from: (Instant, Usage), to: (Instant, Usage)) -> Round {
    let count = count.max(1) as f64;
    let took = (to.0 - from.0).max(Duration::from_micros(1));
    Round {
        rate: count / took.as_secs_f64(),
        cpu_us: to.1.cpu.saturating_sub(from.1.cpu).as_secs_f64() * 1e6 / count,
        resident_mib: to.1.resident_max_bytes as f64 / f64::from(1 << 20),
    }
}

async fn reached(site: &Site, process: u32, accepted: u64) -> Result<(Instant, Usage)> {
    let enough = |snapshot: &Snapshot<'_>| snapshot.summary().accepted >= accepted;
    site.fake.wait_until(enough, ROUND_MAX).await?;
    Ok((Instant::now(), process::usage_of_tree(process)?))
}
