//! The Prometheus recorder: true histograms, and upkeep.

use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use nightbell_worker::telemetry::{DURATION_BUCKETS, LATENCY_BUCKETS};

/// How often samples of histograms are moved out of their buffers, which would grow without bound.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// The recorder could not be installed.
#[derive(Debug, thiserror::Error)]
pub enum RecorderError {
    /// The exporter refused its settings, or another recorder is installed.
    #[error("failed to install the metrics recorder")]
    Install {
        /// Why.
        source: BuildError,
    },
}

/// Installs the process's recorder and keeps it up. Must be called on a tokio runtime, once.
///
/// # Errors
/// [`RecorderError::Install`], when one is installed already.
pub fn install() -> Result<PrometheusHandle, RecorderError> {
    let built = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_latency_seconds".into()), &LATENCY_BUCKETS)
        .and_then(|builder| {
            builder.set_buckets_for_metric(Matcher::Suffix("_duration_seconds".into()), &DURATION_BUCKETS)
        })
        .and_then(PrometheusBuilder::install_recorder);
    let handle = built.map_err(|source| RecorderError::Install { source })?;
    let kept = handle.clone();
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(UPKEEP_EVERY);
        loop {
            ticks.tick().await;
            kept.run_upkeep();
        }
    });
    metrics_process::Collector::default().describe();
    Ok(handle)
}
