//! Ledgers that were torn, and ledgers that may not be written.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fake_xmatters::Answer;
use nightbell_tests::program::Worker;
use nightbell_tests::site::{EMBEDDED, Site, ids};

pub(crate) async fn a_torn_ledger_delays_nothing(_: String) -> Result<()> {
    /// What is left of the file, in thousandths. Sled notices some of it and makes do with the rest.
    const LEFT: [u64; 5] = [999, 900, 500, 10, 0];
    let site = Site::new(EMBEDDED).await?;
    site.fake.set_default(Answer::accepted().after(Duration::from_millis(2)));
    let mut published = Vec::new();
    for left in LEFT {
        let worker = site.worker().await?;
        let batch = ids(&format!("left-{left}"), 100);
        let before = site.fake.accepted_count();
        site.publish(&batch).await?;
        let some = |snapshot: &fake_xmatters::Snapshot<'_>| snapshot.summary().accepted >= before + 20;
        site.fake.wait_until(some, nightbell_tests::wait::WAIT_MAX).await?;
        published.extend(batch);
        worker.kill9().await?;
        let database = File::options().write(true).open(site.folder().join("data/ledger/db"))?;
        database.set_len(database.metadata()?.len() * left / 1_000)?;
    }
    let worker = site.worker().await?;
    site.all_accepted(&published).await?;
    site.conserves(&published, 0).await?;
    // A ledger that was begun anew knows nothing of what was accepted and not acknowledged: at most one prefetch.
    let twice = site.sent_twice(&published).len();
    ensure!(twice <= published.len() / 2, "{twice} of {} were sent twice", published.len());
    ensure!(worker.terminate().await?.success());
    Ok(())
}

pub(crate) async fn a_ledger_that_may_not_be_written_is_said_at_the_start(_: String) -> Result<()> {
    let site = Site::new(EMBEDDED).await?;
    let worker = site.worker().await?;
    let before = ids("before", 5);
    site.publish(&before).await?;
    site.all_accepted(&before).await?;
    ensure!(worker.terminate().await?.success());
    let waiting = ids("waiting", 5);
    site.publish(&waiting).await?;

    // Everything else may be written.
    open_to_all(site.folder())?;
    let ledger = site.folder().join("data/ledger");
    for file in fs::read_dir(&ledger)? {
        let path = file?.path();
        fs::set_permissions(&path, Permissions::from_mode(if path.is_dir() { 0o555 } else { 0o444 }))?;
    }
    fs::set_permissions(&ledger, Permissions::from_mode(0o555))?;
    let mut worker = Worker::start_unprivileged(site.folder(), "nightbell.toml", "read-only.log")?;
    let status = worker.ended().await?;
    let log = worker.log()?;
    ensure!(
        status.code() == Some(73) && log.contains("ledger") && log.contains("ermission denied"),
        "{status}: {log}"
    );
    ensure!(!log.contains("aside"), "a sound ledger is no damaged one: {log}");

    open_to_all(&ledger)?;
    let worker = site.worker().await?;
    let all = [before, waiting].concat();
    site.all_accepted(&all).await.with_context(|| worker.log().unwrap_or_default())?;
    site.conserves(&all, 0).await?;
    site.accepted_once(&all).context("the ledger was not lost")?;
    ensure!(worker.terminate().await?.success());
    Ok(())
}

fn open_to_all(path: &std::path::Path) -> Result<()> {
    if path.is_dir() {
        fs::set_permissions(path, Permissions::from_mode(0o777))?;
        for file in fs::read_dir(path)? {
            open_to_all(&file?.path())?;
        }
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(0o666)).context("open a file to all")
}
