//! Floods: what they may take, and whom they must not touch.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use fake_xmatters::{Answer, Kind, Recorded};
use nightbell_tests::process::usage;
use nightbell_tests::program::{self, Worker};
use nightbell_tests::site::{CONNECTOR, EMBEDDED, PASSWORD, Site, USER, ids};
use nightbell_tests::wait;

/// The most memory that a worker may ever have had resident, in bytes.
const RESIDENT_MAX_BYTES: u64 = 96 << 20;

/// So many times, so many alerts are published to a connector with a neighbour.
const ROUNDS: usize = 3;
/// See [`ROUNDS`].
const ALERTS: usize = 50;

/// What the embedded queue takes before it refuses events (`nightbell_embedded::MESSAGES_MAX_DEFAULT`).
const EMBEDDED_MAX: usize = 500_000;

/// How many events wait for a worker, unless the environment says otherwise.
const BACKLOG_DEFAULT: usize = 3_000;

pub(crate) async fn a_storm_on_one_key_is_one_post_in_bounded_memory(url: String) -> Result<()> {
    const STORM: usize = 20_000;
    let site = Site::new(&url).await?;
    let worker = site.worker().await?;
    let ids = ids("storm", STORM);
    let line = |id: &String| format!("{{\"project\":\"shop\",\"test\":\"pays\",\"id\":\"{id}\"}}\n");
    let lines: String = ids.iter().map(line).collect();
    let ended = program::run("nightbell", site.folder(), &["publish"], lines.as_bytes()).await?;
    ensure!(ended.success()?.contains("published 20000"));
    let repeats = format!("nightbell_alerts_settled_total{{connector=\"{CONNECTOR}\",result=\"duplicate\"}}");
    wait::until("repeats", || async {
        site.metric(&repeats).await.ok().filter(|count| *count >= (STORM - 1) as f64)
    })
    .await?;
    site.conserves(&ids, STORM - 1).await?;
    ensure!(site.fake.requests().len() == 1, "{} posts", site.fake.requests().len());
    stayed_small("storm", &worker)?;
    ensure!(worker.terminate().await?.success());
    site.close().await
}

pub(crate) async fn a_flood_of_large_events_stays_within_the_memory(url: String) -> Result<()> {
    const FLOOD: usize = 200;
    /// So many at a time are published.
    const BATCH: usize = 20;
    let site = Site::new(&url).await?.patient()?;
    // They wait, and come as fast as the queue can deliver.
    site.worker().await?.kill9().await?;
    site.fake.set_default(Answer::accepted().after(Duration::from_millis(50)));
    let ids = ids("flood", FLOOD);
    let details = "x".repeat((1 << 20) - 200);
    for batch in ids.chunks(BATCH) {
        let line = |id: &String| {
            format!(
                "{{\"project\":\"shop\",\"test\":\"test {id}\",\"id\":\"{id}\",\"details\":\"{details}\"}}\n"
            )
        };
        let lines: String = batch.iter().map(line).collect();
        program::run("nightbell", site.folder(), &["publish"], lines.as_bytes()).await?.success()?;
    }
    let worker = site.worker().await?;
    site.all_accepted(&ids).await?;
    site.conserves(&ids, 0).await?;
    site.accepted_once(&ids)?;
    stayed_small("flood", &worker)?;
    ensure!(worker.terminate().await?.success());
    site.close().await
}

pub(crate) async fn a_connector_that_never_answers_leaves_its_neighbour_alone(url: String) -> Result<()> {
    /// How much longer its neighbour may take. What it would take if one held the other up is the time-out, which is a
    /// thousand times as long.
    const LONGER_MAX: u32 = 10;
    let site = Site::new(&url).await?;
    let trigger = site.fake.url("silent");
    site.configure_more(&format!(
        "[[connectors]]\nname = \"silent\"\ntrigger_url = \"{trigger}\"\nusername = \"{USER}\"\n\
         password = \"{PASSWORD}\"\nrecipients = [\"web\"]\nrate_limit = \"none\"\ntimeout = \"60s\"\n\
         [[alert_groups]]\nname = \"all\"\nconnectors = [\"{CONNECTOR}\", \"silent\"]\nprojects = [\"*\"]\n"
    ))?;
    let worker = site.worker().await?;
    let usual = fastest(&site, "usual").await?;
    site.fake.set_default_for("silent", Answer::hang());
    let beside = fastest(&site, "beside").await?;
    ensure!(beside <= usual * LONGER_MAX, "{beside:?} beside one that hangs, else {usual:?}");
    let hanging = |request: &&Arc<Recorded>| request.kind == Kind::Hang;
    let silent = site.fake.requests().iter().filter(hanging).count();
    ensure!((1..=16).contains(&silent), "the silent one holds its slots and no more: {silent}");
    stayed_small("neighbour", &worker)?;
    worker.kill9().await?;

    site.fake.set_default_for("silent", Answer::accepted());
    let worker = site.worker().await?;
    wait::until("the silent one's alerts", || async {
        (site.fake.summary().alerts == 2 * 2 * (ROUNDS * ALERTS) as u64).then_some(())
    })
    .await?;
    drop(worker);
    site.close_with(&[CONNECTOR, "silent"]).await
}

/// The shortest of some rounds, from the publishing of the first to the acceptance of the last.
async fn fastest(site: &Site, name: &str) -> Result<Duration> {
    let mut best = Duration::MAX;
    for round in 0..ROUNDS {
        let ids = ids(&format!("{name}-{round}"), ALERTS);
        let began = Instant::now();
        site.publish(&ids).await?;
        site.all_accepted(&ids).await?;
        best = best.min(began.elapsed());
    }
    Ok(best)
}

pub(crate) async fn a_backlog_is_worked_off_in_bounded_memory(url: String) -> Result<()> {
    /// So many at a time are published.
    const BATCH: usize = 50_000;
    let backlog = super::count("NIGHTBELL_BACKLOG", BACKLOG_DEFAULT)?;
    let backlog = if url == EMBEDDED { backlog.min(EMBEDDED_MAX) } else { backlog };
    let site = Site::new(&url).await?;
    site.worker().await?.kill9().await?;
    let ids = ids("backlog", backlog);
    for batch in ids.chunks(BATCH) {
        site.publish(batch).await?;
    }
    let worker = site.worker().await?;
    // As long as more arrive, it may take as long as it takes.
    let mut before = 0;
    while before < backlog as u64 {
        let more = |snapshot: &fake_xmatters::Snapshot<'_>| snapshot.summary().alerts > before;
        before = site.fake.wait_until(more, wait::WAIT_MAX).await?.alerts;
    }
    site.conserves(&ids, 0).await?;
    site.accepted_once(&ids)?;
    stayed_small("backlog", &worker)?;
    ensure!(worker.terminate().await?.success());
    site.close().await
}

fn stayed_small(what: &str, worker: &Worker) -> Result<()> {
    let resident = usage(worker.id().context("the worker has ended")?)?.resident_max_bytes;
    println!("chaos: {what}: {} MiB resident at most", resident >> 20);
    ensure!(resident <= RESIDENT_MAX_BYTES, "{what}: {} MiB were resident", resident >> 20);
    Ok(())
}
