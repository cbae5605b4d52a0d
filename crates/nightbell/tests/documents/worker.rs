//! What a running worker shows: metrics and routes.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Child;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::Wrong;
use crate::page::{pages, words};
use crate::program::nightbell;

/// How long a worker may take to answer.
const START_MAX: Duration = Duration::from_secs(60);

/// How long to wait before it is asked again.
const BETWEEN: Duration = Duration::from_millis(20);

/// A worker with the embedded queue, which ends with this.
struct Worker {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl Worker {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = format!(
            "[http]\nlisten = \"127.0.0.1:{port}\"\n\n[[connectors]]\nname = \"sre\"\nauth = \"url\"\nrecipients = []\n\
             trigger_url = \"http://127.0.0.1:9/api/integration/1/functions/1/triggers?apiKey=k\"\n"
        );
        std::fs::write(folder.path().join("nightbell.toml"), config).unwrap();
        let child = nightbell(folder.path(), &["--log", "error", "run"]).spawn().unwrap();
        Self { child, port, _folder: folder }
    }

    /// The body that it answers with, as soon as it does.
    fn get(&self, path: &str) -> String {
        let start = Instant::now();
        loop {
            if let Some(body) = self.ask(path).filter(|body| !body.is_empty()) {
                return body;
            }
            assert!(start.elapsed() < START_MAX, "no {path}");
            std::thread::park_timeout(BETWEEN);
        }
    }

    fn ask(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        let head =
            format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\r\n", self.port);
        stream.write_all(head.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer.split_once("\r\n\r\n")?.1.to_owned()).filter(|_| answer.starts_with("HTTP/1.1 200"))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn every_metric_and_every_route_that_is_told_of_is_there_and_every_metric_is_told_of() {
    let worker = Worker::start();
    let shown = worker.get("/metrics");
    let names = shown.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let metrics: BTreeSet<&str> = names.filter(|name| name.starts_with("nightbell_")).collect();
    assert!(metrics.len() > 25, "{metrics:?}");
    let routes = worker.get("/openapi.json");
    drop(worker);
    let crates = std::fs::read_dir(crate::page::root().join("crates")).unwrap();
    let crates: BTreeSet<_> =
        crates.map(|entry| entry.unwrap().file_name().to_string_lossy().replace('-', "_")).collect();
    let (pages, mut wrong) = (pages(), Wrong::default());
    for page in pages.iter().filter(|page| page.is_of_today()) {
        for word in words(&page.text).filter(|word| word.starts_with("nightbell_") && *word != "nightbell_") {
            wrong.unless(metrics.contains(word) || crates.contains(word), page, word);
        }
        for span in page.spans() {
            let path =
                span.trim_start_matches("POST ").split(['?', ' ']).next().unwrap_or_default().to_owned();
            if path.starts_with("/v1/") && path != "/v1/traces" {
                wrong.unless(routes.contains(&format!("\"{path}\"")), page, &span);
            }
        }
    }
    let watch = pages.iter().find(|page| page.path == "deploy/guide/watch.md").unwrap();
    for metric in metrics {
        wrong.unless(watch.text.contains(&format!("`{metric}`")), watch, metric);
    }
}
