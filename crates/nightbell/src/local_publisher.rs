//! The way into the embedded queue for `nightbell publish`: straight into the file, or through the worker that has it open,
//! which has to prove that first. It is found anew for each event until the file is open, so that a worker may come and go
//! meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nightbell_core::message::{HeaderValue, Message};
use nightbell_core::ports::{Destination, MessageQueue as _, Outlet, PublishError};
use nightbell_core::trace::{TRACEPARENT, TRACESTATE};
use nightbell_http::{ClientError, post};
use serde_json::Value;
use tokio::sync::Mutex;

use crate::config::Config;
use crate::exit::Failure;
use crate::holder::{Holder, holding_worker};
use crate::queue::{Queue, QueueOutlet};

/// The way in. Clones share it.
#[derive(Clone)]
pub struct LocalPublisher(Arc<Inner>);

struct Inner {
    config: Config,
    /// Whether a worker had it when it was last asked: then it is asked first.
    has_worker: AtomicBool,
    /// The queue, once this process has it open.
    open: Mutex<Option<Queue>>,
}

impl LocalPublisher {
    /// The way into this configuration's embedded queue.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self(Arc::new(Inner { config, has_worker: AtomicBool::new(false), open: Mutex::new(None) }))
    }

    /// Lets go of the file.
    ///
    /// # Errors
    /// The queue had failed.
    pub async fn close(&self) -> Result<(), Failure> {
        match self.0.open.lock().await.take() {
            Some(queue) => queue.close().await,
            None => Ok(()),
        }
    }

    /// The way into the file, if this process has it open or can have it; else why another has it.
    async fn own(&self) -> Result<Result<QueueOutlet, Failure>, Failure> {
        let mut open = self.0.open.lock().await;
        if let Some(queue) = &*open {
            return Ok(Ok(queue.outlet()));
        }
        Ok(match Holder::find(&self.0.config).await? {
            Holder::This(queue) => Ok(open.insert(queue).outlet()),
            Holder::Another(failure) => Err(failure),
        })
    }

    /// The error says why there is no worker that has this queue open.
    async fn through_worker(&self, message: &Message) -> Result<Result<(), PublishError>, String> {
        let config = &self.0.config;
        let worker = holding_worker(config, config.http.ingest_token.as_ref());
        let at = worker.at;
        let mut headers = vec![("content-type", "application/json")];
        for name in [TRACEPARENT, TRACESTATE] {
            if let Some(HeaderValue::Text(value)) = message.headers.get(name) {
                headers.push((name, value));
            }
        }
        Ok(match post(&worker, "/v1/events", &headers, message.body.clone()).await {
            Err(ClientError::NoWorker(_)) | Ok((421, _)) => {
                return Err(format!("no worker of this queue listens at {at}"));
            }
            Err(error @ ClientError::Foreign { .. }) => return Err(error.to_string()),
            Err(error) => Err(unavailable(error.to_string())),
            Ok((202, _)) => Ok(()),
            Ok((429, _)) => Err(PublishError::Refused),
            Ok((401, _)) => Err(unavailable(format!(
                "the worker at {at} wants another ingest token; set http.ingest_token to the worker's"
            ))),
            Ok((status, answer)) => Err(unavailable(format!(
                "the worker at {at} answered with HTTP {status}: {}",
                error_of(&answer)
            ))),
        })
    }
}

impl Outlet for LocalPublisher {
    async fn publish(&self, to: Destination, message: Message) -> Result<(), PublishError> {
        let has_worker = &self.0.has_worker;
        if has_worker.load(Ordering::Relaxed)
            && let Ok(published) = self.through_worker(&message).await
        {
            return published;
        }
        let failure = match self.own().await {
            Ok(Ok(outlet)) => return outlet.publish(to, message).await,
            Ok(Err(failure)) => failure,
            Err(failure) => return Err(unavailable(failure.to_string())),
        };
        let asked = self.through_worker(&message).await;
        has_worker.store(asked.is_ok(), Ordering::Relaxed);
        asked.unwrap_or_else(|nobody| Err(unavailable(format!("{failure}; {nobody}"))))
    }
}

fn unavailable(text: String) -> PublishError {
    PublishError::Unavailable(text)
}

/// What an error answer says.
fn error_of(answer: &[u8]) -> String {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    answer["error"].as_str().unwrap_or("it does not say why").to_owned()
}
