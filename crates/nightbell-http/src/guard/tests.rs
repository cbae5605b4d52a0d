use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::routing::{get, post};
use nightbell_core::message::Message;
use nightbell_core::ports::{Destination, Outlet, PublishError};
use nightbell_worker::SystemClock;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::*;
use crate::status::Status;
use crate::{AdminRoutes, HttpState, Ingest, Listener, serve};

const TOKEN: &str = "sixteen-bytes-ok";
const HERE: &str = "host: 127.0.0.1:9464\r\n";
const GUARDED: [&str; 6] = [
    "GET /v1/status",
    "GET /v1/dead-letters",
    "POST /v1/dead-letters/discard",
    "POST /v1/events",
    "POST /v1/reports?project=p",
    "POST /v1/junit?project=p",
];

/// How often a guarded route has done what it is for.
#[derive(Clone, Default)]
struct Done(Arc<AtomicUsize>);

impl Done {
    fn add(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Outlet for Done {
    async fn publish(&self, _: Destination, _: Message) -> Result<(), PublishError> {
        self.add();
        Ok(())
    }
}

/// A server with or without tokens.
struct World {
    at: SocketAddr,
    done: Done,
    _stop: DropGuard,
}

impl World {
    async fn new(token: Option<&str>) -> Self {
        Self::started(token, true, true).await
    }

    /// One that others can reach.
    async fn beyond(token: &str) -> Self {
        Self::started(Some(token), true, false).await
    }

    async fn started(token: Option<&str>, is_ready: bool, is_local: bool) -> Self {
        let (token, done) = (token.map(SecretString::from), Done::default());
        let (shown, listed, discarded) = (done.clone(), done.clone(), done.clone());
        let list = async move || listed.add();
        let discard = async move || discarded.add();
        let admin = Router::new()
            .route("/v1/dead-letters", get(list))
            .route("/v1/dead-letters/discard", post(discard));
        let tracer = nightbell_trace::Tracer::off();
        let state = HttpState {
            metrics: Arc::new(String::new),
            status: Arc::new(move || {
                shown.add();
                Status::sample(is_ready)
            }),
            admin_token: token.clone(),
            ingest: Some(Ingest::new(done.clone(), token, SystemClock, tracer)),
            admin: AdminRoutes { router: admin, ..AdminRoutes::default() },
            is_local,
            queue: None,
            key: None,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (at, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        tokio::spawn(serve(Listener::new(listener, 4096), state, stop.clone()));
        Self { at, done, _stop: stop.drop_guard() }
    }

    /// Sends a request that is sound but for these header lines; gives its status and answer.
    async fn send(&self, line: &str, version: &str, headers: &str) -> (u16, String) {
        let is_ingest = ["events", "reports", "junit"].iter().any(|route| line.contains(route));
        let (kind, body) = if !is_ingest {
            ("text/plain", "")
        } else if line.contains("junit") || line.contains("reports") {
            ("text/xml", r#"<testsuite><testcase name="t"><failure/></testcase></testsuite>"#)
        } else {
            ("application/json", r#"{"project":"p","test":"t"}"#)
        };
        let length = body.len();
        let head = format!(
            "{line} HTTP/{version}\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n{headers}\r\n"
        );
        let answer = self.exchange(&format!("{head}{body}")).await;
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer)
    }

    async fn exchange(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.at).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn check_refused(&self, line: &str, headers: &str, why: &str) {
        let (status, answer) = self.send(line, "1.1", headers).await;
        assert_eq!(status, 403, "{line} {headers}: {answer}");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let body: Value = serde_json::from_str(body).unwrap();
        assert!(body["error"].as_str().unwrap().contains(why), "{body}");
        let key = if ["events", "reports", "junit"].iter().any(|route| line.contains(route)) {
            "ingest"
        } else {
            "admin"
        };
        assert!(body["hint"].as_str().unwrap().contains(&format!("set http.{key}_token")), "{body}");
        assert!(!answer.contains("evil.example"), "{answer}");
        assert_eq!(self.done.0.load(Ordering::SeqCst), 0, "{line} {headers}");
    }

    async fn check_done(&self, line: &str, version: &str, headers: &str) {
        let before = self.done.0.load(Ordering::SeqCst);
        let (status, answer) = self.send(line, version, headers).await;
        assert!(matches!(status, 200 | 202), "{line} {headers}: {answer}");
        assert_eq!(self.done.0.load(Ordering::SeqCst), before + 1, "{line} {headers}");
    }
}

#[tokio::test]
async fn without_a_token_no_web_page_is_let_in() {
    let world = World::new(None).await;
    for line in GUARDED {
        for page in [
            "origin: https://evil.example\r\n",
            "origin: null\r\n",
            "origin: http://127.0.0.1:9464\r\n",
            "sec-fetch-site: cross-site\r\n",
            "sec-fetch-site: same-site\r\n",
            "sec-fetch-site: none\r\nsec-fetch-site: cross-site\r\n",
            "sec-fetch-site: \u{e4}\r\n",
        ] {
            world.check_refused(line, &format!("{HERE}{page}"), "comes from a web page").await;
        }
    }
}

#[tokio::test]
async fn without_a_token_no_other_host_is_answered_for() {
    let world = World::new(None).await;
    for line in GUARDED {
        for host in [
            "host: evil.example\r\n",
            "host: evil.example:9464\r\n",
            "host: localhost.evil.example\r\n",
            "host: 127.0.0.1.evil.example\r\n",
            "host: 0.0.0.0:9464\r\n",
            "host: 192.168.0.1\r\n",
            "host: [::2]\r\n",
            "host: \r\n",
            "host: 127.0.0.1\r\nhost: evil.example\r\n",
        ] {
            world.check_refused(line, host, "Host").await;
        }
        let (method, path) = line.split_once(' ').unwrap();
        world.check_refused(&format!("{method} http://evil.example{path}"), HERE, "Host").await;
    }
}

#[tokio::test]
async fn without_a_token_programs_of_this_machine_are_let_in() {
    let world = World::new(None).await;
    for line in GUARDED {
        for host in ["127.0.0.1", "127.0.0.1:9464", "127.1.2.3", "localhost", "LocalHost:80", "[::1]:9464"] {
            world.check_done(line, "1.1", &format!("host: {host}\r\n")).await;
        }
        world.check_done(line, "1.0", "").await;
        // An address that is typed in, and a page of the same origin.
        world.check_done(line, "1.1", &format!("{HERE}sec-fetch-site: none\r\n")).await;
        world.check_done(line, "1.1", &format!("{HERE}sec-fetch-site: same-origin\r\n")).await;
    }
}

#[tokio::test]
async fn whoever_has_the_token_may_come_from_anywhere() {
    let world = World::new(Some(TOKEN)).await;
    let page = "host: evil.example\r\norigin: https://evil.example\r\nsec-fetch-site: cross-site\r\n";
    for line in GUARDED {
        assert_eq!(world.send(line, "1.1", page).await.0, 401, "{line}");
        world.check_done(line, "1.1", &format!("{page}authorization: Bearer {TOKEN}\r\n")).await;
    }
}

const REBOUND: &str = "host: evil.example:9464\r\n";
const PAGE: &str =
    "host: nightbell.internal\r\norigin: https://grafana.internal\r\nsec-fetch-site: cross-site\r\n";

#[tokio::test]
async fn what_is_open_to_all_stays_so() {
    let world = World::new(None).await;
    for path in ["/healthz", "/readyz", "/openapi.json"] {
        assert_eq!(world.send(&format!("GET {path}"), "1.1", PAGE).await.0, 200, "{path}");
    }
}

#[tokio::test]
async fn metrics_are_not_for_a_page_that_rebinds_its_name_to_this_machine() {
    for token in [None, Some(TOKEN)] {
        let world = World::new(token).await;
        let ask = async |headers: &str| world.send("GET /metrics", "1.1", headers).await.0;
        assert_eq!((ask(REBOUND).await, ask(PAGE).await), (403, 403));
        assert_eq!((ask(HERE).await, ask("host: localhost\r\n").await), (200, 200));
        let given = format!("{REBOUND}authorization: Bearer {TOKEN}\r\n");
        assert_eq!(ask(&given).await, if token.is_some() { 200 } else { 403 });
    }
    // Prometheus asks a listener that others can reach by the name that it knows, and has no token.
    let world = World::beyond(TOKEN).await;
    assert_eq!(world.send("GET /metrics", "1.1", "host: worker:9464\r\n").await.0, 200);
}

#[tokio::test]
async fn only_who_has_the_token_or_none_is_set_hears_from_readyz_why_it_is_not_ready() {
    let hears = async |token: Option<&str>, headers: &str| {
        let world = World::started(token, false, true).await;
        let (status, answer) = world.send("GET /readyz", "1.1", headers).await;
        assert_eq!(status, 503, "{answer}");
        assert!(answer.contains(r#""missing":["queue"#), "{answer}");
        answer.contains("connection refused")
    };
    assert!(hears(None, HERE).await);
    assert!(!hears(None, REBOUND).await);
    assert!(!hears(None, PAGE).await);
    assert!(!hears(Some(TOKEN), HERE).await);
    assert!(hears(Some(TOKEN), &format!("{HERE}authorization: Bearer {TOKEN}\r\n")).await);
    assert!(!hears(Some(TOKEN), &format!("{HERE}authorization: Bearer sixteen-bytes-no\r\n")).await);
}

#[tokio::test]
async fn an_admin_route_takes_no_body_and_does_nothing_with_one() {
    let world = World::new(Some(TOKEN)).await;
    let head = format!("{HERE}authorization: Bearer {TOKEN}\r\n");
    for line in ["GET /v1/status", "GET /v1/dead-letters", "POST /v1/dead-letters/discard"] {
        for body in ["content-length: 2\r\n\r\n{}", "transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"]
        {
            let request = format!("{line} HTTP/1.1\r\nconnection: close\r\n{head}{body}");
            let answer = world.exchange(&request).await;
            assert!(
                answer.starts_with("HTTP/1.1 400") && answer.contains("takes no body"),
                "{line}: {answer}"
            );
        }
    }
    assert_eq!(world.done.0.load(Ordering::SeqCst), 0);
}

#[track_caller]
fn check(header: Option<&str>, want: bool) {
    let token = SecretString::from(TOKEN);
    let mut headers = HeaderMap::new();
    if let Some(header) = header {
        headers.insert(header::AUTHORIZATION, header.parse().unwrap());
    }
    assert_eq!(is_given(&token, &headers), want, "{header:?}");
}

#[test]
fn only_the_token_passes() {
    check(Some("Bearer sixteen-bytes-ok"), true);
    check(Some("bearer sixteen-bytes-ok"), true);
    check(Some("Bearer sixteen-bytes-no"), false);
    check(Some("Bearer sixteen-bytes-o"), false);
    check(Some("Bearer sixteen-bytes-ok "), false);
    check(Some("Basic sixteen-bytes-ok"), false);
    check(Some("sixteen-bytes-ok"), false);
    check(Some("Bearer "), false);
    check(None, false);
}
