//! The way to a destination: which hosts, which certificates, which proxy.

use std::fmt;
use std::str::FromStr;

use url::Url;

use crate::auth::Login;
use crate::error::Misfit;
use crate::hosts::{BypassRule, Host};
use crate::pem::{Authorities, ClientIdentity};
use crate::web_url::ProxyUrl;

/// How much of an answer's body is read unless the settings say otherwise, in bytes. The connection of a longer one is
/// closed instead of being used again.
pub const RESPONSE_BYTES_MAX: usize = 64 * 1024;

/// The way to a destination. The token endpoint of OAuth2 is reached in the same way.
#[derive(Debug, Clone)]
pub struct Network {
    /// The hosts that may be sent to. None: any. Empty: none at all. The proxy need not be among them.
    pub allowed_hosts: Option<Vec<Host>>,
    /// Authorities that are trusted besides the system's.
    pub extra_ca: Option<Authorities>,
    /// What is shown to every server that asks for a certificate of ours, an `https://` proxy among them.
    pub client_certificate: Option<ClientIdentity>,
    /// How servers' certificates are checked, those of `https://` proxies among them.
    pub verification: Verification,
    /// The proxy before all hosts that it does not except.
    pub proxy: Option<Proxy>,
    /// Where there is no `proxy`, whether `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` are read, once.
    pub environment_proxies: bool,
    /// How much of a trigger's answer is read, in bytes; of nothing, its status alone would be known. A token endpoint's is
    /// read up to [`RESPONSE_BYTES_MAX`].
    pub response_bytes_max: usize,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            allowed_hosts: None,
            extra_ca: None,
            client_certificate: None,
            verification: Verification::default(),
            proxy: None,
            environment_proxies: false,
            response_bytes_max: RESPONSE_BYTES_MAX,
        }
    }
}

impl Network {
    /// Refuses a URL whose host must not be sent to.
    ///
    /// # Errors
    /// [`Misfit`]
    pub fn check_host(&self, url: &Url) -> Result<(), Misfit> {
        let is_allowed = |hosts: &Vec<Host>| Host::of(url).is_some_and(|host| hosts.contains(&host));
        Misfit::unless(
            self.allowed_hosts.as_ref().is_none_or(is_allowed),
            "leads to a host that `allowed_hosts` does not have",
            "correct it, or add the host there",
        )
    }
}

/// How a server's certificate is checked. In every case the server has to prove that it holds the certificate's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Verification {
    /// Its chain, its time and its names.
    #[default]
    Full,
    /// Its chain and its time, but not its names: whoever has any certificate of a trusted authority can listen in.
    Certificate,
    /// Nothing: everybody on the way can listen in.
    None,
}

impl Verification {
    /// All of them, so that every series can be present from the start.
    pub const ALL: [Self; 3] = [Self::Full, Self::Certificate, Self::None];

    /// The word used in configuration and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Certificate => "certificate",
            Self::None => "none",
        }
    }

    /// What is wrong with it, to be said at every start; none: nothing is.
    #[must_use]
    pub fn warning(self) -> Option<&'static str> {
        match self {
            Self::Full => None,
            Self::Certificate => Some(
                "host names in certificates are not checked: whoever has any certificate of a trusted authority can \
                 read the alerts and the credentials",
            ),
            Self::None => Some(
                "certificates are not checked: whoever is on the way to the server can read the alerts and the \
                 credentials",
            ),
        }
    }
}

impl fmt::Display for Verification {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// No word for a [`Verification`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is none of full, certificate and none")]
pub struct BadVerification;

impl FromStr for Verification {
    type Err = BadVerification;

    fn from_str(word: &str) -> Result<Self, BadVerification> {
        Self::ALL.into_iter().find(|one| one.as_str() == word).ok_or(BadVerification)
    }
}

/// A proxy. `https://` destinations are reached through a tunnel (`CONNECT`), `http://` ones by passing the request on.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// Its scheme, host and port.
    pub url: ProxyUrl,
    /// The login that it asks for, sent as HTTP Basic, to an `http://` proxy in the clear.
    pub login: Option<Login>,
    /// What is reached without it.
    pub bypass_hosts: Vec<BypassRule>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verification_has_its_words() {
        for one in Verification::ALL {
            assert_eq!(one.as_str().parse(), Ok(one));
            assert_eq!(one.warning().is_none(), one == Verification::Full);
        }
        assert_eq!("Full".parse::<Verification>(), Err(BadVerification));
    }

    #[test]
    fn a_host_is_allowed_by_its_exact_name() {
        let check = |list: &[&str], url: &str, want: bool| {
            let hosts = list.iter().map(|name| name.parse().unwrap()).collect();
            let network = Network { allowed_hosts: Some(hosts), ..Network::default() };
            assert_eq!(network.check_host(&url.parse().unwrap()).is_ok(), want, "{list:?} {url}");
        };
        let list = ["Acme.xmatters.com", "10.1.2.3", "::1", "bücher.example."];
        check(&list, "https://acme.xmatters.com/a", true);
        check(&list, "https://ACME.xmatters.com.:8443/a", true);
        check(&list, "http://10.1.2.3:8081/", true);
        check(&list, "http://[::1]/", true);
        check(&list, "https://xn--bcher-kva.example/", true);
        for other in ["xmatters.com", "na.acme.xmatters.com", "acme.xmatters.com.evil.example", "10.1.2.30"] {
            check(&list, &format!("https://{other}/"), false);
        }
        check(&[], "https://acme.xmatters.com/", false);
        assert!(Network::default().check_host(&"https://a/".parse().unwrap()).is_ok());
    }
}
