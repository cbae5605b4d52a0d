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

use self::place::called;
use crate::case::{Case, Ending, Failure, OUTPUT_BYTES_MAX, Output, Trouble};
use crate::fault::{Place, Unfit};
use crate::format::Format;
use crate::names::{file, path, tidy, tidy_suite};
use crate::sink::{End, Sink};
use crate::source::Source;
use crate::time::Stamp;
use crate::xml::{Elements, Vocabulary, Xml, walk};

const STRUCTURE: &[&str] = &["test-run", "test-results", "test-suite", "results", "test-case"];

const VOCABULARY: Vocabulary = Vocabulary { structure: STRUCTURE, result: Some("test-case") };

/// What a suite says of itself if it failed only by what is in it.
const AGGREGATES: [&str; 3] =
    ["One or more child tests had errors", "One or more child tests had warnings", "Child test failed"];

/// What several failures of one test are announced by.
const SEVERAL: &str = "Multiple failures or warnings in test:";

/// Gives each result.
pub(crate) fn read(source: &Source, sink: &mut Sink<'_>) -> Result<Option<Place>, Unfit> {
    let mut reader = Reader { sink, suites: Vec::new(), case: None, shown: Shown::default() };
    let roots = ["test-run", "test-results", "test-suite"];
    walk(source, Format::Nunit, &roots, VOCABULARY, &mut reader)
}

struct Reader<'s, 'a> {
    sink: &'s mut Sink<'a>,
    /// The open suites, the innermost last; the run is one.
    suites: Vec<Suite>,
    case: Option<OpenCase>,
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

/// What a test or a suite tells.
#[derive(Debug, Default)]
struct Told {
    trouble: Trouble,
    reason: Failure,
    assertions: Trouble,
}

/// A test that is being read.
#[derive(Debug, Default)]
struct OpenCase {
    case: Case,
    /// It says that it is no failure, whatever it tells besides.
    is_excused: bool,
    told: Told,
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
    told: Told,
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

impl Elements for Reader<'_, '_> {
    fn begin(&mut self, xml: &mut Xml) {
        match (xml.name(), xml.parent()) {
            ("test-run" | "test-results" | "test-suite", _) => self.begin_suite(xml),
            ("test-case", _) => self.case = Some(self.case_of(xml)),
            (
                "failure" | "reason" | "assertion" | "output",
                Some("test-case" | "test-suite" | "assertions"),
            ) => self.texts(xml),
            (_, _) => {}
        }
    }

    fn end(&mut self, xml: &Xml, end: End) {
        match xml.name() {
            "test-run" | "test-results" | "test-suite" => self.end_suite(),
            "test-case" => self.end_case(end),
            _ => {}
        }
    }

    fn is_done(&self) -> bool {
        self.sink.is_stopped()
    }
}

impl Reader<'_, '_> {
    fn begin_suite(&mut self, xml: &Xml) {
        let around = self.suites.last();
        let is_old_run = xml.name() == "test-results";
        let is_run = is_old_run || xml.name() == "test-run";
        let kind = if is_run { Kind::Run } else { Kind::of(&word(xml, "type")) };
        let (name, full) =
            (xml.filled("name").as_deref().map(tidy_suite).unwrap_or_default(), xml.tidied("fullname"));
        let outer = around.and_then(|around| around.class.clone());
        let class = xml.tidied("classname").map(Into::into).or_else(|| match kind {
            Kind::Run | Kind::File => None,
            Kind::Namespace | Kind::Fixture => {
                full.clone().or_else(|| dotted(outer.as_deref(), &name)).map(Into::into)
            }
            Kind::Method => outer.clone(),
            Kind::Other => full.clone().map(Into::into),
        });
        let path = path(around.and_then(|around| around.path.as_deref()), &name).filter(|_| !kind.is_outer());
        let variant = if kind == Kind::File {
            full.as_deref().or(Some(&name)).and_then(file)
        } else {
            around.and_then(|around| around.variant.clone())
        };
        let says = |words: [(&str, &str); 2]| words.iter().any(|(name, said)| word(xml, name) == *said);
        self.suites.push(Suite {
            kind,
            name,
            class,
            path: path.map(Into::into),
            variant,
            stamp: self.stamp(xml),
            ending: ending(xml).unwrap_or_default(),
            site: Site::of(&word(xml, "site")),
            is_invalid: says([("label", "invalid"), ("result", "invalid")])
                || says([("runstate", "notrunnable"), ("result", "notrunnable")]),
            counted: xml.sum(if is_old_run { &["errors", "failures", "invalid"] } else { &["failed"] }),
            before: self.shown,
            told: Told::default(),
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
        let outputs = std::mem::take(&mut suite.told.trouble.outputs);
        let mut trouble = Trouble { outputs, ..if failed { suite.told.whole() } else { Trouble::default() } };
        if missing > 0 {
            self.shown.tests = self.shown.tests.saturating_add(missing);
            trouble.note(format!("it counts {} failed, of which it shows {tests}", suite.counted));
        }
        self.shown.cases += 1;
        let last = suite.name.rsplit(['/', '\\']).next().unwrap_or_default();
        let name = match suite.kind {
            Kind::Run => "test run",
            Kind::File => last,
            Kind::Namespace | Kind::Fixture | Kind::Method | Kind::Other => suite.name.as_str(),
        };
        let class = suite.class.filter(|_| !suite.kind.is_outer());
        self.sink.case(Case {
            suite: class.clone().or(suite.path),
            class: class.map(|class| class.as_ref().to_owned()),
            variant: suite.variant,
            stamp: suite.stamp,
            ..Case::error(if name.is_empty() { "test suite" } else { name }, trouble)
        });
    }

    fn case_of(&mut self, xml: &Xml) -> OpenCase {
        let told = ending(xml);
        let name = xml.tidied("name").or_else(|| xml.tidied("methodname")).unwrap_or_default();
        let (full, class) = (xml.tidied("fullname"), xml.tidied("classname"));
        let case = Case {
            variant: self.suites.last().and_then(|suite| suite.variant.clone()),
            stamp: self.stamp(xml),
            // Until it shows a failure.
            ending: told.unwrap_or(Ending::Skipped),
            ..called(&name, full.as_deref(), class.as_deref(), &self.suites)
        };
        let is_excused = word(xml, "result") == "warning" || told == Some(Ending::Skipped);
        OpenCase { case, is_excused, told: Told::default() }
    }

    fn end_case(&mut self, end: End) {
        let Some(OpenCase { mut case, told, .. }) = self.case.take() else { return };
        let Told { trouble, reason, assertions } = told;
        case.trouble = trouble;
        if case.ending.is_bad() {
            self.shown.tests = self.shown.tests.saturating_add(1);
            self.shown.cases += 1;
            if case.trouble.failures.iter().all(|failure| failure.message.is_empty()) {
                case.trouble.extend(assertions);
                case.trouble.push(reason);
            }
        }
        self.sink.ended(case, end);
    }

    /// Takes an element with texts, of a test or of a suite.
    fn texts(&mut self, xml: &mut Xml) {
        let what = xml.name().to_owned();
        let is_bad = Ending::of_word(&word(xml, "result")).is_some_and(Ending::is_bad);
        let told = match (&mut self.case, self.suites.last_mut()) {
            (Some(open), _) => &mut open.told,
            (None, Some(suite)) => &mut suite.told,
            (None, None) => return,
        };
        let room = if what == "output" { OUTPUT_BYTES_MAX * 2 } else { told.trouble.room() };
        let mut failure = xml.failure(room);
        if let Some(several) = failure.message.strip_prefix(SEVERAL) {
            failure.message = several.trim_start().trim_start_matches("1) ").to_owned();
        }
        match what.as_str() {
            "failure" => told.trouble.push(failure),
            "reason" => told.reason = failure,
            "output" => told.trouble.print(Output::Standard, &failure.text),
            _ if is_bad => told.assertions.push(failure),
            _ => {}
        }
        if let (Some(OpenCase { case, is_excused: false, .. }), "failure") = (&mut self.case, what.as_str())
            && !case.ending.is_bad()
        {
            case.ending = Ending::Failed;
        }
    }

    /// When a test, a suite or a run began; else when that around it did.
    fn stamp(&self, xml: &Xml) -> Stamp {
        let parts = || Some(format!("{}T{}", xml.filled("date")?, xml.filled("time")?));
        let own = xml.filled("start-time").or_else(parts).map(|start| Stamp::read(&start));
        own.or_else(|| Some(self.suites.last()?.stamp.clone())).unwrap_or_default()
    }
}

impl Suite {
    /// Whether it failed by itself, so that what is in it does not tell why.
    fn says_own(&self) -> bool {
        let is_own =
            |failure: &Failure| !failure.is_empty() && !AGGREGATES.contains(&failure.message.as_str());
        match self.site {
            Site::Own => true,
            Site::Elsewhere => false,
            Site::Untold => self.is_invalid || self.told.trouble.failures.iter().any(is_own),
        }
    }
}

impl Told {
    /// What a suite says of its own failure.
    fn whole(self) -> Trouble {
        let Self { mut trouble, reason, .. } = self;
        if !reason.is_empty() {
            trouble.push(reason);
        }
        if trouble.is_empty() {
            return Trouble::remark("it failed, and shows no test that did".to_owned());
        }
        trouble
    }
}

impl Kind {
    /// Whether it is around all suites that have names of their own.
    fn is_outer(self) -> bool {
        matches!(self, Self::Run | Self::File)
    }

    fn of(word: &str) -> Self {
        match word {
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
        match word {
            "setup" | "teardown" | "test" => Self::Own,
            "child" | "parent" => Self::Elsewhere,
            _ => Self::Untold,
        }
    }
}

/// What an attribute says, in lower case.
fn word(xml: &Xml, name: &str) -> String {
    xml.filled(name).unwrap_or_default().to_ascii_lowercase()
}

/// How a test or a suite ended, if it says so.
fn ending(xml: &Xml) -> Option<Ending> {
    let word = |name| word(xml, name);
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

/// A class or a namespace within another one.
fn dotted(around: Option<&str>, name: &str) -> Option<String> {
    match around {
        Some(around) if !name.is_empty() => Some(tidy(&format!("{around}.{name}"))),
        Some(around) => Some(around.to_owned()),
        None => Some(name.to_owned()).filter(|name| !name.is_empty()),
    }
}
