//! Keys of the configuration, and whole configurations.

use std::collections::BTreeSet;

use crate::Wrong;
use crate::page::pages;
use crate::program::{nightbell, printed};

/// What looks like a key of a table of ours and is none.
const OTHERS: [&str; 3] = ["queue.redb", "worker.key", "labels.x"];
/// Keys of other programs' files that are shown.
const FOREIGN: [&str; 2] = ["path", "frame_max"];

/// A certificate of an authority that signs nothing, good until 2126.
const AUTHORITY: &str = include_str!("authority.pem");

/// All keys: `table.key`, `key`, and `[table]`.
fn known() -> BTreeSet<String> {
    let folder = tempfile::tempdir().unwrap();
    printed(nightbell(folder.path(), &["init", "--full"]));
    let text = std::fs::read_to_string(folder.path().join("nightbell.toml")).unwrap();
    let (mut keys, mut table) = (BTreeSet::new(), String::new());
    for line in text.lines() {
        let line = line.trim_start_matches(['#', ' ']);
        if let Some(name) = line.strip_prefix('[') {
            table = name.trim_start_matches('[').split(']').next().unwrap().to_owned();
            keys.insert(format!("[{table}]"));
        }
        let Some((key, value)) = line.split_once(" = ").filter(|(key, _)| is_name(key)) else { continue };
        keys.extend([key.to_owned(), format!("{table}.{key}")]);
        for inner in value.split(['{', ',']).skip(1).filter_map(|part| part.split_once(" = ")) {
            keys.insert(format!("{key}.{}", inner.0.trim()));
        }
    }
    assert!(keys.len() > 80, "{keys:?}");
    keys
}

fn is_name(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

#[test]
fn every_key_that_is_told_of_is_one() {
    let (known, mut wrong) = (known(), Wrong::default());
    let tables: BTreeSet<_> =
        known.iter().filter_map(|key| key.split_once('.')).map(|(table, _)| table).collect();
    for page in pages().iter().filter(|page| page.is_of_today()) {
        for span in page.spans() {
            let words = span.trim_start_matches(|sign| sign != ' ').trim_start();
            let set = if span.starts_with('[') { words } else { &span };
            let key = set.split_once(" = ").map_or(&*span, |(key, _)| key);
            let is_dotted =
                key.split_once('.').is_some_and(|(table, rest)| tables.contains(table) && is_name(rest));
            let is_set = is_name(key) && span.contains(" = ");
            let is_table =
                span.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).is_some_and(is_name);
            if (is_dotted || is_set || is_table) && !OTHERS.contains(&key) && !FOREIGN.contains(&key) {
                wrong.unless(known.contains(key), page, &span);
            }
        }
    }
}

#[test]
fn every_configuration_that_is_shown_is_one() {
    let mut count = 0;
    for page in pages() {
        for text in page.blocks("toml") {
            let folder = tempfile::tempdir().unwrap();
            let place = format!("{}/", folder.path().display());
            for name in ["nightbell.toml", "company-ca.pem", "sre-trigger-url"] {
                let text = match name {
                    "nightbell.toml" => &text.replace("/run/secrets/", &place),
                    "company-ca.pem" => AUTHORITY,
                    _ => "https://acme.xmatters.com/api/integration/1/functions/1/triggers",
                };
                std::fs::write(folder.path().join(name), text).unwrap();
            }
            let mut check = nightbell(folder.path(), &["check"]);
            check.env(
                "PAYMENTS_TRIGGER_URL",
                "https://acme.xmatters.com/api/integration/1/functions/2/triggers?apiKey=k",
            );
            for name in ["AMQP_PASSWORD", "PROXY_PASSWORD", "XM_PASSWORD"] {
                check.env(name, "not-a-secret");
            }
            printed(check);
            count += 1;
        }
    }
    assert!(count > 0);
}
