//! The forms in which producers give a time.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::time::UnixMillis;

/// A point in time that was read from RFC 3339, from the same with an offset like `+0000` (API Fortress), or from epoch
/// milliseconds; written as RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct When(pub UnixMillis);

const EXPECTED: &str = "a time as RFC 3339 (2026-11-21T03:00:00Z) or epoch milliseconds";

/// The last millisecond that the calendar can show, 9999-12-31.
const MILLIS_MAX: u64 = 253_402_207_200_999;

struct WhenVisitor;

impl Visitor<'_> for WhenVisitor {
    type Value = When;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(EXPECTED)
    }

    fn visit_u64<E: de::Error>(self, millis: u64) -> Result<When, E> {
        if millis > MILLIS_MAX {
            return Err(E::invalid_value(de::Unexpected::Unsigned(millis), &self));
        }
        Ok(When(UnixMillis(millis)))
    }

    fn visit_i64<E: de::Error>(self, millis: i64) -> Result<When, E> {
        match u64::try_from(millis) {
            Ok(millis) => self.visit_u64(millis),
            Err(_) => Err(E::invalid_value(de::Unexpected::Signed(millis), &self)),
        }
    }

    /// To JSON, a whole number with a decimal point is the same number.
    fn visit_f64<E: de::Error>(self, millis: f64) -> Result<When, E> {
        match format!("{:.0}", millis + 0.0).parse() {
            Ok(whole) if millis.fract() == 0.0 => self.visit_u64(whole),
            Ok(_) | Err(_) => Err(E::invalid_value(de::Unexpected::Float(millis), &self)),
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<When, E> {
        let time: jiff::Timestamp =
            text.parse().map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))?;
        self.visit_i64(time.as_millisecond())
    }
}

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(WhenVisitor)
    }
}

impl Serialize for When {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

impl JsonSchema for When {
    fn schema_name() -> Cow<'static, str> {
        "When".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": EXPECTED,
            "oneOf": [
                { "type": "string", "examples": ["2026-11-21T03:00:00Z", "2026-11-21T03:00:00+0000"] },
                { "type": "integer", "minimum": 0, "maximum": MILLIS_MAX }
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(json: &str, want: Option<u64>) {
        let read = serde_json::from_str::<When>(json).ok().map(|when| when.0.0);
        assert_eq!(read, want, "{json}");
    }

    #[test]
    fn every_form_of_time_is_read() {
        check("\"2017-12-29T14:36:31Z\"", Some(1_514_558_191_000));
        check("\"2017-12-29T14:36:31.250Z\"", Some(1_514_558_191_250));
        check("\"2017-12-29T16:36:31+02:00\"", Some(1_514_558_191_000));
        check("\"2017-12-29T14:36:31+0000\"", Some(1_514_558_191_000));
        check("1514558191000", Some(1_514_558_191_000));
        check("0", Some(0));
        check("1514558191000.0", Some(1_514_558_191_000));
        check("1.514558191e12", Some(1_514_558_191_000));
        check("-0.0", Some(0));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        check("\"yesterday\"", None);
        check("\"2017-12-29\"", None);
        check("\"2017-12-29T14:36:31\"", None);
        check("\"1514558191000\"", None);
        check("-1", None);
        check("1.5", None);
        check("0.4", None);
        check("-1.0", None);
        check("1e300", None);
        check("18446744073709551615", None);
        check("\"1969-12-31T23:59:59Z\"", None);
    }

    proptest! {
        #[test]
        fn every_time_is_read_as_it_was_written(millis in 0..=MILLIS_MAX) {
            let when = When(UnixMillis(millis));
            prop_assert_eq!(serde_json::from_value::<When>(serde_json::to_value(when).unwrap()).unwrap(), when);
            prop_assert_eq!(serde_json::from_str::<When>(&millis.to_string()).unwrap(), when);
        }

        #[test]
        fn a_time_that_is_nearly_right_is_one_that_is_written_and_read_or_is_refused(
            text in "[0-9]{1,20}|-?[0-9]{1,4}(\\.[0-9]{0,3})?e[0-9]{1,3}|\"[0-9+-]{4,7}-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:?[0-6][0-9]:?[0-6][0-9](\\.[0-9]{1,10})?(Z|[+-][0-9:]{2,8}|\\[[A-Za-z/]{0,9}\\])?\"",
        ) {
            if let Ok(when) = serde_json::from_str::<When>(&text) {
                prop_assert!(when.0.0 <= MILLIS_MAX);
                prop_assert_eq!(serde_json::from_value::<When>(serde_json::to_value(when).unwrap()).unwrap(), when);
            }
        }
    }
}
