//! JUnit XML, in the dialects of many tools. There is no one schema: what is here was read off the reports of real tools
//! (`tests/data`), and <https://github.com/testmoapp/junitxml> lists what is common.
//!
//! A result is a `<testcase>` with its failures and errors; a suite that has some of its own, or counts more than its
//! cases show, is one as well. Attempts are `<rerunFailure>` and `<rerunError>`, which only accompany a failure;
//! `<flakyFailure>` and `<flakyError>`, after which it passed; `flaky="true"`; and cases of one name that have a number in
//! `retry` or `attempt`.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use crate::case::{Attempt, Case, Ending, Failure, OUTPUT_BYTES_MAX, Output, Trouble, push_bounded};
use crate::fault::{Place, Unfit};
use crate::format::Format;
use crate::names::{path, tidy_suite};
use crate::sink::{End, Sink};
use crate::source::Source;
use crate::text::{self, clean};
use crate::xml::{Elements, Vocabulary, Xml, walk};

const VOCABULARY: Vocabulary =
    Vocabulary { structure: &["testsuites", "testsuite", "testcase"], result: Some("testcase") };

/// What jest-junit calls a file that can't be loaded. It says so twice, as an error, and as a failure in raw JSON.
const JEST_BROKEN_SUITE: &str = "Test suite failed to run";

/// Gives each result.
pub(crate) fn read(source: &Source, sink: &mut Sink<'_>) -> Result<Option<Place>, Unfit> {
    let mut reader = Reader {
        sink,
        suites: Vec::new(),
        suites_begun: 0,
        case: None,
        shown: Shown::default(),
        attempts: HashMap::new(),
    };
    walk(source, Format::Junit, &["testsuites", "testsuite"], VOCABULARY, &mut reader)
}

struct Reader<'s, 'a> {
    sink: &'s mut Sink<'a>,
    /// The open suites, the innermost last.
    suites: Vec<Suite>,
    /// How many suites have begun.
    suites_begun: u64,
    case: Option<OpenCase>,
    shown: Shown,
    /// How often a name was met with a number of its attempt.
    attempts: HashMap<(String, u64), u32>,
}

/// A case that is being read.
struct OpenCase {
    case: Case,
    /// It says that it passed when it was run again, whatever failures it has.
    says_flaky: bool,
    /// It says that nobody waits for it to pass.
    may_fail: bool,
    shown: Shown,
}

/// How many failures and errors were shown so far. Tools count them in two ways.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Shown {
    /// Of each case or suite one failure and one error at the most.
    kinds: u64,
    /// Each element.
    elements: u64,
}

impl Shown {
    fn since(self, before: Self) -> Self {
        Self { kinds: self.kinds - before.kinds, elements: self.elements - before.elements }
    }

    /// How many of so many are not shown.
    fn missing(self, counted: u64) -> u64 {
        if counted == self.elements { 0 } else { counted.saturating_sub(self.kinds) }
    }
}

impl std::ops::AddAssign for Shown {
    fn add_assign(&mut self, other: Self) {
        self.kinds = self.kinds.saturating_add(other.kinds);
        self.elements = self.elements.saturating_add(other.elements);
    }
}

#[derive(Debug, Default)]
struct Suite {
    /// Itself, if it failed by itself; its cases are of the same place.
    case: Case,
    /// How many failures and errors it says that there are in it.
    counted: u64,
    /// How many had been shown when it began.
    before: Shown,
}

impl Elements for Reader<'_, '_> {
    fn begin(&mut self, xml: &mut Xml) {
        match xml.name() {
            "testsuites" | "testsuite" => self.begin_suite(xml),
            "testcase" => self.case = Some(self.case_of(xml)),
            "system-out" => self.output(xml, Output::Standard),
            "system-err" => self.output(xml, Output::Error),
            _ => self.outcome(xml),
        }
    }

    fn end(&mut self, xml: &Xml, end: End) {
        match xml.name() {
            "testcase" => self.end_case(end),
            "testsuites" | "testsuite" => self.end_suite(),
            _ => {}
        }
    }

    fn is_done(&self) -> bool {
        self.sink.is_stopped()
    }
}

impl Reader<'_, '_> {
    fn end_case(&mut self, end: End) {
        let Some(OpenCase { mut case, says_flaky, may_fail, shown }) = self.case.take() else { return };
        self.shown += shown;
        if may_fail {
            case.ending = Ending::Skipped;
        } else if says_flaky {
            case.ending = Ending::Flaky;
        }
        if case.class.as_deref() == Some(JEST_BROKEN_SUITE) && case.ending.is_bad() {
            // It says so twice within one element; two files of one name are two elements.
            let of = format!("{}\n{}", self.suites_begun, case.name);
            case.attempt = Some(Attempt { of, number: if case.ending == Ending::Error { 2 } else { 1 } });
        }
        self.sink.ended(case, end);
    }

    fn begin_suite(&mut self, xml: &Xml) {
        self.suites_begun += 1;
        let mut case = self.suites.last().map(|around| around.case.beside()).unwrap_or_default();
        let name = xml.filled("name").or_else(|| xml.filled("package")).map(|name| tidy_suite(&name));
        // So jest-junit calls the suite of a test that is in none.
        let name = name.filter(|name| name != "undefined");
        // The root's name is that of the tool, or of the run.
        if let Some(name) = name.as_deref().filter(|_| xml.name() != "testsuites") {
            case.suite = path(case.suite.as_deref(), name).map(Into::into);
        }
        let file = xml.filled("file").or_else(|| xml.filled("filepath"));
        let shown = name.or_else(|| case.suite.as_deref().map(str::to_owned));
        let case = Case {
            name: shown.unwrap_or_else(|| "test suite".to_owned()),
            file: file.map(Into::into).or(case.file),
            host: xml.tidied("hostname").map(Into::into).or(case.host),
            stamp: xml.stamp("timestamp").unwrap_or(case.stamp),
            ending: Ending::Error,
            ..case
        };
        self.suites.push(Suite { case, counted: xml.sum(&["failures", "errors"]), before: self.shown });
    }

    /// A suite's own failures, and those that it counts but does not show, are one result.
    fn end_suite(&mut self) {
        let Some(Suite { mut case, counted, before }) = self.suites.pop() else { return };
        let shown = self.shown.since(before);
        let missing = shown.missing(counted);
        if missing > 0 {
            self.shown += Shown { kinds: missing, elements: missing };
            let failures = text::counted(counted, "failure");
            let what = format!("the suite counts {failures}, of which its cases show {}", shown.kinds);
            case.trouble.note(what);
        }
        if !case.trouble.failures.is_empty() {
            self.sink.case(case);
        }
    }

    fn case_of(&mut self, xml: &Xml) -> OpenCase {
        let place = self.suites.last().map(|suite| suite.case.beside()).unwrap_or_default();
        let class = xml.filled("classname").or_else(|| xml.filled("class"));
        let mut case = Case {
            class: class.map(|class| tidy_suite(&class)),
            name: xml.tidied("name").unwrap_or_default(),
            file: xml.filled("file").map(Into::into).or(place.file),
            stamp: xml.stamp("timestamp").unwrap_or(place.stamp),
            ..place
        };
        let attempt = xml.filled("retry").or_else(|| xml.filled("attempt"));
        if let Some(number) = attempt.and_then(|number| number.trim().parse::<u64>().ok()) {
            case.attempt = Some(self.attempt_of(&case, number));
        }
        let words = ["status", "result"].map(|word| xml.filled(word));
        let mut told = words.iter().flatten().filter_map(|word| Ending::of_word(word));
        let mut shown = Shown::default();
        if let Some(ending) = told.find(|ending| ending.is_bad()) {
            case.ending = ending;
            shown = Shown { kinds: 1, elements: 0 };
        }
        let says_flaky = xml.is_true("flaky") && shown == Shown::default();
        OpenCase { case, says_flaky, may_fail: false, shown }
    }

    /// Which attempt a case is that has this number. Of those of one name and one number each is of a test of its own.
    fn attempt_of(&mut self, case: &Case, number: u64) -> Attempt {
        let place = [case.suite.as_deref(), case.class.as_deref(), case.file.as_deref(), Some(&case.name)];
        let of = place.map(Option::unwrap_or_default).join("\n");
        let met = self.attempts.entry((of.clone(), number)).or_default();
        *met += 1;
        Attempt { of: format!("{of}\n{met}"), number: number.saturating_add(1) }
    }

    /// Takes an element that may say how its case or its suite ended, with all that is in it.
    fn outcome(&mut self, xml: &mut Xml) {
        let ending = match (xml.parent(), xml.name()) {
            (Some("testcase" | "testsuite" | "testsuites"), "failure") => Ending::Failed,
            (Some("testcase" | "testsuite" | "testsuites"), "error") => Ending::Error,
            (Some("testcase"), "flakyFailure" | "flakyError") => Ending::Flaky,
            (Some("testcase"), "rerunFailure" | "rerunError") => {
                self.shown.elements += 1;
                return;
            }
            (Some("testcase"), "skipped") => return self.skipped(xml),
            (_, _) => return,
        };
        let room = self.trouble().map_or(0, |trouble| trouble.room());
        let failure = failure(xml, room);
        match (&mut self.case, self.suites.last_mut()) {
            (Some(open), _) => open.push(ending, failure),
            (None, Some(suite)) => {
                self.shown += Shown { kinds: 1, elements: 1 };
                suite.case.trouble.push(failure);
            }
            (None, None) => {}
        }
    }

    fn skipped(&mut self, xml: &Xml) {
        let said = ["type", "message"].map(|name| xml.filled(name).unwrap_or_default().to_lowercase());
        let Some(OpenCase { case, may_fail, .. }) = self.case.as_mut() else { return };
        // Node's and Catch2's words for a test that is known to fail, and whose failure stands beside this.
        *may_fail |= said[0] == "todo" || said.iter().any(|said| said.contains("!mayfail"));
        if case.ending == Ending::Passed {
            case.ending = Ending::Skipped;
        }
    }

    fn output(&mut self, xml: &mut Xml, to: Output) {
        let text = xml.printed(OUTPUT_BYTES_MAX);
        if let Some(trouble) = self.trouble() {
            trouble.print(to, &text);
        }
    }

    fn trouble(&mut self) -> Option<&mut Trouble> {
        match &mut self.case {
            Some(open) => Some(&mut open.case.trouble),
            None => self.suites.last_mut().map(|suite| &mut suite.case.trouble),
        }
    }
}

fn failure(xml: &mut Xml, room: usize) -> Failure {
    let message = xml.filled("message").map(|message| clean(&message)).unwrap_or_default();
    let mut failure = Failure { kind: xml.tidied("type").unwrap_or_default(), ..Failure::default() };
    push_bounded(&mut failure.message, &message, room / 2);
    // What the test printed may stand inside of it, and is no part of it.
    let is_said = |path: &[String]| !path.iter().any(|name| name == "system-out" || name == "system-err");
    failure.text = clean(&xml.text_within(room / 2, is_said));
    failure
}

impl OpenCase {
    /// Takes one more failure.
    fn push(&mut self, ending: Ending, failure: Failure) {
        let Self { case, shown, .. } = self;
        shown.elements += 1;
        if ending.is_bad() {
            let is_first_of_kind = case.ending != ending && shown.kinds < 2 || shown.kinds == 0;
            shown.kinds += u64::from(is_first_of_kind);
        }
        match (case.ending, ending) {
            (Ending::Passed | Ending::Skipped | Ending::Flaky, Ending::Failed | Ending::Error) => {
                // What it failed with in the end is told before what it had failed with first.
                case.ending = ending;
                case.trouble.failures.insert(0, failure);
            }
            (Ending::Passed, Ending::Flaky) => {
                case.ending = Ending::Flaky;
                case.trouble.push(failure);
            }
            (_, _) => case.trouble.push(failure),
        }
    }
}
