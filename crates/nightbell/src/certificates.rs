//! When the destinations' certificates expire, looked at now and then, so that it is known before an alert needs them.

use std::time::Duration;

use nightbell_core::connector::Connector;
use nightbell_core::ports::Clock as _;
use nightbell_worker::SystemClock;
use nightbell_xmatters::{DestinationSettings, certificate_end};
use tokio_util::task::AbortOnDropHandle;
use tracing::debug;

use crate::config::Config;
use crate::telemetry;

/// How often the certificates are looked at, with one handshake each.
const LOOK_EVERY: Duration = Duration::from_secs(60 * 60);

/// Looks at the certificates of all destinations, at once and then every hour, until it is dropped.
pub struct Lookout(
    #[expect(dead_code, reason = "it ends the task when it is dropped")] AbortOnDropHandle<()>,
);

impl Lookout {
    /// Begins with a configuration's destinations. Must be called within a tokio runtime.
    #[must_use]
    pub fn begin(config: &Config) -> Self {
        let all = config.connectors.iter().map(|one| (one.name.clone(), one.destination.clone())).collect();
        Self(AbortOnDropHandle::new(tokio::spawn(look(all))))
    }

    /// Goes on with another configuration's.
    pub fn follow(&mut self, config: &Config) {
        *self = Self::begin(config);
    }
}

/// A destination that can't be reached leaves the metric as it is: the alerts that fail say what is wrong with it.
async fn look(destinations: Vec<(Connector, DestinationSettings)>) {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    loop {
        looks.tick().await;
        for (connector, destination) in &destinations {
            match certificate_end(destination, &SystemClock).await {
                Ok(Some(shown)) => {
                    let until = shown.validity.until;
                    telemetry::certificate_expiry(connector, until, &shown.subject, SystemClock.now());
                }
                Ok(None) => debug!(%connector, "no certificate was seen"),
                // A sender was made of the same settings, so this takes a file that was changed since.
                Err(error) => debug!(%connector, %error, "no certificate was looked at"),
            }
        }
    }
}
