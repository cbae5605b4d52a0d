//! Somebody who may only publish, and does so without pause and sense: over RabbitMQ and over HTTP. Beside it a good event
//! a second, each of which must ring in time.

mod amqp;
mod http;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures::future::try_join3;
use nightbell_tests::node::{Extras, RabbitNode, is_rabbitmq_4};
use nightbell_tests::process::usage;
use nightbell_tests::site::{CONNECTOR, EMBEDDED, Site, ids};
use nightbell_tests::wait;
use rand::RngExt as _;
use rand::rngs::SmallRng;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// For how long, in seconds, unless the environment says otherwise.
const SECONDS_DEFAULT: usize = 30;

/// The longest that a good event may be on its way.
const ON_ITS_WAY_MAX: Duration = Duration::from_secs(5);

/// The most memory that the worker may ever have had resident, in bytes, as built for the tests, which takes 40 MiB more.
const RESIDENT_MAX_BYTES: u64 = 128 << 20;

/// The most that the worker may log, in bytes.
const LOG_BYTES_MAX: u64 = 1_000_000;

/// RabbitMQ 4 takes 4 to 5 s to deliver one message whose headers are nested as deep as a frame of its default size allows,
/// and a connector's others wait behind it. With frames of this size it is less than a tenth of a second.
const FRAMES_OF_RABBITMQ_4: &str = "frame_max = 16384";

/// Texts that are trouble somewhere.
const ODD: [&str; 12] = [
    "",
    " ",
    "\u{0}",
    "\u{1b}[2J\u{9b}31m",
    "\u{202e}\u{2066}gnp.exe",
    "\u{feff}\u{200b}",
    "'; DROP TABLE tests; --",
    "${AMQP_PASSWORD}{{ alert_id }}",
    "../../../../etc/passwd",
    "javascript:alert(1)",
    "1e999",
    "-9223372036854775809",
];

/// What the senders share.
#[derive(Debug, Default)]
struct Shared {
    over: AtomicBool,
    /// How many hostile messages the queue has taken.
    taken: AtomicUsize,
}

impl Shared {
    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }

    fn took(&self) {
        self.taken.fetch_add(1, Ordering::Relaxed);
    }
}

pub(crate) async fn hostile_publishing_delays_no_good_event(url: String) -> Result<()> {
    let seconds = super::count("NIGHTBELL_HOSTILE_SECONDS", SECONDS_DEFAULT)?;
    let seed = u64::try_from(super::count("NIGHTBELL_HOSTILE_SEED", rand::random::<u32>() as usize)?)?;
    println!("chaos: hostile: NIGHTBELL_HOSTILE_SEED={seed}");
    let node = if url != EMBEDDED && is_rabbitmq_4() {
        let settings = FRAMES_OF_RABBITMQ_4.to_owned();
        Some(RabbitNode::start_with(&Extras { settings, ..Extras::default() }).await?)
    } else {
        None
    };
    let url = node.as_ref().map_or(url, |node| node.url("/"));
    let site = Site::new(&url).await?;
    let worker = site.worker().await?;
    let good = ids("good", seconds);
    let shared = Arc::new(Shared::default());
    let amqp =
        async { if url == EMBEDDED { Ok(()) } else { amqp::send(&url, site.prefix(), seed, &shared).await } };
    let good_ones = async {
        let ended = publish_in_time(&site, &good).await;
        shared.over.store(true, Ordering::Relaxed);
        ended
    };
    let sent = try_join3(good_ones, amqp, http::send(&site, seed + 100, &shared)).await;
    let (slowest, (), ()) =
        sent.with_context(|| format!("seed {seed}\n{}", tail(&worker.log().unwrap_or_default())))?;
    let taken = shared.taken.load(Ordering::Relaxed);
    let settled = wait::until("all that was taken is settled", || async {
        let settled = settled(&site).await.ok()?;
        (settled >= (taken + good.len()) as f64).then_some(settled)
    });
    settled.await?;
    site.accepted_once(&good)?;
    site.nightbell(&["dead", "list", "--limit", "20"]).await?.success()?;
    let resident = usage(worker.id().context("the worker has ended")?)?.resident_max_bytes;
    let logged = u64::try_from(worker.log()?.len())?;
    println!(
        "chaos: hostile: {taken} taken in {seconds} s; the slowest good event took {slowest:?}; {} MiB resident at most; \
         {logged} bytes of log",
        resident >> 20
    );
    ensure!(resident <= RESIDENT_MAX_BYTES, "{} MiB were resident", resident >> 20);
    ensure!(logged <= LOG_BYTES_MAX, "{logged} bytes were logged:\n{}", tail(&worker.log()?));
    ensure!(worker.terminate().await?.success());
    site.close().await
}

/// Publishes one event a second over HTTP, and gives how long the slowest took until it was accepted.
async fn publish_in_time(site: &Site, ids: &[String]) -> Result<Duration> {
    let mut slowest = Duration::ZERO;
    let mut beat = interval(Duration::from_secs(1));
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for id in ids {
        beat.tick().await;
        let began = Instant::now();
        let event = format!(r#"{{"project":"shop","test":"test {id}","id":"{id}"}}"#);
        let rings = async {
            let (status, text) = site.post("/v1/events", "application/json", event).await?;
            ensure!(status == 202, "{status}: {text}");
            site.all_accepted(std::slice::from_ref(id)).await
        };
        timeout(ON_ITS_WAY_MAX, rings).await.with_context(|| format!("{id} does not ring in time"))??;
        slowest = slowest.max(began.elapsed());
    }
    Ok(slowest)
}

async fn settled(site: &Site) -> Result<f64> {
    let mut sum = 0.0;
    for result in ["delivered", "duplicate", "filtered", "dead"] {
        let series =
            format!("nightbell_alerts_settled_total{{connector=\"{CONNECTOR}\",result=\"{result}\"}}");
        sum += site.metric(&series).await?;
    }
    Ok(sum)
}

fn tail(log: &str) -> &str {
    &log[log.floor_char_boundary(log.len().saturating_sub(4_000))..]
}

/// An event, or nearly one.
fn event(random: &mut SmallRng) -> Vec<u8> {
    match random.random_range(0..100) {
        0..50 => odd_event(random).into_bytes(),
        50..65 => "[".repeat(random.random_range(1..50_000)).into_bytes(),
        65..75 => br#"{"a":"#.repeat(random.random_range(1..50_000)),
        75..95 => bytes(random, 2_000),
        95..96 => bytes(random, 2 << 20),
        _ => {
            let details = "\\u0000\\ud800".repeat(random.random_range(1..50_000));
            format!(r#"{{"project":"shop","test":"t","details":"{details}"}}"#).into_bytes()
        }
    }
}

fn odd_event(random: &mut SmallRng) -> String {
    let names = [
        "project",
        "test",
        "id",
        "status",
        "severity",
        "message",
        "suite",
        "occurred_at",
        "report_url",
        "tags",
        "labels",
        "dedup_key",
        "environment",
        "run_id",
        "details",
    ];
    let mut fields = vec![r#""project":"hostile""#.to_owned(), r#""test":"t""#.to_owned()];
    for _ in 0..random.random_range(1..12) {
        let name = names[random.random_range(0..names.len())];
        let text = serde_json::Value::from(ODD[random.random_range(0..ODD.len())]).to_string();
        let value = match random.random_range(0..8) {
            0 => "null".to_owned(),
            1 => random.random::<i64>().to_string(),
            2 => format!("[{text},1,null]"),
            3 => format!("{{{text}:{text}}}"),
            4 => format!("\"{}\"", "x".repeat(random.random_range(0..10_000))),
            _ => text,
        };
        fields.push(format!("\"{name}\":{value}"));
    }
    format!("{{{}}}", fields.join(","))
}

fn bytes(random: &mut SmallRng, most: usize) -> Vec<u8> {
    let mut bytes = vec![0; random.random_range(0..most)];
    random.fill(&mut bytes[..]);
    bytes
}
