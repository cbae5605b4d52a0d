//! Answers that are not as they should be.

use std::io;
use std::time::{Duration, Instant};

use fake_xmatters::{Answer, Rates};

use crate::raw::{Raw, SOON, alert, form, started, target};

/// What a caller reads of one scripted answer, and whether the request counted as accepted.
async fn read(answer: Answer) -> (io::Result<Vec<u8>>, bool) {
    let fake = started().await;
    fake.script([answer]);
    let mut raw = Raw::connect(fake.addr()).await;
    raw.post(&target("f"), &form("a")).await;
    let bytes = raw.read_to_end().await;
    (bytes, fake.accepted_count() == 1)
}

#[tokio::test]
async fn half_an_answer_has_its_head_and_counts_as_accepted() {
    let (bytes, accepted) = read(Answer::half()).await;
    let text = String::from_utf8(bytes.unwrap()).unwrap();
    assert!(text.starts_with("HTTP/1.1 202 Accepted\r\n"), "{text}");
    let (_, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(body.starts_with("{\"requestId\":\"") && !body.ends_with('}'), "{body}");
    assert!(accepted);
}

#[tokio::test]
async fn half_a_head_does_not_count() {
    let (bytes, accepted) = read(Answer::half_head()).await;
    let text = String::from_utf8(bytes.unwrap()).unwrap();
    assert!(text.starts_with("HTTP/1.1 202") && !text.contains("\r\n\r\n"), "{text}");
    assert!(!accepted);
}

#[tokio::test]
async fn a_closed_connection_says_nothing() {
    let (bytes, accepted) = read(Answer::close()).await;
    assert_eq!((bytes.unwrap(), accepted), (Vec::new(), false));
    let (_, accepted) = read(Answer::close().taken(true)).await;
    assert!(accepted);
}

#[tokio::test]
async fn a_reset_connection_is_an_error() {
    let (bytes, accepted) = read(Answer::reset()).await;
    assert_eq!(bytes.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert!(!accepted);
}

#[tokio::test]
async fn garbage_is_no_http() {
    let (bytes, accepted) = read(Answer::garbage()).await;
    assert!(!bytes.unwrap().starts_with(b"HTTP"));
    assert!(!accepted);
}

#[tokio::test]
async fn a_hanging_answer_never_comes() {
    let fake = started().await;
    fake.script([Answer::hang().taken(true)]);
    let mut raw = Raw::connect(fake.addr()).await;
    raw.post(&target("f"), &form("a")).await;
    fake.wait_until(|books| books.accepted("a") == 1, SOON).await.unwrap();
    let waited = tokio::time::timeout(Duration::from_millis(50), raw.read_to_end()).await;
    assert!(waited.is_err(), "{waited:?}");
}

#[tokio::test]
async fn a_delayed_answer_is_late_and_recorded_at_once() {
    let fake = started().await;
    let delay = Duration::from_millis(150);
    fake.script([Answer::accepted().after(delay)]);
    let mut raw = Raw::connect(fake.addr()).await;
    let start = Instant::now();
    raw.post(&target("f"), &form("a")).await;
    fake.wait_until(|books| books.accepted("a") == 1, SOON).await.unwrap();
    assert_eq!(raw.answer().await.status, 202);
    assert!(start.elapsed() >= delay, "{:?}", start.elapsed());
}

#[tokio::test]
async fn slow_bytes_are_whole_in_the_end() {
    let fake = started().await;
    fake.script([Answer::slow(40, Duration::from_millis(5))]);
    let start = Instant::now();
    let seen = alert(&fake, "a").await;
    assert_eq!(seen.status, 202);
    assert!(seen.body.ends_with("\"}"), "{}", seen.body);
    assert!(start.elapsed() >= Duration::from_millis(10), "{:?}", start.elapsed());
}

#[tokio::test]
async fn faults_come_at_their_rates() {
    let fake = started().await;
    fake.set_rates(Rates { fail: 1.0, cut: 0.0, seed: 1 });
    assert_eq!(alert(&fake, "a").await.status, 503);
    fake.set_rates(Rates { fail: 0.0, cut: 1.0, seed: 1 });
    let mut raw = Raw::connect(fake.addr()).await;
    raw.post(&target("f"), &form("a")).await;
    assert_eq!(raw.read_to_end().await.unwrap(), b"");
    fake.set_rates(Rates::default());
    assert_eq!(alert(&fake, "a").await.status, 202);
    assert_eq!((fake.accepted_count(), fake.summary().requests), (1, 3));
}
