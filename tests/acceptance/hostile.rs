//! What a publisher may send that no sound one does.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use nightbell_tests::site::{CONNECTOR, Site, ids};
use nightbell_tests::wait;
use nightbell_tests::wire::{self, Raw};
use serde_json::Value;

/// The port of a broker's URL.
fn port(url: &str) -> Result<u16> {
    url::Url::parse(url)?.port().context("a port")
}

fn event(id: &str) -> String {
    format!(r#"{{"project":"shop","test":"test {id}","id":"{id}"}}"#)
}

pub(crate) async fn a_header_nested_as_deep_as_a_frame_allows_is_one_invalid_dead_letter(
    url: String,
) -> Result<()> {
    let (site, port) = (Site::new(&url).await?, port(&url)?);
    let worker = site.worker().await?;
    let (exchange, dead) = (format!("{}.events", site.prefix()), format!("{}.dead", site.prefix()));
    let invalid = format!(r#"nightbell_dead_letters_total{{connector="{CONNECTOR}",reason="invalid"}}"#);
    let raw = |kinds: &[u8], name: &[u8]| {
        let deep = wire::nested(kinds, wire::room_for_header(name));
        assert!(deep.len() > 130_000, "{}", deep.len());
        Some((wire::HEADERS, wire::table(&[(name, deep)])))
    };
    let mut sent = Vec::new();
    for (kinds, name) in [(&b"F"[..], &b"deep"[..]), (b"A", b"x-death"), (b"AF", b"deep")] {
        let (id, around) = (format!("deep-{}", sent.len()), ids(&format!("around{}", sent.len()), 2));
        let body = event(&id);
        let (property, body) = (raw(kinds, name), body.as_bytes());
        site.publish(&around[..1]).await?;
        wire::publish(port, Raw { exchange: &exchange, key: b"event.shop", property, body }).await?;
        site.publish(&around[1..]).await?;
        site.all_accepted(&around).await?;
        sent.push(id);
        // RabbitMQ itself takes long over such a header, the longer the more there is to do on the machine.
        let count = f64::from(u32::try_from(sent.len())?);
        for _ in 0..5 {
            let there = wait::until("the dead letter", || async {
                (site.metric(&invalid).await.ok()? >= count).then_some(())
            });
            if there.await.is_ok() {
                break;
            }
        }
        ensure!(site.metric(&invalid).await? == count, "{}", worker.log()?);
    }
    // Also where no worker looks before the operator does.
    let (property, body) = (raw(b"A", b"deep"), event("straight"));
    wire::publish(port, Raw { exchange: "", key: dead.as_bytes(), property, body: body.as_bytes() }).await?;
    sent.push("straight".to_owned());
    let letters = site.dead().await?;
    ensure!(letters.len() == sent.len(), "{letters:#?}");
    let invalid: Vec<&Value> = letters.iter().filter(|letter| letter["reason"] == "invalid").collect();
    ensure!(invalid.len() == 3, "{letters:#?}");
    for letter in &invalid {
        let detail = letter["detail"].as_str().unwrap_or_default();
        ensure!(detail.contains("is nested deeper than 16 levels"), "{detail}");
    }
    let exported = site.nightbell(&["dead", "export"]).await?.success()?;
    ensure!(sent.iter().all(|id| exported.contains(&event(id).replace('"', "\\\""))), "{exported}");
    let id = invalid[0]["id"].as_str().context("an id")?;
    let shown = site.nightbell(&["dead", "show", id]).await?.success()?;
    ensure!(shown.contains("\"project\": \"shop\""), "{shown}");
    site.nightbell(&["dead", "discard", "--id", id, "--yes"]).await?.success()?;
    let gone = invalid[0]["event_id"].as_str().context("an event's id")?;
    // A replay sends the body without the header.
    site.nightbell(&["dead", "replay"]).await?.success()?;
    sent.retain(|id| id != gone);
    site.all_accepted(&sent).await?;
    site.accepted_once(&sent)?;
    ensure!(site.dead().await?.is_empty());
    let log = worker.log()?;
    ensure!(!log.contains("connection failed"), "a connection was lost:\n{log}");
    ensure!(worker.terminate().await?.success(), "it is the worker that was started");
    site.close().await
}

pub(crate) async fn thousands_of_headers_cost_one_line_and_little_time(url: String) -> Result<()> {
    let (site, port) = (Site::new(&url).await?, port(&url)?);
    let worker = site.worker().await?;
    let exchange = format!("{}.events", site.prefix());
    // A name of three characters and a flag: six bytes each.
    let letter = |digit: u32| b'a' + u8::try_from(digit).unwrap_or_default();
    let names: Vec<[u8; 3]> =
        (0..21_000_u32).map(|number| [number / 900, number / 30 % 30, number % 30].map(letter)).collect();
    let headers: Vec<_> = names.iter().map(|name| (&name[..], b"t\x01".to_vec())).collect();
    let property = Some((wire::HEADERS, wire::table(&headers)));
    // Refused once, so that it is published again with its headers.
    site.fake.script([fake_xmatters::Answer::status(503)]);
    let body = event("many");
    let began = Instant::now();
    wire::publish(port, Raw { exchange: &exchange, key: b"event.shop", property, body: body.as_bytes() })
        .await?;
    site.all_accepted(&["many".to_owned()]).await?;
    println!("a message with 21,000 headers took {:?} with its retry", began.elapsed());
    let log = worker.log()?;
    let lines = log.lines().filter(|line| line.contains("headers")).count();
    ensure!(lines == 1, "{lines} lines:\n{log}");
    ensure!(log.contains("left_out=20744"), "{log}");
    drop(worker);
    site.close().await
}
