//! The few facts that are read out of a request's body.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};

/// What a body says of its alert. The form payload has most of it in `properties`, flat payloads at the top; of two
/// places the first in the text counts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) alert_id: Option<String>,
    pub(crate) event_id: Option<String>,
    pub(crate) test: Option<String>,
    pub(crate) priority: Option<String>,
    pub(crate) attempt: Option<u32>,
    pub(crate) recipients: Vec<String>,
}

/// Reads the facts; none: the body is not one JSON object in UTF-8, or its `properties` is no object.
pub(crate) fn read(body: &[u8]) -> Option<Facts> {
    let mut facts = Facts::default();
    let mut json = serde_json::Deserializer::from_str(str::from_utf8(body).ok()?);
    Gather(&mut facts).deserialize(&mut json).ok()?;
    json.end().ok()?;
    Some(facts)
}

/// A key of either level. Keys of other payload profiles are aliases.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    Properties,
    #[serde(alias = "alertId", alias = "signalId")]
    AlertId,
    #[serde(alias = "eventId")]
    EventId,
    #[serde(alias = "ruleName")]
    Test,
    Priority,
    Attempt,
    #[serde(alias = "Recipients")]
    Recipients,
    #[serde(other)]
    Other,
}

struct Gather<'f>(&'f mut Facts);

impl<'de> DeserializeSeed<'de> for Gather<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Gather<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let facts = self.0;
        while let Some(key) = map.next_key::<Key>()? {
            let place = match key {
                Key::Properties => {
                    map.next_value_seed(Gather(facts))?;
                    continue;
                }
                Key::Recipients => {
                    facts.recipients.extend(map.next_value::<Names>()?.0);
                    continue;
                }
                Key::Attempt => {
                    facts.attempt = map.next_value::<Scalar>()?.0.and_then(|text| text.parse().ok());
                    continue;
                }
                Key::Other => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
                Key::AlertId => &mut facts.alert_id,
                Key::EventId => &mut facts.event_id,
                Key::Test => &mut facts.test,
                Key::Priority => &mut facts.priority,
            };
            let Scalar(value) = map.next_value()?;
            *place = place.take().or(value);
        }
        Ok(())
    }
}

/// A text or a number as text; anything else is nothing.
struct Scalar(Option<String>);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Names(mut names, single) = from.deserialize_any(NamesVisitor)?;
        Ok(Self(if single { names.pop() } else { None }))
    }
}

/// Recipients: a list of names or of objects with `targetName` or `id`, or one text with commas. The flag tells a
/// single scalar from a list.
struct Names(Vec<String>, bool);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Self(names, single) = from.deserialize_any(NamesVisitor)?;
        if !single {
            return Ok(Self(names, false));
        }
        let split = names.iter().flat_map(|text| text.split(','));
        Ok(Self(split.map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect(), false))
    }
}

struct NamesVisitor;

impl<'de> Visitor<'de> for NamesVisitor {
    type Value = Names;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a text, a number or a list")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Names, E> {
        Ok(Names(vec![text.to_owned()], true))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Names, E> {
        Ok(Names(vec![number.to_string()], true))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Names, E> {
        Ok(Names(vec![number.to_string()], true))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Names, E> {
        Ok(Names(vec![number.to_string()], true))
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Names, E> {
        Ok(Names(Vec::new(), true))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Names, E> {
        Ok(Names(Vec::new(), true))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Names, A::Error> {
        let mut all = Vec::new();
        while let Some(Names(names, _)) = list.next_element_seed(OneName)? {
            all.extend(names);
        }
        Ok(Names(all, false))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Names, A::Error> {
        let mut names = Vec::new();
        while let Some(key) = map.next_key::<TargetKey>()? {
            match key {
                TargetKey::Name => names.extend(map.next_value::<Scalar>()?.0),
                TargetKey::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Names(names, false))
    }
}

/// One element of a list of recipients, kept whole.
struct OneName;

impl<'de> DeserializeSeed<'de> for OneName {
    type Value = Names;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Names, D::Error> {
        from.deserialize_any(NamesVisitor)
    }
}

#[derive(Deserialize)]
#[serde(field_identifier)]
enum TargetKey {
    #[serde(rename = "targetName", alias = "id")]
    Name,
    #[serde(other)]
    Other,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, want: &Facts) {
        assert_eq!(&read(body.as_bytes()).unwrap(), want, "{body}");
    }

    fn named(alert_id: &str) -> Facts {
        Facts { alert_id: Some(alert_id.into()), ..Facts::default() }
    }

    #[test]
    fn the_form_payload_is_read() {
        check(
            r#"{"properties":{"alert_id":"a","event_id":"e","test":"t","attempt":2,"x":{"y":[1]}},
                "recipients":["jdoe|work, home","team"],"priority":"HIGH"}"#,
            &Facts {
                alert_id: Some("a".into()),
                event_id: Some("e".into()),
                test: Some("t".into()),
                priority: Some("HIGH".into()),
                attempt: Some(2),
                recipients: vec!["jdoe|work, home".into(), "team".into()],
            },
        );
    }

    #[test]
    fn an_alert_id_is_found_in_other_payloads_too() {
        check(r#"{"alert_id":"a"}"#, &named("a"));
        check(r#"{"alertId":"a"}"#, &named("a"));
        check(r#"{"signalId":"a","alertActionGroupName":"g"}"#, &named("a"));
        check(r#"{"alert_id":7}"#, &named("7"));
    }

    #[test]
    fn recipients_come_in_several_forms() {
        let both = Facts { recipients: vec!["a".into(), "b".into()], ..Facts::default() };
        check(r#"{"recipients":["a","b"]}"#, &both);
        check(r#"{"Recipients":"a, b"}"#, &both);
        check(r#"{"recipients":[{"targetName":"a","x":1},{"id":"b"}]}"#, &both);
        check(r#"{"recipients":null}"#, &Facts::default());
    }

    #[test]
    fn facts_of_odd_kinds_are_ignored() {
        check(r#"{"alert_id":["a"],"event_id":{"a":[{}]},"test":null,"attempt":"x"}"#, &Facts::default());
        check("{}", &Facts::default());
    }

    #[test]
    fn a_body_that_is_no_object_is_refused() {
        for body in ["", "null", "[]", "\"a\"", "{", "{}{}", "{}x", r#"{"properties":[]}"#, "\u{0}"] {
            assert!(read(body.as_bytes()).is_none(), "{body}");
        }
        assert!(read(b"{\"a\":\"\xff\"}").is_none());
    }
}
