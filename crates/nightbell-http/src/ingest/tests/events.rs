//! What is taken, and what the answer says.

use nightbell_core::limits::PUBLISHES_MAX;
use nightbell_core::message::{HeaderValue, Headers};
use serde_json::json;

use super::world::{NOW, Queue, World, gzip};
use crate::ingest::limits::Patience;

const ONE: &str = r#"{ "project":"shop.eu", "test":"a", "id":"1", "unknown": true }"#;
const NAMELESS: &str = r#"{"project":"p","test":"b"}"#;

#[tokio::test]
async fn an_event_is_published_as_it_came() {
    let world = World::new().await;
    let answer = world.post_json("/v1/events", ONE).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.json(), json!({ "accepted": [{ "index": 0, "id": "1" }], "rejected": [] }));
    let [(routing_key, message)] = &world.queue.taken()[..] else { panic!("one message") };
    assert_eq!((routing_key.as_str(), &message.body[..]), ("event.shop_eu", ONE.as_bytes()));
    assert_eq!(message.message_id.as_deref(), Some("1"));
    assert_eq!(message.content_type.as_deref(), Some("application/json"));
    assert_eq!(message.published_at, Some(NOW));
}

#[tokio::test]
async fn events_stay_in_the_trace_of_their_request() {
    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let world = World::new().await;
    let json = "content-type: application/json\r\n";
    let headers = format!("{json}traceparent: {PARENT}\r\ntracestate: a=1\r\n");
    world.post("/v1/events", &headers, ONE).await;
    world.post("/v1/events", &format!("{json}traceparent: 00-1\r\ntracestate: a=1\r\n"), ONE).await;
    let text = |text: &str| HeaderValue::Text(text.to_owned());
    let want =
        Headers::from([("traceparent".to_owned(), text(PARENT)), ("tracestate".to_owned(), text("a=1"))]);
    let taken: Vec<_> = world.queue.taken().into_iter().map(|(_, message)| message.headers).collect();
    assert_eq!(taken, [want, Headers::new()]);
}

#[tokio::test]
async fn an_event_without_an_id_is_given_one_that_the_answer_names() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let answer = world.post_json("/v1/events", NAMELESS).await.json();
        ids.push(answer["accepted"][0]["id"].as_str().unwrap().to_owned());
    }
    ids.sort();
    assert!(ids[0] != ids[1] && ids[0].starts_with("http:"), "{ids:?}");
    assert_eq!(world.queue.ids(), ids);
}

#[tokio::test]
async fn arrays_lines_and_gzip_are_taken() {
    let world = World::new().await;
    let event = |id: u32| format!(r#"{{"project":"p","test":"t","id":"{id}"}}"#);
    let list = format!("[{},{}]", event(1), event(2));
    let lines = |from: u32| format!("{}\n\n{}\n", event(from), event(from + 1));
    let json = "content-type: Application/JSON; charset=UTF-8\r\n";
    let ndjson = "content-type: application/x-ndjson\r\n";
    let packed = format!("{ndjson}content-encoding: gzip\r\n");
    for (headers, body) in [
        (json, list.into_bytes()),
        (ndjson, lines(3).into_bytes()),
        (json, lines(5).into_bytes()),
        (&packed, gzip(lines(7).as_bytes())),
        (&packed, [gzip(format!("{}\n", event(9)).as_bytes()), gzip(event(10).as_bytes())].concat()),
    ] {
        let answer = world.post("/v1/events", headers, body).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        assert_eq!(answer.json()["accepted"].as_array().unwrap().len(), 2, "{answer:?}");
    }
    let mut ids = world.queue.ids();
    ids.sort_by_key(|id| id.parse::<u32>().unwrap());
    assert_eq!(ids, (1..=10).map(|id| id.to_string()).collect::<Vec<_>>());
    assert_eq!(world.count("events", 202), 5);
}

#[tokio::test]
async fn a_body_in_chunks_is_taken() {
    let world = World::new().await;
    let headers = "authorization: Bearer sixteen-bytes-ok\r\ncontent-type: application/json\r\n\
                   transfer-encoding: chunked\r\n";
    let (head, tail) = ONE.split_at(20);
    let body = format!("{:x}\r\n{head}\r\n{:x}\r\n{tail}\r\n0\r\n\r\n", head.len(), tail.len());
    let answer = world.send("POST /v1/events", headers, body.as_bytes()).await;
    assert_eq!((answer.status, world.queue.ids()), (202, vec!["1".to_owned()]), "{answer:?}");
}

#[tokio::test]
async fn one_bad_event_keeps_all_from_being_published() {
    let world = World::new().await;
    let body =
        format!(r#"[{ONE},{{"project":"p"}},{NAMELESS},{{"project":"p","test":"t","labels":{{"a":1}}}}]"#);
    let answer = world.post_json("/v1/events", &body).await;
    assert_eq!(answer.error(422), "not all of it is events; nothing was published");
    let want = json!([
        { "index": 1, "at": ".", "error": "field `.`: missing field `test` at line 1 column 15" },
        {
            "index": 3, "at": "labels.a",
            "error": "field `labels.a`: invalid type: integer `1`, expected a string at line 1 column 41"
        }
    ]);
    assert_eq!((&answer.json()["rejected"], &answer.json()["accepted"]), (&want, &json!([])));
    assert!(answer.json()["hint"].as_str().unwrap().contains("partial=true"));
    assert!(world.queue.taken().is_empty());
    assert_eq!(world.count("events", 422), 1);
}

#[tokio::test]
async fn the_valid_events_are_published_where_that_is_asked_for() {
    let world = World::new().await;
    let body = format!("{{\"project\":\"p\"}}\n\n{ONE}\n");
    let ndjson = "content-type: application/x-ndjson\r\n";
    let answer = world.post("/v1/events?partial=true", ndjson, &body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.json()["accepted"], json!([{ "index": 1, "id": "1" }]));
    assert_eq!(answer.json()["rejected"][0]["index"], 0);
    assert_eq!(answer.json()["rejected"][0]["line"], 1);
    assert_eq!(world.queue.ids(), ["1"]);
    let answer = world.post("/v1/events?partial=true", ndjson, "5\n").await;
    answer.error(422);
    world.post("/v1/events?partial=yes", ndjson, &body).await.error(422);
    world.post("/v1/events?all=true", ndjson, &body).await.error(422);
}

#[tokio::test]
async fn nothing_to_publish_is_no_fault() {
    let world = World::new().await;
    let answer = world.post_json("/v1/events", "[]").await;
    assert_eq!((answer.status, answer.json()), (202, json!({ "accepted": [], "rejected": [] })));
    world.post_json("/v1/events", "").await.error(422);
}

#[tokio::test]
async fn many_events_are_published_several_at_a_time() {
    let queue = Queue::taking(usize::MAX, None);
    let world = World::with(queue, Patience::default()).await;
    let body = format!("[{}]", vec![NAMELESS; 500].join(","));
    let answer = world.post_json("/v1/events", body).await;
    assert_eq!(answer.json()["accepted"].as_array().unwrap().len(), 500);
    let indices = answer.json()["accepted"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["index"].as_u64())
        .collect::<Vec<_>>();
    assert_eq!(indices, (0..500).map(Some).collect::<Vec<_>>());
    let most = world.queue.under_way_max.load(std::sync::atomic::Ordering::SeqCst);
    assert_eq!(most, PUBLISHES_MAX);
}
