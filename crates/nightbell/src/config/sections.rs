//! The file as a whole, and its tables `[queue]`, `[http]`, `[dedup]`, `[retry]`, `[worker]` and
//! `[telemetry]`.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use toml::de::DeTable;

use super::connector::{Connectors, alert_group, connector};
use super::document::{Document, Place};
use super::network::{NetworkConfig, client_certificate, network, pem};
use super::table::Table;
use super::values::{self, show_duration};
use super::{
    Config, DedupConfig, HttpConfig, QueueConfig, RetryConfig, TelemetryConfig, TlsFiles, WorkerConfig,
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);
const MONTH: Duration = Duration::from_secs(30 * 86_400);
const YEAR: Duration = Duration::from_secs(365 * 86_400);

const WINDOW: RangeInclusive<Duration> = Duration::ZERO..=MONTH;
const RETENTION: RangeInclusive<Duration> = SECOND..=YEAR;
const RETRY: RangeInclusive<Duration> = SECOND..=HOUR;
const GIVE_UP_AFTER: RangeInclusive<Duration> = SECOND..=MONTH;
const SHUTDOWN_GRACE: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(300);

/// RabbitMQ's quorum queues hand no more to one consumer (<https://www.rabbitmq.com/docs/quorum-queues>).
const PREFETCH: RangeInclusive<u16> = 1..=2_000;
/// As many events of the largest size as fit into the memory that a worker may have; RabbitMQ bounds them by number alone.
const PREFETCH_DEFAULT: u16 = 20;

/// Reads the whole file. What is wrong with it, the document knows afterwards.
pub(super) fn root<'d>(document: &mut Document<'d>, values: &'d DeTable<'d>) -> Config {
    let place = Place { at: 0, key: String::new() };
    Table::read(document, Some(values), place, String::new(), |table| {
        let data_dir = table.text_or("data_dir", "nightbell-data", values::filled);
        let report_base_url = table.text("report_base_url", values::report_base_url);
        let default_connectors = table.texts("default_connectors", values::connector);
        let queue = table.table_if("queue", queue);
        let http = table.table("http", http);
        let dedup = table.table("dedup", dedup);
        let retry = table.table("retry", retry);
        let worker = table.table("worker", worker);
        let telemetry = table.table("telemetry", telemetry);
        let before = table.left();
        let base = table.table("network", |table| network(table, &NetworkConfig::default()));
        let is_whole = table.left() == before;
        let prefetch = queue.as_ref().map(|(prefetch, _)| *prefetch);
        let connectors =
            table.tables("connectors", |table| connector(table, prefetch, &base).only_if(is_whole));
        let groups = table.tables("alert_groups", alert_group).unwrap_or_default();
        let connectors = Connectors::gather(table, connectors);
        Config {
            data_dir: PathBuf::from(data_dir),
            report_base_url,
            default_connectors: connectors.defaults(table, default_connectors, groups.is_empty()),
            queue: queue.and_then(|(_, queue)| queue),
            http,
            dedup,
            retry,
            worker,
            telemetry,
            alert_groups: connectors.resolve(table, groups),
            names: connectors.names(),
            connectors: connectors.sound,
            unread: Vec::new(),
            inline_secrets: Vec::new(),
            file: PathBuf::new(),
            masked: String::new(),
            effective: BTreeMap::new(),
        }
    })
}

/// Gives the prefetch even if the rest is not sound, since the connectors' limits depend on it.
fn queue(table: &mut Table<'_, '_>) -> (u16, Option<QueueConfig>) {
    let url = table.secret("url", values::queue_url);
    let cure = "write the broker's URL, like \"amqp://user:password@127.0.0.1:5672/%2f\", or leave the whole table \
                out to use the embedded queue";
    table.require("url", cure);
    let login = queue_login(table, url.as_ref());
    let ca = pem(table, "ca_file", None, values::certificates);
    let client_certificate = client_certificate(table, &NetworkConfig::default());
    let is_tls = url.as_ref().is_none_or(|url| url.expose_secret().starts_with("amqps:"));
    for key in ["ca_file", "client_certificate"] {
        if !is_tls && table.has(key) {
            table
                .problem(key, "it is of no use without TLS; write `amqps://` into `queue.url`, or remove it");
        }
    }
    let prefix = table.text_or("prefix", "nightbell", values::prefix);
    let prefetch = table.number_or("prefetch", PREFETCH_DEFAULT, PREFETCH);
    let declare = table.flag_or("declare", true);
    let management_url = table.secret("management_url", values::management_url);
    let url = url.or_else(|| table.is_left("url").then(SecretString::default));
    let queue =
        |url| QueueConfig { url, login, ca, client_certificate, prefix, prefetch, declare, management_url };
    (prefetch, url.map(queue))
}

/// The user and the password as keys of their own, as they are, where a URL wants escapes.
fn queue_login(table: &mut Table<'_, '_>, url: Option<&SecretString>) -> Option<(String, SecretString)> {
    let username = table.unquoted("username", values::filled);
    let password = table.secret("password", values::password);
    for (one, other) in [("username", "password"), ("password", "username")] {
        if table.has(one) {
            table.require(other, &format!("`{one}` is of no use without it; set both, or neither"));
        }
    }
    if table.has("username") && url.is_some_and(|url| values::has_queue_login(url.expose_secret())) {
        table.problem("username", "`queue.url` has a user or a password too; write them in one place");
    }
    username.zip(password)
}

fn http(table: &mut Table<'_, '_>) -> HttpConfig {
    let listen = table.text_or("listen", "127.0.0.1:9464", values::address);
    let ingest_token = table.secret("ingest_token", values::token);
    let admin_token = table.secret("admin_token", values::token);
    if !listen.ip().to_canonical().is_loopback() {
        for key in ["ingest_token", "admin_token"] {
            let cure =
                format!("set it, since {listen} can be reached from other machines, or listen on 127.0.0.1");
            table.require(key, &cure);
        }
    }
    let tls = if table.has("tls") {
        table.inline("tls", tls)
    } else {
        table.show_inherited("tls", None);
        None
    };
    HttpConfig { listen, ingest_token, admin_token, tls }
}

fn tls(table: &mut Table<'_, '_>) -> Option<TlsFiles> {
    let certificate = table.text("certificate", values::filled);
    table.require("certificate", "name the PEM file of the listener's certificate and its intermediates");
    let key = table.text("key", values::filled);
    table.require("key", "name the PEM file of the certificate's key");
    Some(TlsFiles { certificate: certificate?.into(), key: key?.into() })
}

fn dedup(table: &mut Table<'_, '_>) -> DedupConfig {
    let window = table.text_or("window", "1h", |text| values::duration(text, &WINDOW));
    // A window longer than the default retention stretches it, so that one key is enough.
    let default = show_duration(window.max(Duration::from_secs(7 * 86_400)));
    let retention = table.text_or("retention", &default, |text| values::duration(text, &RETENTION));
    if retention < window {
        let least = show_duration(window);
        table.problem("retention", format!("it is shorter than `dedup.window`; write at least \"{least}\""));
    }
    let by = table.texts_or("by", &["project", "suite", "test", "environment"], values::key_part);
    if table.has_empty_list("by") {
        table.problem(
            "by",
            "it is empty, so all events would be one alert; write some, like [\"project\", \"test\"]",
        );
    }
    DedupConfig { window, retention, by }
}

fn retry(table: &mut Table<'_, '_>) -> RetryConfig {
    let initial = table.text_or("initial", "1s", |text| values::duration(text, &RETRY));
    let max = table.text_or("max", "8m", |text| values::duration(text, &RETRY));
    if initial > max {
        let most = show_duration(max);
        table.problem("initial", format!("it is longer than `retry.max`; write at most \"{most}\""));
    }
    let give_up_after = table.text_or("give_up_after", "24h", |text| values::duration(text, &GIVE_UP_AFTER));
    RetryConfig { initial, max, give_up_after }
}

fn worker(table: &mut Table<'_, '_>) -> WorkerConfig {
    let grace = table.text_or("shutdown_grace", "25s", |text| values::duration(text, &SHUTDOWN_GRACE));
    WorkerConfig { shutdown_grace: grace }
}

fn telemetry(table: &mut Table<'_, '_>) -> TelemetryConfig {
    let otlp_endpoint = table.secret("otlp_endpoint", values::otlp_endpoint);
    let sample_percent = table.number_or("sample_percent", 100, 0..=100);
    TelemetryConfig { otlp_endpoint, sample_percent }
}
