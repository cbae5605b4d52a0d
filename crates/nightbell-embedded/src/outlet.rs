//! Publishing: durable when it returns.

use std::sync::Arc;

use nightbell_core::connector::Connector;
use nightbell_core::message::Message;
use nightbell_core::ports::{Destination, Outlet, PublishError};
use nightbell_core::time::UnixMillis;

use crate::codec::encode;
use crate::death;
use crate::error::EmbeddedError;
use crate::handle::Inner;
use crate::limits::MESSAGE_BYTES_MAX;
use crate::memory::To;
use crate::request::{Publish, Write};

/// The way into the queues.
///
/// Events go to all connectors that are configured, or to the dead letters if there is none. A retry or a requeue for a
/// connector that is not configured becomes a dead letter, as it would on RabbitMQ without its queue.
///
/// A publish waits as long as the disk takes, because a write that has begun can't be called off;
/// [`crate::EmbeddedQueue::state`] says when it takes too long.
#[derive(Debug, Clone)]
pub struct EmbeddedOutlet {
    inner: Arc<Inner>,
}

impl EmbeddedOutlet {
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        Self { inner }
    }
}

impl Outlet for EmbeddedOutlet {
    async fn publish(&self, to: Destination, mut message: Message) -> Result<(), PublishError> {
        let Inner { status, publishing, connectors, clock, .. } = &*self.inner;
        status.failure().map_err(PublishError::Unavailable)?;
        let to = address(connectors, to, &mut message, clock());
        let record = encode(&message).filter(|record| record.len() <= bytes_max(&to));
        let Some(record) = record else { return Err(PublishError::Refused) };
        let permit = Arc::clone(publishing).acquire_owned().await;
        let permit = permit.map_err(|_| PublishError::Unavailable(status.why()))?;
        let publish = |answer| Write::Publish(Publish { to, record, answer, permit });
        match self.inner.write(publish).await {
            Ok(published) => published,
            Err(EmbeddedError::Failed(why)) => Err(PublishError::Unavailable(why)),
        }
    }
}

/// The longest record for a destination. What is inside already may have grown by its history.
fn bytes_max(to: &To) -> usize {
    match to {
        To::Events(_) | To::NoQueue => MESSAGE_BYTES_MAX,
        To::One { .. } | To::Dead => MESSAGE_BYTES_MAX * 2,
    }
}

/// Where a message goes; it is marked if that is to the dead letters for want of a queue.
fn address(connectors: &Arc<[Connector]>, to: Destination, message: &mut Message, now: UnixMillis) -> To {
    let (connector, wait) = match to {
        Destination::Events { routing_key } => {
            message.routing_key = routing_key;
            if !connectors.is_empty() {
                return To::Events(Arc::clone(connectors));
            }
            death::unrouted(message, None, now);
            return To::NoQueue;
        }
        Destination::Retry { rung, connector } => (connector, Some(rung.wait())),
        Destination::Requeue { connector } => (connector, None),
        Destination::Dead => return To::Dead,
    };
    if connectors.contains(&connector) {
        return To::One { connector, wait };
    }
    death::unrouted(message, Some(connector), now);
    To::Dead
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nightbell_core::dead::Reason;
    use nightbell_core::rung::Rung;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    fn connectors(names: &[&str]) -> Arc<[Connector]> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[track_caller]
    fn check(configured: &[&str], to: Destination, want: To, death: Option<Reason>) {
        let mut message = Message { routing_key: "a.b".into(), ..Message::default() };
        let key = match &to {
            Destination::Events { routing_key } => routing_key.clone(),
            Destination::Retry { .. } | Destination::Requeue { .. } | Destination::Dead => "a.b".to_owned(),
        };
        assert_eq!(address(&connectors(configured), to, &mut message, NOW), want);
        let marked = nightbell_core::journey::Journey::read(&message.headers).death.map(|death| death.reason);
        assert_eq!((marked, message.routing_key), (death, key));
    }

    #[test]
    fn each_destination_has_its_queues() {
        let sre = || "sre".parse::<Connector>().unwrap();
        let rung = Rung::within(Duration::from_secs(9));
        let wait = Some(Duration::from_secs(8));
        let events = || Destination::Events { routing_key: "x".into() };
        check(&["dev", "sre"], events(), To::Events(connectors(&["dev", "sre"])), None);
        check(
            &["sre"],
            Destination::Retry { rung, connector: sre() },
            To::One { connector: sre(), wait },
            None,
        );
        check(
            &["sre"],
            Destination::Requeue { connector: sre() },
            To::One { connector: sre(), wait: None },
            None,
        );
        check(&["sre"], Destination::Dead, To::Dead, None);
    }

    #[test]
    fn what_has_no_queue_is_a_dead_letter() {
        let sre = || "sre".parse::<Connector>().unwrap();
        let rung = Rung::within(Duration::ZERO);
        let unrouted = Some(Reason::Unrouted);
        check(&[], Destination::Events { routing_key: "x".into() }, To::NoQueue, unrouted);
        check(&["dev"], Destination::Retry { rung, connector: sre() }, To::Dead, unrouted);
        check(&["dev"], Destination::Requeue { connector: sre() }, To::Dead, unrouted);
    }
}
