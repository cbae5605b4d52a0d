//! The way to a destination: which hosts, which certificates, which proxy.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretSlice, SecretString};

use crate::settings::SetupError;

/// How much of an answer's body is read unless the settings say otherwise, in bytes. The connection of a longer one is
/// closed instead of being used again.
pub const RESPONSE_BYTES_MAX: usize = 64 * 1024;

/// The way to a destination. The token endpoint of OAuth2 is reached in the same way.
#[derive(Debug, Clone)]
pub struct Network {
    /// The hosts that may be sent to, by their exact names; case and a trailing dot don't matter. None: any. Empty:
    /// none at all. The proxy need not be among them.
    pub allowed_hosts: Option<Vec<String>>,
    /// Certificates of authorities that are trusted besides the system's.
    pub extra_ca: Option<Pem>,
    /// Our own certificate with its chain, and its key as PKCS#8, PKCS#1 or SEC1, in any order. It is shown to every
    /// server that asks, an `https://` proxy among them.
    pub client_certificate: Option<Pem>,
    /// How servers' certificates are checked, those of `https://` proxies among them.
    pub verification: Verification,
    /// The proxy.
    pub proxy: Option<Proxy>,
    /// Where there is no `proxy`, whether `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` are read, once.
    pub environment_proxies: bool,
    /// How much of a trigger's answer is read, in bytes; at least 1. A token endpoint's is read up to
    /// [`RESPONSE_BYTES_MAX`].
    pub response_bytes_max: usize,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            allowed_hosts: None,
            extra_ca: None,
            client_certificate: None,
            verification: Verification::default(),
            proxy: None,
            environment_proxies: false,
            response_bytes_max: RESPONSE_BYTES_MAX,
        }
    }
}

/// How a server's certificate is checked. In every case the server has to prove that it holds the certificate's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Verification {
    /// Its chain, its time and its names.
    #[default]
    Full,
    /// Its chain and its time, but not its names: whoever has any certificate of a trusted authority can listen in.
    Certificate,
    /// Nothing: everybody on the way can listen in.
    None,
}

impl Verification {
    /// All of them, so that every series can be present from the start.
    pub const ALL: [Self; 3] = [Self::Full, Self::Certificate, Self::None];

    /// The word used in configuration and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Certificate => "certificate",
            Self::None => "none",
        }
    }

    /// What is wrong with it, to be said at every start; none: nothing is.
    #[must_use]
    pub fn warning(self) -> Option<&'static str> {
        match self {
            Self::Full => None,
            Self::Certificate => Some(
                "host names in certificates are not checked: whoever has any certificate of a trusted authority can \
                 read the alerts and the credentials",
            ),
            Self::None => Some(
                "certificates are not checked: whoever is on the way to the server can read the alerts and the \
                 credentials",
            ),
        }
    }
}

impl fmt::Display for Verification {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// No word for a [`Verification`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is none of full, certificate and none")]
pub struct BadVerification;

impl FromStr for Verification {
    type Err = BadVerification;

    fn from_str(word: &str) -> Result<Self, BadVerification> {
        Self::ALL.into_iter().find(|one| one.as_str() == word).ok_or(BadVerification)
    }
}

/// A proxy. `https://` destinations are reached through a tunnel (`CONNECT`), `http://` ones by passing the request on.
/// `Debug` shows neither the password nor the URL, which somebody may have put one into.
#[derive(Clone)]
pub struct Proxy {
    /// Its URL: `http://` or `https://`, host and port, and nothing else.
    pub url: String,
    /// The user that it asks for, sent as HTTP Basic, to an `http://` proxy in the clear; it needs a password.
    pub username: Option<String>,
    /// The user's password.
    pub password: Option<SecretString>,
    /// Hosts that are reached without it: an exact name, a `.suffix` for all names below it, an IP address, or a range
    /// of addresses like `10.0.0.0/8`. Addresses are compared with what the URL says; no name is looked up.
    pub bypass_hosts: Vec<String>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { username, bypass_hosts, .. } = self;
        out.debug_struct("Proxy")
            .field("username", username)
            .field("bypass_hosts", bypass_hosts)
            .finish_non_exhaustive()
    }
}

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

    /// This one and then another, for a certificate and a key in two files. Errors name both.
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
}

impl fmt::Debug for Pem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Pem({})", self.file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verification_has_its_words() {
        for one in Verification::ALL {
            assert_eq!(one.as_str().parse(), Ok(one));
            assert_eq!(one.warning().is_none(), one == Verification::Full);
        }
        assert_eq!("Full".parse::<Verification>(), Err(BadVerification));
    }

    #[test]
    fn a_proxy_shows_no_secret() {
        let proxy = Proxy {
            url: "http://u:s3cret@proxy".into(),
            username: Some("u".into()),
            password: Some("s3cret".into()),
            bypass_hosts: vec!["a.example".into()],
        };
        assert_eq!(format!("{proxy:?}"), r#"Proxy { username: Some("u"), bypass_hosts: ["a.example"], .. }"#);
    }

    #[test]
    fn a_pem_shows_its_file_alone() {
        let pem = Pem::new("a.pem", "s3cret").and(&Pem::new("b.pem", "s3cret"));
        assert_eq!(format!("{pem:?}"), "Pem(a.pem and b.pem)");
        assert_eq!(pem.text(), b"s3cret\ns3cret");
    }
}
