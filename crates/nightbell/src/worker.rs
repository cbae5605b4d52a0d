//! The worker put together: queue, ledger, owners and HTTP face. `nightbell run` and `nightbell demo` are made of it.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nightbell_core::fingerprint::Fingerprint;
use nightbell_core::ports::{Clock as _, Ledger as _, MessageQueue};
use nightbell_core::record::{Change, Happening, RecordKey};
use nightbell_http::{HttpState, Ingest, Listener, Status, Tls, WorkerKey};
use nightbell_ledger::{LedgerSettings, LedgerStore, Opened};
use nightbell_trace::Tracer;
use nightbell_worker::{Control, Drained, OwnerHandle, Ports, SharedPorts, SystemClock};
use nightbell_xmatters::Xmatters;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::{Config, ConnectorConfig};
use crate::exit::{Code, Failure, OrFail as _};
use crate::queue::{Queue, QueueOutlet, embedded_name};
use crate::recorder::Render;
use crate::{handles, listener, recorder, state, telemetry, wiring};

/// How much longer than the grace period an owner may take to leave its queue.
const LEAVE_MAX: Duration = Duration::from_secs(5);

/// What owners work through: either queue, sled, and xMatters.
#[derive(Clone)]
pub enum WorkerPorts {}

impl Ports for WorkerPorts {
    type Subscription = <Queue as MessageQueue>::Subscription;
    type Outlet = QueueOutlet;
    type Ledger = LedgerStore;
    type Sender = Xmatters<SystemClock>;
    type Clock = SystemClock;
    type Dice = wiring::SystemDice;
}

/// An owner that posts to xMatters.
pub type Owner = OwnerHandle<Xmatters<SystemClock>>;

/// How many bytes must fit into `data_dir` before a worker is taken up again: more than one growth of either store.
const ROOM_BYTES: usize = 1024 * 1024;

/// A worker that works.
pub struct Worker {
    /// Its queue.
    pub queue: Queue,
    /// Its owners, one for each connector, in the configuration's order.
    pub owners: Vec<Owner>,
    /// What it is doing, put together each time it is asked.
    pub status: Arc<dyn Fn() -> Status + Send + Sync>,
    /// The certificate of its listener, for a reload to replace; none: it speaks plain HTTP.
    pub tls: Option<watch::Sender<Tls>>,
    tracer: Tracer,
    ledger: LedgerStore,
    metrics: Render,
    listener: std::net::TcpListener,
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
        let senders = senders(config)?;
        let tls = listener::tls(&config.http)?.map(watch::Sender::new);
        let metrics = recorder::install().or_fail(Code::Software)?;
        telemetry::begin(env!("CARGO_PKG_VERSION"), config.connectors.iter().map(|one| &one.name));
        nightbell_worker::telemetry::describe();
        nightbell_trace::describe();
        let tracer = wiring::tracer(config)?;
        wiring::tell_verification(config);
        let queue = Queue::open_soon(config).await?;
        let ledger = open_ledger(config).await?;

        let owners = owners(config, senders, &queue, &ledger, &tracer);
        let status = state::source(&queue, &ledger, &owners);
        let listener = listener.into_std().or_fail(Code::Software)?;
        let (http, stop_http) = serve(config, &listener, tls.as_ref(), (&metrics, &status), &queue, &tracer)?;
        Ok(Self { queue, owners, status, tls, tracer, ledger, metrics, listener, http, stop_http })
    }

    /// What made the ledger or the embedded queue unusable until it is opened anew, if anything did.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        let ledger = self.ledger.failure().err().map(|error| error.to_string());
        let stopped = || self.owners.is_empty().then(|| "no owner is at work".to_owned());
        self.queue.failure().or(ledger).or_else(stopped)
    }

    /// Opens anew what has failed, and begins again with it. Until `data_dir` can be written nothing changes.
    ///
    /// # Errors
    /// It can't be written yet, or can't be opened.
    pub async fn revive(&mut self, config: &Config) -> Result<(), Failure> {
        let data_dir = config.data_dir.clone();
        let room = tokio::task::spawn_blocking(move || room(&data_dir)).await.or_fail(Code::Software)?;
        room.or_fail(Code::Io)?;
        let senders = senders(config)?;
        // What is on its way still finds its end in the ledger, if that one is well.
        self.drain(config.worker.shutdown_grace).await;
        if self.queue.failure().is_some() {
            // It has said already why it failed.
            drop(self.queue.clone().close().await);
            self.queue = Queue::open(config).await?;
        }
        if self.ledger.failure().is_err() {
            let failed = self.ledger.clone();
            drop(tokio::task::spawn_blocking(move || failed.close()).await);
            self.ledger = open_ledger(config).await?;
        }
        self.try_ledger(config).await?;
        self.stop_http.cancel();
        drop((&mut self.http).await);
        self.owners = owners(config, senders, &self.queue, &self.ledger, &self.tracer);
        self.status = state::source(&self.queue, &self.ledger, &self.owners);
        let shown = (&self.metrics, &self.status);
        let served = serve(config, &self.listener, self.tls.as_ref(), shown, &self.queue, &self.tracer)?;
        (self.http, self.stop_http) = served;
        Ok(())
    }

    /// Writes something to the ledger that is forgotten at once: what is sent while it can't be written is sent again.
    async fn try_ledger(&self, config: &Config) -> Result<(), Failure> {
        let Some(connector) = config.connectors.first() else { return Ok(()) };
        let (now, event) = (SystemClock.now(), Fingerprint::of([b"a try".as_slice()]));
        let happening = Happening::Claimed { event, replay: None, until: now };
        let change = Change { key: RecordKey::Event(event), happening, keep: Duration::ZERO };
        self.ledger.commit(&connector.name, vec![change], now).await.or_fail(Code::Io)
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

/// Whether there is room again: what is written is gone at once.
fn room(data_dir: &Path) -> io::Result<()> {
    std::fs::create_dir_all(data_dir)?;
    let mut file = tempfile::tempfile_in(data_dir)?;
    file.write_all(&vec![1; ROOM_BYTES])?;
    file.sync_all()
}

fn senders(config: &Config) -> Result<Vec<Xmatters<SystemClock>>, Failure> {
    config.connectors.iter().map(wiring::sender).collect()
}

fn owners(
    config: &Config,
    senders: Vec<Xmatters<SystemClock>>,
    queue: &Queue,
    ledger: &LedgerStore,
    tracer: &Tracer,
) -> Vec<Owner> {
    let ports = SharedPorts::<WorkerPorts> {
        outlet: queue.outlet(),
        ledger: ledger.clone(),
        clock: SystemClock,
        dice: wiring::SystemDice,
        tracer: tracer.clone(),
    };
    let one = |(connector, sender): (&ConnectorConfig, _)| {
        let settings = wiring::owner_settings(config, connector);
        let subscription = queue.subscribe(connector.name.clone());
        nightbell_worker::spawn(settings, subscription, sender, ports.clone())
    };
    config.connectors.iter().zip(senders).map(one).collect()
}

/// Serves the HTTP face until it is told to stop; the listener stays open, so that it can be served anew.
fn serve(
    config: &Config,
    listener: &std::net::TcpListener,
    tls: Option<&watch::Sender<Tls>>,
    (metrics, status): (&Render, &Arc<dyn Fn() -> Status + Send + Sync>),
    queue: &Queue,
    tracer: &Tracer,
) -> Result<(JoinHandle<()>, CancellationToken), Failure> {
    let listener = listener.try_clone().and_then(TcpListener::from_std).or_fail(Code::Software)?;
    let token = config.http.ingest_token.clone();
    let state = HttpState {
        metrics: metrics.clone(),
        status: Arc::clone(status),
        admin_token: config.http.admin_token.clone(),
        ingest: Some(Ingest::new(queue.outlet(), token, SystemClock, tracer.clone())),
        admin: nightbell_letters::routes(queue.clone(), SystemClock),
        is_local: config.http.listen.ip().to_canonical().is_loopback(),
        key: worker_key(config),
        queue: match queue {
            Queue::Amqp(_) => None,
            Queue::Embedded(_) => embedded_name(config).ok().flatten().map(Arc::from),
        },
    };
    let listener = Listener::new(listener, handles::raise());
    let listener = match tls {
        Some(tls) => listener.with_tls(tls.subscribe()),
        None => listener,
    };
    let stop = CancellationToken::new();
    Ok((tokio::spawn(nightbell_http::serve(listener, state, stop.clone())), stop))
}

/// With what commands make sure that they ask this worker. It delivers without it all the same.
fn worker_key(config: &Config) -> Option<WorkerKey> {
    let made = WorkerKey::make(&config.data_dir);
    // On a full disk the last start's will do.
    let key = made.or_else(|error| WorkerKey::read(&config.data_dir).map_err(|_| error));
    key.inspect_err(|error| {
        let data_dir = config.data_dir.display();
        warn!(%error, "no key could be written to {data_dir}: commands will not know this worker");
    })
    .ok()
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
