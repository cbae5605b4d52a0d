//! Nightbell's queues on RabbitMQ: the topology, supervised connections, consuming with a watchdog,
//! publishing with confirms, and the reading of dead letters.
//!
//! This is the only crate that names lapin. It must never use lapin's own recovery (it gives up, and a
//! consumer can go silent behind it), count a publish that the broker has not confirmed, settle a delivery
//! twice, hold a delivery's fate back from its owner, or let the broker's URL reach a log line or an error
//! text.
//!
//! lapin itself logs every lost connection at ERROR; this crate says it once instead. A program that uses it
//! should silence the target `lapin`.

mod ack_batcher;
mod backoff;
mod broker;
mod connect;
mod consume;
mod content;
mod dead;
mod death;
mod declare;
mod dial;
mod doctor;
mod error;
mod greeting;
mod limits;
mod link;
mod management;
mod message;
mod names;
mod outage;
mod packed;
mod publish;
mod report;
mod sieve;
mod status;
mod tls;
mod topology;
mod url;
mod watchdog;

pub use self::ack_batcher::AmqpSettler;
pub use self::broker::{Broker, BrokerSettings};
pub use self::consume::AmqpSubscription;
pub use self::dead::{AmqpRemoval, DeadQueue};
pub use self::declare::{Object, ObjectKind, TopologyError};
pub use self::doctor::{Action, Examination, Right, Shape, examine};
pub use self::error::AmqpError;
pub use self::greeting::broker_versions;
pub use self::limits::{
    ACK_WAIT_MAX, CONFIRM_WAIT_MAX, CONNECT_WAIT_MAX, HEADERS_BYTES_MAX, PUBLISH_CHANNELS, PUBLISH_WAIT_MAX,
    STEP_WAIT_MAX,
};
pub use self::management::{Management, ManagementError, ObjectSettings, Policies};
pub use self::names::{BadPrefix, Names};
pub use self::publish::AmqpOutlet;
pub use self::report::{QueueReport, queue_report};
pub use self::tls::TlsFault;
pub use self::topology::{Argument, Binding, Declared, ExchangeKind, Kind, Topology, definitions};
pub use self::url::{BadUrl, BrokerTls, BrokerUrl, Host};
