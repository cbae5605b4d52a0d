//! One test alert: what it is, how it is sent, and what is said of the answer.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use nightbell_core::alert::{alert_id, alert_key};
use nightbell_core::event::{Event, Severity, When};
use nightbell_core::message::{EventId, Message};
use nightbell_core::outcome::Outcome;
use nightbell_core::ports::{Alert, Clock as _, Overrides, Sender as _};
use nightbell_worker::SystemClock;
use nightbell_xmatters::{Secrets, render};
use serde_json::{Value, json};

use super::host;
use super::meaning::{Meaning, meaning};
use crate::config::{Config, ConnectorConfig};
use crate::exit::Failure;
use crate::output::one_line;
use crate::terminal::fit_json;
use crate::wiring;

/// How much of an answer is shown, in characters.
const DETAIL_CHARS_MAX: usize = 400;

/// What a test came to.
pub(super) struct Trial {
    /// All that is known of it.
    pub(super) answer: Value,
    /// Why the command fails, if it does.
    pub(super) failure: Option<Failure>,
}

/// Sends a test alert by the connector's own sender.
pub(super) async fn trial(
    config: &Config,
    connector: &ConnectorConfig,
    severity: Severity,
) -> Result<Trial, Failure> {
    let sender = wiring::sender(connector)?;
    let alert = alert(config, connector, severity);
    let (alert_id, event_id) = (alert.alert_id.to_string(), alert.event_id.clone());
    let start = SystemClock.now();
    let outcome = sender.send(alert).await;
    let took = SystemClock.now().since(start);
    let Meaning { code, text } = meaning(&outcome);
    let detail = one_line(&outcome.detail(), DETAIL_CHARS_MAX);
    let answer = json!({
        "connector": connector.name,
        "host": host(connector),
        "severity": severity.as_str(),
        "alert_id": alert_id,
        "event_id": event_id,
        "outcome": outcome.kind().as_str(),
        "status": outcome.status(),
        "request_id": if let Outcome::Accepted { request_id } = &outcome { request_id.as_deref() } else { None },
        "took_ms": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        "detail": detail,
        "meaning": text,
    });
    let failure = code.map(|code| {
        Failure::new(code, format!("the test alert for `{}` was not accepted: {detail}", connector.name))
    });
    Ok(Trial { answer, failure })
}

/// The request that a test would make, its secrets masked.
pub(super) fn dry_run(
    config: &Config,
    connector: &ConnectorConfig,
    severity: Severity,
) -> Result<Value, Failure> {
    // Whatever would keep it from being sent is said here too.
    wiring::sender(connector)?;
    let body = masked_body(connector, &alert(config, connector, severity));
    Ok(json!({
        "connector": connector.name,
        "method": "POST",
        "host": host(connector),
        "payload": connector.destination.payload.as_str(),
        "body": body,
    }))
}

/// The body of an alert as it would be posted, any secret of the connector in it masked.
pub(in crate::commands) fn masked_body(connector: &ConnectorConfig, alert: &Alert) -> Value {
    let body = render(alert, &connector.destination);
    let masked = Secrets::of(&connector.destination).mask(&String::from_utf8_lossy(&body));
    serde_json::from_str(&masked).unwrap_or(Value::String(masked))
}

/// A request for people.
pub(super) fn request_text(request: &Value) -> String {
    let word = |key: &str| request[key].as_str().unwrap_or_default();
    format!(
        "nothing was sent; this would be the request of `{}`\n{} {} (the path is a secret)\n{}\n",
        word("connector"),
        word("method"),
        word("host"),
        fit_json(&format!("{:#}", request["body"]))
    )
}

/// An answer for people.
pub(super) fn answer_text(answer: &Value) -> String {
    let word = |key: &str| answer[key].as_str().unwrap_or_default();
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        writeln!(text, "{name:<10} {value}").expect("a String takes all text");
    };
    line("connector", &format!("{} at {}", word("connector"), word("host")));
    line("sent", &format!("test alert {} of severity {}", word("alert_id"), word("severity")));
    let outcome = word("outcome").replace('_', " ");
    let status = answer["status"].as_u64().map_or_else(String::new, |status| format!(" (HTTP {status})"));
    line("outcome", &format!("{outcome}{status} after {} ms", answer["took_ms"]));
    if let Some(id) = answer["request_id"].as_str() {
        line("requestId", &one_line(id, DETAIL_CHARS_MAX));
    } else {
        line("detail", word("detail"));
    }
    line("meaning", word("meaning"));
    text
}

/// An alert that nobody takes for a real one, with an id of its own, so that no flow takes it for a repeat.
fn alert(config: &Config, connector: &ConnectorConfig, severity: Severity) -> Alert {
    let now = SystemClock.now();
    let name = &connector.name;
    let id = format!("nightbell-test-{:016x}", rand::random::<u64>());
    let event = Event {
        id: Some(id.clone()),
        severity,
        message: Some(format!(
            "This is a TEST of Nightbell's connector `{name}`, sent by hand. Nothing has failed; nothing needs to be \
             done."
        )),
        occurred_at: Some(When(now)),
        tags: vec!["nightbell-test".into()],
        ..Event::new("TEST ALERT, please ignore", format!("nightbell connectors test {name}"))
    };
    let message = Message { body: Bytes::new(), ..Message::default() };
    let event_id = EventId::of(Some(&event.project), Some(&id), &message);
    Alert {
        alert_id: alert_id(name, event_id),
        alert_key: alert_key(&event, &config.dedup.by),
        event_id: id,
        event: Arc::new(event),
        attempt: 1,
        overrides: Overrides::default(),
        trace: None,
    }
}
