//! Declaring, checking, importing; and what is said when it can't be done.

use lapin::ExchangeKind;
use lapin::options::{ExchangeDeclareOptions, ExchangeDeleteOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use libtest_mimic::Trial;
use nightbell_amqp::{
    BrokerSettings, Names, Shape, Topology, broker_versions, definitions, examine, queue_report,
};
use tokio::runtime::Handle;

use crate::support::{connector, delete_queue, set_up, settings, settings_at, stranger};
use crate::{Node, trials};
use nightbell_tests::node::RabbitNode;

pub(crate) fn trials(runtime: &Handle, node: &Node) -> Vec<Trial> {
    trials!(
        runtime,
        node,
        declaring_twice_is_harmless,
        a_queue_declared_elsewhere_is_named_with_its_argument_and_the_cure,
        an_exchange_of_another_type_is_named,
        a_check_names_everything_that_is_missing_and_creates_nothing,
        a_user_without_rights_is_told_what_it_may_not_do,
        imported_definitions_are_what_would_be_declared,
        a_report_says_why_the_broker_can_t_be_used_and_keeps_the_password,
        version_and_counts_are_reported,
    )
}

async fn declare(settings: &BrokerSettings) -> Result<(), String> {
    set_up(settings, &[connector("sre"), connector("payments")]).await
}

async fn declaring_twice_is_harmless(node: &RabbitNode) {
    let settings = settings(node, "twice");
    declare(&settings).await.unwrap();
    declare(&settings).await.unwrap();
}

async fn a_queue_declared_elsewhere_is_named_with_its_argument_and_the_cure(node: &RabbitNode) {
    let settings = settings(node, "unlike");
    let (_connection, channel) = stranger(&node.url("/")).await;
    let mut arguments = FieldTable::default();
    for (name, text) in [
        ("x-queue-type", "quorum"),
        ("x-dead-letter-exchange", "unlike.requeue"),
        ("x-dead-letter-strategy", "at-least-once"),
        ("x-overflow", "reject-publish"),
    ] {
        arguments.insert(name.into(), AMQPValue::LongString(text.into()));
    }
    arguments.insert("x-message-ttl".into(), AMQPValue::LongInt(2_000));
    let queue = "unlike.retry.1s";
    channel.queue_declare(queue.into(), QueueDeclareOptions::durable(), arguments).await.unwrap();

    let error = declare(&settings).await.unwrap_err();
    let mismatch = "was declared elsewhere with another `x-message-ttl`: found 2000, wanted 1000;";
    assert!(error.starts_with(&format!("queue `{queue}` {mismatch}")), "{error}");
    assert!(error.contains("delete the queue when it is empty"), "{error}");

    delete_queue(node, queue).await;
    declare(&settings).await.unwrap();
}

async fn an_exchange_of_another_type_is_named(node: &RabbitNode) {
    let settings = settings(node, "kinds");
    let (_connection, channel) = stranger(&node.url("/")).await;
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let events = settings.names.events();
    let declared = channel.exchange_declare(
        events.as_str().into(),
        ExchangeKind::Direct,
        options,
        FieldTable::default(),
    );
    declared.await.unwrap();
    let error = declare(&settings).await.unwrap_err();
    assert!(
        error.contains("exchange `kinds.events`") && error.contains("`type`: found direct, wanted topic"),
        "{error}"
    );
    channel.exchange_delete(events.as_str().into(), ExchangeDeleteOptions::default()).await.unwrap();
    declare(&settings).await.unwrap();
}

async fn a_check_names_everything_that_is_missing_and_creates_nothing(node: &RabbitNode) {
    let declaring = settings(node, "checked");
    let checking = BrokerSettings { declare: false, ..declaring.clone() };
    for _ in 0..2 {
        let error = declare(&checking).await.unwrap_err();
        assert!(error.starts_with("the broker lacks exchange `checked.dead`, "), "{error}");
        assert_eq!(error.matches("`checked.").count(), 4 + 1 + 10, "{error}");
        assert!(error.contains("nightbell topology"), "{error}");
        let found = examine(&checking, &[connector("sre"), connector("payments")]).await.unwrap();
        let missing = found.objects.iter().filter(|(_, shape)| *shape == Shape::Missing);
        assert_eq!(missing.count(), 4 + 1 + 10 + 2);
    }
    declare(&declaring).await.unwrap();
    delete_queue(node, "checked.connector.sre").await;
    let error = declare(&checking).await.unwrap_err();
    assert!(error.contains("the broker lacks queue `checked.connector.sre`; load what"), "{error}");
    declare(&declaring).await.unwrap();
    declare(&checking).await.unwrap();
    delete_queue(node, "checked.retry.8s").await;
    let error = declare(&checking).await.unwrap_err();
    assert!(error.starts_with("the broker lacks queue `checked.retry.8s`;"), "{error}");
}

async fn a_user_without_rights_is_told_what_it_may_not_do(node: &RabbitNode) {
    node.ctl(&["add_user", "reader", "secret"]).await.unwrap();
    node.ctl(&["set_permissions", "reader", "^$", ".*", ".*"]).await.unwrap();
    let settings = settings_at(&node.url_for("reader", "secret", "/"), "denied");
    let error = declare(&settings).await.unwrap_err();
    assert!(error.contains("may not declare exchange `denied.dead`"), "{error}");
}

async fn imported_definitions_are_what_would_be_declared(node: &RabbitNode) {
    let vhost = "imported";
    let connectors = [connector("sre"), connector("payments")];
    let topology = Topology::of(&Names::default(), &connectors);
    let file = node.folder().join("definitions.json");
    std::fs::write(&file, definitions(&topology, vhost).to_string()).unwrap();
    let seen = node.path_within("definitions.json");
    node.ctl(&["import_definitions", seen.to_str().unwrap()]).await.unwrap();
    node.ctl(&["set_permissions", "--vhost", vhost, "guest", ".*", ".*", ".*"]).await.unwrap();

    let declaring = settings_at(&node.url(vhost), "nightbell");
    let checking = BrokerSettings { declare: false, ..declaring.clone() };
    declare(&checking).await.unwrap();
    let listed = |what: &'static str| async move {
        node.ctl(&[what, "--vhost", vhost]).await.unwrap().lines().count()
    };
    let before = listed("list_bindings").await;
    declare(&declaring).await.unwrap();
    assert_eq!(listed("list_bindings").await, before, "declaring added a binding that the definitions lack");
}

async fn a_report_says_why_the_broker_can_t_be_used_and_keeps_the_password(node: &RabbitNode) {
    queue_report(&settings(node, "nightbell"), &[]).await.unwrap();
    let closed = "amqp://guest:hunter2@127.0.0.1:1/%2f".to_owned();
    for (url, want) in [
        (node.url_for("guest", "hunter2", "/"), "refused the user name or the password"),
        (node.url_for("guest", "guest", "nowhere"), "has no virtual host `nowhere`"),
        (closed, "no connection to 127.0.0.1:1"),
    ] {
        let error = queue_report(&settings_at(&url, "nightbell"), &[]).await.unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(error.to_string().contains(want), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

async fn version_and_counts_are_reported(node: &RabbitNode) {
    let settings = settings(node, "counted");
    let (place, version) = broker_versions(&settings.url).await.remove(0);
    assert_eq!(place, settings.url.place());
    let version = version.unwrap();
    assert!(version.starts_with("RabbitMQ ") && version.contains('.'), "{version}");
    declare(&settings).await.unwrap();
    let queues =
        ["counted.dead".to_owned(), "counted.nothing".to_owned(), "counted.connector.sre".to_owned()];
    let reports = queue_report(&settings, &queues).await.unwrap();
    let seen: Vec<_> = reports.iter().map(|report| (report.ready, report.consumers)).collect();
    assert_eq!(seen, [(Some(0), 0), (None, 0), (Some(0), 0)]);
}
