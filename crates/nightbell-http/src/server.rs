//! The routes.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use metrics_exporter_prometheus::PrometheusHandle;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use subtle::ConstantTimeEq as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::status::Status;

/// What the routes show.
#[derive(Clone)]
pub struct Face {
    /// The metrics.
    pub metrics: PrometheusHandle,
    /// The worker's state, put together anew for each request; it must not block.
    pub status: Arc<dyn Fn() -> Status + Send + Sync>,
    /// The token that `/v1/status` wants; none on loopback only.
    pub admin_token: Option<SecretString>,
}

/// Serves until `stop` is cancelled.
///
/// # Errors
/// The listener failed.
pub async fn serve(listener: TcpListener, face: Face, stop: CancellationToken) -> std::io::Result<()> {
    let routes = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/v1/status", get(status))
        .with_state(face);
    axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned()).await
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
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn ready(State(face): State<Face>) -> Response {
    let Status { ready, missing, .. } = (face.status)();
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(json!({ "ready": ready, "missing": missing }))).into_response()
}

async fn status(State(face): State<Face>, headers: HeaderMap) -> Response {
    if !is_allowed(face.admin_token.as_ref(), &headers) {
        let hint = json!({ "error": "this route wants the admin token: Authorization: Bearer …" });
        let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
        return (StatusCode::UNAUTHORIZED, challenge, Json(hint)).into_response();
    }
    Json((face.status)()).into_response()
}

/// Compares in constant time, so that the token can't be guessed byte by byte.
fn is_allowed(token: Option<&SecretString>, headers: &HeaderMap) -> bool {
    let Some(token) = token else { return true };
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    given.is_some_and(|given| given.as_bytes().ct_eq(token.expose_secret().as_bytes()).into())
}
