//! The routes.

use std::pin::Pin;
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
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;
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

/// The longest time that an answer waits for its reader to take any of it: long enough for one who only pauses.
const WRITE_STALL_MAX: Duration = Duration::from_secs(30);

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
    serve_within(listener, face, stop, Arc::new(Semaphore::new(CONNECTIONS_MAX))).await;
}

async fn serve_within(
    listener: TcpListener,
    face: Face,
    stop: CancellationToken,
    connections: Arc<Semaphore>,
) {
    let service = TowerToHyperService::new(routes(face));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_MAX);
    let graceful = GracefulShutdown::new();
    while let Some((stream, place)) = stop.run_until_cancelled(accept(&listener, &connections)).await {
        let connection = graceful.watch(http.serve_connection(patient(stream), service.clone()));
        tokio::spawn(async move {
            // What a client breaks off is its own affair.
            drop(connection.await);
            drop(place);
        });
    }
    drop(listener);
    drop(timeout(STOP_MAX, graceful.shutdown()).await);
}

/// A stream that fails when nobody takes what is written to it, so that the connection ends and its place is free.
fn patient<S: AsyncRead + AsyncWrite>(stream: S) -> TokioIo<Pin<Box<TimeoutStream<S>>>> {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_STALL_MAX));
    TokioIo::new(Box::pin(stream))
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
mod tests;
