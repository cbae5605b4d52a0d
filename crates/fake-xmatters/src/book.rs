//! What has come in, and what became of it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use crate::answer::Kind;

/// How many whole requests are kept unless the settings say otherwise.
pub const REQUESTS_KEPT_MAX: usize = 10_000;

/// How many bytes of bodies are kept with them at most; beyond it the oldest requests go first.
pub const REQUEST_BYTES_KEPT_MAX: usize = 64 * 1024 * 1024;

/// One request to a trigger, and its answer.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// When its last byte came.
    pub at: Instant,
    /// The same in milliseconds since the Unix epoch.
    pub unix_ms: u64,
    /// The connection that it came on, counted from 1; requests of one number shared a connection.
    pub connection: u64,
    /// The function that it named; empty if the path is no trigger's.
    pub function: Arc<str>,
    /// The alert's id, from `properties.alert_id`, `alert_id`, `alertId` or `signalId`.
    pub alert_id: Option<String>,
    /// The event's id.
    pub event_id: Option<String>,
    /// The test's name.
    pub test: Option<String>,
    /// The priority.
    pub priority: Option<String>,
    /// The number of the attempt.
    pub attempt: Option<u32>,
    /// The recipients, from the body and the query.
    pub recipients: Vec<String>,
    /// The header that names a place in a trace.
    pub traceparent: Option<String>,
    /// The body.
    pub body: Vec<u8>,
    /// The status answered, or meant: see `kind`.
    pub status: u16,
    /// How the answer was sent. With most kinds the caller never saw the status.
    pub kind: Kind,
    /// Whether it counts as accepted, whatever the caller saw.
    pub accepted: bool,
    /// Whether flood control swallowed it after it was accepted.
    pub suppressed: bool,
    /// The `requestId` answered.
    pub request_id: Option<String>,
}

/// The counts at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Summary {
    /// Requests, the refused ones among them.
    pub requests: u64,
    /// Requests that were accepted.
    pub accepted: u64,
    /// Different alert ids among the accepted.
    pub alerts: u64,
    /// Accepted requests beyond the first of their alert id.
    pub repeats: u64,
    /// Accepted requests that flood control swallowed.
    pub suppressed: u64,
    /// Connections that were opened.
    pub connections: u64,
}

/// A look at the books while nothing changes.
#[derive(Debug, Clone, Copy)]
pub struct Snapshot<'b>(&'b Book);

impl<'b> Snapshot<'b> {
    /// The counts.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.0.summary
    }

    /// How often this alert was accepted.
    #[must_use]
    pub fn accepted(&self, alert_id: &str) -> u32 {
        self.0.accepted.get(alert_id).copied().unwrap_or_default()
    }

    /// How often each alert was accepted.
    #[must_use]
    pub fn accepted_by_alert(&self) -> &'b HashMap<String, u32> {
        &self.0.accepted
    }

    /// The latest whole requests, the oldest first.
    pub fn requests(&self) -> impl DoubleEndedIterator<Item = &'b Arc<Recorded>> + use<'b> {
        self.0.kept.iter()
    }
}

/// The books.
#[derive(Debug)]
pub(crate) struct Book {
    summary: Summary,
    accepted: HashMap<String, u32>,
    kept: VecDeque<Arc<Recorded>>,
    kept_bytes: usize,
    kept_max: usize,
}

impl Book {
    pub(crate) fn new(kept_max: usize) -> Self {
        Self {
            summary: Summary::default(),
            accepted: HashMap::new(),
            kept: VecDeque::new(),
            kept_bytes: 0,
            kept_max,
        }
    }

    pub(crate) fn snapshot(&self) -> Snapshot<'_> {
        Snapshot(self)
    }

    /// Counts a connection and gives its number.
    pub(crate) fn connection(&mut self) -> u64 {
        self.summary.connections += 1;
        self.summary.connections
    }

    pub(crate) fn enter(&mut self, recorded: Arc<Recorded>) {
        self.summary.requests += 1;
        if recorded.accepted {
            self.count(recorded.alert_id.as_deref());
        }
        self.summary.suppressed += u64::from(recorded.suppressed);
        self.kept_bytes += recorded.body.len();
        self.kept.push_back(recorded);
        while self.kept.len() > self.kept_max || self.kept_bytes > REQUEST_BYTES_KEPT_MAX {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.kept_bytes -= oldest.body.len();
        }
    }

    fn count(&mut self, alert_id: Option<&str>) {
        self.summary.accepted += 1;
        let Some(alert_id) = alert_id else { return };
        if let Some(count) = self.accepted.get_mut(alert_id) {
            *count += 1;
            self.summary.repeats += 1;
        } else {
            self.accepted.insert(alert_id.to_owned(), 1);
            self.summary.alerts += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(alert_id: &str, accepted: bool, body_bytes: usize) -> Arc<Recorded> {
        Arc::new(Recorded {
            at: Instant::now(),
            unix_ms: 0,
            connection: 1,
            function: "f".into(),
            alert_id: Some(alert_id.into()),
            event_id: None,
            test: None,
            priority: None,
            attempt: None,
            recipients: Vec::new(),
            traceparent: None,
            body: vec![0; body_bytes],
            status: 202,
            kind: Kind::Whole,
            accepted,
            suppressed: false,
            request_id: None,
        })
    }

    #[test]
    fn only_accepted_requests_count_by_alert() {
        let mut book = Book::new(10);
        for (alert, accepted) in [("a", true), ("a", false), ("a", true), ("b", true), ("c", false)] {
            book.enter(recorded(alert, accepted, 1));
        }
        let snapshot = book.snapshot();
        let want = Summary { requests: 5, accepted: 3, alerts: 2, repeats: 1, ..Summary::default() };
        assert_eq!(snapshot.summary(), want);
        assert_eq!((snapshot.accepted("a"), snapshot.accepted("b"), snapshot.accepted("c")), (2, 1, 0));
    }

    #[test]
    fn the_latest_requests_are_kept_by_number_and_by_bytes() {
        let mut book = Book::new(3);
        for alert in ["a", "b", "c", "d"] {
            book.enter(recorded(alert, true, 1));
        }
        let kept = |book: &Book| -> Vec<_> {
            book.snapshot().requests().filter_map(|request| request.alert_id.clone()).collect()
        };
        assert_eq!(kept(&book), ["b", "c", "d"]);
        book.enter(recorded("e", true, REQUEST_BYTES_KEPT_MAX - 1));
        assert_eq!(kept(&book), ["d", "e"]);
        assert_eq!(book.snapshot().summary().alerts, 5);
    }
}
