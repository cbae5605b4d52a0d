//! The named bounds of the contract. Each is the most (`_MAX`) or the least (`_MIN`) that is allowed.

use std::time::Duration;

use crate::time::UnixMillis;

/// The longest event body that is read, in bytes. A longer one is dead-lettered as `invalid`.
pub const EVENT_BYTES_MAX: usize = 1024 * 1024;

/// The most publishes of one command or one request that wait for the queue's confirm at one time.
pub const PUBLISHES_MAX: usize = 32;

/// How much of an event's `message` and of its `details` is kept in memory until it is sent, in bytes.
pub const TEXT_BYTES_HELD_MAX: usize = 8 * 1024;

/// The longest time an alert waits in hand before it is parked in a retry queue. RabbitMQ's consumer time-out is
/// 30 minutes by default and is often set lower (<https://www.rabbitmq.com/docs/consumers#acknowledgement-timeout>).
pub const HELD_MAX: Duration = Duration::from_secs(120);

/// The longest rest of a retry delay that is waited out in hand, because another round through a rung would cost more.
pub const DUE_HELD_MAX: Duration = Duration::from_secs(10);

/// The longest `Retry-After` that is believed.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// The longest time for which anything is ever put off: `retry.max`, a believed `Retry-After`, a probe and a pace are all
/// within it. A due time further ahead was written before the clock was set back.
pub const WAIT_MAX: Duration = Duration::from_secs(3600);

/// How far a time stamp may lie ahead of our clock before it counts as wrong.
pub const STAMP_AHEAD_MAX: Duration = Duration::from_secs(60);

/// How much longer than its due time an alert in a retry queue keeps its claim on an alert key.
pub const CLAIM_SLACK: Duration = Duration::from_secs(900);

/// The longest reason text kept in a header, in bytes: all headers of a message share one frame of 128 KiB.
pub const DETAIL_BYTES_MAX: usize = 2048;

/// How much of an event's id, or of its project, a log line or a span shows, in bytes.
pub const EVENT_ID_SHOWN_BYTES_MAX: usize = 200;

/// The most attempts that a message's history header remembers; the latest are kept.
pub const HISTORY_MAX: usize = 20;

/// The latest mark that a replay can have, the end of the year 9999. One beyond was forged.
pub const REPLAY_MAX: UnixMillis = UnixMillis(253_402_300_799_999);

/// The longest wait between two tries of a publish that the queue did not confirm.
pub const REPUBLISH_WAIT_MAX: Duration = Duration::from_secs(30);

/// The longest time that an alert stays in hand while the queue confirms no copy of it. Then it is handed back, well
/// before RabbitMQ's consumer time-out of 30 minutes, on which 4.3 may stop the queue (rabbitmq-server issue 17317).
pub const HANDED_BACK_AFTER: Duration = Duration::from_secs(900);

/// The most alerts of a connector that are sent, or accepted and not yet recorded, for each of its slots. A crash can send
/// no more than these twice. More than one, so that sending does not wait for the disk.
pub const OPEN_PER_SLOT_MAX: usize = 8;
