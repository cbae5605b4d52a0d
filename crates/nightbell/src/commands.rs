//! One module per command; each takes its flags and prints its result.

pub mod check;
pub mod completions;
pub mod connectors;
pub mod dead;
pub mod demo;
pub mod health;
pub mod init;
pub mod man;
pub mod publish;
pub mod queue;
pub mod route;
pub mod run;
pub mod schema;
pub mod status;
pub mod topology;
