//! How a dead letter came about: by our own headers, or by what the broker noted when it dead-lettered the
//! message.

use lapin::types::{AMQPValue, FieldTable};
use nightbell_core::connector::Connector;
use nightbell_core::dead::Reason;
use nightbell_core::journey::{Death, Journey};
use nightbell_core::message::Headers;
use nightbell_core::time::UnixMillis;

use crate::names::Names;

/// The broker's record of the times it dead-lettered a message, the latest first.
const X_DEATH: &str = "x-death";

/// The death of a message in the dead queue. `headers` are its own as read, `table` as the broker gave them,
/// `key` is the routing key that it was delivered by.
///
/// A death in a connector's queue that the broker noted comes first: whatever we publish ourselves has no
/// such note, so it is later than anything our headers tell.
pub(crate) fn death(names: &Names, headers: &Headers, table: Option<&FieldTable>, key: &str) -> Death {
    let notes = notes(table);
    let in_connectors = notes.iter().find_map(|note| Some((names.connector_of(&note.queue)?, note)));
    if let Some((connector, note)) = in_connectors {
        return by_the_broker(connector, note);
    }
    if let Some(death) = Journey::read(headers).death {
        return death;
    }
    let came_back = notes.iter().any(|note| note.queue.starts_with(&names.retry()));
    let connector: Option<Connector> =
        key.split_once('.').filter(|_| came_back).and_then(|(_, name)| name.parse().ok());
    let detail = match &connector {
        Some(connector) => {
            format!("it came back from a retry, and connector {connector} has no queue any more")
        }
        None => "no connector's queue was bound when it was published".to_owned(),
    };
    Death { connector, reason: Reason::Unrouted, detail, at: notes.first().and_then(|note| note.at) }
}

/// One entry of `x-death`.
struct Note {
    queue: String,
    reason: String,
    at: Option<UnixMillis>,
}

fn by_the_broker(connector: Connector, note: &Note) -> Death {
    let queue = &note.queue;
    let (reason, detail) = match note.reason.as_str() {
        "delivery_limit" => (
            Reason::DeliveryLimit,
            format!(
                "workers ended or lost their connection too often while they held it; taken from {queue}"
            ),
        ),
        "expired" => (Reason::Expired, format!("it expired in {queue}; a policy sets a time-to-live there")),
        "rejected" => (Reason::Refused, format!("a consumer other than nightbell rejected it from {queue}")),
        other => (Reason::Unrouted, format!("RabbitMQ took it from {queue}: {other}")),
    };
    Death { connector: Some(connector), reason, detail, at: note.at }
}

fn notes(table: Option<&FieldTable>) -> Vec<Note> {
    let Some(AMQPValue::FieldArray(entries)) = table.and_then(|table| table.inner().get(X_DEATH)) else {
        return Vec::new();
    };
    entries.as_slice().iter().filter_map(note).collect()
}

fn note(entry: &AMQPValue) -> Option<Note> {
    let AMQPValue::FieldTable(entry) = entry else { return None };
    let text = |name: &str| match entry.inner().get(name) {
        Some(AMQPValue::LongString(text)) => Some(text.to_string()),
        _ => None,
    };
    let at = match entry.inner().get("time") {
        Some(AMQPValue::Timestamp(seconds)) => Some(UnixMillis(seconds.saturating_mul(1_000))),
        _ => None,
    };
    Some(Note { queue: text("queue")?, reason: text("reason")?, at })
}

#[cfg(test)]
mod tests {
    use super::*;
    use lapin::types::FieldArray;

    fn x_death(notes: &[(&str, &str)]) -> FieldTable {
        let note = |(queue, reason): &(&str, &str)| {
            let mut table = FieldTable::default();
            table.insert("queue".into(), AMQPValue::LongString((*queue).into()));
            table.insert("reason".into(), AMQPValue::LongString((*reason).into()));
            table.insert("time".into(), AMQPValue::Timestamp(1_700_000_000));
            AMQPValue::FieldTable(table)
        };
        let mut table = FieldTable::default();
        let notes: Vec<_> = notes.iter().map(note).collect();
        table.insert(X_DEATH.into(), AMQPValue::FieldArray(FieldArray::from(notes)));
        table
    }

    fn ours(reason: Reason) -> Headers {
        let death = Death { connector: None, reason, detail: "ours".into(), at: None };
        let mut headers = Headers::new();
        Journey { death: Some(death), ..Journey::default() }.write(&mut headers);
        headers
    }

    #[track_caller]
    fn check(headers: &Headers, notes: &[(&str, &str)], key: &str, reason: Reason, connector: Option<&str>) {
        let death = death(&Names::default(), headers, Some(&x_death(notes)), key);
        assert_eq!(
            (death.reason, death.connector.as_ref().map(Connector::as_str)),
            (reason, connector),
            "{death:?}"
        );
    }

    #[test]
    fn the_broker_names_the_queue_in_which_a_message_died() {
        let (sre, retry) = ("nightbell.connector.sre", "nightbell.retry.1s");
        let none = Headers::new();
        check(
            &none,
            &[(sre, "delivery_limit"), (retry, "expired")],
            "1.sre",
            Reason::DeliveryLimit,
            Some("sre"),
        );
        check(&none, &[(sre, "expired")], "x", Reason::Expired, Some("sre"));
        check(&none, &[(sre, "rejected")], "x", Reason::Refused, Some("sre"));
    }

    #[test]
    fn our_own_headers_count_unless_the_broker_was_later() {
        let sre = "nightbell.connector.sre";
        check(&ours(Reason::Refused), &[], "x", Reason::Refused, None);
        check(&ours(Reason::Refused), &[(sre, "delivery_limit")], "x", Reason::DeliveryLimit, Some("sre"));
    }

    #[test]
    fn what_nobody_wanted_is_unrouted() {
        check(&Headers::new(), &[], "payments.api", Reason::Unrouted, None);
        check(
            &Headers::new(),
            &[("nightbell.retry.1s", "expired")],
            "1.gone",
            Reason::Unrouted,
            Some("gone"),
        );
        let bare = death(&Names::default(), &Headers::new(), None, "x");
        assert_eq!((bare.reason, bare.at), (Reason::Unrouted, None));
    }

    #[test]
    fn the_time_of_death_is_the_brokers() {
        let table = x_death(&[("nightbell.connector.sre", "delivery_limit")]);
        let death = death(&Names::default(), &Headers::new(), Some(&table), "x");
        assert_eq!(death.at, Some(UnixMillis(1_700_000_000_000)));
    }
}
