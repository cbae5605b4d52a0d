//! The parts of the `nightbell` program that its commands are made of: configuration, and the ways in which events come
//! to `nightbell publish`.

pub mod allocator;
pub mod certificates;
pub mod cli;
pub mod commands;
pub mod config;
pub mod exit;
pub mod feed;
pub mod handles;
pub mod holder;
pub mod letters;
pub mod listener;
pub mod local_publisher;
pub mod logging;
pub mod ndjson;
pub mod output;
pub mod patience;
pub mod private;
pub mod queue;
pub mod recorder;
pub mod state;
pub mod systemd;
pub mod telemetry;
pub mod terminal;
pub mod wiring;
pub mod worker;
