//! TLS: whom we trust, and what we show.

use std::iter;
use std::sync::{Arc, Mutex, PoisonError};

use nightbell_core::tls::TlsFault;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::SingleCertAndKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};
use x509_parser::prelude::{FromDer as _, X509Certificate, X509Version};

use crate::error::SetupError;
use crate::fault::{self, Distrusted};
use crate::network::{Network, Verification};

/// The protocols offered, the best first (RFC 7301).
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// What a client needs for TLS. The system's certificates, of which a small container may have none, are read only where
/// TLS is `needed` at all. What servers show is noted in `sight`.
pub(crate) fn config(network: &Network, needed: bool, sight: &Sight) -> Result<ClientConfig, SetupError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Verifier {
        verification: network.verification,
        roots: roots(network, needed)?,
        algorithms: provider.signature_verification_algorithms,
        sight: sight.clone(),
    };
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().expect("the provider has all versions");
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match &network.client_certificate {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let resolver = SingleCertAndKey::from(Arc::clone(&identity.key));
            builder.with_client_cert_resolver(Arc::new(resolver))
        }
    };
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(config)
}

fn roots(network: &Network, needed: bool) -> Result<RootCertStore, SetupError> {
    let own = network.extra_ca.as_ref().map(|authorities| RootCertStore::clone(&authorities.roots));
    let mut roots = own.unwrap_or_else(RootCertStore::empty);
    if needed && network.verification != Verification::None {
        // One that can't be read is left out, as any program on the system would.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(SetupError::NoAuthorities);
        }
    }
    Ok(roots)
}

/// The certificates that a server showed last, its own first. The clones share them; without [`Sight::open`], nothing is
/// noted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sight(Option<Arc<Mutex<Vec<CertificateDer<'static>>>>>);

impl Sight {
    /// One that keeps what it is shown until that is taken.
    pub(crate) fn open() -> Self {
        Self(Some(Arc::default()))
    }

    /// What was noted since the last time.
    pub(crate) fn take(&self) -> Vec<CertificateDer<'static>> {
        let Self(Some(shown)) = self else { return Vec::new() };
        std::mem::take(&mut *shown.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, own: &CertificateDer<'_>, others: &[CertificateDer<'_>]) {
        if let Self(Some(shown)) = self {
            let all = iter::once(own).chain(others).map(|one| one.clone().into_owned());
            *shown.lock().unwrap_or_else(PoisonError::into_inner) = all.collect();
        }
    }
}

/// Checks as much as the settings ask for; the handshake's signatures in any case. What is wrong with a certificate is
/// said as a [`TlsFault`].
#[derive(Debug)]
struct Verifier {
    verification: Verification,
    /// Whom the certificate's chain has to lead to.
    roots: RootCertStore,
    algorithms: WebPkiSupportedAlgorithms,
    sight: Sight,
}

impl Verifier {
    fn check(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let is_name_asked = match self.verification {
            Verification::Full => true,
            Verification::Certificate => false,
            Verification::None => return Ok(()),
        };
        let certificate = ParsedCertificate::try_from(certificate)?;
        let algorithms = self.algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&certificate, &self.roots, intermediates, now, algorithms)?;
        if is_name_asked { verify_server_name(&certificate, name) } else { Ok(()) }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.sight.note(end_entity, intermediates);
        let checked = self.check(end_entity, intermediates, server_name, now);
        checked.map_err(|error| diagnosed(error, end_entity))?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let checked = verify_tls12_signature(message, certificate, signed, &self.algorithms);
        checked.map_err(|error| diagnosed(error, certificate))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let checked = verify_tls13_signature(message, certificate, signed, &self.algorithms);
        checked.map_err(|error| diagnosed(error, certificate))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The error with what its certificate itself tells of the fault.
fn diagnosed(error: Error, certificate: &CertificateDer<'_>) -> Error {
    let Error::InvalidCertificate(reason) = &error else { return error };
    let read = X509Certificate::from_der(certificate).ok().map(|(_, read)| read);
    let fault = match (fault::certificate(reason), read) {
        (_, Some(read)) if read.version() != X509Version::V3 => TlsFault::OldVersion,
        (TlsFault::Invalid | TlsFault::UnknownIssuer, Some(read)) if read.is_ca() => TlsFault::AuthoritysOwn,
        (TlsFault::UnknownIssuer, Some(read)) if read.issuer() == read.subject() => TlsFault::SelfSigned,
        (fault, _) => fault,
    };
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(Distrusted(fault)))))
}
