//! Certificates of an authority that nobody else knows, made for one test.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};

/// How many characters a line of PEM has (RFC 7468 2).
const LINE_CHARS: usize = 64;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What lacks to so many days, so that after none it has ended already.
const MINUTE: Duration = Duration::from_secs(60);

/// A certificate authority of one's own.
#[derive(Debug)]
pub struct Authority {
    certificate: Vec<u8>,
    /// What has to be sent with a certificate of its own, so that it leads to an authority that is known.
    sent: Vec<Vec<u8>>,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key, as a server or a caller shows it.
#[derive(Debug, Clone)]
pub struct Identity {
    certificate: Vec<u8>,
    /// The certificates that are sent behind it.
    sent: Vec<Vec<u8>>,
    key: Vec<u8>,
}

/// A certificate could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a certificate")]
pub struct CertificateError(#[from] rcgen::Error);

impl Authority {
    /// Makes an authority.
    ///
    /// # Errors
    /// [`CertificateError`]: no key could be made.
    pub fn new() -> Result<Self, CertificateError> {
        let key = KeyPair::generate()?;
        // Two of one name would be taken for each other, and told apart only by their signatures.
        let params = authority(&format!("private authority {:016x}", rand::random::<u64>()));
        let certificate = params.self_signed(&key)?.der().to_vec();
        Ok(Self { certificate, sent: Vec::new(), issuer: Issuer::new(params, key) })
    }

    /// An authority below this one, valid from a day ago and for so many days from now on. What it signs is sent with its
    /// own certificate.
    ///
    /// # Errors
    /// [`CertificateError`]: no key could be made.
    pub fn intermediate(&self, common: &str, days: u32) -> Result<Self, CertificateError> {
        let key = KeyPair::generate()?;
        let params = valid(authority(common), days);
        let certificate = params.signed_by(&key, &self.issuer)?.der().to_vec();
        let sent = std::iter::once(&certificate).chain(&self.sent).cloned().collect();
        Ok(Self { certificate, sent, issuer: Issuer::new(params, key) })
    }

    /// The authority's own certificate in PEM: what a caller has to trust.
    #[must_use]
    pub fn pem(&self) -> String {
        pem("CERTIFICATE", &self.certificate)
    }

    pub(crate) fn der(&self) -> &[u8] {
        &self.certificate
    }

    /// A server's certificate for these host names and IP addresses.
    ///
    /// # Errors
    /// [`CertificateError`]: a name is no ASCII, or no key could be made.
    pub fn server(&self, hosts: &[&str]) -> Result<Identity, CertificateError> {
        self.sign(server(hosts)?, KeyPair::generate()?)
    }

    /// A server's certificate whose time ran out in 2020.
    ///
    /// # Errors
    /// [`CertificateError`]: a name is no ASCII, or no key could be made.
    pub fn expired_server(&self, hosts: &[&str]) -> Result<Identity, CertificateError> {
        let mut params = server(hosts)?;
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
        self.sign(params, KeyPair::generate()?)
    }

    /// A server's certificate that was valid from a day ago and is for so many days from now on.
    ///
    /// # Errors
    /// [`CertificateError`]: a name is no ASCII, or no key could be made.
    pub fn server_until(&self, hosts: &[&str], days: u32) -> Result<Identity, CertificateError> {
        self.sign(valid(server(hosts)?, days), KeyPair::generate()?)
    }

    /// A caller's certificate.
    ///
    /// # Errors
    /// [`CertificateError`]: no key could be made.
    pub fn client(&self, caller: &str) -> Result<Identity, CertificateError> {
        self.client_with_key(caller, KeyPair::generate()?)
    }

    /// A caller's certificate for a key of any kind.
    ///
    /// # Errors
    /// [`CertificateError`]: the key could not be used.
    pub fn client_with_key(&self, caller: &str, key: KeyPair) -> Result<Identity, CertificateError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = name(caller);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params, key)
    }

    fn sign(&self, params: CertificateParams, key: KeyPair) -> Result<Identity, CertificateError> {
        let certificate = params.signed_by(&key, &self.issuer)?.der().to_vec();
        Ok(Identity { certificate, sent: self.sent.clone(), key: key.serialize_der() })
    }
}

impl Identity {
    /// One made elsewhere: a certificate and its key, in DER.
    #[must_use]
    pub fn new(certificate: Vec<u8>, key: Vec<u8>) -> Self {
        Self { certificate, sent: Vec::new(), key }
    }

    /// The same without the certificates that belong behind it, as a server is set up that lacks them.
    #[must_use]
    pub fn alone(&self) -> Self {
        Self { sent: Vec::new(), ..self.clone() }
    }

    /// What is sent, in DER: the certificate, and those that lead to an authority that is known.
    pub(crate) fn chain(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(&self.certificate).chain(&self.sent).map(Vec::as_slice)
    }

    /// The certificate, then the key, in PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.certificate_pem() + &self.key_pem()
    }

    /// The certificate in PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> String {
        pem("CERTIFICATE", &self.certificate)
    }

    /// The key in PEM, as PKCS#8.
    #[must_use]
    pub fn key_pem(&self) -> String {
        pem("PRIVATE KEY", &self.key)
    }

    /// The certificate in DER.
    #[must_use]
    pub fn certificate_der(&self) -> &[u8] {
        &self.certificate
    }

    /// The key in DER, as PKCS#8.
    #[must_use]
    pub fn key_der(&self) -> &[u8] {
        &self.key
    }
}

/// A section of PEM.
#[must_use]
pub fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines = text.as_bytes().chunks(LINE_CHARS).map(|line| String::from_utf8_lossy(line) + "\n");
    format!("-----BEGIN {label}-----\n{}-----END {label}-----\n", lines.collect::<String>())
}

fn server(hosts: &[&str]) -> Result<CertificateParams, CertificateError> {
    let mut params = CertificateParams::new(hosts.iter().map(|&host| host.to_owned()).collect::<Vec<_>>())?;
    params.distinguished_name = name("a server");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

fn authority(common: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = name(common);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

#[expect(
    clippy::disallowed_methods,
    reason = "a certificate's days are counted by the clock that its readers have"
)]
fn valid(mut params: CertificateParams, days: u32) -> CertificateParams {
    let now = SystemTime::now();
    params.not_before = (now - DAY).into();
    params.not_after = (now + DAY * days - MINUTE).into();
    params
}

fn name(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}
