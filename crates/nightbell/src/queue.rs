//! The queue, wherever it is: in RabbitMQ, or in a file on this machine. One type for both, so that nothing else has to
//! know which.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::Duration;

use nightbell_amqp::Broker;
use nightbell_core::connector::Connector;
use nightbell_core::message::Message;
use nightbell_core::ports::{
    DeadLetter, DeadLetters, Destination, Incoming, MessageQueue, Outlet, PublishError, QueueError,
    QueueView, SettleError, Settler, Subscription,
};
use nightbell_embedded::{EmbeddedQueue, EmbeddedSettings, OpenError};
use nightbell_worker::SystemClock;
use tokio::time::{Instant, interval};

use crate::config::Config;
use crate::exit::{Code, Failure, OrFail as _};
use crate::wiring;

/// The longest wait for another process to let go of the embedded queue.
const OPEN_WAIT_MAX: Duration = Duration::from_secs(5);

/// How often it is tried meanwhile.
const OPEN_EVERY: Duration = Duration::from_millis(100);

/// A part of the queue, from either of its kinds.
#[derive(Debug, Clone)]
pub enum Backend<A, E> {
    /// Of RabbitMQ.
    Amqp(A),
    /// Of a file, which no other process has open.
    Embedded(E),
}

/// A queue that is open. Clones are handles of the same.
pub type Queue = Backend<Broker, EmbeddedQueue>;

/// The way into it.
pub type QueueOutlet = <Queue as MessageQueue>::Outlet;

/// Does the same with either.
macro_rules! either {
    ($backend:expr, $part:ident => $does:expr) => {
        match $backend {
            Backend::Amqp($part) => $does,
            Backend::Embedded($part) => $does,
        }
    };
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
            return wiring::broker(config).map(Self::Amqp);
        }
        open_embedded(config).await.map(Self::Embedded)
    }

    /// Where it is: host and port, or the file.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::Amqp(broker) => broker.place(),
            Self::Embedded(queue) => queue.path().display().to_string(),
        }
    }

    /// What made the embedded queue unusable until it is opened anew, if anything did. RabbitMQ is connected again by itself.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        match self {
            Self::Amqp(_) => None,
            Self::Embedded(queue) => queue.failure(),
        }
    }

    /// Says farewell. What the embedded queue has taken in is durable either way.
    ///
    /// # Errors
    /// The embedded queue had failed, or did not end in time.
    pub async fn close(self) -> Result<(), Failure> {
        match self {
            Self::Amqp(broker) => {
                broker.close().await;
                Ok(())
            }
            Self::Embedded(queue) => {
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
pub async fn open_embedded(config: &Config) -> Result<EmbeddedQueue, Failure> {
    let settings =
        EmbeddedSettings::new(embedded_path(config), wiring::connectors(config).into_iter().collect());
    let opened = tokio::task::spawn_blocking(move || EmbeddedQueue::open(&settings, SystemClock)).await;
    opened.or_fail(Code::Software)?.map_err(|error| {
        let is_in_use = matches!(error, OpenError::InUse { .. });
        Failure { code: if is_in_use { Code::TempFail } else { Code::CantCreate }, error: error.into() }
    })
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

impl<A: MessageQueue, E: MessageQueue> MessageQueue for Backend<A, E> {
    type Subscription = Backend<A::Subscription, E::Subscription>;
    type Outlet = Backend<A::Outlet, E::Outlet>;
    type DeadLetters = Backend<A::DeadLetters, E::DeadLetters>;

    fn subscribe(&self, connector: Connector) -> Self::Subscription {
        match self {
            Self::Amqp(queue) => Backend::Amqp(queue.subscribe(connector)),
            Self::Embedded(queue) => Backend::Embedded(queue.subscribe(connector)),
        }
    }

    fn outlet(&self) -> Self::Outlet {
        match self {
            Self::Amqp(queue) => Backend::Amqp(queue.outlet()),
            Self::Embedded(queue) => Backend::Embedded(queue.outlet()),
        }
    }

    async fn dead_letters(&self) -> Result<Self::DeadLetters, QueueError> {
        match self {
            Self::Amqp(queue) => queue.dead_letters().await.map(Backend::Amqp),
            Self::Embedded(queue) => queue.dead_letters().await.map(Backend::Embedded),
        }
    }

    fn view(&self) -> QueueView {
        either!(self, queue => queue.view())
    }
}

impl<A: Subscription, E: Subscription> Subscription for Backend<A, E> {
    type Settler = Backend<A::Settler, E::Settler>;

    async fn next(&mut self) -> Incoming<Self::Settler> {
        match self {
            Self::Amqp(subscription) => subscription.next().await.map(Backend::Amqp),
            Self::Embedded(subscription) => subscription.next().await.map(Backend::Embedded),
        }
    }

    async fn leave(&mut self) {
        either!(self, subscription => subscription.leave().await);
    }
}

impl<A: Settler, E: Settler> Settler for Backend<A, E> {
    async fn ack(self) -> Result<(), SettleError> {
        either!(self, settler => settler.ack().await)
    }

    async fn hand_back(self) -> Result<(), SettleError> {
        either!(self, settler => settler.hand_back().await)
    }
}

impl<A: Outlet, E: Outlet> Outlet for Backend<A, E> {
    async fn publish(&self, to: Destination, message: Message) -> Result<(), PublishError> {
        either!(self, outlet => outlet.publish(to, message).await)
    }
}

impl<A: DeadLetters, E: DeadLetters> DeadLetters for Backend<A, E> {
    type Removal = Backend<A::Removal, E::Removal>;

    async fn next(&mut self) -> Result<Option<DeadLetter<Self::Removal>>, QueueError> {
        Ok(match self {
            Self::Amqp(letters) => letters.next().await?.map(|letter| letter.map(Backend::Amqp)),
            Self::Embedded(letters) => letters.next().await?.map(|letter| letter.map(Backend::Embedded)),
        })
    }

    async fn remove(&self, removal: Self::Removal) -> Result<(), QueueError> {
        match (self, removal) {
            (Self::Amqp(letters), Backend::Amqp(removal)) => letters.remove(removal).await,
            (Self::Embedded(letters), Backend::Embedded(removal)) => letters.remove(removal).await,
            (Self::Amqp(_), Backend::Embedded(_)) | (Self::Embedded(_), Backend::Amqp(_)) => {
                Err(QueueError::of(AnotherQueues))
            }
        }
    }

    async fn close(self) -> Result<(), QueueError> {
        either!(self, letters => letters.close().await)
    }
}

/// A letter of one queue was to be removed from another.
#[derive(Debug, thiserror::Error)]
#[error("it is another queue's")]
struct AnotherQueues;
