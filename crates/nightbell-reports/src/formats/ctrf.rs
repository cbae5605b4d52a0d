//! CTRF reports: JSON as <https://ctrf.io> describes it.
//!
//! A test counts if its status says that it went wrong, in whatever word; one without a known status if it has a message
//! or a trace. A test that passed and is `flaky`, or has `retries`, is flaky: its attempts stand inside of it, and each
//! entry is a test of its own.

#[cfg(test)]
mod tests;

use crate::case::{Case, Ending, Failure, OUTPUT_BYTES_MAX, Trouble, push_bounded};
use crate::compose::Origin;
use crate::fault::{Fault, Place, Unfit};
use crate::format::Format;
use crate::json::{Handler, ITEM, Tree, Want, walk};
use crate::names::{path_of, tidy};
use crate::sink::Sink;
use crate::source::Source;
use crate::text::{clean, shortened};
use crate::time::Stamp;

/// The most names of a suite, or tags of a test.
const WORDS_MAX: usize = 50;

/// The longest tag, in characters.
const TAG_CHARS_MAX: usize = 200;

const VOCABULARY: &[&str] = &[
    "results",
    "summary",
    "failed",
    "tests",
    "name",
    "status",
    "rawStatus",
    "message",
    "trace",
    "snippet",
    "suite",
    "filePath",
    "browser",
    "device",
    "start",
    "retries",
    "flaky",
    "tags",
    "retryAttempts",
    "stdout",
    "stderr",
    "environment",
    "testEnvironment",
    "buildName",
    "buildNumber",
    "buildUrl",
    "branchName",
];

/// Gives each result.
pub(crate) fn read(source: &Source, sink: &mut Sink<'_>) -> Result<(), Unfit> {
    let mut reader = Reader { sink, has_tests: false, odd: None, shown: 0, counted: 0, number: 0, column: 1 };
    let damage = walk(source, VOCABULARY, &mut reader)?;
    let Reader { has_tests, odd, shown, counted, .. } = reader;
    if !has_tests {
        let place = odd.or_else(|| damage.map(|place| foreign(place.line, &place.fault.to_string())));
        return Err(place.unwrap_or_else(|| foreign(1, "it has no list of `tests` in its `results`")).into());
    }
    if counted > shown {
        sink.case(uncovered(counted, shown));
    }
    sink.damage(damage);
    sink.damage(odd);
    Ok(())
}

fn foreign(line: u64, problem: &str) -> Place {
    Place { line, fault: Fault::foreign(Format::Ctrf, problem) }
}

/// What is counted as failed and not shown.
pub(crate) fn uncovered(counted: u64, shown: u64) -> Case {
    let kind = format!("the report counts {counted} failed, of which it shows {shown}");
    let trouble = Trouble::of(Failure { kind, ..Failure::default() });
    Case { name: "test run".to_owned(), ending: Ending::Error, trouble, ..Case::default() }
}

struct Reader<'s, 'a> {
    sink: &'s mut Sink<'a>,
    has_tests: bool,
    /// The first entry that is none.
    odd: Option<Place>,
    /// How many failed, by the tests and by the summary.
    shown: u64,
    counted: u64,
    number: u64,
    column: u64,
}

impl Handler for Reader<'_, '_> {
    fn want(&mut self, path: &[&'static str]) -> Want {
        match path {
            [] | ["results" | "tests"] | ["results", "tests"] => Want::Enter,
            ["results", "tests", ITEM] | ["results", "environment" | "summary"] => Want::Whole,
            _ => Want::Skip,
        }
    }

    fn begin_object(&mut self, path: &[&'static str], line: u64) {
        if let ["results", "tests"] = path {
            self.odd.get_or_insert(Place { line, fault: Fault::odd("`tests` is no list") });
        }
    }

    fn begin(&mut self, path: &[&'static str]) {
        self.has_tests |= matches!(path, ["results", "tests"]);
    }

    fn column(&mut self, column: u64) {
        self.column = column;
    }

    fn take(&mut self, path: &[&'static str], tree: Tree, line: u64) {
        match path {
            ["results", "tests", ITEM] => self.test(&tree, line),
            ["results", "environment"] => self.sink.origin = origin(&tree),
            ["results", "summary"] => self.counted = tree.get("failed").count(),
            path => {
                let place = path.last().map_or_else(|| "it".to_owned(), |key| format!("`{key}`"));
                let problem = format!("column {}: {place} is not what it is in CTRF", self.column);
                self.odd.get_or_insert(foreign(line, &problem));
            }
        }
    }

    fn is_done(&self) -> bool {
        self.sink.is_stopped()
    }
}

impl Reader<'_, '_> {
    fn test(&mut self, test: &Tree, line: u64) {
        self.number += 1;
        let case = case_of(test);
        if !test.is_object() || (case.name.is_empty() && case.suite.is_none() && case.trouble.is_empty()) {
            let problem = format!("entry {} of `tests` is no test", self.number);
            self.odd.get_or_insert(Place { line, fault: Fault::odd(&problem) });
            return;
        }
        self.shown += u64::from(case.ending.is_bad() || case.ending == Ending::Flaky);
        self.sink.case(case);
    }
}

fn case_of(test: &Tree) -> Case {
    let failure = failure_of(test);
    let says_something = !failure.is_empty();
    let mut trouble = Trouble::of(failure);
    for (output, key) in trouble.outputs.iter_mut().zip(["stdout", "stderr"]) {
        push_bounded(output, &clean(&test.get(key).text().unwrap_or_default()), OUTPUT_BYTES_MAX);
    }
    let is_flaky = test.get("flaky").is_true() || test.get("retries").count() > 0;
    let word = test.get("status").text().unwrap_or_default();
    let ending = match Ending::of_word(&word) {
        Some(Ending::Passed) if is_flaky => Ending::Flaky,
        Some(ending) => ending,
        // `other`, or a word of the tool's own: what has something to say has not passed.
        None if says_something || !matches!(word.to_lowercase().as_str(), "" | "other") => Ending::Error,
        None => Ending::Skipped,
    };
    let attempts = test.get("retryAttempts").items();
    let failed = attempts.iter().rev().find(|attempt| {
        attempt.get("status").text().and_then(|word| Ending::of_word(&word)) != Some(Ending::Passed)
    });
    if let (Ending::Flaky, Some(attempt)) = (ending, failed) {
        trouble.failures = vec![failure_of(attempt)];
    }
    if !ending.is_bad() && ending != Ending::Flaky {
        trouble = Trouble::default();
    }
    let suites = test.get("suite").texts();
    let file = test.get("filePath").filled();
    let variants = ["browser", "device"].map(|key| test.get(key).filled().map(|text| tidy(&text)));
    let variants: Vec<_> = variants.into_iter().flatten().collect();
    Case {
        suite: path_of(suites.iter().take(WORDS_MAX).map(String::as_str)).map(Into::into),
        name: tidy(&test.get("name").text().unwrap_or_default()),
        file: file.map(Into::into),
        variant: Some(variants.join(", ")).filter(|variant| !variant.is_empty()),
        stamp: test.get("start").text().map(|start| Stamp::read(&start)).unwrap_or_default(),
        tags: test
            .get("tags")
            .texts()
            .iter()
            .take(WORDS_MAX)
            .map(|tag| shortened(&tidy(tag), TAG_CHARS_MAX))
            .collect(),
        ending,
        trouble,
        ..Case::default()
    }
}

fn failure_of(tree: &Tree) -> Failure {
    let [message, trace] = ["message", "trace"].map(|key| tree.get(key).text().unwrap_or_default());
    Failure::new(&message, &trace)
}

fn origin(environment: &Tree) -> Origin {
    let text = |key| environment.get(key).filled().map(|text| tidy(&text));
    let (name, number) = (text("buildName"), text("buildNumber"));
    Origin {
        environment: text("testEnvironment"),
        // A number alone names a build; a name alone names all of its builds.
        run_id: number.map(|number| name.map(|name| format!("{name} {number}")).unwrap_or(number)),
        report_url: text("buildUrl"),
        branch: text("branchName"),
    }
}
