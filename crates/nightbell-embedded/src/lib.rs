//! Nightbell's queues in one local file: the same contract as the queues on RabbitMQ, for one process.
//!
//! One writer thread has the file and everything else goes through it. It groups what waits into one redb transaction,
//! makes it durable and only then wakes the waiters. What waits is known in memory by its place alone; the messages
//! themselves stay in the file until they are delivered. Nothing here blocks a runtime thread, save opening and closing,
//! which say so.
//!
//! | table | key | value |
//! |---|---|---|
//! | `entries` | connector (none for the dead letters), `0x00`, place | the message's number, how often it came back, when it is due |
//! | `messages` | number | the message |
//! | `facts` | name | the format, and which queues are consumed |
//!
//! An event is stored once and has a place in each connector's queue. Places are in the order of publishing; a retry goes
//! behind all that is ready when it becomes due, and after a new start it has its turn by when it was put there. How often
//! a message came back is counted without a write for each delivery: after an end without a farewell, all that may have
//! been in hand counts as delivered once more.
//!
//! This is the only crate that names redb. It must never report a message as taken in that is not durable, remove one
//! that nobody settled, throw a file away that it can't read, or go on after a failed write.

mod browse;
mod codec;
mod death;
mod error;
mod file;
mod handle;
mod keys;
mod limits;
mod memory;
mod outlet;
mod queue;
mod queue_file;
mod request;
mod sorted_runs;
mod status;
mod subscription;
mod telemetry;
mod timeline;
mod writer;

pub use self::browse::{Browser, Drain, EmbeddedDeadLetters, EmbeddedRemoval, Waiting, Waits};
pub use self::error::{EmbeddedError, OpenError};
pub use self::handle::{EmbeddedQueue, EmbeddedSettings};
pub use self::limits::{
    BYTES_MAX_DEFAULT, DELIVERIES_MAX, MESSAGE_BYTES_MAX, MESSAGES_MAX_DEFAULT, PREFETCH_DEFAULT,
};
pub use self::outlet::EmbeddedOutlet;
pub use self::subscription::{EmbeddedSettler, EmbeddedSubscription};
