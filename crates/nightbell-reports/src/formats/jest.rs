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

use crate::case::{Case, Ending, Trouble};
use crate::fault::{Fault, Place, Unfit};
use crate::format::Format;
use crate::json::document::{Kind, Object, Report, Schema, read as read_documents};
use crate::json::late::{LateNames, Waiting};
use crate::json::{Bracket, Tree};
use crate::names::{LastPath, file};
use crate::sink::{End, Sink};
use crate::source::Source;
use crate::text::{counted, words};
use crate::time::Stamp;

/// The most titles around a test.
const TITLES_MAX: usize = 100;

/// The most failing suites of one file that are told apart.
const SUITES_MAX: usize = 100_000;

const COUNTS: &[&str] =
    words![numFailedTests numFailedTestSuites numRuntimeErrorTestSuites numTotalTests success startTime];

/// The keys of a file's name.
const NAMES: &[&str] = words![name testFilePath];

static SCHEMA: Schema = Schema {
    format: Format::Jest,
    root: Bracket::Object,
    kinds: &[
        Kind::of("").fields(COUNTS).objects(words![testResults]),
        Kind::of("testResults")
            .names(NAMES)
            .fields(words![message failureMessage status testExecError])
            .items(words![assertionResults testResults]),
    ],
    words: words![
        message stack status ancestorTitles title fullName failureMessages invocations retryReasons startAt
    ],
    signs: words![testResults numFailedTests numFailedTestSuites numRuntimeErrorTestSuites numTotalTests],
    missing: "it has no `testResults`",
    misfit: |misfit| misfit.unless_empty(Format::Jest, "Jest's"),
};

/// Gives each result.
pub(crate) fn read(source: &Source, sink: &mut Sink<'_>) -> Result<Option<Place>, Unfit> {
    let mut reader = Reader {
        source,
        sink,
        names: None,
        waiting: Waiting::default(),
        file: TestFile::default(),
        suites: LastPath::default(),
        run: Run::default(),
    };
    read_documents(source, &SCHEMA, &mut reader)
}

struct Reader<'s, 'a> {
    source: &'s Source,
    sink: &'s mut Sink<'a>,
    /// What all files are called, if that was learned.
    names: Option<LateNames>,
    waiting: Waiting,
    file: TestFile,
    suites: LastPath,
    run: Run,
}

/// What was shown of the file whose tests are being read.
#[derive(Debug, Default)]
struct TestFile {
    failing: u64,
    /// The paths of suites in which a test failed.
    suites: HashSet<Fingerprint>,
}

/// What was shown of the run as a whole.
#[derive(Debug, Default)]
struct Run {
    files: u64,
    started: Stamp,
    tests: u64,
    suites: u64,
    /// Files that failed by themselves.
    broken: u64,
}

impl Report for Reader<'_, '_> {
    fn begin(&mut self, open: &[Object]) {
        let [run, rest @ ..] = open else { return };
        if rest.is_empty() {
            self.run = Run::default();
        } else {
            self.run.files += 1;
            self.run.started = run.stamp("startTime");
            self.file = TestFile::default();
        }
    }

    fn item(&mut self, open: &[Object], _list: &'static str, test: &Tree) -> Result<(), Fault> {
        let titles = test.get("ancestorTitles").texts();
        let titles: Vec<_> = titles.iter().take(TITLES_MAX).map(String::as_str).collect();
        let case = self.case_of(test, &titles);
        if !test.is_object() || (case.name.is_empty() && case.suite.is_none() && case.trouble.is_empty()) {
            return Err(Fault::odd(&format!("an entry of the tests of file {} is no test", self.run.files)));
        }
        if case.ending.is_bad() {
            self.run.tests += 1;
            self.file.failing += 1;
            for around in (1..=titles.len()).map(|count| &titles[..count]) {
                if self.file.suites.len() < SUITES_MAX {
                    self.file.suites.insert(Fingerprint::of(around.iter().map(|title| title.as_bytes())));
                }
            }
        }
        let is_full = self.waiting.push(case);
        if is_full && self.names.is_none() {
            self.names = Some(LateNames::learn(self.source, &SCHEMA, words![testResults]));
        }
        if let Some(file) = open.last()
            && (self.names.is_some() || NAMES.iter().any(|key| file.has(key)))
        {
            self.give_waiting(file);
        }
        Ok(())
    }

    fn end(&mut self, _open: &[Object], object: Object, end: End) -> Result<(), Fault> {
        match (object.list(), end) {
            ("", _) => self.end_run(&object),
            (_, End::Written) => self.end_file(&object),
            (_, End::CutOff) => self.give_waiting(&object),
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.sink.is_stopped()
    }
}

impl Reader<'_, '_> {
    /// What a file is called, as far as that is known.
    fn name_of(&self, file: &Object) -> Option<Arc<str>> {
        let late = |key| self.names.as_ref().and_then(|names| names.get(file, key));
        NAMES.iter().find_map(|key| file.name(key).or_else(|| late(key))).map(Into::into)
    }

    fn give_waiting(&mut self, file: &Object) {
        let name = self.name_of(file);
        for case in self.waiting.take() {
            self.sink.case(Case { file: name.clone(), ..case });
        }
    }

    fn case_of(&mut self, test: &Tree, titles: &[&str]) -> Case {
        let mut trouble = Trouble::default();
        for message in test.get("failureMessages").texts() {
            trouble.add("", &message);
        }
        let ending = ending(test, &trouble);
        if ending == Ending::Flaky && trouble.is_empty() {
            for reason in test.get("retryReasons").texts() {
                trouble.add("", &reason);
            }
            let count = test.get("invocations").count();
            trouble.note(format!("it passed when it was invoked {count} times"));
        }
        let name =
            ["title", "fullName"].map(|key| test.get(key)).into_iter().find(|name| name.filled().is_some());
        Case {
            suite: self.suites.of(titles),
            name: name.map(Tree::name).unwrap_or_default(),
            stamp: test.get("startAt").stamp().or_else(|| self.run.started.clone()),
            ending,
            trouble,
            ..Case::default()
        }
    }

    fn end_file(&mut self, file_object: &Object) {
        self.give_waiting(file_object);
        let message = ["message", "failureMessage"].iter().find_map(|key| file_object.get(key).filled());
        let message = message.unwrap_or_default();
        let error = said(file_object.get("testExecError"));
        let TestFile { failing, suites } = mem::take(&mut self.file);
        self.run.suites += suites.len() as u64;
        let status = file_object.get("status").text().and_then(|word| Ending::of_word(&word));
        let is_bad = status.is_some_and(Ending::is_bad) || !message.is_empty();
        self.run.suites += u64::from(is_bad || failing > 0 || error.is_some());
        // With tests that failed, the message tells of them.
        if error.is_none() && (failing > 0 || !is_bad) {
            return;
        }
        self.run.broken += 1;
        let mut trouble = Trouble::said(&message);
        trouble.add(&error.unwrap_or_default(), "");
        let name = self.name_of(file_object);
        let shown = name.as_deref().and_then(file).unwrap_or_else(|| "test file".to_owned());
        self.sink.case(Case { file: name, stamp: self.run.started.clone(), ..Case::error(shown, trouble) });
    }

    /// What the report counts as failed and does not show is one result, as is a run that failed and shows nothing.
    fn end_run(&mut self, run: &Object) {
        let Run { tests, suites, broken, .. } = mem::take(&mut self.run);
        let lacks = |key, shown, what, of_what| missing(run.get(key).count(), shown, what, of_what);
        let told = [
            lacks("numFailedTests", tests, "failed test", ""),
            lacks("numRuntimeErrorTestSuites", broken, "file", " that failed to run"),
        ];
        let mut missing: Vec<_> = told.into_iter().flatten().collect();
        if missing.is_empty() {
            // Vitest's failed suite may be a hook's; what is missing else makes its suites fail as well.
            missing.extend(lacks("numFailedTestSuites", suites, "failed suite", ""));
        }
        if missing.is_empty() && *run.get("success") == Tree::Flag(false) && tests + suites == 0 {
            missing.push("the report says that the run failed, and shows no failure".to_owned());
        }
        if missing.is_empty() {
            return;
        }
        let mut trouble = Trouble::default();
        missing.iter().for_each(|what| trouble.add(what, ""));
        self.sink.case(Case { stamp: run.stamp("startTime"), ..Case::error("test run", trouble) });
    }
}

/// What is said of a count of which too little is shown.
fn missing(told: u64, shown: u64, one: &str, of_what: &str) -> Option<String> {
    let said = || format!("the report counts {}{of_what}, of which it shows {shown}", counted(told, one));
    (told > shown).then(said)
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
