//! The way to a destination: network and authentication.

use nightbell_xmatters::{Auth, ClientIdentity, Grant, OAuth2, Verification};

use super::{CONNECTOR, parse, sound};

#[test]
fn a_connectors_own_network_goes_before_the_common_one() {
    let network = r#"
[network]
timeout = "3s"
allowed_hosts = ["ACME.xmatters.com", "10.0.0.1"]
ca_file = "ca.pem"
client_certificate = "chain.pem"
client_key = "key.pem"
tls.verification = "certificate"
proxy = { url = "http://proxy:3128/", username = "u", password = "hunter2", bypass_hosts = ["10.0.0.1"] }
environment_proxies = true
response_bytes_max = 2048
"#;
    let common = sound(&format!("{network}{CONNECTOR}")).connectors.remove(0).destination;
    assert_eq!((common.timeout.as_secs(), common.connect_timeout.as_secs()), (3, 3));
    let common = common.network;
    let hosts: Vec<_> = common.allowed_hosts.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(hosts, ["acme.xmatters.com", "10.0.0.1"]);
    assert_eq!(common.extra_ca.as_ref().unwrap().file(), "ca.pem");
    let files = |identity: Option<ClientIdentity>| identity.unwrap().certificate().pem().file().to_owned();
    assert_eq!(files(common.client_certificate), "chain.pem and key.pem");
    assert_eq!((common.verification, common.response_bytes_max), (Verification::Certificate, 2_048));
    assert!(common.environment_proxies);
    let proxy = common.proxy.unwrap();
    let login = proxy.login.unwrap();
    assert_eq!((proxy.url.as_str(), login.username.as_str()), ("http://proxy:3128/", "u"));
    assert_eq!(login.password.expose(), "hunter2");
    assert_eq!(proxy.bypass_hosts, ["10.0.0.1".parse().unwrap()]);

    let own = "timeout = \"2s\"\nconnect_timeout = \"1s\"\nclient_certificate = \"client.pem\"\n\
               tls = { verification = \"none\" }\nenvironment_proxies = false\n\
               proxy = { url = \"https://other\" }";
    let own = sound(&format!("{network}{CONNECTOR}{own}")).connectors.remove(0).destination;
    assert_eq!((own.timeout.as_secs(), own.connect_timeout.as_secs()), (2, 1));
    let own = own.network;
    assert_eq!((own.verification, own.response_bytes_max), (Verification::None, 2_048));
    assert_eq!(files(own.client_certificate), "client.pem");
    let proxy = own.proxy.unwrap();
    assert!(proxy.login.is_none() && proxy.bypass_hosts.is_empty() && !own.environment_proxies);
    assert_eq!(proxy.url.as_str(), "https://other/");
}

#[test]
fn hosts_are_compared_as_names_and_addresses() {
    let at = |host: &str, allowed: &str| {
        parse(&format!("{}\nallowed_hosts = [\"{allowed}\"]", CONNECTOR.replace("acme.xmatters.com", host)))
            .is_ok()
    };
    assert!(at("ACME.xmatters.com", "acme.XMATTERS.com"));
    assert!(at("acme.xmatters.com.", "acme.xmatters.com"));
    assert!(at("acme.xmatters.com", "acme.xmatters.com."));
    assert!(at("[::1]:8443", "::1") && at("[0:0::1]", "[::1]"));
    assert!(at("10.0.0.1", "10.0.0.1"));
    assert!(!at("acme.xmatters.com.evil.example", "acme.xmatters.com"));
    assert!(!at("eu.acme.xmatters.com", "acme.xmatters.com"));
    assert!(!at("10.0.0.2", "10.0.0.1"));
}

#[test]
fn tokens_are_asked_for_with_a_login_or_with_a_token() {
    let with = |lines: &str| {
        let base = "[[connectors]]\nname = \"a\"\nrecipients = []\ntrigger_url = \"https://h/x\"\n";
        sound(&format!("{base}auth = \"oauth2\"\nclient_id = \"c\"\n{lines}"))
            .connectors
            .remove(0)
            .destination
            .auth
    };
    let login = with("username = \"u\"\npassword = \"p\"\ntoken_url = \"https://h/token\"");
    assert!(matches!(
        login,
        Auth::OAuth2(OAuth2 { grant: Grant::Password(login), token_url: Some(_), client_id })
            if login.username.as_str() == "u" && client_id.as_str() == "c"
    ));
    let token = with("refresh_token = \"r\"");
    assert!(matches!(
        token,
        Auth::OAuth2(OAuth2 { grant: Grant::Refresh(token), token_url: None, .. }) if token.expose() == "r"
    ));
}

#[test]
fn plain_http_stays_near() {
    let at = |url: &str, more: &str| {
        parse(
            &CONNECTOR
                .replace("https://acme.xmatters.com", url)
                .replace("recipients", &format!("{more}\nrecipients")),
        )
    };
    for near in
        ["http://localhost:80", "http://127.0.0.1", "http://10.1.2.3", "http://[::1]", "http://[fd00::1]"]
    {
        assert!(at(near, "").is_ok(), "{near}");
    }
    for far in
        ["http://acme.xmatters.com", "http://8.8.8.8", "http://[2001:db8::1]", "http://localhost.example.com"]
    {
        assert!(at(far, "").is_err(), "{far}");
        assert!(at(far, "allow_insecure = true").is_ok(), "{far}");
    }
}
