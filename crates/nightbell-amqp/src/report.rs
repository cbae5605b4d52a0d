//! Single questions to a broker, for `check --online` and `status`.

use crate::broker::BrokerSettings;
use crate::connect::Wired;
use crate::declare::{TopologyError, met};
use crate::error::AmqpError;
use crate::link::look;

/// The connection's name in the broker.
const NAME: &str = "nightbell check";

/// What a queue holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueReport {
    /// The queue's name.
    pub name: String,
    /// Messages that wait; none if there is no such queue, or if the broker tells this user nothing of it.
    pub ready: Option<u32>,
    /// Whether the broker tells this user nothing of it.
    pub is_hidden: bool,
    /// Consumers, active and standing by.
    pub consumers: u32,
}

/// What each of `queues` holds. A queue that is not there is reported so.
///
/// # Errors
/// [`AmqpError`]: nobody listens, no answer in time, wrong password, no such virtual host; without the URL.
pub async fn queue_report(
    settings: &BrokerSettings,
    queues: &[String],
) -> Result<Vec<QueueReport>, AmqpError> {
    let wired = Wired::connect(&settings.url, NAME).await?;
    let mut reports = Vec::with_capacity(queues.len());
    for queue in queues {
        let report =
            |ready, is_hidden, consumers| QueueReport { name: queue.clone(), ready, is_hidden, consumers };
        reports.push(match look(&wired, queue).await {
            Ok(counts) => report(Some(counts.message_count()), false, counts.consumer_count()),
            Err(error) => {
                let error = met(error, "look for", queue);
                let is_hidden = matches!(error, AmqpError::Topology(TopologyError::Forbidden { .. }));
                if !is_hidden && !matches!(error, AmqpError::Topology(TopologyError::Missing { .. })) {
                    return Err(error);
                }
                report(None, is_hidden, 0)
            }
        });
    }
    wired.close().await;
    Ok(reports)
}
