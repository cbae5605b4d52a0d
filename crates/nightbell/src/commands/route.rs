//! `nightbell route`: where an event would go, and what would be posted.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use nightbell_core::alert::{alert_id, alert_key};
use nightbell_core::event::{self, Event};
use nightbell_core::limits::EVENT_BYTES_MAX;
use nightbell_core::message::{EventId, Message};
use nightbell_core::ports::Alert;
use nightbell_core::routing::{AlertGroup, Routing, Unwanted, default_statuses};
use serde_json::{Value, json};

use crate::cli::Route;
use crate::config::Config;
use crate::exit::{Code, Failure};
use crate::output::{print, print_json};
use crate::wiring;

/// Prints where an event would go, with the reasons, its alert key, and the bodies that would be posted.
///
/// # Errors
/// The file can't be read, or is no event.
pub fn route(config: &Config, flags: &Route) -> Result<(), Failure> {
    let body = read(&flags.file)?;
    let shown = flags.file.display();
    let event = event::read(&body).map_err(|bad| Failure {
        code: Code::Data,
        error: anyhow::Error::new(bad).context(format!("{shown}")),
    })?;
    let routing = wiring::routing(config)?;
    let answer = answer(config, &routing, event, body);
    if flags.as_json.json { print_json(&answer) } else { print(&text(&answer)) }
}

fn read(path: &Path) -> Result<Bytes, Failure> {
    let mut body = Vec::new();
    let limit = EVENT_BYTES_MAX as u64 + 1;
    let read = if path.as_os_str() == "-" {
        std::io::stdin().lock().take(limit).read_to_end(&mut body)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut body))
    };
    read.map_err(|error| {
        let error = anyhow::Error::new(error).context(format!("read {}", path.display()));
        Failure { code: Code::NoInput, error }
    })?;
    Ok(body.into())
}

fn answer(config: &Config, routing: &Routing, event: Event, body: Bytes) -> Value {
    let message = Message { body, ..Message::default() };
    let event_id = EventId::of(event.id.as_deref(), &message);
    let groups: Vec<Value> = routing.groups.iter().map(|group| group_answer(group, &event)).collect();
    let targets = routing.route(&event);
    let key = alert_key(&event, &config.dedup.by);
    let event = Arc::new(event);
    let wanted = routing.groups.iter().any(|group| group.wants(&event).is_ok());
    let posts: Vec<Value> = config
        .connectors
        .iter()
        .filter(|connector| targets.contains(&connector.name))
        .map(|connector| {
            let alert = Alert {
                alert_id: alert_id(&connector.name, event_id),
                event_id: event.id.clone().unwrap_or_else(|| event_id.fingerprint().to_string()),
                event: Arc::clone(&event),
                attempt: 1,
            };
            let body = nightbell_xmatters::render(&alert, &wiring::destination(config, connector));
            let body: Value = serde_json::from_slice(&body).unwrap_or_default();
            json!({ "connector": connector.name, "alert_id": alert.alert_id.to_string(), "body": body })
        })
        .collect();
    json!({
        "project": event.project,
        "test": event.test,
        "alert_key": key.to_string(),
        "alert_groups": groups,
        "default_connectors": if wanted { "not used: an alert group wants the event" }
            else if default_statuses().contains(&event.status) { "used: no alert group wants the event" }
            else { "not used: they take failed and error only" },
        "posts": posts,
    })
}

fn group_answer(group: &AlertGroup, event: &Event) -> Value {
    let reason = match group.wants(event) {
        Ok(()) => return json!({ "name": group.name, "wants": true, "connectors": group.connectors }),
        Err(Unwanted::Project) => format!("no pattern fits the project `{}`", event.project),
        Err(Unwanted::Severity) => format!("the severity {} is below its least", event.severity.as_str()),
        Err(Unwanted::Status) => format!("it does not take the status {}", event.status.as_str()),
        Err(Unwanted::Tags) => "the event has none of its tags".to_owned(),
        Err(Unwanted::Label(name)) => format!("the label `{name}` is missing or differs"),
    };
    json!({ "name": group.name, "wants": false, "reason": reason })
}

fn text(answer: &Value) -> String {
    let mut text = String::new();
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut line = |line: String| writeln!(text, "{line}").expect("a String takes all text");
    line(format!("event      {} / {}", word(&answer["project"]), word(&answer["test"])));
    line(format!("alert key  {}", word(&answer["alert_key"])));
    for group in answer["alert_groups"].as_array().into_iter().flatten() {
        let decision = match group["reason"].as_str() {
            Some(reason) => format!("no: {reason}"),
            None => "yes".to_owned(),
        };
        line(format!("group      {}: {decision}", word(&group["name"])));
    }
    line(format!("defaults   {}", word(&answer["default_connectors"])));
    let posts = answer["posts"].as_array().cloned().unwrap_or_default();
    if posts.is_empty() {
        line("goes       nowhere: it would be acknowledged and counted as filtered".to_owned());
    }
    for post in posts {
        line(format!("goes to    {} as alert {}", word(&post["connector"]), word(&post["alert_id"])));
        line(format!("{:#}", post["body"]));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Answers every `${NAME}`.
    struct Planted;

    impl crate::config::Lookup for Planted {
        fn variable(&self, name: &str) -> Result<String, std::env::VarError> {
            let url = "https://acme.xmatters.com/api/integration/1/functions/planted/triggers";
            Ok(if name.ends_with("URL") { url } else { "planted-secret-value" }.to_owned())
        }

        fn file(&self, _: &Path) -> std::io::Result<String> {
            Ok("planted-secret-value".into())
        }
    }

    #[test]
    fn the_decision_comes_with_its_reasons_and_no_secret() {
        let config = Config::parse(crate::config::STARTER, Path::new("nightbell.toml"), &Planted).unwrap();
        let routing = wiring::routing(&config).unwrap();
        let event = Event::new("payments-eu", "pays");
        let answer = answer(&config, &routing, event, Bytes::from_static(b"{}"));
        let text = text(&answer);
        assert!(text.contains("goes to    payments as alert "), "{text}");
        assert!(!text.contains("planted") && !text.contains("/functions/"), "{text}");
    }
}
