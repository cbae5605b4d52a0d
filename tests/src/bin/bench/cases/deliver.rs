//! `deliver` and `memory`.

use std::path::Path;

use anyhow::{Context as _, Result};
use comfy_table::Table;
use nightbell_tests::program;
use nightbell_tests::site::CONNECTOR;
use serde::Serialize;
use tokio::process::Command;

use crate::rig::{Rig, Round, median, time, write};

/// Both contenders' rounds.
#[derive(Debug, Default, Serialize)]
struct Figures {
    alerts: usize,
    bare: Vec<Round>,
    nightbell: Vec<Round>,
}

pub(crate) async fn deliver(alerts: usize, rounds: usize, json: &Path) -> Result<()> {
    program::build_plain()?;
    let mut rig = Rig::start().await?;
    let mut figures = Figures { alerts, ..Figures::default() };
    for _ in 0..rounds {
        figures.bare.push(bare(&mut rig, alerts).await?);
        figures.nightbell.push(nightbell(&mut rig, alerts).await?);
    }
    write(json, &figures)?;
    let mut table = Table::new();
    table.set_header(["contender", "alerts/s", "CPU µs/alert", "resident MiB, most"]);
    let medians = |rounds: &[Round]| {
        (median(rounds.iter().map(|round| round.rate)), median(rounds.iter().map(|round| round.cpu_us)))
    };
    let (bare, worker) = (medians(&figures.bare), medians(&figures.nightbell));
    for (name, (rate, cpu), rounds) in
        [("bare loop", bare, &figures.bare), ("nightbell run", worker, &figures.nightbell)]
    {
        table.add_row([
            name.to_owned(),
            format!("{rate:.0}"),
            format!("{cpu:.0}"),
            format!("{:.1}", most_mib(rounds)),
        ]);
    }
    let ratio = [
        "nightbell / bare".to_owned(),
        format!("{:.2}", worker.0 / bare.0),
        format!("{:.2}", worker.1 / bare.1),
    ];
    table.add_row(ratio);
    println!(
        "{table}\nmedians of {rounds} interleaved rounds of {alerts} alerts; figures in {}",
        json.display()
    );
    Ok(())
}

pub(crate) async fn memory(alerts: usize, json: &Path) -> Result<()> {
    program::build_plain()?;
    let mut rig = Rig::start().await?;
    let round = nightbell(&mut rig, alerts).await?;
    write(json, &round)?;
    println!(
        "{alerts} alerts waited and were delivered at {:.0}/s; resident at most {:.1} MiB; figures in {}",
        round.rate,
        most_mib(&[round]),
        json.display()
    );
    Ok(())
}

pub(crate) async fn nightbell(rig: &mut Rig, alerts: usize) -> Result<Round> {
    rig.fill(alerts).await?;
    let before = rig.site.fake.accepted_count();
    let worker = rig.site.start("")?;
    let round = time(&rig.site, worker.id().context("it runs")?, alerts, before).await?;
    rig.drained().await?;
    worker.terminate().await?;
    Ok(round)
}

async fn bare(rig: &mut Rig, alerts: usize) -> Result<Round> {
    rig.fill(alerts).await?;
    let before = rig.site.fake.accepted_count();
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["bare", "--url", &rig.node.url("/"), "--queue", &rig.queue()]);
    command.args(["--trigger", &rig.site.fake.trigger_url()]).kill_on_drop(true);
    let mut child = command.spawn().with_context(|| format!("the bare loop of {CONNECTOR}"))?;
    let round = time(&rig.site, child.id().context("it runs")?, alerts, before).await?;
    rig.drained().await?;
    child.kill().await?;
    Ok(round)
}

pub(crate) fn most_mib(rounds: &[Round]) -> f64 {
    let most = rounds.iter().map(|round| round.resident_max_bytes).max().unwrap_or_default();
    most as f64 / f64::from(1 << 20)
}
