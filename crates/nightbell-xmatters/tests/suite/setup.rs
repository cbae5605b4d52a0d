//! What is checked before anything is sent.

use std::time::Duration;

use nightbell_xmatters::{Auth, DestinationSettings, Xmatters};

use crate::common::{FixedClock, PASSWORD, destination, sender};

const URL: &str = "https://acme.xmatters.com/api/integration/1/functions/6f2d8c1e-0b7a/triggers";

#[track_caller]
fn check(settings: DestinationSettings, words: &str) {
    let error = Xmatters::new(settings, FixedClock).unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(error.to_string().contains(words), "{shown}");
    assert!(!shown.contains("acme") && !shown.contains(PASSWORD), "{shown}");
}

#[test]
fn wrong_settings_are_named() {
    check(destination("acme"), "not a URL");
    check(destination("http://acme.xmatters.com/"), "https://");
    check(destination(format!("{URL}?apiKey=x")), "apiKey");
    check(DestinationSettings { auth: Auth::Url, ..destination(URL) }, "no apiKey");
    let user = |username: &str| Auth::Basic { username: username.into(), password: PASSWORD.into() };
    check(DestinationSettings { auth: user("a:b"), ..destination(URL) }, "username");
    let no_password = Auth::Basic { username: "u".into(), password: "".into() };
    check(DestinationSettings { auth: no_password, ..destination(URL) }, "password");
    check(DestinationSettings { timeout: Duration::ZERO, ..destination(URL) }, "longer than 0 s");
    check(DestinationSettings { connect_timeout: Duration::ZERO, ..destination(URL) }, "longer than 0 s");
    let base = Some("reports.example.com".to_owned());
    check(DestinationSettings { report_base_url: base, ..destination(URL) }, "report base URL");
}

#[test]
fn no_debug_text_shows_a_secret() {
    let shown = format!("{:?} {:?}", destination(URL), sender(destination(URL)));
    assert!(shown.contains("svc-nightbell"), "{shown}");
    assert!(!shown.contains("6f2d8c1e") && !shown.contains("acme") && !shown.contains(PASSWORD), "{shown}");
}
