//! The gauges, and one function for each fact that is logged.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use metrics::Gauge;
use nightbell_core::connector::Connector;
use nightbell_core::ports::Depths;
use nightbell_store::Unreadable;
use tracing::{error, info, warn};

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
pub(crate) fn was_empty(path: &Path) {
    warn!(
        path = %path.display(),
        "the queue's file is there and has no bytes: whatever it held is gone; a new queue is begun in it. If alerts \
         waited in it, stop and restore it from a backup"
    );
}

/// The queue failed for good.
pub(crate) fn failed(problem: &str) {
    error!(problem, "the queue failed; nothing more is taken in or delivered until it is opened anew");
}

/// Messages wait for a connector that is not configured.
pub(crate) fn left_over(connector: &Connector, messages: u32) {
    warn!(
        %connector,
        messages,
        "messages wait for a connector that is not configured; they are kept until it is again, or are drained"
    );
}

/// The last process that consumed the queue did not close it.
pub(crate) fn not_closed(connector: &Connector, redelivered: usize) {
    info!(
        %connector,
        redelivered,
        "the queue was not closed at the last end; what may have been in hand comes again"
    );
}

/// Entries that can't be read stay in the file.
pub(crate) fn entries_kept(count: usize, why: &str) {
    error!(
        count,
        why,
        "entries of the queue can't be read; they and their messages are kept in the file, and not delivered"
    );
}

/// A message can't be read and becomes a dead letter.
pub(crate) fn salvaged(connector: Option<&Connector>, number: u64, why: Unreadable) {
    let connector = connector.map_or("", Connector::as_str);
    error!(connector, number, %why, "a message in the queue can't be read; its bytes are kept as a dead letter");
}

/// A message came back too often and becomes a dead letter.
pub(crate) fn came_back_too_often(connector: &Connector) {
    error!(%connector, "workers ended too often while they held a message; it is a dead letter now");
}

/// The file was made smaller.
pub(crate) fn compacted(path: &Path, bytes_before: u64, bytes: u64) {
    info!(path = %path.display(), bytes_before, bytes, "the queue's file was compacted");
}

/// The file was removed under the worker, and is on the disk again in its own place.
pub(crate) fn put_back(path: &Path) {
    error!(
        path = %path.display(),
        "the queue's file was removed under the worker; it was put back with all that waits in it"
    );
}

/// The file was removed under the worker, and is on the disk again beside what is in its place.
pub(crate) fn put_beside(path: &Path) {
    error!(
        path = %path.display(),
        "the queue's file was removed under the worker and another one is in its place; what waited was written \
         here: stop the worker, put this file in that place, and start it again"
    );
}

/// The file was moved away under the worker.
pub(crate) fn moved_away(path: &Path, now_at: &Path) {
    error!(
        path = %path.display(),
        now_at = %now_at.display(),
        "the queue's file was moved away under the worker; what waited is in it: stop the worker, move it back, and \
         start it again"
    );
}

/// The file was removed under the worker, and could not be put back.
pub(crate) fn not_put_back(path: &Path, error: &io::Error) {
    error!(
        path = %path.display(),
        %error,
        "the queue's file was removed under the worker and could not be put back; what waited in it is lost"
    );
}

/// The writer did not end in time.
pub(crate) fn close_timed_out(waited: Duration) {
    error!(?waited, "the queue did not close in time");
}
