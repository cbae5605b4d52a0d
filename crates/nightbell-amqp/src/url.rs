//! The broker's URL: read once, then carried without ever being shown whole.

use std::fmt;
use std::str::FromStr;

use lapin::uri::{AMQPScheme, AMQPUri};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::limits::HEARTBEAT_SECONDS;

/// The parameters that the URL's query may give.
const PARAMETERS: [&str; 4] = ["heartbeat", "frame_max", "channel_max", "auth_mechanism"];

/// A broker's URL: `amqp://` or `amqps://`, with a host. It holds a password: `Debug` and `Display` show the
/// scheme, host, port and virtual host only.
#[derive(Clone, PartialEq, Eq)]
pub struct BrokerUrl(AMQPUri);

/// A text that is no broker URL. The text itself is not kept, since it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// It is no URL at all.
    #[error("it is no URL ({0}); one looks like amqp://user:password@host:5672/%2f")]
    NotAUrl(String),
    /// Its scheme is another.
    #[error("its scheme is `{0}`; it must be `amqp` or `amqps`")]
    Scheme(String),
    /// It names no host.
    #[error("it names no host; a URL looks like amqp://user:password@host:5672/%2f")]
    NoHost,
    /// A parameter of its query is unknown.
    #[error("its parameter `{0}` is unknown; known are heartbeat, frame_max, channel_max and auth_mechanism")]
    Parameter(String),
    /// A part of it does not fit.
    #[error("a part of it does not fit: {0}")]
    Part(String),
}

impl BrokerUrl {
    /// Reads a secret.
    ///
    /// # Errors
    /// [`BadUrl`], as [`BrokerUrl::from_str`].
    pub fn read(secret: &SecretString) -> Result<Self, BadUrl> {
        secret.expose_secret().parse()
    }

    /// The host: a name or an address.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.0.authority.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.authority.port
    }

    /// The virtual host.
    #[must_use]
    pub fn vhost(&self) -> &str {
        &self.0.vhost
    }

    /// `host:port`, for messages.
    #[must_use]
    pub fn place(&self) -> String {
        let (host, port) = (self.host(), self.port());
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    pub(crate) fn uri(&self) -> AMQPUri {
        self.0.clone()
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.0.scheme == AMQPScheme::AMQPS
    }
}

impl FromStr for BrokerUrl {
    type Err = BadUrl;

    fn from_str(text: &str) -> Result<Self, BadUrl> {
        let url = Url::parse(text).map_err(|cause| BadUrl::NotAUrl(cause.to_string()))?;
        if !matches!(url.scheme(), "amqp" | "amqps") {
            return Err(BadUrl::Scheme(url.scheme().to_owned()));
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(BadUrl::NoHost)?;
        if let Some((name, _)) = url.query_pairs().find(|(name, _)| !PARAMETERS.contains(&name.as_ref())) {
            return Err(BadUrl::Parameter(name.chars().take(40).collect()));
        }
        let mut uri: AMQPUri = text.parse().map_err(BadUrl::Part)?;
        // lapin's reader takes an IPv6 address for a missing host, and then for localhost.
        if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            uri.authority.host = address.to_owned();
        }
        // A bare `/` would be the virtual host without a name, which nobody has.
        if uri.vhost.is_empty() {
            uri.vhost = "/".to_owned();
        }
        uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
        Ok(Self(uri))
    }
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}://{} virtual host {}", self.0.scheme, self.place(), self.0.vhost)
    }
}

impl fmt::Debug for BrokerUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "BrokerUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, place: &str, vhost: &str) {
        let url: BrokerUrl = text.parse().unwrap();
        assert_eq!((url.place().as_str(), url.vhost()), (place, vhost), "{text}");
    }

    #[test]
    fn host_port_and_virtual_host_are_read_with_their_defaults() {
        check("amqp://broker", "broker:5672", "/");
        check("amqp://broker/", "broker:5672", "/");
        check("amqp://u:p@127.0.0.1:1234/%2f", "127.0.0.1:1234", "/");
        check("amqps://broker/orders", "broker:5671", "orders");
        check("amqp://[::1]:5673/a%2fb", "[::1]:5673", "a/b");
    }

    #[track_caller]
    fn refused(text: &str, want: &BadUrl) {
        assert_eq!(text.parse::<BrokerUrl>().unwrap_err(), *want, "{text}");
    }

    #[test]
    fn a_url_needs_the_right_scheme_a_host_and_known_parameters() {
        refused("http://broker", &BadUrl::Scheme("http".into()));
        refused("amqp:///vhost", &BadUrl::NoHost);
        refused("amqp:broker", &BadUrl::NoHost);
        refused("amqps://broker?verify=none", &BadUrl::Parameter("verify".into()));
        assert!(matches!("broker:x y".parse::<BrokerUrl>(), Err(BadUrl::Scheme(_) | BadUrl::NotAUrl(_))));
        assert!(matches!("amqp://broker?heartbeat=soon".parse::<BrokerUrl>(), Err(BadUrl::Part(_))));
    }

    #[test]
    fn the_user_and_the_password_are_never_shown() {
        let url: BrokerUrl = "amqp://nightbell:hunter2@broker:5672/%2f?heartbeat=7".parse().unwrap();
        for shown in [format!("{url}"), format!("{url:?}"), format!("{:?}", Some(&url))] {
            assert!(!shown.contains("hunter2") && !shown.contains("nightbell"), "{shown}");
            assert!(shown.contains("broker:5672"), "{shown}");
        }
        assert_eq!(url.uri().query.heartbeat, Some(7));
    }

    #[test]
    fn a_bad_url_is_refused_without_repeating_it() {
        for text in ["amqp://u:hunter2@", "http://u:hunter2@h", "amqp://u:hunter2@h:99999", "hunter2"] {
            let refusal = text.parse::<BrokerUrl>().unwrap_err();
            assert!(!format!("{refusal}{refusal:?}").contains("hunter2"), "{refusal}");
        }
    }
}
