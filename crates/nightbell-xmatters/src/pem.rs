//! PEM files: whom we trust, and what we show.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, RootCertStore};
use secrecy::{ExposeSecret as _, SecretSlice};

use crate::error::{Misfit, SetupError};

/// The text of a PEM file, which may have a private key in it. `Debug` shows the file's name alone. Cheap to clone.
#[derive(Clone)]
pub struct Pem {
    file: Arc<str>,
    text: Arc<SecretSlice<u8>>,
}

impl Pem {
    /// A PEM text, and the name of its file for errors.
    #[must_use]
    pub fn new(file: impl Into<Arc<str>>, text: impl Into<Vec<u8>>) -> Self {
        Self { file: file.into(), text: Arc::new(text.into().into()) }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`SetupError::Unreadable`] names it.
    pub fn read(path: &Path) -> Result<Self, SetupError> {
        let file = path.display().to_string();
        match std::fs::read(path) {
            Ok(text) => Ok(Self::new(file, text)),
            Err(source) => Err(SetupError::Unreadable { file: file.into(), source }),
        }
    }

    /// This one and then another, for a certificate and a key in two files.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let text = [self.text(), b"\n", other.text()].concat();
        Self::new(format!("{} and {}", self.file, other.file), text)
    }

    /// The file's name.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// What it holds, a secret where that is a key.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        self.text.expose_secret()
    }

    /// Its certificates, at least one.
    ///
    /// # Errors
    /// [`Misfit`]: it has none, or is broken.
    pub fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, Misfit> {
        let all = CertificateDer::pem_slice_iter(self.text()).collect::<Result<Vec<_>, _>>();
        // Their reader's own words may have a line of the file in them.
        let all = all.map_err(|_| broken())?;
        let cure = "it must be PEM, with `-----BEGIN CERTIFICATE-----`";
        Misfit::unless(!all.is_empty(), "holds no certificate", cure)?;
        Ok(all)
    }

    /// Its private key, as PKCS#8, PKCS#1 or SEC1.
    ///
    /// # Errors
    /// [`Misfit`]: it has none, is broken or encrypted.
    pub fn key(&self) -> Result<PrivateKeyDer<'static>, Misfit> {
        PrivateKeyDer::from_pem_slice(self.text()).map_err(|error| {
            if self.text().windows(9).any(|part| part == b"ENCRYPTED") {
                let cure = "decrypt it, as `openssl pkey` does, and let nobody else read it";
                Misfit::new("holds an encrypted key", cure)
            } else if matches!(error, PemError::NoItemsFound) {
                let cure = "it must be PEM, with `-----BEGIN PRIVATE KEY-----`";
                Misfit::new("holds no private key", cure)
            } else {
                broken()
            }
        })
    }
}

fn broken() -> Misfit {
    Misfit::new(
        "is broken: its certificate or key is not whole PEM",
        "copy it anew, from its first line to its last",
    )
}

impl fmt::Debug for Pem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Pem({})", self.file)
    }
}

/// Authorities that are trusted besides the system's.
#[derive(Debug, Clone)]
pub struct Authorities {
    pem: Pem,
    pub(crate) roots: Arc<RootCertStore>,
}

impl Authorities {
    /// Those of a file, all of whose certificates must be of use.
    ///
    /// # Errors
    /// [`Misfit`] goes on where the file's name ends.
    pub fn of(pem: Pem) -> Result<Self, Misfit> {
        let mut roots = RootCertStore::empty();
        for certificate in pem.certificates()? {
            roots.add(certificate).map_err(|error| {
                let reason = format!("has a certificate that cannot be used to check others ({error})");
                Misfit::new(
                    reason,
                    "let it hold the certificates of authorities alone, each as it was issued",
                )
            })?;
        }
        Ok(Self { pem, roots: Arc::new(roots) })
    }

    /// The file's name.
    #[must_use]
    pub fn file(&self) -> &str {
        self.pem.file()
    }
}

/// Our own certificate with those between it and its authority, and its key.
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    /// The certificates, our own first, and the key unless it has a file of its own.
    pub chain: Pem,
    /// The key, if it has a file of its own.
    pub key: Option<Pem>,
}

impl ClientCertificate {
    /// All in one text, in any order.
    #[must_use]
    pub fn pem(&self) -> Pem {
        self.key.as_ref().map_or_else(|| self.chain.clone(), |key| self.chain.and(key))
    }
}

/// A [`ClientCertificate`] that can be shown: its key is that of its first certificate. `Debug` shows the files alone.
#[derive(Clone)]
pub struct ClientIdentity {
    certificate: ClientCertificate,
    pub(crate) key: Arc<CertifiedKey>,
}

impl ClientIdentity {
    /// Reads the files through.
    ///
    /// # Errors
    /// [`Misfit`] goes on where the name of the key's file ends.
    pub fn of(certificate: ClientCertificate) -> Result<Self, Misfit> {
        let (chain, key) = (certificate.chain.certificates()?, certificate.pem().key()?);
        let key = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(|error| {
            if matches!(error, Error::InconsistentKeys(_)) {
                let reason = "holds a private key that does not belong to the certificate, which has to come first in its \
                              chain";
                Misfit::new(reason, "write the key that the certificate was made with")
            } else {
                let reason = format!("holds a certificate or a key that cannot be used ({error})");
                Misfit::new(reason, "have both made anew, with a key for RSA, ECDSA or Ed25519")
            }
        })?;
        Ok(Self { certificate, key: Arc::new(key) })
    }

    /// The files that it was read from.
    #[must_use]
    pub fn certificate(&self) -> &ClientCertificate {
        &self.certificate
    }
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.certificate.fmt(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pem_shows_its_file_alone() {
        let pem = Pem::new("a.pem", "s3cret").and(&Pem::new("b.pem", "s3cret"));
        assert_eq!(format!("{pem:?}"), "Pem(a.pem and b.pem)");
        assert_eq!(pem.text(), b"s3cret\ns3cret");
    }
}
