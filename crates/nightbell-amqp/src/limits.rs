//! The named bounds of talking to a broker.

use std::time::Duration;

/// The longest that connecting to one address may take, from TCP to the end of the handshake; and so may a look-up of a name.
pub const CONNECT_WAIT_MAX: Duration = Duration::from_secs(10);

/// The longest that one address may take to accept a TCP connection: the kernel asks three times within it.
pub(crate) const DIAL_WAIT_MAX: Duration = Duration::from_secs(4);

/// The most addresses that are tried in a row.
pub(crate) const ADDRESSES_MAX: usize = 16;

/// How long a broker that may refuse our certificate is heard, before we speak, when it is asked what is wrong.
pub(crate) const REFUSAL_WAIT_MAX: Duration = Duration::from_millis(500);

/// The longest that the broker may take to answer one request on a channel: open, declare, qos, consume, get.
pub const STEP_WAIT_MAX: Duration = Duration::from_secs(20);

/// The longest that a sound broker may take to answer when something else was not answered in time.
pub(crate) const ANSWER_WAIT_MAX: Duration = Duration::from_secs(5);

/// The longest that the broker may take to give one dead letter: RabbitMQ 3.10 took 29 to 65 s, on a machine with ten times
/// too much to do, for a header nested as deep as a frame allows.
pub(crate) const LETTER_WAIT_MAX: Duration = Duration::from_secs(120);

/// The longest that declaring or checking the whole topology may take.
pub(crate) const TOPOLOGY_WAIT_MAX: Duration = Duration::from_secs(120);

/// The longest that a publish may take to be written to the connection.
pub const PUBLISH_WAIT_MAX: Duration = Duration::from_secs(10);

/// The longest that the broker may take to confirm a publish.
pub const CONFIRM_WAIT_MAX: Duration = Duration::from_secs(30);

/// The longest that an acknowledgement may take to be written to the connection.
pub const ACK_WAIT_MAX: Duration = Duration::from_secs(10);

/// How long an acknowledgement waits for its neighbours.
pub(crate) const ACKS_WAIT: Duration = Duration::from_millis(3);

/// So many acknowledgements wait for no more.
pub(crate) const ACKS_ENOUGH: usize = 64;

/// The longest that a clean farewell to a channel or a connection may take before the socket is cut.
pub(crate) const CLOSE_WAIT_MAX: Duration = Duration::from_secs(5);

/// The longest that a publish waits for a connection, or for a free channel, before it is `Unavailable`.
pub(crate) const PUBLISHER_WAIT_MAX: Duration = Duration::from_secs(5);

/// How many publishes are in flight at once. Each has a channel of its own, because lapin matches returned
/// messages to confirms first in, first out.
pub const PUBLISH_CHANNELS: usize = 32;

/// The shortest wait before a connection or a subscription is built again, before jitter.
pub(crate) const REBUILD_WAIT_MIN: Duration = Duration::from_millis(200);

/// The longest wait before a connection or a subscription is built again after a failure that may pass by itself: what a
/// broker that is back waits for us.
pub(crate) const REBUILD_WAIT_MAX: Duration = Duration::from_secs(1);

/// The longest wait while an operator must act.
pub(crate) const STANDING_WAIT_MAX: Duration = Duration::from_secs(10);

/// A connection or a subscription that held this long is sound: the next rebuild begins with the shortest
/// wait.
pub(crate) const STEADY_MIN: Duration = Duration::from_secs(30);

/// How often a connection's state is looked at, besides its own events.
pub(crate) const PULSE_EVERY: Duration = Duration::from_secs(1);

/// How often the queues' depths are asked for; also the beat of the watchdog.
pub(crate) const DEPTHS_EVERY: Duration = Duration::from_secs(30);

/// How often an outage that goes on is logged.
pub(crate) const OUTAGE_SAID_EVERY: Duration = Duration::from_secs(300);

/// The heartbeat in seconds, unless the URL gives one. A broker that is silent twice as long is given up.
pub(crate) const HEARTBEAT_SECONDS: u16 = 5;

/// How often each connection of a worker is tried.
pub(crate) const PROBE_EVERY: Duration = Duration::from_secs(5);

/// After that long without an answer to a trial the worker is not ready.
pub(crate) const PROBE_LATE: Duration = Duration::from_secs(5);

/// After that long without an answer to a trial the connection is given up. A broker that is short of memory or disk is slow.
pub(crate) const PROBE_WAIT_MAX: Duration = Duration::from_secs(15);

/// The most bytes of headers that are published: all properties of a message share one frame of 128 KiB.
pub const HEADERS_BYTES_MAX: usize = 100 * 1024;

/// The most bytes of headers that are read. It leaves room for ours, so that none has to be dropped when it is published again.
pub(crate) const HEADERS_READ_BYTES_MAX: usize = 64 * 1024;

/// The most headers of a message that are read, counted before its publisher's own: those of ours, of the trace, and of the
/// broker come first. The others are left out: they are no part of an event.
pub(crate) const HEADERS_MAX: usize = 256;

/// How deep a header's tables and arrays may be nested. A message with a deeper one is `invalid`: who made it meant harm, or
/// did not know what it made. lapin reads and drops them by recursion: 2,000 levels overflow a thread of 2 MiB, and a frame of
/// 128 KiB has room for 26,000.
pub(crate) const NESTING_MAX: usize = 16;

/// The longest `x-death` that is read. The broker's own has some 200 bytes for each queue that a message died in.
pub(crate) const X_DEATH_BYTES_MAX: usize = 32 * 1024;

/// The longest frame that is taken from a broker; its own limit is 128 KiB unless an administrator sets another.
pub(crate) const FRAME_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The longest body that is read, as RabbitMQ 4 has it by default (`max_message_size`). Older ones take 128 MiB, and twenty of
/// those in hand would be the end of a worker. An event has 1 MiB at the most.
pub(crate) const BODY_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The longest short string of AMQP 0-9-1 in bytes: a name, a routing key, a message id.
pub(crate) const SHORT_BYTES_MAX: usize = 255;

/// The most bytes that the management API may answer about one exchange or queue.
pub(crate) const MANAGEMENT_BYTES_MAX: usize = 256 * 1024;
