//! The `apifortress` payload: the flat body that API Fortress's own connector sends, in its words, and the alert's id.
//!
//! An event of API Fortress has the label `company_id`, and in most cases `company`. For an event of another producer
//! the words are the same, save that nobody claims that API Fortress ran its test. The connector that this replaces
//! sends no priority.

use nightbell_core::event::Status;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::text::{TEXT_CHARS_MAX, cut, cut_to, start};
use crate::view::View;

/// What stands between two recipients.
const SEPARATOR: &str = ",";

/// However long the link is, so much of the test's name is shown, in characters.
const NAME_CHARS_MIN: usize = 100;

/// The whole body.
pub(crate) struct ApiFortress<'a>(pub(crate) &'a View<'a>);

impl Serialize for ApiFortress<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self(view) = self;
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("Summary", &cut(&summary(view)))?;
        map.serialize_entry("Message", &cut(&message(view)))?;
        // Never cut: half a name is somebody else's.
        map.serialize_entry("Recipients", &view.recipients.join(SEPARATOR))?;
        map.serialize_entry("alert_id", &format_args!("{}", view.alert.alert_id))?;
        map.end()
    }
}

/// `Test failure detected in *COMPANY / PROJECT*`.
fn summary(view: &View<'_>) -> String {
    let event = view.event();
    let word = ended(event.status);
    let project = start(&event.project, TEXT_CHARS_MAX);
    match label(view, "company") {
        Some(company) => format!("Test {word} detected in *{company} / {project}*"),
        None => format!("Test {word} detected in *{project}*"),
    }
}

/// Says which test it was, and where its report is. The name is shortened rather than the link.
fn message(view: &View<'_>) -> String {
    let event = view.event();
    let word = ended(event.status);
    let kind = if event.labels.contains_key("company_id") { "API Fortress test" } else { "test" };
    let link = match (&view.report_url, view.report_left_out) {
        (Some(link), _) => format!(" click here to see the {word}: {link}"),
        (None, Some(reason)) => format!(" (no link: {reason})"),
        (None, None) => String::new(),
    };
    let begin = format!("This is an automated notification caused by the {word} of the {kind} '");
    let taken = begin.chars().count() + 1 + link.chars().count();
    let test = cut_to(&event.test, TEXT_CHARS_MAX.saturating_sub(taken).max(NAME_CHARS_MIN));
    format!("{begin}{test}'{link}")
}

/// API Fortress knows two ways for a test to end.
fn ended(status: Status) -> &'static str {
    match status {
        Status::Failed | Status::Error => "failure",
        Status::Passed => "success",
    }
}

fn label<'a>(view: &View<'a>, name: &str) -> Option<&'a str> {
    view.event()
        .labels
        .get(name)
        .map(|text| start(text, TEXT_CHARS_MAX))
        .filter(|text| !text.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use nightbell_core::event::Event;

    use super::*;
    use crate::settings::tests::destination;
    use crate::template::sample;

    #[track_caller]
    fn check(link: &str, want_end: &str) {
        let event = Event { report_url: Some(link.to_owned()), ..Event::new("p", "ä".repeat(5_000)) };
        let alert = sample::alert(event);
        let message = message(&destination("https://a").view(&alert));
        assert_eq!(cut(&message).chars().count(), TEXT_CHARS_MAX, "{message}");
        assert!(cut(&message).ends_with(want_end), "{message}");
    }

    #[test]
    fn the_tests_name_is_shortened_rather_than_the_link() {
        check("https://r.example.com/7", "ä…' click here to see the failure: https://r.example.com/7");
        check(&format!("https://r.example.com/{}", "u".repeat(5_000)), "uu…");
    }
}
