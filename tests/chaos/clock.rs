//! The wall clock set back and forth under a running worker, by `libfaketime`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fake_xmatters::Answer;
use nightbell_tests::program::{self, Worker};
use nightbell_tests::site::{EMBEDDED, Site, ids};
use nightbell_tests::wait;

const SERVER_ERROR: u16 = 503;

/// How far the clock is off, one after the other. No step forth is so long that the ledger forgets, after 7 days.
const OFFSETS: [&str; 5] = ["+3d", "-2d", "+2h", "-1h", "+0"];

/// A worker whose clock can be set, and its site.
struct Clockwork {
    site: Site,
    worker: Worker,
    offset: PathBuf,
}

impl Clockwork {
    async fn start(url: &str) -> Result<Self> {
        let site = Site::new(url).await?;
        let offset = site.folder().join("offset");
        set(&offset, "+0")?;
        let environment = [
            ("LD_PRELOAD", library()?),
            ("FAKETIME_TIMESTAMP_FILE", offset.clone()),
            ("FAKETIME_NO_CACHE", "1".into()),
            // The monotonic clock is what its name says, whoever sets the other one.
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
            ("NO_FAKE_STAT", "1".into()),
        ];
        let environment = environment.each_ref().map(|(name, value)| (*name, value.as_path()));
        let worker = Worker::start_in(site.folder(), "nightbell.toml", "worker.log", &environment, &[])?;
        site.is_ready().await.with_context(|| worker.log().unwrap_or_default())?;
        Ok(Self { site, worker, offset })
    }

    /// Publishes events, most of which fail at first; sets the clock while retries and answers are under way.
    async fn publish_and_set(&self, batch: &[String], to: &str) -> Result<()> {
        let fail = [Answer::status(SERVER_ERROR), Answer::hang(), Answer::status(SERVER_ERROR)];
        self.site.fake.script(fail);
        self.site.fake.set_default(Answer::accepted().after(Duration::from_millis(100)));
        let before = self.site.fake.requests().len();
        self.site.publish(batch).await?;
        wait::until("the requests", || async {
            (self.site.fake.requests().len() >= before + batch.len()).then_some(())
        })
        .await?;
        set(&self.offset, to)
    }

    async fn end(self, published: &[String]) -> Result<()> {
        let Self { site, worker, .. } = self;
        let twice = site.sent_twice(published);
        ensure!(twice.is_empty(), "sent twice: {twice:?}");
        ensure!(site.dead().await?.is_empty(), "{:?}", site.dead().await?);
        ensure!(worker.terminate().await?.success());
        site.close().await
    }
}

pub(crate) async fn a_clock_set_back_delays_no_retry(url: String) -> Result<()> {
    let clockwork = Clockwork::start(&url).await?;
    let ids = ids("back", 10);
    clockwork.publish_and_set(&ids, "-3d").await?;
    clockwork.site.all_accepted(&ids).await.with_context(|| clockwork.worker.log().unwrap_or_default())?;
    clockwork.site.conserves(&ids, 0).await?;
    ensure!(clockwork.worker.log()?.contains("the clock was set"), "{}", clockwork.worker.log()?);
    clockwork.end(&ids).await
}

pub(crate) async fn a_clock_set_back_and_forth_expires_nothing_and_sends_nothing_twice(
    url: String,
) -> Result<()> {
    let clockwork = Clockwork::start(&url).await?;
    let site = &clockwork.site;
    let mut published = Vec::new();
    for (number, to) in OFFSETS.into_iter().enumerate() {
        let batch = ids(&format!("clock-{number}"), 10);
        clockwork.publish_and_set(&batch, to).await?;
        published.extend(batch);
        site.all_accepted(&published).await.with_context(|| format!("the clock was set to {to}"))?;
        // All that came before is still known.
        site.publish(&published).await?;
        site.conserves(&published, 0).await?;
    }
    clockwork.end(&published).await
}

/// What a publisher's clock shows beside the right time, for libfaketime.
const PUBLISHERS: [&str; 6] = ["-25h", "-2d", "-18250d", "@1970-01-02 00:00:00", "+2d", "+3650d"];

pub(crate) async fn a_publisher_with_a_slow_or_a_fast_clock_gets_its_events_delivered(
    url: String,
) -> Result<()> {
    let site = Site::new(&url).await?;
    let worker = site.worker().await?;
    let (library, mut published) = (library()?, Vec::new());
    for (number, clock) in PUBLISHERS.into_iter().enumerate() {
        // The first attempt fails, so that the age counts.
        site.fake.script([Answer::status(SERVER_ERROR)]);
        let id = format!("clock-{number}");
        let environment = [
            ("LD_PRELOAD", library.to_str().context("its path is text")?),
            ("FAKETIME", clock),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("NO_FAKE_STAT", "1"),
        ];
        let line = format!(r#"{{"project":"shop","test":"test {id}","id":"{id}"}}"#);
        let arguments = ["--config", "nightbell.toml", "publish"];
        let ended =
            program::run_in("nightbell", site.folder(), &environment, &arguments, line.as_bytes()).await?;
        ended.success().with_context(|| format!("publish at {clock}"))?;
        published.push(id);
        site.all_accepted(&published).await.with_context(|| format!("published at {clock}"))?;
    }
    ensure!(site.dead().await?.is_empty(), "{:?}", site.dead().await?);
    ensure!(site.sent_twice(&published).is_empty());
    if url != EMBEDDED {
        // The embedded queue is published to over HTTP, and the worker itself gives the stamp.
        let told = site.metric("nightbell_clock_skew_total{connector=\"sre\"}").await?;
        ensure!(told > PUBLISHERS.len() as f64 - 0.5, "{told}");
        let log = worker.log()?;
        let lines = log.lines().filter(|line| line.contains("the time stamp of an event")).count();
        ensure!(lines == 1 && log.contains("project") && log.contains("behind_seconds"), "{log}");
    }
    ensure!(worker.terminate().await?.success());
    site.close().await
}

/// Replaces the file at once: a reader never finds half of it.
fn set(offset: &Path, to: &str) -> Result<()> {
    let next = offset.with_extension("next");
    std::fs::write(&next, to)?;
    std::fs::rename(next, offset).context("set the clock")
}

fn library() -> Result<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib")?.filter_map(Result::ok);
    let mut found = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    found.find(|path| path.exists()).context("libfaketime is missing: install the package `faketime`")
}
