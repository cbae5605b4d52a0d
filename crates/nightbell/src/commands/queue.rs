//! `nightbell queue drain`: moves everything that waits in the embedded queue to RabbitMQ.

use std::time::Duration;

use futures::future::join_all;
use nightbell_core::journey::Journey;
use nightbell_core::message::Message;
use nightbell_core::ports::{Clock as _, Destination};
use nightbell_core::rung::Rung;
use nightbell_core::time::UnixMillis;
use nightbell_embedded::{Drain, EmbeddedQueue, Waiting, Waits};
use nightbell_worker::SystemClock;
use serde_json::json;

use crate::cli;
use crate::config::Config;
use crate::exit::{Code, Failure, OrFail as _};
use crate::feed::{PUBLISHES_MAX, publish};
use crate::output::{count, print_json, print_line, progress};
use crate::queue::{Queue, QueueOutlet, open_embedded};
use crate::wiring;

/// What was moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Moved {
    ready: usize,
    retries: usize,
    dead: usize,
}

/// Hands everything that waits over to RabbitMQ: each message is removed here only when it is confirmed there.
///
/// # Errors
/// A worker has the embedded queue open, or RabbitMQ did not confirm in time; what was not confirmed stays.
pub async fn drain(config: &Config, flags: &cli::Drain) -> Result<(), Failure> {
    let (queue, path) = open_embedded(config).await.map_err(stop_it_first)?;
    let settings = wiring::broker_settings(&flags.to, &flags.prefix, 1, !flags.no_declare)?;
    let there = Queue::amqp(settings, wiring::connectors(config));
    let mut moved = Moved::default();
    let ended = move_all(&queue, &there.outlet(), flags.timeout, &mut moved).await;
    there.close().await?;
    let closed = Queue::Embedded { queue, path }.close().await;
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

async fn move_all(
    queue: &EmbeddedQueue,
    outlet: &QueueOutlet,
    timeout: Duration,
    moved: &mut Moved,
) -> Result<(), Failure> {
    let mut drain = queue.drain().await.or_fail(Code::Io)?;
    let bar = progress("moving");
    let ended = loop {
        match move_some(&mut drain, outlet, timeout, moved).await {
            Ok(0) => break Ok(()),
            Ok(some) => bar.inc(some as u64),
            Err(failure) => break Err(failure),
        }
    };
    bar.finish_and_clear();
    let left = drain.left();
    // Also after a failure: what is confirmed there must be gone here.
    let closed = drain.close().await.or_fail(Code::Io);
    ended.and(closed).map_err(|Failure { code, error }| Failure {
        code,
        error: error
            .context(format!("not all was moved, {left} and more stay; run it again to move the rest")),
    })
}

/// Moves the next few messages, several at a time.
async fn move_some(
    drain: &mut Drain,
    outlet: &QueueOutlet,
    timeout: Duration,
    moved: &mut Moved,
) -> Result<usize, Failure> {
    let mut some = Vec::new();
    while some.len() < PUBLISHES_MAX
        && let Some(waiting) = drain.next().await.or_fail(Code::Io)?
    {
        some.push(waiting);
    }
    let number = some.len();
    let published = join_all(some.into_iter().map(|Waiting { message, waits, held }| async move {
        let to = destination(&waits, SystemClock.now());
        (publish(outlet, to, marked(message, &waits), timeout).await, waits, held)
    }))
    .await;
    let mut ended = Ok(number);
    for (published, waits, held) in published {
        match published {
            Ok(()) => {
                drain.remove(held).await.or_fail(Code::Io)?;
                moved.count(&waits);
            }
            Err(error) => ended = Err(Failure { code: Code::Unavailable, error: error.into() }),
        }
    }
    ended
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
    fn count(&mut self, waits: &Waits) {
        match waits {
            Waits::Ready { .. } => self.ready += 1,
            Waits::Retry { .. } => self.retries += 1,
            Waits::Dead(_) => self.dead += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use nightbell_core::connector::Connector;

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
