//! Sending: the one part that does I/O.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use nightbell_core::outcome::Outcome;
use nightbell_core::ports::{Alert, Clock, Sender};
use nightbell_core::trace::{TRACEPARENT, TraceParent};
use reqwest::RequestBuilder;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use secrecy::ExposeSecret as _;
use tokio::time::{Instant, timeout_at};

use crate::basic::{BadBasic, basic};
use crate::classify::{Answer, classify};
use crate::fault::{NO_TUNNEL, unavailable};
use crate::hosts::AllowedHosts;
use crate::oauth::{Token, Tokens};
use crate::probe::refused_tunnel;
use crate::proxy::Via;
use crate::render::render;
use crate::route::{Route, start_of_body};
use crate::secrets::Secrets;
use crate::settings::{Auth, DestinationSettings, SetupError};
use crate::tls::Sight;
use crate::{target, tls};

/// How long an unused connection is kept: less than servers usually keep theirs, so that we rarely send on one that is
/// just being closed.
pub const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// The way to one xMatters trigger. Cheap to clone; the clones share their connections.
#[derive(Clone)]
pub struct Xmatters<C> {
    shared: Arc<Shared<C>>,
}

struct Shared<C> {
    route: Route,
    tokens: Option<Arc<Tokens<C>>>,
    settings: DestinationSettings,
    secrets: Secrets,
    clock: C,
}

impl<C: Clock> Xmatters<C> {
    /// Checks the settings, reads the system's certificates and, where it is told to, the environment's proxies, and
    /// builds the clients; nothing is sent yet. The clock is asked when an answer names a date to wait for.
    ///
    /// # Errors
    /// [`SetupError`] says which setting is wrong, without repeating it.
    pub fn new(settings: DestinationSettings, clock: C) -> Result<Self, SetupError> {
        let url = target::trigger(&settings)?;
        settings.report_base_url.as_deref().map_or(Ok(()), target::report_base)?;
        check_bounds(&settings)?;
        let headers = headers(&settings.auth)?;
        let oauth2 = target::token(&settings, &url)?;
        let token_url = oauth2.as_ref().map(|(_, url)| url);
        let allowed = AllowedHosts::read(settings.network.allowed_hosts.as_deref())?;
        if !allowed.contain(&url) {
            return Err(SetupError::HostNotAllowed);
        }
        if token_url.is_some_and(|url| !allowed.contain(url)) {
            return Err(SetupError::TokenHostNotAllowed);
        }
        let via = Via::of(&settings.network, &url, from_environment)?;
        let token_via =
            token_url.map_or(Ok(None), |url| Via::of(&settings.network, url, from_environment))?;
        let vias = || [&via, &token_via].into_iter().flatten();
        let urls = [Some(&url), token_url].into_iter().flatten().chain(vias().map(|via| &via.url));
        let is_tls = urls.into_iter().any(|url| url.scheme() == "https");
        let tls = tls::config(&settings.network, is_tls, &Sight::default())?;
        let secrets = Secrets::of(&settings).and_headers(vias());
        let tokens = match oauth2 {
            None => None,
            Some((oauth2, url)) => {
                let way = (tls.clone(), token_via.as_ref(), form_headers());
                let route = Route::new(&settings, url, allowed.clone(), way)?;
                Some(Tokens::new(route, oauth2, secrets.clone(), clock.clone()))
            }
        };
        let route = Route::new(&settings, url, allowed, (tls, via.as_ref(), headers))?;
        Ok(Self { shared: Arc::new(Shared { route, tokens, settings, secrets, clock }) })
    }

    /// The settings that it was made of.
    #[must_use]
    pub fn settings(&self) -> &DestinationSettings {
        &self.shared.settings
    }
}

impl<C: Clock> Sender for Xmatters<C> {
    fn send(&self, alert: Alert) -> impl Future<Output = Outcome> + Send + 'static {
        let shared = Arc::clone(&self.shared);
        async move {
            let outcome = shared.attempt(&alert).await;
            shared.explained(outcome).await
        }
    }
}

impl<C> fmt::Debug for Xmatters<C> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Xmatters").field("settings", &self.shared.settings).finish_non_exhaustive()
    }
}

impl<C: Clock> Shared<C> {
    /// The same outcome, with the proxy's own status where it opened no tunnel: reqwest does not tell it, so that the proxy
    /// is asked once more.
    async fn explained(&self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Unavailable { detail, retry_after } if detail.ends_with(NO_TUNNEL) => {
                let said = refused_tunnel(&self.settings, &self.clock).await;
                let said = said.map_or(String::new(), |said| format!("; {said}"));
                Outcome::Unavailable { detail: detail + &said, retry_after }
            }
            Outcome::Unavailable { .. }
            | Outcome::Unauthorized { .. }
            | Outcome::TimedOut
            | Outcome::Accepted { .. }
            | Outcome::Throttled { .. }
            | Outcome::Refused { .. } => outcome,
        }
    }

    async fn attempt(&self, alert: &Alert) -> Outcome {
        let (body, trace) = (render(alert, &self.settings), alert.trace);
        match &self.tokens {
            Some(tokens) => self.attempt_with_token(tokens, body, trace).await,
            None => {
                let fill = |request: RequestBuilder| traced(request.body(body), trace);
                self.exchange(self.route.end(), fill, &self.secrets).await
            }
        }
    }

    /// Posts with a token, and once more with a new one if xMatters does not take the first. The time-out is for all
    /// of it.
    async fn attempt_with_token(
        &self,
        tokens: &Arc<Tokens<C>>,
        body: Vec<u8>,
        trace: Option<TraceParent>,
    ) -> Outcome {
        let end = self.route.end();
        let first = match self.token(tokens, end, None).await {
            Ok(token) => token,
            Err(outcome) => return outcome,
        };
        let outcome = self.post_with(&first, body.clone(), trace, end).await;
        if outcome != (Outcome::Unauthorized { status: 401 }) {
            return outcome;
        }
        match self.token(tokens, end, Some(&first)).await {
            Ok(second) => self.post_with(&second, body, trace, end).await,
            Err(outcome) => outcome,
        }
    }

    /// A token; if one was not taken, another.
    async fn token(
        &self,
        tokens: &Arc<Tokens<C>>,
        end: Instant,
        not: Option<&Token>,
    ) -> Result<Token, Outcome> {
        let get = async {
            if let Some(refused) = not {
                tokens.forget(refused).await;
            }
            tokens.get().await
        };
        let got = timeout_at(end, get).await;
        // Nothing was sent, so xMatters can't have taken it.
        got.unwrap_or_else(|_| Err(unavailable("token endpoint: no answer within the time-out".into())))
    }

    async fn post_with(
        &self,
        token: &Token,
        body: Vec<u8>,
        trace: Option<TraceParent>,
        end: Instant,
    ) -> Outcome {
        let header = token.header.clone();
        let fill = |request: RequestBuilder| traced(request.header(AUTHORIZATION, header).body(body), trace);
        self.exchange(end, fill, &token.secrets).await
    }

    /// Sends a request and reads its answer.
    async fn exchange(
        &self,
        end: Instant,
        fill: impl FnOnce(RequestBuilder) -> RequestBuilder,
        secrets: &Secrets,
    ) -> Outcome {
        let mut response = match self.route.send(end, fill).await {
            Ok(response) => response,
            Err(outcome) => return outcome,
        };
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER).cloned();
        let body = start_of_body(&mut response, self.settings.network.response_bytes_max).await;
        let retry_after = retry_after.as_ref().and_then(|value| value.to_str().ok());
        classify(Answer { status, retry_after, body: &body }, secrets, self.clock.now())
    }
}

/// A request that says in which trace it is made. The `tracestate` stays behind: it may tell of systems that are not
/// xMatters' business.
fn traced(request: RequestBuilder, trace: Option<TraceParent>) -> RequestBuilder {
    match trace {
        Some(trace) => request.header(TRACEPARENT, trace.to_string()),
        None => request,
    }
}

fn check_bounds(settings: &DestinationSettings) -> Result<(), SetupError> {
    if settings.timeout.is_zero() || settings.connect_timeout.is_zero() {
        return Err(SetupError::ZeroTimeout);
    }
    if settings.network.response_bytes_max == 0 {
        return Err(SetupError::NoResponse);
    }
    Ok(())
}

pub(crate) fn from_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn headers(auth: &Auth) -> Result<HeaderMap, SetupError> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    match auth {
        // The token comes with each request.
        Auth::Url | Auth::OAuth2(_) => {}
        Auth::Basic { username, password } => {
            let header = basic(username, password.expose_secret()).map_err(|bad| match bad {
                BadBasic::Username => SetupError::Username,
                BadBasic::Password => SetupError::Password,
            })?;
            headers.insert(AUTHORIZATION, header);
        }
    }
    Ok(headers)
}

fn form_headers() -> HeaderMap {
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    HeaderMap::from_iter([(CONTENT_TYPE, form)])
}
