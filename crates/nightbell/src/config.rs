//! The configuration: what `nightbell.toml` says, checked, with every default filled in.
//!
//! It yields plain data and secrets; nothing here opens a connection. All problems of a file are found in one
//! go, each with its line and its cure, and no secret ever shows in one.

mod auth;
mod connector;
mod document;
mod needs;
mod network;
mod payload;
mod problem;
mod sections;
mod substitute;
mod table;
#[cfg(test)]
mod tests;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use nightbell_amqp::{BrokerTls, BrokerUrl, Names};
use nightbell_core::alert::KeyPart;
use nightbell_core::connector::Connector;
use nightbell_core::pace::Rate;
use nightbell_core::policy::Policy;
use nightbell_core::routing::Routing;
use nightbell_xmatters::{ClientCertificate, DestinationSettings, Pem, WebUrl};
use secrecy::SecretString;
use toml::de::DeTable;

pub use self::needs::{Cause, Complaint, Needs, Unread};
pub use self::problem::{ConfigError, Problem};
pub use self::substitute::{Lookup, System};

use self::document::Document;

/// The configuration file that is read when none is named.
pub const FILE: &str = "nightbell.toml";

/// The smallest configuration that runs; `nightbell init` writes it.
pub const SMALLEST: &str = include_str!("config/smallest.toml");

/// A configuration with every key, commented; `nightbell init --full` writes it.
pub const STARTER: &str = include_str!("config/starter.toml");

/// The longest configuration file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The longest that a pipe or a device may take: `<(sops -d …)` needs a moment, and one that nobody writes to is for ever.
const PIPE_MAX: Duration = Duration::from_secs(5);

/// A whole, checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the ledger and the embedded queue live. A relative path begins in the configuration's folder.
    pub data_dir: PathBuf,
    /// The RabbitMQ to use; none for the embedded queue.
    pub queue: Option<QueueConfig>,
    /// The HTTP listener.
    pub http: HttpConfig,
    /// What counts as a repeat.
    pub dedup: DedupConfig,
    /// How failed attempts are repeated; `initial` is never longer than `max`.
    pub retry: Policy,
    /// How the worker stops.
    pub worker: WorkerConfig,
    /// Where traces go.
    pub telemetry: TelemetryConfig,
    /// The destinations, no two of one name. Those are missing of which something was not read, and as a rule there is
    /// none then.
    pub connectors: Vec<ConnectorConfig>,
    /// Which events go where. It has the names of all destinations, at least one, and its groups and defaults name no
    /// others. When the file has neither groups nor `default_connectors`, those are all connectors.
    pub routing: Arc<Routing>,
    /// The file.
    pub file: PathBuf,
    /// What else is known of it.
    pub found: Findings,
}

/// What is known of a file besides what it configures.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// What could not be read, where [`Needs::Whatever`] was asked for.
    pub unread: Vec<Unread>,
    /// The keys with a secret that stands in the file itself.
    pub inline_secrets: Vec<String>,
    masked: String,
    /// What each key of the file comes to, a secret by its fingerprint.
    effective: BTreeMap<String, String>,
}

/// `[queue]`: RabbitMQ.
#[derive(Debug, Clone)]
pub struct QueueConfig {
    /// The broker, with the login and what its TLS needs; none if it was not read.
    pub url: Option<BrokerUrl>,
    /// The names of all queues and exchanges.
    pub names: Names,
    /// How many unsettled messages one connector may hold, 1 to 2000.
    pub prefetch: u16,
    /// Whether the worker declares queues, or only checks them.
    pub declare: bool,
    /// Where `check --online` reads policies; its user is the one of `url` unless it has its own.
    pub management_url: Option<WebUrl>,
}

/// What TLS with a broker needs of PEM files.
#[must_use]
pub fn broker_tls(ca: Option<&Pem>, client: Option<&ClientCertificate>) -> BrokerTls {
    let text = |pem: &Pem| String::from_utf8_lossy(pem.text()).into_owned();
    BrokerTls {
        ca: ca.map(text),
        client: client.map(|client| (text(&client.chain), SecretString::from(text(&client.pem())))),
    }
}

/// `[http]`: the listener for metrics, health, ingest and administration.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// Where it listens. Beyond loopback both tokens are there.
    pub listen: SocketAddr,
    /// What a producer must present.
    pub ingest_token: Option<SecretString>,
    /// What an operator must present.
    pub admin_token: Option<SecretString>,
    /// With what it speaks TLS; none: plain HTTP.
    pub tls: Option<TlsFiles>,
}

/// The files of the listener's certificate. They are not read with the configuration: most commands have no need of them, and
/// may not read the key.
#[derive(Debug, Clone, Default)]
pub struct TlsFiles {
    /// The certificate, and those between it and its authority, as PEM.
    pub certificate: TlsFile,
    /// Its key, as PEM.
    pub key: TlsFile,
}

/// A file that is read later, and where the configuration names it.
#[derive(Debug, Clone, Default)]
pub struct TlsFile {
    /// The file.
    pub path: PathBuf,
    /// As `FILE:LINE:COLUMN`, for what is wrong with it.
    pub place: String,
}

/// `[dedup]`: what counts as a repeat, and how long it is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DedupConfig {
    /// How long a delivered alert suppresses its repeats; zero turns that off.
    pub window: Duration,
    /// How long event ids are remembered, never shorter than `window`.
    pub retention: Duration,
    /// What the alert key is computed from.
    pub by: Vec<KeyPart>,
}

/// `[worker]`: how the worker stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerConfig {
    /// How long attempts in flight may take to finish when the worker is asked to stop.
    pub shutdown_grace: Duration,
}

/// `[telemetry]`: where traces go.
#[derive(Debug, Clone)]
pub struct TelemetryConfig {
    /// The collector; none: no spans are made.
    pub otlp_endpoint: Option<WebUrl>,
    /// How many in a hundred of the traces that begin here are recorded, 0 to 100.
    pub sample_percent: u8,
}

/// One of `[[connectors]]`: an xMatters destination.
#[derive(Debug, Clone)]
pub struct ConnectorConfig {
    /// Its name, which its queue and its metrics bear.
    pub name: Connector,
    /// Where alerts are posted, and how.
    pub destination: DestinationSettings,
    /// How many attempts may be in flight, 1 to 1000; the queue's `prefetch` holds where it is less.
    pub max_in_flight: u16,
    /// The most attempts in a time; none for no limit, which the file has to say.
    pub rate_limit: Option<Rate>,
}

impl Config {
    /// Reads the file at `path` with the process's environment, as far as it is needed.
    ///
    /// # Errors
    /// [`ConfigError`]: the file is not there, can't be read, or has problems.
    pub fn load(path: &Path, needs: Needs) -> Result<Self, ConfigError> {
        let text = read_bounded(path, FILE_BYTES_MAX).map_err(|source| {
            let file = path.to_owned();
            if source.kind() == io::ErrorKind::NotFound {
                ConfigError::NotFound { file }
            } else {
                ConfigError::Unreadable { file, source }
            }
        })?;
        Self::parse_for(&text, path, &System, needs)
    }

    /// Reads a configuration from its text. `file` is named in errors, and its folder is where relative
    /// `${file:PATH}` begin.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] with every problem of the text.
    pub fn parse(text: &str, file: &Path, lookup: &dyn Lookup) -> Result<Self, ConfigError> {
        Self::parse_for(text, file, lookup, Needs::All)
    }

    /// The same, as far as it is needed.
    ///
    /// # Errors
    /// As [`Config::parse`].
    pub fn parse_for(
        text: &str,
        file: &Path,
        lookup: &dyn Lookup,
        needs: Needs,
    ) -> Result<Self, ConfigError> {
        let mut document = Document::new(text, file, lookup, needs);
        let (root, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            errors.iter().for_each(|error| document.syntax_error(error));
            return Err(document.into_error());
        }
        let config = sections::root(&mut document, root.get_ref());
        Ok(Self { found: document.finish()?, ..config })
    }

    /// The effective configuration as TOML, with all defaults filled in and every secret replaced by `***`.
    #[must_use]
    pub fn masked(&self) -> &str {
        &self.found.masked
    }

    /// The keys whose values are other ones in `new`, or are there in only one of the two.
    #[must_use]
    pub fn changed(&self, new: &Self) -> Vec<String> {
        let (old, new) = (&self.found.effective, &new.found.effective);
        let keys: BTreeSet<_> = old.keys().chain(new.keys()).collect();
        keys.into_iter().filter(|key| old.get(*key) != new.get(*key)).cloned().collect()
    }
}

/// Reads a text file of at most `bytes_max` bytes. What is no file, as a pipe, must be at its end within [`PIPE_MAX`].
pub(crate) fn read_bounded(path: &Path, bytes_max: u64) -> io::Result<String> {
    if path.metadata()?.is_file() {
        return read_whole(path, bytes_max);
    }
    let (done, read) = mpsc::channel();
    let own = path.to_owned();
    // If it never ends, this thread is left behind.
    std::thread::spawn(move || drop(done.send(read_whole(&own, bytes_max))));
    read.recv_timeout(PIPE_MAX).unwrap_or_else(|_| {
        let problem = format!("it is no file, and did not come to its end within {} s", PIPE_MAX.as_secs());
        Err(io::Error::new(io::ErrorKind::TimedOut, problem))
    })
}

fn read_whole(path: &Path, bytes_max: u64) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(bytes_max + 1).read_to_string(&mut text)?;
    if text.len() as u64 > bytes_max {
        let problem = format!("it is longer than {bytes_max} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, problem));
    }
    Ok(text)
}
