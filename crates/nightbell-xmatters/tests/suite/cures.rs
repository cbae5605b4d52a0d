//! Each fault of TLS, and that its printed cure cures it, or that only the server's owner can.

use std::fs;
use std::process::Stdio;

use fake_xmatters::{Authority, FakeXmatters, Identity, Settings, Tls};
use nightbell_core::outcome::Outcome;
use nightbell_core::tls::TlsFault;
use nightbell_xmatters::{DestinationSettings, Network, Verification, certificate_end};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd,
};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::common::{FUNCTION, FixedClock, PASSWORD, USER, destination, sent, unavailable};

async fn server(tls: Option<Tls>) -> FakeXmatters {
    let auth = fake_xmatters::Auth::Basic { user: USER.into(), password: PASSWORD.into() };
    let settings = Settings { auth, functions: vec![FUNCTION.into()], tls, ..Settings::default() };
    FakeXmatters::start(settings).await.unwrap()
}

async fn showing(identity: &Identity) -> FakeXmatters {
    server(Some(Tls::new(identity).unwrap())).await
}

/// The settings of a user with these certificates in `ca_file`.
fn trusting(url: &str, authorities: &str, verification: Verification) -> DestinationSettings {
    let extra_ca = (!authorities.is_empty()).then(|| crate::common::authorities(authorities));
    DestinationSettings {
        network: Network { extra_ca, verification, ..Network::default() },
        ..destination(url)
    }
}

async fn check(url: &str, authorities: &str, verification: Verification, want: Option<TlsFault>) {
    let outcome = sent(trusting(url, authorities, verification)).await;
    match want {
        None => assert!(matches!(outcome, Outcome::Accepted { .. }), "{verification}: {outcome:?}"),
        Some(fault) => assert_eq!(outcome, unavailable(fault.words()), "{verification}"),
    }
}

/// Full, by its chain alone, and unchecked.
async fn check_all(url: &str, authorities: &str, want: [Option<TlsFault>; 3]) {
    for (verification, want) in Verification::ALL.into_iter().zip(want) {
        check(url, authorities, verification, want).await;
    }
}

#[track_caller]
fn only_the_owner_can(fault: TlsFault) {
    let cure = fault.cure();
    assert!(cure.contains("the server's owner must") && !cure.contains("put "), "{cure}");
}

fn params(hosts: &[&str]) -> CertificateParams {
    CertificateParams::new(hosts.iter().map(|&host| host.to_owned()).collect::<Vec<_>>()).unwrap()
}

fn self_signed(params: &CertificateParams) -> Identity {
    let key = KeyPair::generate().unwrap();
    Identity::new(params.self_signed(&key).unwrap().der().to_vec(), key.serialize_der())
}

#[tokio::test]
async fn an_unknown_authority_is_cured_by_ca_file() {
    let authority = Authority::new().unwrap();
    let fake = showing(&authority.server(&["127.0.0.1"]).unwrap()).await;
    let fault = Some(TlsFault::UnknownIssuer);
    check_all(&fake.trigger_url(), "", [fault, fault, None]).await;
    check(&fake.trigger_url(), &authority.pem(), Verification::Full, None).await;
}

#[tokio::test]
async fn a_missing_intermediate_certificate_is_cured_by_ca_file_and_by_the_owner() {
    let authority = Authority::new().unwrap();
    let between = authority.intermediate("between", 30).unwrap();
    let identity = between.server(&["127.0.0.1"]).unwrap();
    let fake = showing(&identity.alone()).await;
    let fault = Some(TlsFault::UnknownIssuer);
    check_all(&fake.trigger_url(), &authority.pem(), [fault, fault, None]).await;
    check(&fake.trigger_url(), &between.pem(), Verification::Full, None).await;
    check(&fake.trigger_url(), &(authority.pem() + &between.pem()), Verification::Full, None).await;
    let mended = showing(&identity).await;
    check(&mended.trigger_url(), &authority.pem(), Verification::Full, None).await;
}

#[tokio::test]
async fn a_servers_self_signed_certificate_is_cured_by_ca_file() {
    let mut params = params(&["127.0.0.1"]);
    for is_ca in [IsCa::NoCa, IsCa::ExplicitNoCa] {
        params.is_ca = is_ca;
        let identity = self_signed(&params);
        let fake = showing(&identity).await;
        let fault = Some(TlsFault::SelfSigned);
        check_all(&fake.trigger_url(), "", [fault, fault, None]).await;
        check(&fake.trigger_url(), &identity.certificate_pem(), Verification::Full, None).await;
    }
}

#[tokio::test]
async fn an_authoritys_own_certificate_on_a_server_is_not_cured_by_ca_file() {
    let mut params = params(&["127.0.0.1"]);
    // As `openssl req -x509` makes it.
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let identity = self_signed(&params);
    let fake = showing(&identity).await;
    let fault = Some(TlsFault::AuthoritysOwn);
    check_all(&fake.trigger_url(), "", [fault, fault, None]).await;
    check_all(&fake.trigger_url(), &identity.certificate_pem(), [fault, fault, None]).await;
    only_the_owner_can(TlsFault::AuthoritysOwn);
}

#[tokio::test]
async fn an_expired_certificate_is_cured_by_its_owner_only() {
    let authority = Authority::new().unwrap();
    let fault = Some(TlsFault::Expired);
    let fake = showing(&authority.expired_server(&["127.0.0.1"]).unwrap()).await;
    check_all(&fake.trigger_url(), &authority.pem(), [fault, fault, None]).await;
    // Also the one in between.
    let between = authority.intermediate("between", 0).unwrap();
    let fake = showing(&between.server(&["127.0.0.1"]).unwrap()).await;
    check_all(&fake.trigger_url(), &authority.pem(), [fault, fault, None]).await;
    only_the_owner_can(TlsFault::Expired);
}

#[tokio::test]
async fn a_certificate_that_is_not_valid_yet_is_not_cured_by_ca_file() {
    let mut params = params(&["127.0.0.1"]);
    params.not_before = date_time_ymd(2190, 1, 1);
    let identity = self_signed(&params);
    let fake = showing(&identity).await;
    let fault = Some(TlsFault::NotYetValid);
    check_all(&fake.trigger_url(), &identity.certificate_pem(), [fault, fault, None]).await;
}

#[tokio::test]
async fn another_name_is_cured_by_the_url_or_by_asking_for_no_name() {
    let authority = Authority::new().unwrap();
    let fake = showing(&authority.server(&["localhost"]).unwrap()).await;
    let fault = Some(TlsFault::OtherName);
    check_all(&fake.trigger_url(), &authority.pem(), [fault, None, None]).await;
    let url = fake.trigger_url().replace("127.0.0.1", "localhost");
    check(&url, &authority.pem(), Verification::Full, None).await;
    // A common name is no name for a server.
    let mut params = params(&[]);
    params.distinguished_name.push(DnType::CommonName, "127.0.0.1");
    let identity = self_signed(&params);
    let fake = showing(&identity).await;
    check_all(&fake.trigger_url(), &identity.certificate_pem(), [fault, None, None]).await;
}

#[tokio::test]
async fn a_certificate_for_clients_is_cured_by_the_owner_only() {
    let mut params = params(&["127.0.0.1"]);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let identity = self_signed(&params);
    let fake = showing(&identity).await;
    let fault = Some(TlsFault::OtherUse);
    check_all(&fake.trigger_url(), &identity.certificate_pem(), [fault, fault, None]).await;
    only_the_owner_can(TlsFault::OtherUse);
}

#[tokio::test]
async fn plain_http_on_a_port_for_tls_is_cured_by_the_url() {
    let fake = server(None).await;
    let url = fake.trigger_url().replace("http:", "https:");
    check_all(&url, "", [Some(TlsFault::NoTls); 3]).await;
    check(&fake.trigger_url(), "", Verification::Full, None).await;
}

/// `openssl s_server` on a port of its own, in a folder with what it made.
struct OpenSsl {
    _program: Child,
    url: String,
    authority: String,
}

/// Lets OpenSSL make an authority and a server's certificate, and serve it.
async fn openssl(name: &str, sign: &[&str], serve: &[&str]) -> OpenSsl {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("openssl-{name}"));
    fs::create_dir_all(&folder).unwrap();
    let run = async |arguments: &[&str]| {
        let made = Command::new("openssl").args(arguments).current_dir(&folder).output().await;
        let made = made.expect("openssl is installed (Debian package openssl)");
        assert!(made.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&made.stderr));
    };
    let key = ["-newkey", "rsa:2048", "-nodes", "-batch"];
    let ca = ["req", "-x509", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=an authority"];
    run(&[&ca[..], &key].concat()).await;
    let request = ["req", "-keyout", "key.pem", "-out", "request.pem", "-subj", "/CN=127.0.0.1"];
    run(&[&request[..], &key].concat()).await;
    fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    let signed =
        ["x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-out", "cert.pem"];
    run(&[&signed[..], &["-CAcreateserial"], sign].concat()).await;

    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let accept = format!("127.0.0.1:{port}");
    let mut program = Command::new("openssl")
        .args(["s_server", "-accept", &accept, "-cert", "cert.pem", "-key", "key.pem"])
        .args(["-cipher", "ALL:@SECLEVEL=0"])
        .args(serve)
        .current_dir(&folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .stdin(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut said = BufReader::new(program.stdout.take().unwrap()).lines();
    while said.next_line().await.unwrap().expect("it serves") != "ACCEPT" {}
    // What it says later must not fill the pipe.
    tokio::spawn(async move { while let Ok(Some(_)) = said.next_line().await {} });
    let url = format!("https://127.0.0.1:{port}/api/integration/1/functions/f/triggers");
    OpenSsl { _program: program, url, authority: fs::read_to_string(folder.join("ca.pem")).unwrap() }
}

#[tokio::test]
async fn a_certificate_of_version_1_is_cured_by_the_owner_only() {
    let old = openssl("v1", &[], &[]).await;
    check_all(&old.url, &old.authority, [Some(TlsFault::OldVersion); 3]).await;
    only_the_owner_can(TlsFault::OldVersion);
}

#[tokio::test]
async fn a_signature_by_sha1_is_cured_by_the_owner_only() {
    let old = openssl("sha1", &["-sha1", "-extfile", "names"], &[]).await;
    let fault = Some(TlsFault::OldSignature);
    check(&old.url, &old.authority, Verification::Full, fault).await;
    check(&old.url, &old.authority, Verification::Certificate, fault).await;
    only_the_owner_can(TlsFault::OldSignature);
}

#[tokio::test]
async fn tls_1_1_is_cured_by_the_owner_only() {
    let old = openssl("tls11", &["-extfile", "names"], &["-tls1_1"]).await;
    check_all(&old.url, &old.authority, [Some(TlsFault::OldTls); 3]).await;
    only_the_owner_can(TlsFault::OldTls);
}

#[tokio::test]
async fn the_certificate_that_ends_first_is_found_in_the_whole_chain() {
    let authority = Authority::new().unwrap();
    let end = async |between_days: u32, own_days: u32, ca: &str| {
        let between = authority.intermediate("Issuing Authority 7", between_days).unwrap();
        let identity = between.server_until(&["127.0.0.1"], own_days).unwrap();
        let fake = showing(&identity).await;
        let settings = trusting(&fake.trigger_url(), ca, Verification::Full);
        let shown = certificate_end(&settings, &FixedClock).await.unwrap().unwrap();
        assert!(fake.requests().is_empty());
        (shown.subject, shown.is_own)
    };
    let known = authority.pem();
    assert_eq!(end(3, 30, &known).await, ("Issuing Authority 7".to_owned(), false));
    assert_eq!(end(30, 3, &known).await, ("a server".to_owned(), true));
    // Also when the handshake fails: because it has ended, or because nobody knows the authority.
    assert_eq!(end(0, 30, &known).await, ("Issuing Authority 7".to_owned(), false));
    assert_eq!(end(3, 30, "").await, ("Issuing Authority 7".to_owned(), false));
}
