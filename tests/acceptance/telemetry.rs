//! Traces and log lines, as a collector and a log reader see them.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fake_xmatters::Answer;
use nightbell_tests::collector::{Collector, Spanned};
use nightbell_tests::program;
use nightbell_tests::site::{CONNECTOR, EMBEDDED, PASSWORD, Site, alert, free_port, ids};
use nightbell_tests::wait;
use rustix::fs::OFlags;
use rustix::process::Signal;
use serde_json::Value;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn traceparent() -> String {
    format!("00-{TRACE}-00f067aa0ba902b7-01")
}

/// Publishes one event as a build system would that traces itself.
async fn publish_traced(site: &Site, id: &str) -> Result<()> {
    let event = ["publish", "--project", "shop", "--test", "pays", "--id", id, "--message", "secret body"];
    let environment = [("TRACEPARENT", traceparent()), ("TRACESTATE", "vendor=1".to_owned())];
    let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
    program::run_in("nightbell", site.folder(), &environment, &event, b"").await?.success().map(drop)
}

pub(crate) async fn an_alerts_spans_are_in_its_publishers_trace_through_retry_death_and_replay(
    url: String,
) -> Result<()> {
    let (site, collector) = (Site::new(&url).await?, Collector::start().await?);
    site.configure_more(&format!("[telemetry]\notlp_endpoint = \"{}\"", collector.endpoint()))?;
    let worker = site.worker().await?;
    site.fake.script([Answer::status(503), Answer::status(400)]);
    publish_traced(&site, "traced-0").await?;
    wait::until("a dead letter", || async { site.dead().await.ok()?.pop() }).await?;
    site.nightbell(&["dead", "replay"]).await?.success()?;
    site.all_accepted(&["traced-0".to_owned()]).await?;
    ensure!(worker.terminate().await?.success(), "the last spans go out at the end");

    let spans = collector.spans();
    let named = |name: &str| spans.iter().filter(|span| span.name.starts_with(name)).collect::<Vec<_>>();
    let [deliveries, posts, sends, acks] = ["process ", "POST", "send ", "ack "].map(named);
    let posts: Vec<&Spanned> = posts.into_iter().filter(|span| span.name == "POST").collect();
    ensure!(deliveries.len() == 3 && posts.len() == 3 && acks.len() == 3, "{spans:#?}");
    ensure!(sends.len() == 2 && sends.iter().any(|span| span.name.ends_with(".dead")), "{spans:#?}");
    ensure!(spans.iter().all(|span| span.trace_id == TRACE), "{spans:#?}");
    for post in &posts {
        let parent = deliveries.iter().find(|delivery| delivery.span_id == post.parent_id);
        ensure!(parent.is_some(), "an attempt is a child of its delivery: {spans:#?}");
    }
    // What xMatters was sent names the very attempts.
    let mut sent: Vec<_> = site.fake.requests().iter().filter_map(|one| one.traceparent.clone()).collect();
    let mut want: Vec<_> = posts.iter().map(|post| format!("00-{TRACE}-{}-01", post.span_id)).collect();
    sent.sort();
    want.sort();
    ensure!(sent == want, "{sent:?} {want:?}");
    let says = |span: &Spanned, attribute: &str| span.attributes.iter().any(|one| one == attribute);
    ensure!(posts.iter().any(|post| says(post, "http.response.status_code=503")), "{posts:#?}");
    ensure!(deliveries.iter().all(|one| says(one, "messaging.message.id=traced-0")), "{deliveries:#?}");
    ensure!(spans.iter().all(|span| says(span, "service.name=nightbell")), "{spans:#?}");
    let all = format!("{spans:?}");
    ensure!(!all.contains("secret body") && !all.contains(PASSWORD) && !all.contains("/triggers"), "{all}");
    site.close().await
}

pub(crate) async fn a_collector_that_is_down_costs_one_warning(_: String) -> Result<()> {
    let site = Site::new(EMBEDDED).await?;
    let endpoint = format!("http://127.0.0.1:{}/a-token-in-the-path", free_port()?);
    site.configure_more(&format!("[telemetry]\notlp_endpoint = \"{endpoint}\""))?;
    let worker = site.worker().await?;
    let said = "the trace collector takes no spans";
    for round in 0..2 {
        let ids = ids(&format!("down-{round}"), 20);
        site.publish(&ids).await?;
        site.all_accepted(&ids).await?;
        wait::until("the warning", || async { worker.log().ok()?.contains(said).then_some(()) }).await?;
    }
    let ended = site.metric("nightbell_spans_ended_total").await?;
    ensure!(ended > 100.0, "{ended}");
    ensure!(site.metric("nightbell_spans_exported_total").await? < 0.5);
    worker.signal(Signal::TERM)?;
    let log =
        wait::until("the end", || async { worker.log().ok().filter(|log| log.contains("an owner stopped")) })
            .await?;
    ensure!(worker.terminate().await?.success());
    ensure!(log.matches(said).count() == 1, "{log}");
    ensure!(!log.contains("a-token-in-the-path"), "{log}");
    Ok(())
}

pub(crate) async fn each_attempt_is_one_line_with_all_that_is_known_of_it(_: String) -> Result<()> {
    let site = Site::new(EMBEDDED).await?;
    let worker = site.start_in(&[], &["--log-format", "json"])?;
    site.is_ready().await?;
    site.fake.script([Answer::status(503), Answer::accepted(), Answer::status(400)]);
    publish_traced(&site, "line-0").await?;
    site.all_accepted(&["line-0".to_owned()]).await?;
    site.publish(&ids("refused", 1)).await?;
    wait::until("a dead letter", || async { site.dead().await.ok()?.pop() }).await?;
    let log = worker.log()?;
    ensure!(worker.terminate().await?.success());
    let lines: Vec<Value> = log.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let attempts: Vec<&Value> = lines.iter().filter(|line| line["message"] == "delivery attempted").collect();
    let [retried, accepted, refused] = attempts[..] else { anyhow::bail!("{log}") };
    for line in [retried, accepted] {
        ensure!(line["connector"] == CONNECTOR && line["event_id"] == "line-0", "{line}");
        ensure!(line["alert_id"] == alert("line-0") && line["trace_id"] == TRACE, "{line}");
    }
    for line in &attempts {
        ensure!(
            line["took_ms"].is_u64() && line["latency_ms"].is_u64() && line["timestamp"].is_string(),
            "{line}"
        );
    }
    let is = |line: &Value, level, attempt, outcome, verdict| {
        line["level"] == level
            && line["attempt"] == attempt
            && line["outcome"] == outcome
            && line["verdict"] == verdict
    };
    ensure!(is(retried, "WARN", 1, "unavailable", "retry") && retried["status"] == 503, "{retried}");
    ensure!(retried["retry_in_ms"].as_u64().is_some_and(|wait| (500..=1_500).contains(&wait)), "{retried}");
    ensure!(retried["detail"].as_str().is_some_and(|detail| detail.starts_with("HTTP 503")), "{retried}");
    ensure!(is(accepted, "INFO", 2, "accepted", "done"), "{accepted}");
    let request_id = site.fake.requests()[1].request_id.clone();
    ensure!(request_id.is_some() && accepted["request_id"].as_str() == request_id.as_deref(), "{accepted}");
    ensure!(accepted["latency_ms"].as_u64() >= Some(500), "since the publish, the wait included: {accepted}");
    ensure!(is(refused, "WARN", 1, "refused", "dead_letter"), "{refused}");
    ensure!(refused["reason"] == "refused" && refused["trace_id"].is_null(), "{refused}");
    ensure!(!log.contains("secret body") && !log.contains(PASSWORD) && !log.contains("/triggers"), "{log}");
    Ok(())
}

pub(crate) async fn nobody_waits_for_whoever_reads_the_log(_: String) -> Result<()> {
    let site = Site::new(EMBEDDED).await?;
    // The log is a pipe that is held open, and not read.
    let pipe = site.folder().join("worker.log");
    let made = tokio::process::Command::new("mkfifo").arg(&pipe).status().await?;
    ensure!(made.success());
    let not_waiting = i32::try_from(OFlags::NONBLOCK.bits())?;
    let mut reader = File::options().read(true).write(true).custom_flags(not_waiting).open(&pipe)?;
    let mut worker = site.start_in(&[], &["--log-format", "json"])?;
    site.is_ready().await?;
    let dropped = || async { site.metric("nightbell_log_lines_dropped_total").await.unwrap_or_default() };
    ensure!(dropped().await < 0.5);
    site.fake.set_default(Answer::accepted().after(Duration::from_millis(1)));
    let mut round = 0;
    while dropped().await < 0.5 {
        let ids = ids(&format!("unread-{round}"), 1_500);
        site.publish(&ids).await?;
        site.all_accepted(&ids).await?;
        round += 1;
        ensure!(round < 10, "the buffer never got full");
    }
    let mut log = Vec::new();
    let mut until = async |what: &str| {
        wait::until(what, || {
            let mut buffer = [0; 65_536];
            while let Ok(bytes @ 1..) = reader.read(&mut buffer) {
                log.extend_from_slice(&buffer[..bytes]);
            }
            std::future::ready(String::from_utf8_lossy(&log).contains(what).then_some(()))
        })
        .await
    };
    until("log lines were dropped").await?;
    worker.signal(Signal::TERM)?;
    until("an owner stopped").await?;
    ensure!(worker.ended().await?.success());
    let lines = String::from_utf8(log)?;
    let lines = lines.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>();
    let lines = lines.context("each line is whole")?;
    let said: u64 = lines.iter().filter_map(|line| line["dropped"].as_u64()).sum();
    ensure!(said >= 1, "the log says how many are missing");
    Ok(())
}
