//! What the tests share.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lapin::options::QueueDeleteOptions;
use lapin::{Channel, Connection, ConnectionProperties};
use nightbell_amqp::{AmqpOutlet, AmqpSettler, AmqpSubscription, Broker, BrokerSettings, Names};
use nightbell_core::connector::Connector;
use nightbell_core::message::{Arrival, Message};
use nightbell_core::ports::{Destination, Incoming, MessageQueue, Outlet, QueueState, Settler, Subscription};
use tokio::time::{interval, timeout};

use nightbell_tests::node::RabbitNode;

/// The longest that anything may take which must happen.
pub(crate) const MUST: Duration = Duration::from_secs(60);

/// Long enough to see that something does not happen.
pub(crate) const MUST_NOT: Duration = Duration::from_millis(700);

pub(crate) fn settings(node: &RabbitNode, prefix: &str) -> BrokerSettings {
    settings_at(&node.url("/"), prefix)
}

pub(crate) fn settings_at(url: &str, prefix: &str) -> BrokerSettings {
    BrokerSettings {
        url: url.parse().unwrap(),
        names: Names::new(prefix).unwrap(),
        prefetch: 256,
        declare: true,
    }
}

pub(crate) fn connector(name: &str) -> Connector {
    name.parse().unwrap()
}

pub(crate) fn broker(node: &RabbitNode, prefix: &str, connectors: &[&str]) -> Broker {
    Broker::new(settings(node, prefix), connectors.iter().map(|name| connector(name)).collect())
}

/// Has a broker declare all that `connectors` need, or only check it. The error is what is told of it.
pub(crate) async fn set_up(settings: &BrokerSettings, connectors: &[Connector]) -> Result<(), String> {
    let broker = Broker::new(settings.clone(), connectors.to_vec());
    let subscriptions: Vec<_> = connectors.iter().map(|name| broker.subscribe(name.clone())).collect();
    let is_final = |state: &QueueState| match &state.consuming {
        Ok(()) => true,
        Err(reason) if reason.contains("not consumed yet") => false,
        // Anything else may pass by itself: a young queue has no leader yet.
        Err(reason) => ["the broker lacks", "was declared elsewhere", "may not"]
            .iter()
            .any(|standing| reason.contains(standing)),
    };
    let mut state = broker.state();
    let told = timeout(MUST, state.wait_for(is_final)).await;
    let told = told.unwrap_or_else(|_| panic!("nothing is told")).unwrap().consuming.clone();
    for mut subscription in subscriptions {
        subscription.leave().await;
    }
    broker.close().await;
    told
}

pub(crate) fn message(id: &str) -> Message {
    Message { message_id: Some(id.to_owned()), body: Bytes::from_static(b"{}"), ..Message::default() }
}

pub(crate) fn events() -> Destination {
    Destination::Events { routing_key: "payments.api".into() }
}

/// Publishes, trying again while the broker can't take it: a quorum queue of a young node may have no leader
/// yet.
pub(crate) async fn publish(outlet: &AmqpOutlet, to: Destination, message: Message) {
    let mut last = None;
    let published = timeout(MUST, async {
        while let Err(error) = outlet.publish(to.clone(), message.clone()).await {
            last = Some(error);
            tokio::task::yield_now().await;
        }
    });
    if published.await.is_err() {
        panic!("the broker confirms no publish: {last:?}");
    }
}

pub(crate) async fn incoming(subscription: &mut AmqpSubscription) -> Incoming<AmqpSettler> {
    timeout(MUST, subscription.next()).await.expect("the queue says something")
}

#[track_caller]
pub(crate) fn delivered(incoming: Incoming<AmqpSettler>) -> (Message, AmqpSettler) {
    match incoming {
        // Whether it was delivered before is no part of what was sent.
        Incoming::Delivery(message, settler) => (Message { arrival: Arrival::default(), ..message }, settler),
        Incoming::Lost => panic!("the subscription was lost"),
    }
}

pub(crate) async fn delivery(subscription: &mut AmqpSubscription) -> (Message, AmqpSettler) {
    delivered(incoming(subscription).await)
}

/// The id of the next delivery, which is acknowledged.
pub(crate) async fn take(subscription: &mut AmqpSubscription) -> String {
    let (message, settler) = delivery(subscription).await;
    settler.ack().await.unwrap();
    message.message_id.unwrap_or_default()
}

/// Whether nothing but further copies of `known` comes: a publish that was tried again may have arrived each time.
pub(crate) async fn is_silent(subscription: &mut AmqpSubscription, known: &[&str]) -> bool {
    while let Ok(incoming) = timeout(MUST_NOT, subscription.next()).await {
        let Incoming::Delivery(message, settler) = incoming else {
            eprintln!("the subscription was lost");
            return false;
        };
        if !message.message_id.as_deref().is_some_and(|id| known.contains(&id)) {
            eprintln!("another message came: {message:?}");
            return false;
        }
        settler.ack().await.unwrap();
    }
    true
}

/// Waits until `condition` holds.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let mut beat = interval(Duration::from_millis(50));
    let holds = timeout(MUST, async {
        while !condition().await {
            beat.tick().await;
        }
    });
    holds.await.unwrap_or_else(|_| panic!("in vain: {what}"));
}

/// A channel of lapin's own, as some other program would use it.
pub(crate) async fn stranger(url: &str) -> (Connection, Channel) {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

pub(crate) async fn delete_queue(node: &RabbitNode, name: &str) {
    let (_connection, channel) = stranger(&node.url("/")).await;
    channel.queue_delete(name.into(), QueueDeleteOptions::default()).await.unwrap();
}

/// A virtual host of its own, whose connections can be closed without disturbing other tests.
pub(crate) async fn virtual_host(node: &RabbitNode, name: &str) -> String {
    node.ctl(&["add_vhost", name]).await.unwrap();
    node.ctl(&["set_permissions", "--vhost", name, "guest", ".*", ".*", ".*"]).await.unwrap();
    node.url(name)
}

/// Publishes `count` messages at once, with the ids `PREFIX0`, `PREFIX1` …
pub(crate) async fn publish_many(outlet: &AmqpOutlet, prefix: &str, count: usize) {
    let outlet = Arc::new(outlet.clone());
    let publishes = (0..count).map(|number| {
        let (outlet, message) = (Arc::clone(&outlet), message(&format!("{prefix}{number}")));
        async move { publish(&outlet, events(), message).await }
    });
    futures::future::join_all(publishes).await;
}
