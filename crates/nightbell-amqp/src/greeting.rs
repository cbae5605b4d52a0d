//! The broker's greeting, which tells its product and version. lapin reads it and keeps it to itself.

use std::io;

use futures::future::join_all;
use futures::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use lapin::tcp::AsyncTcpStream;
use lapin::types::parsing::parse_field_table;
use lapin::types::{AMQPValue, FieldTable};
use tokio::time::timeout;

use crate::dial::{Address, addresses};
use crate::error::AmqpError;
use crate::limits::{CONNECT_WAIT_MAX, DIAL_WAIT_MAX, REFUSAL_WAIT_MAX};
use crate::tls::tls_fault;
use crate::url::BrokerUrl;

/// What a client says first.
const PROTOCOL_HEADER: [u8; 8] = *b"AMQP\x00\x00\x09\x01";

/// A frame's type, channel and size.
const FRAME_HEAD_BYTES: usize = 7;

/// The longest greeting that is read.
const GREETING_BYTES_MAX: u32 = 128 * 1024;

/// `connection.start` of version 0-9: class, method, version.
const START: [u8; 6] = [0, 10, 0, 10, 0, 9];

/// How an alert begins, which is how a listener with TLS answers to one that speaks plainly.
const TLS_ALERT: u8 = 21;
const TLS_MAJOR: u8 = 3;

/// A listener with TLS was spoken to plainly.
#[derive(Debug, thiserror::Error)]
#[error("it answered with a TLS alert")]
pub(crate) struct SpeaksTls;

/// What answers at each address of the broker: its product and version, such as `RabbitMQ 3.10.8`, by `host:port`. It does
/// not log in.
pub async fn broker_versions(url: &BrokerUrl) -> Vec<(String, Result<String, AmqpError>)> {
    let (mut addresses, errors) = addresses(url).await;
    addresses.sort_by(|one, other| one.place.cmp(&other.place));
    let unknown = errors.into_iter().map(|error| (String::new(), Err(error)));
    let asked = addresses.iter().map(async |address| (address.place.clone(), version(url, address).await));
    join_all(asked).await.into_iter().chain(unknown).collect()
}

async fn version(url: &BrokerUrl, address: &Address) -> Result<String, AmqpError> {
    let place = address.place.clone();
    match timeout(CONNECT_WAIT_MAX, greeting(url, address)).await {
        Ok(Ok(greeting)) => product(&greeting).ok_or(AmqpError::NoAmqp { place }),
        Ok(Err(cause)) => Err(match tls_fault(&cause, url) {
            Some(fault) => AmqpError::Tls { place, fault },
            None if cause.kind() == io::ErrorKind::InvalidData => AmqpError::NoAmqp { place },
            None => AmqpError::Unreachable { place, source: cause.into() },
        }),
        Err(_) => Err(AmqpError::TimedOut { place, step: "greet", wait: CONNECT_WAIT_MAX }),
    }
}

/// A failed connection, with TLS' part in it if it has one: lapin does not always tell.
pub(crate) async fn explained(error: AmqpError, url: &BrokerUrl, address: &Address) -> AmqpError {
    match version(url, address).await {
        Err(told @ (AmqpError::Tls { .. } | AmqpError::NoAmqp { .. })) => told,
        Ok(_) | Err(_) => error,
    }
}

/// The payload of the broker's first frame.
async fn greeting(url: &BrokerUrl, address: &Address) -> io::Result<Vec<u8>> {
    let runtime = lapin::runtime::default_runtime().map_err(io::Error::other)?;
    let dialled = timeout(DIAL_WAIT_MAX, AsyncTcpStream::connect(&runtime, address.socket)).await;
    let mut stream = dialled.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
    if url.is_tls() {
        stream = stream.into_tls(&address.name, url.tls_config().as_ref()).await?;
        refusal(&mut stream).await?;
    }
    stream.write_all(&PROTOCOL_HEADER).await?;
    stream.flush().await?;
    first_frame(&mut stream).await
}

/// Why the broker does not take our certificate, which TLS 1.3 tells only after the handshake. If we spoke first, its end of
/// the connection could overtake that.
async fn refusal(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    let mut byte = [0];
    match timeout(REFUSAL_WAIT_MAX, stream.read_exact(&mut byte)).await {
        Ok(Ok(())) => Err(io::ErrorKind::InvalidData.into()),
        Ok(Err(refused)) => Err(refused),
        Err(_) => Ok(()),
    }
}

async fn first_frame(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut head = [0; FRAME_HEAD_BYTES];
    stream.read_exact(&mut head).await?;
    if let [TLS_ALERT, TLS_MAJOR, ..] = head {
        return Err(io::Error::other(SpeaksTls));
    }
    let [kind, 0, 0, a, b, c, d] = head else { return Err(io::ErrorKind::InvalidData.into()) };
    let size = u32::from_be_bytes([a, b, c, d]);
    if kind != 1 || size > GREETING_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut payload = Vec::new();
    stream.take(u64::from(size)).read_to_end(&mut payload).await?;
    Ok(payload)
}

fn product(greeting: &[u8]) -> Option<String> {
    let table = greeting.strip_prefix(&START)?;
    let (_, properties) = parse_field_table(table).ok()?;
    Some(format!("{} {}", text(&properties, "product")?, text(&properties, "version")?))
}

fn text(table: &FieldTable, name: &str) -> Option<String> {
    match table.inner().get(name) {
        Some(AMQPValue::LongString(text)) => Some(text.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, value: &str) -> Vec<u8> {
        let length = |text: &str| u8::try_from(text.len()).unwrap();
        let name = [&[length(name)], name.as_bytes(), b"S\0\0\0", &[length(value)], value.as_bytes()];
        name.concat()
    }

    fn start(fields: &[Vec<u8>]) -> Vec<u8> {
        let fields = fields.concat();
        let length = u32::try_from(fields.len()).unwrap().to_be_bytes();
        [&START, length.as_slice(), &fields, b"\0\0\0\0\0\0\0\0"].concat()
    }

    #[test]
    fn product_and_version_are_read_from_the_greeting() {
        let greeting = start(&[field("product", "RabbitMQ"), field("version", "4.0.5")]);
        assert_eq!(product(&greeting), Some("RabbitMQ 4.0.5".into()));
        assert_eq!(product(&start(&[field("product", "RabbitMQ")])), None);
        assert_eq!(product(b"HTTP/1.1 400"), None);
    }

    #[tokio::test]
    async fn only_one_whole_small_method_frame_is_a_greeting() {
        let frame = |head: [u8; 7], payload: &[u8]| [head.as_slice(), payload].concat();
        let read = |bytes: Vec<u8>| async move { first_frame(&mut bytes.as_slice()).await };
        assert_eq!(read(frame([1, 0, 0, 0, 0, 0, 2], b"ab\xce")).await.unwrap(), b"ab");
        assert!(read(frame([1, 0, 0, 255, 0, 0, 2], b"ab")).await.is_err());
        assert!(read(b"HTTP/1.1 400 Bad Request".to_vec()).await.is_err());
        assert!(read(b"AMQP".to_vec()).await.is_err());
    }
}
