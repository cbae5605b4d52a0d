//! Going through what waits: dead letters for an operator's commands, and everything for a move to another queue.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::Arc;

use nightbell_core::connector::Connector;
use nightbell_core::journey::Death;
use nightbell_core::message::Message;
use nightbell_core::ports::{DeadLetter, DeadLetters, QueueError};
use nightbell_core::time::UnixMillis;

use crate::death;
use crate::error::EmbeddedError;
use crate::handle::Inner;
use crate::limits::READ_AHEAD;
use crate::request::{Ask, At, Found, Request, Write};

/// What waited when it was opened, in its order. Nothing is held: what is not removed stays, and several may be open at once,
/// beside a running worker.
#[derive(Debug)]
pub struct Browser<W> {
    inner: Arc<Inner>,
    list: VecDeque<At>,
    ahead: VecDeque<Found>,
    shown: PhantomData<fn() -> W>,
}

/// The dead letters, in the order in which they died.
pub type EmbeddedDeadLetters = Browser<DeadLetter<EmbeddedRemoval>>;

/// Everything: by connector, each in its order, then the dead letters.
pub type Drain = Browser<Waiting>;

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

/// What a browser shows.
pub(crate) trait Shown: Sized {
    /// Whether it goes through the dead letters alone.
    const ONLY_DEAD: bool;

    fn shown(message: Message, due: Due, removal: EmbeddedRemoval) -> Self;
}

impl Shown for DeadLetter<EmbeddedRemoval> {
    const ONLY_DEAD: bool = true;

    fn shown(message: Message, _: Due, removal: EmbeddedRemoval) -> Self {
        Self { death: death::of(&message), message, removal }
    }
}

impl Shown for Waiting {
    const ONLY_DEAD: bool = false;

    fn shown(message: Message, due: Due, removal: EmbeddedRemoval) -> Self {
        let waits = match (removal.0.connector.clone(), due) {
            (None, _) | (Some(_), Due::Broken) => Waits::Dead(death::of(&message)),
            (Some(connector), Due::Now) => Waits::Ready { connector },
            (Some(connector), Due::At(due)) => Waits::Retry { connector, due },
        };
        Self { message, waits, removal }
    }
}

/// When a message that waits is to be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    Now,
    At(UnixMillis),
    /// Never: it can't be read.
    Broken,
}

#[expect(private_bounds, reason = "a browser shows dead letters or everything, and nothing else")]
impl<W: Shown> Browser<W> {
    pub(crate) async fn open(inner: Arc<Inner>) -> Result<Self, EmbeddedError> {
        let list = inner.ask(|answer| Ask::List { only_dead: W::ONLY_DEAD, answer }).await?.into();
        Ok(Self { inner, list, ahead: VecDeque::new(), shown: PhantomData })
    }

    /// How many are still to come, at most.
    #[must_use]
    pub fn left(&self) -> u32 {
        u32::try_from(self.list.len() + self.ahead.len()).unwrap_or(u32::MAX)
    }

    /// The next one; none after as many as there were at the beginning. What comes later is never returned.
    ///
    /// # Errors
    /// [`EmbeddedError::Failed`].
    pub async fn next(&mut self) -> Result<Option<W>, EmbeddedError> {
        loop {
            while let Some(Found { at, message, due, is_broken }) = self.ahead.pop_front() {
                // Without a message, somebody else was faster.
                let Some(message) = message else { continue };
                let due = if is_broken { Due::Broken } else { due.map_or(Due::Now, Due::At) };
                return Ok(Some(W::shown(message, due, EmbeddedRemoval(at))));
            }
            if self.list.is_empty() {
                return Ok(None);
            }
            let list = self.list.iter().take(READ_AHEAD).cloned().collect();
            self.ahead = self.inner.ask(|answer| Ask::Read { list, answer }).await?.into();
            self.list.drain(..self.ahead.len());
        }
    }

    /// Removes one. It is gone for good once [`Browser::close`] has returned.
    ///
    /// # Errors
    /// [`EmbeddedError::Failed`].
    pub async fn remove(&self, EmbeddedRemoval(at): EmbeddedRemoval) -> Result<(), EmbeddedError> {
        self.inner.status.failure().map_err(EmbeddedError::Failed)?;
        if self.inner.send(Request::Write(Write::Remove { at })) {
            return Ok(());
        }
        Err(EmbeddedError::Failed(self.inner.status.why()))
    }

    /// Waits until all removals are durable. All that was not removed is where it was.
    ///
    /// # Errors
    /// [`EmbeddedError::Failed`].
    pub async fn close(self) -> Result<(), EmbeddedError> {
        self.inner.ask(|answer| Ask::Sync { answer }).await
    }
}

impl DeadLetters for EmbeddedDeadLetters {
    type Removal = EmbeddedRemoval;

    async fn next(&mut self) -> Result<Option<DeadLetter<EmbeddedRemoval>>, QueueError> {
        Self::next(self).await.map_err(QueueError::of)
    }

    async fn remove(&self, removal: EmbeddedRemoval) -> Result<(), QueueError> {
        Self::remove(self, removal).await.map_err(QueueError::of)
    }

    async fn close(self) -> Result<(), QueueError> {
        Self::close(self).await.map_err(QueueError::of)
    }
}
