//! `recovery`: the broker is back, or xMatters is, until the first delivery.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Args;
use fake_xmatters::{Answer, Recorded, Snapshot};
use futures::StreamExt as _;
use lapin::options::{BasicConsumeOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Connection, ConnectionProperties};
use nightbell_tests::wait::WAIT_MAX;
use serde_json::json;
use tokio::sync::broadcast::Receiver;
use tokio::time::{interval, sleep, timeout};

use crate::options::Options;
use crate::report::{Column, Fold, Report};
use crate::rig::{Parcel, ROUND_MAX, Rig, publish};

/// Alerts that wait while something is away, and how long xMatters takes for each, so that some are left when it is back.
const BACKLOG: usize = 4_000;
const ANSWER_AFTER: Duration = Duration::from_millis(20);

/// How many of them are delivered before the broker is killed.
const BEGUN: u64 = 100;

/// What was in flight when the broker was killed has long arrived then, and no broker has booted.
const IN_FLIGHT_ARRIVED: Duration = Duration::from_secs(1);

/// How often the yardstick tries to connect.
const PROBE_EVERY: Duration = Duration::from_millis(10);

/// How often an alert is published while xMatters is away.
const ALERT_EVERY: Duration = Duration::from_millis(100);

/// The yardstick's queue.
const PROBED: &str = "nightbell-bench.probe";

/// The yardstick: a client that tries all the time, and declares nothing.
const PROBE: &str = "consumer that tries every 10 ms, broker away";
const BROKER: &str = "nightbell run, broker away";
const XMATTERS: &str = "nightbell run, xMatters away";

#[derive(Debug, Args)]
pub(crate) struct Recovery {
    /// For how many seconds the broker stays down before it boots [default: 0,30].
    #[arg(long, value_delimiter = ',')]
    broker_away: Option<Vec<u64>>,
    /// For how many seconds xMatters answers 503 [default: 3,10,30].
    #[arg(long, value_delimiter = ',')]
    xmatters_away: Option<Vec<u64>>,
}

impl Recovery {
    pub(crate) async fn run(&self, options: &Options) -> Result<()> {
        let broker = options.size(self.broker_away.clone(), vec![0, 30], vec![0]);
        let xmatters = options.size(self.xmatters_away.clone(), vec![3, 10, 30], vec![1]);
        let columns = [
            Column {
                key: "seconds",
                title: "s to first delivery",
                digits: 2,
                fold: Fold::Median,
                compared: true,
            },
            Column { key: "seconds_most", title: "most", digits: 2, fold: Fold::Most, compared: false },
        ];
        let settings = json!({ "broker_away_s": broker, "xmatters_away_s": xmatters });
        let mut report = Report::new("recovery", settings, &columns);
        let mut rig = Rig::start(options).await?;
        for _ in 0..options.rounds(5) {
            for away in &broker {
                let (probe, worker) = broker_back(&mut rig, Duration::from_secs(*away)).await?;
                let yardstick = format!("{PROBE} {away} s and its boot");
                report.round(&yardstick, None, &[probe, probe]);
                let name = format!("{BROKER} {away} s and its boot");
                report.round(&name, Some(&yardstick), &[worker, worker]);
            }
            for away in &xmatters {
                let took = xmatters_back(&mut rig, Duration::from_secs(*away)).await?;
                report.round(&format!("{XMATTERS} {away} s"), None, &[took, took]);
            }
        }
        report.note("broker: from when it lets a client in; xMatters: from its first good answer (probes at 5 to 60 s)");
        report.finish(options).map(drop)
    }
}

/// The seconds from when the broker lets a client in until a client that tries all the time has a message of another
/// queue, and until the worker's first delivery.
async fn broker_back(rig: &mut Rig, away: Duration) -> Result<(f64, f64)> {
    rig.fill(BACKLOG).await?;
    probed_queue(rig).await?;
    rig.node()?.note_queues().await?;
    rig.site.fake.set_default(Answer::accepted().after(ANSWER_AFTER));
    let before = rig.site.fake.accepted_count();
    let worker = rig.site.worker().await?;
    let begun = |snapshot: &Snapshot<'_>| snapshot.summary().accepted >= before + BEGUN;
    rig.site.fake.wait_until(begun, WAIT_MAX).await?;
    rig.node()?.kill9().await?;
    let settled = Instant::now() + IN_FLIGHT_ARRIVED;
    sleep(away).await;
    let arrivals = rig.site.fake.subscribe();
    let url = rig.url.clone();
    let (booted, probed, delivered) =
        tokio::join!(rig.node()?.restart(), probe(&url), first_after(arrivals, settled));
    booted?;
    let ((back, probed), delivered) = (probed?, delivered?);
    rig.site.fake.set_default(Answer::accepted());
    rig.drained(&rig.queue()).await?;
    worker.terminate().await?;
    let seconds = |at: Instant| at.saturating_duration_since(back).as_secs_f64();
    Ok((seconds(probed), seconds(delivered)))
}

/// The seconds from the stand-in's first good answer on until it gave one.
async fn xmatters_back(rig: &mut Rig, away: Duration) -> Result<f64> {
    rig.site.fake.set_default(Answer::status(503));
    let worker = rig.site.worker().await?;
    let start = Instant::now();
    let mut beat = interval(ALERT_EVERY);
    while start.elapsed() < away {
        beat.tick().await;
        rig.fill(1).await?;
    }
    let before = rig.site.fake.accepted_count();
    let back = Instant::now();
    rig.site.fake.set_default(Answer::accepted());
    let first = |snapshot: &Snapshot<'_>| snapshot.summary().accepted > before;
    rig.site.fake.wait_until(first, ROUND_MAX).await?;
    let took = back.elapsed().as_secs_f64();
    let published = rig.published();
    let all = |snapshot: &Snapshot<'_>| snapshot.summary().alerts >= published;
    rig.site.fake.wait_until(all, ROUND_MAX).await?;
    worker.terminate().await?;
    Ok(took)
}

/// The first arrival later than this.
async fn first_after(mut arrivals: Receiver<Arc<Recorded>>, settled: Instant) -> Result<Instant> {
    let first = async {
        loop {
            let arrival = arrivals.recv().await.context("follow the arrivals")?;
            if arrival.accepted && arrival.at > settled {
                return Ok(arrival.at);
            }
        }
    };
    timeout(ROUND_MAX, first).await.context("nothing was delivered")?
}

/// A durable queue like the connectors' with a message in it, for the yardstick.
async fn probed_queue(rig: &Rig) -> Result<()> {
    let channel = rig.site.queues().await?.channel().await?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    channel.queue_declare(PROBED.into(), QueueDeclareOptions::durable(), arguments).await?;
    let properties = BasicProperties::default().with_delivery_mode(2);
    let parcel = Parcel { exchange: String::new(), key: PROBED.into(), body: "probe".into(), properties };
    publish(&channel, std::iter::once(parcel)).await
}

/// When the broker let a client in for the first time, and when a client had a message.
async fn probe(url: &str) -> Result<(Instant, Instant)> {
    let mut back = None;
    let mut beat = interval(PROBE_EVERY);
    let tried = async {
        loop {
            beat.tick().await;
            let Ok(connection) = Connection::connect(url, ConnectionProperties::default()).await else {
                continue;
            };
            back.get_or_insert_with(Instant::now);
            if consumed(&connection).await.is_ok() {
                return Instant::now();
            }
        }
    };
    let probed = timeout(ROUND_MAX, tried).await.context("the broker lets nobody in")?;
    Ok((back.context("it let a client in")?, probed))
}

/// Takes one message and acknowledges nothing.
async fn consumed(connection: &Connection) -> Result<()> {
    let channel = connection.create_channel().await?;
    let options = BasicConsumeOptions::default();
    let consumer = channel.basic_consume(PROBED.into(), "probe".into(), options, FieldTable::default());
    let next = timeout(WAIT_MAX, consumer.await?.next()).await?;
    next.context("the consumer ended")?.map(drop).context("consume")
}
