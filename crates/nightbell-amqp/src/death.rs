//! How a dead letter came about: by our own headers, or by what the broker noted when it dead-lettered the
//! message.

use lapin::types::{AMQPValue, FieldTable};
use nightbell_core::connector::Connector;
use nightbell_core::dead::Reason;
use nightbell_core::journey::{Death, Journey, cut};
use nightbell_core::message::Headers;
use nightbell_core::time::UnixMillis;

use crate::content::X_DEATH;
use crate::names::Names;

/// The death of a message in the dead queue. `headers` are its own as read, `table` as the broker gave them,
/// `key` is the routing key that it was delivered by.
///
/// A death in a connector's queue that the broker noted comes first: whatever we publish ourselves has no
/// such note, so it is later than anything our headers tell.
pub(crate) fn death(names: &Names, headers: &Headers, table: Option<&FieldTable>, key: &str) -> Death {
    if let Some(death) = in_a_connectors_queue(names, table) {
        return death;
    }
    let notes = notes(table);
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

/// The death in a connector's queue that the broker noted, if it did.
pub(crate) fn in_a_connectors_queue(names: &Names, table: Option<&FieldTable>) -> Option<Death> {
    let find = |note: &Note| Some(by_the_broker(names.connector_of(&note.queue)?, note));
    notes(table).iter().find_map(find)
}

/// Whether our headers on a message that was published to `exchange` are our own. With the shipped rights publishers can
/// write to the events exchange alone, and what they write there may have any header.
///
/// What the broker itself took from a connector's queue still has the headers that it came there with.
pub(crate) fn is_ours(names: &Names, exchange: &str, table: Option<&FieldTable>) -> bool {
    let last = notes(table).into_iter().next().filter(|note| names.connector_of(&note.queue).is_some());
    let before =
        last.is_none_or(|note| note.exchange.is_some_and(|exchange| may_write_ours(names, &exchange)));
    may_write_ours(names, exchange) && before
}

/// Whether only Nightbell and those who look after it can write to an exchange. Any other may be bound to ours.
pub(crate) fn may_write_ours(names: &Names, exchange: &str) -> bool {
    exchange.is_empty() || [names.retry(), names.requeue(), names.dead()].iter().any(|own| own == exchange)
}

/// One entry of `x-death`.
struct Note {
    queue: String,
    reason: String,
    /// Where it was published before.
    exchange: Option<String>,
    /// The time-to-live in milliseconds that its publisher gave it.
    own_ttl: Option<String>,
    at: Option<UnixMillis>,
}

fn by_the_broker(connector: Connector, note: &Note) -> Death {
    let queue = &note.queue;
    let (reason, detail) = match note.reason.as_str() {
        "delivery_limit" => (
            Reason::DeliveryLimit,
            format!(
                "workers ended or lost their connection too often while they held it, and may have sent it each \
                 time; taken from {queue}"
            ),
        ),
        "expired" => (
            Reason::Expired,
            match &note.own_ttl {
                Some(ttl) => {
                    let ttl = cut(ttl, 20);
                    format!("it expired in {queue}; its publisher gave it {ttl} ms to live (`expiration`)")
                }
                None => format!("it expired in {queue}; a policy sets a time-to-live there"),
            },
        ),
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
    let (exchange, own_ttl) = (text("exchange"), text("original-expiration"));
    Some(Note { queue: text("queue")?, reason: text("reason")?, exchange, own_ttl, at })
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
    fn a_publishers_own_time_to_live_is_not_blamed_on_a_policy() {
        let detail = |ttl: Option<&str>| {
            let mut note = FieldTable::default();
            let fields = [("queue", Some("nightbell.connector.sre")), ("reason", Some("expired"))];
            for (name, text) in fields.into_iter().chain([("original-expiration", ttl)]) {
                text.map(|text| note.insert(name.into(), AMQPValue::LongString(text.into())));
            }
            let mut table = FieldTable::default();
            let notes = vec![AMQPValue::FieldTable(note)];
            table.insert(X_DEATH.into(), AMQPValue::FieldArray(FieldArray::from(notes)));
            death(&Names::default(), &Headers::new(), Some(&table), "x").detail
        };
        assert!(detail(Some("60000")).ends_with("its publisher gave it 60000 ms to live (`expiration`)"));
        assert!(detail(None).ends_with("a policy sets a time-to-live there"));
    }

    #[test]
    fn our_headers_count_only_where_publishers_can_not_write() {
        let deaths = |queue: &str, exchange: &str| {
            let mut note = FieldTable::default();
            for (name, text) in [("queue", queue), ("reason", "delivery_limit"), ("exchange", exchange)] {
                note.insert(name.into(), AMQPValue::LongString(text.into()));
            }
            let mut table = FieldTable::default();
            let notes = vec![AMQPValue::FieldTable(note)];
            table.insert(X_DEATH.into(), AMQPValue::FieldArray(FieldArray::from(notes)));
            table
        };
        let is_ours = |exchange, table: Option<&FieldTable>| is_ours(&Names::default(), exchange, table);
        for own in ["", "nightbell.retry", "nightbell.requeue", "nightbell.dead"] {
            assert!(is_ours(own, None), "{own}");
        }
        for other in ["nightbell.events", "amq.topic", "ci.events"] {
            assert!(!is_ours(other, None), "{other}");
        }
        let sre = "nightbell.connector.sre";
        assert!(!is_ours("nightbell.dead", Some(&deaths(sre, "nightbell.events"))));
        assert!(is_ours("nightbell.dead", Some(&deaths(sre, "nightbell.requeue"))));
        assert!(is_ours("nightbell.requeue", Some(&deaths("nightbell.retry.1s", "nightbell.retry"))));
    }

    #[test]
    fn the_time_of_death_is_the_brokers() {
        let table = x_death(&[("nightbell.connector.sre", "delivery_limit")]);
        let death = death(&Names::default(), &Headers::new(), Some(&table), "x");
        assert_eq!(death.at, Some(UnixMillis(1_700_000_000_000)));
    }
}
