//! What must never be seen outside, and how it is masked.

use std::fmt;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};

use crate::auth::{Auth, Grant, Login};
use crate::proxy::Via;
use crate::settings::DestinationSettings;
use crate::undo::{self, Folded, Piece};
use crate::web_url::{WebUrl, is_api_key};

const MASK: &str = "***";

/// The shortest part of the URL, other than a key, that is masked by itself, in bytes. Shorter ones are words like
/// `api` and `triggers`.
const PART_BYTES_MIN: usize = 16;

/// The shortest beginning of a secret that is masked at the end of a text, in bytes.
const FRAGMENT_BYTES_MIN: usize = 4;

/// How often text is decoded that was in base64 within base64.
const DECODINGS_MAX: u8 = 2;

/// How many layers of escapes are undone; two spellings of a secret have four at the most.
const LAYERS_MAX: u8 = 6;

/// The longest text that is searched within its base64, in bytes. More of an answer is never shown.
pub(crate) const DECODED_BYTES_MAX: usize = 4 * 1024;

/// The shortest secret that is looked for in base64, in bytes. A shorter one is found there by chance.
const ENCODED_BYTES_MIN: usize = 4;

/// All secrets of one destination. `Debug` shows none.
#[derive(Clone, Default)]
pub struct Secrets {
    all: Vec<SecretString>,
    /// What to look for in a text that is undone as [`undo`] says.
    needles: Vec<SecretString>,
}

impl Secrets {
    /// The secrets of a destination: its passwords, its key, its refresh token, its credentials as sent, its URLs and
    /// the long parts of them. Tokens that it is given later are masked where they are used.
    #[must_use]
    pub fn of(settings: &DestinationSettings) -> Self {
        let mut all = of_url(&settings.trigger_url);
        let pair = |login: &Login| [login.pair(), login.password.expose().to_owned()];
        match &settings.auth {
            Auth::Url => {}
            Auth::Basic(login) => all.extend(pair(login)),
            Auth::OAuth2(oauth2) => {
                let (Grant::Password(Login { password: secret, .. }) | Grant::Refresh(secret)) =
                    &oauth2.grant;
                all.push(secret.expose().to_owned());
                all.extend(oauth2.token_url.iter().flat_map(|url| of_url(url)));
            }
        }
        all.extend(settings.network.proxy.iter().filter_map(|proxy| proxy.login.as_ref()).flat_map(pair));
        Self::made_of(all)
    }

    /// These secrets, and others beside them.
    pub(crate) fn and<'a>(&self, others: impl IntoIterator<Item = &'a str>) -> Self {
        let own = self.all.iter().map(|secret| secret.expose_secret().to_owned());
        Self::made_of(own.chain(others.into_iter().map(str::to_owned)).collect())
    }

    /// These and the credentials that proxies are sent, which the environment may have named.
    pub(crate) fn and_headers<'a>(&self, proxies: impl IntoIterator<Item = &'a Via>) -> Self {
        let values = proxies.into_iter().filter_map(|via| via.authorization.as_ref()?.to_str().ok());
        let encoded: Vec<_> = values.filter_map(|value| value.strip_prefix("Basic ")).collect();
        let pairs = encoded.iter().filter_map(|text| String::from_utf8(STANDARD.decode(text).ok()?).ok());
        let pairs: Vec<_> = pairs.collect();
        let passwords = pairs.iter().filter_map(|pair| Some(pair.split_once(':')?.1));
        self.and(encoded.iter().copied().chain(pairs.iter().map(String::as_str)).chain(passwords))
    }

    fn made_of(all: Vec<String>) -> Self {
        let mut needles: Vec<_> = all.iter().flat_map(|secret| needles(secret)).collect();
        needles.retain(|needle| !needle.is_empty());
        needles.sort_unstable();
        needles.dedup();
        let hidden = |texts: Vec<String>| texts.into_iter().map(SecretString::from).collect();
        Self { all: hidden(all), needles: hidden(needles) }
    }

    /// The text with `***` in place of every secret, and of the beginning of one at its end, where the text may have
    /// been cut off. A secret is also found with escapes (of JSON, of URLs, of HTML), in base64, in the other case, broken
    /// up by white space, and in two of these.
    #[must_use]
    pub fn mask(&self, text: &str) -> String {
        let decodings = if text.len() <= DECODED_BYTES_MAX { DECODINGS_MAX } else { 0 };
        let mut found = Vec::new();
        self.find(
            undo::pieces(text),
            Level { decodings, is_decoded: false, end: Some(text.len()) },
            &mut found,
        );
        found.sort_unstable_by_key(|place| (place.start, place.end));
        let (mut masked, mut at) = (String::with_capacity(text.len()), 0);
        for place in found {
            if at <= place.start && (at < place.start || at == 0) {
                masked.push_str(&text[at..place.start]);
                masked.push_str(MASK);
            }
            at = at.max(place.end);
        }
        masked.push_str(&text[at..]);
        masked
    }

    /// Notes the places of all secrets, undoing layer by layer.
    fn find(&self, mut pieces: Vec<Piece>, level: Level, found: &mut Vec<Range<usize>>) {
        for _ in 0..=LAYERS_MAX {
            self.compare(&undo::folded(&pieces), level, found);
            if level.decodings > 0 {
                for (inner, is_last) in undo::decoded(&pieces) {
                    let end = level.end.filter(|_| is_last);
                    let level = Level { decodings: level.decodings - 1, is_decoded: true, end };
                    self.find(inner, level, found);
                }
            }
            match undo::unescaped(&pieces) {
                Some(undone) => pieces = undone,
                None => break,
            }
        }
    }

    fn compare(&self, folded: &Folded, level: Level, found: &mut Vec<Range<usize>>) {
        let least = if level.is_decoded { ENCODED_BYTES_MIN } else { 1 };
        let needles = self.needles.iter().map(|needle| needle.expose_secret());
        for needle in needles.filter(|needle| needle.len() >= least) {
            let all = folded.text.match_indices(needle);
            found.extend(all.map(|(at, _)| folded.place(at..at + needle.len())));
            if let (Some(end), Some(at)) = (level.end, fragment(&folded.text, needle)) {
                found.push(folded.place(at..folded.text.len()).start..end);
            }
        }
    }
}

/// How deep within a text something was found.
#[derive(Clone, Copy)]
struct Level {
    /// How many more times base64 may be decoded.
    decodings: u8,
    is_decoded: bool,
    /// Where the original ends, if this goes on to its end.
    end: Option<usize>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Secrets({} hidden)", self.all.len())
    }
}

/// A URL as it was written and as it is sent, its key, and its long parts.
fn of_url(url: &WebUrl) -> Vec<String> {
    let both = [url.written(), url.as_str()];
    both.iter()
        .map(|&text| text.to_owned())
        .chain(url.api_key())
        .chain(both.into_iter().flat_map(parts))
        .collect()
}

/// The parts of a trigger URL that are of use to a stranger: the key, the function's id, and long values of the query.
fn parts(url: &str) -> Vec<String> {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    // The host is no secret: its address is in every resolver's log.
    let path = path.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
    let long = |part: &str| part.len() >= PART_BYTES_MIN;
    let segments = path.split('/').filter(|segment| long(segment));
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let values = pairs.filter(|(name, value)| is_api_key(name) || (*name != "recipients" && long(value)));
    segments.chain(values.map(|(_, value)| value)).map(str::to_owned).collect()
}

/// What a secret is when it is undone as a text is: itself, in a form's data, in base64, and without the escapes that it
/// seems to have.
fn needles(secret: &str) -> Vec<String> {
    let mut written = vec![secret.to_owned(), secret.replace(' ', "+")];
    if secret.len() >= ENCODED_BYTES_MIN {
        let encoded = STANDARD.encode(secret);
        written.push(encoded.trim_end_matches('=').to_owned());
        written.push(encoded);
    }
    let mut needles = Vec::new();
    for text in written {
        let mut pieces = undo::pieces(&text);
        needles.push(undo::folded(&pieces).text);
        for _ in 0..LAYERS_MAX {
            let Some(undone) = undo::unescaped(&pieces) else { break };
            pieces = undone;
            // Little may be left of it, which then stands in any text.
            needles.extend(Some(undo::folded(&pieces).text).filter(|text| text.len() >= ENCODED_BYTES_MIN));
        }
    }
    needles
}

/// Where at the end of `text` the beginning of `secret` begins.
fn fragment(text: &str, secret: &str) -> Option<usize> {
    let longest = secret.len().min(text.len() + 1).saturating_sub(1);
    let fits = |len: &usize| secret.is_char_boundary(*len) && text.ends_with(&secret[..*len]);
    (FRAGMENT_BYTES_MIN..=longest).rev().find(fits).map(|len| text.len() - len)
}

#[cfg(test)]
mod tests;
