//! What a configuration says when it is wrong, and what it comes to when it is right.

mod problems;

use std::collections::BTreeSet;
use std::env::VarError;
use std::io;
use std::path::Path;
use std::time::Duration;

use insta::assert_snapshot;
use proptest::prelude::*;
use secrecy::ExposeSecret as _;

use super::{Auth, Config, ConfigError, Lookup, Payload, RateLimit, STARTER};

/// Knows two variables and one file.
struct Fixed;

impl Lookup for Fixed {
    fn variable(&self, name: &str) -> Result<String, VarError> {
        match name {
            "XM_PASSWORD" => Ok("hunter2-from-the-environment".into()),
            "SHORT" => Ok("hunter2".into()),
            _ => Err(VarError::NotPresent),
        }
    }

    fn file(&self, path: &Path) -> io::Result<String> {
        match path.to_str() {
            Some("etc/secrets/token") => Ok("token-from-a-file\n".into()),
            _ => Err(io::Error::from_raw_os_error(13)),
        }
    }
}

/// Has a value for everything.
struct Generous;

impl Lookup for Generous {
    fn variable(&self, name: &str) -> Result<String, VarError> {
        Ok(match name {
            "XM_TRIGGER_URL" => {
                "https://acme.xmatters.com/api/integration/1/functions/planted/triggers".into()
            }
            _ => format!("planted-{name}-planted"),
        })
    }

    fn file(&self, _: &Path) -> io::Result<String> {
        Ok("planted-file-planted".into())
    }
}

const CONNECTOR: &str = r#"
[[connectors]]
name = "payments"
trigger_url = "https://acme.xmatters.com/x/triggers"
username = "svc"
password = "${XM_PASSWORD}"
recipients = ["primary"]
"#;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("etc/nightbell.toml"), &Fixed)
}

#[track_caller]
fn sound(text: &str) -> Config {
    parse(text).unwrap_or_else(|error| panic!("{error}"))
}

#[track_caller]
fn wrong(text: &str) -> String {
    parse(text).expect_err("it has a problem").to_string()
}

#[test]
fn one_connector_is_enough() {
    let config = sound(CONNECTOR);
    assert!(config.queue.is_none() && config.alert_groups.is_empty() && config.report_base_url.is_none());
    assert_eq!(config.default_connectors, [config.connectors[0].name.clone()]);
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:9464");
    assert_eq!(config.dedup.window, Duration::from_secs(3_600));
    assert_eq!(config.dedup.retention, Duration::from_secs(7 * 86_400));
    assert_eq!(config.retry.initial, Duration::from_secs(1));
    assert_eq!(config.retry.max, Duration::from_secs(480));
    assert_eq!(config.retry.give_up_after, Duration::from_secs(86_400));
    assert_eq!(config.worker.shutdown_grace, Duration::from_secs(25));
    let connector = &config.connectors[0];
    assert_eq!((connector.payload, connector.max_in_flight), (Payload::Form, 16));
    assert_eq!((connector.timeout.as_secs(), connector.connect_timeout.as_secs()), (15, 5));
    assert!(connector.rate_limit.is_none() && !connector.allow_insecure);
}

#[test]
fn variables_and_files_reach_the_secrets() {
    let config = sound(&format!("[http]\nadmin_token = \"${{file:secrets/token}}\"\n{CONNECTOR}"));
    assert_eq!(config.http.admin_token.unwrap().expose_secret(), "token-from-a-file");
    match &config.connectors[0].auth {
        Auth::Basic { username, password } => {
            assert_eq!(
                (username.as_str(), password.expose_secret()),
                ("svc", "hunter2-from-the-environment")
            );
        }
        Auth::Url => panic!("basic is the default"),
    }
}

#[test]
fn events_that_no_group_wants_go_nowhere_once_there_are_groups() {
    let group = "[[alert_groups]]\nname = \"g\"\nconnectors = [\"payments\"]\n";
    assert_eq!(sound(&format!("{CONNECTOR}{group}")).default_connectors, []);
    let config = sound(&format!("default_connectors = [\"payments\"]\n{CONNECTOR}{group}"));
    assert_eq!(config.default_connectors.len(), 1);
}

#[test]
fn limits_reach_their_bounds() {
    let text = format!("{CONNECTOR}timeout = \"300ms\"\nmax_in_flight = 1\nrate_limit = \"4/min\"");
    let connector = &sound(&text).connectors[0];
    assert_eq!(connector.timeout, connector.connect_timeout);
    assert_eq!(connector.rate_limit, Some(RateLimit { count: 4, per: Duration::from_secs(60) }));
    sound(&format!("{CONNECTOR}timeout = \"110s\"\nmax_in_flight = 1000"));
    let dedup = sound(&format!("[dedup]\nwindow = \"30d\"\nretention = \"365d\"\n{CONNECTOR}")).dedup;
    assert_eq!(dedup.window.as_secs(), 30 * 86_400);
    assert_eq!(sound(&format!("[dedup]\nwindow = \"0s\"\n{CONNECTOR}")).dedup.window, Duration::ZERO);
    // A small prefetch takes the default of max_in_flight down with it.
    let queue = "[queue]\nurl = \"amqp://localhost\"\nprefetch = 8\n";
    assert_eq!(sound(&format!("{queue}{CONNECTOR}")).connectors[0].max_in_flight, 8);
}

#[test]
fn plain_http_stays_near() {
    let at = |url: &str, more: &str| {
        parse(
            &CONNECTOR
                .replace("https://acme.xmatters.com", url)
                .replace("recipients", &format!("{more}\nrecipients")),
        )
    };
    for near in
        ["http://localhost:80", "http://127.0.0.1", "http://10.1.2.3", "http://[::1]", "http://[fd00::1]"]
    {
        assert!(at(near, "").is_ok(), "{near}");
    }
    for far in
        ["http://acme.xmatters.com", "http://8.8.8.8", "http://[2001:db8::1]", "http://localhost.example.com"]
    {
        assert!(at(far, "").is_err(), "{far}");
        assert!(at(far, "allow_insecure = true").is_ok(), "{far}");
    }
}

#[test]
fn the_masked_view_has_every_default() {
    assert_snapshot!(sound(CONNECTOR).masked(), @r#"
    data_dir = "nightbell-data"
    # report_base_url is not set
    default_connectors = ["payments"]

    # [queue] is not set

    [http]
    listen = "127.0.0.1:9464"
    # ingest_token is not set
    # admin_token is not set

    [dedup]
    window = "1h"
    retention = "7d"
    by = ["project", "suite", "test", "environment"]

    [retry]
    initial = "1s"
    max = "8m"
    give_up_after = "24h"

    [worker]
    shutdown_grace = "25s"

    [[connectors]]
    name = "payments"
    auth = "basic"
    allow_insecure = false
    trigger_url = "https://acme.xmatters.com/***"
    username = "svc"
    password = "***"
    recipients = ["primary"]
    payload = "form"
    timeout = "15s"
    connect_timeout = "5s"
    max_in_flight = 16
    rate_limit = "none"
    "#);
}

#[test]
fn the_starter_is_sound_and_masks_its_secrets() {
    let config = Config::parse(STARTER, Path::new("nightbell.toml"), &Generous)
        .unwrap_or_else(|error| panic!("{error}"));
    let shown = format!("{}{config:?}", config.masked());
    assert!(!shown.contains("planted"), "{shown}");
    assert_snapshot!(config.masked(), @r#"
    data_dir = "nightbell-data"
    report_base_url = "https://reports.example.com"
    default_connectors = ["payments"]

    [queue]
    url = "amqp://***@127.0.0.1:5672/***"
    prefix = "nightbell"
    prefetch = 256
    declare = true

    [http]
    listen = "127.0.0.1:9464"
    ingest_token = "***"
    admin_token = "***"

    [dedup]
    window = "1h"
    retention = "7d"
    by = ["project", "suite", "test", "environment"]

    [retry]
    initial = "1s"
    max = "8m"
    give_up_after = "24h"

    [worker]
    shutdown_grace = "25s"

    [[connectors]]
    name = "payments"
    auth = "basic"
    allow_insecure = false
    trigger_url = "https://acme.xmatters.com/***"
    username = "svc-nightbell"
    password = "***"
    recipients = ["payments-primary", "jdoe|work-phone"]
    payload = "form"
    timeout = "15s"
    connect_timeout = "5s"
    max_in_flight = 16
    rate_limit = "none"

    [[alert_groups]]
    name = "payments"
    projects = ["payments-*", "checkout-api"]
    connectors = ["payments"]
    severity_at_least = "medium"
    statuses = ["failed", "error"]
    tags = []
    labels = {}
    "#);
}

#[test]
fn the_masked_view_is_toml_that_reads_as_itself() {
    let masked = Config::parse(STARTER, Path::new("nightbell.toml"), &Generous).unwrap().masked;
    let filled = masked.replace("_token = \"***\"", "_token = \"0123456789abcdef\"");
    assert_eq!(sound(&filled).masked, masked);
}

#[test]
fn the_starter_has_every_known_key() {
    let keys = |text: &str| -> BTreeSet<String> {
        let head = |line: &str| Some(line.trim_start_matches("# ").split_once(' ')?.0.to_owned());
        text.lines()
            .filter(|line| line.contains(" = ") || line.ends_with("is not set"))
            .filter_map(head)
            .collect()
    };
    let masked = Config::parse(STARTER, Path::new("nightbell.toml"), &Generous).unwrap().masked;
    let missing: Vec<_> = keys(&masked).difference(&keys(STARTER)).cloned().collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(!masked.contains("is not set"), "{masked}");
}

#[test]
fn a_file_that_is_not_there_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.toml");
    assert!(matches!(Config::load(Some(&path)), Err(ConfigError::NotFound { file }) if file == path));
    assert!(matches!(Config::load(Some(folder.path())), Err(ConfigError::Unreadable { .. })));
}

#[test]
fn a_file_is_read_with_its_neighbours() {
    let folder = tempfile::tempdir().unwrap();
    let text = CONNECTOR.replace("${XM_PASSWORD}", "${file:password}");
    std::fs::write(folder.path().join("password"), "p$w\r\n").unwrap();
    std::fs::write(folder.path().join("nightbell.toml"), text).unwrap();
    let config = Config::load(Some(&folder.path().join("nightbell.toml"))).unwrap();
    assert!(
        matches!(&config.connectors[0].auth, Auth::Basic { password, .. } if password.expose_secret() == "p$w")
    );
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        drop(parse(&text));
    }

    #[test]
    fn no_line_makes_it_panic(
        lines in proptest::collection::vec(
            (
                "(data_dir|connectors|queue|url|by|window|timeout|trigger_url|auth|labels|max_in_flight|listen|name)",
                r#"("[ -~äß$]{0,12}"|[0-9]{1,20}|true|\[("[a-z]?", ?){0,3}\]|\{[a-z] = 1\}|1\.5|"\$\{[A-Z:]{0,4}\}")"#,
                r"(|\[\[connectors\]\]|\[queue\]|\[http\]|\[dedup\]|\[\[alert_groups\]\])",
            ),
            0..6,
        )
    ) {
        let text: String = lines.iter().map(|(key, value, table)| format!("{table}\n{key} = {value}\n")).collect();
        drop(parse(&text));
    }
}
