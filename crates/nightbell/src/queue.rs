//! The queue, wherever it is: in RabbitMQ, or in a file on this machine. One type for both, so that nothing else has to
//! know which.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::Duration;

use nightbell_amqp::{AmqpOutlet, AmqpSettler, AmqpSubscription, Broker, BrokerSettings};
use nightbell_core::connector::Connector;
use nightbell_core::message::Message;
use nightbell_core::ports::{
    Destination, Incoming, Outlet, PublishError, SettleError, Settler, Subscription,
};
use nightbell_embedded::{
    EmbeddedOutlet, EmbeddedQueue, EmbeddedSettings, EmbeddedSettler, EmbeddedSubscription, OpenError,
};
use nightbell_worker::SystemClock;
use tokio::time::{Instant, interval};

use crate::config::Config;
use crate::exit::{Code, Failure, OrFail as _};
use crate::wiring;

/// The longest wait for another process to let go of the embedded queue.
const OPEN_WAIT_MAX: Duration = Duration::from_secs(5);

/// How often it is tried meanwhile.
const OPEN_EVERY: Duration = Duration::from_millis(100);

/// A queue that is open. Clones are handles of the same.
#[derive(Clone)]
pub enum Queue {
    /// RabbitMQ.
    Amqp {
        /// Its connections.
        broker: Broker,
        /// How it is reached.
        settings: Box<BrokerSettings>,
    },
    /// A file, which no other process has open.
    Embedded {
        /// It.
        queue: EmbeddedQueue,
        /// Where it is.
        path: PathBuf,
    },
}

/// Whether a queue can be used, and how much waits in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueView {
    /// Messages are delivered; or what is missing.
    pub consuming: Result<(), String>,
    /// Messages are taken in; or what is missing.
    pub publishing: Result<(), String>,
    /// Dead letters, if they could be counted.
    pub dead: Option<u64>,
    /// How long ago all was counted: RabbitMQ is asked at times; none: never.
    pub counted_ago: Option<Duration>,
    depths: Vec<(Connector, u64)>,
}

/// One connector's queue as its owner consumes it.
pub enum QueueSubscription {
    /// Of RabbitMQ.
    Amqp(AmqpSubscription),
    /// Of the embedded queue.
    Embedded(EmbeddedSubscription),
}

/// The right to settle one delivery.
pub enum QueueSettler {
    /// Of RabbitMQ.
    Amqp(AmqpSettler),
    /// Of the embedded queue.
    Embedded(EmbeddedSettler),
}

/// The way into the queues.
#[derive(Clone)]
pub enum QueueOutlet {
    /// Of RabbitMQ.
    Amqp(AmqpOutlet),
    /// Of the embedded queue.
    Embedded(EmbeddedOutlet),
}

impl Queue {
    /// Opens the configuration's queue, and waits a little while another process has the embedded one open: a command has
    /// it for a moment only.
    ///
    /// # Errors
    /// As [`Queue::open`].
    pub async fn open_soon(config: &Config) -> Result<Self, Failure> {
        let until = Instant::now() + OPEN_WAIT_MAX;
        let mut beat = interval(OPEN_EVERY);
        loop {
            beat.tick().await;
            match Self::open(config).await {
                Err(failure) if failure.code == Code::TempFail && Instant::now() < until => {}
                done => return done,
            }
        }
    }

    /// Opens the configuration's queue. RabbitMQ is connected later, and may be down.
    ///
    /// # Errors
    /// The settings are broken; or the embedded queue can't be opened, with [`Code::TempFail`] if another process has it.
    pub async fn open(config: &Config) -> Result<Self, Failure> {
        if config.queue.is_some() {
            return Ok(Self::amqp(wiring::configured_broker(config)?, wiring::connectors(config)));
        }
        let (queue, path) = open_embedded(config).await?;
        Ok(Self::Embedded { queue, path })
    }

    /// RabbitMQ, reached by these settings. Must be called within a tokio runtime.
    pub fn amqp(settings: BrokerSettings, connectors: impl IntoIterator<Item = Connector>) -> Self {
        let broker = Broker::new(settings.clone(), connectors.into_iter().collect());
        Self::Amqp { broker, settings: Box::new(settings) }
    }

    /// Consumes a connector's queue.
    #[must_use]
    pub fn subscribe(&self, connector: Connector) -> QueueSubscription {
        match self {
            Self::Amqp { broker, .. } => QueueSubscription::Amqp(broker.subscribe(connector)),
            Self::Embedded { queue, .. } => QueueSubscription::Embedded(queue.subscribe(connector)),
        }
    }

    /// The way into the queues.
    #[must_use]
    pub fn outlet(&self) -> QueueOutlet {
        match self {
            Self::Amqp { broker, .. } => QueueOutlet::Amqp(broker.outlet()),
            Self::Embedded { queue, .. } => QueueOutlet::Embedded(queue.outlet()),
        }
    }

    /// Where it is: host, port and virtual host, or the file.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::Amqp { settings, .. } => settings.url.place(),
            Self::Embedded { path, .. } => path.display().to_string(),
        }
    }

    /// How it stands. It does not wait.
    #[must_use]
    pub fn view(&self) -> QueueView {
        let (consuming, publishing, dead, depths, counted_ago) = match self {
            Self::Amqp { broker, .. } => {
                let (state, depths) = (broker.state().borrow().clone(), broker.depths());
                (state.consuming, state.publishing, depths.dead, depths.connectors, broker.depths_age())
            }
            Self::Embedded { queue, .. } => {
                let (state, mut depths) = (queue.state(), queue.depths());
                // Those that wait for their retry are in the same queue here.
                for (connector, delayed) in depths.delayed {
                    *depths.connectors.entry(connector).or_default() += delayed;
                }
                (state.consuming, state.publishing, depths.dead, depths.connectors, Some(Duration::ZERO))
            }
        };
        let depths = depths.into_iter().map(|(connector, depth)| (connector, u64::from(depth))).collect();
        QueueView { consuming, publishing, dead: dead.map(u64::from), counted_ago, depths }
    }

    /// What made the embedded queue unusable until it is opened anew, if anything did. RabbitMQ is connected again by itself.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        match self {
            Self::Amqp { .. } => None,
            Self::Embedded { queue, .. } => queue.failure(),
        }
    }

    /// Says farewell. What the embedded queue has taken in is durable either way.
    ///
    /// # Errors
    /// The embedded queue had failed, or did not end in time.
    pub async fn close(self) -> Result<(), Failure> {
        match self {
            Self::Amqp { broker, .. } => {
                broker.close().await;
                Ok(())
            }
            Self::Embedded { queue, .. } => {
                let closed = tokio::task::spawn_blocking(move || queue.close()).await;
                closed.or_fail(Code::Software)?.or_fail(Code::Io)
            }
        }
    }
}

/// Opens the embedded queue in the configuration's folder, whether or not there is a `[queue]` table.
///
/// # Errors
/// It can't be opened, with [`Code::TempFail`] if another process has it.
pub async fn open_embedded(config: &Config) -> Result<(EmbeddedQueue, PathBuf), Failure> {
    let path = embedded_path(config);
    let settings = EmbeddedSettings::new(path.clone(), wiring::connectors(config).into_iter().collect());
    let opened = tokio::task::spawn_blocking(move || EmbeddedQueue::open(&settings, SystemClock)).await;
    match opened.or_fail(Code::Software)? {
        Ok(queue) => Ok((queue, path)),
        Err(error @ OpenError::InUse { .. }) => Err(Failure::new(Code::TempFail, error)),
        Err(error) => Err(Failure { code: Code::CantCreate, error: error.into() }),
    }
}

/// The embedded queue's file.
#[must_use]
pub fn embedded_path(config: &Config) -> PathBuf {
    config.data_dir.join("queue.redb")
}

/// What names the embedded queue's file on this machine, by whatever path it is reached; none: it is not there.
///
/// # Errors
/// This user may not look.
pub fn embedded_name(config: &Config) -> io::Result<Option<String>> {
    match std::fs::metadata(embedded_path(config)) {
        Ok(file) => Ok(Some(format!("{:x}-{:x}", file.dev(), file.ino()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl QueueView {
    /// How many messages wait for each connector.
    pub fn depths(&self) -> impl Iterator<Item = (&Connector, u64)> {
        self.depths.iter().map(|(connector, depth)| (connector, *depth))
    }

    /// How many messages wait for a connector, if they could be counted.
    #[must_use]
    pub fn depth(&self, connector: &Connector) -> Option<u64> {
        self.depths.iter().find(|(known, _)| known == connector).map(|(_, depth)| *depth)
    }
}

impl Subscription for QueueSubscription {
    type Settler = QueueSettler;

    async fn next(&mut self) -> Incoming<QueueSettler> {
        match self {
            Self::Amqp(amqp) => settler(amqp.next().await, QueueSettler::Amqp),
            Self::Embedded(embedded) => settler(embedded.next().await, QueueSettler::Embedded),
        }
    }

    async fn leave(&mut self) {
        match self {
            Self::Amqp(amqp) => amqp.leave().await,
            Self::Embedded(embedded) => embedded.leave().await,
        }
    }
}

fn settler<S>(incoming: Incoming<S>, wrap: fn(S) -> QueueSettler) -> Incoming<QueueSettler> {
    match incoming {
        Incoming::Delivery(message, settler) => Incoming::Delivery(message, wrap(settler)),
        Incoming::Lost => Incoming::Lost,
    }
}

impl Settler for QueueSettler {
    async fn ack(self) -> Result<(), SettleError> {
        match self {
            Self::Amqp(amqp) => amqp.ack().await,
            Self::Embedded(embedded) => embedded.ack().await,
        }
    }

    async fn hand_back(self) -> Result<(), SettleError> {
        match self {
            Self::Amqp(amqp) => amqp.hand_back().await,
            Self::Embedded(embedded) => embedded.hand_back().await,
        }
    }
}

impl Outlet for QueueOutlet {
    async fn publish(&self, to: Destination, message: Message) -> Result<(), PublishError> {
        match self {
            Self::Amqp(amqp) => amqp.publish(to, message).await,
            Self::Embedded(embedded) => embedded.publish(to, message).await,
        }
    }
}
