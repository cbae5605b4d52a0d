//! Bodies compared with files, and attempts against a stand-in xMatters.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod answers;
mod common;
mod cures;
mod golden;
mod half_dead;
mod oauth;
mod proxies;
mod setup;
mod statuses;
mod tls;
mod trouble;
