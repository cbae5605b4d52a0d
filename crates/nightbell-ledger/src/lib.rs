//! What has been delivered or is being delivered, kept durably in sled.
//!
//! One writer thread groups what waits into one batch, applies it, makes it durable (sled's flush, then
//! `fdatasync`, because on Linux sled's flush is none) and only then wakes the waiters. One reader thread
//! answers looks. Nothing here blocks a runtime thread, save opening and closing, which say so.
//!
//! All records live in one tree, so that one batch is atomic:
//!
//! | key | value |
//! |---|---|
//! | `e` connector `0x00` fingerprint | what became of this event |
//! | `a` connector `0x00` fingerprint | what was last sent under this alert key |
//! | `x` expiry (big-endian milliseconds, to the second), then a number | keys of the above that expire then |
//! | `m` name | the store's format, and how many records there are |
//!
//! The ledger is rebuildable by design. A store that is damaged is moved aside and a new one begun, loudly;
//! one that is in use, or that the system won't let us open or write, is an error, because a new one would
//! not be better.
//!
//! This is the only crate that names sled. It must never report a change as durable that is not, never scan
//! all keys, never throw a store away, and never go on after a failed write.

mod codec;
mod disk;
mod fault;
mod group;
mod handle;
mod keys;
mod lane;
mod open;
mod place;
mod reader;
mod shared;
mod sweep;
mod telemetry;
#[cfg(test)]
mod tests;
mod writer;

pub use handle::LedgerStore;
pub use open::{CACHE_BYTES_DEFAULT, LedgerSettings, OpenError, Opened};
