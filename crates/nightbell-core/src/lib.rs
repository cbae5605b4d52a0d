//! What Nightbell decides: how an event is read and routed, whether an alert is ours, what follows an attempt, and
//! what an owner does next.
//!
//! This crate does no I/O, spawns nothing, reads no clock and draws no randomness: time, chance and settings arrive as
//! arguments, so the same inputs give the same verdict. It must never name tokio, lapin, sled, redb or reqwest.

#[macro_use]
mod words;

pub mod admission;
pub mod alert;
pub mod breaker;
pub mod causes;
pub mod connector;
pub mod dead;
pub mod event;
pub mod fingerprint;
pub mod journey;
pub mod limits;
pub mod message;
pub mod outcome;
pub mod owner;
pub mod pace;
pub mod policy;
pub mod ports;
pub mod priority;
pub mod record;
pub mod routing;
pub mod rung;
pub mod sparing;
pub mod time;
pub mod tls;
pub mod trace;
