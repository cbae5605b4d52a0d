//! The link to an event's report.

use std::borrow::Cow;
use std::fmt::Write as _;

use nightbell_core::event::Event;

/// The event's own link, or its path below the base; none if it has neither, or a path and there is no base.
pub(crate) fn report<'e>(event: &'e Event, base: Option<&str>) -> Option<Cow<'e, str>> {
    match (&event.report_url, &event.report_path, base) {
        (Some(url), _, _) => Some(Cow::Borrowed(url)),
        (None, Some(path), Some(base)) => Some(Cow::Owned(join(base, path))),
        (None, _, _) => None,
    }
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
        assert_eq!(report(&event, None), None);
        assert_eq!(report(&event, Some(BASE)).as_deref(), Some("https://r.example.com/base/p"));
        event.report_url = Some("https://x/y".into());
        assert_eq!(report(&event, Some(BASE)).as_deref(), Some("https://x/y"));
        assert_eq!(report(&Event::new("a", "b"), Some(BASE)), None);
    }

    proptest! {
        #[test]
        fn a_joined_link_is_a_url_on_the_bases_host(path in "\\PC{0,40}") {
            let url = url::Url::parse(&join(BASE, &path)).unwrap();
            prop_assert_eq!(url.host_str(), Some("r.example.com"));
        }
    }
}
