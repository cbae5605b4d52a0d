//! What the texts of a configuration must be. Each function's error follows `the value` in a problem: it
//! says what is wrong with it, and then what would be right.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use nightbell_amqp::BrokerUrl;
use nightbell_core::alert::KeyPart;
use nightbell_core::connector::Connector;
use nightbell_core::routing::Pattern;
use url::{Host, ParseError, Url};

use super::RateLimit;
use super::auth::AuthKind;
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
    not_empty(text)?;
    plain(text)
}

fn not_empty(text: &str) -> Result<(), String> {
    if text.trim().is_empty() { Err("is empty; write a text".into()) } else { Ok(()) }
}

/// A text that is shown, and so must be no trigger URL, nor another with credentials.
pub(super) fn plain(text: &str) -> Result<String, String> {
    if text.contains("PRIVATE KEY-----") {
        return Err(
            "is a private key, which would be shown; write the path of its file where it belongs".into()
        );
    }
    let is_secret = Url::parse(text).is_ok_and(|url| url.has_host() && (has_login(&url) || is_trigger(&url)));
    if is_secret {
        let wrong = "is a URL with a secret, which would be shown; write it where it belongs, as `trigger_url`, and \
                     replace the secret if anybody has seen it";
        return Err(wrong.into());
    }
    Ok(text.to_owned())
}

fn is_trigger(url: &Url) -> bool {
    let has_key = url.query_pairs().any(|(name, _)| name.eq_ignore_ascii_case("apiKey"));
    has_key || url.path().starts_with("/api/integration/")
}

/// A pattern of projects.
pub(super) fn pattern(text: &str) -> Result<String, String> {
    let wrong = "is no pattern; write a name with *, ?, [a-z] or {a,b}, like \"payments-*\"";
    text.parse::<Pattern>().map_err(|_| wrong.to_owned())?;
    filled(text)
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

/// A password, or a token that somebody else issued. Gives what may be shown of it.
pub(super) fn password(text: &str) -> Result<String, String> {
    not_empty(text)?;
    if text.contains(char::is_control) {
        return Err("has a line end or another control character; write it on one line, alone".into());
    }
    Ok(MASK.to_owned())
}

/// A user of HTTP basic authentication, where a colon ends the name.
pub(super) fn username(text: &str) -> Result<String, String> {
    if text.contains(|letter: char| letter == ':' || letter.is_control()) {
        return Err("has a colon, a line end or another control character; write the name alone".into());
    }
    filled(text)
}

/// A host's name or address alone, in lower case.
pub(super) fn host(text: &str) -> Result<String, String> {
    let wrong = "is no host; write a name or an address alone, without https://, port, path or *, like \
                 \"acme.xmatters.com\"";
    plain_host(text).map(|host| host.to_string()).ok_or_else(|| wrong.to_owned())
}

/// A host, the names below a suffix, or a range of addresses.
pub(super) fn bypass_host(text: &str) -> Result<String, String> {
    let range = |(address, bits): (&str, &str)| {
        let (address, bits): (IpAddr, u8) = (address.parse().ok()?, bits.parse().ok()?);
        (bits <= if address.is_ipv4() { 32 } else { 128 }).then(|| text.to_owned())
    };
    let read = match (text.split_once('/'), text.strip_prefix('.')) {
        (Some(parts), _) => range(parts),
        (None, Some(suffix)) => plain_host(suffix).map(|host| format!(".{host}")),
        (None, None) => plain_host(text).map(|host| host.to_string()),
    };
    let wrong = "is neither a host, nor a suffix like \".example.com\", nor a range like \"10.0.0.0/8\"; write one \
                 of them";
    read.ok_or_else(|| wrong.to_owned())
}

fn plain_host(text: &str) -> Option<Host> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(match address {
            IpAddr::V4(address) => Host::Ipv4(address),
            IpAddr::V6(address) => Host::Ipv6(address),
        });
    }
    let text = text.strip_suffix('.').unwrap_or(text);
    // The URL standard lets a name have an asterisk; here somebody means a pattern.
    Host::parse(text).ok().filter(|_| !text.contains('*'))
}

/// A PEM file with certificates. Its error follows the file's name in a problem.
pub(super) fn certificates(text: &str) -> Result<(), String> {
    if text.contains("-----BEGIN CERTIFICATE-----") {
        return Ok(());
    }
    Err("holds no certificate; it must be PEM, with `-----BEGIN CERTIFICATE-----`".into())
}

/// A PEM file with a private key. Its error follows the file's name in a problem.
pub(super) fn private_key(text: &str) -> Result<(), String> {
    if text.contains("ENCRYPTED") {
        return Err(
            "holds an encrypted key; decrypt it, as `openssl pkey` does, and let nobody else read it".into(),
        );
    }
    // PKCS #8, or one of the older forms that name the algorithm.
    if text.contains("PRIVATE KEY-----") {
        return Ok(());
    }
    Err("holds no private key; it must be PEM, with `-----BEGIN PRIVATE KEY-----`".into())
}

/// The URL of an HTTP proxy. Gives what may be shown of it, which is all.
pub(super) fn proxy_url(text: &str) -> Result<String, String> {
    let example = "http://proxy.example.com:3128";
    let url = whole_url(text, &["http", "https"], example)?;
    if has_login(&url) {
        return Err("has a user or a password; write them as `username` and `password` beside it".into());
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(format!("has more than a host and a port; write it like \"{example}\""));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// Where OAuth tokens are asked for. Gives what may be shown of it.
pub(super) fn token_url(text: &str, allow_insecure: bool) -> Result<String, String> {
    let url = whole_url(text, &["http", "https"], "https://acme.xmatters.com/api/xm/1/oauth2/token")?;
    if has_login(&url) {
        return Err("has a user or a password; write them as `username` and `password`".into());
    }
    encrypted_or_near(&url, allow_insecure)?;
    Ok(show_url(&url))
}

/// A text as TOML writes it.
pub(super) fn literal(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// A list of texts as TOML writes it.
pub(super) fn list(texts: &[impl AsRef<str>]) -> String {
    let shown: Vec<_> = texts.iter().map(|text| literal(text.as_ref())).collect();
    format!("[{}]", shown.join(", "))
}

/// The link that report paths are joined to. It goes into alerts, so it has no secrets.
pub(super) fn report_base_url(text: &str) -> Result<Url, String> {
    let url = whole_url(text, &["http", "https"], "https://reports.example.com")?;
    if has_login(&url) {
        return Err("has a user or a password, which every alert would show; write it without".into());
    }
    plain(text)?;
    Ok(url)
}

/// The trace collector's URL. Gives what may be shown of it.
pub(super) fn otlp_endpoint(text: &str) -> Result<String, String> {
    let url = whole_url(text, &["http", "https"], "http://127.0.0.1:4318")?;
    if has_login(&url) {
        let cure = "put what authenticates into OTEL_EXPORTER_OTLP_HEADERS";
        return Err(format!("has a user or a password; {cure}"));
    }
    can_be_added_to(&url, "/v1/traces")?;
    Ok(show_url(&url))
}

/// The broker's URL. Gives what may be shown of it.
pub(super) fn queue_url(text: &str) -> Result<String, String> {
    let example = "amqp://user:password@rabbitmq.example.com:5672/%2f";
    let apart = BrokerUrl::apart(text).map_err(|bad| format!("can't be used: {bad}"))?;
    let urls =
        apart.iter().map(|url| whole_url(url, &["amqp", "amqps"], example)).collect::<Result<Vec<_>, _>>()?;
    text.parse::<BrokerUrl>().map_err(|bad| format!("can't be used: {bad}"))?;
    let hosts: Vec<_> = urls.iter().map(show_host).collect();
    let login = if urls.iter().any(has_login) { format!("{MASK}@") } else { String::new() };
    Ok(format!("{}://{login}{}/{MASK}", urls[0].scheme(), hosts.join(",")))
}

/// Whether a broker's URL has a user or a password.
pub(super) fn has_queue_login(text: &str) -> bool {
    let urls = BrokerUrl::apart(text).unwrap_or_default();
    urls.iter().filter_map(|url| Url::parse(url).ok()).any(|url| has_login(&url))
}

/// The address of the broker's management page; plain http is allowed as plain AMQP is. Gives what may be shown of it.
pub(super) fn management_url(text: &str) -> Result<String, String> {
    let url = whole_url(text, &["http", "https"], "https://rabbitmq.example.com:15671")?;
    can_be_added_to(&url, "/api/queues")?;
    Ok(show_url(&url))
}

/// What a trigger URL must be, beyond a URL.
#[derive(Debug, Clone, Copy)]
pub(super) struct TriggerUrl {
    /// Whether it must carry an `apiKey` hangs on this.
    pub(super) auth: AuthKind,
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
        encrypted_or_near(&url, self.allow_insecure)?;
        let has_key =
            url.query_pairs().any(|(name, value)| name.eq_ignore_ascii_case("apiKey") && !value.is_empty());
        match (self.auth, has_key) {
            (AuthKind::Url, false) => {
                let wrong = "has no apiKey; copy the whole trigger URL with its `?apiKey=…`, or set `auth = \"basic\"`";
                Err(wrong.into())
            }
            (AuthKind::Basic | AuthKind::OAuth2, true) => {
                let word = self.auth.as_str();
                Err(format!(
                    "has an apiKey, which `auth = \"{word}\"` does not use; remove it, or set `auth = \"url\"`"
                ))
            }
            (AuthKind::Url, true) | (AuthKind::Basic | AuthKind::OAuth2, false) => Ok(show_url(&url)),
        }
    }
}

/// Refuses to send credentials unprotected through a public network.
fn encrypted_or_near(url: &Url, allow_insecure: bool) -> Result<(), String> {
    if url.scheme() != "http" || allow_insecure || is_near(url) {
        return Ok(());
    }
    let wrong = "is plain http to a host that is neither this machine nor a private address, so the key would travel \
                 unprotected; write https, or set `allow_insecure = true`";
    Err(wrong.into())
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

/// Whether a path can be put at its end.
fn can_be_added_to(url: &Url, path: &str) -> Result<(), String> {
    if url.query().is_none() && url.fragment().is_none() {
        return Ok(());
    }
    Err(format!("has a query or a fragment; write it without, since {path} is added to it"))
}

fn has_login(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// Scheme, host and port, and that there is more.
fn show_url(url: &Url) -> String {
    let login = if has_login(url) { format!("{MASK}@") } else { String::new() };
    format!("{}://{login}{}/{MASK}", url.scheme(), show_host(url))
}

fn show_host(url: &Url) -> String {
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    format!("{}{port}", url.host_str().unwrap_or_default())
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
