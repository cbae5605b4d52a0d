//! `nightbell publish` as scripts see it: exit codes, what is said, and in what time. No broker is needed.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod codes;
mod fail_open;
mod reports;
mod support;
