//! The same delivery by others, each in its own idiom: consume, POST, acknowledge after a 2xx.

use std::path::{Path, PathBuf};
use std::process::{Command as Plain, Stdio};

use anyhow::{Context as _, Result, ensure};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, LongString};
use nightbell_tests::program;
use nightbell_tests::site::{PASSWORD, USER};
use nightbell_tests::wait;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::cases::bare::{IN_FLIGHT_MAX, PREFETCH};
use crate::group::Group;
use crate::rig::{Parcel, Rig, Round, body, look, publish, time};

/// What the table's readers should know.
pub(crate) const IDIOMS: &str =
    "they remember nothing; Dramatiq and Celery have classic queues of their own (tests/peers)";

/// The queue and actor of Dramatiq; the task of Celery.
const NAME: &str = "deliver";

/// Celery's default queue.
const CELERY_QUEUE: &str = "celery";

/// One of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Node,
    AioPika,
    Dramatiq,
    Celery,
}

/// All of them.
pub(crate) const PEERS: [Peer; 4] = [Peer::Node, Peer::AioPika, Peer::Dramatiq, Peer::Celery];

/// Where they are installed.
#[derive(Debug)]
pub(crate) struct Peers {
    sources: PathBuf,
    node: PathBuf,
    python: PathBuf,
}

impl Peer {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Node => "Node: amqplib, undici",
            Self::AioPika => "Python: aio-pika, aiohttp",
            Self::Dramatiq => "Python: Dramatiq",
            Self::Celery => "Python: Celery",
        }
    }

    /// The queue that it declares itself, if it can't consume the connector's.
    fn own_queue(self) -> Option<&'static str> {
        match self {
            Self::Node | Self::AioPika => None,
            Self::Dramatiq => Some(NAME),
            Self::Celery => Some(CELERY_QUEUE),
        }
    }
}

impl Peers {
    /// Installs what their lock files name, unless it is there.
    pub(crate) fn install() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).canonicalize()?;
        let (sources, target) = (root.join("peers"), program::target_folder()?.join("peers"));
        let peers = Self { node: target.join("node"), python: target.join("python"), sources };
        peers.install_node().context("install the Node peer; it needs node and npm")?;
        peers.install_python().context("install the Python peers; they need python3 with venv")?;
        Ok(peers)
    }

    fn install_node(&self) -> Result<()> {
        let (from, lock) = (self.sources.join("node"), self.node.join("node_modules/.from.json"));
        let wanted = std::fs::read(from.join("package-lock.json"))?;
        if std::fs::read(&lock).is_ok_and(|there| there == wanted) {
            return Ok(());
        }
        std::fs::create_dir_all(&self.node)?;
        for file in ["package.json", "package-lock.json"] {
            std::fs::copy(from.join(file), self.node.join(file))?;
        }
        done(
            Plain::new("npm").args(["ci", "--silent", "--no-audit", "--no-fund", "--prefix"]).arg(&self.node),
        )?;
        Ok(std::fs::write(lock, wanted)?)
    }

    fn install_python(&self) -> Result<()> {
        let (from, copy) =
            (self.sources.join("python/requirements.txt"), self.python.join("requirements.txt"));
        let wanted = std::fs::read(&from)?;
        if std::fs::read(&copy).is_ok_and(|there| there == wanted) {
            return Ok(());
        }
        // The system's, where there is one: what comes first on the path may be a wrapper.
        let system = Path::new("/usr/bin/python3");
        let python = if system.exists() { system } else { Path::new("python3") };
        done(Plain::new(python).args(["-m", "venv", "--clear"]).arg(&self.python))?;
        let mut pip = Plain::new(self.python.join("bin/pip"));
        done(pip.args(["install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(&from))?;
        Ok(std::fs::write(copy, wanted)?)
    }

    /// Lets those with a queue of their own declare it.
    pub(crate) async fn prepare(&self, rig: &Rig) -> Result<()> {
        let queues = rig.site.queues().await?;
        for peer in PEERS {
            let Some(queue) = peer.own_queue() else { continue };
            let group = self.start(rig, peer)?;
            wait::until(&format!("the queue of {}", peer.name()), || async {
                look(&queues, queue).await.ok().map(drop)
            })
            .await?;
            group.kill().await?;
        }
        Ok(())
    }

    /// A round of one of them.
    pub(crate) async fn round(&self, rig: &mut Rig, peer: Peer, alerts: usize) -> Result<Round> {
        match peer.own_queue() {
            None => rig.fill(alerts).await?,
            Some(queue) => fill(rig, peer, queue, alerts).await?,
        }
        let before = rig.site.fake.accepted_count();
        let group = self.start(rig, peer)?;
        let timed = time(&rig.site, group.id(), alerts, before).await;
        let round = timed.with_context(|| peer.name().to_owned())?;
        group.kill().await?;
        rig.clear(&peer.own_queue().map_or_else(|| rig.queue(), str::to_owned)).await?;
        Ok(round)
    }

    fn start(&self, rig: &Rig, peer: Peer) -> Result<Group> {
        let mut command = match peer {
            Peer::Node => {
                let mut node = Command::new("node");
                // Node looks for packages beside the script.
                std::fs::copy(self.sources.join("node/deliver.js"), self.node.join("deliver.js"))?;
                node.arg(self.node.join("deliver.js"));
                node
            }
            Peer::AioPika => {
                let mut python = Command::new(self.python.join("bin/python"));
                python.arg(self.sources.join("python/deliver_aio.py"));
                python
            }
            Peer::Dramatiq => {
                let mut dramatiq = Command::new(self.python.join("bin/dramatiq"));
                dramatiq.args(["deliver_dramatiq", "--processes", "2", "--threads", "8"]);
                dramatiq
            }
            Peer::Celery => {
                let mut celery = Command::new(self.python.join("bin/celery"));
                celery.args(["--app", "deliver_celery", "worker", "--concurrency", "2"]);
                celery.args(["--without-gossip", "--without-mingle", "--without-heartbeat"]);
                celery
            }
        };
        command.current_dir(self.sources.join("python")).envs([
            ("PEER_URL", rig.url.as_str()),
            ("PEER_QUEUE", &rig.queue()),
            ("PEER_TRIGGER", &rig.site.fake.trigger_url()),
            ("PEER_USER", USER),
            ("PEER_PASSWORD", PASSWORD),
            ("PEER_PREFETCH", &PREFETCH.to_string()),
            ("PEER_IN_FLIGHT", &IN_FLIGHT_MAX.to_string()),
            ("PYTHONDONTWRITEBYTECODE", "1"),
        ]);
        let log = std::fs::File::create(rig.site.folder().join(format!("{peer:?}.log")))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Group::start(command)
    }
}

/// Puts alerts into a peer's own queue, as its own library would.
async fn fill(rig: &mut Rig, peer: Peer, queue: &str, count: usize) -> Result<()> {
    let numbers = rig.take_numbers(count);
    let parcels = numbers.map(|number| {
        let event: Value = serde_json::from_str(&body(number)).unwrap_or_default();
        let (body, properties) = match peer {
            Peer::Celery => celery(number, &event),
            Peer::Dramatiq | Peer::Node | Peer::AioPika => dramatiq(number, &event),
        };
        Parcel { exchange: String::new(), key: queue.to_owned(), body: body.to_string(), properties }
    });
    let channel = rig.site.queues().await?.channel().await?;
    publish(&channel, parcels).await
}

fn dramatiq(number: usize, event: &Value) -> (Value, BasicProperties) {
    let body = json!({
        "queue_name": NAME,
        "actor_name": NAME,
        "args": [event],
        "kwargs": {},
        "options": {},
        "message_id": format!("bench-{number}"),
        "message_timestamp": 0,
    });
    (body, BasicProperties::default().with_delivery_mode(2))
}

fn celery(number: usize, event: &Value) -> (Value, BasicProperties) {
    let id = format!("bench-{number}");
    let mut headers = FieldTable::default();
    let mut header = |name: &str, value: &str| {
        headers.insert(name.into(), AMQPValue::LongString(LongString::from(value)));
    };
    for (name, value) in [("lang", "py"), ("task", NAME), ("id", &id), ("root_id", &id), ("argsrepr", "()")] {
        header(name, value);
    }
    let properties = BasicProperties::default()
        .with_delivery_mode(2)
        .with_content_type("application/json".into())
        .with_content_encoding("utf-8".into())
        .with_correlation_id(id.as_str().into())
        .with_headers(headers);
    let after = json!({ "callbacks": null, "errbacks": null, "chain": null, "chord": null });
    (json!([[event], {}, after]), properties)
}

fn done(command: &mut Plain) -> Result<()> {
    let status = command.stdin(Stdio::null()).status();
    let status = status.with_context(|| format!("run {}", command.get_program().display()))?;
    ensure!(status.success(), "{} ended with {status}", command.get_program().display());
    Ok(())
}
