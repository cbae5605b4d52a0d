//! The routes.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use metrics_exporter_prometheus::PrometheusHandle;
use secrecy::SecretString;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::addressee::require_queue;
use crate::answer::{Problem, no_method, no_route};
use crate::guard::require_admin;
use crate::ingest::Ingest;
use crate::openapi;
use crate::status::Status;

/// The most connections at one time; more wait until one ends.
const CONNECTIONS_MAX: usize = 1024;

/// The longest time for a request's head to come, and for a connection to wait for its next request.
const HEAD_MAX: Duration = Duration::from_secs(30);

/// The longest time that requests under way get to finish when the server stops.
const STOP_MAX: Duration = Duration::from_secs(10);

/// The wait after a connection could not be accepted.
const ACCEPT_AGAIN: Duration = Duration::from_secs(1);

/// What the routes show, and what they let in.
#[derive(Clone)]
pub struct Face {
    /// The metrics.
    pub metrics: PrometheusHandle,
    /// The worker's state, put together anew for each request; it must not block.
    pub status: Arc<dyn Fn() -> Status + Send + Sync>,
    /// The token that `/v1/status` and the admin routes want; none on loopback only.
    pub admin_token: Option<SecretString>,
    /// The ways in for events; none: there are none.
    pub ingest: Option<Ingest>,
    /// The routes under `/v1/dead-letters`, which are put behind the admin token.
    pub admin: Option<Router>,
    /// The name of the embedded queue that this process has open; none with RabbitMQ.
    pub queue: Option<Arc<str>>,
}

/// Serves until `stop` is cancelled; requests under way then may finish, within bounds. A listener that fails is asked
/// again.
pub async fn serve(listener: TcpListener, face: Face, stop: CancellationToken) {
    let service = TowerToHyperService::new(routes(face));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_MAX);
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    while let Some((stream, place)) = stop.run_until_cancelled(accept(&listener, &connections)).await {
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service.clone()));
        tokio::spawn(async move {
            // What a client breaks off is its own affair.
            drop(connection.await);
            drop(place);
        });
    }
    drop(listener);
    drop(timeout(STOP_MAX, graceful.shutdown()).await);
}

/// The next connection, when there is a place for it.
async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // It is never closed, so there always is a place in the end.
    let place = Arc::clone(connections).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, place),
            Err(error) => {
                // Out of file handles, as a rule. To ask again at once would only burn a processor.
                warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

/// All routes. Errors are JSON everywhere, and no answer allows another origin to read it.
pub fn routes(mut face: Face) -> Router {
    let (ingest, admin) = (face.ingest.take(), face.admin.take());
    let described = Json(openapi::document(ingest.is_some(), admin.is_some()));
    let addressee = from_fn_with_state(face.queue.clone(), require_queue);
    let guard = from_fn_with_state(face.admin_token.clone(), require_admin);
    let guarded = Router::new()
        .route("/v1/status", get(status))
        .with_state(face.clone())
        .merge(admin.unwrap_or_default())
        .route_layer(guard);
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/openapi.json", get(move || std::future::ready(described.clone())))
        .with_state(face)
        .merge(guarded)
        .merge(ingest.map(Ingest::routes).unwrap_or_default())
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(addressee)
}

async fn metrics(State(face): State<Face>) -> Response {
    // Reading /proc and rendering both take their time; neither may hold a runtime thread.
    let rendered = tokio::task::spawn_blocking(move || {
        metrics_process::Collector::default().collect();
        face.metrics.render()
    });
    match rendered.await {
        Ok(text) => {
            ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
        }
        Err(_) => {
            let error = "the metrics could not be put together";
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error, "ask again").into_response()
        }
    }
}

async fn ready(State(face): State<Face>) -> Response {
    let Status { ready, missing, .. } = (face.status)();
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(json!({ "ready": ready, "missing": missing }))).into_response()
}

async fn status(State(face): State<Face>) -> Json<Status> {
    Json((face.status)())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::Instant;

    use super::*;

    async fn start(stop: &CancellationToken) -> (TcpStream, tokio::task::JoinHandle<()>) {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let status = || unreachable!("nobody asks for the state");
        let face = Face {
            metrics: recorder.handle(),
            status: Arc::new(status),
            admin_token: None,
            ingest: None,
            admin: Some(Router::new().route("/never", get(std::future::pending::<()>))),
            queue: None,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let served = tokio::spawn(serve(listener, face, stop.clone()));
        (TcpStream::connect(at).await.unwrap(), served)
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_does_not_come_ends_the_connection() {
        let stop = CancellationToken::new();
        let (mut stream, _served) = start(&stop).await;
        let begun = Instant::now();
        stream.write_all(b"GET /healthz HTTP/1.1\r\n").await.unwrap();
        let mut answer = Vec::new();
        // A reset is an end as well.
        drop(stream.read_to_end(&mut answer).await);
        assert!((HEAD_MAX..HEAD_MAX * 2).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_does_not_end_does_not_hold_up_the_stop() {
        let stop = CancellationToken::new();
        let (mut stream, served) = start(&stop).await;
        stream.write_all(b"GET /never HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        // It is under way once the time for a head has passed and the connection is still there.
        assert!(timeout(HEAD_MAX * 2, stream.read_u8()).await.is_err());
        let begun = Instant::now();
        stop.cancel();
        served.await.unwrap();
        assert!((STOP_MAX..STOP_MAX * 2).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn an_idle_connection_ends_with_the_server() {
        let stop = CancellationToken::new();
        let (mut stream, served) = start(&stop).await;
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut answer = vec![0; 1000];
        let length = stream.read(&mut answer).await.unwrap();
        assert!(answer[..length].starts_with(b"HTTP/1.1 200 OK"));
        stop.cancel();
        served.await.unwrap();
        assert_eq!(stream.read_to_end(&mut answer).await.unwrap(), 0);
    }
}
