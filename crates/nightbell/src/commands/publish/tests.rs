//! What comes out for which flags, with a queue in memory.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use clap::Parser as _;
use nightbell_core::message::Message;
use nightbell_core::ports::{Destination, PublishError};
use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::cli::{Cli, Command};

/// A queue that keeps what it is given.
#[derive(Debug, Clone, Default)]
struct Kept(Arc<Mutex<Vec<Message>>>);

impl Outlet for Kept {
    async fn publish(&self, to: Destination, message: Message) -> Result<(), PublishError> {
        assert_eq!(to, Destination::Events { routing_key: "event.shop".into() });
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(message);
        Ok(())
    }
}

/// A folder with reports: two shards, the second of which was run again, and one in CTRF.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let suite = |hour: u32, inside: &str| {
        format!(
            "<testsuite name='s' timestamp='2026-11-21T{hour:02}:00:00'><testcase name='t'>{inside}</testcase></testsuite>"
        )
    };
    let files = [
        ("shard-1.xml", suite(3, "<failure message='one'/>").replace("'t'", "'u'")),
        ("shard-2.xml", suite(3, "<failure message='two'/>")),
        ("shard-2-again.xml", suite(4, "")),
        (
            "ctrf.json",
            r#"{"results":{"tests":[{"name":"v","status":"failed"},{"name":"w","status":"passed","flaky":true}]}}"#.into(),
        ),
    ];
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// The flags of `nightbell publish`; `@` stands for the folder.
fn flags(folder: &Path, line: &[&str]) -> Publish {
    let line = line.iter().map(|word| word.replace('@', &folder.display().to_string()));
    let fixed = ["nightbell", "publish", "--project", "shop"].map(str::to_owned);
    let cli = Cli::try_parse_from(fixed.into_iter().chain(line)).unwrap();
    let Command::Publish(flags) = cli.command else { panic!("{cli:?}") };
    *flags
}

/// The bodies that these flags publish.
async fn published(line: &[&str]) -> Vec<Value> {
    let folder = folder();
    let (outlet, mut told) = (Kept::default(), Published::default());
    feed(outlet.clone(), &flags(folder.path(), line), &mut told).await.unwrap();
    let kept = outlet.0.lock().unwrap_or_else(PoisonError::into_inner);
    kept.iter().map(|message| serde_json::from_slice(&message.body).unwrap()).collect()
}

/// The tests whose failure these flags publish.
async fn tests(line: &[&str]) -> BTreeSet<String> {
    published(line).await.iter().map(|body| body["test"].as_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn same(tests: &BTreeSet<String>, want: &[&str]) {
    assert_eq!(tests.iter().map(String::as_str).collect::<Vec<_>>(), want);
}

#[tokio::test]
async fn reports_of_both_forms_are_published_together() {
    same(&tests(&["--junit", "@/shard-*.xml", "--ctrf", "@/ctrf.json"]).await, &["t", "u", "v"]);
    same(&tests(&["--junit", "@/shard-1.xml", "@/shard-2.xml"]).await, &["t", "u"]);
}

#[tokio::test]
async fn of_attempts_the_last_counts_whatever_the_files_are_called() {
    same(&tests(&["--junit", "@/*.xml", "--reruns"]).await, &["u"]);
    same(&tests(&["--junit", "@/*.xml", "--reruns", "--flaky"]).await, &["t", "u"]);
}

#[tokio::test]
async fn flaky_tests_are_published_if_asked_for() {
    same(&tests(&["--ctrf", "@/*.json"]).await, &["v"]);
    let bodies = published(&["--ctrf", "@/*.json", "--flaky", "--tag", "nightly"]).await;
    let flaky = bodies.iter().find(|body| body["test"] == "w").unwrap();
    assert_eq!(
        (&flaky["tags"], &flaky["status"]),
        (&serde_json::json!(["nightly", "flaky"]), &"failed".into())
    );
}

#[tokio::test]
async fn what_flags_say_is_in_every_event() {
    let bodies = published(&[
        "--junit",
        "@/shard-1.xml",
        "--environment",
        "staging",
        "--run-id",
        "7/1",
        "--label",
        "team=pay=ments",
        "--report-url",
        "https://ci/{project}/{run_id}/{environment}?{suite}.{test}",
    ])
    .await;
    assert_eq!(bodies.len(), 1);
    assert_eq!(bodies[0]["environment"], "staging");
    assert_eq!(bodies[0]["run_id"], "7/1");
    assert_eq!(bodies[0]["labels"], serde_json::json!({ "team": "pay=ments" }));
    assert_eq!(bodies[0]["report_url"], "https://ci/shop/7%2F1/staging?s.u");
}

#[tokio::test]
async fn one_event_has_its_link_filled_too() {
    let bodies = published(&["--test", "a b", "--report-url", "https://ci/{test}"]).await;
    assert_eq!(bodies[0]["report_url"], "https://ci/a%20b");
}

#[tokio::test]
async fn a_bad_input_fails_the_command_and_costs_no_other() {
    let folder = folder();
    let (outlet, mut told) = (Kept::default(), Published::default());
    let flags = flags(folder.path(), &["--junit", "@/none-*.xml", "@/ctrf.json", "@/shard-1.xml"]);
    let failure = feed(outlet.clone(), &flags, &mut told).await.unwrap_err();
    assert_eq!(
        (failure.code, failure.to_string().as_str()),
        (Code::Data, "2 inputs could not be read, see above")
    );
    assert_eq!(outlet.0.lock().unwrap_or_else(PoisonError::into_inner).len(), 1);
}
