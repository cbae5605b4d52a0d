//! The ways to a destination's servers.

use url::Url;

use crate::auth::{Auth, OAuth2};
use crate::error::{Misfit, SetupError};
use crate::proxy::Via;
use crate::settings::DestinationSettings;
use crate::web_url::{TokenUrl, WebUrl};

/// What a server is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// Alerts are posted to it.
    Trigger,
    /// It gives tokens.
    Token,
}

/// The way to one server, which may be sent to, and with secrets.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) endpoint: Endpoint,
    pub(crate) url: Url,
    pub(crate) via: Option<Via>,
}

/// The ways to all of a destination's servers.
#[derive(Debug)]
pub(crate) struct Ways {
    pub(crate) trigger: Way,
    /// Where tokens are asked for, and how; none: authentication needs no token.
    pub(crate) token: Option<(Way, OAuth2)>,
}

impl Ways {
    /// Holds a destination's URLs against its authentication, its network and, where it is told to, the environment's
    /// proxies.
    pub(crate) fn of(settings: &DestinationSettings) -> Result<Self, SetupError> {
        let trigger_url = &settings.trigger_url;
        settings.auth.kind().check_key(trigger_url).map_err(SetupError::TriggerUrl)?;
        let trigger = Way::to(Endpoint::Trigger, trigger_url, settings, SetupError::TriggerUrl)?;
        let token = match &settings.auth {
            Auth::Basic(_) | Auth::Url => None,
            Auth::OAuth2(oauth2) => {
                let url = oauth2.token_url.clone().unwrap_or_else(|| TokenUrl::beside(trigger_url));
                let way = Way::to(Endpoint::Token, &url, settings, SetupError::TokenUrl)?;
                Some((way, oauth2.clone()))
            }
        };
        Ok(Self { trigger, token })
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Way> {
        std::iter::once(&self.trigger).chain(self.token.iter().map(|(way, _)| way))
    }
}

impl Way {
    fn to(
        endpoint: Endpoint,
        url: &WebUrl,
        settings: &DestinationSettings,
        failed: impl Fn(Misfit) -> SetupError,
    ) -> Result<Self, SetupError> {
        url.check_encryption(settings.allow_insecure).map_err(&failed)?;
        settings.network.check_host(url).map_err(failed)?;
        Ok(Self { endpoint, url: Url::clone(url), via: Via::of(&settings.network, url, from_environment)? })
    }

    /// Whether there is TLS anywhere on it.
    pub(crate) fn has_tls(&self) -> bool {
        self.url.scheme() == "https" || self.via.as_ref().is_some_and(|via| via.url.scheme() == "https")
    }
}

fn from_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
