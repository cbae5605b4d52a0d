//! `nightbell check`: is the configuration right, and, online, is the world as it wants it?

use std::time::Duration;

use nightbell_amqp::{broker_version, ensure_topology};
use nightbell_core::ports::Clock as _;
use nightbell_worker::SystemClock;
use secrecy::ExposeSecret as _;
use tokio::net::TcpStream;
use url::Url;

use crate::cli::Check;
use crate::config::{Config, ConnectorConfig};
use crate::exit::{Code, Failure, OrFail as _};
use crate::output::{count, print, print_line};
use crate::queue::{Queue, embedded_path};
use crate::wiring;

/// Prints the configuration as resolved, and, online, one line for each thing that was tried.
///
/// # Errors
/// Something is wrong; all of it is printed first.
pub async fn check(config: &Config, flags: &Check) -> Result<(), Failure> {
    wiring::routing(config)?;
    for connector in &config.connectors {
        wiring::sender(config, connector)?;
    }
    print(config.masked())?;
    if !flags.online {
        return Ok(());
    }
    let queue = match &config.queue {
        Some(_) => ("broker".to_owned(), broker(config).await),
        None => ("embedded queue".to_owned(), embedded(config).await),
    };
    let mut findings = vec![queue];
    for connector in &config.connectors {
        findings.push((format!("destination of {}", connector.name), destination(connector).await));
    }
    let mut wrong = 0;
    print_line("")?;
    for (what, found) in findings {
        match found {
            Ok(text) => print_line(&format!("ok    {what}: {text}"))?,
            Err(failure) => {
                wrong += 1;
                print_line(&format!("FAIL  {what}: {failure}"))?;
            }
        }
    }
    match wrong {
        0 => Ok(()),
        wrong => Err(Failure::new(Code::Unavailable, format!("{} failed", count(wrong, "check")))),
    }
}

/// Connects, and checks the topology without declaring anything.
async fn broker(config: &Config) -> Result<String, Failure> {
    let mut settings = wiring::configured_broker(config)?;
    settings.declare = false;
    let place = settings.url.place();
    let version = broker_version(&settings.url).await.or_fail(Code::Unavailable)?;
    let connectors: Vec<_> = wiring::connectors(config).into_iter().collect();
    ensure_topology(&settings, &connectors).await.or_fail(Code::Unavailable)?;
    Ok(format!("{version} at {place}, all exchanges and queues are there"))
}

/// Opens the embedded queue, unless a worker has it open.
async fn embedded(config: &Config) -> Result<String, Failure> {
    let path = embedded_path(config);
    if !path.exists() {
        return Ok(format!("{} is made when the worker starts", path.display()));
    }
    match Queue::open(config).await {
        Ok(queue) => {
            let view = queue.view();
            let waiting: u64 = view.depths().map(|(_, depth)| depth).sum();
            queue.close().await?;
            let dead = view.dead.unwrap_or_default();
            Ok(format!("{}: {waiting} waiting, {dead} dead", path.display()))
        }
        Err(failure) if failure.code == Code::TempFail => {
            Ok(format!("{} is open in another process", path.display()))
        }
        Err(failure) => Err(failure),
    }
}

/// Connects to the destination's host; nothing is posted.
async fn destination(connector: &ConnectorConfig) -> Result<String, Failure> {
    let start = SystemClock.now();
    // The host alone may show: the rest of a trigger URL is a credential.
    let url = Url::parse(connector.trigger_url.expose_secret()).or_fail(Code::Config)?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = url.port_or_known_default().unwrap_or(443);
    let connect =
        tokio::time::timeout(connector.network.connect_timeout, TcpStream::connect((host.as_str(), port)));
    let limit = humantime::format_duration(connector.network.connect_timeout);
    match connect.await {
        Ok(Ok(_)) => {
            let took: Duration = SystemClock.now().since(start);
            Ok(format!("{host}:{port} answers within {} ms", took.as_millis().max(1)))
        }
        Ok(Err(error)) => Err(Failure {
            code: Code::Unavailable,
            error: anyhow::Error::new(error).context(format!("connect to {host}:{port}")),
        }),
        Err(_) => {
            Err(Failure::new(Code::Unavailable, format!("{host}:{port} did not answer within {limit}")))
        }
    }
}
