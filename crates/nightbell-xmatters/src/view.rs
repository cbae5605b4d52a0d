//! What every payload says of an alert, in the same words.

use std::borrow::Cow;

use nightbell_core::event::{Event, Status};
use nightbell_core::ports::Alert;
use nightbell_core::priority::Priority;

use crate::text::{TEXT_CHARS_MAX, cut, start};

/// The most that all labels of an alert may have, names and texts together, in bytes. It bounds a body; labels of real
/// events have a few hundred.
pub(crate) const LABEL_BYTES_MAX: usize = 32 * 1024;

/// An alert as one destination is to see it.
#[derive(Clone)]
pub(crate) struct View<'a> {
    pub(crate) alert: &'a Alert,
    pub(crate) recipients: &'a [String],
    pub(crate) priority: Priority,
    pub(crate) report_url: Option<Cow<'a, str>>,
    /// Why there is no `report_url` although the event has one.
    pub(crate) report_left_out: Option<&'static str>,
}

impl<'a> View<'a> {
    pub(crate) fn event(&self) -> &'a Event {
        &self.alert.event
    }

    /// One line for a pager: `shop: buys a book failed (production)`.
    pub(crate) fn summary(&self) -> String {
        let Event { project, test, environment, status, .. } = self.event();
        let ended = match status {
            Status::Failed => "failed",
            Status::Error => "ended with an error",
            Status::Passed => "passed",
        };
        // A name can be a megabyte, and no more than this of it is ever shown.
        let [project, test] = [project, test].map(|text| start(text, TEXT_CHARS_MAX));
        match environment {
            Some(environment) => {
                format!("{project}: {test} {ended} ({})", start(environment, TEXT_CHARS_MAX))
            }
            None => format!("{project}: {test} {ended}"),
        }
    }

    /// Tags with commas between.
    pub(crate) fn tags(&self) -> String {
        let mut joined = String::new();
        for (at, tag) in self.event().tags.iter().enumerate() {
            // Beyond this it is cut anyhow, and there can be a hundred thousand tags.
            if joined.len() > TEXT_CHARS_MAX * char::MAX_LEN_UTF8 {
                break;
            }
            joined.push_str(if at == 0 { "" } else { "," });
            joined.push_str(start(tag, TEXT_CHARS_MAX + 1));
        }
        joined
    }

    /// The first tags, which together are no longer than one text may be.
    pub(crate) fn tag_list(&self) -> Vec<Cow<'a, str>> {
        let mut room = TEXT_CHARS_MAX;
        let fits = |tag: &Cow<'_, str>| {
            // An empty tag counts too, so that the list has an end.
            let left = room.checked_sub(tag.chars().count().max(1));
            room = left.unwrap_or_default();
            left.is_some()
        };
        self.event().tags.iter().map(|tag| cut(tag)).take_while(fits).collect()
    }

    /// The labels, as far as [`LABEL_BYTES_MAX`] allows, with their texts cut; and how many are left out.
    pub(crate) fn labels(&self) -> (Vec<(&'a str, Cow<'a, str>)>, usize) {
        let labels = &self.event().labels;
        let (mut kept, mut room) = (Vec::with_capacity(labels.len().min(16)), LABEL_BYTES_MAX);
        for (name, text) in labels {
            let text = cut(text);
            if let Some(left) = room.checked_sub(name.len() + text.len()) {
                room = left;
                kept.push((name.as_str(), text));
            }
        }
        let left_out = labels.len() - kept.len();
        (kept, left_out)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use nightbell_core::event::Severity;
    use nightbell_core::priority::Priorities;

    use super::*;
    use crate::settings::DestinationSettings;
    use crate::settings::tests::destination;
    use crate::template::sample;

    fn alert(event: Event) -> Alert {
        sample::alert(event)
    }

    #[test]
    fn a_summary_says_what_happened_and_where() {
        #[track_caller]
        fn check(status: Status, environment: Option<&str>, want: &str) {
            let environment = environment.map(str::to_owned);
            let alert = alert(Event { status, environment, ..Event::new("shop", "buys a book") });
            let settings = destination("https://a");
            assert_eq!(settings.view(&alert).summary(), want);
        }
        check(Status::Failed, Some("production"), "shop: buys a book failed (production)");
        check(Status::Error, None, "shop: buys a book ended with an error");
        check(Status::Passed, None, "shop: buys a book passed");
    }

    #[test]
    fn the_alert_overrides_recipients_and_priority() {
        let settings = DestinationSettings {
            recipients: vec!["day".into()],
            priorities: Priorities::default().with(Severity::Low, Priority::Medium),
            ..destination("https://a")
        };
        let mut alert = alert(Event { severity: Severity::Low, ..Event::new("p", "t") });
        let seen = settings.view(&alert);
        assert_eq!((seen.recipients, seen.priority), (["day".to_owned()].as_slice(), Priority::Medium));
        alert.overrides.recipients = Some(Arc::from(["night".to_owned(), "jdoe|phone".to_owned()]));
        alert.overrides.priority = Some(Priority::High);
        let seen = settings.view(&alert);
        assert_eq!(seen.recipients, ["night", "jdoe|phone"]);
        assert_eq!(seen.priority, Priority::High);
        alert.overrides.recipients = Some(Arc::from([]));
        assert!(settings.view(&alert).recipients.is_empty(), "nobody, because the flow knows whom");
    }

    #[test]
    fn labels_beyond_the_bound_are_counted() {
        let text = "x".repeat(TEXT_CHARS_MAX);
        let labels = (0..20).map(|number| (format!("l{number:02}"), text.clone()));
        let alert = alert(Event { labels: labels.collect(), ..Event::new("p", "t") });
        let settings = destination("https://a");
        let (kept, left_out) = settings.view(&alert).labels();
        assert_eq!((kept.len(), left_out), (16, 4));
        assert_eq!(kept[0].0, "l00");
    }

    #[test]
    fn tags_stand_between_commas() {
        let settings = destination("https://a");
        let tags = |tags: &[&str]| {
            let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
            settings.view(&alert(Event { tags, ..Event::new("p", "t") })).tags()
        };
        assert_eq!(tags(&[]), "");
        assert_eq!(tags(&["a"]), "a");
        assert_eq!(tags(&["", "b"]), ",b");
        assert!(tags(&["ä"; 100_000]).len() < 10_000);
    }

    #[test]
    fn a_list_of_tags_is_as_long_as_a_text() {
        let settings = destination("https://a");
        let count = |tags: Vec<String>| {
            settings.view(&alert(Event { tags, ..Event::new("p", "t") })).tag_list().len()
        };
        assert_eq!(count(vec![String::new(); TEXT_CHARS_MAX + 1]), TEXT_CHARS_MAX);
        assert_eq!(count(vec!["ä".repeat(TEXT_CHARS_MAX), "x".into()]), 1);
        assert_eq!(count(vec!["x".into(); 3]), 3);
        assert_eq!(count(vec!["x".repeat(1_000_000)]), 1);
    }
}
