//! A private Prometheus for tests, on loopback only. It is killed when dropped.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::site::free_port;
use crate::wait;

/// A Prometheus that runs.
#[derive(Debug)]
pub struct Prometheus {
    url: String,
    _child: Child,
    _data: TempDir,
}

impl Prometheus {
    /// Starts one and waits until it is ready. Its log goes into the configuration's folder.
    ///
    /// # Errors
    /// It is not installed, or does not get ready.
    pub async fn start(config: &Path) -> Result<Self> {
        let data = tempfile::Builder::new().prefix("nightbell-prometheus-").tempdir()?;
        let port = free_port()?;
        let log = config.with_extension("log");
        let file = std::fs::File::create(&log)?;
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", data.path().display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"));
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).kill_on_drop(true);
        let child = command.spawn().context("run prometheus (Debian package prometheus)")?;
        let prometheus = Self { url: format!("http://127.0.0.1:{port}"), _child: child, _data: data };
        let ready = wait::until("a Prometheus that is ready", || async {
            let answer = reqwest::get(format!("{}/-/ready", prometheus.url)).await.ok()?;
            answer.status().is_success().then_some(())
        });
        ready.await.with_context(|| std::fs::read_to_string(&log).unwrap_or_default())?;
        Ok(prometheus)
    }

    /// What a query gives now: its series, each with a label set and a value.
    ///
    /// # Errors
    /// The query is wrong; the text says how.
    pub async fn query(&self, query: &str) -> Result<Vec<Sample>> {
        let mut url = url::Url::parse(&self.url)?.join("/api/v1/query")?;
        url.query_pairs_mut().append_pair("query", query);
        let answer = self.get(url).await?;
        let result = answer["data"]["result"].as_array().context("no result")?;
        result.iter().map(Sample::of).collect::<Option<_>>().with_context(|| format!("no vector: {answer}"))
    }

    /// The rules with their state, as `/api/v1/rules` gives them.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn rules(&self) -> Result<Vec<Value>> {
        let answer = self.get(url::Url::parse(&self.url)?.join("/api/v1/rules")?).await?;
        let groups = answer["data"]["groups"].as_array().context("no groups")?;
        Ok(groups.iter().filter_map(|group| group["rules"].as_array()).flatten().cloned().collect())
    }

    async fn get(&self, url: url::Url) -> Result<Value> {
        let answer: Value = serde_json::from_str(&reqwest::get(url).await?.text().await?)?;
        ensure!(answer["status"] == "success", "{answer}");
        Ok(answer)
    }
}

/// One series of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Its labels.
    pub labels: Value,
    /// Its value; not a number where there was nothing to count.
    pub value: f64,
}

impl Sample {
    fn of(series: &Value) -> Option<Self> {
        let value = series["value"][1].as_str()?.parse().ok()?;
        Some(Self { labels: series["metric"].clone(), value })
    }
}
