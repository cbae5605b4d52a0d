//! Certificates: the server's, and ours.

use fake_xmatters::{Authority, FakeXmatters, Identity, Settings, Tls, pem};
use nightbell_core::outcome::Outcome;
use nightbell_core::ports::Sender as _;
use nightbell_xmatters::{
    Authorities, ClientCertificate, ClientIdentity, DestinationSettings, Network, Pem, Verification,
};
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};

use crate::common::{
    FUNCTION, PASSWORD, USER, alert, authorities, destination, identity, sender, sent, unavailable,
};

const UNKNOWN: &str = "certificate not trusted: its issuer is not known";
const OTHER_NAME: &str = "certificate not trusted: it is made out to another name";
const EXPIRED: &str = "certificate not trusted: it has expired";

async fn server(tls: Tls) -> FakeXmatters {
    let auth = fake_xmatters::Auth::Basic { user: USER.into(), password: PASSWORD.into() };
    let settings = Settings { auth, functions: vec![FUNCTION.into()], tls: Some(tls), ..Settings::default() };
    FakeXmatters::start(settings).await.unwrap()
}

fn trusting(authority: &Authority) -> Network {
    Network { extra_ca: Some(authorities(authority.pem())), ..Network::default() }
}

fn with(fake: &FakeXmatters, network: Network) -> DestinationSettings {
    DestinationSettings { network, ..destination(fake.trigger_url()) }
}

#[track_caller]
fn check_accepted(outcome: &Outcome) {
    assert!(matches!(outcome, Outcome::Accepted { request_id: Some(_) }), "{outcome:?}");
}

/// Sends to a server with this certificate, under all three ways of checking it.
async fn check(identity: Identity, authority: &Authority, want: [Option<&str>; 3]) {
    let fake = server(Tls::new(&identity).unwrap()).await;
    for (verification, want) in Verification::ALL.into_iter().zip(want) {
        let outcome = sent(with(&fake, Network { verification, ..trusting(authority) })).await;
        match want {
            None => check_accepted(&outcome),
            Some(detail) => assert_eq!(outcome, unavailable(detail), "{verification}"),
        }
    }
    let accepted = want.iter().filter(|want| want.is_none()).count();
    assert_eq!(fake.summary().requests, accepted as u64);
}

#[tokio::test]
async fn a_certificate_of_an_extra_authority_is_trusted() {
    let authority = Authority::new().unwrap();
    check(authority.server(&["127.0.0.1"]).unwrap(), &authority, [None, None, None]).await;
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_not() {
    let other = Authority::new().unwrap().server(&["127.0.0.1"]).unwrap();
    check(other, &Authority::new().unwrap(), [Some(UNKNOWN), Some(UNKNOWN), None]).await;
}

#[tokio::test]
async fn an_expired_certificate_is_not() {
    let authority = Authority::new().unwrap();
    let expired = authority.expired_server(&["127.0.0.1"]).unwrap();
    check(expired, &authority, [Some(EXPIRED), Some(EXPIRED), None]).await;
}

#[tokio::test]
async fn a_certificate_for_another_name_is_trusted_only_where_names_are_not_checked() {
    let authority = Authority::new().unwrap();
    let other = authority.server(&["acme.xmatters.com"]).unwrap();
    check(other, &authority, [Some(OTHER_NAME), None, None]).await;
}

#[tokio::test]
async fn an_extra_authority_does_not_make_up_for_a_missing_one() {
    let authority = Authority::new().unwrap();
    let fake = server(Tls::new(&authority.server(&["127.0.0.1"]).unwrap()).unwrap()).await;
    assert_eq!(sent(with(&fake, Network::default())).await, unavailable(UNKNOWN));
}

#[tokio::test]
async fn whoever_has_not_the_certificates_key_is_never_trusted() {
    let authority = Authority::new().unwrap();
    let (certificate, key) =
        (authority.server(&["127.0.0.1"]).unwrap(), authority.server(&["127.0.0.1"]).unwrap());
    let fake = server(Tls::impostor(&certificate, &key).unwrap()).await;
    for verification in Verification::ALL {
        let outcome = sent(with(&fake, Network { verification, ..trusting(&authority) })).await;
        assert_eq!(outcome, unavailable("certificate not trusted: it is not valid"), "{verification}");
    }
    assert_eq!(fake.summary().requests, 0);
}

#[tokio::test]
async fn several_authorities_in_one_file_are_all_trusted() {
    let (one, other) = (Authority::new().unwrap(), Authority::new().unwrap());
    let both = Pem::new("ca.pem", one.pem()).and(&Pem::new("more.pem", other.pem()));
    let network = Network { extra_ca: Some(Authorities::of(both).unwrap()), ..Network::default() };
    for authority in [one, other] {
        let fake = server(Tls::new(&authority.server(&["127.0.0.1"]).unwrap()).unwrap()).await;
        check_accepted(&sent(with(&fake, network.clone())).await);
    }
}

#[tokio::test]
async fn plain_http_where_tls_is_spoken_is_unavailable() {
    let authority = Authority::new().unwrap();
    let fake = server(Tls::new(&authority.server(&["127.0.0.1"]).unwrap()).unwrap()).await;
    let url = fake.trigger_url().replace("https:", "http:");
    let outcome = sent(DestinationSettings { network: trusting(&authority), ..destination(url) }).await;
    assert!(matches!(outcome, Outcome::Unavailable { .. }), "{outcome:?}");
}

/// A server that asks for a certificate of this authority, and settings that trust the server.
async fn demanding(authority: &Authority) -> (FakeXmatters, Network) {
    let identity = authority.server(&["127.0.0.1"]).unwrap();
    (server(Tls::demanding(&identity, authority).unwrap()).await, trusting(authority))
}

async fn shown(fake: &FakeXmatters, network: Network, certificate: &Identity) -> Outcome {
    let client_certificate = Some(identity(&certificate.pem()));
    sent(with(fake, Network { client_certificate, ..network })).await
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_who_asks_for_it() {
    let authority = Authority::new().unwrap();
    let (fake, network) = demanding(&authority).await;
    let outcome = shown(&fake, network, &authority.client("nightbell").unwrap()).await;
    check_accepted(&outcome);
}

#[tokio::test]
async fn without_a_client_certificate_the_outcome_says_that_one_is_asked_for() {
    let (fake, network) = demanding(&Authority::new().unwrap()).await;
    let outcome = sent(with(&fake, network)).await;
    assert_eq!(outcome, unavailable("TLS failed: the server asks for a client certificate"));
    assert_eq!(fake.summary().requests, 0);
}

#[tokio::test]
async fn a_client_certificate_of_a_stranger_is_not_trusted() {
    let (fake, network) = demanding(&Authority::new().unwrap()).await;
    let outcome = shown(&fake, network, &Authority::new().unwrap().client("nightbell").unwrap()).await;
    let detail = outcome.detail();
    assert!(detail.starts_with("TLS failed: the server does not trust our client certificate"), "{detail}");
    assert_eq!(fake.summary().requests, 0);
}

#[tokio::test]
async fn a_servers_certificate_is_none_for_a_client() {
    let authority = Authority::new().unwrap();
    let (fake, network) = demanding(&authority).await;
    let outcome = shown(&fake, network, &authority.server(&["127.0.0.1"]).unwrap()).await;
    let detail = outcome.detail();
    assert!(detail.starts_with("TLS failed: the server does not"), "{detail}");
    assert_eq!(fake.summary().requests, 0);
}

/// The key inside of a PKCS#8 envelope (RFC 5208 5): the last octet string of the outer sequence's third member.
fn inner(pkcs8: &[u8]) -> &[u8] {
    let (_, content, _) = element(pkcs8);
    let (_, _, rest) = element(content);
    let (_, _, rest) = element(rest);
    element(rest).1
}

/// Tag, content and what follows.
fn element(der: &[u8]) -> (u8, &[u8], &[u8]) {
    let (len, start) = match der[1] {
        short @ 0..0x80 => (usize::from(short), 2),
        long => {
            let digits = usize::from(long & 0x7f);
            (der[2..2 + digits].iter().fold(0, |sum, &byte| sum << 8 | usize::from(byte)), 2 + digits)
        }
    };
    (der[0], &der[start..start + len], &der[start + len..])
}

#[tokio::test]
async fn keys_of_all_three_forms_are_read() {
    let authority = Authority::new().unwrap();
    let (fake, network) = demanding(&authority).await;
    let rsa = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let rsa = authority.client_with_key("nightbell", rsa).unwrap();
    let curve = authority.client("nightbell").unwrap();
    let keys = [
        (&rsa, rsa.key_pem()),
        (&rsa, pem("RSA PRIVATE KEY", inner(rsa.key_der()))),
        (&curve, curve.key_pem()),
        (&curve, pem("EC PRIVATE KEY", inner(curve.key_der()))),
    ];
    for (of, key) in keys {
        // The order in the file does not matter.
        let text = key.clone() + &of.certificate_pem();
        let client_certificate = Some(identity(&text));
        let outcome = sent(with(&fake, Network { client_certificate, ..network.clone() })).await;
        assert!(matches!(outcome, Outcome::Accepted { .. }), "{}: {outcome:?}", &key[..30]);
    }
}

#[test]
fn a_file_of_authorities_that_can_not_be_used_is_named() {
    let check = |text: &str, want: &str| {
        let said = Authorities::of(Pem::new("ca.pem", text)).unwrap_err().to_string();
        assert!(said.starts_with(want), "{said}");
    };
    check("", "holds no certificate; it must be PEM");
    check("<html>", "holds no certificate; it must be PEM");
    let good = Authority::new().unwrap().pem();
    check(&good[..good.len() / 2], "is broken: its certificate or key is not whole PEM");
    let nonsense = pem("CERTIFICATE", b"no certificate");
    check(&nonsense, "has a certificate that cannot be used to check others");
    let error = Pem::read("/nowhere/ca.pem".as_ref()).unwrap_err();
    assert_eq!(error.to_string(), "cannot read /nowhere/ca.pem");
}

#[test]
fn a_client_certificate_that_can_not_be_used_is_named() {
    let authority = Authority::new().unwrap();
    let (one, other) = (authority.client("one").unwrap(), authority.client("other").unwrap());
    let check = |text: String, want: &str| {
        let certificate = ClientCertificate { chain: Pem::new("client.pem", text), key: None };
        let said = ClientIdentity::of(certificate).unwrap_err().to_string();
        assert!(said.starts_with(want) && !said.contains("PRIVATE KEY-----\n"), "{said}");
    };
    check(String::new(), "holds no certificate");
    check(one.key_pem(), "holds no certificate");
    check(one.certificate_pem(), "holds no private key");
    let encrypted = pem("ENCRYPTED PRIVATE KEY", one.key_der());
    check(one.certificate_pem() + &encrypted, "holds an encrypted key; decrypt it");
    check(
        one.certificate_pem() + &other.key_pem(),
        "holds a private key that does not belong to the certificate",
    );
    check(
        one.certificate_pem() + &pem("PRIVATE KEY", b"nonsense"),
        "holds a certificate or a key that cannot be used",
    );
}

#[tokio::test]
async fn a_stranger_without_any_settings_is_not_trusted() {
    let authority = Authority::new().unwrap();
    let fake = server(Tls::new(&authority.server(&["localhost"]).unwrap()).unwrap()).await;
    let url = format!("https://localhost:{}/triggers", fake.addr().port());
    assert_eq!(sender(destination(url)).send(alert()).await, unavailable(UNKNOWN));
}
