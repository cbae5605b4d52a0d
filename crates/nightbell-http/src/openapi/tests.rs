use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use nightbell_core::message::Message;
use nightbell_core::ports::{Destination, Outlet, PublishError};
use nightbell_worker::SystemClock;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::status::Status;
use crate::{AdminRoutes, HttpState, Ingest, Listener, Method, serve};

#[derive(Clone)]
struct Nowhere;

impl Outlet for Nowhere {
    async fn publish(&self, _: Destination, _: Message) -> Result<(), PublishError> {
        Ok(())
    }
}

/// What the description of further routes may look like.
fn admin_paths() -> Map<String, Value> {
    let responses = json!({ "200": {}, "401": { "$part": "unauthorized" }, "403": { "$part": "forbidden" } });
    let operation = json!({ "responses": responses, "security": [{ "admin": [] }] });
    let paths = [("", "get"), ("/replay", "post"), ("/discard", "post")];
    Map::from_iter(
        paths.map(|(end, method)| (format!("/v1/dead-letters{end}"), json!({ method: operation }))),
    )
}

fn document(has_ingest: bool, has_admin: bool) -> Value {
    super::document(has_ingest, if has_admin { admin_paths() } else { Map::new() })
}

async fn start(has_ingest: bool, has_admin: bool) -> std::net::SocketAddr {
    start_with(has_ingest, has_admin, true).await
}

async fn start_with(has_ingest: bool, has_admin: bool, has_tokens: bool) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let admin = Router::new()
        .route("/v1/dead-letters", get(|| async { "" }))
        .route("/v1/dead-letters/replay", post(|| async { "" }))
        .route("/v1/dead-letters/discard", post(|| async { "" }));
    let state = HttpState {
        metrics: Arc::new(String::new),
        status: Arc::new(|| Status::sample(true)),
        admin_token: has_tokens.then(|| "admin-token-of-16".into()),
        ingest: has_ingest.then(|| {
            let token = has_tokens.then(|| "ingest-token-16".into());
            Ingest::new(Nowhere, token, SystemClock, nightbell_trace::Tracer::off())
        }),
        admin: if has_admin {
            AdminRoutes { router: admin, paths: admin_paths() }
        } else {
            AdminRoutes::default()
        },
        is_local: false,
        queue: None,
        key: None,
    };
    tokio::spawn(serve(Listener::new(listener, 4096), state, CancellationToken::new()));
    at
}

async fn ask(at: std::net::SocketAddr, method: &str, path: &str) -> u16 {
    exchange(at, method, path).await.split(' ').nth(1).unwrap().parse().unwrap()
}

async fn exchange(at: std::net::SocketAddr, method: &str, path: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(at).await.unwrap();
    let request =
        format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn what_is_described_is_served_and_nothing_else_is() {
    for (has_ingest, has_admin, count) in
        [(true, true, 13), (true, false, 10), (false, true, 9), (false, false, 6)]
    {
        let at = start(has_ingest, has_admin).await;
        let described = document(has_ingest, has_admin);
        let paths = described["paths"].as_object().unwrap();
        assert_eq!(paths.len(), count);
        for (path, methods) in paths {
            let described = methods.as_object().unwrap();
            for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
                let code = ask(at, method.as_str(), path).await;
                match described.get(&method.as_str().to_ascii_lowercase()) {
                    Some(operation) => {
                        assert!(
                            operation["responses"].get(code.to_string()).is_some(),
                            "{method} {path}: {code}"
                        );
                        assert_eq!(
                            code == 401,
                            operation.get("security").is_some(),
                            "{method} {path}: {code}"
                        );
                    }
                    None => assert_eq!(code, 405, "{method} {path}"),
                }
            }
        }
        let all = document(true, true);
        for path in all["paths"].as_object().unwrap().keys().filter(|path| !paths.contains_key(*path)) {
            assert_eq!(ask(at, "GET", path).await, 404, "{path}");
        }
    }
}

#[tokio::test]
async fn what_a_token_may_guard_is_described_as_closed_to_other_hosts() {
    let at = start_with(true, true, false).await;
    let described = document(true, true);
    for (path, methods) in described["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let code = ask(at, &method.to_ascii_uppercase(), path).await;
            let is_guarded = operation.get("security").is_some() || path == "/metrics";
            assert_eq!(code == 403, is_guarded, "{method} {path}: {code}");
            assert_eq!(operation["responses"].get("403").is_some(), is_guarded, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn the_description_is_served_without_a_token() {
    let at = start(true, true).await;
    let answer = exchange(at, "GET", "/openapi.json").await;
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), document(true, true));
}

/// Every reference, wherever it stands.
fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str));
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_reference_leads_to_a_schema() {
    let described = document(true, true);
    let mut found = BTreeSet::new();
    references(&described, &mut found);
    assert!(found.len() >= 12, "{found:?}");
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(described.pointer(pointer).is_some_and(Value::is_object), "{reference}");
    }
}

#[test]
fn events_are_described_by_their_own_schema() {
    let described = document(true, false);
    let event = &described["components"]["schemas"]["Event"];
    let own = json!(schemars::schema_for!(nightbell_core::event::Event));
    assert_eq!(event["required"], own["required"]);
    let names =
        |schema: &Value| schema["properties"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(event), names(&own));
    for name in ["project", "id", "message", "suite", "dedup_key"] {
        assert_eq!(event["properties"][name]["description"], own["properties"][name]["description"]);
    }
    let fortress = &described["components"]["schemas"]["ApiFortress"];
    assert_eq!(fortress["required"], json!(["eventId", "test", "companyId", "projectName"]));
}

#[test]
fn nothing_is_left_that_should_have_been_put_in() {
    let text = document(true, true).to_string();
    assert!(!text.contains("$part") && !text.contains("_MAX}") && !text.contains("{time}"), "{text}");
    for wanted in [crate::proof::NONCE_HEADER, "At most 10000 events", env!("CARGO_PKG_VERSION")] {
        assert!(text.contains(wanted), "{wanted}");
    }
}
