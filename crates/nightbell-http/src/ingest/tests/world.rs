//! A server on loopback, a stand-in for its queue, and a client that sends what no library would.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use nightbell_core::message::Message;
use nightbell_core::ports::{Clock, Destination, Outlet, PublishError};
use nightbell_core::time::UnixMillis;
use nightbell_trace::Tracer;
use secrecy::SecretString;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::ingest::limits::Patience;
use crate::status::Status;
use crate::{AdminRoutes, HttpState, Ingest, Listener, serve};

pub(super) const TOKEN: &str = "sixteen-bytes-ok";
pub(super) const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

#[derive(Clone)]
struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> UnixMillis {
        NOW
    }
}

/// A queue that takes so many messages, and answers then with something else, or not at all.
#[derive(Clone)]
pub(super) struct Queue {
    taken: Arc<Mutex<Vec<(String, Message)>>>,
    takes: usize,
    then: Option<PublishError>,
    under_way: Arc<AtomicUsize>,
    pub(super) under_way_max: Arc<AtomicUsize>,
}

impl Queue {
    pub(super) fn taking(takes: usize, then: Option<PublishError>) -> Self {
        let counter = || Arc::new(AtomicUsize::new(0));
        Self { taken: Arc::default(), takes, then, under_way: counter(), under_way_max: counter() }
    }

    pub(super) fn taken(&self) -> Vec<(String, Message)> {
        self.taken.lock().unwrap().clone()
    }

    /// The ids of what it took, in order.
    pub(super) fn ids(&self) -> Vec<String> {
        let mut ids =
            self.taken().into_iter().filter_map(|(_, message)| message.message_id).collect::<Vec<_>>();
        ids.sort();
        ids
    }
}

impl Outlet for Queue {
    async fn publish(&self, to: Destination, message: Message) -> Result<(), PublishError> {
        let Destination::Events { routing_key } = to else { panic!("{to:?} is not for events") };
        let under_way = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.under_way_max.fetch_max(under_way, Ordering::SeqCst);
        // All that are begun together get here before the first goes on.
        tokio::task::yield_now().await;
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        {
            let mut taken = self.taken.lock().unwrap();
            if taken.len() < self.takes {
                taken.push((routing_key, message));
                return Ok(());
            }
        }
        match &self.then {
            Some(error) => Err(error.clone()),
            None => std::future::pending().await,
        }
    }
}

/// A running server.
pub(super) struct World {
    pub(super) at: SocketAddr,
    pub(super) queue: Queue,
    pub(super) metrics: PrometheusHandle,
    _stop: DropGuard,
}

impl World {
    pub(super) async fn new() -> Self {
        Self::with(Queue::taking(usize::MAX, None), Patience::default()).await
    }

    pub(super) async fn with(queue: Queue, patience: Patience) -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        let token = Some(SecretString::from(TOKEN));
        let ingest = metrics::with_local_recorder(&recorder, || {
            Ingest::with_patience(queue.clone(), token, Stopped, Tracer::off(), patience)
        });
        let metrics = recorder.handle();
        let state = HttpState {
            metrics: Arc::new(String::new),
            status: Arc::new(|| Status::sample(true)),
            admin_token: Some(SecretString::from("another-token-ok")),
            ingest: Some(ingest),
            admin: AdminRoutes::default(),
            is_local: true,
            queue: None,
            key: None,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(serve(Listener::new(listener, 4096), state, stop.clone()));
        Self { at, queue, metrics, _stop: stop.drop_guard() }
    }

    /// Sends `body` with the token and these header lines, each ended by a line break.
    pub(super) async fn post(&self, target: &str, headers: &str, body: impl AsRef<[u8]>) -> Answer {
        let body = body.as_ref();
        let length = body.len();
        let head = format!("authorization: Bearer {TOKEN}\r\ncontent-length: {length}\r\n{headers}");
        self.send(&format!("POST {target}"), &head, body).await
    }

    pub(super) async fn post_json(&self, target: &str, body: impl AsRef<[u8]>) -> Answer {
        self.post(target, "content-type: application/json\r\n", body).await
    }

    /// Sends a whole request, and reads its answer to the end of the connection.
    pub(super) async fn send(&self, line: &str, headers: &str, body: &[u8]) -> Answer {
        let stream = self.begin(line, headers, body).await;
        Answer::read(stream).await
    }

    pub(super) async fn begin(&self, line: &str, headers: &str, body: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.at).await.unwrap();
        let head = format!("{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body).await.unwrap();
        stream
    }

    pub(super) fn count(&self, route: &str, code: u16) -> u64 {
        let series = format!("nightbell_ingest_requests_total{{route=\"{route}\",code=\"{code}\"}} ");
        let text = self.metrics.render();
        let line = text.lines().find_map(|line| line.strip_prefix(&series));
        line.unwrap_or_else(|| panic!("no {series} in {text}")).parse().unwrap()
    }
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) text: String,
}

impl Answer {
    pub(super) async fn read(mut stream: TcpStream) -> Self {
        let mut bytes = Vec::new();
        let reading = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut bytes));
        reading.await.expect("an answer in time").unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").expect("an answer");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head: head.to_ascii_lowercase(), text: body.to_owned() }
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// An error answer's text, after a check of its form.
    #[track_caller]
    pub(super) fn error(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert!(self.head.contains("content-type: application/json"), "{self:?}");
        let json = self.json();
        assert!(json["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{self:?}");
        json["error"].as_str().unwrap().to_owned()
    }
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
