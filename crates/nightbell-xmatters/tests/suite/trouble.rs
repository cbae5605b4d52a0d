//! What happens when no answer comes.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use fake_xmatters::Answer;
use nightbell_core::outcome::Outcome;
use nightbell_core::ports::Sender as _;
use nightbell_xmatters::DestinationSettings;
use tokio::net::TcpListener;

use crate::common::{SHORT, SOON, alert, answered, destination, fake, sender, sent, unavailable};

const CLOSED_EARLY: &str = "connection closed before the whole answer";

#[tokio::test]
async fn an_answer_that_breaks_off_in_its_head_is_unavailable() {
    assert_eq!(answered(Answer::half_head()).await, unavailable(CLOSED_EARLY));
    assert_eq!(answered(Answer::close()).await, unavailable(CLOSED_EARLY));
}

#[tokio::test]
async fn a_reset_is_unavailable() {
    assert_eq!(answered(Answer::reset()).await, unavailable("connection reset"));
}

#[tokio::test]
async fn garbage_is_unavailable() {
    assert_eq!(answered(Answer::garbage()).await, unavailable("the answer is no HTTP"));
}

#[tokio::test]
async fn a_late_answer_is_timed_out() {
    for answer in [Answer::hang(), Answer::accepted().after(SOON), Answer::slow(1, SOON)] {
        let fake = fake().await;
        fake.script([answer]);
        let settings = DestinationSettings { timeout: SHORT, ..destination(fake.trigger_url()) };
        let start = Instant::now();
        assert_eq!(sent(settings).await, Outcome::TimedOut);
        assert!((SHORT..SOON / 2).contains(&start.elapsed()), "{:?}", start.elapsed());
    }
}

#[tokio::test]
async fn a_port_that_nobody_listens_on_is_unavailable() {
    let fake = fake().await;
    let url = fake.trigger_url();
    fake.stop().await;
    assert_eq!(sent(destination(url)).await, unavailable("connection refused"));
}

#[tokio::test]
async fn a_name_that_can_not_be_resolved_is_unavailable() {
    // No resolver asks the network for a label of more than 63 characters.
    let host = format!("{}.invalid", "x".repeat(64));
    let insecure =
        DestinationSettings { allow_insecure: true, ..destination(format!("http://{host}/triggers")) };
    assert_eq!(sent(insecure).await, unavailable("host name not found"));
    let Outcome::Unavailable { detail, .. } = sent(destination(format!("https://{host}/triggers"))).await
    else {
        panic!("nobody is there")
    };
    assert!(detail.starts_with("the host name is too long"), "{detail}");
}

#[tokio::test]
async fn a_handshake_that_takes_too_long_is_unavailable_since_nothing_was_sent() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("https://{}/triggers", silent.local_addr().unwrap());
    let settings = DestinationSettings { connect_timeout: SHORT, ..destination(url) };
    assert_eq!(sent(settings).await, unavailable("connecting took too long"));
}

#[tokio::test]
async fn a_connect_timeout_is_never_longer_than_the_whole() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("https://{}/triggers", silent.local_addr().unwrap());
    let start = Instant::now();
    let outcome = sent(DestinationSettings { timeout: SHORT, ..destination(url) }).await;
    assert!(matches!(outcome, Outcome::Unavailable { .. } | Outcome::TimedOut), "{outcome:?}");
    assert!(start.elapsed() < SOON / 2, "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_server_without_tls_is_unavailable() {
    let fake = fake().await;
    let url = fake.trigger_url().replace("http:", "https:");
    assert_eq!(sent(destination(url)).await, unavailable("TLS failed: the server does not speak TLS"));
}

#[tokio::test]
async fn a_destination_that_comes_back_is_reached_by_the_same_sender() {
    let first = fake().await;
    let (url, listen): (_, SocketAddr) = (first.trigger_url(), first.addr());
    let sender = sender(destination(url));
    assert!(matches!(sender.send(alert()).await, Outcome::Accepted { .. }));
    first.stop().await;
    assert!(matches!(sender.send(alert()).await, Outcome::Unavailable { .. }));
    let settings = fake_xmatters::Settings { listen, ..fake_xmatters::Settings::default() };
    let second = fake_xmatters::FakeXmatters::start(settings).await.unwrap();
    assert!(matches!(sender.send(alert()).await, Outcome::Accepted { .. }));
    assert_eq!(second.accepted_count(), 1);
}

#[tokio::test]
async fn each_attempt_is_one_request() {
    let fake = fake().await;
    let sender = sender(destination(fake.trigger_url()));
    let faults =
        [Answer::close(), Answer::reset(), Answer::status(503), Answer::half_head(), Answer::garbage()];
    let count = faults.len();
    fake.script(faults);
    for _ in 0..count {
        assert!(matches!(sender.send(alert()).await, Outcome::Unavailable { .. }));
    }
    assert_eq!(fake.summary().requests, u64::try_from(count).unwrap());
}

#[tokio::test]
async fn an_attempt_that_is_dropped_leaves_the_sender_whole() {
    let fake = fake().await;
    fake.script([Answer::hang()]);
    let sender = sender(destination(fake.trigger_url()));
    let dropped = tokio::time::timeout(Duration::from_millis(50), sender.send(alert())).await;
    assert!(dropped.is_err(), "{dropped:?}");
    assert!(matches!(sender.send(alert()).await, Outcome::Accepted { .. }));
}
