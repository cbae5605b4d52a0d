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

/// Whether the request failed because its HTTP/2 connection left a ping without an answer.
pub(crate) fn is_dead_connection(error: &reqwest::Error) -> bool {
    let mut error: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(link) = error {
        // The time-out of a whole request is reqwest's own, and no error of hyper.
        if link.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_timeout) {
            return true;
        }
        error = link.source();
    }
    false
}

/// What an error of a connection means, in our own words.
pub(crate) fn words(error: &io::Error) -> String {
    io(error).unwrap_or("connection failed".into()).into_owned()
}

/// What a proxy said instead of opening a tunnel. Its type has no name outside of its crate, so its words have to do.
fn tunnel(error: &reqwest::Error) -> Option<Outcome> {
    const REFUSED: Outcome = Outcome::Unauthorized { status: PROXY_AUTHENTICATION_REQUIRED };

    let mut error: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(link) = error {
        match link.to_string().as_str() {
            "tunnel error: proxy authorization required" => return Some(REFUSED),
            "tunnel error: unsuccessful" => return Some(unavailable(NO_TUNNEL.into())),
            "tunnel error: unexpected end of file" => return Some(unavailable(CLOSED_EARLY.into())),
            _ => error = link.source(),
        }
    }
    None
}

/// The first error of the chain that says something definite.
fn cause(error: &(dyn Error + 'static)) -> Option<Cow<'static, str>> {
    let mut error = Some(error);
    while let Some(link) = error {
        if let Some(words) = definite(link) {
            return Some(words);
        }
        error = link.source();
    }
    None
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

fn tls(error: &rustls::Error) -> Cow<'static, str> {
    if let rustls::Error::InvalidCertificate(error) = error {
        Cow::Borrowed(certificate(error).words())
    } else if let rustls::Error::AlertReceived(alert) = error {
        alerted(*alert)
    } else if matches!(error, rustls::Error::InvalidMessage(_)) {
        Cow::Borrowed(TlsFault::NoTls.words())
    } else if matches!(error, rustls::Error::PeerIncompatible(reason) if is_old(reason)) {
        Cow::Borrowed(TlsFault::OldTls.words())
    } else {
        Cow::Borrowed("TLS failed")
    }
}

fn is_old(reason: &PeerIncompatible) -> bool {
    use PeerIncompatible as P;

    matches!(reason, P::ServerDoesNotSupportTls12Or13 | P::ServerTlsVersionIsDisabledByOurConfig)
}

/// What the server complains about. It sends most of these about our certificate.
fn alerted(alert: AlertDescription) -> Cow<'static, str> {
    use AlertDescription as A;

    if matches!(alert, A::CertificateRequired) {
        Cow::Borrowed(TlsFault::ClientCertificateWanted.words())
    } else if matches!(alert, A::ProtocolVersion) {
        Cow::Borrowed(TlsFault::OldTls.words())
    } else if matches!(alert, A::UnknownCA | A::BadCertificate | A::CertificateUnknown | A::DecryptError) {
        Cow::Owned(format!("TLS failed: the server does not trust our client certificate ({alert:?})"))
    } else if matches!(alert, A::CertificateExpired | A::CertificateRevoked | A::UnsupportedCertificate) {
        Cow::Owned(format!("TLS failed: the server does not take our client certificate ({alert:?})"))
    } else {
        Cow::Owned(format!("TLS failed: the server sent the alert {alert:?}"))
    }
}

/// What is wrong with a certificate, as [`crate::tls`] found it. rustls' own words may name hosts.
pub(crate) fn certificate(error: &CertificateError) -> TlsFault {
    use CertificateError as E;

    if let E::Other(OtherError(other)) = error
        && let Some(Distrusted(fault)) = other.downcast_ref()
    {
        *fault
    } else if matches!(error, E::UnknownIssuer) {
        TlsFault::UnknownIssuer
    } else if matches!(error, E::Expired | E::ExpiredContext { .. }) {
        TlsFault::Expired
    } else if matches!(error, E::NotValidYet | E::NotValidYetContext { .. }) {
        TlsFault::NotYetValid
    } else if matches!(error, E::NotValidForName | E::NotValidForNameContext { .. }) {
        TlsFault::OtherName
    } else if matches!(error, E::InvalidPurpose | E::InvalidPurposeContext { .. }) {
        TlsFault::OtherUse
    } else if matches!(
        error,
        E::UnsupportedSignatureAlgorithmContext { .. }
            | E::UnsupportedSignatureAlgorithmForPublicKeyContext { .. }
    ) {
        TlsFault::OldSignature
    } else if matches!(error, E::Revoked) {
        TlsFault::Revoked
    } else {
        TlsFault::Invalid
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
