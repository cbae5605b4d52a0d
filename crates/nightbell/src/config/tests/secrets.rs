//! Secrets in the wrong place: no problem quotes one, whatever key it was written to.

use std::collections::BTreeSet;

use super::{CONNECTOR, Fixed, keys};
use crate::config::{Config, ConfigError, SMALLEST};

/// A trigger URL, a password and a number that is one: they must never show.
const URL: &str =
    "https://acme.xmatters.com/api/integration/1/functions/planted-7f3/triggers?apiKey=planted-9b1";
const PASSWORD: &str = "planted-Pa55";
const NUMBER: &str = "73141592653";

/// What somebody may write by mistake.
fn values() -> Vec<String> {
    let mut values =
        vec![NUMBER.to_owned(), format!("-{NUMBER}"), format!("{NUMBER}.5"), "1979-05-27".to_owned()];
    for secret in
        [URL, PASSWORD, NUMBER, "-----BEGIN PRIVATE KEY-----\\nplanted\\n-----END PRIVATE KEY-----\\n"]
    {
        values.push(format!("\"{secret}\""));
        values.push(format!("[\"{secret}\"]"));
        values.push(format!("[[\"{secret}\"]]"));
        values.push(format!("{{ \"{secret}\" = \"{secret}\" }}"));
        values.push(format!("{{ url = \"{secret}\", verification = \"{secret}\", high = \"{secret}\" }}"));
    }
    values
}

/// What a file comes to: its problems, or what is shown of it.
fn said(text: &str) -> Result<String, String> {
    let read = Config::parse(text, std::path::Path::new("etc/nightbell.toml"), &Fixed);
    read.map(|config| config.masked().to_owned()).map_err(|error| error.to_string())
}

#[track_caller]
fn check(text: &str) {
    match said(text) {
        Ok(shown) => assert!(!shown.contains("apiKey") && !shown.contains("PRIVATE"), "{text}\n{shown}"),
        Err(said) => assert!(!said.contains("planted") && !said.contains(NUMBER), "{text}\n{said}"),
    }
}

#[test]
fn a_secret_in_any_key_is_never_quoted() {
    let known: Vec<_> = keys::all().collect();
    let tables: BTreeSet<_> = known.iter().filter_map(|key| Some(key.rsplit_once('.')?.0)).collect();
    let unknown = tables.into_iter().map(|table| format!("{table}.unknown_key"));
    for key in unknown.chain(["unknown_key".to_owned()]).chain(known.iter().map(|key| (*key).to_owned())) {
        for value in values() {
            check(&keys::file(&key, &value).0);
        }
    }
}

#[test]
fn a_secret_that_is_no_toml_is_never_quoted() {
    for line in [
        "password = planted-Pa55",
        "password = \"planted-Pa55",
        "password = 'planted-Pa55",
        "password = \"planted\\Pa55\"",
        "password \"planted-Pa55\"",
        "password: planted-Pa55",
        "planted-Pa55",
        "planted-Pa55 = 1",
        "\"planted-Pa55\" = 1",
        "planted1.Pa55 = 1",
        "[planted-Pa55",
        "[planted-Pa55]",
        "[[connectors.planted-Pa55]]",
        "password = \"a\"\npassword = \"planted-Pa55\"",
        "password = \"planted-Pa55\"\npassword = \"planted-Pa55\"",
        "password = \"\"\"planted-Pa55",
        "password = [\"planted-Pa55\"",
        "password = { planted-Pa55 }",
        "password = \"planted\u{1}Pa55\"",
        "password = 73141592653a",
    ] {
        for text in [
            format!("{line}\n{CONNECTOR}"),
            format!("{CONNECTOR}{line}"),
            format!("[queue]\n{line}\n{CONNECTOR}"),
        ] {
            let said = said(&text).expect_err("it has a problem");
            assert!(!said.contains("planted") && !said.contains(NUMBER), "{text}\n{said}");
        }
    }
}

#[test]
fn a_trigger_url_in_a_key_that_is_shown_is_refused() {
    for line in ["report_base_url = \"URL\"", "data_dir = \"URL\""] {
        let said = said(&format!("{line}\n{CONNECTOR}").replace("URL", URL)).unwrap_err();
        assert!(said.contains("is a URL with a secret"), "{said}");
    }
    for line in ["recipients = [\"URL\"]", "client_id = \"URL\"", "ca_file = \"URL\"", "username = \"URL\""] {
        let key = line.split(' ').next().unwrap_or_default();
        let own: Vec<_> = CONNECTOR.lines().filter(|own| !own.starts_with(key)).collect();
        let said = said(&format!("{}\n{line}", own.join("\n")).replace("URL", URL)).unwrap_err();
        assert!(said.contains("is a URL with a secret") || said.contains("has a colon"), "{said}");
    }
}

#[test]
fn what_is_read_takes_no_time_and_no_memory_without_end() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let fifo = |name: &str| {
        let made = std::process::Command::new("mkfifo").arg(at(name)).status().unwrap();
        assert!(made.success());
    };
    let load = |name: &str| {
        Config::load(&at(name), crate::config::Needs::All)
            .map_err(|error| format!("{:#}", anyhow::Error::from(error)))
    };
    fifo("nobody writes.toml");
    assert!(
        load("nobody writes.toml")
            .unwrap_err()
            .contains("it is no file, and did not come to its end within 5 s")
    );
    // As `<(sops -d nightbell.toml)` gives one.
    fifo("somebody writes.toml");
    let writer = std::thread::spawn({
        let to = at("somebody writes.toml");
        move || std::fs::write(to, CONNECTOR.replace("${XM_PASSWORD}", "p")).unwrap()
    });
    assert!(load("somebody writes.toml").is_ok());
    writer.join().unwrap();

    std::fs::create_dir(at("folder")).unwrap();
    std::fs::File::create(at("huge")).unwrap().set_len(1 << 40).unwrap();
    std::os::unix::fs::symlink("/dev/zero", at("zero")).unwrap();
    fifo("pipe");
    for (name, why) in [("folder", "directory"), ("huge", "longer than"), ("zero", "longer than")] {
        let said = load(name).unwrap_err();
        assert!(said.contains(why), "{said}");
    }
    for (name, why) in [
        ("folder", "directory"),
        ("huge", "longer than"),
        ("zero", "longer than"),
        ("pipe", "did not come to its end"),
    ] {
        std::fs::write(
            at("nightbell.toml"),
            SMALLEST.replace("${NIGHTBELL_TRIGGER_URL}", &format!("${{file:{name}}}")),
        )
        .unwrap();
        let said = load("nightbell.toml").unwrap_err();
        assert!(
            said.contains("connectors[0].trigger_url: can't read the file") && said.contains(why),
            "{said}"
        );
    }
    assert!(matches!(
        Config::load(&at("none"), crate::config::Needs::All),
        Err(ConfigError::NotFound { .. })
    ));
}
