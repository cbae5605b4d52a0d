//! How one destination is set up, and what can be wrong with that.

use std::time::Duration;

use secrecy::SecretString;

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
    /// How long one attempt may take, from connecting to the answer's last byte.
    pub timeout: Duration,
    /// How long connecting may take, the TLS handshake included; never longer than `timeout`.
    pub connect_timeout: Duration,
    /// Where an event's `report_path` is looked up: a URL without query and fragment.
    pub report_base_url: Option<String>,
    /// Lets `http://` go to any host, not only to this machine and private addresses.
    pub allow_insecure: bool,
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
}

/// What the body looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Payload {
    /// `properties`, `recipients` and `priority`, as xMatters' own forms take them.
    #[default]
    Form,
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
            timeout: TIMEOUT,
            connect_timeout: CONNECT_TIMEOUT,
            report_base_url: None,
            allow_insecure: false,
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
    /// The HTTP client could not be built, for instance because the system has no certificates.
    #[error("the HTTP client cannot be built")]
    Client {
        /// What the client says.
        source: reqwest::Error,
    },
}
