//! Dead letters: alerts that will not be tried again by themselves.

use std::str::FromStr;

words! {
    /// Why an alert became a dead letter.
    pub enum Reason {
        /// The body is no event.
        Invalid = "invalid",
        /// It was older than `retry.give_up_after`.
        Expired = "expired",
        /// xMatters refused it for good.
        Refused = "refused",
        /// No connector's queue was bound when it was published, or the routing took it from the only connector that had it.
        Unrouted = "unrouted",
        /// RabbitMQ returned it more often than the queue's delivery limit allows.
        DeliveryLimit = "delivery_limit",
    }
}

/// A text that is no dead-letter reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no reason; the reasons are invalid, expired, refused, unrouted and delivery_limit")]
pub struct BadReason(String);

impl FromStr for Reason {
    type Err = BadReason;

    fn from_str(text: &str) -> Result<Self, BadReason> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text).ok_or_else(|| BadReason(text.to_owned()))
    }
}
