//! Messages as the broker has them, and as Nightbell has them.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use bytes::Bytes;
use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use nightbell_core::journey::{self, Death, Journey, cut};
use nightbell_core::message::{Arrival, HeaderValue, Headers, Message};
use nightbell_core::time::UnixMillis;

use crate::limits::{HEADERS_BYTES_MAX, SHORT_BYTES_MAX};
use crate::names::Names;
use crate::{death, packed};

/// When the message was published, in epoch milliseconds: the broker's own field knows seconds only.
pub(crate) const PUBLISHED_AT: &str = "nightbell-published-at";
/// The routing key that the message first came with, where a retry has replaced it.
pub(crate) const ROUTING_KEY: &str = "nightbell-routing-key";
/// The message id, where it is too long for the broker's own field.
pub(crate) const MESSAGE_ID: &str = "nightbell-message-id";

/// What [`crate::content`] found to be beyond a bound, and how many headers it left out. Nobody else can set them.
pub(crate) const FLAW: &str = "nightbell-flaw";
pub(crate) const LEFT_OUT: &str = "nightbell-left-out";

/// A timestamp above this many seconds is taken for milliseconds, which many producers send. It is the year
/// 5138.
const SECONDS_MAX: u64 = 100_000_000_000;

/// The persistent delivery mode.
const PERSISTENT: u8 = 2;

/// Headers that the broker writes, or that would make it route copies: never read, and never published again.
const BROKERS_OWN: [&str; 5] = ["x-death", "x-delivery-count", "x-acquired-count", "CC", "BCC"];
/// The starts of such headers.
const BROKERS_OWN_STARTS: [&str; 2] = ["x-first-death-", "x-last-death-"];

/// Reads a delivery of a connector's queue, and gives how many headers were left out, if it has too many. It takes the body
/// out of it; whatever has no place in a [`Message`] is left behind.
pub(crate) fn read(names: &Names, delivery: &mut Delivery) -> (Message, Option<u64>) {
    let (mut message, left_out) = read_all(delivery);
    let table = delivery.properties.headers().as_ref();
    let by_the_broker = death::in_a_connectors_queue(names, table);
    let mut journey = Journey::read(&message.headers);
    let died = by_the_broker.as_ref().or(journey.death.as_ref()).and_then(|death| death.at);
    if !death::is_ours(names, delivery.exchange.as_str(), table) {
        journey::strip(&mut message.headers);
        journey = Journey::default();
    }
    // A retry of ours is no new copy: of two, the ledger lets one through.
    let is_retry = message.headers.contains_key(journey::ATTEMPTS);
    message.arrival = Arrival { is_first: !delivery.redelivered && !is_retry, died_at: died };
    // What publishers can't write to, but an operator's tools can.
    if let Some(death) = by_the_broker.filter(|_| death::may_write_ours(names, delivery.exchange.as_str())) {
        journey.death = Some(death);
        journey.write(&mut message.headers);
    }
    (message, left_out)
}

/// Reads a delivery of the dead queue.
pub(crate) fn read_letter(names: &Names, delivery: &mut Delivery) -> (Message, Death) {
    let (mut message, _) = read_all(delivery);
    let table = delivery.properties.headers().as_ref();
    if !death::is_ours(names, delivery.exchange.as_str(), table) {
        journey::strip(&mut message.headers);
    }
    let death = death::death(names, &message.headers, table, delivery.routing_key.as_str());
    (message, death)
}

fn read_all(delivery: &mut Delivery) -> (Message, Option<u64>) {
    let properties = &delivery.properties;
    let mut headers = read_headers(properties.headers().as_ref());
    let published_at = take_number(&mut headers, PUBLISHED_AT)
        .map(UnixMillis)
        .or_else(|| properties.timestamp().and_then(read_timestamp));
    let text = |field: &Option<ShortString>| field.as_ref().map(ToString::to_string);
    let came = Bytes::from(std::mem::take(&mut delivery.data));
    let encoding = properties.content_encoding().as_ref().map(ShortString::as_str);
    let (body, too_packed) = match packed::unpacked(encoding, &came) {
        Ok(body) => (body.unwrap_or(came), None),
        Err(flaw) => (came, Some(flaw)),
    };
    let left_out = take_number(&mut headers, LEFT_OUT);
    let message = Message {
        flaw: take_text(&mut headers, FLAW).or(too_packed),
        message_id: take_text(&mut headers, MESSAGE_ID).or_else(|| text(properties.message_id())),
        content_type: text(properties.content_type()),
        correlation_id: text(properties.correlation_id()),
        kind: text(properties.kind()),
        app_id: text(properties.app_id()),
        published_at,
        routing_key: take_text(&mut headers, ROUTING_KEY).unwrap_or_else(|| delivery.routing_key.to_string()),
        headers,
        body,
        arrival: Arrival::default(),
    };
    (message, left_out)
}

/// Whether a message keeps its own routing key when it is published, or gets one that brings it somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    Kept,
    Replaced,
}

/// The properties to publish a message with. `frame_max` is the most bytes of one frame; none if they can't
/// be made to fit it, because the message's own id is too long.
pub(crate) fn properties(message: &Message, key: Key, frame_max: u32) -> Option<BasicProperties> {
    let mut headers = message.headers.clone();
    headers.retain(|name, _| !is_brokers_own(name) && name.len() <= SHORT_BYTES_MAX);
    let mut properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
    if let Some(at) = message.published_at {
        properties = properties.with_timestamp(at.0 / 1_000);
        if let Ok(number) = i64::try_from(at.0) {
            headers.insert(PUBLISHED_AT.to_owned(), HeaderValue::Number(number));
        }
    }
    if key == Key::Replaced {
        headers.insert(ROUTING_KEY.to_owned(), HeaderValue::Text(message.routing_key.clone()));
    }
    if let Some(id) = &message.message_id {
        match ShortString::try_new(id.as_str()) {
            Ok(id) => properties = properties.with_message_id(id),
            Err(_) => drop(headers.insert(MESSAGE_ID.to_owned(), HeaderValue::Text(id.clone()))),
        }
    }
    for (text, with) in [
        (&message.content_type, BasicProperties::with_content_type as fn(_, _) -> _),
        (&message.correlation_id, BasicProperties::with_correlation_id),
        (&message.kind, BasicProperties::with_type),
        (&message.app_id, BasicProperties::with_app_id),
    ] {
        if let Some(text) = text {
            properties = with(properties, short(text));
        }
    }
    fit(&mut headers, frame_max).then(|| properties.with_headers(write_headers(&headers)))
}

/// A short string, cut where it is too long.
pub(crate) fn short(text: &str) -> ShortString {
    ShortString::from(cut(text, SHORT_BYTES_MAX))
}

fn read_headers(table: Option<&FieldTable>) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in table.into_iter().flatten() {
        if let Some(value) = read_value(value).filter(|_| !is_brokers_own(name.as_str())) {
            headers.insert(name.to_string(), value);
        }
    }
    headers
}

fn read_value(value: &AMQPValue) -> Option<HeaderValue> {
    Some(match value {
        AMQPValue::LongString(text) => HeaderValue::Text(text.to_string()),
        AMQPValue::ShortString(text) => HeaderValue::Text(text.to_string()),
        AMQPValue::Boolean(flag) => HeaderValue::Flag(*flag),
        AMQPValue::ShortShortInt(number) => HeaderValue::Number(i64::from(*number)),
        AMQPValue::ShortShortUInt(number) => HeaderValue::Number(i64::from(*number)),
        AMQPValue::ShortInt(number) => HeaderValue::Number(i64::from(*number)),
        AMQPValue::ShortUInt(number) => HeaderValue::Number(i64::from(*number)),
        AMQPValue::LongInt(number) => HeaderValue::Number(i64::from(*number)),
        AMQPValue::LongUInt(number) => HeaderValue::Number(i64::from(*number)),
        AMQPValue::LongLongInt(number) => HeaderValue::Number(*number),
        AMQPValue::Float(_)
        | AMQPValue::Double(_)
        | AMQPValue::DecimalValue(_)
        | AMQPValue::FieldArray(_)
        | AMQPValue::Timestamp(_)
        | AMQPValue::FieldTable(_)
        | AMQPValue::ByteArray(_)
        | AMQPValue::Void => return None,
    })
}

/// None if it is beyond what [`PUBLISHED_AT`] can hold: such a time is nonsense, and a retry would make another one of it.
fn read_timestamp(timestamp: u64) -> Option<UnixMillis> {
    i64::try_from(timestamp).ok()?;
    Some(UnixMillis(if timestamp > SECONDS_MAX { timestamp } else { timestamp * 1_000 }))
}

fn take_text(headers: &mut Headers, name: &str) -> Option<String> {
    match headers.remove(name)? {
        HeaderValue::Text(text) => Some(text),
        HeaderValue::Number(_) | HeaderValue::Flag(_) => None,
    }
}

fn take_number(headers: &mut Headers, name: &str) -> Option<u64> {
    match headers.remove(name)? {
        HeaderValue::Number(number) => u64::try_from(number).ok(),
        HeaderValue::Text(_) | HeaderValue::Flag(_) => None,
    }
}

pub(crate) fn is_brokers_own(name: &str) -> bool {
    BROKERS_OWN.contains(&name) || BROKERS_OWN_STARTS.iter().any(|start| name.starts_with(start))
}

/// Drops headers until the rest fit one frame: the history first, then the longest foreign ones. One that
/// does not fit would make the broker close the connection, each time anew. False if they don't fit even so.
fn fit(headers: &mut Headers, frame_max: u32) -> bool {
    let room = usize::try_from(frame_max).unwrap_or(usize::MAX) / 4 * 3;
    let room = room.min(HEADERS_BYTES_MAX);
    let mut size: usize = headers.iter().map(size_of_header).sum();
    if size <= room {
        return true;
    }
    let may_go =
        headers.iter().filter(|(name, _)| *name == journey::HISTORY || !name.starts_with("nightbell-"));
    let mut going: Vec<_> = may_go.map(|header| (size_of_header(header), header.0.clone())).collect();
    going.sort_unstable_by_key(|(bytes, name)| Reverse((name == journey::HISTORY, *bytes)));
    let (before, mut names) = (size, Vec::new());
    for (bytes, name) in going {
        if size <= room {
            break;
        }
        headers.remove(&name);
        size -= bytes;
        names.push(cut(&name, 64));
    }
    let (count, bytes, first) = (names.len(), before - size, names.first());
    tracing::warn!(count, bytes, first, "headers were dropped, since all must fit one frame");
    size <= room
}

/// The bytes of a header in its frame, at most.
fn size_of_header((name, value): (&String, &HeaderValue)) -> usize {
    let value = match value {
        HeaderValue::Text(text) => text.len(),
        HeaderValue::Number(_) | HeaderValue::Flag(_) => 8,
    };
    name.len() + value + 6
}

fn write_headers(headers: &Headers) -> FieldTable {
    let write = |(name, value): (&String, &HeaderValue)| {
        let value = match value {
            HeaderValue::Text(text) => AMQPValue::LongString(text.as_str().into()),
            HeaderValue::Number(number) => AMQPValue::LongLongInt(*number),
            HeaderValue::Flag(flag) => AMQPValue::Boolean(*flag),
        };
        (short(name), value)
    };
    headers.iter().map(write).collect::<BTreeMap<_, _>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lapin::types::FieldArray;
    use proptest::collection::vec;
    use proptest::option::of;
    use proptest::prelude::*;
    use proptest::sample::select;

    const FRAME: u32 = 131_072;

    fn delivered(properties: BasicProperties) -> Message {
        let mut delivery = Delivery::mock(1, "".into(), "8.sre".into(), false, b"{}".to_vec());
        delivery.properties = properties;
        read_all(&mut delivery).0
    }

    fn message() -> Message {
        let headers = [
            ("traceparent".to_owned(), HeaderValue::Text("00-1".into())),
            ("number".to_owned(), HeaderValue::Number(-5)),
            ("flag".to_owned(), HeaderValue::Flag(true)),
        ];
        Message {
            body: Bytes::from_static(b"{}"),
            message_id: Some("m".into()),
            content_type: Some("application/json".into()),
            correlation_id: Some("c".into()),
            kind: Some("k".into()),
            app_id: Some("a".into()),
            published_at: Some(UnixMillis(1_700_000_000_123)),
            routing_key: "payments.api".into(),
            headers: Headers::from(headers),
            ..Message::default()
        }
    }

    #[test]
    fn our_headers_are_believed_by_their_way_and_a_retry_of_ours_is_no_new_copy() {
        let death = Death {
            connector: None,
            reason: nightbell_core::dead::Reason::Refused,
            detail: String::new(),
            at: Some(UnixMillis(7)),
        };
        let retry = Journey { attempts: 3, ..Journey::default() };
        let letter = Journey { death: Some(death), ..retry.clone() };
        let came = |exchange: &str, redelivered, journey: Option<&Journey>| {
            let mut headers = Headers::new();
            journey.into_iter().for_each(|journey| journey.write(&mut headers));
            let mut delivery = Delivery::mock(1, exchange.into(), "k".into(), redelivered, b"{}".to_vec());
            delivery.properties = BasicProperties::default().with_headers(write_headers(&headers));
            let (message, _) = read(&Names::default(), &mut delivery);
            let Arrival { is_first, died_at } = message.arrival;
            (is_first, died_at.map(|at| at.0), Journey::read(&message.headers).attempts)
        };
        let (events, requeue) = ("nightbell.events", "nightbell.requeue");
        assert_eq!(came(events, false, None), (true, None, 0));
        assert_eq!(came(events, true, None), (false, None, 0));
        assert_eq!(came(events, false, Some(&retry)), (true, None, 0));
        assert_eq!(came(events, true, Some(&letter)), (false, Some(7), 0));
        assert_eq!(came(requeue, false, Some(&retry)), (false, None, 3));
        assert_eq!(came(requeue, false, None), (true, None, 0));
        assert_eq!(came("", false, Some(&letter)), (false, Some(7), 3));
    }

    #[test]
    fn a_message_survives_a_retry_whole_with_its_key_and_its_milliseconds() {
        assert_eq!(delivered(properties(&message(), Key::Replaced, FRAME).unwrap()), message());
    }

    #[test]
    fn a_message_that_keeps_its_key_comes_with_the_key_it_was_delivered_by() {
        let kept = delivered(properties(&message(), Key::Kept, FRAME).unwrap());
        assert_eq!(kept, Message { routing_key: "8.sre".into(), ..message() });
    }

    #[test]
    fn it_is_published_persistent_and_with_whole_seconds() {
        let properties = properties(&message(), Key::Kept, FRAME).unwrap();
        assert_eq!(properties.delivery_mode(), &Some(2));
        assert_eq!(properties.timestamp(), &Some(1_700_000_000));
        assert_eq!((properties.user_id(), properties.expiration()), (&None, &None));
    }

    #[test]
    fn what_is_the_brokers_own_is_neither_read_nor_published() {
        let own = ["x-death", "x-first-death-queue", "x-last-death-reason", "x-delivery-count", "CC", "BCC"];
        let mut table = FieldTable::default();
        for name in own {
            table.insert(name.into(), AMQPValue::LongString("x".into()));
        }
        table.insert("list".into(), AMQPValue::FieldArray(FieldArray::default()));
        table.insert("x-mine".into(), AMQPValue::LongLongInt(1));
        let read = delivered(BasicProperties::default().with_headers(table));
        assert_eq!(read.headers, Headers::from([("x-mine".to_owned(), HeaderValue::Number(1))]));
        let mut message = message();
        message.headers = own.iter().map(|name| ((*name).to_owned(), HeaderValue::Flag(true))).collect();
        let written = properties(&Message { published_at: None, ..message }, Key::Kept, FRAME).unwrap();
        assert_eq!(written.headers().as_ref().unwrap().inner().len(), 0);
    }

    #[test]
    fn a_timestamp_in_milliseconds_is_understood() {
        for timestamp in [1_700_000_000, 1_700_000_000_000] {
            let read = delivered(BasicProperties::default().with_timestamp(timestamp));
            assert_eq!(read.published_at, Some(UnixMillis(1_700_000_000_000)));
        }
    }

    #[test]
    fn a_timestamp_that_no_header_can_hold_counts_as_absent() {
        let read = |timestamp| delivered(BasicProperties::default().with_timestamp(timestamp)).published_at;
        let last = (1 << 63) - 1;
        assert_eq!(read(last), Some(UnixMillis(last)));
        for timestamp in [1 << 63, u64::MAX] {
            assert_eq!(read(timestamp), None, "{timestamp}");
        }
    }

    #[test]
    fn texts_of_any_length_can_be_published_and_an_id_is_never_cut() {
        let long = "ä".repeat(300);
        let text = || Some(long.clone());
        let message = Message {
            message_id: text(),
            content_type: text(),
            correlation_id: text(),
            kind: text(),
            app_id: text(),
            headers: Headers::from([(long.clone(), HeaderValue::Flag(true))]),
            ..message()
        };
        let read = delivered(properties(&message, Key::Kept, FRAME).unwrap());
        assert_eq!(read.message_id, text());
        assert!(read.kind.is_some_and(|kind| kind.len() <= 255));
    }

    #[test]
    fn headers_that_would_not_fit_one_frame_are_dropped_the_history_first() {
        let text = |bytes: usize| HeaderValue::Text("x".repeat(bytes));
        let headers = |history: usize, foreign: usize| {
            Headers::from([
                (journey::HISTORY.to_owned(), text(history)),
                (journey::DETAIL.to_owned(), text(2_048)),
                ("foreign".to_owned(), text(foreign)),
                ("small".to_owned(), text(10)),
            ])
        };
        let names = |mut headers: Headers, frame_max| {
            assert!(fit(&mut headers, frame_max));
            headers.into_keys().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(headers(100, 100), FRAME), "foreign nightbell-detail nightbell-history small");
        assert_eq!(names(headers(60_000, 60_000), FRAME), "foreign nightbell-detail small");
        assert_eq!(names(headers(60_000, 120_000), FRAME), "nightbell-detail small");
        assert_eq!(names(headers(10_000, 4_000), 8_192), "foreign nightbell-detail small");
        let message = Message { message_id: Some("x".repeat(100_000)), ..message() };
        assert_eq!(properties(&message, Key::Kept, FRAME), None);
    }

    fn any_value() -> impl Strategy<Value = AMQPValue> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(AMQPValue::Boolean),
            any::<i8>().prop_map(AMQPValue::ShortShortInt),
            any::<u8>().prop_map(AMQPValue::ShortShortUInt),
            any::<i16>().prop_map(AMQPValue::ShortInt),
            any::<u32>().prop_map(AMQPValue::LongUInt),
            any::<i64>().prop_map(AMQPValue::LongLongInt),
            any::<f64>().prop_map(AMQPValue::Double),
            any::<u64>().prop_map(AMQPValue::Timestamp),
            vec(any::<u8>(), 0..9).prop_map(|bytes| AMQPValue::LongString(bytes.into())),
            "[0-9]{1,20}|refused|\\PC{0,9}".prop_map(|text| AMQPValue::LongString(text.into())),
            "\\PC{0,9}".prop_map(|text| AMQPValue::ShortString(text.into())),
            Just(AMQPValue::Void),
        ];
        leaf.prop_recursive(2, 12, 4, |inner| {
            let list = vec(inner.clone(), 0..4).prop_map(|list| AMQPValue::FieldArray(list.into()));
            let fields =
                vec((any_name(), inner), 0..4).prop_map(|fields| AMQPValue::FieldTable(table(fields)));
            prop_oneof![list, fields]
        })
    }

    fn any_name() -> impl Strategy<Value = String> {
        let ours = [PUBLISHED_AT, ROUTING_KEY, MESSAGE_ID, journey::LEFT, journey::HISTORY, journey::REASON];
        let others = ["x-death", "queue", "reason", "time", "traceparent", "CC"];
        prop_oneof![select([&ours[..], &others].concat()).prop_map(str::to_owned), "\\PC{0,9}"]
    }

    fn table(fields: Vec<(String, AMQPValue)>) -> FieldTable {
        fields
            .into_iter()
            .map(|(name, value)| (ShortString::from(name), value))
            .collect::<BTreeMap<_, _>>()
            .into()
    }

    proptest! {
        #[test]
        fn whatever_a_producer_sends_is_read_and_survives_a_retry(
            fields in vec((any_name(), any_value()), 0..8),
            timestamp in of(any::<u64>()),
            id in of("\\PC{0,20}"),
        ) {
            let table = table(fields);
            let mut sent = BasicProperties::default().with_headers(table.clone());
            sent = timestamp.into_iter().fold(sent, BasicProperties::with_timestamp);
            sent = id.into_iter().fold(sent, |sent, id| sent.with_message_id(id.into()));
            let read = delivered(sent);
            let again = delivered(properties(&read, Key::Replaced, FRAME).unwrap());
            prop_assert_eq!(&again, &read);
            let _death = death::death(&Names::default(), &read.headers, Some(&table), &read.routing_key);
        }
    }
}
