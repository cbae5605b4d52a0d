//! The benchmark program, small: that it runs, and that what it writes is whole. What it measures is for a quiet machine.

use anyhow::{Context as _, Result, ensure};
use nightbell_tests::program;
use serde_json::Value;

pub(crate) async fn the_benchmark_of_delivery_runs_and_draws(url: String) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let figures = run(&folder, &url, "deliver").await?;
    check(&figures, &["bare loop", "nightbell run"], "alerts_per_second")?;
    ensure!(figures["rows"][1]["ratios"]["alerts_per_second"].as_f64() > Some(0.0), "{figures:#}");
    let drawn = std::fs::read_to_string(folder.path().join("deliver.svg"))?;
    ensure!(drawn.contains("nightbell run</text>"), "{drawn}");
    Ok(())
}

pub(crate) async fn the_benchmark_of_latency_runs(url: String) -> Result<()> {
    let figures = run(&tempfile::tempdir()?, &url, "latency").await?;
    let rows = ["bare loop, 50/s", "nightbell run, 50/s", "bare loop, 200/s", "nightbell run, 200/s"];
    check(&figures, &rows, "p99_ms")
}

pub(crate) async fn the_benchmark_of_a_storm_posts_each_key_once(url: String) -> Result<()> {
    let figures = run(&tempfile::tempdir()?, &url, "storm").await?;
    check(&figures, &["bare loop, keys in memory", "nightbell run"], "events_per_second")?;
    ensure!(figures["rows"][1]["figures"]["posts"] == 20.0, "{figures:#}");
    Ok(())
}

pub(crate) async fn the_benchmark_of_isolation_runs(url: String) -> Result<()> {
    let figures = run(&tempfile::tempdir()?, &url, "isolation").await?;
    check(&figures, &["before", "while the other hangs"], "p99_ms")
}

pub(crate) async fn the_benchmark_of_the_ledger_runs(url: String) -> Result<()> {
    let figures = run(&tempfile::tempdir()?, &url, "ledger").await?;
    check(&figures, &["1 k entries"], "commits_per_second")?;
    check(&figures, &["1 k entries"], "resident_mib")
}

/// Runs one case with sizes that take seconds, on the tests' own node and programs, and gives what it wrote.
async fn run(folder: &tempfile::TempDir, url: &str, case: &str) -> Result<Value> {
    let out = folder.path().to_str().context("a folder whose name is text")?;
    let arguments = [case, "--quick", "--as-built", "--node", url, "--out", out];
    let ended = program::run("bench", folder.path(), &arguments, b"").await?;
    let said = ended.success()?;
    ensure!(said.contains("figures in "), "{said}");
    let file = folder.path().join(format!("{case}.json"));
    serde_json::from_slice(&std::fs::read(file)?).context("read the figures")
}

/// These rows, each with a figure of this column.
fn check(figures: &Value, names: &[&str], column: &str) -> Result<()> {
    let rows = figures["rows"].as_array().context("rows")?;
    let got: Vec<&str> = rows.iter().filter_map(|row| row["name"].as_str()).collect();
    ensure!(got == names, "{got:?}");
    let measured = rows.iter().all(|row| row["figures"][column].as_f64() > Some(0.0));
    ensure!(measured, "{column}: {figures:#}");
    Ok(())
}
