//! TLS: whom we trust, and what we show.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::network::{Network, Pem, Verification};
use crate::settings::SetupError;

/// The protocols offered, the best first (RFC 7301).
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// What a client needs for TLS. Files are read through in any case; the system's certificates, of which a small
/// container may have none, only where TLS is `needed` at all.
pub(crate) fn config(network: &Network, needed: bool) -> Result<ClientConfig, SetupError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let roots = roots(network, needed)?;
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().expect("the provider has all versions");
    let builder = match network.verification {
        Verification::Full => builder.with_root_certificates(roots),
        Verification::Certificate => {
            let verifier = Unchecked { roots: Some(roots), algorithms };
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
        Verification::None => {
            let verifier = Unchecked { roots: None, algorithms };
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
    };
    let mut config = match &network.client_certificate {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let (chain, key) = identity(pem)?;
            builder.with_client_auth_cert(chain, key).map_err(|source| bad_key(pem, source))?
        }
    };
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(config)
}

fn roots(network: &Network, needed: bool) -> Result<RootCertStore, SetupError> {
    let mut roots = RootCertStore::empty();
    if let Some(pem) = &network.extra_ca {
        for certificate in certificates(pem)? {
            let added = roots.add(certificate);
            added.map_err(|source| SetupError::BadAuthority { file: pem.file().into(), source })?;
        }
    }
    if needed && network.verification != Verification::None {
        // One that can't be read is left out, as any program on the system would.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(SetupError::NoAuthorities);
        }
    }
    Ok(roots)
}

fn certificates(pem: &Pem) -> Result<Vec<CertificateDer<'static>>, SetupError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.text()).collect();
    // Their reader's own words may have a line of the file in them.
    let all = read.map_err(|_| SetupError::BadPem { file: pem.file().into() })?;
    if all.is_empty() { Err(SetupError::NoCertificate { file: pem.file().into() }) } else { Ok(all) }
}

fn identity(pem: &Pem) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), SetupError> {
    let chain = certificates(pem)?;
    let key = PrivateKeyDer::from_pem_slice(pem.text()).map_err(|error| {
        let file = pem.file().into();
        if matches!(error, PemError::NoItemsFound) {
            SetupError::NoKey { file }
        } else {
            SetupError::BadPem { file }
        }
    })?;
    Ok((chain, key))
}

fn bad_key(pem: &Pem, source: Error) -> SetupError {
    let file = pem.file().into();
    if matches!(source, Error::InconsistentKeys(_)) {
        SetupError::KeyMismatch { file }
    } else {
        SetupError::BadClientCertificate { file, source }
    }
}

/// Checks less than should be checked, as the settings ask for. The handshake's signatures are checked all the same.
#[derive(Debug)]
struct Unchecked {
    /// Whom the certificate's chain has to lead to; none: not even that is checked.
    roots: Option<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(roots) = &self.roots {
            let certificate = ParsedCertificate::try_from(end_entity)?;
            let algorithms = self.algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&certificate, roots, intermediates, now, algorithms)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
