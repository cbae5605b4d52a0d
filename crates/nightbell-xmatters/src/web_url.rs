//! The URLs of a destination. Each kind is read once, with all that must hold for it by itself.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Deref;
use std::str::FromStr;

use secrecy::{ExposeSecret as _, SecretString};
use url::{Host, ParseError, Url};

use crate::error::Misfit;

/// Where xMatters gives tokens.
const TOKEN_PATH: &str = "/api/xm/1/oauth2/token";

const LOGIN: &str = "has a user or a password";
const FRAGMENT: &str = "has a `#`, and what follows it would not be sent";

/// A URL of the web that names its host. All beyond scheme, host and port may be a secret: `Display` shows no more, and
/// `Debug` nothing.
#[derive(Clone)]
pub struct WebUrl {
    url: Url,
    written: SecretString,
}

impl WebUrl {
    /// Reads any URL of the web; `example` is what the cure says.
    ///
    /// # Errors
    /// [`Misfit`]
    pub fn read(text: &str, example: &str) -> Result<Self, Misfit> {
        Ok(Self { url: parse(text, example)?, written: text.into() })
    }

    /// Whether it has a user or a password before the host.
    #[must_use]
    pub fn has_login(&self) -> bool {
        has_login(&self.url)
    }

    /// Whether nothing follows its path.
    #[must_use]
    pub fn ends_with_path(&self) -> bool {
        self.url.query().is_none() && self.url.fragment().is_none()
    }

    /// Refuses one that would send secrets unprotected through a public network.
    ///
    /// # Errors
    /// [`Misfit`]
    pub fn check_encryption(&self, allow_insecure: bool) -> Result<(), Misfit> {
        let is_safe = self.url.scheme() != "http" || self.url.host().is_some_and(|host| is_near(&host));
        Misfit::unless(
            is_safe || allow_insecure,
            "is plain http to a host that is neither this machine nor a private address, so the key would travel \
             unprotected",
            "write https, or set `allow_insecure = true`",
        )
    }

    /// The key of a trigger in its query, decoded.
    pub(crate) fn api_key(&self) -> Option<String> {
        let mut pairs = self.query_pairs();
        pairs.find(|(name, key)| is_api_key(name) && !key.is_empty()).map(|(_, key)| key.into_owned())
    }

    /// The text that it was read from.
    pub(crate) fn written(&self) -> &str {
        self.written.expose_secret()
    }
}

impl Deref for WebUrl {
    type Target = Url;

    fn deref(&self) -> &Url {
        &self.url
    }
}

impl fmt::Display for WebUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let login = if self.has_login() { "***@" } else { "" };
        write!(out, "{}://{login}{}/***", self.scheme(), host_and_port(self))
    }
}

impl fmt::Debug for WebUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("***")
    }
}

/// A kind of URL: a [`WebUrl`] that was checked.
macro_rules! kinds {
    ($($(#[$doc:meta])+ $name:ident by $read:ident;)+) => {$(
        $(#[$doc])+
        #[derive(Debug, Clone)]
        pub struct $name(WebUrl);

        impl FromStr for $name {
            type Err = Misfit;

            fn from_str(text: &str) -> Result<Self, Misfit> {
                $read(text).map(Self)
            }
        }

        impl Deref for $name {
            type Target = WebUrl;

            fn deref(&self) -> &WebUrl {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(out)
            }
        }
    )+};
}

kinds! {
    /// The URL of an inbound trigger, without login and fragment. It may hold the key; it is a secret in any case.
    TriggerUrl by trigger;
    /// Where OAuth2 tokens are asked for, without login and fragment.
    TokenUrl by token;
    /// The URL of an HTTP proxy: scheme, host and port, and nothing more.
    ProxyUrl by proxy;
    /// What an event's `report_path` is joined to: without login, query and fragment.
    ReportBase by report_base;
}

fn trigger(text: &str) -> Result<WebUrl, Misfit> {
    let url = WebUrl::read(text, "https://acme.xmatters.com/api/integration/1/functions/UUID/triggers")?;
    Misfit::unless(!url.has_login(), LOGIN, "write them as `username` and `password`")?;
    Misfit::unless(url.fragment().is_none(), FRAGMENT, "write %23 if it belongs to the key, or remove it")?;
    Ok(url)
}

fn token(text: &str) -> Result<WebUrl, Misfit> {
    let url = WebUrl::read(text, "https://acme.xmatters.com/api/xm/1/oauth2/token")?;
    Misfit::unless(!url.has_login(), LOGIN, "write them as `username` and `password`")?;
    Misfit::unless(url.fragment().is_none(), FRAGMENT, "write %23 if it belongs there, or remove it")?;
    Ok(url)
}

fn proxy(text: &str) -> Result<WebUrl, Misfit> {
    let url = WebUrl::read(text, "http://proxy.example.com:3128")?;
    Misfit::unless(!url.has_login(), LOGIN, "write them as `username` and `password` beside it")?;
    let is_bare = url.path() == "/" && url.ends_with_path();
    Misfit::unless(
        is_bare,
        "has more than a host and a port",
        "write it like \"http://proxy.example.com:3128\"",
    )?;
    Ok(url)
}

fn report_base(text: &str) -> Result<WebUrl, Misfit> {
    let url = WebUrl::read(text, "https://reports.example.com")?;
    let login = "has a user or a password, which every alert would show";
    Misfit::unless(!url.has_login(), login, "write it without")?;
    let cure = "write it without, since each `report_path` is added to it";
    Misfit::unless(url.ends_with_path(), "has a query or a fragment", cure)?;
    Ok(url)
}

impl TokenUrl {
    /// Where the host of a trigger gives tokens.
    pub(crate) fn beside(trigger: &TriggerUrl) -> Self {
        let mut url = Url::clone(trigger);
        url.set_path(TOKEN_PATH);
        url.set_query(None);
        let written = url.as_str().into();
        Self(WebUrl { url, written })
    }
}

/// Whether a name in a query is that of a trigger's key.
pub(crate) fn is_api_key(name: &str) -> bool {
    name.eq_ignore_ascii_case("apiKey")
}

/// Whether a URL looks like a trigger's, and so is a secret wherever it stands.
#[must_use]
pub fn is_trigger(url: &Url) -> bool {
    url.path().starts_with("/api/integration/") || url.query_pairs().any(|(name, _)| is_api_key(&name))
}

/// Reads a URL of the web that names its host.
pub(crate) fn parse(text: &str, example: &str) -> Result<Url, Misfit> {
    let bad = |reason: &str, hint: &str| {
        Misfit::new(reason.to_owned(), format!("write a whole URL, like \"{example}\"{hint}"))
    };
    let url = Url::parse(text).map_err(|error| {
        if error == ParseError::EmptyHost {
            bad("has no host", "")
        } else if error == ParseError::InvalidPort {
            let hint = ", with /, # and ? in a user or password percent-encoded";
            bad("has a port that is no number", hint)
        } else {
            bad(&format!("is no URL ({error})"), "")
        }
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad("begins neither with http:// nor with https://", ""));
    }
    // The URL standard would take the first segment of `https:///path` or `https:path` for the host.
    let written = text.split_once("://").map_or("", |(_, rest)| rest);
    if written.is_empty() || written.starts_with(['/', '\\']) { Err(bad("has no host", "")) } else { Ok(url) }
}

pub(crate) fn has_login(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// The host, and the port where it is not the scheme's own.
#[must_use]
pub fn host_and_port(url: &Url) -> String {
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    format!("{}{port}", url.host_str().unwrap_or_default())
}

/// Whether plain HTTP to this host stays on this machine or in a private network. A name other than `localhost` could
/// lead anywhere.
fn is_near(host: &Host<&str>) -> bool {
    let v4 = |address: Ipv4Addr| address.is_loopback() || address.is_private() || address.is_link_local();
    let v6 = |address: Ipv6Addr| {
        address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
    };
    match host {
        Host::Domain(name) => *name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => v4(*address),
        Host::Ipv6(address) => address.to_ipv4_mapped().map_or_else(|| v6(*address), v4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/api/integration/1/functions/6f2d/triggers";

    /// Reads a URL and checks what is said of it, which never has a part of it.
    #[track_caller]
    fn check<T: FromStr<Err = Misfit>>(url: &str, want: &str) {
        let said = url.parse::<T>().map_or_else(|bad| bad.to_string(), |_| "ok".to_owned());
        assert!(said.starts_with(want) && !said.contains("s3cret"), "{url}: {said}");
    }

    #[test]
    fn what_is_no_trigger_url_is_refused_without_repeating_it() {
        check::<TriggerUrl>("", "is no URL");
        check::<TriggerUrl>("acme.xmatters.com/s3cret", "is no URL");
        for url in
            ["https://", "https:///api/s3cret", "https:acme/s3cret", "https:/acme/s3cret", "https://\\acme"]
        {
            check::<TriggerUrl>(url, "has no host");
        }
        check::<TriggerUrl>("https://a b/s3cret", "is no URL");
        check::<TriggerUrl>("https://a:99999/s3cret", "has a port that is no number");
        check::<TriggerUrl>("ftp://acme.xmatters.com/s3cret", "begins neither with http:// nor");
        check::<TriggerUrl>("file:///s3cret", "begins neither with http:// nor");
        check::<TriggerUrl>("https://u:s3cret@acme.xmatters.com/", "has a user or a password; write them as");
        check::<TriggerUrl>("https://acme.xmatters.com/?apiKey=a#s3cret", "has a `#`, and what follows it");
        check::<TriggerUrl>(&format!("https://acme.xmatters.com{PATH}?recipients=a"), "ok");
    }

    #[test]
    fn tokens_come_from_the_triggers_host_or_where_the_settings_say() {
        let trigger: TriggerUrl = format!("https://acme.xmatters.com:8443{PATH}?a=b").parse().unwrap();
        let want = "https://acme.xmatters.com:8443/api/xm/1/oauth2/token";
        assert_eq!(TokenUrl::beside(&trigger).as_str(), want);
        check::<TokenUrl>("https://sso.example/t?realm=a", "ok");
        check::<TokenUrl>("http://10.0.0.1/t", "ok");
        for (bad, want) in [
            ("", "is no URL"),
            ("sso.example", "is no URL"),
            ("ftp://a/", "begins neither"),
            ("https://u:s3cret@a/", "has a user or a password"),
            ("https://a/#s3cret", "has a `#`"),
            ("https:///a", "has no host"),
        ] {
            check::<TokenUrl>(bad, want);
        }
    }

    #[test]
    fn plain_http_stays_local() {
        let read = |host: &str| format!("http://{host}{PATH}").parse::<TriggerUrl>().unwrap();
        for host in
            ["127.0.0.1:8480", "10.1.2.3", "192.168.0.1", "[::1]:80", "[fd00::1]", "localhost", "a.localhost"]
        {
            assert_eq!(read(host).check_encryption(false), Ok(()), "{host}");
        }
        for host in
            ["acme.xmatters.com", "8.8.8.8", "[2001:db8::1]", "[::ffff:8.8.8.8]", "fake-xmatters:8480"]
        {
            assert!(read(host).check_encryption(false).is_err(), "{host}");
            assert_eq!(read(host).check_encryption(true), Ok(()), "{host}");
        }
    }

    #[test]
    fn a_report_base_url_is_a_plain_url() {
        for good in ["https://reports.example.com", "http://localhost:8080/a/b/"] {
            check::<ReportBase>(good, "ok");
        }
        for (bad, want) in [
            ("", "is no URL"),
            ("reports.example.com", "is no URL"),
            ("ftp://a", "begins neither"),
            ("https://", "has no host"),
            ("https://a/?b", "has a query or a fragment; write it without"),
            ("https://a/#b", "has a query or a fragment; write it without"),
            ("https://u:p@a/", "has a user or a password, which every alert would show"),
        ] {
            check::<ReportBase>(bad, want);
        }
    }

    #[test]
    fn no_more_than_the_host_is_shown() {
        let url: TriggerUrl = format!("https://acme.xmatters.com:8443{PATH}?apiKey=s3cret").parse().unwrap();
        assert_eq!(url.to_string(), "https://acme.xmatters.com:8443/***");
        assert_eq!(format!("{url:?}"), "TriggerUrl(***)");
        let api = WebUrl::read("http://u:s3cret@broker:15672/", "").unwrap();
        assert_eq!(format!("{api} {api:?}"), "http://***@broker:15672/*** ***");
    }
}
