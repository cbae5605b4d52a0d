//! What a configuration says when it is wrong, and what it comes to when it is right.

mod keys;
mod needs;
mod problems;
mod secrets;
mod shown;
mod ways;

use std::env::VarError;
use std::io;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use fake_xmatters::Authority;
use nightbell_core::event::Severity;
use nightbell_core::priority::Priority;
use nightbell_xmatters::{Auth, Login, Payload};
use proptest::prelude::*;
use secrecy::ExposeSecret as _;

use super::{Config, ConfigError, Lookup, Needs};

/// Knows some variables and files.
struct Fixed;

impl Lookup for Fixed {
    fn variable(&self, name: &str) -> Result<String, VarError> {
        match name {
            "XM_PASSWORD" => Ok("hunter2-from-the-environment".into()),
            "SHORT" => Ok("hunter2".into()),
            "TWO_LINES" => Ok("hunter2\nhunter2".into()),
            _ => Err(VarError::NotPresent),
        }
    }

    fn file(&self, path: &Path) -> io::Result<String> {
        static PEMS: LazyLock<[String; 3]> = LazyLock::new(|| {
            let authority = Authority::new().unwrap();
            let [own, other] = ["own", "other"].map(|name| authority.client(name).unwrap());
            [own.certificate_pem(), own.key_pem(), other.key_pem()]
        });
        let [chain, key, other_key] = &*PEMS;
        match path.to_str() {
            Some("etc/secrets/token") => Ok("token-from-a-file\n".into()),
            Some("etc/ca.pem" | "etc/chain.pem") => Ok(chain.clone()),
            Some("etc/client.pem") => Ok(format!("{chain}{key}")),
            Some("etc/key.pem") => Ok(key.clone()),
            Some("etc/other-key.pem") => Ok(other_key.clone()),
            Some("etc/broken.pem") => Ok(chain.replace("-----END", "-----")),
            Some("etc/nonsense.pem") => Ok(chain[..27].to_owned() + "\nAAAA\n-----END CERTIFICATE-----\n"),
            Some("etc/locked.pem") => Ok("-----BEGIN ENCRYPTED PRIVATE KEY-----\nhunter2".into()),
            Some("etc/alert.j2") => Ok("{\"id\": {{ alert_id }}, \"text\": {{ message }}}".into()),
            Some("etc/typo.j2") => Ok("{\"id\": {{ alert_id }},\n\"text\": {{ mesage }}}".into()),
            Some("etc/text.j2") => Ok("alert {{ alert_id }}".into()),
            Some("etc/open.j2") => Ok("{\"id\": {{ alert_id }".into()),
            Some("etc/idless.j2") => Ok("{\"text\": {{ message }}}".into()),
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
    assert!(config.queue.is_none() && config.routing.groups.is_empty());
    assert_eq!(config.routing.default_connectors, [config.connectors[0].name.clone()].into());
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:9464");
    assert_eq!(config.dedup.window, Duration::from_secs(3_600));
    assert_eq!(config.dedup.retention, Duration::from_secs(7 * 86_400));
    assert_eq!(config.retry.initial, Duration::from_secs(1));
    assert_eq!(config.retry.max, Duration::from_secs(480));
    assert_eq!(config.retry.give_up_after, Duration::from_secs(86_400));
    assert_eq!(config.worker.shutdown_grace, Duration::from_secs(25));
    let connector = &config.connectors[0];
    let destination = &connector.destination;
    assert!(matches!(destination.payload, Payload::Form) && destination.report_base_url.is_none());
    assert_eq!(connector.max_in_flight, 16);
    assert_eq!((destination.timeout.as_secs(), destination.connect_timeout.as_secs()), (15, 5));
    assert_eq!(connector.rate_limit, "4/min".parse().ok());
    assert!(!destination.allow_insecure);
    assert_eq!(sound(&format!("{CONNECTOR}rate_limit = \"none\"")).connectors[0].rate_limit, None);
}

#[test]
fn variables_and_files_reach_the_secrets() {
    let config = sound(&format!("[http]\nadmin_token = \"${{file:secrets/token}}\"\n{CONNECTOR}"));
    assert_eq!(config.http.admin_token.unwrap().expose_secret(), "token-from-a-file");
    match &config.connectors[0].destination.auth {
        Auth::Basic(Login { username, password }) => {
            assert_eq!((username.as_str(), password.expose()), ("svc", "hunter2-from-the-environment"));
        }
        Auth::Url | Auth::OAuth2(_) => panic!("basic is the default"),
    }
}

#[test]
fn every_payload_is_known() {
    let with = |lines: &str| sound(&format!("{CONNECTOR}{lines}")).connectors.remove(0).destination.payload;
    assert!(matches!(with("payload = \"form\""), Payload::Form));
    assert!(matches!(with("payload = \"elastic\""), Payload::Elastic));
    assert!(matches!(with("payload = \"apifortress\""), Payload::ApiFortress));
    let template = with("payload = \"template\"\ntemplate = \"alert.j2\"");
    assert!(matches!(template, Payload::Template(template) if template.name() == "alert.j2"));
}

#[test]
fn priorities_and_a_groups_overrides_are_read() {
    let group =
        "priorities = { low = \"high\" }\n[[alert_groups]]\nname = \"g\"\nconnectors = [\"payments\"]\n";
    let config = sound(&format!("{CONNECTOR}{group}recipients = [\"night\"]\npriority = \"low\""));
    let priorities = config.connectors[0].destination.priorities;
    assert_eq!(
        (priorities.of(Severity::Low), priorities.of(Severity::Minimal)),
        (Priority::High, Priority::Low)
    );
    let group = &config.routing.groups[0];
    assert_eq!(
        (group.recipients.as_deref(), group.priority),
        (Some(&["night".to_owned()][..]), Some(Priority::Low))
    );
}

#[test]
fn events_that_no_group_wants_go_nowhere_once_there_are_groups() {
    let group = "[[alert_groups]]\nname = \"g\"\nconnectors = [\"payments\"]\n";
    assert_eq!(sound(&format!("{CONNECTOR}{group}")).routing.default_connectors, [].into());
    let config = sound(&format!("default_connectors = [\"payments\"]\n{CONNECTOR}{group}"));
    assert_eq!(config.routing.default_connectors.len(), 1);
}

#[test]
fn limits_reach_their_bounds() {
    let text = format!("{CONNECTOR}timeout = \"300ms\"\nmax_in_flight = 1\nrate_limit = \"4/min\"");
    let connector = &sound(&text).connectors[0];
    assert_eq!(connector.destination.timeout, connector.destination.connect_timeout);
    assert_eq!(connector.rate_limit, "4/min".parse().ok());
    sound(&format!("{CONNECTOR}timeout = \"110s\"\nmax_in_flight = 1000"));
    let dedup = sound(&format!("[dedup]\nwindow = \"30d\"\nretention = \"365d\"\n{CONNECTOR}")).dedup;
    assert_eq!(dedup.window.as_secs(), 30 * 86_400);
    assert_eq!(sound(&format!("[dedup]\nwindow = \"0s\"\n{CONNECTOR}")).dedup.window, Duration::ZERO);
    // A small prefetch takes the default of max_in_flight down with it.
    let queue = "[queue]\nurl = \"amqp://localhost\"\nprefetch = 8\n";
    assert_eq!(sound(&format!("{queue}{CONNECTOR}")).connectors[0].max_in_flight, 8);
}

#[test]
fn a_file_that_is_not_there_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.toml");
    assert!(matches!(Config::load(&path, Needs::All), Err(ConfigError::NotFound { file }) if file == path));
    assert!(matches!(Config::load(folder.path(), Needs::All), Err(ConfigError::Unreadable { .. })));
}

#[test]
fn a_file_is_read_with_its_neighbours() {
    let folder = tempfile::tempdir().unwrap();
    let text = CONNECTOR.replace("${XM_PASSWORD}", "${file:password}");
    std::fs::write(folder.path().join("password"), "p$w\r\n").unwrap();
    std::fs::write(folder.path().join("nightbell.toml"), text).unwrap();
    let config = Config::load(&folder.path().join("nightbell.toml"), Needs::All).unwrap();
    assert!(
        matches!(&config.connectors[0].destination.auth, Auth::Basic(login) if login.password.expose() == "p$w")
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
                "(data_dir|connectors|queue|url|by|window|timeout|trigger_url|auth|labels|max_in_flight|listen|name|\
                 proxy|tls|priorities|allowed_hosts|ca_file|client_key|template|payload|response_bytes_max)",
                r#"("[ -~äß$]{0,12}"|[0-9]{1,20}|true|\[("[a-z]?", ?){0,3}\]|\{[a-z] = 1\}|1\.5|"\$\{[A-Z:]{0,4}\}")"#,
                r"(|\[\[connectors\]\]|\[queue\]|\[network\]|\[http\]|\[dedup\]|\[\[alert_groups\]\])",
            ),
            0..6,
        )
    ) {
        let text: String = lines.iter().map(|(key, value, table)| format!("{table}\n{key} = {value}\n")).collect();
        drop(parse(&text));
    }

    #[test]
    fn a_file_that_is_nearly_right_is_read_or_its_problems_name_lines_within_it(
        edits in proptest::collection::vec(
            (any::<prop::sample::Index>(), 0..9_usize, r#"([\[\]{}"'=,.$#\n]|\$\{|true|-1|1e9|\[\[connectors\]\]|\PC){0,3}"#),
            1..4,
        )
    ) {
        let mut text: Vec<char> = super::STARTER.chars().collect();
        for (at, cut, insert) in edits {
            let at = at.index(text.len() + 1);
            let end = (at + cut).min(text.len());
            text.splice(at..end, insert.chars());
        }
        let text: String = text.into_iter().collect();
        if let Err(ConfigError::Invalid { problems }) = Config::parse(&text, Path::new(super::FILE), &Generous) {
            prop_assert!(!problems.is_empty());
            let lines = text.lines().count().max(1) + 1;
            for problem in problems {
                prop_assert!((1..=lines).contains(&problem.line), "{:?}", problem);
            }
        }
    }
}

#[test]
fn a_relative_data_dir_is_beside_the_file() {
    let read = |data_dir: &str, file: &str| {
        let text = format!("data_dir = \"{data_dir}\"\n{CONNECTOR}");
        Config::parse(&text, Path::new(file), &Generous).unwrap().data_dir
    };
    assert_eq!(read("data", "/etc/nightbell.toml"), Path::new("/etc/data"));
    assert_eq!(read("data", "nightbell.toml"), Path::new("data"));
    assert_eq!(read("/var/lib/nightbell", "/etc/nightbell.toml"), Path::new("/var/lib/nightbell"));
}
