//! Publishing: persistent, mandatory, confirmed, with one publish in flight on each channel.

use std::sync::{Arc, Mutex, PoisonError};

use lapin::options::BasicPublishOptions;
use lapin::protocol::AMQPSoftError;
use lapin::types::ShortString;
use lapin::{Channel, Confirmation};
use nightbell_core::connector::Connector;
use nightbell_core::journey::REPLAY;
use nightbell_core::message::Message;
use nightbell_core::ports::{Destination, Outlet, PublishError};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::error::{AmqpError, in_full, soft_error};
use crate::limits::{CONFIRM_WAIT_MAX, PUBLISH_CHANNELS, PUBLISH_WAIT_MAX, PUBLISHER_WAIT_MAX};
use crate::link::{Link, Live};
use crate::message::{Key, properties, short};
use crate::names::Names;

/// The way into the queues. Clones share the connection and its channels.
#[derive(Clone)]
pub struct AmqpOutlet {
    channels: Arc<Channels>,
}

struct Channels {
    link: Arc<Link>,
    names: Names,
    connectors: Arc<[Connector]>,
    /// One permit for each channel that may be in use.
    free: Semaphore,
    /// Channels that are not in use. A channel is taken out for a publish, and comes back only when the
    /// broker has given its verdict: one whose publish failed or was dropped midway is never used again,
    /// because a late confirm or a late return would be taken for that of the next publish.
    idle: Mutex<Vec<ConfirmChannel>>,
}

/// A channel in confirm mode, and the connection that it belongs to.
struct ConfirmChannel {
    live: Arc<Live>,
    channel: Channel,
}

/// Where a publish goes, in the broker's words.
#[derive(Debug, PartialEq, Eq)]
struct Address {
    exchange: String,
    key: ShortString,
    own_key: Key,
}

impl AmqpOutlet {
    pub(crate) fn new(link: Arc<Link>, names: Names, connectors: Arc<[Connector]>) -> Self {
        let (free, idle) = (Semaphore::new(PUBLISH_CHANNELS), Mutex::default());
        Self { channels: Arc::new(Channels { link, names, connectors, free, idle }) }
    }

    /// A replay to all goes to each connector's queue by an exchange that publishers can't write to: by theirs, its mark
    /// would not be believed.
    async fn replay_to_all(&self, message: &Message) -> Result<(), PublishError> {
        let mut taken = Err(PublishError::Unroutable);
        for connector in &*self.channels.connectors {
            let to = Destination::Requeue { connector: connector.clone() };
            match self.publish_one(&to, message).await {
                Ok(()) => taken = Ok(()),
                Err(PublishError::Unroutable) => {}
                // Those that have it deliver it once, however often it is replayed.
                Err(error @ (PublishError::Refused | PublishError::Unavailable(_))) => return Err(error),
            }
        }
        taken
    }

    async fn publish_one(&self, to: &Destination, message: &Message) -> Result<(), PublishError> {
        let channels = &self.channels;
        let wait = PUBLISHER_WAIT_MAX + PUBLISH_WAIT_MAX + CONFIRM_WAIT_MAX;
        let Ok(Ok(_permit)) = timeout(wait, channels.free.acquire()).await else {
            return Err(PublishError::Unavailable(
                "all publishing channels are waiting for the broker".into(),
            ));
        };
        let live = channels.link.live_soon().await.map_err(PublishError::Unavailable)?;
        if live.wired.connection.status().blocked() {
            return Err(PublishError::Unavailable(
                "the broker takes no messages for now: memory or disk is low".into(),
            ));
        }
        let channel = channels.channel(&live).await.map_err(|error| given_up(&live, &error))?;
        let verdict = channel.publish(&address(&channels.names, to, message), message).await?;
        channels.idle.lock().unwrap_or_else(PoisonError::into_inner).push(channel);
        match verdict {
            Confirmation::Ack(None) => Ok(()),
            Confirmation::Ack(Some(_)) => {
                channels.missed(&live, to);
                Err(PublishError::Unroutable)
            }
            Confirmation::Nack(_) => Err(PublishError::Refused),
            // The channel is in confirm mode, or it would not be a channel.
            Confirmation::NotRequested => {
                Err(PublishError::Unavailable("the broker was not asked to confirm".into()))
            }
        }
    }
}

impl Outlet for AmqpOutlet {
    async fn publish(&self, to: Destination, message: Message) -> Result<(), PublishError> {
        let is_to_all = matches!(to, Destination::Events { .. });
        if is_to_all && message.headers.contains_key(REPLAY) {
            return self.replay_to_all(&message).await;
        }
        self.publish_one(&to, &message).await
    }
}

impl Channels {
    /// No queue took a message. Those for retries and dead letters are there for all connectors and declared with each
    /// connection, so that a new one puts back what was deleted.
    fn missed(&self, live: &Live, to: &Destination) {
        let queue = match to {
            Destination::Retry { rung, .. } => self.names.retry_queue(*rung),
            Destination::Dead => self.names.dead(),
            Destination::Events { .. } | Destination::Requeue { .. } => return,
        };
        if self.link.declares() {
            live.give_up(format!("the broker has lost queue `{queue}`"));
        }
    }

    /// A channel of this connection: an idle one, else a new one. Those of connections past are dropped.
    async fn channel(&self, live: &Arc<Live>) -> Result<ConfirmChannel, AmqpError> {
        {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            while let Some(channel) = idle.pop() {
                if Arc::ptr_eq(&channel.live, live) && channel.channel.status().connected() {
                    return Ok(channel);
                }
            }
        }
        let channel = live.wired.confirming_channel().await?;
        Ok(ConfirmChannel { live: Arc::clone(live), channel })
    }
}

impl ConfirmChannel {
    /// Publishes, and gives the broker's verdict. After an error the channel must not be used again.
    async fn publish(&self, to: &Address, message: &Message) -> Result<Confirmation, PublishError> {
        let wired = &self.live.wired;
        let frame_max = wired.connection.configuration().frame_max();
        let Some(properties) = properties(message, to.own_key, frame_max) else {
            return Err(PublishError::Refused);
        };
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let (exchange, key) = (short(&to.exchange), to.key.clone());
        let sent = self.channel.basic_publish(exchange, key, options, &message.body, properties);
        let sent = wired.step_within(PUBLISH_WAIT_MAX, "publish", sent).await;
        let confirm = sent.map_err(|error| given_up(&self.live, &error))?;
        match wired.step_within(CONFIRM_WAIT_MAX, "wait for a confirm", confirm).await {
            Ok(verdict) => Ok(verdict),
            // The connection may be sound and one queue slow; opening the next channel will tell.
            Err(error @ AmqpError::TimedOut { .. }) => Err(PublishError::Unavailable(in_full(&error))),
            Err(AmqpError::Ended { source, .. }) if is_too_large(&source) => Err(PublishError::Refused),
            Err(error) => Err(given_up(&self.live, &error)),
        }
    }
}

/// A failure as the caller sees it. One that only a new connection can end gives the connection up: silence,
/// or an exchange that is not there, since the topology is set up with each connection.
fn given_up(live: &Live, error: &AmqpError) -> PublishError {
    let reason = in_full(error);
    let lost_exchange = matches!(error, AmqpError::Ended { source, .. }
        if soft_error(source) == Some(&AMQPSoftError::NOTFOUND));
    if error.is_time_out() || lost_exchange {
        live.give_up(reason.clone());
    }
    PublishError::Unavailable(reason)
}

/// The broker closes the channel over a message that is longer than it takes.
fn is_too_large(error: &lapin::Error) -> bool {
    soft_error(error) == Some(&AMQPSoftError::PRECONDITIONFAILED)
}

fn address(names: &Names, to: &Destination, message: &Message) -> Address {
    let replaced = |exchange, key: String| Address { exchange, key: short(&key), own_key: Key::Replaced };
    let kept = |exchange, key: &str| Address { exchange, key: short(key), own_key: Key::Kept };
    match to {
        Destination::Events { routing_key } => kept(names.events(), routing_key),
        Destination::Retry { rung, connector } => replaced(names.retry(), names.retry_key(*rung, connector)),
        Destination::Requeue { connector } => replaced(names.retry(), names.now_key(connector)),
        Destination::Dead => kept(names.dead(), &message.routing_key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nightbell_core::rung::Rung;
    use std::time::Duration;

    #[track_caller]
    fn check(to: &Destination, exchange: &str, key: &str, own_key: Key) {
        let message = Message { routing_key: "a.b".into(), ..Message::default() };
        let want = Address { exchange: exchange.into(), key: key.into(), own_key };
        assert_eq!(address(&Names::default(), to, &message), want);
    }

    #[test]
    fn each_destination_has_its_exchange_and_key() {
        let connector = || "sre".parse().unwrap();
        let rung = Rung::within(Duration::from_secs(9));
        check(&Destination::Events { routing_key: "x".into() }, "nightbell.events", "x", Key::Kept);
        check(
            &Destination::Retry { rung, connector: connector() },
            "nightbell.retry",
            "8.sre",
            Key::Replaced,
        );
        check(&Destination::Requeue { connector: connector() }, "nightbell.retry", "now.sre", Key::Replaced);
        check(&Destination::Dead, "nightbell.dead", "a.b", Key::Kept);
    }

    #[test]
    fn a_routing_key_of_any_length_is_published() {
        let to = Destination::Events { routing_key: "ä".repeat(1_000) };
        assert!(address(&Names::default(), &to, &Message::default()).key.as_str().len() <= 255);
    }
}
