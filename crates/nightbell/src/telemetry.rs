//! The metrics of the program itself, and the log lines that go with them. One function per fact emits both, so that they
//! can't drift apart. Queue, ledger, owners and traces describe their own.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};
use nightbell_core::connector::Connector;
use nightbell_core::time::UnixMillis;
use tracing::{debug, error, warn};

/// A certificate that ends sooner is warned of.
pub const CERTIFICATE_LEFT_MIN: Duration = Duration::from_secs(14 * 24 * 60 * 60);

const DATA_DIR_FAILED: &str = "nightbell_data_dir_failed";
const CONFIG_RELOADED: &str = "nightbell_config_last_reload_successful";
const CERTIFICATE_EXPIRY: &str = "nightbell_tls_certificate_expiry_timestamp_seconds";
const VERIFICATION: &str = "nightbell_tls_verification";
const LOG_LINES_DROPPED: &str = "nightbell_log_lines_dropped_total";
const BUILD: &str = "nightbell_build_info";
/// Only RabbitMQ refuses a queue, but the series is there over the embedded queue as well.
const QUEUE_UNAVAILABLE: &str = "nightbell_queue_unavailable";

const GAUGES: [(&str, &str); 5] = [
    (DATA_DIR_FAILED, "1 while the ledger or the embedded queue can't be written, mostly for want of space"),
    (CONFIG_RELOADED, "1 if the configuration in use is the file's, 0 if its last reload failed"),
    (
        VERIFICATION,
        "1 for the mode in which the connector checks certificates: anything but full lets others listen in",
    ),
    (BUILD, "1, labelled with the version"),
    (
        QUEUE_UNAVAILABLE,
        "1 while the connector's own queue can't be consumed: it is missing, forbidden or declared otherwise",
    ),
];

/// Describes the metrics, and touches every series, so that each is there from the start.
pub fn begin<'a>(version: &'static str, connectors: impl IntoIterator<Item = &'a Connector>) {
    GAUGES.into_iter().for_each(|(name, help)| describe_gauge!(name, help));
    describe_gauge!(
        CERTIFICATE_EXPIRY,
        Unit::Seconds,
        "When the first of the certificates that the destination shows expires, its issuers' among them, in seconds since \
         1970; 0 while none was seen"
    );
    describe_counter!(
        LOG_LINES_DROPPED,
        "Log lines that were lost because standard error was not read fast enough"
    );
    for connector in connectors {
        for name in [QUEUE_UNAVAILABLE, CERTIFICATE_EXPIRY] {
            gauge!(name, "connector" => connector.as_str().to_owned()).set(0.0);
        }
    }
    log_line_dropped(0);
    gauge!(DATA_DIR_FAILED).set(0.0);
    gauge!(BUILD, "version" => version).set(1.0);
    config_reloaded(true);
}

/// The ledger or the embedded queue has failed, mostly for want of space; nothing is acknowledged until it was opened anew.
pub fn data_dir_failed(problem: &str) {
    gauge!(DATA_DIR_FAILED).set(1.0);
    error!(
        problem,
        "data_dir can't be written: nothing is delivered or acknowledged. Free the disk or replace it; the worker takes up by \
         itself when it can write again"
    );
}

/// Still the same.
pub fn data_dir_still_failed(problem: &str) {
    debug!(problem, "data_dir still can't be written");
}

/// The ledger and the embedded queue work again.
pub fn data_dir_works() {
    gauge!(DATA_DIR_FAILED).set(0.0);
    warn!("data_dir can be written again: the worker takes up where it was");
}

/// Whether the last reload of the configuration succeeded.
pub fn config_reloaded(successful: bool) {
    gauge!(CONFIG_RELOADED).set(if successful { 1.0 } else { 0.0 });
}

/// So many log lines were lost, because standard error was not read fast enough.
pub fn log_line_dropped(lines: u64) {
    counter!(LOG_LINES_DROPPED).increment(lines);
}

/// How a connector checks certificates, one of `modes`; `warning` says what is wrong with that.
pub fn tls_verification(
    connector: &Connector,
    mode: &'static str,
    modes: impl IntoIterator<Item = &'static str>,
    warning: Option<&'static str>,
) {
    for one in modes {
        let name = connector.as_str().to_owned();
        let holds = if one == mode { 1.0 } else { 0.0 };
        gauge!(VERIFICATION, "connector" => name, "mode" => one).set(holds);
    }
    if let Some(warning) = warning {
        warn!(%connector, verification = mode, "tls.verification is not full: {warning}");
    }
}

/// When the first of the certificates of a connector's destination expires, and whose it is.
pub fn certificate_expiry(connector: &Connector, until: UnixMillis, subject: &str, now: UnixMillis) {
    #[expect(
        clippy::cast_precision_loss,
        reason = "whole seconds are exact until long after all certificates"
    )]
    let seconds = (until.0 / 1_000) as f64;
    gauge!(CERTIFICATE_EXPIRY, "connector" => connector.as_str().to_owned()).set(seconds);
    if until < now.after(CERTIFICATE_LEFT_MIN) {
        warn!(%connector, subject, %until, "a certificate of the destination, or one that it is issued by, ends soon");
    }
}
