//! The benchmarks: each case beside its yardstick, in one run on one machine, as a table and a JSON file.

mod cases;
mod group;
mod load;
mod options;
mod plot;
mod report;
mod rig;

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::{Parser, Subcommand};

use crate::cases::bare::{self, Bare};
use crate::cases::deliver::{self, Deliver};
use crate::cases::embedded::Embedded;
use crate::cases::isolation::Isolation;
use crate::cases::latency::Latency;
use crate::cases::ledger::{self, Ledger};
use crate::cases::memory::Memory;
use crate::cases::recovery::Recovery;
use crate::cases::reports::{self, Reports};
use crate::cases::storm::Storm;
use crate::options::Options;

/// What `all` runs, in this order.
const ALL: [&str; 9] = [
    "deliver --peers",
    "latency",
    "storm",
    "memory",
    "embedded",
    "isolation",
    "recovery",
    "ledger",
    "reports",
];

/// Nightbell's benchmarks. Each starts a RabbitMQ of its own and a stand-in for xMatters, on loopback, and measures the
/// worker beside a yardstick in the same run: rounds are interleaved, figures are medians, processor time and memory
/// are the kernel's accounts of the contender's processes. Build with --release: the worker is built in the same
/// profile as this program.
#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    case: Case,
}

#[derive(Debug, Subcommand)]
enum Case {
    /// Alerts that wait in RabbitMQ → delivered, beside a bare loop of the same libraries, and peers.
    Deliver(Deliver),
    /// From publish to the arrival of the POST, at even rates.
    Latency(Latency),
    /// A flood of events of few alerts, until all are settled.
    Storm(Storm),
    /// The most memory that the worker has resident while it delivers a long backlog.
    Memory(Memory),
    /// The embedded queue: publishing over HTTP, delivering beside RabbitMQ, starting, the length of its file.
    Embedded(Embedded),
    /// One connector's destination hangs: another's latencies before and meanwhile.
    Isolation(Isolation),
    /// The broker is back, or xMatters is, until the first delivery.
    Recovery(Recovery),
    /// What a commit costs with few and with many entries; opening, disk and memory.
    Ledger(Ledger),
    /// Reading a long report of each format.
    Reports(Reports),
    /// All of them, with peers, one after the other.
    All,
    /// Draws the figures of an earlier `deliver`.
    Plot {
        /// The figures.
        #[arg(long, default_value = "target/bench/deliver.json")]
        json: PathBuf,
        /// Where to draw them.
        #[arg(long, default_value = "target/bench/deliver.svg")]
        svg: PathBuf,
    },
    /// The bare loop: consume, POST, ack.
    #[command(hide = true)]
    Bare(Bare),
    /// One step of `ledger`.
    #[command(hide = true)]
    LedgerChild(ledger::Child),
    /// One reading of `reports`.
    #[command(hide = true)]
    ReportsChild(reports::Child),
}

#[tokio::main]
async fn main() -> Result<()> {
    let Cli { options, case } = Cli::parse();
    // An interrupt ends this function, so that nodes and contenders are ended too.
    tokio::select! {
        ended = run(&options, case) => ended,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            bail!("interrupted")
        }
    }
}

async fn run(options: &Options, case: Case) -> Result<()> {
    match case {
        Case::Deliver(deliver) => deliver.run(options).await,
        Case::Latency(latency) => latency.run(options).await,
        Case::Storm(storm) => storm.run(options).await,
        Case::Memory(memory) => memory.run(options).await,
        Case::Embedded(embedded) => embedded.run(options).await,
        Case::Isolation(isolation) => isolation.run(options).await,
        Case::Recovery(recovery) => recovery.run(options).await,
        Case::Ledger(ledger) => ledger.run(options).await,
        Case::Reports(reports) => reports.run(options).await,
        Case::All => all(options).await,
        Case::Plot { json, svg } => deliver::redraw(&json, &svg),
        Case::Bare(bare) => bare::run(bare).await,
        Case::LedgerChild(child) => child.run().await,
        Case::ReportsChild(child) => child.run().await,
    }
}

async fn all(options: &Options) -> Result<()> {
    for case in ALL {
        let words = std::iter::once("bench").chain(case.split(' ')).map(str::to_owned);
        let cli = Cli::try_parse_from(words.chain(options.arguments()))?;
        println!("\n{case}");
        Box::pin(run(&cli.options, cli.case)).await.with_context(|| case.to_owned())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn every_case_of_all_can_be_parsed() {
        Cli::command().debug_assert();
        for case in ALL {
            let words = std::iter::once("bench").chain(case.split(' ')).chain(["--quick", "--rounds", "2"]);
            let cli = Cli::try_parse_from(words).unwrap();
            assert_eq!(cli.options.rounds(5), 2, "{case}");
            assert_eq!(cli.options.arguments()[2..], ["--rounds", "2", "--quick"]);
        }
    }
}
