//! `memory`: the most that the worker has resident while it delivers a long backlog.

use anyhow::Result;
use clap::Args;
use nightbell_tests::site::CONNECTOR;
use serde_json::json;

use crate::cases::deliver::{self, WORKER};
use crate::options::Options;
use crate::report::{CPU, RATE, RESIDENT, Report};
use crate::rig::Rig;

#[derive(Debug, Args)]
pub(crate) struct Memory {
    /// How many alerts wait [default: 200000].
    #[arg(long)]
    alerts: Option<usize>,
}

impl Memory {
    pub(crate) async fn run(&self, options: &Options) -> Result<()> {
        let alerts = options.size(self.alerts, 200_000, 500);
        let mut report = Report::new("memory", json!({ "alerts": alerts }), &[RATE, CPU, RESIDENT]);
        for _ in 0..options.rounds(1) {
            // A new ledger each time.
            let mut rig = Rig::start(options).await?;
            report.round(WORKER, None, &deliver::row(deliver::nightbell(&mut rig, alerts).await?));
            rig.end(&[CONNECTOR]).await?;
        }
        report.note(format!("{alerts} alerts waited, with a new ledger"));
        report.finish(options).map(drop)
    }
}
