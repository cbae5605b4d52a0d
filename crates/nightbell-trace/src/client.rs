//! How batches get to the collector.

use std::fmt;
use std::pin::Pin;
use std::sync::Mutex;
use std::time::Duration;

use nightbell_core::causes::in_one_line;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use reqwest::redirect;
use tokio::runtime::Handle;
use tracing::{info, warn};

/// The longest time for one request to the collector.
pub(crate) const REQUEST_MAX: Duration = Duration::from_secs(5);

/// Posts on the worker's runtime for the thread that exports, and says once that the collector is down, and once that it
/// is back.
pub(crate) struct Collector {
    client: reqwest::Client,
    runtime: Handle,
    /// Why the last request failed, if it did.
    trouble: Mutex<Option<String>>,
}

impl Collector {
    /// Must be called within a tokio runtime.
    pub(crate) fn new() -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("nightbell/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .no_proxy()
            .timeout(REQUEST_MAX)
            .build()?;
        Ok(Self { client, runtime: Handle::current(), trouble: Mutex::default() })
    }

    async fn post(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request).map_err(reqwest::Error::without_url)?;
        let client = self.client.clone();
        // The thread that exports has no runtime of its own, and the client wants one from its first step.
        let exchange = self.runtime.spawn(async move {
            let response = client.execute(request).await?;
            let status = response.status();
            Ok::<_, reqwest::Error>((status, response.bytes().await?))
        });
        let (status, body) = exchange.await?.map_err(reqwest::Error::without_url)?;
        let mut response = Response::new(body);
        *response.status_mut() = status;
        Ok(response)
    }

    fn heard(&self, answer: &Result<Response<Bytes>, HttpError>) {
        let trouble = match answer {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(format!("HTTP {}", response.status().as_u16())),
            Err(error) => Some(in_one_line(error.as_ref())),
        };
        let before = {
            let mut last = self.trouble.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            std::mem::replace(&mut *last, trouble.clone())
        };
        match (before, trouble) {
            (None, Some(trouble)) => {
                warn!(trouble, "the trace collector takes no spans; they are lost meanwhile");
            }
            (Some(_), None) => info!("the trace collector takes spans again"),
            (None, None) | (Some(_), Some(_)) => {}
        }
    }
}

impl HttpClient for Collector {
    fn send_bytes<'a, 'f>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'f>>
    where
        'a: 'f,
        Self: 'f,
    {
        Box::pin(async move {
            let answer = self.post(request).await;
            self.heard(&answer);
            answer
        })
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Collector").finish_non_exhaustive()
    }
}
