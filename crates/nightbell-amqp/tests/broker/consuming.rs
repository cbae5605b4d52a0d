//! Consuming: what is lost comes again, and nothing is settled that can't be.

use futures::StreamExt as _;
use lapin::options::{BasicConsumeOptions, BasicRejectOptions};
use lapin::types::FieldTable;
use libtest_mimic::Trial;
use nightbell_amqp::{AmqpSubscription, Broker, BrokerSettings, DeadQueue, broker_versions, queue_report};
use nightbell_core::dead::Reason;
use nightbell_core::ports::{
    DeadLetters as _, Incoming, MessageQueue as _, Outlet, PublishError, QueueState, SettleError, Settler,
    Subscription,
};
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::support::{
    MUST, MUST_NOT, broker, connector, delete_queue, delivery, events, eventually, incoming, is_silent,
    message, publish, publish_many, set_up, settings, settings_at, stranger, take, virtual_host,
};
use crate::{Node, trials};
use nightbell_tests::node::RabbitNode;

pub(crate) fn trials(runtime: &Handle, node: &Node) -> Vec<Trial> {
    trials!(
        runtime,
        node,
        closed_connections_are_told_once_and_deliveries_come_again,
        a_deleted_queue_is_told_and_declared_anew,
        a_standby_takes_over_when_the_active_one_leaves,
        the_prefetch_holds_also_after_a_rebuild,
        what_is_handed_back_comes_again_and_past_the_limit_is_a_dead_letter,
        leaving_gives_back_at_once_what_was_not_settled,
        acks_in_any_order_settle_what_is_done_and_nothing_else,
        a_poll_that_is_cancelled_loses_nothing,
        the_state_says_what_is_missing_until_it_is_there,
        a_killed_broker_comes_back_with_everything,
        a_hanging_broker_is_given_up_within_the_time_out,
    )
}

async fn close_connections(node: &RabbitNode, vhost: &str) {
    node.ctl(&["close_all_connections", "--vhost", vhost, "a test"]).await.unwrap();
}

async fn closed_connections_are_told_once_and_deliveries_come_again(node: &RabbitNode) {
    let url = virtual_host(node, "closed").await;
    let broker = Broker::new(settings_at(&url, "nightbell"), vec![connector("sre")]);
    publish_many(&broker.outlet(), "m", 2).await;
    let mut sre = broker.subscribe(connector("sre"));
    let (first, settler) = delivery(&mut sre).await;
    close_connections(node, "closed").await;
    loop {
        // The second delivery may have been on its way.
        if matches!(incoming(&mut sre).await, Incoming::Lost) {
            break;
        }
    }
    assert_eq!(settler.ack().await, Err(SettleError::Gone));
    let mut ids = vec![take(&mut sre).await, take(&mut sre).await];
    ids.sort();
    assert_eq!(ids, ["m0", "m1"]);
    assert!(ids.contains(&first.message_id.unwrap()));
    assert!(is_silent(&mut sre, &["m0", "m1"]).await);
    publish(&broker.outlet(), events(), message("later")).await;
    assert_eq!(take(&mut sre).await, "later");
}

async fn a_deleted_queue_is_told_and_declared_anew(node: &RabbitNode) {
    let broker = broker(node, "deleted", &["sre"]);
    let mut sre = broker.subscribe(connector("sre"));
    publish(&broker.outlet(), events(), message("before")).await;
    assert_eq!(take(&mut sre).await, "before");
    delete_queue(node, "deleted.connector.sre").await;
    assert!(matches!(incoming(&mut sre).await, Incoming::Lost));
    let state = broker.state();
    assert!(state.borrow().consuming.is_err());
    // The queue is bound again only when the subscription was built.
    let again = async {
        let mut state = broker.state();
        state.wait_for(|state| state.consuming.is_ok()).await.unwrap();
        publish(&broker.outlet(), events(), message("after")).await;
    };
    let ((), id) = timeout(MUST, async { tokio::join!(again, take(&mut sre)) }).await.unwrap();
    assert_eq!(id, "after");
}

async fn a_standby_takes_over_when_the_active_one_leaves(node: &RabbitNode) {
    let (one, other) = (broker(node, "standby", &["sre"]), broker(node, "standby", &["sre"]));
    let mut active = one.subscribe(connector("sre"));
    publish(&one.outlet(), events(), message("1")).await;
    let (_, held) = delivery(&mut active).await;
    let mut standby = other.subscribe(connector("sre"));
    publish(&one.outlet(), events(), message("2")).await;
    assert!(is_silent(&mut standby, &[]).await);
    active.leave().await;
    assert_eq!(held.ack().await, Err(SettleError::Gone));
    let mut ids = vec![take(&mut standby).await, take(&mut standby).await];
    ids.sort();
    assert_eq!(ids, ["1", "2"]);
}

/// Takes as many deliveries as come, without settling them.
async fn fill(subscription: &mut AmqpSubscription) -> usize {
    let mut held = Vec::new();
    while let Ok(Incoming::Delivery(_, settler)) = timeout(MUST_NOT, subscription.next()).await {
        held.push(settler);
    }
    held.len()
}

async fn the_prefetch_holds_also_after_a_rebuild(node: &RabbitNode) {
    let url = virtual_host(node, "prefetch").await;
    let settings = BrokerSettings { prefetch: 3, ..settings_at(&url, "nightbell") };
    let broker = Broker::new(settings, vec![connector("sre")]);
    publish_many(&broker.outlet(), "m", 10).await;
    let mut sre = broker.subscribe(connector("sre"));
    let first = delivery(&mut sre).await;
    assert_eq!(1 + fill(&mut sre).await, 3);
    close_connections(node, "prefetch").await;
    assert!(matches!(incoming(&mut sre).await, Incoming::Lost));
    let again = delivery(&mut sre).await;
    assert_eq!(1 + fill(&mut sre).await, 3);
    drop((first, again));
}

/// Takes and rejects until nothing comes any more.
async fn reject_for_ever(node: &RabbitNode, queue: &str) {
    let (_connection, channel) = stranger(&node.url("/")).await;
    let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
    let mut consumer = channel.basic_consume(queue.into(), "rejects".into(), options, none).await.unwrap();
    while let Ok(Some(delivery)) = timeout(MUST_NOT, consumer.next()).await {
        delivery.unwrap().acker.reject(BasicRejectOptions { requeue: true }).await.unwrap();
    }
}

async fn what_is_handed_back_comes_again_and_past_the_limit_is_a_dead_letter(node: &RabbitNode) {
    let broker = broker(node, "limited", &["sre"]);
    let mut sre = broker.subscribe(connector("sre"));
    publish(&broker.outlet(), events(), message("hot")).await;
    let mut deliveries = 0;
    let version = broker_versions(&settings(node, "limited").url).await.remove(0).1.unwrap();
    // From 4.3 on, what is handed back spends nothing, and only what is rejected or lost does.
    let is_free = !["RabbitMQ 3.", "RabbitMQ 4.0", "RabbitMQ 4.1", "RabbitMQ 4.2"]
        .iter()
        .any(|old| version.starts_with(old));
    while let Ok(Incoming::Delivery(_, settler)) = timeout(MUST_NOT, sre.next()).await {
        deliveries += 1;
        settler.hand_back().await.unwrap();
        assert!(is_free || deliveries <= 51, "the delivery limit does not hold");
        if is_free && deliveries == 60 {
            sre.leave().await;
            reject_for_ever(node, "limited.connector.sre").await;
            break;
        }
    }
    assert_eq!(deliveries, if is_free { 60 } else { 51 });
    let mut queue = DeadQueue::open(&settings(node, "limited")).await.unwrap();
    let letter = queue.next().await.unwrap().unwrap();
    assert_eq!(letter.message.message_id.as_deref(), Some("hot"));
    assert!(letter.message.headers.is_empty(), "{:?}", letter.message.headers);
    assert_eq!(
        (letter.death.reason, letter.death.connector),
        (Reason::DeliveryLimit, Some(connector("sre")))
    );
    assert!(letter.death.at.is_some());
}

async fn leaving_gives_back_at_once_what_was_not_settled(node: &RabbitNode) {
    let broker = broker(node, "leaving", &["sre"]);
    publish_many(&broker.outlet(), "m", 3).await;
    let mut sre = broker.subscribe(connector("sre"));
    let settled = take(&mut sre).await;
    let (open, settler) = delivery(&mut sre).await;
    sre.leave().await;
    assert_eq!(settler.ack().await, Err(SettleError::Gone));
    let mut next = broker.subscribe(connector("sre"));
    let mut rest = vec![take(&mut next).await, take(&mut next).await];
    rest.sort();
    assert!(rest.contains(&open.message_id.unwrap()) && !rest.contains(&settled), "{settled} {rest:?}");
    assert!(is_silent(&mut next, &["m0", "m1", "m2"]).await);
}

async fn acks_in_any_order_settle_what_is_done_and_nothing_else(node: &RabbitNode) {
    let broker = broker(node, "order", &["sre"]);
    // Publishes to a queue that has just been declared may be tried again, and arrive twice.
    publish_many(&broker.outlet(), "early", 1).await;
    let mut sre = broker.subscribe(connector("sre"));
    assert!(is_silent(&mut sre, &["early0"]).await);
    publish_many(&broker.outlet(), "m", 12).await;
    let mut held = Vec::new();
    for _ in 0..12 {
        held.push(delivery(&mut sre).await);
    }
    let mut open = Vec::new();
    for place in [7, 8, 0, 5, 3, 2, 1, 0, 0] {
        held.remove(place).1.ack().await.unwrap();
    }
    for (message, settler) in held {
        open.push(message.message_id.unwrap());
        // Dropped without an answer.
        drop(settler);
    }
    sre.leave().await;
    let mut next = broker.subscribe(connector("sre"));
    let mut rest = vec![take(&mut next).await, take(&mut next).await, take(&mut next).await];
    rest.sort();
    open.sort();
    assert_eq!(rest, open);
    assert!(is_silent(&mut next, &["early0"]).await);
}

async fn a_poll_that_is_cancelled_loses_nothing(node: &RabbitNode) {
    let broker = broker(node, "cancelled", &["sre"]);
    publish_many(&broker.outlet(), "m", 200).await;
    let mut sre = broker.subscribe(connector("sre"));
    let mut ids = std::collections::BTreeSet::new();
    let all = timeout(MUST, async {
        while ids.len() < 200 {
            let poll = timeout(std::time::Duration::from_micros(200), sre.next());
            let Ok(Incoming::Delivery(message, settler)) = poll.await else { continue };
            settler.ack().await.unwrap();
            assert!(ids.insert(message.message_id.unwrap()));
        }
    });
    all.await.unwrap();
}

async fn the_state_says_what_is_missing_until_it_is_there(node: &RabbitNode) {
    let checking = BrokerSettings { declare: false, ..settings(node, "late") };
    let broker = Broker::new(checking, vec![connector("sre")]);
    let mut sre = broker.subscribe(connector("sre"));
    let mut state = broker.state();
    let missing = |state: &QueueState| {
        state.consuming.as_ref().is_err_and(|reason| reason.contains("the broker lacks exchange `late.dead`"))
    };
    timeout(MUST, state.wait_for(missing)).await.unwrap().unwrap();
    set_up(&settings(node, "late"), &[connector("sre")]).await.unwrap();
    publish(&broker.outlet(), events(), message("m")).await;
    assert_eq!(take(&mut sre).await, "m");
    timeout(MUST, state.wait_for(|state| state.consuming.is_ok())).await.unwrap().unwrap();
    eventually("the depth is known", || async {
        broker.view().depths.connectors.contains_key(&connector("sre"))
    })
    .await;
}

async fn a_killed_broker_comes_back_with_everything(_: &RabbitNode) {
    let mut node = RabbitNode::start().await.unwrap();
    let broker = broker(&node, "killed", &["sre"]);
    publish_many(&broker.outlet(), "m", 20).await;
    let mut sre = broker.subscribe(connector("sre"));
    let settled = take(&mut sre).await;
    let (_, unsettled) = delivery(&mut sre).await;
    node.note_queues().await.unwrap();
    node.kill9().await.unwrap();
    while !matches!(incoming(&mut sre).await, Incoming::Lost) {}
    assert_eq!(unsettled.ack().await, Err(SettleError::Gone));
    let refused = broker.outlet().publish(events(), message("x")).await;
    assert!(matches!(refused, Err(PublishError::Unavailable(_))), "{refused:?}");
    node.restart().await.unwrap();
    publish(&broker.outlet(), events(), message("m20")).await;
    let mut ids = std::collections::BTreeSet::new();
    while ids.len() < 20 {
        if let Incoming::Delivery(message, settler) = incoming(&mut sre).await {
            ids.insert(message.message_id.unwrap());
            settler.ack().await.ok();
        }
    }
    // The acknowledgement just before the kill may not have reached the broker's disk.
    ids.insert(settled);
    assert_eq!(ids.len(), 21);
}

async fn a_hanging_broker_is_given_up_within_the_time_out(_: &RabbitNode) {
    let node = RabbitNode::start().await.unwrap();
    let broker = broker(&node, "hanging", &["sre"]);
    publish(&broker.outlet(), events(), message("1")).await;
    let mut sre = broker.subscribe(connector("sre"));
    assert_eq!(take(&mut sre).await, "1");
    node.pause().unwrap();
    let settings = settings(&node, "hanging");
    let refused = timeout(MUST, queue_report(&settings, &[])).await.unwrap().unwrap_err();
    assert!(refused.to_string().contains("did not answer within 10 s"), "{refused}");
    let refused = timeout(MUST, broker.outlet().publish(events(), message("2"))).await.unwrap();
    assert!(matches!(&refused, Err(PublishError::Unavailable(_))), "{refused:?}");
    node.resume().unwrap();
    publish(&broker.outlet(), events(), message("3")).await;
    let later = timeout(MUST, async {
        let mut id = None;
        while id.as_deref() != Some("3") {
            if let Incoming::Delivery(message, _) = sre.next().await {
                id = message.message_id;
            }
        }
    });
    later.await.unwrap();
}
