//! TestNG's own XML, as its `XMLReporter` writes it: <https://testng.org/#_xml_reports>.
//!
//! A result is a `<test-method>`; one that only configures is a result if it failed. `retried="true"` declares an attempt,
//! and is one test with the result of its name that has no such mark. What the percentage allows to fail is flaky.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::ops::ControlFlow;

use nightbell_core::fingerprint::Fingerprint;

use crate::case::{Attempt, Case, Ending, OUTPUT_BYTES_MAX, Output};
use crate::fault::{Place, Unfit};
use crate::format::Format;
use crate::names::{path, tidy, tidy_suite};
use crate::sink::{End, Sink};
use crate::source::Source;
use crate::tally::CASES_MAX;
use crate::time::Stamp;
use crate::xml::{Elements, Vocabulary, Xml, walk};

const STRUCTURE: &[&str] = &["testng-results", "suite", "test", "class", "test-method"];

const VOCABULARY: Vocabulary = Vocabulary { structure: STRUCTURE, result: Some("test-method") };

/// The most parameters of a test that are part of its name.
const PARAMETERS_MAX: usize = 50;

/// How much of one parameter is part of its name, in bytes.
const PARAMETER_BYTES_MAX: usize = 1_000;

/// Gives each result. Attempts of one millisecond stand in no order, so a first walk learns which tests have any.
pub(crate) fn read(source: &Source, sink: &mut Sink<'_>) -> Result<Option<Place>, Unfit> {
    let mut retried = Retried::default();
    let mut learn = |method: Method, _| {
        retried.learn(&method);
        ControlFlow::Continue(())
    };
    read_methods(source, &mut Reader::new(Wanted::Retried, &mut learn))?;
    let mut give = |method, end| {
        if let Some(case) = retried.case(method) {
            sink.ended(case, end);
        }
        if sink.is_stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let mut reader = Reader::new(Wanted::All, &mut give);
    let damage = read_methods(source, &mut reader)?;
    let Reader { counted, shown, .. } = reader;
    if counted > shown {
        sink.case(Case::uncovered(counted, shown));
    }
    Ok(damage)
}

fn read_methods(source: &Source, reader: &mut Reader<'_>) -> Result<Option<Place>, Unfit> {
    walk(source, Format::Testng, &["testng-results"], VOCABULARY, reader)
}

/// The tests that have attempts.
#[derive(Debug, Default)]
struct Retried(HashMap<Fingerprint, Final>);

/// Whether the result of a test was met that is no attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Final {
    Met,
    ToCome,
}

/// A method that was run once.
#[derive(Debug, Default)]
struct Method {
    case: Case,
    /// It tells methods of one name apart.
    signature: String,
    parameters: Vec<String>,
    is_retried: bool,
    is_config: bool,
}

impl Retried {
    fn learn(&mut self, method: &Method) {
        if method.is_retried && self.0.len() < CASES_MAX {
            self.0.insert(method.key(), Final::ToCome);
        }
    }

    /// The case of a method, if it is one.
    fn case(&mut self, method: Method) -> Option<Case> {
        if method.is_config && !method.case.ending.is_bad() {
            return None;
        }
        let key = if self.0.is_empty() { None } else { Some(method.key()) };
        let Method { mut case, is_retried, .. } = method;
        let Some((key, last)) = key.and_then(|key| Some((key, self.0.get_mut(&key)?))) else {
            return Some(case);
        };
        // Of several results of one name only one is that of the attempts, so that none hides another.
        if is_retried || *last == Final::ToCome {
            let time = case.stamp.order().cast_unsigned();
            // The time is written in whole seconds.
            case.attempt =
                Some(Attempt { of: key.to_string(), number: time + if is_retried { 1 } else { 2 } });
        }
        if !is_retried {
            *last = Final::Met;
        }
        Some(case)
    }
}

impl Method {
    fn key(&self) -> Fingerprint {
        let Case { class, name, variant, .. } = &self.case;
        let parts = [class.as_deref(), Some(name), variant.as_deref(), Some(&self.signature)];
        Fingerprint::of(parts.map(|part| part.unwrap_or_default().as_bytes()))
    }

    /// Finishes it, after all of it was read.
    fn settle(&mut self, status: Option<&str>) {
        let Self { case, .. } = self;
        if !self.parameters.is_empty() {
            case.name = tidy(&format!("{}[{}]", case.name, self.parameters.join(", ")));
        }
        let told = match status {
            Some("SUCCESS_PERCENTAGE_FAILURE") => Ending::Flaky,
            Some(word) => Ending::of_word(word).unwrap_or(Ending::Error),
            None if case.trouble.failures.is_empty() => Ending::Skipped,
            None => Ending::Error,
        };
        case.ending = match told {
            Ending::Failed | Ending::Flaky if self.is_config => Ending::Error,
            // A failed attempt is said to be skipped.
            Ending::Skipped if self.is_retried => Ending::Failed,
            Ending::Passed | Ending::Flaky | Ending::Skipped | Ending::Failed | Ending::Error => told,
        };
    }
}

/// Which methods are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    All,
    Retried,
}

struct Reader<'a> {
    wanted: Wanted,
    each: &'a mut dyn FnMut(Method, End) -> ControlFlow<()>,
    suite: Option<String>,
    /// The path of the `<test>`, which is a set of classes.
    test: Option<String>,
    class: Option<String>,
    /// The open method, and the word by which it ended.
    method: Option<(Method, Option<String>)>,
    /// The time that was read last: many methods have the same.
    time: (String, Stamp),
    /// How many tests failed, by the report's own count and by what it shows.
    counted: u64,
    shown: u64,
    is_done: bool,
}

impl<'a> Reader<'a> {
    fn new(wanted: Wanted, each: &'a mut dyn FnMut(Method, End) -> ControlFlow<()>) -> Self {
        let time = (String::new(), Stamp::default());
        let (suite, test, class, method) = (None, None, None, None);
        Self { wanted, each, suite, test, class, method, time, counted: 0, shown: 0, is_done: false }
    }

    fn class_of(xml: &Xml) -> Option<String> {
        let name = xml.filled("name")?;
        let package = xml.filled("package").filter(|package| package != "[default]");
        Some(tidy_suite(&package.map_or_else(|| name.clone(), |package| format!("{package}.{name}"))))
    }

    fn method_of(&mut self, xml: &Xml) -> Option<(Method, Option<String>)> {
        let is_retried = xml.is_true("retried");
        if self.wanted == Wanted::Retried && !is_retried {
            return None;
        }
        // After it come a priority and an instance, which is called otherwise in each run.
        let signature = xml.filled("signature").unwrap_or_default();
        let signature = signature.split(")[").next().unwrap_or_default().to_owned();
        let name = xml.filled("name");
        let name = name.unwrap_or_else(|| signature.split('(').next().unwrap_or_default().to_owned());
        let case = Case {
            suite: self.class.as_deref().map(Into::into),
            class: self.class.clone(),
            name: tidy(&name),
            variant: match xml.filled("test-instance-name") {
                Some(instance) => path(self.test.as_deref(), &instance),
                None => self.test.clone(),
            },
            stamp: self.stamp(xml.filled("started-at").unwrap_or_default()),
            ..Case::default()
        };
        let is_config = xml.is_true("is-config");
        let method = Method { case, signature, parameters: Vec::new(), is_retried, is_config };
        Some((method, xml.filled("status")))
    }

    fn stamp(&mut self, text: String) -> Stamp {
        if text != self.time.0 {
            self.time = (text.clone(), stamp(&text));
        }
        self.time.1.clone()
    }

    fn end_method(&mut self, end: End) {
        let Some((mut method, status)) = self.method.take() else { return };
        method.settle(status.as_deref());
        let failed = status.is_none_or(|word| word != "SKIP") && method.case.ending.is_bad();
        self.shown += u64::from(failed && !method.is_config);
        self.is_done |= (self.each)(method, end).is_break();
    }

    fn parameter(&mut self, xml: &mut Xml) {
        let is_null = xml.attribute("is-null").is_some();
        let text = xml.text_within(PARAMETER_BYTES_MAX, |_| true);
        if let Some((method, _)) = &mut self.method
            && method.parameters.len() < PARAMETERS_MAX
        {
            method.parameters.push(if is_null { "null".to_owned() } else { lasting(&tidy(&text)) });
        }
    }
}

impl Elements for Reader<'_> {
    fn begin(&mut self, xml: &mut Xml) {
        match (xml.name(), &mut self.method) {
            ("testng-results", _) => self.counted = self.counted.saturating_add(xml.count("failed")),
            ("suite", _) => self.suite = xml.filled("name").and_then(|name| path(None, &name)),
            ("test", _) => {
                self.test = path(self.suite.as_deref(), &xml.filled("name").unwrap_or_default());
            }
            ("class", _) => self.class = Self::class_of(xml),
            ("test-method", _) => self.method = self.method_of(xml),
            ("value", _) if xml.parent() == Some("param") => self.parameter(xml),
            ("exception", Some((Method { case, .. }, _))) => {
                case.trouble.push(xml.failure(case.trouble.room()));
            }
            ("reporter-output", Some((Method { case, .. }, _))) => {
                case.trouble.print(Output::Standard, &xml.printed(OUTPUT_BYTES_MAX));
            }
            (_, _) => {}
        }
    }

    fn end(&mut self, xml: &Xml, end: End) {
        match xml.name() {
            "suite" => self.suite = None,
            "test" => self.test = None,
            "class" => self.class = None,
            "test-method" => self.end_method(end),
            _ => {}
        }
    }

    fn is_done(&self) -> bool {
        self.is_done
    }
}

/// A value without what Java puts behind the names of objects that have no text of their own: it is another in each run.
fn lasting(value: &str) -> String {
    let mut parts = value.split('@');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_hexdigit).count();
        let (hash, rest) = part.split_at(digits);
        let is_name = text.ends_with(|c: char| c.is_alphanumeric() || c == ';');
        let is_hash = (5..=8).contains(&hash.len()) && hash.bytes().any(|byte| byte.is_ascii_digit());
        if !(is_name && is_hash && !rest.starts_with(|c: char| c.is_alphanumeric() || c == '.')) {
            text.push('@');
            text.push_str(hash);
        }
        text.push_str(rest);
    }
    text
}

/// A time, which is always one of the machine's zone: TestNG 6 and earlier end it in a `Z` that means nothing, later ones
/// in the name of the zone.
fn stamp(text: &str) -> Stamp {
    let text = text.trim();
    match text.rsplit_once(' ') {
        Some((time, "UTC" | "GMT")) if time.contains('T') => Stamp::read(&format!("{time}Z")),
        Some((time, zone)) if time.contains('T') => {
            let offset = zone.strip_prefix("GMT").or_else(|| zone.strip_prefix("UTC"));
            Stamp::read(&format!("{time}{}", offset.unwrap_or_default()))
        }
        Some(_) | None => Stamp::read(text.strip_suffix('Z').unwrap_or(text)),
    }
}
