//! Workers that are killed, stopped and relieved.

use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fake_xmatters::{Answer, Rates};
use nightbell_core::limits::OPEN_PER_SLOT_MAX;
use nightbell_tests::site::{Site, ids};
use nightbell_tests::wait;
use rustix::process::Signal;

/// Kills under load.
const KILLS: usize = 20;

/// The slots of a connector, by default.
const IN_FLIGHT_MAX: usize = 16;

pub(crate) async fn twenty_kills_under_load_lose_nothing(url: String) -> Result<()> {
    let site = Site::new(&url).await?;
    site.worker().await?.kill9().await?;
    site.fake.set_default(Answer::accepted().after(Duration::from_millis(5)));
    site.fake.set_rates(Rates { fail: 0.1, cut: 0.01, ..Rates::default() });
    let ids = ids("load", 4_000);
    site.publish(&ids).await?;
    for kill in 0..KILLS {
        let worker = site.worker().await?;
        let goal = (kill as u64 + 1) * (ids.len() as u64 / (KILLS as u64 + 2));
        let reached = |snapshot: &fake_xmatters::Snapshot<'_>| snapshot.summary().accepted >= goal;
        site.fake.wait_until(reached, wait::WAIT_MAX).await?;
        worker.kill9().await?;
    }
    let worker = site.worker().await?;
    site.all_accepted(&ids).await?;
    site.conserves(&ids, 0).await?;
    let twice = site.sent_twice(&ids).len();
    ensure!(twice <= KILLS * IN_FLIGHT_MAX * OPEN_PER_SLOT_MAX, "{twice} were sent twice");
    ensure!(site.dead().await?.is_empty());
    drop(worker);
    site.close().await
}

pub(crate) async fn a_standby_takes_over_when_the_first_is_killed(url: String) -> Result<()> {
    let site = Site::new(&url).await?;
    site.fake.set_default(Answer::accepted().after(Duration::from_millis(20)));
    let first = site.worker().await?;
    let second = site.standby().await?;
    let ids = ids("handover", 600);
    site.publish(&ids).await?;
    let some = |snapshot: &fake_xmatters::Snapshot<'_>| snapshot.summary().accepted >= 100;
    site.fake.wait_until(some, wait::WAIT_MAX).await?;
    first.kill9().await?;
    site.all_accepted(&ids).await?;
    // The standby has a ledger of its own: what was accepted and not acknowledged is sent again.
    let twice = site.sent_twice(&ids).len();
    ensure!(twice <= 256, "{twice} were sent twice");
    let queues = site.queues().await?;
    wait::until("an empty queue", || async {
        (queues.ready("connector.sre").await.ok()? == 0).then_some(())
    })
    .await?;
    ensure!(second.terminate().await?.success());
    site.close().await
}

pub(crate) async fn a_stop_finishes_what_is_in_flight_and_hands_the_rest_back(url: String) -> Result<()> {
    let site = Site::new(&url).await?;
    site.fake.set_default(Answer::accepted().after(Duration::from_millis(700)));
    let worker = site.worker().await?;
    let ids = ids("stop", 60);
    site.publish(&ids).await?;
    wait::until("full slots", || async { (site.fake.requests().len() >= IN_FLIGHT_MAX).then_some(()) })
        .await?;
    let log = site.folder().join("worker.log");
    ensure!(worker.terminate().await?.success());
    let log = std::fs::read_to_string(log)?;
    ensure!(log.contains("an owner stopped") && log.contains("uncertain=0"), "{log}");
    let sent = site.fake.requests().len();
    ensure!(sent < ids.len(), "some were left to hand back");
    site.fake.set_default(Answer::accepted());
    let worker = site.worker().await?;
    site.all_accepted(&ids).await?;
    site.conserves(&ids, 0).await?;
    site.accepted_once(&ids).context("what was finished is not sent again")?;
    drop(worker);
    site.close().await
}

pub(crate) async fn a_second_signal_ends_at_once(url: String) -> Result<()> {
    let site = Site::new(&url).await?;
    site.configure_more("[worker]\nshutdown_grace = \"60s\"")?;
    site.fake.set_default(Answer::hang());
    let mut worker = site.worker().await?;
    let ids = ids("hang", 1);
    site.publish(&ids).await?;
    wait::until("the request", || async { (!site.fake.requests().is_empty()).then_some(()) }).await?;
    worker.signal(Signal::TERM)?;
    wait::until("the first signal", || async { worker.log().ok()?.contains("stopping").then_some(()) })
        .await?;
    worker.signal(Signal::TERM)?;
    let status = worker.ended().await?;
    ensure!(!status.success() && status.signal().is_none(), "{status}");
    site.fake.set_default(Answer::accepted());
    let worker = site.worker().await?;
    site.all_accepted(&ids).await?;
    drop(worker);
    site.close().await
}

pub(crate) async fn a_damaged_ledger_is_moved_aside_and_delivery_goes_on(url: String) -> Result<()> {
    let site = Site::new(&url).await?;
    let worker = site.worker().await?;
    let first = ids("before", 10);
    site.publish(&first).await?;
    site.all_accepted(&first).await?;
    ensure!(worker.terminate().await?.success());
    std::fs::write(site.folder().join("data/ledger/db"), b"no database at all")?;
    std::fs::write(site.folder().join("data/ledger/conf"), b"no configuration at all")?;
    let worker = site.worker().await?;
    ensure!(site.metric("nightbell_ledger_reset_total").await? > 0.5, "{}", worker.log()?);
    ensure!(worker.log()?.contains("ERROR"), "it is said loudly");
    let second = ids("after", 10);
    site.publish(&second).await?;
    site.all_accepted(&second).await?;
    drop(worker);
    site.close().await
}

pub(crate) async fn a_full_disk_stops_the_acks_shows_in_readyz_and_loses_nothing(url: String) -> Result<()> {
    /// The batches that surely fill the disk, and the events of each.
    const BATCHES_MAX: usize = 30;
    const BATCH: usize = 500;
    let site = Site::new(&url).await?;
    let worker = site.worker_on_a_full_disk(2 << 20).await?;
    let mut published = Vec::new();
    while site.get("/readyz").await?.0 == 200 {
        let batch = ids(&format!("full-{}", published.len()), BATCH);
        site.publish(&batch).await?;
        published.extend(batch);
        ensure!(published.len() < BATCHES_MAX * BATCH, "the disk never got full: {}", worker.log()?);
    }
    let missing = wait::until("what is missing", || async {
        let (status, body) = site.get("/readyz").await.ok()?;
        (status == 503 && body.contains("owner of sre: stopped")).then_some(body)
    })
    .await?;
    ensure!(missing.contains("ledger: "), "{missing}");
    ensure!(site.metric("nightbell_owner_stopped{connector=\"sre\"}").await? > 0.5);
    ensure!(worker.log()?.contains("the owner stops without acknowledging anything"), "{}", worker.log()?);
    worker.kill9().await?;
    // The disk is freed.
    let worker = site.worker().await?;
    site.all_accepted(&published).await?;
    site.conserves(&published, 0).await?;
    drop(worker);
    site.close().await
}

/// What it costs not to is measured by the benchmark `memory`.
pub(crate) async fn the_worker_has_its_allocator_give_back_what_is_freed(url: String) -> Result<()> {
    let site = Site::new(&url).await?;
    let worker = site.worker().await?;
    let id = worker.id().context("it runs")?;
    let environment = std::fs::read(format!("/proc/{id}/environ"))?;
    let mut variables = environment.split(|byte| *byte == 0);
    ensure!(variables.any(|variable| variable == b"MALLOC_MMAP_THRESHOLD_=65536"));
    worker.kill9().await?;
    site.close().await
}
