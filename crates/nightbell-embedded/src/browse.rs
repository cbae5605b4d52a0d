//! Going through what waits: dead letters for an operator's commands, and everything for a move to another queue.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use nightbell_core::connector::Connector;
use nightbell_core::journey::Death;
use nightbell_core::message::Message;
use nightbell_core::ports::{DeadLetter, DeadLetters, MessageQueue, QueueError, QueueView};
use nightbell_core::time::UnixMillis;

use crate::death;
use crate::error::EmbeddedError;
use crate::handle::{EmbeddedQueue, Inner};
use crate::limits::READ_AHEAD;
use crate::outlet::EmbeddedOutlet;
use crate::request::{Ask, At, Found, Request, Write};
use crate::subscription::EmbeddedSubscription;

/// The dead letters that were there when it was opened, in their order. Nothing is held: those that are not removed
/// stay, and several may be open at once, beside a running worker.
#[derive(Debug)]
pub struct EmbeddedDeadLetters(Cursor);

/// Everything that waited when it was opened: by connector, each in its order, then the dead letters.
#[derive(Debug)]
pub struct Drain(Cursor);

/// One message that waits.
#[derive(Debug)]
pub struct Waiting {
    /// The message, as the producer published it, with our headers.
    pub message: Message,
    /// What it waits for.
    pub waits: Waits,
    /// The right to remove it.
    pub removal: EmbeddedRemoval,
}

/// What a message waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waits {
    /// To be delivered.
    Ready {
        /// To this connector's owner.
        connector: Connector,
    },
    /// To be tried again.
    Retry {
        /// By this connector's owner.
        connector: Connector,
        /// Not before this time, which may have passed.
        due: UnixMillis,
    },
    /// For an operator: it is a dead letter.
    Dead(Death),
}

/// The right to remove one message from the queue. Dropping it leaves the message there.
#[derive(Debug)]
pub struct EmbeddedRemoval(At);

impl EmbeddedDeadLetters {
    pub(crate) async fn open(inner: Arc<Inner>) -> Result<Self, EmbeddedError> {
        Cursor::open(inner, true).await.map(Self)
    }
}

impl DeadLetters for EmbeddedDeadLetters {
    type Removal = EmbeddedRemoval;

    async fn next(&mut self) -> Result<Option<DeadLetter<EmbeddedRemoval>>, QueueError> {
        let next = self.0.next().await.map_err(QueueError::of)?;
        Ok(next.map(|(at, message, _)| DeadLetter {
            death: death::of(&message),
            message,
            removal: EmbeddedRemoval(at),
        }))
    }

    async fn remove(&self, removal: EmbeddedRemoval) -> Result<(), QueueError> {
        self.0.remove(removal).map_err(QueueError::of)
    }

    async fn close(self) -> Result<(), QueueError> {
        self.0.close().await.map_err(QueueError::of)
    }
}

impl MessageQueue for EmbeddedQueue {
    type Subscription = EmbeddedSubscription;
    type Outlet = EmbeddedOutlet;
    type DeadLetters = EmbeddedDeadLetters;

    fn subscribe(&self, connector: Connector) -> EmbeddedSubscription {
        Self::subscribe(self, connector)
    }

    fn outlet(&self) -> EmbeddedOutlet {
        Self::outlet(self)
    }

    async fn dead_letters(&self) -> Result<EmbeddedDeadLetters, QueueError> {
        Self::dead_letters(self).await.map_err(QueueError::of)
    }

    /// All is counted at any time.
    fn view(&self) -> QueueView {
        QueueView { state: self.state(), depths: self.depths(), counted_ago: Some(Duration::ZERO) }
    }
}

impl Drain {
    pub(crate) async fn open(inner: Arc<Inner>) -> Result<Self, EmbeddedError> {
        Cursor::open(inner, false).await.map(Self)
    }

    /// How many messages are still to come, at most.
    #[must_use]
    pub fn left(&self) -> u32 {
        self.0.left()
    }

    /// The next message; none after as many as there were at the beginning. Messages that come later are never
    /// returned.
    ///
    /// # Errors
    /// [`EmbeddedError::Failed`].
    pub async fn next(&mut self) -> Result<Option<Waiting>, EmbeddedError> {
        let Some((at, message, due)) = self.0.next().await? else { return Ok(None) };
        let waits = match (at.connector.clone(), due) {
            (None, _) => Waits::Dead(death::of(&message)),
            (Some(_), Due::Broken) => Waits::Dead(death::of(&message)),
            (Some(connector), Due::Now) => Waits::Ready { connector },
            (Some(connector), Due::At(due)) => Waits::Retry { connector, due },
        };
        Ok(Some(Waiting { message, waits, removal: EmbeddedRemoval(at) }))
    }

    /// Removes a message that was handed over. It is gone for good once [`Drain::close`] has returned.
    ///
    /// # Errors
    /// [`EmbeddedError::Failed`].
    pub async fn remove(&self, removal: EmbeddedRemoval) -> Result<(), EmbeddedError> {
        self.0.remove(removal)
    }

    /// Waits until all removals are durable. All messages that were not removed are where they were.
    ///
    /// # Errors
    /// [`EmbeddedError::Failed`].
    pub async fn close(self) -> Result<(), EmbeddedError> {
        self.0.close().await
    }
}

/// When a message that waits is to be delivered.
enum Due {
    Now,
    At(UnixMillis),
    /// Never: it can't be read.
    Broken,
}

/// A list of what waited, read piece by piece.
#[derive(Debug)]
struct Cursor {
    inner: Arc<Inner>,
    list: VecDeque<At>,
    ahead: VecDeque<Found>,
}

impl Cursor {
    async fn open(inner: Arc<Inner>, only_dead: bool) -> Result<Self, EmbeddedError> {
        let list = inner.ask(|answer| Ask::List { only_dead, answer }).await?.into();
        Ok(Self { inner, list, ahead: VecDeque::new() })
    }

    fn left(&self) -> u32 {
        u32::try_from(self.list.len() + self.ahead.len()).unwrap_or(u32::MAX)
    }

    async fn next(&mut self) -> Result<Option<(At, Message, Due)>, EmbeddedError> {
        loop {
            while let Some(Found { at, message, due, is_broken }) = self.ahead.pop_front() {
                // Without a message, somebody else was faster.
                let Some(message) = message else { continue };
                let due = if is_broken { Due::Broken } else { due.map_or(Due::Now, Due::At) };
                return Ok(Some((at, message, due)));
            }
            if self.list.is_empty() {
                return Ok(None);
            }
            let list = self.list.iter().take(READ_AHEAD).cloned().collect();
            self.ahead = self.inner.ask(|answer| Ask::Read { list, answer }).await?.into();
            self.list.drain(..self.ahead.len());
        }
    }

    fn remove(&self, EmbeddedRemoval(at): EmbeddedRemoval) -> Result<(), EmbeddedError> {
        self.inner.shared.failure().map_err(EmbeddedError::Failed)?;
        if self.inner.send(Request::Write(Write::Remove { at })) {
            return Ok(());
        }
        Err(EmbeddedError::Failed(self.inner.shared.why()))
    }

    async fn close(self) -> Result<(), EmbeddedError> {
        self.inner.ask(|answer| Ask::Sync { answer }).await
    }
}
