//! The events by which a template is checked.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use nightbell_core::event::{Event, Severity, Status, When};
use nightbell_core::fingerprint::Fingerprint;
use nightbell_core::ports::{Alert, Overrides};
use nightbell_core::priority::Priorities;
use nightbell_core::time::UnixMillis;

use crate::view::View;

const STATUSES: [Status; 3] = [Status::Failed, Status::Error, Status::Passed];

/// One event by which a template is checked. Displayed, it says which.
pub(super) struct Sample {
    pub(super) alert: Alert,
    recipients: Vec<String>,
    report_url: Option<&'static str>,
}

impl Sample {
    /// An event with every field and one with the required fields only, in every status and severity.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let endings = STATUSES
            .iter()
            .flat_map(|status| Severity::ALL.into_iter().rev().map(|severity| (*status, severity)));
        endings.flat_map(|(status, severity)| [Self::full(status, severity), Self::minimal(status, severity)])
    }

    fn full(status: Status, severity: Severity) -> Self {
        let text = |text: &str| Some(text.to_owned());
        let event = Event {
            id: text("run-7/buys-a-book"),
            status,
            severity,
            message: text("expected \"200\", got 500"),
            details: text("Traceback:\n  File \"C:\\tests\\a.py\", line 3\n\tassert ok\u{1}\u{1f514}"),
            suite: text("checkout"),
            environment: text("production"),
            run_id: text("run-7"),
            occurred_at: Some(When(UnixMillis(1_514_558_191_000))),
            tags: vec!["smoke".into(), "\"nightly\"".into()],
            labels: [("company", "Example"), ("zürich", "\\☎")]
                .map(|(name, text)| (name.into(), text.into()))
                .into(),
            ..Event::new("shop", "buys a \"book\"")
        };
        Self {
            alert: alert(event),
            recipients: vec!["payments-primary".into(), "jdoe|work-phone".into()],
            report_url: Some("https://reports.example.com/runs/7"),
        }
    }

    pub(super) fn minimal(status: Status, severity: Severity) -> Self {
        let event = Event { status, severity, ..Event::new("shop", "buys a book") };
        Self { alert: alert(event), recipients: Vec::new(), report_url: None }
    }

    pub(super) fn view(&self) -> View<'_> {
        View {
            alert: &self.alert,
            recipients: &self.recipients,
            priority: Priorities::default().of(self.alert.event.severity),
            report_url: self.report_url.map(Cow::Borrowed),
            report_left_out: None,
        }
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let event = &self.alert.event;
        let fields = if event.message.is_some() { "every field" } else { "the required fields only" };
        let (status, severity) = (event.status.as_str(), event.severity.as_str());
        write!(out, "an event with {fields}, status {status} and severity {severity}")
    }
}

/// The first attempt to send an event.
pub(crate) fn alert(event: Event) -> Alert {
    Alert {
        alert_id: Fingerprint::of([b"sample alert".as_slice()]),
        alert_key: Fingerprint::of([b"sample key".as_slice()]),
        event_id: event.id.clone().unwrap_or_else(|| "sample".into()),
        event: Arc::new(event),
        attempt: 1,
        overrides: Overrides::default(),
        trace: None,
    }
}
