//! The few words of HTTP/1.1 that a probe says: a tunnel, please; and what time is it?

use nightbell_core::time::{UnixMillis, millis};
use reqwest::header::HeaderValue;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use url::Url;

use super::place;
use crate::proxy::Via;
use crate::route::USER_AGENT;

/// The longest head that is read, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// A connection, encrypted or not.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// Asks a proxy for a tunnel; the error is what it said or did instead.
pub(super) async fn tunnel(stream: &mut dyn Duplex, to: &Url, via: &Via) -> Result<(), String> {
    let place = place(to);
    let login = login(via)?;
    let request =
        format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\nUser-Agent: {USER_AGENT}\r\n{login}\r\n");
    let head = exchange(stream, &request).await.ok_or("it closed the connection")?;
    match status(&head) {
        Some(200..=299) => Ok(()),
        Some(407) => Err("it answered 407: it wants a user and a password, or others".into()),
        Some(status) => Err(format!("it answered {status}")),
        None => Err("what it answered is no HTTP".into()),
    }
}

/// The `Date` of an answer to `HEAD /`, which carries no credentials but the proxy's.
pub(super) async fn ask_head(stream: &mut dyn Duplex, url: &Url, via: Option<&Via>) -> Option<UnixMillis> {
    let place = place(url);
    let (target, login) = match via.filter(|_| url.scheme() == "http") {
        // A proxy that passes requests on wants to know where to.
        Some(via) => (format!("http://{place}/"), login(via).ok()?),
        None => ("/".to_owned(), String::new()),
    };
    let request = format!(
        "HEAD {target} HTTP/1.1\r\nHost: {place}\r\nUser-Agent: {USER_AGENT}\r\nConnection: close\r\n{login}\r\n"
    );
    date(&exchange(stream, &request).await?)
}

fn login(via: &Via) -> Result<String, String> {
    let Some(header) = &via.authorization else { return Ok(String::new()) };
    let text = HeaderValue::to_str(header).map_err(|_| "no header carries its password")?;
    Ok(format!("Proxy-Authorization: {text}\r\n"))
}

/// Sends a request and reads the answer's head. It reads no byte past it, since TLS may follow.
async fn exchange(stream: &mut dyn Duplex, request: &str) -> Option<Vec<u8>> {
    stream.write_all(request.as_bytes()).await.ok()?;
    stream.flush().await.ok()?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == HEAD_BYTES_MAX {
            return None;
        }
        head.push(stream.read_u8().await.ok()?);
    }
    Some(head)
}

fn status(head: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(head).ok()?.lines().next()?;
    let mut words = line.split(' ');
    words.next().filter(|version| version.starts_with("HTTP/1."))?;
    words.next()?.parse().ok()
}

fn date(head: &[u8]) -> Option<UnixMillis> {
    status(head)?;
    let lines = std::str::from_utf8(head).ok()?.lines().skip(1);
    let mut fields = lines.filter_map(|line| line.split_once(':'));
    let (_, value) = fields.find(|(name, _)| name.eq_ignore_ascii_case("date"))?;
    let moment = httpdate::parse_http_date(value.trim()).ok()?;
    let since = moment.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(UnixMillis(millis(since)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(head: &str, want: Option<u64>) {
        assert_eq!(date(head.as_bytes()), want.map(UnixMillis), "{head}");
    }

    #[test]
    fn the_time_there_is_read_from_any_answer() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        check(&format!("HTTP/1.1 404 Not Found\r\nserver: a\r\ndate: {date}\r\n\r\n"), Some(784_111_777_000));
        check(&format!("HTTP/1.1 301 Moved\r\nDATE:{date} \r\n\r\n"), Some(784_111_777_000));
        check("HTTP/1.1 200 OK\r\ndate: yesterday\r\n\r\n", None);
        check("HTTP/1.1 200 OK\r\nserver: a\r\n\r\n", None);
        check(&format!("220 mail.example.com\r\ndate: {date}\r\n\r\n"), None);
    }

    #[tokio::test]
    async fn a_head_is_read_to_its_end_and_no_further() {
        let (mut ours, mut theirs) = tokio::io::duplex(1024);
        theirs.write_all(b"HTTP/1.1 200 OK\r\n\r\nTLS").await.unwrap();
        assert_eq!(exchange(&mut ours, "?").await.unwrap(), b"HTTP/1.1 200 OK\r\n\r\n");
        let mut rest = [0; 3];
        ours.read_exact(&mut rest).await.unwrap();
        assert_eq!(&rest, b"TLS");
    }

    #[tokio::test]
    async fn a_head_without_end_is_given_up() {
        let (mut ours, mut theirs) = tokio::io::duplex(2 * HEAD_BYTES_MAX);
        theirs.write_all(&vec![b'x'; HEAD_BYTES_MAX + 1]).await.unwrap();
        assert_eq!(exchange(&mut ours, "?").await, None);
    }
}
