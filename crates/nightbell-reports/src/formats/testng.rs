//! TestNG's own XML, as its `XMLReporter` writes it: <https://testng.org/#_xml_reports>.
//!
//! A result is a `<test-method>`; one that only configures is a result if it failed. `retried="true"` declares an attempt,
//! and is one test with the result of its name that has no such mark. What the percentage allows to fail is flaky.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::ops::ControlFlow;

use nightbell_core::fingerprint::Fingerprint;

use super::xunit::{count, failure};
use crate::case::{Attempt, Case, Ending, OUTPUT_BYTES_MAX, Trouble, push_bounded};
use crate::fault::{Place, Unfit};
use crate::format::Format;
use crate::names::{path, tidy, tidy_suite};
use crate::sink::Sink;
use crate::source::Source;
use crate::tally::CASES_MAX;
use crate::text::clean;
use crate::time::Stamp;
use crate::xml::{Step, Vocabulary, Xml};

const STRUCTURE: &[&str] = &["testng-results", "suite", "test", "class", "test-method"];

const VOCABULARY: Vocabulary = Vocabulary { structure: STRUCTURE, result: Some("test-method") };

/// The most parameters of a test that are part of its name.
const PARAMETERS_MAX: usize = 50;

/// How much of one parameter is part of its name, in bytes.
const PARAMETER_BYTES_MAX: usize = 1_000;

/// Gives each result. Attempts of one millisecond stand in no order, so a first walk learns which tests have any.
pub(crate) fn read(source: &Source, sink: &mut Sink<'_>) -> Result<(), Unfit> {
    let mut retried = Retried::default();
    walk(source, Wanted::Retried, &mut |method| {
        retried.learn(&method);
        ControlFlow::Continue(())
    })?;
    let walked = walk(source, Wanted::All, &mut |method| {
        if let Some(case) = retried.case(method) {
            sink.case(case);
        }
        if sink.is_stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    if walked.counted > walked.shown {
        sink.case(Case::uncovered(walked.counted, walked.shown));
    }
    sink.damage(walked.damage);
    Ok(())
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
        if matches!(case.ending, Ending::Passed | Ending::Skipped) {
            case.trouble = Trouble::default();
        }
    }
}

/// What a report says besides its methods.
#[derive(Debug, Default)]
struct Walked {
    /// How many tests failed, by the report's own count and by what it shows.
    counted: u64,
    shown: u64,
    damage: Option<Place>,
}

/// Which methods are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    All,
    Retried,
}

/// Gives the methods of a report.
fn walk(
    source: &Source,
    wanted: Wanted,
    each: &mut dyn FnMut(Method) -> ControlFlow<()>,
) -> Result<Walked, Unfit> {
    let mut xml = Xml::open(source, VOCABULARY)?;
    xml.root(Format::Testng, &["testng-results"])?;
    let (time, walked) = ((String::new(), Stamp::default()), Walked::default());
    let mut walk =
        Walk { xml, wanted, each, suite: None, test: None, class: None, method: None, time, walked };
    walk.begin();
    let (ControlFlow::Continue(()) | ControlFlow::Break(())) = walk.run();
    Ok(Walked { damage: walk.xml.damage(), ..walk.walked })
}

struct Walk<'a> {
    xml: Xml,
    wanted: Wanted,
    each: &'a mut dyn FnMut(Method) -> ControlFlow<()>,
    suite: Option<String>,
    /// The path of the `<test>`, which is a set of classes.
    test: Option<String>,
    class: Option<String>,
    /// The open method, and the word by which it ended.
    method: Option<(Method, Option<String>)>,
    /// The time that was read last: many methods have the same.
    time: (String, Stamp),
    walked: Walked,
}

impl Walk<'_> {
    fn run(&mut self) -> ControlFlow<()> {
        loop {
            match self.xml.step() {
                Step::Start => self.begin(),
                Step::End => self.end(false)?,
                Step::ImpliedEnd => self.end(true)?,
                Step::Text => {}
                Step::Eof => return ControlFlow::Continue(()),
            }
        }
    }

    fn begin(&mut self) {
        match self.xml.name() {
            "testng-results" => {
                self.walked.counted = self.walked.counted.saturating_add(count(&mut self.xml, "failed"));
            }
            "suite" => self.suite = self.xml.filled("name").and_then(|name| path(None, &name)),
            "test" => {
                let name = self.xml.filled("name").unwrap_or_default();
                self.test = path(self.suite.as_deref(), &name);
            }
            "class" => self.class = self.class_name(),
            "test-method" => self.method = self.method_of(),
            "exception" => self.exception(),
            "value" if self.xml.path().iter().rev().nth(1).is_some_and(|parent| parent == "param") => {
                self.parameter();
            }
            "reporter-output" if self.method.is_some() => self.output(),
            _ => {}
        }
    }

    fn end(&mut self, is_implied: bool) -> ControlFlow<()> {
        match self.xml.name() {
            "suite" => self.suite = None,
            "test" => self.test = None,
            "class" => self.class = None,
            "test-method" => return self.end_method(is_implied),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn class_name(&mut self) -> Option<String> {
        let [name, package] = ["name", "package"].map(|name| self.xml.filled(name));
        let name = name?;
        let package = package.filter(|package| package != "[default]");
        Some(tidy_suite(&package.map_or_else(|| name.clone(), |package| format!("{package}.{name}"))))
    }

    fn method_of(&mut self) -> Option<(Method, Option<String>)> {
        let xml = &mut self.xml;
        let [is_retried, is_config] = ["retried", "is-config"]
            .map(|name| xml.attribute(name).is_some_and(|told| told.eq_ignore_ascii_case("true")));
        if self.wanted == Wanted::Retried && !is_retried {
            return None;
        }
        let [name, signature, status, start] =
            ["name", "signature", "status", "started-at"].map(|name| xml.filled(name));
        let instance = xml.filled("test-instance-name");
        // After it come a priority and an instance, which is called otherwise in each run.
        let signature = signature
            .map(|whole| whole.split(")[").next().unwrap_or_default().to_owned())
            .unwrap_or_default();
        let name = name.unwrap_or_else(|| signature.split('(').next().unwrap_or_default().to_owned());
        let case = Case {
            suite: self.class.as_deref().map(Into::into),
            class: self.class.clone(),
            name: tidy(&name),
            variant: match instance {
                Some(instance) => path(self.test.as_deref(), &instance),
                None => self.test.clone(),
            },
            stamp: self.stamp(start.unwrap_or_default()),
            ..Case::default()
        };
        Some((Method { case, signature, parameters: Vec::new(), is_retried, is_config }, status))
    }

    fn stamp(&mut self, text: String) -> Stamp {
        if text != self.time.0 {
            self.time = (text.clone(), stamp(&text));
        }
        self.time.1.clone()
    }

    fn end_method(&mut self, is_implied: bool) -> ControlFlow<()> {
        let Some((mut method, status)) = self.method.take() else { return ControlFlow::Continue(()) };
        method.settle(status.as_deref());
        let failed = status.is_none_or(|word| word != "SKIP") && method.case.ending.is_bad();
        self.walked.shown += u64::from(failed && !method.is_config);
        match method.case.ending {
            // Of a method that is cut off it is not known that it passed.
            Ending::Passed | Ending::Skipped if is_implied => ControlFlow::Continue(()),
            Ending::Passed | Ending::Skipped | Ending::Failed | Ending::Error | Ending::Flaky => {
                (self.each)(method)
            }
        }
    }

    fn exception(&mut self) {
        let room = self.method.as_ref().map_or(0, |(method, _)| method.case.trouble.room());
        let failure = failure(&mut self.xml, room);
        if let Some((Method { case, .. }, _)) = &mut self.method {
            case.trouble.push(failure);
        }
    }

    fn parameter(&mut self) {
        let is_null = self.xml.attribute("is-null").is_some();
        let text = self.xml.whole_text(PARAMETER_BYTES_MAX);
        if let Some((method, _)) = &mut self.method
            && method.parameters.len() < PARAMETERS_MAX
        {
            method.parameters.push(if is_null { "null".to_owned() } else { lasting(&tidy(&text)) });
        }
    }

    fn output(&mut self) {
        let text = self.xml.whole_text(OUTPUT_BYTES_MAX);
        if let Some((Method { case, .. }, _)) = &mut self.method {
            push_bounded(&mut case.trouble.outputs[0], &clean(&text), OUTPUT_BYTES_MAX);
        }
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
