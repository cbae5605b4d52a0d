//! What reports give, by the crate's own doors.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod conservation;
mod corpus;
mod field;
mod naive;
mod runners;
mod runs;
mod same;
mod support;
