//! What the worker needs of the world, as traits. Each is implemented by one crate: `nightbell-amqp` (or
//! `nightbell-embedded`) for the queue, `nightbell-ledger`, `nightbell-xmatters`, and the worker's own clock; chance is the binary's.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use crate::connector::Connector;
use crate::event::Event;
use crate::fingerprint::Fingerprint;
use crate::journey::Death;
use crate::message::Message;
use crate::outcome::Outcome;
use crate::policy::Chance;
use crate::priority::Priority;
use crate::record::{Change, Looked};
use crate::rung::Rung;
use crate::time::UnixMillis;
use crate::trace::TraceParent;

/// The queues, wherever they are. Clones are handles of the same.
pub trait MessageQueue: Clone + Send + Sync + 'static {
    /// One connector's queue.
    type Subscription: Subscription;
    /// The way in.
    type Outlet: Outlet;
    /// The dead letters, one after the other.
    type DeadLetters: DeadLetters;

    /// Consumes a connector's queue.
    fn subscribe(&self, connector: Connector) -> Self::Subscription;

    /// The way into the queues.
    fn outlet(&self) -> Self::Outlet;

    /// The dead letters that are there now.
    ///
    /// # Errors
    /// [`QueueError`]: they can't be reached, or somebody else goes through them and the queue lets only one.
    fn dead_letters(&self) -> impl Future<Output = Result<Self::DeadLetters, QueueError>> + Send;

    /// How it stands. It does not wait.
    fn view(&self) -> QueueView;
}

/// How the queues stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueView {
    /// Whether they can be used.
    pub state: QueueState,
    /// How much waits in them.
    pub depths: Depths,
    /// How long ago it was counted, where the queue is asked at times; none: never.
    pub counted_ago: Option<Duration>,
}

/// Whether the queues can be used; an `Err` says what is missing, in one line without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueState {
    /// Messages are delivered, to every subscription.
    pub consuming: Result<(), String>,
    /// Messages are taken in, or nobody has tried it yet.
    pub publishing: Result<(), String>,
}

/// How many messages wait; a queue that could not be counted yet is not there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Depths {
    /// Ready messages by connector, those in hand not counted. Connectors that are not configured are there if messages
    /// were left for them and the queue knows.
    pub connectors: BTreeMap<Connector, u32>,
    /// Messages that wait for the time of their retry, by connector, where the queue counts them.
    pub delayed: BTreeMap<Connector, u32>,
    /// Dead letters.
    pub dead: Option<u32>,
}

impl Depths {
    /// How many messages wait for a connector, to be delivered or for their retry, if they could be counted.
    #[must_use]
    pub fn waiting(&self, connector: &Connector) -> Option<u64> {
        let ready = u64::from(*self.connectors.get(connector)?);
        Some(ready + self.delayed.get(connector).copied().map_or(0, u64::from))
    }
}

/// The dead letters that were there when it was opened, in the queue's order. All stay in the queue unless they are removed.
pub trait DeadLetters: Send + Sync + 'static {
    /// The right to remove one letter. Dropping it leaves the letter there.
    type Removal: Send;

    /// The next letter; none after as many as there were at the beginning. Letters that come later are never returned.
    ///
    /// # Errors
    /// [`QueueError`]: the queue gave none; all that were not removed stay.
    fn next(&mut self) -> impl Future<Output = Result<Option<DeadLetter<Self::Removal>>, QueueError>> + Send;

    /// Removes a letter. It is gone for good once [`DeadLetters::close`] has returned.
    ///
    /// # Errors
    /// [`QueueError`]: it is still there, or may be.
    fn remove(&self, removal: Self::Removal) -> impl Future<Output = Result<(), QueueError>> + Send;

    /// Ends it, and waits until the queue has all removals.
    ///
    /// # Errors
    /// [`QueueError`]: the queue did not say that it has; a removal may be undone.
    fn close(self) -> impl Future<Output = Result<(), QueueError>> + Send;
}

/// One dead letter.
#[derive(Debug)]
pub struct DeadLetter<R> {
    /// The message, as the producer published it, with our headers.
    pub message: Message,
    /// How it died.
    pub death: Death,
    /// The right to remove it.
    pub removal: R,
}

impl<R> DeadLetter<R> {
    /// The same letter, with the right to remove it in another type.
    pub fn map<T>(self, wrap: impl FnOnce(R) -> T) -> DeadLetter<T> {
        DeadLetter { message: self.message, death: self.death, removal: wrap(self.removal) }
    }
}

/// Something could not be done with what waits in a queue. The text is the queue's own.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct QueueError(Box<dyn Error + Send + Sync>);

impl QueueError {
    /// A queue's own error.
    pub fn of(error: impl Error + Send + Sync + 'static) -> Self {
        Self(Box::new(error))
    }
}

/// One connector's queue, as its owner consumes it.
pub trait Subscription: Send + 'static {
    /// The right to settle one delivery, once.
    type Settler: Settler;

    /// The next thing that the queue has to say. It never ends: a lost subscription is rebuilt with backoff and without
    /// end. Cancel-safe.
    fn next(&mut self) -> impl Future<Output = Incoming<Self::Settler>> + Send;

    /// Gives the subscription up; whatever is not settled goes back to the queue. `next` must not be called after it.
    fn leave(&mut self) -> impl Future<Output = ()> + Send;
}

/// What a queue says.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are deliveries, and a box would cost each an allocation"
)]
pub enum Incoming<S> {
    /// A message, and the right to settle it.
    Delivery(Message, S),
    /// The subscription was lost: all deliveries not yet settled will come again. A new one is being built.
    Lost,
}

impl<S> Incoming<S> {
    /// The same, with the right to settle it in another type.
    pub fn map<T>(self, wrap: impl FnOnce(S) -> T) -> Incoming<T> {
        match self {
            Self::Delivery(message, settler) => Incoming::Delivery(message, wrap(settler)),
            Self::Lost => Incoming::Lost,
        }
    }
}

/// The right to settle one delivery. Both ways consume it, so that a delivery is settled once.
pub trait Settler: Send + 'static {
    /// Removes the message from the queue.
    fn ack(self) -> impl Future<Output = Result<(), SettleError>> + Send;

    /// Puts the message back into the queue.
    fn hand_back(self) -> impl Future<Output = Result<(), SettleError>> + Send;
}

/// A delivery could not be settled; the queue will deliver it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SettleError {
    /// The subscription that delivered it is gone.
    #[error("the subscription that delivered it is gone")]
    Gone,
    /// The broker did not take the answer in time.
    #[error("the broker did not take it in time")]
    TimedOut,
}

/// Where a message is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// To all connectors, by the events exchange.
    Events {
        /// The routing key.
        routing_key: String,
    },
    /// To a retry queue, from which it returns to this connector.
    Retry {
        /// The queue.
        rung: Rung,
        /// The connector.
        connector: Connector,
    },
    /// To this connector alone, at once.
    Requeue {
        /// The connector.
        connector: Connector,
    },
    /// To the dead letters.
    Dead,
}

/// The way into the queues.
pub trait Outlet: Clone + Send + Sync + 'static {
    /// Publishes a message; when it returns, the queue has it durably.
    ///
    /// # Errors
    /// [`PublishError`]: the queue has not said that it has the message. It may have it all the same.
    fn publish(
        &self,
        to: Destination,
        message: Message,
    ) -> impl Future<Output = Result<(), PublishError>> + Send;
}

/// The queue has not confirmed a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// No queue is bound where it was published.
    #[error("no queue is bound for it")]
    Unroutable,
    /// The queue refused it: it is full, or a queue behind the exchange is.
    #[error("the queue refused it")]
    Refused,
    /// The queue can't be reached, or did not answer in time.
    #[error("the queue can't be reached: {0}")]
    Unavailable(String),
}

/// The ledger of what has been delivered or is being delivered.
pub trait Ledger: Clone + Send + Sync + 'static {
    /// What is remembered of an event, and under these alert keys. Records past their time count as forgotten.
    ///
    /// # Errors
    /// [`LedgerError`]: nothing can be said; the event must not be settled.
    fn look(
        &self,
        connector: &Connector,
        event: Fingerprint,
        alerts: Vec<Fingerprint>,
        now: UnixMillis,
    ) -> impl Future<Output = Result<Looked, LedgerError>> + Send + 'static;

    /// Applies changes, all or none, in order; when it returns, they are on the disk. A change that is illegal for its
    /// record is left out and counted.
    ///
    /// # Errors
    /// [`LedgerError`]: they may or may not be on the disk; nothing that rests on them may be acknowledged.
    fn commit(
        &self,
        connector: &Connector,
        changes: Vec<Change>,
        now: UnixMillis,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send + 'static;
}

/// The ledger failed. It is sticky: once a write failed, all later calls fail, until it is opened anew.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the ledger failed: {0}")]
pub struct LedgerError(pub Arc<str>);

/// One alert, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// The stable id of this alert: the same for every attempt.
    pub alert_id: Fingerprint,
    /// The alert key: the same for every event of the same alert.
    pub alert_key: Fingerprint,
    /// The event's id as the producer knows it, or the body's fingerprint.
    pub event_id: String,
    /// The event. Where its producer does not say when it occurred, the owner says when it was accepted.
    pub event: Arc<Event>,
    /// The number of this attempt, from 1.
    pub attempt: u32,
    /// What the alert group that sends it wants otherwise than the connector's settings.
    pub overrides: Overrides,
    /// Where in a distributed trace the attempt is made, if the event came in one.
    pub trace: Option<TraceParent>,
}

/// What takes the place of a connector's own settings, for one alert.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Whom to alert; none: the connector's recipients. Empty: whom the flow behind the trigger knows.
    pub recipients: Option<Arc<[String]>>,
    /// How urgently; none: as the connector's priorities say.
    pub priority: Option<Priority>,
}

/// The way to one xMatters destination.
pub trait Sender: Clone + Send + Sync + 'static {
    /// Makes one attempt. It never fails: whatever happens is an [`Outcome`].
    fn send(&self, alert: Alert) -> impl Future<Output = Outcome> + Send + 'static;
}

/// Where chance comes from.
pub trait Dice: Clone + Send + Sync + 'static {
    /// Draws a number, for the jitter of one wait.
    fn roll(&self) -> Chance;
}

/// The time.
pub trait Clock: Clone + Send + Sync + 'static {
    /// Now.
    fn now(&self) -> UnixMillis;
}
