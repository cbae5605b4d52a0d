//! Where an event goes and why, as data: what `nightbell route --json` prints.

use std::sync::Arc;

use bytes::Bytes;
use nightbell_core::alert::{alert_id, alert_key};
use nightbell_core::event::{Event, Severity, Status};
use nightbell_core::message::{EventId, Message};
use nightbell_core::ports::Alert;
use nightbell_core::priority::Priority;
use nightbell_core::routing::{AlertGroup, Decider, Pattern, Routing, default_statuses};
use nightbell_xmatters::report_left_out;
use serde::Serialize;
use serde_json::Value;

use crate::commands::connectors::masked_body;
use crate::config::{Config, ConnectorConfig};

/// Where an event goes.
#[derive(Debug, Serialize)]
pub(super) struct Decision {
    pub(super) project: String,
    pub(super) test: String,
    pub(super) status: Status,
    pub(super) severity: Severity,
    pub(super) alert_key: String,
    pub(super) alert_groups: Vec<Group>,
    pub(super) default_connectors: &'static str,
    pub(super) connectors: Vec<Target>,
}

/// Whether an alert group wants it.
#[derive(Debug, Serialize)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) wants: bool,
    pub(super) connectors: Vec<String>,
    pub(super) conditions: Vec<Condition>,
}

/// One condition of a group. A group that does not have it says so.
#[derive(Debug, Serialize)]
pub(super) struct Condition {
    pub(super) on: &'static str,
    pub(super) holds: bool,
    pub(super) reason: String,
}

/// Whether it goes to a connector.
#[derive(Debug, Serialize)]
pub(super) struct Target {
    pub(super) name: String,
    pub(super) goes: bool,
    pub(super) reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) post: Option<Post>,
}

/// What would be posted, secrets masked.
#[derive(Debug, Serialize)]
pub(super) struct Post {
    pub(super) alert_id: String,
    pub(super) payload: &'static str,
    /// What the deciding group has instead of the connector's recipients.
    pub(super) recipients: Option<Vec<String>>,
    /// What the deciding group has instead of the severity's priority.
    pub(super) priority: Option<Priority>,
    /// Why the event's link to its report is not in the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) report_left_out: Option<&'static str>,
    pub(super) body: Value,
}

/// Decides about an event; `body` is what it was read from, which names it if it has no id.
pub(super) fn decide(config: &Config, routing: &Routing, event: Event, body: Bytes) -> Decision {
    let message = Message { body, ..Message::default() };
    let event_id = EventId::of(Some(&event.project), event.id.as_deref(), &message);
    let event = Arc::new(event);
    let key = alert_key(&event, &config.dedup.by);
    let is_wanted = routing.groups.iter().any(|group| group.wants(&event).is_ok());
    let default_connectors = if is_wanted {
        "not used: an alert group wants the event"
    } else if default_statuses().contains(&event.status) {
        "used: no alert group wants the event"
    } else {
        "not used: they take failed and error only"
    };
    let target = |connector: &ConnectorConfig| {
        let alert = Alert {
            alert_id: alert_id(&connector.name, event_id),
            alert_key: key,
            event_id: event.id.clone().unwrap_or_else(|| event_id.fingerprint().to_string()),
            event: Arc::clone(&event),
            attempt: 1,
            overrides: routing.overrides(&connector.name, &event),
            trace: None,
        };
        target(connector, routing.deciding(&connector.name, &event), &alert)
    };
    Decision {
        project: event.project.clone(),
        test: event.test.clone(),
        status: event.status,
        severity: event.severity,
        alert_key: key.to_string(),
        alert_groups: routing.groups.iter().map(|one| group(one, &event)).collect(),
        default_connectors,
        connectors: config.connectors.iter().map(target).collect(),
    }
}

fn target(connector: &ConnectorConfig, decider: Option<Decider<'_>>, alert: &Alert) -> Target {
    let reason = match decider {
        Some(Decider::Group(group)) => format!("the alert group `{}` sends it here", group.name),
        Some(Decider::Defaults) => {
            "it is one of default_connectors, and no alert group wants the event".into()
        }
        None => "neither an alert group that wants the event nor default_connectors send it here".into(),
    };
    let post = decider.map(|_| Post {
        alert_id: alert.alert_id.to_string(),
        payload: connector.destination.payload.as_str(),
        recipients: alert.overrides.recipients.as_deref().map(<[String]>::to_vec),
        priority: alert.overrides.priority,
        report_left_out: report_left_out(&alert.event, connector.destination.report_base_url.as_ref()),
        body: masked_body(connector, alert),
    });
    Target { name: connector.name.to_string(), goes: post.is_some(), reason, post }
}

fn group(group: &AlertGroup, event: &Event) -> Group {
    Group {
        name: group.name.clone(),
        wants: group.wants(event).is_ok(),
        connectors: group.connectors.iter().map(ToString::to_string).collect(),
        conditions: conditions(group, event),
    }
}

/// Every condition of a group, in the order in which they are asked.
fn conditions(group: &AlertGroup, event: &Event) -> Vec<Condition> {
    let mut all = vec![project(&group.projects, &event.project)];
    all.extend(group.severity_at_least.map(|least| {
        let holds = event.severity >= least;
        let word = if holds { "is at least" } else { "is below" };
        condition("severity", holds, format!("{} {word} {}", event.severity.as_str(), least.as_str()))
    }));
    let statuses: Vec<_> = group.statuses.iter().map(|status| status.as_str()).collect();
    let holds = group.statuses.contains(&event.status);
    all.push(condition("status", holds, one_of(event.status.as_str(), holds, &statuses.join(", "))));
    if !group.tags.is_empty() {
        let holds = event.tags.iter().any(|tag| group.tags.contains(tag));
        let wanted = group.tags.iter().cloned().collect::<Vec<_>>().join(", ");
        let have = if event.tags.is_empty() { "none".to_owned() } else { event.tags.join(", ") };
        all.push(condition("tags", holds, format!("the event has {have}; one of {wanted} is wanted")));
    }
    all.extend(group.labels.iter().map(|(name, wanted)| {
        let have = event.labels.get(name);
        let shown = have.map_or_else(|| "is missing".to_owned(), |value| format!("is `{value}`"));
        condition("labels", have == Some(wanted), format!("`{name}` {shown}; `{wanted}` is wanted"))
    }));
    all
}

fn project(patterns: &[Pattern], project: &str) -> Condition {
    if patterns.is_empty() {
        return condition("project", true, "every project is wanted".into());
    }
    let all = patterns.iter().map(Pattern::as_str).collect::<Vec<_>>().join(", ");
    match patterns.iter().find(|pattern| pattern.fits(project)) {
        Some(pattern) => condition("project", true, format!("`{project}` fits {}", pattern.as_str())),
        None => condition("project", false, format!("`{project}` fits none of {all}")),
    }
}

fn one_of(word: &str, holds: bool, all: &str) -> String {
    if holds { format!("{word} is one of {all}") } else { format!("{word} is none of {all}") }
}

fn condition(on: &'static str, holds: bool, reason: String) -> Condition {
    Condition { on, holds, reason }
}
