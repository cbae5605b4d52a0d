//! What an operator does: read and replay dead letters, look at metrics and status, reload.

use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use fake_xmatters::Answer;
use nightbell_tests::site::{CONNECTOR, PASSWORD, Site, USER, ids};
use nightbell_tests::wait;
use rustix::process::Signal;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;

pub(crate) async fn a_400_is_dead_lettered_then_put_right_and_replayed_once(url: String) -> Result<()> {
    let site = Site::new(&url).await?;
    site.fake.set_default(Answer::status(400).text(r#"{"code":400,"reason":"unknown property"}"#));
    let worker = site.worker().await?;
    let ids = ids("refused", 3);
    site.publish(&ids).await?;
    dead(&site, 3).await?;
    let table = site.nightbell(&["dead", "list"]).await?.success()?;
    ensure!(
        table.contains("refused") && table.contains("HTTP 400") && table.contains("unknown property"),
        "{table}"
    );

    let plan = site.nightbell(&["dead", "replay", "--dry-run"]).await?.success()?;
    ensure!(plan.contains("3 dead letters would be replayed"), "{plan}");
    ensure!(site.dead().await?.len() == 3, "a dry run changes nothing");

    // Still wrong: it dies again, and a second replay is not taken for the first.
    let one = site.dead().await?[0]["id"].as_str().context("an id")?[..12].to_owned();
    site.nightbell(&["dead", "replay", "--id", &one]).await?.success()?;
    wait::until("a fourth request", || async { (site.fake.requests().len() == 4).then_some(()) }).await?;
    dead(&site, 3).await?;

    site.fake.set_default(Answer::accepted());
    let said = site.nightbell(&["dead", "replay"]).await?.success()?;
    ensure!(said == "replayed 3 dead letters\n", "{said}");
    site.all_accepted(&ids).await?;
    site.conserves(&ids, 0).await?;
    site.accepted_once(&ids)?;
    ensure!(site.dead().await?.is_empty());
    let said = site.nightbell(&["dead", "replay"]).await?.success()?;
    ensure!(said == "replayed 0 dead letters\n", "{said}");
    drop(worker);
    site.close().await
}

pub(crate) async fn dead_letters_are_listed_grouped_shown_exported_and_discarded(url: String) -> Result<()> {
    let site = Site::new(&url).await?;
    site.fake.set_default(Answer::status(422));
    let worker = site.worker().await?;
    site.publish(&ids("verbs", 4)).await?;
    dead(&site, 4).await?;

    let groups: Vec<Value> = json(&site, &["dead", "groups", "--json"]).await?;
    ensure!(groups.len() == 1 && groups[0]["count"] == 4 && groups[0]["reason"] == "refused", "{groups:#?}");
    for (selector, count) in [
        (&["--connector", CONNECTOR][..], 4),
        (&["--connector", "web"], 0),
        (&["--reason", "expired"], 0),
        (&["--project", "sh*"], 4),
        (&["--since", "1h"], 4),
        (&["--until", "1h"], 0),
        (&["--limit", "2"], 2),
    ] {
        let letters: Vec<Value> = json(&site, &[&["dead", "list", "--json"], selector].concat()).await?;
        ensure!(letters.len() == count, "{selector:?}: {letters:#?}");
    }
    let id = site.dead().await?[0]["id"].as_str().context("an id")?.to_owned();
    let shown = site.nightbell(&["dead", "show", &id[..8]]).await?.success()?;
    ensure!(shown.contains("\"project\": \"shop\"") && shown.contains("attempt"), "{shown}");
    ensure!(site.nightbell(&["dead", "show", "ffffffffffff"]).await?.code == Some(66));
    let lines = site.nightbell(&["dead", "export"]).await?.success()?;
    let bodies = lines.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    ensure!(bodies.len() == 4 && bodies.iter().all(|letter| letter["body"].is_string()), "{lines}");

    ensure!(site.nightbell(&["dead", "discard"]).await?.code == Some(64), "it asks, and nobody can answer");
    let said = site.nightbell(&["dead", "discard", "--id", &id, "--yes"]).await?.success()?;
    ensure!(said == "discarded 1 dead letter\n", "{said}");
    dead(&site, 3).await?;
    drop(worker);
    site.close().await
}

pub(crate) async fn an_unrouted_event_is_replayed_to_the_connectors_that_are_there_now(
    url: String,
) -> Result<()> {
    let site = Site::new(&url).await?;
    site.worker().await?.kill9().await?;
    let channel = site.queues().await?.channel().await?;
    let name = format!("{}.connector.{CONNECTOR}", site.prefix());
    channel.queue_delete(name.as_str().into(), lapin::options::QueueDeleteOptions::default()).await?;
    let queues = site.queues().await?;
    let ids = ids("unrouted", 1);
    let body = format!(r#"{{"project":"shop","test":"t","id":"{}"}}"#, ids[0]);
    queues.publish(body.as_bytes(), lapin::BasicProperties::default()).await?;
    dead(&site, 1).await?;
    let worker = site.worker().await?;
    site.nightbell(&["dead", "replay", "--reason", "unrouted"]).await?.success()?;
    site.all_accepted(&ids).await?;
    site.conserves(&ids, 0).await?;
    ensure!(site.dead().await?.is_empty());
    drop(worker);
    site.close().await
}

pub(crate) async fn metrics_pass_promtool_and_every_series_is_there_from_the_start(
    url: String,
) -> Result<()> {
    let site = Site::new(&url).await?;
    let worker = site.worker().await?;
    let (_, before) = site.get("/metrics").await?;
    promtool(&before).await?;
    let names = |text: &str| -> Vec<String> {
        let series = text.lines().filter(|line| !line.starts_with('#'));
        let mut names: Vec<String> =
            series.filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned())).collect();
        names.sort();
        names
    };
    site.fake.script([Answer::status(503), Answer::status(400), Answer::accepted()]);
    let ids = ids("series", 2);
    site.publish(&ids).await?;
    wait::until("three requests", || async { (site.fake.requests().len() == 3).then_some(()) }).await?;
    site.conserves(&ids, 0).await?;
    let (_, after) = site.get("/metrics").await?;
    promtool(&after).await?;
    ensure!(names(&before) == names(&after), "before:\n{before}\nafter:\n{after}");
    for family in [
        "nightbell_attempt_duration_seconds_bucket",
        "nightbell_delivery_latency_seconds_bucket",
        "nightbell_ledger_commit_duration_seconds_bucket",
        "nightbell_queue_depth",
        "nightbell_dead_letters ",
        "process_resident_memory_bytes",
    ] {
        ensure!(before.contains(family), "{family} is missing:\n{before}");
    }
    drop(worker);
    site.close().await
}

pub(crate) async fn no_secret_shows_anywhere(url: String) -> Result<()> {
    let site = Site::new(&url).await?;
    let config = site.folder().join("nightbell.toml");
    let admin = "planted-admin-token";
    let text = std::fs::read_to_string(&config)?
        .replace("[http]", &format!("[http]\nadmin_token = \"{admin}\""))
        .replace("[[connectors]]", "[[connectors]]\nmax_in_flight = 1");
    std::fs::write(&config, text)?;
    let faults =
        [Answer::reset(), Answer::garbage(), Answer::html_error(502), Answer::hang(), Answer::half_head()];
    site.fake.script(faults);
    // The answer throws the credentials back at us.
    let echo = format!("no such user {USER} with {PASSWORD} at {}", site.fake.trigger_url());
    site.fake.set_default(Answer::status(400).text(echo));
    let mut worker = nightbell_tests::program::Worker::start_with(
        site.folder(),
        "nightbell.toml",
        "worker.log",
        &["--log", "trace"],
    )?;
    site.publish(&ids("secret", 2)).await?;
    dead(&site, 2).await?;
    let mut all = String::new();
    for command in [
        &["check"][..],
        &["check", "--online"],
        &["status"],
        &["status", "--json"],
        &["dead", "list", "--json"],
        &["dead", "export"],
        &["topology"],
    ] {
        let ended = site.nightbell(command).await?;
        all += &ended.stdout;
        all += &ended.stderr;
    }
    all += &site.get("/metrics").await?.1;
    all += &site.get("/readyz").await?.1;
    worker.signal(Signal::TERM)?;
    worker.ended().await?;
    all += &worker.log()?;
    ensure!(all.contains("delivery attempted"), "the log is at work");
    let basic = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, format!("{USER}:{PASSWORD}"));
    let path = "/api/integration/1/functions/";
    for secret in [PASSWORD, admin, &basic, path, "guest:guest"] {
        if let Some(line) = all.lines().find(|line| line.contains(secret)) {
            anyhow::bail!("`{secret}` shows in: {line}");
        }
    }
    site.close().await
}

pub(crate) async fn no_log_level_shows_a_secret(url: String) -> Result<()> {
    let libraries = "lapin=trace,lapin::io_loop=trace,amq_protocol=trace,amq_protocol_types=trace,tcp_stream=trace,\
                     reqwest::connect=trace,hyper=trace,hyper_util::client=trace,h2=trace,rustls=trace,sled=trace,redb=trace";
    for level in ["trace", "lapin::io_loop=trace", libraries, "[io_loop]=trace"] {
        let site = Site::new(&url).await?;
        site.fake.set_default(Answer::status(400));
        let mut worker = site.start_in(&[("NIGHTBELL_LOG", level)], &[])?;
        site.is_ready().await?;
        site.publish(&ids("level", 1)).await?;
        dead(&site, 1).await?;
        let mut all = String::new();
        for command in [
            &["check", "--online"][..],
            &["status"],
            &["dead", "show", "0"],
            &["connectors", "test", CONNECTOR],
            &["publish", "--project", "shop", "--test", "buys"],
            &["dead", "replay", "--dry-run"],
        ] {
            let ended = site.nightbell(&[&["--log", level], command].concat()).await?;
            all += &(ended.stdout + &ended.stderr);
        }
        worker.signal(Signal::TERM)?;
        worker.ended().await?;
        all += &worker.log()?;
        let basic = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, format!("{USER}:{PASSWORD}"));
        // lapin shows the bytes of its login one by one.
        let login = "0, 103, 117, 101, 115, 116, 0, 103, 117";
        let path = "/api/integration/1/functions/";
        for secret in [PASSWORD, &basic, path, "guest:guest", "\\0guest", "\\u{0}guest", "\0guest", login] {
            if let Some(line) = all.lines().find(|line| line.contains(secret)) {
                anyhow::bail!("`{secret}` shows with {level} in: {line}");
            }
        }
        site.close().await?;
    }
    Ok(())
}

pub(crate) async fn status_and_check_say_what_is_there(url: String) -> Result<()> {
    let site = Site::new(&url).await?;
    let ended = site.nightbell(&["check", "--online"]).await?;
    ensure!(ended.code == Some(69) && ended.stdout.contains("FAIL  topology"), "{ended:?}");
    let worker = site.worker().await?;
    let said = site.nightbell(&["check", "--online"]).await?.success()?;
    ensure!(said.contains("  broker: RabbitMQ ") && said.contains("ok    destination of sre"), "{said}");
    let said = site.nightbell(&["status"]).await?.success()?;
    ensure!(said.contains("worker   ready") && said.contains(CONNECTOR), "{said}");
    worker.kill9().await?;
    let ended = site.nightbell(&["status"]).await?;
    ensure!(ended.code == Some(69) && ended.stderr.contains("no worker listens"), "{ended:?}");
    ensure!(ended.stdout.contains("connector.sre"), "the queues are shown all the same: {ended:?}");
    site.close().await
}

pub(crate) async fn a_reload_changes_the_routing_and_a_bad_file_changes_nothing(url: String) -> Result<()> {
    let site = Site::new(&url).await?;
    let worker = site.worker().await?;
    site.configure_more(
        "[[alert_groups]]\nname = \"g\"\nprojects = [\"only-this\"]\nconnectors = [\"sre\"]",
    )?;
    worker.signal(Signal::HUP)?;
    wait::until("a reload", || async { worker.log().ok()?.contains("was reloaded").then_some(()) }).await?;
    site.publish(&ids("ignored", 1)).await?;
    let filtered = "nightbell_alerts_settled_total{connector=\"sre\",result=\"filtered\"}";
    wait::until("a filtered event", || async {
        site.metric(filtered).await.ok().filter(|count| *count > 0.5)
    })
    .await?;

    site.configure_more("nonsense = 1")?;
    worker.signal(Signal::HUP)?;
    let failed = "nightbell_config_last_reload_successful";
    wait::until("a failed reload", || async { site.metric(failed).await.ok().filter(|value| *value < 0.5) })
        .await?;
    ensure!(worker.log()?.contains("unknown key `nonsense`"), "{}", worker.log()?);
    // The command would refuse the file.
    let body = r#"{"project":"shop","test":"t","id":"ignored too"}"#;
    ensure!(site.post("/v1/events", "application/json", body).await?.0 == 202);
    wait::until("a filtered event", || async {
        site.metric(filtered).await.ok().filter(|count| *count > 1.5)
    })
    .await?;

    site.configure_more("")?;
    worker.signal(Signal::HUP)?;
    wait::until("a good reload", || async { site.metric(failed).await.ok().filter(|value| *value > 0.5) })
        .await?;
    let ids = ids("wanted", 1);
    site.publish(&ids).await?;
    site.all_accepted(&ids).await?;
    ensure!(worker.terminate().await?.success());
    site.close().await
}

pub(crate) async fn an_alert_whose_group_moved_while_it_was_retried_is_replayed_to_where_it_goes_now(
    url: String,
) -> Result<()> {
    let site = Site::new(&url).await?;
    let trigger = site.fake.url("second");
    let given_to = |connector: &str| {
        site.configure_more(&format!(
            "[[connectors]]\nname = \"second\"\ntrigger_url = \"{trigger}\"\nusername = \"{USER}\"\n\
             password = \"{PASSWORD}\"\nrecipients = [\"web\"]\nrate_limit = \"none\"\n\
             [[alert_groups]]\nname = \"g\"\nprojects = [\"*\"]\nconnectors = [\"{connector}\"]"
        ))
    };
    given_to(CONNECTOR)?;
    site.fake.set_default(Answer::status(503));
    site.fake.set_default_for("second", Answer::accepted());
    let worker = site.worker().await?;
    site.publish(&ids("moved", 1)).await?;
    wait::until("an attempt", || async { (!site.fake.requests().is_empty()).then_some(()) }).await?;
    given_to("second")?;
    worker.signal(Signal::HUP)?;
    dead(&site, 1).await.with_context(|| worker.log().unwrap_or_default())?;
    ensure!(site.dead().await?[0]["reason"] == "unrouted", "{:?}", site.dead().await?);

    site.nightbell(&["dead", "replay"]).await?.success()?;
    // Only the second one's trigger accepts.
    site.fake.wait_until(|snapshot| snapshot.summary().accepted == 1, wait::WAIT_MAX).await?;
    ensure!(site.dead().await?.is_empty());
    ensure!(worker.terminate().await?.success());
    site.close_with(&[CONNECTOR, "second"]).await
}

/// Waits for so many dead letters.
async fn dead(site: &Site, count: usize) -> Result<()> {
    wait::until("dead letters", || async { site.dead().await.ok().filter(|dead| dead.len() == count) })
        .await
        .map(drop)
}

async fn json<T: serde::de::DeserializeOwned>(site: &Site, arguments: &[&str]) -> Result<T> {
    Ok(serde_json::from_str(&site.nightbell(arguments).await?.success()?)?)
}

/// `promtool check metrics`, which finds missing help texts, wrong units and odd names.
async fn promtool(metrics: &str) -> Result<()> {
    let mut command = tokio::process::Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("run promtool (Debian package prometheus)")?;
    let mut input = child.stdin.take().context("its standard input")?;
    input.write_all(metrics.as_bytes()).await?;
    drop(input);
    let output = child.wait_with_output().await?;
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success() && said.trim().is_empty(), "promtool: {said}");
    Ok(())
}
