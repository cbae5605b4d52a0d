//! How a connector authenticates: which keys go together, and which exclude each other.

use nightbell_xmatters::{Auth, Grant, OAuth2};
use secrecy::SecretString;

use super::network::{self, NetworkConfig};
use super::table::Table;
use super::values;

/// The words for the kinds of authentication.
const KINDS: [(&str, AuthKind); 3] =
    [("basic", AuthKind::Basic), ("url", AuthKind::Url), ("oauth2", AuthKind::OAuth2)];

/// All keys of which some belong to one kind of authentication only.
const KEYS: [&str; 5] = ["username", "password", "client_id", "refresh_token", "token_url"];

/// A kind of authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AuthKind {
    Basic,
    Url,
    OAuth2,
}

impl AuthKind {
    /// Reads the key `auth`.
    pub(super) fn read(table: &mut Table<'_, '_>) -> Self {
        table.text_or("auth", "basic", |text| values::word(text, &KINDS))
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Url => "url",
            Self::OAuth2 => "oauth2",
        }
    }

    fn uses(self, key: &str) -> bool {
        match self {
            Self::Basic => matches!(key, "username" | "password"),
            Self::Url => false,
            Self::OAuth2 => true,
        }
    }
}

/// All that the keys hold, sound as far as each goes alone.
struct Credentials {
    username: Option<String>,
    password: Option<SecretString>,
    client_id: Option<String>,
    refresh_token: Option<SecretString>,
    token_url: Option<SecretString>,
}

/// Reads the keys of the authentication and holds them against each other.
pub(super) fn auth(table: &mut Table<'_, '_>, kind: AuthKind, allow_insecure: bool) -> Option<Auth> {
    let given = Credentials {
        username: table.unquoted("username", values::username),
        password: table.secret("password", values::password),
        client_id: table.text("client_id", values::filled),
        refresh_token: table.secret("refresh_token", values::password),
        token_url: table.secret("token_url", |text| values::token_url(text, allow_insecure)),
    };
    for key in KEYS.into_iter().filter(|key| !kind.uses(key)) {
        if table.has(key) {
            let cure = if matches!(key, "username" | "password") { "basic" } else { "oauth2" };
            let word = kind.as_str();
            table.problem(
                key,
                format!("`auth = \"{word}\"` does not use it; remove it, or set `auth = \"{cure}\"`"),
            );
        }
    }
    match kind {
        AuthKind::Url => Some(Auth::Url),
        AuthKind::Basic => {
            for key in ["username", "password"] {
                table.require(key, "`auth = \"basic\"` needs it; set it, or set `auth = \"url\"`");
            }
            Some(Auth::Basic { username: given.username?, password: given.password? })
        }
        AuthKind::OAuth2 => oauth2(table, given),
    }
}

fn oauth2(table: &mut Table<'_, '_>, given: Credentials) -> Option<Auth> {
    table.require("client_id", "`auth = \"oauth2\"` needs it; copy it from the OAuth page in xMatters");
    let has_login = table.has("username") || table.has("password");
    let grant = match (has_login, table.has("refresh_token")) {
        (true, true) => {
            let complaint = "it is set beside `username` or `password`, and only one way can be used; remove it, or \
                             remove both of them";
            table.problem("refresh_token", complaint);
            None
        }
        (false, true) => given.refresh_token.map(|token| Grant::Refresh { token }),
        (true, false) => {
            for key in ["username", "password"] {
                table.require(
                    key,
                    "`auth = \"oauth2\"` needs both `username` and `password`, or a `refresh_token` alone",
                );
            }
            let login = given.username.zip(given.password);
            login.map(|(username, password)| Grant::Password { username, password })
        }
        (false, false) => {
            let cure = "set it, or `username` and `password`: `auth = \"oauth2\"` asks for its tokens with one or the \
                        other";
            table.require("refresh_token", cure);
            None
        }
    };
    Some(Auth::OAuth2(OAuth2 { token_url: given.token_url, client_id: given.client_id?, grant: grant? }))
}

/// Refuses a token URL that may not be reached.
pub(super) fn check_token_host(table: &mut Table<'_, '_>, auth: &Auth, network: &NetworkConfig) {
    match auth {
        Auth::OAuth2(OAuth2 { token_url: Some(url), .. }) => {
            network::check_host(table, "token_url", url, network);
        }
        Auth::OAuth2(OAuth2 { token_url: None, .. }) | Auth::Basic { .. } | Auth::Url => {}
    }
}
