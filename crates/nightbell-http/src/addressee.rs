//! Whom a request is meant for. A command that wants the worker of one embedded queue says which queue: another worker, or
//! the demo, may listen where it asks, and would take events that then are not where they belong.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::answer::Problem;

/// The header with the name of the embedded queue that a request is for. Without it, a request is for whoever listens.
pub const QUEUE_HEADER: &str = "nightbell-queue";

/// Refuses a request for another queue than this worker's, with nothing done (RFC 9110, 15.5.20).
pub(crate) async fn require_queue(
    State(own): State<Option<Arc<str>>>,
    request: Request,
    next: Next,
) -> Response {
    let wanted = request.headers().get(QUEUE_HEADER);
    if wanted.is_none_or(|wanted| own.is_some_and(|own| wanted.as_bytes() == own.as_bytes())) {
        return next.run(request).await;
    }
    let cure = "give each configuration its own http.listen";
    Problem::new(StatusCode::MISDIRECTED_REQUEST, "this worker has another queue", cure).into_response()
}
