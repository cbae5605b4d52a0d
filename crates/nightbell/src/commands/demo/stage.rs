//! What the demo needs: a folder, a stand-in for xMatters, a configuration, and a worker.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nightbell_http::WorkerAt;
use tempfile::TempDir;
use tokio::net::TcpListener;
use toml::Value;

use super::stand_in::StandIn;
use crate::config::{Config, FILE, System};
use crate::exit::{Code, Failure, OrFail as _};
use crate::listener::worker_at;
use crate::queue::embedded_name;
use crate::worker::Worker;

/// Where the worker listens if nobody else does: where `nightbell run` would.
const PORT: u16 = 9464;

/// What attempts on their way get when the demo ends.
const GRACE: Duration = Duration::from_secs(1);

/// The connectors: the team of the project, and those who keep the test machines up.
pub(super) const SHOP: &str = "shop";
/// See [`SHOP`].
pub(super) const SRE: &str = "sre";

/// All that the demo needs. Dropping it removes its folder.
pub(super) struct Stage {
    pub(super) xmatters: StandIn,
    pub(super) worker: Worker,
    pub(super) config: Config,
    /// Where the worker listens.
    pub(super) at: SocketAddr,
    folder: TempDir,
}

impl Stage {
    /// Sets it up.
    pub(super) async fn set() -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("nightbell-demo-").tempdir();
        let folder = folder.map_err(|error| cant_create(error, &std::env::temp_dir()))?;
        let xmatters = StandIn::start().await?;
        let listener = listen().await?;
        let at = listener.local_addr().or_fail(Code::Unavailable)?;
        let file = folder.path().join(FILE);
        let text = configuration(&folder.path().join("data"), at, &xmatters)?;
        std::fs::write(&file, &text).map_err(|error| cant_create(error, &file))?;
        let config = Config::parse(&text, &file, &System).or_fail(Code::Software)?;
        let worker = Worker::start(&config, listener).await?;
        Ok(Self { xmatters, worker, config, at, folder })
    }

    /// The worker, as its commands know it.
    pub(super) fn worker_at(&self) -> WorkerAt {
        // It has the queue open, so that is there.
        worker_at(&self.config, None, embedded_name(&self.config).ok().flatten())
    }

    /// The configuration file, for commands in another terminal.
    pub(super) fn file(&self) -> PathBuf {
        self.folder.path().join(FILE)
    }

    /// Takes it all down, and removes the folder.
    pub(super) async fn strike(self) -> Result<(), Failure> {
        let Self { mut worker, folder, .. } = self;
        worker.drain(GRACE).await;
        worker.close().await?;
        let path = folder.path().to_owned();
        folder.close().map_err(|error| {
            let error = anyhow::Error::new(error).context(format!("remove {}", path.display()));
            Failure { code: Code::Io, error }
        })
    }
}

async fn listen() -> Result<TcpListener, Failure> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, PORT)).await {
        Ok(listener) => Ok(listener),
        // Another worker runs, as a rule. Any port will do.
        Err(_) => TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(|error| {
            let error = anyhow::Error::new(error).context("listen on 127.0.0.1");
            Failure { code: Code::Unavailable, error }
        }),
    }
}

fn cant_create(error: io::Error, path: &Path) -> Failure {
    let text = format!("the demo can't write to {}; set TMPDIR to a folder where it can", path.display());
    Failure { code: Code::CantCreate, error: anyhow::Error::new(error).context(text) }
}

/// A configuration as a user would write it: without `[queue]`, hence with the embedded queue.
fn configuration(data: &Path, at: SocketAddr, xmatters: &StandIn) -> Result<String, Failure> {
    let data = data.to_str().ok_or_else(|| {
        Failure::new(Code::CantCreate, format!("{} is no text; set TMPDIR to a plain path", data.display()))
    })?;
    // A dollar would begin a name.
    let data = Value::String(data.replace('$', "$$"));
    let (shop, sre) = (xmatters.url(SHOP), xmatters.url(SRE));
    Ok(format!(
        r#"data_dir = {data}
default_connectors = ["{SHOP}"]

[http]
listen = "{at}"

[[connectors]]
name = "{SHOP}"
trigger_url = "{shop}"
auth = "url"
recipients = ["shop-on-call"]
rate_limit = "none"

[[connectors]]
name = "{SRE}"
trigger_url = "{sre}"
auth = "url"
recipients = ["sre-on-call"]
rate_limit = "none"

[[alert_groups]]
name = "shop"
projects = ["shop"]
connectors = ["{SHOP}"]

[[alert_groups]]
name = "broken runs"
statuses = ["error"]
connectors = ["{SRE}"]
"#
    ))
}
