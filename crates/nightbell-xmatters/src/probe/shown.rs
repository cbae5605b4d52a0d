//! Which of the certificates that a server shows is the first to matter.

use nightbell_core::time::UnixMillis;
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, X509Certificate, X509Name};

use crate::text::cut_to;

/// The longest name of a certificate that is shown, in characters.
const SUBJECT_CHARS_MAX: usize = 100;

/// A certificate that a server showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Whose it is, in one line.
    pub subject: String,
    /// Whether it is the server's own, and not one between it and its authority.
    pub is_own: bool,
    /// When it is valid.
    pub validity: Validity,
}

/// From when to when a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// Its first moment.
    pub from: UnixMillis,
    /// Its last moment.
    pub until: UnixMillis,
}

/// The one that is not valid yet, or else ends first. One that has ended although the server is trusted is not needed:
/// servers go on sending what an old authority once signed for a new one.
pub(super) fn first(chain: &[CertificateDer<'_>], is_trusted: bool, now: UnixMillis) -> Option<Shown> {
    let read = chain.iter().enumerate().filter_map(|(at, der)| shown(at == 0, der));
    let needed = read.filter(|one| one.is_own || !(is_trusted && one.validity.until < now));
    needed.min_by_key(|one| (one.validity.from <= now, one.validity.until))
}

fn shown(is_own: bool, der: &CertificateDer<'_>) -> Option<Shown> {
    let (_, read) = X509Certificate::from_der(der).ok()?;
    // One that began before 1970 began long enough ago.
    let moment = |seconds: i64| UnixMillis(u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000));
    let (from, until) = (read.validity().not_before, read.validity().not_after);
    let validity = Validity { from: moment(from.timestamp()), until: moment(until.timestamp()) };
    Some(Shown { subject: name(read.subject()), is_own, validity })
}

/// The common name, or the whole name; without what would drive a terminal.
fn name(subject: &X509Name<'_>) -> String {
    let common = subject.iter_common_name().next().and_then(|name| name.as_str().ok());
    let name = common.map_or_else(|| subject.to_string(), str::to_owned);
    let plain: String = name.chars().filter(|letter| !letter.is_control()).collect();
    let shown = if plain.trim().is_empty() { "without a name" } else { plain.trim() };
    cut_to(shown, SUBJECT_CHARS_MAX).into_owned()
}
