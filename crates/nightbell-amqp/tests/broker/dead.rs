//! Browsing the dead letters.

use libtest_mimic::Trial;
use nightbell_amqp::{AmqpError, AmqpRemoval, BrokerSettings, DeadQueue};
use nightbell_core::dead::Reason;
use nightbell_core::journey::{Death, Journey};
use nightbell_core::message::Message;
use nightbell_core::ports::{DeadLetter, DeadLetters as _, Destination, MessageQueue as _, Settler};
use nightbell_core::time::UnixMillis;
use tokio::runtime::Handle;

use crate::support::{broker, connector, delivery, events, eventually, message, publish, settings, take};
use crate::{Node, trials};
use nightbell_tests::node::RabbitNode;
use nightbell_tests::wire;

pub(crate) fn trials(runtime: &Handle, node: &Node) -> Vec<Trial> {
    trials!(
        runtime,
        node,
        browsing_removes_what_it_shall_and_leaves_the_rest_in_order,
        a_browser_that_dies_loses_nothing,
        letters_that_come_while_browsing_are_not_shown,
        only_one_browses_at_a_time,
        a_dead_letter_keeps_its_own_story,
        a_text_that_is_not_utf_8_is_read_wherever_it_is,
    )
}

/// A dead queue with the letters `0`, `1` …
async fn letters(node: &RabbitNode, prefix: &str, count: u32) -> BrokerSettings {
    let broker = broker(node, prefix, &[]);
    for number in 0..count {
        publish(&broker.outlet(), Destination::Dead, message(&number.to_string())).await;
    }
    settings(node, prefix)
}

fn id(letter: &DeadLetter<AmqpRemoval>) -> &str {
    letter.message.message_id.as_deref().unwrap_or_default()
}

async fn ids(settings: &BrokerSettings) -> Vec<String> {
    let mut queue = DeadQueue::open(settings).await.unwrap();
    let mut ids = Vec::new();
    while let Some(letter) = queue.next().await.unwrap() {
        ids.push(id(&letter).to_owned());
    }
    queue.close().await.unwrap();
    ids
}

async fn browsing_removes_what_it_shall_and_leaves_the_rest_in_order(node: &RabbitNode) {
    let settings = letters(node, "browsed", 6).await;
    assert_eq!(ids(&settings).await, ["0", "1", "2", "3", "4", "5"]);
    let mut queue = DeadQueue::open(&settings).await.unwrap();
    while let Some(letter) = queue.next().await.unwrap() {
        if ["1", "4"].contains(&id(&letter)) {
            queue.remove(letter.removal).await.unwrap();
        }
    }
    queue.close().await.unwrap();
    for _ in 0..3 {
        assert_eq!(ids(&settings).await, ["0", "2", "3", "5"]);
    }
}

async fn a_browser_that_dies_loses_nothing(node: &RabbitNode) {
    let settings = letters(node, "crashed", 4).await;
    let mut queue = DeadQueue::open(&settings).await.unwrap();
    let first = queue.next().await.unwrap().unwrap();
    let second = queue.next().await.unwrap().unwrap();
    queue.remove(second.removal).await.unwrap();
    drop(queue);
    eventually("the letters are back", || async {
        let Ok(mut queue) = DeadQueue::open(&settings).await else { return false };
        let mut back = 0;
        while queue.next().await.unwrap().is_some() {
            back += 1;
        }
        queue.close().await.unwrap();
        back == 3
    })
    .await;
    assert_eq!(ids(&settings).await, ["0", "2", "3"]);
    drop(first);
}

async fn letters_that_come_while_browsing_are_not_shown(node: &RabbitNode) {
    let settings = letters(node, "snapshot", 2).await;
    let mut queue = DeadQueue::open(&settings).await.unwrap();
    drop(letters(node, "snapshot", 3).await);
    let mut count = 0;
    while queue.next().await.unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, 2);
    queue.close().await.unwrap();
    assert_eq!(ids(&settings).await.len(), 5);
}

async fn only_one_browses_at_a_time(node: &RabbitNode) {
    let settings = letters(node, "locked", 1).await;
    let first = DeadQueue::open(&settings).await.unwrap();
    let refused = DeadQueue::open(&settings).await.map(|_| ()).unwrap_err();
    assert!(matches!(refused, AmqpError::Busy), "{refused:?}");
    assert!(refused.to_string().contains("another `nightbell dead` command"), "{refused}");
    first.close().await.unwrap();
    assert_eq!(ids(&settings).await, ["0"]);
}

async fn a_dead_letter_keeps_its_own_story(node: &RabbitNode) {
    let broker = broker(node, "story", &[]);
    let death = Death {
        connector: Some(connector("sre")),
        reason: Reason::Refused,
        detail: "HTTP 400: ä".into(),
        at: Some(UnixMillis(1_700_000_000_456)),
    };
    let journey = Journey { attempts: 3, death: Some(death.clone()), ..Journey::default() };
    let mut sent = Message { routing_key: "a.b".into(), ..message("story") };
    journey.write(&mut sent.headers);
    publish(&broker.outlet(), Destination::Dead, sent.clone()).await;
    let mut queue = DeadQueue::open(&settings(node, "story")).await.unwrap();
    let letter = queue.next().await.unwrap().unwrap();
    assert_eq!((letter.message, letter.death), (sent, death));
}

/// RabbitMQ passes texts on that are not UTF-8, over which lapin would end the connection.
async fn a_text_that_is_not_utf_8_is_read_wherever_it_is(node: &RabbitNode) {
    let broker = broker(node, "latin", &["sre"]);
    publish(&broker.outlet(), events(), message("before")).await;
    let latin = b"gr\xfcn \xff";
    let odd = [wire::CONTENT_TYPE, wire::CONTENT_ENCODING, wire::CORRELATION_ID, wire::REPLY_TO];
    let odd = odd.into_iter().chain([wire::MESSAGE_ID, wire::TYPE, wire::APP_ID, wire::CLUSTER_ID]);
    let mut properties: Vec<_> = odd.map(|flag| Some((flag, wire::short(latin)))).collect();
    let inner = [b"F", &wire::table(&[(latin, b"V".to_vec())])[..]].concat();
    for (name, value) in [(&latin[..], wire::text(latin)), (b"inner", inner)] {
        properties.push(Some((wire::HEADERS, wire::table(&[(name, value)]))));
    }
    properties.push(None);
    for to in ["latin.events", ""] {
        for property in &properties {
            // Also to the dead letters themselves, by no worker.
            let key = if to.is_empty() { b"latin.dead".as_slice() } else { latin };
            let raw = wire::Raw { exchange: to, key, property: property.clone(), body: b"{}" };
            wire::publish(node.port(), raw).await.unwrap();
        }
    }
    publish(&broker.outlet(), events(), message("after")).await;
    let mut sre = broker.subscribe(connector("sre"));
    assert_eq!(take(&mut sre).await, "before");
    let mut ids = Vec::new();
    for _ in &properties {
        let (message, settler) = delivery(&mut sre).await;
        assert_eq!((message.routing_key.as_str(), message.flaw), ("grün ÿ", None));
        ids.extend(message.message_id);
        settler.ack().await.unwrap();
    }
    assert_eq!(ids, ["grün ÿ"]);
    assert_eq!(take(&mut sre).await, "after");
    assert_eq!(self::ids(&settings(node, "latin")).await.len(), properties.len());
}
