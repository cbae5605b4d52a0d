//! A stand-in for the inbound triggers of xMatters, for tests, demos and benchmarks.
//!
//! It takes `POST /api/integration/1/functions/ID/triggers` as xMatters does and answers 202 with a `requestId`, or
//! whatever its script says: errors, delays, half answers, garbage, cut connections. It counts what it has taken by
//! alert id, so that a test sees losses and repeats.
//!
//! It speaks HTTP/1.1 by hand, because a real server library refuses to misbehave. It must never be reachable by
//! strangers: its own routes below `/_fake/` ask for no password.

mod admin;
mod answer;
mod book;
mod fake;
mod flood;
mod judge;
mod payload;
mod script;
mod serve;
mod settings;
mod wire;

pub use self::answer::{Answer, BadAnswer, Body, Kind, answer_from_json, answers_from_json};
pub use self::book::{REQUEST_BYTES_KEPT_MAX, REQUESTS_KEPT_MAX, Recorded, Snapshot, Summary};
pub use self::fake::{FakeXmatters, NotInTime, StartError};
pub use self::flood::{FLOOD_ALERTS_MAX, FLOOD_WINDOW};
pub use self::settings::{Auth, Rates, Settings};
pub use self::wire::{HEAD_BYTES_MAX, IDLE_MAX, REQUEST_BYTES_MAX};
