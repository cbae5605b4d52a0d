//! Tokens.

use std::time::Duration;

use fake_xmatters::{
    Answer, Authority, FakeProxy, FakeXmatters, ProxyCounts, ProxySettings, Settings, Tls, TokenCounts,
};
use nightbell_core::outcome::Outcome;
use nightbell_core::ports::{Alert, Sender as _};
use nightbell_xmatters::{Auth, DestinationSettings, Grant, Network, OAuth2, Proxy, SetupError, Xmatters};

use crate::common::{
    FUNCTION, FixedClock, PASSWORD, SHORT, SOON, USER, alert, authorities, destination, login, sender, sent,
    unavailable,
};

const CLIENT: &str = "client-7f3a";
const REFRESH: &str = "r3fresh-t0ken-of-the-configuration";

fn endpoint() -> fake_xmatters::OAuth2 {
    fake_xmatters::OAuth2 {
        client_id: CLIENT.into(),
        username: USER.into(),
        password: PASSWORD.into(),
        refresh_token: REFRESH.into(),
        expires_in_s: 3_600,
        rotates: true,
    }
}

async fn start(endpoint: fake_xmatters::OAuth2, tls: Option<Tls>) -> FakeXmatters {
    let auth = fake_xmatters::Auth::OAuth2(endpoint);
    FakeXmatters::start(Settings { auth, functions: vec![FUNCTION.into()], tls, ..Settings::default() })
        .await
        .unwrap()
}

async fn fake() -> FakeXmatters {
    start(endpoint(), None).await
}

fn by(fake: &FakeXmatters, grant: Grant) -> DestinationSettings {
    let auth = Auth::OAuth2(OAuth2 { token_url: None, client_id: CLIENT.parse().unwrap(), grant });
    DestinationSettings { auth, ..destination(fake.trigger_url()) }
}

fn password() -> Grant {
    Grant::Password(login(USER, PASSWORD))
}

fn refresh() -> Grant {
    Grant::Refresh(REFRESH.parse().unwrap())
}

#[track_caller]
fn check_accepted(outcome: &Outcome) {
    assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
}

fn by_password(requests: u64) -> TokenCounts {
    TokenCounts { requests, by_password: requests, ..TokenCounts::default() }
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_kept() {
    let fake = fake().await;
    let sender = sender(by(&fake, password()));
    for _ in 0..3 {
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().ok();
        check_accepted(&sender.send(Alert { trace, ..alert() }).await);
        assert!(fake.requests().last().is_some_and(|request| request.traceparent.is_some()));
    }
    assert_eq!(fake.token_counts(), by_password(1));
    assert_eq!(fake.summary().accepted, 3);
}

#[tokio::test]
async fn concurrent_attempts_share_one_request_for_a_token() {
    let fake = fake().await;
    let sender = sender(by(&fake, password()));
    let mut attempts = tokio::task::JoinSet::new();
    for _ in 0..20 {
        attempts.spawn(sender.send(alert()));
    }
    attempts.join_all().await.iter().for_each(check_accepted);
    assert_eq!(fake.token_counts(), by_password(1));
    // And one for a new token, when all find the old one revoked.
    fake.revoke_tokens();
    let mut attempts = tokio::task::JoinSet::new();
    for _ in 0..20 {
        attempts.spawn(sender.send(alert()));
    }
    attempts.join_all().await.iter().for_each(check_accepted);
    assert_eq!(fake.token_counts(), by_password(2));
    assert_eq!(fake.summary().accepted, 40);
}

#[tokio::test]
async fn concurrent_attempts_share_a_refusal() {
    let fake = fake().await;
    // Late, so that all of them are waiting for it.
    let body = r#"{"error":"invalid_grant"}"#;
    fake.script_tokens([Answer::status(400).text(body).after(Duration::from_millis(500))]);
    let sender = sender(by(&fake, password()));
    let mut attempts = tokio::task::JoinSet::new();
    for _ in 0..20 {
        attempts.spawn(sender.send(alert()));
    }
    for outcome in attempts.join_all().await {
        assert_eq!(outcome, Outcome::Unauthorized { status: 400 });
    }
    assert_eq!((fake.token_counts().requests, fake.summary().requests), (1, 0));
}

#[tokio::test]
async fn a_token_that_has_expired_is_replaced_before_it_is_sent() {
    let fake = start(fake_xmatters::OAuth2 { expires_in_s: 0, ..endpoint() }, None).await;
    let sender = sender(by(&fake, password()));
    for _ in 0..2 {
        check_accepted(&sender.send(alert()).await);
    }
    assert_eq!(fake.token_counts(), by_password(2));
    assert_eq!(fake.summary().requests, 2);
}

#[tokio::test]
async fn a_token_that_was_revoked_is_replaced_within_the_attempt() {
    let fake = fake().await;
    let sender = sender(by(&fake, password()));
    check_accepted(&sender.send(alert()).await);
    fake.revoke_tokens();
    check_accepted(&sender.send(alert()).await);
    assert_eq!(fake.token_counts(), by_password(2));
    let statuses: Vec<_> = fake.requests().iter().map(|request| request.status).collect();
    assert_eq!(statuses, [202, 401, 202]);
}

#[tokio::test]
async fn a_new_token_that_is_not_taken_either_ends_the_attempt() {
    let fake = fake().await;
    fake.script([Answer::status(401), Answer::status(401)]);
    assert_eq!(sent(by(&fake, password())).await, Outcome::Unauthorized { status: 401 });
    assert_eq!((fake.token_counts().requests, fake.summary().requests), (2, 2));
}

#[tokio::test]
async fn an_answer_other_than_401_brings_no_new_token() {
    let fake = fake().await;
    fake.script([Answer::status(403)]);
    assert_eq!(sent(by(&fake, password())).await, Outcome::Unauthorized { status: 403 });
    assert_eq!((fake.token_counts().requests, fake.summary().requests), (1, 1));
}

#[tokio::test]
async fn refresh_tokens_that_rotate_are_kept() {
    let fake = start(fake_xmatters::OAuth2 { expires_in_s: 0, ..endpoint() }, None).await;
    let sender = sender(by(&fake, refresh()));
    for _ in 0..3 {
        check_accepted(&sender.send(alert()).await);
    }
    let counts = fake.token_counts();
    assert_eq!(counts, TokenCounts { requests: 3, by_refresh: 3, ..TokenCounts::default() });
    fake.revoke_refresh_token();
    assert_eq!(sender.send(alert()).await, Outcome::Unauthorized { status: 401 });
}

#[tokio::test]
async fn a_refresh_token_that_was_exchanged_for_an_attempt_that_is_gone_is_kept() {
    let next = "the-next-refresh-token";
    let fake = start(fake_xmatters::OAuth2 { refresh_token: next.into(), ..endpoint() }, None).await;
    let given = format!(r#"{{"access_token":"unknown","refresh_token":"{next}"}}"#);
    fake.script_tokens([Answer::status(200).text(given).after(SHORT)]);
    let sender = sender(by(&fake, refresh()));
    let attempt = tokio::spawn(sender.send(alert()));
    while fake.token_counts().requests == 0 {
        tokio::task::yield_now().await;
    }
    attempt.abort();
    assert!(attempt.await.unwrap_err().is_cancelled());
    // The token that came is not taken, and the refresh token that came with it gives another.
    check_accepted(&sender.send(alert()).await);
    let counts = TokenCounts { requests: 2, by_refresh: 1, ..TokenCounts::default() };
    assert_eq!(fake.token_counts(), counts);
}

#[tokio::test]
async fn wrong_credentials_are_unauthorized_and_nothing_is_posted() {
    let fake = fake().await;
    for grant in [
        Grant::Password(login(USER, "wr0ng")),
        Grant::Password(login("nobody", PASSWORD)),
        Grant::Refresh("wr0ng".parse().unwrap()),
    ] {
        assert_eq!(sent(by(&fake, grant)).await, Outcome::Unauthorized { status: 401 });
    }
    assert_eq!((fake.token_counts().refused, fake.summary().requests), (3, 0));
}

/// Sends once, while the token endpoint answers this.
async fn with_endpoint(answer: Answer) -> Outcome {
    let fake = fake().await;
    fake.script_tokens([answer]);
    let outcome = sent(by(&fake, password())).await;
    assert_eq!((fake.token_counts().requests, fake.summary().requests), (1, 0));
    outcome
}

#[tokio::test]
async fn what_the_token_endpoint_says_decides() {
    for status in [400, 401, 403, 404, 302, 418] {
        let outcome = with_endpoint(Answer::status(status)).await;
        assert_eq!(outcome, Outcome::Unauthorized { status });
        assert!(outcome.detail().starts_with(&format!("HTTP {status}")), "{}", outcome.detail());
    }
    for status in [500, 503, 408] {
        let outcome = with_endpoint(Answer::status(status).retry_after("7")).await;
        let detail = format!("token endpoint: HTTP {status}");
        assert_eq!(outcome, Outcome::Unavailable { detail, retry_after: Some(Duration::from_secs(7)) });
    }
    let throttled = with_endpoint(Answer::status(429).retry_after("9")).await;
    assert_eq!(throttled, Outcome::Throttled { retry_after: Some(Duration::from_secs(9)) });
}

#[tokio::test]
async fn an_answer_without_a_token_is_unavailable() {
    let bodies = ["", "<html>", r#"{"access_token":7}"#, r#"{"access_token":"a\r\nb"}"#];
    for answer in bodies.map(|body| Answer::status(200).text(body)) {
        assert_eq!(with_endpoint(answer).await, unavailable("token endpoint: the answer has no token"));
    }
    let half =
        Answer::status(200).text(r#"{"access_token":"t0ken"}"#).sent(fake_xmatters::Kind::HalfThenClose);
    assert_eq!(with_endpoint(half).await, unavailable("token endpoint: the answer has no token"));
    let closed = unavailable("token endpoint: connection closed before the whole answer");
    assert_eq!(with_endpoint(Answer::close()).await, closed);
}

#[tokio::test]
async fn a_token_endpoint_that_is_slow_is_unavailable_since_nothing_was_posted() {
    let fake = fake().await;
    fake.script_tokens([Answer::hang()]);
    let settings = DestinationSettings { timeout: SHORT, ..by(&fake, password()) };
    let sender = sender(settings);
    let slow = unavailable("token endpoint: no answer within the time-out");
    assert_eq!(sender.send(alert()).await, slow);
    assert_eq!(fake.summary().requests, 0);
}

#[tokio::test]
async fn a_post_that_is_slow_is_timed_out_as_ever() {
    let fake = fake().await;
    fake.script([Answer::hang()]);
    let settings = DestinationSettings { timeout: SHORT * 4, ..by(&fake, password()) };
    assert_eq!(sent(settings).await, Outcome::TimedOut);
}

#[tokio::test]
async fn the_time_out_is_for_the_whole_attempt() {
    let fake = fake().await;
    let sender = sender(DestinationSettings { timeout: SHORT * 10, ..by(&fake, password()) });
    fake.script([Answer::status(401).after(SHORT * 4), Answer::accepted().after(SOON)]);
    let start = tokio::time::Instant::now();
    assert_eq!(sender.send(alert()).await, Outcome::TimedOut);
    assert!((SHORT * 10..SHORT * 14).contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[tokio::test]
async fn an_answer_that_repeats_the_token_is_masked() {
    let fake = fake().await;
    let sender = sender(by(&fake, refresh()));
    check_accepted(&sender.send(alert()).await);
    let token = fake.latest_token().unwrap();
    let text = format!("no {token}, {token}: {REFRESH} and {}", &token[..20]);
    fake.script([Answer::status(400).text(text)]);
    let body = "no ***, ***: *** and ***".into();
    assert_eq!(sender.send(alert()).await, Outcome::Refused { status: 400, body });
    let shown = format!("{sender:?} {:?}", by(&fake, refresh()));
    assert!(!shown.contains(&token) && !shown.contains(REFRESH), "{shown}");
}

#[tokio::test]
async fn the_token_endpoint_is_reached_as_the_trigger_is() {
    let authority = Authority::new().unwrap();
    let tls = Tls::new(&authority.server(&["acme.xmatters.com"]).unwrap()).unwrap();
    let fake = start(endpoint(), Some(tls)).await;
    let hosts = [("acme.xmatters.com".to_owned(), fake.addr())].into();
    let proxy = FakeProxy::start(ProxySettings { hosts, ..ProxySettings::default() }).await.unwrap();
    let way = Proxy { url: proxy.url().parse().unwrap(), login: None, bypass_hosts: Vec::new() };
    let extra_ca = Some(authorities(authority.pem()));
    let allowed_hosts = Some(vec!["acme.xmatters.com".parse().unwrap()]);
    let network = Network { extra_ca, allowed_hosts, proxy: Some(way), ..Network::default() };
    let settings = by(&fake, password());
    let trigger_url = fake.trigger_url_at("acme.xmatters.com").parse().unwrap();
    let settings = DestinationSettings { trigger_url, network, ..settings };
    check_accepted(&sent(settings.clone()).await);
    assert_eq!(proxy.counts(), ProxyCounts { tunnels: 2, ..ProxyCounts::default() });
    let network = Network { extra_ca: None, ..settings.network.clone() };
    let outcome = sent(DestinationSettings { network, ..settings.clone() }).await;
    let want = "token endpoint: through the proxy: certificate not trusted: its issuer is not known";
    assert_eq!(outcome, unavailable(want));
    let auth = Auth::OAuth2(OAuth2 {
        token_url: Some("https://sso.example/t0ken-s3cret".parse().unwrap()),
        client_id: CLIENT.parse().unwrap(),
        grant: password(),
    });
    let error = Xmatters::new(DestinationSettings { auth, ..settings }, FixedClock).unwrap_err();
    assert!(
        matches!(&error, SetupError::TokenUrl(bad) if bad.to_string().contains("`allowed_hosts`")),
        "{error:?}"
    );
}
