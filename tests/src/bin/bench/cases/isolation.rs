//! `isolation`: one connector's destination hangs; what another's alerts notice of it.

use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::Args;
use fake_xmatters::Answer;
use nightbell_tests::process;
use nightbell_tests::site::{CONNECTOR, PASSWORD, Site, USER};
use serde_json::json;

use crate::load::{self, Load};
use crate::options::Options;
use crate::report::{CPU, RESIDENT, Report};
use crate::rig::{Rig, round};

/// The connector that hangs, and its function.
const HUNG: &str = "hung";

/// The yardstick.
const BEFORE: &str = "before";
const DURING: &str = "while the other hangs";

#[derive(Debug, Args)]
pub(crate) struct Isolation {
    /// How many alerts a second go to both connectors [default: 500].
    #[arg(long)]
    rate: Option<u32>,
    /// How many seconds before and during, each after one of warm-up [default: 20].
    #[arg(long)]
    seconds: Option<u32>,
}

impl Isolation {
    pub(crate) async fn run(&self, options: &Options) -> Result<()> {
        let rate = options.size(self.rate, 500, 100);
        let seconds = options.size(self.seconds, 20, 1);
        let mut columns = load::COLUMNS.to_vec();
        columns.extend([CPU, RESIDENT]);
        let settings = json!({ "rate": rate, "seconds": seconds });
        let mut report = Report::new("isolation", settings, &columns);
        for _ in 0..options.rounds(3) {
            // A worker, a ledger and queues anew: the backlog of the one that hangs stays with the round.
            let mut rig = Rig::start_with(options, two_connectors).await?;
            let worker = rig.site.worker().await?;
            let process = worker.id().context("it runs")?;
            report.round(BEFORE, None, &measured(&mut rig, rate, seconds, process).await?);
            rig.site.fake.set_default_for(HUNG, Answer::hang());
            report.round(DURING, Some(BEFORE), &measured(&mut rig, rate, seconds, process).await?);
            worker.kill9().await?;
            rig.end(&[CONNECTOR, HUNG]).await?;
        }
        report.note(format!(
            "{rate} alerts a second, each for two connectors; percentiles of the healthy one, CPU of both"
        ));
        report.finish(options).map(drop)
    }
}

fn two_connectors(site: &Site) -> Result<()> {
    let trigger = site.fake.url(HUNG);
    site.configure_more(&format!(
        "[[connectors]]\nname = \"{HUNG}\"\ntrigger_url = \"{trigger}\"\nusername = \"{USER}\"\n\
         password = \"{PASSWORD}\"\nrecipients = [\"on-call\"]\nrate_limit = \"none\"\ntimeout = \"2s\"\n\
         [[alert_groups]]\nname = \"all\"\nconnectors = [\"{CONNECTOR}\", \"{HUNG}\"]\nprojects = [\"*\"]\n"
    ))
}

async fn measured(rig: &mut Rig, rate: u32, seconds: u32, process: u32) -> Result<Vec<f64>> {
    let load = Load::new(rig, rate, seconds);
    let from = (Instant::now(), process::usage_of_tree(process)?);
    let latencies = load.run(rig).await?;
    let to = (Instant::now(), process::usage_of_tree(process)?);
    let round = round(load.numbers.len(), from, to);
    let mut figures = load::figures(&latencies).to_vec();
    figures.extend([round.cpu_us, round.resident_mib]);
    Ok(figures)
}
