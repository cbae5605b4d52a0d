//! Sending: the one part that does I/O.

use std::fmt;
use std::sync::Arc;

use nightbell_core::outcome::Outcome;
use nightbell_core::ports::{Alert, Clock, Sender};
use nightbell_core::trace::{TRACEPARENT, TraceParent};
use reqwest::RequestBuilder;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use tokio::time::{Instant, timeout_at};

use crate::auth::Auth;
use crate::classify::{Answer, classify};
use crate::error::SetupError;
use crate::fault::{NO_TUNNEL, unavailable};
use crate::oauth::{Token, Tokens};
use crate::probe::refused_tunnel;
use crate::render::render;
use crate::route::{Route, start_of_body};
use crate::secrets::Secrets;
use crate::settings::DestinationSettings;
use crate::tls::{self, Sight};
use crate::way::{Way, Ways};

/// The way to one xMatters trigger. Cheap to clone; the clones share their connections.
#[derive(Clone)]
pub struct Xmatters<C> {
    destination: Arc<Destination<C>>,
}

/// All that sending takes.
struct Destination<C> {
    route: Route,
    tokens: Option<Arc<Tokens<C>>>,
    settings: DestinationSettings,
    secrets: Secrets,
    clock: C,
}

impl<C: Clock> Xmatters<C> {
    /// Holds the settings against each other, reads the system's certificates and, where it is told to, the environment's
    /// proxies, and builds the clients; nothing is sent yet. The clock is asked when an answer names a date to wait for.
    ///
    /// # Errors
    /// [`SetupError`] says what does not go together, or what the system lacks.
    pub fn new(settings: DestinationSettings, clock: C) -> Result<Self, SetupError> {
        let ways = Ways::of(&settings)?;
        let tls = tls::config(&settings.network, ways.iter().any(Way::has_tls), &Sight::default())?;
        let secrets = Secrets::of(&settings).and_headers(ways.iter().filter_map(|way| way.via.as_ref()));
        let tokens = match ways.token {
            None => None,
            Some((way, oauth2)) => {
                let route =
                    Route::new(&settings, &way, tls.clone(), of_type("application/x-www-form-urlencoded"))?;
                Some(Tokens::new(route, oauth2, secrets.clone(), clock.clone()))
            }
        };
        let mut headers = of_type("application/json");
        // A token comes with each request.
        if let Auth::Basic(login) = &settings.auth {
            headers.insert(AUTHORIZATION, login.header());
        }
        let route = Route::new(&settings, &ways.trigger, tls, headers)?;
        Ok(Self { destination: Arc::new(Destination { route, tokens, settings, secrets, clock }) })
    }

    /// The settings that it was made of.
    #[must_use]
    pub fn settings(&self) -> &DestinationSettings {
        &self.destination.settings
    }
}

impl<C: Clock> Sender for Xmatters<C> {
    fn send(&self, alert: Alert) -> impl Future<Output = Outcome> + Send + 'static {
        let destination = Arc::clone(&self.destination);
        async move {
            let outcome = destination.attempt(&alert).await;
            destination.explained(outcome).await
        }
    }
}

impl<C> fmt::Debug for Xmatters<C> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Xmatters").field("settings", &self.destination.settings).finish_non_exhaustive()
    }
}

impl<C: Clock> Destination<C> {
    /// The same outcome, with the proxy's own status where it opened no tunnel: reqwest does not tell it, so that the proxy
    /// is asked once more.
    async fn explained(&self, mut outcome: Outcome) -> Outcome {
        if let Outcome::Unavailable { detail, .. } = &mut outcome
            && detail.ends_with(NO_TUNNEL)
            && let Some(said) = refused_tunnel(&self.settings, &self.clock).await
        {
            *detail += &format!("; {said}");
        }
        outcome
    }

    /// Posts an alert: with a token where one is needed, and once more with a new one if xMatters does not take the first.
    /// The time-out is for all of it.
    async fn attempt(&self, alert: &Alert) -> Outcome {
        let (body, end) = (render(alert, &self.settings), self.route.end());
        let Some(tokens) = &self.tokens else { return self.post(body, alert.trace, end, None).await };
        let first = match self.token(tokens, end, None).await {
            Ok(token) => token,
            Err(outcome) => return outcome,
        };
        let outcome = self.post(body.clone(), alert.trace, end, Some(&first)).await;
        if outcome != (Outcome::Unauthorized { status: 401 }) {
            return outcome;
        }
        match self.token(tokens, end, Some(&first)).await {
            Ok(second) => self.post(body, alert.trace, end, Some(&second)).await,
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

    /// Sends a request and reads its answer. It says in which trace it is made; the `tracestate` stays behind: it may tell of
    /// systems that are not xMatters' business.
    async fn post(
        &self,
        body: Vec<u8>,
        trace: Option<TraceParent>,
        end: Instant,
        token: Option<&Token>,
    ) -> Outcome {
        let fill = |mut request: RequestBuilder| {
            if let Some(trace) = trace {
                request = request.header(TRACEPARENT, trace.to_string());
            }
            if let Some(token) = token {
                request = request.header(AUTHORIZATION, token.header.clone());
            }
            request.body(body)
        };
        let mut response = match self.route.send(end, fill).await {
            Ok(response) => response,
            Err(outcome) => return outcome,
        };
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER).cloned();
        let body = start_of_body(&mut response, self.settings.network.response_bytes_max).await;
        let retry_after = retry_after.as_ref().and_then(|value| value.to_str().ok());
        let secrets = token.map_or(&self.secrets, |token| &token.secrets);
        classify(Answer { status, retry_after, body: &body }, secrets, self.clock.now())
    }
}

fn of_type(content: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content))])
}
