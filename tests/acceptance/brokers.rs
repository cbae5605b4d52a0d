//! Brokers that are down, restarted, or not as they should be. Those that hurt a node have one of their own.

use std::time::Duration;

use anyhow::{Result, ensure};
use fake_xmatters::Answer;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use nightbell_tests::node::RabbitNode;
use nightbell_tests::site::{CONNECTOR, Site, ids};
use nightbell_tests::wait;

pub(crate) async fn a_broker_killed_under_load_loses_nothing(_: String) -> Result<()> {
    let mut node = RabbitNode::start().await?;
    let site = Site::new(&node.url("/")).await?;
    site.fake.set_default(Answer::accepted().after(Duration::from_millis(10)));
    let worker = site.worker().await?;
    node.note_queues().await?;
    let ids = ids("broker", 2_000);
    site.publish(&ids).await?;
    for goal in [200, 700] {
        let reached = |snapshot: &fake_xmatters::Snapshot<'_>| snapshot.summary().accepted >= goal;
        site.fake.wait_until(reached, wait::WAIT_MAX).await?;
        node.restart().await?;
    }
    site.all_accepted(&ids).await?;
    site.conserves(&ids, 0).await?;
    let twice = site.sent_twice(&ids);
    ensure!(twice.is_empty(), "the worker lived, so its ledger knows: sent twice: {twice:?}");
    ensure!(worker.terminate().await?.success());
    Ok(())
}

pub(crate) async fn a_worker_waits_for_a_broker_that_is_down_and_says_so_once(_: String) -> Result<()> {
    let mut node = RabbitNode::start().await?;
    let site = Site::new(&node.url("/")).await?;
    node.kill9().await?;
    let worker = site.start("")?;
    let missing = wait::until("a worker that is not ready", || async {
        let (status, body) = site.get("/readyz").await.ok()?;
        (status == 503 && body.contains("refused")).then_some(body)
    })
    .await?;
    ensure!(missing.contains("queue: "), "{missing}");
    ensure!(site.get("/healthz").await?.0 == 200);
    node.restart().await?;
    site.is_ready().await?;
    let log = worker.log()?;
    let warnings = log.lines().filter(|line| line.contains("WARN")).count();
    ensure!((1..=2).contains(&warnings), "an outage is said once for each connection:\n{log}");
    let ids = ids("late", 5);
    site.publish(&ids).await?;
    site.all_accepted(&ids).await?;
    ensure!(worker.terminate().await?.success());
    Ok(())
}

pub(crate) async fn a_queue_declared_otherwise_is_said_with_its_cure(url: String) -> Result<()> {
    let site = Site::new(&url).await?;
    let queues = site.queues().await?;
    let name = format!("{}.connector.{CONNECTOR}", site.prefix());
    let channel = queues.channel().await?;
    channel
        .queue_declare(name.as_str().into(), QueueDeclareOptions::durable(), FieldTable::default())
        .await?;
    let worker = site.start("")?;
    let body = wait::until("a worker that is not ready", || async {
        let (status, body) = site.get("/readyz").await.ok()?;
        (status == 503 && body.contains("x-")).then_some(body)
    })
    .await?;
    ensure!(body.contains(&name), "{body}");
    let log = worker.log()?;
    let said = log.lines().filter(|line| line.contains(&name)).count();
    ensure!((1..=2).contains(&said), "once for each connection:\n{log}");
    worker.kill9().await?;
    // The cure: the queue is empty, so it is deleted.
    channel.queue_delete(name.as_str().into(), lapin::options::QueueDeleteOptions::default()).await?;
    site.worker().await?.kill9().await?;
    site.close().await
}

pub(crate) async fn connections_closed_by_the_administrator_are_made_again(_: String) -> Result<()> {
    let node = RabbitNode::start().await?;
    let site = Site::new(&node.url("/")).await?;
    let worker = site.worker().await?;
    let ids = ids("closed", 30);
    site.publish(&ids[..10]).await?;
    node.ctl(&["close_all_connections", "maintenance"]).await?;
    site.publish(&ids[10..]).await?;
    site.all_accepted(&ids).await?;
    site.conserves(&ids, 0).await?;
    site.accepted_once(&ids)?;
    ensure!(worker.terminate().await?.success());
    Ok(())
}
