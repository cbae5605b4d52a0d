//! Consuming: order, prefetch, one consumer at a time, and every way to give something back.

use nightbell_core::ports::{Incoming, MessageQueue as _, Outlet, SettleError, Settler, Subscription};
use nightbell_embedded::{EmbeddedQueue, EmbeddedSettings};

use crate::common::{
    NOW, Place, acked, becomes, check_silent, close, connector, events, held, message, publish, publish_all,
    requeue, retry, soon,
};

const SECOND: std::time::Duration = std::time::Duration::from_secs(1);

fn with_prefetch(place: &Place, prefetch: u16) -> EmbeddedQueue {
    let settings = EmbeddedSettings { prefetch, ..place.settings(&["sre"]) };
    EmbeddedQueue::open(&settings, place.clock.clone()).unwrap()
}

#[tokio::test]
async fn messages_come_in_the_order_in_which_they_were_published() {
    let place = Place::new();
    let queue = place.open(&["sre"]);
    let mut sre = queue.subscribe(connector("sre"));
    let want: Vec<_> = (0..100).map(|number| number.to_string()).collect();
    for text in &want {
        publish(&queue, events(), text).await.unwrap();
    }
    assert_eq!(acked(&mut sre, 100).await, want);
    becomes(|| queue.depths().connectors[&connector("sre")] == 0).await;
}

#[tokio::test]
async fn no_more_than_the_prefetch_is_in_hand() {
    let place = Place::new();
    let queue = with_prefetch(&place, 2);
    publish_all(&queue, &["1", "2", "3", "4"]).await;
    let mut sre = queue.subscribe(connector("sre"));
    let mut hand = held(&mut sre, 2).await;
    check_silent(&queue, &mut sre).await;
    hand.remove(0).1.ack().await.unwrap();
    hand.extend(held(&mut sre, 1).await);
    check_silent(&queue, &mut sre).await;
    assert_eq!(hand.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>(), ["2", "3"]);
}

#[tokio::test]
async fn what_is_handed_back_comes_again_at_its_place() {
    let place = Place::new();
    let queue = with_prefetch(&place, 2);
    publish_all(&queue, &["1", "2", "3", "4"]).await;
    let mut sre = queue.subscribe(connector("sre"));
    let mut hand = held(&mut sre, 2).await;
    hand.remove(0).1.hand_back().await.unwrap();
    assert_eq!(held(&mut sre, 1).await[0].0, "1");
    hand.remove(0).1.ack().await.unwrap();
    assert_eq!(held(&mut sre, 1).await[0].0, "3");
}

#[tokio::test]
async fn leaving_hands_back_all_that_is_not_settled_in_its_order() {
    let place = Place::new();
    let queue = with_prefetch(&place, 3);
    publish_all(&queue, &["1", "2", "3", "4"]).await;
    let mut sre = queue.subscribe(connector("sre"));
    let mut hand = held(&mut sre, 2).await;
    hand.remove(1).1.ack().await.unwrap();
    sre.leave().await;
    let (_, settler) = hand.remove(0);
    assert_eq!(settler.ack().await, Err(SettleError::Gone));
    assert_eq!(acked(&mut queue.subscribe(connector("sre")), 3).await, ["1", "3", "4"]);
}

#[tokio::test]
async fn a_late_hand_back_is_gone_too() {
    let place = Place::new();
    let queue = place.open(&["sre"]);
    publish_all(&queue, &["1"]).await;
    let mut sre = queue.subscribe(connector("sre"));
    let (_, settler) = held(&mut sre, 1).await.remove(0);
    drop(sre);
    assert_eq!(settler.hand_back().await, Err(SettleError::Gone));
}

#[tokio::test]
async fn a_second_subscription_takes_over_when_the_first_leaves_or_is_dropped() {
    let place = Place::new();
    let queue = place.open(&["sre"]);
    publish_all(&queue, &["1"]).await;
    let mut first = queue.subscribe(connector("sre"));
    let mut second = queue.subscribe(connector("sre"));
    let hand = held(&mut first, 1).await;
    check_silent(&queue, &mut second).await;
    first.leave().await;
    assert_eq!(held(&mut second, 1).await[0].0, "1");
    drop((second, hand));
    assert_eq!(acked(&mut queue.subscribe(connector("sre")), 1).await, ["1"]);
}

#[tokio::test]
async fn connectors_do_not_hold_each_other_up() {
    let place = Place::new();
    let settings = EmbeddedSettings { prefetch: 1, ..place.settings(&["payments", "sre"]) };
    let queue = EmbeddedQueue::open(&settings, place.clock.clone()).unwrap();
    publish_all(&queue, &["1", "2"]).await;
    let mut payments = queue.subscribe(connector("payments"));
    let _stuck = held(&mut payments, 1).await;
    assert_eq!(acked(&mut queue.subscribe(connector("sre")), 2).await, ["1", "2"]);
}

#[tokio::test]
async fn a_retry_comes_when_it_is_due_and_behind_what_is_ready() {
    let place = Place::new();
    let queue = with_prefetch(&place, 1);
    let mut sre = queue.subscribe(connector("sre"));
    publish(&queue, retry("sre", 512), "late").await.unwrap();
    publish(&queue, retry("sre", 256), "soon").await.unwrap();
    check_silent(&queue, &mut sre).await;
    publish(&queue, requeue("sre"), "now").await.unwrap();
    assert_eq!(acked(&mut sre, 1).await, ["now"]);
    assert_eq!(queue.depths().delayed[&connector("sre")], 2);
    publish(&queue, events(), "held").await.unwrap();
    let hand = held(&mut sre, 1).await;
    publish(&queue, events(), "next").await.unwrap();
    place.clock.move_to(NOW.after(SECOND * 512));
    becomes(|| queue.depths().connectors[&connector("sre")] == 3).await;
    for (_, settler) in hand {
        settler.ack().await.unwrap();
    }
    assert_eq!(acked(&mut sre, 3).await, ["next", "soon", "late"]);
}

#[tokio::test]
async fn a_retry_needs_no_clock_that_is_right() {
    let place = Place::new();
    let queue = place.open(&["sre"]);
    let mut sre = queue.subscribe(connector("sre"));
    publish(&queue, retry("sre", 1), "1").await.unwrap();
    place.clock.move_to(nightbell_core::time::UnixMillis(0));
    assert_eq!(acked(&mut sre, 1).await, ["1"]);
}

#[tokio::test]
async fn a_closed_queue_says_that_it_is_lost_once_and_settles_nothing() {
    let place = Place::new();
    let queue = place.open(&["sre"]);
    publish_all(&queue, &["1"]).await;
    let mut sre = queue.subscribe(connector("sre"));
    let (_, settler) = held(&mut sre, 1).await.remove(0);
    let outlet = queue.outlet();
    close(queue.clone()).await.unwrap();
    assert_eq!(settler.ack().await, Err(SettleError::Gone));
    assert!(matches!(soon(sre.next()).await, Incoming::Lost));
    tokio::select! {
        biased;
        _ = sre.next() => panic!("a lost queue has nothing more to say"),
        () = std::future::ready(()) => {}
    }
    soon(sre.leave()).await;
    assert!(outlet.publish(events(), message("2")).await.is_err());
    assert_eq!(queue.state().consuming, Err("the queue was closed".into()));
    assert_eq!(close(queue).await, Ok(()));
}

#[tokio::test]
async fn a_subscription_that_is_dropped_at_once_holds_nobody_up() {
    let place = Place::new();
    let queue = place.open(&["sre"]);
    for _ in 0..200 {
        drop(queue.subscribe(connector("sre")));
    }
    publish_all(&queue, &["1"]).await;
    assert_eq!(acked(&mut queue.subscribe(connector("sre")), 1).await, ["1"]);
}
