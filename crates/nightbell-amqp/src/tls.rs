//! What is wrong when TLS with a broker fails, with its cure.

use std::error::Error;
use std::{fmt, io};

use rustls::{AlertDescription, CertificateError, Error as TlsError};

use crate::greeting::SpeaksTls;
use crate::url::BrokerUrl;

/// Why TLS with a broker failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsFault {
    /// Nobody that we trust vouches for its certificate.
    UnknownAuthority,
    /// Its certificate is for another name.
    OtherName,
    /// Its certificate is not valid any more, or not yet.
    Expired,
    /// Its certificate is bad in another way.
    BadCertificate(String),
    /// It wants a certificate of ours, and we have none.
    WantsCertificate,
    /// It does not take the one that we have.
    RefusesCertificate,
    /// It does not speak TLS.
    SpeaksPlainly,
    /// It speaks TLS, and we did not.
    SpeaksTls,
    /// Anything else.
    Other(String),
}

impl TlsFault {
    /// What is wrong, and what to do. The first goes on where `host:port` ends.
    #[must_use]
    pub fn parts(&self) -> (String, &'static str) {
        let (what, cure) = match self {
            Self::UnknownAuthority => (
                "shows a certificate that no trusted authority signed",
                "name a file with its authority's certificate as `queue.ca_file`",
            ),
            Self::OtherName => (
                "shows a certificate for another name",
                "write a name into `queue.url` that is in the certificate, or have it made anew with this one",
            ),
            Self::Expired => (
                "shows a certificate that is not valid at this time",
                "have it renewed, or see to this machine's clock",
            ),
            Self::BadCertificate(why) => {
                return (format!("shows a certificate that can't be used ({why})"), "have it made anew");
            }
            Self::WantsCertificate => (
                "asks for a certificate of ours",
                "name files with it and its key as `queue.client_certificate` and `queue.client_key`",
            ),
            Self::RefusesCertificate => (
                "does not take the certificate in `queue.client_certificate`",
                "see that it is valid, and that the broker trusts its authority",
            ),
            Self::SpeaksPlainly => (
                "does not speak TLS",
                "write its TLS port into `queue.url`, mostly 5671, or `amqp://` in place of `amqps://`",
            ),
            Self::SpeaksTls => ("speaks TLS", "write `amqps://` in place of `amqp://` into `queue.url`"),
            Self::Other(why) => {
                return (format!("does not come to terms about TLS: {why}"), "look into the broker's log");
            }
        };
        (what.to_owned(), cure)
    }
}

impl fmt::Display for TlsFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, cure) = self.parts();
        write!(out, "{what}; {cure}")
    }
}

/// TLS' part in a failure; none if it has none.
pub(crate) fn tls_fault(error: &io::Error, url: &BrokerUrl) -> Option<TlsFault> {
    let mut cause: Option<&(dyn Error + 'static)> = error.get_ref().map(|inner| inner as _);
    while let Some(error) = cause {
        if error.is::<SpeaksTls>() {
            return Some(TlsFault::SpeaksTls);
        }
        if let Some(error) = error.downcast_ref::<TlsError>() {
            return Some(fault(error, url.has_client_certificate()));
        }
        if let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            cause = Some(inner);
        } else {
            cause = error.source();
        }
    }
    None
}

fn fault(error: &TlsError, has_certificate: bool) -> TlsFault {
    if let TlsError::InvalidCertificate(error) = error {
        return theirs(error);
    }
    if matches!(error, TlsError::InvalidMessage(_)) {
        return TlsFault::SpeaksPlainly;
    }
    let is_about_ours = matches!(
        error,
        TlsError::AlertReceived(
            AlertDescription::CertificateRequired
                | AlertDescription::HandshakeFailure
                | AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA
                | AlertDescription::AccessDenied
        )
    );
    match (is_about_ours, has_certificate) {
        (true, true) => TlsFault::RefusesCertificate,
        (true, false) => TlsFault::WantsCertificate,
        (false, _) => TlsFault::Other(error.to_string()),
    }
}

/// What is wrong with the broker's certificate.
fn theirs(error: &CertificateError) -> TlsFault {
    use CertificateError::{
        Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet, NotValidYetContext,
        UnknownIssuer,
    };
    if matches!(error, UnknownIssuer) {
        TlsFault::UnknownAuthority
    } else if matches!(error, NotValidForName | NotValidForNameContext { .. }) {
        TlsFault::OtherName
    } else if matches!(error, Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. }) {
        TlsFault::Expired
    } else {
        TlsFault::BadCertificate(format!("{error:?}"))
    }
}
