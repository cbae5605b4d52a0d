//! The named bounds of the embedded queue.

use std::time::Duration;

use nightbell_store::GroupBounds;

/// The default of [`crate::EmbeddedSettings::messages_max`]. Each message that waits takes some 60 bytes of
/// memory.
pub const MESSAGES_MAX_DEFAULT: u64 = 500_000;

/// The default of [`crate::EmbeddedSettings::bytes_max`]: 2 GiB.
pub const BYTES_MAX_DEFAULT: u64 = 2 * 1024 * 1024 * 1024;

/// The default of [`crate::EmbeddedSettings::prefetch`].
pub const PREFETCH_DEFAULT: u16 = 256;

/// The longest event that is taken in, in bytes with its headers. It is RabbitMQ's own bound, so that whatever is
/// taken in here can move there.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The most bytes that one consumer has in hand, save that it always gets one message. In hand a message takes some four
/// times its bytes: the page it is read from, itself, and the event that is read from it.
pub(crate) const HAND_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// How often a message may come back because the one who held it ended; the next time it is dead-lettered.
pub const DELIVERIES_MAX: u16 = 50;

/// How many publishes wait for the writer or are in its hands; further ones wait without blocking.
pub(crate) const PUBLISHES_WAITING_MAX: usize = 1024;

/// What becomes durable together at most: so many requests, and so many bytes of messages.
pub(crate) const GROUP_BOUNDS: GroupBounds = GroupBounds { requests_max: 2048, weight_max: 8 * 1024 * 1024 };

/// How long a group waits for others to join that are expected. One sync for many is what makes them cheap.
pub(crate) const JOIN_WAIT: Duration = Duration::from_millis(1);

/// How often the clock is looked at while retries wait, so that one set forward is noticed.
pub(crate) const CLOCK_LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long the writer sleeps when nothing is expected.
pub(crate) const IDLE_WAIT: Duration = Duration::from_secs(60);

/// How far the clock may drift from the time that passed before it counts as set.
pub(crate) const CLOCK_SLACK: Duration = Duration::from_secs(1);

/// How long closing waits for the writer. It may have a full queue before it, on a slow disk.
pub(crate) const CLOSE_WAIT_MAX: Duration = Duration::from_secs(30);

/// How many messages a browser reads ahead; each may be as long as [`MESSAGE_BYTES_MAX`].
pub(crate) const READ_AHEAD: usize = 64;

/// A browser reads no more ahead once it has this many bytes.
pub(crate) const READ_AHEAD_BYTES: usize = 1024 * 1024;

/// The page cache of redb, in bytes.
pub(crate) const CACHE_BYTES: usize = 16 * 1024 * 1024;

/// A file shorter than this is never compacted, in bytes.
pub(crate) const COMPACT_FILE_BYTES_MIN: u64 = 64 * 1024 * 1024;

/// A file with more than this in use is never compacted, in bytes: all of it might have to be moved.
pub(crate) const COMPACT_USED_BYTES_MAX: u64 = 16 * 1024 * 1024;
