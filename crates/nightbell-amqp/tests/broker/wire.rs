//! AMQP by hand, for what no client library would send.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;

/// Publishes `{}` with a message id of any bytes, as the default user to the default virtual host.
pub(crate) async fn publish_with_raw_id(port: u16, exchange: &str, id: &[u8]) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(b"AMQP\x00\x00\x09\x01").await.unwrap();
    receive(&mut stream).await;
    let start_ok =
        [&[0, 10, 0, 11, 0, 0, 0, 0], &short(b"PLAIN")[..], b"\0\0\0\x0c\0guest\0guest", &short(b"en_US")];
    send(&mut stream, METHOD, 0, &start_ok.concat()).await;
    let tune = receive(&mut stream).await;
    // The same limits as the broker's, and no heartbeat.
    send(&mut stream, METHOD, 0, &[&[0, 10, 0, 31], &tune[4..10], &[0, 0]].concat()).await;
    send(&mut stream, METHOD, 0, &[&[0, 10, 0, 40], &short(b"/")[..], &short(b""), &[0]].concat()).await;
    receive(&mut stream).await;
    send(&mut stream, METHOD, 1, &[0, 20, 0, 10, 0]).await;
    receive(&mut stream).await;
    let publish = [&[0, 60, 0, 40, 0, 0], &short(exchange.as_bytes())[..], &short(b"key"), &[0]];
    send(&mut stream, METHOD, 1, &publish.concat()).await;
    // Class, weight, body size, and the flag of the message id.
    let header = [&[0, 60, 0, 0], &2_u64.to_be_bytes()[..], &[0, 0x80], &short(id)];
    send(&mut stream, HEADER, 1, &header.concat()).await;
    send(&mut stream, BODY, 1, b"{}").await;
    // The answer to a close comes after all before it was handled.
    send(&mut stream, METHOD, 1, &[0, 20, 0, 40, 0, 200, 0, 0, 0, 0, 0]).await;
    assert_eq!(receive(&mut stream).await[..4], [0, 20, 0, 41], "the broker refused the message");
}

fn short(text: &[u8]) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()], text].concat()
}

async fn send(stream: &mut TcpStream, kind: u8, channel: u8, payload: &[u8]) {
    let size = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let frame = [&[kind, 0, channel], &size[..], payload, &[0xce]].concat();
    stream.write_all(&frame).await.unwrap();
}

async fn receive(stream: &mut TcpStream) -> Vec<u8> {
    let mut head = [0; 7];
    stream.read_exact(&mut head).await.unwrap();
    let size = usize::from(head[5]) << 8 | usize::from(head[6]);
    let mut payload = vec![0; size + 1];
    stream.read_exact(&mut payload).await.unwrap();
    payload.truncate(size);
    payload
}
