//! What is checked before anything is sent.

use std::str::FromStr;

use nightbell_xmatters::{
    Auth, DestinationSettings, Misfit, Password, ReportBase, TriggerUrl, Username, Xmatters,
};

use crate::common::{FixedClock, PASSWORD, destination, sender};

const URL: &str = "https://acme.xmatters.com/api/integration/1/functions/6f2d8c1e-0b7a/triggers";

/// What is said of a text that is not what it is meant to be.
fn misfit<T: FromStr<Err = Misfit>>(text: &str) -> String {
    let said = text.parse::<T>().map_or_else(|bad| format!("{bad} {bad:?}"), |_| "nothing".to_owned());
    assert!(!said.contains("hunter2"), "{said}");
    said
}

#[track_caller]
fn check(said: &str, words: &str) {
    assert!(said.contains(words), "{said}");
}

#[test]
fn wrong_texts_are_told() {
    check(&misfit::<TriggerUrl>("hunter2"), "is no URL");
    check(&misfit::<Username>("hunter2:b"), "has a colon");
    check(&misfit::<Password>(""), "is empty");
    check(&misfit::<ReportBase>("hunter2.example.com"), "is no URL");
}

#[test]
fn settings_that_do_not_go_together_are_named() {
    let check_built = |settings: DestinationSettings, words: &str| {
        let error = Xmatters::new(settings, FixedClock).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(error.to_string().contains(words), "{shown}");
        assert!(!shown.contains("acme") && !shown.contains(PASSWORD), "{shown}");
    };
    check_built(destination("http://acme.xmatters.com/"), "https");
    check_built(destination(format!("{URL}?apiKey=x")), "apiKey");
    check_built(DestinationSettings { auth: Auth::Url, ..destination(URL) }, "no apiKey");
}

#[test]
fn no_debug_text_shows_a_secret() {
    let shown = format!("{:?} {:?}", destination(URL), sender(destination(URL)));
    assert!(shown.contains("svc-nightbell"), "{shown}");
    assert!(!shown.contains("6f2d8c1e") && !shown.contains("acme") && !shown.contains(PASSWORD), "{shown}");
}
