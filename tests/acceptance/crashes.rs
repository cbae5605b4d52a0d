//! What a crash leaves, step by step: the table of deploy/guide/crashes.md. The worker kills itself with SIGKILL at a named point,
//! or is killed from outside while xMatters holds its answer back.

use std::os::unix::process::ExitStatusExt as _;

use anyhow::{Context as _, Result, ensure};
use fake_xmatters::Answer;
use nightbell_tests::site::{Site, ids};
use nightbell_tests::wait;

/// What must hold after the worker came back.
struct Want {
    /// How often the event was accepted.
    accepted: u32,
    /// How many requests were made for it.
    requests: usize,
}

/// Crashes a worker at `point` with one event, starts another one, and compares.
async fn crash(url: &str, point: &str, first: Option<Answer>, want: Want) -> Result<()> {
    let site = Site::new(url).await?;
    // The topology must be there before the event.
    site.worker().await?.kill9().await?;
    site.fake.script(first);
    let ids = ids(point, 1);
    site.publish(&ids).await?;
    let mut worker = site.start(&format!("{point}=return"))?;
    let status = worker.ended().await.with_context(|| worker.log().unwrap_or_default())?;
    ensure!(status.signal() == Some(9), "it was not killed at `{point}`: {status}");

    let worker = site.worker().await?;
    site.all_accepted(&ids).await?;
    site.conserves(&ids, 0).await?;
    let (accepted, requests) = (site.accepted(&ids)[&ids[0]], site.fake.requests().len());
    ensure!(accepted == want.accepted, "accepted {accepted} times");
    ensure!(requests == want.requests, "{requests} requests");
    drop(worker);
    site.close().await
}

pub(crate) async fn a_crash_after_receive_loses_nothing(url: String) -> Result<()> {
    crash(&url, "received", None, Want { accepted: 1, requests: 1 }).await
}

pub(crate) async fn a_crash_after_the_look_loses_nothing(url: String) -> Result<()> {
    crash(&url, "looked", None, Want { accepted: 1, requests: 1 }).await
}

pub(crate) async fn a_crash_before_the_post_loses_nothing(url: String) -> Result<()> {
    crash(&url, "gated", None, Want { accepted: 1, requests: 1 }).await
}

pub(crate) async fn a_crash_with_the_answer_outstanding_sends_again_under_the_same_id(
    url: String,
) -> Result<()> {
    let site = Site::new(&url).await?;
    site.configure_more("[worker]\nshutdown_grace = \"1s\"")?;
    site.fake.script([Answer::hang().taken(true)]);
    let worker = site.worker().await?;
    let ids = ids("hanging", 1);
    site.publish(&ids).await?;
    wait::until("the request", || async { (site.fake.requests().len() == 1).then_some(()) }).await?;
    worker.kill9().await?;
    let worker = site.worker().await?;
    wait::until("the second request", || async { (site.fake.requests().len() == 2).then_some(()) }).await?;
    site.conserves(&ids, 0).await?;
    // Both under one alert id, so that the receiving flow can tell.
    ensure!(site.accepted(&ids)[&ids[0]] == 2);
    drop(worker);
    site.close().await
}

pub(crate) async fn a_crash_between_the_answer_and_the_record_is_the_one_duplicate_window(
    url: String,
) -> Result<()> {
    crash(&url, "answered", None, Want { accepted: 2, requests: 2 }).await
}

pub(crate) async fn a_crash_between_the_record_and_the_ack_sends_nothing_again(url: String) -> Result<()> {
    crash(&url, "recorded", None, Want { accepted: 1, requests: 1 }).await
}

pub(crate) async fn a_crash_after_the_ack_sends_nothing_again(url: String) -> Result<()> {
    crash(&url, "acked", None, Want { accepted: 1, requests: 1 }).await
}

pub(crate) async fn a_crash_between_claim_and_retry_loses_nothing(url: String) -> Result<()> {
    crash(&url, "claimed", Some(Answer::status(503)), Want { accepted: 1, requests: 2 }).await
}

pub(crate) async fn a_crash_between_retry_and_ack_lets_one_copy_through(url: String) -> Result<()> {
    crash(&url, "retry-published", Some(Answer::status(503)), Want { accepted: 1, requests: 2 }).await
}

pub(crate) async fn a_crash_between_dead_letter_and_record_delivers_one_copy_when_replayed(
    url: String,
) -> Result<()> {
    let site = died(&url, "dead-published").await?;
    let worker = site.worker().await?;
    // The event comes again, is refused again, and is kept a second time.
    wait::until("two copies", || async { site.dead().await.ok().filter(|dead| dead.len() == 2) }).await?;
    replays_once(&site, &ids("dead-published", 1)).await?;
    drop(worker);
    site.close().await
}

pub(crate) async fn a_crash_between_the_record_of_a_death_and_the_ack_keeps_one_letter(
    url: String,
) -> Result<()> {
    let site = died(&url, "recorded").await?;
    let worker = site.worker().await?;
    site.conserves(&ids("recorded", 1), 0).await?;
    ensure!(site.dead().await?.len() == 1);
    ensure!(site.fake.requests().len() == 1, "it is not sent again");
    replays_once(&site, &ids("recorded", 1)).await?;
    drop(worker);
    site.close().await
}

/// A site whose worker was killed at `point` while an event of the same name became a dead letter.
async fn died(url: &str, point: &str) -> Result<Site> {
    let site = Site::new(url).await?;
    site.worker().await?.kill9().await?;
    site.fake.set_default(Answer::status(400));
    site.publish(&ids(point, 1)).await?;
    let mut worker = site.start(&format!("{point}=return"))?;
    let status = worker.ended().await.with_context(|| worker.log().unwrap_or_default())?;
    ensure!(status.signal() == Some(9), "it was not killed at `{point}`: {status}");
    Ok(site)
}

/// Puts the destination right and replays everything: the event is accepted once.
async fn replays_once(site: &Site, ids: &[String]) -> Result<()> {
    site.fake.set_default(Answer::accepted());
    site.nightbell(&["dead", "replay"]).await?.success()?;
    site.all_accepted(ids).await?;
    site.conserves(ids, 0).await?;
    site.accepted_once(ids)?;
    ensure!(site.dead().await?.is_empty());
    Ok(())
}
