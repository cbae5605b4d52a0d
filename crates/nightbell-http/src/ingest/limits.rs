//! The named bounds of ingest.

use std::time::Duration;

/// The longest body of `/v1/events` and `/v1/apifortress`, in bytes, as sent and as unpacked.
pub const EVENTS_BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The longest body of `/v1/reports` and `/v1/junit`, in bytes, as sent and as unpacked.
pub const REPORT_BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The most events in one request: its answer names each.
pub const ITEMS_MAX: usize = 10_000;

/// What all requests together may hold beyond [`REQUEST_KIB_MIN`] each, in KiB: the longest report alone may have it all.
pub(super) const HELD_KIB_MAX: usize = 192 * 1024;

/// What the requests of one peer may hold of it, in KiB; the longest report, which needs more, is then its only one.
pub(super) const PEER_KIB_MAX: usize = 128 * 1024;

/// What any request may hold, in KiB; the server bounds how many there are.
pub(super) const REQUEST_KIB_MIN: usize = 256;

/// How much a request holds for each byte of its body: the body, what is read from it, and what is made of that.
pub(super) const WEIGHT: usize = 3;

/// How many bytes of events may be made of any report, however short; a long one's weight leaves room for more.
pub(crate) const MADE_BYTES_MIN: usize = 8 * 1024 * 1024;

/// A body up to this length is read where it came in; a longer one on a thread that may block.
pub(super) const INLINE_BYTES_MAX: usize = 64 * 1024;

/// How much of a refused request's body is read and thrown away, so that its sender gets to read the answer.
pub(super) const DISCARDED_BYTES_MAX: usize = 32 * 1024 * 1024;

/// The least speed of a body, in bytes a second, over [`Patience::window`].
const BODY_BYTES_PER_SECOND_MIN: u128 = 1024;

/// When to come again, if the queue pushes back or too many requests are under way.
pub(super) const RETRY_SOON: Duration = Duration::from_secs(1);

/// When to come again, if the queue can't be reached.
pub(super) const RETRY_LATER: Duration = Duration::from_secs(5);

/// How long ingest waits for what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// For so much of a body as its least speed brings meanwhile.
    pub(super) window: Duration,
    /// For a whole body.
    pub(super) body: Duration,
    /// For its share of what all requests may hold.
    pub(super) share: Duration,
    /// For the queue to confirm one event.
    pub(super) publish: Duration,
    /// For the rest of a refused body.
    pub(super) discard: Duration,
}

impl Patience {
    /// How many bytes of a body have to come within the window.
    pub(super) fn window_bytes_min(self) -> usize {
        usize::try_from(BODY_BYTES_PER_SECOND_MIN * self.window.as_millis() / 1000).unwrap_or(usize::MAX)
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(10),
            body: Duration::from_secs(120),
            share: Duration::from_secs(5),
            publish: Duration::from_secs(30),
            discard: Duration::from_secs(1),
        }
    }
}
