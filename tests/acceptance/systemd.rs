//! What systemd hears of a worker: the test is systemd, and the socket is its.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::FutureExt as _;
use nightbell_tests::program::Worker;
use nightbell_tests::site::{EMBEDDED, Site, free_port, ids};
use nightbell_tests::wait;
use rustix::process::Signal;
use tokio::time::Instant;

/// How long the worker may be silent before systemd would end it.
const WATCHDOG: Duration = Duration::from_secs(4);

/// A socket as systemd has one, and all that came to it.
struct Systemd {
    socket: UnixDatagram,
    at: PathBuf,
    heard: Vec<String>,
}

impl Systemd {
    fn listen(folder: &Path) -> Result<Self> {
        let at = folder.join("notify");
        let socket = UnixDatagram::bind(&at).context("bind the socket")?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, at, heard: Vec::new() })
    }

    fn start(&self, site: &Site, fail_points: &str) -> Result<Worker> {
        let watchdog = WATCHDOG.as_micros().to_string();
        let at = self.at.to_str().context("a path in UTF-8")?;
        let environment = [("NOTIFY_SOCKET", at), ("WATCHDOG_USEC", &watchdog), ("FAILPOINTS", fail_points)];
        site.start_in(&environment, &[])
    }

    /// Takes what has come, and says how many fields it was.
    fn take(&mut self) -> usize {
        let before = self.heard.len();
        let mut buffer = [0; 4096];
        while let Ok(bytes) = self.socket.recv(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..bytes]);
            self.heard.extend(text.lines().map(str::to_owned));
        }
        self.heard.len() - before
    }

    /// Waits until a field that begins so has come `times` times, and gives the last.
    async fn hears(&mut self, start: &str, times: usize) -> Result<String> {
        let start_at = Instant::now();
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        loop {
            looks.tick().await;
            self.take();
            let mut fields = self.heard.iter().filter(|field| field.starts_with(start));
            if let Some(field) = fields.nth(times - 1) {
                return Ok(field.clone());
            }
            ensure!(start_at.elapsed() < wait::WAIT_MAX, "no `{start}` in {:?}", self.heard);
        }
    }

    fn position(&self, field: &str) -> Result<usize> {
        let position = self.heard.iter().position(|heard| heard == field);
        position.with_context(|| format!("no `{field}` in {:?}", self.heard))
    }
}

pub(crate) async fn systemd_is_told_ready_reloading_and_stopping(_: String) -> Result<()> {
    let site = Site::new(EMBEDDED).await?;
    let mut systemd = Systemd::listen(site.folder())?;
    let worker = systemd.start(&site, "")?;
    systemd.hears("READY=1", 1).await?;
    ensure!(site.get("/readyz").await?.0 == 200, "it said so when it was");
    ensure!(systemd.hears("STATUS=", 1).await? == "STATUS=connectors: 1");
    systemd.hears("WATCHDOG=1", 3).await?;

    worker.signal(Signal::HUP)?;
    let monotonic = systemd.hears("MONOTONIC_USEC=", 1).await?;
    ensure!(monotonic["MONOTONIC_USEC=".len()..].parse::<u64>()? > 0);
    systemd.hears("READY=1", 2).await?;
    std::fs::write(site.folder().join("nightbell.toml"), "no toml")?;
    worker.signal(Signal::HUP)?;
    systemd.hears("RELOADING=1", 2).await?;
    systemd.hears("READY=1", 3).await?;

    ensure!(worker.terminate().await?.success());
    systemd.hears("STOPPING=1", 1).await?;
    let stopping = systemd.position("STOPPING=1")?;
    ensure!(systemd.position("RELOADING=1")? < stopping, "{:?}", systemd.heard);
    let after = systemd.heard.iter().skip(stopping).any(|field| field == "WATCHDOG=1");
    ensure!(!after, "{:?}", systemd.heard);
    Ok(())
}

pub(crate) async fn a_worker_without_its_broker_is_ready_for_systemd_and_says_what_is_missing(
    _: String,
) -> Result<()> {
    let site = Site::new(&format!("amqp://127.0.0.1:{}/%2f", free_port()?)).await?;
    let mut systemd = Systemd::listen(site.folder())?;
    let worker = systemd.start(&site, "")?;
    systemd.hears("READY=1", 1).await?;
    let said = systemd.hears("STATUS=", 1).await?;
    ensure!(said.starts_with("STATUS=not ready: queue: "), "{said}");
    ensure!(site.get("/readyz").await?.0 == 503);
    systemd.hears("WATCHDOG=1", 2).await?;
    ensure!(worker.terminate().await?.success());
    Ok(())
}

pub(crate) async fn a_worker_whose_owner_stands_still_stops_its_pings(_: String) -> Result<()> {
    let site = Site::new(EMBEDDED).await?;
    let mut systemd = Systemd::listen(site.folder())?;
    // The owner's thread sleeps in the middle of its first delivery.
    let worker = systemd.start(&site, "received=sleep(600000)")?;
    systemd.hears("WATCHDOG=1", 2).await?;
    let ids = ids("still", 1);
    let mut publish = std::pin::pin!(site.publish(&ids).fuse());
    let mut quiet_since = Instant::now();
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    let start = Instant::now();
    while quiet_since.elapsed() < WATCHDOG {
        tokio::select! {
            _ = looks.tick() => {
                let before = systemd.heard.len();
                systemd.take();
                if systemd.heard[before..].iter().any(|field| field == "WATCHDOG=1") {
                    quiet_since = Instant::now();
                }
            }
            // It waits for an answer that such a worker may never give.
            done = &mut publish => drop(done),
        }
        ensure!(start.elapsed() < wait::WAIT_MAX, "it pings on: {:?}", systemd.heard);
    }
    // The process is there, and only stands still.
    ensure!(worker.id().is_some_and(|id| Path::new(&format!("/proc/{id}")).exists()));
    worker.kill9().await
}
