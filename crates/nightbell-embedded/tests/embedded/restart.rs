//! What a new start finds: after a clean end, after one without a farewell, and after the configuration changed.

use std::fs;
use std::time::Duration;

use nightbell_core::ports::{MessageQueue as _, Subscription};
use nightbell_core::time::UnixMillis;
use nightbell_embedded::{DELIVERIES_MAX, EmbeddedQueue, EmbeddedSettings, OpenError};

use crate::common::{
    NOW, Place, acked, becomes, check_silent, close, connector, dead, events, held, publish, publish_all,
    retry,
};

#[tokio::test]
async fn what_was_not_settled_comes_again_in_its_order() {
    let place = Place::new();
    let queue = place.open(&["sre"]);
    publish_all(&queue, &["1", "2", "3"]).await;
    assert_eq!(acked(&mut queue.subscribe(connector("sre")), 1).await, ["1"]);
    close(queue).await.unwrap();
    let queue = place.open(&["sre"]);
    assert_eq!(acked(&mut queue.subscribe(connector("sre")), 2).await, ["2", "3"]);
}

#[tokio::test]
async fn what_was_published_is_there_after_a_drop_without_a_close() {
    let place = Place::new();
    let queue = place.open(&["sre"]);
    publish_all(&queue, &["1", "2"]).await;
    drop(queue);
    let queue = place.open(&["sre"]);
    assert_eq!(acked(&mut queue.subscribe(connector("sre")), 2).await, ["1", "2"]);
}

#[tokio::test]
async fn a_retry_waits_out_its_time_over_a_restart() {
    let place = Place::new();
    let queue = place.open(&["sre"]);
    publish(&queue, retry("sre", 512), "1").await.unwrap();
    close(queue).await.unwrap();
    place.clock.move_to(UnixMillis(NOW.0 + 256_000));
    let queue = place.open(&["sre"]);
    let mut sre = queue.subscribe(connector("sre"));
    check_silent(&queue, &mut sre).await;
    drop((sre, queue));
    place.clock.move_to(UnixMillis(NOW.0 + 512_000));
    let queue = place.open(&["sre"]);
    assert_eq!(acked(&mut queue.subscribe(connector("sre")), 1).await, ["1"]);
}

#[tokio::test]
async fn a_clock_set_back_over_a_restart_holds_a_retry_no_longer_than_its_rung() {
    let place = Place::new();
    let queue = place.open(&["sre"]);
    publish(&queue, retry("sre", 1), "1").await.unwrap();
    close(queue).await.unwrap();
    place.clock.move_to(UnixMillis(NOW.0 - 3_600_000));
    let queue = place.open(&["sre"]);
    assert_eq!(acked(&mut queue.subscribe(connector("sre")), 1).await, ["1"]);
}

#[tokio::test]
async fn a_clock_set_back_delays_no_retry() {
    let place = Place::new();
    let queue = place.open(&["sre"]);
    let mut sre = queue.subscribe(connector("sre"));
    publish(&queue, retry("sre", 1), "1").await.unwrap();
    place.clock.move_to(UnixMillis(NOW.0 - 3 * 86_400_000));
    publish(&queue, retry("sre", 1), "2").await.unwrap();
    assert_eq!(acked(&mut sre, 2).await, ["1", "2"]);
    // Those are waited for by the clock that the file knows of.
    publish(&queue, retry("sre", 512), "3").await.unwrap();
    publish(&queue, retry("sre", 1), "4").await.unwrap();
    assert_eq!(acked(&mut sre, 1).await, ["4"]);
    place.clock.move_to(UnixMillis(NOW.0 - 3 * 86_400_000 + 512_000));
    assert_eq!(acked(&mut sre, 1).await, ["3"]);
}

#[tokio::test]
async fn messages_of_a_connector_that_is_not_configured_are_kept() {
    let place = Place::new();
    let queue = place.open(&["gone", "sre"]);
    publish_all(&queue, &["1"]).await;
    close(queue).await.unwrap();
    let queue = place.open(&["sre"]);
    publish_all(&queue, &["2"]).await;
    becomes(|| queue.depths().connectors == [(connector("gone"), 1), (connector("sre"), 2)].into()).await;
    close(queue).await.unwrap();
    let queue = place.open(&["gone", "sre"]);
    assert_eq!(acked(&mut queue.subscribe(connector("gone")), 1).await, ["1"]);
}

#[tokio::test]
async fn a_retry_behind_a_backlog_has_its_turn_and_does_not_die_of_kills_that_it_had_no_part_in() {
    let place = Place::new();
    let settings = EmbeddedSettings { prefetch: 2, ..place.settings(&["sre"]) };
    let open = || EmbeddedQueue::open(&settings, place.clock.clone()).unwrap();
    let queue = open();
    publish_all(&queue, &["0", "1", "2", "3"]).await;
    publish(&queue, retry("sre", 1), "again").await.unwrap();
    drop(queue);
    place.clock.move_to(UnixMillis(NOW.0 + 1_000));
    let mut settled = Vec::new();
    for round in 4..4 + 2 * DELIVERIES_MAX {
        let queue = open();
        publish_all(&queue, &[&round.to_string()]).await;
        let mut sre = queue.subscribe(connector("sre"));
        settled.extend(acked(&mut sre, 1).await);
        let _in_hand = held(&mut sre, 1).await;
        drop(sre);
        assert_eq!(dead(&queue).await, []);
    }
    assert_eq!(
        settled[..6],
        ["0", "1", "2", "3", "again", "4"],
        "it keeps its place among those that came after"
    );
}

/// Opens a queue with a prefetch of two so often, ending each time in this way with one message in hand.
async fn hold_and_end(place: &Place, times: u16, mut end: impl AsyncFnMut(EmbeddedQueue)) {
    let settings = EmbeddedSettings { prefetch: 2, ..place.settings(&["sre"]) };
    for _ in 0..times {
        end(EmbeddedQueue::open(&settings, place.clock.clone()).unwrap()).await;
    }
}

#[tokio::test]
async fn a_message_whose_owner_ends_too_often_is_a_dead_letter() {
    let place = Place::new();
    let settings = EmbeddedSettings { prefetch: 2, ..place.settings(&["sre"]) };
    let queue = EmbeddedQueue::open(&settings, place.clock.clone()).unwrap();
    publish_all(&queue, &["poison", "next", "last"]).await;
    for _ in 0..DELIVERIES_MAX {
        // Two are in its hand when it is dropped.
        let mut sre = queue.subscribe(connector("sre"));
        assert_eq!(held(&mut sre, 2).await[0].0, "poison");
    }
    assert_eq!(dead(&queue).await, []);
    close(queue).await.unwrap();
    let queue = EmbeddedQueue::open(&settings, place.clock.clone()).unwrap();
    let mut sre = queue.subscribe(connector("sre"));
    assert_eq!(held(&mut sre, 2).await[0].0, "poison");
    drop(sre);
    assert_eq!(acked(&mut queue.subscribe(connector("sre")), 1).await, ["last"]);
    let limit = |text: &str| (text.to_owned(), "delivery_limit".to_owned());
    assert_eq!(dead(&queue).await, [limit("poison"), limit("next")]);
}

#[tokio::test]
async fn a_clean_end_counts_nothing() {
    let place = Place::new();
    let queue = place.open(&["sre"]);
    publish_all(&queue, &["1"]).await;
    close(queue).await.unwrap();
    hold_and_end(&place, DELIVERIES_MAX + 2, async |queue| {
        let mut sre = queue.subscribe(connector("sre"));
        let _hand = held(&mut sre, 1).await;
        sre.leave().await;
        close(queue).await.unwrap();
    })
    .await;
    let queue = place.open(&["sre"]);
    assert_eq!(dead(&queue).await, []);
    assert_eq!(acked(&mut queue.subscribe(connector("sre")), 1).await, ["1"]);
}

#[tokio::test]
async fn an_end_without_a_farewell_counts_what_may_have_been_in_hand() {
    let place = Place::new();
    let queue = place.open(&["sre"]);
    publish_all(&queue, &["1", "2", "3"]).await;
    publish(&queue, retry("sre", 1), "due").await.unwrap();
    close(queue).await.unwrap();
    place.clock.move_to(UnixMillis(NOW.0 + 60_000));
    hold_and_end(&place, DELIVERIES_MAX + 1, async |queue| {
        let mut sre = queue.subscribe(connector("sre"));
        let _hand = held(&mut sre, 1).await;
        sre.leave().await;
    })
    .await;
    let queue = place.open(&["sre"]);
    let limit = |text: &str| (text.to_owned(), "delivery_limit".to_owned());
    assert_eq!(
        dead(&queue).await,
        [limit("1"), limit("2")],
        "with three before it, the retry was in no hand of two"
    );
    let mut letters = queue.dead_letters().await.unwrap();
    let death = letters.next().await.unwrap().unwrap().death;
    assert_eq!((death.connector, death.at), (Some(connector("sre")), Some(UnixMillis(NOW.0 + 60_000))));
    assert_eq!(acked(&mut queue.subscribe(connector("sre")), 2).await, ["3", "due"]);
}

#[tokio::test]
async fn an_end_before_anything_was_delivered_counts_nothing() {
    let place = Place::new();
    publish_all(&place.open(&["sre"]), &["1"]).await;
    hold_and_end(&place, DELIVERIES_MAX + 2, async |queue| drop(queue)).await;
    let queue = place.open(&["sre"]);
    assert_eq!(dead(&queue).await, []);
    assert_eq!(acked(&mut queue.subscribe(connector("sre")), 1).await, ["1"]);
}

#[tokio::test]
async fn a_queue_in_use_is_not_opened_again() {
    let place = Place::new();
    let queue = place.open(&["sre"]);
    let refused = place.try_open(&["sre"]).unwrap_err();
    assert!(matches!(&refused, OpenError::InUse { path } if *path == place.path()));
    assert!(refused.to_string().contains("is in use by another process"), "{refused}");
    publish_all(&queue, &["1"]).await;
    close(queue).await.unwrap();
    assert_eq!(acked(&mut place.open(&["sre"]).subscribe(connector("sre")), 1).await, ["1"]);
}

#[tokio::test]
async fn a_file_that_was_long_is_short_after_its_messages_have_passed() {
    let place = Place::new();
    let queue = place.open(&["sre"]);
    let long = "x".repeat(1024 * 1024);
    for _ in 0..80 {
        publish(&queue, events(), &long).await.unwrap();
    }
    let full = fs::metadata(place.path()).unwrap().len();
    acked(&mut queue.subscribe(connector("sre")), 80).await;
    publish_all(&queue, &["1"]).await;
    close(queue).await.unwrap();
    let bytes = fs::metadata(place.path()).unwrap().len();
    assert!(full > 64 * 1024 * 1024 && bytes < full / 8, "{full} bytes, then {bytes}");
    assert_eq!(acked(&mut place.open(&["sre"]).subscribe(connector("sre")), 1).await, ["1"]);
}

#[tokio::test]
async fn a_file_does_not_grow_with_what_passes_through() {
    let place = Place::new();
    let queue = place.open(&["sre"]);
    let mut sre = queue.subscribe(connector("sre"));
    let long = "x".repeat(100_000);
    let mut lengths = Vec::new();
    for _ in 0..60 {
        publish_all(&queue, &[long.as_str(); 5]).await;
        acked(&mut sre, 5).await;
        lengths.push(fs::metadata(place.path()).unwrap().len());
    }
    let (early, late) = (lengths[..20].iter().max().unwrap(), lengths[20..].iter().max().unwrap());
    assert!(*late <= early * 2 && *late < 30_000_000 / 2, "{lengths:?}");
    tokio::time::timeout(Duration::from_secs(60), sre.leave()).await.unwrap();
}
