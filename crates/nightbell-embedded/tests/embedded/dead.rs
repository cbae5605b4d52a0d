//! Dead letters and the move to another queue.

use nightbell_core::dead::Reason;
use nightbell_core::journey::{Death, Journey};
use nightbell_core::message::Message;
use nightbell_core::ports::{Destination, MessageQueue as _, Outlet, Settler};
use nightbell_core::time::UnixMillis;
use nightbell_embedded::{EmbeddedQueue, Waits};

use crate::common::{
    NOW, Place, becomes, close, connector, dead, events, held, message, publish, publish_all, retry, text,
};

const REFUSED: &str = "refused";

async fn bury(queue: &EmbeddedQueue, text: &str) -> Death {
    let death = Death {
        connector: Some(connector("sre")),
        reason: Reason::Refused,
        detail: "HTTP 400".into(),
        at: Some(NOW),
    };
    let mut message = message(text);
    Journey { death: Some(death.clone()), ..Journey::default() }.write(&mut message.headers);
    queue.outlet().publish(Destination::Dead, message).await.unwrap();
    death
}

fn pairs(texts: &[&str]) -> Vec<(String, String)> {
    texts.iter().map(|text| ((*text).to_owned(), REFUSED.to_owned())).collect()
}

#[tokio::test]
async fn a_letter_tells_its_death_and_stays_until_it_is_removed() {
    let place = Place::new();
    let queue = place.open(&["sre"]);
    let death = bury(&queue, "1").await;
    bury(&queue, "2").await;
    let mut letters = queue.dead_letters().await.unwrap();
    becomes(|| queue.depths().dead == Some(2)).await;
    let first = letters.next().await.unwrap().unwrap();
    assert_eq!((first.death, text(&first.message)), (death, "1".to_owned()));
    assert!(letters.next().await.unwrap().is_some());
    assert!(letters.next().await.unwrap().is_none());
    letters.remove(first.removal).await.unwrap();
    letters.close().await.unwrap();
    assert_eq!(dead(&queue).await, pairs(&["2"]));
    close(queue).await.unwrap();
    let queue = place.open(&["sre"]);
    assert_eq!(dead(&queue).await, pairs(&["2"]));
    assert_eq!(queue.depths().dead, Some(1));
}

#[tokio::test]
async fn letters_that_come_later_are_not_shown() {
    let place = Place::new();
    let queue = place.open(&["sre"]);
    bury(&queue, "1").await;
    let mut letters = queue.dead_letters().await.unwrap();
    bury(&queue, "2").await;
    assert_eq!(text(&letters.next().await.unwrap().unwrap().message), "1");
    assert!(letters.next().await.unwrap().is_none());
    assert_eq!(dead(&queue).await, pairs(&["1", "2"]));
}

#[tokio::test]
async fn two_may_browse_at_once_and_what_one_removed_the_other_does_not_see() {
    let place = Place::new();
    let queue = place.open(&["sre"]);
    for number in 0..200 {
        bury(&queue, &number.to_string()).await;
    }
    let (mut one, mut two) = (queue.dead_letters().await.unwrap(), queue.dead_letters().await.unwrap());
    let mut removed = 0;
    while let Some(letter) = one.next().await.unwrap() {
        one.remove(letter.removal).await.unwrap();
        removed += 1;
    }
    one.close().await.unwrap();
    assert_eq!(removed, 200);
    assert!(two.next().await.unwrap().is_none());
    becomes(|| queue.depths().dead == Some(0)).await;
}

/// What a drain gives, as texts.
async fn drained(queue: &EmbeddedQueue) -> Vec<(String, Waits)> {
    let mut drain = queue.drain().await.unwrap();
    let mut found = Vec::new();
    while let Some(waiting) = drain.next().await.unwrap() {
        found.push((text(&waiting.message), waiting.waits));
        drain.remove(waiting.removal).await.unwrap();
    }
    drain.close().await.unwrap();
    found
}

#[tokio::test]
async fn a_drain_gives_everything_that_waits_once() {
    let place = Place::new();
    let queue = place.open(&["payments", "sre"]);
    publish(&queue, retry("sre", 512), "retry").await.unwrap();
    publish_all(&queue, &["1", "2"]).await;
    let death = bury(&queue, "dead").await;
    let ready = |text: &str, name| (text.to_owned(), Waits::Ready { connector: connector(name) });
    let due = UnixMillis(NOW.0 + 512_000);
    let want = vec![
        ready("1", "payments"),
        ready("2", "payments"),
        ready("1", "sre"),
        ready("2", "sre"),
        ("retry".to_owned(), Waits::Retry { connector: connector("sre"), due }),
        ("dead".to_owned(), Waits::Dead(death)),
    ];
    assert_eq!(drained(&queue).await, want);
    close(queue).await.unwrap();
    let queue = place.open(&["payments", "sre"]);
    assert_eq!(drained(&queue).await, []);
}

#[tokio::test]
async fn a_drain_leaves_what_somebody_holds() {
    let place = Place::new();
    let queue = place.open(&["sre"]);
    publish_all(&queue, &["1"]).await;
    let mut sre = queue.subscribe(connector("sre"));
    let (_, settler) = held(&mut sre, 1).await.remove(0);
    assert_eq!(drained(&queue).await, []);
    settler.hand_back().await.unwrap();
    assert_eq!(held(&mut sre, 1).await[0].0, "1");
}

#[tokio::test]
async fn a_retry_that_became_due_while_it_was_drained_is_removed_all_the_same() {
    let place = Place::new();
    let queue = place.open(&["sre"]);
    publish(&queue, retry("sre", 512), "1").await.unwrap();
    let mut drain = queue.drain().await.unwrap();
    let waiting = drain.next().await.unwrap().unwrap();
    place.clock.move_to(UnixMillis(NOW.0 + 600_000));
    becomes(|| queue.depths().connectors[&connector("sre")] == 1).await;
    drain.remove(waiting.removal).await.unwrap();
    drain.close().await.unwrap();
    becomes(|| queue.depths().connectors[&connector("sre")] == 0).await;
}

#[tokio::test]
async fn what_is_published_while_letters_are_replayed_is_kept() {
    let place = Place::new();
    let queue = place.open(&["sre"]);
    bury(&queue, "1").await;
    let mut letters = queue.dead_letters().await.unwrap();
    let letter = letters.next().await.unwrap().unwrap();
    let replayed = Message { headers: Default::default(), ..letter.message };
    queue.outlet().publish(events(), replayed).await.unwrap();
    letters.remove(letter.removal).await.unwrap();
    letters.close().await.unwrap();
    assert_eq!(dead(&queue).await, []);
    assert_eq!(held(&mut queue.subscribe(connector("sre")), 1).await[0].0, "1");
}
