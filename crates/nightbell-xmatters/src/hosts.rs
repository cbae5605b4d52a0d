//! Which hosts may be sent to, and which are reached without the proxy.

use std::net::IpAddr;

use url::{Host, Url};

use crate::settings::SetupError;

/// The hosts that may be sent to.
#[derive(Debug, Clone)]
pub(crate) struct AllowedHosts(Option<Vec<Host>>);

impl AllowedHosts {
    /// Reads a list; none stands for any host.
    pub(crate) fn read(names: Option<&[String]>) -> Result<Self, SetupError> {
        let Some(names) = names else { return Ok(Self(None)) };
        let hosts = names.iter().enumerate().map(|(index, name)| {
            host(name).ok_or(SetupError::BadHostName { list: "allowed_hosts", position: index + 1 })
        });
        Ok(Self(Some(hosts.collect::<Result<_, _>>()?)))
    }

    /// Whether a URL's host is among them.
    pub(crate) fn contain(&self, url: &Url) -> bool {
        let Some(hosts) = &self.0 else { return true };
        host_of(url).is_some_and(|host| hosts.contains(&host))
    }
}

/// The hosts that are reached without the proxy.
#[derive(Debug)]
pub(crate) struct Bypass(Vec<Entry>);

#[derive(Debug)]
enum Entry {
    Host(Host),
    /// All names that end so; it begins with a dot.
    Suffix(String),
    Range(IpAddr, u32),
}

impl Bypass {
    pub(crate) fn read(entries: &[String]) -> Result<Self, SetupError> {
        let entries = entries.iter().enumerate().map(|(index, entry)| {
            Entry::read(entry).ok_or(SetupError::BadHostName { list: "bypass_hosts", position: index + 1 })
        });
        Ok(Self(entries.collect::<Result<_, _>>()?))
    }

    pub(crate) fn contains(&self, url: &Url) -> bool {
        let Some(host) = host_of(url) else { return false };
        self.0.iter().any(|entry| match (entry, &host) {
            (Entry::Host(one), other) => one == other,
            (Entry::Suffix(suffix), Host::Domain(name)) => {
                name.len() > suffix.len() && name.ends_with(suffix)
            }
            (Entry::Range(from, bits), Host::Ipv4(address)) => within((*address).into(), *from, *bits),
            (Entry::Range(from, bits), Host::Ipv6(address)) => within((*address).into(), *from, *bits),
            (Entry::Suffix(_), Host::Ipv4(_) | Host::Ipv6(_)) | (Entry::Range(..), Host::Domain(_)) => false,
        })
    }
}

impl Entry {
    fn read(text: &str) -> Option<Self> {
        if let Some((address, bits)) = text.split_once('/') {
            let (address, bits): (IpAddr, u32) = (address.parse().ok()?, bits.parse().ok()?);
            return (bits <= width(address)).then_some(Self::Range(address, bits));
        }
        if let Some(name) = text.strip_prefix('.') {
            return match host(name)? {
                Host::Domain(name) => Some(Self::Suffix(format!(".{name}"))),
                Host::Ipv4(_) | Host::Ipv6(_) => None,
            };
        }
        host(text).map(Self::Host)
    }
}

/// A host by itself, as a URL would have it: in lower case, and without the dot that ends a full name.
fn host(text: &str) -> Option<Host> {
    if let Ok(address) = text.parse() {
        return Some(match address {
            IpAddr::V4(address) => Host::Ipv4(address),
            IpAddr::V6(address) => Host::Ipv6(address),
        });
    }
    // The URL standard lets a name have an asterisk; here somebody means a pattern.
    let whole = !text.is_empty() && !text.contains(['*', '?']);
    Host::parse(text).ok().filter(|_| whole).map(without_dot)
}

fn host_of(url: &Url) -> Option<Host> {
    url.host().map(|host| without_dot(host.to_owned()))
}

fn without_dot(host: Host) -> Host {
    match host {
        Host::Domain(name) => Host::Domain(name.strip_suffix('.').unwrap_or(&name).to_owned()),
        address @ (Host::Ipv4(_) | Host::Ipv6(_)) => address,
    }
}

fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { u32::BITS } else { u128::BITS }
}

/// Whether two addresses of one kind begin with the same bits.
fn within(address: IpAddr, from: IpAddr, bits: u32) -> bool {
    match (address, from) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros() >= bits,
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros() >= bits,
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_allowed(list: &[&str], url: &str, want: bool) {
        let names: Vec<_> = list.iter().map(|&name| name.to_owned()).collect();
        let allowed = AllowedHosts::read(Some(&names)).unwrap();
        assert_eq!(allowed.contain(&url.parse().unwrap()), want, "{list:?} {url}");
    }

    #[test]
    fn a_host_is_allowed_by_its_exact_name() {
        let list = ["Acme.xmatters.com", "10.1.2.3", "::1", "bücher.example."];
        check_allowed(&list, "https://acme.xmatters.com/a", true);
        check_allowed(&list, "https://ACME.xmatters.com.:8443/a", true);
        check_allowed(&list, "http://10.1.2.3:8081/", true);
        check_allowed(&list, "http://[::1]/", true);
        check_allowed(&list, "https://xn--bcher-kva.example/", true);
        for other in ["xmatters.com", "na.acme.xmatters.com", "acme.xmatters.com.evil.example", "10.1.2.30"] {
            check_allowed(&list, &format!("https://{other}/"), false);
        }
        check_allowed(&[], "https://acme.xmatters.com/", false);
        assert!(AllowedHosts::read(None).unwrap().contain(&"https://a/".parse().unwrap()));
    }

    #[test]
    fn what_is_no_host_name_is_refused_by_its_place() {
        for bad in ["", "*", "*.xmatters.com", "https://acme.xmatters.com", "acme:443", "a/b", "a b", "a@b"] {
            let names = ["acme.xmatters.com".to_owned(), bad.to_owned()];
            let error = AllowedHosts::read(Some(&names)).unwrap_err();
            assert!(matches!(error, SetupError::BadHostName { position: 2, .. }), "{bad}: {error:?}");
        }
        for bad in ["", ".", "*", "10.0.0.0/33", "::/129", "10.0.0.0/x", "a/8", ".10.0.0.1", "http://a"] {
            assert!(Bypass::read(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }

    #[track_caller]
    fn check_bypass(entry: &str, host: &str, want: bool) {
        let bypass = Bypass::read(&[entry.to_owned()]).unwrap();
        let url = format!("https://{host}/").parse().unwrap();
        assert_eq!(bypass.contains(&url), want, "{entry} {host}");
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
