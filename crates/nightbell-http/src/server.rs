//! The routes, and the connections that they are asked over.

mod connection;
mod places;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use self::connection::Service;
use self::places::Places;

use crate::addressee::require_queue;
use crate::answer::{Problem, no_method, no_route};
use crate::guard::{admit, require_admin, require_no_body};
use crate::ingest::Ingest;
use crate::openapi;
use crate::peer::Peer;
use crate::proof::{self, CameIn, WorkerKey, prove};
use crate::status::Status;
use crate::tls::Tls;

/// The routes that are answered however much else there is to do.
const METRICS: &str = "/metrics";
const LIVES: &str = "/healthz";
const READY: &str = "/readyz";

/// The longest time for a request's head to come, and for a connection to wait for its next request.
const HEAD_MAX: Duration = Duration::from_secs(10);

/// The longest head, in bytes. A connection holds no more of what it reads or writes, either.
const HEAD_BYTES_MAX: usize = 128 * 1024;

/// The most headers of a request.
const HEADERS_MAX: usize = 100;

/// The longest time that an answer waits for its reader to take any of it: long enough for one who only pauses.
const WRITE_STALL_MAX: Duration = Duration::from_secs(30);

/// The longest time that requests under way get to finish when the server stops.
const STOP_MAX: Duration = Duration::from_secs(10);

/// What is answered to plain HTTP where TLS is spoken.
const PLAIN_HTTP: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n\
                            this listener speaks TLS (http.tls): ask with https://\n";

/// The wait after a connection could not be accepted.
const ACCEPT_AGAIN: Duration = Duration::from_secs(1);

/// Routes that want the admin token, and their description in OpenAPI's words, by path.
#[derive(Clone, Default)]
pub struct AdminRoutes {
    /// The routes, without the check of the token.
    pub router: Router,
    /// What each is.
    pub paths: Map<String, Value>,
}

/// What the routes show, and what they let in.
#[derive(Clone)]
pub struct HttpState {
    /// Renders the metrics; it may block.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// The worker's state, put together anew for each request; it must not block.
    pub status: Arc<dyn Fn() -> Status + Send + Sync>,
    /// The token that `/v1/status` and the admin routes want; none on loopback only.
    pub admin_token: Option<SecretString>,
    /// The ways in for events; none: there are none.
    pub ingest: Option<Ingest>,
    /// Further routes, which are put behind the admin token.
    pub admin: AdminRoutes,
    /// Whether it can be reached from this machine alone.
    pub is_local: bool,
    /// The name of the embedded queue that this process has open; none with RabbitMQ.
    pub queue: Option<Arc<str>>,
    /// With what it proves to commands who it is; none: it can't.
    pub key: Option<WorkerKey>,
}

/// Where it listens, and how many connections it may have.
pub struct Listener {
    tcp: TcpListener,
    places: Places,
    tls: Option<watch::Receiver<Tls>>,
}

impl Listener {
    /// A listener of a process that may have so many file handles; it takes a part of them.
    #[must_use]
    pub fn new(tcp: TcpListener, handles: u64) -> Self {
        Self { tcp, places: Places::for_handles(handles), tls: None }
    }

    /// The same, over TLS. Each new connection has the certificate that is the last one then.
    #[must_use]
    pub fn with_tls(self, tls: watch::Receiver<Tls>) -> Self {
        Self { tls: Some(tls), ..self }
    }
}

/// Serves until `stop` is cancelled; requests under way then may finish, within bounds. A listener that fails is asked
/// again.
pub async fn serve(listener: Listener, state: HttpState, stop: CancellationToken) {
    let Listener { tcp, places, tls } = listener;
    let routes = routes(state);
    let graceful = GracefulShutdown::new();
    // A connection that makes room has its socket for a moment longer.
    let sockets = Arc::new(Semaphore::new(places.most()));
    while let Some((stream, peer)) = stop.run_until_cancelled(accept(&tcp)).await {
        let Some(place) = places.take(peer) else { continue };
        let Ok(socket) = Arc::clone(&sockets).acquire_owned().await else { continue };
        let leave = place.leave.clone();
        let came_in = stream.local_addr().ok().map(CameIn);
        let service = Service::new(routes.clone(), place, came_in);
        let acceptor = tls.as_ref().map(|tls| TlsAcceptor::from(Arc::clone(&tls.borrow().server)));
        let stream = Accepted { stream, tls: acceptor, stop: stop.clone() };
        let served = connect(stream, service, graceful.watcher());
        tokio::spawn(async move {
            leave.run_until_cancelled_owned(served).await;
            drop(socket);
        });
    }
    drop(tcp);
    drop(timeout(STOP_MAX, graceful.shutdown()).await);
}

/// A connection that has just come.
struct Accepted {
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    stop: CancellationToken,
}

/// Serves one connection to its end. What a client breaks off is its own affair.
async fn connect(Accepted { stream, tls, stop }: Accepted, service: Service, watcher: Watcher) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_MAX);
    http.max_headers(HEADERS_MAX).max_buf_size(HEAD_BYTES_MAX);
    let Some(tls) = tls else {
        drop(watcher.watch(http.serve_connection(patient(stream), service)).await);
        return;
    };
    let shaken = stop.run_until_cancelled(timeout(HEAD_MAX, shake(stream, tls))).await;
    if let Some(Ok(Some(stream))) = shaken {
        drop(watcher.watch(http.serve_connection(patient(stream), service)).await);
    }
}

/// Shakes hands. Who speaks plain HTTP is told so in it.
async fn shake(mut stream: TcpStream, tls: TlsAcceptor) -> Option<TlsStream<TcpStream>> {
    let mut first = [0];
    if stream.peek(&mut first).await.ok()? == 1 && first[0].is_ascii_uppercase() {
        drop(stream.write_all(PLAIN_HTTP).await);
        return None;
    }
    tls.accept(stream).await.ok()
}

/// A stream that fails when nobody takes what is written to it, so that the connection ends and its place is free.
fn patient<S: AsyncRead + AsyncWrite>(stream: S) -> TokioIo<Pin<Box<TimeoutStream<S>>>> {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_STALL_MAX));
    TokioIo::new(Box::pin(stream))
}

/// The next connection.
async fn accept(listener: &TcpListener) -> (TcpStream, Peer) {
    loop {
        match listener.accept().await {
            Ok((stream, address)) => return (stream, Peer::new(address.ip())),
            Err(error) => {
                // Out of file handles, as a rule. To ask again at once would only burn a processor.
                warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

/// All routes. Errors are JSON everywhere, and no answer allows another origin to read it.
pub fn routes(mut state: HttpState) -> Router {
    let (ingest, key) = (state.ingest.take(), state.key.take());
    let AdminRoutes { router: admin, paths } = std::mem::take(&mut state.admin);
    let described = Json(openapi::document(ingest.is_some(), paths));
    let addressee = from_fn_with_state(state.queue.clone(), require_queue);
    let guard = from_fn_with_state(state.admin_token.clone(), require_admin);
    let guarded = Router::new()
        .route("/v1/status", get(status))
        .with_state(state.clone())
        .merge(admin)
        .route_layer(from_fn(require_no_body))
        .route_layer(guard);
    Router::new()
        .route(METRICS, get(metrics))
        .route(LIVES, get(|| async { "ok\n" }))
        .route(READY, get(ready))
        .route("/openapi.json", get(move || std::future::ready(described.clone())))
        .with_state(state)
        .route(proof::PATH, get(prove).with_state(key))
        .merge(guarded)
        .merge(ingest.map(Ingest::routes).unwrap_or_default())
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(addressee)
}

async fn metrics(State(state): State<HttpState>, uri: Uri, headers: HeaderMap) -> Response {
    // Prometheus has no token, so they are open to it. Where only this machine can ask, a web page might, by a name of its
    // own that leads here.
    let is_given = |token| admit(Some(token), "admin", &uri, &headers).is_ok();
    let is_known = state.admin_token.as_ref().is_some_and(is_given);
    let is_checked = state.is_local || state.admin_token.is_none();
    if is_checked && !is_known && admit(None, "admin", &uri, &headers).is_err() {
        let error =
            "the request comes from a web page, or names a Host other than localhost or a loopback address";
        let hint =
            "ask at 127.0.0.1 or localhost, or send the header Authorization: Bearer with http.admin_token";
        return Problem::new(StatusCode::FORBIDDEN, error, hint).into_response();
    }
    // Reading /proc and rendering both take their time; neither may hold a runtime thread.
    match tokio::task::spawn_blocking(move || (state.metrics)()).await {
        Ok(text) => {
            ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
        }
        Err(_) => {
            let error = "the metrics could not be put together";
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error, "ask again").into_response()
        }
    }
}

/// Strangers hear which part is missing, and neither where it is nor why.
async fn ready(State(state): State<HttpState>, uri: Uri, headers: HeaderMap) -> Response {
    let Status { ready, mut missing, .. } = (state.status)();
    if admit(state.admin_token.as_ref(), "admin", &uri, &headers).is_err() {
        for part in &mut missing {
            part.truncate(part.find(':').unwrap_or(part.len()));
        }
    }
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(json!({ "ready": ready, "missing": missing }))).into_response()
}

async fn status(State(state): State<HttpState>, uri: Uri) -> Response {
    if uri.query().is_some_and(|query| !query.is_empty()) {
        let error = "this route knows no options";
        return Problem::new(StatusCode::BAD_REQUEST, error, "ask without a query").into_response();
    }
    Json((state.status)()).into_response()
}

#[cfg(test)]
mod tests;
