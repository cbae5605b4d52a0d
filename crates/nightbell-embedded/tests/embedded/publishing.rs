//! Publishing: where a message goes, what of it is kept, and when it is refused.

use bytes::Bytes;
use nightbell_core::message::{HeaderValue, Headers, Message};
use nightbell_core::ports::{Destination, MessageQueue as _, Outlet, PublishError, Settler};
use nightbell_core::time::UnixMillis;
use nightbell_embedded::{EmbeddedQueue, EmbeddedSettings, MESSAGE_BYTES_MAX};

use crate::common::{
    Place, acked, close, connector, dead, events, held, message, next, publish, publish_all, requeue, retry,
    text,
};

#[tokio::test]
async fn an_event_reaches_every_connector_whole() {
    let place = Place::new();
    let queue = place.open(&["payments", "sre"]);
    let headers = Headers::from([("traceparent".to_owned(), HeaderValue::Text("00-1".into()))]);
    let sent = Message {
        body: Bytes::from_static(b"{}"),
        message_id: Some("m".into()),
        content_type: Some("application/json".into()),
        correlation_id: Some("c".into()),
        kind: Some("k".into()),
        app_id: Some("a".into()),
        published_at: Some(UnixMillis(1_700_000_000_123)),
        routing_key: String::new(),
        headers,
        ..Message::default()
    };
    queue.outlet().publish(events(), sent.clone()).await.unwrap();
    for name in ["payments", "sre"] {
        let mut subscription = queue.subscribe(connector(name));
        let (received, settler) = next(&mut subscription).await;
        assert_eq!(received, Message { routing_key: "a.b".into(), ..sent.clone() });
        settler.ack().await.unwrap();
    }
}

#[tokio::test]
async fn an_ack_of_one_connector_leaves_the_others_copy() {
    let place = Place::new();
    let queue = place.open(&["payments", "sre"]);
    publish_all(&queue, &["1", "2"]).await;
    assert_eq!(acked(&mut queue.subscribe(connector("sre")), 2).await, ["1", "2"]);
    close(queue).await.unwrap();
    let queue = place.open(&["payments", "sre"]);
    assert_eq!(queue.depths().connectors, [(connector("payments"), 2), (connector("sre"), 0)].into());
    assert_eq!(acked(&mut queue.subscribe(connector("payments")), 2).await, ["1", "2"]);
}

#[tokio::test]
async fn many_publishers_at_once_are_all_served() {
    let place = Place::new();
    let queue = place.open(&["sre"]);
    let publishers = (0..3_000).map(|number| {
        let outlet = queue.outlet();
        tokio::spawn(async move { outlet.publish(events(), message(&number.to_string())).await })
    });
    for publisher in publishers.collect::<Vec<_>>() {
        publisher.await.unwrap().unwrap();
    }
    let mut texts = acked(&mut queue.subscribe(connector("sre")), 3_000).await;
    texts.sort_by_key(|text| text.parse::<u32>().unwrap());
    assert_eq!(texts, (0..3_000).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_requeue_goes_to_its_connector_alone_and_keeps_its_key() {
    let place = Place::new();
    let queue = place.open(&["payments", "sre"]);
    let sent = Message { routing_key: "x.y".into(), ..message("1") };
    queue.outlet().publish(requeue("sre"), sent.clone()).await.unwrap();
    assert_eq!(next(&mut queue.subscribe(connector("sre"))).await.0, sent);
    assert_eq!(queue.depths().connectors[&connector("payments")], 0);
}

#[tokio::test]
async fn an_event_without_a_connector_is_an_unrouted_dead_letter() {
    let place = Place::new();
    let queue = place.open(&[]);
    publish(&queue, events(), "1").await.unwrap();
    publish(&queue, requeue("gone"), "2").await.unwrap();
    publish(&queue, retry("gone", 1), "3").await.unwrap();
    let mut letters = queue.dead_letters().await.unwrap();
    let letter = letters.next().await.unwrap().unwrap();
    assert_eq!(letter.death.detail, "no connector's queue was bound when it was published");
    assert_eq!((letter.message.routing_key.as_str(), letter.death.connector), ("a.b", None));
    let letter = letters.next().await.unwrap().unwrap();
    assert_eq!(letter.death.detail, "it came back from a retry, and connector gone has no queue any more");
    assert_eq!(letter.death.connector, Some(connector("gone")));
    let unrouted = |text: &str| (text.to_owned(), "unrouted".to_owned());
    assert_eq!(dead(&queue).await, [unrouted("1"), unrouted("2"), unrouted("3")]);
}

fn small(place: &Place, messages_max: u64, bytes_max: u64) -> EmbeddedQueue {
    let settings = EmbeddedSettings { messages_max, bytes_max, ..place.settings(&["payments", "sre"]) };
    EmbeddedQueue::open(&settings, place.clock.clone()).unwrap()
}

#[tokio::test]
async fn a_full_queue_refuses_events_and_takes_what_is_inside_already() {
    let place = Place::new();
    let queue = small(&place, 5, u64::MAX);
    publish_all(&queue, &["1", "2"]).await;
    assert_eq!(publish(&queue, events(), "3").await, Err(PublishError::Refused));
    for to in [retry("sre", 512), requeue("sre"), Destination::Dead] {
        publish(&queue, to, "inside").await.unwrap();
    }
    assert_eq!(queue.state().publishing, Ok(()));
    let mut payments = queue.subscribe(connector("payments"));
    let mut sre = queue.subscribe(connector("sre"));
    acked(&mut payments, 2).await;
    acked(&mut sre, 2).await;
    publish(&queue, events(), "3").await.unwrap();
    assert_eq!(publish(&queue, events(), "4").await, Err(PublishError::Refused));
}

#[tokio::test]
async fn the_bytes_of_a_queue_are_bounded_and_each_message_counts_once() {
    let place = Place::new();
    let queue = small(&place, u64::MAX, 3_000);
    let long = "x".repeat(1_200);
    publish_all(&queue, &[&long, &long]).await;
    assert_eq!(publish(&queue, events(), &long).await, Err(PublishError::Refused));
    close(queue).await.unwrap();
    let queue = small(&place, u64::MAX, 3_000);
    assert_eq!(publish(&queue, events(), &long).await, Err(PublishError::Refused));
    acked(&mut queue.subscribe(connector("sre")), 1).await;
    assert_eq!(publish(&queue, events(), &long).await, Err(PublishError::Refused));
    acked(&mut queue.subscribe(connector("payments")), 1).await;
    publish(&queue, events(), &long).await.unwrap();
}

#[tokio::test]
async fn an_event_that_is_too_long_is_refused_and_a_long_one_is_kept() {
    let place = Place::new();
    let queue = place.open(&["sre"]);
    let long = "x".repeat(MESSAGE_BYTES_MAX);
    assert_eq!(publish(&queue, events(), &long).await, Err(PublishError::Refused));
    publish(&queue, events(), &long[..1024 * 1024]).await.unwrap();
    let (received, _settler) = next(&mut queue.subscribe(connector("sre"))).await;
    assert_eq!(received.body.len(), 1024 * 1024);
}

#[tokio::test]
async fn a_publish_whose_caller_went_away_is_done_all_the_same() {
    let place = Place::new();
    let queue = place.open(&["sre"]);
    let outlet = queue.outlet();
    {
        let mut publish = Box::pin(outlet.publish(events(), message("1")));
        // It is sent at the first poll.
        assert!(futures_poll(publish.as_mut()).await.is_none());
    }
    let mut sre = queue.subscribe(connector("sre"));
    assert_eq!(text(&next(&mut sre).await.0), "1");
    drop(held(&mut sre, 0).await);
}

/// Polls once.
async fn futures_poll<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    let mut future = Some(future);
    std::future::poll_fn(|context| {
        use std::task::Poll;
        let Some(future) = future.take() else { return Poll::Ready(None) };
        match future.poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => Poll::Ready(None),
        }
    })
    .await
}
