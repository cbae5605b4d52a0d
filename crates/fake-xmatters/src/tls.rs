//! Connections with and without TLS.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::certificates::{Authority, Identity};

/// How a server speaks TLS.
#[derive(Debug, Clone)]
pub struct Tls {
    config: Arc<ServerConfig>,
}

/// The certificate and the key don't fit together, or can't be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the certificate")]
pub struct TlsError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl Tls {
    /// TLS with this certificate; callers need none.
    ///
    /// # Errors
    /// [`TlsError`]: the certificate can't be used.
    pub fn new(identity: &Identity) -> Result<Self, TlsError> {
        Self::with(identity, None)
    }

    /// TLS with this certificate, for callers who show one of this authority.
    ///
    /// # Errors
    /// [`TlsError`]: the certificate can't be used.
    pub fn demanding(identity: &Identity, callers: &Authority) -> Result<Self, TlsError> {
        Self::with(identity, Some(callers))
    }

    /// TLS of somebody who has this certificate, which anybody can get, and not its key but another.
    ///
    /// # Errors
    /// [`TlsError`]: the key can't be used.
    pub fn impostor(certificate: &Identity, key: &Identity) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = provider.key_provider.load_private_key(private_key(key)).map_err(unusable)?;
        let shown = CertifiedKey::new(chain(certificate), key);
        let builder = ServerConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().map_err(unusable)?.with_no_client_auth();
        let config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(shown)));
        Ok(Self { config: Arc::new(config) })
    }

    fn with(identity: &Identity, callers: Option<&Authority>) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().map_err(unusable)?;
        let builder = match callers {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(CertificateDer::from(authority.der().to_vec())).map_err(unusable)?;
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().map_err(unusable)?)
            }
        };
        let config = builder.with_single_cert(chain(identity), private_key(identity)).map_err(unusable)?;
        Ok(Self { config: Arc::new(config) })
    }
}

fn chain(identity: &Identity) -> Vec<CertificateDer<'static>> {
    identity.chain().map(|der| CertificateDer::from(der.to_vec())).collect()
}

fn private_key(identity: &Identity) -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(identity.key_der().to_vec()).into()
}

fn unusable(error: impl std::error::Error + Send + Sync + 'static) -> TlsError {
    TlsError(Box::new(error))
}

/// A caller's connection.
#[derive(Debug)]
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// Shakes hands where the settings ask for it. A caller who fails is given back without TLS: the alert has been
    /// sent, and has to arrive.
    pub(crate) async fn accept(tcp: TcpStream, tls: Option<&Tls>) -> Result<Self, TcpStream> {
        let Some(tls) = tls else { return Ok(Self::Plain(tcp)) };
        let acceptor = TlsAcceptor::from(Arc::clone(&tls.config));
        match acceptor.accept(tcp).into_fallible().await {
            Ok(stream) => Ok(Self::Tls(Box::new(stream))),
            Err((_, tcp)) => Err(tcp),
        }
    }

    /// Makes the system reset the connection instead of ending it in order.
    pub(crate) fn set_zero_linger(&self) -> io::Result<()> {
        match self {
            Self::Plain(tcp) => tcp.set_zero_linger(),
            Self::Tls(stream) => stream.get_ref().0.set_zero_linger(),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
