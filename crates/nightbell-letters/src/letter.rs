//! A dead letter, as it is read from its message and as operators see it.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use nightbell_core::alert::alert_id;
use nightbell_core::connector::Connector;
use nightbell_core::dead::Reason;
use nightbell_core::event::{self, Event};
use nightbell_core::fingerprint::Fingerprint;
use nightbell_core::journey::{Attempted, Death, Journey};
use nightbell_core::limits::REPLAY_MAX;
use nightbell_core::message::{EventId, Message};
use nightbell_core::outcome::OutcomeKind;
use nightbell_core::time::UnixMillis;
use serde::{Deserialize, Serialize};

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

    /// All of it, as operators see it. The body is text, or base64 where it is not.
    #[must_use]
    pub fn view(&self) -> LetterView {
        let time = |time: Option<UnixMillis>| time.map(|time| time.to_string());
        let Message { body, message_id, published_at, routing_key, .. } = &self.message;
        let body = str::from_utf8(body).map_err(|_| BASE64_STANDARD.encode(body));
        let own_id = self.event.as_ref().and_then(|event| event.id.as_ref());
        LetterView {
            accepted_at: time(self.journey.since.or(*published_at)),
            attempts: self.attempts(),
            body: body.as_ref().ok().map(ToString::to_string),
            body_base64: body.err(),
            connector: self.death.connector.clone(),
            detail: self.death.detail.clone(),
            died_at: time(self.death.at),
            event_id: own_id.or(message_id.as_ref()).cloned(),
            history: Some(self.journey.history.iter().map(AttemptView::of).collect()),
            id: self.id.to_string(),
            project: self.project().map(str::to_owned),
            reason: self.death.reason,
            replayed_at: time(self.journey.replay),
            routing_key: Some(routing_key.clone()),
            test: self.test().map(str::to_owned),
        }
    }
}

/// A dead letter as commands and routes show it, in JSON with its fields by the alphabet. Times are in RFC 3339, in UTC with a
/// fixed number of digits, so that they sort as time does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterView {
    /// When the alert was accepted.
    pub accepted_at: Option<String>,
    /// How many POSTs were made, where that is known.
    pub attempts: Option<u32>,
    /// The body, if it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The body, if it is no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
    /// The connector; none for an event that no queue was bound for.
    pub connector: Option<Connector>,
    /// More about why, for a person.
    pub detail: String,
    /// When it became a dead letter, where that is known.
    pub died_at: Option<String>,
    /// The event's own id, or its message's.
    pub event_id: Option<String>,
    /// The latest attempts, the oldest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<Vec<AttemptView>>,
    /// The letter's id: see [`Letter::id`].
    pub id: String,
    /// The project, if the event can be read.
    pub project: Option<String>,
    /// Why it is a dead letter.
    pub reason: Reason,
    /// The replay that brought it, by its start.
    pub replayed_at: Option<String>,
    /// The routing key with which it was published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routing_key: Option<String>,
    /// The test, if the event can be read.
    pub test: Option<String>,
}

/// One attempt of a letter's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptView {
    /// When its answer came, or failed to.
    pub at: String,
    /// One line about it.
    pub detail: String,
    /// What it came to.
    pub outcome: OutcomeKind,
}

impl LetterView {
    /// Without what makes it long: as lists show it.
    #[must_use]
    pub fn without_body(self) -> Self {
        Self { body: None, body_base64: None, history: None, routing_key: None, ..self }
    }
}

impl AttemptView {
    fn of(attempt: &Attempted) -> Self {
        let Attempted { at, outcome, detail } = attempt;
        Self { at: at.to_string(), detail: detail.clone(), outcome: *outcome }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use nightbell_core::journey::REPLAY;
    use nightbell_core::message::HeaderValue;

    use super::*;

    pub(crate) const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

    pub(crate) fn letter() -> Letter {
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

    #[test]
    fn nobody_knows_the_attempts_of_a_letter_by_the_delivery_limit() {
        let attempts = |reason| {
            let mut letter = letter();
            letter.death.reason = reason;
            letter.view().attempts
        };
        assert_eq!(attempts(Reason::Refused), Some(3));
        assert_eq!(attempts(Reason::DeliveryLimit), None);
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
        let view = Letter::read(message, letter().death).view();
        assert_eq!((view.body, view.body_base64.as_deref()), (None, Some("/w==")));
    }

    /// Scripts read it, and a worker of another version.
    #[test]
    fn the_json_of_a_letter_is_as_ever() {
        let mut letter = letter();
        let (at, outcome, detail) = (NOW, OutcomeKind::Unavailable, "HTTP 503".into());
        letter.journey.history = vec![Attempted { at, outcome, detail }];
        let summary = r#"{"accepted_at":null,"attempts":3,"connector":"sre","detail":"HTTP 400","died_at":"2023-11-14T21:13:20.000Z","event_id":"1","id":"ID","project":"shop","reason":"refused","replayed_at":null,"test":"buys"}"#;
        let whole = r#"{"accepted_at":null,"attempts":3,"body":"{\"project\":\"shop\",\"test\":\"buys\",\"id\":\"1\"}","connector":"sre","detail":"HTTP 400","died_at":"2023-11-14T21:13:20.000Z","event_id":"1","history":[{"at":"2023-11-14T22:13:20.000Z","detail":"HTTP 503","outcome":"unavailable"}],"id":"ID","project":"shop","reason":"refused","replayed_at":null,"routing_key":"","test":"buys"}"#;
        let id = letter.id.to_string();
        for (view, want) in [(letter.view().without_body(), summary), (letter.view(), whole)] {
            let json = serde_json::to_string(&view).unwrap();
            assert_eq!(json.replace(&id, "ID"), want);
            assert_eq!(serde_json::from_str::<LetterView>(&json).unwrap(), view);
        }
    }
}
