//! One GET over plain HTTP, for `nightbell status`.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::header;
use hyper_util::rt::TokioIo;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::net::TcpStream;

/// The longest time that one GET may take.
const GET_MAX: Duration = Duration::from_secs(5);

/// The longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A worker could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nothing listens there.
    #[error("no worker listens at {0}")]
    NoWorker(SocketAddr),
    /// It did not answer in time.
    #[error("the worker at {0} did not answer within {limit} s", limit = GET_MAX.as_secs())]
    TimedOut(SocketAddr),
    /// The token was missing or wrong.
    #[error("the worker at {0} wants another admin token; set http.admin_token to the worker's")]
    Unauthorized(SocketAddr),
    /// It answered, but not as a worker does.
    #[error("what listens at {at} is no Nightbell worker: {problem}")]
    Strange {
        /// Where.
        at: SocketAddr,
        /// What it did.
        problem: String,
    },
}

/// Asks the worker at `at` for `path`.
///
/// # Errors
/// [`ClientError`] says why there is no answer.
pub async fn get(at: SocketAddr, path: &str, token: Option<&SecretString>) -> Result<Bytes, ClientError> {
    tokio::time::timeout(GET_MAX, exchange(at, path, token)).await.map_err(|_| ClientError::TimedOut(at))?
}

async fn exchange(at: SocketAddr, path: &str, token: Option<&SecretString>) -> Result<Bytes, ClientError> {
    let strange = |problem: String| ClientError::Strange { at, problem };
    let stream = TcpStream::connect(at).await.map_err(|_| ClientError::NoWorker(at))?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| strange(error.to_string()))?;
    let driver = tokio::spawn(connection);
    let mut request = hyper::Request::get(path).header(header::HOST, at.to_string());
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.expose_secret()));
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| strange(error.to_string()))?;
    let answer = sender.send_request(request).await.map_err(|error| strange(error.to_string()))?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
    driver.abort();
    match status.as_u16() {
        200 => body.map(http_body_util::Collected::to_bytes).map_err(|error| strange(error.to_string())),
        401 => Err(ClientError::Unauthorized(at)),
        other => Err(strange(format!("it answered with HTTP {other}"))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::net::TcpListener;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::server::{Face, serve};
    use crate::status::{LedgerStatus, QueueStatus, Status};

    fn status(ready: bool) -> Status {
        Status {
            version: "1".into(),
            ready,
            missing: if ready { vec![] } else { vec!["queue: connection refused".into()] },
            queue: QueueStatus { at: "here".into(), connected: ready, dead_letters: None },
            ledger: LedgerStatus { entries: 0, failure: None },
            connectors: vec![],
        }
    }

    async fn start(ready: bool, token: Option<&str>) -> (SocketAddr, CancellationToken) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let face = Face {
            metrics: recorder.handle(),
            status: Arc::new(move || status(ready)),
            admin_token: token.map(SecretString::from),
        };
        tokio::spawn(serve(listener, face, stop.clone()));
        (at, stop)
    }

    #[tokio::test]
    async fn readyz_says_what_is_missing() {
        let (at, _stop) = start(true, None).await;
        let body = get(at, "/readyz", None).await.unwrap();
        assert_eq!(body, r#"{"missing":[],"ready":true}"#);
        let (at, _stop) = start(false, None).await;
        let error = get(at, "/readyz", None).await.unwrap_err().to_string();
        assert!(error.ends_with("it answered with HTTP 503"), "{error}");
    }

    #[tokio::test]
    async fn status_wants_the_token_if_there_is_one_and_health_does_not() {
        let (at, _stop) = start(true, Some("sixteen-bytes-ok")).await;
        let (right, wrong) = (SecretString::from("sixteen-bytes-ok"), SecretString::from("sixteen-bytes-no"));
        for token in [None, Some(&wrong)] {
            let error = get(at, "/v1/status", token).await.unwrap_err();
            assert!(matches!(error, ClientError::Unauthorized(_)), "{error}");
        }
        let body = get(at, "/v1/status", Some(&right)).await.unwrap();
        assert_eq!(serde_json::from_slice::<Status>(&body).unwrap(), status(true));
        assert_eq!(get(at, "/healthz", None).await.unwrap(), "ok\n");
    }

    #[tokio::test]
    async fn where_nothing_listens_is_said() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        drop(listener);
        let error = get(at, "/v1/status", None).await.unwrap_err();
        assert!(matches!(error, ClientError::NoWorker(_)), "{error}");
    }
}
