//! The JSON of Playwright's `json` reporter: <https://playwright.dev/docs/api/class-testcase#test-case-outcome> and
//! <https://github.com/microsoft/playwright/blob/main/packages/playwright/types/testReporter.d.ts>.
//!
//! A test is a spec in one project; its `results` are its attempts, and its `status` says what they come to. Only where
//! that is missing the last attempt decides. An error that belongs to no test, such as one of the global set-up or of a
//! file that does not load, is a result itself. Titles that stand after what they name are learned in a walk of their own, once one is missed.

#[cfg(test)]
mod tests;

use std::mem;

use crate::case::{Case, Ending, Failure, Output, Trouble};
use crate::fault::{Fault, Place, Unfit};
use crate::format::Format;
use crate::json::document::{Kind, Object, Report, Schema, read as read_documents};
use crate::json::late::LateNames;
use crate::json::{Bracket, Tree};
use crate::names::{LastPath, file, tags};
use crate::sink::{End, Sink};
use crate::source::Source;
use crate::text::words;
use crate::time::Stamp;

static SCHEMA: Schema = Schema {
    format: Format::Playwright,
    root: Bracket::Object,
    kinds: &[
        Kind::of("").fields(words![stats]).objects(words![suites]).items(words![errors]),
        Kind::of("suites").names(words![title file]).objects(words![suites specs]),
        Kind::of("specs").names(words![title file]).fields(words![tags ok]).objects(words![tests]),
        Kind::of("tests").names(words![projectName status expectedStatus]).objects(words![results]),
        Kind::of("results")
            .names(words![status startTime])
            .fields(words![error])
            .items(words![errors stdout stderr]),
    ],
    words: words![message stack snippet value location file text unexpected],
    signs: words![suites errors stats],
    missing: "it has no list of `suites`",
    misfit: |misfit| {
        let is_alone = !misfit.is_item && matches!(misfit.key, Some("errors" | "stdout" | "stderr"));
        misfit.unless_empty(Format::Playwright, "Playwright's").filter(|_| !is_alone)
    },
};

/// Gives each result.
pub(crate) fn read(source: &Source, sink: &mut Sink<'_>) -> Result<Option<Place>, Unfit> {
    let mut reader = Reader {
        source,
        sink,
        late: None,
        paths: LastPath::default(),
        shown: 0,
        is_spec_shown: false,
        test: Test::default(),
        trouble: Trouble::default(),
    };
    read_documents(source, &SCHEMA, &mut reader)
}

struct Reader<'s, 'a> {
    source: &'s Source,
    sink: &'s mut Sink<'a>,
    /// The titles that stand after what is in their suite or spec, if they were learned.
    late: Option<LateNames>,
    paths: LastPath,
    /// How many tests failed, as the report shows them.
    shown: u64,
    /// Whether a test of the open spec failed.
    is_spec_shown: bool,
    /// The test that is being read.
    test: Test,
    /// What was read of the open attempt: its errors as people see them, and what it printed.
    trouble: Trouble,
}

/// The attempts of a test.
#[derive(Debug, Default)]
struct Test {
    last: Attempt,
    /// The last one that did not pass.
    failed: Option<Attempt>,
}

/// One run of a test.
#[derive(Debug, Clone, Default)]
struct Attempt {
    status: String,
    trouble: Trouble,
    stamp: Stamp,
}

impl Report for Reader<'_, '_> {
    fn begin(&mut self, open: &[Object]) {
        match open.last().map_or("", Object::list) {
            "" => self.shown = 0,
            "specs" => self.is_spec_shown = false,
            "tests" => self.test = Test::default(),
            _ => self.trouble = Trouble::default(),
        }
    }

    fn item(&mut self, open: &[Object], list: &'static str, tree: &Tree) -> Result<(), Fault> {
        match (list, open) {
            ("errors", [_]) => self.error(tree),
            ("errors", _) => {
                let Failure { message, text, .. } = failure_of(tree);
                self.trouble.add(&message, &text);
            }
            ("stdout", _) => self.trouble.print(Output::Standard, &printed(tree)),
            (_, _) => self.trouble.print(Output::Error, &printed(tree)),
        }
        Ok(())
    }

    /// Of what is cut off only what went wrong is known.
    fn end(&mut self, open: &[Object], object: Object, end: End) -> Result<(), Fault> {
        let is_whole = end == End::Written;
        match object.list() {
            "" => {
                let counted = object.get("stats").get("unexpected").count();
                if counted > self.shown {
                    self.sink.case(Case::uncovered(counted, self.shown));
                }
            }
            "specs" if is_whole => self.end_spec(open, &object),
            "tests" => self.end_test(open, &object, is_whole),
            "results" => self.end_attempt(&object, is_whole),
            _ => {}
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.sink.is_stopped()
    }
}

impl Reader<'_, '_> {
    /// An error of no test.
    fn error(&mut self, error: &Tree) {
        let place = error.get("location").get("file").filled();
        let Failure { message, text, .. } = failure_of(error);
        let mut trouble = Trouble::default();
        trouble.add(&message, &text);
        let name = place.as_deref().and_then(file).unwrap_or_else(|| "test run".to_owned());
        self.sink.case(Case { file: place.map(Into::into), ..Case::error(name, trouble) });
    }

    fn end_attempt(&mut self, result: &Object, is_whole: bool) {
        let (status, stamp) =
            (result.name("status").unwrap_or_default().to_owned(), result.stamp("startTime"));
        let mut attempt = Attempt { status, stamp, trouble: mem::take(&mut self.trouble) };
        attempt.join(failure_of(result.get("error")));
        if attempt.went_wrong() {
            self.test.failed = Some(attempt.clone());
        } else if !is_whole {
            return;
        }
        self.test.last = attempt;
    }

    fn end_test(&mut self, open: &[Object], object: &Object, is_whole: bool) {
        let test = mem::take(&mut self.test);
        let ending = test.ending(object);
        if !is_whole && !ending.is_bad() {
            return;
        }
        self.shown += u64::from(ending.is_bad());
        self.is_spec_shown |= ending.is_bad();
        let Test { last, failed } = test;
        let passed_though =
            ending.is_bad() && last.status == "passed" && object.name("expectedStatus") == Some("failed");
        let Attempt { status, mut trouble, stamp } = failed.filter(|_| !passed_though).unwrap_or(last);
        if passed_though {
            trouble.add("Expected to fail, but passed.", "");
        } else if trouble.failures.is_empty() {
            trouble.note(status);
        }
        let [around @ .., spec] = open else { return };
        let variant = object.name("projectName").map(str::to_owned);
        let case = self.case_of(around, spec);
        self.sink.case(Case { variant, stamp, ending, trouble, ..case });
    }

    /// A spec that failed, and shows no test that did, is a result itself.
    fn end_spec(&mut self, around: &[Object], spec: &Object) {
        if *spec.get("ok") == Tree::Flag(false) && !self.is_spec_shown {
            let trouble = Trouble::said("the report says that it failed, and shows no result that did");
            self.shown += 1;
            let case = self.case_of(around, spec);
            self.sink.case(Case { ending: Ending::Error, trouble, ..case });
        }
    }

    /// What a spec, in these objects, is called.
    fn case_of(&mut self, around: &[Object], spec: &Object) -> Case {
        let suites = around.get(1..).unwrap_or_default();
        if self.late.is_none() && suites.iter().chain([spec]).any(|object| !object.has("title")) {
            self.late = Some(LateNames::learn(self.source, &SCHEMA, words![suites specs]));
        }
        let late = self.late.as_ref();
        let titles: Vec<&str> = suites.iter().map(|suite| title(suite, late)).collect();
        // The first suite is the file.
        let is_in_file = titles.first().is_some_and(|title| !title.is_empty());
        let file = [spec].into_iter().chain(suites.iter().rev()).find_map(|object| object.name("file"));
        Case {
            suite: self.paths.of(&titles),
            name: title(spec, late).to_owned(),
            file: file.filter(|_| !is_in_file).map(Into::into),
            tags: tags(spec.get("tags").texts()),
            ..Case::default()
        }
    }
}

impl Test {
    fn ending(&self, test: &Object) -> Ending {
        let expected = test.name("expectedStatus");
        let ending = match test.name("status").map(Ending::of_word) {
            Some(Some(ending)) => ending,
            Some(None) => self.ending_by_attempts(expected, Ending::Error),
            None => self.ending_by_attempts(expected, Ending::Skipped),
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

    fn ending_by_attempts(&self, expected: Option<&str>, otherwise: Ending) -> Ending {
        let is_expected = |attempt: &Attempt| expected == Some(&attempt.status);
        let ending = if is_expected(&self.last) { Ending::Passed } else { self.last.ending(otherwise) };
        let is_flaky =
            ending == Ending::Passed && self.failed.as_ref().is_some_and(|failed| !is_expected(failed));
        if is_flaky { Ending::Flaky } else { ending }
    }
}

impl Attempt {
    /// Takes the error that was thrown: it is the first of the errors, without the source around it.
    fn join(&mut self, thrown: Failure) {
        match self.trouble.failures.first_mut() {
            None => self.trouble.add(&thrown.message, &thrown.text),
            Some(first) if !thrown.message.is_empty() && first.message.starts_with(&thrown.message) => {
                let whole = mem::replace(&mut first.message, thrown.message);
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

/// What a suite or a spec is called.
fn title<'o>(object: &'o Object, late: Option<&'o LateNames>) -> &'o str {
    object.name("title").or_else(|| late?.get(object, "title")).unwrap_or_default()
}

fn failure_of(error: &Tree) -> Failure {
    error.failure(&["message", "value"], &["stack", "snippet"])
}

fn printed(entry: &Tree) -> String {
    entry.get("text").text().or_else(|| entry.text()).unwrap_or_default()
}
