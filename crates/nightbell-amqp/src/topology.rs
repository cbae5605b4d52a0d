//! Everything that Nightbell needs in the broker, as data.

use std::collections::BTreeMap;
use std::fmt;

use nightbell_core::connector::Connector;
use nightbell_core::rung::Rung;
use nightbell_core::time::millis;
use serde_json::{Map, Value, json};

use crate::declare::Object;
use crate::names::Names;

/// How often a connector's queue delivers one message before it is a dead letter. A worker that crashes
/// spends it for all messages that it holds, so it is far above what a bad day takes.
const DELIVERY_LIMIT: i64 = 50;

/// Browsing dead letters counts as deliveries on most RabbitMQ versions, and must never drop one.
const DEAD_DELIVERY_LIMIT: i64 = 2_000_000_000;

/// Exchanges, queues and bindings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Topology {
    /// An exchange comes after the one it names as its alternate.
    pub exchanges: Vec<Declared>,
    /// A queue's dead-letter exchange is among the exchanges.
    pub queues: Vec<Declared>,
    /// From exchanges to queues.
    pub bindings: Vec<Binding>,
}

/// An exchange or a queue, as it must be. All are durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// Its name in the broker.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// What it is declared with.
    pub arguments: BTreeMap<&'static str, Argument>,
}

/// What is declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An exchange that routes so.
    Exchange(ExchangeKind),
    /// A queue.
    Queue,
}

/// How an exchange routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExchangeKind {
    /// By patterns of the routing key.
    Topic,
    /// To every queue bound.
    Fanout,
}

/// A queue argument's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    /// Text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// Yes or no.
    Flag(bool),
}

/// A binding of a queue to an exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The exchange.
    pub exchange: String,
    /// The queue.
    pub queue: String,
    /// The pattern of routing keys.
    pub key: String,
}

impl Topology {
    /// All that `connectors` need.
    #[must_use]
    pub fn of(names: &Names, connectors: &[Connector]) -> Self {
        let mut all = Self::dead(names);
        all.add(Self::events(names));
        all.exchanges.extend([
            topic(names.retry(), None),
            // A connector that was removed from the configuration leaves alerts in the retry queues. Without
            // a way out they would stay at the queue's head, and in the end hold up those of all other
            // connectors.
            topic(names.requeue(), Some(names.dead())),
        ]);
        for rung in Rung::all() {
            let queue = names.retry_queue(rung);
            let wait = i64::try_from(millis(rung.wait())).unwrap_or(i64::MAX);
            all.bindings.push(bind(names.retry(), &queue, format!("{}.#", rung.seconds())));
            all.queues.push(quorum(
                queue,
                at_least_once(&names.requeue()),
                [("x-message-ttl", Argument::Number(wait))],
            ));
        }
        for connector in connectors {
            all.add(Self::connector(names, connector));
        }
        all
    }

    /// The part that keeps dead letters.
    #[must_use]
    pub fn dead(names: &Names) -> Self {
        let dead = names.dead();
        let limit = [("x-delivery-limit", Argument::Number(DEAD_DELIVERY_LIMIT))];
        Self {
            exchanges: vec![exchange(dead.clone(), ExchangeKind::Fanout, None)],
            bindings: vec![bind(dead.clone(), &dead, String::new())],
            queues: vec![quorum(dead, [], limit)],
        }
    }

    /// The part that a publisher of events needs.
    #[must_use]
    pub fn events(names: &Names) -> Self {
        Self { exchanges: vec![topic(names.events(), Some(names.dead()))], ..Self::default() }
    }

    /// One connector's queue and its bindings; the exchanges are taken for granted.
    #[must_use]
    pub fn connector(names: &Names, connector: &Connector) -> Self {
        let queue = names.connector_queue(connector);
        let own = [
            ("x-single-active-consumer", Argument::Flag(true)),
            ("x-delivery-limit", Argument::Number(DELIVERY_LIMIT)),
        ];
        Self {
            exchanges: Vec::new(),
            bindings: vec![
                bind(names.events(), &queue, "#".to_owned()),
                bind(names.requeue(), &queue, format!("*.{connector}")),
                // What is put back at once goes by an exchange without an alternate, so that a connector that
                // is not there is told to the publisher.
                bind(names.retry(), &queue, names.now_key(connector)),
            ],
            queues: vec![quorum(queue, at_least_once(&names.dead()), own)],
        }
    }

    /// All exchanges, then all queues.
    pub(crate) fn declared(&self) -> impl Iterator<Item = &Declared> {
        self.exchanges.iter().chain(&self.queues)
    }

    fn add(&mut self, part: Self) {
        self.exchanges.extend(part.exchanges);
        self.queues.extend(part.queues);
        self.bindings.extend(part.bindings);
    }
}

/// RabbitMQ's definitions file for one virtual host, for `rabbitmqctl import_definitions` or the management
/// page.
#[must_use]
pub fn definitions(topology: &Topology, vhost: &str) -> Value {
    let declared = |declared: &Declared| {
        let arguments = declared.arguments.iter().map(|(name, value)| ((*name).to_owned(), value.json()));
        let mut json = json!({
            "name": declared.name, "vhost": vhost, "durable": true, "auto_delete": false,
            "arguments": arguments.collect::<Map<_, _>>(),
        });
        if let Kind::Exchange(kind) = declared.kind {
            json["type"] = kind.as_str().into();
            json["internal"] = false.into();
        }
        json
    };
    let binding = |binding: &Binding| {
        json!({
            "source": binding.exchange, "vhost": vhost, "destination": binding.queue,
            "destination_type": "queue", "routing_key": binding.key, "arguments": {},
        })
    };
    json!({
        "vhosts": [{ "name": vhost }],
        "exchanges": topology.exchanges.iter().map(declared).collect::<Vec<_>>(),
        "queues": topology.queues.iter().map(declared).collect::<Vec<_>>(),
        "bindings": topology.bindings.iter().map(binding).collect::<Vec<_>>(),
    })
}

impl Declared {
    /// Kind and name.
    #[must_use]
    pub fn object(&self) -> Object {
        match self.kind {
            Kind::Exchange(_) => Object::exchange(&self.name),
            Kind::Queue => Object::queue(&self.name),
        }
    }
}

impl ExchangeKind {
    /// The broker's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Topic => "topic",
            Self::Fanout => "fanout",
        }
    }
}

impl Argument {
    /// The value as JSON, as the management API writes it.
    #[must_use]
    pub fn json(&self) -> Value {
        match self {
            Self::Text(text) => json!(text),
            Self::Number(number) => json!(number),
            Self::Flag(flag) => json!(flag),
        }
    }
}

impl fmt::Display for Argument {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => out.write_str(text),
            Self::Number(number) => write!(out, "{number}"),
            Self::Flag(flag) => write!(out, "{flag}"),
        }
    }
}

fn topic(name: String, alternate: Option<String>) -> Declared {
    exchange(name, ExchangeKind::Topic, alternate)
}

fn exchange(name: String, kind: ExchangeKind, alternate: Option<String>) -> Declared {
    let arguments = alternate.map(|alternate| ("alternate-exchange", Argument::Text(alternate)));
    Declared { name, kind: Kind::Exchange(kind), arguments: arguments.into_iter().collect() }
}

fn bind(exchange: String, queue: &str, key: String) -> Binding {
    Binding { exchange, queue: queue.to_owned(), key }
}

/// Dead-lettering that loses nothing needs all three, and a quorum queue
/// (<https://www.rabbitmq.com/docs/quorum-queues#dead-lettering>).
fn at_least_once(exchange: &str) -> [(&'static str, Argument); 3] {
    [
        ("x-dead-letter-exchange", Argument::Text(exchange.to_owned())),
        ("x-dead-letter-strategy", Argument::Text("at-least-once".to_owned())),
        ("x-overflow", Argument::Text("reject-publish".to_owned())),
    ]
}

fn quorum<const A: usize, const B: usize>(
    name: String,
    some: [(&'static str, Argument); A],
    others: [(&'static str, Argument); B],
) -> Declared {
    let kind = ("x-queue-type", Argument::Text("quorum".to_owned()));
    let arguments = std::iter::once(kind).chain(some).chain(others).collect();
    Declared { name, kind: Kind::Queue, arguments }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topology() -> Topology {
        let connectors = ["payments", "sre"].map(|name| name.parse().unwrap());
        Topology::of(&Names::default(), &connectors)
    }

    fn queue(name: &str) -> Declared {
        topology().queues.into_iter().find(|queue| queue.name == name).unwrap()
    }

    #[test]
    fn every_queue_is_a_quorum_queue_and_no_dead_letter_can_be_lost() {
        for queue in topology().queues {
            assert_eq!(queue.arguments["x-queue-type"], Argument::Text("quorum".into()), "{}", queue.name);
            if queue.arguments.contains_key("x-dead-letter-exchange") {
                assert_eq!(queue.arguments["x-dead-letter-strategy"], Argument::Text("at-least-once".into()));
                assert_eq!(queue.arguments["x-overflow"], Argument::Text("reject-publish".into()));
            }
        }
    }

    #[test]
    fn a_connectors_queue_has_one_active_consumer_and_a_delivery_limit() {
        let arguments = queue("nightbell.connector.sre").arguments;
        assert_eq!(arguments["x-single-active-consumer"], Argument::Flag(true));
        assert_eq!(arguments["x-delivery-limit"], Argument::Number(50));
        assert_eq!(arguments["x-dead-letter-exchange"], Argument::Text("nightbell.dead".into()));
    }

    #[test]
    fn each_retry_queue_has_one_time_and_leads_back() {
        let all = topology();
        let retry: Vec<_> =
            all.queues.iter().filter(|queue| queue.name.starts_with("nightbell.retry.")).collect();
        assert_eq!(retry.len(), 10);
        assert_eq!(queue("nightbell.retry.512s").arguments["x-message-ttl"], Argument::Number(512_000));
        assert_eq!(
            queue("nightbell.retry.1s").arguments["x-dead-letter-exchange"],
            Argument::Text("nightbell.requeue".into())
        );
    }

    #[test]
    fn every_binding_joins_what_is_there() {
        let all = topology();
        for binding in &all.bindings {
            assert!(all.exchanges.iter().any(|exchange| exchange.name == binding.exchange), "{binding:?}");
            assert!(all.queues.iter().any(|queue| queue.name == binding.queue), "{binding:?}");
        }
        for (at, exchange) in all.exchanges.iter().enumerate() {
            if let Some(Argument::Text(alternate)) = exchange.arguments.get("alternate-exchange") {
                assert!(all.exchanges[..at].iter().any(|earlier| earlier.name == *alternate), "{alternate}");
            }
        }
    }

    #[test]
    fn the_definitions_name_everything_in_its_virtual_host() {
        let all = topology();
        let file = definitions(&all, "alerts");
        assert_eq!(file["vhosts"], json!([{ "name": "alerts" }]));
        assert_eq!(file["exchanges"].as_array().unwrap().len(), 4);
        assert_eq!(file["queues"].as_array().unwrap().len(), all.queues.len());
        assert_eq!(file["bindings"].as_array().unwrap().len(), all.bindings.len());
        for kind in ["exchanges", "queues", "bindings"] {
            assert!(file[kind].as_array().unwrap().iter().all(|object| object["vhost"] == "alerts"));
        }
        assert_eq!(file["exchanges"][1]["arguments"], json!({ "alternate-exchange": "nightbell.dead" }));
    }
}
