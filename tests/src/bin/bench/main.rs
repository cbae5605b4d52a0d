//! The benchmarks: each case beside its yardstick, in one run on one machine, as a table and a JSON file.

mod bare;
mod deliver;
mod embedded;
mod rig;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Nightbell's benchmarks.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    case: Case,
}

#[derive(Debug, Subcommand)]
enum Case {
    /// Alerts waiting in RabbitMQ → delivered, beside a bare loop of the same libraries without a ledger.
    Deliver {
        /// How many alerts wait in each round.
        #[arg(long, default_value_t = 20_000)]
        alerts: usize,
        /// How many rounds, each with both contenders.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
        /// Where to write the figures as JSON.
        #[arg(long, default_value = "target/bench/deliver.json")]
        json: PathBuf,
    },
    /// The most memory that the worker has resident while it delivers a backlog.
    Memory {
        /// How many alerts wait.
        #[arg(long, default_value_t = 100_000)]
        alerts: usize,
        /// Where to write the figures as JSON.
        #[arg(long, default_value = "target/bench/memory.json")]
        json: PathBuf,
    },
    /// The embedded queue: publishing over HTTP, delivering beside RabbitMQ, starting, and the length of its file.
    Embedded {
        /// How many alerts are published and delivered in each round.
        #[arg(long, default_value_t = 20_000)]
        alerts: usize,
        /// How many rounds.
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// How many alerts wait when the worker is started to see how long that takes.
        #[arg(long, default_value_t = 100_000)]
        waiting: usize,
        /// How many alerts pass through before the file is measured.
        #[arg(long, default_value_t = 1_000_000)]
        passed: usize,
        /// Where to write the figures as JSON.
        #[arg(long, default_value = "target/bench/embedded.json")]
        json: PathBuf,
    },
    /// The bare loop: consume, POST, ack.
    #[command(hide = true)]
    Bare {
        /// The broker.
        #[arg(long)]
        url: String,
        /// The queue.
        #[arg(long)]
        queue: String,
        /// The trigger.
        #[arg(long)]
        trigger: String,
    },
}

#[tokio::main]
async fn main() -> Result<()> {
    match Cli::parse().case {
        Case::Deliver { alerts, rounds, json } => deliver::deliver(alerts, rounds, &json).await,
        Case::Memory { alerts, json } => deliver::memory(alerts, &json).await,
        Case::Embedded { alerts, rounds, waiting, passed, json } => {
            embedded::embedded(embedded::Sizes { alerts, rounds, waiting, passed }, &json).await
        }
        Case::Bare { url, queue, trigger } => bare::run(&url, &queue, &trigger).await,
    }
}
