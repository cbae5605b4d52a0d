//! What stands between us and xMatters: certificates, proxies, names, tokens.

use fake_xmatters::{Auth, Authority, FakeProxy, FakeXmatters, OAuth2, ProxySettings, Settings, Tls};

use crate::support::{FUNCTION, PASSWORD, Site, check, fake, free_port};

#[test]
fn a_port_on_which_nothing_listens() {
    let site = Site::new(&format!("http://127.0.0.1:{}/x", free_port()), "");
    check(&site.test(), 69, &["connection refused", "nothing listens there"]);
}

#[test]
fn a_host_that_is_not_known() {
    let site = Site::new("https://nowhere.invalid/x", "");
    check(&site.test(), 69, &["this machine's DNS"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_authority_is_trusted_once_it_is_named() {
    let authority = Authority::new().unwrap();
    let fake = fake(Some(Tls::new(&authority.server(&["127.0.0.1"]).unwrap()).unwrap())).await;
    let site = Site::new(&fake.trigger_url(), "");
    check(&site.test(), 69, &["certificate not trusted: its issuer is not known", "`ca_file`"]);

    let site = Site::new(&fake.trigger_url(), "ca_file = \"ca.pem\"");
    site.write("ca.pem", &authority.pem());
    check(&site.test(), 0, &["accepted"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_demands_a_certificate_of_ours() {
    let authority = Authority::new().unwrap();
    let tls = Tls::demanding(&authority.server(&["127.0.0.1"]).unwrap(), &authority).unwrap();
    let fake = fake(Some(tls)).await;
    let client = authority.client("nightbell").unwrap();
    let write = |site: &Site| {
        site.write("ca.pem", &authority.pem());
        site.write("chain.pem", &client.certificate_pem());
        site.write("key.pem", &client.key_pem());
    };
    let site = Site::new(&fake.trigger_url(), "ca_file = \"ca.pem\"");
    write(&site);
    check(&site.test(), 69, &["`client_certificate`"]);

    let lines = "ca_file = \"ca.pem\"\nclient_certificate = \"chain.pem\"\nclient_key = \"key.pem\"";
    let site = Site::new(&fake.trigger_url(), lines);
    write(&site);
    check(&site.test(), 0, &["accepted"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_and_its_login() {
    let fake = fake(None).await;
    let credentials = Some(("proxy-user".to_owned(), "proxy-passw0rd".to_owned()));
    let proxy = FakeProxy::start(ProxySettings { credentials, ..ProxySettings::default() }).await.unwrap();
    let site = |login: &str| {
        Site::new(&fake.trigger_url(), &format!("proxy = {{ url = \"{}\"{login} }}", proxy.url()))
    };
    check(&site("").test(), 77, &["(HTTP 407)", "`proxy.username`"]);
    let ended = site(", username = \"proxy-user\", password = \"proxy-passw0rd\"").test();
    check(&ended, 0, &["accepted"]);
    assert!(!format!("{ended:?}").contains("passw0rd"), "{ended:?}");
    assert_eq!(proxy.counts().forwards, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_and_a_client_that_gets_none() {
    let oauth = OAuth2 {
        client_id: "client".into(),
        username: "svc".into(),
        password: PASSWORD.into(),
        refresh_token: "refresh".into(),
        expires_in_s: 600,
        rotates: false,
    };
    let settings =
        Settings { auth: Auth::OAuth2(oauth), functions: vec![FUNCTION.into()], ..Settings::default() };
    let fake = FakeXmatters::start(settings).await.unwrap();
    let with = |client: &str| {
        let lines = format!(
            "auth = \"oauth2\"\nclient_id = \"{client}\"\nusername = \"svc\"\npassword = \"{PASSWORD}\"\ntoken_url = \"{}\"",
            fake.token_url()
        );
        Site::new(&fake.trigger_url(), &lines).test()
    };
    check(&with("client"), 0, &["accepted"]);
    let ended = with("other");
    assert_eq!(ended.code, Some(77), "{ended:?}");
    assert_eq!(fake.summary().requests, 1);
}

#[test]
fn certificates_that_can_not_be_used_are_a_wrong_configuration() {
    let authority = Authority::new().unwrap();
    let [one, other] = ["one", "other"].map(|caller| authority.client(caller).unwrap());
    let check_said = |lines: &str, want: &str| {
        let site = Site::new("https://acme.xmatters.com/x", lines);
        site.write("broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        site.write("chain.pem", &one.certificate_pem());
        site.write("other-key.pem", &other.key_pem());
        let ended = site.test();
        assert_eq!(ended.code, Some(78), "{ended:?}");
        assert!(ended.stderr.contains("nightbell.toml:") && ended.stderr.contains(want), "{ended:?}");
    };
    check_said(
        "ca_file = \"broken.pem\"",
        "connectors[0].ca_file: the file `broken.pem` has a certificate that cannot be used",
    );
    check_said(
        "client_certificate = \"chain.pem\"\nclient_key = \"other-key.pem\"",
        "connectors[0].client_key: the file `other-key.pem` holds a private key that does not belong to the certificate",
    );
}
