//! What is about the embedded queue itself.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fake_xmatters::Answer;
use nightbell_tests::site::{CONNECTOR, EMBEDDED, PASSWORD, Site, USER, ids};
use nightbell_tests::wait;
use serde_json::{Value, json};

pub(crate) async fn a_second_worker_says_that_the_queue_is_in_use(_: String) -> Result<()> {
    let site = Site::new(EMBEDDED).await?;
    let worker = site.worker().await?;
    let http = nightbell_tests::site::free_port()?;
    site.configure("second.toml", "data", http, "")?;
    let ended = site.nightbell(&["--config", "second.toml", "run"]).await?;
    ensure!(ended.code == Some(75), "{ended:?}");
    ensure!(ended.stderr.contains("is in use by another process"), "{ended:?}");
    // Nor can a command guess where the worker listens.
    let ended = site.nightbell(&["--config", "second.toml", "dead", "list"]).await?;
    ensure!(
        ended.code == Some(75) && ended.stderr.contains("no worker of this queue listens at"),
        "{ended:?}"
    );
    ensure!(worker.terminate().await?.success());
    Ok(())
}

pub(crate) async fn publishing_needs_no_worker_and_goes_through_one_that_runs(_: String) -> Result<()> {
    let site = Site::new(EMBEDDED).await?;
    let (before, during) = (ids("before", 20), ids("during", 20));
    site.publish(&before).await?;
    ensure!(site.dead().await?.is_empty(), "the dead letters are there without a worker too");
    let worker = site.worker().await?;
    site.publish(&during).await?;
    let all = [before, during].concat();
    site.all_accepted(&all).await?;
    site.conserves(&all, 0).await?;
    site.accepted_once(&all)?;
    ensure!(worker.terminate().await?.success());
    Ok(())
}

pub(crate) async fn nothing_is_given_to_the_worker_of_another_queue(_: String) -> Result<()> {
    let site = Site::new(EMBEDDED).await?;
    site.fake.set_default(Answer::status(400));
    let worker = site.worker().await?;
    let dead = ids("dead", 1);
    site.publish(&dead).await?;
    wait::until("a dead letter", || async { (site.dead().await.ok()?.len() == 1).then_some(()) }).await?;

    // Another configuration, with a queue of its own, whose `http.listen` is the same.
    let http = site.url("").rsplit_once(':').and_then(|(_, port)| port.parse().ok()).context("a port")?;
    site.configure("second.toml", "second", http, "")?;
    let second = ["--config", "second.toml"];
    let publish = ["publish", "--project", "shop", "--test", "pays"];
    let refused = site.nightbell(&[&second[..], &publish, &["--timeout", "1s"]].concat()).await?;
    ensure!(
        refused.code == Some(69) && refused.stderr.contains("has another queue than second/"),
        "{refused:?}"
    );
    // To look makes no file, which would make the next publish look right.
    for look in [&["status"][..], &["dead", "list"]] {
        let refused = site.nightbell(&[&second[..], look].concat()).await?;
        ensure!(refused.code == Some(69), "{look:?}: {refused:?}");
        ensure!(!site.folder().join("second/queue.redb").exists(), "{look:?} made a file");
    }
    let refused = site.nightbell(&[&second[..], &publish, &["--timeout", "1s"]].concat()).await?;
    ensure!(refused.code == Some(69), "{refused:?}");
    ensure!(site.fake.requests().len() == 1, "the first worker has posted its own alert only");
    ensure!(worker.terminate().await?.success());
    // Without it, a queue of its own is as good as any; with it, a folder where no worker has run is not.
    site.nightbell(&[&second[..], &publish].concat()).await?.success()?;
    let worker = site.worker().await?;
    let refused = site.nightbell(&[&second[..], &publish, &["--timeout", "1s"]].concat()).await?;
    ensure!(refused.code == Some(69), "{refused:?}");
    ensure!(worker.terminate().await?.success());
    let said = site.nightbell(&[&second[..], &["check", "--online"]].concat()).await?.success()?;
    ensure!(said.contains("1 waiting, 0 dead"), "{said}");
    Ok(())
}

pub(crate) async fn a_drain_moves_all_that_waits_and_the_dead_letters(url: String) -> Result<()> {
    let site = Site::new(EMBEDDED).await?;
    // One dies; the destination then fails, so that some wait for their retry.
    site.fake.script([Answer::status(400)]);
    site.fake.set_default(Answer::status(503));
    let worker = site.worker().await?;
    let dead = ids("dead", 1);
    site.publish(&dead).await?;
    wait::until("a dead letter", || async { (site.dead().await.ok()?.len() == 1).then_some(()) }).await?;
    let waiting = ids("waiting", 40);
    site.publish(&waiting).await?;
    wait::until("an open breaker", || async {
        site.metric("nightbell_breaker_open{connector=\"sre\"}").await.ok().filter(|open| *open > 0.5)
    })
    .await?;
    let to = ["queue", "drain", "--to", &url, "--prefix", site.prefix()];
    let refused = site.nightbell(&to).await?;
    ensure!(refused.code == Some(75) && refused.stderr.contains("stop the worker first"), "{refused:?}");
    ensure!(worker.terminate().await?.success());

    let said = site.nightbell(&[&to[..], &["--json"]].concat()).await?.success()?;
    let said: Value = serde_json::from_str(&said)?;
    let moved = said["ready"].as_u64().context("ready")? + said["retries"].as_u64().context("retries")?;
    ensure!(moved == 40 && said["dead"] == 1 && said["complete"] == true, "{said}");
    let again = site.nightbell(&to).await?.success()?;
    ensure!(again == "moved 0 alerts that waited, 0 retries and 0 dead letters\n", "{again}");

    // The same site on RabbitMQ.
    let site = site.moved_to(&url)?;
    site.fake.set_default(Answer::accepted());
    let worker = site.worker().await?;
    site.all_accepted(&waiting).await?;
    ensure!(site.dead().await?.len() == 1);
    site.nightbell(&["dead", "replay"]).await?.success()?;
    site.all_accepted(&dead).await?;
    let all = [waiting, dead].concat();
    site.conserves(&all, 0).await?;
    site.accepted_once(&all)?;
    drop(worker);
    site.close().await
}

pub(crate) async fn a_drain_keeps_what_waits_for_a_connector_that_is_gone_as_dead_letters(
    url: String,
) -> Result<()> {
    let site = Site::new(EMBEDDED).await?;
    let trigger = site.fake.url("gone");
    site.configure_more(&format!(
        "[[connectors]]\nname = \"aaa\"\ntrigger_url = \"{trigger}\"\nusername = \"{USER}\"\n\
         password = \"{PASSWORD}\"\nrecipients = [\"gone\"]\nrate_limit = \"none\"\n\
         [[alert_groups]]\nname = \"all\"\nconnectors = [\"{CONNECTOR}\", \"aaa\"]\nprojects = [\"shop\"]\n",
    ))?;
    let waiting = ids("waiting", 40);
    site.publish(&waiting).await?;
    site.configure_more("")?;
    let to = ["queue", "drain", "--to", &url, "--prefix", site.prefix(), "--json"];
    let said: Value = serde_json::from_str(&site.nightbell(&to).await?.success()?)?;
    ensure!(said == json!({ "ready": 40, "retries": 0, "dead": 40, "complete": true }), "{said}");
    let again: Value = serde_json::from_str(&site.nightbell(&to).await?.success()?)?;
    ensure!(again == json!({ "ready": 0, "retries": 0, "dead": 0, "complete": true }), "{again}");

    let site = site.moved_to(&url)?;
    let worker = site.worker().await?;
    site.all_accepted(&waiting).await?;
    site.accepted_once(&waiting)?;
    let dead = site.dead().await?;
    let are_right = dead.iter().all(|letter| letter["connector"] == "aaa" && letter["reason"] == "unrouted");
    ensure!(dead.len() == 40 && are_right, "{dead:?}");
    drop(worker);
    site.close().await
}

pub(crate) async fn status_and_check_say_what_is_in_the_file(_: String) -> Result<()> {
    let site = Site::new(EMBEDDED).await?;
    let said = site.nightbell(&["check", "--online"]).await?.success()?;
    ensure!(said.contains("is made when the worker starts"), "{said}");
    site.publish(&ids("waiting", 3)).await?;
    let said = site.nightbell(&["check", "--online"]).await?.success()?;
    ensure!(said.contains("3 waiting, 0 dead"), "{said}");
    let ended = site.nightbell(&["status", "--json"]).await?;
    ensure!(ended.code == Some(69) && ended.stderr.contains("no worker listens"), "{ended:?}");
    let said: Value = serde_json::from_str(&ended.stdout)?;
    ensure!(said["queues"][0]["ready"] == 3, "{said}");
    let worker = site.worker().await?;
    let said = site.nightbell(&["status"]).await?.success()?;
    ensure!(said.contains("worker   ready") && said.contains("queue.redb, connected"), "{said}");
    ensure!(worker.terminate().await?.success());
    Ok(())
}

pub(crate) async fn a_full_disk_refuses_what_it_can_not_keep(_: String) -> Result<()> {
    let site = Site::new(EMBEDDED).await?;
    // What is delivered makes room.
    site.fake.set_default(Answer::accepted().after(Duration::from_secs(5)));
    let worker = site.worker_on_a_full_disk(2 << 20).await?;
    let mut kept = Vec::new();
    let mut number = 0;
    let refused = loop {
        number += 1;
        let id = format!("full-{number}");
        let body = format!(
            r#"{{"project":"shop","test":"test {id}","id":"{id}","details":"{}"}}"#,
            "x".repeat(100_000)
        );
        match site.post("/v1/events", "application/json", body).await? {
            (202, _) => kept.push(id),
            (status, text) => break (status, text),
        }
        ensure!(number < 2_000, "the disk never got full: {}", worker.log()?);
    };
    ensure!(refused.0 == 503, "{refused:?}");
    wait::until("a worker that is not ready", || async {
        let (status, body) = site.get("/readyz").await.ok()?;
        (status == 503 && body.contains("queue: ")).then_some(())
    })
    .await?;
    worker.kill9().await?;
    // The disk is freed: what was answered with 202 is there.
    site.fake.set_default(Answer::accepted());
    let worker = site.worker().await?;
    site.all_accepted(&kept).await?;
    site.conserves(&kept, 0).await?;
    drop(worker);
    Ok(())
}

pub(crate) async fn a_queue_file_without_bytes_is_said(_: String) -> Result<()> {
    let site = Site::new(EMBEDDED).await?;
    let file = site.folder().join("data").join("queue.redb");
    std::fs::create_dir_all(site.folder().join("data"))?;
    std::fs::write(&file, b"")?;
    let worker = site.worker().await?;
    let log = worker.log()?;
    let said = log.lines().filter(|line| line.contains("WARN") && line.contains("has no bytes")).count();
    ensure!(said == 1 && log.contains("queue.redb"), "{log}");
    ensure!(worker.terminate().await?.success());
    ensure!(!site.nightbell(&["dead", "list"]).await?.stderr.contains("has no bytes"), "it is a queue now");
    Ok(())
}
