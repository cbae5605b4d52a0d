//! From the queue to xMatters.

use std::time::Duration;

use anyhow::{Result, ensure};
use fake_xmatters::Answer;
use lapin::BasicProperties;
use nightbell_tests::site::{CONNECTOR, Site, alert, ids};
use nightbell_tests::wait;
use serde_json::Value;

pub(crate) async fn an_event_is_delivered_once(url: String) -> Result<()> {
    let site = Site::new(&url).await?;
    let worker = site.worker().await?;
    let ids = ids("once", 50);
    site.publish(&ids).await?;
    site.all_accepted(&ids).await?;
    // The same ids again: each is known.
    site.publish(&ids).await?;
    wait::until("all repeats settled", || settled(&site, "duplicate", 50.0)).await?;
    site.accepted_once(&ids)?;
    site.conserves(&ids, 0).await?;
    ensure!(worker.terminate().await?.success());
    site.close().await
}

pub(crate) async fn a_repeat_within_the_window_is_suppressed(url: String) -> Result<()> {
    let site = Site::new(&url).await?;
    let worker = site.worker().await?;
    for number in 0..5 {
        let id = format!("repeat-{number}");
        let publish = ["publish", "--project", "shop", "--test", "the same test", "--id", &id];
        site.nightbell(&publish).await?.success()?;
    }
    wait::until("four repeats", || settled(&site, "duplicate", 4.0)).await?;
    ensure!(site.fake.accepted_count() == 1);
    site.conserves(&ids("repeat", 5), 4).await?;
    ensure!(worker.terminate().await?.success());
    site.close().await
}

pub(crate) async fn a_503_is_retried_and_delivered(url: String) -> Result<()> {
    let site = Site::new(&url).await?;
    site.fake.script([Answer::status(503), Answer::half_head(), Answer::reset(), Answer::accepted()]);
    let worker = site.worker().await?;
    let ids = ids("retry", 1);
    site.publish(&ids).await?;
    site.all_accepted(&ids).await?;
    let attempts: Vec<_> = site.fake.requests().iter().map(|request| request.attempt).collect();
    ensure!(attempts == [Some(1), Some(2), Some(3), Some(4)], "{attempts:?}");
    let alerts =
        site.fake.requests().iter().all(|request| request.alert_id.as_deref() == Some(&alert(&ids[0])));
    ensure!(alerts, "every attempt has the same alert id");
    wait::until("three retries", || series(&site, "nightbell_retries_scheduled_total", 3.0)).await?;
    site.conserves(&ids, 0).await?;
    drop(worker);
    site.close().await
}

pub(crate) async fn retry_after_is_honoured_by_the_whole_connector(url: String) -> Result<()> {
    let site = Site::new(&url).await?;
    site.fake.script([Answer::status(429).retry_after("3")]);
    let worker = site.worker().await?;
    let ids = ids("throttled", 3);
    site.publish(&ids[..1]).await?;
    wait::until("the 429", || async { (site.fake.requests().len() == 1).then_some(()) }).await?;
    site.publish(&ids[1..]).await?;
    site.all_accepted(&ids).await?;
    let requests = site.fake.requests();
    let first = requests[0].unix_ms;
    let soonest = requests[1..].iter().map(|request| request.unix_ms - first).min().unwrap_or_default();
    ensure!(soonest >= 2_990, "the next request came {soonest} ms after the 429");
    site.conserves(&ids, 0).await?;
    drop(worker);
    site.close().await
}

pub(crate) async fn a_401_opens_the_breaker_and_spends_no_attempt(url: String) -> Result<()> {
    let site = Site::new(&url).await?;
    site.fake.set_default(Answer::status(401));
    let worker = site.worker().await?;
    let ids = ids("unauthorized", 20);
    site.publish(&ids).await?;
    wait::until("an open breaker", || series(&site, "nightbell_breaker_open", 1.0)).await?;
    let status: Value = serde_json::from_str(&site.nightbell(&["status", "--json"]).await?.success()?)?;
    ensure!(status["connectors"][0]["breaker"] == "open", "{status:#}");
    // At most one request for each slot had passed before the first answer came.
    ensure!(site.fake.requests().len() <= 16, "{}", site.fake.requests().len());
    ensure!(site.dead().await?.is_empty());
    // The operator puts it right; a new worker begins with a closed breaker.
    worker.kill9().await?;
    site.fake.set_default(Answer::accepted());
    let worker = site.worker().await?;
    site.all_accepted(&ids).await?;
    let spent = site.fake.requests().iter().filter(|request| request.attempt != Some(1)).count();
    ensure!(spent == 0, "{spent} attempts were counted");
    site.conserves(&ids, 0).await?;
    drop(worker);
    site.close().await
}

pub(crate) async fn an_unreachable_destination_is_tried_until_it_is_back(url: String) -> Result<()> {
    let site = Site::new(&url).await?;
    site.fake.set_default(Answer::close());
    let worker = site.worker().await?;
    let ids = ids("outage", 30);
    site.publish(&ids).await?;
    wait::until("an open breaker", || series(&site, "nightbell_breaker_open", 1.0)).await?;
    let before = site.fake.requests().len();
    ensure!(before <= 5 + 16, "{before} requests before the breaker opened");
    site.fake.set_default(Answer::accepted());
    site.all_accepted(&ids).await?;
    site.accepted_once(&ids)?;
    site.conserves(&ids, 0).await?;
    drop(worker);
    site.close().await
}

pub(crate) async fn an_invalid_message_is_kept_with_its_error(url: String) -> Result<()> {
    let site = Site::new(&url).await?;
    let worker = site.worker().await?;
    let queues = site.queues().await?;
    let bodies: [&[u8]; 5] = [
        b"{\"project\":\"shop\",\n \"test\": 5}",
        b"not json",
        b"{\"project\":\"\xff\"}",
        &[b'['; 1000],
        &[b' '; 1024 * 1024 + 1],
    ];
    for body in bodies {
        queues.publish(body, BasicProperties::default()).await?;
    }
    let dead = wait::until("five dead letters", || async {
        site.dead().await.ok().filter(|dead| dead.len() == bodies.len())
    })
    .await?;
    let mut details: Vec<_> = dead.iter().filter_map(|letter| letter["detail"].as_str()).collect();
    details.sort_unstable();
    let wanted = [
        "field `test`: invalid type: integer `5`, expected a string at line 2 column 10",
        "not UTF-8 at byte 12",
        "not a JSON object: expected ident at line 1 column 2",
        "not a JSON object: invalid type: sequence, expected an event, which is a JSON object at line 1 column 0",
        "the body has 1048577 bytes; the most is 1048576",
    ];
    ensure!(details == wanted, "{details:#?}");
    ensure!(dead.iter().all(|letter| letter["reason"] == "invalid" && letter["connector"] == CONNECTOR));
    site.conserves(&[], 0).await?;
    drop(worker);
    site.close().await
}

pub(crate) async fn an_unrouted_event_is_kept(url: String) -> Result<()> {
    let site = Site::new(&url).await?;
    // The worker declares the topology; without the connector's queue, nothing is bound.
    site.worker().await?.kill9().await?;
    unbind(&site).await?;
    let queues = site.queues().await?;
    queues.publish(br#"{"project":"shop","test":"t","id":"nobody"}"#, BasicProperties::default()).await?;
    let dead = site.dead().await?;
    ensure!(dead.len() == 1, "{dead:#?}");
    ensure!(dead[0]["reason"] == "unrouted" && dead[0]["event_id"] == "nobody", "{dead:#?}");
    ensure!(dead[0]["connector"].is_null());
    site.close().await
}

pub(crate) async fn an_expired_alert_is_kept(url: String) -> Result<()> {
    let site = Site::new(&url).await?;
    site.configure_more("[retry]\ngive_up_after = \"5s\"")?;
    site.fake.set_default(Answer::status(500));
    let worker = site.worker().await?;
    let ids = ids("old", 3);
    site.publish(&ids).await?;
    let dead =
        wait::until("three dead letters", || async { site.dead().await.ok().filter(|dead| dead.len() == 3) })
            .await?;
    ensure!(dead.iter().all(|letter| letter["reason"] == "expired"), "{dead:#?}");
    ensure!(dead.iter().all(|letter| letter["attempts"].as_u64() >= Some(1)), "{dead:#?}");
    site.conserves(&ids, 0).await?;
    drop(worker);
    site.close().await
}

pub(crate) async fn an_alert_goes_to_every_connector_that_wants_it(url: String) -> Result<()> {
    let site = Site::new(&url).await?;
    let trigger = site.fake.url("second");
    site.configure_more(&format!(
        "[[connectors]]\nname = \"web\"\ntrigger_url = \"{trigger}\"\nusername = \"{}\"\npassword = \"{}\"\n\
         recipients = [\"web\"]\nrate_limit = \"none\"\n\
         [[alert_groups]]\nname = \"all\"\nconnectors = [\"{CONNECTOR}\", \"web\"]\nprojects = [\"shop-*\"]\n\
         [[alert_groups]]\nname = \"web\"\nconnectors = [\"web\"]\nprojects = [\"web\"]\n",
        nightbell_tests::site::USER,
        nightbell_tests::site::PASSWORD,
    ))?;
    // A destination that hangs must not delay its neighbour.
    site.fake.set_default_for("second", Answer::accepted().after(Duration::from_millis(300)));
    let worker = site.worker().await?;
    for (project, id) in [("shop-eu", "both"), ("web", "web only"), ("other", "nobody")] {
        site.nightbell(&["publish", "--project", project, "--test", id, "--id", id]).await?.success()?;
    }
    wait::until("three posts", || async { (site.fake.accepted_count() == 3).then_some(()) }).await?;
    let name = format!("nightbell_alerts_settled_total{{connector=\"{CONNECTOR}\",result=\"filtered\"}}");
    wait::until("two filtered", || async { site.metric(&name).await.ok().filter(|count| *count > 1.5) })
        .await?;
    let mut got: Vec<_> = site
        .fake
        .requests()
        .iter()
        .map(|request| (&*request.function == "second", request.event_id.clone().unwrap_or_default()))
        .collect();
    got.sort();
    let want = [(false, "both"), (true, "both"), (true, "web only")].map(|(web, id)| (web, id.to_owned()));
    ensure!(got == want, "{got:?}");
    drop(worker);
    site.close_with(&[CONNECTOR, "web"]).await
}

async fn settled(site: &Site, result: &str, count: f64) -> Option<()> {
    let name = format!("nightbell_alerts_settled_total{{connector=\"{CONNECTOR}\",result=\"{result}\"}}");
    (site.metric(&name).await.ok()? >= count).then_some(())
}

async fn series(site: &Site, name: &str, count: f64) -> Option<()> {
    let name = format!("{name}{{connector=\"{CONNECTOR}\"}}");
    (site.metric(&name).await.ok()? >= count).then_some(())
}

/// Removes the connector's queue, so that no queue is bound to the events.
async fn unbind(site: &Site) -> Result<()> {
    let queues = site.queues().await?;
    let name = format!("{}.connector.{CONNECTOR}", site.prefix());
    let channel = queues.channel().await?;
    channel.queue_delete(name.as_str().into(), lapin::options::QueueDeleteOptions::default()).await?;
    Ok(())
}
