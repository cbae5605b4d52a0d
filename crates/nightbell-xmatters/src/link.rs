//! The link to an event's report.

use std::borrow::Cow;
use std::fmt::Write as _;

use nightbell_core::event::Event;
use percent_encoding::percent_decode;

use crate::text::{TEXT_CHARS_MAX, start};
use crate::undo::is_gap;
use crate::web_url::{self, ReportBase};

/// Why an event's link is left out of what is posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadLink {
    NoWeb,
    Credentials,
    Characters,
    Climbs,
    Whole,
}

impl BadLink {
    /// What is wrong with it; never a part of it.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::NoWeb => "report_url is not a link that begins with https:// or http:// and names a host",
            Self::Credentials => "report_url has a user or a password before its host",
            Self::Characters => {
                "report_url has white space, a line end, a backslash or an invisible character in it"
            }
            Self::Climbs => "report_path climbs by `..`",
            Self::Whole => "report_path is a whole link, which belongs into report_url",
        }
    }
}

/// Why the link of an event is left out of what is posted to a destination with this `report_base_url`; none: it is not,
/// or the event has none. The event is posted all the same.
#[must_use]
pub fn report_left_out(event: &Event, base: Option<&ReportBase>) -> Option<&'static str> {
    report(event, base).err().map(BadLink::words)
}

/// The event's own link, or its path below the base; none if it has neither, or a path and there is no base.
pub(crate) fn report<'e>(
    event: &'e Event,
    base: Option<&ReportBase>,
) -> Result<Option<Cow<'e, str>>, BadLink> {
    match (&event.report_url, &event.report_path, base) {
        (Some(url), _, _) => check_url(url).map(|()| Some(Cow::Borrowed(url.as_str()))),
        (None, Some(path), Some(base)) => {
            check_path(path)?;
            Ok(Some(Cow::Owned(join(base.as_str(), path))))
        }
        (None, _, _) => Ok(None),
    }
}

/// A link that somebody is to follow in the middle of the night: to a page, and to the host that it seems to name.
fn check_url(url: &str) -> Result<(), BadLink> {
    // More of it is never shown.
    let url = start(url, TEXT_CHARS_MAX);
    if url.contains(|letter: char| letter == '\\' || is_gap(letter)) {
        return Err(BadLink::Characters);
    }
    let read = web_url::parse(url, "").map_err(|_| BadLink::NoWeb)?;
    if web_url::has_login(&read) { Err(BadLink::Credentials) } else { Ok(()) }
}

/// A path stays below the base, however often its escapes are undone by who serves it.
fn check_path(path: &str) -> Result<(), BadLink> {
    const LAYERS_MAX: usize = 4;

    let path = path.split(['?', '#']).next().unwrap_or_default();
    if ["http://", "https://"].iter().any(|scheme| starts_with(path, scheme)) {
        return Err(BadLink::Whole);
    }
    let mut path = Cow::Borrowed(path.as_bytes());
    for _ in 0..LAYERS_MAX {
        let mut parts = path.split(|byte| b"/\\".contains(byte));
        // Some servers take what follows a semicolon for parameters.
        if parts.any(|part| part.split(|byte| *byte == b';').next() == Some(b"..")) {
            return Err(BadLink::Climbs);
        }
        path = Cow::Owned(percent_decode(&path).collect());
    }
    Ok(())
}

fn starts_with(text: &str, start: &str) -> bool {
    text.get(..start.len()).is_some_and(|own| own.eq_ignore_ascii_case(start))
}

/// Joins a path to a base with exactly one slash between. The result always begins with the base: a path that is a
/// whole URL, or begins with two slashes, does not lead elsewhere. Only what may not stand in a URL is escaped, so a
/// path may have a query and a fragment.
fn join(base: &str, path: &str) -> String {
    let (base, path) = (base.trim_end_matches('/'), path.trim_start_matches('/'));
    let mut link = String::with_capacity(base.len() + 1 + path.len());
    link.push_str(base);
    link.push('/');
    for (at, byte) in path.bytes().enumerate() {
        let stands = if byte == b'%' { is_escape(&path.as_bytes()[at..]) } else { is_allowed(byte) };
        if stands {
            link.push(char::from(byte));
        } else {
            write!(link, "%{byte:02X}").expect("a String takes all text");
        }
    }
    link
}

/// Whether an escape begins here.
fn is_escape(bytes: &[u8]) -> bool {
    matches!(bytes, [b'%', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
}

/// What may stand in a path, a query or a fragment, and the marks that begin the latter two (RFC 3986 3.3 to 3.5).
fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?#".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BASE: &str = "https://r.example.com/base";

    fn base() -> ReportBase {
        BASE.parse().unwrap()
    }

    #[track_caller]
    fn check(path: &str, want: &str) {
        assert_eq!(join(BASE, path), format!("{BASE}/{want}"), "{path}");
        assert_eq!(join("https://r.example.com/base//", path), format!("{BASE}/{want}"), "{path}");
    }

    #[test]
    fn there_is_one_slash_between_base_and_path() {
        check("run/1", "run/1");
        check("/run/1", "run/1");
        check("///run//1/", "run//1/");
        check("", "");
    }

    #[test]
    fn only_what_must_be_is_escaped() {
        check("a/b?c=d&e=f#g", "a/b?c=d&e=f#g");
        check("test_[x y]", "test_%5Bx%20y%5D");
        check("ä\\\"<>\n", "%C3%A4%5C%22%3C%3E%0A");
        check("100%", "100%25");
        check("a%20b%2", "a%20b%252");
        check("%é", "%25%C3%A9");
    }

    #[test]
    fn a_path_never_leads_elsewhere() {
        check("https://evil.example/x", "https://evil.example/x");
        check("//evil.example/x", "evil.example/x");
        check("@evil.example", "@evil.example");
    }

    #[test]
    fn an_events_own_link_comes_first() {
        let mut event = Event { report_path: Some("p".into()), ..Event::new("a", "b") };
        let base = base();
        let link = |event: &Event, base| report(event, base).unwrap().map(Cow::into_owned);
        assert_eq!(link(&event, None), None);
        assert_eq!(link(&event, Some(&base)).as_deref(), Some("https://r.example.com/base/p"));
        event.report_url = Some("https://x/y".into());
        assert_eq!(link(&event, Some(&base)).as_deref(), Some("https://x/y"));
        assert_eq!(link(&Event::new("a", "b"), Some(&base)), None);
    }

    #[test]
    fn a_report_url_that_is_no_plain_link_is_left_out() {
        #[track_caller]
        fn check(url: &str, want: Option<BadLink>) {
            let event = Event { report_url: Some(url.into()), ..Event::new("a", "b") };
            assert_eq!(report(&event, Some(&base())).err(), want, "{url:?}");
            assert_eq!(report_left_out(&event, None), want.map(BadLink::words));
        }
        for good in [
            "https://ci.example.com/7?a=b#c",
            "HTTP://ci:8080/job/7/",
            "http://[::1]/%0a/ü",
            "https://10.1.2.3/a@b:c",
        ] {
            check(good, None);
        }
        for bad in [
            "",
            "javascript:alert(1)",
            "JavaScript://ci.example.com/%0aalert(1)",
            "data:text/html,<script>",
            "file:///etc/passwd",
            "ftp://ci.example.com/7",
            "vbscript:x",
            "ci.example.com/7",
            "//ci.example.com/7",
            "https:ci.example.com",
            "https:///ci.example.com",
            "https://",
            "http://a:99999/",
        ] {
            check(bad, Some(BadLink::NoWeb));
        }
        for bad in
            ["https://u:s3cret@ci.example.com/7", "https://ci.example.com@evil.example/", "http://:p@a/"]
        {
            check(bad, Some(BadLink::Credentials));
        }
        for bad in [
            "https://ci.example.com/7\r\nSubject: x",
            "https://ci.example.com/7\n",
            " https://ci.example.com/7",
            "https://ci.example.com/a b",
            "java\tscript:alert(1)",
            "https://ci.example.com/\u{0}",
            "https://ci.example.com/\u{85}\u{9b}",
            "https://ci.example.com/\u{202e}moc",
            "https://ci.example.com/\u{200b}",
            "https:\\\\ci.example.com",
            "https://ci.example.com\\@evil.example/",
        ] {
            check(bad, Some(BadLink::Characters));
        }
    }

    #[test]
    fn a_report_path_that_climbs_is_left_out() {
        #[track_caller]
        fn check(path: &str, want: Option<BadLink>) {
            let event = Event { report_path: Some(path.into()), ..Event::new("a", "b") };
            assert_eq!(report(&event, Some(&base())).err(), want, "{path:?}");
            assert_eq!(report(&event, None), Ok(None), "without a base there is no link");
        }
        for bad in [
            "..",
            "../x",
            "/a/../../x",
            "a/..",
            "%2e%2e/x",
            "a/%2E./x",
            ".%2e",
            "%252e%252E/x",
            "a%2f..%2fx",
            "a%2F%2e%2e",
            "..\\x",
            "a\\..\\x",
            "a%5c..%5Cx",
            "..;a=b/x",
            "..?a",
        ] {
            check(bad, Some(BadLink::Climbs));
        }
        check("https://evil.example/x", Some(BadLink::Whole));
        check("HTTP://evil.example/x", Some(BadLink::Whole));
        for good in [
            "...",
            "a..b/x",
            "run/1?back=../x#../y",
            "//evil.example/x",
            "\\\\evil.example\\x",
            "javascript:x",
            ".",
        ] {
            check(good, None);
        }
    }

    proptest! {
        #[test]
        fn a_joined_link_is_a_url_on_the_bases_host(path in "\\PC{0,40}") {
            let url = url::Url::parse(&join(BASE, &path)).unwrap();
            prop_assert_eq!(url.host_str(), Some("r.example.com"));
        }

        #[test]
        fn a_link_that_is_shown_is_below_the_base(path in "([./\\\\%25eEfFcC?#;:a]|%2e|%2E|%2f|%5c){0,12}") {
            let event = Event { report_path: Some(path), ..Event::new("a", "b") };
            if let Ok(Some(link)) = report(&event, Some(&base())) {
                let url = url::Url::parse(&link).unwrap();
                prop_assert!(url.path().starts_with("/base/"), "{}", url);
            }
        }
    }
}
