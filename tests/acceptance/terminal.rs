//! What reaches a terminal: texts from outside are in all that people read, and must not drive it.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use anyhow::{Context as _, Result, ensure};
use fake_xmatters::Answer;
use nightbell_tests::program::{self, Ended};
use nightbell_tests::site::{CONNECTOR, EMBEDDED, Site};
use nightbell_tests::wait;
use rustix::process::Signal;
use serde_json::{Value, json};

/// Escapes of C0 and C1, a bell, overrides and isolates of direction, characters without a width, separators, a BOM, tags
/// and a selector that chooses nothing.
const HOSTILE: &str = "x\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{85}\u{202e}gnp\u{2066}a\u{2069}\u{200b}\u{200e}\u{2028}b\u{2029}\
                       \u{feff}c\u{ad}\u{e0041}\u{e0100}d\u{fe0f}\u{7f}\r\u{8}y";

/// What a terminal may get: the text of all languages, and line ends.
fn is_fit(text: &str) -> Result<()> {
    let harmful = |character: char| {
        let is_control = character.is_control() && character != '\n';
        let code = u32::from(character);
        let is_hidden = matches!(code, 0xad | 0x61c | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfe00..=0xfe0f | 0xfeff | 0xe0000..=0xe0fff);
        is_control || is_hidden
    };
    let found = text.char_indices().find(|(_, character)| harmful(*character));
    let Some((at, character)) = found else { return Ok(()) };
    let from = text[..at].rfind('\n').map_or(0, |line| line + 1);
    anyhow::bail!("{character:?} in {:?}", text[from..].lines().next().unwrap_or_default())
}

/// Checks what a command printed on both sides, and gives it.
async fn fit(site: &Site, arguments: &[&str], stdin: &[u8]) -> Result<Ended> {
    let ended = program::run("nightbell", site.folder(), arguments, stdin).await?;
    for text in [&ended.stdout, &ended.stderr] {
        is_fit(text).with_context(|| format!("{arguments:?}"))?;
    }
    Ok(ended)
}

pub(crate) async fn hostile_texts_do_not_reach_the_terminal_by_any_command(_: String) -> Result<()> {
    let site = Site::new(EMBEDDED).await?;
    site.fake.set_default(Answer::status(400).text(format!("no group {HOSTILE}")));
    let worker = site.worker().await?;
    let event = json!({
        "project": format!("shop {HOSTILE}"), "test": format!("buys {HOSTILE}"), "id": format!("1 {HOSTILE}"),
        "message": HOSTILE, "details": HOSTILE, "suite": HOSTILE, "environment": HOSTILE, "run_id": HOSTILE,
        "tags": [HOSTILE], "labels": { HOSTILE: HOSTILE },
    })
    .to_string();
    fit(&site, &["publish"], event.as_bytes()).await?.success()?;
    wait::until("a dead letter", || async { (site.dead().await.ok()?.len() == 1).then_some(()) }).await?;
    std::fs::write(site.folder().join("event.json"), &event)?;

    let dead = site.dead().await?;
    ensure!(dead[0]["test"] == format!("buys {HOSTILE}"), "JSON stays exact: {dead:?}");
    let id = dead[0]["id"].as_str().context("an id")?[..12].to_owned();
    for (arguments, shown) in [
        (&["dead", "list"][..], "buys"),
        (&["dead", "list", "--json"], "buys"),
        (&["dead", "groups"], "no group"),
        (&["dead", "groups", "--json"], "no group"),
        (&["dead", "show", &id], "buys"),
        (&["dead", "show", &id, "--json"], "buys"),
        (&["dead", "export"], "buys"),
        (&["dead", "replay", "--dry-run"], "buys"),
        (&["status"], CONNECTOR),
        (&["route", "event.json"], "buys"),
        (&["route", "event.json", "--json"], "buys"),
        (&["connectors", "list"], CONNECTOR),
        (&["check"], CONNECTOR),
    ] {
        let ended = fit(&site, arguments, b"").await?;
        ensure!(ended.code == Some(0) && ended.stdout.contains(shown), "{arguments:?}: {ended:?}");
    }
    let bodies = fit(&site, &["dead", "export"], b"").await?.success()?;
    let letter: Value = serde_json::from_str(&bodies)?;
    ensure!(letter["body"] == event, "an export is exact");
    ensure!(fit(&site, &["connectors", "test", CONNECTOR], b"").await?.code != Some(0));
    fit(&site, &["connectors", "test", CONNECTOR, "--dry-run"], b"").await?.success()?;

    error_texts_are_fit(&site).await?;

    site.configure_more(&format!(
        "[[alert_groups]]\nname = '''{}'''\nconnectors = [\"none\"]",
        HOSTILE.replace(['\u{7}', '\u{1b}', '\u{7f}', '\r', '\u{8}'], "")
    ))?;
    fit(&site, &["check"], b"").await?;
    worker.signal(Signal::HUP)?;
    wait::until("a reload that failed", || async {
        worker.log().ok()?.contains("was not reloaded").then_some(())
    })
    .await?;
    is_fit(&worker.log()?)?;
    ensure!(worker.terminate().await?.success());
    Ok(())
}

/// Error texts quote what was given.
async fn error_texts_are_fit(site: &Site) -> Result<()> {
    std::fs::write(site.folder().join("bad.json"), format!("{{\"project\": \"{HOSTILE}\""))?;
    for arguments in [
        &["dead", "show", HOSTILE][..],
        &["connectors", "test", HOSTILE],
        &["route", "bad.json"],
        &["route", HOSTILE],
        &["--config", HOSTILE, "check"],
        &["publish", HOSTILE],
        &["publish", "--fail-open", HOSTILE],
        &[HOSTILE],
        &["dead", "list", "--since", HOSTILE],
        &["--log", HOSTILE, "check"],
    ] {
        let arguments: Vec<&str> = arguments.iter().map(|text| text.trim_matches('\0')).collect();
        fit(site, &arguments, b"").await?;
    }
    fit(site, &["publish"], format!("{HOSTILE}\n{{\"test\": \"{HOSTILE}\"}}\n").as_bytes()).await?;
    let report = format!("<testsuite name=\"s\"><testcase name=\"{HOSTILE}\"><failure>{HOSTILE}");
    std::fs::write(site.folder().join("report.xml"), report)?;
    fit(site, &["publish", "--project", HOSTILE, "report.xml"], b"").await?;
    Ok(())
}

pub(crate) async fn a_foreign_listener_does_not_reach_the_terminal(_: String) -> Result<()> {
    let status = json!({
        "version": HOSTILE, "ready": false, "missing": [format!("{HOSTILE}\nnightbell: all is well")],
        "queue": { "at": HOSTILE, "connected": false, "dead_letters": null },
        "ledger": { "entries": 1, "failure": HOSTILE },
        "connectors": [{
            "name": HOSTILE, "depth": 1, "in_hand": 0, "in_flight": 0, "breaker": "closed",
            "paused_until": HOSTILE, "oldest_seconds": 1, "halted": false,
        }],
    });
    let site = Site::new(EMBEDDED).await?;
    let address = site.url("").replace("http://", "");
    let listener = TcpListener::bind(&address)?;
    // It says the same to everybody, and lives as long as the test.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut request = [0; 4096];
            let read = stream.read(&mut request).unwrap_or_default();
            let is_health = request[..read].windows(7).any(|bytes| bytes == b"/readyz");
            let code = if is_health { "503 Service Unavailable" } else { "200 OK" };
            let body = status.to_string();
            let head =
                format!("HTTP/1.1 {code}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            drop(stream.write_all(format!("{head}{body}").as_bytes()));
        }
    });
    // It can't prove that it is this configuration's worker, so its status is not told.
    for command in [&["status"][..], &["status", "--json"]] {
        let said = fit(&site, command, b"").await?;
        ensure!(said.code == Some(69) && said.stderr.lines().count() == 1, "{said:?}");
        ensure!(!format!("{}{}", said.stdout, said.stderr).contains("all is well"), "{said:?}");
    }
    // What is not ready is asked of whoever listens there, and told in one line.
    let said = fit(&site, &["health", "--ready"], b"").await?;
    ensure!(said.code == Some(69) && said.stderr.lines().count() == 1, "{said:?}");
    fit(&site, &["dead", "list"], b"").await?;
    Ok(())
}
