//! Reading an event from bytes.

use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Event, apifortress};
use crate::limits::EVENT_BYTES_MAX;

/// Why a body is no event: what, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadEvent {
    /// It is longer than an event may be.
    #[error("the body has {bytes} bytes; the most is {EVENT_BYTES_MAX}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// It is not text.
    #[error("not UTF-8 at byte {at}")]
    NotUtf8 {
        /// The first byte that is no text, counted from 0.
        at: usize,
    },
    /// It is not JSON, is nested too deeply, or is not an object.
    #[error("not a JSON object: {problem}")]
    NotJson {
        /// The parser's message, with line and column.
        problem: String,
    },
    /// A field has the wrong type or value, or is missing.
    #[error("field `{field}`: {problem}")]
    Field {
        /// Where: `labels.team`, `tags[2]`, or `.` for the whole event.
        field: String,
        /// The parser's message, with line and column.
        problem: String,
    },
}

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

/// The text of a JSON object of bounded length and depth.
pub(super) fn object_text(body: &[u8]) -> Result<&str, BadEvent> {
    if body.len() > EVENT_BYTES_MAX {
        return Err(BadEvent::TooLong { bytes: body.len() });
    }
    let text = std::str::from_utf8(body).map_err(|error| BadEvent::NotUtf8 { at: error.valid_up_to() })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Err(error) = serde_json::from_str::<Shape>(text) {
        return Err(BadEvent::NotJson { problem: shorten(&error.to_string()) });
    }
    Ok(text)
}

/// Refuses a field that says nothing.
pub(super) fn require_text(field: &str, value: &str) -> Result<(), BadEvent> {
    if value.trim().is_empty() {
        return Err(BadEvent::Field { field: field.into(), problem: "must not be empty".into() });
    }
    Ok(())
}

/// Reads an event, knowing at each moment where it is. That costs as much as reading, so ours are read this way only to
/// say what is wrong.
pub(super) fn read_slowly<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, BadEvent> {
    let mut parser = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut parser).map_err(|error| BadEvent::Field {
        field: error.path().to_string(),
        problem: shorten(&error.into_inner().to_string()),
    })
}

/// Keeps the head and the tail of a long message: the tail has line and column.
fn shorten(problem: &str) -> String {
    const HEAD: usize = 120;
    const TAIL: usize = 60;
    let count = problem.chars().count();
    if count <= HEAD + TAIL {
        return problem.to_owned();
    }
    let head: String = problem.chars().take(HEAD).collect();
    let tail: String = problem.chars().skip(count - TAIL).collect();
    format!("{head}…{tail}")
}

/// A JSON object of bounded depth, content ignored. The parser bounds the depth only of what is visited, and a struct
/// skips its unknown fields unvisited.
pub(super) struct Shape;

impl<'de> serde::Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Shape;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an event, which is a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
        while map.next_entry::<IgnoredAny, Anything>()?.is_some() {}
        Ok(Shape)
    }
}

/// Any JSON value, visited and forgotten.
struct Anything;

impl<'de> serde::Deserialize<'de> for Anything {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(AnythingVisitor)
    }
}

struct AnythingVisitor;

impl<'de> Visitor<'de> for AnythingVisitor {
    type Value = Anything;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Anything, E> {
        Ok(Anything)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Anything, E> {
        Ok(Anything)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Anything, E> {
        Ok(Anything)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Anything, E> {
        Ok(Anything)
    }

    fn visit_str<E>(self, _: &str) -> Result<Anything, E> {
        Ok(Anything)
    }

    fn visit_unit<E>(self) -> Result<Anything, E> {
        Ok(Anything)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Anything, A::Error> {
        while seq.next_element::<Anything>()?.is_some() {}
        Ok(Anything)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Anything, A::Error> {
        ObjectVisitor.visit_map(map).map(|Shape| Anything)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Severity, Status};
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
