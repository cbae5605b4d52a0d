//! The file as a whole, and its tables `[queue]`, `[http]`, `[dedup]`, `[retry]`, `[worker]` and
//! `[telemetry]`.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use nightbell_core::policy::Policy;
use nightbell_core::routing::Routing;
use nightbell_xmatters::{Password, Pem};
use secrecy::SecretString;
use toml::de::DeTable;

use super::connector::{Common, Connectors, alert_group, connector};
use super::document::{Document, Place};
use super::network::{NetworkConfig, client_certificate, network, pem};
use super::table::Table;
use super::values::{self, QueueUrl, Token, show_duration};
use super::{
    Config, DedupConfig, Findings, HttpConfig, QueueConfig, TelemetryConfig, TlsFile, TlsFiles, WorkerConfig,
    broker_tls,
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
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
        let report_base_url = table.text("report_base_url", str::parse);
        let default_connectors = table.placed_texts("default_connectors", values::connector);
        let queue = table.table_if("queue", queue);
        let http = table.table("http", http);
        let dedup = table.table("dedup", dedup);
        let retry = table.table("retry", retry);
        let worker = table.table("worker", worker);
        let telemetry = table.table("telemetry", telemetry);
        let before = table.left();
        let network = table.table("network", |table| network(table, &NetworkConfig::default()));
        let is_whole = table.left() == before;
        let prefetch = queue.as_ref().map(|queue| queue.prefetch);
        let common = Common { prefetch, report_base_url, network, is_whole };
        let connectors = table.tables("connectors", |table| connector(table, &common));
        let groups = table.tables("alert_groups", alert_group).unwrap_or_default();
        let connectors = Connectors::gather(table, connectors);
        let routing = Routing {
            default_connectors: connectors.defaults(table, default_connectors, groups.is_empty()),
            groups: connectors.resolve(table, groups),
            connectors: connectors.names(),
        };
        Config {
            // By the file, so that a worker and a command of the same file mean the same folder wherever they run.
            data_dir: table.folder().join(data_dir),
            queue,
            http,
            dedup,
            retry,
            worker,
            telemetry,
            routing: Arc::new(routing),
            connectors: connectors.sound,
            file: table.config_file().to_owned(),
            found: Findings::default(),
        }
    })
}

fn queue(table: &mut Table<'_, '_>) -> QueueConfig {
    let url = table.secret("url", values::queue_url);
    let cure = "write the broker's URL, like \"amqp://user:password@127.0.0.1:5672/%2f\", or leave the whole table \
                out to use the embedded queue";
    table.require("url", cure);
    let login = queue_login(table, url.as_ref().is_some_and(|url| url.has_login));
    let certificates =
        |pem: &Pem| pem.certificates().map(|_| pem.clone()).map_err(|misfit| misfit.to_string());
    let ca = pem(table, "ca_file", None, Pem::file, certificates);
    let client_certificate = client_certificate(table, None);
    for key in ["ca_file", "client_certificate"] {
        if url.as_ref().is_some_and(|url| !url.url.is_tls()) && table.has(key) {
            table
                .problem(key, "it is of no use without TLS; write `amqps://` into `queue.url`, or remove it");
        }
    }
    let names = table.text_or("prefix", "nightbell", values::prefix);
    let prefetch = table.number_or("prefetch", PREFETCH_DEFAULT, PREFETCH);
    let declare = table.flag_or("declare", true);
    let management_url = table.secret("management_url", values::management_url);
    let url = url.map(|QueueUrl { url, .. }| {
        let url = url.with_tls(broker_tls(ca.as_ref(), client_certificate.as_ref()));
        match login {
            Some((username, password)) => url.with_login(username, &password),
            None => url,
        }
    });
    QueueConfig { url, names, prefetch, declare, management_url }
}

/// The user and the password as keys of their own, as they are, where a URL wants escapes.
fn queue_login(table: &mut Table<'_, '_>, has_url_login: bool) -> Option<(String, SecretString)> {
    let username = table.text("username", values::filled);
    let password: Option<Password> = table.secret("password", str::parse);
    table.require_both("username", "password");
    if has_url_login && table.has("username") {
        table.problem("username", "`queue.url` has a user or a password too; write them in one place");
    }
    username.zip(password.map(|password| password.expose().into()))
}

fn http(table: &mut Table<'_, '_>) -> HttpConfig {
    let listen = table.text_or("listen", "127.0.0.1:9464", values::address);
    let ingest_token = token(table, "ingest_token");
    let admin_token = token(table, "admin_token");
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

fn token(table: &mut Table<'_, '_>, key: &'static str) -> Option<SecretString> {
    table.secret(key, values::token).map(|Token(token)| token)
}

fn tls(table: &mut Table<'_, '_>) -> Option<TlsFiles> {
    let cure = "name the PEM file of the listener's certificate and its intermediates";
    let certificate = tls_file(table, "certificate", cure);
    let key = tls_file(table, "key", "name the PEM file of the certificate's key");
    Some(TlsFiles { certificate: certificate?, key: key? })
}

fn tls_file(table: &mut Table<'_, '_>, key: &'static str, cure: &str) -> Option<TlsFile> {
    let path = table.text(key, values::filled);
    table.require(key, cure);
    Some(TlsFile { path: table.folder().join(path?), place: table.where_is(key) })
}

fn dedup(table: &mut Table<'_, '_>) -> DedupConfig {
    let window = table.duration_or("window", HOUR, &WINDOW);
    // A window longer than the default retention stretches it, so that one key is enough.
    let retention = table.duration_or("retention", window.max(DAY * 7), &RETENTION);
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

fn retry(table: &mut Table<'_, '_>) -> Policy {
    let initial = table.duration_or("initial", SECOND, &RETRY);
    let max = table.duration_or("max", SECOND * 480, &RETRY);
    if initial > max {
        let most = show_duration(max);
        table.problem("initial", format!("it is longer than `retry.max`; write at most \"{most}\""));
    }
    let give_up_after = table.text_or("give_up_after", "24h", |text| values::duration(text, &GIVE_UP_AFTER));
    Policy { initial, max, give_up_after }
}

fn worker(table: &mut Table<'_, '_>) -> WorkerConfig {
    WorkerConfig { shutdown_grace: table.duration_or("shutdown_grace", SECOND * 25, &SHUTDOWN_GRACE) }
}

fn telemetry(table: &mut Table<'_, '_>) -> TelemetryConfig {
    let otlp_endpoint = table.secret("otlp_endpoint", values::otlp_endpoint);
    let sample_percent = table.number_or("sample_percent", 100, 0..=100);
    TelemetryConfig { otlp_endpoint, sample_percent }
}
