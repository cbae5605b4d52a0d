//! What both kinds of events are read with: bounded JSON, and errors that say where.

use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

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

/// Any JSON value, visited and forgotten.
struct Anything;

struct Visit;

impl<'de> serde::Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Visit).map(|Anything| Self)
    }
}

impl<'de> serde::Deserialize<'de> for Anything {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Visit)
    }
}

/// The scalars that JSON knows.
macro_rules! forget {
    ($($visit:ident: $scalar:ty,)*) => {
        $(fn $visit<E>(self, _: $scalar) -> Result<Anything, E> {
            Ok(Anything)
        })*
    };
}

impl<'de> Visitor<'de> for Visit {
    type Value = Anything;

    /// Only a [`Shape`] can be missed.
    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an event, which is a JSON object")
    }

    forget! { visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str, }

    fn visit_unit<E>(self) -> Result<Anything, E> {
        Ok(Anything)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Anything, A::Error> {
        while seq.next_element::<Anything>()?.is_some() {}
        Ok(Anything)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Anything, A::Error> {
        while map.next_entry::<IgnoredAny, Anything>()?.is_some() {}
        Ok(Anything)
    }
}
