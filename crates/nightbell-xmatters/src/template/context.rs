//! What a template sees.

use minijinja::Value;

use crate::text::cut;
use crate::view::View;

/// The names that a template knows, in order.
pub(super) const NAMES: [&str; 20] = [
    "alert_id",
    "alert_key",
    "attempt",
    "details",
    "environment",
    "event_id",
    "labels",
    "message",
    "occurred_at",
    "priority",
    "project",
    "recipients",
    "report_url",
    "run_id",
    "severity",
    "status",
    "suite",
    "summary",
    "tags",
    "test",
];

/// The values, in the order of [`NAMES`]. Every text is cut as in the other payloads.
pub(super) fn context(view: &View<'_>) -> Value {
    let event = view.event();
    let text = |text: &str| Value::from(cut(text).as_ref());
    let option = |optional: Option<&str>| optional.map_or(Value::from(()), text);
    let summary = view.summary();
    let message = event.message.as_deref().filter(|text| !text.is_empty()).unwrap_or(&summary);
    let values = [
        Value::from(view.alert.alert_id.to_string()),
        Value::from(view.alert.alert_key.to_string()),
        Value::from(view.alert.attempt),
        option(event.details.as_deref()),
        option(event.environment.as_deref()),
        text(&view.alert.event_id),
        Value::from_pairs(view.labels().0.into_iter().map(|(name, text)| (name, Value::from(text.as_ref())))),
        text(message),
        event.occurred_at.map_or(Value::from(()), |when| Value::from(when.0.to_string())),
        Value::from(view.priority.as_str()),
        text(&event.project),
        view.recipients.iter().map(String::as_str).map(Value::from).collect(),
        option(view.report_url.as_deref()),
        option(event.run_id.as_deref()),
        Value::from(event.severity.as_str()),
        Value::from(event.status.as_str()),
        option(event.suite.as_deref()),
        text(&summary),
        view.tag_list().into_iter().map(|tag| Value::from(tag.as_ref())).collect(),
        text(&event.test),
    ];
    Value::from_pairs(NAMES.into_iter().zip(values))
}
