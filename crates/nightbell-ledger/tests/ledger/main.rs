//! The ledger as others use it, on real files, with processes that are killed and disks that fill up.

#![expect(clippy::unwrap_used, reason = "a test that unwraps in vain fails, as it should")]

mod anywhere;
mod common;
mod crash;
mod damage;
mod fixture;
mod store;
mod telemetry;
