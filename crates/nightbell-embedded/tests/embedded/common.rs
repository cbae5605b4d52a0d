//! What the tests share.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use nightbell_core::connector::Connector;
use nightbell_core::message::Message;
use nightbell_core::ports::{
    Clock, Destination, Incoming, MessageQueue as _, Outlet, PublishError, Settler, Subscription,
};
use nightbell_core::rung::Rung;
use nightbell_core::time::UnixMillis;
use nightbell_embedded::{
    EmbeddedError, EmbeddedQueue, EmbeddedSettings, EmbeddedSettler, EmbeddedSubscription, OpenError,
};
use tempfile::TempDir;

pub(crate) const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

/// The longest that a test waits for a condition.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// A clock that stands still until it is moved.
#[derive(Clone)]
pub(crate) struct Hand(Arc<AtomicU64>);

impl Hand {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicU64::new(NOW.0)))
    }

    pub(crate) fn move_to(&self, time: UnixMillis) {
        self.0.store(time.0, Ordering::Relaxed);
    }
}

impl Clock for Hand {
    fn now(&self) -> UnixMillis {
        UnixMillis(self.0.load(Ordering::Relaxed))
    }
}

/// A folder with a queue in it, and the time there.
pub(crate) struct Place {
    folder: TempDir,
    pub(crate) clock: Hand,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), clock: Hand::new() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("data").join("queue.redb")
    }

    pub(crate) fn settings(&self, connectors: &[&str]) -> EmbeddedSettings {
        EmbeddedSettings::new(self.path(), connectors.iter().map(|name| connector(name)).collect())
    }

    pub(crate) fn try_open(&self, connectors: &[&str]) -> Result<EmbeddedQueue, OpenError> {
        EmbeddedQueue::open(&self.settings(connectors), self.clock.clone())
    }

    #[track_caller]
    pub(crate) fn open(&self, connectors: &[&str]) -> EmbeddedQueue {
        self.try_open(connectors).unwrap()
    }
}

pub(crate) fn connector(name: &str) -> Connector {
    name.parse().unwrap()
}

pub(crate) fn message(text: &str) -> Message {
    Message { body: Bytes::copy_from_slice(text.as_bytes()), ..Message::default() }
}

pub(crate) fn events() -> Destination {
    Destination::Events { routing_key: "a.b".to_owned() }
}

pub(crate) fn retry(name: &str, seconds: u64) -> Destination {
    Destination::Retry { rung: Rung::within(Duration::from_secs(seconds)), connector: connector(name) }
}

pub(crate) fn requeue(name: &str) -> Destination {
    Destination::Requeue { connector: connector(name) }
}

pub(crate) async fn publish(queue: &EmbeddedQueue, to: Destination, text: &str) -> Result<(), PublishError> {
    queue.outlet().publish(to, message(text)).await
}

pub(crate) async fn publish_all(queue: &EmbeddedQueue, texts: &[&str]) {
    for text in texts {
        publish(queue, events(), text).await.unwrap();
    }
}

/// Fails the test if it has to wait too long.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(WAIT_MAX, what).await.expect("it should not take that long")
}

/// The next delivery.
pub(crate) async fn next(subscription: &mut EmbeddedSubscription) -> (Message, EmbeddedSettler) {
    match soon(subscription.next()).await {
        Incoming::Delivery(message, settler) => (message, settler),
        Incoming::Lost => panic!("the queue has ended"),
    }
}

pub(crate) fn text(message: &Message) -> String {
    String::from_utf8(message.body.to_vec()).unwrap()
}

/// Takes the next deliveries and acknowledges them; gives their texts.
pub(crate) async fn acked(subscription: &mut EmbeddedSubscription, count: usize) -> Vec<String> {
    let mut texts = Vec::new();
    for _ in 0..count {
        let (message, settler) = next(subscription).await;
        settler.ack().await.unwrap();
        texts.push(text(&message));
    }
    texts
}

/// Takes the next deliveries and keeps them in hand.
pub(crate) async fn held(
    subscription: &mut EmbeddedSubscription,
    count: usize,
) -> Vec<(String, EmbeddedSettler)> {
    let mut taken = Vec::new();
    for _ in 0..count {
        let (message, settler) = next(subscription).await;
        taken.push((text(&message), settler));
    }
    taken
}

/// Nothing is delivered, although the queue has dealt with all that was asked before.
pub(crate) async fn check_silent(queue: &EmbeddedQueue, subscription: &mut EmbeddedSubscription) {
    // Twice, since deliveries follow what is asked.
    for _ in 0..2 {
        queue.dead_letters().await.unwrap().close().await.unwrap();
    }
    tokio::select! {
        biased;
        _ = subscription.next() => panic!("something was delivered"),
        () = std::future::ready(()) => {}
    }
}

/// Waits until this is so.
pub(crate) async fn becomes(mut condition: impl FnMut() -> bool) {
    soon(async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Closes a queue from within a runtime.
pub(crate) async fn close(queue: EmbeddedQueue) -> Result<(), EmbeddedError> {
    tokio::task::spawn_blocking(move || queue.close()).await.unwrap()
}

/// The texts of all dead letters, with their reasons.
pub(crate) async fn dead(queue: &EmbeddedQueue) -> Vec<(String, String)> {
    let mut letters = queue.dead_letters().await.unwrap();
    let mut found = Vec::new();
    while let Some(letter) = letters.next().await.unwrap() {
        found.push((text(&letter.message), letter.death.reason.to_string()));
    }
    letters.close().await.unwrap();
    found
}
