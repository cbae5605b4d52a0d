//! Events as API Fortress hands them to its connectors, read as ours.
//!
//! Field names and types are those of its documented sample and of its open-source connectors (apifortress/connectors).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::fields::{Event, Severity, Status};
use super::parse::{BadEvent, Shape, object_text, read_slowly, require_text};
use super::when::When;

/// What API Fortress tells of one run of one test. Unknown fields are ignored; `null` counts as absent.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "API Fortress event")]
pub struct ApiFortress {
    /// The event's identity.
    #[schemars(extend("pattern" = r"\S"))]
    event_id: Id,
    /// The test.
    #[schemars(with = "Test")]
    test: Object<Test>,
    /// The company's number; the report's link needs it.
    #[schemars(extend("pattern" = r"\S"))]
    company_id: Id,
    /// The company's name.
    company_name: Option<String>,
    /// The project's name; alert groups route by it.
    #[schemars(regex(pattern = r"\S"))]
    project_name: String,
    /// The project's number.
    project_id: Option<Id>,
    /// When it happened: `2017-12-29T14:36:31+0000`, RFC 3339, or epoch milliseconds.
    date: Option<When>,
    /// `failure` or `success`.
    event_type: Option<String>,
    /// How many assertions failed.
    #[serde(default, deserialize_with = "count")]
    #[schemars(range(max = WHOLE_MAX))]
    failures_count: Option<u64>,
    /// Where the test ran from.
    location: Option<String>,
    /// What was tested: `production`, `staging`. API Fortress itself does not send it.
    environment: Option<String>,
    /// Tags to route by; `critical`, `error`, `warning` and `info` set the severity.
    tags: Option<Vec<String>>,
    /// What kept the test from going on, such as an endpoint that can't be reached.
    #[schemars(with = "Option<Vec<CriticalFailure>>")]
    critical_failures: Option<Vec<Object<CriticalFailure>>>,
}

/// A test, as API Fortress names it.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[schemars(rename = "ApiFortressTest")]
struct Test {
    /// Its name.
    #[schemars(regex(pattern = r"\S"))]
    name: String,
    /// Its id.
    id: Option<Id>,
}

/// What kept a test from going on. These texts are only shown, so anything is taken for them.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(rename = "ApiFortressCriticalFailure")]
struct CriticalFailure {
    /// What was done: `get`.
    action: Value,
    /// On what: `get http://www.example.com`.
    expression: Value,
    /// What came of it.
    status: Value,
    /// Its kind.
    failure_type: Value,
    /// More about it.
    extra: Value,
}

/// An id that is text in one installation and a number in another.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Id(String);

/// What is read from an object only; by itself, serde would also take the list of its values.
#[derive(Debug, Clone, PartialEq)]
struct Object<T>(T);

/// The tags that set the severity; the first of them that an event has wins.
const SEVERITY_TAGS: [(&str, Severity); 4] = [
    ("critical", Severity::Critical),
    ("error", Severity::High),
    ("warning", Severity::Medium),
    ("info", Severity::Low),
];

/// Reads an API Fortress event, and takes nothing else for one.
///
/// # Errors
/// [`BadEvent`] says what is wrong and where.
pub fn read(body: &[u8]) -> Result<Event, BadEvent> {
    read_text(object_text(body)?)
}

/// The same, from the text of a JSON object.
pub(super) fn read_text(text: &str) -> Result<Event, BadEvent> {
    let told: ApiFortress = read_slowly(text)?;
    require_text("projectName", &told.project_name)?;
    require_text("test.name", &told.test.0.name)?;
    require_text("eventId", &told.event_id.0)?;
    require_text("companyId", &told.company_id.0)?;
    Ok(told.into())
}

/// Whether a JSON object that is no event of ours is meant as one of API Fortress's: its `test` is an object, which ours
/// never is, and it has one of the fields that only API Fortress knows.
pub(super) fn is_meant(text: &str) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Sniffed {
        #[serde(rename = "test")]
        _test: Shape,
        event_id: Option<IgnoredAny>,
        company_id: Option<IgnoredAny>,
        project_name: Option<IgnoredAny>,
    }
    serde_json::from_str::<Sniffed>(text)
        .is_ok_and(|seen| seen.event_id.is_some() || seen.company_id.is_some() || seen.project_name.is_some())
}

impl From<ApiFortress> for Event {
    fn from(told: ApiFortress) -> Self {
        let status = told.status();
        let cid = encoded(&told.company_id.0);
        Self {
            status,
            severity: told.severity(status),
            message: told.message(status),
            details: told.details(),
            report_path: Some(format!("/app/web/events/details/{}?cid={cid}", encoded(&told.event_id.0))),
            dedup_key: Some(told.alert_key()),
            labels: told.labels(),
            id: Some(told.event_id.0),
            environment: told.environment,
            occurred_at: told.date,
            tags: told.tags.unwrap_or_default(),
            ..Self::new(told.project_name, told.test.0.name)
        }
    }
}

impl ApiFortress {
    fn critical_failures(&self) -> &[Object<CriticalFailure>] {
        self.critical_failures.as_deref().unwrap_or_default()
    }

    fn failures(&self) -> u64 {
        self.failures_count.unwrap_or_default()
    }

    /// Whatever speaks of a failure makes it one: a lost page is worse than one too many.
    fn status(&self) -> Status {
        let is_called_failure = self.event_type.as_deref() == Some("failure");
        let has_failed = self.failures() > 0 || !self.critical_failures().is_empty() || is_called_failure;
        if has_failed { Status::Failed } else { Status::Passed }
    }

    fn severity(&self, status: Status) -> Severity {
        let tags = self.tags.as_deref().unwrap_or_default();
        let tagged = SEVERITY_TAGS.iter().find(|(name, _)| tags.iter().any(|tag| tag == name));
        match (tagged, status) {
            (Some((_, severity)), _) => *severity,
            (None, Status::Passed) => Severity::Minimal,
            (None, Status::Failed | Status::Error) if self.critical_failures().is_empty() => Severity::High,
            (None, Status::Failed | Status::Error) => Severity::Critical,
        }
    }

    /// The same for every event of one test of one project of one company, in one environment. It is the event's own
    /// key because the default of `dedup.by` knows neither company nor test id.
    fn alert_key(&self) -> String {
        let test = match &self.test.0.id {
            Some(id) => format!("id/{}", encoded(&id.0)),
            None => format!("name/{}", encoded(&self.test.0.name)),
        };
        let environment = self.environment.as_ref().map(|one| format!("/{}", encoded(one)));
        let [company, project] = [&self.company_id.0, &self.project_name].map(|part| encoded(part));
        format!("apifortress/{company}/{project}/{test}{}", environment.unwrap_or_default())
    }

    fn message(&self, status: Status) -> Option<String> {
        if status == Status::Passed {
            return None;
        }
        match self.critical_failures() {
            [] => Some(counted(self.failures().max(1), "failure")),
            [only] => Some(format!("critical failure: {}", only.0.line())),
            [first, rest @ ..] => {
                Some(format!("critical failure: {} (and {} more)", first.0.line(), rest.len()))
            }
        }
    }

    fn details(&self) -> Option<String> {
        let one = |Object(failure): &Object<CriticalFailure>| {
            let extra = shown(&failure.extra).map(|extra| format!("\n  {}", extra.replace('\n', "\n  ")));
            format!("\n- {}{}", failure.line(), extra.unwrap_or_default())
        };
        let failures: String = self.critical_failures().iter().map(one).collect();
        (!failures.is_empty()).then(|| format!("Critical failures:{failures}"))
    }

    fn labels(&self) -> BTreeMap<String, String> {
        let id = |id: &Id| id.0.clone();
        let all = [
            ("company", self.company_name.clone()),
            ("company_id", Some(id(&self.company_id))),
            ("project_id", self.project_id.as_ref().map(id)),
            ("test_id", self.test.0.id.as_ref().map(id)),
            ("location", self.location.clone()),
            ("event_type", self.event_type.clone()),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

impl CriticalFailure {
    /// It in one line: `get http://www.example.com: Generic Failure (MissingPropertyException)`.
    fn line(&self) -> String {
        let what = shown(&self.expression).or_else(|| shown(&self.action)).unwrap_or("unknown step".into());
        let status = shown(&self.status).map(|status| format!(": {status}")).unwrap_or_default();
        let kind = shown(&self.failure_type).map(|kind| format!(" ({kind})")).unwrap_or_default();
        format!("{what}{status}{kind}").replace(['\r', '\n'], " ")
    }
}

/// A value as a person reads it; none: there is nothing to read.
fn shown(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Null => None,
        Value::String(text) if text.trim().is_empty() => None,
        Value::String(text) => Some(Cow::Borrowed(text.trim())),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Some(Cow::Owned(value.to_string()))
        }
    }
}

fn counted(count: u64, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

/// `text` with all but the unreserved characters of RFC 3986 escaped, so that it is one segment of a path, one value of
/// a query, or one part of a key.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a String takes all text");
        }
    }
    encoded
}

/// The largest number that every JSON parser reads exactly.
const WHOLE_MAX: u64 = (1 << 53) - 1;

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct IdVisitor;

impl Visitor<'_> for IdVisitor {
    type Value = Id;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "an id, which is text or a whole number from 0 to {WHOLE_MAX}")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Id, E> {
        if number > WHOLE_MAX {
            return Err(E::invalid_value(de::Unexpected::Unsigned(number), &self));
        }
        Ok(Id(number.to_string()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Id, E> {
        match whole(number) {
            Some(number) => self.visit_u64(number),
            None => Err(E::invalid_value(de::Unexpected::Float(number), &self)),
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Id, E> {
        Ok(Id(text.to_owned()))
    }
}

/// The whole number that some producers write with a decimal point; to JSON it is the same number.
fn whole(number: f64) -> Option<u64> {
    let text = number.to_string();
    text.strip_prefix('-').filter(|rest| *rest == "0").unwrap_or(&text).parse().ok()
}

/// A count, which like any number of JSON may have a decimal point.
fn count<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let expected = format!("a whole number from 0 to {WHOLE_MAX}");
    let Some(number) = Option::<serde_json::Number>::deserialize(from)? else { return Ok(None) };
    let count = number.as_u64().or_else(|| number.as_f64().and_then(whole));
    count
        .filter(|count| *count <= WHOLE_MAX)
        .map(Some)
        .ok_or_else(|| de::Error::custom(format_args!("invalid value: `{number}`, expected {expected}")))
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(IdVisitor)
    }
}

impl JsonSchema for Id {
    fn schema_name() -> Cow<'static, str> {
        "ApiFortressId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An id, which is text or a whole number.",
            "oneOf": [{ "type": "string" }, { "type": "integer", "minimum": 0, "maximum": WHOLE_MAX }]
        })
    }
}

#[cfg(test)]
mod tests;
