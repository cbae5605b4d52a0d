//! `[network]`: how destinations are reached. A connector may have the same keys, and each of them goes before the one
//! here.

use std::ops::RangeInclusive;
use std::time::Duration;

use nightbell_core::limits::HELD_MAX;
use nightbell_xmatters::{Network, Pem, Proxy, RESPONSE_BYTES_MAX, Verification};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::table::Table;
use super::values::{self, show_duration};

/// What is left of [`HELD_MAX`] for recording and settling when an attempt took its longest.
const SETTLE_TIME: Duration = Duration::from_secs(10);
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(100)..=HELD_MAX.saturating_sub(SETTLE_TIME);
const RESPONSE_BYTES: RangeInclusive<u32> = 1_024..=1_048_576;

/// The words for how a server's certificate is verified, the strictest first.
const VERIFICATIONS: [(&str, Verification); 3] =
    [("full", Verification::Full), ("certificate", Verification::Certificate), ("none", Verification::None)];

/// How a destination is reached.
#[derive(Debug, Clone)]
pub struct NetworkConfig {
    /// The only hosts to which anything is sent, in lower case, at least one; none: any.
    pub allowed_hosts: Option<Vec<String>>,
    /// Certificates of authorities to trust besides the system's.
    pub ca: Option<Pem>,
    /// With what we present ourselves.
    pub client_certificate: Option<ClientCertificate>,
    /// How a server's certificate is verified.
    pub verification: Verification,
    /// The HTTP proxy.
    pub proxy: Option<Proxy>,
    /// Whether `HTTPS_PROXY` and its like are obeyed where there is no `proxy`.
    pub environment_proxies: bool,
    /// The longest that one attempt may take.
    pub timeout: Duration,
    /// The longest that connecting may take, never longer than `timeout`.
    pub connect_timeout: Duration,
    /// How much of an answer is read, in bytes.
    pub response_bytes_max: u32,
}

/// With what we present ourselves to a server that asks for it.
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    /// Our certificate and those between it and its authority, and the key unless it has a file of its own.
    pub chain: Pem,
    /// The key, if it has a file of its own.
    pub key: Option<Pem>,
}

impl ClientCertificate {
    /// All in one text.
    #[must_use]
    pub fn pem(&self) -> Pem {
        self.key.as_ref().map_or_else(|| self.chain.clone(), |key| self.chain.and(key))
    }
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            allowed_hosts: None,
            ca: None,
            client_certificate: None,
            verification: Verification::Full,
            proxy: None,
            environment_proxies: false,
            timeout: nightbell_xmatters::TIMEOUT,
            connect_timeout: nightbell_xmatters::CONNECT_TIMEOUT,
            response_bytes_max: u32::try_from(RESPONSE_BYTES_MAX).expect("it is far below"),
        }
    }
}

/// Reads the keys of a network; what is absent is taken from `base`.
pub(super) fn network(table: &mut Table<'_, '_>, base: &NetworkConfig) -> NetworkConfig {
    let (timeout, connect_timeout) = timeouts(table, base);
    let response_bytes_max = table.number_or("response_bytes_max", base.response_bytes_max, RESPONSE_BYTES);
    let allowed_hosts = allowed_hosts(table, base);
    let ca = pem(table, "ca_file", base.ca.as_ref(), values::certificates);
    let client_certificate = client_certificate(table, base);
    let verification = table.inline("tls", |tls| {
        tls.text_or("verification", base.verification.as_str(), |text| values::word(text, &VERIFICATIONS))
    });
    let proxy = proxy(table, base);
    let environment_proxies = table.flag_or("environment_proxies", base.environment_proxies);
    NetworkConfig {
        allowed_hosts,
        ca,
        client_certificate,
        verification,
        proxy,
        environment_proxies,
        timeout,
        connect_timeout,
        response_bytes_max,
    }
}

/// Refuses a sound URL whose host is not among those that may be reached.
pub(super) fn check_host(
    table: &mut Table<'_, '_>,
    key: &'static str,
    url: &SecretString,
    network: &NetworkConfig,
) {
    // That an empty list allows nothing was said already.
    let Some(allowed) = network.allowed_hosts.as_ref().filter(|allowed| !allowed.is_empty()) else { return };
    let Ok(url) = Url::parse(url.expose_secret()) else { return };
    let host = url.host_str().unwrap_or_default();
    let is_allowed = allowed.iter().any(|name| name == host.trim_end_matches('.'));
    if !is_allowed {
        table.problem(
            key,
            "the value leads to a host that `allowed_hosts` does not have; correct it, or add the host there",
        );
    }
}

fn timeouts(table: &mut Table<'_, '_>, base: &NetworkConfig) -> (Duration, Duration) {
    let default = show_duration(base.timeout);
    let timeout = table.text_or("timeout", &default, |text| values::duration(text, &TIMEOUT));
    let default = show_duration(timeout.min(base.connect_timeout));
    let connect_timeout = table.text_or("connect_timeout", &default, |text| values::duration(text, &TIMEOUT));
    if connect_timeout > timeout {
        let most = show_duration(timeout);
        table.problem("connect_timeout", format!("it is longer than `timeout`; write at most \"{most}\""));
    }
    (timeout, connect_timeout)
}

fn allowed_hosts(table: &mut Table<'_, '_>, base: &NetworkConfig) -> Option<Vec<String>> {
    if !table.has("allowed_hosts") {
        let shown = base.allowed_hosts.as_ref().map(|hosts| values::list(hosts));
        table.show_inherited("allowed_hosts", shown);
        return base.allowed_hosts.clone();
    }
    if table.has_empty_list("allowed_hosts") {
        table.problem(
            "allowed_hosts",
            "it is empty, so nothing could be sent; name the hosts, or remove it to allow all",
        );
    }
    let hosts = table.texts("allowed_hosts", values::host)?;
    Some(hosts.into_iter().map(|placed| placed.value).collect())
}

/// A PEM file, or the base's. `check` says what it lacks.
pub(super) fn pem(
    table: &mut Table<'_, '_>,
    key: &'static str,
    base: Option<&Pem>,
    check: impl Fn(&str) -> Result<(), String>,
) -> Option<Pem> {
    if !table.has(key) {
        table.show_inherited(key, base.map(|pem| values::literal(pem.file())));
        return base.cloned();
    }
    let path = table.text(key, values::filled)?;
    let text = table.file(key, &path)?;
    match check(&text) {
        Ok(()) => Some(Pem::new(path, text)),
        Err(complaint) => {
            table.problem(key, format!("the file `{path}` {complaint}"));
            None
        }
    }
}

/// Our certificates and their key, from one file or two. Both come from the same table: a key of another would not fit.
pub(super) fn client_certificate(
    table: &mut Table<'_, '_>,
    base: &NetworkConfig,
) -> Option<ClientCertificate> {
    let (has_chain, has_key) = (table.has("client_certificate"), table.has("client_key"));
    let base = base.client_certificate.as_ref().filter(|_| !has_chain && !has_key);
    let check = |text: &str| {
        values::certificates(text)?;
        let hint = |complaint| format!("{complaint}, or name the key's own file as `client_key`");
        if has_key { Ok(()) } else { values::private_key(text).map_err(hint) }
    };
    let chain = pem(table, "client_certificate", base.map(|base| &base.chain), check);
    let key = pem(table, "client_key", base.and_then(|base| base.key.as_ref()), values::private_key);
    if has_key && !has_chain {
        let complaint = "it is of no use without `client_certificate`; set both here, or neither";
        table.problem("client_key", complaint);
    }
    Some(ClientCertificate { chain: chain?, key })
}

fn proxy(table: &mut Table<'_, '_>, base: &NetworkConfig) -> Option<Proxy> {
    if !table.has("proxy") {
        table.show_inherited("proxy", base.proxy.as_ref().map(shown_proxy));
        return base.proxy.clone();
    }
    table.inline("proxy", |table| {
        let url = table.unquoted("url", values::proxy_url);
        table.require("url", "write the proxy's address, like \"http://proxy.example.com:3128\"");
        let username = table.unquoted("username", values::username);
        let password = table.secret("password", values::password);
        for (one, other) in [("username", "password"), ("password", "username")] {
            if table.has(one) {
                table.require(other, &format!("`{one}` is of no use without it; set both, or neither"));
            }
        }
        let bypass_hosts = table.texts_or("bypass_hosts", &[], values::bypass_host);
        let url = url?.trim_end_matches('/').to_owned();
        Some(Proxy { url, username, password, bypass_hosts })
    })
}

/// A proxy as TOML writes it, the password masked.
fn shown_proxy(proxy: &Proxy) -> String {
    let mut parts = vec![format!("url = {}", values::literal(&proxy.url))];
    parts.extend(proxy.username.iter().map(|username| format!("username = {}", values::literal(username))));
    parts.extend(proxy.password.iter().map(|_| format!("password = {}", values::literal(values::MASK))));
    parts.push(format!("bypass_hosts = {}", values::list(&proxy.bypass_hosts)));
    format!("{{ {} }}", parts.join(", "))
}

impl NetworkConfig {
    /// The way to a destination, as its sender wants it.
    #[must_use]
    pub fn way(&self) -> Network {
        let certificate = self.client_certificate.as_ref();
        Network {
            allowed_hosts: self.allowed_hosts.clone(),
            extra_ca: self.ca.clone(),
            client_certificate: certificate.map(ClientCertificate::pem),
            verification: self.verification,
            proxy: self.proxy.clone(),
            environment_proxies: self.environment_proxies,
            response_bytes_max: usize::try_from(self.response_bytes_max).unwrap_or(usize::MAX),
        }
    }
}
