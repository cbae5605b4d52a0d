//! The broker's URL: read once, then carried without ever being shown whole.

use std::fmt;
use std::str::FromStr;

use lapin::tcp::{OwnedIdentity, OwnedTLSConfig};
use lapin::uri::{AMQPScheme, AMQPUri, AMQPUserInfo};
use secrecy::{ExposeSecret, SecretString};
use url::{ParseError, Url};

use crate::limits::HEARTBEAT_SECONDS;

/// The parameters that the URL's query may give.
const PARAMETERS: [&str; 4] = ["heartbeat", "frame_max", "channel_max", "auth_mechanism"];

/// The most hosts that one URL may name.
const HOSTS_MAX: usize = 16;

/// A broker's URL: `amqp://` or `amqps://`, with a host or several, and with what TLS needs. It holds a password: `Debug`
/// and `Display` show the scheme, hosts, ports and virtual host only.
#[derive(Clone)]
pub struct BrokerUrl {
    /// With the first host.
    uri: AMQPUri,
    /// At least one.
    hosts: Vec<Host>,
    tls: BrokerTls,
}

/// A host and its port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// A name or an address.
    pub name: String,
    /// The port.
    pub port: u16,
}

/// What a broker with TLS is shown, and what it must show. All are PEM texts.
#[derive(Clone, Default)]
pub struct BrokerTls {
    /// Certificates of authorities to trust besides the system's.
    pub ca: Option<String>,
    /// Our certificate with those between it and its authority, and its key.
    pub client: Option<(String, SecretString)>,
}

/// A text that is no broker URL. The text itself is not kept, since it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// It is no URL at all.
    #[error("it is no URL ({0}); one looks like amqp://user:password@host:5672/%2f")]
    NotAUrl(String),
    /// Its scheme is another.
    #[error("its scheme is `{0}`; it must be `amqp` or `amqps`")]
    Scheme(String),
    /// What comes before the host can't be told from what comes after it. What it is may be a part of a password.
    #[error(
        "it has an `@` after its first `/`, `?` or `#`; in a user or a password write / as %2F, ? as %3F, # as %23 and % as \
         %25, or write them as `queue.username` and `queue.password`, as they are; in a virtual host write @ as %40"
    )]
    Login,
    /// A percent sign that begins no escape.
    #[error(
        "a % in its user, password or virtual host begins no character; write % itself as %25, or user and password as \
         `queue.username` and `queue.password`, as they are"
    )]
    Escape,
    /// It names too many hosts.
    #[error("it names more than {HOSTS_MAX} hosts")]
    Hosts,
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

    /// The hosts, in the URL's order.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The virtual host.
    #[must_use]
    pub fn vhost(&self) -> &str {
        &self.uri.vhost
    }

    /// `host:port`, with commas between several, for messages.
    #[must_use]
    pub fn place(&self) -> String {
        self.hosts.iter().map(Host::to_string).collect::<Vec<_>>().join(",")
    }

    /// The same broker with another user.
    #[must_use]
    pub fn with_login(mut self, username: String, password: &SecretString) -> Self {
        let password = password.expose_secret().to_owned();
        self.uri.authority.userinfo = AMQPUserInfo { username, password };
        self
    }

    /// The same broker with what its TLS needs.
    #[must_use]
    pub fn with_tls(mut self, tls: BrokerTls) -> Self {
        self.tls = tls;
        self
    }

    /// Takes a URL of several hosts apart, into one URL for each; what is no URL comes back as it is. RabbitMQ's clients
    /// write them so: `amqp://user:password@one:5672,two:5672/%2f`.
    ///
    /// # Errors
    /// [`BadUrl::Login`], [`BadUrl::Hosts`].
    pub fn apart(text: &str) -> Result<Vec<String>, BadUrl> {
        let Some((scheme, rest)) = text.split_once("://") else { return Ok(vec![text.to_owned()]) };
        let (authority, after) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if after.contains('@') {
            return Err(BadUrl::Login);
        }
        let (login, hosts) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
        if hosts.split(',').count() > HOSTS_MAX {
            return Err(BadUrl::Hosts);
        }
        Ok(hosts.split(',').map(|host| format!("{scheme}://{login}{}{after}", host.trim())).collect())
    }

    pub(crate) fn has_client_certificate(&self) -> bool {
        self.tls.client.is_some()
    }

    pub(crate) fn tls_config(&self) -> OwnedTLSConfig {
        let identity = self.tls.client.as_ref().map(|(chain, key)| OwnedIdentity::PKCS8 {
            pem: chain.clone().into_bytes(),
            key: key.expose_secret().as_bytes().to_vec(),
        });
        OwnedTLSConfig { identity, cert_chain: self.tls.ca.clone() }
    }

    /// With the first host.
    pub(crate) fn uri(&self) -> AMQPUri {
        self.uri.clone()
    }

    /// Whether it begins with `amqps://`.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.uri.scheme == AMQPScheme::AMQPS
    }
}

impl fmt::Display for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, port } = self;
        if name.contains(':') { write!(out, "[{name}]:{port}") } else { write!(out, "{name}:{port}") }
    }
}

impl FromStr for BrokerUrl {
    type Err = BadUrl;

    fn from_str(text: &str) -> Result<Self, BadUrl> {
        let uris = Self::apart(text)?.iter().map(|url| read(url)).collect::<Result<Vec<_>, _>>()?;
        let host = |uri: &AMQPUri| Host { name: uri.authority.host.clone(), port: uri.authority.port };
        let hosts = uris.iter().map(host).collect();
        let uri = uris.into_iter().next().ok_or(BadUrl::NoHost)?;
        Ok(Self { uri, hosts, tls: BrokerTls::default() })
    }
}

/// Reads a URL of one host.
fn read(text: &str) -> Result<AMQPUri, BadUrl> {
    let url = Url::parse(text).map_err(|cause| {
        if cause == ParseError::EmptyHost { BadUrl::NoHost } else { BadUrl::NotAUrl(cause.to_string()) }
    })?;
    if !matches!(url.scheme(), "amqp" | "amqps") {
        return Err(BadUrl::Scheme(url.scheme().to_owned()));
    }
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or(BadUrl::NoHost)?;
    if let Some((name, _)) = url.query_pairs().find(|(name, _)| !PARAMETERS.contains(&name.as_ref())) {
        return Err(BadUrl::Parameter(name.chars().take(40).collect()));
    }
    let part = |cause: String| if cause.contains("utf-8") { BadUrl::Escape } else { BadUrl::Part(cause) };
    let mut uri: AMQPUri = text.parse().map_err(part)?;
    // lapin's reader takes an IPv6 address for a missing host, and then for localhost.
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        uri.authority.host = address.to_owned();
    }
    // A bare `/` would be the virtual host without a name, which nobody has.
    if uri.vhost.is_empty() {
        uri.vhost = "/".to_owned();
    }
    uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
    Ok(uri)
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}://{} virtual host {}", self.uri.scheme, self.place(), self.uri.vhost)
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
    fn a_url_names_several_hosts_as_rabbitmqs_clients_write_them() {
        check("amqp://u:p,w@one,two:1234,[::1]:9/%2f", "one:5672,two:1234,[::1]:9", "/");
        refused("amqp://u:p@one,/%2f", &BadUrl::NoHost);
        refused(&format!("amqp://{}", ["h"; 17].join(",")), &BadUrl::Hosts);
    }

    #[test]
    fn a_password_that_breaks_the_url_is_told_so_and_not_shown() {
        for text in [
            "amqp://u:1234/hunter@h",
            "amqp://u:hun#ter@h:5672/%2f",
            "amqps://u:hun?ter@h",
            "amqp://h/a@hunter",
            "amqp://u:hun%ffter@h",
        ] {
            let refusal = text.parse::<BrokerUrl>().unwrap_err();
            let shown = format!("{refusal}{refusal:?}");
            assert!(!shown.contains("hun") && !shown.contains("1234"), "{shown}");
            assert!(refusal.to_string().contains("`queue.password`"), "{refusal}");
        }
    }

    #[test]
    fn a_user_and_a_password_of_their_own_need_no_escaping() {
        let url: BrokerUrl = "amqp://h".parse().unwrap();
        let url = url.with_login("u".to_owned(), &SecretString::from("a/b%41#c@?:"));
        assert_eq!(url.uri().authority.userinfo.password, "a/b%41#c@?:");
        assert!(!format!("{url:?}").contains("%41"));
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
