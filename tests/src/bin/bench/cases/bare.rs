//! The yardstick: the same libraries without anything that Nightbell adds. It loses alerts at every fault.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result};
use clap::Args;
use futures::StreamExt as _;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use nightbell_tests::site::{PASSWORD, USER};
use serde::Deserialize;
use tokio::process::Command;

use crate::group::Group;
use crate::rig::Rig;

/// The worker's, too: as many small messages as a machine has room for.
pub(crate) const PREFETCH: u16 = 256;
/// As many as the worker's default.
pub(crate) const IN_FLIGHT_MAX: usize = 16;

/// The bare loop's own arguments.
#[derive(Debug, Clone, Args)]
pub(crate) struct Bare {
    /// The broker.
    #[arg(long)]
    url: String,
    /// The queue.
    #[arg(long)]
    queue: String,
    /// The trigger.
    #[arg(long)]
    trigger: String,
    /// Drops repeats of a test, remembering them in memory only, and says when so many messages are settled.
    #[arg(long)]
    storm: Option<usize>,
}

/// The one field that tells repeats apart here.
#[derive(Deserialize)]
struct Event<'a> {
    test: &'a str,
}

/// What a bare loop with repeats remembers.
#[derive(Default)]
struct Memory {
    tests: Mutex<HashSet<String>>,
    settled: AtomicUsize,
}

/// Starts the loop in a process of its own.
pub(crate) fn start(rig: &Rig, more: &[String]) -> Result<Group> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["bare", "--url", &rig.url, "--queue", &rig.queue()]);
    command.args(["--trigger", &rig.site.fake.trigger_url()]).args(more);
    command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::piped());
    Group::start(command)
}

/// Consumes, posts and acknowledges.
pub(crate) async fn run(bare: Bare) -> Result<()> {
    let connection =
        Connection::connect(&bare.url, ConnectionProperties::default()).await.context("connect")?;
    let channel = connection.create_channel().await?;
    channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
    let options = BasicConsumeOptions::default();
    let queue = bare.queue.as_str().into();
    let consumer = channel.basic_consume(queue, "bare".into(), options, FieldTable::default()).await?;
    let client = reqwest::Client::builder().no_proxy().tcp_nodelay(true).build()?;
    let memory = bare.storm.map(|count| (count, Memory::default()));
    consumer
        .for_each_concurrent(IN_FLIGHT_MAX, |delivery| async {
            let Ok(Delivery { data, acker, .. }) = delivery else { return };
            let repeats = memory.as_ref().is_some_and(|(_, memory)| memory.knows(&data));
            if repeats || post(&client, &bare.trigger, data).await {
                drop(acker.ack(BasicAckOptions::default()).await);
                if let Some((count, memory)) = &memory {
                    memory.settled(*count);
                }
            }
        })
        .await;
    Ok(())
}

async fn post(client: &reqwest::Client, trigger: &str, body: Vec<u8>) -> bool {
    let post = client.post(trigger).basic_auth(USER, Some(PASSWORD));
    let post = post.header("content-type", "application/json").body(body);
    post.send().await.is_ok_and(|answer| answer.status().is_success())
}

impl Memory {
    /// Whether it is of a test that was seen before.
    fn knows(&self, body: &[u8]) -> bool {
        let Ok(Event { test }) = serde_json::from_slice(body) else { return false };
        let mut tests = self.tests.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if tests.contains(test) {
            return true;
        }
        tests.insert(test.to_owned());
        false
    }

    fn settled(&self, count: usize) {
        if self.settled.fetch_add(1, Ordering::Relaxed) + 1 == count {
            println!("settled");
        }
    }
}
