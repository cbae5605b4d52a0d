//! The owners at work: each waits for what happens, lets `nightbell-core` decide, and performs what it said.
//!
//! This crate names no queue, no store and no HTTP client: it works through the traits of [`nightbell_core::ports`]. It
//! must never decide anything about an alert by itself, hold a lock across an await, or settle a delivery that core did
//! not tell it to settle.

mod clock;
mod crash;
mod handle;
mod owner;
mod perform;
mod ports;
pub mod telemetry;

pub use self::clock::SystemClock;
pub use self::crash::arm as arm_fail_points;
pub use self::handle::{Control, Drained, OwnerHandle};
pub use self::owner::spawn;
pub use self::ports::{Ports, SharedPorts};
