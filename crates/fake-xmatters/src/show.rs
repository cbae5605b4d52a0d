//! How requests and counts look to a person. Plain text, never a colour.

use std::error::Error;

use fake_xmatters::{Kind, Recorded, Summary};

/// How much of an alert id is shown.
const ID_CHARS: usize = 8;

/// How much of any other text is shown.
const TEXT_CHARS_MAX: usize = 60;

/// One line about a request.
pub(crate) fn request(request: &Recorded) -> String {
    let Recorded { unix_ms, status, alert_id, test, priority, recipients, .. } = request;
    let time = time_of_day(*unix_ms);
    let fate = fate(request);
    let alert = alert_id.as_deref().map_or("-".into(), |id| text(id, ID_CHARS));
    let attempt = request.attempt.map_or("-".to_owned(), |attempt| format!("#{attempt}"));
    let shown = |value: Option<&str>| value.map_or("-".into(), |value| text(value, TEXT_CHARS_MAX));
    let (test, priority) = (shown(test.as_deref()), shown(priority.as_deref()));
    let recipients = shown(Some(&recipients.join(",")).filter(|names| !names.is_empty()).map(String::as_str));
    format!("{time}  {status} {fate:<10}  {alert:<8} {attempt:<3}  {priority:<6}  {test}  -> {recipients}")
}

/// The counts at the end.
pub(crate) fn summary(summary: &Summary) -> String {
    let Summary { requests, accepted, alerts, repeats, suppressed, connections } = summary;
    format!(
        "requests {requests} on {connections} connections; accepted {accepted} of {alerts} alerts; \
         repeats {repeats}; suppressed {suppressed}"
    )
}

/// The innermost cause, whose text says most.
pub(crate) fn deepest(error: &dyn Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

/// What became of it, in a word.
fn fate(request: &Recorded) -> &'static str {
    match (request.kind, request.accepted) {
        _ if request.suppressed => "suppressed",
        (Kind::Whole | Kind::SlowBytes { .. }, true) => "accepted",
        (Kind::Whole | Kind::SlowBytes { .. }, false) => "refused",
        // Taken, although the caller may not know.
        (_, true) => "taken",
        (Kind::HalfThenClose | Kind::HalfHeadThenClose, false) => "half",
        (Kind::Close, false) => "closed",
        (Kind::Reset, false) => "reset",
        (Kind::Garbage, false) => "garbage",
        (Kind::Hang, false) => "hung",
    }
}

/// A text from outside: no control characters, which could move a terminal's cursor, and not too long.
fn text(value: &str, chars_max: usize) -> String {
    let mut shown: String = value.chars().take(chars_max).collect();
    if shown.len() < value.len() && chars_max > ID_CHARS {
        shown.push('…');
    }
    shown.replace(char::is_control, "?")
}

/// The time of day in UTC.
fn time_of_day(unix_ms: u64) -> String {
    let (seconds, ms) = (unix_ms / 1_000, unix_ms % 1_000);
    format!("{:02}:{:02}:{:02}.{ms:03}Z", seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn recorded() -> Recorded {
        Recorded {
            at: Instant::now(),
            unix_ms: 1_514_558_191_007,
            connection: 1,
            function: "f".into(),
            alert_id: Some("0e0ac5e8ea44ddde7bdd06a1c1b9a44b".into()),
            event_id: None,
            test: Some("buys a book".into()),
            priority: Some("HIGH".into()),
            attempt: Some(1),
            recipients: vec!["sre".into(), "jdoe|work".into()],
            traceparent: None,
            body: Vec::new(),
            status: 202,
            kind: Kind::Whole,
            accepted: true,
            suppressed: false,
            request_id: None,
        }
    }

    #[test]
    fn a_request_is_one_readable_line() {
        let line = request(&recorded());
        assert_eq!(
            line,
            "14:36:31.007Z  202 accepted    0e0ac5e8 #1   HIGH    buys a book  -> sre,jdoe|work"
        );
    }

    #[test]
    fn the_line_says_what_became_of_it() {
        #[track_caller]
        fn check(request: &Recorded, word: &str) {
            assert_eq!(fate(request), word);
        }
        check(&Recorded { suppressed: true, ..recorded() }, "suppressed");
        check(&Recorded { accepted: false, ..recorded() }, "refused");
        check(&Recorded { kind: Kind::Hang, ..recorded() }, "taken");
        check(&Recorded { kind: Kind::Hang, accepted: false, ..recorded() }, "hung");
    }

    #[test]
    fn a_text_from_outside_can_not_steer_the_terminal() {
        let line = request(&Recorded { test: Some("a\u{1b}[2J\nb".into()), ..recorded() });
        assert!(!line.contains(char::is_control), "{line:?}");
        assert!(line.contains("a?[2J?b"), "{line}");
    }
}
