//! Every key of the configuration with a wrong value: what is said names file, line and key, and what would be right.

use std::collections::BTreeSet;

use crate::config::{ConfigError, Problem};

use super::{CONNECTOR, parse};

/// A key, a value that is wrong for it, and how what is said of that begins.
const WRONG: &[(&str, &str, &str)] = &[
    ("data_dir", r#""""#, "the value is empty; write a text"),
    (
        "report_base_url",
        r#""https://reports.example.com/?run=7""#,
        "the value has a query or a fragment; write it",
    ),
    ("default_connectors", r#"["Payments"]"#, "the value is no connector name; write 1 to 32 of"),
    ("queue", "1", "the value is a whole number; write a table, begun by [queue]"),
    (
        "queue.url",
        r#""http://localhost""#,
        "the value begins neither with amqp:// nor with amqps://; write a whole",
    ),
    ("queue.username", r#""""#, "the value is empty; write a text"),
    (
        "queue.password",
        r#""a\nb""#,
        "the value has a line end or another control character; write it on one line",
    ),
    (
        "queue.ca_file",
        r#""broken.pem""#,
        "the file `broken.pem` is broken: its certificate or key is not whole PEM;",
    ),
    ("queue.client_certificate", r#""key.pem""#, "the file `key.pem` holds no certificate; it must be PEM"),
    ("queue.client_key", r#""chain.pem""#, "the file `chain.pem` holds no private key; it must be PEM"),
    ("queue.prefix", r#""amq.night""#, "the value is no prefix; write 1 to 64 of the characters"),
    ("queue.prefetch", "0", "the number is out of bounds; write one from 1 to 2000"),
    ("queue.declare", r#""no""#, "the value is a text; write true or false without quotes"),
    (
        "queue.management_url",
        r#""http://localhost:15672/#/queues""#,
        "the value has a query or a fragment; write it",
    ),
    ("http", "[]", "the value is a list; write a table, begun by [http]"),
    (
        "http.listen",
        r#""localhost:9464""#,
        "the value is no address to listen on; write an IP address and a port",
    ),
    ("http.ingest_token", r#""short""#, "the value is too short; write at least 16 characters"),
    (
        "http.admin_token",
        r#""has a blank in its middle""#,
        "the value has a character that no HTTP header carries; write",
    ),
    ("http.tls", "true", "the value is a yes or no; write a table, like tls = { … }"),
    ("http.tls.certificate", r#""""#, "the value is empty; write a text"),
    ("http.tls.key", "7", "the value is a whole number; write it in quotes"),
    ("dedup", "1", "the value is a whole number; write a table, begun by [dedup]"),
    ("dedup.window", r#""31d""#, "the value is too long; write at most \"30d\""),
    ("dedup.retention", r#""1""#, "the value is no duration; write a number with a unit"),
    (
        "dedup.by",
        r#"["projct"]"#,
        "the value is no part of an alert key; did you mean \"project\"? write some of",
    ),
    ("retry", "1", "the value is a whole number; write a table, begun by [retry]"),
    ("retry.initial", r#""0s""#, "the value is too short; write at least \"1s\""),
    ("retry.max", r#""2h""#, "the value is too long; write at most \"1h\""),
    ("retry.give_up_after", "24", "the value is no duration; write a number with a unit"),
    ("worker", "1", "the value is a whole number; write a table, begun by [worker]"),
    ("worker.shutdown_grace", r#""1h""#, "the value is too long; write at most \"5m\""),
    ("telemetry", "1", "the value is a whole number; write a table, begun by [telemetry]"),
    (
        "telemetry.otlp_endpoint",
        r#""localhost:4318""#,
        "the value begins neither with http:// nor with https://; write",
    ),
    ("telemetry.sample_percent", "101", "the number is out of bounds; write one from 0 to 100"),
    ("network", "1", "the value is a whole number; write a table, begun by [network]"),
    ("network.timeout", r#""2m""#, "the value is too long; write at most \"110s\""),
    ("network.connect_timeout", r#""16s""#, "it is longer than `timeout`; write at most \"15s\""),
    ("network.response_bytes_max", "100", "the number is out of bounds; write one from 1024 to 1048576"),
    ("network.allowed_hosts", r#"["acme:443"]"#, "the value is no host; write a name or an address alone"),
    (
        "network.ca_file",
        r#""nonsense.pem""#,
        "the file `nonsense.pem` has a certificate that cannot be used to check others",
    ),
    (
        "network.client_certificate",
        r#""chain.pem""#,
        "the file `chain.pem` holds no private key; it must be PEM",
    ),
    ("network.client_key", r#""locked.pem""#, "the file `locked.pem` holds an encrypted key; decrypt it"),
    ("network.tls", "1", "the value is a whole number; write a table, like tls = { … }"),
    (
        "network.tls.verification",
        r#""ful""#,
        "the value is not known here; did you mean \"full\"? write one of",
    ),
    ("network.proxy", "1", "the value is a whole number; write a table, like proxy = { … }"),
    (
        "network.proxy.url",
        r#""http://proxy:3128/pac""#,
        "the value has more than a host and a port; write it like",
    ),
    (
        "network.proxy.username",
        r#""a:b""#,
        "the value has a colon, a line end or another control character; write",
    ),
    ("network.proxy.password", r#""""#, "the value is empty; write a text"),
    ("network.proxy.bypass_hosts", r#"[".10.0.0.1"]"#, "the value is neither a host, nor a suffix like"),
    ("network.environment_proxies", "1", "the value is a whole number; write true or false without quotes"),
    ("connectors", "1", "the value is a whole number; write a list of tables, each begun by [[connectors]]"),
    ("connectors[0].name", r#""a b""#, "the value is no connector name; write 1 to 32 of"),
    ("connectors[0].auth", r#""baisc""#, "the value is not known here; did you mean \"basic\"? write one of"),
    ("connectors[0].allow_insecure", r#""yes""#, "the value is a text; write true or false without quotes"),
    (
        "connectors[0].trigger_url",
        r#""https://acme.xmatters.com/x#k""#,
        "the value has a `#`, and what follows it would not be",
    ),
    (
        "connectors[0].username",
        r#""a:b""#,
        "the value has a colon, a line end or another control character; write",
    ),
    (
        "connectors[0].password",
        r#""a\nb""#,
        "the value has a line end or another control character; write it on one",
    ),
    (
        "connectors[0].client_id",
        r#""a\nb""#,
        "the value has a line end or another control character; write the id",
    ),
    ("connectors[0].refresh_token", r#"" ""#, "the value is empty; write a text"),
    (
        "connectors[0].token_url",
        r#""https://acme.xmatters.com/t#a""#,
        "the value has a `#`, and what follows it would not be",
    ),
    ("connectors[0].recipients", r#"["a", ""]"#, "the value is empty; write a text"),
    ("connectors[0].payload", r#""xml""#, "the value is not known here; write one of"),
    (
        "connectors[0].template",
        r#""alert.j2""#,
        "it is used only with `payload = \"template\"`; remove it, or set that",
    ),
    ("connectors[0].priorities", "1", "the value is a whole number; write a table, like priorities = { … }"),
    (
        "connectors[0].priorities.critical",
        r#""HIGH""#,
        "the value is not known here; did you mean \"high\"? write one of",
    ),
    ("connectors[0].priorities.high", r#""urgent""#, "the value is not known here; write one of"),
    ("connectors[0].priorities.medium", "1", "the value is not known here; write one of"),
    ("connectors[0].priorities.low", "[]", "the value is a list; write a text in quotes"),
    ("connectors[0].priorities.minimal", r#""""#, "the value is not known here; write one of"),
    ("connectors[0].max_in_flight", "1001", "the number is out of bounds; write one from 1 to 1000"),
    (
        "connectors[0].rate_limit",
        r#""4/day""#,
        "the value is no rate; write \"none\", or a number by s, min or h",
    ),
    ("connectors[0].timeout", "15", "the value is no duration; write a number with a unit"),
    ("connectors[0].connect_timeout", r#""0s""#, "the value is too short; write at least \"100ms\""),
    ("connectors[0].response_bytes_max", r#""1 MiB""#, "the value is a text; write a number without quotes"),
    (
        "connectors[0].allowed_hosts",
        "[]",
        "it is empty, so nothing could be sent; name the hosts, or remove it",
    ),
    ("connectors[0].ca_file", r#""none.pem""#, "can't read the file `etc/none.pem`: Permission denied"),
    ("connectors[0].client_certificate", r#""broken.pem""#, "the file `broken.pem` is broken"),
    (
        "connectors[0].client_key",
        r#""key.pem""#,
        "it is of no use without `client_certificate`; set both here, or neither",
    ),
    ("connectors[0].tls", "1", "the value is a whole number; write a table, like tls = { … }"),
    ("connectors[0].tls.verification", "false", "the value is not known here; write one of"),
    ("connectors[0].proxy", "1", "the value is a whole number; write a table, like proxy = { … }"),
    (
        "connectors[0].proxy.url",
        r#""socks5://proxy:1080""#,
        "the value begins neither with http:// nor with https://; write",
    ),
    ("connectors[0].proxy.username", r#"" ""#, "the value is empty; write a text"),
    (
        "connectors[0].proxy.password",
        r#""a\nb""#,
        "the value has a line end or another control character; write it on one",
    ),
    (
        "connectors[0].proxy.bypass_hosts",
        r#"["10.0.0.0/33"]"#,
        "the value is neither a host, nor a suffix like",
    ),
    ("connectors[0].environment_proxies", "[]", "the value is a list; write true or false without quotes"),
    (
        "alert_groups",
        "1",
        "the value is a whole number; write a list of tables, each begun by [[alert_groups]]",
    ),
    ("alert_groups[0].name", r#""""#, "the value is empty; write a text"),
    (
        "alert_groups[0].projects",
        r#"["pay[ments"]"#,
        "the value is no pattern (unclosed character class; missing ']'); write a name",
    ),
    (
        "alert_groups[0].connectors",
        r#"["paymnets"]"#,
        "there is no such connector; did you mean \"payments\"?",
    ),
    (
        "alert_groups[0].severity_at_least",
        r#""hihg""#,
        "the value is not known here; did you mean \"high\"? write one of",
    ),
    ("alert_groups[0].statuses", r#"["red"]"#, "the value is not known here; write one of"),
    ("alert_groups[0].tags", r#"[""]"#, "the value is empty; write a text"),
    (
        "alert_groups[0].labels",
        r#""team""#,
        "the value is a text; write a table of texts, like { team = \"shop\" }",
    ),
    ("alert_groups[0].recipients", "[1]", "the value is a whole number; write it in quotes"),
    (
        "alert_groups[0].priority",
        r#""HIGH""#,
        "the value is not known here; did you mean \"high\"? write one of",
    ),
];

/// All keys.
pub(super) fn all() -> impl Iterator<Item = &'static str> {
    WRONG.iter().map(|(key, ..)| *key)
}

/// A file that has this value at a key and is sound otherwise, and the line of the key.
pub(super) fn file(key: &str, value: &str) -> (String, usize) {
    let mut parts: Vec<_> = key.split('.').collect();
    let (table, own) = if parts.len() > 1 { (parts.remove(0), parts) } else { ("", parts) };
    // Dotted keys stand for the small tables inside.
    let line = format!("{} = {value}", own.join("."));
    let beside = match (table, own.as_slice()) {
        ("queue", ["url"]) => "",
        ("queue", _) => "url = \"amqps://localhost\"\n",
        (_, ["proxy", "url"]) => "",
        (_, ["proxy", _]) => "proxy.url = \"http://proxy\"\n",
        ("alert_groups[0]", ["name"]) => "connectors = [\"payments\"]\n",
        ("alert_groups[0]", ["connectors"]) => "name = \"g\"\n",
        ("alert_groups[0]", _) => "name = \"g\"\nconnectors = [\"payments\"]\n",
        _ => "",
    };
    let has_own_line = |other: &&str| !other.starts_with(&format!("{} = ", own[0]));
    let above = match table {
        "" if own == ["connectors"] => String::new(),
        "connectors[0]" => CONNECTOR.lines().filter(has_own_line).collect::<Vec<_>>().join("\n") + "\n",
        _ => CONNECTOR.to_owned(),
    };
    let header = match table {
        "" | "connectors[0]" => String::new(),
        "alert_groups[0]" => "[[alert_groups]]\n".to_owned(),
        table => format!("[{table}]\n"),
    };
    let before = if table.is_empty() { String::new() } else { format!("{above}{header}{beside}") };
    let after = if table.is_empty() { above } else { String::new() };
    (format!("{before}{line}\n{after}"), before.matches('\n').count() + 1)
}

fn problems(text: &str) -> Vec<Problem> {
    match parse(text) {
        Ok(_) => Vec::new(),
        Err(ConfigError::Invalid { problems }) => problems,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_wrong_value_of_any_key_is_told_with_file_line_key_and_cure() {
    for (key, value, want) in WRONG {
        let (text, line) = file(key, value);
        let all = problems(&text);
        let is_meant = |one: &&Problem| one.key == *key || one.key.starts_with(&format!("{key}["));
        let Some(problem) = all.iter().find(is_meant) else { panic!("{text}\n{all:?}") };
        assert!(problem.message.starts_with(want), "{key}: {problem}");
        let (_, cure) = problem.message.split_once("; ").unwrap_or_default();
        assert!(cure.len() > 10, "{problem} has no cure");
        let place = format!("etc/nightbell.toml:{line}:");
        assert!(problem.to_string().starts_with(&place), "{problem} is not at {place}\n{text}");
    }
}

/// The keys that a table knows, as it tells whoever writes another; none: it is no table.
fn known(table: &str) -> Option<Vec<String>> {
    let key = if table.is_empty() { "zzzzzzzzzz".to_owned() } else { format!("{table}.zzzzzzzzzz") };
    let (text, _) = file(&key, "1");
    let is_told = |problem: &&Problem| problem.key == table && problem.message.starts_with("unknown key");
    let all = problems(&text);
    let (_, keys) = all.iter().find(is_told)?.message.split_once("known here are `")?;
    Some(keys.trim_end_matches('`').split("`, `").map(str::to_owned).collect())
}

/// All keys below a table, those of tables within tables too.
fn all_below(table: &str, found: &mut BTreeSet<String>) {
    for key in known(table).unwrap_or_default() {
        let path = if table.is_empty() { key } else { format!("{table}.{key}") };
        let own = if ["connectors", "alert_groups"].contains(&&*path) {
            format!("{path}[0]")
        } else {
            path.clone()
        };
        found.insert(path);
        all_below(&own, found);
    }
}

#[test]
fn no_key_is_missing_above() {
    let mut known = BTreeSet::new();
    all_below("", &mut known);
    assert!(known.len() > 90, "{known:?}");
    let told: BTreeSet<_> = all().map(str::to_owned).collect();
    assert_eq!(known, told);
}
