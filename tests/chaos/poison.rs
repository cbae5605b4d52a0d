//! Messages that no parser takes, in numbers. They get in over RabbitMQ only: every way into the embedded queue reads
//! an event before it takes it, and `ingest` shows that it refuses what is none.

use anyhow::{Result, ensure};
use futures::future::try_join_all;
use lapin::options::BasicPublishOptions;
use lapin::{BasicProperties, Channel, Confirmation};
use nightbell_tests::site::{Site, ids};
use nightbell_tests::wait;

/// How many poison messages.
const POISON: usize = 10_000;

/// After so many of them comes a good one.
const GOOD_EVERY: usize = 250;

pub(crate) async fn ten_thousand_poison_messages_die_and_the_good_arrive(url: String) -> Result<()> {
    let site = Site::new(&url).await?;
    let worker = site.worker().await?;
    let good = ids("good", POISON / GOOD_EVERY);
    let channel = site.queues().await?.channel().await?;
    let exchange = format!("{}.events", site.prefix());
    for (number, id) in good.iter().enumerate() {
        let poison = (0..GOOD_EVERY).map(|bad| format!("poison {number} {bad} \u{0}{{"));
        let event = format!(r#"{{"project":"shop","test":"test {id}","id":"{id}"}}"#);
        try_join_all(poison.chain([event]).map(|body| publish(&channel, &exchange, body))).await?;
    }
    site.all_accepted(&good).await?;
    let died = "nightbell_dead_letters_total{connector=\"sre\",reason=\"invalid\"}";
    wait::until("ten thousand deaths", || async {
        site.metric(died).await.ok().filter(|count| *count >= POISON as f64)
    })
    .await?;
    site.conserves(&good, 0).await?;
    let dead = site.dead().await?;
    ensure!(dead.len() == POISON, "{} dead letters", dead.len());
    ensure!(dead.iter().all(|letter| letter["reason"] == "invalid"));
    site.accepted_once(&good)?;
    ensure!(worker.terminate().await?.success());
    site.close().await
}

async fn publish(channel: &Channel, exchange: &str, body: String) -> Result<()> {
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let properties = BasicProperties::default().with_delivery_mode(2);
    let sent = channel.basic_publish(exchange.into(), "event.x".into(), options, body.as_bytes(), properties);
    let confirmation = sent.await?.await?;
    ensure!(matches!(confirmation, Confirmation::Ack(None)), "not confirmed: {confirmation:?}");
    Ok(())
}
