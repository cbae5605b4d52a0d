//! What else happens to a broker: it hangs, it raises alarms, and its administrator takes things away.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fake_xmatters::{Answer, Snapshot};
use lapin::options::QueueDeleteOptions;
use nightbell_tests::node::RabbitNode;
use nightbell_tests::program::Worker;
use nightbell_tests::site::{CONNECTOR, Site, ids};
use nightbell_tests::wait;

pub(crate) async fn a_broker_killed_restarted_and_paused_under_load_loses_nothing(_: String) -> Result<()> {
    let mut node = RabbitNode::start().await?;
    let site = Site::new(&format!("{}?heartbeat=2", node.url("/"))).await?;
    site.fake.set_default(Answer::accepted().after(Duration::from_millis(20)));
    let worker = site.worker().await?;
    node.note_queues().await?;
    let ids = ids("broker", 2_000);
    site.publish(&ids).await?;
    accepted(&site, 100).await?;
    node.kill9().await?;
    wait::until("a connection lost", || connected(&site, 0.0)).await?;
    node.restart().await?;
    accepted(&site, 400).await?;
    node.pause()?;
    // It is the heartbeat that shows it: the sockets stay open.
    let lost = wait::until("a connection given up", || connected(&site, 0.0)).await;
    node.resume()?;
    lost?;
    ready(&site, &worker).await?;
    site.all_accepted(&ids).await?;
    site.conserves(&ids, 0).await?;
    let twice = site.sent_twice(&ids);
    ensure!(twice.is_empty(), "the worker lived, so its ledger knows: sent twice: {twice:?}");
    ensure!(worker.terminate().await?.success());
    Ok(())
}

pub(crate) async fn alarms_of_the_broker_hold_no_alert_back(_: String) -> Result<()> {
    /// The worker gives up a publish that is not confirmed within 30 s, and tries the alert again from its hand.
    const HANGING: usize = 3;
    let node = RabbitNode::start().await?;
    let site = Site::new(&node.url("/")).await?;
    let worker = site.worker().await?;
    let memory = ["set_vm_memory_high_watermark", "absolute"];
    let disk = ["set_disk_free_limit"];
    let alarms = [(&memory[..], "1", "4GB"), (&disk[..], "100000GB", "1MB")];
    for (number, (command, raised, lifted)) in alarms.into_iter().enumerate() {
        let ids = ids(&format!("alarm-{number}"), 20);
        // Their answers come when the alarm is there already.
        site.fake.set_default(Answer::accepted().after(Duration::from_millis(50)));
        site.fake.script((0..HANGING).map(|_| Answer::hang()));
        let before = site.fake.requests().len();
        site.publish(&ids).await?;
        wait::until("the requests", || async {
            (site.fake.requests().len() >= before + ids.len()).then_some(())
        })
        .await?;
        node.ctl(&[command, &[raised]].concat()).await?;
        // Acknowledgements go on, on a connection of their own; retries can't be published and are made from hand.
        site.all_accepted(&ids).await.with_context(|| worker.log().unwrap_or_default())?;
        wait::until("empty hands", || async { (in_hand(&site).await? == 0).then_some(()) }).await?;
        node.ctl(&[command, &[lifted]].concat()).await?;
        site.conserves(&ids, 0).await?;
        site.accepted_once(&ids)?;
    }
    ensure!(worker.terminate().await?.success());
    Ok(())
}

pub(crate) async fn a_queue_deleted_under_its_consumer_is_made_again(url: String) -> Result<()> {
    let site = Site::new(&url).await?;
    site.fake.set_default(Answer::accepted().after(Duration::from_millis(300)));
    let worker = site.worker().await?;
    let held = ids("held", 10);
    site.publish(&held).await?;
    wait::until("ten requests", || async { (site.fake.requests().len() == held.len()).then_some(()) })
        .await?;
    let queues = site.queues().await?;
    let queue = format!("{}.connector.{CONNECTOR}", site.prefix());
    let channel = queues.channel().await?;
    channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await?;
    wait::until("a complaint", || async {
        worker.log().ok()?.contains("was its queue deleted").then_some(())
    })
    .await?;
    ready(&site, &worker).await?;
    // What comes now is delivered; what came while there was no queue is a dead letter; what was in hand is delivered.
    let later = ids("later", 10);
    site.publish(&later).await?;
    let all = [held, later].concat();
    site.all_accepted(&all).await?;
    site.conserves(&all, 0).await?;
    site.accepted_once(&all)?;
    ensure!(worker.terminate().await?.success());
    site.close().await
}

pub(crate) async fn revoked_permissions_are_said_and_lose_nothing(_: String) -> Result<()> {
    let node = RabbitNode::start().await?;
    node.ctl(&["add_user", "carrier", "carrier-password"]).await?;
    let restore = ["set_permissions", "carrier", ".*", ".*", ".*"];
    node.ctl(&restore).await?;
    let site = Site::new(&node.url_for("carrier", "carrier-password", "/")).await?;
    site.fake.set_default(Answer::accepted().after(Duration::from_millis(20)));
    let worker = site.worker().await?;
    let ids = ids("revoked", 600);
    site.publish(&ids).await?;
    accepted(&site, 50).await?;
    node.ctl(&["clear_permissions", "carrier"]).await?;
    // A connection that is there keeps what it was allowed.
    node.ctl(&["close_all_connections", "your permissions were revoked"]).await?;
    let refused = wait::until("a worker that is not ready", || async {
        let (status, body) = site.get("/readyz").await.ok()?;
        (status == 503 && body.to_lowercase().contains("access")).then_some(body)
    })
    .await
    .with_context(|| worker.log().unwrap_or_default())?;
    ensure!(!refused.contains("carrier-password"), "{refused}");
    node.ctl(&restore).await?;
    ready(&site, &worker).await?;
    site.all_accepted(&ids).await?;
    site.conserves(&ids, 0).await?;
    site.accepted_once(&ids)?;
    let loud = worker.log()?.lines().filter(|line| line.contains("WARN") || line.contains("ERROR")).count();
    ensure!((1..=10).contains(&loud), "an outage is said once for each that suffers:\n{}", worker.log()?);
    ensure!(worker.terminate().await?.success());
    Ok(())
}

async fn accepted(site: &Site, goal: u64) -> Result<()> {
    let reached = |snapshot: &Snapshot<'_>| snapshot.summary().accepted >= goal;
    site.fake.wait_until(reached, wait::WAIT_MAX).await?;
    Ok(())
}

async fn connected(site: &Site, wanted: f64) -> Option<()> {
    let now = site.metric("nightbell_broker_connected").await.ok()?;
    ((now - wanted).abs() < 0.5).then_some(())
}

async fn in_hand(site: &Site) -> Option<u64> {
    let status: serde_json::Value = serde_json::from_str(&site.get("/v1/status").await.ok()?.1).ok()?;
    status["connectors"][0]["in_hand"].as_u64()
}

async fn ready(site: &Site, worker: &Worker) -> Result<()> {
    site.is_ready().await.with_context(|| worker.log().unwrap_or_default())
}
