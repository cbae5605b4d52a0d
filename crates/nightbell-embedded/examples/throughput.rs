//! Measures the embedded queue: durable publishes from 64 clients, consuming, and opening after a crash.
//!
//! `cargo run --release -p nightbell-embedded --example throughput -- [FOLDER]`

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nightbell_core::message::Message;
use nightbell_core::ports::{Clock, Destination, Incoming, Outlet, Settler, Subscription};
use nightbell_core::time::UnixMillis;
use nightbell_embedded::{EmbeddedQueue, EmbeddedSettings};

type Failure = Box<dyn Error + Send + Sync>;

const CLIENTS: usize = 64;
const MESSAGES: usize = 100_000;
const BODY_BYTES: usize = 1_000;

#[derive(Clone)]
struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> UnixMillis {
        UnixMillis(1_800_000_000_000)
    }
}

fn main() -> Result<(), Failure> {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "target/throughput".to_owned()));
    std::fs::create_dir_all(&folder)?;
    let path = folder.join("queue.redb");
    if path.exists() {
        std::fs::remove_file(&path)?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let queue = open(&path)?;

    let began = Instant::now();
    let wait = runtime.block_on(publish(&queue))?;
    report("published by 64 clients", began.elapsed());
    println!("the longest publish took {} ms", wait.as_millis());

    // The file of a process that was killed now.
    let killed = folder.join("killed.redb");
    std::fs::copy(&path, &killed)?;
    let began = Instant::now();
    let found = open(&killed)?;
    println!("opened after a crash in {} ms: {:?}", began.elapsed().as_millis(), found.depths().connectors);
    found.close()?;
    let began = Instant::now();
    open(&killed)?.close()?;
    println!("opened and closed in {} ms", began.elapsed().as_millis());
    std::fs::remove_file(&killed)?;

    let began = Instant::now();
    runtime.block_on(consume(&queue))?;
    report("consumed and acknowledged", began.elapsed());
    let bytes = std::fs::metadata(&path)?.len();
    drop(runtime);
    queue.close()?;
    println!("the file: {bytes} bytes, {} when closed", std::fs::metadata(&path)?.len());
    std::fs::remove_file(&path)?;
    Ok(())
}

fn open(path: &Path) -> Result<EmbeddedQueue, Failure> {
    Ok(EmbeddedQueue::open(&EmbeddedSettings::new(path, vec!["sre".parse()?]), FixedClock)?)
}

/// Gives the longest time that a publish took.
async fn publish(queue: &EmbeddedQueue) -> Result<Duration, Failure> {
    let client = || {
        let outlet = queue.outlet();
        tokio::spawn(async move {
            let body = vec![b'x'; BODY_BYTES].into();
            let message = Message { body, ..Message::default() };
            let mut longest = Duration::ZERO;
            for _ in 0..MESSAGES / CLIENTS {
                let began = Instant::now();
                outlet.publish(Destination::Events { routing_key: "a".to_owned() }, message.clone()).await?;
                longest = longest.max(began.elapsed());
            }
            Ok::<_, Failure>(longest)
        })
    };
    let mut longest = Duration::ZERO;
    for client in (0..CLIENTS).map(|_| client()).collect::<Vec<_>>() {
        longest = longest.max(client.await??);
    }
    Ok(longest)
}

async fn consume(queue: &EmbeddedQueue) -> Result<(), Failure> {
    let mut subscription = queue.subscribe("sre".parse()?);
    for _ in 0..MESSAGES / CLIENTS * CLIENTS {
        let Incoming::Delivery(_, settler) = subscription.next().await else {
            return Err("it was lost".into());
        };
        settler.ack().await?;
    }
    subscription.leave().await;
    Ok(())
}

fn report(what: &str, took: Duration) {
    let rate = (MESSAGES / CLIENTS * CLIENTS) as f64 / took.as_secs_f64();
    println!("{what}: {rate:.0} a second");
}
