//! `nightbell connectors` against a stand-in for xMatters: what is sent, what is said, and the exit codes.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod answers;
mod sent;
mod support;
mod verification;
mod ways;
