//! `latency`: from publish to the arrival of the POST, at even rates.

use anyhow::{Context as _, Result};
use clap::Args;
use nightbell_tests::process;
use nightbell_tests::site::CONNECTOR;
use serde_json::json;

use crate::cases::bare;
use crate::cases::deliver::{BARE, WORKER};
use crate::load::{self, Load};
use crate::options::Options;
use crate::report::{CPU, RESIDENT, Report};
use crate::rig::{Rig, round};

#[derive(Debug, Args)]
pub(crate) struct Latency {
    /// The rates in alerts a second [default: 100,500,2000].
    #[arg(long, value_delimiter = ',')]
    rates: Option<Vec<u32>>,
    /// How many seconds each contender gets at each rate, after one of warm-up [default: 20].
    #[arg(long)]
    seconds: Option<u32>,
}

impl Latency {
    pub(crate) async fn run(&self, options: &Options) -> Result<()> {
        let rates = options.size(self.rates.clone(), vec![100, 500, 2_000], vec![50, 200]);
        let seconds = options.size(self.seconds, 20, 1);
        let mut rig = Rig::start(options).await?;
        let mut columns = load::COLUMNS.to_vec();
        columns.extend([CPU, RESIDENT]);
        let settings = json!({ "rates": rates, "seconds": seconds });
        let mut report = Report::new("latency", settings, &columns);
        for _ in 0..options.rounds(3) {
            for rate in &rates {
                let (bare, worker) = (format!("{BARE}, {rate}/s"), format!("{WORKER}, {rate}/s"));
                let load = Load::new(&mut rig, *rate, seconds);
                report.round(&bare, None, &bare_loop(&rig, &load).await?);
                let load = Load::new(&mut rig, *rate, seconds);
                report.round(&worker, Some(&bare), &nightbell(&rig, &load).await?);
            }
        }
        report.note(
            "from when an alert was due to be published to the last byte of its POST; open loop, so that a stall \
             counts for all that waited meanwhile",
        );
        report.finish(options)?;
        rig.end(&[CONNECTOR]).await
    }
}

async fn nightbell(rig: &Rig, load: &Load) -> Result<Vec<f64>> {
    let worker = rig.site.worker().await?;
    let figures = measured(rig, load, worker.id().context("it runs")?).await?;
    worker.terminate().await?;
    rig.clear(&rig.queue()).await?;
    Ok(figures)
}

async fn bare_loop(rig: &Rig, load: &Load) -> Result<Vec<f64>> {
    let group = bare::start(rig, &[])?;
    let figures = measured(rig, load, group.id()).await?;
    group.kill().await?;
    rig.clear(&rig.queue()).await?;
    Ok(figures)
}

async fn measured(rig: &Rig, load: &Load, process: u32) -> Result<Vec<f64>> {
    let from = (std::time::Instant::now(), process::usage_of_tree(process)?);
    let latencies = load.run(rig).await?;
    let to = (std::time::Instant::now(), process::usage_of_tree(process)?);
    let round = round(load.numbers.len(), from, to);
    let mut figures = load::figures(&latencies).to_vec();
    figures.extend([round.cpu_us, round.resident_mib]);
    Ok(figures)
}
