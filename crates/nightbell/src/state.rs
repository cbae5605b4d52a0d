//! A running worker's state, for `/readyz` and `nightbell status`, and what a reload can't change.

use std::sync::Arc;

use nightbell_amqp::{Broker, BrokerUrl};
use nightbell_core::breaker::Breaker;
use nightbell_core::connector::Connector;
use nightbell_core::owner::View;
use nightbell_core::ports::Clock as _;
use nightbell_http::{BreakerState, ConnectorStatus, LedgerStatus, QueueStatus, Status};
use nightbell_ledger::LedgerStore;
use nightbell_worker::{OwnerHandle, SystemClock};
use nightbell_xmatters::Xmatters;
use secrecy::ExposeSecret as _;
use tokio::sync::watch;

use crate::config::{Config, QueueConfig};
use crate::exit::{Code, Failure, OrFail as _};
use crate::wiring;

/// Puts the worker's state together, each time it is asked.
///
/// # Errors
/// The configuration has no broker.
pub fn source(
    config: &Config,
    broker: &Broker,
    ledger: &LedgerStore,
    owners: &[OwnerHandle<Xmatters<SystemClock>>],
) -> Result<Arc<dyn Fn() -> Status + Send + Sync>, Failure> {
    let at = BrokerUrl::read(&wiring::queue(config)?.url).or_fail(Code::Config)?.place();
    let views: Vec<(Connector, watch::Receiver<View>)> =
        owners.iter().map(|owner| (owner.connector.clone(), owner.view.clone())).collect();
    let (broker, ledger, state) = (broker.clone(), ledger.clone(), broker.state());
    Ok(Arc::new(move || {
        let depths = broker.depths();
        let connectors: Vec<_> = views
            .iter()
            .map(|(name, view)| connector_status(name, &view.borrow(), depths.connectors.get(name).copied()))
            .collect();
        let broker_state = state.borrow().clone();
        let failure = ledger.health().err().map(|error| error.to_string());
        let mut missing = Vec::new();
        missing.extend(broker_state.consuming.as_ref().err().map(|reason| format!("queue: {reason}")));
        missing.extend(broker_state.publishing.as_ref().err().map(|reason| format!("publishing: {reason}")));
        missing.extend(failure.as_ref().map(|reason| format!("ledger: {reason}")));
        let halted = connectors.iter().filter(|connector| connector.halted);
        missing.extend(halted.map(|connector| format!("owner of {}: stopped", connector.name)));
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ready: missing.is_empty(),
            missing,
            queue: QueueStatus {
                at: at.clone(),
                connected: broker_state.consuming.is_ok(),
                dead_letters: depths.dead.map(u64::from),
            },
            ledger: LedgerStatus { entries: ledger.entries(), failure },
            connectors,
        }
    }))
}

fn connector_status(name: &Connector, view: &View, depth: Option<u32>) -> ConnectorStatus {
    let now = SystemClock.now();
    ConnectorStatus {
        name: name.to_string(),
        depth: depth.map(u64::from),
        in_hand: view.held,
        in_flight: view.attempting,
        breaker: match view.breaker {
            Breaker::Closed { .. } => BreakerState::Closed,
            Breaker::Open { probing: false, .. } => BreakerState::Open,
            Breaker::Open { probing: true, .. } => BreakerState::Probing,
        },
        paused_until: view.paused_until.map(|until| until.to_string()),
        oldest_seconds: view.oldest_since.map(|since| now.since(since).as_secs()),
        halted: view.halted,
    }
}

/// What differs between two configurations that a reload can't change, by key.
#[must_use]
pub fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let mut keys = Vec::new();
    if old.data_dir != new.data_dir {
        keys.push("data_dir");
    }
    if !same_queue(old.queue.as_ref(), new.queue.as_ref()) {
        keys.push("[queue]");
    }
    let token =
        |config: &Config| config.http.admin_token.as_ref().map(|token| token.expose_secret().to_owned());
    if old.http.listen != new.http.listen || token(old) != token(new) {
        keys.push("[http]");
    }
    if wiring::connectors(old) != wiring::connectors(new) {
        keys.push("the set of [[connectors]]");
    }
    keys
}

fn same_queue(old: Option<&QueueConfig>, new: Option<&QueueConfig>) -> bool {
    match (old, new) {
        (None, None) => true,
        (Some(old), Some(new)) => {
            old.url.expose_secret() == new.url.expose_secret()
                && (&old.prefix, old.prefetch, old.declare) == (&new.prefix, new.prefetch, new.declare)
        }
        (Some(_), None) | (None, Some(_)) => false,
    }
}
