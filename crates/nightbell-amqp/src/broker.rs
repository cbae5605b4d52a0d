//! The broker as the rest of Nightbell knows it.

use std::sync::Arc;
use std::time::Duration;

use nightbell_core::connector::Connector;
use tokio::sync::watch;

use crate::board::{Board, BrokerState, Depths};
use crate::consume::AmqpSubscription;
use crate::link::{Link, Role};
use crate::names::Names;
use crate::publish::AmqpOutlet;
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
    settings: BrokerSettings,
    board: Arc<Board>,
    consumer: Arc<Link>,
    publisher: Arc<Link>,
    outlet: AmqpOutlet,
}

impl Broker {
    /// Sets the supervision up, with all that `connectors` need. Nothing is connected before the first
    /// subscription or publish; must be called within a tokio runtime.
    #[must_use]
    pub fn new(settings: BrokerSettings, connectors: Vec<Connector>) -> Self {
        let board = Arc::new(Board::new(&connectors));
        let connectors: Arc<[Connector]> = connectors.into();
        let consumer = Arc::new(Link::new(Role::Consumer, &settings, &connectors, &board));
        let publisher = Arc::new(Link::new(Role::Publisher, &settings, &connectors, &board));
        let outlet = AmqpOutlet::new(Arc::clone(&publisher), settings.names.clone(), Arc::clone(&connectors));
        Self { inner: Arc::new(Inner { settings, board, consumer, publisher, outlet }) }
    }

    /// Consumes a connector's queue. Each subscription has a channel of its own on the one consuming
    /// connection.
    #[must_use]
    pub fn subscribe(&self, connector: Connector) -> AmqpSubscription {
        let Inner { settings, board, consumer, publisher, .. } = &*self.inner;
        let subscription = AmqpSubscription::new(connector, settings, consumer, board);
        // Who consumes will publish, and shall know before whether it can.
        publisher.want();
        subscription
    }

    /// The way into the queues. All outlets of one broker share its channels.
    #[must_use]
    pub fn outlet(&self) -> AmqpOutlet {
        self.inner.outlet.clone()
    }

    /// The state of the connections, as it changes.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<BrokerState> {
        self.inner.board.watch_state()
    }

    /// How long ago [`Broker::depths`] were asked for; none: never.
    #[must_use]
    pub fn depths_age(&self) -> Option<Duration> {
        self.inner.board.asked_ago()
    }

    /// How many messages wait in each queue, as last asked by the consuming connection, every 30 s.
    #[must_use]
    pub fn depths(&self) -> Depths {
        self.inner.board.watch_depths().borrow().clone()
    }

    /// Says farewell to the broker, for good. It takes a few seconds at most; dropping the broker instead is
    /// safe too.
    pub async fn close(&self) {
        tokio::join!(self.inner.consumer.close(), self.inner.publisher.close());
    }
}
