//! What answers come to.

use std::net::Ipv4Addr;
use std::time::Duration;

use fake_xmatters::{Answer, FakeXmatters, Settings};
use nightbell_core::outcome::Outcome;
use nightbell_core::ports::{Alert, Sender as _};
use nightbell_xmatters::{Auth, DestinationSettings, EXCERPT_CHARS_MAX, RESPONSE_BYTES_MAX, render};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::common::{
    FUNCTION, PASSWORD, SHORT, SOON, alert, answered, basic, destination, fake, login, sender, sent,
    unavailable,
};

const LOST_ID: Outcome = Outcome::Accepted { request_id: None };

#[tokio::test]
async fn an_accepted_alert_brings_its_request_id() {
    let fake = fake().await;
    let settings = DestinationSettings { recipients: vec!["sre".into()], ..destination(fake.trigger_url()) };
    let outcome = sent(settings.clone()).await;
    let requests = fake.requests();
    assert_eq!(outcome, Outcome::Accepted { request_id: requests[0].request_id.clone() });
    assert_eq!(requests[0].body, render(&alert(), &settings));
    assert_eq!(requests[0].alert_id.as_deref(), Some(alert().alert_id.to_string().as_str()));
    assert_eq!(requests[0].recipients, ["sre"]);
}

#[tokio::test]
async fn the_place_in_a_trace_is_sent_if_there_is_one() {
    let fake = fake().await;
    let sender = sender(destination(fake.trigger_url()));
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for trace in [parent.parse().ok(), None] {
        assert!(matches!(sender.send(Alert { trace, ..alert() }).await, Outcome::Accepted { .. }));
    }
    let sent: Vec<_> = fake.requests().iter().map(|request| request.traceparent.clone()).collect();
    assert_eq!(sent, [Some(parent.to_owned()), None]);
}

#[tokio::test]
async fn a_key_in_the_url_is_sent_and_nothing_else() {
    let auth = fake_xmatters::Auth::Url { api_key: "k3y/ä".into() };
    let fake = FakeXmatters::start(Settings { auth, ..Settings::default() }).await.unwrap();
    let settings = DestinationSettings { auth: Auth::Url, ..destination(fake.trigger_url()) };
    assert!(matches!(sent(settings).await, Outcome::Accepted { request_id: Some(_) }));
    let wrong = format!("{}x", fake.trigger_url());
    let settings = DestinationSettings { auth: Auth::Url, ..destination(wrong) };
    assert_eq!(sent(settings).await, Outcome::Unauthorized { status: 401 });
}

#[tokio::test]
async fn wrong_credentials_and_unknown_functions_are_the_destinations_fault() {
    let fake = fake().await;
    let other = Auth::Basic(login("svc-nightbell", "wrong"));
    let settings = DestinationSettings { auth: other, ..destination(fake.trigger_url()) };
    assert_eq!(sent(settings).await, Outcome::Unauthorized { status: 401 });
    assert_eq!(sent(destination(fake.url("unknown"))).await, Outcome::Unauthorized { status: 404 });
}

#[tokio::test]
async fn a_retry_after_is_kept_in_both_forms() {
    let ten = Some(Duration::from_secs(10));
    for value in ["10", "Sun, 06 Nov 1994 08:49:47 GMT"] {
        let throttled = answered(Answer::status(429).retry_after(value)).await;
        assert_eq!(throttled, Outcome::Throttled { retry_after: ten }, "{value}");
    }
    let Outcome::Unavailable { retry_after, .. } = answered(Answer::status(503).retry_after("10")).await
    else {
        panic!("a 503 is unavailable")
    };
    assert_eq!(retry_after, ten);
    let nonsense = answered(Answer::status(429).retry_after("soon")).await;
    assert_eq!(nonsense, Outcome::Throttled { retry_after: None });
}

#[tokio::test]
async fn a_page_of_html_becomes_a_line() {
    let outcome = answered(Answer::html_error(502)).await;
    assert_eq!(outcome, unavailable("HTTP 502: 502 Bad Gateway 502 Bad Gateway nginx"));
    let refused = answered(Answer::html_error(400)).await;
    assert_eq!(
        refused,
        Outcome::Refused { status: 400, body: "400 Bad Request 400 Bad Request nginx".into() }
    );
}

#[tokio::test]
async fn an_answer_that_repeats_our_secrets_is_masked() {
    let fake = fake().await;
    let url = fake.trigger_url();
    fake.script([Answer::status(400).text(format!("POST {url} as svc:{PASSWORD}, function {FUNCTION}"))]);
    let refused = sender(destination(url)).send(alert()).await;
    let body = "POST *** as svc:***, function ***".into();
    assert_eq!(refused, Outcome::Refused { status: 400, body });
}

#[tokio::test]
async fn a_redirect_is_refused_and_not_followed() {
    let fake = fake().await;
    for status in [301, 302, 303, 307, 308] {
        fake.script([Answer::status(status).header("Location", &fake.trigger_url()).text("moved")]);
        let outcome = sent(destination(fake.trigger_url())).await;
        assert_eq!(outcome, Outcome::Refused { status, body: "moved".into() });
    }
    assert_eq!((fake.summary().requests, fake.accepted_count()), (5, 0));
}

#[tokio::test]
async fn a_2xx_counts_whatever_its_body() {
    assert_eq!(answered(Answer::status(204)).await, LOST_ID);
    assert_eq!(answered(Answer::status(200).text("OK")).await, LOST_ID);
    assert_eq!(answered(Answer::half()).await, LOST_ID);
    assert_eq!(answered(Answer::accepted().text("x".repeat(10 * RESPONSE_BYTES_MAX))).await, LOST_ID);
}

#[tokio::test]
async fn a_2xx_whose_body_is_not_whole_in_time_counts() {
    let fake = fake().await;
    // The head comes at once, and the rest never in time.
    let body = "x".repeat(2_000);
    fake.script([Answer::slow(1_000, SOON).text(body)]);
    let settings = DestinationSettings { timeout: SHORT, ..destination(fake.trigger_url()) };
    assert_eq!(sent(settings).await, LOST_ID);
}

#[tokio::test]
async fn a_failure_whose_body_breaks_off_keeps_its_status() {
    let outcome =
        answered(Answer::status(503).text("0123456789").sent(fake_xmatters::Kind::HalfThenClose)).await;
    assert_eq!(outcome, unavailable("HTTP 503: 01234"));
}

#[tokio::test]
async fn a_huge_body_costs_its_connection_and_no_more() {
    let fake = fake().await;
    fake.script([Answer::status(400).text("x ".repeat(5 * 1024 * 1024))]);
    let sender = sender(destination(fake.trigger_url()));
    let Outcome::Refused { body, .. } = sender.send(alert()).await else { panic!("a 400 is refused") };
    assert_eq!(body.chars().count(), EXCERPT_CHARS_MAX);
    // The connection with the rest of the body in it is not used again.
    assert!(matches!(sender.send(alert()).await, Outcome::Accepted { .. }));
    assert_eq!(fake.summary().connections, 2);
}

#[tokio::test]
async fn an_endless_body_is_read_to_the_bound_only() {
    /// What the two sockets of a connection may hold beyond what was read, generously.
    const SOCKETS_BYTES_MAX: usize = 32 * 1024 * 1024;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}/triggers", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        // An answer before its question would end the connection.
        while stream.read_u8().await.unwrap() != b'{' {}
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n").await.unwrap();
        let (mut written, part) = (0, vec![b'x'; 64 * 1024]);
        while stream.write_all(&part).await.is_ok() && written < 2 * SOCKETS_BYTES_MAX {
            written += part.len();
        }
        written
    });
    assert_eq!(sent(destination(url)).await, LOST_ID);
    let written = server.await.unwrap();
    assert!((RESPONSE_BYTES_MAX..SOCKETS_BYTES_MAX).contains(&written), "{written}");
}

#[tokio::test]
async fn slow_bytes_within_the_time_are_awaited() {
    let outcome = answered(Answer::slow(60, Duration::from_millis(5))).await;
    assert!(matches!(outcome, Outcome::Accepted { request_id: Some(_) }), "{outcome:?}");
}

#[tokio::test]
async fn a_connection_is_used_again_by_all_clones() {
    let fake = fake().await;
    let sender = sender(DestinationSettings { auth: basic(), ..destination(fake.trigger_url()) });
    fake.script([Answer::accepted(), Answer::status(503), Answer::html_error(502)]);
    for _ in 0..5 {
        drop(sender.clone().send(alert()).await);
    }
    assert_eq!((fake.summary().requests, fake.summary().connections), (5, 1));
}
