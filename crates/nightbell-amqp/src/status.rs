//! What is known of the broker's state, for `/readyz`, the metrics and `status`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use metrics::{Gauge, describe_gauge};
use nightbell_core::connector::Connector;
use nightbell_core::ports::{Depths, QueueState, QueueView};
use tokio::sync::watch;

const CONNECTED: &str = "nightbell_broker_connected";
const QUEUE_DEPTH: &str = "nightbell_queue_depth";
const UNAVAILABLE: &str = "nightbell_queue_unavailable";
const DEAD_LETTERS: &str = "nightbell_dead_letters";

/// The most queues that are named at once as not consumed.
const REASONS_MAX: usize = 5;

/// Where connections and subscriptions note their state; it keeps the gauges and the watchers up to date.
#[derive(Debug)]
pub(crate) struct BrokerStatus {
    known: Mutex<Known>,
    subscribed: AtomicBool,
    state: watch::Sender<QueueState>,
    counted: watch::Sender<Counted>,
}

/// How many messages waited, and when that was asked; none: not yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counted {
    pub(crate) depths: Depths,
    pub(crate) at: Option<Instant>,
}

#[derive(Debug)]
struct Known {
    consumer: Result<(), String>,
    publisher: Result<(), String>,
    subscriptions: BTreeMap<Connector, String>,
}

impl BrokerStatus {
    /// Nothing is connected yet. All gauges are set, so that every series is there from the start.
    pub(crate) fn new(connectors: &[Connector]) -> Self {
        describe();
        for connector in connectors {
            of(QUEUE_DEPTH, connector).set(0);
            of(UNAVAILABLE, connector).set(0);
        }
        metrics::gauge!(DEAD_LETTERS).set(0);
        let known = Known {
            consumer: Err("not connected yet".to_owned()),
            publisher: Ok(()),
            subscriptions: BTreeMap::new(),
        };
        let (state, known) = (watch::Sender::new(known.state()), Mutex::new(known));
        let (subscribed, counted) = (AtomicBool::new(false), watch::Sender::default());
        let status = Self { known, subscribed, state, counted };
        status.change(|_| ());
        status
    }

    pub(crate) fn consumer(&self, state: Result<(), String>) {
        self.change(|known| known.consumer = state);
    }

    pub(crate) fn publisher(&self, state: Result<(), String>) {
        self.change(|known| known.publisher = state);
    }

    /// Whether there is any subscription, which sees to its own queue and says what is wrong with it.
    pub(crate) fn is_subscribed(&self) -> bool {
        self.subscribed.load(Ordering::Relaxed)
    }

    /// Something is wrong with a connector's queue itself, while the connection is up.
    pub(crate) fn unavailable(&self, connector: &Connector) {
        of(UNAVAILABLE, connector).set(1);
    }

    pub(crate) fn subscription(&self, connector: &Connector, state: Result<(), String>) {
        if state.is_ok() {
            of(UNAVAILABLE, connector).set(0);
        }
        self.subscribed.store(true, Ordering::Relaxed);
        self.change(|known| {
            match state {
                Ok(()) => known.subscriptions.remove(connector),
                Err(reason) => known.subscriptions.insert(connector.clone(), reason),
            };
        });
    }

    pub(crate) fn counted(&self, depths: Depths) {
        for (connector, ready) in &depths.connectors {
            of(QUEUE_DEPTH, connector).set(f64::from(*ready));
        }
        if let Some(dead) = depths.dead {
            metrics::gauge!(DEAD_LETTERS).set(f64::from(dead));
        }
        self.counted.send_replace(Counted { depths, at: Some(Instant::now()) });
    }

    pub(crate) fn view(&self) -> QueueView {
        let Counted { depths, at } = self.counted.borrow().clone();
        QueueView { state: self.state.borrow().clone(), depths, counted_ago: at.map(|at| at.elapsed()) }
    }

    pub(crate) fn watch_state(&self) -> watch::Receiver<QueueState> {
        self.state.subscribe()
    }

    pub(crate) fn watch_counted(&self) -> watch::Receiver<Counted> {
        self.counted.subscribe()
    }

    fn change(&self, change: impl FnOnce(&mut Known)) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut known);
        let state = known.state();
        let connected = known.consumer.is_ok() && known.publisher.is_ok();
        metrics::gauge!(CONNECTED).set(f64::from(u8::from(connected)));
        self.state.send_if_modified(|told| {
            let is_news = *told != state;
            *told = state;
            is_news
        });
    }
}

impl Known {
    fn state(&self) -> QueueState {
        let subscriptions = || {
            let mut reasons: Vec<_> = self.subscriptions.values().take(REASONS_MAX).cloned().collect();
            match self.subscriptions.len() - reasons.len() {
                0 => {}
                more => reasons.push(format!("and {more} more queues")),
            }
            if reasons.is_empty() { Ok(()) } else { Err(reasons.join("; ")) }
        };
        let consuming = self.consumer.clone().and_then(|()| subscriptions());
        QueueState { consuming, publishing: self.publisher.clone() }
    }
}

/// A connector's gauge.
fn of(name: &'static str, connector: &Connector) -> Gauge {
    metrics::gauge!(name, "connector" => connector.to_string())
}

fn describe() {
    describe_gauge!(CONNECTED, "1 while the queue is connected and what all connectors share is right");
    let depth = "Messages that wait in the connector's queue, those in hand not included";
    describe_gauge!(QUEUE_DEPTH, depth);
    describe_gauge!(DEAD_LETTERS, "Dead letters that wait for an operator");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consuming_needs_the_connection_and_every_subscription() {
        let sre: Connector = "sre".parse().unwrap();
        let status = BrokerStatus::new(std::slice::from_ref(&sre));
        let state = status.watch_state();
        assert_eq!(state.borrow().consuming, Err("not connected yet".into()));
        status.consumer(Ok(()));
        assert_eq!(state.borrow().consuming, Ok(()));
        status.subscription(&sre, Err("no queue".into()));
        assert_eq!(state.borrow().consuming, Err("no queue".into()));
        for number in 0..6 {
            status.subscription(&format!("a{number}").parse().unwrap(), Err(format!("no {number}")));
        }
        let all = "no 0; no 1; no 2; no 3; no 4; and 2 more queues";
        assert_eq!(state.borrow().consuming, Err(all.into()));
        for number in 0..6 {
            status.subscription(&format!("a{number}").parse().unwrap(), Ok(()));
        }
        status.consumer(Err("down".into()));
        assert_eq!(state.borrow().consuming, Err("down".into()));
        status.consumer(Ok(()));
        status.subscription(&sre, Ok(()));
        assert_eq!(*state.borrow(), QueueState { consuming: Ok(()), publishing: Ok(()) });
    }
}
