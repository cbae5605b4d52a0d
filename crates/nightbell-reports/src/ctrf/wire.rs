//! CTRF as it is written, read piece by piece: one test is held at a time.

use std::fmt;
use std::time::Duration;

use nightbell_core::event::When;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

use crate::case::{Case, Each, Ending, Failure, NAME_CHARS_MAX, push_bounded, tidy};
use crate::compose::Origin;
use crate::fault::Fault;
use crate::text::{clean, shortened, when};

/// The most names of a suite, or tags of a test.
const WORDS_MAX: usize = 50;

/// The longest tag, in characters.
const TAG_CHARS_MAX: usize = 200;

/// Where the tests go, and what is gathered besides.
pub(super) struct Sink<'a> {
    each: Each<'a>,
    tests: u32,
    pub(super) origin: Origin,
    /// Why the taker refused a test.
    pub(super) fault: Option<Fault>,
    /// The taker wants no more.
    pub(super) stopped: bool,
}

impl<'a> Sink<'a> {
    pub(super) fn new(each: Each<'a>) -> Self {
        Self { each, tests: 0, origin: Origin::default(), fault: None, stopped: false }
    }

    fn take<E: Error>(&mut self, test: Test) -> Result<(), E> {
        self.tests = self.tests.saturating_add(1);
        match (self.each)(test.into_case(self.tests)) {
            Ok(flow) => self.stopped = flow.is_break(),
            Err(fault) => self.fault = Some(fault),
        }
        // No better way out of the parser than an error.
        if self.stopped || self.fault.is_some() { Err(E::custom("stopped")) } else { Ok(()) }
    }
}

/// The whole report.
pub(super) struct Document<'s, 'a>(pub(super) &'s mut Sink<'a>);

/// Its `results`.
struct Results<'s, 'a>(&'s mut Sink<'a>);

/// Its `tests`.
struct Tests<'s, 'a>(&'s mut Sink<'a>);

impl<'de> DeserializeSeed<'de> for Document<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Document<'_, '_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a report, which is a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut found = false;
        while let Some(key) = map.next_key::<String>()? {
            if key == "results" {
                found = true;
                map.next_value_seed(Results(&mut *self.0))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        if found { Ok(()) } else { Err(A::Error::missing_field("results")) }
    }
}

impl<'de> DeserializeSeed<'de> for Results<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Results<'_, '_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("`results`, which is a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut found = false;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "tests" => {
                    found = true;
                    map.next_value_seed(Tests(&mut *self.0))?;
                }
                "environment" => {
                    self.0.origin = map.next_value::<Option<Environment>>()?.unwrap_or_default().into();
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        if found { Ok(()) } else { Err(A::Error::missing_field("tests")) }
    }
}

impl<'de> DeserializeSeed<'de> for Tests<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Tests<'_, '_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("`tests`, which is a JSON array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut tests: A) -> Result<(), A::Error> {
        while let Some(test) = tests.next_element()? {
            self.0.take(test)?;
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Test {
    name: String,
    status: Status,
    message: Option<String>,
    trace: Option<String>,
    suite: Option<Words>,
    file_path: Option<String>,
    browser: Option<String>,
    device: Option<String>,
    start: Option<Number>,
    retries: Option<f64>,
    flaky: Option<bool>,
    tags: Option<Words>,
    retry_attempts: Option<LastFailed>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Passed,
    Failed,
    Skipped,
    Pending,
    Other,
}

impl Test {
    fn into_case(self, number: u32) -> Case {
        let is_flaky = self.flaky == Some(true) || self.retries.is_some_and(|retries| retries > 0.0);
        let says_something = self.message.is_some() || self.trace.is_some();
        let failure = failure(self.message, self.trace);
        let ending = match self.status {
            Status::Failed => Ending::Failed(failure),
            Status::Passed if is_flaky => {
                Ending::Flaky(self.retry_attempts.and_then(|attempts| attempts.0).unwrap_or(failure))
            }
            Status::Passed => Ending::Passed,
            Status::Other if says_something => Ending::Error(failure),
            Status::Skipped | Status::Pending | Status::Other => Ending::Skipped,
        };
        let suite = self.suite.map(|suite| tidy(&suite.0.join(" > "))).filter(|suite| !suite.is_empty());
        let file = self.file_path.map(|file| tidy(&file));
        let variants = [file.clone(), self.browser, self.device].into_iter().flatten();
        Case {
            suite: suite.or(file),
            name: tidy(&self.name),
            variant: Some(shortened(&variants.collect::<Vec<_>>().join("\n"), NAME_CHARS_MAX)),
            element: number,
            timestamp: self.start.as_ref().map(Number::to_string),
            occurred_at: self.start.as_ref().and_then(time),
            tags: self.tags.map(|tags| tags.0).unwrap_or_default().iter().map(|tag| tag_of(tag)).collect(),
            ending,
            ..Case::default()
        }
    }
}

fn failure(message: Option<String>, trace: Option<String>) -> Failure {
    let message = message.map(|message| clean(&message)).filter(|message| !message.trim().is_empty());
    let (mut headline, mut text) = (String::new(), String::new());
    push_bounded(&mut headline, message.as_deref().unwrap_or_default());
    push_bounded(&mut text, &clean(&trace.unwrap_or_default()));
    Failure { headline, text, has_message: message.is_some() }
}

/// A time in milliseconds since 1970, as CTRF has it, or in seconds, as the reporter of Playwright writes it.
fn time(start: &Number) -> Option<When> {
    /// The year 5138 in seconds, 1973 in milliseconds.
    const SECONDS_MAX: u64 = 100_000_000_000;
    let whole = |start| Duration::try_from_secs_f64(start).ok().map(|start| start.as_secs());
    let start = start.as_u64().or_else(|| start.as_f64().and_then(whole))?;
    when(if start < SECONDS_MAX { start * 1000 } else { start })
}

fn tag_of(tag: &str) -> String {
    shortened(&tidy(tag), TAG_CHARS_MAX)
}

/// One text, or several: `suite` was one before it was several.
struct Words(Vec<String>);

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Words;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a string or an array of strings")
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<Words, E> {
                Ok(Words(vec![word.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut words: A) -> Result<Words, A::Error> {
                let mut kept = Vec::new();
                while let Some(word) = words.next_element::<String>()? {
                    if kept.len() < WORDS_MAX {
                        kept.push(shortened(&word, NAME_CHARS_MAX));
                    }
                }
                Ok(Words(kept))
            }
        }

        from.deserialize_any(Either)
    }
}

/// The last of several attempts that did not pass.
struct LastFailed(Option<Failure>);

impl<'de> Deserialize<'de> for LastFailed {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Attempt {
            status: Option<Status>,
            message: Option<String>,
            trace: Option<String>,
        }

        struct Attempts;

        impl<'de> Visitor<'de> for Attempts {
            type Value = LastFailed;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an array of attempts")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut attempts: A) -> Result<LastFailed, A::Error> {
                let mut last = None;
                while let Some(attempt) = attempts.next_element::<Attempt>()? {
                    if attempt.status != Some(Status::Passed) {
                        last = Some(failure(attempt.message, attempt.trace));
                    }
                }
                Ok(LastFailed(last))
            }
        }

        from.deserialize_seq(Attempts)
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Environment {
    test_environment: Option<Scalar>,
    build_name: Option<Scalar>,
    build_number: Option<Scalar>,
    build_url: Option<Scalar>,
    branch_name: Option<Scalar>,
}

/// A text, or a number in its place.
#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Text(String),
    Number(Number),
}

impl From<Environment> for Origin {
    fn from(told: Environment) -> Self {
        let (name, number) = (text(told.build_name), text(told.build_number));
        Self {
            environment: text(told.test_environment),
            // A number alone names a build; a name alone names all of its builds.
            run_id: number.map(|number| name.map(|name| format!("{name} {number}")).unwrap_or(number)),
            report_url: text(told.build_url),
            branch: text(told.branch_name),
        }
    }
}

fn text(scalar: Option<Scalar>) -> Option<String> {
    let text = match scalar? {
        Scalar::Text(text) => tidy(&text),
        Scalar::Number(number) => number.to_string(),
    };
    Some(text).filter(|text| !text.is_empty())
}
