//! What `/v1/status` says, and `nightbell status` reads.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A running worker's state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "WorkerState")]
pub struct Status {
    /// The worker's version.
    pub version: String,
    /// Whether it is ready.
    pub ready: bool,
    /// What is missing, if it is not.
    pub missing: Vec<String>,
    /// The queue.
    pub queue: QueueStatus,
    /// The ledger.
    pub ledger: LedgerStatus,
    /// The connectors, by name.
    pub connectors: Vec<ConnectorStatus>,
}

/// The queue's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QueueStatus {
    /// Where it is: host, port and virtual host.
    pub at: String,
    /// Whether it is connected and its topology is right.
    pub connected: bool,
    /// Dead letters that wait for an operator; none while unknown.
    pub dead_letters: Option<u64>,
    /// How many seconds ago it and the connectors' depths were counted; none while they are unknown.
    #[serde(default)]
    pub counted_seconds_ago: Option<u64>,
}

/// The ledger's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerStatus {
    /// Records in it.
    pub entries: u64,
    /// Why it failed, if it did.
    pub failure: Option<String>,
}

/// One connector's state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectorStatus {
    /// Its name.
    pub name: String,
    /// Messages that wait in its queue; none while unknown.
    pub depth: Option<u64>,
    /// Deliveries in this worker's hand.
    pub in_hand: usize,
    /// POSTs that wait for their answer.
    pub in_flight: usize,
    /// Its breaker.
    pub breaker: BreakerState,
    /// Until when xMatters asked it to wait, as RFC 3339.
    pub paused_until: Option<String>,
    /// The age of the oldest alert in hand, in seconds.
    pub oldest_seconds: Option<u64>,
    /// Whether its owner stopped because the ledger failed.
    pub halted: bool,
}

/// A breaker's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// All may pass.
    Closed,
    /// None may pass until the next probe.
    Open,
    /// A probe is on its way.
    Probing,
}

#[cfg(test)]
impl Status {
    /// The state of a worker without connectors.
    pub(crate) fn sample(ready: bool) -> Self {
        Self {
            version: "1".into(),
            ready,
            missing: if ready { vec![] } else { vec!["queue: connection refused".into()] },
            queue: QueueStatus {
                at: "here".into(),
                connected: ready,
                dead_letters: None,
                counted_seconds_ago: None,
            },
            ledger: LedgerStatus { entries: 0, failure: None },
            connectors: vec![],
        }
    }
}
