//! Dead letters: alerts that will not be tried again by themselves.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why an alert became a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The body is no event.
    Invalid,
    /// It was older than `retry.give_up_after`.
    Expired,
    /// xMatters refused it for good.
    Refused,
    /// No connector's queue was bound when it was published, or the routing took it from the only connector that had it.
    Unrouted,
    /// RabbitMQ returned it more often than the queue's delivery limit allows.
    DeliveryLimit,
}

impl Reason {
    /// All reasons, so that every series can be present from the start.
    pub const ALL: [Self; 5] =
        [Self::Invalid, Self::Expired, Self::Refused, Self::Unrouted, Self::DeliveryLimit];

    /// The word used in metrics, logs, headers and commands.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Expired => "expired",
            Self::Refused => "refused",
            Self::Unrouted => "unrouted",
            Self::DeliveryLimit => "delivery_limit",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
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
