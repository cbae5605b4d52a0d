//! The yardstick: the same libraries without anything that Nightbell adds. It loses alerts at every fault.

use anyhow::{Context as _, Result};
use futures::StreamExt as _;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use nightbell_tests::site::{PASSWORD, USER};

/// As many as the worker's defaults.
const PREFETCH: u16 = 256;
const IN_FLIGHT_MAX: usize = 16;

pub(crate) async fn run(url: &str, queue: &str, trigger: &str) -> Result<()> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.context("connect")?;
    let channel = connection.create_channel().await?;
    channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
    let options = BasicConsumeOptions::default();
    let consumer = channel.basic_consume(queue.into(), "bare".into(), options, FieldTable::default()).await?;
    let client = reqwest::Client::builder().no_proxy().tcp_nodelay(true).build()?;
    consumer
        .for_each_concurrent(IN_FLIGHT_MAX, |delivery| async {
            let Ok(delivery) = delivery else { return };
            let post = client.post(trigger).basic_auth(USER, Some(PASSWORD));
            let post = post.header("content-type", "application/json").body(delivery.data);
            if post.send().await.is_ok_and(|answer| answer.status().is_success()) {
                drop(delivery.acker.ack(BasicAckOptions::default()).await);
            }
        })
        .await;
    Ok(())
}
