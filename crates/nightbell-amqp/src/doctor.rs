//! Looking at everything that Nightbell needs in the broker, without changing any of it, for `check --online`.
//!
//! AMQP has no way to read a queue's arguments, its policy or a user's permissions. So what is there is declared once
//! more, which the broker compares and does not change, and each permission is tried with a request that comes to
//! nothing when it is granted.

use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions};
use lapin::protocol::AMQPSoftError;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel};
use nightbell_core::connector::Connector;

use crate::broker::BrokerSettings;
use crate::connect::Wired;
use crate::declare::{Object, TopologyError, channel, check_all, declare};
use crate::error::{AmqpError, is_closed_channel, soft_error};
use crate::names::Names;
use crate::topology::{Declared, Topology};

/// The connection's name in the broker.
const NAME: &str = "nightbell check";

/// The consumer's tag and the routing key of what is tried.
const TRIED: &str = "nightbell-check";

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examination {
    /// Every exchange and queue, and how it stands.
    pub objects: Vec<(Object, Shape)>,
    /// Every permission that was tried.
    pub rights: Vec<Right>,
}

/// How an exchange or a queue stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// It is there, with the type and the arguments that the broker compares.
    Sound,
    /// It is not there.
    Missing,
    /// It is there with another argument, the first that the broker names.
    Otherwise {
        /// Its name, such as `x-overflow`.
        argument: String,
        /// What the broker has.
        found: String,
        /// What it must be.
        wanted: String,
    },
    /// It is there, but only a user who may configure it is told more.
    Unseen,
    /// The broker does not tell this user whether it is there, as RabbitMQ 4.2.6 and 4.3 do without a permission on it.
    Hidden,
}

/// A permission that was tried on an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Right {
    /// The permission that it takes.
    pub action: Action,
    /// The exchange or queue.
    pub object: Object,
    /// Whether the user has it.
    pub is_granted: bool,
}

/// The permissions of RabbitMQ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// To declare it.
    Configure,
    /// To publish to it.
    Write,
    /// To consume from it.
    Read,
}

impl Action {
    /// RabbitMQ's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Configure => "configure",
            Self::Write => "write",
            Self::Read => "read",
        }
    }
}

/// Looks at all that `connectors` need. Nothing is declared that is not there, published or taken.
///
/// # Errors
/// [`AmqpError`]: no connection, or it ended; [`AmqpError::Topology`] when the broker's answer is none of those that
/// [`Shape`] has.
pub async fn examine(settings: &BrokerSettings, connectors: &[Connector]) -> Result<Examination, AmqpError> {
    let wired = Wired::connect(&settings.url, NAME).await?;
    let examined = examine_all(&wired, &settings.names, connectors).await;
    wired.close().await;
    examined
}

async fn examine_all(
    wired: &Wired,
    names: &Names,
    connectors: &[Connector],
) -> Result<Examination, AmqpError> {
    let topology = Topology::of(names, connectors);
    let mut objects = Vec::new();
    for declared in topology.declared() {
        objects.push((declared.object(), shape(wired, declared).await?));
    }
    let configured = objects.iter().filter_map(|(object, shape)| {
        let is_granted = match shape {
            Shape::Sound | Shape::Otherwise { .. } => true,
            Shape::Unseen => false,
            Shape::Missing | Shape::Hidden => return None,
        };
        Some(Right { action: Action::Configure, object: object.clone(), is_granted })
    });
    let mut rights: Vec<_> = configured.collect();
    let exchanges =
        [names.events(), names.retry(), names.dead()].map(|name| (Action::Write, Object::exchange(&name)));
    let queues = connectors.iter().map(|connector| names.connector_queue(connector));
    let queues = queues.chain([names.dead()]).map(|name| (Action::Read, Object::queue(&name)));
    for (action, object) in exchanges.into_iter().chain(queues) {
        let Some((_, shape)) = objects.iter_mut().find(|(other, _)| *other == object) else { continue };
        if *shape == Shape::Missing {
            continue;
        }
        let tried = match action {
            Action::Write | Action::Configure => may_write(wired, &object.name).await?,
            Action::Read => may_read(wired, &object.name).await?,
        };
        match tried {
            Tried::Granted if *shape == Shape::Hidden => *shape = Shape::Unseen,
            Tried::Granted | Tried::Refused => {}
            Tried::NotThere => *shape = Shape::Missing,
        }
        if *shape != Shape::Missing {
            rights.push(Right { action, object, is_granted: tried == Tried::Granted });
        }
    }
    Ok(Examination { objects, rights })
}

/// What came of trying a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tried {
    Granted,
    Refused,
    /// It would be granted, and there is nothing to use it on.
    NotThere,
}

async fn shape(wired: &Wired, declared: &Declared) -> Result<Shape, AmqpError> {
    match check_all(&wired.connection, std::iter::once(declared)).await {
        Ok(unknown) if unknown.is_empty() => {}
        Ok(_) => return Ok(Shape::Hidden),
        Err(TopologyError::Missing { .. }) => return Ok(Shape::Missing),
        Err(error) => return Err(error.into()),
    }
    let channel = channel(&wired.connection, &declared.object()).await?;
    let compared = declare(&channel, declared).await;
    leave(&channel, compared.is_ok()).await;
    match compared {
        Ok(()) => Ok(Shape::Sound),
        Err(TopologyError::Mismatch { argument, found, wanted, .. }) => {
            Ok(Shape::Otherwise { argument, found, wanted })
        }
        Err(TopologyError::Forbidden { .. }) => Ok(Shape::Unseen),
        Err(error) => Err(error.into()),
    }
}

/// Publishes in a transaction that is rolled back. The broker looks at the permission first.
async fn may_write(wired: &Wired, exchange: &str) -> Result<Tried, AmqpError> {
    let channel = wired.channel().await?;
    let tried = async {
        channel.tx_select().await?;
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        // The channel is in no confirm mode, so that there is no confirm to wait for.
        drop(channel.basic_publish(exchange.into(), TRIED.into(), options, b"", properties).await?);
        channel.tx_rollback().await
    };
    match wired.step("try to publish", tried).await {
        // A refusal closes the channel, and lapin says why only to whoever waits for an answer just then. Mostly
        // nothing else closes it; of an exchange that nobody may look for it means that it can't be used, either way.
        Err(AmqpError::Ended { source, .. })
            if is_closed_channel(&source) && wired.connection.status().connected() =>
        {
            Ok(Tried::Refused)
        }
        other => granted(other, &channel).await,
    }
}

/// Consumes with an argument that no broker takes. The broker looks at the permission first, and nothing is delivered.
async fn may_read(wired: &Wired, queue: &str) -> Result<Tried, AmqpError> {
    let channel = wired.channel().await?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-priority".into(), AMQPValue::LongString("no number".into()));
    let tried = async {
        channel.basic_qos(1, BasicQosOptions::default()).await?;
        channel.basic_consume(queue.into(), TRIED.into(), BasicConsumeOptions::default(), arguments).await?;
        // A broker that took it after all gives back what it had handed out.
        channel.basic_cancel(TRIED.into(), BasicCancelOptions::default()).await
    };
    match wired.step("try to consume", tried).await {
        Err(AmqpError::Ended { source, .. })
            if soft_error(&source) == Some(&AMQPSoftError::PRECONDITIONFAILED) =>
        {
            Ok(Tried::Granted)
        }
        other => granted(other, &channel).await,
    }
}

async fn granted(tried: Result<(), AmqpError>, channel: &Channel) -> Result<Tried, AmqpError> {
    leave(channel, tried.is_ok()).await;
    match tried {
        Ok(()) => Ok(Tried::Granted),
        Err(AmqpError::Ended { source, step }) => match soft_error(&source) {
            Some(AMQPSoftError::ACCESSREFUSED) => Ok(Tried::Refused),
            Some(AMQPSoftError::NOTFOUND) => Ok(Tried::NotThere),
            Some(_) | None => Err(AmqpError::Ended { source, step }),
        },
        Err(error) => Err(error),
    }
}

/// Closes a channel that the broker has not closed.
async fn leave(channel: &Channel, is_open: bool) {
    if is_open {
        // The connection is closed soon, and with it the channel.
        drop(channel.close(200, "OK".into()).await);
    }
}
