//! `nightbell queue drain`: moves everything that waits in the embedded queue to RabbitMQ.

use std::time::Duration;

use futures::future::join_all;
use nightbell_amqp::Broker;
use nightbell_core::connector::Connector;
use nightbell_core::dead::Reason;
use nightbell_core::journey::{Death, Journey};
use nightbell_core::limits::PUBLISHES_MAX;
use nightbell_core::message::Message;
use nightbell_core::ports::{Clock as _, Destination, MessageQueue as _, Outlet, PublishError};
use nightbell_core::rung::Rung;
use nightbell_core::time::UnixMillis;
use nightbell_embedded::{Drain, EmbeddedQueue, Waiting, Waits};
use nightbell_worker::SystemClock;
use serde_json::json;

use crate::cli;
use crate::config::Config;
use crate::exit::{Code, Failure, OrFail as _};
use crate::feed::publish_unless;
use crate::output::{count, print_json, print_line, progress};
use crate::queue::{Queue, open_embedded};
use crate::wiring;

/// What was moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Moved {
    ready: usize,
    retries: usize,
    dead: usize,
}

/// As what a message was moved.
#[derive(Debug, Clone, Copy)]
enum AsWhat {
    Ready,
    Retry,
    Dead,
}

/// The messages that RabbitMQ has refused.
#[derive(Debug, Default)]
struct Refused {
    number: usize,
    first: Option<anyhow::Error>,
}

/// Hands everything that waits over to RabbitMQ: each message is removed here only when it is confirmed there. What waits
/// for a connector that has no queue there becomes a dead letter.
///
/// # Errors
/// A worker has the embedded queue open, or RabbitMQ refused messages or did not confirm in time; what was not confirmed
/// stays.
pub async fn drain(config: &Config, flags: &cli::Drain) -> Result<(), Failure> {
    let queue = open_embedded(config).await.map_err(stop_it_first)?;
    let to = wiring::flagged_broker(&flags.to, &flags.queue_tls)?;
    let settings = wiring::broker_settings(to, &flags.prefix, 1, !flags.no_declare)?;
    let there = Broker::new(settings, wiring::connectors(config).into_iter().collect());
    let mut moved = Moved::default();
    let ended = move_all(&queue, &there.outlet(), flags.timeout, &mut moved).await;
    there.close().await;
    let closed = Queue::Embedded(queue).close().await;
    let Moved { ready, retries, dead } = moved;
    if flags.as_json.json {
        print_json(&json!({ "ready": ready, "retries": retries, "dead": dead, "complete": ended.is_ok() }))?;
    } else {
        print_line(&format!(
            "moved {} that waited, {} and {}",
            count(ready, "alert"),
            if retries == 1 { "1 retry".to_owned() } else { format!("{retries} retries") },
            count(dead, "dead letter"),
        ))?;
    }
    ended.and(closed)
}

fn stop_it_first(failure: Failure) -> Failure {
    let Failure { code, error } = failure;
    let is_open = code == Code::TempFail;
    Failure { code, error: if is_open { error.context("stop the worker first") } else { error } }
}

async fn move_all<O: Outlet>(
    queue: &EmbeddedQueue,
    outlet: &O,
    timeout: Duration,
    moved: &mut Moved,
) -> Result<(), Failure> {
    let mut drain = queue.drain().await.or_fail(Code::Io)?;
    let all = drain.left() as usize;
    let mut refused = Refused::default();
    let bar = progress("moving");
    let ended = loop {
        match move_some(&mut drain, outlet, timeout, moved, &mut refused).await {
            Ok(0) => break refused.ended(),
            Ok(some) => bar.inc(some as u64),
            Err(failure) => break Err(failure),
        }
    };
    bar.finish_and_clear();
    let left = all.saturating_sub(moved.ready + moved.retries + moved.dead);
    // Also after a failure: what is confirmed there must be gone here.
    let closed = drain.close().await.or_fail(Code::Io);
    ended.and(closed).map_err(|Failure { code, error }| Failure {
        code,
        error: error.context(format!("not all was moved, {left} stay; run it again to move the rest")),
    })
}

/// Moves the next few messages, several at a time. One that is refused stops none of the others.
async fn move_some<O: Outlet>(
    drain: &mut Drain,
    outlet: &O,
    timeout: Duration,
    moved: &mut Moved,
    refused: &mut Refused,
) -> Result<usize, Failure> {
    let mut some = Vec::new();
    while some.len() < PUBLISHES_MAX
        && let Some(waiting) = drain.next().await.or_fail(Code::Io)?
    {
        some.push(waiting);
    }
    let number = some.len();
    // The first may be refused because there is no room for a while; those after it need not wait for that, too.
    let is_final = |error: &PublishError| match error {
        PublishError::Unroutable => true,
        PublishError::Refused => refused.number > 0,
        PublishError::Unavailable(_) => false,
    };
    let published = join_all(some.into_iter().map(|Waiting { message, waits, removal }| async move {
        let publish = |to, message| publish_unless(is_final, outlet, to, message, timeout);
        (hand_over(publish, message, &waits, SystemClock.now()).await, waits, removal)
    }))
    .await;
    let mut ended = Ok(number);
    for (published, waits, removal) in published {
        match published {
            Ok(as_what) => {
                drain.remove(removal).await.or_fail(Code::Io)?;
                moved.count(as_what);
            }
            Err(error @ PublishError::Unavailable(_)) => {
                ended = Err(Failure { code: Code::Unavailable, error: error.into() });
            }
            Err(error @ (PublishError::Unroutable | PublishError::Refused)) => refused.add(error, &waits),
        }
    }
    ended
}

/// Publishes a message as what it was here; or as a dead letter, if its connector has no queue there.
async fn hand_over<F: Future<Output = Result<(), PublishError>>>(
    publish: impl Fn(Destination, Message) -> F,
    message: Message,
    waits: &Waits,
    now: UnixMillis,
) -> Result<AsWhat, PublishError> {
    let (connector, as_what) = match waits {
        Waits::Ready { connector } => (connector, AsWhat::Ready),
        Waits::Retry { connector, .. } => (connector, AsWhat::Retry),
        Waits::Dead(_) => {
            publish(Destination::Dead, marked(message, waits)).await?;
            return Ok(AsWhat::Dead);
        }
    };
    match publish(destination(waits, now), marked(message.clone(), waits)).await {
        Err(PublishError::Unroutable) => {
            publish(Destination::Dead, unrouted(message, connector, now)).await?;
            Ok(AsWhat::Dead)
        }
        published => published.map(|()| as_what),
    }
}

/// The dead letter of a message whose connector has no queue.
fn unrouted(mut message: Message, connector: &Connector, now: UnixMillis) -> Message {
    let mut journey = Journey::read(&message.headers);
    (journey.due, journey.left) = (None, None);
    journey.death = Some(Death {
        connector: Some(connector.clone()),
        reason: Reason::Unrouted,
        detail: format!("it came from the embedded queue, and connector {connector} has no queue any more"),
        at: Some(now),
    });
    journey.write(&mut message.headers);
    message
}

/// Where a message goes in RabbitMQ, so that it means there what it meant here.
fn destination(waits: &Waits, now: UnixMillis) -> Destination {
    match waits {
        Waits::Ready { connector } => Destination::Requeue { connector: connector.clone() },
        Waits::Retry { connector, due } if *due > now => {
            Destination::Retry { rung: Rung::within(now.until(*due)), connector: connector.clone() }
        }
        Waits::Retry { connector, .. } => Destination::Requeue { connector: connector.clone() },
        Waits::Dead(_) => Destination::Dead,
    }
}

/// A dead letter says in its headers how it died; one that the queue itself made may not yet. A retry goes into another
/// rung than the one that its headers were written for.
fn marked(mut message: Message, waits: &Waits) -> Message {
    let mut journey = Journey::read(&message.headers);
    let write = match waits {
        Waits::Dead(death) => journey.death.is_none().then(|| journey.death = Some(death.clone())),
        Waits::Retry { .. } => journey.left.take().map(drop),
        Waits::Ready { .. } => None,
    };
    if write.is_some() {
        journey.write(&mut message.headers);
    }
    message
}

impl Moved {
    fn count(&mut self, as_what: AsWhat) {
        match as_what {
            AsWhat::Ready => self.ready += 1,
            AsWhat::Retry => self.retries += 1,
            AsWhat::Dead => self.dead += 1,
        }
    }
}

impl Refused {
    fn add(&mut self, error: PublishError, waits: &Waits) {
        self.number += 1;
        self.first.get_or_insert_with(|| {
            anyhow::Error::new(error).context(match waits {
                Waits::Ready { connector } => format!("an alert for connector {connector}"),
                Waits::Retry { connector, .. } => format!("a retry for connector {connector}"),
                Waits::Dead(_) => "a dead letter".to_owned(),
            })
        });
    }

    fn ended(self) -> Result<(), Failure> {
        let Some(first) = self.first else { return Ok(()) };
        let error =
            first.context(format!("RabbitMQ refused {}, the first of them", count(self.number, "message")));
        Err(Failure { code: Code::Unavailable, error })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use nightbell_embedded::EmbeddedSettings;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_000_000);

    fn sre() -> Connector {
        "sre".parse().unwrap()
    }

    #[test]
    fn a_retry_that_is_moved_keeps_its_due_time_alone() {
        let mut message = Message::default();
        let due = NOW.after(Duration::from_secs(100));
        let journey = Journey { due: Some(due), left: Some(Duration::from_secs(36)), ..Journey::default() };
        journey.write(&mut message.headers);
        let moved = marked(message, &Waits::Retry { connector: sre(), due });
        assert_eq!(Journey::read(&moved.headers), Journey { left: None, ..journey });
    }

    /// A broker that has no queue for a connector `gone`, and no room for a message `large`.
    #[derive(Clone, Default)]
    struct Picky(Arc<Mutex<Vec<(Destination, Message)>>>);

    impl Outlet for Picky {
        async fn publish(&self, to: Destination, message: Message) -> Result<(), PublishError> {
            let gone = Destination::Requeue { connector: "gone".parse().unwrap() };
            match message.message_id.as_deref() {
                _ if to == gone => Err(PublishError::Unroutable),
                Some("large") => Err(PublishError::Refused),
                _ => {
                    self.0.lock().unwrap().push((to, message));
                    Ok(())
                }
            }
        }
    }

    async fn filled(folder: &std::path::Path) -> EmbeddedQueue {
        let connectors = vec!["gone".parse().unwrap(), sre()];
        let settings = EmbeddedSettings::new(folder.join("queue.redb"), connectors);
        let queue =
            tokio::task::spawn_blocking(move || EmbeddedQueue::open(&settings, SystemClock)).await.unwrap();
        let queue = queue.unwrap();
        for id in ["one", "large", "two"] {
            let to = Destination::Events { routing_key: String::new() };
            let message = Message { message_id: Some(id.into()), ..Message::default() };
            queue.outlet().publish(to, message).await.unwrap();
        }
        queue
    }

    #[tokio::test]
    async fn what_is_refused_stays_and_what_has_no_queue_dies_and_neither_stops_the_others() {
        let folder = tempfile::TempDir::new().unwrap();
        let queue = filled(folder.path()).await;
        let (outlet, mut moved) = (Picky::default(), Moved::default());
        let failure = move_all(&queue, &outlet, Duration::ZERO, &mut moved).await.unwrap_err();
        assert_eq!(moved, Moved { ready: 2, retries: 0, dead: 2 });
        assert_eq!(
            failure.to_string(),
            "not all was moved, 2 stay; run it again to move the rest: RabbitMQ refused 2 messages, the first of them: \
             an alert for connector gone: the queue refused it"
        );
        let taken = std::mem::take(&mut *outlet.0.lock().unwrap());
        let dead = taken.iter().filter(|(to, _)| *to == Destination::Dead);
        for (_, letter) in dead {
            let death = Journey::read(&letter.headers).death.unwrap();
            assert_eq!((death.connector, death.reason), ("gone".parse().ok(), Reason::Unrouted));
        }
        let mut drain = queue.drain().await.unwrap();
        while let Some(waiting) = drain.next().await.unwrap() {
            assert_eq!(waiting.message.message_id.as_deref(), Some("large"));
        }
    }

    #[test]
    fn each_message_keeps_its_meaning() {
        let requeue = Destination::Requeue { connector: sre() };
        let retry = |due| destination(&Waits::Retry { connector: sre(), due: UnixMillis(due) }, NOW);
        assert_eq!(destination(&Waits::Ready { connector: sre() }, NOW), requeue);
        assert_eq!(retry(NOW.0), requeue);
        let rung = Rung::within(Duration::from_secs(9));
        assert_eq!(retry(NOW.0 + 9_000), Destination::Retry { rung, connector: sre() });
    }
}
