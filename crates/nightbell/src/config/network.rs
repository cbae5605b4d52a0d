//! `[network]`: how destinations are reached. A connector may have the same keys, and each of them goes before the one
//! here.

use std::ops::RangeInclusive;
use std::time::Duration;

use nightbell_core::limits::HELD_MAX;
use nightbell_xmatters::{
    Authorities, CONNECT_TIMEOUT, ClientCertificate, ClientIdentity, Host, Misfit, Network, Pem, Proxy,
    ProxyUrl, TIMEOUT, Verification,
};

use super::auth::login;
use super::table::Table;
use super::values::{self, show_duration};

/// What is left of [`HELD_MAX`] for recording and settling when an attempt took its longest.
const SETTLE_TIME: Duration = Duration::from_secs(10);
const TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(100)..=HELD_MAX.saturating_sub(SETTLE_TIME);
const RESPONSE_BYTES: RangeInclusive<usize> = 1_024..=1_048_576;

/// How a destination is reached, and how long that may take.
#[derive(Debug, Clone)]
pub(super) struct NetworkConfig {
    pub(super) way: Network,
    pub(super) timeout: Duration,
    /// Never longer than `timeout`.
    pub(super) connect_timeout: Duration,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self { way: Network::default(), timeout: TIMEOUT, connect_timeout: CONNECT_TIMEOUT }
    }
}

/// Reads the keys of a network; what is absent is taken from `base`.
pub(super) fn network(table: &mut Table<'_, '_>, base: &NetworkConfig) -> NetworkConfig {
    let (timeout, connect_timeout) = timeouts(table, base);
    let base = &base.way;
    let response_bytes_max = table.number_or("response_bytes_max", base.response_bytes_max, RESPONSE_BYTES);
    let allowed_hosts = allowed_hosts(table, base);
    let authorities = |pem: &Pem| Authorities::of(pem.clone()).map_err(shown);
    let extra_ca = pem(table, "ca_file", base.extra_ca.as_ref(), Authorities::file, authorities);
    let client_certificate = identity(table, base);
    let verification = table.inline("tls", |tls| {
        let read = |text: &str| values::word(text, &Verification::ALL, Verification::as_str);
        tls.text_or("verification", base.verification.as_str(), read)
    });
    let proxy = proxy(table, base);
    let environment_proxies = table.flag_or("environment_proxies", base.environment_proxies);
    let way = Network {
        allowed_hosts,
        extra_ca,
        client_certificate,
        verification,
        proxy,
        environment_proxies,
        response_bytes_max,
    };
    NetworkConfig { way, timeout, connect_timeout }
}

fn shown(misfit: Misfit) -> String {
    misfit.to_string()
}

fn timeouts(table: &mut Table<'_, '_>, base: &NetworkConfig) -> (Duration, Duration) {
    let timeout = table.duration_or("timeout", base.timeout, &TIMEOUTS);
    let default = timeout.min(base.connect_timeout);
    let connect_timeout = table.duration_or("connect_timeout", default, &TIMEOUTS);
    if connect_timeout > timeout {
        let most = show_duration(timeout);
        table.problem("connect_timeout", format!("it is longer than `timeout`; write at most \"{most}\""));
    }
    (timeout, connect_timeout)
}

fn allowed_hosts(table: &mut Table<'_, '_>, base: &Network) -> Option<Vec<Host>> {
    if !table.has("allowed_hosts") {
        table.show_inherited("allowed_hosts", base.allowed_hosts.as_ref().map(values::list));
        return base.allowed_hosts.clone();
    }
    if table.has_empty_list("allowed_hosts") {
        table.problem(
            "allowed_hosts",
            "it is empty, so nothing could be sent; name the hosts, or remove it to allow all",
        );
    }
    // Of none, each URL would be refused besides.
    table.texts("allowed_hosts", str::parse).filter(|hosts| !hosts.is_empty())
}

/// What `read` makes of a PEM file, or the base's; `file` gives that one's name.
pub(super) fn pem<T: Clone>(
    table: &mut Table<'_, '_>,
    key: &'static str,
    base: Option<&T>,
    file: impl Fn(&T) -> &str,
    read: impl Fn(&Pem) -> Result<T, String>,
) -> Option<T> {
    if !table.has(key) {
        table.show_inherited(key, base.map(|base| values::literal(file(base))));
        return base.cloned();
    }
    let path = table.text(key, values::filled)?;
    let text = table.file(key, &path)?;
    let complain = |complaint| table.problem(key, format!("the file `{path}` {complaint}"));
    read(&Pem::new(path.as_str(), text)).map_err(complain).ok()
}

/// Our certificates and their key, from one file or two. Both come from the same table: a key of another would not fit.
pub(super) fn client_certificate(
    table: &mut Table<'_, '_>,
    base: Option<&ClientCertificate>,
) -> Option<ClientCertificate> {
    let (has_chain, has_key) = (table.has("client_certificate"), table.has("client_key"));
    let base = base.filter(|_| !has_chain && !has_key);
    let chain = |pem: &Pem| {
        pem.certificates().map_err(shown)?;
        let hint = |misfit| format!("{misfit}, or name the key's own file as `client_key`");
        if has_key { Ok(pem.clone()) } else { pem.key().map(|_| pem.clone()).map_err(hint) }
    };
    let chain = pem(table, "client_certificate", base.map(|base| &base.chain), Pem::file, chain);
    let key = |pem: &Pem| pem.key().map(|_| pem.clone()).map_err(shown);
    let key = pem(table, "client_key", base.and_then(|base| base.key.as_ref()), Pem::file, key);
    if has_key && !has_chain {
        let complaint = "it is of no use without `client_certificate`; set both here, or neither";
        table.problem("client_key", complaint);
    }
    Some(ClientCertificate { chain: chain?, key }).filter(|own| own.key.is_some() || !has_key)
}

/// Our certificates, once the key is known to be theirs.
fn identity(table: &mut Table<'_, '_>, base: &Network) -> Option<ClientIdentity> {
    let base = base.client_certificate.as_ref();
    let files = client_certificate(table, base.map(ClientIdentity::certificate))?;
    if !table.has("client_certificate") {
        return base.cloned();
    }
    let key = if files.key.is_some() { "client_key" } else { "client_certificate" };
    let file = files.key.as_ref().unwrap_or(&files.chain).file().to_owned();
    let complain = |misfit| table.problem(key, format!("the file `{file}` {misfit}"));
    ClientIdentity::of(files).map_err(complain).ok()
}

fn proxy(table: &mut Table<'_, '_>, base: &Network) -> Option<Proxy> {
    if !table.has("proxy") {
        table.show_inherited("proxy", base.proxy.as_ref().map(shown_proxy));
        return base.proxy.clone();
    }
    table.inline("proxy", |table| {
        let url: Option<ProxyUrl> = table.text("url", str::parse);
        table.require("url", "write the proxy's address, like \"http://proxy.example.com:3128\"");
        let login = login(table);
        table.require_both("username", "password");
        let bypass_hosts = table.texts_or("bypass_hosts", &[], str::parse);
        Some(Proxy { url: url?, login, bypass_hosts })
    })
}

/// A proxy as TOML writes it, the password masked.
fn shown_proxy(proxy: &Proxy) -> String {
    let mut parts = vec![format!("url = {}", values::literal(proxy.url.as_str().trim_end_matches('/')))];
    parts.extend(proxy.login.iter().map(|login| {
        let username = values::literal(login.username.as_str());
        format!("username = {username}, password = \"{}\"", login.password)
    }));
    parts.push(format!("bypass_hosts = {}", values::list(&proxy.bypass_hosts)));
    format!("{{ {} }}", parts.join(", "))
}
