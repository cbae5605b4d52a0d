//! The JSON of Playwright's `json` reporter: <https://playwright.dev/docs/api/class-testcase#test-case-outcome> and
//! <https://github.com/microsoft/playwright/blob/main/packages/playwright/types/testReporter.d.ts>.
//!
//! A test is a spec in one project; its `results` are its attempts, and its `status` says what they come to. Only where
//! that is missing the last attempt decides. An error that belongs to no test, such as one of the global set-up or of a
//! file that does not load, is a result itself. Titles that stand after what they name are learned in a walk of their own, once one is missed.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;

use crate::case::{Case, Ending, Failure, OUTPUT_BYTES_MAX, Trouble, push_bounded};
use crate::fault::{Fault, Place, Unfit};
use crate::format::Format;
use crate::formats::ctrf::uncovered;
use crate::formats::jest::{LastPath, add};
use crate::json::{Handler, ITEM, Tree, Want, walk};
use crate::names::{file, tidy};
use crate::sink::Sink;
use crate::source::Source;
use crate::text::{clean, shortened};
use crate::time::Stamp;

/// How much of all titles that come late is kept, in bytes.
const TITLES_BYTES_MAX: usize = 8 * 1024 * 1024;

/// About what a kept title needs besides its text, in bytes.
const TITLE_BYTES: usize = 64;

/// The most tags of a test, and the longest of them, in characters.
const TAGS_MAX: usize = 50;
const TAG_CHARS_MAX: usize = 200;

const VOCABULARY: &[&str] = &[
    "suites",
    "specs",
    "tests",
    "results",
    "title",
    "file",
    "ok",
    "tags",
    "projectName",
    "status",
    "expectedStatus",
    "error",
    "errors",
    "message",
    "stack",
    "snippet",
    "value",
    "location",
    "stdout",
    "stderr",
    "text",
    "startTime",
    "stats",
    "unexpected",
];

/// Gives each result.
pub(crate) fn read(source: &Source, sink: &mut Sink<'_>) -> Result<(), Unfit> {
    let mut reader = Reader {
        source,
        sink,
        late: None,
        begun: 0,
        suites: Vec::new(),
        paths: LastPath::default(),
        spec: Spec::default(),
        test: None,
        attempt: None,
        run: Run::default(),
        is_report: false,
        odd: None,
    };
    let damage = walk(source, VOCABULARY, &mut reader)?;
    reader.end_early();
    let Reader { is_report, odd, .. } = reader;
    if !is_report {
        let place = odd.or_else(|| damage.map(|place| foreign(place.line, &place.fault.to_string())));
        return Err(place.unwrap_or_else(|| foreign(1, "it has no list of `suites`")).into());
    }
    sink.damage(damage);
    sink.damage(odd);
    Ok(())
}

fn foreign(line: u64, problem: &str) -> Place {
    Place { line, fault: Fault::foreign(Format::Playwright, problem) }
}

/// How many suites lead to a place, and what leads on from the innermost.
fn within<'p>(mut path: &'p [&'static str]) -> (usize, &'p [&'static str]) {
    let mut depth = 0;
    while let ["suites", ITEM, rest @ ..] = path {
        (depth, path) = (depth + 1, rest);
    }
    (depth, path)
}

/// Learns the titles that stand after what is in their suite or spec. Suites and specs are numbered as they begin.
#[derive(Default)]
struct Titles {
    late: HashMap<u64, Arc<str>>,
    bytes: usize,
    begun: u64,
    /// The open suites and the open spec: its number, and whether something in it was met.
    open: Vec<(u64, bool)>,
}

impl Handler for Titles {
    fn want(&mut self, path: &[&'static str]) -> Want {
        match within(path).1 {
            [] | ["suites" | "specs"] | ["specs", ITEM] => Want::Enter,
            ["title"] | ["specs", ITEM, "title"] => Want::Whole,
            ["specs", ITEM, "tests"] => {
                self.open.iter_mut().for_each(|(_, is_filled)| *is_filled = true);
                Want::Skip
            }
            _ => Want::Skip,
        }
    }

    fn begin(&mut self, path: &[&'static str]) {
        if matches!(within(path), (1.., [] | ["specs", ITEM])) {
            self.begun += 1;
            self.open.push((self.begun, false));
        }
    }

    fn take(&mut self, path: &[&'static str], tree: Tree, _line: u64) {
        let (["title"] | ["specs", ITEM, "title"], Some((number, true))) = (within(path).1, self.open.last())
        else {
            return;
        };
        let title = title_of(&tree);
        if self.bytes + title.len() + TITLE_BYTES <= TITLES_BYTES_MAX {
            self.bytes += title.len() + TITLE_BYTES;
            self.late.insert(*number, title);
        }
    }

    fn end(&mut self, path: &[&'static str], _line: u64) {
        match within(path) {
            (1.., [] | ["specs", ITEM]) => drop(self.open.pop()),
            (0, []) => self.open.clear(),
            _ => {}
        }
    }
}

struct Reader<'s, 'a> {
    source: &'s Source,
    sink: &'s mut Sink<'a>,
    /// The titles that stand after what is in their suite or spec, if they were learned.
    late: Option<HashMap<u64, Arc<str>>>,
    /// How many suites and specs have begun.
    begun: u64,
    /// The open suites, the innermost last.
    suites: Vec<Suite>,
    paths: LastPath,
    spec: Spec,
    test: Option<Test>,
    attempt: Option<Attempt>,
    run: Run,
    is_report: bool,
    /// The first entry that is none.
    odd: Option<Place>,
}

#[derive(Debug, Default)]
struct Suite {
    number: u64,
    title: Option<Arc<str>>,
    file: Option<Arc<str>>,
}

#[derive(Debug, Default)]
struct Spec {
    number: u64,
    title: Option<Arc<str>>,
    file: Option<Arc<str>>,
    tags: Vec<String>,
    /// Whether it says that one of its tests failed, and whether one was shown.
    is_failed: bool,
    is_shown: bool,
}

/// A test that is being read.
#[derive(Debug, Default)]
struct Test {
    project: Option<String>,
    status: Option<String>,
    expected: Option<String>,
    last: Attempt,
    /// The last attempt that did not pass.
    failed: Option<Attempt>,
}

/// One run of a test.
#[derive(Debug, Clone, Default)]
struct Attempt {
    status: String,
    /// The error as it was thrown, and all of them as people see them.
    error: Failure,
    trouble: Trouble,
    stamp: Stamp,
}

/// How many tests failed, by the report's sum and as it shows them.
#[derive(Debug, Default)]
struct Run {
    counted: u64,
    shown: u64,
}

impl Handler for Reader<'_, '_> {
    fn want(&mut self, path: &[&'static str]) -> Want {
        match within(path) {
            (0, ["errors"]) => Want::Enter,
            (0, ["errors", ITEM] | ["stats"]) => Want::Whole,
            (_, [] | ["suites" | "specs"] | ["specs", ITEM] | ["specs", ITEM, "tests"]) => Want::Enter,
            (1.., ["title" | "file"]) => Want::Whole,
            (1.., ["specs", ITEM, inner @ ..]) => match inner {
                ["tests", ITEM] | ["tests", ITEM, "results"] | ["tests", ITEM, "results", ITEM] => {
                    Want::Enter
                }
                ["tests", ITEM, "results", ITEM, "errors" | "stdout" | "stderr"] => Want::Enter,
                ["title" | "file" | "tags" | "ok"] => Want::Whole,
                ["tests", ITEM, "projectName" | "status" | "expectedStatus"] => Want::Whole,
                ["tests", ITEM, "results", ITEM, "status" | "error" | "startTime"] => Want::Whole,
                ["tests", ITEM, "results", ITEM, "errors" | "stdout" | "stderr", ITEM] => Want::Whole,
                _ => Want::Skip,
            },
            _ => Want::Skip,
        }
    }

    fn begin(&mut self, path: &[&'static str]) {
        match within(path) {
            (0, []) => (self.run, self.suites) = (Run::default(), Vec::new()),
            (0, ["suites" | "errors"]) => self.is_report = true,
            (1.., []) => {
                self.begun += 1;
                self.suites.push(Suite { number: self.begun, ..Suite::default() });
            }
            (1.., ["specs", ITEM]) => {
                self.begun += 1;
                self.spec = Spec { number: self.begun, ..Spec::default() };
            }
            (1.., ["specs", ITEM, "tests", ITEM]) => self.test = Some(Test::default()),
            (1.., ["specs", ITEM, "tests", ITEM, "results", ITEM]) => self.attempt = Some(Attempt::default()),
            _ => {}
        }
    }

    fn take(&mut self, path: &[&'static str], tree: Tree, line: u64) {
        match within(path) {
            (0, ["stats"]) => {
                self.is_report = true;
                self.run.counted = tree.get("unexpected").count();
            }
            (0, ["errors", ITEM]) => self.error(&tree),
            (1.., ["title"]) => self.suite(|suite| suite.title = Some(title_of(&tree))),
            (1.., ["file"]) => self.suite(|suite| suite.file = tree.filled().map(Into::into)),
            (1.., ["specs", ITEM, "tests", ITEM, "results", ITEM, key @ ..]) if !key.is_empty() => {
                if let Some(attempt) = &mut self.attempt {
                    attempt.take(key, &tree);
                }
            }
            (1.., ["specs", ITEM, "tests", ITEM, key]) if *key != "results" => {
                if let Some(test) = &mut self.test {
                    test.take(key, &tree);
                }
            }
            (1.., ["specs", ITEM, key]) if *key != "tests" => self.spec.take(key, &tree),
            // Some lists are left out where they are empty.
            _ if tree == Tree::Nothing && path.last() != Some(&ITEM) => {}
            _ => {
                let place = path.iter().rev().find(|key| **key != ITEM).map_or("it", |key| *key);
                self.odd
                    .get_or_insert(foreign(line, &format!("`{place}` is not what it is in Playwright's")));
            }
        }
    }

    fn end(&mut self, path: &[&'static str], _line: u64) {
        match within(path) {
            (0, []) => self.end_run(),
            (1.., []) => drop(self.suites.pop()),
            (1.., ["specs", ITEM]) => self.end_spec(),
            (1.., ["specs", ITEM, "tests", ITEM]) => self.end_test(),
            (1.., ["specs", ITEM, "tests", ITEM, "results", ITEM]) => self.end_attempt(),
            _ => {}
        }
    }

    fn is_done(&self) -> bool {
        self.sink.is_stopped()
    }
}

impl Reader<'_, '_> {
    /// Learns what is not known yet of the titles of the open suites and the open spec.
    fn name(&mut self) {
        let suites = self.suites.iter_mut().map(|suite| (suite.number, &mut suite.title));
        let unnamed: Vec<_> = suites
            .chain([(self.spec.number, &mut self.spec.title)])
            .filter(|(_, title)| title.is_none())
            .collect();
        if unnamed.is_empty() {
            return;
        }
        let late = self.late.get_or_insert_with(|| {
            let mut titles = Titles::default();
            // What is wrong with the report is said by the walk that this one is part of.
            let _ = walk(self.source, VOCABULARY, &mut titles);
            titles.late
        });
        for (number, title) in unnamed {
            *title = Some(late.get(&number).cloned().unwrap_or_default());
        }
    }

    fn suite(&mut self, change: impl FnOnce(&mut Suite)) {
        if let Some(suite) = self.suites.last_mut() {
            change(suite);
        }
    }

    /// An error of no test.
    fn error(&mut self, error: &Tree) {
        let file_name = error.get("location").get("file").filled();
        let Failure { message, text, .. } = failure_of(error);
        let mut trouble = Trouble::default();
        add(&mut trouble, &message, &text);
        self.sink.case(Case {
            name: file_name.as_deref().and_then(file).unwrap_or_else(|| "test run".to_owned()),
            file: file_name.map(Into::into),
            ending: Ending::Error,
            trouble,
            ..Case::default()
        });
    }

    fn end_attempt(&mut self) {
        let (Some(mut attempt), Some(test)) = (self.attempt.take(), &mut self.test) else { return };
        attempt.join();
        if attempt.went_wrong() {
            test.failed = Some(attempt.clone());
        }
        test.last = attempt;
    }

    fn end_test(&mut self) {
        let Some(test) = self.test.take() else { return };
        let ending = test.ending();
        self.run.shown += u64::from(ending.is_bad());
        self.spec.is_shown |= ending.is_bad();
        let case = self.case_of(test, ending);
        self.sink.case(case);
    }

    /// A spec that failed, and shows no test that did, is a result itself.
    fn end_spec(&mut self) {
        if self.spec.is_failed && !self.spec.is_shown {
            let mut test = Test::default();
            add(&mut test.last.trouble, "the report says that it failed, and shows no result that did", "");
            self.run.shown += 1;
            let case = self.case_of(test, Ending::Error);
            self.sink.case(case);
        }
        self.spec = Spec::default();
    }

    fn case_of(&mut self, test: Test, ending: Ending) -> Case {
        self.name();
        let Test { project, expected, last, failed, .. } = test;
        let passed_though =
            ending.is_bad() && last.status == "passed" && expected.as_deref() == Some("failed");
        let Attempt { status, mut trouble, stamp, .. } = failed.filter(|_| !passed_though).unwrap_or(last);
        if !ending.is_bad() && ending != Ending::Flaky {
            trouble = Trouble::default();
        } else if passed_though {
            add(&mut trouble, "Expected to fail, but passed.", "");
        } else if trouble.failures.is_empty() {
            trouble.push(Failure { kind: tidy(&status), ..Failure::default() });
        }
        let titles: Vec<&str> = self.suites.iter().filter_map(|suite| suite.title.as_deref()).collect();
        // The first suite is the file.
        let is_in_file = titles.first().is_some_and(|title| !title.is_empty());
        let Spec { title, file, tags, .. } = &self.spec;
        let file = file.clone().or_else(|| self.suites.iter().rev().find_map(|suite| suite.file.clone()));
        Case {
            suite: self.paths.of(&titles),
            name: title.as_deref().unwrap_or_default().to_owned(),
            file: file.filter(|_| !is_in_file),
            variant: project,
            stamp,
            tags: tags.clone(),
            ending,
            trouble,
            ..Case::default()
        }
    }

    fn end_run(&mut self) {
        let Run { counted, shown } = mem::take(&mut self.run);
        if counted > shown {
            self.sink.case(uncovered(counted, shown));
        }
    }

    /// The report is cut off: of what was open only what went wrong is known.
    fn end_early(&mut self) {
        if self.attempt.as_ref().is_some_and(Attempt::went_wrong) {
            self.end_attempt();
        }
        if self.test.as_ref().is_some_and(|test| test.ending().is_bad()) {
            self.end_test();
        }
        self.end_run();
    }
}

impl Spec {
    fn take(&mut self, key: &str, tree: &Tree) {
        match key {
            "title" => self.title = Some(title_of(tree)),
            "file" => self.file = tree.filled().map(Into::into),
            "ok" => self.is_failed = *tree == Tree::Flag(false),
            _ => {
                let tags = tree.texts();
                self.tags =
                    tags.iter().take(TAGS_MAX).map(|tag| shortened(&tidy(tag), TAG_CHARS_MAX)).collect();
            }
        }
    }
}

impl Test {
    fn take(&mut self, key: &str, tree: &Tree) {
        match key {
            "projectName" => self.project = tree.filled().map(|name| tidy(&name)),
            "expectedStatus" => self.expected = tree.filled(),
            _ => self.status = tree.filled(),
        }
    }

    fn ending(&self) -> Ending {
        let ending = match self.status.as_deref().map(Ending::of_word) {
            Some(Some(ending)) => ending,
            Some(None) => self.ending_by_attempts(Ending::Error),
            None => self.ending_by_attempts(Ending::Skipped),
        };
        match ending {
            // It was stopped, and something went wrong in it before that.
            Ending::Skipped if self.last.status == "interrupted" && !self.last.trouble.is_empty() => {
                Ending::Error
            }
            Ending::Failed => match self.failed.as_ref().map(|failed| failed.ending(Ending::Failed)) {
                Some(Ending::Error) => Ending::Error,
                Some(_) | None => Ending::Failed,
            },
            Ending::Passed | Ending::Flaky | Ending::Skipped | Ending::Error => ending,
        }
    }

    fn ending_by_attempts(&self, otherwise: Ending) -> Ending {
        let is_expected = |attempt: &Attempt| self.expected.as_deref() == Some(&attempt.status);
        let ending = if is_expected(&self.last) { Ending::Passed } else { self.last.ending(otherwise) };
        let is_flaky =
            ending == Ending::Passed && self.failed.as_ref().is_some_and(|failed| !is_expected(failed));
        if is_flaky { Ending::Flaky } else { ending }
    }
}

impl Attempt {
    fn take(&mut self, key: &[&'static str], tree: &Tree) {
        match key {
            ["status"] => self.status = tree.text().unwrap_or_default(),
            ["startTime"] => self.stamp = tree.text().map(|time| Stamp::read(&time)).unwrap_or_default(),
            ["error"] => self.error = failure_of(tree),
            ["errors", ..] => {
                let Failure { message, text, .. } = failure_of(tree);
                add(&mut self.trouble, &message, &text);
            }
            ["stdout", ..] => push_bounded(&mut self.trouble.outputs[0], &printed(tree), OUTPUT_BYTES_MAX),
            ["stderr", ..] => push_bounded(&mut self.trouble.outputs[1], &printed(tree), OUTPUT_BYTES_MAX),
            _ => {}
        }
    }

    /// The first of the errors is the one that was thrown, with the source around it.
    fn join(&mut self) {
        let error = mem::take(&mut self.error);
        match self.trouble.failures.first_mut() {
            None => add(&mut self.trouble, &error.message, &error.text),
            Some(first) if !error.message.is_empty() && first.message.starts_with(&error.message) => {
                let whole = mem::replace(&mut first.message, error.message);
                if whole.len() > first.message.len() {
                    first.text = whole;
                }
            }
            Some(_) => {}
        }
    }

    fn went_wrong(&self) -> bool {
        !matches!(self.status.as_str(), "passed" | "skipped" | "")
            || self.status.is_empty() && !self.trouble.is_empty()
    }

    /// How it ended by itself.
    fn ending(&self, otherwise: Ending) -> Ending {
        match Ending::of_word(&self.status) {
            Some(ending) => ending,
            None if !self.status.is_empty() || !self.trouble.failures.is_empty() => Ending::Error,
            None => otherwise,
        }
    }
}

fn title_of(tree: &Tree) -> Arc<str> {
    tidy(&tree.text().unwrap_or_default()).into()
}

fn failure_of(error: &Tree) -> Failure {
    let message =
        error.get("message").filled().or_else(|| error.get("value").filled()).or_else(|| error.filled());
    let text = error.get("stack").filled().or_else(|| error.get("snippet").filled());
    Failure::new(&message.unwrap_or_default(), &text.unwrap_or_default())
}

fn printed(entry: &Tree) -> String {
    clean(&entry.get("text").text().or_else(|| entry.text()).unwrap_or_default())
}
