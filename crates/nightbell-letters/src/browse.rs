//! Going through the dead letters, and what can be done with them.

use std::collections::VecDeque;

use futures::future::join_all;
use nightbell_core::limits::PUBLISHES_MAX;
use nightbell_core::ports::{DeadLetter, DeadLetters, Destination, MessageQueue, Outlet};
use nightbell_core::time::UnixMillis;
use serde::{Deserialize, Serialize};

use crate::LettersError;
use crate::letter::Letter;
use crate::selector::{Selection, Selector};

/// What is to be done with dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Publish each again, and remove it only when that is confirmed.
    Replay,
    /// Remove each for good.
    Discard,
}

/// What became of one dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// The letter's id.
    pub id: String,
    /// Why it stays a dead letter; none if it is gone.
    pub problem: Option<String>,
}

/// Going through the dead letters that were there when it began and that a selector means. All stay in the queue unless
/// they are removed.
pub(crate) struct Browse<L> {
    letters: L,
    selection: Selection,
    meant: usize,
    began: UnixMillis,
}

impl<L: DeadLetters> Browse<L> {
    pub(crate) async fn open<Q: MessageQueue<DeadLetters = L>>(
        queue: &Q,
        selector: &Selector,
        now: UnixMillis,
    ) -> Result<Self, LettersError> {
        let selection = Selection::new(selector, now)?;
        Ok(Self { letters: queue.dead_letters().await?, selection, meant: 0, began: now })
    }

    /// The next letter that is meant, in the order of the queue, and the right to remove it.
    pub(crate) async fn next(&mut self) -> Result<Option<(Letter, L::Removal)>, LettersError> {
        while self.meant < self.selection.limit {
            let Some(DeadLetter { message, death, removal }) = self.letters.next().await? else { break };
            let letter = Letter::read(message, death);
            if self.selection.means(&letter) {
                self.meant += 1;
                return Ok(Some((letter, removal)));
            }
        }
        Ok(None)
    }

    /// Ends it: whatever was not removed stays.
    pub(crate) async fn close(self) -> Result<(), LettersError> {
        Ok(self.letters.close().await?)
    }
}

/// Doing something with the letters that are meant, several at a time.
pub(crate) struct Acting<O, L> {
    outlet: O,
    browse: Browse<L>,
    verb: Verb,
    done: VecDeque<Done>,
}

impl<O: Outlet, L: DeadLetters> Acting<O, L> {
    pub(crate) async fn open<Q: MessageQueue<Outlet = O, DeadLetters = L>>(
        queue: &Q,
        selector: &Selector,
        now: UnixMillis,
        verb: Verb,
    ) -> Result<Self, LettersError> {
        let browse = Browse::open(queue, selector, now).await?;
        Ok(Self { outlet: queue.outlet(), browse, verb, done: VecDeque::new() })
    }

    /// What became of the next letter; none: there are no more.
    pub(crate) async fn next(&mut self) -> Result<Option<Done>, LettersError> {
        if self.done.is_empty() {
            self.done = self.act().await?.into();
        }
        Ok(self.done.pop_front())
    }

    /// Ends it. It is to be called after a failure, too: what was removed shall stay so.
    pub(crate) async fn close(self) -> Result<(), LettersError> {
        self.browse.close().await
    }

    async fn act(&mut self) -> Result<Vec<Done>, LettersError> {
        let mut some = Vec::new();
        while some.len() < PUBLISHES_MAX
            && let Some(found) = self.browse.next().await?
        {
            some.push(found);
        }
        let this = &*self;
        Ok(join_all(some.into_iter().map(|(letter, removal)| async move {
            let done = match this.verb {
                Verb::Replay => this.replay(&letter, removal).await,
                Verb::Discard => this.browse.letters.remove(removal).await.map_err(|error| error.to_string()),
            };
            Done { id: letter.id.to_string(), problem: done.err() }
        }))
        .await)
    }

    async fn replay(&self, letter: &Letter, removal: L::Removal) -> Result<(), String> {
        let to = match letter.death.replay_to() {
            Some(connector) => Destination::Requeue { connector: connector.clone() },
            None => Destination::Events { routing_key: letter.message.routing_key.clone() },
        };
        let published = self.outlet.publish(to, letter.replayed(self.browse.began)).await;
        published.map_err(|error| error.to_string())?;
        let removed = self.browse.letters.remove(removal).await;
        removed
            .map_err(|error| format!("published, but not removed: {error}; replaying it again does no harm"))
    }
}
