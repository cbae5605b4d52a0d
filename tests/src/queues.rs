//! The broker's queues, seen from outside.

use anyhow::{Context as _, Result, ensure};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};

/// A connection of the tests' own.
#[derive(Debug)]
pub struct Queues {
    connection: Connection,
    prefix: String,
}

impl Queues {
    /// Connects to a broker.
    ///
    /// # Errors
    /// It can't.
    pub async fn connect(url: &str, prefix: &str) -> Result<Self> {
        let connection =
            Connection::connect(url, ConnectionProperties::default()).await.context("connect")?;
        Ok(Self { connection, prefix: prefix.to_owned() })
    }

    /// A channel with confirms.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn channel(&self) -> Result<Channel> {
        let channel = self.connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(channel)
    }

    /// How many messages wait in a queue, by its name without the prefix.
    ///
    /// # Errors
    /// There is no such queue.
    pub async fn ready(&self, queue: &str) -> Result<u32> {
        let channel = self.connection.create_channel().await?;
        let name = format!("{}.{queue}", self.prefix);
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let declared = channel.queue_declare(name.as_str().into(), options, FieldTable::default()).await?;
        Ok(declared.message_count())
    }

    /// How many messages wait in all retry queues.
    ///
    /// # Errors
    /// One is missing.
    pub async fn ready_in_rungs(&self) -> Result<u32> {
        let mut sum = 0;
        for power in 0..10 {
            sum += self.ready(&format!("retry.{}s", 1 << power)).await?;
        }
        Ok(sum)
    }

    /// Publishes bytes to the events exchange and waits for the confirm.
    ///
    /// # Errors
    /// The broker did not confirm.
    pub async fn publish(&self, body: &[u8], properties: BasicProperties) -> Result<()> {
        let channel = self.channel().await?;
        let exchange = format!("{}.events", self.prefix);
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let sent =
            channel.basic_publish(exchange.as_str().into(), "event.x".into(), options, body, properties);
        let confirmation = sent.await?.await?;
        ensure!(matches!(confirmation, Confirmation::Ack(None)), "not confirmed: {confirmation:?}");
        Ok(())
    }

    /// Deletes all queues of the prefix, so that a shared node stays small.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn delete_all(&self, connectors: &[&str]) -> Result<()> {
        let channel = self.connection.create_channel().await?;
        let rungs = (0..10).map(|power| format!("retry.{}s", 1 << power));
        let owned = connectors.iter().map(|name| format!("connector.{name}"));
        for queue in rungs.chain(owned).chain(["dead".to_owned()]) {
            let name = format!("{}.{queue}", self.prefix);
            channel.queue_delete(name.as_str().into(), QueueDeleteOptions::default()).await?;
        }
        Ok(())
    }
}
