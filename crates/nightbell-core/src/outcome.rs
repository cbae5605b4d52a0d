//! What an attempt came to, and what follows.

use std::time::Duration;

use crate::dead::Reason;
use crate::time::UnixMillis;

/// What one POST came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// 2xx. xMatters has taken it; whether it pages is decided there.
    Accepted {
        /// The `requestId` of the answer, if it could be read.
        request_id: Option<String>,
    },
    /// 429: over the plan's requests per minute; the request was not queued.
    Throttled {
        /// The answer's `Retry-After`, counted from its arrival.
        retry_after: Option<Duration>,
    },
    /// 408, 425, 5xx, and connection or TLS failures.
    Unavailable {
        /// What happened, free of the URL and of secrets.
        detail: String,
        /// The answer's `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// No whole answer within the time-out. It may have been taken.
    TimedOut,
    /// 401, 403, 404, a proxy's 407, and any 4xx of a token endpoint: the destination is misconfigured, the alert is not
    /// at fault.
    Unauthorized {
        /// The HTTP status.
        status: u16,
    },
    /// 3xx and all other 4xx: this alert will never be taken.
    Refused {
        /// The HTTP status.
        status: u16,
        /// The start of the answer's body, free of secrets.
        body: String,
    },
}

words! {
    /// An outcome's name alone: metric label, log field and history entry.
    pub enum OutcomeKind {
        /// See [`Outcome::Accepted`].
        Accepted = "accepted",
        /// See [`Outcome::Throttled`].
        Throttled = "throttled",
        /// See [`Outcome::Unavailable`].
        Unavailable = "unavailable",
        /// See [`Outcome::TimedOut`].
        TimedOut = "timed_out",
        /// See [`Outcome::Unauthorized`].
        Unauthorized = "unauthorized",
        /// See [`Outcome::Refused`].
        Refused = "refused",
    }
}

impl Outcome {
    /// The name alone.
    #[must_use]
    pub fn kind(&self) -> OutcomeKind {
        match self {
            Self::Accepted { .. } => OutcomeKind::Accepted,
            Self::Throttled { .. } => OutcomeKind::Throttled,
            Self::Unavailable { .. } => OutcomeKind::Unavailable,
            Self::TimedOut => OutcomeKind::TimedOut,
            Self::Unauthorized { .. } => OutcomeKind::Unauthorized,
            Self::Refused { .. } => OutcomeKind::Refused,
        }
    }

    /// The HTTP status as far as an outcome tells it: any 2xx is accepted, and xMatters answers 202.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Unauthorized { status } | Self::Refused { status, .. } => Some(*status),
            Self::Throttled { .. } => Some(429),
            Self::Unavailable { detail, .. } => detail.strip_prefix("HTTP ")?.get(..3)?.parse().ok(),
            Self::Accepted { .. } | Self::TimedOut => None,
        }
    }

    /// What xMatters calls the request that it has accepted, if it says so.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        if let Self::Accepted { request_id } = self { request_id.as_deref() } else { None }
    }

    /// The same; if it is unavailable, with another detail.
    #[must_use]
    pub fn map_detail(mut self, change: impl FnOnce(String) -> String) -> Self {
        if let Self::Unavailable { detail, .. } = &mut self {
            *detail = change(std::mem::take(detail));
        }
        self
    }

    /// One line about it for a history, a dead letter or a log; free of URLs and secrets.
    #[must_use]
    pub fn detail(&self) -> String {
        match self {
            Self::Accepted { request_id: Some(id) } => format!("requestId {id}"),
            Self::Accepted { request_id: None } => "no requestId".into(),
            Self::Throttled { retry_after: Some(wait) } => {
                format!("HTTP 429, Retry-After {} s", wait.as_secs())
            }
            Self::Throttled { retry_after: None } => "HTTP 429".into(),
            Self::Unavailable { detail, .. } => detail.clone(),
            Self::TimedOut => "no whole answer within the time-out".into(),
            Self::Unauthorized { status: 407 } => "HTTP 407: the proxy does not take our credentials".into(),
            Self::Unauthorized { status: status @ (401 | 403 | 404) } => format!("HTTP {status}"),
            Self::Unauthorized { status } => format!("HTTP {status} from the token endpoint"),
            Self::Refused { status, body } if body.is_empty() => format!("HTTP {status}"),
            Self::Refused { status, body } => format!("HTTP {status}: {body}"),
        }
    }
}

/// What follows an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is delivered.
    Done,
    /// Try again then; the attempt counts.
    RetryAt(UnixMillis),
    /// Wait until the destination is put right; the attempt does not count.
    Wait,
    /// Do not try again by ourselves.
    DeadLetter(Reason),
}
