//! What an examination finds, and that it changes nothing.

use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};
use libtest_mimic::Trial;
use nightbell_amqp::{Action, Shape, Topology, examine, queue_report};
use nightbell_core::ports::MessageQueue as _;
use nightbell_tests::node::RabbitNode;
use tokio::runtime::Handle;

use crate::support::{
    broker, connector, delete_queue, delivery, events, message, publish, set_up, settings, settings_at,
    stranger,
};
use crate::{Node, trials};

pub(crate) fn trials(runtime: &Handle, node: &Node) -> Vec<Trial> {
    trials!(
        runtime,
        node,
        all_that_was_declared_is_found_sound_and_granted,
        what_is_missing_is_named_and_stays_missing,
        every_argument_that_is_otherwise_is_named,
        permissions_that_are_missing_are_named,
        a_permission_that_is_missing_is_named_however_soon_the_broker_says_so,
        an_examination_takes_no_message_and_leaves_none,
    )
}

async fn all_that_was_declared_is_found_sound_and_granted(node: &RabbitNode) {
    let (settings, connectors) = (settings(node, "examined"), [connector("sre")]);
    set_up(&settings, &connectors).await.unwrap();
    let found = examine(&settings, &connectors).await.unwrap();
    assert!(found.objects.iter().all(|(_, shape)| *shape == Shape::Sound), "{found:?}");
    let topology = Topology::of(&settings.names, &connectors);
    assert_eq!(found.objects.len(), topology.exchanges.len() + topology.queues.len());
    assert!(found.rights.iter().all(|right| right.is_granted), "{found:?}");
    for (action, count) in [(Action::Write, 3), (Action::Read, 2), (Action::Configure, found.objects.len())] {
        assert_eq!(found.rights.iter().filter(|right| right.action == action).count(), count, "{action:?}");
    }
}

async fn what_is_missing_is_named_and_stays_missing(node: &RabbitNode) {
    let (settings, connectors) = (settings(node, "absent"), [connector("sre")]);
    for _ in 0..2 {
        let found = examine(&settings, &connectors).await.unwrap();
        assert!(found.objects.iter().all(|(_, shape)| *shape == Shape::Missing), "{found:?}");
        assert_eq!(found.rights, []);
    }
}

/// Declares a connector's queue with one argument changed, and gives what is found.
async fn with(node: &RabbitNode, prefix: &str, name: &'static str, changed: Option<AMQPValue>) -> Shape {
    let (settings, connectors) = (settings(node, prefix), [connector("sre")]);
    set_up(&settings, &connectors).await.unwrap();
    let queue = settings.names.connector_queue(&connectors[0]);
    delete_queue(node, &queue).await;
    let text = |text: &str| AMQPValue::LongString(text.into());
    let mut arguments = FieldTable::default();
    for (argument, value) in [
        ("x-queue-type", text("quorum")),
        ("x-single-active-consumer", AMQPValue::Boolean(true)),
        ("x-delivery-limit", AMQPValue::LongLongInt(50)),
        ("x-dead-letter-exchange", text(&settings.names.dead())),
        ("x-dead-letter-strategy", text("at-least-once")),
        ("x-overflow", text("reject-publish")),
    ] {
        let value = if argument == name { changed.clone() } else { Some(value) };
        if let Some(value) = value {
            arguments.insert(argument.into(), value);
        }
    }
    let (_connection, channel) = stranger(&node.url("/")).await;
    channel.queue_declare(queue.as_str().into(), QueueDeclareOptions::durable(), arguments).await.unwrap();
    let found = examine(&settings, &connectors).await.unwrap();
    found.objects.into_iter().find(|(object, _)| *object.name == *queue).unwrap().1
}

async fn every_argument_that_is_otherwise_is_named(node: &RabbitNode) {
    let text = |text: &str| AMQPValue::LongString(text.into());
    let cases = [
        ("x-single-active-consumer", None),
        ("x-dead-letter-exchange", Some(text("elsewhere"))),
        ("x-dead-letter-strategy", Some(text("at-most-once"))),
        ("x-overflow", Some(text("drop-head"))),
        ("x-delivery-limit", Some(AMQPValue::LongLongInt(3))),
    ];
    for (number, (name, value)) in cases.into_iter().enumerate() {
        let shape = with(node, &format!("otherwise{number}"), name, value).await;
        let named = matches!(&shape, Shape::Otherwise { argument, .. } if argument == name);
        assert!(named, "{name}: {shape:?}");
    }
}

async fn permissions_that_are_missing_are_named(node: &RabbitNode) {
    let (own, connectors) = (settings(node, "rights"), [connector("sre")]);
    set_up(&own, &connectors).await.unwrap();
    node.ctl(&["add_user", "narrow", "narrow"]).await.unwrap();
    node.ctl(&["set_permissions", "narrow", "^$", "^rights.events$", "^rights.dead$"]).await.unwrap();
    let narrow = settings_at(&node.url_for("narrow", "narrow", "/"), "rights");
    let found = examine(&narrow, &connectors).await.unwrap();
    let granted: Vec<_> = found.rights.iter().filter(|right| right.is_granted).collect();
    let granted: Vec<_> = granted.iter().map(|right| (right.action, &*right.object.name)).collect();
    assert_eq!(granted, [(Action::Write, "rights.events"), (Action::Read, "rights.dead")]);
    // From RabbitMQ 4.2.6 on, what the user has no right to is hidden altogether.
    let is_kept = |shape: &Shape| matches!(shape, Shape::Unseen | Shape::Hidden);
    assert!(found.objects.iter().all(|(_, shape)| is_kept(shape)), "{found:?}");
}

async fn a_permission_that_is_missing_is_named_however_soon_the_broker_says_so(node: &RabbitNode) {
    let (own, connectors) = (settings(node, "soon"), [connector("sre")]);
    set_up(&own, &connectors).await.unwrap();
    node.ctl(&["add_user", "mute", "mute"]).await.unwrap();
    node.ctl(&["set_permissions", "mute", "^$", "^$", "^soon[.]"]).await.unwrap();
    let mute = settings_at(&node.url_for("mute", "mute", "/"), "soon");
    // It is told otherwise if it comes between two questions.
    for _ in 0..20 {
        let found = examine(&mute, &connectors).await.unwrap();
        let mut writes = found.rights.iter().filter(|right| right.action == Action::Write);
        assert!(writes.all(|right| !right.is_granted), "{found:?}");
    }
}

async fn an_examination_takes_no_message_and_leaves_none(node: &RabbitNode) {
    let (settings, connectors) = (settings(node, "untouched"), [connector("sre")]);
    let broker = broker(node, "untouched", &["sre"]);
    publish(&broker.outlet(), events(), message("waits")).await;
    examine(&settings, &connectors).await.unwrap();
    let queues = [settings.names.connector_queue(&connectors[0]), settings.names.dead()];
    let reports = queue_report(&settings, &queues).await.unwrap();
    assert_eq!(
        reports.iter().map(|report| (report.ready, report.consumers)).collect::<Vec<_>>(),
        [(Some(1), 0), (Some(0), 0)]
    );
    let mut subscription = broker.subscribe(connectors[0].clone());
    let (waiting, _settler) = delivery(&mut subscription).await;
    assert!(waiting.message_id.as_deref() == Some("waits"));
}
