//! HTTP/2 connections that are dead without having ended, while new ones work.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fake_xmatters::Authority;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use nightbell_core::event::Event;
use nightbell_core::outcome::Outcome;
use nightbell_core::ports::Sender as _;
use nightbell_xmatters::{Auth, DestinationSettings, Grant, Network, OAuth2};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::common::{PASSWORD, USER, alert, alert_of, authorities, basic, destination, login, sender};

/// A server of HTTP/2 over TLS alone, and the middleman before it.
struct World {
    authority: Authority,
    middleman: Arc<Middleman>,
    port: u16,
}

/// Passes bytes on between callers and the server.
#[derive(Default)]
struct Middleman {
    connections: AtomicUsize,
    /// The connections before this one are dead.
    dead_before: AtomicUsize,
    /// Whether what callers say still gets through on the dead ones.
    hears: AtomicBool,
    /// Told when a caller leaves.
    left: Notify,
}

impl Middleman {
    /// Loses what comes over today's connections, in both directions or on the way back only.
    fn swallow(&self, hears: bool) {
        self.hears.store(hears, Ordering::SeqCst);
        self.dead_before.store(self.connections.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    async fn serve(self: Arc<Self>, listener: TcpListener, server: SocketAddr) {
        loop {
            let (caller, _) = listener.accept().await.unwrap();
            let number = self.connections.fetch_add(1, Ordering::SeqCst);
            let (from_caller, to_caller) = caller.into_split();
            let (from_server, to_server) = TcpStream::connect(server).await.unwrap().into_split();
            tokio::spawn(Arc::clone(&self).pass(number, false, from_caller, to_server));
            tokio::spawn(Arc::clone(&self).pass(number, true, from_server, to_caller));
        }
    }

    async fn pass(
        self: Arc<Self>,
        number: usize,
        is_way_back: bool,
        mut from: OwnedReadHalf,
        mut to: OwnedWriteHalf,
    ) {
        let mut bytes = [0; 16 * 1024];
        while let Ok(len @ 1..) = from.read(&mut bytes).await {
            let is_dead = number < self.dead_before.load(Ordering::SeqCst);
            if is_dead && (is_way_back || !self.hears.load(Ordering::SeqCst)) {
                continue;
            }
            if to.write_all(&bytes[..len]).await.is_err() {
                return;
            }
        }
        if !is_way_back {
            self.left.notify_one();
        }
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let is_token = request.uri().path() == "/token";
    let _ = request.into_body().collect().await;
    // A life of 0 s: each attempt asks anew.
    let token = r#"{"access_token":"t0ken","expires_in":0}"#;
    let (status, body) = if is_token { (200, token) } else { (202, r#"{"requestId":"r-1"}"#) };
    Ok(Response::builder().status(status).body(Full::from(body)).unwrap())
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor) {
    loop {
        let (tcp, _) = listener.accept().await.unwrap();
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let Ok(tls) = acceptor.accept(tcp).await else { return };
            let connection = http2::Builder::new(TokioExecutor::new());
            connection.serve_connection(TokioIo::new(tls), service_fn(answer)).await.ok();
        });
    }
}

async fn world() -> World {
    let authority = Authority::new().unwrap();
    let identity = authority.server(&["127.0.0.1"]).unwrap();
    let certificate = CertificateDer::from(identity.certificate_der().to_vec());
    let key = PrivatePkcs8KeyDer::from(identity.key_der().to_vec()).into();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = builder.unwrap().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let listen = async || TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (server, front) = (listen().await, listen().await);
    let (server_at, port) = (server.local_addr().unwrap(), front.local_addr().unwrap().port());
    tokio::spawn(serve(server, TlsAcceptor::from(Arc::new(config))));
    let middleman = Arc::new(Middleman::default());
    tokio::spawn(Arc::clone(&middleman).serve(front, server_at));
    World { authority, middleman, port }
}

impl World {
    fn settings(&self, auth: Auth, timeout: Duration) -> DestinationSettings {
        let extra_ca = Some(authorities(self.authority.pem()));
        let network = Network { extra_ca, ..Network::default() };
        let url = format!("https://127.0.0.1:{}/api/integration/1/functions/f/triggers", self.port);
        DestinationSettings { auth, timeout, network, ..destination(url) }
    }
}

#[track_caller]
fn check_accepted(outcome: &Outcome) {
    assert!(matches!(outcome, Outcome::Accepted { request_id: Some(_) }), "{outcome:?}");
}

/// The default time-out, and what is left of it once two pings' time has passed.
const TIMEOUT: Duration = nightbell_xmatters::TIMEOUT;
const FOUND_DEAD: Duration = Duration::from_secs(11);

/// Many attempts under way on a connection that dies: all are taken in the same attempt, so that no breaker counts them.
async fn check_many(auth: Auth, hears: bool) {
    let world = world().await;
    let sender = sender(world.settings(auth, TIMEOUT));
    check_accepted(&sender.send(alert()).await);
    world.middleman.swallow(hears);
    let before = world.middleman.connections();
    let start = Instant::now();
    let names = (0..16).map(|number| alert_of(Event::new("shop", format!("test {number}"))));
    let under_way: Vec<_> = names.map(|alert| tokio::spawn(sender.send(alert))).collect();
    for attempt in under_way {
        check_accepted(&attempt.await.unwrap());
    }
    let took = start.elapsed();
    println!("16 attempts on a dead connection took {} ms", took.as_millis());
    assert!(took < FOUND_DEAD, "{took:?}");
    assert!(world.middleman.connections() > before);
}

#[tokio::test]
async fn a_half_dead_http2_connection_costs_no_attempt() {
    check_many(basic(), false).await;
}

#[tokio::test]
async fn a_half_dead_http2_connection_that_still_hears_costs_no_attempt() {
    check_many(basic(), true).await;
}

#[tokio::test]
async fn a_half_dead_http2_connection_to_the_token_endpoint_costs_no_attempt() {
    let world = world().await;
    let grant = Grant::Password(login(USER, PASSWORD));
    let token_url = Some(format!("https://127.0.0.1:{}/token", world.port).parse().unwrap());
    let auth = Auth::OAuth2(OAuth2 { token_url, client_id: "c".parse().unwrap(), grant });
    let sender = sender(world.settings(auth, TIMEOUT));
    check_accepted(&sender.send(alert()).await);
    world.middleman.swallow(false);
    let start = Instant::now();
    let first = sender.send(alert()).await;
    println!("the first attempt took {} ms: {first:?}", start.elapsed().as_millis());
    check_accepted(&first);
    assert!(start.elapsed() < FOUND_DEAD, "{:?}", start.elapsed());
}

#[tokio::test]
async fn after_one_time_out_the_next_attempt_goes_over_a_new_connection() {
    for hears in [false, true] {
        let world = world().await;
        // Shorter than what two pings take.
        let sender = sender(world.settings(basic(), Duration::from_millis(1_500)));
        check_accepted(&sender.send(alert()).await);
        world.middleman.swallow(hears);
        assert_eq!(sender.send(alert()).await, Outcome::TimedOut);
        let start = Instant::now();
        check_accepted(&sender.send(alert()).await);
        println!("after the time-out the next attempt took {} ms", start.elapsed().as_millis());
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    }
}

#[tokio::test]
async fn an_idle_http2_connection_that_died_is_left_behind_before_it_is_needed() {
    let world = world().await;
    let sender = sender(world.settings(basic(), Duration::from_secs(3)));
    check_accepted(&sender.send(alert()).await);
    world.middleman.swallow(false);
    // Pings are sent each second, so that the dead one is found within two.
    timeout(FOUND_DEAD, world.middleman.left.notified()).await.unwrap();
    let start = Instant::now();
    check_accepted(&sender.send(alert()).await);
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}
