//! Publishing many events: confirmed one by one, several at a time, retried while the queue can't be reached.

use std::future::ready;
use std::time::Duration;

use futures::{Stream, StreamExt as _, TryStreamExt as _};
use nightbell_core::event::Event;
use nightbell_core::limits::PUBLISHES_MAX;
use nightbell_core::message::{Message, routing_key};
use nightbell_core::ports::{Destination, Outlet, PublishError};
use nightbell_core::time::UnixMillis;
use tokio::time::Instant;

/// The wait between two tries of one publish.
const RETRY_EVERY: Duration = Duration::from_millis(500);

/// One event ready to be published.
#[derive(Debug, Clone)]
pub struct Item {
    /// The event's id, if it has one.
    pub id: Option<String>,
    /// Its project, which makes the routing key.
    pub project: String,
    /// Its test.
    pub test: String,
    /// The bytes to publish.
    pub body: bytes::Bytes,
}

impl Item {
    /// An item of an event's own bytes.
    #[must_use]
    pub fn of(event: &Event, body: bytes::Bytes) -> Self {
        Self { id: event.id.clone(), project: event.project.clone(), test: event.test.clone(), body }
    }
}

/// Publishes all items, several at a time; `confirmed` hears of each.
///
/// # Errors
/// That of the first that is not confirmed within `timeout`, which stops the rest.
pub async fn feed<O: Outlet>(
    outlet: &O,
    items: impl Stream<Item = Item>,
    timeout: Duration,
    now: impl Fn() -> UnixMillis,
    mut confirmed: impl FnMut(&Item),
) -> Result<(), PublishError> {
    let tries = items.map(|item| {
        let message = Message::of_event(item.id.clone(), item.body.clone(), now());
        let to = Destination::Events { routing_key: routing_key(&item.project) };
        async move { publish_unless(|_| false, outlet, to, message, timeout).await.map(|()| item) }
    });
    let tries = tries.buffer_unordered(PUBLISHES_MAX);
    let heard = tries.try_for_each(|item| {
        confirmed(&item);
        ready(Ok(()))
    });
    heard.await
}

/// Publishes one message, again and again while the queue does not confirm it, for `timeout` at the most; but not after an
/// error that `is_final`.
///
/// # Errors
/// The last try's.
pub async fn publish_unless<O: Outlet>(
    is_final: impl Fn(&PublishError) -> bool,
    outlet: &O,
    to: Destination,
    message: Message,
    timeout: Duration,
) -> Result<(), PublishError> {
    let deadline = Instant::now() + timeout;
    loop {
        let rest = deadline.saturating_duration_since(Instant::now());
        let tried = tokio::time::timeout(rest, outlet.publish(to.clone(), message.clone())).await;
        let error = match tried {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error,
            Err(_) => PublishError::Unavailable(format!(
                "no confirm within {}",
                humantime::format_duration(timeout)
            )),
        };
        if is_final(&error) || Instant::now() + RETRY_EVERY >= deadline {
            return Err(error);
        }
        tokio::time::sleep(RETRY_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Fails so many times, then confirms.
    #[derive(Debug, Clone)]
    struct Flaky(Arc<AtomicU32>);

    impl Outlet for Flaky {
        async fn publish(&self, to: Destination, message: Message) -> Result<(), PublishError> {
            assert_eq!(to, Destination::Events { routing_key: "event.a_b".into() });
            assert_eq!(message.message_id.as_deref(), Some("1"));
            let left =
                self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| Some(left.saturating_sub(1)));
            if left == Ok(0) { Ok(()) } else { Err(PublishError::Unavailable("down".into())) }
        }
    }

    /// How many were confirmed, and why it stopped.
    async fn run(failures: u32, items: usize) -> (usize, Option<PublishError>) {
        let item = Item { id: Some("1".into()), project: "a.b".into(), test: "t".into(), body: "{}".into() };
        let outlet = Flaky(Arc::new(AtomicU32::new(failures)));
        let items = futures::stream::iter(vec![item; items]);
        let mut confirmed = 0;
        let fed = feed(&outlet, items, Duration::from_secs(30), || UnixMillis(0), |_| confirmed += 1).await;
        (confirmed, fed.err())
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_that_comes_back_in_time_gets_everything() {
        assert_eq!(run(40, 3).await, (3, None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_final_error_is_not_tried_again() {
        let outlet = Flaky(Arc::new(AtomicU32::new(2)));
        let to = Destination::Events { routing_key: "event.a_b".into() };
        let message = Message { message_id: Some("1".into()), ..Message::default() };
        let published =
            publish_unless(|_| true, &outlet, to, message, Duration::from_secs(30)).await.unwrap_err();
        assert_eq!(
            (published, outlet.0.load(Ordering::SeqCst)),
            (PublishError::Unavailable("down".into()), 1)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_that_stays_away_is_given_up_after_the_time_out() {
        let start = Instant::now();
        let fed = run(u32::MAX, 100).await;
        assert_eq!(fed, (0, Some(PublishError::Unavailable("down".into()))));
        assert!(start.elapsed() <= Duration::from_secs(30));
    }
}
