//! What stands for xMatters in the demo: it takes what the worker sends, and has two faults when it is told to.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use std::vec;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::task::AbortOnDropHandle;

use super::stage::SHOP;
use crate::exit::{Code, Failure, OrFail as _};

/// One request, and how it was answered.
pub(super) struct Request {
    pub(super) connector: String,
    pub(super) alert_id: String,
    pub(super) test: String,
    pub(super) attempt: u64,
    pub(super) status: StatusCode,
    pub(super) at: Instant,
}

/// The stand-in. Dropping it takes it down.
pub(super) struct StandIn {
    at: SocketAddr,
    faults: Arc<Mutex<Faults>>,
    /// What it was asked, in that order.
    pub(super) requests: UnboundedReceiver<Request>,
    _server: AbortOnDropHandle<()>,
}

/// What is wrong with it.
#[derive(Default)]
struct Faults {
    /// The next answers to [`SHOP`].
    overload: vec::IntoIter<StatusCode>,
    /// Nothing is accepted for others.
    group_missing: bool,
}

type Shared = (Arc<Mutex<Faults>>, UnboundedSender<Request>);

impl StandIn {
    /// Listens on a port of its own.
    pub(super) async fn start() -> Result<Self, Failure> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.or_fail(Code::Unavailable)?;
        let at = listener.local_addr().or_fail(Code::Unavailable)?;
        let (asked, requests) = unbounded_channel();
        let faults = Arc::new(Mutex::new(Faults::default()));
        let routes = Router::new()
            .route("/api/integration/1/functions/{connector}/triggers", post(trigger))
            .with_state((Arc::clone(&faults), asked));
        // It never ends by itself.
        let server = tokio::spawn(async move { drop(axum::serve(listener, routes).await) });
        Ok(Self { at, faults, requests, _server: AbortOnDropHandle::new(server) })
    }

    /// The trigger URL of a connector.
    pub(super) fn url(&self, connector: &str) -> String {
        format!("http://{}/api/integration/1/functions/{connector}/triggers?apiKey=demo", self.at)
    }

    /// Answers some requests for [`SHOP`] with 503, and all others with 400.
    pub(super) fn break_down(&self) {
        let (later, taken) = (StatusCode::SERVICE_UNAVAILABLE, StatusCode::ACCEPTED);
        // Never five in a row, which would open the breaker.
        let overload = vec![later, later, later, taken, later].into_iter();
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner) =
            Faults { overload, group_missing: true };
    }

    /// Accepts everything.
    pub(super) fn mend(&self) {
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner) = Faults::default();
    }
}

async fn trigger(
    State((faults, asked)): State<Shared>,
    Path(connector): Path<String>,
    Json(body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    let status = faults.lock().unwrap_or_else(PoisonError::into_inner).answer(&connector);
    let properties = &body["properties"];
    let text = |name: &str| properties[name].as_str().unwrap_or("-").to_owned();
    let request = Request {
        alert_id: text("alert_id"),
        test: text("test"),
        attempt: properties["attempt"].as_u64().unwrap_or_default(),
        connector,
        status,
        at: Instant::now(),
    };
    // Nobody listens any more at the demo's end.
    drop(asked.send(request));
    let answer = match status {
        StatusCode::BAD_REQUEST => json!({ "code": 400, "message": "no group sre-on-call" }),
        _ => json!({ "requestId": "00000000-0000-4000-8000-000000000000" }),
    };
    (status, Json(answer))
}

impl Faults {
    fn answer(&mut self, connector: &str) -> StatusCode {
        match connector {
            SHOP => self.overload.next().unwrap_or(StatusCode::ACCEPTED),
            _ if self.group_missing => StatusCode::BAD_REQUEST,
            _ => StatusCode::ACCEPTED,
        }
    }
}
