//! Checking the URLs of a destination.

use std::net::{Ipv4Addr, Ipv6Addr};

use secrecy::ExposeSecret as _;
use url::{Host, Url};

use crate::settings::{Auth, DestinationSettings, Grant, OAuth2, SetupError};

/// Where xMatters gives tokens.
const TOKEN_PATH: &str = "/api/xm/1/oauth2/token";

/// Reads the trigger URL, with all that must hold for it and for its authentication.
pub(crate) fn trigger(settings: &DestinationSettings) -> Result<Url, SetupError> {
    let url = web(settings.trigger_url.expose_secret())?;
    let host = url.host().ok_or(SetupError::NoHost)?;
    if has_credentials(&url) {
        return Err(SetupError::Credentials);
    }
    if url.fragment().is_some() {
        return Err(SetupError::Fragment);
    }
    match (&settings.auth, api_key(&url)) {
        (Auth::Url, None) => return Err(SetupError::NoApiKey),
        (Auth::Basic { .. }, Some(_)) => return Err(SetupError::ApiKeyAndUser),
        (Auth::OAuth2(_), Some(_)) => return Err(SetupError::ApiKeyAndToken),
        (Auth::Url, Some(_)) | (Auth::Basic { .. } | Auth::OAuth2(_), None) => {}
    }
    if url.scheme() == "http" && !settings.allow_insecure && !is_local(&host) {
        return Err(SetupError::Insecure);
    }
    Ok(url)
}

/// Checks what tokens are asked for with, and says where; none: authentication needs no token.
pub(crate) fn token(
    settings: &DestinationSettings,
    trigger: &Url,
) -> Result<Option<(OAuth2, Url)>, SetupError> {
    let Auth::OAuth2(oauth2) = &settings.auth else { return Ok(None) };
    let empty_or_cut = |text: &str| text.is_empty() || text.contains(char::is_control);
    if empty_or_cut(&oauth2.client_id) {
        return Err(SetupError::ClientId);
    }
    match &oauth2.grant {
        Grant::Password { username, .. } if empty_or_cut(username) => return Err(SetupError::Username),
        Grant::Password { password, .. } if empty_or_cut(password.expose_secret()) => {
            return Err(SetupError::Password);
        }
        Grant::Refresh { token } if empty_or_cut(token.expose_secret()) => {
            return Err(SetupError::RefreshToken);
        }
        Grant::Password { .. } | Grant::Refresh { .. } => {}
    }
    let url = match &oauth2.token_url {
        None => trigger.join(TOKEN_PATH).map_err(|_| SetupError::TokenUrl)?,
        Some(url) => web(url.expose_secret()).map_err(|_| SetupError::TokenUrl)?,
    };
    let host = url.host().ok_or(SetupError::TokenUrl)?;
    if has_credentials(&url) || url.fragment().is_some() {
        return Err(SetupError::TokenUrl);
    }
    if url.scheme() == "http" && !settings.allow_insecure && !is_local(&host) {
        return Err(SetupError::InsecureToken);
    }
    Ok(Some((oauth2.clone(), url)))
}

/// Checks the report base URL.
pub(crate) fn report_base(base: &str) -> Result<(), SetupError> {
    let url = web(base).map_err(|_| SetupError::ReportBaseUrl)?;
    let bare = url.query().is_none() && url.fragment().is_none() && !has_credentials(&url);
    if url.host().is_some() && bare { Ok(()) } else { Err(SetupError::ReportBaseUrl) }
}

/// The key in a trigger URL, decoded.
pub(crate) fn api_key(url: &Url) -> Option<String> {
    let mut pairs = url.query_pairs();
    pairs.find(|(name, key)| is_api_key(name) && !key.is_empty()).map(|(_, key)| key.into_owned())
}

pub(crate) fn is_api_key(name: &str) -> bool {
    name.eq_ignore_ascii_case("apiKey")
}

/// Reads a URL of the web that names its host.
pub(crate) fn web(text: &str) -> Result<Url, SetupError> {
    let url = Url::parse(text).map_err(|source| {
        if source == url::ParseError::EmptyHost { SetupError::NoHost } else { SetupError::NotAUrl { source } }
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(SetupError::Scheme);
    }
    // The URL standard would take the first segment of `https:///path` or `https:path` for the host.
    let written = text.split_once("://").map_or("", |(_, rest)| rest);
    if written.is_empty() || written.starts_with(['/', '\\']) {
        return Err(SetupError::NoHost);
    }
    Ok(url)
}

pub(crate) fn has_credentials(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// Whether plain HTTP to this host stays on this machine or in a private network. A name other than `localhost` could
/// lead anywhere.
fn is_local(host: &Host<&str>) -> bool {
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

    fn read(url: &str, auth: Auth) -> Result<Url, SetupError> {
        trigger(&DestinationSettings::new(url, auth))
    }

    fn basic() -> Auth {
        Auth::Basic { username: "u".into(), password: "p".into() }
    }

    #[track_caller]
    fn check(url: &str, auth: Auth, want: &str) {
        let got = match read(url, auth) {
            Ok(_) => "ok".to_owned(),
            Err(error) => {
                assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
                let debug = format!("{error:?}");
                debug.split([' ', '{']).next().unwrap().to_owned()
            }
        };
        assert_eq!(got, want, "{url}");
    }

    #[test]
    fn each_authentication_has_its_form_of_url() {
        let bare = format!("https://acme.xmatters.com{PATH}");
        check(&bare, basic(), "ok");
        check(&format!("{bare}?recipients=a"), basic(), "ok");
        check(&format!("{bare}?apiKey=s3cret"), basic(), "ApiKeyAndUser");
        check(&format!("{bare}?apikey=s3cret"), basic(), "ApiKeyAndUser");
        check(&format!("{bare}?apiKey=s3cret"), Auth::Url, "ok");
        check(&format!("{bare}?a=b&apiKey=s3cret"), Auth::Url, "ok");
        check(&bare, Auth::Url, "NoApiKey");
        check(&format!("{bare}?apiKey="), Auth::Url, "NoApiKey");
        check(&format!("{bare}?xapiKey=s3cret"), Auth::Url, "NoApiKey");
    }

    #[test]
    fn what_is_no_trigger_url_is_refused_without_repeating_it() {
        check("", basic(), "NotAUrl");
        check("acme.xmatters.com/s3cret", basic(), "NotAUrl");
        for url in
            ["https://", "https:///api/s3cret", "https:acme/s3cret", "https:/acme/s3cret", "https://\\acme"]
        {
            check(url, basic(), "NoHost");
        }
        check("https://a b/s3cret", basic(), "NotAUrl");
        check("https://a:99999/s3cret", basic(), "NotAUrl");
        check("ftp://acme.xmatters.com/s3cret", basic(), "Scheme");
        check("file:///s3cret", basic(), "Scheme");
        check("https://u:s3cret@acme.xmatters.com/", basic(), "Credentials");
        check("https://acme.xmatters.com/?apiKey=a#s3cret", Auth::Url, "Fragment");
    }

    fn oauth2(token_url: Option<&str>) -> Auth {
        let grant = Grant::Password { username: "u".into(), password: "p".into() };
        Auth::OAuth2(OAuth2 { token_url: token_url.map(Into::into), client_id: "c".into(), grant })
    }

    #[track_caller]
    fn check_token(token_url: Option<&str>, want: &str) {
        let settings =
            DestinationSettings::new(format!("https://acme.xmatters.com:8443{PATH}?a=b"), oauth2(token_url));
        let got = match token(&settings, &trigger(&settings).unwrap()) {
            Ok(found) => found.unwrap().1.to_string(),
            Err(error) => format!("{error:?}"),
        };
        assert_eq!(got, want, "{token_url:?}");
    }

    #[test]
    fn tokens_come_from_the_triggers_host_or_where_the_settings_say() {
        check_token(None, "https://acme.xmatters.com:8443/api/xm/1/oauth2/token");
        check_token(Some("https://sso.example/t?realm=a"), "https://sso.example/t?realm=a");
        check_token(Some("http://10.0.0.1/t"), "http://10.0.0.1/t");
        check_token(Some("http://sso.example/t"), "InsecureToken");
        for bad in ["", "sso.example", "ftp://a/", "https://u:s3cret@a/", "https://a/#s3cret", "https:///a"] {
            check_token(Some(bad), "TokenUrl");
        }
        check(&format!("https://acme.xmatters.com{PATH}?apiKey=s3cret"), oauth2(None), "ApiKeyAndToken");
    }

    #[test]
    fn what_tokens_are_asked_for_with_is_checked() {
        let check = |client_id: &str, grant: Grant, want: &str| {
            let auth = Auth::OAuth2(OAuth2 { token_url: None, client_id: client_id.into(), grant });
            let settings = DestinationSettings::new(format!("https://acme.xmatters.com{PATH}"), auth);
            let error = token(&settings, &trigger(&settings).unwrap()).unwrap_err();
            assert_eq!(format!("{error:?}"), want);
        };
        let user = |username: &str, password: &str| Grant::Password {
            username: username.into(),
            password: password.into(),
        };
        check("", user("u", "p"), "ClientId");
        check("c", user("", "p"), "Username");
        check("c", user("u", ""), "Password");
        check("c", user("u", "p\n"), "Password");
        check("c", Grant::Refresh { token: "".into() }, "RefreshToken");
        check("c", Grant::Refresh { token: "r\n".into() }, "RefreshToken");
    }

    #[test]
    fn plain_http_stays_local() {
        for host in
            ["127.0.0.1:8480", "10.1.2.3", "192.168.0.1", "[::1]:80", "[fd00::1]", "localhost", "a.localhost"]
        {
            check(&format!("http://{host}{PATH}"), basic(), "ok");
        }
        for host in
            ["acme.xmatters.com", "8.8.8.8", "[2001:db8::1]", "[::ffff:8.8.8.8]", "fake-xmatters:8480"]
        {
            check(&format!("http://{host}{PATH}"), basic(), "Insecure");
        }
        let insecure = DestinationSettings::new(format!("http://fake-xmatters{PATH}"), basic());
        assert!(trigger(&DestinationSettings { allow_insecure: true, ..insecure }).is_ok());
    }

    #[test]
    fn a_report_base_url_is_a_plain_url() {
        for good in ["https://reports.example.com", "http://localhost:8080/a/b/"] {
            assert!(report_base(good).is_ok(), "{good}");
        }
        let user = "https://u:p@a/";
        for bad in ["", "reports.example.com", "ftp://a", "https://", "https://a/?b", "https://a/#b", user] {
            assert!(matches!(report_base(bad), Err(SetupError::ReportBaseUrl)), "{bad}");
        }
    }
}
