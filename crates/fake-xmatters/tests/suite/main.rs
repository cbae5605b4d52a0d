//! The stand-in, met over raw TCP and as a program.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod faults;
mod network;
mod program;
mod raw;
mod triggers;
