//! `nightbell run`: wires the worker, obeys signals, and stops it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use nightbell_http::{Face, install_recorder};
use nightbell_ledger::{LedgerSettings, LedgerStore, Opened};
use nightbell_worker::{Control, Drained, OwnerHandle, Ports, SystemClock, telemetry};
use nightbell_xmatters::Xmatters;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::config::Config;
use crate::exit::{Code, Failure, OrFail as _};
use crate::{state, wiring};

type Owner = OwnerHandle<Xmatters<SystemClock>>;

/// How much longer than the grace period an owner may take to leave its queue.
const LEAVE_MAX: Duration = Duration::from_secs(5);

/// Runs the worker until a signal ends it.
///
/// # Errors
/// It can't begin: the configuration, the ledger or the listener is at fault. A broker that is down is none: the
/// worker waits for it.
pub async fn run(path: &Path, config: Config) -> Result<ExitCode, Failure> {
    nightbell_worker::arm_fail_points();
    let mut signals = Signals::new()?;
    let routing = Arc::new(wiring::routing(&config)?);
    let broker = wiring::broker(&config)?;
    let senders =
        config.connectors.iter().map(|one| wiring::sender(&config, one)).collect::<Result<Vec<_>, _>>()?;
    let metrics = install_recorder().or_fail(Code::Software)?;
    telemetry::describe();
    telemetry::begin(env!("CARGO_PKG_VERSION"));
    let listener = listen(&config).await?;
    let ledger = open_ledger(&config).await?;

    let ports = Ports { outlet: broker.outlet(), ledger: ledger.clone(), clock: SystemClock };
    let mut owners = Vec::new();
    for (connector, sender) in config.connectors.iter().zip(senders) {
        telemetry::begin_connector(&connector.name);
        let settings = wiring::owner_settings(&config, connector, &routing);
        owners.push(nightbell_worker::spawn(
            settings,
            broker.subscribe(connector.name.clone()),
            sender,
            ports.clone(),
        ));
    }
    let stop_http = CancellationToken::new();
    let status = state::source(&config, &broker, &ledger, &owners)?;
    let face = Face { metrics, status, admin_token: config.http.admin_token.clone() };
    let http = tokio::spawn(nightbell_http::serve(listener, face, stop_http.clone()));
    let names: Vec<_> = config.connectors.iter().map(|connector| connector.name.as_str()).collect();
    info!(version = env!("CARGO_PKG_VERSION"), connectors = names.join(","), http = %config.http.listen, "nightbell runs");

    let asked = supervise(path, config, &mut signals, &mut owners).await;
    let ended = match asked {
        Asked::Stop { grace } => {
            tokio::select! {
                drained = drain(owners, grace) => drained,
                () = stop_asked(&mut signals.terminate, &mut signals.interrupt) => {
                    error!("a second signal ends at once; what was in hand comes again");
                    return Ok(ExitCode::FAILURE);
                }
            }
        }
        Asked::OwnerDied => false,
    };
    stop_http.cancel();
    broker.close().await;
    let closed = tokio::task::spawn_blocking(move || ledger.close()).await.or_fail(Code::Software)?;
    closed.or_fail(Code::Io)?;
    drop(http.await);
    Ok(if ended { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn listen(config: &Config) -> Result<TcpListener, Failure> {
    let at = config.http.listen;
    TcpListener::bind(at).await.map_err(|error| {
        let error = anyhow::Error::new(error).context(format!("listen on {at} (http.listen)"));
        Failure { code: Code::Unavailable, error }
    })
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

/// Why the worker ends.
enum Asked {
    /// It was asked to.
    Stop { grace: Duration },
    /// An owner's task ended by itself, which it never does unless it panicked.
    OwnerDied,
}

/// Waits for signals, and reloads on SIGHUP.
async fn supervise(path: &Path, config: Config, signals: &mut Signals, owners: &mut [Owner]) -> Asked {
    let mut config = config;
    loop {
        tokio::select! {
            () = stop_asked(&mut signals.terminate, &mut signals.interrupt) => {
                let grace = config.worker.shutdown_grace;
                info!(grace_s = grace.as_secs_f64(), "stopping: attempts in flight may finish; a second signal ends at once");
                return Asked::Stop { grace };
            }
            _ = signals.reload.recv() => match reload(path, &config, owners).await {
                Ok(new) => {
                    telemetry::config_reloaded(true);
                    info!("the configuration was reloaded");
                    config = new;
                }
                Err(failure) => {
                    telemetry::config_reloaded(false);
                    error!("the configuration was not reloaded, the old one stays: {failure}");
                }
            },
            name = died(owners) => {
                error!(connector = name, "an owner ended by itself; the worker stops");
                return Asked::OwnerDied;
            }
        }
    }
}

/// Waits until an owner ends by itself.
async fn died(owners: &mut [Owner]) -> String {
    let ends = owners.iter_mut().map(|owner| {
        let name = owner.connector.to_string();
        Box::pin(async move {
            drop((&mut owner.ended).await);
            name
        })
    });
    futures::future::select_all(ends).await.0
}

/// Reads the file again and hands it to the owners; nothing changes unless all of it can.
async fn reload(path: &Path, old: &Config, owners: &[Owner]) -> Result<Config, Failure> {
    let new = Config::load(Some(path)).or_fail(Code::Config)?;
    let fixed = state::needs_restart(old, &new);
    if !fixed.is_empty() {
        let text = format!("these changes need a restart: {}", fixed.join(", "));
        return Err(Failure::new(Code::Config, text));
    }
    let routing = Arc::new(wiring::routing(&new)?);
    let mut controls = Vec::new();
    for owner in owners {
        let Some(connector) = new.connectors.iter().find(|one| one.name == owner.connector) else { continue };
        let settings = wiring::owner_settings(&new, connector, &routing);
        controls.push((owner, Control::Reload(Box::new(settings), wiring::sender(&new, connector)?)));
    }
    for (owner, control) in controls {
        owner.control.send(control).await.map_err(|_| Failure::new(Code::Software, "an owner has ended"))?;
    }
    Ok(new)
}

/// Stops all owners and reports what became of their work; false: not all of it came to its end.
async fn drain(owners: Vec<Owner>, grace: Duration) -> bool {
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

/// The signals that the worker obeys.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    reload: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).or_fail(Code::Software)?,
            interrupt: signal(SignalKind::interrupt()).or_fail(Code::Software)?,
            reload: signal(SignalKind::hangup()).or_fail(Code::Software)?,
        })
    }
}

async fn stop_asked(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
