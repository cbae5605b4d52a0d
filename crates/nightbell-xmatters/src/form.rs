//! The `form` payload: `properties`, `recipients` and `priority`, as the form of an xMatters workflow takes them.

use std::borrow::Cow;

use nightbell_core::event::Event;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::text::{TEXT_CHARS_MAX, cut, start};
use crate::view::View;

/// The properties that we set ourselves. A label of such a name becomes `label_NAME`.
const PROPERTIES: [&str; 16] = [
    "summary",
    "message",
    "project",
    "test",
    "suite",
    "environment",
    "status",
    "severity",
    "report_url",
    REPORT_LEFT_OUT,
    "occurred_at",
    "alert_id",
    "event_id",
    "attempt",
    "tags",
    LEFT_OUT,
];

/// How many labels found no room; only there if any did not.
const LEFT_OUT: &str = "labels_left_out";

/// Why there is no link; only there if the event has one that is not passed on.
const REPORT_LEFT_OUT: &str = "report_url_left_out";

/// The whole body.
pub(crate) struct Form<'a>(pub(crate) &'a View<'a>);

impl Serialize for Form<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self(view) = self;
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("properties", &Properties(view))?;
        if !view.recipients.is_empty() {
            map.serialize_entry("recipients", &view.recipients)?;
        }
        map.serialize_entry("priority", view.priority.as_str())?;
        map.end()
    }
}

struct Properties<'a>(&'a View<'a>);

impl Serialize for Properties<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self(view) = self;
        let event = view.event();
        let summary = view.summary();
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("summary", &cut(&summary))?;
        map.serialize_entry("message", &cut(&message(event, &summary)))?;
        map.serialize_entry("project", &cut(&event.project))?;
        map.serialize_entry("test", &cut(&event.test))?;
        for (name, text) in [("suite", &event.suite), ("environment", &event.environment)] {
            if let Some(text) = text {
                map.serialize_entry(name, &cut(text))?;
            }
        }
        map.serialize_entry("status", event.status.as_str())?;
        map.serialize_entry("severity", event.severity.as_str())?;
        if let Some(link) = &view.report_url {
            map.serialize_entry("report_url", &cut(link))?;
        }
        if let Some(reason) = view.report_left_out {
            map.serialize_entry(REPORT_LEFT_OUT, reason)?;
        }
        if let Some(when) = &event.occurred_at {
            map.serialize_entry("occurred_at", when)?;
        }
        map.serialize_entry("alert_id", &format_args!("{}", view.alert.alert_id))?;
        map.serialize_entry("event_id", &cut(&view.alert.event_id))?;
        map.serialize_entry("attempt", &view.alert.attempt)?;
        if !event.tags.is_empty() {
            map.serialize_entry("tags", &cut(&view.tags()))?;
        }
        let (labels, left_out) = view.labels();
        for (name, text) in labels {
            map.serialize_entry(&property_name(name, event), &text)?;
        }
        if left_out > 0 {
            map.serialize_entry(LEFT_OUT, &left_out)?;
        }
        map.end()
    }
}

/// The message, then the details. Without either it is the summary, because a form may ask for a message, and xMatters
/// drops an alert that lacks one after having answered 202.
fn message<'a>(event: &'a Event, summary: &'a str) -> Cow<'a, str> {
    // Details can be a megabyte; one character beyond the limit is enough to see that they must be cut.
    let part = |text: &'a Option<String>| {
        text.as_deref().filter(|text| !text.is_empty()).map(|text| start(text, TEXT_CHARS_MAX + 1))
    };
    match (part(&event.message), part(&event.details)) {
        (Some(message), Some(details)) => Cow::Owned(format!("{message}\n\n{details}")),
        (Some(only), None) | (None, Some(only)) => Cow::Borrowed(only),
        (None, None) => Cow::Borrowed(summary),
    }
}

/// A label's name as a property: `label_` goes before it as often as it takes to collide with none of ours and with no
/// other label.
fn property_name<'a>(label: &'a str, event: &Event) -> Cow<'a, str> {
    let mut name = Cow::Borrowed(label);
    if PROPERTIES.contains(&label) {
        while PROPERTIES.contains(&&*name) || event.labels.contains_key(&*name) {
            name = Cow::Owned(format!("label_{name}"));
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_never_missing() {
        #[track_caller]
        fn check(text: Option<&str>, details: Option<&str>, want: &str) {
            let (text, details) = (text.map(str::to_owned), details.map(str::to_owned));
            assert_eq!(message(&Event { message: text, details, ..Event::new("p", "t") }, "summary"), want);
        }
        check(Some("m"), Some("d"), "m\n\nd");
        check(Some("m"), None, "m");
        check(None, Some("d"), "d");
        check(Some(""), None, "summary");
        check(None, None, "summary");
    }

    #[test]
    fn a_long_message_and_long_details_are_cut_once() {
        let long = "ä".repeat(5_000);
        let event = Event { message: Some("m".into()), details: Some(long.clone()), ..Event::new("p", "t") };
        let text = message(&event, "");
        let kept = cut(&text);
        assert_eq!(kept.chars().count(), TEXT_CHARS_MAX);
        assert!(kept.starts_with("m\n\nää") && kept.ends_with("ä…"));
        let exact: String = long.chars().take(TEXT_CHARS_MAX).collect();
        assert_eq!(cut(&message(&Event { message: Some(exact.clone()), ..Event::new("p", "t") }, "")), exact);
    }

    #[test]
    fn a_label_never_takes_the_place_of_another_property() {
        let labels =
            ["summary", "label_summary", "test", "team"].map(|name| (name.to_owned(), String::new()));
        let event = Event { labels: labels.into(), ..Event::new("p", "t") };
        assert_eq!(property_name("team", &event), "team");
        assert_eq!(property_name("test", &event), "label_test");
        assert_eq!(property_name("label_summary", &event), "label_summary");
        assert_eq!(property_name("summary", &event), "label_label_summary");
    }
}
