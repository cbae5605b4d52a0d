//! Which hosts may be sent to, and which are reached without the proxy.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use url::Url;

use crate::error::Misfit;

/// A host by itself, as a URL would have it: in lower case, and without the dot that ends a full name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host(url::Host);

impl Host {
    /// The host of a URL.
    pub(crate) fn of(url: &Url) -> Option<Self> {
        url.host().map(|host| Self(without_dot(host.to_owned())))
    }

    fn read(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse() {
            return Some(Self(match address {
                IpAddr::V4(address) => url::Host::Ipv4(address),
                IpAddr::V6(address) => url::Host::Ipv6(address),
            }));
        }
        // The URL standard lets a name have an asterisk; here somebody means a pattern.
        let whole = !text.is_empty() && !text.contains(['*', '?']);
        url::Host::parse(text).ok().filter(|_| whole).map(|host| Self(without_dot(host)))
    }
}

impl FromStr for Host {
    type Err = Misfit;

    fn from_str(text: &str) -> Result<Self, Misfit> {
        let cure =
            "write a name or an address alone, without https://, port, path or *, like \"acme.xmatters.com\"";
        Self::read(text).ok_or_else(|| Misfit::new("is no host", cure))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

fn without_dot(host: url::Host) -> url::Host {
    match host {
        url::Host::Domain(name) => url::Host::Domain(name.strip_suffix('.').unwrap_or(&name).to_owned()),
        address @ (url::Host::Ipv4(_) | url::Host::Ipv6(_)) => address,
    }
}

/// What is reached without the proxy. Addresses are compared with what a URL says; no name is looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BypassRule {
    /// One host.
    Host(Host),
    /// All names that end so; it begins with a dot.
    Suffix(String),
    /// All addresses that begin with the same bits.
    Range(IpNet),
}

impl BypassRule {
    /// Whether a URL's host is meant.
    pub(crate) fn fits(&self, url: &Url) -> bool {
        let Some(host) = Host::of(url) else { return false };
        match (self, &host.0) {
            (Self::Host(one), _) => *one == host,
            (Self::Suffix(suffix), url::Host::Domain(name)) => {
                name.len() > suffix.len() && name.ends_with(suffix)
            }
            (Self::Range(range), url::Host::Ipv4(address)) => range.contains(&IpAddr::V4(*address)),
            (Self::Range(range), url::Host::Ipv6(address)) => range.contains(&IpAddr::V6(*address)),
            (Self::Suffix(_), url::Host::Ipv4(_) | url::Host::Ipv6(_))
            | (Self::Range(_), url::Host::Domain(_)) => false,
        }
    }

    fn read(text: &str) -> Option<Self> {
        if text.contains('/') {
            return text.parse().ok().map(Self::Range);
        }
        let Some(name) = text.strip_prefix('.') else { return Host::read(text).map(Self::Host) };
        match Host::read(name)?.0 {
            url::Host::Domain(name) => Some(Self::Suffix(format!(".{name}"))),
            url::Host::Ipv4(_) | url::Host::Ipv6(_) => None,
        }
    }
}

impl FromStr for BypassRule {
    type Err = Misfit;

    fn from_str(text: &str) -> Result<Self, Misfit> {
        let reason = "is neither a host, nor a suffix like \".example.com\", nor a range like \"10.0.0.0/8\"";
        Self::read(text).ok_or_else(|| Misfit::new(reason, "write one of them"))
    }
}

impl fmt::Display for BypassRule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => host.fmt(out),
            Self::Suffix(suffix) => out.write_str(suffix),
            Self::Range(range) => range.fmt(out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_host_name_is_refused() {
        for bad in ["", "*", "*.xmatters.com", "https://acme.xmatters.com", "acme:443", "a/b", "a b", "a@b"] {
            assert!(bad.parse::<Host>().is_err(), "{bad}");
        }
        for bad in ["", ".", "*", "10.0.0.0/33", "::/129", "10.0.0.0/x", "a/8", ".10.0.0.1", "http://a"] {
            assert!(bad.parse::<BypassRule>().is_err(), "{bad}");
        }
    }

    #[track_caller]
    fn check_bypass(entry: &str, host: &str, want: bool) {
        let rule: BypassRule = entry.parse().unwrap();
        assert_eq!(rule.to_string().parse(), Ok(rule.clone()), "{entry}");
        let url = format!("https://{host}/").parse().unwrap();
        assert_eq!(rule.fits(&url), want, "{entry} {host}");
    }

    #[test]
    fn the_proxy_is_bypassed_by_name_suffix_address_and_range() {
        check_bypass("acme.example", "ACME.example.", true);
        check_bypass("acme.example", "a.acme.example", false);
        check_bypass(".acme.example", "a.b.acme.example", true);
        check_bypass(".Acme.Example", "a.acme.example", true);
        check_bypass(".acme.example", "acme.example", false);
        check_bypass(".acme.example", "notacme.example", false);
        check_bypass("10.1.2.3", "10.1.2.3", true);
        check_bypass("10.0.0.0/8", "10.9.8.7", true);
        check_bypass("10.0.0.0/8", "11.0.0.1", false);
        check_bypass("0.0.0.0/0", "8.8.8.8", true);
        check_bypass("fd00::/8", "[fd12::1]", true);
        check_bypass("fd00::/8", "[fe80::1]", false);
        check_bypass("10.0.0.0/8", "[::1]", false);
        check_bypass("10.0.0.0/8", "ten.example", false);
    }
}
