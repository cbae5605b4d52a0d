//! What can be wrong with a destination.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;

/// Why a text is not what it is meant to be, and what would be right. It goes on where the text's name ends, as in "the
/// value `has no host; write …`", and repeats nothing of the text, which may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}; {cure}")]
pub struct Misfit {
    reason: Cow<'static, str>,
    cure: Cow<'static, str>,
}

impl Misfit {
    pub(crate) fn new(reason: impl Into<Cow<'static, str>>, cure: impl Into<Cow<'static, str>>) -> Self {
        Self { reason: reason.into(), cure: cure.into() }
    }

    /// Refuses a text for which something does not hold.
    pub(crate) fn unless(holds: bool, reason: &'static str, cure: &'static str) -> Result<(), Self> {
        if holds { Ok(()) } else { Err(Self::new(reason, cure)) }
    }
}

/// Why a destination can't be used. No text repeats a URL.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The trigger URL does not go with the rest.
    #[error("the trigger URL {0}")]
    TriggerUrl(Misfit),
    /// The token URL does not go with the rest.
    #[error("the token URL {0}")]
    TokenUrl(Misfit),
    /// The environment asks for a proxy that we can't use.
    #[error(
        "the proxy of the environment (HTTPS_PROXY, HTTP_PROXY or ALL_PROXY) is not an http:// or https:// URL with \
         host and port alone"
    )]
    EnvironmentProxy,
    /// A PEM file can't be read.
    #[error("cannot read {file}")]
    Unreadable {
        /// The file.
        file: Arc<str>,
        /// What the system says.
        source: io::Error,
    },
    /// Nobody would be trusted.
    #[error(
        "the system has no certificates of authorities; install ca-certificates, or name a file of your own"
    )]
    NoAuthorities,
    /// The HTTP client could not be built.
    #[error("the HTTP client cannot be built")]
    Client {
        /// What the client says.
        source: reqwest::Error,
    },
}
