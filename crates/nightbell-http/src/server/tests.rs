use std::convert::Infallible;

use axum::body::{Body, Bytes};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::*;

/// More than a socket's buffers hold.
const LONG_BYTES: usize = 1024 * 1024;
const LONG_COUNT: usize = 64;

/// What the routes are for these tests. An answer of `/endless` cancels `let_go` when it is dropped.
fn face(let_go: CancellationToken) -> Face {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
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
    Face {
        metrics: recorder.handle(),
        status: Arc::new(status),
        admin_token: None,
        ingest: None,
        admin: Some(admin),
        queue: None,
    }
}

async fn start(stop: &CancellationToken) -> (TcpStream, JoinHandle<()>) {
    let (face, listener) = (face(CancellationToken::new()), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let at = listener.local_addr().unwrap();
    let served = tokio::spawn(serve(listener, face, stop.clone()));
    (TcpStream::connect(at).await.unwrap(), served)
}

/// A connection whose buffer holds few bytes, so that time passes only where a test says so, and a request on it.
async fn narrow(request: &str, let_go: &CancellationToken) -> (DuplexStream, JoinHandle<hyper::Result<()>>) {
    let (mut client, server) = tokio::io::duplex(1000);
    let service = TowerToHyperService::new(routes(face(let_go.clone())));
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

#[tokio::test(start_paused = true)]
async fn who_asks_and_never_reads_gives_its_place_to_others() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let (face, one) = (face(CancellationToken::new()), Arc::new(Semaphore::new(1)));
    tokio::spawn(serve_within(listener, face, stop.clone(), one));
    let mut idle = TcpStream::connect(at).await.unwrap();
    let begun = Instant::now();
    let requests = "GET /long HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(LONG_COUNT);
    idle.write_all(requests.as_bytes()).await.unwrap();
    let mut next = TcpStream::connect(at).await.unwrap();
    next.write_all(b"GET /healthz HTTP/1.1\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    let read = timeout(WRITE_STALL_MAX * 3, next.read_to_string(&mut answer)).await;
    assert!(read.is_ok(), "the first has the only place for ever");
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(begun.elapsed() >= WRITE_STALL_MAX, "{:?}", begun.elapsed());
    stop.cancel();
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
