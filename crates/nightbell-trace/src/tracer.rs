//! The tracer, and what it is made of.

use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, counter, describe_counter};
use nightbell_core::connector::Connector;
use nightbell_core::journey::cut;
use nightbell_core::limits::EVENT_ID_SHOWN_BYTES_MAX;
use nightbell_core::message::{HeaderValue, Headers, Message};
use nightbell_core::trace::{TRACEPARENT, TRACESTATE, TraceParent};
use opentelemetry::trace::{
    Span as _, SpanContext, SpanId, SpanKind, TraceContextExt as _, TraceFlags, TraceId, TraceState,
    Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue, StringValue, Value};
use opentelemetry_otlp::{Protocol, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider, Span, SpanExporter,
};
use url::Url;

use crate::client::{Collector, REQUEST_MAX};
use crate::export::Counting;
use crate::span::{DeliverySpan, RequestSpan};

/// The most spans that wait for their export; more are lost, and counted as ended only.
const WAITING_MAX: usize = 8_192;

/// The most spans of one request.
const BATCH_MAX: usize = 512;

/// How long a span waits for others to go with it.
const BATCH_EVERY: Duration = Duration::from_secs(2);

/// The longest time that the last spans get when the worker stops.
const CLOSE_MAX: Duration = Duration::from_secs(5);

/// Where spans go, and what they say of this worker.
#[derive(Debug, Clone)]
pub struct TraceSettings {
    /// The collector. `/v1/traces` is added to it.
    pub endpoint: Url,
    /// How many in a hundred of the traces that begin here are recorded, 0 to 100. One that a producer began is recorded
    /// as its producer chose.
    pub sample_percent: u8,
    /// The queue's kind, as `messaging.system` has it.
    pub system: &'static str,
    /// What the names of queues begin with.
    pub prefix: String,
    /// The version of this program.
    pub version: &'static str,
}

/// Traces can't be made.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The client can't be built.
    #[error("failed to build the HTTP client for traces")]
    Client {
        /// Why; it holds no URL.
        source: reqwest::Error,
    },
    /// The exporter does not take the settings, or one of the environment's `OTEL_…`.
    #[error("failed to build the exporter of traces")]
    Exporter {
        /// What the exporter says.
        source: opentelemetry_otlp::ExporterBuildError,
    },
}

/// Describes the metrics of this crate, and touches their series.
pub fn describe() {
    describe_counter!("nightbell_spans_ended_total", "Spans that were recorded; 0 while traces are off");
    describe_counter!("nightbell_spans_exported_total", "Spans that the trace collector has taken");
    counter!("nightbell_spans_ended_total").increment(0);
    counter!("nightbell_spans_exported_total").increment(0);
}

/// The way to make spans; off by default. Clones share everything.
#[derive(Debug, Clone, Default)]
pub struct Tracer(Option<Arc<Pipeline>>);

pub(crate) struct Pipeline {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    ended: Counter,
    pub(crate) system: StringValue,
    pub(crate) prefix: String,
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Pipeline").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Tracer {
    /// A tracer that makes no spans.
    #[must_use]
    pub fn off() -> Self {
        Self(None)
    }

    /// A tracer whose spans go to a collector. It need not be there. Must be called within a tokio runtime, after the
    /// metrics recorder is installed.
    ///
    /// # Errors
    /// [`TraceError`]: the settings, or the environment's `OTEL_…`, can't be used.
    pub fn start(settings: TraceSettings) -> Result<Self, TraceError> {
        let collector = Collector::new().map_err(|source| TraceError::Client { source })?;
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(collector)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(traces_url(&settings.endpoint))
            .with_timeout(REQUEST_MAX)
            .build()
            .map_err(|source| TraceError::Exporter { source })?;
        Ok(Self::exporting(settings, exporter))
    }

    pub(crate) fn exporting(settings: TraceSettings, exporter: impl SpanExporter + 'static) -> Self {
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(WAITING_MAX)
            .with_max_export_batch_size(BATCH_MAX)
            .with_scheduled_delay(BATCH_EVERY)
            .build();
        let processor =
            BatchSpanProcessor::builder(Counting::new(exporter)).with_batch_config(batches).build();
        let resource = Resource::builder()
            .with_service_name("nightbell")
            .with_attribute(KeyValue::new("service.version", settings.version))
            .build();
        let ratio = f64::from(settings.sample_percent) / 100.0;
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio))))
            .with_resource(resource)
            .build();
        Self(Some(Arc::new(Pipeline {
            tracer: provider.tracer("nightbell"),
            provider,
            ended: counter!("nightbell_spans_ended_total"),
            system: settings.system.into(),
            prefix: settings.prefix,
        })))
    }

    /// The tracer of one connector's queue.
    #[must_use]
    pub fn queue(&self, connector: &Connector) -> QueueTracer {
        QueueTracer(self.0.as_ref().map(|pipeline| {
            let queue = format!("{}.connector.{connector}", pipeline.prefix);
            let name = connector.as_str().to_owned().into();
            Arc::new(OfQueue {
                pipeline: Arc::clone(pipeline),
                queue: Arc::<str>::from(queue).into(),
                connector: name,
            })
        }))
    }

    /// Begins the span of a request that brings events; `headers` say where in which trace it was made. Gives the headers
    /// for the messages that it becomes, too.
    #[must_use]
    pub fn request(&self, route: &'static str, mut headers: Headers) -> (RequestSpan, Headers) {
        let Some(pipeline) = &self.0 else { return (RequestSpan(None), headers) };
        let attributes = || [("http.request.method", "POST".into()), ("http.route", route.into())];
        let parent = context_of(&headers);
        let counted = pipeline.begin(format!("POST {route}"), SpanKind::Server, &parent, attributes);
        put(&mut headers, counted.span.span_context());
        (RequestSpan(Some(counted)), headers)
    }

    /// Exports what waits, within a few seconds, and makes no spans from then on. It blocks; the runtime on which the
    /// tracer was started must go on meanwhile.
    pub fn close(&self) {
        if let Some(pipeline) = &self.0 {
            // That spans were lost, the metrics say.
            drop(pipeline.provider.shutdown_with_timeout(CLOSE_MAX));
        }
    }
}

impl Pipeline {
    /// Begins a span, with these attributes if it is recorded.
    pub(crate) fn begin<const N: usize>(
        &self,
        name: String,
        kind: SpanKind,
        parent: &Context,
        attributes: impl FnOnce() -> [(&'static str, Value); N],
    ) -> CountedSpan {
        let mut span =
            self.tracer.span_builder(name).with_kind(kind).start_with_context(&self.tracer, parent);
        if span.is_recording() {
            span.set_attributes(attributes().map(|(key, value)| KeyValue::new(key, value)));
        }
        CountedSpan { span, ended: self.ended.clone() }
    }
}

/// A span that ends when it is dropped, and is counted then.
pub(crate) struct CountedSpan {
    pub(crate) span: Span,
    ended: Counter,
}

impl Drop for CountedSpan {
    fn drop(&mut self) {
        if self.span.is_recording() {
            self.ended.increment(1);
        }
    }
}

impl CountedSpan {
    pub(crate) fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        if self.span.is_recording() {
            self.span.set_attribute(KeyValue::new(key, value));
        }
    }

    /// The context for its children.
    pub(crate) fn context(&self) -> Context {
        Context::new().with_remote_span_context(self.span.span_context().clone())
    }

    pub(crate) fn place(&self) -> Option<TraceParent> {
        place(self.span.span_context())
    }
}

/// The tracer of one connector's queue.
#[derive(Debug, Clone, Default)]
pub struct QueueTracer(Option<Arc<OfQueue>>);

#[derive(Debug)]
pub(crate) struct OfQueue {
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) queue: StringValue,
    connector: StringValue,
}

impl QueueTracer {
    /// Begins the span of a delivery, and puts a message that is in no trace into a new one, so that its retries and its
    /// dead letter stay in it.
    #[must_use]
    pub fn received(&self, message: &mut Message) -> DeliverySpan {
        let Some(of) = &self.0 else { return DeliverySpan(None) };
        let parent = context_of(&message.headers);
        let bytes = i64::try_from(message.body.len()).unwrap_or(i64::MAX);
        let attributes = || {
            let [system, name, operation, kind] = of.attributes("process", "process");
            let connector = ("nightbell.connector", of.connector.clone().into());
            [system, name, operation, kind, connector, ("messaging.message.body.size", bytes.into())]
        };
        let name = format!("process {}", of.queue);
        let mut counted = of.pipeline.begin(name, SpanKind::Consumer, &parent, attributes);
        if !parent.has_active_span() {
            put(&mut message.headers, counted.span.span_context());
        }
        if let Some(id) = &message.message_id {
            counted.set("messaging.message.id", cut(id, EVENT_ID_SHOWN_BYTES_MAX));
        }
        DeliverySpan(Some(Box::new((Arc::clone(of), counted))))
    }
}

impl OfQueue {
    /// What each span about this queue says.
    pub(crate) fn attributes(&self, name: &'static str, kind: &'static str) -> [(&'static str, Value); 4] {
        [
            ("messaging.system", self.pipeline.system.clone().into()),
            ("messaging.destination.name", self.queue.clone().into()),
            ("messaging.operation.name", name.into()),
            ("messaging.operation.type", kind.into()),
        ]
    }
}

/// Where OTLP requests go.
fn traces_url(endpoint: &Url) -> String {
    format!("{}/v1/traces", endpoint.as_str().trim_end_matches('/'))
}

/// The context that headers name; an empty one if they name none.
fn context_of(headers: &Headers) -> Context {
    let Some(parent) = TraceParent::of(headers) else { return Context::new() };
    let state = match headers.get(TRACESTATE) {
        Some(HeaderValue::Text(text)) => text.parse::<TraceState>().unwrap_or_default(),
        Some(HeaderValue::Number(_) | HeaderValue::Flag(_)) | None => TraceState::default(),
    };
    Context::new().with_remote_span_context(SpanContext::new(
        TraceId::from_bytes(parent.trace_id().0.to_be_bytes()),
        SpanId::from_bytes(parent.span_id().to_be_bytes()),
        TraceFlags::new(parent.flags()),
        true,
        state,
    ))
}

fn place(context: &SpanContext) -> Option<TraceParent> {
    let trace_id = u128::from_be_bytes(context.trace_id().to_bytes());
    let span_id = u64::from_be_bytes(context.span_id().to_bytes());
    TraceParent::new(trace_id, span_id, context.trace_flags().to_u8())
}

fn put(headers: &mut Headers, context: &SpanContext) {
    if let Some(place) = place(context) {
        headers.insert(TRACEPARENT.to_owned(), HeaderValue::Text(place.to_string()));
    }
}

#[cfg(test)]
mod tests;
