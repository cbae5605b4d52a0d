//! The broker as the rest of Nightbell knows it.

use std::sync::Arc;

use nightbell_core::connector::Connector;
use nightbell_core::ports::{MessageQueue, QueueError, QueueState, QueueView};
use tokio::sync::watch;

use crate::consume::AmqpSubscription;
use crate::dead::DeadQueue;
use crate::link::{Link, Role};
use crate::names::Names;
use crate::publish::AmqpOutlet;
use crate::status::BrokerStatus;
use crate::url::BrokerUrl;

/// How to reach the broker and what to find there.
#[derive(Debug, Clone)]
pub struct BrokerSettings {
    /// Where it is.
    pub url: BrokerUrl,
    /// What the exchanges and queues are called.
    pub names: Names,
    /// How many deliveries a connector's owner holds at most that are not settled; at least one.
    pub prefetch: u16,
    /// Whether exchanges and queues are declared; else they are only checked.
    pub declare: bool,
}

/// A broker: one connection for consuming and one for publishing, each made when it is first wanted and made
/// again after any error, without end.
#[derive(Clone)]
pub struct Broker {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Arc<BrokerSettings>,
    status: Arc<BrokerStatus>,
    consumer: Arc<Link>,
    publisher: Arc<Link>,
    outlet: AmqpOutlet,
}

impl Broker {
    /// Sets the supervision up, with all that `connectors` need. Nothing is connected before the first
    /// subscription or publish; must be called within a tokio runtime.
    #[must_use]
    pub fn new(settings: BrokerSettings, connectors: Vec<Connector>) -> Self {
        let (settings, status) = (Arc::new(settings), Arc::new(BrokerStatus::new(&connectors)));
        let connectors: Arc<[Connector]> = connectors.into();
        let consumer = Arc::new(Link::new(Role::Consumer, &settings, &connectors, &status));
        let publisher = Arc::new(Link::new(Role::Publisher, &settings, &connectors, &status));
        let outlet = AmqpOutlet::new(Arc::clone(&publisher), settings.names.clone(), Arc::clone(&connectors));
        Self { inner: Arc::new(Inner { settings, status, consumer, publisher, outlet }) }
    }

    /// Host and port, with commas between several, for messages.
    #[must_use]
    pub fn place(&self) -> String {
        self.inner.settings.url.place()
    }

    /// The state of the connections, as it changes.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<QueueState> {
        self.inner.status.watch_state()
    }

    /// Says farewell to the broker, for good. It takes a few seconds at most; dropping the broker instead is
    /// safe too.
    pub async fn close(&self) {
        tokio::join!(self.inner.consumer.close(), self.inner.publisher.close());
    }
}

impl MessageQueue for Broker {
    type Subscription = AmqpSubscription;
    type Outlet = AmqpOutlet;
    type DeadLetters = DeadQueue;

    /// Each subscription has a channel of its own on the one consuming connection.
    fn subscribe(&self, connector: Connector) -> AmqpSubscription {
        let Inner { settings, status, consumer, publisher, .. } = &*self.inner;
        let subscription = AmqpSubscription::new(connector, settings, consumer, status);
        // Who consumes will publish, and shall know before whether it can.
        publisher.want();
        subscription
    }

    /// All outlets of one broker share its channels.
    fn outlet(&self) -> AmqpOutlet {
        self.inner.outlet.clone()
    }

    async fn dead_letters(&self) -> Result<DeadQueue, QueueError> {
        DeadQueue::open(&self.inner.settings).await.map_err(QueueError::of)
    }

    /// The depths are as last asked by the consuming connection, every 30 s.
    fn view(&self) -> QueueView {
        self.inner.status.view()
    }
}
