//! What the ledger remembers of an event id or of an alert key, and how that changes.

use std::time::Duration;

use crate::dead::Reason;
use crate::fingerprint::Fingerprint;
use crate::time::UnixMillis;

/// Which record: per connector, one space of event ids and one of alert keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordKey {
    /// What became of this event.
    Event(Fingerprint),
    /// What was last sent, or is being sent, under this alert key.
    Alert(Fingerprint),
}

/// The two kinds of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// [`RecordKey::Event`].
    Event,
    /// [`RecordKey::Alert`].
    Alert,
}

impl RecordKey {
    /// Its kind.
    #[must_use]
    pub fn kind(self) -> KeyKind {
        match self {
            Self::Event(_) => KeyKind::Event,
            Self::Alert(_) => KeyKind::Alert,
        }
    }
}

/// What is remembered under one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The event that the record is about. Under [`RecordKey::Event`] it is the key itself.
    pub event: Fingerprint,
    /// The replay that brought it, by its start; none for the first journey.
    pub replay: Option<UnixMillis>,
    /// Where it stands.
    pub state: State,
    /// How many repeats were suppressed because of it.
    pub repeats: u32,
    /// The latest of them.
    pub last_repeat: Option<UnixMillis>,
}

/// Where an event stands on one connector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It waits in a retry queue; the claim ends at `until`, in case it is lost there.
    InFlight {
        /// The end of the claim.
        until: UnixMillis,
    },
    /// xMatters has accepted it.
    Delivered {
        /// When the answer came.
        at: UnixMillis,
        /// The answer's `requestId`.
        request_id: Option<String>,
    },
    /// It is kept as a dead letter.
    Dead {
        /// When.
        at: UnixMillis,
        /// Why.
        reason: Reason,
    },
}

/// A change of what is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// The event goes to a retry queue.
    Claimed {
        /// The event.
        event: Fingerprint,
        /// The replay that brought it.
        replay: Option<UnixMillis>,
        /// The end of its claim.
        until: UnixMillis,
    },
    /// xMatters has accepted the event.
    Delivered {
        /// The event.
        event: Fingerprint,
        /// The replay that brought it.
        replay: Option<UnixMillis>,
        /// When.
        at: UnixMillis,
        /// The answer's `requestId`.
        request_id: Option<String>,
    },
    /// The event was kept as a dead letter.
    Died {
        /// The event.
        event: Fingerprint,
        /// The replay that brought it.
        replay: Option<UnixMillis>,
        /// When.
        at: UnixMillis,
        /// Why.
        reason: Reason,
    },
    /// Repeats were suppressed.
    Repeated {
        /// When the latest of them was.
        at: UnixMillis,
        /// How many.
        times: u32,
    },
}

/// A change to one record, with the time for which its result is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which record.
    pub key: RecordKey,
    /// What happened.
    pub happening: Happening,
    /// How long to remember it, counted from the change.
    pub keep: Duration,
}

impl Change {
    /// Whether it claims an event for a retry queue.
    #[must_use]
    pub fn is_claim(&self) -> bool {
        matches!(self.happening, Happening::Claimed { .. })
    }
}

/// A happening that does not fit what is remembered. It changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IllegalHappening {
    /// A repeat of something that is not remembered.
    #[error("a repeat of something that is not remembered")]
    RepeatOfNothing,
    /// A delivery of an event is final: it was delivered before.
    #[error("a change to an event that was delivered before")]
    AfterDelivery,
}

impl Record {
    /// The record after `happening`. The one transition function: live run, recovery and replay all go through it.
    ///
    /// Under an event id, a delivery is final: nothing but its repeats changes it. Under an alert key whatever comes after
    /// a delivery takes the record over, and its repeats begin anew, even if it is of the same event: admission let it
    /// through, so the window of that delivery is over, or an operator's replay goes round it. An event may come again
    /// when its own record has expired, while repeats kept this one; then the window has to count from its new delivery,
    /// and its retry has to be a claim.
    ///
    /// # Errors
    /// [`IllegalHappening`], when the happening can't follow what is remembered; the record stays as it was.
    pub fn apply(
        kind: KeyKind,
        before: Option<&Self>,
        happening: &Happening,
    ) -> Result<Self, IllegalHappening> {
        let (event, replay, state) = match happening {
            Happening::Claimed { event, replay, until } => {
                (*event, *replay, State::InFlight { until: *until })
            }
            Happening::Delivered { event, replay, at, request_id } => {
                (*event, *replay, State::Delivered { at: *at, request_id: request_id.clone() })
            }
            Happening::Died { event, replay, at, reason } => {
                (*event, *replay, State::Dead { at: *at, reason: *reason })
            }
            Happening::Repeated { at, times } => {
                let before = before.ok_or(IllegalHappening::RepeatOfNothing)?;
                let repeats = before.repeats.saturating_add(*times);
                return Ok(Self { repeats, last_repeat: Some(*at), ..before.clone() });
            }
        };
        let same = before.filter(|before| before.event == event);
        let delivered = same.is_some_and(|before| matches!(before.state, State::Delivered { .. }));
        let same = match kind {
            KeyKind::Event if delivered => return Err(IllegalHappening::AfterDelivery),
            KeyKind::Alert if delivered => None,
            KeyKind::Event | KeyKind::Alert => same,
        };
        let (repeats, last_repeat) = same.map_or((0, None), |before| (before.repeats, before.last_repeat));
        Ok(Self { event, replay, state, repeats, last_repeat })
    }
}

/// What is remembered of one alert: by its event id and by its alert key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Looked {
    /// Under [`RecordKey::Event`].
    pub by_event: Option<Record>,
    /// Under each [`RecordKey::Alert`] that was asked for and has a record.
    pub by_alert: Vec<(Fingerprint, Record)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Fingerprint = Fingerprint([1; 16]);
    const B: Fingerprint = Fingerprint([2; 16]);
    const NOW: UnixMillis = UnixMillis(1_000);
    const LATER: UnixMillis = UnixMillis(2_000);

    fn states() -> Vec<Option<Record>> {
        let all = [
            State::InFlight { until: NOW },
            State::Delivered { at: NOW, request_id: None },
            State::Dead { at: NOW, reason: Reason::Refused },
        ];
        let record = |state| Record { event: A, replay: None, state, repeats: 3, last_repeat: Some(NOW) };
        std::iter::once(None).chain(all.map(record).map(Some)).collect()
    }

    fn happenings(event: Fingerprint) -> [Happening; 4] {
        let (replay, at) = (None, LATER);
        [
            Happening::Claimed { event, replay, until: LATER },
            Happening::Delivered { event, replay, at, request_id: Some("r".into()) },
            Happening::Died { event, replay, at, reason: Reason::Expired },
            Happening::Repeated { at, times: 2 },
        ]
    }

    /// Every record state meets every happening, of its own event and of another one, under both kinds of keys.
    #[test]
    fn every_state_takes_every_happening_or_refuses_it() {
        for kind in [KeyKind::Event, KeyKind::Alert] {
            for before in states() {
                for event in [A, B] {
                    for happening in happenings(event) {
                        let after = Record::apply(kind, before.as_ref(), &happening);
                        check(kind, before.as_ref(), event, &happening, after);
                    }
                }
            }
        }
    }

    #[test]
    fn an_alert_key_is_delivered_anew_by_the_same_event() {
        let again = Happening::Delivered { event: A, replay: None, at: LATER, request_id: None };
        for before in states() {
            let after = Record::apply(KeyKind::Alert, before.as_ref(), &again).unwrap();
            assert_eq!(after.state, State::Delivered { at: LATER, request_id: None });
        }
    }

    #[track_caller]
    fn check(
        kind: KeyKind,
        before: Option<&Record>,
        event: Fingerprint,
        happening: &Happening,
        after: Result<Record, IllegalHappening>,
    ) {
        let delivered = before.is_some_and(|record| matches!(record.state, State::Delivered { .. }));
        match (happening, before) {
            (Happening::Repeated { .. }, None) => assert_eq!(after, Err(IllegalHappening::RepeatOfNothing)),
            (Happening::Repeated { at, .. }, Some(before)) => {
                let want = Record { repeats: 5, last_repeat: Some(*at), ..before.clone() };
                assert_eq!(after, Ok(want));
            }
            (_, Some(_)) if delivered && event == A && kind == KeyKind::Event => {
                assert_eq!(after, Err(IllegalHappening::AfterDelivery));
            }
            (_, before) => {
                let after = after.unwrap();
                assert_eq!(after.event, event);
                let kept = if before.is_some() && event == A && !delivered { 3 } else { 0 };
                assert_eq!(after.repeats, kept);
                let fits = matches!(
                    (happening, &after.state),
                    (Happening::Claimed { .. }, State::InFlight { .. })
                        | (Happening::Delivered { .. }, State::Delivered { .. })
                        | (Happening::Died { .. }, State::Dead { .. })
                );
                assert!(fits, "{happening:?} gave {after:?}");
            }
        }
    }
}
