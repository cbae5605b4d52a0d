//! What is shown of a configuration, and the one to begin with.

use std::collections::BTreeSet;
use std::path::Path;

use insta::assert_snapshot;

use super::super::{Config, SMALLEST, STARTER};
use super::{CONNECTOR, Generous, sound, wrong};

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
    # tls is not set

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

    [telemetry]
    # otlp_endpoint is not set
    sample_percent = 100

    [network]
    timeout = "15s"
    connect_timeout = "5s"
    response_bytes_max = 65536
    # allowed_hosts is not set
    # ca_file is not set
    # client_certificate is not set
    # client_key is not set
    tls = { verification = "full" }
    # proxy is not set
    environment_proxies = false

    [[connectors]]
    name = "payments"
    auth = "basic"
    allow_insecure = false
    trigger_url = "https://acme.xmatters.com/***"
    username = "svc"
    password = "***"
    # client_id is not set
    # refresh_token is not set
    # token_url is not set
    recipients = ["primary"]
    payload = "form"
    # template is not set
    priorities = { critical = "high", high = "high", medium = "medium", low = "low", minimal = "low" }
    max_in_flight = 16
    rate_limit = "4/min"
    timeout = "15s"
    connect_timeout = "5s"
    response_bytes_max = 65536
    # allowed_hosts is not set
    # ca_file is not set
    # client_certificate is not set
    # client_key is not set
    tls = { verification = "full" }
    # proxy is not set
    environment_proxies = false
    "#);
}

#[test]
#[expect(clippy::too_many_lines, reason = "most are the snapshot")]
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
    # username is not set
    # password is not set
    # ca_file is not set
    # client_certificate is not set
    # client_key is not set
    prefix = "nightbell"
    prefetch = 20
    declare = true
    # management_url is not set

    [http]
    listen = "127.0.0.1:9464"
    ingest_token = "***"
    admin_token = "***"
    # tls is not set

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

    [telemetry]
    # otlp_endpoint is not set
    sample_percent = 100

    [network]
    timeout = "15s"
    connect_timeout = "5s"
    response_bytes_max = 65536
    # allowed_hosts is not set
    # ca_file is not set
    # client_certificate is not set
    # client_key is not set
    tls = { verification = "full" }
    # proxy is not set
    environment_proxies = false

    [[connectors]]
    name = "payments"
    auth = "basic"
    allow_insecure = false
    trigger_url = "https://acme.xmatters.com/***"
    username = "svc-nightbell"
    password = "***"
    # client_id is not set
    # refresh_token is not set
    # token_url is not set
    recipients = ["payments-primary", "jdoe|work-phone"]
    payload = "form"
    # template is not set
    priorities = { critical = "high", high = "high", medium = "medium", low = "low", minimal = "low" }
    max_in_flight = 16
    rate_limit = "4/min"
    timeout = "15s"
    connect_timeout = "5s"
    response_bytes_max = 65536
    # allowed_hosts is not set
    # ca_file is not set
    # client_certificate is not set
    # client_key is not set
    tls = { verification = "full" }
    # proxy is not set
    environment_proxies = false

    [[alert_groups]]
    name = "payments"
    projects = ["payments-*", "checkout-api"]
    connectors = ["payments"]
    severity_at_least = "medium"
    statuses = ["failed", "error"]
    tags = []
    labels = {}
    # recipients is not set
    # priority is not set
    "#);
}

#[test]
#[expect(clippy::too_many_lines, reason = "most are the snapshot")]
fn the_masked_view_of_every_key_is_toml_that_reads_as_itself() {
    let network = "[network]\nallowed_hosts = [\"acme.xmatters.com\"]\nca_file = \"ca.pem\"\n\
                   client_certificate = \"chain.pem\"\nclient_key = \"key.pem\"\n\
                   proxy = { url = \"http://proxy:3128\", username = \"u\", password = \"hunter2\" }";
    let connector = CONNECTOR.replace("username", "auth = \"oauth2\"\nclient_id = \"c\"\nusername");
    let more = "token_url = \"https://acme.xmatters.com/t\"\npayload = \"template\"\ntemplate = \"alert.j2\"\n\
                [[alert_groups]]\nname = \"g\"\nconnectors = [\"payments\"]\nrecipients = []\npriority = \"low\"";
    let config = sound(&format!("{network}\n{connector}{more}"));
    let debug = format!("{config:?}");
    assert!(!debug.contains("hunter2") && !debug.contains("/triggers"), "{debug}");
    let masked = config.found.masked;
    assert!(!masked.contains("hunter2"), "{masked}");
    assert_eq!(sound(&masked).found.masked, masked);
    assert_snapshot!(masked, @r#"
    data_dir = "nightbell-data"
    # report_base_url is not set
    default_connectors = []

    # [queue] is not set

    [http]
    listen = "127.0.0.1:9464"
    # ingest_token is not set
    # admin_token is not set
    # tls is not set

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

    [telemetry]
    # otlp_endpoint is not set
    sample_percent = 100

    [network]
    timeout = "15s"
    connect_timeout = "5s"
    response_bytes_max = 65536
    allowed_hosts = ["acme.xmatters.com"]
    ca_file = "ca.pem"
    client_certificate = "chain.pem"
    client_key = "key.pem"
    tls = { verification = "full" }
    proxy = { url = "http://proxy:3128", username = "u", password = "***", bypass_hosts = [] }
    environment_proxies = false

    [[connectors]]
    name = "payments"
    auth = "oauth2"
    allow_insecure = false
    trigger_url = "https://acme.xmatters.com/***"
    username = "svc"
    password = "***"
    client_id = "c"
    # refresh_token is not set
    token_url = "https://acme.xmatters.com/***"
    recipients = ["primary"]
    payload = "template"
    template = "alert.j2"
    priorities = { critical = "high", high = "high", medium = "medium", low = "low", minimal = "low" }
    max_in_flight = 16
    rate_limit = "4/min"
    timeout = "15s"
    connect_timeout = "5s"
    response_bytes_max = 65536
    allowed_hosts = ["acme.xmatters.com"]
    ca_file = "ca.pem"
    client_certificate = "chain.pem"
    client_key = "key.pem"
    tls = { verification = "full" }
    proxy = { url = "http://proxy:3128", username = "u", password = "***", bypass_hosts = [] }
    environment_proxies = false

    [[alert_groups]]
    name = "g"
    projects = []
    connectors = ["payments"]
    # severity_at_least is not set
    statuses = []
    tags = []
    labels = {}
    recipients = []
    priority = "low"
    "#);
}

#[test]
fn the_masked_view_is_toml_that_reads_as_itself() {
    let masked = Config::parse(STARTER, Path::new("nightbell.toml"), &Generous).unwrap().found.masked;
    let filled = masked.replace("_token = \"***\"", "_token = \"0123456789abcdef\"");
    assert_eq!(sound(&filled).found.masked, masked);
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
    let masked = Config::parse(STARTER, Path::new("nightbell.toml"), &Generous).unwrap().found.masked;
    let missing: Vec<_> = keys(&masked).difference(&keys(STARTER)).cloned().collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn what_the_starter_has_commented_out_is_known() {
    let commented = |line: &str| {
        let text = line.strip_prefix("# ").filter(|text| text.contains(" = "));
        text.filter(|text| {
            text.split(' ').next().is_some_and(|key| key.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
        })
        .map(str::to_owned)
    };
    let mut keys = 0;
    for (index, text) in
        STARTER.lines().enumerate().filter_map(|(index, line)| Some((index, commented(line)?)))
    {
        let mut lines: Vec<_> = STARTER.lines().collect();
        lines[index] = &text;
        let said = match Config::parse(&lines.join("\n"), Path::new("nightbell.toml"), &Generous) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        };
        assert!(!said.contains("unknown key") && !said.contains("not TOML"), "{said}");
        keys += 1;
    }
    assert_eq!(keys, 19, "client_key and the like");
}

#[test]
fn the_smallest_configuration_needs_one_variable() {
    let said = wrong(SMALLEST);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(
        said.contains("connectors[0].trigger_url: the environment variable `NIGHTBELL_TRIGGER_URL`"),
        "{said}"
    );
    let config = sound(&SMALLEST.replace("${NIGHTBELL_TRIGGER_URL}", "https://acme.xmatters.com/x?apiKey=k"));
    assert!(config.queue.is_none() && config.routing.default_connectors.len() == 1);
}
