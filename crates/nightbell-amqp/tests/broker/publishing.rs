//! Publishing: what is confirmed has arrived, and what has not arrived is not confirmed.

use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use nightbell_amqp::{Broker, DeadQueue, queue_report};
use nightbell_core::dead::Reason;
use nightbell_core::message::{HeaderValue, Message};
use nightbell_core::ports::{DeadLetters as _, Destination, MessageQueue as _, Outlet, PublishError};
use nightbell_core::rung::Rung;
use nightbell_core::time::UnixMillis;
use tokio::runtime::Handle;

use crate::support::{
    MUST, broker, connector, delivery, events, eventually, is_silent, message, publish, settings,
    settings_at, take,
};
use crate::{Node, trials};
use nightbell_tests::node::RabbitNode;

pub(crate) fn trials(runtime: &Handle, node: &Node) -> Vec<Trial> {
    trials!(
        runtime,
        node,
        an_event_reaches_every_connector_whole,
        what_is_requeued_reaches_its_connector_alone_or_is_unroutable,
        a_retry_comes_back_to_its_connector_alone_after_its_time,
        an_event_that_no_connector_wants_becomes_a_dead_letter,
        retries_of_a_removed_connector_become_dead_letters_and_hold_up_nobody,
        each_of_many_publishes_gets_its_own_verdict,
        publishes_dropped_midway_spoil_no_later_one,
        a_broker_that_is_not_there_is_unavailable_soon,
        an_exchange_that_was_deleted_is_declared_anew,
    )
}

fn shortest() -> Rung {
    Rung::within(Duration::ZERO)
}

async fn an_event_reaches_every_connector_whole(node: &RabbitNode) {
    let broker = broker(node, "whole", &["sre", "payments"]);
    let sent = Message {
        content_type: Some("application/json".into()),
        published_at: Some(UnixMillis(1_700_000_000_123)),
        headers: [("traceparent".to_owned(), HeaderValue::Text("00-1".into()))].into(),
        ..message("whole")
    };
    broker.outlet().publish(events(), sent.clone()).await.unwrap();
    for name in ["sre", "payments"] {
        let (got, _) = delivery(&mut broker.subscribe(connector(name))).await;
        assert_eq!(got, Message { routing_key: "payments.api".into(), ..sent.clone() });
    }
}

async fn what_is_requeued_reaches_its_connector_alone_or_is_unroutable(node: &RabbitNode) {
    let broker = broker(node, "requeued", &["sre", "payments"]);
    let to = |name| Destination::Requeue { connector: connector(name) };
    let sent = Message { routing_key: "a.b".into(), ..message("one") };
    broker.outlet().publish(to("sre"), sent.clone()).await.unwrap();
    let (mut sre, mut payments) =
        (broker.subscribe(connector("sre")), broker.subscribe(connector("payments")));
    assert_eq!(delivery(&mut sre).await.0, sent);
    assert!(is_silent(&mut payments, &[]).await);
    let refused = broker.outlet().publish(to("nobody"), message("two")).await;
    assert_eq!(refused, Err(PublishError::Unroutable));
}

async fn a_retry_comes_back_to_its_connector_alone_after_its_time(node: &RabbitNode) {
    let broker = broker(node, "retried", &["sre", "payments"]);
    let (mut sre, mut payments) =
        (broker.subscribe(connector("sre")), broker.subscribe(connector("payments")));
    let sent = Message { routing_key: "a.b".into(), ..message("again") };
    publish(&broker.outlet(), Destination::Requeue { connector: connector("sre") }, sent.clone()).await;
    let (mut got, mut settler) = delivery(&mut sre).await;
    for _ in 0..2 {
        use nightbell_core::ports::Settler;
        let to = Destination::Retry { rung: shortest(), connector: connector("sre") };
        let began = Instant::now();
        broker.outlet().publish(to, got.clone()).await.unwrap();
        settler.ack().await.unwrap();
        (got, settler) = delivery(&mut sre).await;
        assert!(began.elapsed() >= Duration::from_millis(990), "{:?}", began.elapsed());
        assert_eq!(got, sent);
    }
    assert!(is_silent(&mut payments, &[]).await);
}

async fn an_event_that_no_connector_wants_becomes_a_dead_letter(node: &RabbitNode) {
    let broker = broker(node, "unrouted", &[]);
    broker.outlet().publish(events(), message("lost")).await.unwrap();
    let mut queue = DeadQueue::open(&settings(node, "unrouted")).await.unwrap();
    let letter = queue.next().await.unwrap().unwrap();
    assert_eq!(letter.message, Message { routing_key: "payments.api".into(), ..message("lost") });
    assert_eq!((letter.death.reason, letter.death.connector), (Reason::Unrouted, None));
}

async fn retries_of_a_removed_connector_become_dead_letters_and_hold_up_nobody(node: &RabbitNode) {
    /// More than the broker keeps on the way between two queues at a time.
    const GHOSTS: u32 = 80;
    let broker = broker(node, "removed", &["sre"]);
    let retry = |name| Destination::Retry { rung: shortest(), connector: connector(name) };
    for number in 0..GHOSTS {
        publish(&broker.outlet(), retry("ghost"), message(&format!("ghost{number}"))).await;
    }
    publish(&broker.outlet(), retry("sre"), message("living")).await;
    assert_eq!(take(&mut broker.subscribe(connector("sre"))).await, "living");
    let mut queue = DeadQueue::open(&settings(node, "removed")).await.unwrap();
    let dead =
        queue_report(&settings(node, "removed"), &["removed.dead".to_owned()]).await.unwrap().remove(0);
    assert_eq!(dead.ready, Some(GHOSTS));
    let death = queue.next().await.unwrap().unwrap().death;
    assert_eq!((death.reason, death.connector), (Reason::Unrouted, Some(connector("ghost"))));
}

async fn each_of_many_publishes_gets_its_own_verdict(node: &RabbitNode) {
    let broker = broker(node, "verdicts", &["sre"]);
    let outlet = broker.outlet();
    publish(&outlet, events(), message("first")).await;
    let publishes = (0..400).map(|number| {
        let (outlet, there) = (outlet.clone(), number % 2 == 0);
        let to = Destination::Requeue { connector: connector(if there { "sre" } else { "nobody" }) };
        async move { (there, outlet.publish(to, message(&number.to_string())).await) }
    });
    for (there, verdict) in futures::future::join_all(publishes).await {
        assert_eq!(verdict, if there { Ok(()) } else { Err(PublishError::Unroutable) });
    }
}

async fn publishes_dropped_midway_spoil_no_later_one(node: &RabbitNode) {
    let broker = broker(node, "dropped", &["sre"]);
    let outlet = broker.outlet();
    publish(&outlet, events(), message("first")).await;
    let to = |name| Destination::Requeue { connector: connector(name) };
    for wait_us in (0..4_000).step_by(50) {
        // Given up at any point between taking a channel and the confirm.
        let publish = outlet.publish(to("nobody"), message("x"));
        drop(tokio::time::timeout(Duration::from_micros(wait_us), publish).await);
        assert_eq!(outlet.publish(to("sre"), message("y")).await, Ok(()));
    }
}

async fn a_broker_that_is_not_there_is_unavailable_soon(_: &RabbitNode) {
    let settings = settings_at("amqp://guest:hunter2@127.0.0.1:1/%2f", "nightbell");
    let broker = Broker::new(settings, vec![connector("sre")]);
    let began = Instant::now();
    for _ in 0..3 {
        let refused = broker.outlet().publish(events(), message("x")).await.unwrap_err();
        let PublishError::Unavailable(reason) = refused else { panic!("{refused:?}") };
        assert!(reason.contains("no connection to 127.0.0.1:1") && !reason.contains("hunter2"), "{reason}");
    }
    assert!(began.elapsed() < MUST, "{:?}", began.elapsed());
    let state = broker.state().borrow().clone();
    assert!(state.publishing.is_err_and(|reason| reason.contains("127.0.0.1:1")));
}

async fn an_exchange_that_was_deleted_is_declared_anew(node: &RabbitNode) {
    use lapin::options::ExchangeDeleteOptions;
    let broker = broker(node, "vanished", &["sre"]);
    publish(&broker.outlet(), events(), message("before")).await;
    let (_connection, channel) = crate::support::stranger(&node.url("/")).await;
    channel.exchange_delete("vanished.events".into(), ExchangeDeleteOptions::default()).await.unwrap();
    eventually("the exchange is back", || async {
        broker.outlet().publish(events(), message("after")).await.is_ok()
    })
    .await;
    let mut sre = broker.subscribe(connector("sre"));
    assert_eq!(take(&mut sre).await, "before");
    assert_eq!(take(&mut sre).await, "after");
}
