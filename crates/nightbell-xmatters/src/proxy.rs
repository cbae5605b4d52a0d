//! Which proxy, if any, stands between us and a URL.

use hyper::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::header::HeaderValue;
use url::Url;

use crate::auth::Login;
use crate::error::SetupError;
use crate::network::Network;
use crate::web_url::ProxyUrl;

/// The proxy for one URL.
#[derive(Debug)]
pub(crate) struct Via {
    /// Its URL, without credentials.
    pub(crate) url: ProxyUrl,
    /// The value of `Proxy-Authorization`.
    pub(crate) authorization: Option<HeaderValue>,
}

impl Via {
    /// The proxy for a URL; none: it is reached without one. `lookup` reads the environment.
    pub(crate) fn of(
        network: &Network,
        target: &Url,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, SetupError> {
        match &network.proxy {
            Some(proxy) if proxy.bypass_hosts.iter().any(|rule| rule.fits(target)) => Ok(None),
            Some(proxy) => {
                let authorization = proxy.login.as_ref().map(Login::header);
                Ok(Some(Self { url: proxy.url.clone(), authorization }))
            }
            None if network.environment_proxies => environment(target, lookup),
            None => Ok(None),
        }
    }
}

/// The environment's proxy, by the rules that most programs follow.
fn environment(target: &Url, lookup: impl Fn(&str) -> Option<String>) -> Result<Option<Via>, SetupError> {
    let read = |name: &str| {
        let set = |name: &str| lookup(name).filter(|value| !value.is_empty());
        set(name).or_else(|| set(&name.to_ascii_lowercase())).unwrap_or_default()
    };
    let uri: Uri = target.as_str().parse().map_err(|_| SetupError::EnvironmentProxy)?;
    let own = read(if target.scheme() == "https" { "HTTPS_PROXY" } else { "HTTP_PROXY" });
    let proxy = if own.is_empty() { read("ALL_PROXY") } else { own };
    // The matcher takes a text that it can't read for no proxy. We would then send past the one that is asked for.
    if proxy.is_empty()
        || Matcher::builder().all("http://a").no(read("NO_PROXY")).build().intercept(&uri).is_none()
    {
        return Ok(None);
    }
    let found = Matcher::builder().all(proxy).build().intercept(&uri).ok_or(SetupError::EnvironmentProxy)?;
    let url = found.uri().to_string().parse().map_err(|_| SetupError::EnvironmentProxy)?;
    Ok(Some(Via { url, authorization: found.basic_auth().cloned() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Proxy;

    #[track_caller]
    fn check(environment: &[(&str, &str)], target: &str, want: Result<Option<&str>, ()>) {
        let network = Network { environment_proxies: true, ..Network::default() };
        let lookup = |name: &str| {
            environment.iter().find(|(one, _)| *one == name).map(|(_, value)| (*value).to_owned())
        };
        let via = Via::of(&network, &target.parse().unwrap(), lookup);
        if let Err(error) = &via {
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
        }
        let got = via.map(|via| via.map(|via| via.url.as_str().to_owned())).map_err(drop);
        assert_eq!(got, want.map(|url| url.map(str::to_owned)), "{environment:?} {target}");
    }

    #[test]
    fn the_environment_has_a_proxy_for_each_scheme() {
        let both = [("HTTPS_PROXY", "http://one:1"), ("http_proxy", "two:2")];
        check(&both, "https://a.example/", Ok(Some("http://one:1/")));
        check(&both, "http://a.example/", Ok(Some("http://two:2/")));
        check(&[("ALL_PROXY", "https://three:3")], "http://a.example/", Ok(Some("https://three:3/")));
        check(&[("HTTP_PROXY", "http://two:2")], "https://a.example/", Ok(None));
        check(&[], "https://a.example/", Ok(None));
    }

    #[test]
    fn the_environment_can_except_hosts() {
        let except = |list| [("HTTPS_PROXY", "http://one:1"), ("NO_PROXY", list)];
        check(&except("b.example,.a.example"), "https://x.a.example/", Ok(None));
        check(&except("10.0.0.0/8"), "https://10.1.2.3/", Ok(None));
        check(&except("*"), "https://a.example/", Ok(None));
        check(&except("b.example"), "https://a.example/", Ok(Some("http://one:1/")));
    }

    #[test]
    fn an_environment_proxy_that_can_not_be_used_is_no_reason_to_go_without() {
        for bad in ["socks5://u:s3cret@one:1", "http://u:s3cret@one:x", "http://a b s3cret"] {
            check(&[("HTTPS_PROXY", bad)], "https://a.example/", Err(()));
        }
    }

    #[test]
    fn credentials_of_the_environment_are_sent_and_hidden() {
        let network = Network { environment_proxies: true, ..Network::default() };
        let lookup = |name: &str| (name == "HTTPS_PROXY").then(|| "http://u:p%40@one:1".to_owned());
        let via = Via::of(&network, &"https://a.example/".parse().unwrap(), lookup).unwrap().unwrap();
        assert_eq!(via.authorization.as_ref().unwrap(), "Basic dTpwQA==");
        assert!(!format!("{via:?}").contains("dTpw"), "{via:?}");
    }

    #[test]
    fn a_proxy_of_our_own_comes_before_the_environments() {
        let proxy = Proxy { url: "http://own:1".parse().unwrap(), login: None, bypass_hosts: Vec::new() };
        let network = Network { proxy: Some(proxy), environment_proxies: true, ..Network::default() };
        let lookup = |_: &str| Some("http://other:2".to_owned());
        let via = Via::of(&network, &"https://a.example/".parse().unwrap(), lookup).unwrap().unwrap();
        assert_eq!(via.url.as_str(), "http://own:1/");
    }
}
