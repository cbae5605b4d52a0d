//! Events that come over HTTP.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use nightbell_tests::program::Ended;
use nightbell_tests::site::{CONNECTOR, Site, ids};
use nightbell_tests::wait;
use serde_json::{Value, json};

const NDJSON: &str = "application/x-ndjson";
const JSON: &str = "application/json";

pub(crate) async fn events_posted_over_http_are_delivered(url: String) -> Result<()> {
    let site = Site::new(&url).await?;
    let worker = site.worker().await?;
    let ids = ids("http", 6);
    let event = |id: &String| json!({ "project": "shop", "test": format!("test {id}"), "id": id });
    let one = event(&ids[0]).to_string();
    let some = Value::from(ids[1..4].iter().map(event).collect::<Vec<_>>()).to_string();
    let lines = ids[4..].iter().map(|id| event(id).to_string() + "\n").collect::<String>();
    for (content_type, body) in [(JSON, one), (JSON, some), (NDJSON, lines)] {
        let (status, answer) = site.post("/v1/events", content_type, body).await?;
        ensure!(status == 202, "{status} {answer}");
    }
    site.all_accepted(&ids).await?;
    site.conserves(&ids, 0).await?;
    site.accepted_once(&ids)?;
    drop(worker);
    site.close().await
}

pub(crate) async fn a_report_posted_over_http_rings_for_each_failure(url: String) -> Result<()> {
    let site = Site::new(&url).await?;
    let worker = site.worker().await?;
    let report = r#"<testsuite name="s"><testcase classname="c" name="fails"><failure message="no"/></testcase>
        <testcase classname="c" name="passes"/></testsuite>"#;
    let path = "/v1/junit?project=shop&run_id=7&label=team%3Dpay";
    let (status, answer) = site.post(path, "application/xml", report).await?;
    ensure!(status == 202, "{status} {answer}");
    wait::until("an alert", || async { (site.fake.accepted_count() == 1).then_some(()) }).await?;
    let body: Value = serde_json::from_slice(&site.fake.requests()[0].body)?;
    let properties = &body["properties"];
    ensure!(properties["test"] == "c.fails" && properties["team"] == "pay", "{body:#}");
    // The same report of the same run rings nobody a second time.
    ensure!(site.post(path, "application/xml", report).await?.0 == 202);
    let repeats = format!("nightbell_alerts_settled_total{{connector=\"{CONNECTOR}\",result=\"duplicate\"}}");
    wait::until("a repeat", || async { site.metric(&repeats).await.ok().filter(|count| *count > 0.5) })
        .await?;
    drop(worker);
    site.close().await
}

pub(crate) async fn an_api_fortress_event_rings(url: String) -> Result<()> {
    let site = Site::new(&url).await?;
    let worker = site.worker().await?;
    let event = json!({
        "date": "2017-12-29T14:36:31+0000", "eventId": "5a4653bf", "test": { "name": "Pays", "id": "t-1" },
        "companyName": "Acme", "companyId": 7, "projectName": "shop", "projectId": 3,
        "eventType": "failure", "failuresCount": 1, "location": "Chicago", "tags": null,
        "criticalFailures": [{ "action": "equals", "expression": "$.status", "status": "500",
                               "failureType": "assertion", "extra": "" }],
    });
    let (status, answer) = site.post("/v1/apifortress", JSON, event.to_string()).await?;
    ensure!(status == 202, "{status} {answer}");
    wait::until("an alert", || async { (site.fake.accepted_count() == 1).then_some(()) }).await?;
    let body: Value = serde_json::from_slice(&site.fake.requests()[0].body)?;
    let properties = &body["properties"];
    ensure!(properties["test"] == "Pays" && properties["project"] == "shop", "{body:#}");
    ensure!(properties["severity"] == "critical" && body["priority"] == "HIGH", "{body:#}");
    let (status, _) = site.post("/v1/apifortress", JSON, r#"{"project":"shop","test":"t"}"#).await?;
    ensure!(status == 422, "an ordinary event is none: {status}");
    drop(worker);
    site.close().await
}

pub(crate) async fn what_is_not_valid_is_refused_as_a_whole_and_named(url: String) -> Result<()> {
    let site = Site::new(&url).await?;
    let worker = site.worker().await?;
    let body =
        r#"[{"project":"shop","test":"good","id":"good-0"},{"project":"shop"},{"project":5,"test":"t"}]"#;
    let (status, answer) = site.post("/v1/events", JSON, body).await?;
    let said: Value = serde_json::from_str(&answer)?;
    ensure!(status == 422, "{status} {answer}");
    let rejected = said["rejected"].as_array().context("rejected")?;
    let places: Vec<_> = rejected.iter().map(|one| &one["index"]).collect();
    ensure!(places == [1, 2], "{answer}");
    ensure!(
        answer.contains("missing field `test`") && answer.contains("invalid type: integer `5`"),
        "{answer}"
    );
    // Nothing of it was taken: the good one is new.
    let good = ids("good", 1);
    let (status, answer) = site.post("/v1/events?partial=true", JSON, body).await?;
    ensure!(status == 202 && answer.contains("good-0"), "{status} {answer}");
    site.all_accepted(&good).await?;
    site.conserves(&good, 0).await?;
    ensure!(site.fake.requests().len() == 1);
    drop(worker);
    site.close().await
}

pub(crate) async fn only_those_with_the_token_may_post(url: String) -> Result<()> {
    let site = Site::new(&url).await?;
    let config = site.folder().join("nightbell.toml");
    let text = std::fs::read_to_string(&config)?;
    std::fs::write(&config, text.replace("[http]", "[http]\ningest_token = \"a-token-of-sixteen\""))?;
    let worker = site.worker().await?;
    let event = r#"{"project":"shop","test":"t","id":"token-0"}"#;
    ensure!(site.post("/v1/events", JSON, event).await?.0 == 401);
    ensure!(site.fake.requests().is_empty());
    // The command knows the token from the configuration, where it goes through the worker.
    let ids = ids("token", 1);
    site.publish(&ids).await?;
    site.all_accepted(&ids).await?;
    drop(worker);
    site.close().await
}

pub(crate) async fn the_http_interface_is_as_its_description_says(url: String) -> Result<()> {
    const SCHEMATHESIS: &str = "target/tools/python/bin/schemathesis";
    let site = Site::new(&url).await?;
    let config = site.folder().join("nightbell.toml");
    let tokens =
        "[http]\ningest_token = \"an-ingest-token-of-length\"\nadmin_token = \"an-admin-token-of-length\"";
    let text = std::fs::read_to_string(&config)?;
    std::fs::write(&config, text.replace("[http]", tokens))?;
    let worker = site.worker().await?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let program = root.join(SCHEMATHESIS);
    ensure!(program.exists(), "`{SCHEMATHESIS}` is missing: tests/run installs it");
    let mut command = tokio::process::Command::new(program);
    command.arg("--config-file").arg(root.join("crates/nightbell-http/schemathesis.toml"));
    command.args(["run", &site.url("/openapi.json"), "-n", "10"]).current_dir(site.folder());
    command.env("INGEST_TOKEN", "an-ingest-token-of-length").env("ADMIN_TOKEN", "an-admin-token-of-length");
    let ended = Ended::from(command.kill_on_drop(true).output().await.context("run schemathesis")?);
    ensure!(ended.code == Some(0), "{ended:?}");
    ensure!(worker.terminate().await?.success(), "what it sent did not harm the worker");
    site.close().await
}
