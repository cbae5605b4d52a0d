//! The hostile sender over HTTP.

use std::time::Duration;

use anyhow::Result;
use futures::future::try_join_all;
use nightbell_tests::site::Site;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Shared, bytes, event};

/// How long it waits for an answer that it does not care about.
const ANSWER_WAIT_MAX: Duration = Duration::from_millis(500);

/// The most of an answer that it reads, in bytes.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

const PATHS: [&str; 9] = [
    "/v1/events",
    "/v1/events?partial=true",
    "/v1/reports?project=hostile",
    "/v1/apifortress",
    "/v1/dead-letters",
    "/v1/status",
    "/metrics",
    "/readyz",
    "/%2e%2e/%00?\u{ff}",
];

/// How many requests are under way at one time: most wait for an answer that never comes.
const SENDERS: u64 = 8;

/// Sends hostile requests until it is over. Each has a connection of its own: what is not HTTP costs it anyhow.
pub(super) async fn send(site: &Site, seed: u64, shared: &Shared) -> Result<()> {
    let address = site.url("").replace("http://", "");
    try_join_all((0..SENDERS).map(|sender| send_one_by_one(&address, seed + sender, shared))).await.map(drop)
}

async fn send_one_by_one(address: &str, seed: u64, shared: &Shared) -> Result<()> {
    let mut random = SmallRng::seed_from_u64(seed);
    while shared.goes_on() {
        let request = request(address, &mut random);
        if taken(address, &request).await.unwrap_or(false) {
            shared.took();
        }
    }
    Ok(())
}

/// Whether it was answered with 202. One that is cut off in the midst may be taken without being counted.
async fn taken(address: &str, request: &[u8]) -> Result<bool> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request).await?;
    let mut answer = Vec::new();
    // An end without an answer, or none in time, is as good as any.
    drop(timeout(ANSWER_WAIT_MAX, (&mut stream).take(ANSWER_BYTES_MAX).read_to_end(&mut answer)).await);
    Ok(answer.starts_with(b"HTTP/1.1 202"))
}

fn request(host: &str, random: &mut SmallRng) -> Vec<u8> {
    if random.random_bool(0.1) {
        return bytes(random, 20_000);
    }
    let method = ["POST", "POST", "POST", "GET", "PUT", "X"][random.random_range(0..6)];
    let path = PATHS[random.random_range(0..PATHS.len())];
    let body = event(random);
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n").into_bytes();
    match random.random_range(0..10) {
        0 => head.extend(b"content-encoding: gzip\r\n"),
        1 => head.extend([&b"x-odd: "[..], &bytes(random, 9_000), b"\r\n"].concat()),
        2 => (0..random.random_range(1..300)).for_each(|_| head.extend(b"x-many: 1\r\n")),
        3 => head.extend(b"content-length: 18446744073709551615\r\n"),
        4 => head.extend(b"transfer-encoding: chunked\r\n"),
        5 => head.extend(b"expect: 100-continue\r\n"),
        _ => {}
    }
    let kind = ["application/json", "application/x-ndjson", "text/xml", "\u{1b}"][random.random_range(0..4)];
    head.extend(format!("content-type: {kind}\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes());
    head.extend(body);
    head
}
