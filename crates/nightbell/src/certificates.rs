//! When the destinations' certificates expire, looked at now and then, so that it is known before an alert needs them.

use std::time::Duration;

use nightbell_core::connector::Connector;
use nightbell_core::ports::Clock as _;
use nightbell_worker::SystemClock;
use nightbell_xmatters::{DestinationSettings, certificate_end};
use tokio_util::task::AbortOnDropHandle;
use tracing::debug;

use crate::config::{Config, ConnectorConfig};
use crate::telemetry;

/// How often the certificates are looked at, with one handshake each.
const LOOK_EVERY: Duration = Duration::from_secs(60 * 60);

/// Looks at the certificates of all destinations, at once and then every hour, until what it gives is dropped. Must be
/// called within a tokio runtime.
pub fn look_out(config: &Config) -> AbortOnDropHandle<()> {
    let destination = |one: &ConnectorConfig| (one.name.clone(), one.destination.clone());
    AbortOnDropHandle::new(tokio::spawn(look(config.connectors.iter().map(destination).collect())))
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
