//! Who we say we are.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};

use crate::error::Misfit;
use crate::web_url::{TokenUrl, TriggerUrl};

/// How we say who we are.
#[derive(Debug, Clone)]
pub enum Auth {
    /// HTTP Basic: a user and a password, or an API key and its secret.
    Basic(Login),
    /// The trigger URL's query has the `apiKey`.
    Url,
    /// A token, which is asked for when it is needed.
    OAuth2(OAuth2),
}

/// How tokens are asked for.
#[derive(Debug, Clone)]
pub struct OAuth2 {
    /// Where; none: at `/api/xm/1/oauth2/token` of the trigger's host.
    pub token_url: Option<TokenUrl>,
    /// The client's id.
    pub client_id: ClientId,
    /// What a token is asked for with.
    pub grant: Grant,
}

/// What a token is given for.
#[derive(Debug, Clone)]
pub enum Grant {
    /// A user and the user's password, each time.
    Password(Login),
    /// A refresh token. One that is good for a single use is replaced, in memory, by the one that comes with the
    /// answer; after a restart this one is used again.
    Refresh(Password),
}

/// A kind of authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthKind {
    /// [`Auth::Basic`]
    Basic,
    /// [`Auth::Url`]
    Url,
    /// [`Auth::OAuth2`]
    OAuth2,
}

impl Auth {
    /// Which kind it is.
    #[must_use]
    pub fn kind(&self) -> AuthKind {
        match self {
            Self::Basic(_) => AuthKind::Basic,
            Self::Url => AuthKind::Url,
            Self::OAuth2(_) => AuthKind::OAuth2,
        }
    }
}

impl AuthKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Basic, Self::Url, Self::OAuth2];

    /// The word used in configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Url => "url",
            Self::OAuth2 => "oauth2",
        }
    }

    /// Refuses a trigger URL that lacks the key, or has one that nobody uses.
    ///
    /// # Errors
    /// [`Misfit`]
    pub fn check_key(self, trigger: &TriggerUrl) -> Result<(), Misfit> {
        match (self, trigger.api_key()) {
            (Self::Url, None) => Err(Misfit::new(
                "has no apiKey",
                "copy the whole trigger URL with its `?apiKey=…`, or set `auth = \"basic\"`",
            )),
            (Self::Basic | Self::OAuth2, Some(_)) => Err(Misfit::new(
                format!("has an apiKey, which `auth = \"{}\"` does not use", self.as_str()),
                "remove it, or set `auth = \"url\"`",
            )),
            (Self::Url, Some(_)) | (Self::Basic | Self::OAuth2, None) => Ok(()),
        }
    }
}

/// A user and the user's password.
#[derive(Debug, Clone)]
pub struct Login {
    /// The user.
    pub username: Username,
    /// The password.
    pub password: Password,
}

impl Login {
    /// The value of a header of HTTP Basic (RFC 7617).
    pub(crate) fn header(&self) -> HeaderValue {
        let text = format!("Basic {}", STANDARD.encode(self.pair()));
        let mut value = HeaderValue::from_str(&text).expect("base64 is ASCII");
        // Keeps it out of Debug texts and of HTTP/2's header compression.
        value.set_sensitive(true);
        value
    }

    /// Both, as HTTP Basic writes them.
    pub(crate) fn pair(&self) -> String {
        format!("{}:{}", self.username.as_str(), self.password.expose())
    }
}

/// A user that HTTP Basic can carry: not empty, and without colon and control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username(String);

/// The id of an OAuth2 client: not empty, and without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientId(String);

/// A password, or a token that somebody else issued: not empty, and without control characters. Never shown.
#[derive(Debug, Clone)]
pub struct Password(SecretString);

fn check_filled(text: &str) -> Result<(), Misfit> {
    Misfit::unless(!text.trim().is_empty(), "is empty", "write a text")
}

impl FromStr for Username {
    type Err = Misfit;

    fn from_str(text: &str) -> Result<Self, Misfit> {
        let is_plain = !text.contains(|letter: char| letter == ':' || letter.is_control());
        let reason = "has a colon, a line end or another control character";
        Misfit::unless(is_plain, reason, "write the name alone")?;
        check_filled(text).map(|()| Self(text.to_owned()))
    }
}

impl FromStr for ClientId {
    type Err = Misfit;

    fn from_str(text: &str) -> Result<Self, Misfit> {
        let is_plain = !text.contains(char::is_control);
        Misfit::unless(is_plain, "has a line end or another control character", "write the id alone")?;
        check_filled(text).map(|()| Self(text.to_owned()))
    }
}

impl FromStr for Password {
    type Err = Misfit;

    fn from_str(text: &str) -> Result<Self, Misfit> {
        check_filled(text)?;
        let is_plain = !text.contains(char::is_control);
        let reason = "has a line end or another control character";
        Misfit::unless(is_plain, reason, "write it on one line, alone")?;
        Ok(Self(text.into()))
    }
}

impl Username {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ClientId {
    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Password {
    /// The password itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Display for Password {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("***")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn login(username: &str, password: &str) -> Login {
        Login { username: username.parse().unwrap(), password: password.parse().unwrap() }
    }

    #[track_caller]
    fn check(login: &Login, want: &str) {
        assert_eq!(login.header().to_str().unwrap(), want);
        assert_eq!(format!("{:?}", login.header()), "Sensitive");
        assert!(!format!("{login:?}").contains(login.password.expose()), "{login:?}");
    }

    #[test]
    fn basic_credentials_are_hidden() {
        check(&login("u", "p:q"), "Basic dTpwOnE=");
        check(&login("jö", "pä"), "Basic asO2OnDDpA==");
    }

    #[test]
    fn what_no_header_carries_is_refused() {
        for bad in ["", "a:b", "a\n"] {
            assert!(bad.parse::<Username>().is_err(), "{bad}");
        }
        for bad in ["", "p\n", "r\u{0}"] {
            assert!(bad.parse::<Password>().is_err(), "{bad}");
            assert!(bad.parse::<ClientId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn each_authentication_has_its_form_of_url() {
        let check = |end: &str, kind: AuthKind, want: &str| {
            let url = format!("https://acme.xmatters.com/api/integration/1/functions/6f2d/triggers{end}");
            let said = kind.check_key(&url.parse().unwrap());
            let said = said.map_or_else(|bad| bad.to_string(), |()| "ok".to_owned());
            assert!(said.starts_with(want) && !said.contains("s3cret"), "{end}: {said}");
        };
        use AuthKind as K;
        for kind in [K::Basic, K::OAuth2] {
            check("", kind, "ok");
            check("?recipients=a", kind, "ok");
            check("?apiKey=s3cret", kind, "has an apiKey, which `auth = \"");
            check("?apikey=s3cret", kind, "has an apiKey");
        }
        check("?apiKey=s3cret", K::Url, "ok");
        check("?a=b&apiKey=s3cret", K::Url, "ok");
        check("", K::Url, "has no apiKey");
        check("?apiKey=", K::Url, "has no apiKey");
        check("?xapiKey=s3cret", K::Url, "has no apiKey");
    }
}
