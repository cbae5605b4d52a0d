//! What the answer says when the queue does not take all.

use std::time::Duration;

use nightbell_core::ports::PublishError;

use super::world::{Answer, Queue, World};
use crate::ingest::limits::Patience;

fn events(count: u32) -> String {
    let event = |id: u32| format!(r#"{{"project":"p","test":"t","id":"{id}"}}"#);
    format!("[{}]", (0..count).map(event).collect::<Vec<_>>().join(","))
}

/// Posts 100 events to a queue that takes `takes`; every one must be in exactly one list.
async fn post(takes: usize, then: Option<PublishError>) -> (World, Answer) {
    let patience = Patience { publish: Duration::from_millis(100), ..Patience::default() };
    let world = World::with(Queue::taking(takes, then), patience).await;
    let answer = world.post_json("/v1/events", events(100)).await;
    let json = answer.json();
    let listed = |list: &str| {
        json[list]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let (mut accepted, mut all) = (listed("accepted"), listed("rejected"));
    all.extend(accepted.clone());
    all.sort_by_key(|id| id.parse::<u32>().unwrap());
    assert_eq!(all, (0..100).map(|id| id.to_string()).collect::<Vec<_>>());
    accepted.sort();
    assert_eq!(accepted, world.queue.ids());
    (world, answer)
}

#[tokio::test]
async fn a_queue_that_pushes_back_is_a_429() {
    for takes in [0, 1, 50] {
        let (world, answer) = post(takes, Some(PublishError::Refused)).await;
        answer.error(429);
        assert!(answer.head.contains("retry-after: 1"), "{answer:?}");
        assert_eq!((world.queue.taken().len(), world.count("events", 429)), (takes, 1));
        assert!(answer.text.contains("the queue refused it"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_queue_that_can_not_be_reached_is_a_503_that_does_not_say_where_it_is() {
    for error in [PublishError::Unavailable("amqp://secret@host".into()), PublishError::Unroutable] {
        let (world, answer) = post(3, Some(error)).await;
        answer.error(503);
        assert!(answer.head.contains("retry-after: 5"), "{answer:?}");
        assert!(answer.text.contains("may have it all the same"), "{answer:?}");
        assert!(!answer.text.contains("secret"), "{answer:?}");
        assert_eq!(world.queue.taken().len(), 3);
    }
}

#[tokio::test]
async fn a_queue_that_does_not_answer_is_a_503() {
    let (_world, answer) = post(40, None).await;
    answer.error(503);
    assert!(answer.text.contains("not tried"), "{answer:?}");
}
