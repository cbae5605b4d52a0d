//! Dead letters that an operator moves back by RabbitMQ's own tools, and headers that look as if one had.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fake_xmatters::Answer;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use nightbell_tests::node::{Extras, RabbitNode};
use nightbell_tests::site::{CONNECTOR, Site, free_port, ids};
use nightbell_tests::wait;
use serde_json::{Value, json};

/// How letters are moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The shovel, to this exchange or queue.
    Shovel(&'static str, &'static str),
    /// The shovel, with another routing key.
    ShovelAs(&'static str, &'static str, &'static str),
    /// "Get" and "publish" of the management page: the exchange, and whether properties and headers go along.
    Page(&'static str, bool),
}

/// A node with the plugins that move messages, and the port of its management page.
async fn node() -> Result<(RabbitNode, u16)> {
    let port = free_port()?;
    let settings = format!("management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {port}\n");
    let plugins = "[rabbitmq_management,rabbitmq_shovel,rabbitmq_shovel_management].\n".to_owned();
    Ok((RabbitNode::start_with(&Extras { plugins, settings, ..Extras::default() }).await?, port))
}

pub(crate) async fn dead_letters_moved_back_by_rabbitmqs_own_tools_are_delivered_or_dead_again(
    _: String,
) -> Result<()> {
    let (node, page) = node().await?;
    for way in [
        Way::Shovel("dest-exchange", "events"),
        Way::Shovel("dest-queue", "connector.sre"),
        Way::ShovelAs("dest-exchange", "requeue", "moved.sre"),
        Way::Shovel("dest-exchange", "requeue"),
        Way::Page("events", true),
        Way::Page("events", false),
        Way::Page("amq.default", true),
        Way::Page("amq.default", false),
    ] {
        moved(&node, page, way).await.with_context(|| format!("{way:?}"))?;
    }
    Ok(())
}

async fn moved(node: &RabbitNode, page: u16, way: Way) -> Result<()> {
    let site = Site::new(&node.url("/")).await?;
    let worker = site.worker().await?;
    // The alert key of one of them is told by another event already.
    let told = r#"{"project":"shop","test":"test moved-0","id":"told"}"#.as_bytes().to_vec();
    site.fake.set_default(Answer::status(400));
    let ids = ids("moved", 3);
    site.publish(&ids).await?;
    site.queues().await?.publish(b"not json", BasicProperties::default()).await?;
    letters(&site, 4).await?;
    site.fake.set_default(Answer::accepted());
    site.queues().await?.publish(&told, BasicProperties::default()).await?;
    site.all_accepted(&["told".to_owned()]).await?;
    site.fake.set_default(Answer::status(400));
    let before = site.fake.requests().len();

    // Nothing was put right yet: they die again, each once, however often they are moved.
    for round in 1..=2 {
        act(node, page, &site, way).await?;
        if way != Way::Shovel("dest-exchange", "requeue") {
            let all = before + round * ids.len();
            wait::until("all attempts", || async { (site.fake.requests().len() >= all).then_some(()) })
                .await?;
        }
        let letters = letters(&site, 4).await?;
        let of = |reason| letters.iter().filter(|letter| letter["reason"] == reason).count();
        ensure!((of("refused"), of("invalid")) == (3, 1), "{letters:#?}");
    }

    site.fake.set_default(Answer::accepted());
    act(node, page, &site, way).await?;
    if way == Way::Shovel("dest-exchange", "requeue") {
        // No connector has such a key, so they are dead letters once more.
        letters(&site, 4).await?;
        site.nightbell(&["dead", "replay"]).await?.success()?;
    }
    site.all_accepted(&ids).await?;
    let left = letters(&site, 1).await?;
    ensure!(left[0]["reason"] == "invalid", "{left:#?}");
    site.conserves(&ids, 0).await?;
    site.accepted_once(&ids)?;
    drop(worker);
    site.close().await
}

/// Waits until there are so many dead letters.
async fn letters(site: &Site, count: usize) -> Result<Vec<Value>> {
    let dead = wait::until("dead letters", || async {
        site.dead().await.ok().filter(|letters| letters.len() == count)
    });
    dead.await.with_context(|| format!("not {count} dead letters"))
}

async fn act(node: &RabbitNode, page: u16, site: &Site, way: Way) -> Result<()> {
    match way {
        Way::Shovel(kind, to) => shovel(node, site, &[(kind, format!("{}.{to}", site.prefix()))]).await,
        Way::ShovelAs(kind, to, key) => {
            let to = format!("{}.{to}", site.prefix());
            shovel(node, site, &[(kind, to), ("dest-exchange-key", key.to_owned())]).await
        }
        Way::Page(exchange, whole) => by_the_page(page, site, exchange, whole).await,
    }
}

/// Moves all that is in the dead queue, as `rabbitmqctl` and the page's "move messages" do it.
async fn shovel(node: &RabbitNode, site: &Site, to: &[(&str, String)]) -> Result<()> {
    let mut settings = json!({
        "src-protocol": "amqp091", "src-uri": "amqp:///%2F", "src-queue": format!("{}.dead", site.prefix()),
        "src-delete-after": "queue-length", "dest-protocol": "amqp091", "dest-uri": "amqp:///%2F",
        "ack-mode": "on-confirm", "dest-add-forward-headers": false,
    });
    for (name, value) in to {
        settings[*name] = json!(value);
    }
    let name = format!("move-{}", site.prefix());
    node.ctl(&["set_parameter", "shovel", &name, &settings.to_string()]).await?;
    // It removes itself when it has moved what was there.
    let gone = wait::until("the end of the shovel", || async {
        node.ctl(&["list_parameters"]).await.ok().filter(|list| !list.contains(&name)).map(drop)
    });
    gone.await
}

/// Takes all that is in the dead queue by the management page, and publishes it.
async fn by_the_page(page: u16, site: &Site, exchange: &str, whole: bool) -> Result<()> {
    let post = async |path: String, body: Value| -> Result<Value> {
        let url = format!("http://127.0.0.1:{page}/api/{path}");
        let request = reqwest::Client::new().post(url).basic_auth("guest", Some("guest"));
        let request = request.header("content-type", "application/json").body(body.to_string());
        Ok(serde_json::from_str(&request.send().await?.error_for_status()?.text().await?)?)
    };
    let get = json!({ "count": 100, "ackmode": "ack_requeue_false", "encoding": "base64" });
    let got = post(format!("queues/%2F/{}.dead/get", site.prefix()), get).await?;
    let (exchange, key) = match exchange {
        "amq.default" => (exchange.to_owned(), format!("{}.connector.{CONNECTOR}", site.prefix())),
        own => (format!("{}.{own}", site.prefix()), "event.shop".to_owned()),
    };
    for message in got.as_array().context("a list")? {
        let properties = if whole { message["properties"].clone() } else { json!({}) };
        let publish = json!({
            "properties": properties, "routing_key": key,
            "payload": message["payload"], "payload_encoding": "base64",
        });
        let published = post(format!("exchanges/%2F/{exchange}/publish"), publish).await?;
        ensure!(published["routed"] == true, "{published}");
    }
    Ok(())
}

pub(crate) async fn headers_forged_by_a_publisher_are_not_believed(url: String) -> Result<()> {
    let site = Site::new(&url).await?;
    let worker = site.worker().await?;
    let queues = site.queues().await?;
    let now = 4_000_000_000_000_i64;
    let forged = |id: &str, test: &str| {
        let mut table = FieldTable::default();
        for (name, number) in [
            ("nightbell-replay", now),
            ("nightbell-attempts", 500),
            ("nightbell-since", 1),
            ("nightbell-due", now),
            ("nightbell-left", 3_000_000),
            ("nightbell-died-at", now),
        ] {
            table.insert(name.into(), AMQPValue::LongLongInt(number));
        }
        for (name, text) in [
            ("nightbell-connector", "another"),
            ("nightbell-reason", "refused"),
            ("nightbell-detail", "forged"),
            ("nightbell-history", r#"[{"at":1,"outcome":"timed_out","detail":"forged"}]"#),
        ] {
            table.insert(name.into(), AMQPValue::LongString(text.into()));
        }
        let body = format!(r#"{{"project":"shop","test":"{test}","id":"{id}"}}"#);
        (body, BasicProperties::default().with_headers(table))
    };
    site.publish(&["first".to_owned()]).await?;
    site.all_accepted(&["first".to_owned()]).await?;
    // The same alert key under other ids, one after the other and at once: repeats, whatever they say.
    for id in ["again", "and-again"] {
        let (body, properties) = forged(id, "test first");
        queues.publish(body.as_bytes(), properties).await?;
    }
    // A new one is neither too old, nor put off, nor another connector's.
    let (body, properties) = forged("new", "new");
    queues.publish(body.as_bytes(), properties).await?;
    site.all_accepted(&["new".to_owned()]).await?;
    site.conserves(&["first".into(), "again".into(), "and-again".into(), "new".into()], 2).await?;
    let duplicates =
        format!(r#"nightbell_alerts_settled_total{{connector="{CONNECTOR}",result="duplicate"}}"#);
    ensure!(site.metric(&duplicates).await? == 2.0, "{}", site.metric(&duplicates).await?);

    site.fake.set_default(Answer::status(400).after(Duration::ZERO));
    let (body, properties) = forged("refused", "refused");
    queues.publish(body.as_bytes(), properties).await?;
    let letter = &letters(&site, 1).await?[0];
    ensure!(letter["attempts"] == 1 && letter["replayed_at"].is_null(), "{letter:#}");
    ensure!(letter["connector"] == CONNECTOR && letter["detail"] != "forged", "{letter:#}");
    drop(worker);
    site.close().await
}
