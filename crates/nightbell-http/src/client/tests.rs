use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::server::{AdminRoutes, HttpState, Listener, serve};
use crate::status::Status;
use crate::tls::Tls;

/// A worker with a key, and what its commands know of it.
async fn start(ready: bool, token: Option<&str>) -> (WorkerAt, CancellationToken) {
    start_at("127.0.0.1:0", ready, token, None).await
}

async fn start_at(
    at: &str,
    ready: bool,
    token: Option<&str>,
    tls: Option<watch::Receiver<Tls>>,
) -> (WorkerAt, CancellationToken) {
    let folder = tempfile::tempdir().unwrap();
    let key = WorkerKey::make(folder.path()).unwrap();
    let listener = TcpListener::bind(at).await.unwrap();
    let at = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let state = HttpState {
        metrics: Arc::new(String::new),
        status: Arc::new(move || Status::sample(ready)),
        admin_token: token.map(SecretString::from),
        ingest: None,
        admin: AdminRoutes::default(),
        is_local: true,
        queue: Some("66-1f".into()),
        key: Some(key.clone()),
    };
    let listener = Listener::new(listener, 4096);
    let listener = match tls {
        Some(tls) => listener.with_tls(tls),
        None => listener,
    };
    tokio::spawn(serve(listener, state, stop.clone()));
    let (trust, token) = (Trust::Key(key), token.map(SecretString::from));
    (WorkerAt { at, token, trust, queue: None }, stop)
}

#[tokio::test]
async fn health_says_what_is_missing_and_why_to_who_has_the_token() {
    let (worker, _stop) = start(true, Some("sixteen-bytes-ok")).await;
    assert_eq!(health(&worker, true).await.unwrap(), None);
    let (worker, _stop) = start(false, Some("sixteen-bytes-ok")).await;
    assert_eq!(health(&worker, false).await.unwrap(), None, "it lives");
    assert_eq!(health(&worker, true).await.unwrap().unwrap(), "queue: connection refused");
    // Who can't tell who it is does not send the token, and hears less.
    let unknown = WorkerAt { trust: Trust::Nothing("no key".into()), ..worker };
    assert_eq!(health(&unknown, true).await.unwrap().unwrap(), "queue");
}

#[tokio::test]
async fn a_worker_that_listens_at_every_address_is_known() {
    for every in ["0.0.0.0:0", "[::]:0"] {
        let (worker, _stop) = start_at(every, true, Some("sixteen-bytes-ok"), None).await;
        assert!(worker.at.ip().is_unspecified());
        get(&worker, "/v1/status").await.unwrap();
    }
}

#[tokio::test]
async fn a_worker_with_another_queue_is_another() {
    let (worker, _stop) = start(true, None).await;
    let with = |queue: &str| WorkerAt { queue: Some(queue.to_owned()), ..worker.clone() };
    is_there(&with("66-1f")).await.unwrap();
    let error = is_there(&with("66-2a")).await.unwrap_err();
    assert!(matches!(error, ClientError::Foreign { .. }), "{error}");
    assert!(is_another(&worker).await);
    // The route takes no POST, whoever has the queue.
    assert_eq!(post(&with("66-1f"), "/v1/status", &[], Bytes::new()).await.unwrap().0, 405);
}

#[tokio::test]
async fn status_wants_the_token_if_there_is_one_and_liveness_does_not() {
    let (worker, _stop) = start(true, Some("sixteen-bytes-ok")).await;
    for token in [None, Some(SecretString::from("sixteen-bytes-no"))] {
        let error = get(&WorkerAt { token, ..worker.clone() }, "/v1/status").await.unwrap_err();
        assert!(matches!(error, ClientError::Unauthorized(_)), "{error}");
    }
    let body = get(&worker, "/v1/status").await.unwrap();
    assert_eq!(serde_json::from_slice::<Status>(&body).unwrap(), Status::sample(true));
    assert_eq!(get(&WorkerAt { token: None, ..worker }, "/healthz").await.unwrap(), "ok\n");
}

#[tokio::test]
async fn where_nothing_listens_is_said() {
    let (worker, stop) = start(true, None).await;
    drop(stop.drop_guard());
    let gone = async {
        loop {
            if let Err(error @ ClientError::NoWorker(_)) = get(&worker, "/v1/status").await {
                break error;
            }
        }
    };
    timeout(Duration::from_secs(20), gone).await.unwrap();
}

/// Somebody who listens and is not the worker, and all that it was sent.
async fn listen_as(
    answer: impl Fn(&str) -> Option<String> + Send + 'static,
) -> (SocketAddr, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (at, heard) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(String::new())));
    let hears = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut scratch = [0; 4096];
            while let Ok(length @ 1..) = stream.read(&mut scratch).await {
                let request = String::from_utf8_lossy(&scratch[..length]).into_owned();
                hears.lock().unwrap().push_str(&request);
                match answer(&request) {
                    Some(answer) => stream.write_all(answer.as_bytes()).await.unwrap(),
                    None => std::future::pending().await,
                }
            }
        }
    });
    (at, heard)
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// What a command does that has a secret or an event: none of it may reach this listener.
async fn check_hears_nothing(at: SocketAddr, heard: &Mutex<String>, trust: Trust) {
    let token = Some(SecretString::from("sixteen-bytes-ok"));
    let worker = WorkerAt { at, token, trust, queue: Some("66-1f".into()) };
    let body = Bytes::from_static(b"an-event");
    let errors = [
        get(&worker, "/v1/status").await.unwrap_err(),
        post(&worker, "/v1/events", &[], body).await.unwrap_err(),
        lines(&worker, Method::POST, "/v1/dead-letters/replay?all=true").await.unwrap_err(),
        is_there(&worker).await.unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, ClientError::Foreign { .. }), "{error}");
        assert!(error.to_string().ends_with("nothing was given to it"), "{error}");
    }
    let heard = heard.lock().unwrap();
    for secret in ["sixteen-bytes-ok", "an-event", "dead-letters"] {
        assert!(!heard.contains(secret), "{heard}");
    }
}

fn key() -> WorkerKey {
    WorkerKey::make(tempfile::tempdir().unwrap().path()).unwrap()
}

#[tokio::test]
async fn who_answers_200_to_everything_hears_neither_token_nor_event() {
    for body in ["", "ok\n", &"0".repeat(64), &"x".repeat(5000)] {
        let answer = ok(body);
        let (at, heard) = listen_as(move |_| Some(answer.clone())).await;
        check_hears_nothing(at, &heard, Trust::Key(key())).await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_never_answers_hears_neither_token_nor_event() {
    let (at, heard) = listen_as(|_| None).await;
    check_hears_nothing(at, &heard, Trust::Key(key())).await;
}

#[tokio::test]
async fn another_nightbell_hears_neither_token_nor_event() {
    let (other, _stop) = start(true, None).await;
    check_hears_nothing(other.at, &Mutex::default(), Trust::Key(key())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn who_says_again_what_the_worker_once_said_hears_neither_token_nor_event() {
    let (worker, _stop) = start(true, None).await;
    // Overheard, and got by relaying a new number to the worker where it is.
    let relay = worker.at;
    let (at, heard) = listen_as(move |request| {
        let mut answer = [0; 4096];
        let length = tokio::task::block_in_place(|| {
            let mut stream = std::net::TcpStream::connect(relay).unwrap();
            std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
            std::io::Read::read(&mut stream, &mut answer).unwrap()
        });
        Some(String::from_utf8_lossy(&answer[..length]).into_owned())
    })
    .await;
    check_hears_nothing(at, &heard, worker.trust).await;
    assert!(heard.lock().unwrap().contains(NONCE_HEADER));
}

#[tokio::test]
async fn who_is_known_by_nothing_hears_nothing() {
    let (at, heard) = listen_as(|_| Some(ok("ok\n"))).await;
    check_hears_nothing(at, &heard, Trust::Nothing("worker.key is not there".into())).await;
    assert_eq!(*heard.lock().unwrap(), "");
}

/// A server of a few routes, as an admin's are.
async fn start_routes(routes: axum::Router) -> WorkerAt {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (at, key) = (listener.local_addr().unwrap(), key());
    let proof = axum::routing::get(crate::proof::prove).with_state(Some(key.clone()));
    let routes = routes.route(PATH, proof).layer(axum::Extension(crate::proof::CameIn(at)));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    WorkerAt { at, token: None, trust: Trust::Key(key), queue: None }
}

#[tokio::test]
async fn a_post_carries_token_type_query_and_body() {
    use axum::extract::Request;
    use axum::http::header;

    let echo = |request: Request| async move {
        let (head, body) = request.into_parts();
        let header = |name| head.headers[name].to_str().unwrap().to_owned();
        let told = (header(header::AUTHORIZATION), header(header::CONTENT_TYPE), head.uri.to_string());
        let body = axum::body::to_bytes(body, 100).await.unwrap();
        (StatusCode::IM_A_TEAPOT, format!("{told:?} {}", std::str::from_utf8(&body).unwrap()))
    };
    let worker = start_routes(axum::Router::new().route("/x", axum::routing::post(echo))).await;
    let worker = WorkerAt { token: Some("t".into()), ..worker };
    let sent = post(&worker, "/x?a=b", &[("content-type", "text/xml")], Bytes::from_static(b"<a/>"));
    let (status, body) = sent.await.unwrap();
    assert_eq!((status, &body[..]), (418, br#"("Bearer t", "text/xml", "/x?a=b") <a/>"#.as_slice()));
}

/// A route that answers in pieces.
fn in_pieces(pieces: &'static [&'static str]) -> axum::Router {
    let body = move || async move {
        let pieces = pieces.iter().map(|piece| Ok::<_, std::io::Error>(Bytes::from_static(piece.as_bytes())));
        axum::body::Body::from_stream(futures::stream::iter(pieces))
    };
    axum::Router::new().route("/x", axum::routing::post(body))
}

#[tokio::test]
async fn lines_come_one_by_one_however_they_are_cut() {
    let routes = in_pieces(&["{\"a\"", ":1}\n{\"b\":2}\r\n\n", "\n{\"c\":", "3}"]);
    let worker = start_routes(routes).await;
    let mut lines = lines(&worker, Method::POST, "/x").await.unwrap();
    for want in ["{\"a\":1}", "{\"b\":2}", "{\"c\":3}"] {
        assert_eq!(lines.next().await.unwrap().unwrap(), want);
    }
    assert!(lines.next().await.unwrap().is_none() && lines.next().await.unwrap().is_none());
}

#[tokio::test]
async fn lines_that_break_off_or_have_no_end_are_an_error_and_then_no_more() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (at, key) = (listener.local_addr().unwrap(), key());
    let worker = WorkerAt { at, token: None, trust: Trust::Key(key.clone()), queue: None };
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let length = stream.read(&mut request).await.unwrap();
        let request = String::from_utf8_lossy(&request[..length]).into_owned();
        let nonce = request.lines().find_map(|line| line.strip_prefix(&format!("{NONCE_HEADER}: "))).unwrap();
        stream.write_all(ok(&key.answer(nonce, at)).as_bytes()).await.unwrap();
        assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n1\n2").await.unwrap();
    });
    let mut lines_of = lines(&worker, Method::GET, "/").await.unwrap();
    assert_eq!(lines_of.next().await.unwrap().unwrap(), "1");
    assert!(matches!(lines_of.next().await, Err(ClientError::BrokeOff { .. })));
    assert!(lines_of.next().await.unwrap().is_none());
    let endless = || async {
        let piece = Bytes::from(vec![b'x'; 1 << 20]);
        let pieces = futures::stream::repeat_with(move || Ok::<_, std::io::Error>(piece.clone()));
        axum::body::Body::from_stream(pieces)
    };
    let worker = start_routes(axum::Router::new().route("/endless", axum::routing::get(endless))).await;
    let mut lines_of = lines(&worker, Method::GET, "/endless").await.unwrap();
    let error = lines_of.next().await.unwrap_err().to_string();
    assert!(error.ends_with("a line of its answer is too long"), "{error}");
}

#[tokio::test]
async fn an_answer_that_is_no_list_of_lines_is_said() {
    let problem = || async {
        let error = "`reason` is none";
        crate::Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error, "give one of invalid, expired")
    };
    let routes = axum::Router::new()
        .route("/problem", axum::routing::get(problem))
        .route("/token", axum::routing::get(|| async { StatusCode::UNAUTHORIZED }));
    let worker = start_routes(routes).await;
    let error = lines(&worker, Method::GET, "/problem").await.unwrap_err().to_string();
    let want = "answered with HTTP 422: `reason` is none; give one of invalid, expired";
    assert!(error.ends_with(want), "{error}");
    let error = lines(&worker, Method::GET, "/none").await.unwrap_err().to_string();
    assert!(error.ends_with("answered with HTTP 404: it does not say why"), "{error}");
    assert!(matches!(lines(&worker, Method::GET, "/token").await, Err(ClientError::Unauthorized(_))));
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_does_not_answer_is_given_up() {
    let never = axum::routing::any(std::future::pending::<()>);
    let worker = start_routes(axum::Router::new().route("/x", never)).await;
    assert!(matches!(get(&worker, "/x").await, Err(ClientError::TimedOut { limit: GET_MAX, .. })));
    let posted = post(&worker, "/x", &[("content-type", "text/plain")], Bytes::new()).await;
    assert!(matches!(posted, Err(ClientError::TimedOut { limit: POST_MAX, .. })));
    assert!(matches!(lines(&worker, Method::GET, "/x").await, Err(ClientError::TimedOut { .. })));
}

fn identity() -> fake_xmatters::Identity {
    fake_xmatters::Authority::new().unwrap().server(&["worker.example"]).unwrap()
}

fn tls(identity: &fake_xmatters::Identity) -> Tls {
    Tls::new(identity.certificate_pem().as_bytes(), identity.key_pem().as_bytes()).unwrap()
}

fn trusting(identity: &fake_xmatters::Identity) -> Trust {
    Trust::Certificate(crate::trusting(identity.certificate_pem().as_bytes()).unwrap())
}

#[tokio::test]
async fn over_tls_the_certificate_is_the_proof_and_a_new_one_is_for_new_connections() {
    let (first, second) = (identity(), identity());
    let shown = watch::Sender::new(tls(&first));
    let (worker, _stop) =
        start_at("127.0.0.1:0", true, Some("sixteen-bytes-ok"), Some(shown.subscribe())).await;
    let with = |identity| WorkerAt { trust: trusting(identity), ..worker.clone() };
    // Its names and addresses are others than where it listens.
    get(&with(&first), "/v1/status").await.unwrap();
    assert_eq!(health(&with(&first), true).await.unwrap(), None);
    let mut open = lines(&with(&first), Method::GET, "/metrics").await.unwrap();
    shown.send_replace(tls(&second));
    get(&with(&second), "/v1/status").await.unwrap();
    let error = get(&with(&first), "/v1/status").await.unwrap_err().to_string();
    assert!(error.contains("it shows another certificate than http.tls names"), "{error}");
    while open.next().await.unwrap().is_some() {}
    // Who asks in plain text is told so, and who asks a plain listener over TLS says nothing.
    let mut stream = TcpStream::connect(worker.at).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = vec![0; 4096];
    let length = stream.read(&mut answer).await.unwrap();
    assert!(String::from_utf8_lossy(&answer[..length]).contains("ask with https://"));
    assert!(matches!(get(&worker, "/v1/status").await, Err(ClientError::Foreign { .. })));
    let (plain, _stop) = start(true, None).await;
    let error =
        get(&WorkerAt { trust: trusting(&first), ..plain }, "/v1/status").await.unwrap_err().to_string();
    assert!(error.contains("it does not speak TLS"), "{error}");
}

#[tokio::test]
async fn who_shows_the_certificate_without_its_key_hears_neither_token_nor_event() {
    let (worker, stranger) = (identity(), identity());
    let impostor = fake_xmatters::Tls::impostor(&worker, &stranger).unwrap();
    let settings = fake_xmatters::Settings { tls: Some(impostor), ..fake_xmatters::Settings::default() };
    let fake = fake_xmatters::FakeXmatters::start(settings).await.unwrap();
    check_hears_nothing(fake.addr(), &Mutex::default(), trusting(&worker)).await;
    assert!(fake.requests().is_empty());
}
