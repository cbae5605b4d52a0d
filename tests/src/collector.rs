//! A stand-in for an OpenTelemetry collector: it takes OTLP over HTTP and keeps the spans.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A collector that runs. It ends when dropped.
#[derive(Debug)]
pub struct Collector {
    at: SocketAddr,
    taken: Taken,
    server: JoinHandle<()>,
}

#[derive(Debug, Clone, Default)]
struct Taken(Arc<Mutex<Vec<Spanned>>>);

/// One span, and the resource that it came from.
#[derive(Debug, Clone)]
pub struct Spanned {
    /// Its name.
    pub name: String,
    /// Its trace, in hexadecimal.
    pub trace_id: String,
    /// Its own id, in hexadecimal.
    pub span_id: String,
    /// Its parent's, in hexadecimal.
    pub parent_id: String,
    /// Its attributes and its resource's, `key=value`.
    pub attributes: Vec<String>,
}

impl Collector {
    /// Starts a collector on loopback.
    ///
    /// # Errors
    /// There is no port.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("listen")?;
        let (at, taken) = (listener.local_addr()?, Taken::default());
        let routes = Router::new().route("/v1/traces", post(take)).with_state(taken.clone());
        // An end by an error shows as missing spans.
        let server = tokio::spawn(async move { drop(axum::serve(listener, routes).await) });
        Ok(Self { at, taken, server })
    }

    /// What `telemetry.otlp_endpoint` is to be.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.at)
    }

    /// All spans that have come so far.
    #[must_use]
    pub fn spans(&self) -> Vec<Spanned> {
        self.taken.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn take(State(taken): State<Taken>, body: Bytes) -> Response {
    let Ok(request) = ExportTraceServiceRequest::decode(body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let mut spans = Vec::new();
    for resource in request.resource_spans {
        let of_resource = resource.resource.map(|resource| resource.attributes).unwrap_or_default();
        for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            let attributes = span.attributes.iter().chain(&of_resource).map(|attribute| {
                format!(
                    "{}={}",
                    attribute.key,
                    text(attribute.value.as_ref().and_then(|value| value.value.as_ref()))
                )
            });
            spans.push(spanned(&span, attributes.collect()));
        }
    }
    taken.0.lock().unwrap_or_else(PoisonError::into_inner).extend(spans);
    let answer = ExportTraceServiceResponse::default().encode_to_vec();
    ([(header::CONTENT_TYPE, "application/x-protobuf")], answer).into_response()
}

fn spanned(span: &Span, attributes: Vec<String>) -> Spanned {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    Spanned {
        name: span.name.clone(),
        trace_id: hex(&span.trace_id),
        span_id: hex(&span.span_id),
        parent_id: hex(&span.parent_span_id),
        attributes,
    }
}

fn text(value: Option<&Value>) -> String {
    match value {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}
