//! How a record is written: small, versioned, and readable for ever.
//!
//! Version 1, all numbers big-endian: version (1 byte), state (1), flags (1), expiry in Unix milliseconds
//! (8), event (16), the state's time (8), repeats (4); then, where the state or a flag says so: the dead
//! letter's reason (1), replay (8), last repeat (8), `requestId` (length in 1 byte, then UTF-8).

use nightbell_core::dead::Reason;
use nightbell_core::fingerprint::Fingerprint;
use nightbell_core::record::{Record, State};
use nightbell_core::time::UnixMillis;
use nightbell_store::{ByteReader, Unreadable};

/// The longest `requestId` that is kept, in bytes; a longer one is cut. One byte holds its length.
pub(crate) const REQUEST_ID_BYTES_MAX: usize = 128;

const VERSION: u8 = 1;

const IN_FLIGHT: u8 = 1;
const DELIVERED: u8 = 2;
const DEAD: u8 = 3;

const HAS_REPLAY: u8 = 1;
const HAS_LAST_REPEAT: u8 = 1 << 1;
const HAS_REQUEST_ID: u8 = 1 << 2;
const FLAGS: u8 = HAS_REPLAY | HAS_LAST_REPEAT | HAS_REQUEST_ID;

/// A record as it is stored, with the time at which it is forgotten. The expiry is part of the value, so that
/// a stale entry of the expiry index is recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    /// The record.
    pub(crate) record: Record,
    /// From this time on it counts as forgotten.
    pub(crate) expires: UnixMillis,
}

impl Stored {
    /// Whether it is still remembered at `now`.
    pub(crate) fn lives(&self, now: UnixMillis) -> bool {
        now < self.expires
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let Record { event, replay, state, repeats, last_repeat } = &self.record;
        let (kind, at, reason, request_id) = match state {
            State::InFlight { until } => (IN_FLIGHT, until, None, None),
            State::Delivered { at, request_id } => (DELIVERED, at, None, request_id.as_deref().map(capped)),
            State::Dead { at, reason } => (DEAD, at, Some(*reason), None),
        };
        let mut flags = 0;
        flags |= replay.map_or(0, |_| HAS_REPLAY);
        flags |= last_repeat.map_or(0, |_| HAS_LAST_REPEAT);
        flags |= request_id.map_or(0, |_| HAS_REQUEST_ID);

        let mut out = vec![VERSION, kind, flags];
        out.extend(self.expires.0.to_be_bytes());
        out.extend(event.0);
        out.extend(at.0.to_be_bytes());
        out.extend(repeats.to_be_bytes());
        out.extend(reason.map(reason_code));
        out.extend(replay.iter().flat_map(|time| time.0.to_be_bytes()));
        out.extend(last_repeat.iter().flat_map(|time| time.0.to_be_bytes()));
        if let Some(text) = request_id {
            out.push(u8::try_from(text.len()).expect("a capped text is shorter than 256 bytes"));
            out.extend(text.as_bytes());
        }
        out
    }

    pub(crate) fn decode(value: &[u8]) -> Result<Self, Unreadable> {
        let mut rest = ByteReader::versioned(value, VERSION)?;
        let (kind, flags) = (rest.byte()?, rest.flags(FLAGS)?);
        if flags & HAS_REQUEST_ID != 0 && kind != DELIVERED {
            return Err(Unreadable::Malformed);
        }
        let expires = time(&mut rest)?;
        let event = Fingerprint(rest.array()?);
        let at = time(&mut rest)?;
        let repeats = rest.u32()?;
        let reason = if kind == DEAD { Some(read_reason(rest.byte()?)?) } else { None };
        let replay = if flags & HAS_REPLAY != 0 { Some(time(&mut rest)?) } else { None };
        let last_repeat = if flags & HAS_LAST_REPEAT != 0 { Some(time(&mut rest)?) } else { None };
        let request_id = if flags & HAS_REQUEST_ID != 0 { Some(read_request_id(&mut rest)?) } else { None };
        let state = match (kind, reason) {
            (IN_FLIGHT, _) => State::InFlight { until: at },
            (DELIVERED, _) => State::Delivered { at, request_id },
            (DEAD, Some(reason)) => State::Dead { at, reason },
            _ => return Err(Unreadable::Malformed),
        };
        rest.end()?;
        Ok(Self { record: Record { event, replay, state, repeats, last_repeat }, expires })
    }
}

fn time(rest: &mut ByteReader<'_>) -> Result<UnixMillis, Unreadable> {
    rest.u64().map(UnixMillis)
}

fn read_request_id(rest: &mut ByteReader<'_>) -> Result<String, Unreadable> {
    let length = usize::from(rest.byte()?);
    if length > REQUEST_ID_BYTES_MAX { Err(Unreadable::Malformed) } else { rest.text(length) }
}

/// As much of `text` as is kept, cut between characters.
fn capped(text: &str) -> &str {
    &text[..text.floor_char_boundary(REQUEST_ID_BYTES_MAX)]
}

fn reason_code(reason: Reason) -> u8 {
    match reason {
        Reason::Invalid => 1,
        Reason::Expired => 2,
        Reason::Refused => 3,
        Reason::Unrouted => 4,
        Reason::DeliveryLimit => 5,
    }
}

fn read_reason(code: u8) -> Result<Reason, Unreadable> {
    Reason::ALL.into_iter().find(|reason| reason_code(*reason) == code).ok_or(Unreadable::Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::option::of;
    use proptest::prelude::*;

    use super::*;

    fn any_state() -> impl Strategy<Value = State> {
        let time = || any::<u64>().prop_map(UnixMillis);
        prop_oneof![
            time().prop_map(|until| State::InFlight { until }),
            (time(), of("[ -~]{0,128}")).prop_map(|(at, request_id)| State::Delivered { at, request_id }),
            (time(), 0..5_usize).prop_map(|(at, reason)| State::Dead { at, reason: Reason::ALL[reason] }),
        ]
    }

    prop_compose! {
        fn any_stored()(
            event in any::<[u8; 16]>(),
            replay in of(any::<u64>()),
            state in any_state(),
            repeats in any::<u32>(),
            last_repeat in of(any::<u64>()),
            expires in any::<u64>(),
        ) -> Stored {
            let (replay, last_repeat) = (replay.map(UnixMillis), last_repeat.map(UnixMillis));
            let record = Record { event: Fingerprint(event), replay, state, repeats, last_repeat };
            Stored { record, expires: UnixMillis(expires) }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(stored in any_stored()) {
            prop_assert_eq!(Stored::decode(&stored.encode()), Ok(stored));
        }

        #[test]
        fn any_bytes_are_read_or_refused(
            mut value in vec(any::<u8>(), 0..256),
            version in 0..3_u8,
            kind in 0..5_u8,
        ) {
            // Bytes that are nearly right reach further than random ones; either way the writing is the only
            // one.
            for head in [None, Some([version, kind])] {
                if let (Some(head), Some(place)) = (head, value.first_chunk_mut()) {
                    *place = head;
                }
                if let Ok(stored) = Stored::decode(&value) {
                    prop_assert_eq!(stored.encode(), value.clone());
                }
            }
        }

        #[test]
        fn a_value_cut_short_is_refused(stored in any_stored(), cut in 1..39_usize) {
            let value = stored.encode();
            prop_assert!(Stored::decode(&value[..value.len() - cut]).is_err());
        }
    }

    fn record(state: State) -> Record {
        Record { event: Fingerprint([0xab; 16]), replay: None, state, repeats: 0, last_repeat: None }
    }

    const AT: UnixMillis = UnixMillis(0x0102_0304);
    const EXPIRES: UnixMillis = UnixMillis(0x0506_0708);

    /// Records written by version 1 must stay readable; these bytes are never changed.
    #[track_caller]
    fn check_v1(record: Record, hex: &str) {
        let stored = Stored { record, expires: EXPIRES };
        let written: String = stored.encode().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(written, hex.replace(' ', ""));
        assert_eq!(Stored::decode(&stored.encode()), Ok(stored));
    }

    #[test]
    fn version_1_in_flight_is_kept() {
        check_v1(
            record(State::InFlight { until: AT }),
            "01 01 00 0000000005060708 abababababababababababababababab 0000000001020304 00000000",
        );
    }

    #[test]
    fn version_1_delivered_is_kept() {
        let state = State::Delivered { at: AT, request_id: Some("r-1é".into()) };
        check_v1(
            Record {
                replay: Some(UnixMillis(9)),
                repeats: 258,
                last_repeat: Some(UnixMillis(10)),
                ..record(state)
            },
            "01 02 07 0000000005060708 abababababababababababababababab 0000000001020304 00000102
             0000000000000009 000000000000000a 05 722d31c3a9"
                .replace('\n', "")
                .as_str(),
        );
        check_v1(
            record(State::Delivered { at: AT, request_id: None }),
            "01 02 00 0000000005060708 abababababababababababababababab 0000000001020304 00000000",
        );
    }

    #[test]
    fn version_1_dead_is_kept() {
        let codes = [
            (Reason::Invalid, "01"),
            (Reason::Expired, "02"),
            (Reason::Refused, "03"),
            (Reason::Unrouted, "04"),
            (Reason::DeliveryLimit, "05"),
        ];
        for (reason, code) in codes {
            let hex = "01 03 00 0000000005060708 abababababababababababababababab 0000000001020304 00000000"
                .to_owned();
            check_v1(record(State::Dead { at: AT, reason }), &(hex + code));
        }
    }

    #[test]
    fn a_later_version_is_named() {
        assert_eq!(Stored::decode(&[2, 1, 0]), Err(Unreadable::Version(2)));
        assert_eq!(Stored::decode(&[]), Err(Unreadable::Short));
    }

    #[test]
    fn a_long_request_id_is_cut_between_characters() {
        let kept = |id: String| {
            let state = State::Delivered { at: AT, request_id: Some(id) };
            let value = Stored { record: record(state), expires: EXPIRES }.encode();
            match Stored::decode(&value).unwrap().record.state {
                State::Delivered { request_id, .. } => request_id.unwrap(),
                other @ (State::InFlight { .. } | State::Dead { .. }) => panic!("{other:?}"),
            }
        };
        assert_eq!(kept("a".repeat(500)), "a".repeat(128));
        assert_eq!(kept("é".repeat(64)), "é".repeat(64));
        assert_eq!(kept(format!("a{}", "é".repeat(64))), format!("a{}", "é".repeat(63)));
    }

    #[test]
    fn a_record_is_forgotten_from_its_expiry_on() {
        let stored = Stored { record: record(State::InFlight { until: AT }), expires: UnixMillis(10) };
        assert!(stored.lives(UnixMillis(9)));
        assert!(!stored.lives(UnixMillis(10)));
    }
}
