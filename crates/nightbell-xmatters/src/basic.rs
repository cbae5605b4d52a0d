//! HTTP Basic (RFC 7617).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderValue;

/// What HTTP Basic can't carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadBasic {
    Username,
    Password,
}

/// The value of a header of HTTP Basic: the user has no colon, and neither has control characters.
pub(crate) fn basic(username: &str, password: &str) -> Result<HeaderValue, BadBasic> {
    if username.is_empty() || username.contains(|character: char| character == ':' || character.is_control())
    {
        return Err(BadBasic::Username);
    }
    if password.is_empty() || password.contains(char::is_control) {
        return Err(BadBasic::Password);
    }
    let text = format!("Basic {}", STANDARD.encode(format!("{username}:{password}")));
    let mut value = HeaderValue::from_str(&text).expect("base64 is ASCII");
    // Keeps it out of Debug texts and of HTTP/2's header compression.
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(username: &str, password: &str, want: Result<&str, BadBasic>) {
        let got = basic(username, password);
        assert_eq!(got.as_ref().map(|value| value.to_str().unwrap()).map_err(|bad| *bad), want);
    }

    #[test]
    fn basic_credentials_are_checked_and_hidden() {
        check("u", "p:q", Ok("Basic dTpwOnE="));
        check("jö", "pä", Ok("Basic asO2OnDDpA=="));
        check("", "p", Err(BadBasic::Username));
        check("a:b", "p", Err(BadBasic::Username));
        check("u", "", Err(BadBasic::Password));
        check("u", "p\n", Err(BadBasic::Password));
        assert_eq!(format!("{:?}", basic("u", "p").unwrap()), "Sensitive");
    }
}
