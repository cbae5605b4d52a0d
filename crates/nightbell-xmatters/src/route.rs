//! One URL, and the client that leads there.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nightbell_core::outcome::Outcome;
use reqwest::header::HeaderMap;
use reqwest::{Client, Request, RequestBuilder, Response, redirect, retry};
use rustls::ClientConfig;
use tokio::time::Instant;
use url::Url;

use crate::error::SetupError;
use crate::fault;
use crate::proxy::Via;
use crate::settings::DestinationSettings;
use crate::way::Way;

/// How long an unused connection is kept: less than servers usually keep theirs, so that we rarely send on one that is
/// just being closed.
pub const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) const USER_AGENT: &str = concat!("nightbell/", env!("CARGO_PKG_VERSION"));

/// The longest pause between two pings of an HTTP/2 connection, and the longest wait for the answer to one.
const PING_MAX: Duration = Duration::from_secs(5);

/// The shortest: a server may take more pings for an attack.
const PING_MIN: Duration = Duration::from_secs(1);

/// One URL, and the client that leads there.
#[derive(Debug)]
pub(crate) struct Route {
    recipe: Recipe,
    /// The client in use, and how many came before it.
    current: Mutex<(Client, u64)>,
    url: Url,
    by_proxy: bool,
}

impl Route {
    pub(crate) fn new(
        settings: &DestinationSettings,
        way: &Way,
        tls: ClientConfig,
        headers: HeaderMap,
    ) -> Result<Self, SetupError> {
        let failed = |source: reqwest::Error| SetupError::Client { source: source.without_url() };
        let proxy = way.via.as_ref().map(|Via { url, authorization }| {
            let proxy = reqwest::Proxy::all(url.as_str())?;
            Ok(match authorization {
                None => proxy,
                Some(header) => proxy.custom_http_auth(header.clone()),
            })
        });
        let recipe = Recipe {
            tls,
            proxy: proxy.transpose().map_err(failed)?,
            headers,
            timeout: settings.timeout,
            connect_timeout: settings.connect_timeout.min(settings.timeout),
        };
        let client = recipe.client().map_err(failed)?;
        Ok(Self {
            recipe,
            current: Mutex::new((client, 0)),
            url: way.url.clone(),
            by_proxy: way.via.is_some(),
        })
    }

    /// When an attempt that begins now must have ended.
    pub(crate) fn end(&self) -> Instant {
        Instant::now() + self.recipe.timeout
    }

    /// Sends a request, which `fill` completes. If pings find its connection dead, it is sent once more over a new one:
    /// all that were under way on that connection would else count as failures of the destination. After a time-out the
    /// next request goes over a new connection.
    pub(crate) async fn send(
        &self,
        end: Instant,
        fill: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, Outcome> {
        let (client, serial) = self.current();
        let request = fill(client.post(self.url.clone())).build().map_err(|error| self.failed(&error))?;
        let again = request.try_clone();
        let error = match execute(&client, request, end).await {
            Ok(response) => return Ok(response),
            Err(error) => error,
        };
        if error.is_timeout() && !error.is_connect() {
            self.renew(serial);
        }
        match again.filter(|_| fault::is_dead_connection(&error)) {
            None => Err(self.failed(&error)),
            Some(request) => {
                let (client, _) = self.current();
                execute(&client, request, end).await.map_err(|error| self.failed(&error))
            }
        }
    }

    fn current(&self) -> (Client, u64) {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Leaves the connections of a client behind, unless that was done already.
    fn renew(&self, serial: u64) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.1 == serial
            && let Ok(client) = self.recipe.client()
        {
            *current = (client, serial + 1);
        }
    }

    /// What a request that got no answer came to.
    fn failed(&self, error: &reqwest::Error) -> Outcome {
        let mut outcome = fault::outcome(error);
        if self.by_proxy
            && let Outcome::Unavailable { detail, .. } = &mut outcome
        {
            detail.insert_str(0, "through the proxy: ");
        }
        outcome
    }
}

async fn execute(client: &Client, mut request: Request, end: Instant) -> Result<Response, reqwest::Error> {
    *request.timeout_mut() = Some(end.saturating_duration_since(Instant::now()));
    client.execute(request).await
}

/// What a client is made of, so that another can be made.
#[derive(Debug)]
struct Recipe {
    tls: ClientConfig,
    proxy: Option<reqwest::Proxy>,
    headers: HeaderMap,
    timeout: Duration,
    connect_timeout: Duration,
}

impl Recipe {
    fn client(&self) -> Result<Client, reqwest::Error> {
        // A dead connection is found within two of these, which leaves time for another one.
        let ping = (self.timeout / 3).clamp(PING_MIN, PING_MAX);
        let builder = Client::builder()
            .user_agent(USER_AGENT)
            .default_headers(self.headers.clone())
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .no_proxy()
            .connect_timeout(self.connect_timeout)
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .http2_keep_alive_interval(ping)
            .http2_keep_alive_timeout(ping)
            .http2_keep_alive_while_idle(true)
            .tcp_nodelay(true)
            .tls_backend_preconfigured(self.tls.clone());
        match &self.proxy {
            None => builder.build(),
            Some(proxy) => builder.proxy(proxy.clone()).build(),
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
    use crate::settings::tests::destination;
    use crate::tls;
    use crate::way::Ways;

    /// A route to a port on which nobody listens, if the host may be sent to.
    fn route(allowed: &str) -> Result<Route, SetupError> {
        let mut settings = destination("http://127.0.0.1:1/?apiKey=k");
        settings.network.allowed_hosts = Some(vec![allowed.parse().unwrap()]);
        let tls = tls::config(&settings.network, false, &tls::Sight::default())?;
        Route::new(&settings, &Ways::of(&settings)?.trigger, tls, HeaderMap::new())
    }

    #[tokio::test]
    async fn there_is_no_route_to_a_host_that_is_not_allowed() {
        let allowed = route("127.0.0.1").unwrap();
        let outcome = allowed.send(allowed.end(), |request| request).await.unwrap_err();
        assert_eq!(outcome.detail(), "connection refused");
        let refused = route("acme.xmatters.com").unwrap_err().to_string();
        assert!(refused.starts_with("the trigger URL leads to a host that `allowed_hosts` does not have"));
    }
}
