//! Why no answer came, in a few words that never name the URL or the host.

use std::borrow::Cow;
use std::error::Error;
use std::io::{self, ErrorKind};

use nightbell_core::outcome::Outcome;
use nightbell_core::tls::TlsFault;
use rustls::pki_types::InvalidDnsNameError;
use rustls::{AlertDescription, CertificateError, OtherError, PeerIncompatible};

/// RFC 9110 15.5.8.
const PROXY_AUTHENTICATION_REQUIRED: u16 = 407;

/// The words for a proxy that opened no tunnel and did not ask for a password.
pub(crate) const NO_TUNNEL: &str = "it opened no tunnel";

const CLOSED_EARLY: &str = "connection closed before the whole answer";

/// What a failed request came to. reqwest's own text names the URL and hides the cause, so neither it nor any text of
/// an inner error is passed on; what is known of the cause is put in our own words.
pub(crate) fn outcome(error: &reqwest::Error) -> Outcome {
    if let Some(words) = tunnel(error) {
        return words;
    }
    let unavailable = |detail: Cow<'_, str>| unavailable(detail.into_owned());
    match (error.is_timeout(), error.is_connect()) {
        // Nothing was sent yet, so xMatters can't have taken it.
        (true, true) => unavailable("connecting took too long".into()),
        (true, false) => Outcome::TimedOut,
        (false, _) if error.is_dns() => unavailable("host name not found".into()),
        (false, true) => unavailable(cause(error).unwrap_or("connection failed".into())),
        (false, false) => unavailable(cause(error).unwrap_or("request failed".into())),
    }
}

pub(crate) fn unavailable(detail: String) -> Outcome {
    Outcome::Unavailable { detail, retry_after: None }
}

/// An error, and what caused it, and so on.
fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error: &&'e (dyn Error + 'static)| error.source())
}

/// Whether the request failed because its HTTP/2 connection left a ping without an answer.
pub(crate) fn is_dead_connection(error: &reqwest::Error) -> bool {
    // The time-out of a whole request is reqwest's own, and no error of hyper.
    causes(error).any(|cause| cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_timeout))
}

/// What an error of a connection means, in our own words.
pub(crate) fn words(error: &io::Error) -> String {
    io(error).unwrap_or("connection failed".into()).into_owned()
}

/// What a proxy said instead of opening a tunnel. Its type has no name outside of its crate, so its words have to do.
fn tunnel(error: &reqwest::Error) -> Option<Outcome> {
    causes(error).find_map(|cause| match cause.to_string().as_str() {
        "tunnel error: proxy authorization required" => {
            Some(Outcome::Unauthorized { status: PROXY_AUTHENTICATION_REQUIRED })
        }
        "tunnel error: unsuccessful" => Some(unavailable(NO_TUNNEL.into())),
        "tunnel error: unexpected end of file" => Some(unavailable(CLOSED_EARLY.into())),
        _ => None,
    })
}

/// The first error of the chain that says something definite.
fn cause(error: &(dyn Error + 'static)) -> Option<Cow<'static, str>> {
    causes(error).find_map(definite)
}

fn definite(error: &(dyn Error + 'static)) -> Option<Cow<'static, str>> {
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        Some(tls(error))
    } else if let Some(error) = error.downcast_ref::<io::Error>() {
        io(error)
    } else if let Some(error) = error.downcast_ref::<hyper::Error>() {
        http(error).map(Cow::Borrowed)
    } else if error.is::<InvalidDnsNameError>() {
        Some(Cow::Borrowed("the host name is too long or has characters that no host name has"))
    } else {
        None
    }
}

fn http(error: &hyper::Error) -> Option<&'static str> {
    if error.is_parse() {
        Some("the answer is no HTTP")
    } else if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        Some(CLOSED_EARLY)
    } else {
        None
    }
}

fn io(error: &io::Error) -> Option<Cow<'static, str>> {
    const KINDS: [(ErrorKind, &str); 9] = [
        (ErrorKind::ConnectionRefused, "connection refused"),
        (ErrorKind::ConnectionReset, "connection reset"),
        (ErrorKind::ConnectionAborted, "connection reset"),
        (ErrorKind::BrokenPipe, "connection reset"),
        (ErrorKind::HostUnreachable, "host unreachable"),
        (ErrorKind::NetworkUnreachable, "network unreachable"),
        (ErrorKind::NetworkDown, "network down"),
        (ErrorKind::AddrNotAvailable, "no local port left"),
        (ErrorKind::UnexpectedEof, CLOSED_EARLY),
    ];
    // An I/O error's `source` leaves out the error that it wraps itself.
    if let Some(wrapped) = error.get_ref().and_then(|wrapped| cause(wrapped)) {
        return Some(wrapped);
    }
    if let Some((_, words)) = KINDS.iter().find(|(kind, _)| *kind == error.kind()) {
        return Some(Cow::Borrowed(words));
    }
    // The system's own words for its error number: never a URL.
    let number = error.raw_os_error()?;
    Some(Cow::Owned(io::Error::from_raw_os_error(number).to_string()))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the enum is non-exhaustive")]
fn tls(error: &rustls::Error) -> Cow<'static, str> {
    use PeerIncompatible as P;
    use rustls::Error as E;

    Cow::Borrowed(match error {
        E::InvalidCertificate(error) => certificate(error).words(),
        E::AlertReceived(alert) => return alerted(*alert),
        E::InvalidMessage(_) => TlsFault::NoTls.words(),
        E::PeerIncompatible(P::ServerDoesNotSupportTls12Or13 | P::ServerTlsVersionIsDisabledByOurConfig) => {
            TlsFault::OldTls.words()
        }
        _ => "TLS failed",
    })
}

/// What the server complains about. It sends most of these about our certificate.
#[expect(clippy::wildcard_enum_match_arm, reason = "the enum is non-exhaustive")]
fn alerted(alert: AlertDescription) -> Cow<'static, str> {
    use AlertDescription as A;

    let said = match alert {
        A::CertificateRequired => return Cow::Borrowed(TlsFault::ClientCertificateWanted.words()),
        A::ProtocolVersion => return Cow::Borrowed(TlsFault::OldTls.words()),
        A::UnknownCA | A::BadCertificate | A::CertificateUnknown | A::DecryptError => {
            format!("does not trust our client certificate ({alert:?})")
        }
        A::CertificateExpired | A::CertificateRevoked | A::UnsupportedCertificate => {
            format!("does not take our client certificate ({alert:?})")
        }
        _ => format!("sent the alert {alert:?}"),
    };
    Cow::Owned(format!("TLS failed: the server {said}"))
}

/// What is wrong with a certificate, as [`crate::tls`] found it. rustls' own words may name hosts.
#[expect(clippy::wildcard_enum_match_arm, reason = "the enum is non-exhaustive")]
pub(crate) fn certificate(error: &CertificateError) -> TlsFault {
    use CertificateError as E;

    match error {
        E::Other(OtherError(other)) => {
            other.downcast_ref().map_or(TlsFault::Invalid, |Distrusted(fault)| *fault)
        }
        E::UnknownIssuer => TlsFault::UnknownIssuer,
        E::Expired | E::ExpiredContext { .. } => TlsFault::Expired,
        E::NotValidYet | E::NotValidYetContext { .. } => TlsFault::NotYetValid,
        E::NotValidForName | E::NotValidForNameContext { .. } => TlsFault::OtherName,
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => TlsFault::OtherUse,
        E::UnsupportedSignatureAlgorithmContext { .. }
        | E::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => TlsFault::OldSignature,
        E::Revoked => TlsFault::Revoked,
        _ => TlsFault::Invalid,
    }
}

/// What is wrong with a certificate, within an error of rustls.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.words())]
pub(crate) struct Distrusted(pub(crate) TlsFault);

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(error: impl Error + 'static, want: Option<&str>) {
        assert_eq!(cause(&error).as_deref(), want, "{error:?}");
    }

    fn in_io(error: rustls::Error) -> io::Error {
        io::Error::new(ErrorKind::InvalidData, error)
    }

    #[test]
    fn a_system_error_has_plain_words() {
        check(io::Error::from(ErrorKind::ConnectionRefused), Some("connection refused"));
        check(io::Error::other(io::Error::from(ErrorKind::BrokenPipe)), Some("connection reset"));
        check(io::Error::from_raw_os_error(24), Some("Too many open files (os error 24)"));
        check(io::Error::other("https://acme.example/?apiKey=s3cret"), None);
    }

    #[test]
    fn a_certificate_error_says_what_to_look_at() {
        let wrong = |error| in_io(rustls::Error::InvalidCertificate(error));
        check(wrong(CertificateError::Expired), Some("certificate not trusted: it has expired"));
        check(
            wrong(CertificateError::UnknownIssuer),
            Some("certificate not trusted: its issuer is not known"),
        );
        check(
            wrong(CertificateError::NotValidForName),
            Some("certificate not trusted: it is made out to another name"),
        );
        check(wrong(CertificateError::BadSignature), Some("certificate not trusted: it is not valid"));
    }

    #[test]
    fn other_tls_errors_never_repeat_foreign_text() {
        check(in_io(rustls::Error::General("s3cret".into())), Some("TLS failed"));
        let alert = rustls::Error::AlertReceived(AlertDescription::HandshakeFailure);
        check(in_io(alert), Some("TLS failed: the server sent the alert HandshakeFailure"));
    }
}
