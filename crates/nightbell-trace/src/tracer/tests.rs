use std::collections::HashMap;

use bytes::Bytes;
use nightbell_core::dead::Reason;
use nightbell_core::event::Event;
use nightbell_core::fingerprint::Fingerprint;
use nightbell_core::outcome::Outcome;
use nightbell_core::owner::Ending;
use nightbell_core::ports::{Alert, Destination, Overrides};
use nightbell_core::trace::headers;
use opentelemetry::trace::Status;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SpanData};

use super::*;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn tracer(sample_percent: u8) -> (Tracer, InMemorySpanExporter) {
    let exporter = InMemorySpanExporter::default();
    let settings = TraceSettings {
        endpoint: "http://127.0.0.1:4318".parse().unwrap(),
        sample_percent,
        system: "rabbitmq",
        prefix: "nb".into(),
        version: "0",
    };
    (Tracer::exporting(settings, exporter.clone()), exporter)
}

fn message(traceparent: Option<&str>) -> Message {
    let headers = headers(traceparent, Some("a=1"));
    Message {
        body: Bytes::from_static(b"secret body"),
        message_id: Some("m".into()),
        headers,
        ..Message::default()
    }
}

fn alert() -> Alert {
    Alert {
        alert_id: Fingerprint::of([]),
        alert_key: Fingerprint::of([]),
        event_id: "e".into(),
        event: Arc::new(Event::new("p", "t")),
        attempt: 2,
        overrides: Overrides::default(),
        trace: None,
    }
}

fn spans(tracer: &Tracer, exporter: &InMemorySpanExporter) -> HashMap<String, SpanData> {
    tracer.0.as_ref().unwrap().provider.force_flush().unwrap();
    let spans = exporter.get_finished_spans().unwrap();
    spans.into_iter().map(|span| (span.name.to_string(), span)).collect()
}

fn attribute(span: &SpanData, name: &str) -> String {
    let found = span.attributes.iter().find(|attribute| attribute.key.as_str() == name);
    found.map(|attribute| attribute.value.to_string()).unwrap_or_default()
}

#[test]
fn a_delivery_its_attempt_and_its_settling_are_one_trace() {
    let (tracer, exporter) = tracer(0);
    let queue = tracer.queue(&"sre".parse().unwrap());
    let mut message = message(Some(PARENT));
    let mut delivery = queue.received(&mut message);
    assert_eq!(TraceParent::of(&message.headers), PARENT.parse().ok(), "the producer's place stays");
    let mut alert = alert();
    let attempt = delivery.attempt(&mut alert);
    attempt.ended(&Outcome::Refused { status: 400, body: "secret answer".into() });
    delivery.publishing(&Destination::Dead).ended(true);
    delivery.acking(Ending::Dead(Reason::Refused)).ended(true);
    drop(delivery);
    let spans = spans(&tracer, &exporter);
    let [process, post, send, ack] =
        ["process nb.connector.sre", "POST", "send nb.dead", "ack nb.connector.sre"].map(|name| &spans[name]);
    let trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
    assert!(
        spans.values().all(|span| span.span_context.trace_id().to_string() == trace_id),
        "sampled as its parent"
    );
    assert_eq!(process.parent_span_id.to_string(), "00f067aa0ba902b7");
    assert_eq!(process.span_context.trace_state().get("a"), Some("1"));
    for child in [post, send, ack] {
        assert_eq!(child.parent_span_id, process.span_context.span_id());
    }
    assert_eq!(alert.trace, place(&post.span_context), "xMatters sees the attempt");
    assert_eq!(attribute(post, "http.response.status_code"), "400");
    assert_eq!(attribute(post, "http.request.resend_count"), "1");
    assert_eq!(attribute(process, "messaging.message.id"), "m");
    assert_eq!(attribute(process, "nightbell.result"), "dead");
    assert!(matches!(process.status, Status::Error { .. }));
    assert!(!format!("{spans:?}").contains("secret"), "neither bodies nor answers");
}

#[test]
fn a_long_id_is_cut() {
    let (tracer, exporter) = tracer(100);
    let mut message = Message { message_id: Some("m".repeat(100_000)), ..message(None) };
    drop(tracer.queue(&"sre".parse().unwrap()).received(&mut message));
    let id = attribute(&spans(&tracer, &exporter)["process nb.connector.sre"], "messaging.message.id");
    assert!(id.starts_with("mmm") && id.len() <= 200, "{} bytes", id.len());
}

#[test]
fn a_message_without_a_place_gets_one_that_its_copies_keep() {
    let (tracer, exporter) = tracer(100);
    let queue = tracer.queue(&"sre".parse().unwrap());
    let mut message = Message { headers: Headers::new(), ..message(None) };
    drop(queue.received(&mut message));
    let first = TraceParent::of(&message.headers).unwrap();
    drop(queue.received(&mut message));
    assert_eq!(TraceParent::of(&message.headers), Some(first));
    tracer.0.as_ref().unwrap().provider.force_flush().unwrap();
    let spans = exporter.get_finished_spans().unwrap();
    assert_eq!(spans.len(), 2);
    assert_eq!(spans[0].span_context.trace_id(), spans[1].span_context.trace_id());
    assert_eq!(spans[1].parent_span_id, spans[0].span_context.span_id());
}

#[test]
fn what_is_not_recorded_is_carried_on_all_the_same() {
    let (tracer, exporter) = tracer(0);
    let queue = tracer.queue(&"sre".parse().unwrap());
    let (mut message, mut alert) = (message(None), alert());
    let delivery = queue.received(&mut message);
    delivery.attempt(&mut alert).ended(&Outcome::TimedOut);
    drop(delivery);
    let (span, headers) = tracer.request("/v1/events", Headers::new());
    span.ended(202);
    assert!(spans(&tracer, &exporter).is_empty());
    assert_eq!(alert.trace.map(TraceParent::flags), Some(0));
    assert_eq!(
        alert.trace.map(TraceParent::trace_id),
        TraceParent::of(&message.headers).map(TraceParent::trace_id)
    );
    assert!(TraceParent::of(&headers).is_some());
}

#[test]
fn a_request_hands_its_place_to_its_messages() {
    let (tracer, exporter) = tracer(0);
    let (span, headers) = tracer.request("/v1/events", headers(Some(PARENT), Some("a=1")));
    span.ended(503);
    let spans = spans(&tracer, &exporter);
    let request = &spans["POST /v1/events"];
    assert_eq!(TraceParent::of(&headers), place(&request.span_context));
    assert!(headers.contains_key(TRACESTATE));
    assert!(matches!(request.status, Status::Error { .. }));
}

#[test]
fn off_nothing_is_touched() {
    let tracer = Tracer::off();
    let (mut message, mut alert) = (message(None), alert());
    let before = message.clone();
    let delivery = tracer.queue(&"sre".parse().unwrap()).received(&mut message);
    delivery.attempt(&mut alert).ended(&Outcome::TimedOut);
    assert_eq!((message, alert.trace), (before, None));
    tracer.close();
}

#[test]
fn the_path_of_traces_is_added() {
    let check = |endpoint: &str, want: &str| assert_eq!(traces_url(&endpoint.parse().unwrap()), want);
    check("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces");
    check("https://a.example/otlp/", "https://a.example/otlp/v1/traces");
}
