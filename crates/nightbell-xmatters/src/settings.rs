//! How one destination is set up.

use std::time::Duration;

use nightbell_core::ports::Alert;
use nightbell_core::priority::Priorities;

use crate::auth::Auth;
use crate::link;
use crate::network::Network;
use crate::template::Template;
use crate::view::View;
use crate::web_url::{ReportBase, TriggerUrl};

/// How long one attempt may take unless the settings say otherwise, from connecting to the answer's last byte.
pub const TIMEOUT: Duration = Duration::from_secs(15);

/// How long connecting may take unless the settings say otherwise.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// One destination. `Debug` shows neither URLs nor passwords.
#[derive(Debug, Clone)]
pub struct DestinationSettings {
    /// The inbound trigger. With [`Auth::Url`] it holds the key.
    pub trigger_url: TriggerUrl,
    /// How we say who we are.
    pub auth: Auth,
    /// Users, groups, or devices as `user|device`. Empty: the flow behind the trigger knows them.
    pub recipients: Vec<String>,
    /// What the body looks like.
    pub payload: Payload,
    /// The priority of every severity, for the payloads that carry one.
    pub priorities: Priorities,
    /// How long one attempt may take, from connecting to the answer's last byte; longer than zero.
    pub timeout: Duration,
    /// How long connecting may take, the TLS handshake included; longer than zero, and never longer than `timeout`.
    pub connect_timeout: Duration,
    /// Where an event's `report_path` is looked up.
    pub report_base_url: Option<ReportBase>,
    /// Lets `http://` go to any host, not only to this machine and private addresses.
    pub allow_insecure: bool,
    /// The hosts, certificates and proxy on the way to it.
    pub network: Network,
}

/// What the body looks like.
#[derive(Debug, Clone, Default)]
pub enum Payload {
    /// `properties`, `recipients` and `priority`, as xMatters' own forms take them.
    #[default]
    Form,
    /// The flat keys of xMatters' trigger for Elastic alerts, as Kibana's connector sends them. Recipients and priority
    /// are the flow's affair.
    Elastic,
    /// `Summary`, `Message` and `Recipients`, as API Fortress's connector sends them. There is no priority.
    ApiFortress,
    /// The user's own.
    Template(Template),
}

impl Payload {
    /// The word used in configuration.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Elastic => "elastic",
            Self::ApiFortress => "apifortress",
            Self::Template(_) => "template",
        }
    }
}

impl DestinationSettings {
    /// A destination with the defaults for all that is optional.
    #[must_use]
    pub fn new(trigger_url: TriggerUrl, auth: Auth) -> Self {
        Self {
            trigger_url,
            auth,
            recipients: Vec::new(),
            payload: Payload::default(),
            priorities: Priorities::default(),
            timeout: TIMEOUT,
            connect_timeout: CONNECT_TIMEOUT,
            report_base_url: None,
            allow_insecure: false,
            network: Network::default(),
        }
    }

    /// An alert as this destination is to see it: what the alert itself asks for comes before the settings.
    pub(crate) fn view<'a>(&'a self, alert: &'a Alert) -> View<'a> {
        let overrides = &alert.overrides;
        let link = link::report(&alert.event, self.report_base_url.as_ref());
        View {
            alert,
            recipients: overrides.recipients.as_deref().unwrap_or(&self.recipients),
            priority: overrides.priority.unwrap_or_else(|| self.priorities.of(alert.event.severity)),
            report_left_out: link.as_ref().err().map(|bad| bad.words()),
            report_url: link.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A destination at this URL, which needs no login.
    pub(crate) fn destination(url: &str) -> DestinationSettings {
        DestinationSettings::new(url.parse().unwrap(), Auth::Url)
    }

    /// The same with HTTP Basic.
    pub(crate) fn with_password(url: &str, username: &str, password: &str) -> DestinationSettings {
        let auth = Auth::Basic(crate::auth::tests::login(username, password));
        DestinationSettings::new(url.parse().unwrap(), auth)
    }
}
