//! A queue that version 0.1.0 wrote, kept as bytes: what waits in it must stay readable.

use std::fs;
use std::path::{Path, PathBuf};

use nightbell_core::ports::{Destination, MessageQueue as _};
use nightbell_core::time::UnixMillis;
use nightbell_embedded::EmbeddedQueue;

use crate::common::{NOW, Place, acked, close, connector, dead, events, publish, retry};

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/queue-v1.redb")
}

/// Two events, a retry that is due 8 s later, and a dead letter.
async fn fill(queue: &EmbeddedQueue) {
    publish(queue, events(), "1").await.unwrap();
    publish(queue, events(), "2").await.unwrap();
    publish(queue, retry("sre", 8), "3").await.unwrap();
    publish(queue, Destination::Dead, "4").await.unwrap();
}

#[tokio::test]
async fn a_queue_of_version_1_is_read_and_goes_on() {
    let place = Place::new();
    fs::create_dir_all(place.path().parent().unwrap()).unwrap();
    fs::copy(fixture(), place.path()).unwrap();
    place.clock.move_to(UnixMillis(NOW.0 + 8_000));
    let queue = place.open(&["sre"]);
    let letters = dead(&queue).await;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].0, "4");
    publish(&queue, events(), "5").await.unwrap();
    let mut taken = acked(&mut queue.subscribe(connector("sre")), 4).await;
    // A retry that is due stands before or behind what came meanwhile.
    taken.sort();
    assert_eq!(taken, ["1", "2", "3", "5"]);
    close(queue).await.unwrap();
}

/// Writes the fixture, once and for all; it is not written again for a version that reads it no longer.
#[tokio::test]
#[ignore = "it makes the fixture"]
async fn make() {
    assert!(!fixture().exists(), "the fixture is never replaced");
    let place = Place::new();
    let queue = place.open(&["sre"]);
    fill(&queue).await;
    close(queue).await.unwrap();
    fs::create_dir_all(fixture().parent().unwrap()).unwrap();
    fs::copy(place.path(), fixture()).unwrap();
}
