//! NUnit XML: of NUnit 3 and 4 as
//! <https://docs.nunit.org/articles/nunit/technical-notes/usage/Test-Result-XML-Format.html> has it, and of NUnit 2.4 to 2.6
//! as their `Results.xsd` has it.
//!
//! A result is a `<test-case>`. A `<test-suite>` that failed in its own set-up or tear-down, or can't be run, is one as well;
//! one that failed by what is in it is none, as long as that is shown. Warnings are no failures. The format knows no
//! attempts.

mod place;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use self::place::Place;
use super::xunit::{count, failure};
use crate::case::{Case, Ending, Failure, OUTPUT_BYTES_MAX, Trouble, push_bounded};
use crate::fault::Unfit;
use crate::format::Format;
use crate::names::{file, path, tidy, tidy_suite};
use crate::sink::Sink;
use crate::source::Source;
use crate::time::Stamp;
use crate::xml::{Step, Vocabulary, Xml};

const STRUCTURE: &[&str] = &["test-run", "test-results", "test-suite", "results", "test-case"];

const VOCABULARY: Vocabulary = Vocabulary { structure: STRUCTURE, result: Some("test-case") };

/// What a suite says of itself if it failed only by what is in it.
const AGGREGATES: [&str; 3] =
    ["One or more child tests had errors", "One or more child tests had warnings", "Child test failed"];

/// What several failures of one test are announced by.
const SEVERAL: &str = "Multiple failures or warnings in test:";

/// Gives each result.
pub(crate) fn read(source: &Source, sink: &mut Sink<'_>) -> Result<(), Unfit> {
    let mut xml = Xml::open(source, VOCABULARY)?;
    xml.root(Format::Nunit, &["test-run", "test-results", "test-suite"])?;
    let mut reader = Reader { xml, sink, suites: Vec::new(), case: None, shown: Shown::default() };
    reader.begin();
    reader.run();
    reader.sink.damage(reader.xml.damage());
    Ok(())
}

struct Reader<'s, 'a> {
    xml: Xml,
    sink: &'s mut Sink<'a>,
    /// The open suites, the innermost last; the run is one.
    suites: Vec<Suite>,
    case: Option<Open>,
    shown: Shown,
}

/// What was shown so far.
#[derive(Debug, Clone, Copy, Default)]
struct Shown {
    /// Tests that failed, those included that are only counted.
    tests: u64,
    /// Cases, be it of tests or of suites, that tell of a failure.
    cases: u64,
}

/// A test that is being read.
#[derive(Debug, Default)]
struct Open {
    case: Case,
    /// It says that it is no failure, whatever it tells besides.
    is_excused: bool,
    reason: Failure,
    assertions: Trouble,
}

#[derive(Debug, Default)]
struct Suite {
    kind: Kind,
    name: String,
    /// The class that it is, or that its tests are in.
    class: Option<Arc<str>>,
    path: Option<Arc<str>>,
    variant: Option<String>,
    stamp: Stamp,
    ending: Ending,
    site: Site,
    is_invalid: bool,
    counted: u64,
    before: Shown,
    trouble: Trouble,
    reason: Failure,
}

/// What a suite is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Kind {
    Run,
    /// An assembly or a project, whose name is a file's.
    File,
    Namespace,
    Fixture,
    /// The rows of one method.
    Method,
    /// None that NUnit itself writes.
    #[default]
    Other,
}

/// Where a suite failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Site {
    Own,
    /// In what is around it or in it, where it is shown.
    Elsewhere,
    #[default]
    Untold,
}

impl Reader<'_, '_> {
    fn run(&mut self) {
        while !self.sink.is_stopped() {
            match self.xml.step() {
                Step::Start => self.begin(),
                Step::End => self.end(false),
                Step::ImpliedEnd => self.end(true),
                Step::Text => {}
                Step::Eof => return,
            }
        }
    }

    fn begin(&mut self) {
        let parent = self.xml.path().iter().rev().nth(1).map(String::as_str);
        match (self.xml.name(), parent) {
            ("test-run" | "test-results" | "test-suite", _) => self.begin_suite(),
            ("test-case", _) => self.case = Some(self.case_of()),
            (
                "failure" | "reason" | "assertion" | "output",
                Some("test-case" | "test-suite" | "assertions"),
            ) => {
                self.texts();
            }
            (_, _) => {}
        }
    }

    fn end(&mut self, is_implied: bool) {
        match self.xml.name() {
            "test-run" | "test-results" | "test-suite" => self.end_suite(),
            "test-case" => self.end_case(is_implied),
            _ => {}
        }
    }

    fn begin_suite(&mut self) {
        let ending = ending(&mut self.xml);
        let xml = &mut self.xml;
        let word = xml.filled("result").unwrap_or_default();
        let is_old_run = xml.name() == "test-results";
        let is_run = is_old_run || xml.name() == "test-run";
        let [kind, name, full, class] =
            ["type", "name", "fullname", "classname"].map(|name| xml.filled(name));
        let [label, state, site] =
            ["label", "runstate", "site"].map(|name| xml.filled(name).unwrap_or_default());
        let around = self.suites.last();
        let kind = if is_run { Kind::Run } else { Kind::of(&kind.unwrap_or_default()) };
        let name = name.as_deref().map(tidy_suite).unwrap_or_default();
        let class = class.as_deref().map(tidy).or_else(|| {
            let full = full.as_deref().map(tidy);
            let outer = around.and_then(Suite::class);
            match kind {
                Kind::Run | Kind::File => None,
                Kind::Namespace | Kind::Fixture => full.or_else(|| dotted(outer.as_deref(), &name)),
                Kind::Method => outer.map(|class| class.as_ref().to_owned()),
                Kind::Other => full,
            }
        });
        let path = match kind {
            Kind::Run | Kind::File => None,
            Kind::Namespace | Kind::Fixture | Kind::Method | Kind::Other => {
                path(around.and_then(Suite::path).as_deref(), &name)
            }
        };
        let stamp = stamp(xml).or_else(|| around.map(|around| around.stamp.clone())).unwrap_or_default();
        let counts: &[&str] = if is_old_run { &["errors", "failures", "invalid"] } else { &["failed"] };
        self.suites.push(Suite {
            variant: match kind {
                Kind::File => full.as_deref().or(Some(&name)).and_then(file),
                Kind::Run | Kind::Namespace | Kind::Fixture | Kind::Method | Kind::Other => {
                    around.and_then(|around| around.variant.clone())
                }
            },
            kind,
            name,
            class: class.map(Into::into),
            path: path.map(Into::into),
            stamp,
            ending: ending.unwrap_or_default(),
            site: Site::of(&site),
            is_invalid: [&label, &word].iter().any(|word| word.eq_ignore_ascii_case("invalid"))
                || [&state, &word].iter().any(|word| word.eq_ignore_ascii_case("notrunnable")),
            counted: counts.iter().map(|name| count(xml, name)).fold(0, u64::saturating_add),
            before: self.shown,
            ..Suite::default()
        });
    }

    /// A suite's own failure, and what it counts and does not show, are one result.
    fn end_suite(&mut self) {
        let Some(mut suite) = self.suites.pop() else { return };
        let tests = self.shown.tests - suite.before.tests;
        let missing = suite.counted.saturating_sub(tests);
        let shows_failures = self.shown.cases > suite.before.cases;
        let failed = suite.ending.is_bad() && (suite.says_own() || !shows_failures);
        if !failed && missing == 0 {
            return;
        }
        let mut trouble = if failed { suite.told() } else { Trouble::default() };
        if missing > 0 {
            self.shown.tests = self.shown.tests.saturating_add(missing);
            let kind = format!("it counts {} failed, of which it shows {tests}", suite.counted);
            trouble.push(Failure { kind, ..Failure::default() });
        }
        trouble.outputs = suite.trouble.outputs;
        self.shown.cases += 1;
        let last = suite.name.rsplit(['/', '\\']).next().unwrap_or_default();
        let (name, class) = match suite.kind {
            Kind::Run => ("test run", None),
            Kind::File => (last, None),
            Kind::Namespace | Kind::Fixture | Kind::Method | Kind::Other => {
                (suite.name.as_str(), suite.class)
            }
        };
        self.sink.case(Case {
            suite: class.clone().or(suite.path),
            class: class.map(|class| class.as_ref().to_owned()),
            name: if name.is_empty() { "test suite".to_owned() } else { name.to_owned() },
            variant: suite.variant,
            stamp: suite.stamp,
            ending: Ending::Error,
            trouble,
            ..Case::default()
        });
    }

    fn case_of(&mut self) -> Open {
        let told = ending(&mut self.xml);
        let xml = &mut self.xml;
        let [name, full, class, method] =
            ["name", "fullname", "classname", "methodname"].map(|name| xml.filled(name));
        let place = Place::of(
            &tidy(&name.or(method).unwrap_or_default()),
            full.map(|full| tidy(&full)).as_deref(),
            class.map(|class| tidy(&class)).as_deref(),
            &self.suites,
        );
        let suite = self.suites.last();
        let is_warning = xml.filled("result").is_some_and(|word| word.eq_ignore_ascii_case("warning"));
        let case = Case {
            suite: place.suite,
            class: place.class,
            name: place.name,
            variant: suite.and_then(|suite| suite.variant.clone()),
            stamp: stamp(xml).or_else(|| suite.map(|suite| suite.stamp.clone())).unwrap_or_default(),
            // Until it shows a failure.
            ending: told.unwrap_or(Ending::Skipped),
            ..Case::default()
        };
        Open { case, is_excused: is_warning || told == Some(Ending::Skipped), ..Open::default() }
    }

    fn end_case(&mut self, is_implied: bool) {
        let Some(Open { mut case, reason, assertions, .. }) = self.case.take() else { return };
        match case.ending {
            Ending::Failed | Ending::Error => {
                self.shown.tests = self.shown.tests.saturating_add(1);
                self.shown.cases += 1;
                if case.trouble.failures.iter().all(|failure| failure.message.is_empty()) {
                    assertions.failures.into_iter().chain([reason]).for_each(|told| case.trouble.push(told));
                }
            }
            // Of a test that is cut off it is not known that it passed.
            Ending::Passed | Ending::Skipped | Ending::Flaky if is_implied => return,
            Ending::Passed | Ending::Skipped | Ending::Flaky => case.trouble = Trouble::default(),
        }
        self.sink.case(case);
    }

    /// Takes an element with texts, of a test or of a suite.
    fn texts(&mut self) {
        let what = self.xml.name().to_owned();
        let is_bad_assertion =
            self.xml.filled("result").is_some_and(|word| Ending::of_word(&word).is_some_and(Ending::is_bad));
        let room = match (what.as_str(), &self.case, self.suites.last()) {
            ("output", _, _) => OUTPUT_BYTES_MAX * 2,
            (_, Some(open), _) => open.case.trouble.room(),
            (_, None, suite) => suite.map_or(0, |suite| suite.trouble.room()),
        };
        let mut told = failure(&mut self.xml, room);
        if let Some(several) = told.message.strip_prefix(SEVERAL) {
            told.message = several.trim_start().trim_start_matches("1) ").to_owned();
        }
        match (&mut self.case, self.suites.last_mut()) {
            (Some(open), _) => open.take(&what, told, is_bad_assertion),
            (None, Some(suite)) => suite.take(&what, told),
            (None, None) => {}
        }
    }
}

impl Open {
    fn take(&mut self, what: &str, told: Failure, is_bad_assertion: bool) {
        let Self { case, is_excused, reason, assertions } = self;
        match what {
            "failure" => {
                if !*is_excused && !case.ending.is_bad() {
                    case.ending = Ending::Failed;
                }
                case.trouble.push(told);
            }
            "reason" => *reason = told,
            "output" => push_bounded(&mut case.trouble.outputs[0], &told.text, OUTPUT_BYTES_MAX),
            "assertion" if is_bad_assertion => assertions.push(told),
            _ => {}
        }
    }
}

impl Suite {
    fn class(&self) -> Option<Arc<str>> {
        self.class.clone()
    }

    fn path(&self) -> Option<Arc<str>> {
        self.path.clone()
    }

    fn take(&mut self, what: &str, told: Failure) {
        match what {
            "failure" => self.trouble.push(told),
            "reason" => self.reason = told,
            "output" => push_bounded(&mut self.trouble.outputs[0], &told.text, OUTPUT_BYTES_MAX),
            _ => {}
        }
    }

    /// Whether it failed by itself, so that what is in it does not tell why.
    fn says_own(&self) -> bool {
        let is_own =
            |failure: &Failure| !failure.is_empty() && !AGGREGATES.contains(&failure.message.as_str());
        match self.site {
            Site::Own => true,
            Site::Elsewhere => false,
            Site::Untold => self.is_invalid || self.trouble.failures.iter().any(is_own),
        }
    }

    /// What it says of its own failure.
    fn told(&mut self) -> Trouble {
        let mut trouble =
            Trouble { failures: std::mem::take(&mut self.trouble.failures), ..Trouble::default() };
        if !self.reason.is_empty() {
            trouble.push(std::mem::take(&mut self.reason));
        }
        if trouble.is_empty() {
            let kind = "it failed, and shows no test that did".to_owned();
            trouble.push(Failure { kind, ..Failure::default() });
        }
        trouble
    }
}

impl Kind {
    fn of(word: &str) -> Self {
        match word.to_ascii_lowercase().as_str() {
            "assembly" | "project" | "test project" => Self::File,
            "namespace" | "testsuite" => Self::Namespace,
            "testfixture" | "genericfixture" | "parameterizedfixture" | "setupfixture" => Self::Fixture,
            "parameterizedmethod" | "parameterizedtest" | "genericmethod" | "theory" => Self::Method,
            _ => Self::Other,
        }
    }
}

impl Site {
    fn of(word: &str) -> Self {
        match word.to_ascii_lowercase().as_str() {
            "setup" | "teardown" | "test" => Self::Own,
            "child" | "parent" => Self::Elsewhere,
            _ => Self::Untold,
        }
    }
}

/// How a test or a suite ended, if it says so.
fn ending(xml: &mut Xml) -> Option<Ending> {
    let word = |name| xml.filled(name).unwrap_or_default().to_ascii_lowercase();
    let result = word("result");
    // Unity writes `Failed(Child)`, and others `Skipped:Ignored`.
    match result.split(['(', ':']).next().unwrap_or_default() {
        "failed" | "failure" => {
            let is_error = matches!(word("label").as_str(), "error" | "invalid" | "cancelled")
                || matches!(word("site").as_str(), "setup" | "teardown" | "parent");
            Some(if is_error { Ending::Error } else { Ending::Failed })
        }
        "cancelled" | "notrunnable" => Some(Ending::Error),
        // NUnit 3.0 calls what can't be run skipped.
        "skipped" => Some(if word("label") == "invalid" { Ending::Error } else { Ending::Skipped }),
        "warning" => Some(Ending::Passed),
        "explicit" => Some(Ending::Skipped),
        // NUnit 2.4 has no other words.
        "" => match (word("executed").as_str(), word("success").as_str()) {
            ("false", _) => Some(Ending::Skipped),
            (_, "true") => Some(Ending::Passed),
            (_, "false") => Some(Ending::Failed),
            (_, _) => None,
        },
        other => Some(Ending::of_word(other).unwrap_or(Ending::Error)),
    }
}

/// When a test, a suite or a run began.
fn stamp(xml: &mut Xml) -> Option<Stamp> {
    let start = xml.filled("start-time").or_else(|| {
        let [date, time] = ["date", "time"].map(|name| xml.filled(name));
        Some(format!("{}T{}", date?, time?))
    })?;
    Some(Stamp::read(&start))
}

/// A class or a namespace within another one.
fn dotted(around: Option<&str>, name: &str) -> Option<String> {
    match around {
        Some(around) if !name.is_empty() => Some(tidy(&format!("{around}.{name}"))),
        Some(around) => Some(around.to_owned()),
        None => Some(name.to_owned()).filter(|name| !name.is_empty()),
    }
}
