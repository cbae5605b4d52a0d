//! What a template sees.

use std::sync::LazyLock;

use minijinja::Value;
use nightbell_core::event::{Severity, Status};

use super::sample::Sample;
use crate::text::cut;
use crate::view::View;

/// The names that a template knows, in order.
pub(super) static NAMES: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let sample = Sample::minimal(Status::Failed, Severity::High);
    values(&sample.view()).into_iter().map(|(name, _)| name).collect()
});

pub(super) fn context(view: &View<'_>) -> Value {
    Value::from_pairs(values(view))
}

/// The values by their names. Every text is cut as in the other payloads.
fn values(view: &View<'_>) -> [(&'static str, Value); 20] {
    let event = view.event();
    let text = |text: &str| Value::from(cut(text).as_ref());
    let option = |optional: Option<&str>| optional.map_or(Value::from(()), text);
    let summary = view.summary();
    let message = event.message.as_deref().filter(|text| !text.is_empty()).unwrap_or(&summary);
    let labels = view.labels().0.into_iter().map(|(name, text)| (name, Value::from(text.as_ref())));
    [
        ("alert_id", Value::from(view.alert.alert_id.to_string())),
        ("alert_key", Value::from(view.alert.alert_key.to_string())),
        ("attempt", Value::from(view.alert.attempt)),
        ("details", option(event.details.as_deref())),
        ("environment", option(event.environment.as_deref())),
        ("event_id", text(&view.alert.event_id)),
        ("labels", Value::from_pairs(labels)),
        ("message", text(message)),
        ("occurred_at", event.occurred_at.map_or(Value::from(()), |when| Value::from(when.0.to_string()))),
        ("priority", Value::from(view.priority.as_str())),
        ("project", text(&event.project)),
        ("recipients", view.recipients.iter().map(String::as_str).map(Value::from).collect()),
        ("report_url", option(view.report_url.as_deref())),
        ("run_id", option(event.run_id.as_deref())),
        ("severity", Value::from(event.severity.as_str())),
        ("status", Value::from(event.status.as_str())),
        ("suite", option(event.suite.as_deref())),
        ("summary", text(&summary)),
        ("tags", view.tag_list().into_iter().map(|tag| Value::from(tag.as_ref())).collect()),
        ("test", text(&event.test)),
    ]
}
