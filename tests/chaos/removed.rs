//! A `data_dir` that is removed, or moved away, under a worker that goes on running.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use fake_xmatters::Answer;
use nightbell_tests::site::{EMBEDDED, Site, ids};
use nightbell_tests::wait;

/// Posts an event until it is taken in.
async fn post(site: &Site, id: &str) -> Result<()> {
    let body = format!(r#"{{"project":"shop","test":"test {id}","id":"{id}"}}"#);
    wait::until("an event that is taken in", || async {
        let (status, _) = site.post("/v1/events", "application/json", body.clone()).await.ok()?;
        (status == 202).then_some(())
    })
    .await
}

async fn post_all(site: &Site, ids: &[String]) -> Result<()> {
    for id in ids {
        post(site, id).await?;
    }
    Ok(())
}

pub(crate) async fn a_data_dir_removed_under_the_worker_loses_no_event(url: String) -> Result<()> {
    let site = Site::new(&url).await?;
    let worker = site.worker().await?;
    let id = worker.id();
    // What was taken in waits while xMatters does not take it.
    site.fake.set_default(Answer::status(503));
    let waiting = ids("waiting", 5);
    post_all(&site, &waiting).await?;
    fs::remove_dir_all(site.folder().join("data"))?;
    let after = ids("after", 5);
    post_all(&site, &after).await?;
    site.fake.set_default(Answer::accepted());
    let all = [waiting, after].concat();
    site.all_accepted(&all).await.with_context(|| worker.log().unwrap_or_default())?;
    site.is_ready().await?;
    ensure!(worker.id() == id, "it was not started anew");
    ensure!(worker.log()?.contains("removed or moved away"), "{}", worker.log()?);
    ensure!(site.metric("nightbell_dead_letters").await? < 0.5, "{}", worker.log()?);
    ensure!(worker.terminate().await?.success());

    // What is sent again afterwards is a repeat: the new ledger is as good as the old one.
    let worker = site.worker().await?;
    post_all(&site, &all).await?;
    let more = ids("more", 1);
    post_all(&site, &more).await?;
    site.all_accepted(&more).await?;
    site.accepted_once(&all).with_context(|| worker.log().unwrap_or_default())?;
    ensure!(worker.terminate().await?.success());
    site.close().await
}

pub(crate) async fn what_waits_in_a_removed_queue_file_outlives_the_worker(_: String) -> Result<()> {
    let site = Site::new(EMBEDDED).await?;
    let worker = site.worker().await?;
    site.fake.set_default(Answer::status(503));
    let waiting = ids("waiting", 5);
    post_all(&site, &waiting).await?;
    fs::remove_dir_all(site.folder().join("data"))?;
    worker.terminate().await?;
    site.fake.set_default(Answer::accepted());
    let worker = site.worker().await?;
    site.all_accepted(&waiting).await.with_context(|| worker.log().unwrap_or_default())?;
    ensure!(worker.terminate().await?.success());
    site.close().await
}

pub(crate) async fn a_queue_file_that_was_moved_away_is_named_and_kept(_: String) -> Result<()> {
    let site = Site::new(EMBEDDED).await?;
    let worker = site.worker().await?;
    site.fake.set_default(Answer::status(503));
    let waiting = ids("waiting", 5);
    post_all(&site, &waiting).await?;
    let (data, moved) = (site.folder().join("data"), site.folder().join("moved"));
    fs::rename(&data, &moved)?;
    let after = ids("after", 5);
    post_all(&site, &after).await?;
    site.fake.set_default(Answer::accepted());
    site.all_accepted(&after).await.with_context(|| worker.log().unwrap_or_default())?;
    let log = worker.log()?;
    ensure!(log.contains("moved/queue.redb"), "{log}");
    ensure!(worker.terminate().await?.success());

    fs::rename(moved.join("queue.redb"), data.join("queue.redb"))?;
    let worker = site.worker().await?;
    site.all_accepted(&waiting).await.with_context(|| worker.log().unwrap_or_default())?;
    ensure!(worker.terminate().await?.success());
    site.close().await
}
