use std::convert::Infallible;
use std::net::SocketAddr;

use axum::body::{Body, Bytes};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::net::TcpSocket;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::DropGuard;

use super::*;

/// More than a socket's buffers hold.
const LONG_BYTES: usize = 1024 * 1024;
const LONG_COUNT: usize = 64;

/// What the routes are for these tests. An answer of `/endless` cancels `let_go` when it is dropped.
fn state(let_go: CancellationToken) -> HttpState {
    let status = || unreachable!("nobody asks for the state");
    let endless = async move || {
        let guard = let_go.drop_guard();
        Body::from_stream(futures::stream::repeat_with(move || {
            let _held = &guard;
            Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 1024]))
        }))
    };
    let admin = Router::new()
        .route("/never", get(std::future::pending::<()>))
        .route("/long", get(async || vec![b'x'; LONG_BYTES]))
        .route("/endless", get(endless));
    HttpState {
        metrics: Arc::new(String::new),
        status: Arc::new(status),
        admin_token: None,
        ingest: None,
        admin: AdminRoutes { router: admin, ..AdminRoutes::default() },
        is_local: true,
        queue: None,
        key: None,
    }
}

async fn start(stop: &CancellationToken) -> (TcpStream, JoinHandle<()>) {
    let (state, listener) =
        (state(CancellationToken::new()), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let at = listener.local_addr().unwrap();
    let served = tokio::spawn(serve(Listener::new(listener, 4096), state, stop.clone()));
    (TcpStream::connect(at).await.unwrap(), served)
}

/// A connection whose buffer holds few bytes, so that time passes only where a test says so, and a request on it.
async fn narrow(request: &str, let_go: &CancellationToken) -> (DuplexStream, JoinHandle<hyper::Result<()>>) {
    let (mut client, server) = tokio::io::duplex(1000);
    let place = Places::new(1).take(Peer::default()).unwrap();
    let service = Service::new(routes(state(let_go.clone())), place, None);
    let served = tokio::spawn(http1::Builder::new().serve_connection(patient(server), service));
    client.write_all(format!("{request} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes()).await.unwrap();
    (client, served)
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_come_ends_the_connection() {
    let stop = CancellationToken::new();
    let (mut stream, _served) = start(&stop).await;
    let begun = Instant::now();
    stream.write_all(b"GET /healthz HTTP/1.1\r\n").await.unwrap();
    let mut answer = Vec::new();
    // A reset is an end as well.
    drop(stream.read_to_end(&mut answer).await);
    assert!((HEAD_MAX..HEAD_MAX * 2).contains(&begun.elapsed()), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_does_not_come_ends_the_connection() {
    let identity = fake_xmatters::Authority::new().unwrap().server(&["worker.example"]).unwrap();
    let pair = Tls::new(identity.certificate_pem().as_bytes(), identity.key_pem().as_bytes()).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (at, shown) = (tcp.local_addr().unwrap(), watch::Sender::new(pair));
    let listener = Listener::new(tcp, 4096).with_tls(shown.subscribe());
    tokio::spawn(serve(listener, state(CancellationToken::new()), CancellationToken::new()));
    let mut stream = TcpStream::connect(at).await.unwrap();
    let begun = Instant::now();
    drop(stream.read_to_end(&mut Vec::new()).await);
    assert!((HEAD_MAX..HEAD_MAX * 2).contains(&begun.elapsed()), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_head_has_its_bounds() {
    let (at, _stop) = start_with(16).await;
    let headers = |count: usize| "a: b\r\n".repeat(count);
    let long = |bytes: usize| format!("a: {}\r\n", "b".repeat(bytes));
    for (path, headers, want) in [
        ("/healthz".to_owned(), headers(HEADERS_MAX - 2), "200"),
        ("/healthz".to_owned(), headers(HEADERS_MAX + 1), "431"),
        ("/healthz".to_owned(), long(HEAD_BYTES_MAX / 2), "200"),
        ("/healthz".to_owned(), long(2 * HEAD_BYTES_MAX), "431"),
        (format!("/healthz?{}", "q".repeat(60_000)), String::new(), "200"),
        (format!("/healthz?{}", "q".repeat(70_000)), String::new(), "414"),
    ] {
        let mut stream = TcpStream::connect(at).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
        drop(stream.write_all(request.as_bytes()).await);
        let mut answer = vec![0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&answer), format!("HTTP/1.1 {want}"), "{}", request.len());
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_does_not_end_does_not_hold_up_the_stop() {
    let stop = CancellationToken::new();
    let (mut stream, served) = start(&stop).await;
    stream.write_all(b"GET /never HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    // It is under way once the time for a head has passed and the connection is still there.
    assert!(timeout(HEAD_MAX * 2, stream.read_u8()).await.is_err());
    let begun = Instant::now();
    stop.cancel();
    served.await.unwrap();
    assert!((STOP_MAX..STOP_MAX * 2).contains(&begun.elapsed()), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_idle_connection_ends_with_the_server() {
    let stop = CancellationToken::new();
    let (mut stream, served) = start(&stop).await;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = vec![0; 1000];
    let length = stream.read(&mut answer).await.unwrap();
    assert!(answer[..length].starts_with(b"HTTP/1.1 200 OK"));
    stop.cancel();
    served.await.unwrap();
    assert_eq!(stream.read_to_end(&mut answer).await.unwrap(), 0);
}

/// A server with so few places.
async fn start_with(places: usize) -> (SocketAddr, DropGuard) {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let at = SocketAddr::from(([127, 0, 0, 1], listener.local_addr().unwrap().port()));
    let stop = CancellationToken::new();
    let listener = Listener { tcp: listener, places: Places::new(places), tls: None };
    tokio::spawn(serve(listener, state(CancellationToken::new()), stop.clone()));
    (at, stop.drop_guard())
}

/// A connection from an address of its own.
async fn from(last: u8, at: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 1, last], 0))).unwrap();
    socket.connect(at).await.unwrap()
}

/// Asks for a route, and gives the whole answer.
async fn ask(mut stream: TcpStream, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let read = timeout(Duration::from_secs(1), stream.read_to_string(&mut answer)).await;
    read.expect("an answer within a second").unwrap();
    answer
}

/// What somebody does on a connection who means to hold it.
const HOLDS: [&str; 4] = [
    "",
    "GET /metrics HTTP/1.1\r\nhost: ",
    "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n",
    "GET /long HTTP/1.1\r\nhost: localhost\r\n\r\n",
];

#[tokio::test]
async fn connections_that_are_held_starve_nobody_from_one_address_or_from_many() {
    for many in [false, true] {
        let (at, _stop) = start_with(16).await;
        let mut held = Vec::new();
        for round in 0..25 {
            for (hold, last) in HOLDS.iter().zip(1..) {
                let mut stream = from(if many { round * 4 + last } else { 1 }, at).await;
                drop(stream.write_all(hold.repeat(LONG_COUNT / 4).as_bytes()).await);
                held.push(stream);
            }
            for path in ["/healthz", "/metrics", "/openapi.json"] {
                let answer = ask(from(if many { 201 } else { 1 }, at).await, path).await;
                assert!(answer.starts_with("HTTP/1.1 200 OK"), "{path}: {answer}");
            }
        }
    }
}

#[tokio::test]
async fn health_and_metrics_answer_though_all_others_that_may_be_worked_on_are() {
    let (at, _stop) = start_with(16).await;
    let mut held = Vec::new();
    for last in 1..=40 {
        let mut stream = from(last, at).await;
        stream.write_all(b"GET /never HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        held.push(stream);
        for path in ["/healthz", "/metrics"] {
            let answer = ask(from(200, at).await, path).await;
            assert!(answer.starts_with("HTTP/1.1 200 OK"), "{last} {path}: {answer}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_for_its_turn_is_told_to_come_again() {
    let (at, _stop) = start_with(4).await;
    let mut held = Vec::new();
    for last in 1..=2 {
        let mut stream = from(last, at).await;
        stream.write_all(b"GET /never HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        held.push(stream);
    }
    let answered = held.iter_mut().map(|stream| {
        Box::pin(async {
            let mut answer = vec![0; 1000];
            let length = stream.read(&mut answer).await.unwrap();
            String::from_utf8_lossy(&answer[..length]).into_owned()
        })
    });
    let (answer, _, _) = futures::future::select_all(answered).await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("too many requests"), "{answer}");
    assert!(answer.contains("retry-after: 1"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_whose_reader_stands_still_is_let_go() {
    let let_go = CancellationToken::new();
    let (mut client, served) = narrow("GET /endless", &let_go).await;
    client.read_exact(&mut [0; 10_000]).await.unwrap();
    let begun = Instant::now();
    timeout(WRITE_STALL_MAX * 3, let_go.cancelled()).await.expect("it ends");
    assert!((WRITE_STALL_MAX..WRITE_STALL_MAX * 2).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    assert!(served.await.unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_that_does_read_is_not_cut_off() {
    let (mut client, served) = narrow("GET /endless", &CancellationToken::new()).await;
    for _ in 0..20 {
        sleep(WRITE_STALL_MAX - Duration::from_secs(1)).await;
        client.read_exact(&mut [0; 100]).await.unwrap();
    }
    assert!(!served.is_finished());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_takes_its_time_is_waited_for() {
    let (mut client, served) = narrow("GET /never", &CancellationToken::new()).await;
    assert!(timeout(WRITE_STALL_MAX * 10, client.read_u8()).await.is_err());
    assert!(!served.is_finished());
}
