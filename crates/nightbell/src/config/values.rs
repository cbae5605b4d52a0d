//! What the texts of a configuration must be. Each function's error follows the quoted value in a problem: it
//! says what is wrong with it, and then what would be right.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use nightbell_core::alert::KeyPart;
use nightbell_core::connector::Connector;
use url::{Host, ParseError, Url};

use super::RateLimit;
use super::problem::nearest;

/// What is shown of a secret.
pub(super) const MASK: &str = "***";

/// The shortest token that is accepted, in characters.
const TOKEN_CHARS_MIN: usize = 16;

/// The longest queue prefix: a queue's name has 255 bytes at most, and a connector's name and our own words
/// follow.
const PREFIX_CHARS_MAX: usize = 64;

/// A text that is not empty.
pub(super) fn filled(text: &str) -> Result<String, String> {
    if text.trim().is_empty() { Err("is empty; write a text".into()) } else { Ok(text.to_owned()) }
}

pub(super) fn connector(text: &str) -> Result<Connector, String> {
    let wrong = "is no connector name; write 1 to 32 of the characters a-z, 0-9 and -, like \"payments\"";
    text.parse().map_err(|_| wrong.to_owned())
}

/// One of a few words.
pub(super) fn word<T: Copy>(text: &str, choices: &[(&'static str, T)]) -> Result<T, String> {
    if let Some((_, meaning)) = choices.iter().find(|(word, _)| *word == text) {
        return Ok(*meaning);
    }
    let words = || choices.iter().map(|(word, _)| *word);
    let all = words().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
    Err(format!("is not known here; {}write one of {all}", did_you_mean(text, words())))
}

/// A part of the alert key.
pub(super) fn key_part(text: &str) -> Result<KeyPart, String> {
    KeyPart::read(text).ok_or_else(|| {
        let all = KeyPart::WORDS.join("\", \"");
        let hint = did_you_mean(text, KeyPart::WORDS);
        format!("is no part of an alert key; {hint}write some of \"{all}\", or \"labels.NAME\"")
    })
}

fn did_you_mean<'c>(text: &str, candidates: impl IntoIterator<Item = &'c str>) -> String {
    nearest(text, candidates).map_or_else(String::new, |near| format!("did you mean \"{near}\"? "))
}

/// A duration within bounds.
pub(super) fn duration(text: &str, range: &RangeInclusive<Duration>) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text)
        .ok()
        // A bare zero would pass without its unit.
        .filter(|_| text.contains(char::is_alphabetic))
        .ok_or("is no duration; write a number with a unit, like \"15s\", \"10m\", \"24h\" or \"7d\"")?;
    let (least, most) = (show_duration(*range.start()), show_duration(*range.end()));
    if duration < *range.start() {
        return Err(format!("is too short; write at least \"{least}\" and at most \"{most}\""));
    }
    if duration > *range.end() {
        return Err(format!("is too long; write at most \"{most}\" and at least \"{least}\""));
    }
    Ok(duration)
}

/// A duration as a number of its largest unit that leaves no rest.
pub(super) fn show_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if duration.subsec_millis() > 0 {
        return format!("{}ms", duration.as_millis());
    }
    let units = [(86_400, 'd'), (3_600, 'h'), (60, 'm')];
    match units.iter().find(|(unit, _)| seconds > 0 && seconds.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{}{name}", seconds / unit),
        None => format!("{seconds}s"),
    }
}

/// `none`, or a number by time.
pub(super) fn rate_limit(text: &str) -> Result<Option<RateLimit>, String> {
    if text == "none" {
        return Ok(None);
    }
    let read = || {
        let (count, unit) = text.split_once('/')?;
        let per = match unit.trim() {
            "s" => Duration::from_secs(1),
            "min" => Duration::from_secs(60),
            "h" => Duration::from_secs(3_600),
            _ => return None,
        };
        let count = count.trim().parse().ok().filter(|count| *count > 0)?;
        Some(RateLimit { count, per })
    };
    let wrong = "is no rate; write \"none\", or a number by s, min or h, like \"4/min\"";
    read().map(Some).ok_or_else(|| wrong.to_owned())
}

pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let wrong = "is no address to listen on; write an IP address and a port, like \"127.0.0.1:9464\"";
    text.parse().map_err(|_| wrong.to_owned())
}

pub(super) fn prefix(text: &str) -> Result<String, String> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-');
    if !text.is_empty() && text.len() <= PREFIX_CHARS_MAX && text.chars().all(allowed) {
        return Ok(text.to_owned());
    }
    Err(format!("is no prefix; write 1 to {PREFIX_CHARS_MAX} of the characters a-z, A-Z, 0-9, ., _ and -"))
}

/// A token that a client must present. Gives what may be shown of it.
pub(super) fn token(text: &str) -> Result<String, String> {
    if text.chars().count() < TOKEN_CHARS_MIN {
        return Err(format!(
            "is too short; write at least {TOKEN_CHARS_MIN} characters, at best random ones"
        ));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let wrong =
            "has a character that no HTTP header carries; write visible ASCII characters without blanks";
        return Err(wrong.to_owned());
    }
    Ok(MASK.to_owned())
}

/// A password. Gives what may be shown of it.
pub(super) fn password(text: &str) -> Result<String, String> {
    filled(text).map(|_| MASK.to_owned())
}

/// The link that report paths are joined to. It goes into alerts, so it has no secrets.
pub(super) fn report_base_url(text: &str) -> Result<Url, String> {
    let url = whole_url(text, &["http", "https"], "https://reports.example.com")?;
    if has_login(&url) {
        return Err("has a user or a password, which every alert would show; write it without".into());
    }
    Ok(url)
}

/// The broker's URL. Gives what may be shown of it.
pub(super) fn queue_url(text: &str) -> Result<String, String> {
    let url = whole_url(text, &["amqp", "amqps"], "amqp://user:password@rabbitmq.example.com:5672/%2f")?;
    Ok(show_url(&url))
}

/// What a trigger URL must be, beyond a URL.
#[derive(Debug, Clone, Copy)]
pub(super) struct TriggerUrl {
    /// Whether it must carry an `apiKey`; if not, it must have none.
    pub(super) with_key: bool,
    /// Whether plain http is allowed to any host.
    pub(super) allow_insecure: bool,
}

impl TriggerUrl {
    /// Checks a trigger URL. Gives what may be shown of it.
    pub(super) fn check(self, text: &str) -> Result<String, String> {
        let example = "https://acme.xmatters.com/api/integration/1/functions/UUID/triggers";
        let url = whole_url(text, &["http", "https"], example)?;
        if has_login(&url) {
            return Err("has a user or a password; write them as `username` and `password`".into());
        }
        if url.scheme() == "http" && !self.allow_insecure && !is_near(&url) {
            let wrong = "is plain http to a host that is neither this machine nor a private address, so the key \
                         would travel unprotected; write https, or set `allow_insecure = true`";
            return Err(wrong.into());
        }
        let has_key =
            url.query_pairs().any(|(name, value)| name.eq_ignore_ascii_case("apiKey") && !value.is_empty());
        match (self.with_key, has_key) {
            (true, false) => {
                Err("has no apiKey; copy the whole trigger URL with its `?apiKey=…`, or set `auth = \
                                  \"basic\"`"
                    .into())
            }
            (false, true) => {
                Err("has an apiKey, which `auth = \"basic\"` does not use; remove it, or set `auth = \
                                  \"url\"`"
                    .into())
            }
            (true, true) | (false, false) => Ok(show_url(&url)),
        }
    }
}

/// A URL with a host and one of these schemes.
fn whole_url(text: &str, schemes: &[&str], example: &str) -> Result<Url, String> {
    let cure = format!("write a whole URL, like \"{example}\"");
    let url = Url::parse(text).map_err(|error| {
        if error == ParseError::EmptyHost {
            format!("has no host; {cure}")
        } else if error == ParseError::InvalidPort {
            let hint = "with /, # and ? in a user or password percent-encoded";
            format!("has a port that is no number; {cure}, {hint}")
        } else {
            format!("is no URL ({error}); {cure}")
        }
    })?;
    if !schemes.contains(&url.scheme()) {
        return Err(format!("begins neither with {}://; {cure}", schemes.join(":// nor with ")));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(format!("has no host; {cure}"));
    }
    Ok(url)
}

fn has_login(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// Scheme, host and port, and that there is more.
fn show_url(url: &Url) -> String {
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    let login = if has_login(url) { format!("{MASK}@") } else { String::new() };
    format!("{}://{login}{}{port}/{MASK}", url.scheme(), url.host_str().unwrap_or_default())
}

/// Whether a URL leads to this machine or to a private address.
fn is_near(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_private() || address.is_link_local(),
        Some(Host::Ipv6(address)) => match address.to_canonical() {
            IpAddr::V4(address) => address.is_loopback() || address.is_private() || address.is_link_local(),
            IpAddr::V6(address) => {
                address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
            }
        },
        None => false,
    }
}
