//! A small HTTP client, for the commands that ask a running worker.

mod lines;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

pub use self::lines::{Lines, lines};
use crate::addressee::QUEUE_HEADER;

/// The longest time that one GET may take.
const GET_MAX: Duration = Duration::from_secs(5);

/// The longest time that one POST may take: longer than a worker gives its queue.
const POST_MAX: Duration = Duration::from_secs(120);

/// The longest answer that is read as a whole, in bytes.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A worker could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nothing listens there.
    #[error("no worker listens at {0}")]
    NoWorker(SocketAddr),
    /// It did not answer in time.
    #[error("the worker at {at} did not answer within {} s", limit.as_secs())]
    TimedOut {
        /// Where.
        at: SocketAddr,
        /// How long it was given.
        limit: Duration,
    },
    /// The token was missing or wrong.
    #[error("the worker at {0} wants another admin token; set http.admin_token to the worker's")]
    Unauthorized(SocketAddr),
    /// It does not do what it was asked.
    #[error("the worker at {at} answered with HTTP {status}: {error}")]
    Refused {
        /// Where.
        at: SocketAddr,
        /// The answer's status.
        status: u16,
        /// What it says.
        error: String,
    },
    /// Its answer ended before its end.
    #[error(
        "the answer of the worker at {at} broke off ({problem}); it may have ended, and it cuts off whoever takes nothing \
         for 30 s: write a long answer to a file"
    )]
    BrokeOff {
        /// Where.
        at: SocketAddr,
        /// What happened.
        problem: String,
    },
    /// It answered, but not as a worker does.
    #[error("what listens at {at} is no Nightbell worker: {problem}")]
    Strange {
        /// Where.
        at: SocketAddr,
        /// What it did.
        problem: String,
    },
}

/// One request to a worker.
struct Ask<'a> {
    at: SocketAddr,
    method: Method,
    path: &'a str,
    token: Option<&'a SecretString>,
    headers: &'a [(&'a str, &'a str)],
    body: Bytes,
}

/// An answer whose body is yet to come, and the task that moves its bytes.
struct Answer {
    answer: Response<Incoming>,
    driver: AbortOnDropHandle<Result<(), hyper::Error>>,
}

/// Asks the worker at `at` for `path`, which may have a query.
///
/// # Errors
/// [`ClientError`] says why there is no answer.
pub async fn get(at: SocketAddr, path: &str, token: Option<&SecretString>) -> Result<Bytes, ClientError> {
    let ask = Ask { at, method: Method::GET, path, token, headers: &[], body: Bytes::new() };
    let (status, body) = ask.whole(GET_MAX).await?;
    match status {
        StatusCode::OK => Ok(body),
        StatusCode::UNAUTHORIZED => Err(ClientError::Unauthorized(at)),
        other => {
            Err(ClientError::Strange { at, problem: format!("it answered with HTTP {}", other.as_u16()) })
        }
    }
}

/// Asks the worker at `at` whether it lives or, if `ready`, whether it is ready. None: it is; else what is missing.
///
/// # Errors
/// [`ClientError`] says why there is no answer.
pub async fn health(at: SocketAddr, ready: bool) -> Result<Option<String>, ClientError> {
    let path = if ready { "/readyz" } else { "/healthz" };
    let ask = Ask { at, method: Method::GET, path, token: None, headers: &[], body: Bytes::new() };
    let (status, body) = ask.whole(GET_MAX).await?;
    match status {
        StatusCode::OK => Ok(None),
        StatusCode::SERVICE_UNAVAILABLE => Ok(Some(missing(&body))),
        other => Err(strange(at, &format!("it answered with HTTP {}", other.as_u16()))),
    }
}

/// Asks whether the worker at `at` has this embedded queue open, by the name in [`QUEUE_HEADER`].
///
/// # Errors
/// [`ClientError`] says why there is no answer.
pub async fn has_queue(at: SocketAddr, queue: &str) -> Result<bool, ClientError> {
    let headers = &[(QUEUE_HEADER, queue)];
    let ask = Ask { at, method: Method::GET, path: "/healthz", token: None, headers, body: Bytes::new() };
    match ask.whole(GET_MAX).await?.0 {
        StatusCode::OK => Ok(true),
        StatusCode::MISDIRECTED_REQUEST => Ok(false),
        other => Err(strange(at, &format!("it answered with HTTP {}", other.as_u16()))),
    }
}

/// What `/readyz` names as missing.
fn missing(body: &Bytes) -> String {
    let answer: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let missing = answer["missing"].as_array().map(Vec::as_slice).unwrap_or_default();
    missing.iter().filter_map(serde_json::Value::as_str).collect::<Vec<_>>().join("; ")
}

/// Sends `body`, with these headers besides the token, to `path`, which may have a query, of the worker at `at`. Gives the answer's status, whatever it is, and
/// body.
///
/// # Errors
/// [`ClientError`] says why there is no answer.
pub async fn post(
    at: SocketAddr,
    path: &str,
    token: Option<&SecretString>,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Result<(u16, Bytes), ClientError> {
    let ask = Ask { at, method: Method::POST, path, token, headers, body };
    let (status, body) = ask.whole(POST_MAX).await?;
    Ok((status.as_u16(), body))
}

impl Ask<'_> {
    /// Asks, and reads the whole answer.
    async fn whole(self, limit: Duration) -> Result<(StatusCode, Bytes), ClientError> {
        let at = self.at;
        let exchange = async {
            let Answer { answer, driver: _driver } = self.send().await?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| strange(at, &error.to_string()))?;
            Ok((status, body.to_bytes()))
        };
        timeout(limit, exchange).await.map_err(|_| ClientError::TimedOut { at, limit })?
    }

    async fn send(self) -> Result<Answer, ClientError> {
        let at = self.at;
        let stream = TcpStream::connect(at).await.map_err(|_| ClientError::NoWorker(at))?;
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| strange(at, &error.to_string()))?;
        let driver = AbortOnDropHandle::new(tokio::spawn(connection));
        let mut request =
            Request::builder().method(self.method).uri(self.path).header(header::HOST, at.to_string());
        if let Some(token) = self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.expose_secret()));
        }
        for (name, value) in self.headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(self.body)).map_err(|error| strange(at, &error.to_string()))?;
        let answer = sender.send_request(request).await.map_err(|error| strange(at, &error.to_string()))?;
        Ok(Answer { answer, driver })
    }
}

fn strange(at: SocketAddr, problem: &str) -> ClientError {
    ClientError::Strange { at, problem: problem.to_owned() }
}
