//! What docker-compose.yml runs, as plain processes on this machine: the files that it mounts, with other addresses, and
//! the same command lines. Prometheus then is asked everything that the dashboard and the rules ask.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use lapin::options::{BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Connection, ConnectionProperties};
use nightbell_tests::node::{Extras, RabbitNode};
use nightbell_tests::program::{self, Worker};
use nightbell_tests::prometheus::Prometheus;
use nightbell_tests::site::free_port;
use nightbell_tests::wait;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::deployment::{shipped, yaml};

/// What the stand-in answers first; then 202. One alert is tried twice, and refused.
const SCRIPT: &str = r#"[{"status": 503}, {"status": 400}]"#;

/// The system, with what it runs on.
struct Composed {
    folder: TempDir,
    node: RabbitNode,
    http: u16,
    worker: Worker,
    _xmatters: Child,
}

pub(crate) async fn what_compose_runs_delivers_with_the_least_privileges(_: String) -> Result<()> {
    let compose = yaml("docker-compose.yml").await?;
    let composed = Composed::start(&compose, &[free_port()?, free_port()?]).await?;
    composed.traffic().await?;
    let checked = composed.nightbell(&["check", "--online"]).await?;
    ensure!(checked.code == Some(0), "the worker's user has what it needs: {checked:?}");
    composed.replay_as_operator().await?;
    composed.discard_as_operator().await?;
    composed.everybody_is_examined().await?;
    composed.nobody_may_more().await?;
    let Composed { worker, .. } = composed;
    ensure!(worker.terminate().await?.success());
    Ok(())
}

pub(crate) async fn every_query_of_the_dashboard_and_every_rule_finds_its_data(_: String) -> Result<()> {
    let compose = yaml("docker-compose.yml").await?;
    let ports = [free_port()?, free_port()?];
    let composed = Composed::start(&compose, &ports).await?;
    let prometheus = composed.prometheus(ports[0]).await?;
    // An increase shows only from a value that was seen.
    has_data(&prometheus, "nightbell_events_received_total == 0").await?;
    composed.traffic().await?;
    for query in dashboard_queries()? {
        has_data(&prometheus, &query).await?;
    }
    rules_are_sound(&prometheus).await?;
    let firing = r#"ALERTS{alertname="NightbellDeadLetters",connector="on-call",reason="refused",alertstate="firing"}"#;
    has_data(&prometheus, firing).await
}

impl Composed {
    /// Starts RabbitMQ with its definitions, the stand-in and the worker. `ports`: RabbitMQ's metrics, its management.
    async fn start(compose: &Value, ports: &[u16; 2]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("nightbell-composed-").tempdir()?;
        let node = rabbitmq(ports).await?;
        let (http, xmatters_port) = (free_port()?, free_port()?);
        let xmatters = xmatters(folder.path(), &compose["services"]["xmatters"], xmatters_port).await?;
        let text = adapted(
            "deploy/compose/nightbell/nightbell.toml",
            &[
                ("/var/lib/nightbell", "data"),
                ("/run/secrets/", &format!("{}/", shipped("deploy/compose/secrets/worker").display())),
                ("rabbitmq:5672", &format!("127.0.0.1:{}", node.port())),
                ("0.0.0.0:9464", &format!("127.0.0.1:{http}")),
                ("http://xmatters:8480", &format!("https://127.0.0.1:{xmatters_port}")),
                ("allow_insecure = true", "ca_file = \"ca.pem\""),
                ("recipients = [\"on-call\"]", "recipients = [\"on-call\"]\nrate_limit = \"none\""),
            ],
        )?;
        std::fs::write(folder.path().join("nightbell.toml"), text)?;
        let worker = Worker::start(folder.path(), "nightbell.toml", "worker.log", "")?;
        let composed = Self { folder, node, http, worker, _xmatters: xmatters };
        let test = words(&compose["services"]["worker"]["healthcheck"]["test"])?;
        ensure!(test[..2] == ["CMD", "nightbell"], "{test:?}");
        let test: Vec<&str> = test[2..].iter().map(String::as_str).collect();
        let healthy = wait::until("a healthy worker", || async {
            composed.nightbell(&test).await.ok().filter(|ended| ended.code == Some(0))
        });
        healthy.await.with_context(|| composed.worker.log().unwrap_or_default())?;
        Ok(composed)
    }

    async fn nightbell(&self, arguments: &[&str]) -> Result<program::Ended> {
        program::run("nightbell", self.folder.path(), arguments, b"").await
    }

    fn url_for(&self, user: &str, secret: &str) -> Result<String> {
        Ok(self.node.url_for(user, &password(secret)?, "/"))
    }

    /// One alert that is refused at its second attempt, two that are delivered, and a repeat.
    async fn traffic(&self) -> Result<()> {
        let url = self.url_for("nightbell-publisher", "amqp-publisher")?;
        let publish = ["publish", "--queue-url", &url, "--project", "shop", "--test"];
        for (test, settled) in [("refunds", "dead"), ("pays", "delivered"), ("pays", "duplicate")] {
            self.nightbell(&[&publish[..], &[test]].concat()).await?.success()?;
            self.settled(settled, 1.0).await?;
        }
        let post = reqwest::Client::new().post(format!("http://127.0.0.1:{}/v1/events", self.http));
        let post = post.header("authorization", format!("Bearer {}", password("ingest-token")?));
        let post =
            post.header("content-type", "application/json").body(r#"{"project":"shop","test":"adds"}"#);
        ensure!(post.send().await?.status() == 202);
        self.settled("delivered", 2.0).await
    }

    async fn settled(&self, result: &str, count: f64) -> Result<()> {
        let series =
            format!("nightbell_alerts_settled_total{{connector=\"on-call\",result=\"{result}\"}} {count}");
        let seen = wait::until(&series, || async {
            let metrics = reqwest::get(format!("http://127.0.0.1:{}/metrics", self.http)).await.ok()?;
            metrics.text().await.ok()?.lines().any(|line| line == series).then_some(())
        });
        seen.await.with_context(|| self.worker.log().unwrap_or_default())
    }

    async fn replay_as_operator(&self) -> Result<()> {
        self.configure_for("operator")?;
        let listed = self.nightbell(&["--config", "operator.toml", "dead", "list"]).await?.success()?;
        ensure!(listed.contains("refunds"), "{listed}");
        let replay = self.nightbell(&["--config", "operator.toml", "dead", "replay"]).await?;
        replay.success()?;
        self.settled("delivered", 3.0).await
    }

    /// The configuration with another of the shipped users.
    fn configure_for(&self, user: &str) -> Result<()> {
        let text = std::fs::read_to_string(self.folder.path().join("nightbell.toml"))?;
        let text = text.replace("nightbell-worker", &format!("nightbell-{user}"));
        let text = text.replace("worker/amqp-worker", &format!("amqp-{user}"));
        Ok(std::fs::write(self.folder.path().join(format!("{user}.toml")), text)?)
    }

    /// What is no event becomes a dead letter, which the operator sees and discards.
    async fn discard_as_operator(&self) -> Result<()> {
        let url = self.url_for("nightbell-publisher", "amqp-publisher")?;
        let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let sent = channel.basic_publish("nightbell.events".into(), "x".into(), options, b"{", properties);
        sent.await?.await?;
        self.settled("dead", 2.0).await?;
        let discard = ["--config", "operator.toml", "dead", "discard", "--yes"];
        let discarded = self.nightbell(&discard).await?.success()?;
        ensure!(discarded.contains("discarded 1"), "{discarded}");
        Ok(())
    }

    /// `check --online` answers every user, and says what it may do.
    async fn everybody_is_examined(&self) -> Result<()> {
        for (user, said) in [
            (
                "operator",
                "note  user: it may publish events, and list, replay and discard dead letters, and not",
            ),
            ("publisher", "note  user: it may publish events, and not do the worker's part"),
        ] {
            self.configure_for(user)?;
            let checked = self.nightbell(&["--config", &format!("{user}.toml"), "check", "--online"]).await?;
            ensure!(checked.code == Some(77) && checked.stdout.contains(said), "{user}: {checked:?}");
            let refused = "FAIL  permission to read: refused on ";
            ensure!(checked.stdout.contains(refused), "{user}: {checked:?}");
        }
        Ok(())
    }

    /// What the users of `definitions.json` must not do.
    async fn nobody_may_more(&self) -> Result<()> {
        for (user, secret, publishes) in [
            ("nightbell-publisher", "amqp-publisher", "nightbell.requeue"),
            ("nightbell-operator", "amqp-operator", "nightbell.requeue"),
            ("nightbell-worker", "amqp-worker", "amq.topic"),
        ] {
            let url = self.url_for(user, secret)?;
            let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
            let (options, none) = (QueueDeclareOptions::default(), FieldTable::default());
            let channel = connection.create_channel().await?;
            let declared = channel.queue_declare("nightbell.other".into(), options, none.clone()).await;
            ensure!(is_refused(declared), "{user} made a queue");
            let channel = connection.create_channel().await?;
            // The refusal closes the channel; whoever waits for the confirm is told why.
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
            let sent = channel.basic_publish(publishes.into(), "x".into(), options, b"", properties);
            ensure!(is_refused(sent.await?.await), "{user} published to {publishes}");
            if user != "nightbell-worker" {
                let channel = connection.create_channel().await?;
                let queue = "nightbell.connector.on-call".into();
                let consumed =
                    channel.basic_consume(queue, "x".into(), BasicConsumeOptions::default(), none).await;
                ensure!(is_refused(consumed), "{user} consumed alerts");
            }
        }
        Ok(())
    }

    /// Prometheus with the shipped configuration, scraping every second.
    async fn prometheus(&self, rabbitmq: u16) -> Result<Prometheus> {
        let text = adapted(
            "deploy/prometheus/prometheus.yml",
            &[
                ("worker:9464", &format!("127.0.0.1:{}", self.http)),
                ("rabbitmq:15692", &format!("127.0.0.1:{rabbitmq}")),
                ("15s", "1s"),
            ],
        )?;
        let config = self.folder.path().join("prometheus.yml");
        std::fs::write(&config, text)?;
        let rules = "nightbell.rules.yml";
        std::fs::copy(shipped("deploy/prometheus").join(rules), self.folder.path().join(rules))?;
        Prometheus::start(&config).await
    }
}

async fn rabbitmq([metrics, management]: &[u16; 2]) -> Result<RabbitNode> {
    let loads = "load_definitions = /etc/rabbitmq/definitions.json";
    let settings = adapted("deploy/rabbitmq/rabbitmq.conf", &[(loads, "")])?;
    let listeners = [("prometheus", metrics), ("management", management)];
    let listeners =
        listeners.map(|(name, port)| format!("{name}.tcp.ip = 127.0.0.1\n{name}.tcp.port = {port}\n"));
    let plugins = std::fs::read_to_string(shipped("deploy/rabbitmq/enabled_plugins"))?;
    let (settings, definitions) =
        (settings + &listeners.concat(), shipped("deploy/rabbitmq/definitions.json"));
    let extras = Extras { plugins, settings, definitions: Some(definitions), ..Extras::default() };
    Ok(RabbitNode::start_with(&extras).await?)
}

/// The stand-in by its command line; with TLS besides, so that there is a certificate to look at.
async fn xmatters(folder: &Path, service: &Value, port: u16) -> Result<Child> {
    let here = format!("127.0.0.1:{port}");
    std::fs::write(folder.join("script.json"), SCRIPT)?;
    let mut command = Command::new(program::path("fake-xmatters")?);
    command.args(words(&service["command"])?.iter().map(|word| word.replace("0.0.0.0:8480", &here)));
    command.args(["--tls", ".", "--script", "script.json"]).current_dir(folder);
    for (name, value) in service["environment"].as_object().context("its environment")? {
        command.env(name, value.as_str().context("a text")?);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let child = command.spawn().context("run fake-xmatters")?;
    wait::until("the stand-in", || async { tokio::net::TcpStream::connect(&here).await.ok() }).await?;
    Ok(child)
}

/// A shipped file with other addresses; each of those that are replaced must be there.
fn adapted(file: &str, places: &[(&str, &str)]) -> Result<String> {
    let text = std::fs::read_to_string(shipped(file)).with_context(|| format!("read {file}"))?;
    places.iter().try_fold(text, |text, (from, to)| {
        ensure!(text.contains(from), "{file} has no `{from}`");
        Ok(text.replace(from, to))
    })
}

fn password(secret: &str) -> Result<String> {
    let folder = shipped("deploy/compose/secrets");
    let paths = [folder.join(secret), folder.join("worker").join(secret)];
    let path: &PathBuf = paths.iter().find(|path| path.exists()).context("no such secret")?;
    Ok(std::fs::read_to_string(path)?.trim_end().to_owned())
}

fn words(list: &Value) -> Result<Vec<String>> {
    let words = list.as_array().context("no list of words")?;
    words.iter().map(|word| Ok(word.as_str().context("no text")?.to_owned())).collect()
}

fn is_refused<T>(answer: Result<T, lapin::Error>) -> bool {
    answer.is_err_and(|error| error.to_string().contains("ACCESS_REFUSED"))
}

/// Waits until a query gives at least one number.
async fn has_data(prometheus: &Prometheus, query: &str) -> Result<()> {
    // A query that is wrong is wrong at once.
    prometheus.query(query).await?;
    wait::until(query, || async {
        let samples = prometheus.query(query).await.ok()?;
        samples.iter().any(|sample| sample.value.is_finite()).then_some(())
    })
    .await
}

/// Every query of the dashboard, as Grafana would ask it with its variables filled in.
fn dashboard_queries() -> Result<Vec<String>> {
    let text = std::fs::read_to_string(shipped("deploy/grafana/dashboards/nightbell.json"))?;
    let dashboard: Value = serde_json::from_str(&text)?;
    let panels = dashboard["panels"].as_array().context("no panels")?;
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let mut queries: Vec<_> = targets.map(|target| target["expr"].as_str()).collect();
    let variables = dashboard["templating"]["list"].as_array().context("no variables")?;
    queries.extend(variables.iter().filter_map(|variable| variable.get("definition")).map(|definition| {
        let values = definition.as_str()?.strip_prefix("label_values(")?;
        Some(values.rsplit_once(',')?.0)
    }));
    let fill = |query: &str| {
        let query = query.replace("$__rate_interval", "2m").replace("$__range", "5m");
        query.replace("$job", "nightbell").replace("$connector", ".+")
    };
    let queries: Option<Vec<_>> = queries.into_iter().map(|query| query.map(fill)).collect();
    let queries = queries.context("a query that is none")?;
    ensure!(queries.len() > 20 && queries.iter().all(|query| !query.contains('$')), "{queries:#?}");
    Ok(queries)
}

/// Every rule was evaluated without an error, and every series that it names is there.
async fn rules_are_sound(prometheus: &Prometheus) -> Result<()> {
    let rules = prometheus.rules().await?;
    ensure!(rules.len() > 10, "{rules:?}");
    for rule in &rules {
        ensure!(rule["health"] == "ok", "{rule:#}");
        let query = rule["query"].as_str().context("no query")?;
        let named = selectors(query);
        ensure!(!named.is_empty(), "{query} names no series");
        for selector in named {
            has_data(prometheus, &format!("count({selector})")).await?;
        }
    }
    Ok(())
}

/// The series that an expression names: each name with its labels.
fn selectors(query: &str) -> Vec<String> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let bytes = query.as_bytes();
    let mut found = Vec::new();
    for prefix in ["nightbell_", "rabbitmq_", "process_", "up{"] {
        for (start, _) in query.match_indices(prefix) {
            if start > 0 && (is_name(bytes[start - 1]) || bytes[start - 1] == b'"') {
                continue;
            }
            let mut end = start + bytes[start..].iter().take_while(|byte| is_name(**byte)).count();
            if bytes.get(end) == Some(&b'{') {
                end += query[end..].find('}').map_or(0, |length| length + 1);
            }
            found.push(query[start..end].to_owned());
        }
    }
    found
}
