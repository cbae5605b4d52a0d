//! `nightbell run`: wires the worker, obeys signals, and stops it.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use nightbell_http::Tls;
use nightbell_worker::Control;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::certificates::look_out;
use crate::config::{Config, Needs};
use crate::exit::{Code, Failure, OrFail as _};
use crate::listener::{self, Weakness};
use crate::patience::Patience;
use crate::private::wide;
use crate::worker::{Owner, StopSignals, Worker};
use crate::{state, systemd, telemetry, wiring};

/// How often it is looked whether the disk works.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Runs the worker until a signal ends it.
///
/// # Errors
/// It can't begin: the configuration, the ledger or the listener is at fault. A broker that is down is none: the
/// worker waits for it.
pub async fn run(path: &Path, config: Config) -> Result<ExitCode, Failure> {
    nightbell_worker::arm_fail_points();
    let mut signals = Signals::new()?;
    tell_readers(&config);
    let listener = listen(&config).await?;
    let mut worker = Worker::start(&config, listener).await?;
    let names: Vec<_> = config.connectors.iter().map(|connector| connector.name.as_str()).collect();
    info!(version = env!("CARGO_PKG_VERSION"), connectors = names.join(","), queue = worker.queue.place(), http = %config.http.listen, "nightbell runs");
    let mut told = CancellationToken::new();
    systemd::attend(&worker, told.clone());

    tell_weaknesses(&config, worker.tls.as_ref());

    let asked = supervise(path, config, &mut signals, &mut worker, &mut told).await;
    told.cancel();
    systemd::stopping();
    let ended = match asked {
        Asked::Stop { grace } => {
            tokio::select! {
                drained = worker.drain(grace) => drained,
                () = signals.stop.next() => {
                    error!("a second signal ends at once; what was in hand comes again");
                    return Ok(ExitCode::FAILURE);
                }
            }
        }
        Asked::OwnerDied => false,
    };
    worker.close().await?;
    Ok(if ended { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Warns once of a `data_dir` that everybody may look into. One that this program makes is private.
fn tell_readers(config: &Config) {
    if let Some((mode, said)) = wide(&config.data_dir)
        && mode & 0o007 != 0
    {
        warn!(data_dir = %config.data_dir.display(), "{said}; `chmod -R go=` makes it private");
    }
}

async fn listen(config: &Config) -> Result<TcpListener, Failure> {
    let at = config.http.listen;
    TcpListener::bind(at).await.map_err(|error| {
        let error = anyhow::Error::new(error).context(format!("listen on {at} (http.listen)"));
        Failure { code: Code::Unavailable, error }
    })
}

/// Says once what lets others in.
fn tell_weaknesses(config: &Config, tls: Option<&watch::Sender<Tls>>) {
    let http = &config.http;
    let chain = tls.and_then(|tls| listener::chain_weakness(http, &tls.borrow()));
    for Weakness { what, finding, cure } in listener::weaknesses(http).into_iter().chain(chain) {
        warn!("{what}: {finding}; {cure}");
    }
    if let Some(Weakness { what, finding, cure }) = tls.and_then(|tls| listener::ended(http, &tls.borrow())) {
        error!("{what}: {finding}; {cure}");
    }
}

/// Why the worker ends.
enum Asked {
    /// It was asked to.
    Stop { grace: Duration },
    /// An owner's task ended by itself, which it never does unless it panicked.
    OwnerDied,
}

/// Waits for signals, and reloads on SIGHUP.
async fn supervise(
    path: &Path,
    config: Config,
    signals: &mut Signals,
    worker: &mut Worker,
    told: &mut CancellationToken,
) -> Asked {
    let mut config = config;
    let mut certificates = look_out(&config);
    let mut disk = Disk::default();
    let mut beat = interval(LOOK_EVERY);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = signals.stop.next() => {
                let grace = config.worker.shutdown_grace;
                info!(grace_s = grace.as_secs_f64(), "stopping: attempts in flight may finish; a second signal ends at once");
                return Asked::Stop { grace };
            }
            _ = signals.reload.recv() => {
                systemd::reloading();
                match reload(path, &config, &worker.owners, worker.tls.as_ref()).await {
                    Ok(new) => {
                        telemetry::config_reloaded(true);
                        tell_changes(&config.changed(&new));
                        config = new;
                        drop(std::mem::replace(&mut certificates, look_out(&config)));
                    }
                    Err(failure) => {
                        telemetry::config_reloaded(false);
                        error!("the configuration was not reloaded, the old one stays: {failure}");
                    }
                }
                systemd::reloaded();
            }
            _ = beat.tick() => {
                if disk.look(worker, &config).await {
                    told.cancel();
                    *told = CancellationToken::new();
                    systemd::attend(worker, told.clone());
                }
            }
            name = died(&mut worker.owners) => {
                error!(connector = name, "an owner ended by itself; the worker stops");
                return Asked::OwnerDied;
            }
        }
    }
}

/// Whether the disk under the ledger and the embedded queue works, and what is done when it does not.
#[derive(Default)]
struct Disk {
    failed: bool,
    patience: Patience,
}

impl Disk {
    /// Looks, and takes the worker up again if it can be; true: its owners are other ones now.
    async fn look(&mut self, worker: &mut Worker, config: &Config) -> bool {
        let Some(problem) = worker.failure() else { return false };
        if !std::mem::replace(&mut self.failed, true) {
            telemetry::data_dir_failed(&problem);
        }
        if !self.patience.is_over(Instant::now()) {
            return false;
        }
        let had = worker.owners.len();
        match worker.revive(config).await {
            Ok(()) => {
                self.failed = false;
                self.patience.was_rewarded(Instant::now());
                telemetry::data_dir_works();
                true
            }
            Err(failure) => {
                self.patience.was_in_vain(Instant::now());
                telemetry::data_dir_still_failed(&failure.to_string());
                had != worker.owners.len()
            }
        }
    }
}

/// Waits until an owner ends by itself.
async fn died(owners: &mut [Owner]) -> String {
    if owners.is_empty() {
        return std::future::pending().await;
    }
    let ends = owners.iter_mut().map(|owner| {
        let name = owner.connector.to_string();
        Box::pin(async move {
            drop((&mut owner.ended).await);
            name
        })
    });
    futures::future::select_all(ends).await.0
}

/// Says what a reload has changed, by key.
fn tell_changes(changed: &[String]) {
    if changed.is_empty() {
        info!(
            "the configuration was read again, and nothing in it has changed; if it was to change: a file that is \
             mounted alone, and a unit's credentials, stay as they were at the start, so restart"
        );
    } else {
        info!(changed = changed.join(", "), "the configuration was reloaded");
    }
}

/// Reads the file again and hands it to the owners; nothing changes unless all of it can.
async fn reload(
    path: &Path,
    old: &Config,
    owners: &[Owner],
    tls: Option<&watch::Sender<Tls>>,
) -> Result<Config, Failure> {
    let new = Config::load(path, Needs::All).or_fail(Code::Config)?;
    let fixed = state::needs_restart(old, &new);
    if !fixed.is_empty() {
        let text = format!("these changes need a restart: {}", fixed.join(", "));
        return Err(Failure::new(Code::Config, text));
    }
    let new_tls = listener::tls(&new.http)?;
    if let Some(ended) = new_tls.as_ref().and_then(|tls| listener::ended(&new.http, tls)) {
        return Err(Failure::new(Code::Config, format!("{}: {}; {}", ended.what, ended.finding, ended.cure)));
    }
    let mut controls = Vec::new();
    for owner in owners {
        let Some(connector) = new.connectors.iter().find(|one| one.name == owner.connector) else { continue };
        let settings = wiring::owner_settings(&new, connector);
        controls.push((owner, Control::Reload(Box::new(settings), wiring::sender(connector)?)));
    }
    for (owner, control) in controls {
        owner.control.send(control).await.map_err(|_| Failure::new(Code::Software, "an owner has ended"))?;
    }
    if let (Some(tls), Some(new)) = (tls, new_tls) {
        tls.send_replace(new);
    }
    wiring::tell_verification(&new);
    Ok(new)
}

/// The signals that the worker obeys.
struct Signals {
    stop: StopSignals,
    reload: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let reload = signal(SignalKind::hangup()).or_fail(Code::Software)?;
        Ok(Self { stop: StopSignals::new()?, reload })
    }
}
