//! Counting what was exported.

use std::time::Duration;

use metrics::{Counter, counter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

/// An exporter that counts the spans that the collector has taken.
#[derive(Debug)]
pub(crate) struct Counting<E> {
    inner: E,
    exported: Counter,
}

impl<E> Counting<E> {
    pub(crate) fn new(inner: E) -> Self {
        Self { inner, exported: counter!("nightbell_spans_exported_total") }
    }
}

impl<E: SpanExporter> SpanExporter for Counting<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        let exported = self.inner.export(batch).await;
        if exported.is_ok() {
            self.exported.increment(spans);
        }
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
