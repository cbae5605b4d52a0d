//! Who is not let in, what is too long, too slow or of another kind.

use std::time::Duration;

use nightbell_core::limits::EVENT_BYTES_MAX;
use tokio::io::AsyncWriteExt as _;

use super::world::{Answer, Queue, TOKEN, World, gzip};
use crate::ingest::limits::{EVENTS_BODY_BYTES_MAX, ITEMS_MAX, Patience, REPORT_BODY_BYTES_MAX};

const ONE: &str = r#"{"project":"p","test":"a","id":"1"}"#;
const ROUTES: [&str; 4] = ["/v1/events", "/v1/reports?project=p", "/v1/junit?project=p", "/v1/apifortress"];

async fn impatient() -> World {
    let short = Duration::from_millis(100);
    let patience = Patience { window: short, share: short, ..Patience::default() };
    World::with(Queue::taking(usize::MAX, None), patience).await
}

#[tokio::test]
async fn only_the_token_lets_in_and_it_is_asked_for_first() {
    let world = World::new().await;
    for route in ROUTES {
        for token in ["", "authorization: Bearer sixteen-bytes-no\r\n", "authorization: Basic c2l4\r\n"] {
            let answer =
                world.send(&format!("POST {route}"), &format!("{token}content-length: 1\r\n"), b"x").await;
            assert_eq!(answer.error(401), "this route wants the ingest token");
            assert!(answer.head.contains("www-authenticate: bearer"), "{answer:?}");
            assert!(!format!("{answer:?}").contains("sixteen"), "{answer:?}");
        }
    }
    // The admin token is another one.
    let admin = "authorization: Bearer another-token-ok\r\ncontent-length: 0\r\n";
    world.send("POST /v1/events", admin, b"").await.error(401);
    assert_eq!(
        (world.count("events", 401), world.count("junit", 401), world.count("apifortress", 401)),
        (4, 3, 3)
    );
}

#[tokio::test]
async fn a_body_that_is_announced_too_long_is_refused_before_it_comes() {
    let world = World::new().await;
    let head = |bytes: usize, kind: &str| {
        format!(
            "authorization: Bearer {TOKEN}\r\nexpect: 100-continue\r\ncontent-length: {bytes}\r\ncontent-type: {kind}\r\n"
        )
    };
    let long = head(EVENTS_BODY_BYTES_MAX + 1, "application/json");
    world.send("POST /v1/events", &long, b"").await.error(413);
    world.send("POST /v1/apifortress", &long, b"").await.error(413);
    let long = head(REPORT_BODY_BYTES_MAX + 1, "text/xml");
    world.send("POST /v1/junit?project=p", &long, b"").await.error(413);
}

#[tokio::test]
async fn a_body_that_grows_too_long_is_refused() {
    let world = World::new().await;
    let headers = format!(
        "authorization: Bearer {TOKEN}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n"
    );
    let mut body = format!("{:x}\r\n", EVENTS_BODY_BYTES_MAX + 1).into_bytes();
    body.resize(body.len() + EVENTS_BODY_BYTES_MAX + 1, b' ');
    body.extend(b"\r\n0\r\n\r\n");
    let answer = world.send("POST /v1/events", &headers, &body).await;
    assert!(answer.error(413).contains("16777216 bytes"), "{answer:?}");
}

#[tokio::test]
async fn a_body_that_is_announced_too_long_and_sent_all_the_same_gets_its_answer() {
    let world = World::new().await;
    let answer = world.post_json("/v1/events", vec![b' '; EVENTS_BODY_BYTES_MAX + 1]).await;
    answer.error(413);
}

#[tokio::test]
async fn what_unpacks_to_too_much_is_refused() {
    let world = World::new().await;
    let headers = "content-type: application/json\r\ncontent-encoding: gzip\r\n";
    let packed = gzip(&vec![b' '; 3 * EVENTS_BODY_BYTES_MAX]);
    assert!(packed.len() < EVENTS_BODY_BYTES_MAX / 10);
    world.post("/v1/events", headers, packed).await.error(413);
    let packed = gzip(ONE.as_bytes());
    for broken in [&packed[..packed.len() - 1], b"not gzip".as_slice(), b""] {
        assert!(world.post("/v1/events", headers, broken).await.error(422).contains("not gzip"));
    }
    assert!(world.queue.taken().is_empty());
}

#[tokio::test]
async fn an_event_over_its_limit_is_too_long_wherever_it_stands() {
    let world = World::new().await;
    let long = format!(r#"{{"project":"p","test":"{}"}}"#, "x".repeat(EVENT_BYTES_MAX));
    for body in [long.clone(), format!("[{ONE},{long}]"), format!("{ONE}\n{long}\n")] {
        let answer = world.post_json("/v1/events", body).await;
        assert_eq!(answer.error(413), "an event is too long; nothing was published");
        assert!(answer.text.len() < 500, "the body is not in the answer");
    }
    assert!(world.queue.taken().is_empty());
    let answer = world.post_json("/v1/events?partial=true", format!("[{ONE},{long}]")).await;
    assert_eq!((answer.status, world.queue.ids()), (202, vec!["1".to_owned()]));
}

#[tokio::test]
async fn a_request_has_so_many_events_at_the_most() {
    let world = World::new().await;
    let lines = format!("{ONE}\n").repeat(ITEMS_MAX + 1);
    let array = format!("[{ONE}{}]", format!(",{ONE}").repeat(ITEMS_MAX));
    for (kind, body) in [("application/x-ndjson", lines), ("application/json", array)] {
        let answer = world.post("/v1/events", &format!("content-type: {kind}\r\n"), body).await;
        assert!(answer.error(413).contains("more than 10000 events"), "{answer:?}");
    }
    assert!(world.queue.taken().is_empty());
}

#[tokio::test]
async fn other_kinds_of_bodies_are_refused() {
    let world = World::new().await;
    for headers in [
        "",
        "content-type: text/plain\r\n",
        "content-type: application/x-www-form-urlencoded\r\n",
        "content-type: application/json; charset=latin1\r\n",
        "content-type: application/json\r\ncontent-encoding: br\r\n",
        "content-type: application/json\r\ncontent-encoding: gzip, gzip\r\n",
        "content-type: application/json\r\ncontent-encoding: gzip\r\ncontent-encoding: gzip\r\n",
    ] {
        world.post("/v1/events", headers, ONE).await.error(415);
        world.post("/v1/apifortress", headers, ONE).await.error(415);
    }
    world.post_json("/v1/junit?project=p", "{}").await.error(415);
    world.post("/v1/apifortress", "content-type: application/x-ndjson\r\n", ONE).await.error(415);
    assert!(world.queue.taken().is_empty());
}

#[tokio::test]
async fn a_slow_body_is_not_waited_for() {
    let world = impatient().await;
    let headers =
        format!("authorization: Bearer {TOKEN}\r\ncontent-type: application/json\r\ncontent-length: 100\r\n");
    let answer = world.send("POST /v1/events", &headers, b"{").await;
    answer.error(408);
    assert_eq!(world.count("events", 408), 1);
}

/// Header lines, with the token, of a body that comes in this way.
fn headers_of(coming: &str) -> String {
    format!("authorization: Bearer {TOKEN}\r\ncontent-type: application/json\r\n{coming}\r\n")
}

#[tokio::test]
async fn requests_that_hold_too_much_are_told_to_come_again() {
    let short = Duration::from_millis(100);
    let window = Duration::from_secs(60);
    let patience = Patience { share: short, discard: short, window, ..Patience::default() };
    let world = World::with(Queue::taking(usize::MAX, None), patience).await;
    let length = EVENTS_BODY_BYTES_MAX;
    let headers = headers_of(&format!("content-length: {length}"));
    // Nearly all of each comes, and not its end; what one address may have is spent with the third.
    let body = vec![b' '; length - 1];
    let mut slow = Vec::new();
    let answer = loop {
        let stream = world.begin("POST /v1/events", &headers, &body).await;
        slow.push(stream);
        assert!(slow.len() < 5, "nobody is told to come again");
        let ready = tokio::time::timeout(Duration::from_secs(3), slow[slow.len() - 1].readable());
        if ready.await.is_ok() {
            break Answer::read(slow.pop().unwrap()).await;
        }
    };
    answer.error(503);
    assert!(answer.head.contains("retry-after: 1"), "{answer:?}");
    assert_eq!(slow.len(), 2);
    // A small one still gets in, and the end of one makes room for another.
    assert_eq!(world.post_json("/v1/events", ONE).await.status, 202);
    drop(slow.remove(0));
    let whole = [&body[..length - 2], b"[]"].concat();
    let next = tokio::time::timeout(Duration::from_secs(20), async {
        while world.post_json("/v1/events", whole.clone()).await.status != 202 {}
    });
    next.await.expect("there is room");
}

#[tokio::test]
async fn slow_uploaders_of_long_bodies_hold_up_nobody() {
    let world = World::new().await;
    let long = headers_of(&format!("content-length: {EVENTS_BODY_BYTES_MAX}"));
    let chunked = headers_of("transfer-encoding: chunked");
    let packed = headers_of(&format!("content-length: {EVENTS_BODY_BYTES_MAX}\r\ncontent-encoding: gzip"));
    let report = format!(
        "authorization: Bearer {TOKEN}\r\ncontent-type: text/xml\r\ncontent-length: {REPORT_BODY_BYTES_MAX}\r\n"
    );
    let mut slow = Vec::new();
    for _ in 0..10 {
        slow.push(world.begin("POST /v1/events", &long, b"[").await);
        slow.push(world.begin("POST /v1/events", &chunked, b"1\r\n[\r\n").await);
        slow.push(world.begin("POST /v1/events", &packed, &[0x1f]).await);
        slow.push(world.begin("POST /v1/junit?project=p", &report, b"<").await);
    }
    for body in [ONE.to_owned(), format!("[{}]", " ".repeat(100_000))] {
        let taken = tokio::time::timeout(Duration::from_secs(1), world.post_json("/v1/events", body));
        assert_eq!(taken.await.expect("an answer within a second").status, 202);
    }
}

#[tokio::test]
async fn a_body_slower_than_the_least_speed_gets_408() {
    let window = Duration::from_secs(1);
    let patience = Patience { window, ..Patience::default() };
    let world = World::with(Queue::taking(usize::MAX, None), patience).await;
    for coming in [
        "content-length: 100000",
        "transfer-encoding: chunked",
        "content-length: 1000\r\ncontent-encoding: gzip",
    ] {
        let mut stream = world.begin("POST /v1/events", &headers_of(coming), b"").await;
        // A piece comes all the time, and too little of it.
        let answer = loop {
            drop(stream.write_all(b"1\r\n[\r\n").await);
            let ready = tokio::time::timeout(Duration::from_millis(100), stream.readable());
            if ready.await.is_ok() {
                break Answer::read(stream).await;
            }
        };
        assert!(answer.error(408).contains("did not come in time"), "{coming}: {answer:?}");
    }
    // One that is quick enough is waited for.
    let mut stream = world.begin("POST /v1/events", &headers_of("content-length: 9000"), b"[").await;
    for _ in 0..3 {
        stream.write_all(&[b' '; 2999]).await.unwrap();
        // Its slowness is what is tried.
        tokio::time::sleep(window / 2).await;
    }
    stream.write_all(b" ]").await.unwrap();
    assert_eq!(Answer::read(stream).await.status, 202);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_event() {
    let world = World::new().await;
    let headers = format!(
        "authorization: Bearer {TOKEN}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n"
    );
    let answer = world.send("POST /v1/events", &headers, b"zz\r\n").await;
    answer.error(400);
    assert!(world.queue.taken().is_empty());
}

const XML: &str = "content-type: application/xml\r\n";

fn report(suite: &str, failures: usize) -> String {
    use std::fmt::Write as _;
    let mut text = format!("<testsuite name=\"{suite}\">");
    for number in 0..failures {
        write!(text, "<testcase name=\"t{number}\"><failure message=\"no\"/></testcase>").unwrap();
    }
    text + "</testsuite>"
}

#[tokio::test]
async fn a_report_of_which_too_much_is_made_is_refused() {
    let world = World::new().await;
    let tag = "x".repeat(60_000);
    let answer = world.post(&format!("/v1/junit?project=p&tag={tag}"), XML, report("s", ITEMS_MAX)).await;
    assert!(answer.error(413).contains("come to more than"), "{answer:?}");
    assert!(answer.text.contains("nightbell publish"), "{answer:?}");
    let long = report(&"s".repeat(100_000), ITEMS_MAX);
    world.post("/v1/junit?project=p", XML, long).await.error(413);
    assert!(world.queue.taken().is_empty());
    assert_eq!(world.count("junit", 413), 2);
}

#[tokio::test]
async fn a_report_may_repeat_itself_within_reason() {
    let world = World::new().await;
    let taken = async |target: &str, report: String| {
        let answer = world.post(target, XML, report).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        answer.json()["accepted"].as_array().unwrap().len()
    };
    assert_eq!(taken("/v1/junit?project=p", report(&"s".repeat(2_000), 500)).await, 500);
    let target = "/v1/junit?project=shop&environment=production&run_id=2024-05-01.1234&tag=nightly&label=team%3Dpayments\
                  &report_url=https%3A%2F%2Fci.example%2Fjobs%2Fshop%2Fnightly%2F1234%2Freport";
    assert_eq!(taken(target, report("checkout", ITEMS_MAX)).await, ITEMS_MAX);
    assert_eq!(taken("/v1/junit?project=p", report("s", ITEMS_MAX)).await, ITEMS_MAX);
}
