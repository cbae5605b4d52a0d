//! A running worker's state, for `/readyz` and `nightbell status`, and what a reload can't change.

use std::sync::Arc;

use nightbell_core::breaker::Breaker;
use nightbell_core::connector::Connector;
use nightbell_core::owner::View;
use nightbell_core::ports::{Clock as _, MessageQueue as _, QueueView};
use nightbell_http::{BreakerState, ConnectorStatus, LedgerStatus, QueueStatus, Status};
use nightbell_ledger::LedgerStore;
use nightbell_worker::{OwnerHandle, SystemClock};
use nightbell_xmatters::Xmatters;
use tokio::sync::watch;

use crate::config::Config;
use crate::queue::Queue;

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
        let QueueView { state, depths, counted_ago } = queue.view();
        let connectors: Vec<_> = views
            .iter()
            .map(|(name, view)| connector_status(name, &view.borrow(), depths.waiting(name)))
            .collect();
        let failure = ledger.health().err().map(|error| error.to_string());
        let mut missing = Vec::new();
        missing.extend(state.consuming.as_ref().err().map(|reason| format!("queue: {reason}")));
        missing.extend(state.publishing.as_ref().err().map(|reason| format!("publishing: {reason}")));
        missing.extend(failure.as_ref().map(|reason| format!("ledger: {reason}")));
        let halted = connectors.iter().filter(|connector| connector.halted);
        missing.extend(halted.map(|connector| format!("owner of {}: stopped", connector.name)));
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ready: missing.is_empty(),
            missing,
            queue: QueueStatus {
                at: at.clone(),
                connected: state.consuming.is_ok(),
                dead_letters: depths.dead.map(u64::from),
                counted_seconds_ago: counted_ago.map(|ago| ago.as_secs()),
            },
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

/// The keys that differ between two configurations and that a reload can't change.
#[must_use]
pub fn needs_restart(old: &Config, new: &Config) -> Vec<String> {
    // Another certificate is taken, but not plain HTTP in place of TLS or the reverse.
    let is_tls_kept = old.http.tls.is_some() == new.http.tls.is_some();
    let is_fixed = |key: &String| {
        let tables = ["queue.", "http.", "telemetry."];
        let is_taken = key == "queue.management_url" || is_tls_kept && key.starts_with("http.tls");
        key == "data_dir" || tables.iter().any(|table| key.starts_with(table)) && !is_taken
    };
    let mut keys: Vec<_> = old.changed(new).into_iter().filter(is_fixed).collect();
    if old.queue.is_some() != new.queue.is_some() && !keys.iter().any(|key| key.starts_with("queue.")) {
        keys.push("[queue]".to_owned());
    }
    if old.routing.connectors != new.routing.connectors {
        keys.push("the set of [[connectors]]".to_owned());
    }
    keys
}
