//! Proxies, and hosts that may be sent to.

use std::collections::HashMap;
use std::fmt::Debug;
use std::str::FromStr;

use fake_xmatters::{Authority, FakeProxy, FakeXmatters, ProxyCounts, ProxySettings, Settings, Tls};
use nightbell_core::outcome::Outcome;
use nightbell_xmatters::{
    BypassRule, DestinationSettings, Host, Misfit, Network, Password, Proxy, ProxyUrl, Username, Xmatters,
};

use crate::common::{
    FUNCTION, FixedClock, PASSWORD, SHORT, USER, authorities, destination, fake, identity, login, sent,
    unavailable,
};

const HOST: &str = "acme.xmatters.com";
const PROXY_USER: &str = "proxy-user";
const PROXY_PASSWORD: &str = "pr0xy-p4ssword";

/// A stand-in behind a proxy, reached by name.
struct Site {
    fake: FakeXmatters,
    proxy: FakeProxy,
    authority: Authority,
}

impl Site {
    async fn start(credentials: bool, secure_proxy: bool) -> Self {
        let authority = Authority::new().unwrap();
        let tls = Some(Tls::new(&authority.server(&[HOST, "127.0.0.1"]).unwrap()).unwrap());
        let auth = fake_xmatters::Auth::Basic { user: USER.into(), password: PASSWORD.into() };
        let functions = vec![FUNCTION.into()];
        let fake = FakeXmatters::start(Settings { auth, functions, tls: tls.clone(), ..Settings::default() });
        let fake = fake.await.unwrap();
        let settings = ProxySettings {
            credentials: credentials.then(|| (PROXY_USER.into(), PROXY_PASSWORD.into())),
            tls: tls.filter(|_| secure_proxy),
            hosts: HashMap::from([(HOST.into(), fake.addr())]),
            ..ProxySettings::default()
        };
        Self { fake, proxy: FakeProxy::start(settings).await.unwrap(), authority }
    }

    async fn sent(&self, proxy: Proxy) -> Outcome {
        self.sent_to(HOST, proxy).await
    }

    async fn sent_to(&self, host: &str, proxy: Proxy) -> Outcome {
        let extra_ca = Some(authorities(self.authority.pem()));
        let network = Network { extra_ca, proxy: Some(proxy), ..Network::default() };
        sent(DestinationSettings { network, ..destination(self.fake.trigger_url_at(host)) }).await
    }
}

fn bare(url: String) -> Proxy {
    Proxy { url: url.parse().unwrap(), login: None, bypass_hosts: Vec::new() }
}

fn with_password(url: String, password: &str) -> Proxy {
    Proxy { login: Some(login(PROXY_USER, password)), ..bare(url) }
}

#[track_caller]
fn check_accepted(outcome: &Outcome) {
    assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
}

const PROXY_REFUSES: Outcome = Outcome::Unauthorized { status: 407 };

#[tokio::test]
async fn a_tunnel_leads_through_the_proxy() {
    for secure_proxy in [false, true] {
        let site = Site::start(false, secure_proxy).await;
        check_accepted(&site.sent(bare(site.proxy.url())).await);
        assert_eq!(site.proxy.counts(), ProxyCounts { tunnels: 1, ..ProxyCounts::default() });
        assert_eq!(site.fake.summary().accepted, 1);
    }
}

#[tokio::test]
async fn the_proxys_credentials_are_sent_to_it() {
    for secure_proxy in [false, true] {
        let site = Site::start(true, secure_proxy).await;
        check_accepted(&site.sent(with_password(site.proxy.url(), PROXY_PASSWORD)).await);
        assert_eq!(site.proxy.counts().refused, 0);
    }
}

#[tokio::test]
async fn a_proxy_that_does_not_take_our_credentials_says_so() {
    let site = Site::start(true, false).await;
    for proxy in [bare(site.proxy.url()), with_password(site.proxy.url(), "wr0ng-p4ssword")] {
        let outcome = site.sent(proxy).await;
        assert_eq!(outcome, PROXY_REFUSES);
        assert_eq!(outcome.detail(), "HTTP 407: the proxy does not take our credentials");
    }
    assert_eq!(site.proxy.counts(), ProxyCounts { refused: 2, ..ProxyCounts::default() });
    assert_eq!(site.fake.summary().requests, 0);
}

#[tokio::test]
async fn a_proxy_that_is_down_is_unavailable() {
    let mut site = Site::start(false, false).await;
    let url = site.proxy.url();
    let spare = FakeProxy::start(ProxySettings::default()).await.unwrap();
    std::mem::replace(&mut site.proxy, spare).stop().await;
    assert_eq!(site.sent(bare(url)).await, unavailable("through the proxy: connection refused"));
}

#[tokio::test]
async fn a_proxy_that_opens_no_tunnel_is_unavailable_and_its_status_is_told() {
    for secure_proxy in [false, true] {
        let site = Site::start(false, secure_proxy).await;
        for status in [403, 503] {
            site.proxy.answer_with(Some(status));
            let want = format!("through the proxy: it opened no tunnel; it answered {status}");
            assert_eq!(site.sent(bare(site.proxy.url())).await, unavailable(&want));
        }
    }
}

#[tokio::test]
async fn certificates_are_checked_through_a_tunnel_and_of_the_proxy_itself() {
    for secure_proxy in [false, true] {
        let site = Site::start(false, secure_proxy).await;
        let network = Network { proxy: Some(bare(site.proxy.url())), ..Network::default() };
        let settings = destination(site.fake.trigger_url_at(HOST));
        let outcome = sent(DestinationSettings { network, ..settings }).await;
        let want = "through the proxy: certificate not trusted: its issuer is not known";
        assert_eq!(outcome, unavailable(want));
        assert_eq!(site.proxy.counts().tunnels, u64::from(!secure_proxy));
    }
}

#[tokio::test]
async fn a_proxy_that_says_nothing_is_unavailable_since_nothing_was_sent() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let network = Network { proxy: Some(bare(url)), ..Network::default() };
    let settings = destination("https://acme.xmatters.com/triggers");
    let outcome = sent(DestinationSettings { network, connect_timeout: SHORT, ..settings }).await;
    assert_eq!(outcome, unavailable("through the proxy: connecting took too long"));
}

#[test]
fn no_debug_text_shows_a_secret() {
    let client = Authority::new().unwrap().client("nightbell").unwrap();
    let client_certificate = Some(identity(&client.pem()));
    let key = client.key_pem();
    let key = key.lines().nth(1).unwrap();
    let proxy = Some(with_password("http://proxy:3128".into(), PROXY_PASSWORD));
    let network = Network { proxy, client_certificate, ..Network::default() };
    let shown = format!("{:?}", DestinationSettings { network, ..destination("https://acme.xmatters.com/") });
    assert!(shown.contains("client.pem") && shown.contains(PROXY_USER), "{shown}");
    assert!(!shown.contains(key) && !shown.contains(PROXY_PASSWORD) && !shown.contains("acme"), "{shown}");
}

#[tokio::test]
async fn a_bypassed_host_is_reached_without_the_proxy() {
    let site = Site::start(false, false).await;
    let host = site.fake.addr().to_string();
    for entry in ["127.0.0.1", "127.0.0.0/8"] {
        let bypass_hosts = vec!["other.example".parse().unwrap(), entry.parse().unwrap()];
        check_accepted(&site.sent_to(&host, Proxy { bypass_hosts, ..bare(site.proxy.url()) }).await);
    }
    assert_eq!(site.proxy.counts(), ProxyCounts::default());
    let bypass_hosts = vec!["127.0.0.2".parse().unwrap()];
    check_accepted(&site.sent_to(&host, Proxy { bypass_hosts, ..bare(site.proxy.url()) }).await);
    assert_eq!(site.proxy.counts().tunnels, 1);
}

#[tokio::test]
async fn a_plain_request_is_passed_on_by_the_proxy() {
    let fake = fake().await;
    let credentials = Some((PROXY_USER.into(), PROXY_PASSWORD.into()));
    let proxy = FakeProxy::start(ProxySettings { credentials, ..ProxySettings::default() }).await.unwrap();
    let through = |one| {
        let network = Network { proxy: Some(one), ..Network::default() };
        sent(DestinationSettings { network, ..destination(fake.trigger_url()) })
    };
    check_accepted(&through(with_password(proxy.url(), PROXY_PASSWORD)).await);
    assert_eq!(through(bare(proxy.url())).await, PROXY_REFUSES);
    assert_eq!(proxy.counts(), ProxyCounts { forwards: 1, refused: 1, ..ProxyCounts::default() });
    assert_eq!(fake.summary().requests, 1);
    let url = proxy.url();
    proxy.stop().await;
    assert_eq!(through(bare(url)).await, unavailable("through the proxy: connection refused"));
}

#[tokio::test]
async fn the_environments_proxy_is_used_only_when_it_is_asked_for() {
    const TRIGGER: &str = "NIGHTBELL_TEST_TRIGGER";
    const NAME: &str = "proxies::the_environments_proxy_is_used_only_when_it_is_asked_for";

    // The environment of a process can't be changed safely while it runs, so this test starts itself with another one.
    if let Ok(url) = std::env::var(TRIGGER) {
        for environment_proxies in [false, true] {
            let network = Network { environment_proxies, ..Network::default() };
            check_accepted(&sent(DestinationSettings { network, ..destination(url.as_str()) }).await);
        }
        return;
    }
    let fake = fake().await;
    let credentials = Some((PROXY_USER.into(), PROXY_PASSWORD.into()));
    let proxy = FakeProxy::start(ProxySettings { credentials, ..ProxySettings::default() }).await.unwrap();
    let proxy_url = format!("http://{PROXY_USER}:{PROXY_PASSWORD}@{}", proxy.addr());
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap());
    child.args([NAME, "--exact"]).env("HTTP_PROXY", proxy_url).env_remove("NO_PROXY").env_remove("no_proxy");
    let output = child.env(TRIGGER, fake.trigger_url()).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(fake.summary().requests, 2);
    assert_eq!(proxy.counts(), ProxyCounts { forwards: 1, ..ProxyCounts::default() });
}

#[track_caller]
fn check_refused(network: Network, words: &str) {
    let settings = DestinationSettings { network, ..destination("https://acme.xmatters.com/api/x") };
    let error = Xmatters::new(settings, FixedClock).unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(error.to_string().contains(words), "{shown}");
    assert!(!shown.contains("acme") && !shown.contains(PROXY_PASSWORD), "{shown}");
}

#[test]
fn a_proxy_that_can_not_be_used_is_no_proxy() {
    #[track_caller]
    fn check<T: FromStr<Err = Misfit> + Debug>(text: &str, words: &str) {
        let said = text.parse::<T>().unwrap_err().to_string();
        assert!(said.contains(words) && !said.contains(PROXY_PASSWORD), "{said}");
    }
    for (url, words) in [
        ("", "is no URL"),
        ("proxy", "is no URL"),
        ("socks5://proxy:1", "begins neither with http://"),
        ("http://u:pr0xy-p4ssword@proxy", "has a user or a password; write them as"),
        ("http://proxy/path", "has more than a host and a port"),
    ] {
        check::<ProxyUrl>(url, words);
    }
    check::<Username>("a:b", "has a colon");
    check::<Password>("pr0xy-p4ssword\n", "has a line end");
    check::<BypassRule>("http://a", "is neither a host");
}

#[test]
fn a_host_that_is_not_allowed_is_refused_at_start() {
    let check = |hosts: &[&str]| {
        let hosts = hosts.iter().map(|host| host.parse().unwrap()).collect();
        let words = "leads to a host that `allowed_hosts` does not have";
        check_refused(Network { allowed_hosts: Some(hosts), ..Network::default() }, words);
    };
    check(&[]);
    check(&["xmatters.com", "na.acme.xmatters.com"]);
    assert!("*.xmatters.com".parse::<Host>().is_err());
}

#[tokio::test]
async fn an_allowed_host_is_sent_to() {
    let fake = fake().await;
    let network = Network { allowed_hosts: Some(vec!["127.0.0.1".parse().unwrap()]), ..Network::default() };
    check_accepted(&sent(DestinationSettings { network, ..destination(fake.trigger_url()) }).await);
}

#[tokio::test]
async fn an_answer_is_read_no_further_than_the_settings_say() {
    let fake = fake().await;
    fake.script([fake_xmatters::Answer::status(400).text("0123456789")]);
    let network = Network { response_bytes_max: 4, ..Network::default() };
    let outcome = sent(DestinationSettings { network, ..destination(fake.trigger_url()) }).await;
    assert_eq!(outcome, Outcome::Refused { status: 400, body: "0123".into() });
}
