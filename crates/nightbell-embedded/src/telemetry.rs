//! The gauges, and one struct for each fact that is logged.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use metrics::Gauge;
use nightbell_core::connector::Connector;
use nightbell_core::ports::Depths;

use crate::codec::Unreadable;

const CONNECTED: &str = "nightbell_broker_connected";
const QUEUE_DEPTH: &str = "nightbell_queue_depth";
const DEAD_LETTERS: &str = "nightbell_dead_letters";

/// The gauges of the queues. They are the same as those of the queues on RabbitMQ.
pub(crate) struct Gauges {
    connected: Gauge,
    depths: BTreeMap<Connector, Gauge>,
    dead: Gauge,
}

impl Gauges {
    pub(crate) fn new(depths: &Depths) -> Self {
        metrics::describe_gauge!(
            CONNECTED,
            "1 while the queue is connected and what all connectors share is right"
        );
        let depth = "Messages that wait in the connector's queue, those in hand not included";
        metrics::describe_gauge!(QUEUE_DEPTH, depth);
        metrics::describe_gauge!(DEAD_LETTERS, "Dead letters that wait for an operator");
        let gauge = |name: &Connector| metrics::gauge!(QUEUE_DEPTH, "connector" => name.to_string());
        let gauges = Self {
            connected: metrics::gauge!(CONNECTED),
            depths: depths.connectors.keys().map(|name| (name.clone(), gauge(name))).collect(),
            dead: metrics::gauge!(DEAD_LETTERS),
        };
        gauges.connected.set(1);
        gauges.depths(depths);
        gauges
    }

    pub(crate) fn depths(&self, depths: &Depths) {
        for (connector, gauge) in &self.depths {
            gauge.set(f64::from(depths.connectors.get(connector).copied().unwrap_or_default()));
        }
        self.dead.set(f64::from(depths.dead.unwrap_or_default()));
    }

    pub(crate) fn disconnected(&self) {
        self.connected.set(0);
    }
}

/// The queue's file was there, and empty.
pub(crate) struct WasEmpty<'a>(pub(crate) &'a Path);

impl WasEmpty<'_> {
    pub(crate) fn emit(&self) {
        tracing::warn!(
            path = %self.0.display(),
            "the queue's file is there and has no bytes: whatever it held is gone; a new queue is begun in it. If alerts \
             waited in it, stop and restore it from a backup"
        );
    }
}

/// The queue failed for good.
pub(crate) struct Failed<'a>(pub(crate) &'a str);

impl Failed<'_> {
    pub(crate) fn emit(&self) {
        tracing::error!(
            problem = self.0,
            "the queue failed; nothing more is taken in or delivered until it is opened anew"
        );
    }
}

/// Messages wait for a connector that is not configured.
pub(crate) struct LeftOver<'a> {
    pub(crate) connector: &'a Connector,
    pub(crate) messages: u32,
}

impl LeftOver<'_> {
    pub(crate) fn emit(&self) {
        tracing::warn!(
            connector = %self.connector,
            messages = self.messages,
            "messages wait for a connector that is not configured; they are kept until it is again, or are drained"
        );
    }
}

/// The last process that consumed the queue did not close it.
pub(crate) struct NotClosed<'a> {
    pub(crate) connector: &'a Connector,
    pub(crate) suspects: usize,
}

impl NotClosed<'_> {
    pub(crate) fn emit(&self) {
        tracing::info!(
            connector = %self.connector,
            redelivered = self.suspects,
            "the queue was not closed at the last end; what may have been in hand comes again"
        );
    }
}

/// Entries that can't be read stay in the file.
pub(crate) struct EntriesKept {
    pub(crate) count: usize,
    pub(crate) why: String,
}

impl EntriesKept {
    pub(crate) fn emit(&self) {
        tracing::error!(
            count = self.count,
            why = self.why,
            "entries of the queue can't be read; they and their messages are kept in the file, and not delivered"
        );
    }
}

/// A message can't be read and becomes a dead letter.
pub(crate) struct Salvaged<'a> {
    pub(crate) connector: Option<&'a Connector>,
    pub(crate) number: u64,
    pub(crate) why: Unreadable,
}

impl Salvaged<'_> {
    pub(crate) fn emit(&self) {
        let connector = self.connector.map_or("", Connector::as_str);
        tracing::error!(
            connector,
            number = self.number,
            why = %self.why,
            "a message in the queue can't be read; its bytes are kept as a dead letter"
        );
    }
}

/// A message came back too often and becomes a dead letter.
pub(crate) struct CameBackTooOften<'a> {
    pub(crate) connector: &'a Connector,
}

impl CameBackTooOften<'_> {
    pub(crate) fn emit(&self) {
        tracing::error!(
            connector = %self.connector,
            "workers ended too often while they held a message; it is a dead letter now"
        );
    }
}

/// The file was made smaller.
pub(crate) struct Compacted<'a> {
    pub(crate) path: &'a Path,
    pub(crate) before: u64,
    pub(crate) after: u64,
}

impl Compacted<'_> {
    pub(crate) fn emit(&self) {
        tracing::info!(
            path = %self.path.display(),
            bytes_before = self.before,
            bytes = self.after,
            "the queue's file was compacted"
        );
    }
}

/// The file was removed under the worker, and is on the disk again.
pub(crate) struct PutBack<'a> {
    pub(crate) copy: &'a Path,
    pub(crate) in_place: bool,
}

impl PutBack<'_> {
    pub(crate) fn emit(&self) {
        let copy = self.copy.display();
        if self.in_place {
            tracing::error!(path = %copy, "the queue's file was removed under the worker; it was put back with all that waits in it");
        } else {
            tracing::error!(
                path = %copy,
                "the queue's file was removed under the worker and another one is in its place; what waited was written \
                 here: stop the worker, put this file in that place, and start it again"
            );
        }
    }
}

/// The file was moved away under the worker.
pub(crate) struct MovedAway<'a> {
    pub(crate) path: &'a Path,
    pub(crate) now_at: &'a Path,
}

impl MovedAway<'_> {
    pub(crate) fn emit(&self) {
        tracing::error!(
            path = %self.path.display(),
            now_at = %self.now_at.display(),
            "the queue's file was moved away under the worker; what waited is in it: stop the worker, move it back, and \
             start it again"
        );
    }
}

/// The file was removed under the worker, and could not be put back.
pub(crate) struct NotPutBack<'a> {
    pub(crate) path: &'a Path,
    pub(crate) error: &'a io::Error,
}

impl NotPutBack<'_> {
    pub(crate) fn emit(&self) {
        tracing::error!(
            path = %self.path.display(),
            error = %self.error,
            "the queue's file was removed under the worker and could not be put back; what waited in it is lost"
        );
    }
}

/// The writer did not end in time.
pub(crate) struct CloseTimedOut(pub(crate) Duration);

impl CloseTimedOut {
    pub(crate) fn emit(&self) {
        tracing::error!(waited = ?self.0, "the queue did not close in time");
    }
}
