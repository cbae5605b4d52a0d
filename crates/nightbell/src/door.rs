//! The way into the embedded queue for `nightbell publish`: through the worker that has it open, else straight into the
//! file. It is found anew for each event until the file is open, so that a worker may come and go meanwhile.

use std::net::SocketAddr;
use std::sync::Arc;

use nightbell_core::message::{HeaderValue, Message};
use nightbell_core::ports::{Destination, Outlet, PublishError};
use nightbell_core::trace::{TRACEPARENT, TRACESTATE};
use nightbell_http::{ClientError, QUEUE_HEADER, has_queue, post};
use secrecy::SecretString;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::config::Config;
use crate::exit::{Code, Failure};
use crate::queue::{Queue, QueueOutlet, embedded_name, embedded_path};

/// The way in. Clones share it.
#[derive(Clone)]
pub struct Door(Arc<Inner>);

struct Inner {
    config: Config,
    at: SocketAddr,
    token: Option<SecretString>,
    /// The queue, once this process has it open.
    open: Mutex<Option<Queue>>,
}

impl Door {
    /// The way into this configuration's embedded queue.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let (at, token) = (config.http.listen, config.http.ingest_token.clone());
        Self(Arc::new(Inner { config, at, token, open: Mutex::new(None) }))
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

    /// The queue itself, if this process has it open or can have it.
    async fn own(&self) -> Result<QueueOutlet, Failure> {
        let mut open = self.0.open.lock().await;
        if let Some(queue) = &*open {
            return Ok(queue.outlet());
        }
        let queue = Queue::open(&self.0.config).await?;
        let outlet = queue.outlet();
        *open = Some(queue);
        Ok(outlet)
    }

    async fn is_own(&self) -> bool {
        self.0.open.lock().await.is_some()
    }

    /// None: there is no worker that has this queue open.
    async fn through_worker(&self, message: &Message) -> Option<Result<(), PublishError>> {
        let Inner { at, token, config, .. } = &*self.0;
        let queue = match embedded_name(config) {
            Ok(Some(queue)) => Some(queue),
            Ok(None) => return self.absent().await,
            // Who may not see the file can't open it either, and has to trust the address.
            Err(_) => None,
        };
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(queue.as_deref().map(|queue| (QUEUE_HEADER, queue)));
        for name in [TRACEPARENT, TRACESTATE] {
            if let Some(HeaderValue::Text(value)) = message.headers.get(name) {
                headers.push((name, value));
            }
        }
        let body = message.body.clone();
        Some(match post(*at, "/v1/events", token.as_ref(), &headers, body).await {
            Err(ClientError::NoWorker(_)) | Ok((421, _)) => return None,
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

    /// The file is not there, so that no worker can have it open. One that listens all the same has another, or sees
    /// other folders: what is put into a new file here might never be delivered. None: nobody listens.
    async fn absent(&self) -> Option<Result<(), PublishError>> {
        let Inner { at, config, .. } = &*self.0;
        Some(Err(unavailable(match has_queue(*at, "").await {
            Err(ClientError::NoWorker(_)) => return None,
            Err(error) => error.to_string(),
            Ok(_) => format!(
                "the worker at {at} (http.listen) has another queue than {}, which is not there; give this configuration \
                 the worker's data_dir, or another http.listen",
                embedded_path(config).display()
            ),
        })))
    }
}

impl Outlet for Door {
    async fn publish(&self, to: Destination, message: Message) -> Result<(), PublishError> {
        if !self.is_own().await
            && let Some(published) = self.through_worker(&message).await
        {
            return published;
        }
        match self.own().await {
            Ok(outlet) => outlet.publish(to, message).await,
            Err(failure) if failure.code == Code::TempFail => Err(unavailable(format!(
                "another process has it open, and no worker of this queue listens at {}",
                self.0.at
            ))),
            Err(failure) => Err(unavailable(failure.to_string())),
        }
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
