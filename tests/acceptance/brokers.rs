//! Brokers that are down, restarted, or not as they should be. Those that hurt a node have one of their own.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fake_xmatters::Answer;
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use nightbell_tests::node::RabbitNode;
use nightbell_tests::program::Worker;
use nightbell_tests::site::{CONNECTOR, PASSWORD, Site, USER, ids};
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
    channel.queue_delete(name.as_str().into(), QueueDeleteOptions::default()).await?;
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

/// A site with a second connector, `web`, whose queue is the one that something is wrong with.
async fn two_connectors(url: &str) -> Result<Site> {
    let site = Site::new(url).await?;
    add_web(&site)?;
    Ok(site)
}

fn add_web(site: &Site) -> Result<()> {
    let trigger = site.fake.url("second");
    site.configure_more(&format!(
        "[[connectors]]\nname = \"web\"\ntrigger_url = \"{trigger}\"\nusername = \"{USER}\"\npassword = \"{PASSWORD}\"\n\
         recipients = [\"web\"]\n"
    ))
}

fn queue_of_web(site: &Site) -> String {
    format!("{}.connector.web", site.prefix())
}

/// Deletes the queue of `web`, and declares it with no arguments if it shall be wrong.
async fn spoil(site: &Site, is_wrong: bool) -> Result<()> {
    let channel = site.queues().await?.channel().await?;
    let name = queue_of_web(site);
    channel.queue_delete(name.as_str().into(), QueueDeleteOptions::default()).await?;
    if is_wrong {
        let options = QueueDeclareOptions::durable();
        channel.queue_declare(name.as_str().into(), options, FieldTable::default()).await?;
    }
    Ok(())
}

/// Waits until the worker says of the queue of `web` that it waits, and why; and sees that the other connector delivers.
async fn web_waits_alone(site: &Site, worker: &Worker, why: &str, event: &str) -> Result<()> {
    let queue = queue_of_web(site);
    let waits = wait::until("a queue that is not consumed", || async {
        let (status, body) = site.get("/readyz").await.ok()?;
        (status == 503 && body.contains(&queue) && body.contains(why)).then_some(body)
    });
    let body = waits.await.with_context(|| worker.log().unwrap_or_default())?;
    ensure!(!body.contains(&format!("connector.{CONNECTOR}")), "the other one waits too: {body}");
    let unavailable = |connector| format!("nightbell_queue_unavailable{{connector=\"{connector}\"}}");
    ensure!(site.metric(&unavailable("web")).await? == 1.0);
    ensure!(site.metric(&unavailable(CONNECTOR)).await? == 0.0);
    ensure!(site.metric("nightbell_broker_connected").await? == 1.0, "the connection is up");
    let log = worker.log()?;
    ensure!(log.lines().any(|line| line.contains(&queue) && line.contains(why)), "{log}");
    let ids = vec![event.to_owned()];
    site.publish(&ids).await?;
    site.all_accepted(&ids).await.with_context(|| worker.log().unwrap_or_default())
}

/// Waits until both connectors are consumed again by the same worker, and an event reaches both.
async fn both_deliver(site: &Site, worker: &Worker, event: &str) -> Result<()> {
    site.is_ready().await.with_context(|| worker.log().unwrap_or_default())?;
    ensure!(site.metric("nightbell_queue_unavailable{connector=\"web\"}").await? == 0.0);
    site.publish(&[event.to_owned()]).await?;
    wait::until("an alert by both connectors", || async {
        let requests = site.fake.requests();
        let of_event = requests.iter().filter(|request| request.event_id.as_deref() == Some(event));
        (of_event.count() == 2).then_some(())
    })
    .await
    .with_context(|| worker.log().unwrap_or_default())
}

pub(crate) async fn a_missing_queue_of_one_connector_stops_no_other(url: String) -> Result<()> {
    let site = two_connectors(&url).await?;
    ensure!(site.worker().await?.terminate().await?.success());
    let definitions = site.nightbell(&["topology"]).await?.success()?;
    ensure!(definitions.contains(&queue_of_web(&site)));
    spoil(&site, false).await?;
    let site = site.with_queue("declare = false")?;
    add_web(&site)?;
    let worker = site.start("")?;
    web_waits_alone(&site, &worker, "the broker lacks", "while it is missing").await?;
    // The administrator loads it; here a worker that may declare does so.
    declare_web(&site).await?;
    both_deliver(&site, &worker, "when it is there").await?;
    spoil(&site, false).await?;
    web_waits_alone(&site, &worker, "the broker lacks", "while it is missing again").await?;
    worker.kill9().await?;
    site.close_with(&[CONNECTOR]).await
}

/// Declares what is missing by another worker, which then ends.
async fn declare_web(site: &Site) -> Result<()> {
    let text = std::fs::read_to_string(site.folder().join("nightbell.toml"))?;
    let text = text.replace("declare = false", "declare = true").replace("\"data\"", "\"other-data\"");
    let port = nightbell_tests::site::free_port()?;
    let listens: String = text
        .lines()
        .map(|line| {
            if line.starts_with("listen") {
                format!("listen = \"127.0.0.1:{port}\"\n")
            } else {
                format!("{line}\n")
            }
        })
        .collect();
    std::fs::write(site.folder().join("other.toml"), listens)?;
    let publish =
        ["--config", "other.toml", "publish", "--project", "shop", "--test", "declares", "--id", "declares"];
    site.nightbell(&publish).await?.success().map(drop)
}

pub(crate) async fn a_queue_of_one_connector_declared_otherwise_stops_no_other(url: String) -> Result<()> {
    let site = two_connectors(&url).await?;
    ensure!(site.worker().await?.terminate().await?.success());
    spoil(&site, true).await?;
    let worker = site.start("")?;
    web_waits_alone(&site, &worker, "delete the queue when it is empty", "while it is otherwise").await?;
    // It is bound all the same, so that no event misses it.
    ensure!(site.queues().await?.ready("connector.web").await? == 1);
    spoil(&site, false).await?;
    both_deliver(&site, &worker, "when it is right").await?;
    worker.kill9().await?;
    site.close_with(&[CONNECTOR, "web"]).await
}

pub(crate) async fn a_queue_deleted_while_it_is_consumed_is_declared_again(url: String) -> Result<()> {
    let site = two_connectors(&url).await?;
    let worker = site.worker().await?;
    spoil(&site, false).await?;
    wait::until("a queue that is there again", || async {
        site.queues().await.ok()?.ready("connector.web").await.ok()
    })
    .await?;
    both_deliver(&site, &worker, "after it was deleted").await?;
    worker.kill9().await?;
    site.close_with(&[CONNECTOR, "web"]).await
}

pub(crate) async fn a_deleted_queue_of_dead_letters_is_declared_again(url: String) -> Result<()> {
    let site = Site::new(&url).await?;
    let worker = site.worker().await?;
    let queues = site.queues().await?;
    let name = format!("{}.dead", site.prefix());
    queues.channel().await?.queue_delete(name.as_str().into(), QueueDeleteOptions::default()).await?;
    queues.publish(b"no event", lapin::BasicProperties::default()).await?;
    // `dead list` would declare the queue itself.
    wait::until("a dead letter", || async { (queues.ready("dead").await.ok()? == 1).then_some(()) })
        .await
        .with_context(|| worker.log().unwrap_or_default())?;
    ensure!(worker.terminate().await?.success());
    site.close().await
}

pub(crate) async fn a_forbidden_queue_of_one_connector_stops_no_other(_: String) -> Result<()> {
    // A node of its own: users are not of one virtual host alone.
    let node = RabbitNode::start().await?;
    let site = two_connectors(&node.url("/")).await?;
    ensure!(site.worker().await?.terminate().await?.success());
    node.ctl(&["add_user", "narrow", "narrow-secret"]).await?;
    let all_but_web = format!("({CONNECTOR}|dead)$");
    node.ctl(&["set_permissions", "narrow", "^$", ".*", &all_but_web]).await?;
    let site = site.moved_to(&node.url_for("narrow", "narrow-secret", "/"))?.with_queue("declare = false")?;
    add_web(&site)?;
    let worker = site.start("")?;
    web_waits_alone(&site, &worker, "may not consume from queue", "while it is forbidden").await?;
    node.ctl(&["set_permissions", "narrow", "^$", ".*", ".*"]).await?;
    both_deliver(&site, &worker, "when it is allowed").await?;
    worker.kill9().await?;
    Ok(())
}
