//! `nightbell check --online`: what it finds wrong, each thing with its cure and its exit code.

use anyhow::{Context as _, Result, ensure};
use fake_xmatters::{Auth, Authority, FakeXmatters, Identity, Settings, Tls};
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, ConnectionProperties};
use nightbell_tests::node::{Extras, RabbitNode};
use nightbell_tests::site::{CONNECTOR, EMBEDDED, PASSWORD, Site, USER, free_port};
use nightbell_tests::wait;
use serde_json::Value;

/// Where stand-ins are reached.
const HERE: &[&str] = &["127.0.0.1"];

pub(crate) async fn the_doctor_names_a_queue_that_was_declared_otherwise(url: String) -> Result<()> {
    let site = Site::new(&url).await?;
    let worker = site.worker().await?;
    ensure!(worker.terminate().await?.success());
    let queue = format!("{}.connector.{CONNECTOR}", site.prefix());
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    channel.queue_declare(queue.as_str().into(), QueueDeclareOptions::durable(), arguments).await?;
    let ended = site.nightbell(&["check", "--online"]).await?;
    ensure!(
        ended.code == Some(69) && ended.stdout.contains(&format!("FAIL  queue `{queue}`: ")),
        "{ended:?}"
    );
    ensure!(ended.stdout.contains("delete the queue when it is empty"), "{ended:?}");
    site.close().await
}

pub(crate) async fn the_doctor_names_permissions_that_are_missing(_: String) -> Result<()> {
    // A node of its own: users are not of one virtual host alone.
    let node = RabbitNode::start().await?;
    let site = Site::new(&node.url("/")).await?;
    let worker = site.worker().await?;
    ensure!(worker.terminate().await?.success());
    node.ctl(&["add_user", "narrow", "narrow-secret"]).await?;
    node.ctl(&["set_permissions", "narrow", "^$", ".*", "^$"]).await?;
    let site = site.moved_to(&node.url_for("narrow", "narrow-secret", "/"))?;
    let ended = site.nightbell(&["check", "--online"]).await?;
    ensure!(ended.code == Some(77), "{ended:?}");
    for line in [
        "FAIL  permission to configure: refused on ",
        "FAIL  permission to read: refused on 2 of 2",
        "ok    permission to write",
    ] {
        ensure!(ended.stdout.contains(line), "{line} is not in {ended:?}");
    }
    node.ctl(&["change_password", "narrow", "another"]).await?;
    let ended = site.nightbell(&["check", "--online"]).await?;
    ensure!(
        ended.code == Some(77) && ended.stdout.contains("refused the user name or the password"),
        "{ended:?}"
    );
    ensure!(!ended.stdout.contains("narrow-secret") && !ended.stderr.contains("narrow-secret"), "{ended:?}");
    Ok(())
}

pub(crate) async fn the_doctor_names_policies_that_take_from_the_queues(_: String) -> Result<()> {
    let port = free_port()?;
    let settings = format!("management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {port}\n");
    let plugins = "[rabbitmq_management].\n".to_owned();
    let node = RabbitNode::start_with(&Extras { plugins, settings, ..Extras::default() }).await?;
    node.ctl(&["add_user", "narrow", "narrow-secret"]).await?;
    // It may not configure anything, so that AMQP tells it no queue's arguments.
    node.ctl(&["set_permissions", "narrow", "^$", ".*", ".*"]).await?;
    let site = Site::new(&node.url("/")).await?;
    ensure!(site.worker().await?.terminate().await?.success());
    let place = format!("http://127.0.0.1:{port}");
    let site = site.moved_to(&node.url_for("narrow", "narrow-secret", "/"))?;
    let site = site.with_queue(&format!("declare = false\nmanagement_url = \"{place}\""))?;
    let refused = site.nightbell(&["check", "--online"]).await?;
    ensure!(
        refused.code == Some(77) && refused.stdout.contains("set_user_tags USER management"),
        "{refused:?}"
    );

    node.ctl(&["set_user_tags", "narrow", "management"]).await?;
    let sound = site.nightbell(&["check", "--online"]).await?;
    let sound_said = sound.stdout.clone();
    ensure!(sound_said.contains("ok    policies: none changes what the 12 queues need"), "{sound:?}");
    ensure!(!sound_said.contains("its arguments are told only to"), "{sound:?}");
    sound.success()?;

    let dead = format!("^{}.dead$", site.prefix().replace('.', "[.]"));
    node.ctl(&["set_policy", "short", "connector", r#"{"delivery-limit":3}"#, "--apply-to", "queues"])
        .await?;
    node.ctl(&["set_operator_policy", "tidy", &dead, r#"{"message-ttl":60000}"#, "--apply-to", "queues"])
        .await?;
    let lines = [
        format!(
            "FAIL  policy `tidy`: `message-ttl` = 60000 deletes dead letters of that age: queue `{}.dead`",
            site.prefix()
        ),
        "warn  policy `short`: `delivery-limit` = 3 makes dead letters of".to_owned(),
    ];
    // A queue tells the management API every 5 s what applies to it.
    let ended = wait::until("both policies", || async {
        let ended = site.nightbell(&["check", "--online"]).await.ok()?;
        lines.iter().all(|line| ended.stdout.contains(line)).then_some(ended)
    })
    .await?;
    ensure!(ended.code == Some(69), "{ended:?}");
    ensure!(!format!("{ended:?}{refused:?}").contains("narrow-secret"), "{ended:?}");
    Ok(())
}

/// A site whose stand-in shows this certificate, of an authority that is trusted.
async fn site_with(authority: &Authority, identity: &Identity) -> Result<Site> {
    let auth = Auth::Basic { user: USER.into(), password: PASSWORD.into() };
    let settings = Settings { auth, tls: Some(Tls::new(identity)?), ..Settings::default() };
    let site = Site::with(EMBEDDED, FakeXmatters::start(settings).await?)?;
    std::fs::write(site.folder().join("ca.pem"), authority.pem())?;
    site.configure_more("ca_file = \"ca.pem\"")?;
    Ok(site)
}

pub(crate) async fn the_doctor_reads_certificates_and_posts_nothing(_: String) -> Result<()> {
    let authority = Authority::new()?;
    let cases = [
        (authority.server_until(HERE, 90)?, 0, "ok    certificate of 127.0.0.1:"),
        (authority.server_until(HERE, 5)?, 0, "warn  certificate of 127.0.0.1:"),
        (authority.expired_server(HERE)?, 69, "it expired on 2020-01-01"),
    ];
    for (identity, code, line) in cases {
        let site = site_with(&authority, &identity).await?;
        let ended = site.nightbell(&["check", "--online"]).await?;
        ensure!(ended.code == Some(code) && ended.stdout.contains(line), "{line}: {ended:?}");
        ensure!(site.fake.accepted_count() == 0);
    }
    Ok(())
}

pub(crate) async fn the_doctor_gives_one_document(_: String) -> Result<()> {
    let site = Site::new(EMBEDDED).await?;
    site.configure_more("tls = { verification = \"none\" }\nrate_limit = \"60/min\"")?;
    let said = site.nightbell(&["check", "--online", "--json"]).await?.success()?;
    let said: Value = serde_json::from_str(&said)?;
    ensure!(said["configuration"].as_str().is_some_and(|text| text.contains("rate_limit")), "{said}");
    let findings = said["findings"].as_array().context("no findings")?;
    for (level, what) in
        [("warn", "TLS of sre"), ("warn", "pace of sre"), ("note", "clock"), ("ok", "embedded queue")]
    {
        let is_there = findings.iter().any(|one| one["level"] == level && one["what"] == what);
        ensure!(is_there, "{level} {what} is not in {said}");
    }
    ensure!(!said.to_string().contains(PASSWORD), "{said}");
    Ok(())
}
