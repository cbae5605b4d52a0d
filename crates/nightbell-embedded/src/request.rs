//! What the writer is asked for. What passes is bounded: publishes by their permits, acks by the prefetch, and all others wait
//! for their answer.

use nightbell_core::connector::Connector;
use nightbell_core::message::Message;
use nightbell_core::ports::PublishError;
use nightbell_core::time::UnixMillis;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::memory::To;
use crate::queue::{Consumer, Spot};

/// A request to the writer.
pub(crate) enum Request {
    /// It changes the file.
    Write(Write),
    /// It does not; it sees all that was written before.
    Ask(Ask),
}

impl nightbell_store::Request for Request {
    /// The bytes of a message that is published.
    fn weight(&self) -> usize {
        self.publish().map_or(0, |publish| publish.record.len())
    }

    /// Publishers wait, and one sync for many is what makes them cheap.
    fn joins(&self) -> bool {
        self.publish().is_some()
    }
}

impl Request {
    pub(crate) fn publish(&self) -> Option<&Publish> {
        match self {
            Self::Write(Write::Publish(publish)) => Some(publish),
            Self::Write(Write::Ack { .. } | Write::Lost { .. } | Write::Remove { .. }) | Self::Ask(_) => None,
        }
    }
}

pub(crate) enum Write {
    Publish(Publish),
    /// A consumer is done with a message.
    Ack {
        connector: Connector,
        consumer: u64,
        place: u64,
    },
    /// A consumer ended without a farewell.
    Lost {
        connector: Connector,
        consumer: u64,
    },
    /// A message was handed over to somebody else, or is not wanted.
    Remove {
        at: At,
    },
}

pub(crate) struct Publish {
    pub(crate) to: To,
    pub(crate) record: Vec<u8>,
    pub(crate) answer: oneshot::Sender<Result<(), PublishError>>,
    /// Its place in the bounded queue of publishes.
    pub(crate) permit: OwnedSemaphorePermit,
}

pub(crate) enum Ask {
    Subscribe {
        connector: Connector,
        consumer: Consumer,
    },
    HandBack {
        connector: Connector,
        consumer: u64,
        place: u64,
    },
    Leave {
        connector: Connector,
        consumer: u64,
        answer: oneshot::Sender<()>,
    },
    /// What waits now: the dead letters, or everything.
    List {
        only_dead: bool,
        answer: oneshot::Sender<Vec<At>>,
    },
    /// The messages at the beginning of this list, as many as are read at once.
    Read {
        list: Vec<At>,
        answer: oneshot::Sender<Vec<Found>>,
    },
    /// Whether all that was asked before is durable.
    Sync {
        answer: oneshot::Sender<()>,
    },
}

/// Where a message waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct At {
    /// None for the dead letters.
    pub(crate) connector: Option<Connector>,
    pub(crate) place: u64,
    pub(crate) spot: Spot,
}

/// What was found there; no message if it does not wait any more.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) at: At,
    pub(crate) message: Option<Message>,
    /// When a retry is due.
    pub(crate) due: Option<UnixMillis>,
    /// It can't be read: the message is what is left of it, marked as a dead letter.
    pub(crate) is_broken: bool,
}
