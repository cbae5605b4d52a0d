//! The hostile publisher over RabbitMQ.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use futures::future::try_join_all;
use nightbell_tests::wire::{self, Raw, Wire};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use url::Url;

use super::{ODD, Shared, bytes, event};

/// What is left of a frame for the value of a header, beside other properties.
const HEADER_BYTES_MAX: usize = wire::FRAME_BYTES_MAX - 4_096;

/// The properties that are short strings, and that RabbitMQ does not look at.
const SHORT_STRINGS: [u16; 7] = [
    wire::CONTENT_TYPE,
    wire::CONTENT_ENCODING,
    wire::CORRELATION_ID,
    wire::REPLY_TO,
    wire::MESSAGE_ID,
    wire::TYPE,
    wire::APP_ID,
];

/// Headers that mean something to us, or to RabbitMQ.
const NAMES: [&str; 14] = [
    "nightbell-attempts",
    "nightbell-replay",
    "nightbell-connector",
    "nightbell-since",
    "nightbell-reason",
    "nightbell-detail",
    "nightbell-history",
    "nightbell-left",
    "x-death",
    "x-first-death-queue",
    "x-delivery-count",
    "traceparent",
    "BCC",
    "CC",
];

/// How many connections publish.
const SENDERS: u64 = 3;

/// Publishes hostile messages until it is over. One that the broker itself refuses costs the connection, and is not counted.
pub(super) async fn send(url: &str, prefix: &str, seed: u64, shared: &Shared) -> Result<()> {
    let (exchange, port) = (format!("{prefix}.events"), Url::parse(url)?.port().context("a port")?);
    let senders = (0..SENDERS).map(|sender| send_one_by_one(port, &exchange, seed + sender, shared));
    try_join_all(senders).await.map(drop)
}

async fn send_one_by_one(port: u16, exchange: &str, seed: u64, shared: &Shared) -> Result<()> {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut wire = Wire::connect(port).await?;
    while shared.goes_on() {
        let property = Some(properties(&mut random));
        let (key, body) = (bytes(&mut random, 255), event(&mut random));
        match wire.publish(Raw { exchange, key: &key, property, body: &body }).await {
            Ok(()) => shared.took(),
            Err(_) => wire = Wire::connect(port).await?,
        }
    }
    Ok(())
}

/// The flags of all properties, and their bytes in the order of the wire.
fn properties(random: &mut SmallRng) -> (u16, Vec<u8>) {
    let mut all = BTreeMap::from([(wire::DELIVERY_MODE, vec![2])]);
    if random.random_bool(0.3) {
        all.insert(wire::TIMESTAMP, random.random::<u64>().to_be_bytes().to_vec());
    }
    if random.random_bool(0.1) {
        all.insert(wire::EXPIRATION, wire::short(b"60000"));
    }
    for flag in SHORT_STRINGS {
        let text = match random.random_range(0..8) {
            0 => bytes(random, 255),
            1 => ODD[random.random_range(0..ODD.len())].into(),
            2 if flag == wire::CONTENT_ENCODING => b"gzip".to_vec(),
            _ => continue,
        };
        all.insert(flag, wire::short(&text));
    }
    if let Some(table) = headers(random) {
        all.insert(wire::HEADERS, table);
    }
    (all.keys().sum(), all.into_values().rev().flatten().collect())
}

fn headers(random: &mut SmallRng) -> Option<Vec<u8>> {
    Some(match random.random_range(0..100) {
        // RabbitMQ itself takes seconds over the deepest.
        0..1 => {
            let kinds = [&b"F"[..], b"A", b"FA"][random.random_range(0..3)];
            wire::table(&[(b"deep", wire::nested(kinds, random.random_range(6..HEADER_BYTES_MAX)))])
        }
        1..10 => {
            let names: Vec<_> = (0..random.random_range(1..HEADER_BYTES_MAX / 12))
                .map(|number| format!("{number:x}"))
                .collect();
            let all: Vec<_> = names.iter().map(|name| (name.as_bytes(), vec![b't', 1])).collect();
            wire::table(&all)
        }
        10..20 => {
            let long = vec![b'x'; random.random_range(0..HEADER_BYTES_MAX)];
            wire::table(&[(b"long", wire::text(&long))])
        }
        20..60 => {
            let all: Vec<_> = (0..random.random_range(1..8)).map(|_| header(random)).collect();
            let all: Vec<_> = all.iter().map(|(name, value)| (&name[..], value.clone())).collect();
            wire::table(&all)
        }
        _ => return None,
    })
}

/// A header that is one of ours, or of a name of any bytes.
fn header(random: &mut SmallRng) -> (Vec<u8>, Vec<u8>) {
    let name = match random.random_range(0..4) {
        0 => bytes(random, 40),
        _ => NAMES[random.random_range(0..NAMES.len())].into(),
    };
    let text = wire::text(ODD[random.random_range(0..ODD.len())].as_bytes());
    let of = |kind: u8, value: &[u8]| [&[kind], value].concat();
    let value = match random.random_range(0..8) {
        0 => of(b't', &[random.random()]),
        1 => of(b'l', &random.random::<i64>().to_be_bytes()),
        2 => of(b'T', &random.random::<u64>().to_be_bytes()),
        3 => of(b'd', &random.random::<u64>().to_be_bytes()),
        4 => of(b'V', &[]),
        5 => of(b'F', &wire::table(&[(b"in", text)])),
        6 => wire::text(&bytes(random, 300)),
        _ => text,
    };
    (name, value)
}
