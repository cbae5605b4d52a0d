//! What is masked, and what stays.

mod spellings;

use super::*;
use crate::auth::OAuth2;
use crate::auth::tests::login;
use crate::network::Proxy;
use crate::settings::tests::{destination, with_password};
use reqwest::header::HeaderValue;

const ID: &str = "6f2d8c1e-0b7a-4c55-9d3e-2a1f0e9b8c7d";

fn by_key() -> Secrets {
    let url =
        format!("https://acme.xmatters.com/api/integration/1/functions/{ID}/triggers?a=b&apiKey=k%2Fé%22y");
    Secrets::of(&destination(&url))
}

fn by_user() -> Secrets {
    let url = format!(
        "https://acme.xmatters.com/api/integration/1/functions/{ID}/triggers?recipients=payments-primary-team"
    );
    Secrets::of(&with_password(&url, "svc", "p\"<w&d"))
}

#[track_caller]
fn check(secrets: &Secrets, text: &str, want: &str) {
    assert_eq!(secrets.mask(text), want, "{text}");
}

#[test]
fn a_url_is_masked_as_a_whole_and_in_its_parts() {
    let url =
        format!("https://acme.xmatters.com/api/integration/1/functions/{ID}/triggers?a=b&apiKey=k%2Fé%22y");
    check(&by_key(), &format!("no <{url}>!"), "no <***>!");
    check(&by_key(), &format!("no {}!", url.replace('&', "&amp;")), "no ***!");
    check(&by_key(), &format!("function {ID} unknown"), "function *** unknown");
    check(&by_key(), "keys k/é\"y k%2Fé%22y k%2F%C3%A9%22y, {\"k/é\\\"y\"}.", "keys *** *** ***, {\"***\"}.");
}

#[test]
fn credentials_are_masked_in_all_forms() {
    check(&by_user(), "p\"<w&d p\\\"<w&d p&quot;&lt;w&amp;d p%22%3Cw%26d.", "*** *** *** ***.");
    let sent = STANDARD.encode("svc:p\"<w&d");
    check(&by_user(), &format!("Authorization: Basic {sent}\n"), "Authorization: Basic ***\n");
}

#[test]
fn credentials_of_tokens_and_proxies_are_masked() {
    let proxy = Proxy {
        url: "http://proxy:3128".parse().unwrap(),
        login: Some(login("pu", "proxy&pw")),
        bypass_hosts: Vec::new(),
    };
    let check_grant = |grant: Grant, text: &str, want: &str| {
        let token_url = Some(format!("https://a.example/oauth/{ID}").parse().unwrap());
        let auth = Auth::OAuth2(OAuth2 { token_url, client_id: "client".parse().unwrap(), grant });
        let mut settings = DestinationSettings::new("https://a.example/x".parse().unwrap(), auth);
        settings.network.proxy = Some(proxy.clone());
        let secrets = Secrets::of(&settings).and(["t0ken/="]);
        let sent = STANDARD.encode("pu:proxy&pw");
        check(&secrets, &format!("proxy&amp;pw {ID} {sent} t0ken/= t0ken%2F%3D."), "*** *** *** *** ***.");
        check(&secrets, text, want);
    };
    let password = Grant::Password(login("u", "p@ssw0rd"));
    check_grant(password, "client=client&password=p%40ssw0rd!", "client=client&password=***!");
    check_grant(Grant::Refresh("r3fresh".parse().unwrap()), "no r3fresh.", "no ***.");
}

#[test]
fn credentials_of_the_environments_proxy_are_masked() {
    let authorization = Some(HeaderValue::from_static("Basic dTplbnYtcGFzcw=="));
    let via = Via { url: "http://proxy:3128".parse().unwrap(), authorization };
    let secrets = Secrets::default().and_headers([&via]);
    check(&secrets, "dTplbnYtcGFzcw== env-pass.", "*** ***.");
}

#[test]
fn what_everybody_may_know_stays() {
    check(
        &by_user(),
        "api triggers functions recipients=payments-primary-team svc",
        "api triggers functions recipients=payments-primary-team svc",
    );
    check(&Secrets::default(), "nothing is secret here", "nothing is secret here");
}

#[test]
fn the_beginning_of_a_secret_at_the_end_is_masked() {
    check(&by_user(), &format!("function {}", &ID[..10]), "function ***");
    check(&by_user(), "password p\"<w", "password ***");
    check(&by_user(), "password p\"<", "password p\"<");
}

#[test]
fn nothing_shows_in_debug() {
    let shown = format!("{:?} {:?}", by_user(), by_key());
    assert!(shown.starts_with("Secrets("), "{shown}");
    assert!(!shown.contains(ID) && !shown.contains("p\""), "{shown}");
}
