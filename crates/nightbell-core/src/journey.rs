//! What an alert has been through, as it travels in our own headers. RabbitMQ's `x-death` is not used for it: its
//! counts do not survive a client's re-publish on 4.x (rabbitmq-server 4.0.1 release notes).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::connector::Connector;
use crate::dead::Reason;
use crate::limits::{DETAIL_BYTES_MAX, HISTORY_MAX, REPLAY_MAX, WAIT_MAX};
use crate::message::{HeaderValue, Headers};
use crate::outcome::{Outcome, OutcomeKind};
use crate::time::{UnixMillis, millis};

/// How many attempts were spent.
pub const ATTEMPTS: &str = "nightbell-attempts";
/// When the alert was accepted, in epoch milliseconds.
pub const SINCE: &str = "nightbell-since";
/// When it may be tried again, in epoch milliseconds.
pub const DUE: &str = "nightbell-due";
/// How much of its wait is left when it comes back from its retry queue, in milliseconds.
pub const LEFT: &str = "nightbell-left";
/// The replay that brought it, by its start in epoch milliseconds.
pub const REPLAY: &str = "nightbell-replay";
/// The latest attempts, as JSON.
pub const HISTORY: &str = "nightbell-history";
/// The connector that a dead letter belongs to, or that a copy was put back for.
pub const CONNECTOR: &str = "nightbell-connector";
/// Why it is a dead letter.
pub const REASON: &str = "nightbell-reason";
/// More about why, for a person.
pub const DETAIL: &str = "nightbell-detail";
/// When it became a dead letter, in epoch milliseconds.
pub const DIED_AT: &str = "nightbell-died-at";

/// All of them.
pub const ALL: [&str; 10] = [ATTEMPTS, SINCE, DUE, LEFT, REPLAY, HISTORY, CONNECTOR, REASON, DETAIL, DIED_AT];

/// What an alert has been through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Journey {
    /// Attempts spent.
    pub attempts: u32,
    /// When the alert was accepted; its age counts from here. A replay begins anew.
    pub since: Option<UnixMillis>,
    /// When it may be tried again.
    pub due: Option<UnixMillis>,
    /// How much of its wait is left when it comes back from its retry queue; see [`Journey::due_by`].
    pub left: Option<Duration>,
    /// The replay that brought it, by its start; [`REPLAY_MAX`] at the latest.
    pub replay: Option<UnixMillis>,
    /// The connector that this copy was put back for, and no other sees; none for what every connector sees.
    pub addressed_to: Option<Connector>,
    /// The latest attempts, the oldest first.
    pub history: Vec<Attempted>,
    /// How it ended, if it is a dead letter.
    pub death: Option<Death>,
}

/// One attempt, as the history keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempted {
    /// When its answer came, or failed to.
    pub at: UnixMillis,
    /// What it came to.
    pub outcome: OutcomeKind,
    /// One line about it.
    pub detail: String,
}

/// How an alert became a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    /// The connector; none for an event that no queue was bound for.
    pub connector: Option<Connector>,
    /// Why.
    pub reason: Reason,
    /// More about why, for a person.
    pub detail: String,
    /// When; none where the broker did it and did not say.
    pub at: Option<UnixMillis>,
}

impl Death {
    /// The connector that a replay goes to; none: it goes to all, as when it was published, for there is no such connector
    /// any more, or the alert is not routed to it.
    #[must_use]
    pub fn replay_to(&self) -> Option<&Connector> {
        self.connector.as_ref().filter(|_| self.reason != Reason::Unrouted)
    }
}

impl Journey {
    /// Reads our headers. What is missing, forged or broken has its default: a header never makes a message unreadable.
    #[must_use]
    pub fn read(headers: &Headers) -> Self {
        let number = |name| match headers.get(name) {
            Some(HeaderValue::Number(number)) => u64::try_from(*number).ok(),
            Some(HeaderValue::Text(_) | HeaderValue::Flag(_)) | None => None,
        };
        let time = |name| number(name).map(UnixMillis);
        let connector = text(headers, CONNECTOR).and_then(|name| name.parse().ok());
        let death = text(headers, REASON).and_then(|reason| reason.parse().ok()).map(|reason| Death {
            connector: connector.clone(),
            reason,
            detail: text(headers, DETAIL).unwrap_or_default().to_owned(),
            at: time(DIED_AT),
        });
        let history =
            text(headers, HISTORY).and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
        Self {
            attempts: number(ATTEMPTS).and_then(|count| u32::try_from(count).ok()).unwrap_or_default(),
            since: time(SINCE),
            due: time(DUE),
            left: number(LEFT).map(Duration::from_millis),
            replay: time(REPLAY).filter(|mark| *mark <= REPLAY_MAX),
            history,
            addressed_to: connector.filter(|_| death.is_none()),
            death,
        }
    }

    /// Writes our headers, in place of those of ours that were there. Foreign headers stay.
    pub fn write(&self, headers: &mut Headers) {
        strip(headers);
        let mut set = |name: &str, value| drop(headers.insert(name.to_owned(), value));
        set(ATTEMPTS, HeaderValue::Number(i64::from(self.attempts)));
        let times = [(SINCE, self.since), (DUE, self.due), (REPLAY, self.replay)];
        for (name, time) in times {
            if let Some(value) = time.and_then(header_time) {
                set(name, value);
            }
        }
        if let Some(left) = self.left.and_then(|left| i64::try_from(millis(left)).ok()) {
            set(LEFT, HeaderValue::Number(left));
        }
        if !self.history.is_empty() {
            let json = serde_json::to_string(&self.history).expect("a history is plain data");
            set(HISTORY, HeaderValue::Text(json));
        }
        let connector = self.death.as_ref().map_or(&self.addressed_to, |death| &death.connector);
        if let Some(connector) = connector {
            set(CONNECTOR, HeaderValue::Text(connector.to_string()));
        }
        if let Some(death) = &self.death {
            set(REASON, HeaderValue::Text(death.reason.as_str().to_owned()));
            set(DETAIL, HeaderValue::Text(cut(&death.detail, DETAIL_BYTES_MAX)));
            if let Some(value) = death.at.and_then(header_time) {
                set(DIED_AT, value);
            }
        }
    }

    /// The new journey of a dead letter that somebody put back by other means than a replay; none: it is no dead letter.
    ///
    /// Its mark is made of the letter alone, so that the same copy has the same mark however often it is delivered. It is
    /// later than that of the replay before, and the next one's will be later still.
    #[must_use]
    pub fn put_back(&self, now: UnixMillis) -> Option<Self> {
        let death = self.death.as_ref()?;
        let later = self.replay.map(|before| before.after(Duration::from_millis(1)));
        let mark = later.max(death.at).unwrap_or(UnixMillis(1)).min(REPLAY_MAX);
        let addressed_to = death.replay_to().cloned();
        Some(Self { addressed_to, ..self.anew(mark, now) })
    }

    /// The journey that begins now, with this replay's mark.
    #[must_use]
    pub fn anew(&self, mark: UnixMillis, now: UnixMillis) -> Self {
        let history = self.history.clone();
        Self { since: Some(now), replay: Some(mark), history, ..Self::default() }
    }

    /// When it may be tried again, by a clock that shows `now` as it comes back from its retry queue.
    ///
    /// A clock that was set back meanwhile can't put it off: no more is left than was meant to be left, nor ever more than
    /// [`WAIT_MAX`]. One that was set forth lets it be tried at once.
    #[must_use]
    pub fn due_by(&self, now: UnixMillis) -> Option<UnixMillis> {
        let left = self.left.unwrap_or(WAIT_MAX).min(WAIT_MAX);
        self.due.map(|due| due.min(now.after(left)))
    }

    /// Adds an attempt to the history and drops the oldest beyond [`HISTORY_MAX`].
    pub fn remember(&mut self, outcome: &Outcome, at: UnixMillis) {
        /// Twenty details of this length, JSON-escaped, stay far under the frame of 128 KiB.
        const LINE_BYTES_MAX: usize = 200;
        let detail = cut(&outcome.detail(), LINE_BYTES_MAX);
        self.history.push(Attempted { at, outcome: outcome.kind(), detail });
        let over = self.history.len().saturating_sub(HISTORY_MAX);
        self.history.drain(..over);
    }
}

/// Takes our headers off: whoever wrote them was not us.
pub fn strip(headers: &mut Headers) {
    headers.retain(|name, _| !ALL.contains(&name.as_str()));
}

fn text<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    match headers.get(name) {
        Some(HeaderValue::Text(text)) => Some(text),
        Some(HeaderValue::Number(_) | HeaderValue::Flag(_)) | None => None,
    }
}

fn header_time(time: UnixMillis) -> Option<HeaderValue> {
    i64::try_from(time.0).ok().map(HeaderValue::Number)
}

/// At most `bytes_max` bytes of `text`, on a character boundary, with a mark where it was cut.
#[must_use]
pub fn cut(text: &str, bytes_max: usize) -> String {
    const MARK: &str = "…";
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(bytes_max.saturating_sub(MARK.len()));
    format!("{}{MARK}", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn journey() -> Journey {
        let mut journey = Journey {
            attempts: 2,
            since: Some(UnixMillis(1)),
            due: Some(UnixMillis(2)),
            left: Some(Duration::from_millis(5)),
            replay: Some(UnixMillis(3)),
            addressed_to: None,
            history: Vec::new(),
            death: Some(Death {
                connector: Some("sre".parse().unwrap()),
                reason: Reason::Refused,
                detail: "HTTP 400".into(),
                at: Some(UnixMillis(4)),
            }),
        };
        journey.remember(&Outcome::TimedOut, UnixMillis(2));
        journey
    }

    #[test]
    fn it_reads_what_it_writes_and_leaves_foreign_headers() {
        let foreign = ("traceparent".to_owned(), HeaderValue::Text("00-1".into()));
        let mut headers = Headers::from([foreign.clone(), (REASON.into(), HeaderValue::Text("old".into()))]);
        journey().write(&mut headers);
        assert_eq!(Journey::read(&headers), journey());
        assert_eq!(headers.get(&foreign.0), Some(&foreign.1));
        Journey::default().write(&mut headers);
        assert_eq!(headers.len(), 2);
        let put_back = Journey { addressed_to: Some("sre".parse().unwrap()), ..Journey::default() };
        put_back.write(&mut headers);
        assert_eq!(Journey::read(&headers), put_back);
    }

    #[test]
    fn a_replay_beyond_all_time_is_none() {
        let read = |mark| Journey::read(&[(REPLAY.into(), HeaderValue::Number(mark))].into()).replay;
        let last = i64::try_from(REPLAY_MAX.0).unwrap();
        assert_eq!([last, last + 1, i64::MAX].map(read), [Some(REPLAY_MAX), None, None]);
    }

    #[test]
    fn a_dead_letter_that_is_put_back_has_one_mark_that_no_earlier_replay_has() {
        let (now, before) = (UnixMillis(100), journey());
        let put_back = before.put_back(now).unwrap();
        assert_eq!((put_back.attempts, put_back.since, put_back.replay), (0, Some(now), Some(UnixMillis(4))));
        assert_eq!(put_back.addressed_to, Some("sre".parse().unwrap()));
        assert_eq!((&put_back.history, &put_back.death), (&before.history, &None));
        let by_a_fast_clock = Journey { replay: Some(UnixMillis(9)), ..before };
        assert_eq!(by_a_fast_clock.put_back(now).unwrap().replay, Some(UnixMillis(10)));
        assert_eq!(put_back.put_back(now), None);
    }

    #[test]
    fn the_history_keeps_the_latest_attempts_only() {
        let mut journey = Journey::default();
        for at in 0..30 {
            journey.remember(&Outcome::TimedOut, UnixMillis(at));
        }
        assert_eq!(journey.history.len(), HISTORY_MAX);
        assert_eq!(journey.history[0].at, UnixMillis(10));
    }

    #[test]
    fn all_headers_of_the_worst_journey_fit_one_frame() {
        let body = "\u{1}".repeat(100_000);
        let mut journey = journey();
        for _ in 0..30 {
            journey.remember(&Outcome::Refused { status: 400, body: body.clone() }, UnixMillis(u64::MAX / 2));
        }
        journey.death = journey.death.map(|death| Death { detail: body, ..death });
        let mut headers = Headers::new();
        journey.write(&mut headers);
        let bytes: usize = headers
            .iter()
            .map(|(name, value)| {
                name.len() + if let HeaderValue::Text(text) = value { text.len() } else { 9 }
            })
            .sum();
        assert!(bytes < 64 * 1024, "{bytes}");
    }

    #[test]
    fn a_text_is_cut_on_a_character_boundary_with_a_mark() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("ääääää", 8), "ää…");
    }

    proptest! {
        #[test]
        fn headers_that_are_nearly_right_are_read_and_what_is_read_is_written_the_same(
            texts in proptest::collection::vec(
                (proptest::sample::select(&ALL[..]), "[0-9]{1,21}|-1|refused|expired|refusedx|[a-z0-9-]{0,34}|\\PC{0,9}"),
                0..9,
            ),
            numbers in proptest::collection::vec((proptest::sample::select(&ALL[..]), any::<i64>()), 0..4),
        ) {
            let texts = texts.into_iter().map(|(name, text)| (name.to_owned(), HeaderValue::Text(text)));
            let numbers = numbers.into_iter().map(|(name, number)| (name.to_owned(), HeaderValue::Number(number)));
            let read = Journey::read(&texts.chain(numbers).collect::<Headers>());
            let mut written = Headers::default();
            read.write(&mut written);
            prop_assert_eq!(Journey::read(&written), read);
        }

        #[test]
        fn no_header_makes_it_panic(name in proptest::sample::select(&ALL[..]), text in ".{0,40}", number in any::<i64>()) {
            for value in [HeaderValue::Text(text), HeaderValue::Number(number), HeaderValue::Flag(true)] {
                drop(Journey::read(&Headers::from([(name.to_owned(), value)])));
            }
        }
    }
}
