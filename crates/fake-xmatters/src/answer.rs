//! What the stand-in answers, and how badly.

mod json;

use std::sync::Arc;
use std::time::Duration;

pub use self::json::{BadAnswer, answer_from_json, answers_from_json};

/// One answer to one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Headers beyond `Content-Length` and `Content-Type`; a `Content-Type` here replaces the computed one.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Body,
    /// How long to wait before the first byte. The request counts from its arrival all the same.
    pub delay: Duration,
    /// How the answer is sent.
    pub kind: Kind,
    /// Whether the request counts as accepted whatever the caller sees; none: a 2xx that is sent whole does.
    pub taken: Option<bool>,
}

/// The body of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// As xMatters answers: `{"requestId":"…"}` with a new id for a 2xx, a small JSON object about the error otherwise.
    Native,
    /// This text.
    Text(Arc<str>),
}

/// How an answer is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// As it should be.
    Whole,
    /// The whole head and the first half of the body, then the connection is closed.
    HalfThenClose,
    /// The first half of the head, then the connection is closed.
    HalfHeadThenClose,
    /// Nothing; the connection is closed in order.
    Close,
    /// Nothing; the connection is reset.
    Reset,
    /// Bytes that are no HTTP, then the connection is closed.
    Garbage,
    /// Nothing; the connection stays open until the caller gives up.
    Hang,
    /// The whole answer, a few bytes at a time.
    SlowBytes {
        /// How many bytes at a time, at least 1.
        bytes: usize,
        /// How long to wait between them.
        every: Duration,
    },
}

impl Answer {
    /// 202 with a new `requestId`.
    #[must_use]
    pub fn accepted() -> Self {
        Self::status(202)
    }

    /// This status with the body that xMatters would send.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Body::Native,
            delay: Duration::ZERO,
            kind: Kind::Whole,
            taken: None,
        }
    }

    /// This status with a page of HTML, as a proxy in between sends it.
    #[must_use]
    pub fn html_error(status: u16) -> Self {
        let title = format!("{status} {}", phrase(status));
        let page = format!(
            "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n\
             <hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
        );
        Self::status(status).header("Content-Type", "text/html").text(page)
    }

    /// The whole head of a 202 and half of its body. The request counts as accepted: the caller has seen the status.
    #[must_use]
    pub fn half() -> Self {
        Self::accepted().sent(Kind::HalfThenClose).taken(true)
    }

    /// Half of a 202's head. The request does not count as accepted.
    #[must_use]
    pub fn half_head() -> Self {
        Self::accepted().sent(Kind::HalfHeadThenClose)
    }

    /// A connection that is closed before any byte. The request does not count as accepted.
    #[must_use]
    pub fn close() -> Self {
        Self::accepted().sent(Kind::Close)
    }

    /// A connection that is reset before any byte. The request does not count as accepted.
    #[must_use]
    pub fn reset() -> Self {
        Self::accepted().sent(Kind::Reset)
    }

    /// Bytes that are no HTTP. The request does not count as accepted.
    #[must_use]
    pub fn garbage() -> Self {
        Self::accepted().sent(Kind::Garbage)
    }

    /// No answer at all. The request does not count as accepted.
    #[must_use]
    pub fn hang() -> Self {
        Self::accepted().sent(Kind::Hang)
    }

    /// A 202 that comes `bytes` at a time. The request counts as accepted.
    #[must_use]
    pub fn slow(bytes: usize, every: Duration) -> Self {
        Self::accepted().sent(Kind::SlowBytes { bytes, every })
    }

    /// The same after a wait.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// The same with a `Retry-After`: seconds, an HTTP date, or nonsense.
    #[must_use]
    pub fn retry_after(self, value: &str) -> Self {
        self.header("Retry-After", value)
    }

    /// The same with one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with this body.
    #[must_use]
    pub fn text(self, body: impl Into<Arc<str>>) -> Self {
        Self { body: Body::Text(body.into()), ..self }
    }

    /// The same, sent in another way.
    #[must_use]
    pub fn sent(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    /// The same, counted as accepted or not whatever the caller sees.
    #[must_use]
    pub fn taken(self, taken: bool) -> Self {
        Self { taken: Some(taken), ..self }
    }

    /// Whether a request with this answer counts as accepted.
    #[must_use]
    pub fn counts_as_accepted(&self) -> bool {
        let seen = match self.kind {
            Kind::Whole | Kind::SlowBytes { .. } => true,
            Kind::HalfThenClose
            | Kind::HalfHeadThenClose
            | Kind::Close
            | Kind::Reset
            | Kind::Garbage
            | Kind::Hang => false,
        };
        self.taken.unwrap_or(seen && (200..=299).contains(&self.status))
    }

    /// The head and the body as they go over the wire. `request_id` is the id for a body of our own.
    pub(crate) fn render(&self, request_id: Option<&str>, keep_alive: bool) -> Rendered {
        use std::io::Write as _;

        let native;
        let body = match (&self.body, request_id) {
            _ if has_no_body(self.status) => "",
            (Body::Text(text), _) => text,
            (Body::Native, Some(id)) => {
                native = format!("{{\"requestId\":\"{id}\"}}");
                &native
            }
            (Body::Native, None) => {
                native = format!("{{\"code\":{},\"reason\":\"{}\"}}", self.status, phrase(self.status));
                &native
            }
        };
        let mut bytes = Vec::with_capacity(192 + body.len());
        let mut head = || -> std::io::Result<()> {
            write!(bytes, "HTTP/1.1 {} {}\r\n", self.status, phrase(self.status))?;
            if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
                bytes.write_all(b"Content-Type: application/json\r\n")?;
            }
            for (name, value) in &self.headers {
                write!(bytes, "{name}: {value}\r\n")?;
            }
            if !keep_alive {
                bytes.write_all(b"Connection: close\r\n")?;
            }
            if !has_no_body(self.status) {
                write!(bytes, "Content-Length: {}\r\n", body.len())?;
            }
            bytes.write_all(b"\r\n")
        };
        head().expect("a Vec takes all bytes");
        let head_len = bytes.len();
        bytes.extend_from_slice(body.as_bytes());
        Rendered { bytes, head_len }
    }
}

/// An answer's bytes.
pub(crate) struct Rendered {
    /// All of them.
    pub(crate) bytes: Vec<u8>,
    /// How many of them are the head.
    pub(crate) head_len: usize,
}

/// The statuses whose answers never have a body (RFC 9110 6.4.1).
fn has_no_body(status: u16) -> bool {
    matches!(status, 100..=199 | 204 | 304)
}

fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Unnamed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(answer: &Answer, id: Option<&str>) -> String {
        String::from_utf8(answer.render(id, true).bytes).unwrap()
    }

    #[test]
    fn a_202_carries_its_request_id() {
        let whole = text(&Answer::accepted(), Some("i"));
        assert_eq!(
            whole,
            "HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n\
             {\"requestId\":\"i\"}"
        );
    }

    #[test]
    fn an_error_has_a_small_object_and_its_headers() {
        let whole = text(&Answer::status(429).retry_after("5"), None);
        assert!(whole.contains("\r\nRetry-After: 5\r\n"), "{whole}");
        assert!(whole.ends_with("{\"code\":429,\"reason\":\"Too Many Requests\"}"), "{whole}");
    }

    #[test]
    fn a_page_of_html_says_that_it_is_one() {
        let whole = text(&Answer::html_error(502), None);
        assert!(whole.contains("\r\nContent-Type: text/html\r\n"), "{whole}");
        assert!(!whole.contains("application/json"), "{whole}");
    }

    #[test]
    fn a_204_has_neither_body_nor_length() {
        assert!(text(&Answer::status(204), Some("i")).ends_with("application/json\r\n\r\n"));
    }

    #[test]
    fn only_a_whole_2xx_counts_as_accepted_unless_told_otherwise() {
        let slow = Answer::slow(1, Duration::ZERO);
        for answer in
            [Answer::accepted(), Answer::status(204), slow, Answer::half(), Answer::hang().taken(true)]
        {
            assert!(answer.counts_as_accepted(), "{answer:?}");
        }
        let lost = [Answer::half_head(), Answer::close(), Answer::reset(), Answer::garbage(), Answer::hang()];
        for answer in lost.into_iter().chain([Answer::status(503), Answer::accepted().taken(false)]) {
            assert!(!answer.counts_as_accepted(), "{answer:?}");
        }
    }
}
