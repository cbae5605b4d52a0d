//! What the texts of a configuration must be, where no type of its own says so. Each function's error follows `the value` in a
//! problem: it says what is wrong with it, and then what would be right.

use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use nightbell_amqp::{BadUrl, BrokerUrl, Names};
use nightbell_core::alert::KeyPart;
use nightbell_core::connector::Connector;
use nightbell_core::pace::Rate;
use nightbell_core::priority::Priority;
use nightbell_core::routing::{BadPattern, Pattern};
use nightbell_xmatters::{WebUrl, host_and_port, is_trigger};
use secrecy::SecretString;
use url::Url;

use super::problem::nearest;

/// What is shown of a secret.
pub(super) const MASK: &str = "***";

/// The shortest token that is accepted, in characters.
const TOKEN_CHARS_MIN: usize = 16;

/// A text that is not empty.
pub(super) fn filled(text: &str) -> Result<String, String> {
    if text.trim().is_empty() { Err("is empty; write a text".into()) } else { Ok(text.to_owned()) }
}

/// Refuses a text that must not be shown, whatever it was meant to be: a trigger URL or a private key.
pub(super) fn check_no_secret(text: &str) -> Result<(), String> {
    if text.contains("PRIVATE KEY-----") {
        return Err(
            "is a private key, which would be shown; write the path of its file where it belongs".into()
        );
    }
    check_url(text, is_trigger)
}

/// Refuses a URL with a user or a password, which must not be shown.
pub(super) fn check_no_login(text: &str) -> Result<(), String> {
    check_url(text, |url| !url.username().is_empty() || url.password().is_some())
}

fn check_url(text: &str, is_secret: impl Fn(&Url) -> bool) -> Result<(), String> {
    if Url::parse(text).is_ok_and(|url| url.has_host() && is_secret(&url)) {
        let wrong = "is a URL with a secret, which would be shown; write it where it belongs, as `trigger_url`, and \
                     replace the secret if anybody has seen it";
        return Err(wrong.into());
    }
    Ok(())
}

/// A pattern of projects.
pub(super) fn pattern(text: &str) -> Result<Pattern, String> {
    filled(text)?;
    let cure = "write a name with *, ?, [a-z] or {a,b}, like \"payments-*\"";
    text.parse().map_err(|bad: BadPattern| format!("is no pattern ({}); {cure}", bad.problem()))
}

pub(super) fn connector(text: &str) -> Result<Connector, String> {
    let wrong = "is no connector name; write 1 to 32 of the characters a-z, 0-9 and -, like \"payments\"";
    text.parse().map_err(|_| wrong.to_owned())
}

/// One of a few, by its word.
pub(super) fn word<T: Copy>(text: &str, all: &[T], as_str: impl Fn(T) -> &'static str) -> Result<T, String> {
    let found = all.iter().find(|one| as_str(**one) == text);
    found.copied().ok_or_else(|| unknown(text, &all.iter().map(|one| as_str(*one)).collect::<Vec<_>>()))
}

/// A priority's word.
pub(super) fn priority(text: &str) -> Result<Priority, String> {
    text.parse().map_err(|_| unknown(text, &Priority::WORDS))
}

/// What is said of a word that is none of these.
fn unknown(text: &str, words: &[&str]) -> String {
    format!("is not known here; {}write one of \"{}\"", did_you_mean(text, words), words.join("\", \""))
}

/// A part of the alert key.
pub(super) fn key_part(text: &str) -> Result<KeyPart, String> {
    KeyPart::read(text).ok_or_else(|| {
        let (hint, all) = (did_you_mean(text, &KeyPart::WORDS), KeyPart::WORDS.join("\", \""));
        format!("is no part of an alert key; {hint}write some of \"{all}\", or \"labels.NAME\"")
    })
}

fn did_you_mean(text: &str, words: &[&str]) -> String {
    nearest(text, words.iter().copied()).map_or_else(String::new, |near| format!("did you mean \"{near}\"? "))
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
pub(super) fn rate_limit(text: &str) -> Result<Option<Rate>, String> {
    if text == "none" {
        return Ok(None);
    }
    let wrong = "is no rate; write \"none\", or a number by s, min or h, like \"4/min\"";
    text.parse().map(Some).map_err(|_| wrong.to_owned())
}

pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let wrong = "is no address to listen on; write an IP address and a port, like \"127.0.0.1:9464\"";
    text.parse().map_err(|_| wrong.to_owned())
}

/// The names that begin with a prefix.
pub(super) fn prefix(text: &str) -> Result<Names, String> {
    let cure = "write 1 to 64 of the characters a-z, A-Z, 0-9, ., _ and -, which do not begin with amq.";
    Names::new(text).map_err(|_| format!("is no prefix; {cure}"))
}

/// A text of which nothing is shown.
pub(super) struct Token(pub(super) SecretString);

impl fmt::Display for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(MASK)
    }
}

/// A token that a client must present.
pub(super) fn token(text: &str) -> Result<Token, String> {
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
    Ok(Token(text.into()))
}

/// A text as TOML writes it.
pub(super) fn literal(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// A list of texts as TOML writes it.
pub(super) fn list<T: fmt::Display>(texts: impl IntoIterator<Item = T>) -> String {
    let shown: Vec<_> = texts.into_iter().map(|text| literal(&text.to_string())).collect();
    format!("[{}]", shown.join(", "))
}

/// The trace collector's URL.
pub(super) fn otlp_endpoint(text: &str) -> Result<WebUrl, String> {
    let url = extensible(text, "http://127.0.0.1:4318", "/v1/traces")?;
    if url.has_login() {
        return Err("has a user or a password; put what authenticates into OTEL_EXPORTER_OTLP_HEADERS".into());
    }
    Ok(url)
}

/// The address of the broker's management page; plain http is allowed as plain AMQP is.
pub(super) fn management_url(text: &str) -> Result<WebUrl, String> {
    extensible(text, "https://rabbitmq.example.com:15671", "/api/queues")
}

/// A URL to which a path can be added.
fn extensible(text: &str, example: &str, path: &str) -> Result<WebUrl, String> {
    let url = WebUrl::read(text, example).map_err(|misfit| misfit.to_string())?;
    if !url.ends_with_path() {
        return Err(format!("has a query or a fragment; write it without, since {path} is added to it"));
    }
    Ok(url)
}

/// The broker's URL, and what may be shown of it.
pub(super) struct QueueUrl {
    pub(super) url: BrokerUrl,
    /// Whether it has a user or a password.
    pub(super) has_login: bool,
    shown: String,
}

impl fmt::Display for QueueUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.shown)
    }
}

/// The broker's URL.
pub(super) fn queue_url(text: &str) -> Result<QueueUrl, String> {
    let cure = "write a whole URL, like \"amqp://user:password@rabbitmq.example.com:5672/%2f\"";
    let unfit = |bad: BadUrl| match bad {
        BadUrl::NotAUrl(why) => format!("is no URL ({why}); {cure}"),
        BadUrl::Scheme(_) => format!("begins neither with amqp:// nor with amqps://; {cure}"),
        BadUrl::NoHost => format!("has no host; {cure}"),
        BadUrl::Login | BadUrl::Escape | BadUrl::Hosts | BadUrl::Parameter(_) | BadUrl::Part(_) => {
            format!("can't be used: {bad}")
        }
    };
    let url: BrokerUrl = text.parse().map_err(unfit)?;
    let each: Vec<_> = BrokerUrl::apart(text).unwrap_or_default();
    let each: Vec<_> = each.iter().filter_map(|url| Url::parse(url).ok()).collect();
    let has_login = each.iter().any(|url| !url.username().is_empty() || url.password().is_some());
    let (login, hosts) = (if has_login { "***@" } else { "" }, each.iter().map(host_and_port));
    let scheme = if url.is_tls() { "amqps" } else { "amqp" };
    let shown = format!("{scheme}://{login}{}/{MASK}", hosts.collect::<Vec<_>>().join(","));
    Ok(QueueUrl { url, has_login, shown })
}
