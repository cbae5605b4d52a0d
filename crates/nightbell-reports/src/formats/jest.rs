//! The JSON of `jest --json`, and of Vitest's `json` reporter, which has its shape; what Jest gives its own reporters too:
//! <https://github.com/jestjs/jest/blob/main/packages/jest-test-result/src/types.ts>.
//!
//! A test file's name stands after its tests. They wait for it; where they are too many, the names are learned in a walk
//! of their own. A file that failed and shows no test that did is a result itself: it does not load, or a hook failed. A test that passed and was invoked
//! several times, or still has messages of failures, is flaky. Counts are compared; Vitest counts each `describe` that
//! fails as a suite, and says of a failed `beforeAll` nothing else.

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::mem;
use std::sync::Arc;

use nightbell_core::fingerprint::Fingerprint;

use crate::case::{Case, Ending, Failure, TEXT_BYTES_MAX, Trouble};
use crate::fault::{Fault, Place, Unfit};
use crate::format::Format;
use crate::json::{Handler, ITEM, Tree, Want, walk};
use crate::names::{NAME_CHARS_MAX, file, path_of, tidy};
use crate::sink::Sink;
use crate::source::Source;
use crate::text::shortened;
use crate::time::Stamp;

/// How much may wait for a name, in bytes.
const HELD_BYTES_MAX: usize = 1024 * 1024;

/// How much of all names of files is kept, in bytes; tests of further files are told without.
const NAMES_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The most titles around a test.
const TITLES_MAX: usize = 100;

/// The most failing suites of one file that are told apart.
const SUITES_MAX: usize = 100_000;

const VOCABULARY: &[&str] = &[
    "numFailedTests",
    "numFailedTestSuites",
    "numRuntimeErrorTestSuites",
    "numTotalTests",
    "success",
    "startTime",
    "testResults",
    "assertionResults",
    "name",
    "testFilePath",
    "message",
    "failureMessage",
    "status",
    "testExecError",
    "stack",
    "ancestorTitles",
    "title",
    "fullName",
    "failureMessages",
    "invocations",
    "retryReasons",
    "startAt",
];

/// Gives each result.
pub(crate) fn read(source: &Source, sink: &mut Sink<'_>) -> Result<(), Unfit> {
    let mut reader = Reader {
        source,
        sink,
        names: None,
        held: Held::default(),
        files: 0,
        file: TestFile::default(),
        suites: LastPath::default(),
        run: Run::default(),
        is_report: false,
        odd: None,
    };
    let damage = walk(source, VOCABULARY, &mut reader)?;
    reader.give_held();
    reader.end_run();
    let Reader { is_report, odd, .. } = reader;
    if !is_report {
        let place = odd.or_else(|| damage.map(|place| foreign(place.line, &place.fault.to_string())));
        return Err(place.unwrap_or_else(|| foreign(1, "it has no `testResults`")).into());
    }
    sink.damage(damage);
    sink.damage(odd);
    Ok(())
}

/// Results that wait for a name which stands after them.
#[derive(Debug, Default)]
pub(crate) struct Held {
    cases: Vec<Case>,
    bytes: usize,
}

impl Held {
    /// Takes one more; says whether no more should wait.
    pub(crate) fn push(&mut self, case: Case) -> bool {
        let said = TEXT_BYTES_MAX.saturating_sub(case.trouble.room());
        let texts = [&case.name].into_iter().chain(&case.trouble.outputs).chain(&case.tags).map(String::len);
        self.bytes +=
            size_of::<Case>() + case.suite.as_deref().map_or(0, str::len) + said + texts.sum::<usize>();
        self.cases.push(case);
        self.bytes >= HELD_BYTES_MAX
    }

    pub(crate) fn take(&mut self) -> Vec<Case> {
        mem::take(self).cases
    }
}

/// Adds what a test says of one failure, as far as there is room for it.
pub(crate) fn add(trouble: &mut Trouble, message: &str, text: &str) {
    let within = trouble.room() / 2;
    let [message, text] = [message, text].map(|text| &text[..text.floor_char_boundary(within)]);
    let failure = Failure::new(message, text);
    if !failure.is_empty() {
        trouble.push(failure);
    }
}

/// The path of suites that was asked for last: most tests have that of the test before, and it costs more than all else.
#[derive(Debug, Default)]
pub(crate) struct LastPath {
    names: Vec<String>,
    path: Option<Arc<str>>,
}

impl LastPath {
    pub(crate) fn of(&mut self, names: &[&str]) -> Option<Arc<str>> {
        if self.names != names {
            self.names = names.iter().map(|name| (*name).to_owned()).collect();
            self.path = path_of(names.iter().copied()).map(Into::into);
        }
        self.path.clone()
    }
}

fn foreign(line: u64, problem: &str) -> Place {
    Place { line, fault: Fault::foreign(Format::Jest, problem) }
}

/// Learns what the test files are called, in their order.
#[derive(Default)]
struct Names {
    files: Vec<Option<Arc<str>>>,
    bytes: usize,
}

impl Handler for Names {
    fn want(&mut self, path: &[&'static str]) -> Want {
        match path {
            [] | ["testResults"] | ["testResults", ITEM] => Want::Enter,
            ["testResults", ITEM, "name" | "testFilePath"] => Want::Whole,
            _ => Want::Skip,
        }
    }

    fn begin(&mut self, path: &[&'static str]) {
        if matches!(path, ["testResults", ITEM]) {
            self.files.push(None);
        }
    }

    fn take(&mut self, path: &[&'static str], tree: Tree, _line: u64) {
        let (["testResults", ITEM, _], Some(last)) = (path, self.files.last_mut()) else { return };
        let name = tree.filled().map(|name| shortened(&name, NAME_CHARS_MAX));
        if let Some(name) = name.filter(|name| self.bytes + name.len() <= NAMES_BYTES_MAX) {
            self.bytes += name.len();
            *last = Some(name.into());
        }
    }
}

struct Reader<'s, 'a> {
    source: &'s Source,
    sink: &'s mut Sink<'a>,
    /// What all files are called, if that was learned.
    names: Option<Vec<Option<Arc<str>>>>,
    held: Held,
    /// How many files have begun.
    files: usize,
    file: TestFile,
    suites: LastPath,
    run: Run,
    is_report: bool,
    /// The first entry that is none.
    odd: Option<Place>,
}

/// What is known of the file whose tests are being read.
#[derive(Debug, Default)]
struct TestFile {
    name: Option<Arc<str>>,
    message: String,
    /// The error that Jest itself met, told beside the message.
    error: Option<String>,
    status: Option<Ending>,
    failing: u64,
    /// The paths of suites in which a test failed.
    suites: HashSet<Fingerprint>,
}

/// What the report says of the run as a whole, and what it shows.
#[derive(Debug, Default)]
struct Run {
    started: Stamp,
    is_failed: bool,
    tests: Count,
    suites: Count,
    /// Files that failed by themselves.
    files: Count,
}

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    told: u64,
    shown: u64,
}

impl Handler for Reader<'_, '_> {
    fn want(&mut self, path: &[&'static str]) -> Want {
        match path {
            [] | ["testResults"] | ["testResults", ITEM] => Want::Enter,
            ["testResults", ITEM, "assertionResults" | "testResults"] => Want::Enter,
            ["testResults", ITEM, "assertionResults" | "testResults", ITEM] => Want::Whole,
            ["testResults", ITEM, "startTime"] => Want::Skip,
            [_] | ["testResults", ITEM, _] => Want::Whole,
            _ => Want::Skip,
        }
    }

    fn begin(&mut self, path: &[&'static str]) {
        match path {
            [] => self.run = Run::default(),
            ["testResults"] => self.is_report = true,
            ["testResults", ITEM] => {
                self.files += 1;
                self.file = TestFile { name: self.learned_name(), ..TestFile::default() };
            }
            _ => {}
        }
    }

    fn take(&mut self, path: &[&'static str], tree: Tree, line: u64) {
        match path {
            ["testResults", ITEM, "assertionResults" | "testResults", ITEM] => self.test(&tree, line),
            ["testResults", ITEM, "assertionResults" | "testResults"] | ["testResults"]
                if tree == Tree::Nothing => {}
            ["testResults", ITEM, "message" | "failureMessage"] => {
                self.file.message = tree.text().unwrap_or_default();
            }
            ["testResults", ITEM, "status"] => {
                self.file.status = tree.text().and_then(|word| Ending::of_word(&word));
            }
            ["testResults", ITEM, "testExecError"] => self.file.error = said(&tree),
            ["testResults", ITEM, "name" | "testFilePath"] => {
                self.file.name = tree.filled().map(|name| shortened(&name, NAME_CHARS_MAX).into());
                self.give_held();
            }
            ["testResults", ITEM, "assertionResults" | "testResults"] | ["testResults" | ITEM, ..] | [] => {
                let place = path.iter().rev().find(|key| **key != ITEM).map_or("it", |key| *key);
                self.odd.get_or_insert(foreign(line, &format!("`{place}` is not what it is in Jest's")));
            }
            [key, ..] => self.told(key, &tree),
        }
    }

    fn end(&mut self, path: &[&'static str], _line: u64) {
        match path {
            [] => self.end_run(),
            ["testResults", ITEM] => self.end_file(),
            _ => {}
        }
    }

    fn is_done(&self) -> bool {
        self.sink.is_stopped()
    }
}

impl Reader<'_, '_> {
    /// Takes what the report says of the whole run.
    fn told(&mut self, key: &str, tree: &Tree) {
        self.is_report |= key.starts_with("num");
        match key {
            "numFailedTests" => self.run.tests.told = tree.count(),
            "numFailedTestSuites" => self.run.suites.told = tree.count(),
            "numRuntimeErrorTestSuites" => self.run.files.told = tree.count(),
            "success" => self.run.is_failed = *tree == Tree::Flag(false),
            "startTime" => self.run.started = stamp(tree).unwrap_or_default(),
            _ => {}
        }
    }

    fn test(&mut self, test: &Tree, line: u64) {
        let titles: Vec<_> = test.get("ancestorTitles").texts();
        let titles: Vec<_> = titles.iter().take(TITLES_MAX).map(String::as_str).collect();
        let case = self.case_of(test, &titles);
        if !test.is_object() || (case.name.is_empty() && case.suite.is_none() && case.trouble.is_empty()) {
            let problem = format!("an entry of the tests of file {} is no test", self.files);
            self.odd.get_or_insert(Place { line, fault: Fault::odd(&problem) });
            return;
        }
        if case.ending.is_bad() {
            self.run.tests.shown += 1;
            self.file.failing += 1;
            for around in (1..=titles.len()).map(|count| &titles[..count]) {
                if self.file.suites.len() < SUITES_MAX {
                    self.file.suites.insert(Fingerprint::of(around.iter().map(|title| title.as_bytes())));
                }
            }
        }
        if self.file.name.is_some() || self.names.is_some() {
            self.sink.case(Case { file: self.file.name.clone(), ..case });
        } else if self.held.push(case) {
            let mut names = Names::default();
            // What is wrong with the report is said by the walk that this one is part of.
            let _ = walk(self.source, VOCABULARY, &mut names);
            self.names = Some(names.files);
            self.file.name = self.learned_name();
            self.give_held();
        }
    }

    /// What the file that was begun last is called, as far as it is learned.
    fn learned_name(&self) -> Option<Arc<str>> {
        self.names.as_ref()?.get(self.files.checked_sub(1)?).cloned().flatten()
    }

    fn give_held(&mut self) {
        for case in self.held.take() {
            self.sink.case(Case { file: self.file.name.clone(), ..case });
        }
    }

    fn case_of(&mut self, test: &Tree, titles: &[&str]) -> Case {
        let mut trouble = Trouble::default();
        for message in test.get("failureMessages").texts() {
            add(&mut trouble, "", &message);
        }
        let ending = ending(test, &trouble);
        if ending == Ending::Flaky && trouble.is_empty() {
            for reason in test.get("retryReasons").texts() {
                add(&mut trouble, "", &reason);
            }
            let kind = format!("it passed when it was invoked {} times", test.get("invocations").count());
            trouble.push(Failure { kind, ..Failure::default() });
        }
        if !ending.is_bad() && ending != Ending::Flaky {
            trouble = Trouble::default();
        }
        let name = test.get("title").filled().or_else(|| test.get("fullName").filled());
        Case {
            suite: self.suites.of(titles),
            name: name.map(|name| tidy(&name)).unwrap_or_default(),
            stamp: stamp(test.get("startAt")).unwrap_or_else(|| self.run.started.clone()),
            ending,
            trouble,
            ..Case::default()
        }
    }

    fn end_file(&mut self) {
        self.give_held();
        let TestFile { name, message, error, status, failing, suites } = mem::take(&mut self.file);
        self.run.suites.shown += suites.len() as u64;
        let is_bad = status.is_some_and(Ending::is_bad) || !message.trim().is_empty();
        self.run.suites.shown += u64::from(is_bad || failing > 0 || error.is_some());
        // With tests that failed, the message tells of them.
        if error.is_none() && (failing > 0 || !is_bad) {
            return;
        }
        self.run.files.shown += 1;
        let mut trouble = Trouble::default();
        add(&mut trouble, &message, "");
        add(&mut trouble, &error.unwrap_or_default(), "");
        self.sink.case(Case {
            name: name.as_deref().and_then(file).unwrap_or_else(|| "test file".to_owned()),
            file: name,
            stamp: self.run.started.clone(),
            ending: Ending::Error,
            trouble,
            ..Case::default()
        });
    }

    /// What the report counts as failed and does not show is one result, as is a run that failed and shows nothing.
    fn end_run(&mut self) {
        let Run { started, is_failed, tests, suites, files } = mem::take(&mut self.run);
        let told = [tests.missing("failed test", ""), files.missing("file", " that failed to run")];
        let mut missing: Vec<_> = told.into_iter().flatten().collect();
        if missing.is_empty() {
            // Vitest's failed suite may be a hook's; what is missing else makes its suites fail as well.
            missing.extend(suites.missing("failed suite", ""));
        }
        if missing.is_empty() && is_failed && tests.shown + suites.shown == 0 {
            missing.push("the report says that the run failed, and shows no failure".to_owned());
        }
        if missing.is_empty() {
            return;
        }
        let mut trouble = Trouble::default();
        missing.iter().for_each(|what| add(&mut trouble, what, ""));
        let name = "test run".to_owned();
        self.sink.case(Case { name, stamp: started, ending: Ending::Error, trouble, ..Case::default() });
    }
}

impl Count {
    fn missing(self, one: &str, of_what: &str) -> Option<String> {
        let Self { told, shown } = self;
        let plural = if told == 1 { "" } else { "s" };
        (told > shown)
            .then(|| format!("the report counts {told} {one}{plural}{of_what}, of which it shows {shown}"))
    }
}

fn ending(test: &Tree, trouble: &Trouble) -> Ending {
    let word = test.get("status").text().unwrap_or_default();
    match Ending::of_word(&word) {
        Some(Ending::Passed) if !trouble.is_empty() || test.get("invocations").count() > 1 => Ending::Flaky,
        Some(Ending::Skipped) if !trouble.is_empty() => Ending::Error,
        Some(ending) => ending,
        None if !trouble.is_empty() => Ending::Error,
        None if word.is_empty() => Ending::Skipped,
        None if word == "focused" => Ending::Passed,
        None => Ending::Error,
    }
}

/// What an error says: a text, or an object with a message and a stack.
fn said(error: &Tree) -> Option<String> {
    if error.is_object() {
        let parts = ["message", "stack"].map(|key| error.get(key).filled());
        return Some(parts.into_iter().flatten().collect::<Vec<_>>().join("\n"));
    }
    error.filled()
}

fn stamp(tree: &Tree) -> Option<Stamp> {
    tree.text().map(|time| Stamp::read(&time)).filter(|stamp| *stamp != Stamp::default())
}
