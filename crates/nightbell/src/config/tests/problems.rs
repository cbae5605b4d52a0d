//! Every problem that a configuration can have: what is said of it, and where.

use insta::assert_snapshot;

use super::{CONNECTOR, wrong};

/// The problems of the base connector with lines of its own.
#[track_caller]
fn wrong_connector(lines: &str) -> String {
    wrong(&format!("{CONNECTOR}{lines}"))
}

/// The problems of a file that has the base connector below `lines`.
#[track_caller]
fn wrong_above(lines: &str) -> String {
    wrong(&format!("{lines}\n{CONNECTOR}"))
}

#[test]
fn all_problems_are_found_at_once() {
    let text = r#"
data_dir = ""
[retry]
initial = "1"
[[connectors]]
name = "Payments"
trigger_url = "acme"
timeout = "15"
recipient = []
"#;
    assert_snapshot!(wrong(text), @r#"
    etc/nightbell.toml:2:12: data_dir: the value is empty; write a text
    etc/nightbell.toml:4:11: retry.initial: the value is no duration; write a number with a unit, like "15s", "10m", "24h" or "7d"
    etc/nightbell.toml:5:1: connectors[0].username: it is missing; `auth = "basic"` needs it; set it, or set `auth = "url"`
    etc/nightbell.toml:5:1: connectors[0].password: it is missing; `auth = "basic"` needs it; set it, or set `auth = "url"`
    etc/nightbell.toml:5:1: connectors[0].recipients: it is missing; name users or groups, like ["payments-primary"], or write [] if the flow or the URL names them
    etc/nightbell.toml:6:8: connectors[0].name: the value is no connector name; write 1 to 32 of the characters a-z, 0-9 and -, like "payments"
    etc/nightbell.toml:7:15: connectors[0].trigger_url: the value is no URL (relative URL without a base); write a whole URL, like "https://acme.xmatters.com/api/integration/1/functions/UUID/triggers"
    etc/nightbell.toml:8:11: connectors[0].timeout: the value is no duration; write a number with a unit, like "15s", "10m", "24h" or "7d"
    etc/nightbell.toml:9:1: connectors[0]: unknown key `recipient`; did you mean `recipients`?
    "#);
}

#[test]
fn a_text_that_is_no_toml() {
    assert_snapshot!(wrong("a = \"x\nb = \"hunter2"), @r#"
    etc/nightbell.toml:1:7: not TOML: invalid basic string, expected `"`
    etc/nightbell.toml:2:13: not TOML: invalid basic string, expected `"`
    "#);
    assert_snapshot!(wrong("[queue]\nurl = \"amqp://h\"\nurl = \"amqp://h\""), @"etc/nightbell.toml:3:1: not TOML: duplicate key");
    assert_snapshot!(wrong("[[connectors]]\npassword = hunter2"), @"etc/nightbell.toml:2:12: not TOML: string values must be quoted, expected literal string");
}

#[test]
fn a_file_without_connectors() {
    assert_snapshot!(wrong(""), @"etc/nightbell.toml:1:1: connectors: there is none; write at least one, begun by [[connectors]]");
    assert_snapshot!(wrong("connectors = []"), @"etc/nightbell.toml:1:14: connectors: there is none; write at least one, begun by [[connectors]]");
}

#[test]
fn an_unknown_key() {
    assert_snapshot!(wrong_connector("recipient = []"), @"etc/nightbell.toml:8:1: connectors[0]: unknown key `recipient`; did you mean `recipients`?");
    assert_snapshot!(wrong_above("[log]\nlevel = \"debug\""), @"etc/nightbell.toml:1:2: unknown key `log`; known here are `alert_groups`, `connectors`, `data_dir`, `dedup`, `default_connectors`, `http`, `network`, `queue`, `report_base_url`, `retry`, `telemetry`, `worker`");
    assert_snapshot!(wrong_above("[Retry]"), @"etc/nightbell.toml:1:2: unknown key `Retry`; did you mean `retry`?");
    assert_snapshot!(wrong_above("[worker]\ncolour = 1"), @"etc/nightbell.toml:2:1: worker: unknown key `colour`; known here are `shutdown_grace`");
}

#[test]
fn a_value_of_another_type() {
    assert_snapshot!(wrong_connector("timeout = 15"), @r#"etc/nightbell.toml:8:11: connectors[0].timeout: the value is no duration; write a number with a unit, like "15s", "10m", "24h" or "7d""#);
    assert_snapshot!(wrong_above("data_dir = 15"), @r#"etc/nightbell.toml:1:12: data_dir: the value is a whole number; write it in quotes"#);
    assert_snapshot!(wrong_above("data_dir = []"), @"etc/nightbell.toml:1:12: data_dir: the value is a list; write a text in quotes");
    assert_snapshot!(wrong_above("default_connectors = \"payments\""), @r#"etc/nightbell.toml:1:22: default_connectors: the value is a text; write a list of texts, like ["a", "b"]"#);
    assert_snapshot!(wrong_above("default_connectors = [1]"), @r#"etc/nightbell.toml:1:23: default_connectors[0]: the value is a whole number; write it in quotes"#);
    assert_snapshot!(wrong_above("queue = \"amqp://localhost\""), @"etc/nightbell.toml:1:9: queue: the value is a text; write a table, begun by [queue]");
    assert_snapshot!(wrong_connector("max_in_flight = \"16\""), @"etc/nightbell.toml:8:17: connectors[0].max_in_flight: the value is a text; write a number without quotes");
    assert_snapshot!(wrong_connector("allow_insecure = \"yes\""), @"etc/nightbell.toml:8:18: connectors[0].allow_insecure: the value is a text; write true or false without quotes");
    assert_snapshot!(wrong("[connectors]\nname = \"payments\""), @"etc/nightbell.toml:1:1: connectors: the value is a table; write a list of tables, each begun by [[connectors]]");
    assert_snapshot!(wrong("connectors = [1]"), @"etc/nightbell.toml:1:15: connectors[0]: the value is a whole number; write a table, begun by [[connectors]]");
    assert_snapshot!(wrong_above("[[retry]]\nmax = \"8m\""), @"etc/nightbell.toml:1:1: retry: the value is a list; write a table, begun by [retry]");
    assert_snapshot!(wrong_above("[http]\nadmin_token = 12345678901234567"), @"etc/nightbell.toml:2:15: http.admin_token: the value is a whole number; write it in quotes");
    let group = "[[alert_groups]]\nname = \"g\"\nconnectors = [\"payments\"]";
    assert_snapshot!(wrong_connector(&format!("{group}\nlabels = \"team\"")), @r#"etc/nightbell.toml:11:10: alert_groups[0].labels: the value is a text; write a table of texts, like { team = "shop" }"#);
    assert_snapshot!(wrong_connector(&format!("{group}\nlabels = {{ team = 1 }}")), @r#"etc/nightbell.toml:11:19: alert_groups[0].labels.team: the value is a whole number; write it in quotes"#);
}

#[test]
fn a_connector_without_its_keys() {
    assert_snapshot!(wrong("[[connectors]]"), @r#"
    etc/nightbell.toml:1:1: connectors[0].name: it is missing; write 1 to 32 of the characters a-z, 0-9 and -, like "payments"
    etc/nightbell.toml:1:1: connectors[0].trigger_url: it is missing; copy it from the HTTP trigger in xMatters
    etc/nightbell.toml:1:1: connectors[0].username: it is missing; `auth = "basic"` needs it; set it, or set `auth = "url"`
    etc/nightbell.toml:1:1: connectors[0].password: it is missing; `auth = "basic"` needs it; set it, or set `auth = "url"`
    etc/nightbell.toml:1:1: connectors[0].recipients: it is missing; name users or groups, like ["payments-primary"], or write [] if the flow or the URL names them
    "#);
}

#[test]
fn a_name_that_is_none() {
    assert_snapshot!(wrong("[[connectors]]\nname = \"Pay ments\"\nrecipients = []\nauth = \"url\"\ntrigger_url = \"https://h/?apiKey=k\""), @r#"etc/nightbell.toml:2:8: connectors[0].name: the value is no connector name; write 1 to 32 of the characters a-z, 0-9 and -, like "payments""#);
}

#[test]
fn two_connectors_of_one_name() {
    assert_snapshot!(wrong_connector(CONNECTOR), @"etc/nightbell.toml:10:8: connectors[1].name: the name is taken by `connectors[0].name`; write another one");
}

#[test]
fn a_connector_that_does_not_exist() {
    let group = "[[alert_groups]]\nname = \"g\"\nconnectors = [\"payments\", \"paymnets\", \"sre\"]";
    assert_snapshot!(wrong_connector(group), @r#"
    etc/nightbell.toml:10:27: alert_groups[0].connectors[1]: there is no such connector; did you mean "payments"?
    etc/nightbell.toml:10:39: alert_groups[0].connectors[2]: there is no such connector; the file has "payments"
    "#);
    assert_snapshot!(wrong("default_connectors = [\"payment\"]"), @r#"
    etc/nightbell.toml:1:1: connectors: there is none; write at least one, begun by [[connectors]]
    etc/nightbell.toml:1:23: default_connectors[0]: there is no such connector; the file has none
    "#);
    assert_snapshot!(wrong_above("default_connectors = [\"payment\"]"), @r#"etc/nightbell.toml:1:23: default_connectors[0]: there is no such connector; did you mean "payments"?"#);
}

#[test]
fn an_alert_group() {
    assert_snapshot!(wrong_connector("[[alert_groups]]"), @r#"
    etc/nightbell.toml:8:1: alert_groups[0].name: it is missing; write a name that tells the groups apart
    etc/nightbell.toml:8:1: alert_groups[0].connectors: it is missing; name the connectors that the group alerts, like ["payments"]
    "#);
    assert_snapshot!(wrong_connector("[[alert_groups]]\nname = \"g\"\nconnectors = []\nprojects = [\"\"]"), @r#"
    etc/nightbell.toml:10:14: alert_groups[0].connectors: it is empty; name the connectors that the group alerts, like ["payments"]
    etc/nightbell.toml:11:13: alert_groups[0].projects[0]: the value is empty; write a text
    "#);
    let group = "[[alert_groups]]\nname = \"g\"\nconnectors = [\"payments\"]\n";
    assert_snapshot!(wrong_connector(&format!("{group}{group}")), @"etc/nightbell.toml:12:8: alert_groups[1].name: the name is taken by `alert_groups[0].name`; write another one");
    assert_snapshot!(wrong_connector(&format!("{group}severity_at_least = \"hihg\"\nstatuses = [\"red\"]")), @r#"
    etc/nightbell.toml:11:21: alert_groups[0].severity_at_least: the value is not known here; did you mean "high"? write one of "critical", "high", "medium", "low", "minimal"
    etc/nightbell.toml:12:13: alert_groups[0].statuses[0]: the value is not known here; write one of "failed", "error", "passed"
    "#);
}

#[test]
fn a_variable_or_a_file_that_is_not_there() {
    assert_snapshot!(wrong_above("data_dir = \"${NIGHTBELL_HOME}/data\""), @"etc/nightbell.toml:1:12: data_dir: the environment variable `NIGHTBELL_HOME` is not set; set it, or take a file with `${file:PATH}`");
    assert_snapshot!(wrong_above("[http]\nadmin_token = \"${file:/run/secrets/admin}\""), @"etc/nightbell.toml:2:15: http.admin_token: can't read the file `/run/secrets/admin`: Permission denied (os error 13); check its path and who may read it");
    assert_snapshot!(wrong_above("[http]\nadmin_token = \"${file:admin\""), @"etc/nightbell.toml:2:15: http.admin_token: a `${` has no `}`; write `$$` for a plain dollar");
}

#[test]
fn a_duration() {
    assert_snapshot!(wrong_connector("timeout = \"15\""), @r#"etc/nightbell.toml:8:11: connectors[0].timeout: the value is no duration; write a number with a unit, like "15s", "10m", "24h" or "7d""#);
    assert_snapshot!(wrong_connector("timeout = \"0\""), @r#"etc/nightbell.toml:8:11: connectors[0].timeout: the value is no duration; write a number with a unit, like "15s", "10m", "24h" or "7d""#);
    assert_snapshot!(wrong_connector("timeout = \"soon\""), @r#"etc/nightbell.toml:8:11: connectors[0].timeout: the value is no duration; write a number with a unit, like "15s", "10m", "24h" or "7d""#);
    assert_snapshot!(wrong_connector("timeout = \"0s\""), @r#"etc/nightbell.toml:8:11: connectors[0].timeout: the value is too short; write at least "100ms" and at most "110s""#);
    assert_snapshot!(wrong_connector("timeout = \"2m\""), @r#"etc/nightbell.toml:8:11: connectors[0].timeout: the value is too long; write at most "110s" and at least "100ms""#);
    assert_snapshot!(wrong_connector("timeout = \"2s\"\nconnect_timeout = \"3s\""), @r#"etc/nightbell.toml:9:19: connectors[0].connect_timeout: it is longer than `timeout`; write at most "2s""#);
    assert_snapshot!(wrong_above("[retry]\ninitial = \"1m\"\nmax = \"30s\""), @r#"etc/nightbell.toml:2:11: retry.initial: it is longer than `retry.max`; write at most "30s""#);
    assert_snapshot!(wrong_above("[retry]\nmax = \"2h\"\ngive_up_after = \"31d\""), @r#"
    etc/nightbell.toml:2:7: retry.max: the value is too long; write at most "1h" and at least "1s"
    etc/nightbell.toml:3:17: retry.give_up_after: the value is too long; write at most "30d" and at least "1s"
    "#);
    assert_snapshot!(wrong_above("[dedup]\nwindow = \"2h\"\nretention = \"1h\""), @r#"etc/nightbell.toml:3:13: dedup.retention: it is shorter than `dedup.window`; write at least "2h""#);
    assert_snapshot!(wrong_above("[dedup]\nwindow = \"31d\"\nretention = \"366d\""), @r#"
    etc/nightbell.toml:2:10: dedup.window: the value is too long; write at most "30d" and at least "0s"
    etc/nightbell.toml:3:13: dedup.retention: the value is too long; write at most "365d" and at least "1s"
    "#);
    assert_snapshot!(wrong_above("[worker]\nshutdown_grace = \"1h\""), @r#"etc/nightbell.toml:2:18: worker.shutdown_grace: the value is too long; write at most "5m" and at least "0s""#);
}

#[test]
fn a_number_out_of_bounds() {
    assert_snapshot!(wrong_connector("max_in_flight = 0"), @"etc/nightbell.toml:8:17: connectors[0].max_in_flight: the number is out of bounds; write one from 1 to 1000");
    assert_snapshot!(wrong_connector("max_in_flight = -99999999999999999999"), @"etc/nightbell.toml:8:17: connectors[0].max_in_flight: the number is out of bounds; write one from 1 to 1000");
    assert_snapshot!(wrong_above("[queue]\nurl = \"amqp://localhost\"\nprefetch = 2001"), @"etc/nightbell.toml:3:12: queue.prefetch: the number is out of bounds; write one from 1 to 2000");
}

#[test]
fn a_url() {
    let with = |url: &str| wrong(&CONNECTOR.replace("https://acme.xmatters.com/x/triggers", url));
    assert_snapshot!(with("https://"), @r#"etc/nightbell.toml:4:15: connectors[0].trigger_url: the value has no host; write a whole URL, like "https://acme.xmatters.com/api/integration/1/functions/UUID/triggers""#);
    assert_snapshot!(with("acme.xmatters.com/hunter2"), @r#"etc/nightbell.toml:4:15: connectors[0].trigger_url: the value is no URL (relative URL without a base); write a whole URL, like "https://acme.xmatters.com/api/integration/1/functions/UUID/triggers""#);
    assert_snapshot!(with("ftp://acme.xmatters.com/hunter2"), @r#"etc/nightbell.toml:4:15: connectors[0].trigger_url: the value begins neither with http:// nor with https://; write a whole URL, like "https://acme.xmatters.com/api/integration/1/functions/UUID/triggers""#);
    assert_snapshot!(with("https://acme.xmatters.com:hunter2/"), @r#"etc/nightbell.toml:4:15: connectors[0].trigger_url: the value has a port that is no number; write a whole URL, like "https://acme.xmatters.com/api/integration/1/functions/UUID/triggers", with /, # and ? in a user or password percent-encoded"#);
    assert_snapshot!(with("https://user:hunter2@acme.xmatters.com/"), @"etc/nightbell.toml:4:15: connectors[0].trigger_url: the value has a user or a password; write them as `username` and `password`");
    assert_snapshot!(with("http://acme.xmatters.com/hunter2"), @"etc/nightbell.toml:4:15: connectors[0].trigger_url: the value is plain http to a host that is neither this machine nor a private address, so the key would travel unprotected; write https, or set `allow_insecure = true`");
    assert_snapshot!(with("https://acme.xmatters.com/?apiKey=hunter2"), @r#"etc/nightbell.toml:4:15: connectors[0].trigger_url: the value has an apiKey, which `auth = "basic"` does not use; remove it, or set `auth = "url"`"#);
    assert_snapshot!(wrong_above("[queue]\nurl = \"amqp:///hunter2\""), @r#"etc/nightbell.toml:2:7: queue.url: the value has no host; write a whole URL, like "amqp://user:password@rabbitmq.example.com:5672/%2f""#);
    assert_snapshot!(wrong_above("[queue]\nurl = \"https://user:hunter2@h\""), @r#"etc/nightbell.toml:2:7: queue.url: the value begins neither with amqp:// nor with amqps://; write a whole URL, like "amqp://user:password@rabbitmq.example.com:5672/%2f""#);
    let breaks = |password: &str| wrong_above(&format!("[queue]\nurl = \"amqp://user:{password}@h\""));
    for password in ["hunt/er2", "hunt#er2", "hunt?er2", "12/34"] {
        assert_eq!(
            breaks(password),
            "etc/nightbell.toml:2:7: queue.url: the value can't be used: it has an `@` after its first `/`, `?` or `#`; in a user or a password write / as %2F, ? as %3F, # as %23 and % as %25, or write them as `queue.username` and `queue.password`, as they are; in a virtual host write @ as %40"
        );
    }
    assert_snapshot!(breaks("hun%ffter2"), @"etc/nightbell.toml:2:7: queue.url: the value can't be used: a % in its user, password or virtual host begins no character; write % itself as %25, or user and password as `queue.username` and `queue.password`, as they are");
    assert_snapshot!(wrong_above("[queue]\nurl = \"amqp://u:hunter2@h\"\nusername = \"u\"\npassword = \"hunter2\""), @"etc/nightbell.toml:3:12: queue.username: `queue.url` has a user or a password too; write them in one place");
    assert_snapshot!(wrong_above("[queue]\nurl = \"amqp://h\"\npassword = \"hunter2\""), @"etc/nightbell.toml:1:1: queue.username: it is missing; `password` is of no use without it; set both, or neither");
    assert_snapshot!(wrong_above("[queue]\nurl = \"amqp://h,\""), @r#"etc/nightbell.toml:2:7: queue.url: the value has no host; write a whole URL, like "amqp://user:password@rabbitmq.example.com:5672/%2f""#);
    assert_snapshot!(wrong_above("[queue]\nurl = \"amqp://h\"\nmanagement_url = \"h:15672\""), @r#"etc/nightbell.toml:3:18: queue.management_url: the value begins neither with http:// nor with https://; write a whole URL, like "https://rabbitmq.example.com:15671""#);
    assert_snapshot!(wrong_above("[queue]\nprefix = \"night bell\""), @r#"
    etc/nightbell.toml:1:1: queue.url: it is missing; write the broker's URL, like "amqp://user:password@127.0.0.1:5672/%2f", or leave the whole table out to use the embedded queue
    etc/nightbell.toml:2:10: queue.prefix: the value is no prefix; write 1 to 64 of the characters a-z, A-Z, 0-9, ., _ and -, which do not begin with amq.
    "#);
    assert_snapshot!(wrong_above("[telemetry]\notlp_endpoint = \"127.0.0.1:4318\""), @r#"etc/nightbell.toml:2:17: telemetry.otlp_endpoint: the value is no URL (relative URL without a base); write a whole URL, like "http://127.0.0.1:4318""#);
    assert_snapshot!(wrong_above("[telemetry]\notlp_endpoint = \"http://u:p@127.0.0.1:4318\""), @"etc/nightbell.toml:2:17: telemetry.otlp_endpoint: the value has a user or a password; put what authenticates into OTEL_EXPORTER_OTLP_HEADERS");
    assert_snapshot!(wrong_above("[telemetry]\notlp_endpoint = \"http://127.0.0.1:4318?a=b\""), @"etc/nightbell.toml:2:17: telemetry.otlp_endpoint: the value has a query or a fragment; write it without, since /v1/traces is added to it");
    assert_snapshot!(wrong_above("[telemetry]\nsample_percent = 101"), @"etc/nightbell.toml:2:18: telemetry.sample_percent: the number is out of bounds; write one from 0 to 100");
    assert_snapshot!(wrong_above("report_base_url = \"reports.example.com\""), @r#"etc/nightbell.toml:1:19: report_base_url: the value is no URL (relative URL without a base); write a whole URL, like "https://reports.example.com""#);
    assert_snapshot!(wrong_above("report_base_url = \"https://user:pw@reports.example.com\""), @"etc/nightbell.toml:1:19: report_base_url: the value has a user or a password, which every alert would show; write it without");
}

#[test]
fn authentication() {
    let with = |lines: &str| {
        wrong(&format!(
            "[[connectors]]\nname = \"a\"\nrecipients = []\ntrigger_url = \"https://h/x\"\n{lines}"
        ))
    };
    assert_snapshot!(with("username = \"u\""), @r#"etc/nightbell.toml:1:1: connectors[0].password: it is missing; `auth = "basic"` needs it; set it, or set `auth = "url"`"#);
    assert_snapshot!(with("username = \" \"\npassword = \"\""), @r"
    etc/nightbell.toml:5:12: connectors[0].username: the value is empty; write a text
    etc/nightbell.toml:6:12: connectors[0].password: the value is empty; write a text
    ");
    assert_snapshot!(with("auth = \"url\"\nusername = \"u\"\npassword = \"p\""), @r#"
    etc/nightbell.toml:4:15: connectors[0].trigger_url: the value has no apiKey; copy the whole trigger URL with its `?apiKey=…`, or set `auth = "basic"`
    etc/nightbell.toml:6:12: connectors[0].username: `auth = "url"` does not use it; remove it, or set `auth = "basic"`
    etc/nightbell.toml:7:12: connectors[0].password: `auth = "url"` does not use it; remove it, or set `auth = "basic"`
    "#);
    assert_snapshot!(with("auth = \"baisc\"\nusername = \"u\"\npassword = \"p\""), @r#"etc/nightbell.toml:5:8: connectors[0].auth: the value is not known here; did you mean "basic"? write one of "basic", "url", "oauth2""#);
}

#[test]
fn words() {
    assert_snapshot!(wrong_connector("payload = \"xml\""), @r#"etc/nightbell.toml:8:11: connectors[0].payload: the value is not known here; write one of "form", "elastic", "apifortress", "template""#);
    assert_snapshot!(wrong_connector("rate_limit = \"4\""), @r#"etc/nightbell.toml:8:14: connectors[0].rate_limit: the value is no rate; write "none", or a number by s, min or h, like "4/min""#);
    assert_snapshot!(wrong_connector("rate_limit = \"0/min\""), @r#"etc/nightbell.toml:8:14: connectors[0].rate_limit: the value is no rate; write "none", or a number by s, min or h, like "4/min""#);
    assert_snapshot!(wrong_above("[dedup]\nby = [\"project\", \"enviroment\", \"labels.\"]"), @r#"
    etc/nightbell.toml:2:18: dedup.by[1]: the value is no part of an alert key; did you mean "environment"? write some of "project", "suite", "test", "environment", "status", "severity", "run_id", or "labels.NAME"
    etc/nightbell.toml:2:32: dedup.by[2]: the value is no part of an alert key; write some of "project", "suite", "test", "environment", "status", "severity", "run_id", or "labels.NAME"
    "#);
    assert_snapshot!(wrong_above("[dedup]\nby = []"), @r#"etc/nightbell.toml:2:6: dedup.by: it is empty, so all events would be one alert; write some, like ["project", "test"]"#);
}

#[test]
fn recipients() {
    let with = |list: &str| wrong(&CONNECTOR.replace("[\"primary\"]", list));
    assert_snapshot!(with("[\"a\", \"\"]"), @r#"etc/nightbell.toml:7:20: connectors[0].recipients[1]: the value is empty; write a text"#);
    assert_snapshot!(with("\"a\""), @r#"etc/nightbell.toml:7:14: connectors[0].recipients: the value is a text; write a list of texts, like ["a", "b"]"#);
}

#[test]
fn the_listener() {
    assert_snapshot!(wrong_above("[http]\nlisten = \"localhost:9464\""), @r#"etc/nightbell.toml:2:10: http.listen: the value is no address to listen on; write an IP address and a port, like "127.0.0.1:9464""#);
    assert_snapshot!(wrong_above("[http]\nlisten = \"0.0.0.0:9464\""), @r"
    etc/nightbell.toml:1:1: http.ingest_token: it is missing; set it, since 0.0.0.0:9464 can be reached from other machines, or listen on 127.0.0.1
    etc/nightbell.toml:1:1: http.admin_token: it is missing; set it, since 0.0.0.0:9464 can be reached from other machines, or listen on 127.0.0.1
    ");
    assert_snapshot!(wrong_above("[http]\nlisten = \"[::]:9464\"\nadmin_token = \"0123456789abcdef\""), @"etc/nightbell.toml:1:1: http.ingest_token: it is missing; set it, since [::]:9464 can be reached from other machines, or listen on 127.0.0.1");
    assert_snapshot!(wrong_above("[http]\nadmin_token = \"${SHORT}\"\ningest_token = \"with a blank in it\""), @r"
    etc/nightbell.toml:2:15: http.admin_token: the value is too short; write at least 16 characters, at best random ones
    etc/nightbell.toml:3:16: http.ingest_token: the value has a character that no HTTP header carries; write visible ASCII characters without blanks
    ");
    assert_snapshot!(wrong_above("[http]\ntls = { certificate = \"a.pem\" }"), @"etc/nightbell.toml:2:7: http.tls.key: it is missing; name the PEM file of the certificate's key");
    assert_snapshot!(wrong_above("[http]\ntls = \"a.pem\""), @"etc/nightbell.toml:2:7: http.tls: the value is a text; write a table, like tls = { … }");
}

#[test]
fn a_value_that_came_from_elsewhere_is_not_quoted() {
    let said =
        wrong_connector("timeout = \"${XM_PASSWORD}\"\nrate_limit = \"${SHORT}\"\npayload = \"${SHORT}\"");
    assert!(!said.contains("hunter2"), "{said}");
    assert_snapshot!(said, @r#"
    etc/nightbell.toml:8:11: connectors[0].timeout: the value is no duration; write a number with a unit, like "15s", "10m", "24h" or "7d"
    etc/nightbell.toml:9:14: connectors[0].rate_limit: the value is no rate; write "none", or a number by s, min or h, like "4/min"
    etc/nightbell.toml:10:11: connectors[0].payload: the value is not known here; write one of "form", "elastic", "apifortress", "template"
    "#);
}

/// The problems of a connector with these lines and no authentication of its own.
#[track_caller]
fn wrong_auth(lines: &str) -> String {
    let said = wrong(&format!(
        "[[connectors]]\nname = \"a\"\nrecipients = []\ntrigger_url = \"https://acme.xmatters.com/x\"\n{lines}"
    ));
    assert!(!said.contains("hunter2"), "{said}");
    said
}

#[test]
fn only_one_of_user_and_password() {
    assert_snapshot!(wrong_auth("username = \"u\""), @r#"etc/nightbell.toml:1:1: connectors[0].password: it is missing; `auth = "basic"` needs it; set it, or set `auth = "url"`"#);
    assert_snapshot!(wrong_auth("password = \"hunter2\""), @r#"etc/nightbell.toml:1:1: connectors[0].username: it is missing; `auth = "basic"` needs it; set it, or set `auth = "url"`"#);
    assert_snapshot!(wrong_auth("auth = \"oauth2\"\nclient_id = \"c\"\nusername = \"u\""), @r#"etc/nightbell.toml:1:1: connectors[0].password: it is missing; `auth = "oauth2"` needs both `username` and `password`, or a `refresh_token` alone"#);
    assert_snapshot!(wrong_auth("auth = \"oauth2\"\nclient_id = \"c\"\npassword = \"hunter2\""), @r#"etc/nightbell.toml:1:1: connectors[0].username: it is missing; `auth = "oauth2"` needs both `username` and `password`, or a `refresh_token` alone"#);
}

#[test]
fn a_user_or_a_password_that_no_header_carries() {
    assert_snapshot!(wrong_auth("username = \"u:hunter2\"\npassword = \"${TWO_LINES}\""), @r"
    etc/nightbell.toml:5:12: connectors[0].username: the value has a colon, a line end or another control character; write the name alone
    etc/nightbell.toml:6:12: connectors[0].password: the value has a line end or another control character; write it on one line, alone
    ");
}

#[test]
fn two_kinds_of_credentials() {
    let keyed = |lines: &str| {
        wrong(
            &CONNECTOR
                .replace("/x/triggers", "/x/triggers?apiKey=hunter2")
                .replace("username", &format!("{lines}\nusername")),
        )
    };
    assert_snapshot!(keyed(""), @r#"etc/nightbell.toml:4:15: connectors[0].trigger_url: the value has an apiKey, which `auth = "basic"` does not use; remove it, or set `auth = "url"`"#);
    assert_snapshot!(keyed("auth = \"url\""), @r#"
    etc/nightbell.toml:6:12: connectors[0].username: `auth = "url"` does not use it; remove it, or set `auth = "basic"`
    etc/nightbell.toml:7:12: connectors[0].password: `auth = "url"` does not use it; remove it, or set `auth = "basic"`
    "#);
    assert_snapshot!(keyed("auth = \"oauth2\"\nclient_id = \"c\""), @r#"etc/nightbell.toml:4:15: connectors[0].trigger_url: the value has an apiKey, which `auth = "oauth2"` does not use; remove it, or set `auth = "url"`"#);
    assert_snapshot!(wrong_connector("client_id = \"c\"\nrefresh_token = \"hunter2\"\ntoken_url = \"https://acme.xmatters.com/hunter2\""), @r#"
    etc/nightbell.toml:8:13: connectors[0].client_id: `auth = "basic"` does not use it; remove it, or set `auth = "oauth2"`
    etc/nightbell.toml:9:17: connectors[0].refresh_token: `auth = "basic"` does not use it; remove it, or set `auth = "oauth2"`
    etc/nightbell.toml:10:13: connectors[0].token_url: `auth = "basic"` does not use it; remove it, or set `auth = "oauth2"`
    "#);
}

#[test]
fn a_url_for_url_authentication_without_a_key() {
    assert_snapshot!(wrong_auth("auth = \"url\""), @r#"etc/nightbell.toml:4:15: connectors[0].trigger_url: the value has no apiKey; copy the whole trigger URL with its `?apiKey=…`, or set `auth = "basic"`"#);
    assert_snapshot!(wrong_auth("auth = \"url\"\nrefresh_token = \"hunter2\""), @r#"
    etc/nightbell.toml:4:15: connectors[0].trigger_url: the value has no apiKey; copy the whole trigger URL with its `?apiKey=…`, or set `auth = "basic"`
    etc/nightbell.toml:6:17: connectors[0].refresh_token: `auth = "url"` does not use it; remove it, or set `auth = "oauth2"`
    "#);
}

#[test]
fn tokens() {
    assert_snapshot!(wrong_auth("auth = \"oauth2\"\nusername = \"u\"\npassword = \"hunter2\""), @r#"etc/nightbell.toml:1:1: connectors[0].client_id: it is missing; `auth = "oauth2"` needs it; copy it from the OAuth page in xMatters"#);
    assert_snapshot!(wrong_auth("auth = \"oauth2\"\nclient_id = \"c\""), @r#"etc/nightbell.toml:1:1: connectors[0].refresh_token: it is missing; set it, or `username` and `password`: `auth = "oauth2"` asks for its tokens with one or the other"#);
    assert_snapshot!(wrong_auth("auth = \"oauth2\"\nclient_id = \"c\"\nusername = \"u\"\npassword = \"hunter2\"\nrefresh_token = \"hunter2\""), @"etc/nightbell.toml:9:17: connectors[0].refresh_token: it is set beside `username` or `password`, and only one way can be used; remove it, or remove both of them");
    let at = |url: &str| {
        wrong_auth(&format!(
            "auth = \"oauth2\"\nclient_id = \"c\"\nrefresh_token = \"hunter2\"\ntoken_url = \"{url}\""
        ))
    };
    assert_snapshot!(at("acme.xmatters.com/hunter2"), @r#"etc/nightbell.toml:8:13: connectors[0].token_url: the value is no URL (relative URL without a base); write a whole URL, like "https://acme.xmatters.com/api/xm/1/oauth2/token""#);
    assert_snapshot!(at("https://u:hunter2@acme.xmatters.com/"), @"etc/nightbell.toml:8:13: connectors[0].token_url: the value has a user or a password; write them as `username` and `password`");
    assert_snapshot!(at("http://acme.xmatters.com/hunter2"), @"etc/nightbell.toml:8:13: connectors[0].token_url: the value is plain http to a host that is neither this machine nor a private address, so the key would travel unprotected; write https, or set `allow_insecure = true`");
}

#[test]
fn a_payload_and_its_template() {
    assert_snapshot!(wrong_connector("payload = \"template\""), @r#"etc/nightbell.toml:2:1: connectors[0].template: it is missing; `payload = "template"` needs it; write the path of a minijinja file"#);
    assert_snapshot!(wrong_connector("template = \"alert.j2\""), @r#"etc/nightbell.toml:8:12: connectors[0].template: it is used only with `payload = "template"`; remove it, or set that"#);
    assert_snapshot!(wrong_connector("payload = \"elastic\"\ntemplate = \"alert.j2\""), @r#"etc/nightbell.toml:9:12: connectors[0].template: it is used only with `payload = "template"`; remove it, or set that"#);
    let with = |file: &str| wrong_connector(&format!("payload = \"template\"\ntemplate = \"{file}\""));
    assert_snapshot!(with("none.j2"), @"etc/nightbell.toml:9:12: connectors[0].template: can't read the file `etc/none.j2`: Permission denied (os error 13); check its path and who may read it");
    assert_snapshot!(with("typo.j2"), @"etc/nightbell.toml:9:12: connectors[0].template: the template `typo.j2` uses `mesage`, which is not known (line 2); it can use alert_id, alert_key, attempt, details, environment, event_id, labels, message, occurred_at, priority, project, recipients, report_url, run_id, severity, status, suite, summary, tags, test");
    assert_snapshot!(with("text.j2"), @r#"etc/nightbell.toml:9:12: connectors[0].template: the template `text.j2` fails for an event with every field, status failed and severity critical: the result is not JSON: expected value at line 1 column 1, at the arrow in ` ⟶ alert "a32bc76da0657727359573a`"#);
    assert_snapshot!(with("open.j2"), @"etc/nightbell.toml:9:12: connectors[0].template: the template `open.j2` can't be read: syntax error: unexpected `}`, expected end of variable block (line 1)");
    assert_snapshot!(with("idless.j2"), @"etc/nightbell.toml:9:12: connectors[0].template: the template `idless.j2` fails for an event with every field, status failed and severity critical: the result lacks the `alert_id`, by which flows know that two requests are one alert");
}

#[test]
fn priorities() {
    assert_snapshot!(wrong_connector("priorities = { hihg = \"high\", urgent = \"low\", low = \"lowest\" }"), @r#"
    etc/nightbell.toml:8:16: connectors[0].priorities: unknown key `hihg`; did you mean `high`?
    etc/nightbell.toml:8:31: connectors[0].priorities: unknown key `urgent`; known here are `critical`, `high`, `low`, `medium`, `minimal`
    etc/nightbell.toml:8:53: connectors[0].priorities.low: the value is not known here; write one of "high", "medium", "low"
    "#);
    assert_snapshot!(wrong_connector("priorities = \"high\""), @"etc/nightbell.toml:8:14: connectors[0].priorities: the value is a text; write a table, like priorities = { … }");
    assert_snapshot!(wrong_connector("[[alert_groups]]\nname = \"g\"\nconnectors = [\"payments\"]\npriority = \"HIGH\"\nrecipients = \"a\""), @r#"
    etc/nightbell.toml:11:12: alert_groups[0].priority: the value is not known here; did you mean "high"? write one of "high", "medium", "low"
    etc/nightbell.toml:12:14: alert_groups[0].recipients: the value is a text; write a list of texts, like ["a", "b"]
    "#);
}

#[test]
fn hosts_that_are_allowed() {
    assert_snapshot!(wrong_connector("allowed_hosts = [\"other.xmatters.com\"]"), @"etc/nightbell.toml:4:15: connectors[0].trigger_url: the value leads to a host that `allowed_hosts` does not have; correct it, or add the host there");
    assert_snapshot!(wrong_above("[network]\nallowed_hosts = [\"xmatters.com\"]"), @"etc/nightbell.toml:6:15: connectors[0].trigger_url: the value leads to a host that `allowed_hosts` does not have; correct it, or add the host there");
    assert_snapshot!(wrong_connector("allowed_hosts = []"), @"etc/nightbell.toml:8:17: connectors[0].allowed_hosts: it is empty, so nothing could be sent; name the hosts, or remove it to allow all");
    assert_snapshot!(wrong_connector("allowed_hosts = [\"*.xmatters.com\", \"https://acme.xmatters.com\", \"acme.xmatters.com:443\", \"\"]"), @r#"
    etc/nightbell.toml:8:18: connectors[0].allowed_hosts[0]: the value is no host; write a name or an address alone, without https://, port, path or *, like "acme.xmatters.com"
    etc/nightbell.toml:8:36: connectors[0].allowed_hosts[1]: the value is no host; write a name or an address alone, without https://, port, path or *, like "acme.xmatters.com"
    etc/nightbell.toml:8:65: connectors[0].allowed_hosts[2]: the value is no host; write a name or an address alone, without https://, port, path or *, like "acme.xmatters.com"
    etc/nightbell.toml:8:90: connectors[0].allowed_hosts[3]: the value is no host; write a name or an address alone, without https://, port, path or *, like "acme.xmatters.com"
    "#);
    let token = "auth = \"oauth2\"\nclient_id = \"c\"\nrefresh_token = \"hunter2\"\ntoken_url = \"https://evil.example.com/hunter2\"";
    assert_snapshot!(wrong_auth(&format!("{token}\nallowed_hosts = [\"acme.xmatters.com\"]")), @"etc/nightbell.toml:8:13: connectors[0].token_url: the value leads to a host that `allowed_hosts` does not have; correct it, or add the host there");
}

#[test]
fn files_of_certificates() {
    assert_snapshot!(wrong_connector("ca_file = \"none.pem\""), @"etc/nightbell.toml:8:11: connectors[0].ca_file: can't read the file `etc/none.pem`: Permission denied (os error 13); check its path and who may read it");
    assert_snapshot!(wrong_above("[network]\nca_file = \"key.pem\""), @"etc/nightbell.toml:2:11: network.ca_file: the file `key.pem` holds no certificate; it must be PEM, with `-----BEGIN CERTIFICATE-----`");
    assert_snapshot!(wrong_connector("client_certificate = \"none.pem\""), @"etc/nightbell.toml:8:22: connectors[0].client_certificate: can't read the file `etc/none.pem`: Permission denied (os error 13); check its path and who may read it");
    assert_snapshot!(wrong_connector("client_certificate = \"chain.pem\""), @"etc/nightbell.toml:8:22: connectors[0].client_certificate: the file `chain.pem` holds no private key; it must be PEM, with `-----BEGIN PRIVATE KEY-----`, or name the key's own file as `client_key`");
    assert_snapshot!(wrong_connector("client_certificate = \"chain.pem\"\nclient_key = \"chain.pem\""), @"etc/nightbell.toml:9:14: connectors[0].client_key: the file `chain.pem` holds no private key; it must be PEM, with `-----BEGIN PRIVATE KEY-----`");
    assert_snapshot!(wrong_connector("client_certificate = \"chain.pem\"\nclient_key = \"locked.pem\""), @"etc/nightbell.toml:9:14: connectors[0].client_key: the file `locked.pem` holds an encrypted key; decrypt it, as `openssl pkey` does, and let nobody else read it");
    assert_snapshot!(wrong_connector("client_key = \"key.pem\""), @"etc/nightbell.toml:8:14: connectors[0].client_key: it is of no use without `client_certificate`; set both here, or neither");
}

#[test]
fn verification() {
    assert_snapshot!(wrong_connector("tls.verification = \"off\""), @r#"etc/nightbell.toml:8:20: connectors[0].tls.verification: the value is not known here; write one of "full", "certificate", "none""#);
    assert_snapshot!(wrong_connector("tls = { verify = \"none\" }"), @"etc/nightbell.toml:8:9: connectors[0].tls: unknown key `verify`; known here are `verification`");
    assert_snapshot!(wrong_above("[network]\ntls = \"none\""), @"etc/nightbell.toml:2:7: network.tls: the value is a text; write a table, like tls = { … }");
}

#[test]
fn a_proxy() {
    let with = |proxy: &str| {
        let said = wrong_connector(&format!("proxy = {{ {proxy} }}"));
        assert!(!said.contains("hunter2"), "{said}");
        said
    };
    assert_snapshot!(with("url = \"http://u:hunter2@proxy:3128\""), @"etc/nightbell.toml:8:17: connectors[0].proxy.url: the value has a user or a password; write them as `username` and `password` beside it");
    assert_snapshot!(with("url = \"u:hunter2@proxy:3128\""), @r#"etc/nightbell.toml:8:17: connectors[0].proxy.url: the value begins neither with http:// nor with https://; write a whole URL, like "http://proxy.example.com:3128""#);
    assert_snapshot!(with("url = \"socks5://proxy:1080\""), @r#"etc/nightbell.toml:8:17: connectors[0].proxy.url: the value begins neither with http:// nor with https://; write a whole URL, like "http://proxy.example.com:3128""#);
    assert_snapshot!(with("url = \"http://proxy:3128/hunter2\""), @r#"etc/nightbell.toml:8:17: connectors[0].proxy.url: the value has more than a host and a port; write it like "http://proxy.example.com:3128""#);
    assert_snapshot!(with("username = \"u\""), @r#"
    etc/nightbell.toml:8:9: connectors[0].proxy.url: it is missing; write the proxy's address, like "http://proxy.example.com:3128"
    etc/nightbell.toml:8:9: connectors[0].proxy.password: it is missing; `username` is of no use without it; set both, or neither
    "#);
    assert_snapshot!(with("url = \"http://proxy:3128\", password = \"hunter2\""), @"etc/nightbell.toml:8:9: connectors[0].proxy.username: it is missing; `password` is of no use without it; set both, or neither");
    assert_snapshot!(with("url = \"http://proxy:3128\", bypass_hosts = [\"10.0.0.0/40\", \"*.example.com\"]"), @r#"
    etc/nightbell.toml:8:54: connectors[0].proxy.bypass_hosts[0]: the value is neither a host, nor a suffix like ".example.com", nor a range like "10.0.0.0/8"; write one of them
    etc/nightbell.toml:8:69: connectors[0].proxy.bypass_hosts[1]: the value is neither a host, nor a suffix like ".example.com", nor a range like "10.0.0.0/8"; write one of them
    "#);
    assert_snapshot!(wrong_connector("proxy = \"http://u:hunter2@proxy:3128\""), @"etc/nightbell.toml:8:9: connectors[0].proxy: the value is a text; write a table, like proxy = { … }");
}

#[test]
fn an_answers_size() {
    assert_snapshot!(wrong_connector("response_bytes_max = 100"), @"etc/nightbell.toml:8:22: connectors[0].response_bytes_max: the number is out of bounds; write one from 1024 to 1048576");
    assert_snapshot!(wrong_above("[network]\nresponse_bytes_max = \"1 MiB\""), @"etc/nightbell.toml:2:22: network.response_bytes_max: the value is a text; write a number without quotes");
}
