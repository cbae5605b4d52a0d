//! Sending: the one part that does I/O.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nightbell_core::outcome::Outcome;
use nightbell_core::ports::{Alert, Clock, Sender};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, redirect, retry};
use secrecy::ExposeSecret as _;
use url::Url;

use crate::classify::{Answer, classify};
use crate::fault;
use crate::render::render;
use crate::secrets::Secrets;
use crate::settings::{Auth, DestinationSettings, SetupError};
use crate::target;

/// How much of an answer's body is read, in bytes. The connection of a longer one is closed instead of being used again.
pub const RESPONSE_BYTES_MAX: usize = 64 * 1024;

/// How long an unused connection is kept: less than servers usually keep theirs, so that we rarely send on one that is
/// just being closed.
pub const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(20);

const USER_AGENT: &str = concat!("nightbell/", env!("CARGO_PKG_VERSION"));

/// The way to one xMatters trigger. Cheap to clone; the clones share their connections.
#[derive(Clone)]
pub struct Xmatters<C> {
    shared: Arc<Shared<C>>,
}

struct Shared<C> {
    client: Client,
    url: Url,
    settings: DestinationSettings,
    secrets: Secrets,
    clock: C,
}

impl<C: Clock> Xmatters<C> {
    /// Checks the settings and builds the client; nothing is sent yet. The clock is asked when an answer names a date
    /// to wait for.
    ///
    /// # Errors
    /// [`SetupError`] says which setting is wrong, without repeating it.
    pub fn new(settings: DestinationSettings, clock: C) -> Result<Self, SetupError> {
        let url = target::trigger(&settings)?;
        settings.report_base_url.as_deref().map_or(Ok(()), target::report_base)?;
        let client = client(&settings, &url)?;
        let secrets = Secrets::of(&settings);
        Ok(Self { shared: Arc::new(Shared { client, url, settings, secrets, clock }) })
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
        async move { shared.attempt(&alert).await }
    }
}

impl<C> fmt::Debug for Xmatters<C> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Xmatters").field("settings", &self.shared.settings).finish_non_exhaustive()
    }
}

impl<C: Clock> Shared<C> {
    async fn attempt(&self, alert: &Alert) -> Outcome {
        let request = self.client.post(self.url.clone()).body(render(alert, &self.settings));
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(error) => return fault::outcome(&error),
        };
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER).cloned();
        let body = start_of_body(&mut response).await;
        let retry_after = retry_after.as_ref().and_then(|value| value.to_str().ok());
        classify(Answer { status, retry_after, body: &body }, &self.secrets, self.clock.now())
    }
}

/// Reads at most [`RESPONSE_BYTES_MAX`]. A body that breaks off, or is not whole when the time is up, ends there: the
/// status is known, and it decides.
async fn start_of_body(response: &mut Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(part)) = response.chunk().await {
        let room = RESPONSE_BYTES_MAX - body.len();
        body.extend_from_slice(&part[..part.len().min(room)]);
        if body.len() == RESPONSE_BYTES_MAX {
            break;
        }
    }
    body
}

fn client(settings: &DestinationSettings, url: &Url) -> Result<Client, SetupError> {
    if settings.timeout.is_zero() || settings.connect_timeout.is_zero() {
        return Err(SetupError::ZeroTimeout);
    }
    let builder = Client::builder()
        .user_agent(USER_AGENT)
        .default_headers(headers(&settings.auth)?)
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .no_proxy()
        .timeout(settings.timeout)
        .connect_timeout(settings.connect_timeout.min(settings.timeout))
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .tcp_nodelay(true);
    // Without TLS there is no need for the system's certificates, of which a small container may have none.
    let builder = if url.scheme() == "http" { builder.tls_certs_only([]) } else { builder };
    builder.build().map_err(|source| SetupError::Client { source: source.without_url() })
}

fn headers(auth: &Auth) -> Result<HeaderMap, SetupError> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    match auth {
        Auth::Url => {}
        Auth::Basic { username, password } => {
            headers.insert(AUTHORIZATION, basic(username, password.expose_secret())?);
        }
    }
    Ok(headers)
}

/// The header of HTTP Basic (RFC 7617 2): the user has no colon, and neither has control characters.
fn basic(username: &str, password: &str) -> Result<HeaderValue, SetupError> {
    if username.is_empty() || username.contains(|character: char| character == ':' || character.is_control())
    {
        return Err(SetupError::Username);
    }
    if password.is_empty() || password.contains(char::is_control) {
        return Err(SetupError::Password);
    }
    let text = format!("Basic {}", STANDARD.encode(format!("{username}:{password}")));
    let mut value = HeaderValue::from_str(&text).expect("base64 is ASCII");
    // Keeps it out of Debug texts and of HTTP/2's header compression.
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(username: &str, password: &str, want: Result<&str, &str>) {
        let got = basic(username, password);
        let shown = got.as_ref().map(|value| value.to_str().unwrap()).map_err(|error| format!("{error:?}"));
        assert_eq!(shown.as_ref().copied().map_err(String::as_str), want, "{username} {password}");
    }

    #[test]
    fn basic_credentials_are_checked_and_hidden() {
        check("u", "p:q", Ok("Basic dTpwOnE="));
        check("jö", "pä", Ok("Basic asO2OnDDpA=="));
        check("", "p", Err("Username"));
        check("a:b", "p", Err("Username"));
        check("u", "", Err("Password"));
        check("u", "p\n", Err("Password"));
        assert_eq!(format!("{:?}", basic("u", "p").unwrap()), "Sensitive");
    }
}
