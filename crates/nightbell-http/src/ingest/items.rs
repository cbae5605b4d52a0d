//! From a body to events that can be published.

use std::fmt;

use axum::http::StatusCode;
use bytes::Bytes;
use nightbell_core::event::{self, BadEvent, Event};
use nightbell_core::limits::EVENT_BYTES_MAX;
use nightbell_core::message::routing_key;
use serde::Serialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::limits::ITEMS_MAX;
use crate::answer::Problem;

/// An event that is ready to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    /// Its place in the request, from 0.
    pub(super) index: usize,
    /// Its own id, or one that was made for it.
    pub(super) id: String,
    pub(super) routing_key: String,
    /// Its bytes, as they came.
    pub(super) body: Bytes,
}

/// A part of a request that is no event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Bad {
    /// Its place in the request, from 0.
    pub(super) index: usize,
    /// Its line, from 1, where each line is an event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) line: Option<usize>,
    /// The field at fault; the error names line and column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) at: Option<String>,
    pub(super) error: String,
    #[serde(skip)]
    pub(super) is_too_long: bool,
}

/// What a request holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) items: Vec<Item>,
    pub(super) bad: Vec<Bad>,
    /// What is wrong with the report whose sound parts these are.
    pub(super) damage: Option<String>,
}

/// How the events of a body are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// One event, a list of them, or what turns out to be lines.
    Json,
    /// One event a line.
    Lines,
    /// One event of API Fortress.
    ApiFortress,
}

impl Form {
    /// The form by a media type; none: ingest does not take that type.
    pub(super) fn of(media_type: &str) -> Option<Self> {
        match media_type {
            "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/x-jsonlines" => Some(Self::Lines),
            "application/json" | "text/json" => Some(Self::Json),
            other if other.starts_with("application/") && other.ends_with("+json") => Some(Self::Json),
            _ => None,
        }
    }
}

/// Reads the events of a body. `make_id` gives an id to each that has none.
pub(super) fn read(body: &Bytes, form: Form, make_id: impl Fn() -> String) -> Result<Batch, Problem> {
    let body =
        body.strip_prefix("\u{feff}".as_bytes()).map_or_else(|| body.clone(), |text| body.slice_ref(text));
    let mut batch = Batch::default();
    match form {
        Form::Lines => batch.add_lines(&body, &make_id)?,
        Form::ApiFortress => batch.add(event::read_apifortress(&body), body, None, &make_id),
        Form::Json if body.trim_ascii_start().starts_with(b"[") => batch.add_list(&body, &make_id)?,
        Form::Json if is_lines(&body) => batch.add_lines(&body, &make_id)?,
        Form::Json => batch.add(event::read(&body), body, None, &make_id),
    }
    Ok(batch)
}

/// Whether JSON is in truth one event a line: its first line is whole, and it is not the only one.
fn is_lines(body: &[u8]) -> bool {
    let mut lines = body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let (Some(first), Some(_)) = (lines.next(), lines.next()) else { return false };
    serde_json::from_slice::<&RawValue>(first).is_ok_and(|value| value.get().starts_with('{'))
}

fn too_many() -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("the request has more than {ITEMS_MAX} events"),
        "send the events in several requests",
    )
}

impl Batch {
    /// How many parts it has.
    fn length(&self) -> usize {
        self.items.len() + self.bad.len()
    }

    fn add(
        &mut self,
        read: Result<Event, BadEvent>,
        body: Bytes,
        line: Option<usize>,
        make_id: impl Fn() -> String,
    ) {
        let index = self.length();
        match read {
            Ok(event) => self.items.push(Item {
                index,
                id: event.id.filter(|id| !id.is_empty()).unwrap_or_else(make_id),
                routing_key: routing_key(&event.project),
                body,
            }),
            Err(error) => self.bad.push(bad(index, line, &error)),
        }
    }

    /// Adds an event that was made here, of a report, and gives its length in bytes.
    pub(super) fn add_made(&mut self, event: &Event, make_id: impl Fn() -> String) -> usize {
        let json = serde_json::to_vec(event).expect("an event is plain data");
        // Without what the vector has in reserve, which nobody weighs.
        let body = Bytes::from(json.into_boxed_slice());
        let bytes = body.len();
        let read = if bytes > EVENT_BYTES_MAX { Err(BadEvent::TooLong { bytes }) } else { Ok(event.clone()) };
        self.add(read, body, None, make_id);
        bytes
    }

    fn add_list(&mut self, body: &Bytes, make_id: impl Fn() -> String) -> Result<(), Problem> {
        let list: List<'_> = serde_json::from_slice(body).map_err(|error| {
            let hint = "send one event, an array of events, or one event a line as application/x-ndjson";
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("not a JSON array: {error}"), hint)
        })?;
        if list.has_more {
            return Err(too_many());
        }
        for value in list.values {
            let body = body.slice_ref(value.get().as_bytes());
            self.add(event::read(&body), body, None, &make_id);
        }
        Ok(())
    }

    fn add_lines(&mut self, body: &Bytes, make_id: impl Fn() -> String) -> Result<(), Problem> {
        for (number, line) in (1..).zip(body.split(|byte| *byte == b'\n')) {
            let line = line.trim_ascii();
            if line.is_empty() {
                continue;
            }
            if self.length() == ITEMS_MAX {
                return Err(too_many());
            }
            let line = body.slice_ref(line);
            self.add(event::read(&line), line, Some(number), &make_id);
        }
        Ok(())
    }
}

fn bad(index: usize, line: Option<usize>, error: &BadEvent) -> Bad {
    let at = match error {
        BadEvent::Field { field, .. } => Some(field.clone()),
        BadEvent::TooLong { .. } | BadEvent::NotUtf8 { .. } | BadEvent::NotJson { .. } => None,
    };
    let is_too_long = matches!(error, BadEvent::TooLong { .. });
    Bad { index, line, at, error: error.to_string(), is_too_long }
}

/// The values of an array, unread, up to [`ITEMS_MAX`].
struct List<'a> {
    values: Vec<&'a RawValue>,
    has_more: bool,
}

impl<'de> serde::Deserialize<'de> for List<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(ListVisitor)
    }
}

struct ListVisitor;

impl<'de> Visitor<'de> for ListVisitor {
    type Value = List<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an array of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<List<'de>, A::Error> {
        let mut values = Vec::new();
        while values.len() < ITEMS_MAX {
            match seq.next_element()? {
                Some(value) => values.push(value),
                None => return Ok(List { values, has_more: false }),
            }
        }
        let mut has_more = false;
        while seq.next_element::<IgnoredAny>()?.is_some() {
            has_more = true;
        }
        Ok(List { values, has_more })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn batch(body: &str, form: Form) -> Result<Batch, Problem> {
        read(&Bytes::copy_from_slice(body.as_bytes()), form, || "made".to_owned())
    }

    /// What each part gives: `index id body`, or `index line at`.
    #[track_caller]
    fn check(body: &str, form: Form, items: &[&str], bad: &[(usize, Option<usize>, Option<&str>)]) {
        let batch = batch(body, form).unwrap();
        let show =
            |item: &Item| format!("{} {} {}", item.index, item.id, std::str::from_utf8(&item.body).unwrap());
        assert_eq!(batch.items.iter().map(show).collect::<Vec<_>>(), items, "{body}");
        let shown = batch.bad.iter().map(|bad| (bad.index, bad.line, bad.at.as_deref())).collect::<Vec<_>>();
        assert_eq!(shown, bad, "{body}");
    }

    const A: &str = r#"{"project":"p","test":"a","id":"1"}"#;
    const B: &str = r#"{ "project": "p", "test": "b" }"#;

    #[test]
    fn an_object_an_array_and_lines_give_their_own_bytes() {
        check(A, Form::Json, &[&format!("0 1 {A}")], &[]);
        check(&format!(" [{A} , {B}]\n"), Form::Json, &[&format!("0 1 {A}"), &format!("1 made {B}")], &[]);
        check(&format!("{A}\r\n\n {B}\n"), Form::Lines, &[&format!("0 1 {A}"), &format!("1 made {B}")], &[]);
        check(&format!("\u{feff}{A}"), Form::Json, &[&format!("0 1 {A}")], &[]);
    }

    #[test]
    fn lines_are_told_from_one_event_over_several() {
        check(&format!("{A}\n{B}\n"), Form::Json, &[&format!("0 1 {A}"), &format!("1 made {B}")], &[]);
        let pretty = "{\n\"project\": \"p\",\n\"test\": \"a\"}";
        check(pretty, Form::Json, &[&format!("0 made {pretty}")], &[]);
        check(&format!("{A}\n{{"), Form::Json, &[&format!("0 1 {A}")], &[(1, Some(2), None)]);
    }

    #[test]
    fn nothing_is_nothing_where_a_list_may_be_empty() {
        check("[]", Form::Json, &[], &[]);
        check("\n\n", Form::Lines, &[], &[]);
        check("", Form::Json, &[], &[(0, None, None)]);
    }

    #[test]
    fn each_bad_part_is_named_by_place_and_field() {
        let body = format!(r#"[{A},5,{{"project":"p"}},{{"project":"p","test":"t","tags":[1]}}]"#);
        let bad = [(1, None, None), (2, None, Some(".")), (3, None, Some("tags[0]"))];
        check(&body, Form::Json, &[&format!("0 1 {A}")], &bad);
        check(&format!("{A}\n\n[]\n"), Form::Lines, &[&format!("0 1 {A}")], &[(1, Some(3), None)]);
    }

    #[test]
    fn an_event_of_api_fortress_is_one_everywhere_and_nothing_else_is_one_there() {
        let body = r#"{"eventId":"e","companyId":1,"test":{"name":"book"},"projectName":"shop"}"#;
        check(body, Form::Json, &[&format!("0 e {body}")], &[]);
        check(body, Form::ApiFortress, &[&format!("0 e {body}")], &[]);
        check(A, Form::ApiFortress, &[], &[(0, None, Some("test"))]);
    }

    #[test]
    fn more_events_than_a_request_may_have_are_refused() {
        let list = |count: usize| format!("[{}]", vec![B; count].join(","));
        assert_eq!(batch(&list(ITEMS_MAX), Form::Json).unwrap().items.len(), ITEMS_MAX);
        for (body, form) in
            [(list(ITEMS_MAX + 1), Form::Json), (format!("{B}\n").repeat(ITEMS_MAX + 1), Form::Lines)]
        {
            assert!(format!("{:?}", batch(&body, form)).contains("413"));
        }
    }

    #[test]
    fn a_broken_array_is_refused_as_a_whole() {
        for body in ["[", "[{]", "[1,]", "[] x", "[{\"a\":\"\u{1}\"}]"] {
            assert!(format!("{:?}", batch(body, Form::Json)).contains("not a JSON array"), "{body}");
        }
    }

    #[test]
    fn deep_nesting_does_no_harm() {
        let deep = "[".repeat(200_000);
        assert!(batch(&deep, Form::Json).is_err());
        let closed = format!("{deep}{}", "]".repeat(200_000));
        assert_eq!(batch(&closed, Form::Json).unwrap().bad.len(), 1);
        assert_eq!(batch(&deep, Form::Lines).unwrap().bad.len(), 1);
    }

    #[test]
    fn the_media_type_decides_the_form() {
        assert_eq!(Form::of("application/json"), Some(Form::Json));
        assert_eq!(Form::of("application/cloudevents+json"), Some(Form::Json));
        assert_eq!(Form::of("application/x-ndjson"), Some(Form::Lines));
        for other in ["", "text/plain", "application/x-www-form-urlencoded", "image/x+json"] {
            assert_eq!(Form::of(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            body in proptest::collection::vec(any::<u8>(), 0..200),
            text in r#"[{}\[\]":,a-z0-9\\ \n]{0,80}"#,
        ) {
            for form in [Form::Json, Form::Lines, Form::ApiFortress] {
                drop(read(&Bytes::from(body.clone()), form, String::new));
                drop(read(&Bytes::from(text.clone()), form, String::new));
            }
        }

        #[test]
        fn every_line_that_is_not_blank_is_one_part(lines in proptest::collection::vec("[{}\":a-z ]{0,20}", 0..8)) {
            let filled = lines.iter().filter(|line| !line.trim().is_empty()).count();
            let batch = batch(&lines.join("\n"), Form::Lines).unwrap();
            prop_assert_eq!(batch.length(), filled);
        }
    }
}
