//! The Prometheus recorder: true histograms, upkeep, and what the process itself measures.

use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder};

/// The buckets of `attempt_duration_seconds` and `ledger_commit_duration_seconds`, in seconds: half a millisecond to
/// the longest time-out.
const DURATION_BUCKETS: [f64; 16] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 30.0, 120.0];

/// The buckets of `delivery_latency_seconds`, in seconds: milliseconds to the day after which an alert is given up.
const LATENCY_BUCKETS: [f64; 17] = [
    0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1_800.0, 7_200.0, 28_800.0,
    86_400.0,
];

/// How often samples of histograms are moved out of their buffers, which would grow without bound.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Renders all metrics; it reads `/proc` and takes its time.
pub type Render = Arc<dyn Fn() -> String + Send + Sync>;

/// The recorder could not be installed.
#[derive(Debug, thiserror::Error)]
#[error("failed to install the metrics recorder")]
pub struct RecorderError {
    #[from]
    source: BuildError,
}

/// Installs the process's recorder and keeps it up. Must be called on a tokio runtime, once.
///
/// # Errors
/// One is installed already.
pub fn install() -> Result<Render, RecorderError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_latency_seconds".into()), &LATENCY_BUCKETS)?
        .set_buckets_for_metric(Matcher::Suffix("_duration_seconds".into()), &DURATION_BUCKETS)?
        .install_recorder()?;
    let kept = handle.clone();
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(UPKEEP_EVERY);
        loop {
            ticks.tick().await;
            kept.run_upkeep();
        }
    });
    let process = metrics_process::Collector::default();
    process.describe();
    Ok(Arc::new(move || {
        process.collect();
        handle.render()
    }))
}
