//! How a connector authenticates: which keys go together, and which exclude each other.

use nightbell_xmatters::{Auth, AuthKind, ClientId, Grant, Login, OAuth2, Password, TokenUrl, Username};

use super::table::Table;
use super::values;

/// All keys of which some belong to one kind of authentication only, and the kind that uses them.
const KEYS: [(&str, &str); 5] = [
    ("username", "basic"),
    ("password", "basic"),
    ("client_id", "oauth2"),
    ("refresh_token", "oauth2"),
    ("token_url", "oauth2"),
];

/// Reads the key `auth`.
pub(super) fn kind(table: &mut Table<'_, '_>) -> AuthKind {
    table.text_or("auth", "basic", |text| values::word(text, &AuthKind::ALL, AuthKind::as_str))
}

/// All that the keys hold, sound as far as each goes alone.
struct Credentials {
    login: Option<Login>,
    client_id: Option<ClientId>,
    refresh_token: Option<Password>,
    token_url: Option<TokenUrl>,
}

/// Reads the keys of the authentication and holds them against each other.
pub(super) fn auth(table: &mut Table<'_, '_>, kind: AuthKind, allow_insecure: bool) -> Option<Auth> {
    let given = Credentials {
        login: login(table),
        client_id: table.text("client_id", str::parse),
        refresh_token: table.secret("refresh_token", str::parse),
        token_url: table.secret("token_url", |text| {
            let url: TokenUrl = text.parse()?;
            url.check_encryption(allow_insecure).map(|()| url)
        }),
    };
    for (key, user) in KEYS {
        let is_used = kind == AuthKind::OAuth2 || kind.as_str() == user;
        if !is_used && table.has(key) {
            let word = kind.as_str();
            table.problem(
                key,
                format!("`auth = \"{word}\"` does not use it; remove it, or set `auth = \"{user}\"`"),
            );
        }
    }
    match kind {
        AuthKind::Url => Some(Auth::Url),
        AuthKind::Basic => {
            for key in ["username", "password"] {
                table.require(key, "`auth = \"basic\"` needs it; set it, or set `auth = \"url\"`");
            }
            given.login.map(Auth::Basic)
        }
        AuthKind::OAuth2 => oauth2(table, given),
    }
}

/// A user and a password, if both are there.
pub(super) fn login(table: &mut Table<'_, '_>) -> Option<Login> {
    let username: Option<Username> = table.text("username", str::parse);
    let password: Option<Password> = table.secret("password", str::parse);
    Some(Login { username: username?, password: password? })
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
        (false, true) => given.refresh_token.map(Grant::Refresh),
        (true, false) => {
            let cure = "`auth = \"oauth2\"` needs both `username` and `password`, or a `refresh_token` alone";
            table.require("username", cure);
            table.require("password", cure);
            given.login.map(Grant::Password)
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
