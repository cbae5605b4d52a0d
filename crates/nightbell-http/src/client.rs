//! A small HTTP client, for the commands that ask a running worker.

mod lines;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

pub use self::lines::{Lines, lines};
use crate::addressee::QUEUE_HEADER;
use crate::proof::{NONCE_HEADER, PATH, WorkerKey, nonce};

/// The longest time that one GET may take.
const GET_MAX: Duration = Duration::from_secs(5);

/// The longest time that one POST may take: longer than a worker gives its queue.
const POST_MAX: Duration = Duration::from_secs(120);

/// The longest answer that is read as a whole, in bytes.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The longest answer to who it is, in bytes.
const PROOF_BYTES_MAX: usize = 4096;

/// A worker could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nothing listens there.
    #[error("no worker listens at {0}")]
    NoWorker(SocketAddr),
    /// It did not answer in time.
    #[error("the worker at {at} did not answer within {} s", limit.as_secs())]
    TimedOut {
        /// Where it was asked.
        at: SocketAddr,
        /// How long it was given.
        limit: Duration,
    },
    /// Somebody else listens there, or nobody can tell; nothing was given to them.
    #[error(
        "what listens at {at} is not known to be the worker of this configuration: {problem}; nothing was given to it"
    )]
    Foreign {
        /// Where it was asked.
        at: SocketAddr,
        /// Why it is not known.
        problem: String,
    },
    /// The token was missing or wrong.
    #[error("the worker at {0} wants another admin token; set http.admin_token to the worker's")]
    Unauthorized(SocketAddr),
    /// It does not do what it was asked.
    #[error("the worker at {at} answered with HTTP {status}: {error}")]
    Refused {
        /// Where it was asked.
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
        /// Where it was asked.
        at: SocketAddr,
        /// How the answer ended.
        problem: String,
    },
    /// It answered, but not as a worker does.
    #[error("what listens at {at} is no Nightbell worker: {problem}")]
    Strange {
        /// Where it was asked.
        at: SocketAddr,
        /// What it did.
        problem: String,
    },
}

/// A worker as its commands know it.
#[derive(Debug, Clone)]
pub struct WorkerAt {
    /// Where it listens.
    pub at: SocketAddr,
    /// The token for what it is asked.
    pub token: Option<SecretString>,
    /// How it is told from anybody else who might listen there.
    pub trust: Trust,
    /// The name of the embedded queue that it must have, if it must.
    pub queue: Option<String>,
}

/// By what a worker is known, before anything is given to it.
#[derive(Debug, Clone)]
pub enum Trust {
    /// It has this key.
    Key(WorkerKey),
    /// It speaks TLS, and shows the certificate that this trusts.
    Certificate(Arc<ClientConfig>),
    /// By nothing, for this reason.
    Nothing(String),
}

/// One request to a worker.
struct WorkerRequest<'a> {
    worker: &'a WorkerAt,
    method: Method,
    path: &'a str,
    headers: &'a [(&'a str, &'a str)],
    body: Bytes,
    /// Nothing is given away, so that anybody may be asked.
    is_harmless: bool,
}

/// An answer whose body is yet to come, and the task that moves its bytes.
struct PendingAnswer {
    answer: Response<Incoming>,
    driver: Driver,
}

type Driver = AbortOnDropHandle<Result<(), hyper::Error>>;

/// Either kind of a connection.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Asks a worker for `path`, which may have a query.
///
/// # Errors
/// [`ClientError`] says why there is no answer.
pub async fn get(worker: &WorkerAt, path: &str) -> Result<Bytes, ClientError> {
    let at = worker.at;
    let (status, body) = WorkerRequest::new(worker, Method::GET, path).whole(GET_MAX).await?;
    match status {
        StatusCode::OK => Ok(body),
        StatusCode::UNAUTHORIZED => Err(ClientError::Unauthorized(at)),
        other => Err(strange(at, &format!("it answered with HTTP {}", other.as_u16()))),
    }
}

/// Asks a worker whether it lives or, if `ready`, whether it is ready. None: it is; else what is missing. One that is known by
/// nothing is asked without the token, and says less.
///
/// # Errors
/// [`ClientError`] says why there is no answer.
pub async fn health(worker: &WorkerAt, ready: bool) -> Result<Option<String>, ClientError> {
    let path = if ready { "/readyz" } else { "/healthz" };
    let is_harmless = matches!(worker.trust, Trust::Nothing(_));
    let ask = WorkerRequest { is_harmless, ..WorkerRequest::new(worker, Method::GET, path) };
    let (status, body) = ask.whole(GET_MAX).await?;
    match status {
        StatusCode::OK => Ok(None),
        StatusCode::SERVICE_UNAVAILABLE => Ok(Some(missing(&body))),
        other => Err(strange(worker.at, &format!("it answered with HTTP {}", other.as_u16()))),
    }
}

/// Makes sure that the worker is there: that it is known, and has the queue that it must have. Its token is not sent.
///
/// # Errors
/// [`ClientError`]: it is not there.
pub async fn is_there(worker: &WorkerAt) -> Result<(), ClientError> {
    let worker = WorkerAt { token: None, ..worker.clone() };
    let (status, _) = WorkerRequest::new(&worker, Method::GET, "/healthz").whole(GET_MAX).await?;
    match status {
        StatusCode::OK => Ok(()),
        StatusCode::MISDIRECTED_REQUEST => Err(foreign(worker.at, "it has another queue")),
        other => Err(strange(worker.at, &format!("it answered with HTTP {}", other.as_u16()))),
    }
}

/// Whether another Nightbell listens there, one with another queue than that of this configuration, which is not there.
/// Nothing is given away, and what it says is believed, since it can only stop us.
pub async fn is_another(worker: &WorkerAt) -> bool {
    let worker = WorkerAt { queue: Some(String::new()), ..worker.clone() };
    let ask = WorkerRequest { is_harmless: true, ..WorkerRequest::new(&worker, Method::GET, "/healthz") };
    ask.whole(GET_MAX).await.is_ok_and(|(status, _)| status == StatusCode::MISDIRECTED_REQUEST)
}

/// What `/readyz` names as missing.
fn missing(body: &Bytes) -> String {
    let answer: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let missing = answer["missing"].as_array().map(Vec::as_slice).unwrap_or_default();
    missing.iter().filter_map(serde_json::Value::as_str).collect::<Vec<_>>().join("; ")
}

/// Sends `body`, with these headers besides the token, to `path`, which may have a query, of a worker. Gives the answer's
/// status, whatever it is, and body.
///
/// # Errors
/// [`ClientError`] says why there is no answer.
pub async fn post(
    worker: &WorkerAt,
    path: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Result<(u16, Bytes), ClientError> {
    let ask = WorkerRequest { headers, body, ..WorkerRequest::new(worker, Method::POST, path) };
    let (status, body) = ask.whole(POST_MAX).await?;
    Ok((status.as_u16(), body))
}

impl<'a> WorkerRequest<'a> {
    fn new(worker: &'a WorkerAt, method: Method, path: &'a str) -> Self {
        Self { worker, method, path, headers: &[], body: Bytes::new(), is_harmless: false }
    }

    /// Asks, and reads the whole answer.
    async fn whole(self, limit: Duration) -> Result<(StatusCode, Bytes), ClientError> {
        let at = self.worker.at;
        let exchange = async {
            let PendingAnswer { answer, driver: _driver } = self.send().await?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| strange(at, &error.to_string()))?;
            Ok((status, body.to_bytes()))
        };
        timeout(limit, exchange).await.map_err(|_| ClientError::TimedOut { at, limit })?
    }

    /// Makes sure whom it asks, and asks on the same connection.
    async fn send(self) -> Result<PendingAnswer, ClientError> {
        let at = self.worker.at;
        let mut connection = Connection::open(self.worker).await?;
        if !self.is_harmless {
            let proved = timeout(GET_MAX, connection.prove(self.worker));
            proved.await.map_err(|_| foreign(at, "it does not answer who it is"))??;
        }
        let mut request = connection.request(self.worker, self.method, self.path);
        if let Some(token) = self.worker.token.as_ref().filter(|_| !self.is_harmless) {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.expose_secret()));
        }
        for (name, value) in self.headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(self.body)).map_err(|error| strange(at, &error.to_string()))?;
        let answer = connection.send(request).await?;
        Ok(PendingAnswer { answer, driver: connection.driver })
    }
}

/// A connection to whoever listens.
struct Connection {
    at: SocketAddr,
    /// The address that the other side has.
    there: SocketAddr,
    sender: SendRequest<Full<Bytes>>,
    driver: Driver,
}

impl Connection {
    async fn open(worker: &WorkerAt) -> Result<Self, ClientError> {
        let at = worker.at;
        let failed = |error: &dyn std::fmt::Display| strange(at, &error.to_string());
        let stream = TcpStream::connect(at).await.map_err(|_| ClientError::NoWorker(at))?;
        let there = stream.peer_addr().map_err(|error| failed(&error))?;
        let stream: Box<dyn Stream> = match &worker.trust {
            Trust::Certificate(config) => {
                let tls = TlsConnector::from(Arc::clone(config));
                let shaken = tls.connect(ServerName::IpAddress(at.ip().into()), stream).await;
                Box::new(shaken.map_err(|error| foreign(at, &untrusted(&error)))?)
            }
            Trust::Key(_) | Trust::Nothing(_) => Box::new(stream),
        };
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(|error| failed(&error))?;
        let driver = AbortOnDropHandle::new(tokio::spawn(connection));
        Ok(Self { at, there, sender, driver })
    }

    /// Makes sure that this is the worker. Nothing secret is sent.
    async fn prove(&mut self, worker: &WorkerAt) -> Result<(), ClientError> {
        let key = match &worker.trust {
            Trust::Key(key) => key,
            // Only who has its key got through the handshake.
            Trust::Certificate(_) => return Ok(()),
            Trust::Nothing(reason) => return Err(foreign(self.at, reason)),
        };
        let nonce = nonce();
        let request = self.request(worker, Method::GET, PATH).header(NONCE_HEADER, &nonce);
        let request = request.body(Full::default()).map_err(|error| strange(self.at, &error.to_string()))?;
        let answer = self.send(request).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), PROOF_BYTES_MAX).collect().await;
        let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        match status {
            StatusCode::OK if key.is_answer(&nonce, self.there, &body) => Ok(()),
            StatusCode::MISDIRECTED_REQUEST => Err(foreign(self.at, "it has another queue")),
            _ => Err(foreign(self.at, "it has not the key in data_dir, as a worker that runs with it has")),
        }
    }

    fn request(&self, worker: &WorkerAt, method: Method, path: &str) -> hyper::http::request::Builder {
        let request = Request::builder().method(method).uri(path).header(header::HOST, self.at.to_string());
        match &worker.queue {
            Some(queue) => request.header(QUEUE_HEADER, queue),
            None => request,
        }
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, ClientError> {
        let sent = async {
            self.sender.ready().await?;
            self.sender.send_request(request).await
        };
        sent.await.map_err(|error| strange(self.at, &error.to_string()))
    }
}

/// Why a handshake failed.
fn untrusted(error: &std::io::Error) -> String {
    let tls = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
    if matches!(tls, Some(rustls::Error::InvalidCertificate(_))) {
        "it shows another certificate than http.tls names; after a change, send the worker SIGHUP".into()
    } else if matches!(tls, Some(rustls::Error::InvalidMessage(_))) {
        "it does not speak TLS, as http.tls asks for; after a change, start the worker anew".into()
    } else {
        format!("TLS failed ({error})")
    }
}

fn foreign(at: SocketAddr, problem: &str) -> ClientError {
    ClientError::Foreign { at, problem: problem.to_owned() }
}

fn strange(at: SocketAddr, problem: &str) -> ClientError {
    ClientError::Strange { at, problem: problem.to_owned() }
}
