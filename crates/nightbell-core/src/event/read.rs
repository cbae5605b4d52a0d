//! Reading an event from bytes.

use super::apifortress;
use super::fields::Event;
use super::parse::{BadEvent, object_text, read_slowly, require_text};

/// Reads an event. `project` and `test` must be there and not be empty. An event of API Fortress, recognised by its
/// shape, is read as ours.
///
/// # Errors
/// [`BadEvent`] says what is wrong and where; it quotes field names and the short value at fault, never the body.
pub fn read(body: &[u8]) -> Result<Event, BadEvent> {
    let text = object_text(body)?;
    let event = match serde_json::from_str::<Event>(text) {
        Ok(event) => event,
        // What reads as ours is ours, so only the rest can be API Fortress's.
        Err(_) if apifortress::is_meant(text) => return apifortress::read_text(text),
        Err(_) => read_slowly(text)?,
    };
    require_text("project", &event.project)?;
    require_text("test", &event.test)?;
    Ok(event)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Severity, Status};
    use crate::limits::EVENT_BYTES_MAX;
    use proptest::prelude::*;

    #[track_caller]
    fn check(body: &str, want: &str) {
        match read(body.as_bytes()) {
            Ok(event) => panic!("read {event:?}"),
            Err(error) => assert_eq!(error.to_string(), want),
        }
    }

    #[test]
    fn two_fields_are_enough() {
        let event = read(br#"{"project":"shop","test":"buys a book"}"#).unwrap();
        assert_eq!(event, Event::new("shop", "buys a book"));
        assert_eq!((event.status, event.severity), (Status::Failed, Severity::High));
    }

    #[test]
    fn null_counts_as_absent_and_unknown_fields_are_ignored() {
        let body = br#"{"project":"p","test":"t","tags":null,"labels":null,"status":null,"message":null,"x":{"y":[1]}}"#;
        assert_eq!(read(body), Ok(Event::new("p", "t")));
    }

    #[test]
    fn what_it_writes_it_reads() {
        let body = br#"{"project":"p","test":"t","id":"1","status":"error","severity":"low","message":"m","details":"d",
            "suite":"s","environment":"e","run_id":"r","occurred_at":1514558191000,"report_url":"u","report_path":"p",
            "tags":["a"],"labels":{"k":"v"},"dedup_key":"k"}"#;
        let event = read(body).unwrap();
        assert_eq!(read(&serde_json::to_vec(&event).unwrap()), Ok(event));
    }

    #[test]
    fn each_field_error_names_field_and_position() {
        check(r#"{"project":"p"}"#, "field `.`: missing field `test` at line 1 column 15");
        check(
            r#"{"project":5,"test":"t"}"#,
            "field `project`: invalid type: integer `5`, expected a string at line 1 column 12",
        );
        check(
            r#"{"project":"p","test":"t","status":"red"}"#,
            "field `status`: unknown variant `red`, expected one of `failed`, `error`, `passed` at line 1 column 40",
        );
        check(
            r#"{"project":"p","test":"t","labels":{"team":1}}"#,
            "field `labels.team`: invalid type: integer `1`, expected a string at line 1 column 44",
        );
        check(
            r#"{"project":"p","test":"t","tags":["a",2]}"#,
            "field `tags[1]`: invalid type: integer `2`, expected a string at line 1 column 39",
        );
        check(r#"{"project":" ","test":"t"}"#, "field `project`: must not be empty");
        check(
            r#"{"project":"p","test":"t","occurred_at":"soon"}"#,
            "field `occurred_at`: invalid value: string \"soon\", expected a time as RFC 3339 (2026-11-21T03:00:00Z) or \
             epoch milliseconds at line 1 column 46",
        );
    }

    #[test]
    fn what_is_not_a_json_object_is_said_with_position() {
        check("", "not a JSON object: EOF while parsing a value at line 1 column 0");
        check("{", "not a JSON object: EOF while parsing an object at line 1 column 1");
        check(
            "[]",
            "not a JSON object: invalid type: sequence, expected an event, which is a JSON object at line 1 column 0",
        );
        check("{} x", "not a JSON object: trailing characters at line 1 column 4");
    }

    #[test]
    fn deep_nesting_is_refused_even_where_it_would_be_ignored() {
        let body = format!(r#"{{"project":"p","test":"t","x":{}1{}}}"#, "[".repeat(500), "]".repeat(500));
        let error = read(body.as_bytes()).unwrap_err().to_string();
        assert!(
            error.starts_with("not a JSON object: recursion limit exceeded at line 1 column "),
            "{error}"
        );
    }

    #[test]
    fn a_body_that_is_not_utf_8_is_refused_with_its_first_bad_byte() {
        assert_eq!(read(b"{\"project\":\"\xff\"}"), Err(BadEvent::NotUtf8 { at: 12 }));
    }

    #[test]
    fn a_body_over_the_limit_is_refused() {
        assert_eq!(
            read(&vec![b' '; EVENT_BYTES_MAX + 1]),
            Err(BadEvent::TooLong { bytes: EVENT_BYTES_MAX + 1 })
        );
    }

    #[test]
    fn a_long_value_at_fault_is_cut() {
        let body = format!(r#"{{"project":"p","test":"t","status":"{}"}}"#, "x".repeat(10_000));
        let error = read(body.as_bytes()).unwrap_err().to_string();
        assert!(error.len() < 250 && error.ends_with("at line 1 column 10037"), "{error}");
    }

    #[test]
    fn a_body_that_is_one_long_text_is_not_quoted_whole() {
        let error = read(format!("\"{}\"", "x".repeat(10_000)).as_bytes()).unwrap_err().to_string();
        assert!(error.len() < 250 && error.ends_with("at line 1 column 10002"), "{error}");
    }

    const WHOLE: &str = r#"{"project":"shop","test":"buys","id":"e-1","status":"error","severity":"low","message":"m",
        "details":"d\u00e9","occurred_at":"2026-11-21T10:00:00+0000","report_path":"/r/1","tags":["a","b"],
        "labels":{"team":"x"},"dedup_key":"k","suite":"s","environment":"e","run_id":"7","other":[{"n":1.5}]}"#;

    #[test]
    fn the_event_that_is_mutated_is_sound() {
        assert!(read(WHOLE.as_bytes()).is_ok());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            drop(read(&body));
        }

        #[test]
        fn an_event_that_is_nearly_right_is_read_or_refused_in_few_words(
            edits in proptest::collection::vec(
                (any::<proptest::sample::Index>(), 0..6_usize, r#"([{}\[\]":,\\]|null|-1|1e999|"\\ud800"|\PC){0,3}"#),
                1..4,
            )
        ) {
            let mut body = WHOLE.as_bytes().to_vec();
            for (at, cut, text) in edits {
                let at = at.index(body.len() + 1);
                let end = (at + cut).min(body.len());
                body.splice(at..end, text.into_bytes());
            }
            match read(&body) {
                Ok(event) => {
                    prop_assert!(!event.project.trim().is_empty() && !event.test.trim().is_empty());
                    prop_assert_eq!(read(&serde_json::to_vec(&event).unwrap()), Ok(event));
                }
                Err(error) => prop_assert!(error.to_string().len() < 1_000),
            }
        }

        #[test]
        fn no_json_like_text_makes_it_panic(body in r#"[{}\[\]":,a-z0-9\\ ]{0,80}"#) {
            drop(read(body.as_bytes()));
        }
    }
}
