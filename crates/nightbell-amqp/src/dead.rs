//! Browsing the dead letters, for an operator's commands.
//!
//! AMQP has no way to look at a message without taking it: letters are taken one by one and held, those that
//! shall go are acknowledged, and all others go back when the channel ends, however it ends.

use lapin::options::{BasicAckOptions, BasicGetOptions, QueueDeclareOptions};
use lapin::protocol::AMQPSoftError;
use lapin::types::FieldTable;
use lapin::{Acker, Channel};
use nightbell_core::ports::{DeadLetter, DeadLetters, QueueError};
use tokio::time::timeout;

use crate::broker::BrokerSettings;
use crate::connect::Wired;
use crate::declare::ensure;
use crate::error::{AmqpError, is_refused, soft_error};
use crate::limits::{ACK_WAIT_MAX, LETTER_WAIT_MAX};
use crate::link::ready_count;
use crate::message::read_letter;
use crate::names::Names;
use crate::topology::Topology;

/// The number of letters that RabbitMQ 4.2.6 and 4.3.0 do not tell to who may only read them.
const UNCOUNTED: u32 = u32::MAX;

/// The dead letters that were there when it was opened, in the queue's order. Only one process browses at a
/// time.
pub struct DeadQueue {
    wired: Wired,
    channel: Channel,
    names: Names,
    left: u32,
}

/// The right to remove one dead letter from the queue. Dropping it leaves the letter there.
#[derive(Debug)]
pub struct AmqpRemoval(Acker);

impl DeadQueue {
    /// Connects, takes the browser's lock, and counts the letters.
    ///
    /// # Errors
    /// [`AmqpError`]; [`AmqpError::Busy`] when another process browses.
    pub async fn open(settings: &BrokerSettings) -> Result<Self, AmqpError> {
        let names = settings.names.clone();
        let wired = Wired::connect(&settings.url, "nightbell dead letters").await?;
        ensure(&wired.connection, &Topology::dead(&names), settings.declare).await?;
        lock(&wired, &names).await?;
        // After the lock, so that nothing is counted that another browser still held.
        let left = match ready_count(&wired, &names.dead()).await {
            Ok(left) => left,
            // The first letter tells it.
            Err(error) if is_refused(&error) => UNCOUNTED,
            Err(error) => return Err(error),
        };
        let channel = wired.channel().await?;
        Ok(Self { wired, channel, names, left })
    }

    async fn take(&mut self) -> Result<Option<DeadLetter<AmqpRemoval>>, AmqpError> {
        if self.left == 0 {
            return Ok(None);
        }
        let is_uncounted = self.left == UNCOUNTED;
        self.left -= 1;
        let got = self.channel.basic_get(self.names.dead().as_str().into(), BasicGetOptions::default());
        let got = async {
            tokio::select! { got = got => got, error = self.wired.broken() => Err(error) }
        };
        let Some(mut got) = self.wired.step_within(LETTER_WAIT_MAX, "read a dead letter", got).await? else {
            self.left = 0;
            return Ok(None);
        };
        if is_uncounted {
            self.left = got.message_count;
        }
        let removal = AmqpRemoval(got.delivery.acker.clone());
        let (message, death) = read_letter(&self.names, &mut got.delivery);
        Ok(Some(DeadLetter { message, death, removal }))
    }
}

impl DeadLetters for DeadQueue {
    type Removal = AmqpRemoval;

    async fn next(&mut self) -> Result<Option<DeadLetter<AmqpRemoval>>, QueueError> {
        self.take().await.map_err(QueueError::of)
    }

    async fn remove(&self, removal: AmqpRemoval) -> Result<(), QueueError> {
        match timeout(ACK_WAIT_MAX, removal.0.ack(BasicAckOptions::default())).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false) | Err(_)) => Err(QueueError::of(AmqpError::Gone)),
            Err(_) => {
                let (place, step) = (self.wired.place.clone(), "remove a dead letter");
                Err(QueueError::of(AmqpError::TimedOut { place, step, wait: ACK_WAIT_MAX }))
            }
        }
    }

    /// It also puts all letters that were not removed back, in their order, and gives the lock up.
    async fn close(self) -> Result<(), QueueError> {
        let closed = self.wired.step("put the dead letters back", self.channel.close(200, "OK".into())).await;
        self.wired.close().await;
        closed.map_err(QueueError::of)
    }
}

/// A queue that only one connection may have: the broker itself gives it up when that connection ends.
async fn lock(wired: &Wired, names: &Names) -> Result<(), AmqpError> {
    let channel = wired.channel().await?;
    let options = QueueDeclareOptions::exclusive().auto_delete();
    let answer = channel.queue_declare(names.dead_browser().as_str().into(), options, FieldTable::default());
    match wired.step("take the browser's lock", answer).await {
        Ok(_) => Ok(()),
        Err(AmqpError::Ended { source, .. })
            if soft_error(&source) == Some(&AMQPSoftError::RESOURCELOCKED) =>
        {
            Err(AmqpError::Busy)
        }
        Err(error) => Err(error),
    }
}
