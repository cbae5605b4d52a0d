//! Nightbell's HTTP face: `/metrics`, `/healthz`, `/readyz` and `/v1/status`, and the small client that `nightbell
//! status` asks it with.
//!
//! It shows what others tell it and must never decide anything, touch a queue, or show a secret.

mod client;
mod recorder;
mod server;
mod status;

pub use self::client::{ClientError, get};
pub use self::recorder::{RecorderError, install as install_recorder};
pub use self::server::{Face, serve};
pub use self::status::{BreakerState, ConnectorStatus, LedgerStatus, QueueStatus, Status};
