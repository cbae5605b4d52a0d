//! How messages and the entries of queues are written: small, versioned, and readable for ever.
//!
//! All numbers are big-endian; a text is its length (4 bytes), then UTF-8.
//!
//! A message, version 1: version (1 byte), flags (1), routing key (text); then, where a flag says so: publication time
//! in Unix milliseconds (8), message id, content type, correlation id, kind, application (texts); the number of
//! headers (4), each a name (text), its kind (1) and its value (text, 8 bytes or 1); the body (length in 4, bytes).
//!
//! An entry, version 1: version (1 byte), flags (1), the message's number (8) and length (4), how often it came back
//! (2); for a retry its due time in Unix milliseconds (8) and its whole wait in milliseconds (4).

use std::time::Duration;

use bytes::Bytes;
use nightbell_core::message::{HeaderValue, Headers, Message};
use nightbell_core::time::UnixMillis;
use nightbell_store::{ByteReader, Unreadable};

const VERSION: u8 = 1;

const HAS_TIME: u8 = 1;
/// The flags of the optional texts, in the order in which these are written.
const HAS_TEXT: [u8; 5] = [1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 5];
const MESSAGE_FLAGS: u8 = 0b0011_1111;

const TEXT: u8 = 1;
const NUMBER: u8 = 2;
const FLAG: u8 = 3;

const IS_RETRY: u8 = 1;

/// What a queue knows of a message besides its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The number under which the message is stored.
    pub(crate) message: u64,
    /// The length of its record.
    pub(crate) bytes: u32,
    /// How often it came back because the one who held it ended.
    pub(crate) deliveries: u16,
    /// Set if it waits, or has waited, for its time.
    pub(crate) retry: Option<Retry>,
}

/// When a retry is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Retry {
    pub(crate) due: UnixMillis,
    pub(crate) wait_ms: u32,
}

impl Retry {
    pub(crate) fn wait(self) -> Duration {
        Duration::from_millis(u64::from(self.wait_ms))
    }
}

impl Entry {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION, if self.retry.is_some() { IS_RETRY } else { 0 }];
        out.extend(self.message.to_be_bytes());
        out.extend(self.bytes.to_be_bytes());
        out.extend(self.deliveries.to_be_bytes());
        if let Some(Retry { due, wait_ms }) = self.retry {
            out.extend(due.0.to_be_bytes());
            out.extend(wait_ms.to_be_bytes());
        }
        out
    }

    pub(crate) fn decode(value: &[u8]) -> Result<Self, Unreadable> {
        let mut rest = ByteReader::versioned(value, VERSION)?;
        let flags = rest.flags(IS_RETRY)?;
        let (message, bytes) = (rest.u64()?, rest.u32()?);
        let deliveries = u16::from_be_bytes(rest.array()?);
        let retry = if flags == IS_RETRY {
            Some(Retry { due: UnixMillis(rest.u64()?), wait_ms: rest.u32()? })
        } else {
            None
        };
        rest.end()?;
        Ok(Self { message, bytes, deliveries, retry })
    }
}

/// A message as it is stored; none if a part of it is longer than 4 GiB.
pub(crate) fn encode(message: &Message) -> Option<Vec<u8>> {
    let texts = texts(message);
    let mut flags = if message.published_at.is_some() { HAS_TIME } else { 0 };
    for (text, flag) in texts.iter().zip(HAS_TEXT) {
        flags |= if text.is_some() { flag } else { 0 };
    }
    let mut out = Vec::with_capacity(message.body.len() + message.routing_key.len() + 256);
    out.extend([VERSION, flags]);
    put(&mut out, message.routing_key.as_bytes())?;
    if let Some(at) = message.published_at {
        out.extend(at.0.to_be_bytes());
    }
    for text in texts.into_iter().flatten() {
        put(&mut out, text.as_bytes())?;
    }
    out.extend(u32::try_from(message.headers.len()).ok()?.to_be_bytes());
    for (name, value) in &message.headers {
        put(&mut out, name.as_bytes())?;
        match value {
            HeaderValue::Text(text) => {
                out.push(TEXT);
                put(&mut out, text.as_bytes())?;
            }
            HeaderValue::Number(number) => {
                out.push(NUMBER);
                out.extend(number.to_be_bytes());
            }
            HeaderValue::Flag(flag) => out.extend([FLAG, u8::from(*flag)]),
        }
    }
    put(&mut out, &message.body)?;
    Some(out)
}

/// Reads a message.
pub(crate) fn decode(record: &[u8]) -> Result<Message, Unreadable> {
    let mut rest = ByteReader::versioned(record, VERSION)?;
    let flags = rest.flags(MESSAGE_FLAGS)?;
    let routing_key = text(&mut rest)?;
    let published_at = if flags & HAS_TIME != 0 { Some(UnixMillis(rest.u64()?)) } else { None };
    let mut texts = [const { None }; HAS_TEXT.len()];
    for (optional, flag) in texts.iter_mut().zip(HAS_TEXT) {
        if flags & flag != 0 {
            *optional = Some(text(&mut rest)?);
        }
    }
    let headers = headers(&mut rest)?;
    let body = Bytes::copy_from_slice(bytes(&mut rest)?);
    rest.end()?;
    let [message_id, content_type, correlation_id, kind, app_id] = texts;
    Ok(Message {
        body,
        message_id,
        content_type,
        correlation_id,
        kind,
        app_id,
        published_at,
        routing_key,
        headers,
        ..Message::default()
    })
}

/// The optional texts, in the order in which they are written.
fn texts(message: &Message) -> [Option<&str>; HAS_TEXT.len()] {
    let Message { message_id, content_type, correlation_id, kind, app_id, .. } = message;
    [message_id, content_type, correlation_id, kind, app_id].map(Option::as_deref)
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
    out.extend(u32::try_from(bytes.len()).ok()?.to_be_bytes());
    out.extend(bytes);
    Some(())
}

/// The next bytes, behind their length.
fn bytes<'a>(rest: &mut ByteReader<'a>) -> Result<&'a [u8], Unreadable> {
    let length = rest.u32()?;
    rest.take(usize::try_from(length).map_err(|_| Unreadable::Malformed)?)
}

fn text(rest: &mut ByteReader<'_>) -> Result<String, Unreadable> {
    Ok(str::from_utf8(bytes(rest)?).map_err(|_| Unreadable::Malformed)?.to_owned())
}

fn headers(rest: &mut ByteReader<'_>) -> Result<Headers, Unreadable> {
    let mut headers = Headers::new();
    for _ in 0..rest.u32()? {
        let name = text(rest)?;
        let value = match rest.byte()? {
            TEXT => HeaderValue::Text(text(rest)?),
            NUMBER => HeaderValue::Number(i64::from_be_bytes(rest.array()?)),
            FLAG => HeaderValue::Flag(rest.flags(1)? == 1),
            _ => return Err(Unreadable::Malformed),
        };
        // They are written in order, each once.
        if headers.last_key_value().is_some_and(|(last, _)| *last >= name) {
            return Err(Unreadable::Malformed);
        }
        headers.insert(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::option::of;
    use proptest::prelude::*;

    use super::*;

    fn any_value() -> impl Strategy<Value = HeaderValue> {
        prop_oneof![
            ".{0,20}".prop_map(HeaderValue::Text),
            any::<i64>().prop_map(HeaderValue::Number),
            any::<bool>().prop_map(HeaderValue::Flag),
        ]
    }

    prop_compose! {
        fn any_message()(
            body in vec(any::<u8>(), 0..200),
            texts in [of(".{0,9}"), of(".{0,9}"), of(".{0,9}"), of(".{0,9}"), of(".{0,9}")],
            published_at in of(any::<u64>().prop_map(UnixMillis)),
            routing_key in ".{0,20}",
            headers in btree_map(".{0,8}", any_value(), 0..5),
        ) -> Message {
            let [message_id, content_type, correlation_id, kind, app_id] = texts;
            let body = Bytes::from(body);
            Message { body, message_id, content_type, correlation_id, kind, app_id, published_at, routing_key, headers, ..Message::default() }
        }
    }

    prop_compose! {
        fn any_entry()(
            message in any::<u64>(),
            bytes in any::<u32>(),
            deliveries in any::<u16>(),
            retry in of((any::<u64>(), any::<u32>())),
        ) -> Entry {
            let retry = retry.map(|(due, wait_ms)| Retry { due: UnixMillis(due), wait_ms });
            Entry { message, bytes, deliveries, retry }
        }
    }

    proptest! {
        #[test]
        fn a_message_is_read_as_it_was_written(message in any_message()) {
            prop_assert_eq!(decode(&encode(&message).unwrap()), Ok(message));
        }

        #[test]
        fn an_entry_is_read_as_it_was_written(entry in any_entry()) {
            prop_assert_eq!(Entry::decode(&entry.encode()), Ok(entry));
        }

        #[test]
        fn a_record_cut_short_or_with_a_rest_is_refused(message in any_message(), entry in any_entry(), cut in 1..16_usize) {
            let (message, entry) = (encode(&message).unwrap(), entry.encode());
            prop_assert!(decode(&message[..message.len().saturating_sub(cut)]).is_err());
            prop_assert!(decode(&[&*message, &[0]].concat()).is_err());
            prop_assert!(Entry::decode(&entry[..entry.len() - cut]).is_err());
            prop_assert!(Entry::decode(&[&*entry, &[0]].concat()).is_err());
        }

        #[test]
        fn any_bytes_are_read_or_refused(message in any_message(), at in any::<usize>(), byte in any::<u8>(), noise in vec(any::<u8>(), 0..64)) {
            // Bytes that are nearly right reach further than random ones; either way the writing is the only one.
            let mut record = encode(&message).unwrap();
            let at = at % record.len();
            record[at] = byte;
            for record in [record, noise] {
                if let Ok(message) = decode(&record) {
                    prop_assert_eq!(encode(&message).unwrap(), record.clone());
                }
                if let Ok(entry) = Entry::decode(&record) {
                    prop_assert_eq!(entry.encode(), record);
                }
            }
        }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Records written by version 1 must stay readable; these bytes are never changed.
    #[test]
    fn version_1_of_a_message_is_kept() {
        let headers = [
            ("a".to_owned(), HeaderValue::Text("é".into())),
            ("b".to_owned(), HeaderValue::Number(-2)),
            ("c".to_owned(), HeaderValue::Flag(true)),
        ];
        let message = Message {
            body: Bytes::from_static(b"{}"),
            message_id: Some("m".into()),
            content_type: Some("t".into()),
            correlation_id: None,
            kind: Some("k".into()),
            app_id: Some("p".into()),
            published_at: Some(UnixMillis(0x0102)),
            routing_key: "x.y".into(),
            headers: Headers::from(headers),
            ..Message::default()
        };
        let want =
            "01 37 00000003 782e79 0000000000000102 00000001 6d 00000001 74 00000001 6b 00000001 70 00000003
            00000001 61 01 00000002 c3a9 00000001 62 02 fffffffffffffffe 00000001 63 03 01 00000002 7b7d";
        assert_eq!(hex(&encode(&message).unwrap()), want.replace([' ', '\n'], ""));
    }

    #[test]
    fn version_1_of_an_entry_is_kept() {
        let retry = Retry { due: UnixMillis(0x0506), wait_ms: 8_000 };
        let entry = Entry { message: 0x0102, bytes: 0x0304, deliveries: 7, retry: Some(retry) };
        let want = "0101 0000000000000102 00000304 0007 0000000000000506 00001f40";
        assert_eq!(hex(&entry.encode()), want.replace(' ', ""));
        let want = "0100 0000000000000102 00000304 0007";
        assert_eq!(hex(&Entry { retry: None, ..entry }.encode()), want.replace(' ', ""));
    }

    #[test]
    fn a_later_version_is_named() {
        assert_eq!(decode(&[2, 0]), Err(Unreadable::Version(2)));
        assert_eq!(Entry::decode(&[9]), Err(Unreadable::Version(9)));
        assert_eq!(decode(&[]), Err(Unreadable::Short));
    }
}
