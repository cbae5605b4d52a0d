//! Certificates that are not trusted.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use nightbell_core::ports::Sender as _;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::common::{alert, destination, sender, unavailable};

/// A server whose certificate nobody knows; it ends after one handshake.
async fn stranger(name: &str) -> SocketAddr {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed([name.to_owned()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = versions.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        // The caller hangs up on us, which is the point.
        drop(TlsAcceptor::from(Arc::new(config)).accept(stream).await);
    });
    addr
}

#[tokio::test]
async fn a_certificate_of_an_unknown_issuer_is_not_trusted() {
    let addr = stranger("localhost").await;
    let url = format!("https://localhost:{}/triggers", addr.port());
    let outcome = sender(destination(url)).send(alert()).await;
    assert_eq!(outcome, unavailable("certificate not trusted: its issuer is not known"));
}
