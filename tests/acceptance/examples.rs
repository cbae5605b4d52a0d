//! The clients of `deploy/examples`, run as their reader would run them.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use futures::future::try_join_all;
use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, ExchangeKind};
use nightbell_tests::program::{self, Ended};
use nightbell_tests::site::{CONNECTOR, Site};
use nightbell_tests::wait;
use tokio::net::TcpListener;
use tokio::process::Command;

/// The exchange's name in the broker that a client publishes to.
const EXCHANGE: &str = "NIGHTBELL_EXCHANGE";

#[derive(Debug, Clone, Copy)]
enum Client {
    Pika,
    Amqplib,
    Lapin,
}

const CLIENTS: [Client; 3] = [Client::Pika, Client::Amqplib, Client::Lapin];

pub(crate) async fn an_event_published_by_pythons_pika_is_delivered(url: String) -> Result<()> {
    is_delivered_once(Client::Pika, &url).await
}

pub(crate) async fn an_event_published_by_nodes_amqplib_is_delivered(url: String) -> Result<()> {
    is_delivered_once(Client::Amqplib, &url).await
}

pub(crate) async fn an_event_published_by_rusts_lapin_is_delivered(url: String) -> Result<()> {
    is_delivered_once(Client::Lapin, &url).await
}

async fn is_delivered_once(client: Client, url: &str) -> Result<()> {
    let site = Site::new(url).await?;
    let worker = site.worker().await?;
    let events = format!("{}.events", site.prefix());
    let channel = site.queues().await?.channel().await?;
    let copies = bound_queue(&channel, &events, FieldTable::default()).await?;

    let ended = client.run(&site, url, &events).await?;
    let said = ended.clone().success().with_context(|| format!("{client:?}: {ended:?}"))?;
    let id = said.strip_prefix("confirmed ").with_context(|| said.clone())?.trim_end().to_owned();
    site.all_accepted(std::slice::from_ref(&id)).await?;
    // The same result again: the same id, hence nothing rings.
    ensure!(client.run(&site, url, &events).await?.success()? == said, "the id is stable");
    let repeats = format!("nightbell_alerts_settled_total{{connector=\"{CONNECTOR}\",result=\"duplicate\"}}");
    wait::until("a repeat", || async { site.metric(&repeats).await.ok().filter(|count| *count > 0.5) })
        .await?;
    site.conserves(std::slice::from_ref(&id), 0).await?;
    ensure!(site.fake.accepted_count() == 1);
    let body: serde_json::Value = serde_json::from_slice(&site.fake.requests()[0].body)?;
    ensure!(body["properties"]["test"] == "refunds a card", "{body:#}");

    let copy = channel.basic_get(copies.as_str().into(), BasicGetOptions { no_ack: true }).await?;
    let properties = copy.context("a copy of what was published")?.delivery.properties;
    let text = |field: &Option<lapin::types::ShortString>| field.as_ref().map(ToString::to_string);
    ensure!(text(properties.message_id()) == Some(id), "{properties:?}");
    ensure!(text(properties.content_type()).as_deref() == Some("application/json"), "{properties:?}");
    ensure!(*properties.delivery_mode() == Some(2) && properties.timestamp().is_some(), "{properties:?}");
    drop(worker);
    site.close().await
}

pub(crate) async fn an_example_that_gets_no_confirm_fails_and_says_why(url: String) -> Result<()> {
    let site = Site::new(&url).await?;
    let channel = site.queues().await?.channel().await?;
    let exchange = |name: &str| format!("{}.{name}", site.prefix());
    let (unbound, full, absent) = (exchange("unbound"), exchange("full"), exchange("absent"));
    for name in [&unbound, &full] {
        let options = ExchangeDeclareOptions { auto_delete: name == &full, ..Default::default() };
        channel
            .exchange_declare(name.as_str().into(), ExchangeKind::Topic, options, FieldTable::default())
            .await?;
    }
    let mut limits = FieldTable::default();
    limits.insert("x-max-length".into(), AMQPValue::LongInt(1));
    limits.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
    bound_queue(&channel, &full, limits).await?;
    let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
    channel
        .basic_publish(full.as_str().into(), "event".into(), options, b"fills it", properties)
        .await?
        .await?;
    // It takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await?;
    let silent_url = format!("amqp://guest:guest@{}/%2f", silent.local_addr()?);

    let (site, url, silent_url) = (&site, url.as_str(), silent_url.as_str());
    let cases = [
        (url, &unbound, "return"),
        (url, &full, "NackError|nack|refused"),
        (url, &absent, "404|NOT_FOUND|NOT-FOUND"),
        (silent_url, &absent, "no confirm within 10"),
    ];
    let every = CLIENTS.into_iter().flat_map(|client| cases.map(|case| (client, case)));
    let checks = every.map(|(client, (url, exchange, why))| async move {
        let ended = client.run(site, url, exchange).await?;
        let said =
            ended.stderr.contains("not published") && why.split('|').any(|why| ended.stderr.contains(why));
        ensure!(ended.code == Some(1) && ended.stdout.is_empty() && said, "{client:?}, {why}: {ended:?}");
        ensure!(!ended.stderr.contains("guest:guest"), "{client:?} says the password: {ended:?}");
        Ok(())
    });
    try_join_all(checks).await?;
    channel.exchange_delete(unbound.as_str().into(), Default::default()).await?;
    Ok(())
}

/// A queue of the channel's own that gets what an exchange gets.
pub(crate) async fn bound_queue(channel: &Channel, exchange: &str, limits: FieldTable) -> Result<String> {
    let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    let queue = channel.queue_declare("".into(), options, limits).await?.name().to_string();
    let (options, none) = (QueueBindOptions::default(), FieldTable::default());
    channel.queue_bind(queue.as_str().into(), exchange.into(), "#".into(), options, none).await?;
    Ok(queue)
}

impl Client {
    /// Runs the example to its end.
    async fn run(self, site: &Site, url: &str, exchange: &str) -> Result<Ended> {
        let mut command = self.command(site.folder())?;
        command.envs([("NIGHTBELL_QUEUE_URL", url), (EXCHANGE, exchange), ("RUN_ID", "run-1")]);
        command.stdin(Stdio::null()).kill_on_drop(true);
        let output = tokio::time::timeout(wait::WAIT_MAX, command.output()).await;
        let output = output.with_context(|| format!("{self:?} does not end"))?;
        Ok(output.with_context(|| format!("run the example of {self:?}"))?.into())
    }

    fn command(self, folder: &Path) -> Result<Command> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
        let examples = root.join("deploy/examples");
        match self {
            Self::Pika => {
                let mut python = Command::new(installed(&root, "python/bin/python")?);
                python.arg(examples.join("python/publish.py"));
                Ok(python)
            }
            Self::Amqplib => {
                // Node looks for packages beside the script.
                let (modules, link) = (installed(&root, "node/node_modules")?, folder.join("node_modules"));
                if !link.exists() {
                    for file in ["package.json", "publish.js"] {
                        std::fs::copy(examples.join("node").join(file), folder.join(file))?;
                    }
                    std::os::unix::fs::symlink(modules, link)?;
                }
                let mut node = Command::new("node");
                node.arg(folder.join("publish.js"));
                Ok(node)
            }
            Self::Lapin => Ok(Command::new(program::path("publish-example")?)),
        }
    }
}

/// Where `tests/run` puts the packages that an example needs.
fn installed(root: &Path, name: &str) -> Result<PathBuf> {
    let path = root.join("target/examples").join(name);
    ensure!(path.exists(), "`target/examples/{name}` is missing: tests/run installs it");
    Ok(path)
}
