//! What has been delivered or is being delivered, kept durably in sled.
//!
//! One writer thread groups what waits into one batch, journals it, makes it durable (sled's flush, then
//! `fdatasync`, because on Linux sled's flush is none) and only then wakes the waiters. What the journal has is also
//! in memory. From time to time one keeper thread makes *runs* of it: records in the order of their hashed names, sixteen to a
//! sled value, that never change. Runs are merged, sixteen into one of the next level, and go when all
//! their records have expired, so that nothing is searched for it. Of each run a filter in memory tells which names it does not have,
//! so that a look for something new, which is nearly every look, reads nothing; one reader thread answers the others.
//! Kept one by one instead, records cost sled a page of memory for every dozen and four page writes for every alert.
//!
//! All is in one tree:
//!
//! | key | value |
//! |---|---|
//! | `m` name | the store's format, and what it consists of: the manifest |
//! | `j` number | a part of the journal: records as they were committed |
//! | `b` run, block | records of a run whose names are in this part of all names |
//! | `f` run, piece | a piece of the run's filter |
//!
//! sled goes on silently with less than it had when its files are damaged. So the journal's parts are counted, a file beside
//! the store says how far it had come, and a run knows how many blocks and how long a filter it has.
//!
//! The ledger is rebuildable by design. A store that is damaged is moved aside and a new one begun, loudly;
//! one that is in use, or that the system won't let us open or write, is an error, because a new one would
//! not be better.
//!
//! This is the only crate that names sled. It must never report a change as durable that is not, never scan
//! all keys, never throw a store away, and never go on after a failed write.

mod codec;
mod disk;
mod entry;
mod fault;
mod filter;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod group;
mod handle;
mod index;
mod journal;
mod keeper;
mod keys;
mod lane;
mod manifest;
mod merge;
mod migrate;
mod open;
mod place;
mod reader;
mod run;
mod shared;
mod store;
mod telemetry;
#[cfg(test)]
mod tests;
mod witness;
mod writer;

pub use handle::LedgerStore;
pub use open::{ALLOCATOR_SETTINGS, CACHE_BYTES_DEFAULT, LedgerSettings, OpenError, Opened};
