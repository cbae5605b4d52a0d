//! Answers that say what is wrong. They never hold a body, a token or a URL.

use std::borrow::Cow;
use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

/// An error answer: `{"error": …, "hint": …}` as JSON.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    error: Cow<'static, str>,
    hint: Cow<'static, str>,
    retry_after: Option<Duration>,
    more: Map<String, Value>,
}

impl Problem {
    /// An answer of this status, with what is wrong and what would put it right.
    #[must_use]
    pub fn new(
        status: StatusCode,
        error: impl Into<Cow<'static, str>>,
        hint: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { status, error: error.into(), hint: hint.into(), retry_after: None, more: Map::new() }
    }

    /// Says when to come again, in whole seconds.
    #[must_use]
    pub fn retry_after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }

    /// Adds a field.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.more.insert(name.to_owned(), value);
        self
    }

    pub(crate) fn unauthorized(which: &'static str) -> Self {
        let error = format!("this route wants the {which} token");
        Self::new(StatusCode::UNAUTHORIZED, error, "send the header Authorization: Bearer TOKEN")
    }

    /// For a route that has no token; `why` says what the request does.
    pub(crate) fn tokenless(which: &'static str, why: &'static str) -> Self {
        let error = format!("this route has no token, and the request {why}");
        let hint = format!("set http.{which}_token, and send the header Authorization: Bearer TOKEN");
        Self::new(StatusCode::FORBIDDEN, error, hint)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({ "error": self.error, "hint": self.hint });
        if let Some(fields) = body.as_object_mut() {
            fields.extend(self.more);
        }
        let mut answer = (self.status, Json(body)).into_response();
        if let Some(wait) = self.retry_after {
            answer.headers_mut().insert(header::RETRY_AFTER, wait.as_secs().max(1).into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        answer
    }
}

/// The answer where there is no route.
pub(crate) async fn no_route() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "there is no such route", "GET /openapi.json lists them")
}

/// The answer where a route knows other methods; axum adds the `Allow` header.
pub(crate) async fn no_method() -> Problem {
    let error = "this route does not know the method";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, error, "the header Allow lists those it knows")
}
