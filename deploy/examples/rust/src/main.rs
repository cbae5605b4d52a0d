//! Publishes one failure to Nightbell with lapin. Ends with 0 only when RabbitMQ has confirmed it.

use std::env;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, anyhow, bail};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Confirmation, Connection, ConnectionProperties};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;

const WAIT_MAX: Duration = Duration::from_secs(10);
/// AMQP's mark of a message that outlives a restart of the broker.
const PERSISTENT: u8 = 2;

async fn publish() -> Result<String> {
    let set = |name| env::var(name).context(name);
    let (url, run) = (set("NIGHTBELL_QUEUE_URL")?, set("RUN_ID")?);
    let exchange = env::var("NIGHTBELL_EXCHANGE").unwrap_or_else(|_| "nightbell.events".into());
    let event = json!({ "project": "shop", "test": "refunds a card", "message": "HTTP 500", "run_id": run });
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    // Without this, lapin says `NotRequested`, which proves nothing.
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    // The same result has the same id, so that publishing it twice rings once. A hash, since AMQP takes 255 bytes at most.
    let result = ["project", "run_id", "test"].map(|field| event[field].as_str().unwrap_or_default());
    let id: String = Sha256::digest(result.join("\n")).iter().map(|byte| format!("{byte:02x}")).collect();
    let properties = BasicProperties::default()
        .with_message_id(id.as_str().into())
        .with_content_type("application/json".into())
        .with_timestamp(SystemTime::UNIX_EPOCH.elapsed()?.as_secs())
        .with_delivery_mode(PERSISTENT);
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let body = event.to_string();
    let sent =
        channel.basic_publish(exchange.into(), "event".into(), options, body.as_bytes(), properties).await?;
    match sent.await? {
        Confirmation::Ack(None) => {}
        Confirmation::Ack(Some(returned)) => bail!("returned: {}", returned.reply_text),
        Confirmation::Nack(_) => bail!("RabbitMQ refused it"),
        Confirmation::NotRequested => bail!("no confirm was asked for"),
    }
    connection.close(200, "done".into()).await?;
    Ok(id)
}

#[tokio::main]
async fn main() -> ExitCode {
    let late = anyhow!("no confirm within {WAIT_MAX:?}");
    match timeout(WAIT_MAX, publish()).await.unwrap_or(Err(late)) {
        Ok(id) => println!("confirmed {id}"),
        Err(error) => {
            eprintln!("not published: {error:#}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
