use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::server::{Face, serve};
use crate::status::Status;

async fn start(ready: bool, token: Option<&str>) -> (SocketAddr, CancellationToken) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let face = Face {
        metrics: recorder.handle(),
        status: Arc::new(move || Status::sample(ready)),
        admin_token: token.map(SecretString::from),
        ingest: None,
        admin: None,
        queue: Some("66-1f".into()),
    };
    tokio::spawn(serve(listener, face, stop.clone()));
    (at, stop)
}

#[tokio::test]
async fn readyz_says_what_is_missing() {
    let (at, _stop) = start(true, None).await;
    let body = get(at, "/readyz", None).await.unwrap();
    assert_eq!(body, r#"{"missing":[],"ready":true}"#);
    let (at, _stop) = start(false, None).await;
    let error = get(at, "/readyz", None).await.unwrap_err().to_string();
    assert!(error.ends_with("it answered with HTTP 503"), "{error}");
}

#[tokio::test]
async fn a_request_for_another_queue_is_refused() {
    let (at, _stop) = start(true, None).await;
    assert!(has_queue(at, "66-1f").await.unwrap());
    assert!(!has_queue(at, "66-2a").await.unwrap());
    let body =
        |queue| async move { post(at, "/v1/status", None, &[(QUEUE_HEADER, queue)], Bytes::new()).await };
    let (status, answer) = body("66-2a").await.unwrap();
    assert_eq!(status, 421, "{answer:?}");
    assert!(answer.starts_with(b"{\"error\":\"this worker has another queue\""), "{answer:?}");
    // The route takes no POST, whoever has the queue.
    assert_eq!(body("66-1f").await.unwrap().0, 405);
}

#[tokio::test]
async fn a_worker_that_is_not_ready_lives() {
    let (at, _stop) = start(true, Some("sixteen-bytes-ok")).await;
    assert_eq!(health(at, true).await.unwrap(), None);
    let (at, _stop) = start(false, Some("sixteen-bytes-ok")).await;
    assert_eq!(health(at, false).await.unwrap(), None);
    assert_eq!(health(at, true).await.unwrap().unwrap(), "queue: connection refused");
}

#[tokio::test]
async fn status_wants_the_token_if_there_is_one_and_health_does_not() {
    let (at, _stop) = start(true, Some("sixteen-bytes-ok")).await;
    let (right, wrong) = (SecretString::from("sixteen-bytes-ok"), SecretString::from("sixteen-bytes-no"));
    for token in [None, Some(&wrong)] {
        let error = get(at, "/v1/status", token).await.unwrap_err();
        assert!(matches!(error, ClientError::Unauthorized(_)), "{error}");
    }
    let body = get(at, "/v1/status", Some(&right)).await.unwrap();
    assert_eq!(serde_json::from_slice::<Status>(&body).unwrap(), Status::sample(true));
    assert_eq!(get(at, "/healthz", None).await.unwrap(), "ok\n");
}

#[tokio::test]
async fn where_nothing_listens_is_said() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    drop(listener);
    let error = get(at, "/v1/status", None).await.unwrap_err();
    assert!(matches!(error, ClientError::NoWorker(_)), "{error}");
}

/// A server of a few routes, as an admin's are.
async fn start_routes(routes: axum::Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    at
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
    let at = start_routes(axum::Router::new().route("/x", axum::routing::post(echo))).await;
    let token = SecretString::from("t");
    let (status, body) =
        post(at, "/x?a=b", Some(&token), &[("content-type", "text/xml")], Bytes::from_static(b"<a/>"))
            .await
            .unwrap();
    assert_eq!((status, &body[..]), (418, br#"("Bearer t", "text/xml", "/x?a=b") <a/>"#.as_slice()));
}

#[tokio::test]
async fn lines_come_one_by_one_however_they_are_cut() {
    let pieces = ["{\"a\"", ":1}\n{\"b\":2}\r\n\n", "\n{\"c\":", "3}"];
    let body = move || async move {
        let pieces = pieces.map(|piece| Ok::<_, std::io::Error>(Bytes::from_static(piece.as_bytes())));
        axum::body::Body::from_stream(futures::stream::iter(pieces))
    };
    let at = start_routes(axum::Router::new().route("/x", axum::routing::post(body))).await;
    let mut lines = lines(at, Method::POST, "/x", None, &[]).await.unwrap();
    for want in ["{\"a\":1}", "{\"b\":2}", "{\"c\":3}"] {
        assert_eq!(lines.next().await.unwrap().unwrap(), want);
    }
    assert!(lines.next().await.unwrap().is_none() && lines.next().await.unwrap().is_none());
}

#[tokio::test]
async fn lines_that_break_off_or_have_no_end_are_an_error_and_then_no_more() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let broken = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut scratch = [0; 1000];
        assert!(stream.read(&mut scratch).await.unwrap() > 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n1\n2").await.unwrap();
    });
    let mut lines_of = lines(broken, Method::GET, "/", None, &[]).await.unwrap();
    assert_eq!(lines_of.next().await.unwrap().unwrap(), "1");
    assert!(matches!(lines_of.next().await, Err(ClientError::BrokeOff { .. })));
    assert!(lines_of.next().await.unwrap().is_none());
    let endless = || async {
        let piece = Bytes::from(vec![b'x'; 1 << 20]);
        let pieces = futures::stream::repeat_with(move || Ok::<_, std::io::Error>(piece.clone()));
        axum::body::Body::from_stream(pieces)
    };
    let at = start_routes(axum::Router::new().route("/endless", axum::routing::get(endless))).await;
    let mut lines_of = lines(at, Method::GET, "/endless", None, &[]).await.unwrap();
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
    let at = start_routes(routes).await;
    let error = lines(at, Method::GET, "/problem", None, &[]).await.unwrap_err().to_string();
    let want = "answered with HTTP 422: `reason` is none; give one of invalid, expired";
    assert!(error.ends_with(want), "{error}");
    let error = lines(at, Method::GET, "/none", None, &[]).await.unwrap_err().to_string();
    assert!(error.ends_with("answered with HTTP 404: it does not say why"), "{error}");
    assert!(matches!(lines(at, Method::GET, "/token", None, &[]).await, Err(ClientError::Unauthorized(_))));
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_does_not_answer_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    // It accepts by its backlog, and never answers.
    assert!(matches!(get(at, "/x", None).await, Err(ClientError::TimedOut { limit: GET_MAX, .. })));
    let posted = post(at, "/x", None, &[("content-type", "text/plain")], Bytes::new()).await;
    assert!(matches!(posted, Err(ClientError::TimedOut { limit: POST_MAX, .. })));
    assert!(matches!(lines(at, Method::GET, "/x", None, &[]).await, Err(ClientError::TimedOut { .. })));
}
