//! How a stand-in is set up.

use std::net::{Ipv4Addr, SocketAddr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::answer::Answer;
use crate::book::REQUESTS_KEPT_MAX;
use crate::tls::Tls;

/// How a stand-in is set up. The default listens on a free port of 127.0.0.1, asks for no credentials, knows every
/// function and takes everything.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The credentials asked for.
    pub auth: Auth,
    /// TLS; none: plain HTTP.
    pub tls: Option<Tls>,
    /// The functions that exist; empty: all of them. Others are answered 404.
    pub functions: Vec<String>,
    /// What is answered when no script is left.
    pub default: Answer,
    /// How often the default answer is replaced by a fault.
    pub rates: Rates,
    /// Whether the fifth and later alerts within one minute, for one trigger and the same recipients, are answered
    /// 202 and yet suppressed.
    pub flood_control: bool,
    /// How many whole requests are kept, the latest; the counts know all of them.
    pub requests_kept_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            auth: Auth::None,
            tls: None,
            functions: Vec::new(),
            default: Answer::accepted(),
            rates: Rates::default(),
            flood_control: false,
            requests_kept_max: REQUESTS_KEPT_MAX,
        }
    }
}

/// The credentials that a trigger asks for. They are made up for tests, hence shown by `Debug`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// None.
    None,
    /// A user and a password, as HTTP Basic.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// A key in the URL's `apiKey`.
    Url {
        /// The key.
        api_key: String,
    },
    /// A token of our own token endpoint.
    OAuth2(OAuth2),
}

/// What the token endpoint asks for, and what it gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuth2 {
    /// The client's id.
    pub client_id: String,
    /// The user of the password grant.
    pub username: String,
    /// The user's password.
    pub password: String,
    /// The refresh token of the refresh grant.
    pub refresh_token: String,
    /// How long a token is said to be good, in seconds. It stays good until it is revoked.
    pub expires_in_s: u64,
    /// Whether a refresh token is good for one use, and the answer has the next.
    pub rotates: bool,
}

impl Auth {
    /// The value of an `Authorization` header that is let in, where one is asked for.
    pub(crate) fn header(&self) -> Option<String> {
        match self {
            Self::None | Self::Url { .. } | Self::OAuth2(_) => None,
            Self::Basic { user, password } => {
                Some(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
            }
        }
    }
}

/// How often faults replace the default answer, drawn from a seeded generator: the same seed and the same order of
/// requests give the same faults.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rates {
    /// The part of the requests answered 503, from 0 to 1.
    pub fail: f64,
    /// The part of the requests whose connection is closed before any answer and which are not taken, from 0 to 1.
    pub cut: f64,
    /// The generator's seed.
    pub seed: u64,
}
