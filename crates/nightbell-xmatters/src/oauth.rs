//! Tokens: asked for once, kept while they are good, and asked for anew when they are not.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nightbell_core::outcome::Outcome;
use nightbell_core::ports::Clock;
use reqwest::header::{HeaderValue, RETRY_AFTER};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::Instant;
use url::form_urlencoded::Serializer;

use crate::auth::{Grant, OAuth2};
use crate::classify::{Answer, classify};
use crate::fault::unavailable;
use crate::lenient;
use crate::network::RESPONSE_BYTES_MAX;
use crate::route::{Route, start_of_body};
use crate::secrets::Secrets;

/// The longest token that is taken, in bytes; servers take headers of 8 KiB.
const TOKEN_BYTES_MAX: usize = 4 * 1024;

/// How long a token is used whose answer does not say how long it is good.
const USUAL_LIFE: Duration = Duration::from_secs(300);

/// How long a token is used at most, whatever its answer says.
const LIFE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How long before its end a token is used no more, so that it does not end on its way; of a short life a tenth.
const MARGIN_MAX: Duration = Duration::from_secs(30);

/// What is said of a failure at the token endpoint, before what it was.
const AT_ENDPOINT: &str = "token endpoint: ";

/// A token to send.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    serial: u64,
    /// The value of `Authorization`.
    pub(crate) header: HeaderValue,
    /// The destination's secrets and this token's.
    pub(crate) secrets: Secrets,
}

/// The keeper of one destination's token. However many attempts want one, at most one request for it is under way, and
/// all who waited for it share what it came to: a password that is wrong is tried once and not once by each, because
/// xMatters locks a user out after repeated bad logins.
pub(crate) struct Tokens<C> {
    route: Route,
    settings: OAuth2,
    secrets: Secrets,
    clock: C,
    /// How many requests have come to their end.
    rounds: AtomicU64,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    kept: Option<(Token, Instant)>,
    /// The refresh token that the endpoint gave in place of the configured one.
    refresh: Option<SecretString>,
    /// What the last request came to.
    last: Option<Result<Token, Outcome>>,
}

impl<C: Clock> Tokens<C> {
    pub(crate) fn new(route: Route, settings: OAuth2, secrets: Secrets, clock: C) -> Arc<Self> {
        let (rounds, state) = (AtomicU64::new(0), Arc::default());
        Arc::new(Self { route, settings, secrets, clock, rounds, state })
    }

    /// The token, or why there is none. Cancel-safe.
    pub(crate) async fn get(self: &Arc<Self>) -> Result<Token, Outcome> {
        let before = self.rounds.load(Ordering::SeqCst);
        let state = Arc::clone(&self.state).lock_owned().await;
        if self.rounds.load(Ordering::SeqCst) != before
            && let Some(last) = &state.last
        {
            return last.clone();
        }
        match &state.kept {
            Some((token, until)) if Instant::now() < *until => return Ok(token.clone()),
            Some(_) | None => {}
        }
        // On a task of its own: an attempt that runs out of time must not lose a refresh token that was exchanged.
        let renewed = tokio::spawn(Arc::clone(self).renew(state)).await;
        renewed.unwrap_or_else(|_| Err(unavailable(format!("{AT_ENDPOINT}request broke off"))))
    }

    /// Forgets a token that was not taken, unless there is another one already.
    pub(crate) async fn forget(&self, token: &Token) {
        let mut state = self.state.lock().await;
        if state.kept.as_ref().is_some_and(|(kept, _)| kept.serial == token.serial) {
            (state.kept, state.last) = (None, None);
        }
    }

    async fn renew(self: Arc<Self>, mut state: OwnedMutexGuard<State>) -> Result<Token, Outcome> {
        let form = form(&self.settings, state.refresh.as_ref());
        let result = self.ask(form).await.map(|given| {
            let now = Instant::now();
            let header = given.header;
            let refresh = given.refresh.as_ref().map(|token| token.expose_secret());
            let secrets = self.secrets.and([given.access.expose_secret()].into_iter().chain(refresh));
            let token = Token { serial: self.rounds.load(Ordering::SeqCst), header, secrets };
            if given.refresh.is_some() {
                state.refresh = given.refresh;
            }
            state.kept = Some((token.clone(), now + given.life));
            token
        });
        state.last = Some(result.clone());
        self.rounds.fetch_add(1, Ordering::SeqCst);
        result
    }

    async fn ask(&self, form: String) -> Result<Given, Outcome> {
        let sent = self.route.send(self.route.end(), |request| request.body(form)).await;
        let mut response = sent.map_err(at_endpoint)?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER).cloned();
        let body = start_of_body(&mut response, RESPONSE_BYTES_MAX).await;
        if status == 200 {
            return read(&body).ok_or_else(|| unavailable(format!("{AT_ENDPOINT}the answer has no token")));
        }
        let retry_after = retry_after.as_ref().and_then(|value| value.to_str().ok());
        // The bodies of other answers could repeat what we sent, the refresh token of this moment among it.
        Err(at_endpoint(classify(Answer { status, retry_after, body: b"" }, &self.secrets, self.clock.now())))
    }
}

impl<C> fmt::Debug for Tokens<C> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Tokens").finish_non_exhaustive()
    }
}

/// What a failure at the token endpoint means for an alert, of which nothing was sent: it is never at fault, and it was
/// never taken.
fn at_endpoint(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Unavailable { detail, retry_after } => {
            Outcome::Unavailable { detail: format!("{AT_ENDPOINT}{detail}"), retry_after }
        }
        Outcome::TimedOut => unavailable(format!("{AT_ENDPOINT}no answer within the time-out")),
        Outcome::Accepted { .. } => unavailable(format!("{AT_ENDPOINT}the answer has no token")),
        // 400 `invalid_grant` (RFC 6749 5.2), and whatever else comes of a wrong URL or wrong credentials.
        Outcome::Refused { status, .. } | Outcome::Unauthorized { status } => {
            Outcome::Unauthorized { status }
        }
        Outcome::Throttled { retry_after } => Outcome::Throttled { retry_after },
    }
}

fn form(settings: &OAuth2, refreshed: Option<&SecretString>) -> String {
    let mut form = Serializer::new(String::new());
    match &settings.grant {
        Grant::Password(login) => {
            form.append_pair("grant_type", "password");
            form.append_pair("username", login.username.as_str());
            form.append_pair("password", login.password.expose());
        }
        Grant::Refresh(token) => {
            form.append_pair("grant_type", "refresh_token");
            let token = refreshed.map_or_else(|| token.expose(), |refreshed| refreshed.expose_secret());
            form.append_pair("refresh_token", token);
        }
    }
    form.append_pair("client_id", settings.client_id.as_str());
    form.finish()
}

/// What the endpoint gave.
struct Given {
    header: HeaderValue,
    access: SecretString,
    refresh: Option<SecretString>,
    /// How long the token is to be used.
    life: Duration,
}

/// Reads an answer (RFC 6749 5.1), with the liberties that servers take; none: it has no bearer token that a header can
/// carry.
fn read(body: &[u8]) -> Option<Given> {
    let answer = lenient::object(body)?;
    let text = |name: &str| lenient::get(&answer, name).and_then(lenient::text);
    let fits = |token: &String| {
        (1..=TOKEN_BYTES_MAX).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic())
    };
    // Only a text is a token: a number has perhaps lost digits on its way.
    let token = |name: &str| text(name).filter(|_| lenient::get(&answer, name).is_some_and(Value::is_string));
    let access = token("accesstoken").filter(fits)?;
    // Some say `BearerToken`.
    let is_bearer = |word: String| word.to_ascii_lowercase().starts_with("bearer");
    if !text("tokentype").is_none_or(is_bearer) {
        return None;
    }
    let mut header = HeaderValue::from_str(&format!("Bearer {access}")).ok()?;
    header.set_sensitive(true);
    let seconds = lenient::get(&answer, "expiresin").and_then(lenient::number);
    let refresh = token("refreshtoken").filter(fits).map(SecretString::from);
    Some(Given { header, access: access.into(), refresh, life: life(seconds) })
}

/// How long a token is to be used.
fn life(seconds: Option<f64>) -> Duration {
    let whole = seconds.map_or(USUAL_LIFE, |seconds| {
        Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(LIFE_MAX).min(LIFE_MAX)
    });
    whole - MARGIN_MAX.min(whole / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, want: Option<u64>) {
        assert_eq!(read(body.as_bytes()).map(|given| given.life.as_secs()), want, "{body}");
    }

    #[test]
    fn a_token_is_used_until_shortly_before_its_end() {
        check(r#"{"access_token":"t","token_type":"Bearer","expires_in":3600}"#, Some(3_570));
        check(r#"{"access_token":"t","expires_in":10}"#, Some(9));
        check(r#"{"access_token":"t","expires_in":0}"#, Some(0));
        check(r#"{"access_token":"t","expires_in":-5}"#, Some(0));
        check(r#"{"access_token":"t","expires_in":1e300}"#, Some(24 * 60 * 60 - 30));
        check(r#"{"access_token":"t"}"#, Some(270));
    }

    #[test]
    fn expires_in_is_read_however_it_is_written() {
        for (written, want) in [
            (r#""3600""#, 3_570),
            (r#"" 3600 ""#, 3_570),
            (r#""3600.5""#, 3_570),
            ("3600.9", 3_570),
            ("3.6e3", 3_570),
            ("[3600]", 3_570),
            ("null", 270),
            ("{}", 270),
            ("true", 270),
            (r#""soon""#, 270),
            (r#""NaN""#, 270),
            (r#""-1""#, 0),
            ("-0.5", 0),
            ("99999999999999999999999999", 24 * 60 * 60 - 30),
            (r#""1e400""#, 24 * 60 * 60 - 30),
        ] {
            check(&format!(r#"{{"access_token":"t","expires_in":{written}}}"#), Some(want));
        }
    }

    #[test]
    fn a_token_is_found_in_other_spellings() {
        check(r#"{"access_token":"t","token_type":"BEARER"}"#, Some(270));
        check(r#"{"access_token":"t","token_type":"BearerToken"}"#, Some(270));
        check(r#"{"access_token":"t","token_type":null,"refresh_token":7}"#, Some(270));
        check(r#"{"accessToken":" t\n","expiresIn":"10"}"#, Some(9));
        check("\u{feff}[{\"access_token\":\"t\"}]", Some(270));
    }

    #[test]
    fn what_is_no_token_is_not_taken() {
        for bad in ["", "<html>", "{}", r#"{"access_token":""}"#, r#"{"access_token":"a b"}"#] {
            check(bad, None);
        }
        check(r#"{"access_token":"t\r\nX: y"}"#, None);
        check(r#"{"access_token":"t","token_type":"mac"}"#, None);
        check(&format!(r#"{{"access_token":"{}"}}"#, "t".repeat(TOKEN_BYTES_MAX + 1)), None);
    }

    #[test]
    fn what_is_sent_is_a_form() {
        let oauth2 = |grant| OAuth2 { token_url: None, client_id: "c&d".parse().unwrap(), grant };
        let password = Grant::Password(crate::auth::tests::login("u", "p=q"));
        assert_eq!(
            form(&oauth2(password), None),
            "grant_type=password&username=u&password=p%3Dq&client_id=c%26d"
        );
        let refresh = oauth2(Grant::Refresh("old".parse().unwrap()));
        assert_eq!(form(&refresh, None), "grant_type=refresh_token&refresh_token=old&client_id=c%26d");
        let newer = "new".into();
        assert!(form(&refresh, Some(&newer)).contains("refresh_token=new&"));
    }
}
