//! HTTP/1.1 by hand, on one connection: reading requests, and sending answers well or badly.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{sleep, timeout};

use crate::answer::{Answer, Kind};
use crate::tls::Stream;

/// The largest request body taken, in bytes. A larger one is answered 413.
pub const REQUEST_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The largest request head taken, in bytes. A larger one is answered 431.
pub const HEAD_BYTES_MAX: usize = 32 * 1024;

/// How long a connection may say nothing before it is closed, and how long [`Kind::Hang`] hangs.
pub const IDLE_MAX: Duration = Duration::from_secs(300);

/// How long, and how much, is still read of a caller who has been told that the connection ends. Closing with unread
/// bytes would reset the connection and might destroy the answer on its way.
const LINGER_MAX: Duration = Duration::from_secs(2);
const LINGER_BYTES_MAX: usize = 16 * 1024 * 1024;

const HEADERS_MAX: usize = 64;

/// The buffer of a quiet connection, in bytes; a larger one is given back after its request.
const BUFFER_BYTES: usize = 4 * 1024;

/// A request, as far as it matters here.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// The path and the query.
    pub(crate) target: String,
    pub(crate) content_type: Option<String>,
    pub(crate) authorization: Option<String>,
    pub(crate) traceparent: Option<String>,
    /// Whether the caller wants to go on with this connection.
    pub(crate) keep_alive: bool,
    pub(crate) body: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
    Other,
}

/// Why no request could be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// The caller is gone, or has been silent for too long.
    Gone,
    /// What it says can't be answered but with this status.
    Status(u16),
}

/// Whether the connection can be used again.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum After {
    KeepAlive,
    Close,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: Stream,
    buffer: Vec<u8>,
}

/// A parsed head.
struct Head {
    request: Request,
    head_len: usize,
    body_len: usize,
}

impl Wire {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream, buffer: Vec::with_capacity(BUFFER_BYTES) }
    }

    /// Reads the next request.
    pub(crate) async fn read(&mut self) -> Result<Request, Unreadable> {
        let head = loop {
            if let Some(head) = parse(&self.buffer)? {
                break head;
            }
            if self.buffer.len() >= HEAD_BYTES_MAX {
                return Err(Unreadable::Status(431));
            }
            self.fill(BUFFER_BYTES).await?;
        };
        let Head { mut request, head_len, body_len } = head;
        let whole_len = head_len + body_len;
        while self.buffer.len() < whole_len {
            self.fill(whole_len - self.buffer.len()).await?;
        }
        request.body = self.buffer[head_len..whole_len].to_vec();
        self.buffer.drain(..whole_len);
        self.buffer.shrink_to(BUFFER_BYTES);
        Ok(request)
    }

    /// Sends an answer in its manner.
    pub(crate) async fn send(
        &mut self,
        answer: &Answer,
        request_id: Option<&str>,
        keep_alive: bool,
    ) -> io::Result<After> {
        if !answer.delay.is_zero() && self.gone_within(answer.delay).await {
            return Ok(After::Close);
        }
        let rendered = answer.render(request_id, keep_alive);
        let (bytes, head_len) = (&rendered.bytes, rendered.head_len);
        let half_body = head_len + (bytes.len() - head_len) / 2;
        match answer.kind {
            Kind::Whole => self.write(bytes).await?,
            Kind::SlowBytes { bytes: size, every } => {
                for part in bytes.chunks(size.max(1)) {
                    self.write(part).await?;
                    sleep(every).await;
                }
            }
            Kind::HalfThenClose => return self.send_last(&bytes[..half_body]).await,
            Kind::HalfHeadThenClose => return self.send_last(&bytes[..head_len / 2]).await,
            Kind::Garbage => return self.send_last(b"\x00\x16\xff\xfenot HTTP at all\r\n\r\n\x03").await,
            Kind::Close => return Ok(After::Close),
            Kind::Reset => {
                self.stream.set_zero_linger()?;
                return Ok(After::Close);
            }
            Kind::Hang => {
                self.gone_within(IDLE_MAX).await;
                return Ok(After::Close);
            }
        }
        Ok(if keep_alive { After::KeepAlive } else { After::Close })
    }

    /// Ends the sending side and reads what the caller is still sending, so that the last answer arrives.
    pub(crate) async fn linger(mut self) {
        if self.stream.shutdown().await.is_err() {
            return;
        }
        let read_on = async {
            let (mut left, mut scratch) = (LINGER_BYTES_MAX, vec![0; 16 * 1024]);
            while let Ok(size @ 1..) = self.stream.read(&mut scratch).await {
                left = left.saturating_sub(size);
                if left == 0 {
                    break;
                }
            }
        };
        timeout(LINGER_MAX, read_on).await.ok();
    }

    async fn send_last(&mut self, bytes: &[u8]) -> io::Result<After> {
        self.write(bytes).await?;
        Ok(After::Close)
    }

    /// TLS keeps what the socket does not take at once, until it is flushed.
    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Waits, and says whether the caller left meanwhile. What it sends meanwhile stays for the next read.
    async fn gone_within(&mut self, wait: Duration) -> bool {
        let gone = async {
            while self.buffer.len() < HEAD_BYTES_MAX {
                if self.fill(BUFFER_BYTES).await.is_err() {
                    return;
                }
            }
            std::future::pending::<()>().await;
        };
        timeout(wait, gone).await.is_ok()
    }

    /// Reads at least one byte.
    async fn fill(&mut self, room: usize) -> Result<(), Unreadable> {
        self.buffer.reserve(room);
        match timeout(IDLE_MAX, self.stream.read_buf(&mut self.buffer)).await {
            Ok(Ok(1..)) => Ok(()),
            Ok(Ok(0) | Err(_)) | Err(_) => Err(Unreadable::Gone),
        }
    }
}

/// Parses a head, once it is whole.
fn parse(buffer: &[u8]) -> Result<Option<Head>, Unreadable> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    let head_len = match parsed.parse(buffer) {
        Ok(httparse::Status::Complete(head_len)) => head_len,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Unreadable::Status(431)),
        Err(_) => return Err(Unreadable::Status(400)),
    };
    let header = |wanted: &str| {
        let found = parsed.headers.iter().find(|header| header.name.eq_ignore_ascii_case(wanted))?;
        str::from_utf8(found.value).ok().map(str::trim)
    };
    let method = match parsed.method {
        Some("POST") => Method::Post,
        Some("GET") => Method::Get,
        Some(_) | None => Method::Other,
    };
    let chunked = header("transfer-encoding").is_some();
    let body_len = match header("content-length") {
        Some(length) if !chunked => length.parse().map_err(|_| Unreadable::Status(400))?,
        None if method == Method::Get && !chunked => 0,
        Some(_) | None => return Err(Unreadable::Status(411)),
    };
    if body_len > REQUEST_BYTES_MAX {
        return Err(Unreadable::Status(413));
    }
    let wish = header("connection");
    let request = Request {
        method,
        target: parsed.path.unwrap_or_default().to_owned(),
        content_type: header("content-type").map(str::to_owned),
        authorization: header("authorization").map(str::to_owned),
        traceparent: header("traceparent").map(str::to_owned),
        keep_alive: parsed.version == Some(1) && !wish.is_some_and(|wish| wish.eq_ignore_ascii_case("close")),
        body: Vec::new(),
    };
    Ok(Some(Head { request, head_len, body_len }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(head: &str, status: u16) {
        assert_eq!(parse(head.as_bytes()).map(drop), Err(Unreadable::Status(status)), "{head}");
    }

    #[test]
    fn what_can_not_be_read_has_its_status() {
        check("\x16\x03\x01 hello", 400);
        check("POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400);
        check("POST / HTTP/1.1\r\n\r\n", 411);
        check("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411);
        check("POST / HTTP/1.1\r\nContent-Length: 4194305\r\n\r\n", 413);
        check(&format!("POST / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(HEADERS_MAX + 1)), 431);
    }

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let whole = "POST /a?b HTTP/1.1\r\nCONTENT-length: 3\r\nauthorization: Basic x\r\n\r\n{}";
        for end in 0..whole.len() - 2 {
            assert!(matches!(parse(&whole.as_bytes()[..end]), Ok(None)), "{end}");
        }
        let head = parse(whole.as_bytes()).unwrap().unwrap();
        assert_eq!((head.head_len, head.body_len), (whole.len() - 2, 3));
        assert_eq!((head.request.method, head.request.target.as_str()), (Method::Post, "/a?b"));
        assert_eq!(head.request.authorization.as_deref(), Some("Basic x"));
        assert!(head.request.keep_alive);
    }

    #[test]
    fn a_connection_ends_when_the_caller_says_so_or_is_old() {
        for head in ["GET / HTTP/1.1\r\nConnection: Close\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"] {
            assert!(!parse(head.as_bytes()).unwrap().unwrap().request.keep_alive, "{head}");
        }
    }
}
