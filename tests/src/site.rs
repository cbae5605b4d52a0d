//! A site: one stand-in xMatters, one configuration, and a queue of its own: the embedded one, or a part of a broker that
//! it may share.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fake_xmatters::{Auth, FakeXmatters, Settings};
use nightbell_core::alert::alert_id;
use nightbell_core::message::{EventId, Message};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::{interval, timeout};

use crate::program::{self, Ended, Worker};
use crate::queues::Queues;
use crate::wait;

/// The connector that a site has unless its settings say otherwise.
pub const CONNECTOR: &str = "sre";

/// The user and the password of every site's connector: secrets that must never show.
pub const USER: &str = "svc-nightbell";
/// See [`USER`].
pub const PASSWORD: &str = "planted-password";

/// In place of a broker's URL: the embedded queue.
pub const EMBEDDED: &str = "embedded";

static SITES: AtomicU32 = AtomicU32::new(0);

/// A site.
#[derive(Debug)]
pub struct Site {
    /// Its stand-in xMatters.
    pub fake: FakeXmatters,
    folder: TempDir,
    broker_url: String,
    prefix: String,
    http: u16,
    timeout: &'static str,
    /// Further lines of the table `[queue]`.
    queue_lines: String,
}

impl Site {
    /// A site with one connector on the broker at `broker_url`, whose names begin with a prefix of its own; or on the
    /// embedded queue, if that is [`EMBEDDED`].
    ///
    /// # Errors
    /// The stand-in can't be started.
    pub async fn new(broker_url: &str) -> Result<Self> {
        let auth = Auth::Basic { user: USER.into(), password: PASSWORD.into() };
        Self::with(broker_url, FakeXmatters::start(Settings { auth, ..Settings::default() }).await?)
    }

    /// A site with a stand-in of the caller's, which knows [`USER`] and [`PASSWORD`].
    ///
    /// # Errors
    /// Its configuration can't be written.
    pub fn with(broker_url: &str, fake: FakeXmatters) -> Result<Self> {
        let prefix = format!("site{}-{}", std::process::id(), SITES.fetch_add(1, Ordering::Relaxed));
        let folder = tempfile::Builder::new().prefix("nightbell-site-").tempdir()?;
        let site = Self {
            fake,
            folder,
            broker_url: broker_url.to_owned(),
            prefix,
            http: free_port()?,
            timeout: "2s",
            queue_lines: String::new(),
        };
        site.configure("nightbell.toml", "data", site.http, "")?;
        Ok(site)
    }

    /// Writes a configuration file. `more` is added to its end, and goes into the connector's table if it begins with a
    /// plain key.
    ///
    /// # Errors
    /// It can't be written.
    pub fn configure(&self, file: &str, data_dir: &str, http: u16, more: &str) -> Result<()> {
        let (trigger, timeout) = (self.fake.trigger_url(), self.timeout);
        let queue = if self.is_embedded() {
            String::new()
        } else {
            let lines = &self.queue_lines;
            format!("[queue]\nurl = \"{}\"\nprefix = \"{}\"{lines}", self.broker_url, self.prefix)
        };
        // Nobody has to wait for xMatters' default rule here, unless that is what a test is about.
        let own = more.split('[').next().unwrap_or_default();
        let rate = if own.contains("rate_limit") { "" } else { "rate_limit = \"none\"" };
        let text = format!(
            r#"data_dir = "{data_dir}"
{queue}
[http]
listen = "127.0.0.1:{http}"
[[connectors]]
name = "{CONNECTOR}"
trigger_url = "{trigger}"
auth = "basic"
username = "{USER}"
password = "{PASSWORD}"
recipients = ["on-call"]
timeout = "{timeout}"
{rate}
{more}
"#
        );
        std::fs::write(self.folder.path().join(file), text).context("write the configuration")
    }

    /// Adds to the default configuration, as [`Site::configure`] does.
    ///
    /// # Errors
    /// It can't be written.
    pub fn configure_more(&self, more: &str) -> Result<()> {
        self.configure("nightbell.toml", "data", self.http, more)
    }

    /// The same site, with a broker in place of its queue.
    ///
    /// # Errors
    /// Its configuration can't be written.
    pub fn moved_to(mut self, broker_url: &str) -> Result<Self> {
        broker_url.clone_into(&mut self.broker_url);
        self.configure_more("")?;
        Ok(self)
    }

    /// The same site, with a connector that waits for answers as long as it may, where an attempt that times out on a
    /// machine with too much to do would be made twice.
    ///
    /// # Errors
    /// Its configuration can't be written.
    pub fn patient(mut self) -> Result<Self> {
        self.timeout = "60s";
        self.configure_more("")?;
        Ok(self)
    }

    /// The same site, with this line in its configuration's table `[queue]`, if it has one.
    ///
    /// # Errors
    /// Its configuration can't be written.
    pub fn with_queue(mut self, line: &str) -> Result<Self> {
        self.queue_lines += "\n";
        self.queue_lines += line;
        self.configure_more("")?;
        Ok(self)
    }

    fn is_embedded(&self) -> bool {
        self.broker_url == EMBEDDED
    }

    /// The site's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What all names on the broker begin with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Starts a worker and waits until it is ready.
    ///
    /// # Errors
    /// It does not get ready; the text has its log.
    pub async fn worker(&self) -> Result<Worker> {
        let worker = self.start("")?;
        self.ready(self.http).await.with_context(|| worker.log().unwrap_or_default())?;
        Ok(worker)
    }

    /// Starts a worker and asks as often as `every` whether it is ready.
    ///
    /// # Errors
    /// It does not get ready.
    pub async fn worker_soon(&self, every: Duration) -> Result<Worker> {
        let worker = self.start("")?;
        let mut beat = interval(every);
        let ready = timeout(wait::WAIT_MAX, async {
            while !get(self.http, "/readyz").await.is_ok_and(|answer| answer.0 == 200) {
                beat.tick().await;
            }
        });
        ready.await.with_context(|| worker.log().unwrap_or_default())?;
        Ok(worker)
    }

    /// The URL of one of the worker's routes.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.http)
    }

    /// Starts a worker with armed fail points and waits for nothing.
    ///
    /// # Errors
    /// It can't be run.
    pub fn start(&self, fail_points: &str) -> Result<Worker> {
        Worker::start(self.folder(), "nightbell.toml", "worker.log", fail_points)
    }

    /// Starts a worker with more in its environment, and flags, and waits for nothing.
    ///
    /// # Errors
    /// It can't be run.
    pub fn start_in(&self, environment: &[(&str, &str)], flags: &[&str]) -> Result<Worker> {
        Worker::start_in(self.folder(), "nightbell.toml", "worker.log", environment, flags)
    }

    /// Starts a worker on a disk that is nearly full, and waits until it is ready.
    ///
    /// # Errors
    /// It does not get ready.
    pub async fn worker_on_a_full_disk(&self, file_bytes_max: u64) -> Result<Worker> {
        let worker = Worker::start_limited(self.folder(), "nightbell.toml", "limited.log", file_bytes_max)?;
        self.ready(self.http).await.with_context(|| worker.log().unwrap_or_default())?;
        Ok(worker)
    }

    /// Starts a second worker with a folder and a listener of its own.
    ///
    /// # Errors
    /// It does not get ready.
    pub async fn standby(&self) -> Result<Worker> {
        let http = free_port()?;
        self.configure("standby.toml", "standby-data", http, "")?;
        let worker = Worker::start(self.folder(), "standby.toml", "standby.log", "")?;
        self.ready(http).await.with_context(|| worker.log().unwrap_or_default())?;
        Ok(worker)
    }

    /// Waits until the worker that was started last is ready.
    ///
    /// # Errors
    /// It does not get ready.
    pub async fn is_ready(&self) -> Result<()> {
        self.ready(self.http).await
    }

    async fn ready(&self, http: u16) -> Result<()> {
        wait::until("a worker that is ready", || async {
            let answer = get(http, "/readyz").await.ok()?;
            (answer.0 == 200).then_some(())
        })
        .await
    }

    /// The status and body of one of the worker's routes.
    ///
    /// # Errors
    /// Nothing listens.
    pub async fn get(&self, path: &str) -> Result<(u16, String)> {
        get(self.http, path).await
    }

    /// Posts to one of the worker's routes, and gives the status and body of its answer.
    ///
    /// # Errors
    /// Nothing listens.
    pub async fn post(
        &self,
        path: &str,
        content_type: &str,
        body: impl Into<Vec<u8>>,
    ) -> Result<(u16, String)> {
        let post = reqwest::Client::new().post(self.url(path)).header("content-type", content_type);
        let answer = post.body(body.into()).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// The value of one series of `/metrics`; zero if there is none.
    ///
    /// # Errors
    /// Nothing listens.
    pub async fn metric(&self, series: &str) -> Result<f64> {
        let (_, text) = self.get("/metrics").await?;
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        Ok(line.map_or(Ok(0.0), str::parse)?)
    }

    /// Runs a `nightbell` command to its end.
    ///
    /// # Errors
    /// It can't be run.
    pub async fn nightbell(&self, arguments: &[&str]) -> Result<Ended> {
        program::run("nightbell", self.folder(), arguments, b"").await
    }

    /// Publishes events of these ids, each a test of its own, through `nightbell publish`.
    ///
    /// # Errors
    /// Not all were confirmed.
    pub async fn publish(&self, ids: &[String]) -> Result<()> {
        let line = |id: &String| format!(r#"{{"project":"shop","test":"test {id}","id":"{id}"}}"#);
        let lines: Vec<String> = ids.iter().map(line).collect();
        let input = lines.join("\n");
        let ended = program::run("nightbell", self.folder(), &["publish"], input.as_bytes()).await?;
        ensure!(ended.success()?.contains(&format!("published {}", ids.len())));
        Ok(())
    }

    /// The dead letters, as `nightbell dead list --json` gives them.
    ///
    /// # Errors
    /// They can't be read.
    pub async fn dead(&self) -> Result<Vec<Value>> {
        let text = self.nightbell(&["dead", "list", "--json"]).await?.success()?;
        Ok(serde_json::from_str(&text)?)
    }

    /// A connection to the site's broker.
    ///
    /// # Errors
    /// It can't be reached.
    pub async fn queues(&self) -> Result<Queues> {
        Queues::connect(&self.broker_url, &self.prefix).await
    }

    /// How often each of these events was accepted.
    #[must_use]
    pub fn accepted(&self, ids: &[String]) -> BTreeMap<String, u32> {
        let by_alert = self.fake.accepted_by_alert();
        let count = |id: &String| (id.clone(), by_alert.get(&alert(id)).copied().unwrap_or_default());
        ids.iter().map(count).collect()
    }

    /// Those of these events that were accepted more than once, and how often.
    #[must_use]
    pub fn sent_twice(&self, ids: &[String]) -> BTreeMap<String, u32> {
        self.accepted(ids).into_iter().filter(|(_, count)| *count > 1).collect()
    }

    /// Checks that every one of these events was accepted once.
    ///
    /// # Errors
    /// Some were not; the text says which, and how often they were.
    pub fn accepted_once(&self, ids: &[String]) -> Result<()> {
        let mut others = self.accepted(ids);
        others.retain(|_, count| *count != 1);
        ensure!(
            others.is_empty(),
            "{} of {} events were not accepted once: {others:?}",
            others.len(),
            ids.len()
        );
        Ok(())
    }

    /// Waits until every one of these events was accepted.
    ///
    /// # Errors
    /// They were not in time; the text says how many are missing.
    pub async fn all_accepted(&self, ids: &[String]) -> Result<()> {
        let wanted: Vec<String> = ids.iter().map(|id| alert(id)).collect();
        let all = |snapshot: &fake_xmatters::Snapshot<'_>| wanted.iter().all(|id| snapshot.accepted(id) > 0);
        let waited = self.fake.wait_until(all, wait::WAIT_MAX).await;
        let missing = self.accepted(ids).into_values().filter(|count| *count == 0).count();
        waited.map(drop).with_context(|| format!("{missing} of {} events were not accepted", ids.len()))
    }

    /// Waits until nothing waits in the broker and nothing is in hand, and checks that every event was accepted, or is
    /// a dead letter, or repeats one that was: accepted = delivered + suppressed + filtered + dead + still queued.
    ///
    /// # Errors
    /// Something still waits, or was lost.
    pub async fn conserves(&self, published: &[String], suppressed: usize) -> Result<()> {
        self.is_idle().await?;
        let dead: BTreeSet<String> = self
            .dead()
            .await?
            .iter()
            .filter_map(|letter| Some(letter["event_id"].as_str()?.to_owned()))
            .collect();
        let accepted = self.accepted(published);
        let lost: Vec<_> =
            accepted.iter().filter(|(id, count)| **count == 0 && !dead.contains(*id)).collect();
        ensure!(lost.len() == suppressed, "{} neither accepted nor dead: {lost:?}", lost.len());
        Ok(())
    }

    /// Waits until nothing waits in the queue and nothing is in hand.
    async fn is_idle(&self) -> Result<()> {
        let queues = if self.is_embedded() { None } else { Some(self.queues().await?) };
        let queue = format!("connector.{CONNECTOR}");
        wait::until("empty queues", || async {
            let status: Value = serde_json::from_str(&self.get("/v1/status").await.ok()?.1).ok()?;
            let connector = &status["connectors"][0];
            let waiting = match &queues {
                Some(queues) => queues.ready(&queue).await.ok()? + queues.ready_in_rungs().await.ok()?,
                // It counts those that wait for their retry too.
                None => u32::try_from(connector["depth"].as_u64()?).ok()?,
            };
            (waiting == 0 && connector["in_hand"] == 0).then_some(())
        })
        .await
    }

    /// Removes the site from a broker that it shares.
    ///
    /// # Errors
    /// The broker is gone.
    pub async fn close(self) -> Result<()> {
        self.close_with(&[CONNECTOR]).await
    }

    /// Removes a site that has these connectors.
    ///
    /// # Errors
    /// The broker is gone.
    pub async fn close_with(self, connectors: &[&str]) -> Result<()> {
        if self.is_embedded() {
            return Ok(());
        }
        self.queues().await?.delete_all(connectors).await
    }
}

/// The id of the alert that an event of the project `shop` becomes.
#[must_use]
pub fn alert(id: &str) -> String {
    let connector = CONNECTOR.parse().expect("it is a name");
    alert_id(&connector, EventId::of(Some("shop"), Some(id), &Message::default())).to_string()
}

/// Ids `NAME-0`, `NAME-1` and so on.
#[must_use]
pub fn ids(name: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{name}-{number}")).collect()
}

/// A port that was free a moment ago.
///
/// # Errors
/// There is none.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

async fn get(http: u16, path: &str) -> Result<(u16, String)> {
    let answer = reqwest::get(format!("http://127.0.0.1:{http}{path}")).await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn events_that_were_not_accepted_once_are_named() {
        let site = Site::new(EMBEDDED).await.unwrap();
        assert!(site.accepted_once(&[]).is_ok());
        let error = site.accepted_once(&ids("a", 2)).unwrap_err();
        assert_eq!(error.to_string(), r#"2 of 2 events were not accepted once: {"a-0": 0, "a-1": 0}"#);
    }
}
