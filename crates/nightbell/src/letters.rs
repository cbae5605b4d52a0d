//! The dead letters of a queue that this process has open, and what can be done with them. The commands use it, and so do
//! the worker's routes under `/v1/dead-letters`.

pub mod access;
mod query;
pub mod routes;

use futures::future::join_all;
use nightbell_core::ports::{Clock as _, DeadLetter, DeadLetters, Destination, MessageQueue, Outlet};
use nightbell_core::time::UnixMillis;
use nightbell_worker::SystemClock;

use crate::cli::Selector;
use crate::exit::{Code, Failure, OrFail as _};
use crate::feed::PUBLISHES_MAX;
use crate::letter::{Chosen, Letter};

/// What became of one dead letter: its id, and why nothing could be done, if so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The letter's id.
    pub id: String,
    /// Why it stays a dead letter; none if it is gone.
    pub problem: Option<String>,
}

/// Going through the dead letters that were there when it began and that a selector means. All stay in the queue unless
/// they are removed.
pub struct Browse<L> {
    letters: L,
    chosen: Chosen,
    meant: usize,
    began: UnixMillis,
}

impl<L: DeadLetters> Browse<L> {
    /// Begins.
    ///
    /// # Errors
    /// The selector's pattern is broken, the queue can't be reached, or somebody else goes through RabbitMQ's dead letters.
    pub async fn open<Q>(queue: &Q, selector: &Selector) -> Result<Self, Failure>
    where
        Q: MessageQueue<DeadLetters = L>,
    {
        let began = SystemClock.now();
        let chosen = Chosen::new(selector, began).or_fail(Code::Usage)?;
        let letters = queue.dead_letters().await.or_fail(Code::Unavailable)?;
        Ok(Self { letters, chosen, meant: 0, began })
    }

    /// The next letter that is meant, in the order of the queue, and the right to remove it.
    ///
    /// # Errors
    /// The queue can't be reached any more.
    pub async fn next(&mut self) -> Result<Option<(Letter, L::Removal)>, Failure> {
        while self.meant < self.chosen.limit {
            let next = self.letters.next().await.or_fail(Code::Unavailable)?;
            let Some(DeadLetter { message, death, removal }) = next else { break };
            let letter = Letter::read(message, death);
            if self.chosen.means(&letter) {
                self.meant += 1;
                return Ok(Some((letter, removal)));
            }
        }
        Ok(None)
    }

    /// Ends it: whatever was not removed stays.
    ///
    /// # Errors
    /// The queue did not say that all removals have reached it.
    pub async fn close(self) -> Result<(), Failure> {
        self.letters.close().await.or_fail(Code::Unavailable)
    }
}

/// What is to be done with dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Publish each again, and remove it only when that is confirmed.
    Replay,
    /// Remove each for good.
    Discard,
}

/// Does it with the next few letters, several at a time; none: there are no more.
///
/// # Errors
/// The queue can't be reached any more.
pub async fn act<L: DeadLetters>(
    outlet: &impl Outlet,
    browse: &mut Browse<L>,
    verb: Verb,
) -> Result<Vec<Done>, Failure> {
    let mut some = Vec::new();
    while some.len() < PUBLISHES_MAX
        && let Some(found) = browse.next().await?
    {
        some.push(found);
    }
    let (letters, began) = (&browse.letters, browse.began);
    Ok(join_all(some.into_iter().map(|(letter, removal)| async move {
        let done = match verb {
            Verb::Replay => replay(outlet, letters, &letter, began, removal).await,
            Verb::Discard => letters.remove(removal).await.map_err(|error| error.to_string()),
        };
        Done { id: letter.id.to_string(), problem: done.err() }
    }))
    .await)
}

async fn replay<L: DeadLetters>(
    outlet: &impl Outlet,
    letters: &L,
    letter: &Letter,
    began: UnixMillis,
    removal: L::Removal,
) -> Result<(), String> {
    let to = match letter.death.replay_to() {
        Some(connector) => Destination::Requeue { connector: connector.clone() },
        None => Destination::Events { routing_key: letter.message.routing_key.clone() },
    };
    outlet.publish(to, letter.replayed(began)).await.map_err(|error| error.to_string())?;
    let removed = letters.remove(removal).await;
    removed.map_err(|error| format!("published, but not removed: {error}; replaying it again does no harm"))
}
