//! One URL, and the client that leads there.

use nightbell_core::outcome::Outcome;
use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder, Response, redirect, retry};
use rustls::ClientConfig;
use url::Url;

use crate::fault;
use crate::hosts::AllowedHosts;
use crate::proxy::Via;
use crate::send::POOL_IDLE_TIMEOUT;
use crate::settings::{DestinationSettings, SetupError};

const USER_AGENT: &str = concat!("nightbell/", env!("CARGO_PKG_VERSION"));

/// One URL, the client that leads there, and whether it may be used.
#[derive(Debug)]
pub(crate) struct Route {
    client: Client,
    url: Url,
    allowed: AllowedHosts,
    by_proxy: bool,
}

impl Route {
    pub(crate) fn new(
        settings: &DestinationSettings,
        url: Url,
        allowed: AllowedHosts,
        (tls, via, headers): (ClientConfig, Option<&Via>, HeaderMap),
    ) -> Result<Self, SetupError> {
        let builder = Client::builder()
            .user_agent(USER_AGENT)
            .default_headers(headers)
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .no_proxy()
            .timeout(settings.timeout)
            .connect_timeout(settings.connect_timeout.min(settings.timeout))
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .tcp_nodelay(true)
            .tls_backend_preconfigured(tls);
        let client = |source: reqwest::Error| SetupError::Client { source: source.without_url() };
        let builder = match via {
            None => builder,
            Some(Via { url, authorization }) => {
                let proxy = reqwest::Proxy::all(url.clone()).map_err(client)?;
                builder.proxy(match authorization {
                    None => proxy,
                    Some(header) => proxy.custom_http_auth(header.clone()),
                })
            }
        };
        let client = builder.build().map_err(client)?;
        Ok(Self { client, url, allowed, by_proxy: via.is_some() })
    }

    /// A request to be filled and sent; the error says why it must not be.
    pub(crate) fn post(&self) -> Result<RequestBuilder, Outcome> {
        if self.allowed.contain(&self.url) {
            Ok(self.client.post(self.url.clone()))
        } else {
            Err(fault::unavailable("the host is not in allowed_hosts".into()))
        }
    }

    /// What a request that got no answer came to.
    pub(crate) fn failed(&self, error: &reqwest::Error) -> Outcome {
        let outcome = fault::outcome(error);
        match outcome {
            Outcome::Unavailable { detail, retry_after } if self.by_proxy => {
                Outcome::Unavailable { detail: format!("through the proxy: {detail}"), retry_after }
            }
            Outcome::Unavailable { .. }
            | Outcome::Unauthorized { .. }
            | Outcome::TimedOut
            | Outcome::Accepted { .. }
            | Outcome::Throttled { .. }
            | Outcome::Refused { .. } => outcome,
        }
    }
}

/// Reads at most `bytes_max` of a body. One that breaks off, or is not whole when the time is up, ends there: the status
/// is known, and it decides.
pub(crate) async fn start_of_body(response: &mut Response, bytes_max: usize) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(part)) = response.chunk().await {
        let room = bytes_max - body.len();
        body.extend_from_slice(&part[..part.len().min(room)]);
        if body.len() == bytes_max {
            break;
        }
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Auth;
    use crate::tls;

    fn route(allowed: &[&str]) -> Route {
        let settings = DestinationSettings::new("http://127.0.0.1:1/", Auth::Url);
        let names: Vec<_> = allowed.iter().map(|&name| name.to_owned()).collect();
        let allowed = AllowedHosts::read(Some(&names)).unwrap();
        let tls = tls::config(&settings.network, false).unwrap();
        let url = "http://127.0.0.1:1/".parse().unwrap();
        Route::new(&settings, url, allowed, (tls, None, HeaderMap::new())).unwrap()
    }

    #[test]
    fn no_request_is_made_for_a_host_that_is_not_allowed() {
        assert!(route(&["127.0.0.1"]).post().is_ok());
        let refused = route(&["acme.xmatters.com"]).post().map(drop).unwrap_err();
        assert_eq!(refused.detail(), "the host is not in allowed_hosts");
    }
}
