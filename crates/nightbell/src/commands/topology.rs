//! `nightbell topology`.

use nightbell_amqp::{BrokerUrl, Names, Topology, definitions};

use crate::cli;
use crate::config::Config;
use crate::exit::{Code, Failure, OrFail as _};
use crate::output::print_json;
use crate::wiring;

/// Prints the exchanges, queues and bindings as RabbitMQ definitions.
///
/// # Errors
/// The configuration has no broker.
pub fn topology(config: &Config, flags: &cli::Topology) -> Result<(), Failure> {
    let queue = wiring::queue(config)?;
    let names = Names::new(&queue.prefix).or_fail(Code::Config)?;
    let connectors: Vec<_> = wiring::connectors(config).into_iter().collect();
    let configured = BrokerUrl::read(&queue.url).or_fail(Code::Config)?;
    let vhost = flags.vhost.as_deref().unwrap_or(configured.vhost());
    print_json(&definitions(&Topology::of(&names, &connectors), vhost))
}
