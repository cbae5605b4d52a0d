//! From the configuration to what each crate wants to know.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use nightbell_amqp::{Broker, BrokerSettings, BrokerUrl, Names};
use nightbell_core::connector::Connector;
use nightbell_core::owner::Settings;
use nightbell_core::policy::Chance;
use nightbell_core::ports::Dice;
use nightbell_trace::{TraceSettings, Tracer};
use nightbell_worker::SystemClock;
use nightbell_xmatters::{ClientCertificate, Pem, Verification, Xmatters};
use secrecy::SecretString;
use url::Url;

use crate::cli::QueueTls;
use crate::config::{Config, ConnectorConfig, QueueConfig, broker_tls};
use crate::exit::{Code, Failure, OrFail as _};
use crate::telemetry;

/// What the owner of a connector works by.
#[must_use]
pub fn owner_settings(config: &Config, connector: &ConnectorConfig) -> Settings {
    Settings {
        connector: connector.name.clone(),
        routing: Arc::clone(&config.routing),
        window: config.dedup.window,
        retention: config.dedup.retention,
        by: config.dedup.by.as_slice().into(),
        policy: config.retry,
        in_flight_max: usize::from(in_flight_max(config, connector)),
        rate: connector.rate_limit,
    }
}

/// How many attempts may be in flight: no more than messages are in hand.
#[must_use]
pub fn in_flight_max(config: &Config, connector: &ConnectorConfig) -> u16 {
    config.queue.as_ref().map_or(connector.max_in_flight, |queue| connector.max_in_flight.min(queue.prefetch))
}

/// What to say of a connector whose limit is never reached; none if it can be.
#[must_use]
pub fn unreached_limit(config: &Config, connector: &ConnectorConfig) -> Option<String> {
    let (holds, written) = (in_flight_max(config, connector), connector.max_in_flight);
    (holds < written)
        .then(|| format!("`max_in_flight` = {written} is more than `queue.prefetch` = {holds}, which holds"))
}

/// The thread's own generator of random numbers.
#[derive(Debug, Clone, Copy)]
pub struct SystemDice;

impl Dice for SystemDice {
    fn roll(&self) -> Chance {
        Chance::new(rand::random())
    }
}

/// The connectors' names.
#[must_use]
pub fn connectors(config: &Config) -> BTreeSet<Connector> {
    config.routing.connectors.clone()
}

/// The sender to a connector's destination.
///
/// # Errors
/// The destination can't be used.
pub fn sender(connector: &ConnectorConfig) -> Result<Xmatters<SystemClock>, Failure> {
    let built = Xmatters::new(connector.destination.clone(), SystemClock);
    built.map_err(|error| {
        let error = anyhow::Error::new(error).context(format!("connector `{}`", connector.name));
        Failure { code: Code::Config, error }
    })
}

/// The way to make spans.
///
/// # Errors
/// The collector's URL, or an `OTEL_…` of the environment, can't be used.
pub fn tracer(config: &Config) -> Result<Tracer, Failure> {
    let Some(endpoint) = &config.telemetry.otlp_endpoint else { return Ok(Tracer::off()) };
    let (system, prefix) = match &config.queue {
        Some(queue) => ("rabbitmq", queue.names.prefix().to_owned()),
        None => ("nightbell", "nightbell".to_owned()),
    };
    let settings = TraceSettings {
        endpoint: Url::clone(endpoint),
        sample_percent: config.telemetry.sample_percent,
        system,
        prefix,
        version: env!("CARGO_PKG_VERSION"),
    };
    Tracer::start(settings).or_fail(Code::Config)
}

/// Says how each connector checks certificates: in the metrics, and as a warning where somebody could listen in.
pub fn tell_verification(config: &Config) {
    let modes = || Verification::ALL.map(Verification::as_str);
    for ConnectorConfig { name, destination, .. } in &config.connectors {
        let mode = destination.network.verification;
        telemetry::tls_verification(name, mode.as_str(), modes(), mode.warning());
    }
    for connector in &config.connectors {
        if let Some(warning) = unreached_limit(config, connector) {
            tracing::warn!(connector = %connector.name, "{warning}; write less, or raise that");
        }
    }
}

/// The configuration's RabbitMQ.
///
/// # Errors
/// There is none: the embedded queue is meant.
pub fn queue(config: &Config) -> Result<&QueueConfig, Failure> {
    config.queue.as_ref().ok_or_else(|| {
        Failure::new(
            Code::Config,
            "this is about RabbitMQ, and the configuration has no [queue] table: it uses the embedded queue. To use \
             RabbitMQ, add\n[queue]\nurl = \"amqp://USER:${AMQP_PASSWORD}@HOST:5672/%2f\"",
        )
    })
}

/// How to reach the broker.
///
/// # Errors
/// The prefix is broken.
pub fn broker_settings(
    url: BrokerUrl,
    prefix: &str,
    prefetch: u16,
    declare: bool,
) -> Result<BrokerSettings, Failure> {
    Ok(BrokerSettings { url, names: Names::new(prefix).or_fail(Code::Config)?, prefetch, declare })
}

/// The settings of the configuration's broker.
///
/// # Errors
/// There is none, or its URL was not read.
pub fn configured_broker(config: &Config) -> Result<BrokerSettings, Failure> {
    let QueueConfig { url, names, prefetch, declare, .. } = queue(config)?;
    let url = url.clone().ok_or_else(|| Failure::new(Code::Config, "queue.url was not read"))?;
    Ok(BrokerSettings { url, names: names.clone(), prefetch: *prefetch, declare: *declare })
}

/// A broker's URL that a flag gives, with the files that flags name.
///
/// # Errors
/// It is broken, or a file can't be read.
pub fn flagged_broker(url: &SecretString, tls: &QueueTls) -> Result<BrokerUrl, Failure> {
    let read = |path: &Option<PathBuf>| path.as_deref().map(Pem::read).transpose().or_fail(Code::NoInput);
    let client = read(&tls.queue_client_certificate)?;
    let key = read(&tls.queue_client_key)?;
    let client = client.map(|chain| ClientCertificate { chain, key });
    let tls = broker_tls(read(&tls.queue_ca_file)?.as_ref(), client.as_ref());
    Ok(BrokerUrl::read(url).or_fail(Code::Config)?.with_tls(tls))
}

/// The configuration's broker, with the queues of all connectors. Must be called within a tokio runtime.
///
/// # Errors
/// There is none, or its settings are broken.
pub fn broker(config: &Config) -> Result<Broker, Failure> {
    Ok(Broker::new(configured_broker(config)?, connectors(config).into_iter().collect()))
}
