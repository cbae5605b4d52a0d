//! Alerts: an event on its way to one connector.

use std::fmt::Write as _;

use crate::connector::Connector;
use crate::event::{Event, Severity};
use crate::fingerprint::Fingerprint;
use crate::message::EventId;

/// What the alert key is computed from (`dedup.by`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPart {
    /// The event's project.
    Project,
    /// The event's suite.
    Suite,
    /// The event's test.
    Test,
    /// The event's environment.
    Environment,
    /// The event's status.
    Status,
    /// The event's severity.
    Severity,
    /// The event's run.
    RunId,
    /// The label of this name.
    Label(String),
}

impl KeyPart {
    /// The words that `dedup.by` knows, besides `labels.NAME`.
    pub const WORDS: [&'static str; 7] =
        ["project", "suite", "test", "environment", "status", "severity", "run_id"];

    /// Reads a word of `dedup.by`; `labels.NAME` stands for a label.
    #[must_use]
    pub fn read(word: &str) -> Option<Self> {
        Some(match word {
            "project" => Self::Project,
            "suite" => Self::Suite,
            "test" => Self::Test,
            "environment" => Self::Environment,
            "status" => Self::Status,
            "severity" => Self::Severity,
            "run_id" => Self::RunId,
            _ => Self::Label(word.strip_prefix("labels.").filter(|name| !name.is_empty())?.to_owned()),
        })
    }

    fn of<'a>(&self, event: &'a Event) -> Option<&'a str> {
        match self {
            Self::Project => Some(&event.project),
            Self::Suite => event.suite.as_deref(),
            Self::Test => Some(&event.test),
            Self::Environment => event.environment.as_deref(),
            Self::Status => Some(event.status.as_str()),
            Self::Severity => Some(event.severity.as_str()),
            Self::RunId => event.run_id.as_deref(),
            Self::Label(name) => event.labels.get(name).map(String::as_str),
        }
    }
}

/// The alert key: what makes two events the same alert. An event's `dedup_key`, which counts within its project,
/// overrides what `by` would give.
#[must_use]
pub fn alert_key(event: &Event, by: &[KeyPart]) -> Fingerprint {
    if let Some(own) = &event.dedup_key {
        return Fingerprint::of([b"own of project".as_slice(), event.project.as_bytes(), own.as_bytes()]);
    }
    let mut text = String::new();
    for part in by {
        match part.of(event) {
            // Absent and empty differ, and the length keeps neighbours apart.
            Some(value) => write!(text, "{}:{value}", value.len()),
            None => write!(text, "-"),
        }
        .expect("a String takes all text");
    }
    Fingerprint::of([b"by".as_slice(), text.as_bytes()])
}

/// The name under which the ledger keeps that an alert of this severity was told under an alert key: what is told at one
/// severity suppresses the same and lower ones, never a higher one. `high`, the default, has the key itself, as all had
/// in earlier versions.
#[must_use]
pub fn told_key(key: Fingerprint, severity: Severity) -> Fingerprint {
    match severity {
        Severity::High => key,
        Severity::Minimal | Severity::Low | Severity::Medium | Severity::Critical => {
            Fingerprint::of([b"told".as_slice(), severity.as_str().as_bytes(), &key.0])
        }
    }
}

/// The stable id of one alert, the same for every attempt, redelivery and replay: xMatters has no idempotency key, so
/// the receiving flow can correlate by it.
#[must_use]
pub fn alert_id(connector: &Connector, event: EventId) -> Fingerprint {
    Fingerprint::of([b"alert".as_slice(), connector.as_str().as_bytes(), &event.fingerprint().0])
}

#[cfg(test)]
mod tests {
    use super::*;

    const BY: [KeyPart; 4] = [KeyPart::Project, KeyPart::Suite, KeyPart::Test, KeyPart::Environment];

    #[test]
    fn the_alert_key_ignores_what_it_is_not_computed_from() {
        let one = Event { id: Some("1".into()), message: Some("x".into()), ..Event::new("p", "t") };
        assert_eq!(alert_key(&one, &BY), alert_key(&Event::new("p", "t"), &BY));
    }

    #[test]
    fn every_part_of_the_alert_key_counts() {
        let base = alert_key(&Event::new("p", "t"), &BY);
        let suite = Event { suite: Some(String::new()), ..Event::new("p", "t") };
        let environment = Event { environment: Some("e".into()), ..Event::new("p", "t") };
        for other in [Event::new("q", "t"), Event::new("p", "u"), Event::new("pt", ""), suite, environment] {
            assert_ne!(alert_key(&other, &BY), base, "{other:?}");
        }
    }

    #[test]
    fn an_events_own_key_overrides() {
        let own = |test: &str| Event { dedup_key: Some("k".into()), ..Event::new("p", test) };
        assert_eq!(alert_key(&own("t"), &BY), alert_key(&own("u"), &BY));
        let another = Event { dedup_key: Some("k".into()), ..Event::new("q", "t") };
        assert_ne!(alert_key(&another, &BY), alert_key(&own("t"), &BY), "it counts within its project");
    }

    #[test]
    fn each_severity_is_told_under_a_name_of_its_own() {
        let key = Fingerprint([7; 16]);
        let names: std::collections::BTreeSet<_> =
            Severity::ALL.map(|severity| told_key(key, severity)).into();
        assert_eq!(names.len(), Severity::ALL.len());
        assert_eq!(told_key(key, Severity::default()), key, "records of earlier versions are found");
    }

    #[test]
    fn the_words_of_dedup_by_are_read() {
        assert!(KeyPart::WORDS.iter().all(|word| KeyPart::read(word).is_some()));
        assert_eq!(KeyPart::read("labels.team"), Some(KeyPart::Label("team".into())));
        assert_eq!(KeyPart::read("labels."), None);
        assert_eq!(KeyPart::read("colour"), None);
    }
}
