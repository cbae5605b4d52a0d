//! What is known of the broker's state, for `/readyz`, the metrics and `status`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nightbell_core::connector::Connector;
use tokio::sync::watch;

const CONNECTED: &str = "nightbell_broker_connected";
const QUEUE_DEPTH: &str = "nightbell_queue_depth";
const UNAVAILABLE: &str = "nightbell_queue_unavailable";
const DEAD_LETTERS: &str = "nightbell_dead_letters";

/// The most queues that are named at once as not consumed.
const REASONS_MAX: usize = 5;

/// Whether the broker can be used; an `Err` says what is missing, in one line without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerState {
    /// The connection for consuming is up, the topology is good, and every subscription stands.
    pub consuming: Result<(), String>,
    /// The connection for publishing has not failed, and the broker lets it publish. It is made at the first
    /// publish.
    pub publishing: Result<(), String>,
}

/// How many messages wait, as last asked; a queue that could not be asked yet is not there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Depths {
    /// Ready messages by connector.
    pub connectors: BTreeMap<Connector, u32>,
    /// Dead letters.
    pub dead: Option<u32>,
}

/// Where links and subscriptions note their state; it keeps the gauges and the watchers up to date.
#[derive(Debug)]
pub(crate) struct Board {
    facts: Mutex<Facts>,
    subscribed: AtomicBool,
    state: watch::Sender<BrokerState>,
    depths: watch::Sender<Depths>,
    asked: Mutex<Option<Instant>>,
}

#[derive(Debug)]
struct Facts {
    consumer: Result<(), String>,
    publisher: Result<(), String>,
    subscriptions: BTreeMap<Connector, String>,
}

impl Board {
    /// Nothing is connected yet. All gauges are set, so that every series is there from the start.
    pub(crate) fn new(connectors: &[Connector]) -> Self {
        metrics::describe_gauge!(CONNECTED, "1 when the broker can be consumed from and published to");
        metrics::describe_gauge!(QUEUE_DEPTH, "Messages that wait in a connector's queue");
        let unavailable = "1 while the connector's own queue can't be consumed: it is missing, forbidden or declared otherwise";
        metrics::describe_gauge!(UNAVAILABLE, unavailable);
        metrics::describe_gauge!(DEAD_LETTERS, "Dead letters in the broker");
        for connector in connectors {
            metrics::gauge!(QUEUE_DEPTH, "connector" => connector.to_string()).set(0);
            metrics::gauge!(UNAVAILABLE, "connector" => connector.to_string()).set(0);
        }
        metrics::gauge!(DEAD_LETTERS).set(0);
        let facts = Facts {
            consumer: Err("not connected yet".to_owned()),
            publisher: Ok(()),
            subscriptions: BTreeMap::new(),
        };
        let state = watch::Sender::new(facts.state());
        let (subscribed, depths) = (AtomicBool::new(false), watch::Sender::default());
        let board = Self { facts: Mutex::new(facts), subscribed, state, depths, asked: Mutex::default() };
        board.change(|_| ());
        board
    }

    pub(crate) fn consumer(&self, state: Result<(), String>) {
        self.change(|facts| facts.consumer = state);
    }

    pub(crate) fn publisher(&self, state: Result<(), String>) {
        self.change(|facts| facts.publisher = state);
    }

    /// Whether there is any subscription, which sees to its own queue and says what is wrong with it.
    pub(crate) fn is_subscribed(&self) -> bool {
        self.subscribed.load(Ordering::Relaxed)
    }

    /// Something is wrong with a connector's queue itself, while the connection is up.
    pub(crate) fn unavailable(&self, connector: &Connector) {
        metrics::gauge!(UNAVAILABLE, "connector" => connector.to_string()).set(1);
    }

    pub(crate) fn subscription(&self, connector: &Connector, state: Result<(), String>) {
        if state.is_ok() {
            metrics::gauge!(UNAVAILABLE, "connector" => connector.to_string()).set(0);
        }
        self.subscribed.store(true, Ordering::Relaxed);
        self.change(|facts| {
            match state {
                Ok(()) => facts.subscriptions.remove(connector),
                Err(reason) => facts.subscriptions.insert(connector.clone(), reason),
            };
        });
    }

    pub(crate) fn depths(&self, depths: Depths) {
        for (connector, ready) in &depths.connectors {
            metrics::gauge!(QUEUE_DEPTH, "connector" => connector.to_string()).set(f64::from(*ready));
        }
        if let Some(dead) = depths.dead {
            metrics::gauge!(DEAD_LETTERS).set(f64::from(dead));
        }
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.depths.send_replace(depths);
    }

    /// How long ago the depths were told; none: never.
    pub(crate) fn asked_ago(&self) -> Option<Duration> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).map(|asked| asked.elapsed())
    }

    pub(crate) fn watch_state(&self) -> watch::Receiver<BrokerState> {
        self.state.subscribe()
    }

    pub(crate) fn watch_depths(&self) -> watch::Receiver<Depths> {
        self.depths.subscribe()
    }

    fn change(&self, change: impl FnOnce(&mut Facts)) {
        let mut facts = self.lock();
        change(&mut facts);
        let state = facts.state();
        let connected = facts.consumer.is_ok() && facts.publisher.is_ok();
        metrics::gauge!(CONNECTED).set(f64::from(u8::from(connected)));
        self.state.send_if_modified(|known| {
            let news = *known != state;
            *known = state;
            news
        });
    }

    fn lock(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Facts {
    fn state(&self) -> BrokerState {
        let subscriptions = || {
            let mut reasons: Vec<_> = self.subscriptions.values().take(REASONS_MAX).cloned().collect();
            match self.subscriptions.len() - reasons.len() {
                0 => {}
                more => reasons.push(format!("and {more} more queues")),
            }
            if reasons.is_empty() { Ok(()) } else { Err(reasons.join("; ")) }
        };
        let consuming = self.consumer.clone().and_then(|()| subscriptions());
        BrokerState { consuming, publishing: self.publisher.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consuming_needs_the_connection_and_every_subscription() {
        let sre: Connector = "sre".parse().unwrap();
        let board = Board::new(std::slice::from_ref(&sre));
        let state = board.watch_state();
        assert_eq!(state.borrow().consuming, Err("not connected yet".into()));
        board.consumer(Ok(()));
        assert_eq!(state.borrow().consuming, Ok(()));
        board.subscription(&sre, Err("no queue".into()));
        assert_eq!(state.borrow().consuming, Err("no queue".into()));
        for number in 0..6 {
            board.subscription(&format!("a{number}").parse().unwrap(), Err(format!("no {number}")));
        }
        let all = "no 0; no 1; no 2; no 3; no 4; and 2 more queues";
        assert_eq!(state.borrow().consuming, Err(all.into()));
        for number in 0..6 {
            board.subscription(&format!("a{number}").parse().unwrap(), Ok(()));
        }
        board.consumer(Err("down".into()));
        assert_eq!(state.borrow().consuming, Err("down".into()));
        board.consumer(Ok(()));
        board.subscription(&sre, Ok(()));
        assert_eq!(*state.borrow(), BrokerState { consuming: Ok(()), publishing: Ok(()) });
    }
}
