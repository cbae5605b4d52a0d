//! A message as a queue hands it over, free of any queue's own types.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::fingerprint::Fingerprint;
use crate::time::UnixMillis;

/// A header's value. Kinds that a queue knows beyond these are not carried on.
#[derive(Debug, Clone, PartialEq)]
pub enum HeaderValue {
    /// Text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// Yes or no.
    Flag(bool),
}

/// Headers by name.
pub type Headers = BTreeMap<String, HeaderValue>;

/// A message: the producer's bytes, untouched, and what travels with them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Message {
    /// The original bytes.
    pub body: Bytes,
    /// The producer's id of the message; the default of an event's `id`.
    pub message_id: Option<String>,
    /// The media type of the body.
    pub content_type: Option<String>,
    /// The producer's correlation id.
    pub correlation_id: Option<String>,
    /// The producer's name for this kind of message.
    pub kind: Option<String>,
    /// The producing application.
    pub app_id: Option<String>,
    /// When it was published, by the queue's own field.
    pub published_at: Option<UnixMillis>,
    /// The routing key it came with.
    pub routing_key: String,
    /// All headers, foreign ones and our own (see [`crate::journey`]).
    pub headers: Headers,
    /// Why it can't be taken for an event, where the queue found that out: something of it is beyond a bound. The body is
    /// as it came. Not published again.
    pub flaw: Option<String>,
    /// How it came. Not published again.
    pub arrival: Arrival,
}

/// What a queue knows of how a message came into it: whether somebody may have put it there again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Arrival {
    /// It was never delivered before, not even to a worker that ended with it in hand.
    pub is_first: bool,
    /// When it died, if it says of itself that it is a dead letter. Anyone may have written that.
    pub died_at: Option<UnixMillis>,
}

impl Message {
    /// An event's own bytes, as every way in publishes them.
    #[must_use]
    pub fn of_event(id: Option<String>, body: Bytes, now: UnixMillis) -> Self {
        Self {
            body,
            message_id: id,
            content_type: Some("application/json".into()),
            app_id: Some("nightbell".into()),
            published_at: Some(now),
            ..Self::default()
        }
    }
}

/// The routing key of a project's events: `event.PROJECT`, whose dots and odd characters are replaced, because a topic
/// exchange reads dots as boundaries and the key has 255 bytes at the most.
#[must_use]
pub fn routing_key(project: &str) -> String {
    let safe =
        |character: char| if character.is_ascii_alphanumeric() || character == '-' { character } else { '_' };
    let name: String = project.chars().take(200).map(safe).collect();
    format!("event.{name}")
}

/// Where an event's identity comes from, which decides how long it is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventId {
    /// The producer gave it: remembered for `dedup.retention`.
    Given(Fingerprint),
    /// The body's hash: remembered for `dedup.window` only, since a producer that repeats a body means a new failure.
    Hashed(Fingerprint),
}

impl EventId {
    /// The identity: the event's own id, else the message's, else the hash of the body. An id counts within its project,
    /// so that no project's event is taken for another's. Without a project, of a body that is no event, it is named as
    /// earlier versions named all.
    #[must_use]
    pub fn of(project: Option<&str>, own: Option<&str>, message: &Message) -> Self {
        match (own.or(message.message_id.as_deref()).filter(|id| !id.is_empty()), project) {
            (Some(id), Some(project)) => {
                let parts = [b"id of project".as_slice(), project.as_bytes(), id.as_bytes()];
                Self::Given(Fingerprint::of(parts))
            }
            (Some(id), None) => Self::Given(Fingerprint::of([b"id".as_slice(), id.as_bytes()])),
            (None, _) => Self::Hashed(Fingerprint::of([b"body".as_slice(), &message.body])),
        }
    }

    /// Its fingerprint.
    #[must_use]
    pub fn fingerprint(self) -> Fingerprint {
        match self {
            Self::Given(name) | Self::Hashed(name) => name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_routing_key_is_safe_and_short() {
        assert_eq!(routing_key("shop.eu/ä"), "event.shop_eu__");
        assert!(routing_key(&"x".repeat(10_000)).len() <= 255);
    }

    #[test]
    fn the_events_own_id_comes_first_then_the_messages_then_the_bodys_hash() {
        let bare = Message { body: Bytes::from_static(b"{}"), ..Message::default() };
        let named = Message { message_id: Some("m".into()), ..bare.clone() };
        let of = |own, message| EventId::of(Some("p"), own, message);
        assert_eq!(of(Some("m"), &bare), of(None, &named));
        assert_ne!(of(Some("e"), &named), of(None, &named));
        assert!(matches!(of(None, &bare), EventId::Hashed(_)));
        assert!(matches!(of(Some(""), &bare), EventId::Hashed(_)));
    }

    #[test]
    fn an_id_counts_within_its_project() {
        let named = Message { message_id: Some("1".into()), ..Message::default() };
        let of = |project| EventId::of(project, None, &named);
        assert_eq!(of(Some("shop")), of(Some("shop")));
        assert_ne!(of(Some("shop")), of(Some("bank")));
        assert_ne!(of(Some("shop")), of(None));
    }
}
