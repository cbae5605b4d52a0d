//! Nightbell's HTTP face: `/metrics`, `/healthz`, `/readyz`, `/v1/status` and `/openapi.json`; the ways in for events,
//! `/v1/events`, `/v1/reports`, `/v1/junit` and `/v1/apifortress`; and the small client with which the commands ask a running worker.
//!
//! It shows what others tell it, and hands events to the queue that it is given. It must never decide anything about an
//! alert, answer that an event is taken before the queue has it, or show a body, a token or a secret.

mod addressee;
mod answer;
mod client;
mod guard;
mod ingest;
mod openapi;
mod peer;
mod proof;
mod server;
mod status;
mod tls;

pub use self::addressee::QUEUE_HEADER;
pub use self::answer::Problem;
pub use self::client::{ClientError, Lines, Trust, WorkerAt, get, health, is_another, is_there, lines, post};
pub use self::guard::require_admin;
pub use self::ingest::{EVENTS_BODY_BYTES_MAX, ITEMS_MAX, Ingest, REPORT_BODY_BYTES_MAX};
pub use self::proof::{KEY_FILE, WorkerKey};
pub use self::server::{AdminRoutes, HttpState, Listener, routes, serve};
pub use self::status::{BreakerState, ConnectorStatus, LedgerStatus, QueueStatus, Status};
pub use self::tls::{Chain, Tls, TlsError, trusting};
pub use hyper::Method;
