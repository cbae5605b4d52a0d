//! A running worker's state, for `/readyz` and `nightbell status`, and what a reload can't change.

use std::sync::Arc;

use nightbell_core::breaker::Breaker;
use nightbell_core::connector::Connector;
use nightbell_core::owner::View;
use nightbell_core::ports::Clock as _;
use nightbell_http::{BreakerState, ConnectorStatus, LedgerStatus, QueueStatus, Status};
use nightbell_ledger::LedgerStore;
use nightbell_worker::{OwnerHandle, SystemClock};
use nightbell_xmatters::Xmatters;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::watch;

use crate::config::{Config, QueueConfig};
use crate::queue::Queue;
use crate::wiring;

/// Puts the worker's state together, each time it is asked.
#[must_use]
pub fn source(
    queue: &Queue,
    ledger: &LedgerStore,
    owners: &[OwnerHandle<Xmatters<SystemClock>>],
) -> Arc<dyn Fn() -> Status + Send + Sync> {
    let at = queue.place();
    let views: Vec<(Connector, watch::Receiver<View>)> =
        owners.iter().map(|owner| (owner.connector.clone(), owner.view.clone())).collect();
    let (queue, ledger) = (queue.clone(), ledger.clone());
    Arc::new(move || {
        let seen = queue.view();
        let connectors: Vec<_> = views
            .iter()
            .map(|(name, view)| connector_status(name, &view.borrow(), seen.depth(name)))
            .collect();
        let failure = ledger.health().err().map(|error| error.to_string());
        let mut missing = Vec::new();
        missing.extend(seen.consuming.as_ref().err().map(|reason| format!("queue: {reason}")));
        missing.extend(seen.publishing.as_ref().err().map(|reason| format!("publishing: {reason}")));
        missing.extend(failure.as_ref().map(|reason| format!("ledger: {reason}")));
        let halted = connectors.iter().filter(|connector| connector.halted);
        missing.extend(halted.map(|connector| format!("owner of {}: stopped", connector.name)));
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ready: missing.is_empty(),
            missing,
            queue: QueueStatus { at: at.clone(), connected: seen.consuming.is_ok(), dead_letters: seen.dead },
            ledger: LedgerStatus { entries: ledger.entries(), failure },
            connectors,
        }
    })
}

fn connector_status(name: &Connector, view: &View, depth: Option<u64>) -> ConnectorStatus {
    let now = SystemClock.now();
    ConnectorStatus {
        name: name.to_string(),
        depth,
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
    let http = |config: &Config| {
        let text =
            |token: &Option<SecretString>| token.as_ref().map(|token| token.expose_secret().to_owned());
        (config.http.listen, text(&config.http.admin_token), text(&config.http.ingest_token))
    };
    if http(old) != http(new) {
        keys.push("[http]");
    }
    let telemetry = |config: &Config| {
        let endpoint = config.telemetry.otlp_endpoint.as_ref();
        (endpoint.map(|url| url.expose_secret().to_owned()), config.telemetry.sample_percent)
    };
    if telemetry(old) != telemetry(new) {
        keys.push("[telemetry]");
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
