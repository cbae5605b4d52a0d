//! Tokens and proxies.

use fake_xmatters::{
    Answer, Auth, FakeProxy, FakeXmatters, OAuth2, ProxyCounts, ProxySettings, Settings, TOKEN_PATH,
    TokenCounts,
};

use crate::raw::{Raw, Seen, form, request, started, target};

async fn with_tokens() -> FakeXmatters {
    let auth = Auth::OAuth2(OAuth2 {
        client_id: "c".into(),
        username: "u".into(),
        password: "p q".into(),
        refresh_token: "r".into(),
        expires_in_s: 60,
        rotates: true,
    });
    FakeXmatters::start(Settings { auth, ..Settings::default() }).await.unwrap()
}

async fn asked(fake: &FakeXmatters, form: &str) -> Seen {
    let mut raw = Raw::connect(fake.addr()).await;
    raw.say(&request("POST", TOKEN_PATH, "", form)).await;
    raw.answer().await
}

async fn posted(fake: &FakeXmatters, token: &str) -> u16 {
    let mut raw = Raw::connect(fake.addr()).await;
    let headers = format!("Content-Type: application/json\r\nAuthorization: Bearer {token}\r\n");
    raw.say(&request("POST", &target("f"), &headers, &form("a"))).await;
    raw.answer().await.status
}

const BY_PASSWORD: &str = "grant_type=password&client_id=c&username=u&password=p+q";
const BY_REFRESH: &str = "grant_type=refresh_token&client_id=c&refresh_token=r";

#[tokio::test]
async fn a_token_lets_in_until_it_is_revoked() {
    let fake = with_tokens().await;
    assert_eq!(asked(&fake, BY_PASSWORD).await.status, 200);
    let token = fake.latest_token().unwrap();
    assert_eq!((posted(&fake, &token).await, posted(&fake, "other").await), (202, 401));
    fake.revoke_tokens();
    assert_eq!(posted(&fake, &token).await, 401);
    assert_eq!((fake.token_counts().by_password, fake.summary().requests), (1, 3));
}

#[tokio::test]
async fn a_refresh_token_that_rotates_is_good_once() {
    let fake = with_tokens().await;
    let first = asked(&fake, BY_REFRESH).await;
    assert!(first.body.contains(r#""refresh_token":"refresh-"#), "{first:?}");
    assert_eq!(asked(&fake, BY_REFRESH).await.status, 401);
    let counts = TokenCounts { requests: 2, by_refresh: 1, refused: 1, ..TokenCounts::default() };
    assert_eq!(fake.token_counts(), counts);
}

#[tokio::test]
async fn wrong_askers_get_no_token() {
    let fake = with_tokens().await;
    for form in ["", "grant_type=password&client_id=c&username=u&password=p", "client_id=c&password=p+q"] {
        let seen = asked(&fake, form).await;
        assert_eq!(seen.status, 401, "{form}");
    }
    let other_client = asked(&fake, &BY_REFRESH.replace("=c", "=d")).await;
    assert_eq!(other_client.body, r#"{"error":"invalid_client"}"#);
    fake.script_tokens([Answer::status(503)]);
    assert_eq!(asked(&fake, BY_PASSWORD).await.status, 503);
    assert_eq!(asked(&fake, BY_PASSWORD).await.status, 200);
    assert_eq!(fake.token_counts().refused, 4);
}

#[tokio::test]
async fn without_tokens_there_is_no_endpoint() {
    assert_eq!(asked(&started().await, BY_PASSWORD).await.status, 404);
}

#[tokio::test]
async fn a_proxy_opens_tunnels_to_the_names_that_it_knows() {
    let fake = started().await;
    let hosts = [("acme.example".to_owned(), fake.addr())].into();
    let credentials = Some(("u".to_owned(), "p".to_owned()));
    let settings = ProxySettings { hosts, credentials, ..ProxySettings::default() };
    let proxy = FakeProxy::start(settings).await.unwrap();

    let mut stranger = Raw::connect(proxy.addr()).await;
    stranger.say("CONNECT acme.example:443 HTTP/1.1\r\n\r\n").await;
    let refusal = stranger.answer().await;
    assert!(refusal.status == 407 && refusal.head.contains("Proxy-Authenticate: Basic"), "{refusal:?}");

    let mut raw = Raw::connect(proxy.addr()).await;
    raw.say("CONNECT acme.example:443 HTTP/1.1\r\nProxy-Authorization: Basic dTpw\r\n\r\n").await;
    assert_eq!(raw.answer().await.status, 200);
    raw.post(&target("f"), &form("a")).await;
    assert_eq!(raw.answer().await.status, 202);
    assert_eq!(proxy.counts(), ProxyCounts { tunnels: 1, refused: 1, ..ProxyCounts::default() });
}

#[tokio::test]
async fn a_proxy_says_when_a_host_can_not_be_reached_or_it_is_told_to_fail() {
    let fake = started().await;
    let gone = fake.addr();
    fake.stop().await;
    let proxy = FakeProxy::start(ProxySettings::default()).await.unwrap();
    let asked = async || {
        let mut raw = Raw::connect(proxy.addr()).await;
        raw.say(&request("POST", &format!("http://{gone}/"), "", "")).await;
        raw.answer().await.status
    };
    assert_eq!(asked().await, 502);
    proxy.answer_with(Some(403));
    assert_eq!(asked().await, 403);
    assert_eq!(proxy.stop().await, ProxyCounts { failed: 1, ..ProxyCounts::default() });
}
