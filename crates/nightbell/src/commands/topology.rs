//! `nightbell topology`.

use nightbell_amqp::{BrokerSettings, Topology, definitions};

use crate::cli;
use crate::config::Config;
use crate::exit::Failure;
use crate::output::print_json;
use crate::wiring;

/// Prints the exchanges, queues and bindings as RabbitMQ definitions.
///
/// # Errors
/// The configuration has no broker.
pub fn topology(config: &Config, flags: &cli::Topology) -> Result<(), Failure> {
    let BrokerSettings { url, names, .. } = wiring::configured_broker(config)?;
    let connectors: Vec<_> = wiring::connectors(config).into_iter().collect();
    let vhost = flags.vhost.as_deref().unwrap_or(url.vhost());
    print_json(&definitions(&Topology::of(&names, &connectors), vhost))
}
