//! A `data_dir` on a file system of its own that fills up, and has room again, under a worker that goes on running.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};
use nightbell_tests::program::Worker;
use nightbell_tests::site::{Site, ids};
use nightbell_tests::wait;

/// The size of the file system: more than an idle worker takes, and soon full.
const MIB: u32 = 12;

/// A worker in a mount namespace, with a small file system at `data`.
fn worker_on_a_small_disk(site: &Site) -> Result<Worker> {
    fs::create_dir_all(site.folder().join("data"))?;
    Worker::start_on_small_disk(site.folder(), "nightbell.toml", "small.log", "data", MIB)
}

/// The worker's `data`, as it is within its namespace.
fn data(site: &Site, worker: &Worker) -> Result<PathBuf> {
    let id = worker.id().context("it runs")?;
    Ok(PathBuf::from(format!("/proc/{id}/root{}", site.folder().join("data").display())))
}

/// Takes all room that is left.
fn fill(ballast: &std::path::Path) -> Result<()> {
    let mut file = File::create(ballast)?;
    for size in [64 * 1024, 4096, 1] {
        while file.write_all(&vec![7; size]).is_ok() {}
    }
    Ok(())
}

/// Posts an event with so long a text: what publishes on this side of the namespace finds no queue. True: it was taken in.
async fn post(site: &Site, id: &str, bytes: usize) -> Result<bool> {
    let details = "x".repeat(bytes);
    let body = format!(r#"{{"project":"shop","test":"test {id}","id":"{id}","details":"{details}"}}"#);
    Ok(site.post("/v1/events", "application/json", body).await?.0 == 202)
}

/// Posts events that must be taken in.
async fn post_all(site: &Site, ids: &[String]) -> Result<()> {
    for id in ids {
        ensure!(post(site, id, 10).await?, "{id} was not taken in");
    }
    Ok(())
}

/// Posts events until the worker is not ready any more. Those that were taken in.
async fn post_until_it_fails(site: &Site) -> Result<Vec<String>> {
    const EVENTS_MAX: usize = 3_000;
    let mut taken = Vec::new();
    for id in ids("full", EVENTS_MAX) {
        if post(site, &id, 20_000).await? {
            taken.push(id);
        }
        if site.get("/readyz").await?.0 == 503 {
            return Ok(taken);
        }
    }
    bail!("the disk never got full");
}

pub(crate) async fn a_full_data_dir_is_taken_up_again_by_itself_when_it_has_room(url: String) -> Result<()> {
    let site = Site::new(&url).await?;
    let worker = worker_on_a_small_disk(&site)?;
    site.is_ready().await.with_context(|| worker.log().unwrap_or_default())?;
    let before = ids("before", 5);
    post_all(&site, &before).await?;
    site.all_accepted(&before).await?;
    let id = worker.id();
    let ballast = data(&site, &worker)?.join("ballast");

    fill(&ballast)?;
    let mut published = post_until_it_fails(&site).await.with_context(|| worker.log().unwrap_or_default())?;
    let missing = wait::until("what is missing", || async {
        let (status, body) = site.get("/readyz").await.ok()?;
        let failed = site.metric("nightbell_data_dir_failed").await.ok()?;
        (status == 503 && failed > 0.5).then_some(body)
    })
    .await?;
    ensure!(missing.contains("No space left"), "{missing}");
    ensure!(worker.log()?.contains("data_dir can't be written"), "{}", worker.log()?);
    ensure!(site.get("/healthz").await?.0 == 200);

    fs::remove_file(&ballast)?;
    site.is_ready().await.with_context(|| worker.log().unwrap_or_default())?;
    ensure!(worker.id() == id, "it was not started anew");
    ensure!(site.metric("nightbell_data_dir_failed").await? < 0.5);
    let after = ids("after", 5);
    post_all(&site, &after).await?;
    published.extend(before.into_iter().chain(after));
    site.all_accepted(&published).await.with_context(|| worker.log().unwrap_or_default())?;
    ensure!(site.metric("nightbell_dead_letters").await? < 0.5, "{}", worker.log()?);
    ensure!(worker.terminate().await?.success());
    site.close().await
}
