//! TLS of the listener, and of the commands that ask it: these trust its certificate and no other.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, ServerConfig, SignatureScheme};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// A certificate, or a certificate and its key, can't be used. The text follows a file's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// It holds no certificate.
    #[error("holds no certificate; it must be PEM, with `-----BEGIN CERTIFICATE-----`")]
    NoCertificate,
    /// It holds no key.
    #[error(
        "holds no private key that can be read; it must be PEM, with `-----BEGIN PRIVATE KEY-----`, and not encrypted"
    )]
    NoKey,
    /// They are no pair.
    #[error("is not the key of the first certificate; name the two that were issued together")]
    Mismatch,
    /// The certificate can't be used by a server.
    #[error(
        "holds a certificate that can't be used ({0}); have it issued anew, as X.509 version 3 for a server"
    )]
    Unusable(String),
}

/// A certificate with its key, as the listener shows it.
#[derive(Clone)]
pub struct Tls {
    pub(crate) server: Arc<ServerConfig>,
    chain: Arc<[CertificateDer<'static>]>,
}

impl Tls {
    /// Reads both.
    ///
    /// # Errors
    /// [`TlsError`]; [`TlsError::NoKey`] and [`TlsError::Mismatch`] are about the key's file.
    pub fn new(certificate_pem: &[u8], key_pem: &[u8]) -> Result<Self, TlsError> {
        let chain = certificates(certificate_pem)?;
        let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(|_| TlsError::NoKey)?;
        let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let server =
            builder.and_then(|builder| builder.with_no_client_auth().with_single_cert(chain.clone(), key));
        let mut server = server.map_err(|error| {
            let is_mismatch = matches!(error, Error::InconsistentKeys(_));
            if is_mismatch { TlsError::Mismatch } else { TlsError::Unusable(error.to_string()) }
        })?;
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { server: Arc::new(server), chain: chain.into() })
    }

    /// The first end in the chain, in seconds since 1970.
    #[must_use]
    pub fn ends(&self) -> Option<i64> {
        self.parsed().map(|certificate| certificate.validity().not_after.timestamp()).min()
    }

    /// Who has issued the last certificate of the chain, if that is not itself, and whether each before it was issued by the
    /// one after it.
    #[must_use]
    pub fn chain(&self) -> Chain {
        let all: Vec<_> = self.parsed().collect();
        let is_whole = all.windows(2).all(|pair| pair[0].issuer() == pair[1].subject());
        let last = all.last().filter(|last| last.issuer() != last.subject());
        if !is_whole {
            Chain::Broken
        } else {
            last.filter(|_| all.len() == 1)
                .map_or(Chain::Whole, |last| Chain::Alone(last.issuer().to_string()))
        }
    }

    fn parsed(&self) -> impl Iterator<Item = X509Certificate<'_>> {
        self.chain.iter().filter_map(|der| X509Certificate::from_der(der).ok().map(|(_, parsed)| parsed))
    }
}

/// How certificates follow each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chain {
    /// As they should.
    Whole,
    /// There is one, issued by this other.
    Alone(String),
    /// One was not issued by the next.
    Broken,
}

impl fmt::Debug for Tls {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Tls")
    }
}

/// A client that trusts the first of these certificates and no other, whatever its names and its dates: both sides read
/// the same file.
///
/// # Errors
/// [`TlsError::NoCertificate`].
pub fn trusting(certificate_pem: &[u8]) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = provider();
    let first = certificates(certificate_pem)?.swap_remove(0);
    let verifier = Exactly { certificate: first, provider: Arc::clone(&provider) };
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| TlsError::Unusable(error.to_string()))?;
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    Ok(Arc::new(builder.with_no_client_auth()))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    read.ok().filter(|all| !all.is_empty()).ok_or(TlsError::NoCertificate)
}

/// Trusts one certificate. That the server has its key is checked as ever.
#[derive(Debug)]
struct Exactly {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Exactly {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if *end_entity == self.certificate {
            return Ok(ServerCertVerified::assertion());
        }
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use fake_xmatters::{Authority, Identity};

    use super::*;

    #[track_caller]
    fn read(certificate: &str, key: &str) -> Result<Tls, TlsError> {
        Tls::new(certificate.as_bytes(), key.as_bytes())
    }

    fn pem(identity: &Identity) -> (String, String) {
        (identity.certificate_pem(), identity.key_pem())
    }

    #[test]
    fn a_pair_that_can_not_be_used_is_refused_with_its_cure() {
        let authority = Authority::new().unwrap();
        let [(certificate, key), (_, other)] =
            [1, 2].map(|_| pem(&authority.server(&["a.example"]).unwrap()));
        assert!(read(&certificate, &key).is_ok());
        // One file may hold both.
        let both = certificate.clone() + &key;
        assert!(read(&both, &both).is_ok());
        assert_eq!(read(&certificate, &other).unwrap_err(), TlsError::Mismatch);
        for no_certificate in ["", "hello", &key, &certificate[..100]] {
            assert_eq!(read(no_certificate, &key).unwrap_err(), TlsError::NoCertificate, "{no_certificate}");
        }
        for no_key in ["", "hello", &certificate, &key[..60]] {
            assert_eq!(read(&certificate, no_key).unwrap_err(), TlsError::NoKey, "{no_key}");
        }
        assert!(!format!("{:?}", read(&certificate, &key)).contains("PRIVATE"));
    }

    #[test]
    fn what_is_missing_in_a_chain_is_seen() {
        let authority = Authority::new().unwrap();
        let (certificate, key) = pem(&authority.server(&["a.example"]).unwrap());
        let of = |text: &str| read(text, &key).unwrap().chain();
        assert!(matches!(of(&certificate), Chain::Alone(_)));
        assert_eq!(of(&(certificate.clone() + &authority.pem())), Chain::Whole);
        assert_eq!(of(&(certificate.clone() + &certificate)), Chain::Broken);
    }

    #[test]
    fn the_first_end_of_a_chain_counts() {
        let authority = Authority::new().unwrap();
        let (certificate, key) = pem(&authority.expired_server(&["a.example"]).unwrap());
        let end = read(&(certificate + &authority.pem()), &key).unwrap().ends().unwrap();
        assert!(end < jiff::Timestamp::now().as_second());
    }
}
