//! A stand-in for the inbound triggers of xMatters, for tests, demos and benchmarks.
//!
//! It takes `POST /api/integration/1/functions/ID/triggers` as xMatters does and answers 202 with a `requestId`, or
//! whatever its script says: errors, delays, half answers, garbage, cut connections. It counts what it has taken by
//! alert id, so that a test sees losses and repeats.
//!
//! It speaks TLS with certificates of a private [`Authority`], gives OAuth2 tokens, and has a [`FakeProxy`] beside it.
//!
//! It speaks HTTP/1.1 by hand, because a real server library refuses to misbehave. It must never be reachable by
//! strangers: its own routes below `/_fake/` ask for no password.

mod admin;
mod answer;
mod book;
mod certificates;
mod fake;
mod flood;
mod judge;
mod oauth;
mod payload;
mod proxy;
mod script;
mod serve;
mod settings;
mod tls;
mod wire;

pub use self::answer::{Answer, BadAnswer, Body, Kind, answer_from_json, answers_from_json};
pub use self::book::{REQUEST_BYTES_KEPT_MAX, REQUESTS_KEPT_MAX, Recorded, Snapshot, Summary};
pub use self::certificates::{Authority, CertificateError, Identity, pem};
pub use self::fake::{FakeXmatters, NotInTime, StartError};
pub use self::flood::{FLOOD_ALERTS_MAX, FLOOD_WINDOW};
pub use self::oauth::{TOKEN_PATH, TokenCounts};
pub use self::proxy::{FakeProxy, ProxyCounts, ProxySettings};
pub use self::settings::{Auth, OAuth2, Rates, Settings};
pub use self::tls::{Tls, TlsError};
pub use self::wire::{HEAD_BYTES_MAX, IDLE_MAX, REQUEST_BYTES_MAX};
