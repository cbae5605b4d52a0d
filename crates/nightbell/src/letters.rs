//! The dead letters of a queue that this process has open, and what can be done with them. The commands use it, and so do
//! the worker's routes under `/v1/dead-letters`.

pub mod access;
mod query;
pub mod routes;

use futures::future::join_all;
use nightbell_amqp::DeadQueue;
use nightbell_core::ports::{Clock as _, Destination, Outlet as _};
use nightbell_core::time::UnixMillis;
use nightbell_worker::SystemClock;

use crate::cli::Selector;
use crate::exit::{Code, Failure, OrFail as _};
use crate::feed::PUBLISHES_MAX;
use crate::letter::{Chosen, Letter};
use crate::queue::{Queue, QueueOutlet};

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
pub struct Browse {
    letters: Letters,
    chosen: Chosen,
    meant: usize,
    began: UnixMillis,
}

/// The right to remove one dead letter.
pub enum Held {
    /// Of RabbitMQ.
    Amqp(nightbell_amqp::Held),
    /// Of the embedded queue.
    Embedded(nightbell_embedded::Held),
}

enum Letters {
    Amqp(Box<DeadQueue>),
    Embedded(nightbell_embedded::DeadLetters),
}

impl Browse {
    /// Begins.
    ///
    /// # Errors
    /// The selector's pattern is broken, the queue can't be reached, or somebody else goes through RabbitMQ's dead letters.
    pub async fn open(queue: &Queue, selector: &Selector) -> Result<Self, Failure> {
        let began = SystemClock.now();
        let chosen = Chosen::new(selector, began).or_fail(Code::Usage)?;
        let letters = match queue {
            Queue::Amqp { settings, .. } => {
                Letters::Amqp(Box::new(DeadQueue::open(settings).await.or_fail(Code::Unavailable)?))
            }
            Queue::Embedded { queue, .. } => {
                Letters::Embedded(queue.dead_letters().await.or_fail(Code::Unavailable)?)
            }
        };
        Ok(Self { letters, chosen, meant: 0, began })
    }

    /// The next letter that is meant, in the order of the queue.
    ///
    /// # Errors
    /// The queue can't be reached any more.
    pub async fn next(&mut self) -> Result<Option<(Letter, Held)>, Failure> {
        while self.meant < self.chosen.limit {
            let Some((letter, held)) = self.letters.next().await? else { break };
            if self.chosen.means(&letter) {
                self.meant += 1;
                return Ok(Some((letter, held)));
            }
        }
        Ok(None)
    }

    /// Removes a letter for good.
    async fn remove(&self, held: Held) -> Result<(), String> {
        match (&self.letters, held) {
            (Letters::Amqp(queue), Held::Amqp(held)) => {
                queue.remove(held).await.map_err(|error| error.to_string())
            }
            (Letters::Embedded(letters), Held::Embedded(held)) => {
                letters.remove(held).await.map_err(|error| error.to_string())
            }
            (Letters::Amqp(_), Held::Embedded(_)) | (Letters::Embedded(_), Held::Amqp(_)) => {
                Err("it is another queue's".to_owned())
            }
        }
    }

    /// Ends it: whatever was not removed stays.
    ///
    /// # Errors
    /// The queue did not say that all removals have reached it.
    pub async fn close(self) -> Result<(), Failure> {
        match self.letters {
            Letters::Amqp(queue) => queue.close().await.or_fail(Code::Unavailable),
            Letters::Embedded(letters) => letters.close().await.or_fail(Code::Unavailable),
        }
    }
}

impl Letters {
    async fn next(&mut self) -> Result<Option<(Letter, Held)>, Failure> {
        match self {
            Self::Amqp(queue) => {
                let next = queue.next().await.or_fail(Code::Unavailable)?;
                Ok(next.map(|found| (Letter::read(found.message, found.death), Held::Amqp(found.held))))
            }
            Self::Embedded(letters) => {
                let next = letters.next().await.or_fail(Code::Unavailable)?;
                Ok(next.map(|found| (Letter::read(found.message, found.death), Held::Embedded(found.held))))
            }
        }
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
pub async fn act(queue: &Queue, browse: &mut Browse, verb: Verb) -> Result<Vec<Done>, Failure> {
    let mut some = Vec::new();
    while some.len() < PUBLISHES_MAX
        && let Some(found) = browse.next().await?
    {
        some.push(found);
    }
    let (outlet, browse) = (queue.outlet(), &*browse);
    let acts = some.into_iter().map(|(letter, held)| act_on(&outlet, browse, verb, letter, held));
    Ok(join_all(acts).await)
}

async fn act_on(outlet: &QueueOutlet, browse: &Browse, verb: Verb, letter: Letter, held: Held) -> Done {
    let done = match verb {
        Verb::Replay => replay(outlet, browse, &letter, held).await,
        Verb::Discard => browse.remove(held).await,
    };
    Done { id: letter.id.to_string(), problem: done.err() }
}

async fn replay(outlet: &QueueOutlet, browse: &Browse, letter: &Letter, held: Held) -> Result<(), String> {
    let to = match letter.death.replay_to() {
        Some(connector) => Destination::Requeue { connector: connector.clone() },
        None => Destination::Events { routing_key: letter.message.routing_key.clone() },
    };
    let published = outlet.publish(to, letter.replayed(browse.began)).await;
    published.map_err(|error| error.to_string())?;
    let removed = browse.remove(held).await;
    removed.map_err(|error| format!("published, but not removed: {error}; replaying it again does no harm"))
}
