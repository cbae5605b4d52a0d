//! `reports`: reading a long report of each format, in a process of its own, beside JUnit.

mod written;

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use nightbell_reports::{Format, Input, Reading, Repeats, ReportOptions, Source};
use nightbell_tests::process::usage;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::process::Command;

use self::written::write;
use crate::options::Options;
use crate::report::{Column, Fold, RESIDENT, Report};

#[derive(Debug, Args)]
pub(crate) struct Reports {
    /// How many test cases each report has [default: 100000].
    #[arg(long)]
    cases: Option<usize>,
}

/// One report, read as `nightbell publish` reads it.
#[derive(Debug, Args)]
pub(crate) struct Child {
    file: PathBuf,
}

#[derive(Debug, Serialize, Deserialize)]
struct Measured {
    cases: usize,
    events: usize,
    seconds: f64,
    cpu_seconds: f64,
    resident_mib: f64,
}

impl Reports {
    pub(crate) async fn run(&self, options: &Options) -> Result<()> {
        let cases = options.size(self.cases, 100_000, 2_000);
        let column =
            |key, title, digits, compared| Column { key, title, digits, fold: Fold::Median, compared };
        let columns = [
            column("seconds", "s", 2, true),
            column("cpu_seconds", "CPU s", 2, true),
            RESIDENT,
            column("mib", "MiB", 1, false),
        ];
        let mut report = Report::new("reports", json!({ "cases": cases }), &columns);
        let folder = tempfile::tempdir()?;
        for _ in 0..options.rounds(3) {
            for format in Format::ALL {
                let file = folder.path().join(format!("{format:?}"));
                let bytes = write(&file, format, cases)?;
                let measured = child(&file).await?;
                if measured.cases != cases || measured.events != written::failing(cases) {
                    bail!("{format}: {measured:?}");
                }
                let yardstick = (format != Format::Junit).then_some(Format::Junit.as_str());
                #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
                let mib = bytes as f64 / 1_048_576.0;
                let row = [measured.seconds, measured.cpu_seconds, measured.resident_mib, mib];
                report.round(format.as_str(), yardstick, &row);
            }
        }
        let failing = written::failing(cases);
        report.note(format!(
            "{cases} cases, {failing} of them failing, read to the last event; Allure's are a file each"
        ));
        report.finish(options).map(drop)
    }
}

async fn child(file: &std::path::Path) -> Result<Measured> {
    let program = std::env::current_exe()?;
    let output =
        Command::new(program).arg("reports-child").arg(file).stderr(Stdio::inherit()).output().await?;
    serde_json::from_slice(&output.stdout).context("what the reading process says")
}

impl Child {
    #[expect(clippy::unused_async, reason = "as all cases")]
    pub(crate) async fn run(self) -> Result<()> {
        let options =
            ReportOptions { project: "shop".into(), run_id: Some("7".into()), ..ReportOptions::default() };
        let input = Input { name: "report".into(), source: Source::file(self.file), format: None };
        let (start, mut reading, mut events) = (Instant::now(), Reading::new(Repeats::Declared, options), 0);
        let flow = reading.read(vec![input], &mut |_, _| {}, &mut |event| {
            events += usize::from(serde_json::to_vec(&event).is_ok());
            std::ops::ControlFlow::Continue(())
        });
        let used = usage(std::process::id())?;
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let resident = used.resident_max_bytes as f64 / 1_048_576.0;
        let measured = Measured {
            cases: reading.summary().cases,
            events: if flow.is_continue() { events } else { 0 },
            seconds: start.elapsed().as_secs_f64(),
            cpu_seconds: used.cpu.as_secs_f64(),
            resident_mib: resident,
        };
        println!("{}", serde_json::to_string(&measured)?);
        Ok(())
    }
}
