//! What can go wrong between Nightbell and a broker. No text holds the URL, the user or the password.

use std::error::Error;
use std::time::Duration;

use lapin::ErrorKind;
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};

use crate::declare::TopologyError;
use crate::tls::TlsFault;

/// The broker can't be used.
#[derive(Debug, thiserror::Error)]
pub enum AmqpError {
    /// No connection came about: nobody listens, the name is unknown, TLS failed.
    #[error("no connection to {place}")]
    Unreachable {
        /// Host and port.
        place: String,
        /// What lapin says of it.
        source: lapin::Error,
    },
    /// The broker took the connection and then did not answer in time.
    #[error("{place} did not answer within {} s: {step}", wait.as_secs())]
    TimedOut {
        /// Host and port.
        place: String,
        /// What was being done.
        step: &'static str,
        /// How long it was waited for.
        wait: Duration,
    },
    /// TLS failed, for the want of something that an operator can change.
    #[error("{place} {fault}")]
    Tls {
        /// Host and port.
        place: String,
        /// What an operator can change.
        fault: TlsFault,
    },
    /// None of several addresses took the connection.
    #[error("{}", all(errors))]
    AtNone {
        /// What each said.
        errors: Vec<AmqpError>,
    },
    /// The broker refused the user or the password.
    #[error("{place} refused the user name or the password of `queue.url`")]
    Login {
        /// Host and port.
        place: String,
    },
    /// There is no such virtual host, or the user may not use it.
    #[error("{place} has no virtual host `{vhost}`, or the user may not use it")]
    VirtualHost {
        /// Host and port.
        place: String,
        /// The virtual host.
        vhost: String,
        /// What the broker said.
        source: lapin::Error,
    },
    /// The queues are not as they must be.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// Another process browses the dead letters.
    #[error("another `nightbell dead` command is running; wait for its end, then try again")]
    Busy,
    /// The broker ended the conversation.
    #[error("the broker ended it: {step}")]
    Ended {
        /// What was being done.
        step: &'static str,
        /// What the broker said.
        source: lapin::Error,
    },
    /// A delivery can't be settled any more: its channel is gone, and the message is back in its queue.
    #[error("the channel that delivered it is gone; the message is back in its queue")]
    Gone,
    /// What answered does not speak AMQP 0-9-1.
    #[error("{place} does not speak AMQP 0-9-1")]
    NoAmqp {
        /// Host and port.
        place: String,
    },
}

impl AmqpError {
    /// The one error of several attempts.
    pub(crate) fn of_all(mut errors: Vec<Self>) -> Self {
        match errors.pop() {
            Some(error) if errors.is_empty() => error,
            last => Self::AtNone { errors: errors.into_iter().chain(last).collect() },
        }
    }

    /// What an error says of what comes next.
    pub(crate) fn nature(&self) -> Nature {
        match self {
            Self::Topology(error) => error.nature(),
            Self::AtNone { errors } => {
                let is_any = |nature| errors.iter().any(|error| error.nature() == nature);
                match (is_any(Nature::Silence), is_any(Nature::Passing)) {
                    (true, _) => Nature::Silence,
                    (false, true) => Nature::Passing,
                    (false, false) => Nature::Standing,
                }
            }
            Self::Login { .. } | Self::VirtualHost { .. } | Self::Tls { .. } => Nature::Standing,
            Self::TimedOut { .. } => Nature::Silence,
            Self::Unreachable { .. } | Self::Busy | Self::Ended { .. } | Self::Gone | Self::NoAmqp { .. } => {
                Nature::Passing
            }
        }
    }

    /// Whether the broker kept silent, so that its connection is not to be trusted.
    pub(crate) fn is_time_out(&self) -> bool {
        self.nature() == Nature::Silence
    }
}

/// What an error says of what comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nature {
    /// An operator must act before it can end.
    Standing,
    /// The broker kept silent.
    Silence,
    /// It may pass by itself.
    Passing,
}

fn all(errors: &[AmqpError]) -> String {
    let each: Vec<_> = errors.iter().map(|error| in_full(error)).collect();
    each.join("; ")
}

/// What a failed handshake means.
pub(crate) fn refused_connection(place: String, vhost: &str, source: lapin::Error) -> AmqpError {
    match hard_error(&source) {
        Some(AMQPHardError::NOTALLOWED) => AmqpError::VirtualHost { place, vhost: vhost.to_owned(), source },
        _ if soft_error(&source) == Some(&AMQPSoftError::ACCESSREFUSED) => AmqpError::Login { place },
        _ => AmqpError::Unreachable { place, source },
    }
}

/// Whether the broker refused a request for want of a permission.
pub(crate) fn is_refused(error: &AmqpError) -> bool {
    matches!(error, AmqpError::Ended { source, .. } if soft_error(source) == Some(&AMQPSoftError::ACCESSREFUSED))
}

/// Whether something was asked on a channel that was closed already, for a reason that this does not say.
pub(crate) fn is_closed_channel(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidChannelState(..))
}

/// The channel-level error that this is, if it is one.
pub(crate) fn soft_error(error: &lapin::Error) -> Option<&AMQPSoftError> {
    let ErrorKind::ProtocolError(error) = error.kind() else { return None };
    match error.kind() {
        AMQPErrorKind::Soft(soft) => Some(soft),
        AMQPErrorKind::Hard(_) => None,
    }
}

fn hard_error(error: &lapin::Error) -> Option<&AMQPHardError> {
    let ErrorKind::ProtocolError(error) = error.kind() else { return None };
    match error.kind() {
        AMQPErrorKind::Soft(_) => None,
        AMQPErrorKind::Hard(hard) => Some(hard),
    }
}

/// An error and its causes in one line.
pub(crate) fn in_full(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        // lapin repeats its cause in its own text.
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use lapin::protocol::AMQPError;

    fn broker_said(kind: AMQPErrorKind, text: &str) -> lapin::Error {
        ErrorKind::ProtocolError(AMQPError::new(kind, text.into())).into()
    }

    #[test]
    fn a_failed_handshake_says_what_an_operator_can_change() {
        let kinds = [
            (broker_said(AMQPSoftError::ACCESSREFUSED.into(), "no"), "refused the user name or the password"),
            (broker_said(AMQPHardError::NOTALLOWED.into(), "no"), "has no virtual host `alerts`"),
            (
                std::io::Error::from(std::io::ErrorKind::ConnectionRefused).into(),
                "no connection to broker:5672",
            ),
        ];
        for (error, want) in kinds {
            let text = in_full(&refused_connection("broker:5672".into(), "alerts", error));
            assert!(text.contains(want), "{text}");
        }
    }

    #[test]
    fn causes_are_said_once() {
        let error = refused_connection("h:1".into(), "/", std::io::Error::other("boom").into());
        assert_eq!(in_full(&error), "no connection to h:1: IO error: boom");
    }
}
