//! What must never be seen outside, and how it is masked.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;
use url::form_urlencoded::byte_serialize;

use crate::settings::{Auth, DestinationSettings};
use crate::target::{api_key, is_api_key};

const MASK: &str = "***";

/// The shortest part of the URL, other than a key, that is masked by itself, in bytes. Shorter ones are words like
/// `api` and `triggers`.
const PART_BYTES_MIN: usize = 16;

/// The shortest beginning of a secret that is masked at the end of a text, in bytes.
const FRAGMENT_BYTES_MIN: usize = 4;

/// All secrets of one destination, in the forms in which an answer may repeat them. `Debug` shows none.
#[derive(Clone, Default)]
pub struct Secrets(Vec<SecretString>);

impl Secrets {
    /// The secrets of a destination: its password, its key, its credentials as sent, its URL and the long parts of it.
    #[must_use]
    pub fn of(settings: &DestinationSettings) -> Self {
        let written = settings.trigger_url.expose_secret();
        let mut all = vec![written.to_owned()];
        if let Auth::Basic { username, password } = &settings.auth {
            all.push(STANDARD.encode(format!("{username}:{}", password.expose_secret())));
            all.push(password.expose_secret().to_owned());
        }
        all.extend(parts(written));
        if let Ok(url) = Url::parse(written) {
            all.push(url.as_str().to_owned());
            all.extend(api_key(&url));
            all.extend(parts(url.as_str()));
        }
        let mut forms: Vec<_> = all.iter().flat_map(|secret| forms(secret)).collect();
        forms.retain(|form| !form.is_empty());
        // A long one first: it may have a short one within it.
        forms.sort_unstable_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        forms.dedup();
        Self(forms.into_iter().map(SecretString::from).collect())
    }

    /// The text with `***` in place of every secret, and of the beginning of one at its end, where the text may have
    /// been cut off.
    #[must_use]
    pub fn mask(&self, text: &str) -> String {
        let mut masked = text.to_owned();
        for secret in self.exposed() {
            if masked.contains(secret) {
                masked = masked.replace(secret, MASK);
            }
        }
        if let Some(end) = self.exposed().filter_map(|secret| fragment(&masked, secret)).min() {
            masked.truncate(end);
            masked.push_str(MASK);
        }
        masked
    }

    fn exposed(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|secret| secret.expose_secret())
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Secrets({} hidden)", self.0.len())
    }
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

/// A secret as it may stand in plain text, in a URL, in JSON and in HTML.
fn forms(secret: &str) -> [String; 4] {
    let json = serde_json::to_string(secret).expect("a text is always JSON");
    let html = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    [secret.to_owned(), byte_serialize(secret.as_bytes()).collect(), json[1..json.len() - 1].to_owned(), html]
}

/// Where at the end of `text` the beginning of `secret` begins.
fn fragment(text: &str, secret: &str) -> Option<usize> {
    let longest = secret.len().min(text.len() + 1).saturating_sub(1);
    let fits = |len: &usize| secret.is_char_boundary(*len) && text.ends_with(&secret[..*len]);
    (FRAGMENT_BYTES_MIN..=longest).rev().find(fits).map(|len| text.len() - len)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "6f2d8c1e-0b7a-4c55-9d3e-2a1f0e9b8c7d";

    fn by_key() -> Secrets {
        let url = format!(
            "https://acme.xmatters.com/api/integration/1/functions/{ID}/triggers?a=b&apiKey=k%2Fé%22y"
        );
        Secrets::of(&DestinationSettings::new(url, Auth::Url))
    }

    fn by_user() -> Secrets {
        let auth = Auth::Basic { username: "svc".into(), password: "p\"<w&d".into() };
        let url = format!(
            "https://acme.xmatters.com/api/integration/1/functions/{ID}/triggers?recipients=payments-primary-team"
        );
        Secrets::of(&DestinationSettings::new(url, auth))
    }

    #[track_caller]
    fn check(secrets: &Secrets, text: &str, want: &str) {
        assert_eq!(secrets.mask(text), want, "{text}");
    }

    #[test]
    fn a_url_is_masked_as_a_whole_and_in_its_parts() {
        let url = format!(
            "https://acme.xmatters.com/api/integration/1/functions/{ID}/triggers?a=b&apiKey=k%2Fé%22y"
        );
        check(&by_key(), &format!("no <{url}>!"), "no <***>!");
        check(&by_key(), &format!("no {}!", url.replace('&', "&amp;")), "no ***!");
        check(&by_key(), &format!("function {ID} unknown"), "function *** unknown");
        check(
            &by_key(),
            "keys k/é\"y k%2Fé%22y k%2F%C3%A9%22y, {\"k/é\\\"y\"}.",
            "keys *** *** ***, {\"***\"}.",
        );
    }

    #[test]
    fn credentials_are_masked_in_all_forms() {
        check(&by_user(), "p\"<w&d p\\\"<w&d p&quot;&lt;w&amp;d p%22%3Cw%26d.", "*** *** *** ***.");
        let sent = STANDARD.encode("svc:p\"<w&d");
        check(&by_user(), &format!("Authorization: Basic {sent}\n"), "Authorization: Basic ***\n");
    }

    #[test]
    fn what_everybody_may_know_stays() {
        check(
            &by_user(),
            "api triggers functions recipients=payments-primary-team svc",
            "api triggers functions recipients=payments-primary-team svc",
        );
        check(&Secrets::default(), "nothing is secret here", "nothing is secret here");
    }

    #[test]
    fn the_beginning_of_a_secret_at_the_end_is_masked() {
        check(&by_user(), &format!("function {}", &ID[..10]), "function ***");
        check(&by_user(), "password p\"<w", "password ***");
        check(&by_user(), "password p\"<", "password p\"<");
    }

    #[test]
    fn nothing_shows_in_debug() {
        let shown = format!("{:?} {:?}", by_user(), by_key());
        assert!(shown.starts_with("Secrets("), "{shown}");
        assert!(!shown.contains(ID) && !shown.contains("p\""), "{shown}");
    }
}
