//! The names of everything in the broker.

use nightbell_core::connector::Connector;
use nightbell_core::rung::Rung;

/// The names of the exchanges and queues under one prefix: 1 to 64 of `A-Z a-z 0-9 - _ .`, not beginning with
/// the broker's own `amq.`, hence safe in a queue's name of at most 255 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    prefix: String,
}

/// A text that is no prefix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no prefix; one has 1 to 64 of the characters A-Z, a-z, 0-9, -, _ and ., \
     and does not begin with amq."
)]
pub struct BadPrefix(String);

impl Default for Names {
    /// The prefix `nightbell`.
    fn default() -> Self {
        Self { prefix: "nightbell".to_owned() }
    }
}

impl Names {
    /// The names under `prefix`.
    ///
    /// # Errors
    /// [`BadPrefix`], when the prefix would not be safe in a name.
    pub fn new(prefix: &str) -> Result<Self, BadPrefix> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let fits = (1..=64).contains(&prefix.len()) && prefix.bytes().all(allowed);
        if fits && !prefix.starts_with("amq.") {
            Ok(Self { prefix: prefix.to_owned() })
        } else {
            Err(BadPrefix(prefix.chars().take(80).collect()))
        }
    }

    /// The prefix.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The exchange that events are published to.
    #[must_use]
    pub fn events(&self) -> String {
        self.under("events")
    }

    /// The exchange in front of the retry queues.
    #[must_use]
    pub fn retry(&self) -> String {
        self.under("retry")
    }

    /// The exchange that what waited in a retry queue comes back through.
    #[must_use]
    pub fn requeue(&self) -> String {
        self.under("requeue")
    }

    /// The exchange and the queue of the dead letters.
    #[must_use]
    pub fn dead(&self) -> String {
        self.under("dead")
    }

    /// The queue that stands for the right to browse the dead letters.
    #[must_use]
    pub fn dead_browser(&self) -> String {
        self.under("dead.browser")
    }

    /// A connector's queue.
    #[must_use]
    pub fn connector_queue(&self, connector: &Connector) -> String {
        format!("{}.connector.{connector}", self.prefix)
    }

    /// The connector whose queue this is, if it is one's.
    #[must_use]
    pub fn connector_of(&self, queue: &str) -> Option<Connector> {
        queue.strip_prefix(&self.prefix)?.strip_prefix(".connector.")?.parse().ok()
    }

    /// A retry queue.
    #[must_use]
    pub fn retry_queue(&self, rung: Rung) -> String {
        format!("{}.retry.{rung}", self.prefix)
    }

    /// The routing key that brings a message to `connector` by `rung`.
    #[must_use]
    pub fn retry_key(&self, rung: Rung, connector: &Connector) -> String {
        format!("{}.{connector}", rung.seconds())
    }

    /// The routing key that brings a message to `connector` at once.
    #[must_use]
    pub fn now_key(&self, connector: &Connector) -> String {
        format!("now.{connector}")
    }

    fn under(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connectors_queue_and_its_connector_are_found_from_each_other() {
        let names = Names::default();
        let sre: Connector = "sre".parse().unwrap();
        assert_eq!(names.connector_queue(&sre), "nightbell.connector.sre");
        assert_eq!(names.connector_of("nightbell.connector.sre"), Some(sre));
        assert_eq!(names.connector_of("nightbell.retry.1s"), None);
        assert_eq!(names.connector_of("other.connector.sre"), None);
    }

    #[track_caller]
    fn check(prefix: &str, fits: bool) {
        assert_eq!(Names::new(prefix).is_ok(), fits, "{prefix}");
    }

    #[test]
    fn a_prefix_is_short_and_safe() {
        check("nightbell", true);
        check("team-a.nightbell_2", true);
        check(&"a".repeat(64), true);
        check(&"a".repeat(65), false);
        check("", false);
        check("a b", false);
        check("ä", false);
        check("amq.nightbell", false);
        check("a*", false);
    }
}
