//! Dead letters that the queue makes itself, as RabbitMQ would show them, and how any dead letter came about.

use bytes::Bytes;
use nightbell_core::connector::Connector;
use nightbell_core::dead::Reason;
use nightbell_core::journey::{Death, Journey};
use nightbell_core::message::Message;
use nightbell_core::time::UnixMillis;
use nightbell_store::Unreadable;

use crate::codec::decode;

/// Marks a message that no queue wanted. `connector` is the one that it was meant for, if it was for one alone.
pub(crate) fn unrouted(message: &mut Message, connector: Option<Connector>, at: UnixMillis) {
    let detail = match &connector {
        Some(connector) => {
            format!("it came back from a retry, and connector {connector} has no queue any more")
        }
        None => "no connector's queue was bound when it was published".to_owned(),
    };
    mark(message, Death { connector, reason: Reason::Unrouted, detail, at: Some(at) });
}

/// Marks a message that came back too often.
pub(crate) fn delivery_limit(message: &mut Message, connector: Connector, at: UnixMillis) {
    let detail = format!(
        "workers ended too often while they held it, and may have sent it each time; taken from the queue of connector \
         {connector}"
    );
    let death = Death { connector: Some(connector), reason: Reason::DeliveryLimit, detail, at: Some(at) };
    mark(message, death);
}

/// A record that can't be read.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) record: Vec<u8>,
    pub(crate) why: Unreadable,
}

/// Reads a record that should be there.
pub(crate) fn read(record: Option<&[u8]>) -> Result<Message, Broken> {
    let record = record.ok_or(Broken { record: Vec::new(), why: Unreadable::Missing })?;
    decode(record).map_err(|why| Broken { record: record.to_owned(), why })
}

/// What is left of a message whose record can't be read: the record itself as the body.
pub(crate) fn salvaged(broken: Broken, connector: Option<Connector>, at: UnixMillis) -> Message {
    let detail = format!("its record in the queue's file can't be read: {}", broken.why);
    let body = Bytes::from(broken.record);
    let mut message = Message { body, ..Message::default() };
    mark(&mut message, Death { connector, reason: Reason::Invalid, detail, at: Some(at) });
    message
}

/// How a dead letter came about. Whatever is published to the dead letters tells it in our headers.
pub(crate) fn of(message: &Message) -> Death {
    Journey::read(&message.headers).death.unwrap_or_else(|| Death {
        connector: None,
        reason: Reason::Unrouted,
        detail: "no connector's queue was bound when it was published".to_owned(),
        at: None,
    })
}

fn mark(message: &mut Message, death: Death) {
    let mut journey = Journey::read(&message.headers);
    journey.death = Some(death);
    journey.write(&mut message.headers);
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: UnixMillis = UnixMillis(1_800_000_000_000);

    #[track_caller]
    fn check(message: &Message, reason: Reason, connector: Option<&str>, detail: &str) {
        let death = of(message);
        let found = death.connector.as_ref().map(Connector::as_str);
        assert_eq!((death.reason, found, death.at), (reason, connector, Some(AT)));
        assert!(death.detail.contains(detail), "{death:?}");
    }

    #[test]
    fn a_death_is_told_by_the_headers_and_replaces_an_older_one() {
        let sre: Connector = "sre".parse().unwrap();
        let mut message = Message { body: Bytes::from_static(b"{}"), ..Message::default() };
        unrouted(&mut message, None, AT);
        check(&message, Reason::Unrouted, None, "no connector's queue was bound");
        unrouted(&mut message, Some(sre.clone()), AT);
        check(&message, Reason::Unrouted, Some("sre"), "connector sre has no queue");
        delivery_limit(&mut message, sre, AT);
        check(&message, Reason::DeliveryLimit, Some("sre"), "ended too often");
        assert_eq!(message.body, "{}");
    }

    #[test]
    fn an_unreadable_record_is_kept_as_the_body() {
        let message = salvaged(read(Some(b"\x09odd")).unwrap_err(), "sre".parse().ok(), AT);
        check(&message, Reason::Invalid, Some("sre"), "version 9 is not known");
        assert_eq!(message.body, "\x09odd".as_bytes());
        check(&salvaged(read(None).unwrap_err(), None, AT), Reason::Invalid, None, "missing");
    }

    #[test]
    fn a_letter_without_headers_is_unrouted() {
        assert_eq!(of(&Message::default()).reason, Reason::Unrouted);
    }
}
