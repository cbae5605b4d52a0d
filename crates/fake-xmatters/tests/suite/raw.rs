//! A client that does exactly what it is told.

use std::net::SocketAddr;
use std::time::Duration;

use fake_xmatters::{FakeXmatters, Settings};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The bound of every wait in these tests.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// An answer as it was read.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

pub(crate) struct Raw(TcpStream);

impl Raw {
    pub(crate) async fn connect(addr: SocketAddr) -> Self {
        Self(TcpStream::connect(addr).await.unwrap())
    }

    pub(crate) async fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    pub(crate) async fn post(&mut self, target: &str, body: &str) {
        self.say(&request("POST", target, "Content-Type: application/json\r\n", body)).await;
    }

    /// Reads one whole answer.
    pub(crate) async fn answer(&mut self) -> Seen {
        let mut bytes = Vec::new();
        let read = async {
            while !bytes.ends_with(b"\r\n\r\n") {
                bytes.push(self.0.read_u8().await.unwrap());
            }
            let head = String::from_utf8(bytes).unwrap();
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
            let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
            self.0.read_exact(&mut body).await.unwrap();
            let status = head.split(' ').nth(1).unwrap().parse().unwrap();
            Seen { status, head, body: String::from_utf8(body).unwrap() }
        };
        tokio::time::timeout(SOON, read).await.unwrap()
    }

    /// Reads until the connection ends; an error is how it ended.
    pub(crate) async fn read_to_end(&mut self) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        tokio::time::timeout(SOON, self.0.read_to_end(&mut bytes)).await.unwrap()?;
        Ok(bytes)
    }
}

pub(crate) fn request(method: &str, target: &str, headers: &str, body: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

pub(crate) fn target(function: &str) -> String {
    format!("/api/integration/1/functions/{function}/triggers")
}

pub(crate) fn form(alert_id: &str) -> String {
    format!(
        r#"{{"properties":{{"alert_id":"{alert_id}","test":"t","attempt":1}},"recipients":["r"],"priority":"LOW"}}"#
    )
}

pub(crate) async fn started() -> FakeXmatters {
    FakeXmatters::start(Settings::default()).await.unwrap()
}

/// Posts on a new connection and reads the answer.
pub(crate) async fn post(fake: &FakeXmatters, target: &str, body: &str) -> Seen {
    let mut raw = Raw::connect(fake.addr()).await;
    raw.post(target, body).await;
    raw.answer().await
}

/// Posts an alert to the function `f`.
pub(crate) async fn alert(fake: &FakeXmatters, alert_id: &str) -> Seen {
    post(fake, &target("f"), &form(alert_id)).await
}
