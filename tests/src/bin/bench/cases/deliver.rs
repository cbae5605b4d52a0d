//! `deliver`: alerts that wait in RabbitMQ → delivered.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use serde_json::{Value, json};

use crate::cases::bare;
use crate::cases::peers::{self, PEERS, Peers};
use crate::options::Options;
use crate::plot;
use crate::report::{CPU, RATE, RESIDENT, Report};
use crate::rig::{Rig, Round, time};

/// The yardstick's name.
pub(crate) const BARE: &str = "bare loop";

/// The worker's name.
pub(crate) const WORKER: &str = "nightbell run";

#[derive(Debug, Args)]
pub(crate) struct Deliver {
    /// How many alerts wait in each round [default: 50000].
    #[arg(long)]
    alerts: Option<usize>,
    /// Also Node and Python, installed on demand below target/peers.
    #[arg(long)]
    peers: bool,
    /// How many alerts wait for each peer [default: 10000].
    #[arg(long)]
    peer_alerts: Option<usize>,
    /// Where to draw the figures; otherwise deliver.svg beside deliver.json.
    #[arg(long)]
    svg: Option<PathBuf>,
}

impl Deliver {
    pub(crate) async fn run(&self, options: &Options) -> Result<()> {
        let alerts = options.size(self.alerts, 50_000, 200);
        let peer_alerts = options.size(self.peer_alerts, 10_000, 200);
        let peers = if self.peers { Some(Peers::install()?) } else { None };
        let mut rig = Rig::start(options).await?;
        let settings = json!({
            "alerts": alerts,
            "peer_alerts": peers.as_ref().map(|_| peer_alerts),
            "prefetch": bare::PREFETCH,
            "in_flight_max": bare::IN_FLIGHT_MAX,
        });
        let mut report = Report::new("deliver", settings, &[RATE, CPU, RESIDENT]);
        if let Some(peers) = &peers {
            peers.prepare(&rig).await?;
        }
        for _ in 0..options.rounds(5) {
            report.round(BARE, None, &row(bare_loop(&mut rig, alerts).await?));
            report.round(WORKER, Some(BARE), &row(nightbell(&mut rig, alerts).await?));
            let Some(peers) = &peers else { continue };
            for peer in PEERS {
                let round = peers.round(&mut rig, peer, peer_alerts).await?;
                report.round(peer.name(), Some(BARE), &row(round));
            }
        }
        report.note(format!("{alerts} alerts a round; × is the ratio to the bare loop of the same run"));
        if peers.is_some() {
            report.note(format!("{peer_alerts} alerts a round for each peer; {}", peers::IDIOMS));
        }
        let document = report.finish(options)?;
        rig.end(&[nightbell_tests::site::CONNECTOR]).await?;
        self.draw(&document, options)
    }

    fn draw(&self, document: &Value, options: &Options) -> Result<()> {
        let path = self.svg.clone().unwrap_or_else(|| options.out.join("deliver.svg"));
        plot::draw(document, &path)?;
        println!("drawn in {}", path.display());
        Ok(())
    }
}

/// Draws an earlier run's figures.
pub(crate) fn redraw(json: &Path, svg: &Path) -> Result<()> {
    let text = std::fs::read(json).with_context(|| format!("read {}", json.display()))?;
    plot::draw(&serde_json::from_slice(&text)?, svg)
}

/// The columns of `deliver`.
pub(crate) fn row(round: Round) -> [f64; 3] {
    [round.rate, round.cpu_us, round.resident_mib]
}

/// A round of the worker.
pub(crate) async fn nightbell(rig: &mut Rig, alerts: usize) -> Result<Round> {
    rig.fill(alerts).await?;
    let before = rig.site.fake.accepted_count();
    let worker = rig.site.start("")?;
    let round = time(&rig.site, worker.id().context("it runs")?, alerts, before).await?;
    worker.terminate().await?;
    rig.clear(&rig.queue()).await?;
    Ok(round)
}

async fn bare_loop(rig: &mut Rig, alerts: usize) -> Result<Round> {
    rig.fill(alerts).await?;
    let before = rig.site.fake.accepted_count();
    let group = bare::start(rig, &[])?;
    let round = time(&rig.site, group.id(), alerts, before).await?;
    group.kill().await?;
    rig.clear(&rig.queue()).await?;
    Ok(round)
}
