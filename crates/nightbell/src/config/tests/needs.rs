//! What is read for a command, and what is left alone; and what of two files differs.

use std::cell::RefCell;
use std::env::VarError;
use std::io;
use std::path::Path;

use super::super::{Cause, Config, Lookup, Needs};
use super::{CONNECTOR, sound};

/// Has nothing, and remembers what it was asked for.
#[derive(Default)]
struct Barren(RefCell<Vec<String>>);

impl Lookup for Barren {
    fn variable(&self, name: &str) -> Result<String, VarError> {
        self.0.borrow_mut().push(name.to_owned());
        Err(VarError::NotPresent)
    }

    fn file(&self, path: &Path) -> io::Result<String> {
        self.0.borrow_mut().push(path.display().to_string());
        Err(io::ErrorKind::NotFound.into())
    }
}

/// Everything that a unit alone can read, and a queue that anybody can.
const UNIT: &str = r#"
default_connectors = ["sre"]
[queue]
url = "amqp://127.0.0.1"
[http]
ingest_token = "${INGEST}"
admin_token = "${file:/run/credentials/nightbell.service/admin}"
[network]
ca_file = "ca.pem"
proxy = { url = "http://proxy:3128", username = "u", password = "${PROXY}" }
[telemetry]
otlp_endpoint = "${OTLP}"
[[connectors]]
name = "sre"
trigger_url = "${file:/run/credentials/nightbell.service/url}"
username = "${USER_NAME}"
password = "${PASSWORD}"
recipients = ["${ON_CALL}"]
payload = "template"
template = "alert.j2"
[[connectors]]
name = "web"
trigger_url = "https://acme.xmatters.com/x?apiKey=k"
auth = "url"
recipients = []
"#;

fn read(text: &str, needs: Needs) -> (Result<Config, String>, Vec<String>) {
    let barren = Barren::default();
    let config = Config::parse_for(text, Path::new("etc/nightbell.toml"), &barren, needs);
    (config.map_err(|error| error.to_string()), barren.0.into_inner())
}

#[test]
fn for_the_queue_nothing_else_is_read() {
    let (config, asked) = read(UNIT, Needs::Queue);
    let config = config.unwrap();
    assert!(config.queue.is_some() && config.http.admin_token.is_none());
    assert_eq!(
        config.routing.connectors.iter().map(|name| name.as_str()).collect::<Vec<_>>(),
        ["sre", "web"]
    );
    // Tokens are of use if they can be read.
    assert_eq!(asked, ["INGEST", "/run/credentials/nightbell.service/admin"]);
    let (_, asked) = read(UNIT, Needs::Listener);
    assert!(asked.is_empty(), "{asked:?}");
}

#[test]
fn what_is_needed_and_can_not_be_read_is_an_error() {
    let queue = UNIT.replace("amqp://127.0.0.1", "amqp://u:${AMQP}@127.0.0.1");
    assert!(read(&queue, Needs::Queue).0.unwrap_err().contains("queue.url: the environment variable `AMQP`"));
    assert!(
        read(&format!("data_dir = \"${{HOME_2}}\"\n{UNIT}"), Needs::Queue)
            .0
            .unwrap_err()
            .contains("data_dir")
    );
    assert!(read(&UNIT.replace("\"sre\"\ntrigger", "\"${NAME}\"\ntrigger"), Needs::Queue).0.is_err());
    assert_eq!(read(UNIT, Needs::All).0.unwrap_err().lines().count(), 10);
    let said = read(UNIT, Needs::Delivery).0.unwrap_err();
    assert!(said.contains("connectors[0].password") && !said.contains("http."), "{said}");
}

#[test]
fn all_that_can_not_be_read_is_listed() {
    let (config, _) = read(UNIT, Needs::Whatever);
    let config = config.unwrap();
    let unread: Vec<_> =
        config.found.unread.iter().map(|one| (one.key.as_str(), one.complaint.cause)).collect();
    assert_eq!(
        unread,
        [
            ("http.ingest_token", Cause::NotThere),
            ("http.admin_token", Cause::Credential),
            ("telemetry.otlp_endpoint", Cause::NotThere),
            ("network.ca_file", Cause::NotThere),
            ("network.proxy.password", Cause::NotThere),
            ("connectors[0].trigger_url", Cause::Credential),
            ("connectors[0].username", Cause::NotThere),
            ("connectors[0].password", Cause::NotThere),
            ("connectors[0].recipients[0]", Cause::NotThere),
            ("connectors[0].template", Cause::NotThere),
        ]
    );
    assert!(config.connectors.is_empty(), "none is whole without the network's keys");
    assert!(config.masked().contains("# password is not read here"), "{}", config.masked());
    // Without those keys the other one is.
    let without = UNIT.replace("ca_file", "# ca_file").replace("proxy = ", "# proxy = ");
    let connectors = read(&without, Needs::Whatever).0.unwrap().connectors;
    assert_eq!(connectors.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["web"]);
}

#[test]
fn what_is_wrong_in_itself_is_an_error_for_whoever_reads_it() {
    for needs in [Needs::All, Needs::Whatever, Needs::Queue] {
        let said = read(&UNIT.replace("amqp://127.0.0.1", "amqp://${A"), needs).0.unwrap_err();
        assert!(said.contains("has no `}`"), "{said}");
    }
}

#[track_caller]
fn check_changed(from: &str, to: &str, want: &[&str]) {
    assert_eq!(sound(from).changed(&sound(to)), want);
}

#[test]
fn changes_are_named_by_key_and_no_value_is_told() {
    check_changed(CONNECTOR, CONNECTOR, &[]);
    check_changed(CONNECTOR, &format!("# a comment\n\n{CONNECTOR}"), &[]);
    check_changed(CONNECTOR, &CONNECTOR.replace("/x/", "/y/"), &["connectors[0].trigger_url"]);
    check_changed(CONNECTOR, &CONNECTOR.replace("${XM_PASSWORD}", "other"), &["connectors[0].password"]);
    check_changed(CONNECTOR, &CONNECTOR.replace("primary", "second"), &["connectors[0].recipients"]);
    check_changed(CONNECTOR, &format!("[retry]\nmax = \"9m\"\n{CONNECTOR}"), &["retry.max"]);
    let proxy = |password: &str| {
        format!("{CONNECTOR}proxy = {{ url = \"http://p\", username = \"u\", password = \"{password}\" }}")
    };
    check_changed(&proxy("a"), &proxy("b"), &["connectors[0].proxy.password"]);
    let token = |token: &str| format!("[http]\nadmin_token = \"{token}\"\n{CONNECTOR}");
    check_changed(&token("0123456789abcdef"), &token("0123456789abcdeg"), &["http.admin_token"]);
    check_changed(
        &format!("{CONNECTOR}ca_file = \"ca.pem\""),
        &format!("{CONNECTOR}ca_file = \"chain.pem\""),
        &["connectors[0].ca_file"],
    );
}
