//! AMQP by hand, for what no client library would send.

use anyhow::{Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;

/// The most bytes of a frame that RabbitMQ takes unless it is told otherwise.
pub const FRAME_BYTES_MAX: usize = 131_072;

/// The flag of a property of a message, as AMQP numbers them.
pub const CONTENT_TYPE: u16 = 1 << 15;
/// See [`CONTENT_TYPE`].
pub const CONTENT_ENCODING: u16 = 1 << 14;
/// See [`CONTENT_TYPE`].
pub const HEADERS: u16 = 1 << 13;
/// See [`CONTENT_TYPE`].
pub const DELIVERY_MODE: u16 = 1 << 12;
/// See [`CONTENT_TYPE`].
pub const CORRELATION_ID: u16 = 1 << 10;
/// See [`CONTENT_TYPE`].
pub const REPLY_TO: u16 = 1 << 9;
/// See [`CONTENT_TYPE`].
pub const EXPIRATION: u16 = 1 << 8;
/// See [`CONTENT_TYPE`].
pub const MESSAGE_ID: u16 = 1 << 7;
/// See [`CONTENT_TYPE`].
pub const TIMESTAMP: u16 = 1 << 6;
/// See [`CONTENT_TYPE`].
pub const TYPE: u16 = 1 << 5;
/// See [`CONTENT_TYPE`].
pub const APP_ID: u16 = 1 << 3;
/// See [`CONTENT_TYPE`].
pub const CLUSTER_ID: u16 = 1 << 2;

/// A message of any bytes.
#[derive(Debug, Clone)]
pub struct Raw<'a> {
    /// Where it goes; empty: to the queue that the key names.
    pub exchange: &'a str,
    /// Its routing key.
    pub key: &'a [u8],
    /// Its properties by their flags, with their bytes as they go over the wire, the highest flag first.
    pub property: Option<(u16, Vec<u8>)>,
    /// Its body.
    pub body: &'a [u8],
}

/// Publishes one message as the default user to the default virtual host, and waits until the broker has handled it.
///
/// # Errors
/// The broker refused it.
pub async fn publish(port: u16, raw: Raw<'_>) -> Result<()> {
    Wire::connect(port).await?.publish(raw).await
}

/// A connection of the default user to the default virtual host.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    /// The most bytes of a frame that this broker takes.
    frame_max: usize,
}

impl Wire {
    /// Connects to a node.
    ///
    /// # Errors
    /// It can't be reached.
    pub async fn connect(port: u16) -> Result<Self> {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(b"AMQP\x00\x00\x09\x01").await?;
        receive(&mut stream).await?;
        let start_ok = [
            &[0, 10, 0, 11, 0, 0, 0, 0],
            &short(b"PLAIN")[..],
            b"\0\0\0\x0c\0guest\0guest",
            &short(b"en_US"),
        ];
        send(&mut stream, METHOD, 0, &start_ok.concat()).await?;
        let tune = receive(&mut stream).await?;
        let frame_max = usize::try_from(u32::from_be_bytes(tune[6..10].try_into()?))?;
        // The same limits as the broker's, and no heartbeat.
        send(&mut stream, METHOD, 0, &[&[0, 10, 0, 31], &tune[4..10], &[0, 0]].concat()).await?;
        send(&mut stream, METHOD, 0, &[&[0, 10, 0, 40], &short(b"/")[..], &short(b""), &[0]].concat())
            .await?;
        receive(&mut stream).await?;
        Ok(Self { stream, frame_max })
    }

    /// Publishes a message, and waits until the broker has handled it.
    ///
    /// # Errors
    /// The broker refused it, and takes no more over this connection.
    pub async fn publish(&mut self, raw: Raw<'_>) -> Result<()> {
        let Raw { exchange, key, property, body } = raw;
        let Self { stream, frame_max } = self;
        send(stream, METHOD, 1, &[0, 20, 0, 10, 0]).await?;
        receive(stream).await?;
        let publish = [&[0, 60, 0, 40, 0, 0], &short(exchange.as_bytes())[..], &short(key), &[0]];
        send(stream, METHOD, 1, &publish.concat()).await?;
        let (flags, bytes) = property.unwrap_or_default();
        let size = u64::try_from(body.len())?.to_be_bytes();
        // Class, weight, body size, flags.
        send(stream, HEADER, 1, &[&[0, 60, 0, 0], &size[..], &flags.to_be_bytes(), &bytes].concat()).await?;
        for piece in body.chunks(*frame_max - 8) {
            send(stream, BODY, 1, piece).await?;
        }
        // The answer to a close comes after all before it was handled.
        send(stream, METHOD, 1, &[0, 20, 0, 40, 0, 200, 0, 0, 0, 0, 0]).await?;
        let answer = receive(stream).await?;
        ensure!(answer[..4] == [0, 20, 0, 41], "the broker refused the message: {}", answer.escape_ascii());
        Ok(())
    }
}

/// A short string.
#[must_use]
pub fn short(text: &[u8]) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap_or(u8::MAX)], text].concat()
}

/// A table of headers, each with its type and value.
#[must_use]
pub fn table(headers: &[(&[u8], Vec<u8>)]) -> Vec<u8> {
    let entries: Vec<u8> =
        headers.iter().flat_map(|(name, value)| [&short(name), &value[..]].concat()).collect();
    [&length(entries.len())[..], &entries].concat()
}

/// A text as a header's value.
#[must_use]
pub fn text(text: &[u8]) -> Vec<u8> {
    [b"S", &length(text.len())[..], text].concat()
}

/// Tables (`F`) and arrays (`A`) in each other, in this order again and again, as deep as `bytes` allow: a header's value.
#[must_use]
pub fn nested(kinds: &[u8], bytes: usize) -> Vec<u8> {
    let mut levels = Vec::new();
    let mut sizes = 0;
    for kind in kinds.iter().cycle() {
        // Its type and its length, and the empty name of what is in it.
        let size = if *kind == b'F' { 6 } else { 5 };
        if sizes + size > bytes {
            break;
        }
        sizes += size;
        levels.push(*kind);
    }
    // From the inside out, written backwards.
    let (mut inner, mut backwards) = (0, Vec::new());
    for kind in levels.into_iter().rev() {
        if kind == b'F' && inner > 0 {
            backwards.push(0);
            inner += 1;
        }
        backwards.extend(length(inner).into_iter().rev());
        backwards.push(kind);
        inner += 5;
    }
    backwards.reverse();
    backwards
}

/// As many bytes of one header's value as fit into a frame: beside it are the frame's own 8, the 14 of the content header,
/// and the header's name.
#[must_use]
pub fn room_for_header(name: &[u8]) -> usize {
    FRAME_BYTES_MAX - 8 - 14 - 4 - 1 - name.len()
}

fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes()
}

async fn send(stream: &mut TcpStream, kind: u8, channel: u8, payload: &[u8]) -> Result<()> {
    let frame = [&[kind, 0, channel], &length(payload.len())[..], payload, &[0xce]].concat();
    Ok(stream.write_all(&frame).await?)
}

async fn receive(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let mut head = [0; 7];
    stream.read_exact(&mut head).await?;
    let size = usize::from(head[5]) << 8 | usize::from(head[6]);
    let mut payload = vec![0; size + 1];
    stream.read_exact(&mut payload).await?;
    payload.truncate(size);
    Ok(payload)
}
