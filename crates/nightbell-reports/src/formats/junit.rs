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
use std::sync::Arc;

use crate::case::{Attempt, Case, Ending, Failure, OUTPUT_BYTES_MAX, Trouble, push_bounded};
use crate::fault::Unfit;
use crate::format::Format;
use crate::names::{path, tidy, tidy_suite};
use crate::sink::Sink;
use crate::source::Source;
use crate::text::clean;
use crate::time::Stamp;
use crate::xml::{Step, Vocabulary, Xml};

const VOCABULARY: Vocabulary =
    Vocabulary { structure: &["testsuites", "testsuite", "testcase"], result: Some("testcase") };

/// What jest-junit calls a file that can't be loaded. It says so twice, as an error, and as a failure in raw JSON.
const JEST_BROKEN_SUITE: &str = "Test suite failed to run";

/// Gives each result.
pub(crate) fn read(source: &Source, sink: &mut Sink<'_>) -> Result<(), Unfit> {
    let mut xml = Xml::open(source, VOCABULARY)?;
    xml.root(Format::Junit, &["testsuites", "testsuite"])?;
    let mut reader = Reader {
        xml,
        sink,
        suites: Vec::new(),
        suites_begun: 0,
        case: None,
        shown: Shown::default(),
        attempts: HashMap::new(),
    };
    reader.begin_suite();
    reader.run();
    reader.sink.damage(reader.xml.damage());
    Ok(())
}

struct Reader<'s, 'a> {
    xml: Xml,
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
    path: Option<Arc<str>>,
    /// Its own name.
    name: Option<String>,
    file: Option<Arc<str>>,
    host: Option<Arc<str>>,
    stamp: Stamp,
    /// How many failures and errors it says that there are in it.
    counted: u64,
    /// How many had been shown when it began.
    before: Shown,
    trouble: Trouble,
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
        let name = self.xml.name().to_owned();
        match name.as_str() {
            "testsuites" | "testsuite" => self.begin_suite(),
            "testcase" => self.case = Some(self.case_of()),
            "system-out" => self.output(0),
            "system-err" => self.output(1),
            _ => self.outcome(&name),
        }
    }

    fn end(&mut self, is_implied: bool) {
        match self.xml.name() {
            "testcase" => self.end_case(is_implied),
            "testsuites" | "testsuite" => self.end_suite(),
            _ => {}
        }
    }

    fn end_case(&mut self, is_implied: bool) {
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
        match case.ending {
            Ending::Failed | Ending::Error | Ending::Flaky => {}
            // Of a case that is cut off it is not known that it passed.
            Ending::Passed | Ending::Skipped if is_implied => return,
            Ending::Passed | Ending::Skipped => case.trouble = Trouble::default(),
        }
        self.sink.case(case);
    }

    fn begin_suite(&mut self) {
        self.suites_begun += 1;
        let around = self.suites.last();
        let (around_path, file, host) = around.map_or((None, None, None), |around| {
            (around.path.clone(), around.file.clone(), around.host.clone())
        });
        let stamp = around.map(|around| around.stamp.clone()).unwrap_or_default();
        let is_root = self.xml.name() == "testsuites";
        let name =
            self.xml.filled("name").or_else(|| self.xml.filled("package")).map(|name| tidy_suite(&name));
        // So jest-junit calls the suite of a test that is in none.
        let name = name.filter(|name| name != "undefined");
        let path = match &name {
            // The root's name is that of the tool, or of the run.
            Some(name) if !is_root => path(around_path.as_deref(), name).map(Into::into),
            Some(_) | None => around_path,
        };
        let counts = ["failures", "errors"].map(|count| self.xml.attribute(count));
        self.suites.push(Suite {
            path,
            name,
            file: self.xml.filled("file").or_else(|| self.xml.filled("filepath")).map(Into::into).or(file),
            host: self.xml.filled("hostname").map(|host| tidy(&host).into()).or(host),
            stamp: self.xml.filled("timestamp").map_or(stamp, |time| Stamp::read(&time)),
            counted: counts
                .into_iter()
                .flatten()
                .filter_map(|count| count.trim().parse().ok())
                .fold(0, u64::saturating_add),
            before: self.shown,
            trouble: Trouble::default(),
        });
    }

    /// A suite's own failures, and those that it counts but does not show, are one result.
    fn end_suite(&mut self) {
        let Some(mut suite) = self.suites.pop() else { return };
        let shown = self.shown.since(suite.before);
        let missing = shown.missing(suite.counted);
        if suite.trouble.failures.is_empty() && missing == 0 {
            return;
        }
        if missing > 0 {
            self.shown += Shown { kinds: missing, elements: missing };
            let what = format!(
                "the suite counts {}, of which its cases show {}",
                failures(suite.counted),
                shown.kinds
            );
            suite.trouble.push(Failure { kind: what, ..Failure::default() });
        }
        let name = suite.name.or_else(|| suite.path.as_deref().map(str::to_owned));
        self.sink.case(Case {
            suite: suite.path,
            name: name.unwrap_or_else(|| "test suite".to_owned()),
            file: suite.file,
            host: suite.host,
            stamp: suite.stamp,
            ending: Ending::Error,
            trouble: suite.trouble,
            ..Case::default()
        });
    }

    fn case_of(&mut self) -> OpenCase {
        let xml = &mut self.xml;
        let [name, time, file] = ["name", "timestamp", "file"].map(|name| xml.filled(name));
        let class = xml.filled("classname").or_else(|| xml.filled("class"));
        let attempt = xml.filled("retry").or_else(|| xml.filled("attempt"));
        let words = ["status", "result"].map(|word| xml.filled(word));
        let is_flaky = xml.attribute("flaky").is_some_and(|flaky| flaky.eq_ignore_ascii_case("true"));
        let suite = self.suites.last();
        let mut case = Case {
            suite: suite.and_then(|suite| suite.path.clone()),
            class: class.map(|class| tidy_suite(&class)),
            name: name.map(|name| tidy(&name)).unwrap_or_default(),
            file: file.map(Into::into).or_else(|| suite.and_then(|suite| suite.file.clone())),
            host: suite.and_then(|suite| suite.host.clone()),
            stamp: time.map_or_else(
                || suite.map(|suite| suite.stamp.clone()).unwrap_or_default(),
                |time| Stamp::read(&time),
            ),
            ..Case::default()
        };
        if let Some(number) = attempt.and_then(|number| number.trim().parse::<u64>().ok()) {
            case.attempt = Some(self.attempt_of(&case, number));
        }
        let mut told = words.iter().flatten().filter_map(|word| Ending::of_word(word));
        let mut shown = Shown::default();
        if let Some(ending) = told.find(|ending| ending.is_bad()) {
            case.ending = ending;
            shown = Shown { kinds: 1, elements: 0 };
        }
        OpenCase { case, says_flaky: is_flaky && shown == Shown::default(), may_fail: false, shown }
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
    fn outcome(&mut self, name: &str) {
        let parent = self.xml.path().iter().rev().nth(1).map(String::as_str);
        let ending = match (parent, name) {
            (Some("testcase" | "testsuite" | "testsuites"), "failure") => Ending::Failed,
            (Some("testcase" | "testsuite" | "testsuites"), "error") => Ending::Error,
            (Some("testcase"), "flakyFailure" | "flakyError") => Ending::Flaky,
            (Some("testcase"), "rerunFailure" | "rerunError") => {
                self.shown.elements += 1;
                return;
            }
            (Some("testcase"), "skipped") => {
                self.skipped();
                return;
            }
            (_, _) => return,
        };
        let room = self.trouble().map_or(0, |trouble| trouble.room());
        let failure = self.failure(room);
        match (&mut self.case, self.suites.last_mut()) {
            (Some(open), _) => open.push(ending, failure),
            (None, Some(suite)) => {
                self.shown += Shown { kinds: 1, elements: 1 };
                suite.trouble.push(failure);
            }
            (None, None) => {}
        }
    }

    fn skipped(&mut self) {
        let said = ["type", "message"].map(|name| self.xml.filled(name).unwrap_or_default().to_lowercase());
        let Some(OpenCase { case, may_fail, .. }) = self.case.as_mut() else { return };
        // Node's and Catch2's words for a test that is known to fail, and whose failure stands beside this.
        *may_fail |= said[0] == "todo" || said.iter().any(|said| said.contains("!mayfail"));
        if case.ending == Ending::Passed {
            case.ending = Ending::Skipped;
        }
    }

    fn failure(&mut self, room: usize) -> Failure {
        let message = self.xml.filled("message").map(|message| clean(&message)).unwrap_or_default();
        let kind = self.xml.filled("type").map(|kind| tidy(&kind)).unwrap_or_default();
        let mut failure = Failure { kind, ..Failure::default() };
        push_bounded(&mut failure.message, &message, room / 2);
        // What the test printed may stand inside of it, and is no part of it.
        let is_said = |path: &[String]| !path.iter().any(|name| name == "system-out" || name == "system-err");
        failure.text = clean(&self.xml.text_within(room / 2, is_said));
        failure
    }

    /// Takes what was printed, standard output or standard error.
    fn output(&mut self, which: usize) {
        let text = clean(&self.xml.whole_text(OUTPUT_BYTES_MAX));
        if let Some(trouble) = self.trouble() {
            push_bounded(&mut trouble.outputs[which], &text, OUTPUT_BYTES_MAX);
        }
    }

    fn trouble(&mut self) -> Option<&mut Trouble> {
        match &mut self.case {
            Some(open) => Some(&mut open.case.trouble),
            None => self.suites.last_mut().map(|suite| &mut suite.trouble),
        }
    }
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

fn failures(count: u64) -> String {
    if count == 1 { "1 failure".to_owned() } else { format!("{count} failures") }
}
