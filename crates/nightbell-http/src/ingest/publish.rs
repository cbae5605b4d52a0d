//! Publishing a request's events, and saying which of them the queue has.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{StreamExt as _, stream};
use nightbell_core::limits::PUBLISHES_MAX;
use nightbell_core::message::Message;
use nightbell_core::ports::{Destination, PublishError};
use serde_json::{Value, json};

use super::items::{Bad, Batch, Item};
use super::limits::{RETRY_LATER, RETRY_SOON};
use crate::answer::Problem;

/// An outlet, whatever its type.
pub(super) type Publish =
    Arc<dyn Fn(Destination, Message) -> BoxFuture<'static, Result<(), PublishError>> + Send + Sync>;

/// Why the queue has not confirmed an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NotTaken {
    /// It pushes back.
    Refused,
    /// It is nowhere bound, can't be reached or did not answer, and may have the event all the same.
    Unconfirmed,
    /// It was not tried, because another was not taken.
    NotTried,
}

impl NotTaken {
    fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "the queue refused it",
            Self::Unconfirmed => "the queue has not confirmed it, and may have it all the same",
            Self::NotTried => "not tried, because the queue stopped taking events",
        }
    }
}

/// What became of the valid events of a request.
#[derive(Debug, Default)]
pub(super) struct Published {
    accepted: Vec<(usize, String)>,
    not_taken: Vec<(usize, String, NotTaken)>,
}

/// Publishes events, several at a time. Once one is not taken, no other is begun.
pub(super) async fn publish(
    publish: &Publish,
    items: Vec<Item>,
    as_message: impl Fn(String, Bytes) -> Message,
    patience: Duration,
) -> Published {
    let has_stopped = AtomicBool::new(false);
    let tries = stream::iter(items).map(|Item { index, id, routing_key, body }| {
        let (has_stopped, as_message) = (&has_stopped, &as_message);
        async move {
            if has_stopped.load(Ordering::Relaxed) {
                return (index, id, Err(NotTaken::NotTried));
            }
            let message = as_message(id.clone(), body);
            let sent = publish(Destination::Events { routing_key }, message);
            let taken = match tokio::time::timeout(patience, sent).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(PublishError::Refused)) => Err(NotTaken::Refused),
                // The text may say where the queue is, which is not this caller's business.
                Ok(Err(PublishError::Unroutable | PublishError::Unavailable(_))) | Err(_) => {
                    Err(NotTaken::Unconfirmed)
                }
            };
            has_stopped.fetch_or(taken.is_err(), Ordering::Relaxed);
            (index, id, taken)
        }
    });
    let mut published = Published::default();
    let mut tries = std::pin::pin!(tries.buffer_unordered(PUBLISHES_MAX));
    while let Some((index, id, taken)) = tries.next().await {
        match taken {
            Ok(()) => published.accepted.push((index, id)),
            Err(reason) => published.not_taken.push((index, id, reason)),
        }
    }
    published.accepted.sort_unstable();
    published
}

impl Published {
    /// The answer to a request of which these were published, and `bad` could not be; `damage`: nor what a damaged report may
    /// have told besides.
    pub(super) fn answer(self, bad: &[Bad], damage: Option<String>) -> Response {
        let refused = self.not_taken.iter().any(|(_, _, reason)| *reason == NotTaken::Refused);
        let taken = self.not_taken.is_empty();
        let accepted =
            Value::from_iter(self.accepted.iter().map(|(index, id)| json!({ "index": index, "id": id })));
        let mut rejected = bad.iter().map(|bad| (bad.index, json!(bad))).collect::<Vec<_>>();
        rejected.extend(self.not_taken.into_iter().map(|(index, id, reason)| {
            (index, json!({ "index": index, "id": id, "error": reason.as_str() }))
        }));
        rejected.sort_unstable_by_key(|(index, _)| *index);
        let rejected = Value::from_iter(rejected.into_iter().map(|(_, shown)| shown));
        if let Some(damage) = damage.filter(|_| taken) {
            let error = format!("{damage}; what is sound in it was published, and an event that says so");
            let hint = "look at what wrote the report; the same report need not be sent again";
            let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error, hint);
            return problem.with("accepted", accepted).with("rejected", rejected).into_response();
        }
        if taken {
            let body = json!({ "accepted": accepted, "rejected": rejected });
            return (StatusCode::ACCEPTED, Json(body)).into_response();
        }
        let hint = "send what was rejected again, with the ids given here; they keep that harmless";
        let problem = if refused {
            let error = "the queue pushes back";
            Problem::new(StatusCode::TOO_MANY_REQUESTS, error, hint).retry_after(RETRY_SOON)
        } else {
            let error = "the queue does not take all events";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, error, hint).retry_after(RETRY_LATER)
        };
        problem.with("accepted", accepted).with("rejected", rejected).into_response()
    }
}

/// The answer to a request of which nothing is published, because part of it is not valid.
pub(super) fn refusal(batch: &Batch) -> Problem {
    let (status, error) = if batch.bad.iter().any(|bad| bad.is_too_long) {
        (StatusCode::PAYLOAD_TOO_LARGE, "an event is too long; nothing was published")
    } else {
        (StatusCode::UNPROCESSABLE_ENTITY, "not all of it is events; nothing was published")
    };
    let hint = if batch.items.is_empty() {
        "`nightbell schema` and GET /openapi.json say what an event is"
    } else {
        "mend what was rejected, or publish the rest with ?partial=true"
    };
    Problem::new(status, error, hint).with("accepted", json!([])).with("rejected", json!(batch.bad))
}
