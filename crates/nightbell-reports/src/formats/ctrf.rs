//! CTRF reports: JSON as <https://ctrf.io> describes it.
//!
//! A test counts if its status says that it went wrong, in whatever word; one without a known status if it has a message
//! or a trace. A test that passed and is `flaky`, or has `retries`, is flaky: its attempts stand inside of it, and each
//! entry is a test of its own.

#[cfg(test)]
mod tests;

use crate::case::{Case, Ending, Failure, Output, Trouble};
use crate::compose::Origin;
use crate::fault::{Fault, Place, Unfit};
use crate::format::Format;
use crate::json::document::{Kind, Misfit, Object, Report, Schema, read as read_documents};
use crate::json::{Bracket, Tree};
use crate::names::{path_of, tags};
use crate::sink::{End, Sink};
use crate::source::Source;
use crate::text::words;

/// The most names of a suite.
const SUITES_MAX: usize = 50;

static SCHEMA: Schema = Schema {
    format: Format::Ctrf,
    root: Bracket::Object,
    kinds: &[
        Kind::of("").objects(words![results]),
        Kind::of("results").fields(words![environment summary]).items(words![tests]),
    ],
    words: words![
        failed name status message trace suite filePath browser device start retries flaky tags retryAttempts
        stdout stderr testEnvironment buildName buildNumber buildUrl branchName
    ],
    signs: words![tests],
    missing: "it has no list of `tests` in its `results`",
    misfit,
};

fn misfit(misfit: &Misfit<'_>) -> Option<Fault> {
    if misfit.is_object {
        return Some(Fault::odd("`tests` is no list"));
    }
    let place = misfit.key.map_or_else(|| "it".to_owned(), |key| format!("`{key}`"));
    let problem = format!("column {}: {place} is not what it is in CTRF", misfit.at.column);
    Some(Fault::foreign(Format::Ctrf, &problem))
}

/// Gives each result.
pub(crate) fn read(source: &Source, sink: &mut Sink<'_>) -> Result<Option<Place>, Unfit> {
    let mut reader = Reader { sink, number: 0, shown: 0 };
    read_documents(source, &SCHEMA, &mut reader)
}

struct Reader<'s, 'a> {
    sink: &'s mut Sink<'a>,
    number: u64,
    /// How many tests failed, as the report shows them.
    shown: u64,
}

impl Report for Reader<'_, '_> {
    fn item(&mut self, open: &[Object], _list: &'static str, test: &Tree) -> Result<(), Fault> {
        self.number += 1;
        if let (1, Some(results)) = (self.number, open.last()) {
            self.learn_origin(results);
        }
        let case = case_of(test);
        if !test.is_object() || (case.name.is_empty() && case.suite.is_none() && case.trouble.is_empty()) {
            return Err(Fault::odd(&format!("entry {} of `tests` is no test", self.number)));
        }
        self.shown += u64::from(!case.ending.is_silent());
        self.sink.case(case);
        Ok(())
    }

    fn end(&mut self, _open: &[Object], object: Object, _end: End) -> Result<(), Fault> {
        if object.list() == "results" {
            self.learn_origin(&object);
            let counted = object.get("summary").get("failed").count();
            if counted > self.shown {
                self.sink.case(Case::uncovered(counted, self.shown));
            }
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.sink.is_stopped()
    }
}

impl Reader<'_, '_> {
    /// What the report says of its run may stand before its tests or after them, of which there may be too many.
    fn learn_origin(&mut self, results: &Object) {
        if results.has("environment") {
            self.sink.origin = origin(results.get("environment"));
        }
    }
}

fn case_of(test: &Tree) -> Case {
    let failure = failure_of(test);
    let says_something = !failure.is_empty();
    let mut trouble = Trouble::of(failure);
    for (to, key) in [(Output::Standard, "stdout"), (Output::Error, "stderr")] {
        trouble.print(to, &test.get(key).text().unwrap_or_default());
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
    let suites = test.get("suite").texts();
    let variants = ["browser", "device"].map(|key| test.get(key).name());
    let variants: Vec<_> = variants.into_iter().filter(|variant| !variant.is_empty()).collect();
    Case {
        suite: path_of(suites.iter().take(SUITES_MAX).map(String::as_str)).map(Into::into),
        name: test.get("name").name(),
        file: test.get("filePath").filled().map(Into::into),
        variant: Some(variants.join(", ")).filter(|variant| !variant.is_empty()),
        stamp: test.get("start").stamp(),
        tags: tags(test.get("tags").texts()),
        ending,
        trouble,
        ..Case::default()
    }
}

fn failure_of(tree: &Tree) -> Failure {
    tree.failure(&["message"], &["trace"])
}

fn origin(environment: &Tree) -> Origin {
    let text = |key| Some(environment.get(key).name()).filter(|text| !text.is_empty());
    let (name, number) = (text("buildName"), text("buildNumber"));
    Origin {
        environment: text("testEnvironment"),
        // A number alone names a build; a name alone names all of its builds.
        run_id: number.map(|number| name.map(|name| format!("{name} {number}")).unwrap_or(number)),
        report_url: text("buildUrl"),
        branch: text("branchName"),
    }
}
