//! Those who publish: test reports, lines, other programs.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use lapin::BasicProperties;
use nightbell_tests::program::{self, Ended};
use nightbell_tests::site::{CONNECTOR, Site, free_port, ids};
use nightbell_tests::wait;

/// One test that fails, one that can't run, one that passes, one that is skipped.
const SUITE: &str = "
import pytest

def test_pays():
    assert 1 + 1 == 3, 'the sum is wrong'

@pytest.fixture
def broken():
    raise RuntimeError('no database')

def test_refunds(broken):
    pass

def test_passes():
    pass

@pytest.mark.skip
def test_later():
    pass
";

pub(crate) async fn a_failing_pytest_rings_once(url: String) -> Result<()> {
    let site = Site::new(&url).await?;
    let worker = site.worker().await?;
    std::fs::write(site.folder().join("test_shop.py"), SUITE)?;
    let nightbell = program::path("nightbell")?;
    // A CI's shell ends at the first command that fails.
    let mut shell = tokio::process::Command::new("sh");
    let pytest = "pytest() { /usr/bin/python3 -m pytest --quiet \"$@\"; }";
    let called = format!("nightbell() {{ '{}' \"$@\"; }}", nightbell.display());
    shell.current_dir(site.folder()).args(["-euc", &format!("{pytest}\n{called}\n{}", three_lines()?)]);
    shell.env("BUILD", "71").env_remove("NIGHTBELL_QUEUE_URL");
    let said: Ended = shell.output().await.context("run the three lines of deploy/guide/publish.md")?.into();
    ensure!(said.code == Some(1), "two tests fail (of the Debian package python3-pytest): {said:?}");
    ensure!(said.stderr.contains("4 tests, 1 failed, 1 with errors, 1 skipped"), "{said:?}");
    ensure!(said.stdout.ends_with("published 2 events\n"), "{said:?}");
    wait::until("two alerts", || async { (site.fake.accepted_count() == 2).then_some(()) }).await?;

    // The same report again, within the window.
    let again = ["publish", "report.xml", "--project", "shop", "--run-id", "71"];
    site.nightbell(&again).await?.success()?;
    let repeats = format!("nightbell_alerts_settled_total{{connector=\"{CONNECTOR}\",result=\"duplicate\"}}");
    wait::until("two repeats", || async { site.metric(&repeats).await.ok().filter(|count| *count > 1.5) })
        .await?;
    ensure!(site.fake.accepted_count() == 2);
    let mut tests: Vec<_> = site.fake.requests().iter().filter_map(|request| request.test.clone()).collect();
    tests.sort();
    ensure!(tests == ["test_shop.test_pays", "test_shop.test_refunds"], "{tests:?}");
    drop(worker);
    site.close().await
}

/// The recipe for a test runner, of deploy/guide/publish.md.
fn three_lines() -> Result<String> {
    let page =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/guide/publish.md"))?;
    let mut blocks = page.split("```sh\n").filter_map(|text| text.split("```").next());
    let block = blocks.find(|block| block.contains("--fail-open")).context("no block has --fail-open")?;
    ensure!(block.lines().count() == 3, "three lines: {block}");
    Ok(block.to_owned())
}

pub(crate) async fn ndjson_is_published_line_by_line_and_bad_lines_are_said(url: String) -> Result<()> {
    let site = Site::new(&url).await?;
    let worker = site.worker().await?;
    let input =
        "{\"project\":\"p\",\"test\":\"a\"}\n\n{\"project\":\"p\"}\n{\"project\":\"p\",\"test\":\"b\"}";
    let ended = program::run("nightbell", site.folder(), &["publish"], input.as_bytes()).await?;
    ensure!(ended.code == Some(65) && ended.stdout == "published 2 events\n", "{ended:?}");
    ensure!(ended.stderr.contains("line 3: ") && ended.stderr.contains("missing field `test`"), "{ended:?}");
    wait::until("two alerts", || async { (site.fake.accepted_count() == 2).then_some(()) }).await?;
    let ended = program::run("nightbell", site.folder(), &["publish", "--json"], b"").await?;
    ensure!(ended.success()?.contains("\"published\": 0"));
    drop(worker);
    site.close().await
}

pub(crate) async fn publish_gives_up_with_69_when_the_broker_is_down(_: String) -> Result<()> {
    let site = Site::new(&format!("amqp://guest:guest@127.0.0.1:{}/%2f", free_port()?)).await?;
    let start = Instant::now();
    let publish = ["publish", "--project", "p", "--test", "t", "--timeout", "3s"];
    let ended = site.nightbell(&publish).await?;
    ensure!(ended.code == Some(69), "{ended:?}");
    ensure!(ended.stderr.contains("0 events published"), "{ended:?}");
    ensure!(start.elapsed().as_secs() < 15, "it took {:?}", start.elapsed());
    Ok(())
}

pub(crate) async fn any_amqp_client_can_publish(url: String) -> Result<()> {
    let site = Site::new(&url).await?;
    let worker = site.worker().await?;
    let queues = site.queues().await?;
    let ids = ids("foreign", 1);
    // The id of the message is the event's; the time is another program's form of it.
    let body =
        br#"{"project":"shop","test":"t","occurred_at":"2017-12-29T14:36:31+0000","company":{"id":7}}"#;
    let properties =
        BasicProperties::default().with_message_id(ids[0].as_str().into()).with_expiration("60000".into());
    queues.publish(body, properties.clone()).await?;
    site.all_accepted(&ids).await?;
    queues.publish(body, properties).await?;
    let repeats = format!("nightbell_alerts_settled_total{{connector=\"{CONNECTOR}\",result=\"duplicate\"}}");
    wait::until("a repeat", || async { site.metric(&repeats).await.ok().filter(|count| *count > 0.5) })
        .await?;
    let body: serde_json::Value = serde_json::from_slice(&site.fake.requests()[0].body)?;
    ensure!(body["properties"]["occurred_at"] == "2017-12-29T14:36:31.000Z", "{body:#}");
    site.conserves(&ids, 0).await?;
    drop(worker);
    site.close().await
}
