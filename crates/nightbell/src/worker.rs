//! The worker put together: queue, ledger, owners and HTTP face. `nightbell run` and `nightbell demo` are made of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use nightbell_http::{Face, Ingest, Status, install_recorder};
use nightbell_ledger::{LedgerSettings, LedgerStore, Opened};
use nightbell_trace::Tracer;
use nightbell_worker::{Control, Drained, OwnerHandle, Ports, SystemClock, telemetry};
use nightbell_xmatters::Xmatters;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::Config;
use crate::exit::{Code, Failure, OrFail as _};
use crate::queue::{Queue, embedded_name};
use crate::{letters, state, wiring};

/// How much longer than the grace period an owner may take to leave its queue.
const LEAVE_MAX: Duration = Duration::from_secs(5);

/// An owner that posts to xMatters.
pub type Owner = OwnerHandle<Xmatters<SystemClock>>;

/// A worker that works.
pub struct Worker {
    /// Its queue.
    pub queue: Queue,
    /// Its owners, one for each connector, in the configuration's order.
    pub owners: Vec<Owner>,
    /// What it is doing, put together each time it is asked.
    pub status: Arc<dyn Fn() -> Status + Send + Sync>,
    tracer: Tracer,
    ledger: LedgerStore,
    http: JoinHandle<()>,
    stop_http: CancellationToken,
}

impl Worker {
    /// Starts a worker whose HTTP face listens on `listener`. There can be one in a process, because metrics have one
    /// recorder.
    ///
    /// # Errors
    /// The configuration, the queue or the ledger is at fault. A broker that is down is none: the worker waits for it.
    pub async fn start(config: &Config, listener: TcpListener) -> Result<Self, Failure> {
        let routing = Arc::new(wiring::routing(config)?);
        let senders =
            config.connectors.iter().map(|one| wiring::sender(config, one)).collect::<Result<Vec<_>, _>>()?;
        let metrics = install_recorder().or_fail(Code::Software)?;
        telemetry::describe();
        telemetry::begin(env!("CARGO_PKG_VERSION"));
        nightbell_trace::describe();
        let tracer = wiring::tracer(config)?;
        wiring::tell_verification(config);
        let queue = Queue::open_soon(config).await?;
        let ledger = open_ledger(config).await?;

        let ports = Ports {
            outlet: queue.outlet(),
            ledger: ledger.clone(),
            clock: SystemClock,
            dice: wiring::SystemDice,
            tracer: tracer.clone(),
        };
        let mut owners = Vec::new();
        for (connector, sender) in config.connectors.iter().zip(senders) {
            telemetry::begin_connector(&connector.name);
            let settings = wiring::owner_settings(config, connector, &routing);
            let subscription = queue.subscribe(connector.name.clone());
            owners.push(nightbell_worker::spawn(settings, subscription, sender, ports.clone()));
        }
        let status = state::source(&queue, &ledger, &owners);
        let face = Face {
            metrics,
            status: Arc::clone(&status),
            admin_token: config.http.admin_token.clone(),
            ingest: Some(Ingest::new(
                queue.outlet(),
                config.http.ingest_token.clone(),
                SystemClock,
                tracer.clone(),
            )),
            admin: Some(letters::routes::routes(queue.clone())),
            queue: match &queue {
                Queue::Amqp { .. } => None,
                Queue::Embedded { .. } => embedded_name(config).ok().flatten().map(Arc::from),
            },
        };
        let stop_http = CancellationToken::new();
        let http = tokio::spawn(nightbell_http::serve(listener, face, stop_http.clone()));
        Ok(Self { queue, owners, status, tracer, ledger, http, stop_http })
    }

    /// Stops all owners, and reports what became of their work; false: not all of it came to its end.
    pub async fn drain(&mut self, grace: Duration) -> bool {
        let owners = std::mem::take(&mut self.owners);
        for owner in &owners {
            drop(owner.control.send(Control::Stop { grace }).await);
        }
        let mut clean = true;
        for owner in owners {
            let connector = owner.connector;
            match tokio::time::timeout(grace + LEAVE_MAX, owner.ended).await {
                Ok(Ok(Drained { finished, returned, uncertain })) => {
                    let ids = uncertain.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
                    let ids = ids.into_iter().collect::<Vec<_>>().join(",");
                    clean &= uncertain.is_empty();
                    let uncertain = uncertain.len();
                    info!(%connector, finished, returned, uncertain, ids, "an owner stopped");
                }
                Ok(Err(_)) | Err(_) => {
                    clean = false;
                    warn!(%connector, "an owner did not stop in time; what it held comes again");
                }
            }
        }
        clean
    }

    /// Closes all else.
    ///
    /// # Errors
    /// The embedded queue or the ledger had failed.
    pub async fn close(self) -> Result<(), Failure> {
        self.stop_http.cancel();
        // Whoever asks by HTTP holds the queue too.
        drop(self.http.await);
        self.queue.close().await?;
        let tracer = self.tracer;
        tokio::task::spawn_blocking(move || tracer.close()).await.or_fail(Code::Software)?;
        let ledger = self.ledger;
        let closed = tokio::task::spawn_blocking(move || ledger.close()).await.or_fail(Code::Software)?;
        closed.or_fail(Code::Io)
    }
}

async fn open_ledger(config: &Config) -> Result<LedgerStore, Failure> {
    let settings = LedgerSettings::new(config.data_dir.join("ledger"));
    let opened = tokio::task::spawn_blocking(move || LedgerStore::open(&settings, SystemClock)).await;
    let (ledger, opened) = opened.or_fail(Code::Software)?.or_fail(Code::CantCreate)?;
    match opened {
        Opened::Fresh => info!("a new ledger was begun"),
        Opened::Found { entries } => info!(entries, "the ledger was opened"),
        // The ledger has said it, at ERROR.
        Opened::Reset { .. } => {}
    }
    Ok(ledger)
}

/// The signals that ask a program to stop.
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Takes them over from now on.
    ///
    /// # Errors
    /// The system does not let us.
    pub fn new() -> Result<Self, Failure> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).or_fail(Code::Software)?,
            interrupt: signal(SignalKind::interrupt()).or_fail(Code::Software)?,
        })
    }

    /// Waits for the next. Cancel-safe.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
