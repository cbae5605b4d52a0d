//! A dead letter as an operator sees it, and which of them a selector means.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use nightbell_core::alert::alert_id;
use nightbell_core::connector::Connector;
use nightbell_core::dead::Reason;
use nightbell_core::event::{self, Event};
use nightbell_core::fingerprint::Fingerprint;
use nightbell_core::journey::{Death, Journey};
use nightbell_core::limits::REPLAY_MAX;
use nightbell_core::message::{EventId, Message};
use nightbell_core::routing::{BadPattern, Pattern};
use nightbell_core::time::UnixMillis;
use serde_json::{Value, json};

use crate::cli::Selector;
use crate::output::one_line;

/// A dead letter, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Letter {
    /// The alert's id: the same that xMatters gets as `alert_id`. Without a connector, a name of the event alone.
    pub id: Fingerprint,
    /// How it ended.
    pub death: Death,
    /// What it went through.
    pub journey: Journey,
    /// The event, unless it is unreadable.
    pub event: Option<Event>,
    /// The message as it was published.
    pub message: Message,
}

impl Letter {
    /// Reads a dead letter.
    #[must_use]
    pub fn read(message: Message, death: Death) -> Self {
        let event = event::read(&message.body).ok();
        let own_id = event.as_ref().and_then(|event| event.id.as_deref());
        let project = event.as_ref().map(|event| event.project.as_str());
        let event_id = EventId::of(project, own_id, &message);
        let id = match &death.connector {
            Some(connector) => alert_id(connector, event_id),
            None => event_id.fingerprint(),
        };
        Self { id, death, journey: Journey::read(&message.headers), event, message }
    }

    /// The project, if the event can be read.
    #[must_use]
    pub fn project(&self) -> Option<&str> {
        self.event.as_ref().map(|event| event.project.as_str())
    }

    /// The test, if the event can be read.
    #[must_use]
    pub fn test(&self) -> Option<&str> {
        self.event.as_ref().map(|event| event.test.as_str())
    }

    /// The message that replays it: the same bytes on a new journey, marked with the replay's start, so that it goes
    /// round the dedup window once. The mark is later than that of the replay before, even if the clock was set back since:
    /// the ledger would take it for a copy of that one.
    #[must_use]
    pub fn replayed(&self, replay: UnixMillis) -> Message {
        let later = self.journey.replay.map(|before| before.after(Duration::from_millis(1)));
        let mark = later.max(Some(replay)).unwrap_or(replay).min(REPLAY_MAX);
        let addressed_to = self.death.replay_to().cloned();
        let mut message = self.message.clone();
        let journey = Journey { addressed_to, ..self.journey.anew(mark, replay) };
        journey.write(&mut message.headers);
        message
    }

    /// How many POSTs were made; none where nobody knows. A worker that ended with an alert in hand may have sent it, and
    /// wrote nothing down.
    fn attempts(&self) -> Option<u32> {
        (self.death.reason != Reason::DeliveryLimit).then_some(self.journey.attempts)
    }

    fn summary(&self) -> Value {
        let time = |time: Option<UnixMillis>| time.map(|time| time.to_string());
        json!({
            "id": self.id.to_string(),
            "connector": self.death.connector.as_ref().map(Connector::as_str),
            "reason": self.death.reason,
            "detail": self.death.detail,
            "died_at": time(self.death.at),
            "accepted_at": time(self.journey.since.or(self.message.published_at)),
            "attempts": self.attempts(),
            "project": self.project(),
            "test": self.test(),
            "event_id": self.event.as_ref().and_then(|event| event.id.as_ref()).or(self.message.message_id.as_ref()),
            "replayed_at": time(self.journey.replay),
        })
    }

    /// All of it, as `dead show --json` and `dead export` give it. The body is text, or base64 where it is not.
    #[must_use]
    pub fn whole(&self) -> Value {
        let mut all = self.summary();
        all["history"] = self
            .journey
            .history
            .iter()
            .map(|attempt| json!({ "at": attempt.at.to_string(), "outcome": attempt.outcome, "detail": attempt.detail }))
            .collect();
        all["routing_key"] = json!(self.message.routing_key);
        match std::str::from_utf8(&self.message.body) {
            Ok(text) => all["body"] = json!(text),
            Err(_) => all["body_base64"] = json!(BASE64_STANDARD.encode(&self.message.body)),
        }
        all
    }
}

/// How much of an id a table shows; `--id` takes as much.
const ID_CHARS: usize = 12;

/// How much of a detail a table shows.
pub const DETAIL_CHARS: usize = 60;

/// What [`row`] shows.
pub const HEAD: [&str; 8] = ["id", "connector", "reason", "died at", "attempts", "project", "test", "detail"];

/// A letter as [`Letter::whole`] gives it, as a row of a table.
#[must_use]
pub fn row(letter: &Value) -> [String; 8] {
    let text = |name: &str| letter[name].as_str();
    let cut = |name: &str, chars| text(name).map_or("-".to_owned(), |text| one_line(text, chars));
    [
        text("id").unwrap_or_default().chars().take(ID_CHARS).collect(),
        cut("connector", 40),
        cut("reason", 40),
        cut("died_at", 40),
        letter["attempts"].as_u64().map_or("unknown".to_owned(), |count| count.to_string()),
        cut("project", 40),
        cut("test", 40),
        cut("detail", DETAIL_CHARS),
    ]
}

/// A letter as [`Letter::whole`] gives it, without what makes it long: as `dead list --json` gives it.
#[must_use]
pub fn without_body(mut letter: Value) -> Value {
    if let Some(fields) = letter.as_object_mut() {
        for long in ["history", "routing_key", "body", "body_base64"] {
            fields.remove(long);
        }
    }
    letter
}

/// A selector with its pattern compiled and its times fixed.
#[derive(Debug, Clone)]
pub struct Chosen {
    connector: Option<Connector>,
    reason: Option<Reason>,
    project: Option<Pattern>,
    since: Option<UnixMillis>,
    until: Option<UnixMillis>,
    ids: Vec<String>,
    /// At most so many.
    pub limit: usize,
}

impl Chosen {
    /// Fixes a selector at `now`.
    ///
    /// # Errors
    /// The project pattern is broken.
    pub fn new(selector: &Selector, now: UnixMillis) -> Result<Self, BadPattern> {
        Ok(Self {
            connector: selector.connector.clone(),
            reason: selector.reason,
            project: selector.project.as_deref().map(str::parse).transpose()?,
            since: selector.since.map(|moment| moment.seen_from(now)),
            until: selector.until.map(|moment| moment.seen_from(now)),
            ids: selector.id.iter().map(|id| id.to_ascii_lowercase()).collect(),
            limit: selector.limit.unwrap_or(usize::MAX),
        })
    }

    /// Whether a letter is meant. A letter whose time of death is not known is meant by no `since` and no `until`.
    #[must_use]
    pub fn means(&self, letter: &Letter) -> bool {
        let id = letter.id.to_string();
        self.connector.as_ref().is_none_or(|connector| letter.death.connector.as_ref() == Some(connector))
            && self.reason.is_none_or(|reason| letter.death.reason == reason)
            && self
                .project
                .as_ref()
                .is_none_or(|pattern| letter.project().is_some_and(|name| pattern.fits(name)))
            && self.since.is_none_or(|since| letter.death.at.is_some_and(|at| at >= since))
            && self.until.is_none_or(|until| letter.death.at.is_some_and(|at| at <= until))
            && (self.ids.is_empty() || self.ids.iter().any(|start| id.starts_with(start)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nightbell_core::journey::REPLAY;
    use nightbell_core::message::HeaderValue;

    use super::*;
    use crate::cli::Moment;

    const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

    fn letter() -> Letter {
        let body = r#"{"project":"shop","test":"buys","id":"1"}"#;
        let death = Death {
            connector: Some("sre".parse().unwrap()),
            reason: Reason::Refused,
            detail: "HTTP 400".into(),
            at: Some(UnixMillis(NOW.0 - 3_600_000)),
        };
        let mut message = Message { body: body.into(), ..Message::default() };
        let journey =
            Journey { attempts: 3, due: Some(NOW), death: Some(death.clone()), ..Journey::default() };
        journey.write(&mut message.headers);
        Letter::read(message, death)
    }

    #[track_caller]
    fn check(selector: Selector, want: bool) {
        assert_eq!(Chosen::new(&selector, NOW).unwrap().means(&letter()), want, "{selector:?}");
    }

    #[test]
    fn every_condition_of_a_selector_must_hold() {
        let any = Selector::default;
        let ago = |hours: u64| Some(Moment::Ago(Duration::from_secs(hours * 3_600)));
        check(any(), true);
        check(Selector { connector: Some("sre".parse().unwrap()), ..any() }, true);
        check(Selector { connector: Some("web".parse().unwrap()), ..any() }, false);
        check(Selector { reason: Some(Reason::Refused), ..any() }, true);
        check(Selector { reason: Some(Reason::Invalid), ..any() }, false);
        check(Selector { project: Some("sh*".into()), ..any() }, true);
        check(Selector { project: Some("web".into()), ..any() }, false);
        check(Selector { since: ago(2), ..any() }, true);
        check(Selector { since: ago(0), ..any() }, false);
        check(Selector { until: ago(0), ..any() }, true);
        check(Selector { until: ago(2), ..any() }, false);
        check(Selector { id: vec![letter().id.to_string()[..6].to_uppercase()], ..any() }, true);
        check(Selector { id: vec!["zz".into()], ..any() }, false);
        check(Selector { reason: Some(Reason::Refused), project: Some("web".into()), ..any() }, false);
    }

    #[test]
    fn nobody_knows_the_attempts_of_a_letter_by_the_delivery_limit() {
        let attempts = |reason| {
            let mut letter = letter();
            letter.death.reason = reason;
            (letter.whole()["attempts"].clone(), row(&letter.whole())[4].clone())
        };
        assert_eq!(attempts(Reason::Refused), (json!(3), "3".into()));
        assert_eq!(attempts(Reason::DeliveryLimit), (Value::Null, "unknown".into()));
    }

    #[test]
    fn a_replay_is_the_same_event_on_a_new_journey() {
        let again = letter().replayed(NOW);
        let journey = Journey::read(&again.headers);
        assert_eq!((journey.attempts, journey.due, journey.death), (0, None, None));
        assert_eq!((journey.replay, journey.since), (Some(NOW), Some(NOW)));
        assert_eq!(again.body, letter().message.body);
    }

    #[test]
    fn a_replay_after_the_clock_was_set_back_is_another_one_than_before() {
        let first = Letter::read(letter().replayed(NOW), letter().death);
        let earlier = UnixMillis(NOW.0 - 86_400_000);
        let journey = Journey::read(&first.replayed(earlier).headers);
        assert_eq!((journey.replay, journey.since), (Some(UnixMillis(NOW.0 + 1)), Some(earlier)));
    }

    /// The mark of a replay is a header, and so anyone can write it.
    #[test]
    fn a_replay_of_a_forged_mark_is_a_later_one_all_the_same() {
        for forged in [i64::MAX, i64::MAX - 1, 253_402_300_800_000, 253_402_300_799_998] {
            let headers = [(REPLAY.to_owned(), HeaderValue::Number(forged))].into();
            let first = Message { headers, ..letter().message };
            let before = Journey::read(&first.headers).replay;
            let again = Journey::read(&Letter::read(first, letter().death).replayed(NOW).headers).replay;
            assert!(again.is_some() && before < again, "{before:?}, then {again:?}");
        }
        let journey = Journey { replay: Some(UnixMillis(i64::MAX.unsigned_abs())), ..Journey::default() };
        let again = Journey::read(&Letter { journey, ..letter() }.replayed(NOW).headers).replay;
        assert_eq!(again, Some(REPLAY_MAX));
    }

    #[test]
    fn a_body_that_is_no_text_is_given_as_base64() {
        let message = Message { body: bytes::Bytes::from_static(b"\xff"), ..Message::default() };
        let whole = Letter::read(message, letter().death).whole();
        assert_eq!((whole.get("body"), &whole["body_base64"]), (None, &json!("/w==")));
    }
}
