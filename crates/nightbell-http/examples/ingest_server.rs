//! The HTTP face alone, with a stand-in for the queue that takes everything: `cargo run --example ingest_server --
//! 127.0.0.1:9464 INGEST_TOKEN ADMIN_TOKEN`. For trying clients, and for schemathesis. Nothing is delivered.

use std::sync::Arc;

use nightbell_core::message::Message;
use nightbell_core::ports::{Destination, Outlet, PublishError};
use nightbell_http::{Face, Ingest, LedgerStatus, Listener, QueueStatus, Status, install_recorder, serve};
use nightbell_worker::SystemClock;
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Takes everything, and forgets it.
#[derive(Clone)]
struct Nowhere;

impl Outlet for Nowhere {
    async fn publish(&self, _: Destination, _: Message) -> Result<(), PublishError> {
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let Some(at) = arguments.next() else {
        return Err("give an address, and the tokens of ingest and of the admin if they are wanted".into());
    };
    let (ingest_token, admin_token) = (arguments.next(), arguments.next());
    let metrics = install_recorder()?;
    let ingest = Some(Ingest::new(
        Nowhere,
        ingest_token.map(SecretString::from),
        SystemClock,
        nightbell_trace::Tracer::off(),
    ));
    let admin_token = admin_token.map(SecretString::from);
    let status = Arc::new(status);
    let (is_local, key) = (true, None);
    let face = Face { metrics, status, admin_token, ingest, admin: None, is_local, queue: None, key };
    let listener = TcpListener::bind(at).await?;
    eprintln!("listening at {}", listener.local_addr()?);
    serve(Listener::new(listener, 1024), face, CancellationToken::new()).await;
    Ok(())
}

fn status() -> Status {
    Status {
        version: env!("CARGO_PKG_VERSION").into(),
        ready: true,
        missing: Vec::new(),
        queue: QueueStatus {
            at: "nowhere".into(),
            connected: true,
            dead_letters: Some(0),
            counted_seconds_ago: None,
        },
        ledger: LedgerStatus { entries: 0, failure: None },
        connectors: Vec::new(),
    }
}
