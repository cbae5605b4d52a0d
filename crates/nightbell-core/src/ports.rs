//! What the worker needs of the world, as traits. Each is implemented by one crate: `nightbell-amqp` (or
//! `nightbell-embedded`) for the queue, `nightbell-ledger`, `nightbell-xmatters`, and the worker's own clock; chance is the binary's.

use std::sync::Arc;

use crate::connector::Connector;
use crate::event::Event;
use crate::fingerprint::Fingerprint;
use crate::message::Message;
use crate::outcome::Outcome;
use crate::policy::Chance;
use crate::priority::Priority;
use crate::record::{Change, Looked};
use crate::rung::Rung;
use crate::time::UnixMillis;
use crate::trace::TraceParent;

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
