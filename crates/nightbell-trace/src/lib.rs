//! Traces: each delivery of a message is a span, each attempt and each step that settles it a child, in the trace that the
//! message's `traceparent` names. Spans go to an OpenTelemetry collector as OTLP over HTTP.
//!
//! Off, a [`Tracer`] is one empty pointer. On, ending a span puts it into a bounded queue; a thread of its own exports
//! batches. This crate must never make anybody wait for a collector, fail because of one, or put a body, a token or a
//! URL into a span.

mod client;
mod export;
mod span;
mod tracer;

pub use self::span::{AttemptSpan, DeliverySpan, RequestSpan, StepSpan};
pub use self::tracer::{QueueTracer, TraceError, TraceSettings, Tracer, describe};
