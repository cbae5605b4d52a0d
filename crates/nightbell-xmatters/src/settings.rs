//! How one destination is set up, and what can be wrong with that.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use nightbell_core::priority::Priorities;
use secrecy::SecretString;

use crate::network::Network;
use crate::template::Template;

/// How long one attempt may take unless the settings say otherwise, from connecting to the answer's last byte.
pub const TIMEOUT: Duration = Duration::from_secs(15);

/// How long connecting may take unless the settings say otherwise.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// One destination. `Debug` shows neither the trigger URL nor the password.
#[derive(Debug, Clone)]
pub struct DestinationSettings {
    /// The URL of the inbound trigger. With [`Auth::Url`] it holds the key; it is a secret in any case.
    pub trigger_url: SecretString,
    /// How we say who we are.
    pub auth: Auth,
    /// Users, groups, or devices as `user|device`. Empty: the flow behind the trigger knows them.
    pub recipients: Vec<String>,
    /// What the body looks like.
    pub payload: Payload,
    /// The priority of every severity, for the payloads that carry one.
    pub priorities: Priorities,
    /// How long one attempt may take, from connecting to the answer's last byte.
    pub timeout: Duration,
    /// How long connecting may take, the TLS handshake included; never longer than `timeout`.
    pub connect_timeout: Duration,
    /// Where an event's `report_path` is looked up: a URL without query and fragment.
    pub report_base_url: Option<String>,
    /// Lets `http://` go to any host, not only to this machine and private addresses.
    pub allow_insecure: bool,
    /// The way there.
    pub network: Network,
}

/// How we say who we are.
#[derive(Debug, Clone)]
pub enum Auth {
    /// HTTP Basic: a user, or an API key with its secret.
    Basic {
        /// The user, or the API key.
        username: String,
        /// The password, or the API key's secret.
        password: SecretString,
    },
    /// The trigger URL's query has the `apiKey`.
    Url,
    /// A token, which is asked for when it is needed.
    OAuth2(OAuth2),
}

/// How tokens are asked for.
#[derive(Debug, Clone)]
pub struct OAuth2 {
    /// Where; none: at `/api/xm/1/oauth2/token` of the trigger's host.
    pub token_url: Option<SecretString>,
    /// The client's id.
    pub client_id: String,
    /// What for.
    pub grant: Grant,
}

/// What a token is given for.
#[derive(Debug, Clone)]
pub enum Grant {
    /// A user and the user's password, each time.
    Password {
        /// The user.
        username: String,
        /// The user's password.
        password: SecretString,
    },
    /// A refresh token. One that is good for a single use is replaced, in memory, by the one that comes with the
    /// answer; after a restart this one is used again.
    Refresh {
        /// The refresh token.
        token: SecretString,
    },
}

/// What the body looks like.
#[derive(Debug, Clone, Default)]
pub enum Payload {
    /// `properties`, `recipients` and `priority`, as xMatters' own forms take them.
    #[default]
    Form,
    /// The flat keys of xMatters' trigger for Elastic alerts, as Kibana's connector sends them. Recipients and priority
    /// are the flow's affair.
    Elastic,
    /// `Summary`, `Message` and `Recipients`, as API Fortress's connector sends them. There is no priority.
    ApiFortress,
    /// The user's own.
    Template(Template),
}

impl DestinationSettings {
    /// A destination with the defaults for all that is optional.
    #[must_use]
    pub fn new(trigger_url: impl Into<SecretString>, auth: Auth) -> Self {
        Self {
            trigger_url: trigger_url.into(),
            auth,
            recipients: Vec::new(),
            payload: Payload::default(),
            priorities: Priorities::default(),
            timeout: TIMEOUT,
            connect_timeout: CONNECT_TIMEOUT,
            report_base_url: None,
            allow_insecure: false,
            network: Network::default(),
        }
    }
}

/// Why a destination can't be used. No text repeats the URL.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// It is no URL.
    #[error(
        "the trigger URL is not a URL; it looks like https://COMPANY.xmatters.com/api/integration/1/functions/ID/triggers"
    )]
    NotAUrl {
        /// What the parser says.
        source: url::ParseError,
    },
    /// It is no URL of the web.
    #[error("the trigger URL begins with neither https:// nor http://")]
    Scheme,
    /// It names no host.
    #[error("the trigger URL has no host")]
    NoHost,
    /// It has a user or a password before the host.
    #[error("the trigger URL has credentials before the host; set them as username and password instead")]
    Credentials,
    /// It has a `#`, after which nothing is ever sent.
    #[error(
        "the trigger URL has a `#`, and what follows it would not be sent; write %23 if it belongs to the key"
    )]
    Fragment,
    /// The key is expected in the URL and is not there.
    #[error("the trigger URL has no apiKey; copy the whole URL with its key, or use basic authentication")]
    NoApiKey,
    /// The URL has a key although a user is set.
    #[error("the trigger URL has an apiKey although authentication is basic; use one of them")]
    ApiKeyAndUser,
    /// It would send secrets in the clear over a public network.
    #[error("the trigger URL begins with http:// and leads to a host that is not local; use https://")]
    Insecure,
    /// HTTP Basic can't carry this user.
    #[error("the username is empty, or has a colon or a control character in it")]
    Username,
    /// HTTP Basic can't carry this password.
    #[error("the password is empty, or has a control character in it; does it end with a line end?")]
    Password,
    /// No attempt could ever succeed.
    #[error("the timeout and the connect timeout must be longer than 0 s")]
    ZeroTimeout,
    /// No link could be made of it.
    #[error(
        "the report base URL is not a URL that begins with https:// or http://, names a host and has neither \
         credentials, a query nor a fragment"
    )]
    ReportBaseUrl,
    /// The URL has a key although tokens are used.
    #[error("the trigger URL has an apiKey although authentication is oauth2; use one of them")]
    ApiKeyAndToken,
    /// No token is given to nobody.
    #[error("the client_id is empty, or has a control character in it")]
    ClientId,
    /// It can't be a refresh token.
    #[error("the refresh token is empty, or has a control character in it; does it end with a line end?")]
    RefreshToken,
    /// Nothing can be asked for there.
    #[error(
        "the token URL is not a URL that begins with https:// or http://, names a host and has neither credentials \
         nor a fragment"
    )]
    TokenUrl,
    /// It would send the password in the clear over a public network.
    #[error("the token URL begins with http:// and leads to a host that is not local; use https://")]
    InsecureToken,
    /// The trigger's host must not be sent to.
    #[error("the trigger URL's host is not in allowed_hosts, which lists exact names")]
    HostNotAllowed,
    /// The token endpoint's host must not be sent to.
    #[error("the token URL's host is not in allowed_hosts, which lists exact names")]
    TokenHostNotAllowed,
    /// An entry of a list of hosts can't be read. It is not repeated: somebody may have put the whole URL there.
    #[error(
        "entry {position} of {list} is not a host name or address by itself, without scheme, port or `*`"
    )]
    BadHostName {
        /// The list.
        list: &'static str,
        /// The place in it, from 1.
        position: usize,
    },
    /// The answer's status alone would be known.
    #[error("response_bytes_max must be at least 1")]
    NoResponse,
    /// It leads to no proxy.
    #[error(
        "the proxy's URL is not http:// or https:// with host and port alone; credentials are set beside it"
    )]
    ProxyUrl,
    /// HTTP Basic needs both.
    #[error("the proxy has only one of username and password")]
    HalfProxyCredentials,
    /// HTTP Basic can't carry this user.
    #[error("the proxy's username is empty, or has a colon or a control character in it")]
    ProxyUsername,
    /// HTTP Basic can't carry this password.
    #[error("the proxy's password is empty, or has a control character in it; does it end with a line end?")]
    ProxyPassword,
    /// The environment asks for a proxy that we can't use.
    #[error(
        "the proxy of the environment (HTTPS_PROXY, HTTP_PROXY or ALL_PROXY) is not an http:// or https:// URL with \
         host and port alone"
    )]
    EnvironmentProxy,
    /// A PEM file can't be read.
    #[error("cannot read {file}")]
    Unreadable {
        /// The file.
        file: Arc<str>,
        /// What the system says.
        source: io::Error,
    },
    /// A PEM file is broken.
    #[error("{file} is broken: its certificate or key is not whole PEM")]
    BadPem {
        /// The file.
        file: Arc<str>,
    },
    /// A PEM file is empty, or something else.
    #[error("{file} has no certificate in PEM form")]
    NoCertificate {
        /// The file.
        file: Arc<str>,
    },
    /// A PEM file has no key that we could use.
    #[error("{file} has no private key in PEM form (PKCS#8, PKCS#1 or SEC1, not encrypted)")]
    NoKey {
        /// The file.
        file: Arc<str>,
    },
    /// The key is another certificate's.
    #[error(
        "the private key in {file} does not belong to the certificate, which has to come first in its chain"
    )]
    KeyMismatch {
        /// The file.
        file: Arc<str>,
    },
    /// The certificate or its key is of a kind that we can't use.
    #[error("the client certificate in {file} cannot be used")]
    BadClientCertificate {
        /// The file.
        file: Arc<str>,
        /// What the TLS library says.
        source: rustls::Error,
    },
    /// A certificate can't be an authority's.
    #[error("{file} has a certificate that cannot be used to check others")]
    BadAuthority {
        /// The file.
        file: Arc<str>,
        /// What the TLS library says.
        source: rustls::Error,
    },
    /// Nobody would be trusted.
    #[error(
        "the system has no certificates of authorities; install ca-certificates, or name a file of your own"
    )]
    NoAuthorities,
    /// The HTTP client could not be built.
    #[error("the HTTP client cannot be built")]
    Client {
        /// What the client says.
        source: reqwest::Error,
    },
}
