//! Declaring the topology, or only checking that it is there.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::protocol::AMQPSoftError;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection};
use nightbell_core::connector::Connector;
use tokio::time::timeout;

use crate::error::{AmqpError, Nature, soft_error};
use crate::limits::{STEP_WAIT_MAX, TOPOLOGY_WAIT_MAX};
use crate::names::Names;
use crate::topology::{Argument, Binding, Declared, ExchangeKind, Kind, Topology};

/// The queues are not as they must be.
#[derive(Debug, thiserror::Error)]
pub enum TopologyError {
    /// Something of this name is there with other arguments.
    #[error(
        "{object} was declared elsewhere with another `{argument}`: found {found}, wanted {wanted}; \
         delete the {} when it is empty, so that it is declared anew, or choose another `queue.prefix`, \
         or set `queue.declare = false` to use it as it is",
        object.kind
    )]
    Mismatch {
        /// The exchange or queue that differs.
        object: Object,
        /// In which argument.
        argument: String,
        /// What the broker has.
        found: String,
        /// What it must be.
        wanted: String,
    },
    /// Something is not there, and `queue.declare` is false.
    #[error(
        "the broker lacks {}; load what `nightbell topology` prints, or set `queue.declare = true`",
        list(objects)
    )]
    Missing {
        /// What is not there.
        objects: Vec<Object>,
    },
    /// The user may not do it.
    #[error("the user of `queue.url` may not {action} {object}; {}", grant(action))]
    Forbidden {
        /// What was tried.
        action: &'static str,
        /// The exchange or queue.
        object: Object,
        /// What the broker said.
        source: lapin::Error,
    },
    /// The broker did not answer in time.
    #[error("the broker did not answer within {} s: {action} {object}", wait.as_secs())]
    TimedOut {
        /// What was tried.
        action: &'static str,
        /// The exchange or queue.
        object: Object,
        /// How long it was waited for.
        wait: Duration,
    },
    /// Anything else: the connection was lost, the queue has no leader.
    #[error("can't {action} {object}")]
    Failed {
        /// What was tried.
        action: &'static str,
        /// The exchange or queue.
        object: Object,
        /// What lapin says of it.
        source: lapin::Error,
    },
}

/// A thing in the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// What it is.
    pub kind: ObjectKind,
    /// Its name in the broker.
    pub name: Arc<str>,
}

/// The kinds of things in the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectKind {
    /// An exchange.
    Exchange,
    /// A queue.
    Queue,
}

impl TopologyError {
    pub(crate) fn nature(&self) -> Nature {
        match self {
            Self::Mismatch { .. } | Self::Missing { .. } | Self::Forbidden { .. } => Nature::Standing,
            Self::TimedOut { .. } => Nature::Silence,
            Self::Failed { .. } => Nature::Passing,
        }
    }
}

/// Declares what is not there, or with `declare` false only checks that all is there. Gives what the broker does not let
/// this user look for, as RabbitMQ 4.2.6 and 4.3 do: it may be there or not.
pub(crate) async fn ensure(
    connection: &Connection,
    topology: &Topology,
    declare: bool,
) -> Result<Vec<Object>, TopologyError> {
    let work = async {
        if declare {
            declare_all(connection, topology).await.map(|()| Vec::new())
        } else {
            check_all(connection, topology.declared()).await
        }
    };
    timeout(TOPOLOGY_WAIT_MAX, work).await.unwrap_or_else(|_| {
        let name = topology.queues.first().map_or_else(String::new, |queue| queue.name.clone());
        Err(TopologyError::TimedOut {
            action: "set up",
            object: Object::queue(&name),
            wait: TOPOLOGY_WAIT_MAX,
        })
    })
}

/// A new channel for each error, since the broker closes a channel with the error it reports.
pub(crate) async fn channel(connection: &Connection, object: &Object) -> Result<Channel, TopologyError> {
    step("open a channel for", object, connection.create_channel()).await
}

async fn declare_all(connection: &Connection, topology: &Topology) -> Result<(), TopologyError> {
    let Some(first) = topology.queues.first() else { return Ok(()) };
    let channel = channel(connection, &first.object()).await?;
    for declared in topology.declared() {
        declare(&channel, declared).await?;
    }
    bind_all(&channel, topology).await
}

/// Looks for all of these. Each has a channel of its own, since the broker closes one over what is not there.
pub(crate) async fn check_all(
    connection: &Connection,
    all: impl Iterator<Item = &Declared>,
) -> Result<Vec<Object>, TopologyError> {
    let (mut objects, mut unknown) = (Vec::new(), Vec::new());
    for declared in all {
        let object = declared.object();
        let channel = channel(connection, &object).await?;
        match ask_for(&channel, declared, Asked::LookFor).await {
            Err(TopologyError::Failed { source, .. })
                if soft_error(&source) == Some(&AMQPSoftError::NOTFOUND) =>
            {
                objects.push(object);
            }
            Err(TopologyError::Forbidden { .. }) => unknown.push(object),
            other => other?,
        }
    }
    if objects.is_empty() { Ok(unknown) } else { Err(TopologyError::Missing { objects }) }
}

/// Declares or checks a connector's queue. One that was declared otherwise is bound all the same, so that no event misses
/// it while it waits for an operator.
pub(crate) async fn ensure_queue_of(
    connection: &Connection,
    names: &Names,
    connector: &Connector,
    declare: bool,
) -> Result<(), TopologyError> {
    let topology = Topology::connector(names, connector);
    let ensured = ensure(connection, &topology, declare).await;
    if let Err(TopologyError::Mismatch { object, .. }) = &ensured {
        bind_all(&channel(connection, object).await?, &topology).await?;
    }
    ensured.map(drop)
}

/// What an error means that came of doing `action` to a queue that nobody could look for before.
pub(crate) fn met(error: AmqpError, action: &'static str, queue: &str) -> AmqpError {
    let AmqpError::Ended { step, source } = error else { return error };
    let object = Object::queue(queue);
    match soft_error(&source) {
        Some(AMQPSoftError::ACCESSREFUSED) => TopologyError::Forbidden { action, object, source }.into(),
        Some(AMQPSoftError::NOTFOUND) => TopologyError::Missing { objects: vec![object] }.into(),
        Some(_) | None => AmqpError::Ended { step, source },
    }
}

/// Declares something; what is there already is compared with it.
pub(crate) async fn declare(channel: &Channel, declared: &Declared) -> Result<(), TopologyError> {
    let answer = ask_for(channel, declared, Asked::Declare).await;
    answer.map_err(|error| as_mismatch(error, declared))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Declare,
    LookFor,
}

async fn ask_for(channel: &Channel, declared: &Declared, asked: Asked) -> Result<(), TopologyError> {
    let (action, passive, arguments) = match asked {
        Asked::Declare => ("declare", false, declared.table()),
        Asked::LookFor => ("look for", true, FieldTable::default()),
    };
    let name = declared.name.as_str().into();
    let answer = async {
        match declared.kind {
            Kind::Exchange(kind) => {
                let durable = asked == Asked::Declare;
                let options =
                    ExchangeDeclareOptions { durable, passive, ..ExchangeDeclareOptions::default() };
                channel.exchange_declare(name, kind.lapin(), options, arguments).await
            }
            Kind::Queue => {
                let options = QueueDeclareOptions { passive, ..QueueDeclareOptions::durable() };
                channel.queue_declare(name, options, arguments).await.map(drop)
            }
        }
    };
    step(action, &declared.object(), answer).await
}

/// Binds the queues, and says farewell to the channel. One that fails changes nothing: what was declared is there.
async fn bind_all(channel: &Channel, topology: &Topology) -> Result<(), TopologyError> {
    for Binding { queue, exchange, key } in &topology.bindings {
        let object = Object::queue(queue);
        let (queue, exchange, key) = (queue.as_str().into(), exchange.as_str().into(), key.as_str().into());
        let (options, none) = (QueueBindOptions::default(), FieldTable::default());
        step("bind", &object, channel.queue_bind(queue, exchange, key, options, none)).await?;
    }
    drop(timeout(STEP_WAIT_MAX, channel.close(200, "OK".into())).await);
    Ok(())
}

async fn step<T>(
    action: &'static str,
    object: &Object,
    answer: impl Future<Output = lapin::Result<T>>,
) -> Result<T, TopologyError> {
    let object = || object.clone();
    match timeout(STEP_WAIT_MAX, answer).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(source)) if soft_error(&source) == Some(&AMQPSoftError::ACCESSREFUSED) => {
            Err(TopologyError::Forbidden { action, object: object(), source })
        }
        Ok(Err(source)) => Err(TopologyError::Failed { action, object: object(), source }),
        Err(_) => Err(TopologyError::TimedOut { action, object: object(), wait: STEP_WAIT_MAX }),
    }
}

/// Turns the broker's complaint about unlike arguments into a [`TopologyError::Mismatch`].
fn as_mismatch(error: TopologyError, declared: &Declared) -> TopologyError {
    let TopologyError::Failed { source, .. } = &error else { return error };
    if soft_error(source) != Some(&AMQPSoftError::PRECONDITIONFAILED) {
        return error;
    }
    let Some((argument, found)) = unlike_argument(&source.to_string()) else { return error };
    let wanted = declared.wanted(&argument);
    TopologyError::Mismatch { object: declared.object(), argument, found, wanted }
}

/// Reads which argument differs, and what the broker has, from a text such as `PRECONDITION_FAILED -
/// inequivalent arg 'x-message-ttl' for queue 'q' in vhost '/': received the value '1000' of type 'long' but
/// current is the value '2000' of type 'signedint'`. The broker cuts it after 255 bytes, so that what it has
/// may be missing.
fn unlike_argument(text: &str) -> Option<(String, String)> {
    let (_, rest) = text.split_once("inequivalent arg '")?;
    let (argument, rest) = rest.split_once('\'')?;
    let found = rest.split_once("but current is ").map_or("another value", |(_, found)| found);
    let found = found.strip_prefix("the value ").unwrap_or(found);
    let found = match found.strip_prefix('\'').and_then(|rest| rest.split_once('\'')) {
        Some((value, _)) => value,
        None => found.trim_end_matches("..."),
    };
    Some((argument.to_owned(), found.to_owned()))
}

impl Object {
    /// The exchange of this name.
    #[must_use]
    pub fn exchange(name: &str) -> Self {
        Self { kind: ObjectKind::Exchange, name: name.into() }
    }

    /// The queue of this name.
    #[must_use]
    pub fn queue(name: &str) -> Self {
        Self { kind: ObjectKind::Queue, name: name.into() }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} `{}`", self.kind, self.name)
    }
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Exchange => "exchange",
            Self::Queue => "queue",
        })
    }
}

impl Declared {
    fn table(&self) -> FieldTable {
        let mut table = FieldTable::default();
        for (name, value) in &self.arguments {
            table.insert((*name).into(), value.lapin());
        }
        table
    }

    /// What an argument, or another part of it that the broker compares, must be.
    fn wanted(&self, argument: &str) -> String {
        match (self.arguments.get(argument), self.kind, argument) {
            (Some(value), ..) => value.to_string(),
            (None, Kind::Exchange(kind), "type") => kind.as_str().to_owned(),
            (None, Kind::Queue, "durable") => "true".to_owned(),
            (None, Kind::Queue, _) | (None, Kind::Exchange(_), "alternate-exchange") => "none".to_owned(),
            (None, Kind::Exchange(_), _) => "the default".to_owned(),
        }
    }
}

impl ExchangeKind {
    fn lapin(self) -> lapin::ExchangeKind {
        match self {
            Self::Topic => lapin::ExchangeKind::Topic,
            Self::Fanout => lapin::ExchangeKind::Fanout,
        }
    }
}

impl Argument {
    fn lapin(&self) -> AMQPValue {
        match self {
            Self::Text(text) => AMQPValue::LongString(text.as_str().into()),
            Self::Number(number) => AMQPValue::LongLongInt(*number),
            Self::Flag(flag) => AMQPValue::Boolean(*flag),
        }
    }
}

fn grant(action: &str) -> &'static str {
    match action {
        "declare" | "bind" => {
            "grant it, or load what `nightbell topology` prints and set `queue.declare = false`"
        }
        _ => "grant it with `rabbitmqctl set_permissions`",
    }
}

/// Their names in one line.
pub(crate) fn list(objects: &[Object]) -> String {
    objects.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, argument: &str, found: &str) {
        assert_eq!(unlike_argument(text), Some((argument.to_owned(), found.to_owned())), "{text}");
    }

    #[test]
    fn the_brokers_complaint_is_read() {
        let complaint = |argument: &str, object: &str, rest: &str| {
            let start = "PRECONDITION_FAILED - inequivalent arg";
            format!("{start} '{argument}' for {object} in vhost '/': received {rest}")
        };
        let check =
            |argument, object, rest, found| check(&complaint(argument, object, rest), argument, found);
        let values = "the value '1000' of type 'long' but current is the value '2000' of type 'signedint'";
        check("x-message-ttl", "queue 'q'", values, "2000");
        let value = "the value 'quorum' of type 'longstr' but current is none";
        check("x-queue-type", "queue 'q'", value, "none");
        check("type", "exchange 'x'", "'topic' but current is 'direct'", "direct");
        check("durable", "queue 'q'", "'true' but current is 'false'", "false");
    }

    #[test]
    fn a_complaint_that_was_cut_still_names_the_argument() {
        check("inequivalent arg 'x-overflow' for queue 'a-very-long-na...", "x-overflow", "another value");
        assert_eq!(unlike_argument("PRECONDITION_FAILED - something else"), None);
    }

    #[test]
    fn the_message_says_what_to_do() {
        let object = Object::queue("nightbell.retry.1s");
        let (argument, found, wanted) = ("x-message-ttl".into(), "2000".into(), "1000".into());
        let text = TopologyError::Mismatch { object: object.clone(), argument, found, wanted }.to_string();
        for part in
            ["queue `nightbell.retry.1s`", "`x-message-ttl`", "found 2000", "wanted 1000", "delete the queue"]
        {
            assert!(text.contains(part), "{text}");
        }
        let text = TopologyError::Missing { objects: vec![object, Object::exchange("e")] }.to_string();
        assert!(
            text.contains("queue `nightbell.retry.1s`, exchange `e`") && text.contains("nightbell topology"),
            "{text}"
        );
    }
}
