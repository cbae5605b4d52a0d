//! Allure's results, a folder of JSON files or one of them: <https://allurereport.org/docs/how-it-works-test-result-file/>,
//! <https://allurereport.org/docs/how-it-works-container-file/>, and for errors of a whole run
//! <https://github.com/allure-framework/allure-js/blob/main/packages/allure-js-commons/src/model.ts>.
//!
//! Results with one `historyId` are attempts of one test, of which the latest counts:
//! <https://allurereport.org/docs/history-and-retries/>. Not so if their parameters differ, if they ran at one time or at
//! no known time, or if one that was not the last had not failed: what is run again has failed before. A fixture that
//! failed, with no failing test among those it is for, is a result itself. All files are read twice, one at a time; the
//! first time it is learned which results are attempts, which failed, and when each began, as their names say nothing.

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::ffi::OsString;
use std::io;
use std::mem;
use std::path::Path;
use std::sync::Arc;

use nightbell_core::fingerprint::Fingerprint;

use crate::case::{Attempt, Case, Ending, Failure, Trouble};
use crate::fault::{Fault, Place, Unfit};
use crate::format::Format;
use crate::json::document::{Kind, Object, Read, Report, Schema, read_parts};
use crate::json::{Bracket, Tree};
use crate::names::{LastPath, TAGS_MAX, tags, tidy, tidy_suite};
use crate::sink::{End, Sink};
use crate::source::Source;
use crate::tally::CASES_MAX;
use crate::text::{shortened, words};
use crate::time::Stamp;

/// What the names of the files end in that have results, fixtures or errors.
const ENDS: [&str; 3] = ["-result.json", "-container.json", "-globals.json"];

/// The longest parameter in a test's name, in characters.
const PARAMETER_CHARS_MAX: usize = 100;

/// The lists of fixtures, and of errors of the whole run.
const FIXTURES: &[&str] = words![befores afters errors];

static SCHEMA: Schema = Schema {
    format: Format::Allure,
    root: Bracket::Object,
    kinds: &[Kind::of("")
        .names(words![uuid historyId fullName name status stage start stop])
        .fields(words![statusDetails labels parameters titlePath children])
        .items(FIXTURES)],
    words: words![name status message trace start timestamp value excluded mode statusDetails],
    signs: &[],
    missing: "it is no result",
    misfit: |misfit| misfit.key.is_none().then(|| foreign("it is not one result")),
};

fn foreign(problem: &str) -> Fault {
    Fault::foreign(Format::Allure, problem)
}

/// Gives each result.
pub(crate) fn read(source: &Source, sink: &mut Sink<'_>) -> Result<Option<Place>, Unfit> {
    match source.folder() {
        Some(folder) => read_folder(folder, sink),
        None => read_file(source, sink),
    }
}

fn read_folder(folder: &Path, sink: &mut Sink<'_>) -> Result<Option<Place>, Unfit> {
    let mut files = files(folder)?;
    if files.is_empty() {
        return Err(Place::new(1, foreign("the folder has no results")).into());
    }
    if files.len() > CASES_MAX {
        files.truncate(CASES_MAX);
        sink.damage(Place { line: 1, fault: Fault::TooManyCases });
    }
    let mut learned = Learned::default();
    for (start, name) in &mut files {
        // What can't be read is said the second time.
        let _ = entries(&Source::file(folder.join(name)), &mut |entry| {
            *start = entry.start.order();
            learned.take(&entry);
            true
        });
    }
    files.sort();
    let mut known = learned.known();
    for (_, name) in &files {
        if sink.is_stopped() {
            break;
        }
        let read = entries(&Source::file(folder.join(name)), &mut |entry| known.give(entry, sink));
        sink.damage(damage_in(&name.to_string_lossy(), read));
    }
    Ok(None)
}

fn read_file(source: &Source, sink: &mut Sink<'_>) -> Result<Option<Place>, Unfit> {
    let mut learned = Learned::default();
    entries(source, &mut |entry| {
        learned.take(&entry);
        true
    })?;
    let mut known = learned.known();
    entries(source, &mut |entry| known.give(entry, sink))?.known(&SCHEMA)
}

/// The files that count, by their names, with when what is in them began, which is unknown yet; one more than may be read, if
/// there are as many.
fn files(folder: &Path) -> io::Result<Vec<(i64, OsString)>> {
    let mut files = Vec::new();
    for entry in folder.read_dir()? {
        let name = entry?.file_name();
        if files.len() <= CASES_MAX && ENDS.iter().any(|end| name.to_string_lossy().ends_with(end)) {
            files.push((0, name));
        }
    }
    files.sort();
    Ok(files)
}

/// What is wrong with a file of a folder; its name stands in the place of the report's.
fn damage_in(file: &str, read: Result<Read, Unfit>) -> Option<Place> {
    let Place { line, fault } = match read {
        Ok(Read { damage, odd, .. }) => damage.or(odd)?,
        Err(Unfit::Foreign(place)) => place,
        Err(Unfit::Unreadable(error)) => {
            Place { line: 1, fault: Fault::Unreadable { problem: error.to_string() } }
        }
    };
    Some(Place { line, fault: Fault::odd(&format!("{file}: {fault}")) })
}

/// Gives what is in a file to `each`, until that wants no more.
fn entries(source: &Source, each: &mut dyn FnMut(Entry) -> bool) -> Result<Read, Unfit> {
    let mut entries = Entries { each, fixtures: Vec::new(), has_entry: false, is_done: false };
    read_parts(source, &SCHEMA, &mut entries)
}

struct Entries<'e> {
    each: &'e mut dyn FnMut(Entry) -> bool,
    /// Those of the open entry that went wrong.
    fixtures: Vec<Case>,
    has_entry: bool,
    is_done: bool,
}

/// What a file holds: a result, or the fixtures of some.
struct Entry {
    object: Object,
    details: Failure,
    start: Stamp,
    /// Fixtures, or errors of the whole run, that went wrong.
    fixtures: Vec<Case>,
}

impl Report for Entries<'_> {
    fn begin(&mut self, _open: &[Object]) {
        self.fixtures = Vec::new();
    }

    fn item(&mut self, _open: &[Object], list: &'static str, tree: &Tree) -> Result<(), Fault> {
        let [details, start] = match list {
            "errors" => [tree, tree.get("timestamp")],
            _ => [tree.get("statusDetails"), tree.get("start")],
        };
        let details = self::details(details);
        // One without a status is written while it runs.
        let word = tree.get("status").filled();
        let is_bad = list == "errors" && !details.is_empty()
            || word.is_some_and(|word| ending(Some(&word), None, !details.is_empty()).is_bad());
        if is_bad {
            let case = Case::error(tree.get("name").name(), trouble(&details, None));
            self.fixtures.push(Case { stamp: start.stamp(), ..case });
        }
        Ok(())
    }

    fn end(&mut self, _open: &[Object], object: Object, end: End) -> Result<(), Fault> {
        let (details, start) = (details(object.get("statusDetails")), object.stamp("start"));
        let entry = Entry { object, details, start, fixtures: mem::take(&mut self.fixtures) };
        // Of what is cut off only what went wrong is known.
        if end == End::CutOff && !entry.went_wrong() {
            return Ok(());
        }
        if !entry.says_something() {
            return Err(foreign(SCHEMA.missing));
        }
        self.has_entry = true;
        self.is_done = !(self.each)(entry);
        Ok(())
    }

    fn is_known(&self, _has_sign: bool) -> bool {
        self.has_entry
    }

    fn is_done(&self) -> bool {
        self.is_done
    }
}

impl Entry {
    fn name(&self, key: &str) -> Option<&str> {
        self.object.name(key)
    }

    fn is_container(&self) -> bool {
        self.object.has("children") || FIXTURES.iter().any(|list| self.object.has(list))
    }

    /// Whether it is of Allure; a name alone, other files have as well.
    fn says_something(&self) -> bool {
        let keys = ["uuid", "historyId", "fullName", "status", "stage"];
        self.is_container() || keys.iter().any(|key| self.name(key).is_some()) || !self.details.is_empty()
    }

    fn ending(&self) -> Ending {
        ending(self.name("status"), self.name("stage"), !self.details.is_empty())
    }

    /// Whether it is known to have gone wrong, whatever else it says.
    fn went_wrong(&self) -> bool {
        !self.fixtures.is_empty() || self.name("status").is_some() && self.ending().is_bad()
    }

    fn is_result(&self) -> bool {
        !self.is_container() || self.name("status").is_some() || self.name("historyId").is_some()
    }

    /// The parameters that tell one test from another.
    fn parameters(&self) -> impl Iterator<Item = &Tree> {
        let all = self.object.get("parameters").items().iter();
        all.filter(|parameter| parameter.is_object() && !parameter.get("excluded").is_true())
    }

    /// What is the same for all attempts of a test, and for nothing else.
    fn key(&self) -> Option<Fingerprint> {
        let history = self.name("historyId")?.to_owned();
        let text = |tree: &Tree, key| tree.get(key).text().unwrap_or_default();
        let parts = self.parameters().flat_map(|tree| ["name", "value"].map(|key| text(tree, key)));
        let parts: Vec<_> = [history].into_iter().chain(parts).collect();
        Some(Fingerprint::of(parts.iter().map(String::as_bytes)))
    }

    /// The values of all labels of this name.
    fn labels(&self, wanted: &str) -> impl Iterator<Item = String> {
        let labels = self.object.get("labels").items().iter();
        let labels = labels.filter(move |label| label.get("name").filled().as_deref() == Some(wanted));
        labels.filter_map(|label| label.get("value").filled())
    }

    /// The names of the suites around it, from what says the most.
    fn suites(&self) -> Vec<String> {
        let labels: [&[&str]; 3] = [&["parentSuite", "suite", "subSuite"], &["testClass"], &["package"]];
        let labels =
            labels.map(|names| names.iter().filter_map(|name| self.labels(name).next()).collect::<Vec<_>>());
        let title_path = self.object.get("titlePath").texts();
        let told = labels.into_iter().chain([title_path]).find(|names| !names.is_empty());
        let head = || self.name("fullName").and_then(|full| head(full, self.name("name")));
        told.unwrap_or_else(|| head().map(str::to_owned).into_iter().collect())
    }

    fn case(self, suite: Option<Arc<str>>, attempt: Option<Fingerprint>) -> Case {
        let name = self.name("name").or(self.name("fullName")).unwrap_or_default();
        let number = self.start.order().unsigned_abs();
        Case {
            suite,
            name: with_parameters(name, self.parameters()),
            host: self.labels("host").next().map(|host| tidy(&host).into()),
            attempt: attempt.map(|of| Attempt { of: of.to_string(), number }),
            tags: tags(self.labels("tag")),
            ending: self.ending(),
            trouble: trouble(&self.details, self.name("status")),
            stamp: self.start.clone(),
            ..Case::default()
        }
    }
}

/// What the first reading tells of the results.
#[derive(Default)]
struct Learned {
    runs: Vec<Run>,
    bad: HashSet<Fingerprint>,
}

/// One result of a test that may have several.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Run {
    key: Fingerprint,
    start: i64,
    stop: i64,
    is_bad: bool,
}

impl Learned {
    fn take(&mut self, entry: &Entry) {
        if !entry.is_result() {
            return;
        }
        let is_bad = entry.ending().is_bad();
        if let Some(uuid) = entry.name("uuid").filter(|_| is_bad) {
            self.bad.insert(Fingerprint::of([uuid.as_bytes()]));
        }
        if let Some(key) = entry.key() {
            let (start, stop) = (entry.start.order(), entry.object.stamp("stop").order());
            self.runs.push(Run { key, start, stop, is_bad });
        }
    }

    fn known(self) -> Known {
        let Self { mut runs, bad } = self;
        runs.sort_unstable();
        let groups = runs.chunk_by(|one, other| one.key == other.key);
        let retried =
            groups.filter(|runs| runs.len() > 1 && are_attempts(runs)).map(|runs| runs[0].key).collect();
        Known { paths: LastPath::default(), retried, bad }
    }
}

/// Whether results, by the times at which they began, can be attempts of one test.
fn are_attempts(runs: &[Run]) -> bool {
    runs.windows(2).all(|pair| match pair {
        [before, after] => {
            before.start > 0
                && before.stop > 0
                && before.start < after.start
                && before.stop <= after.start
                && before.is_bad
        }
        _ => false,
    })
}

/// What is known of the results when they are given.
struct Known {
    paths: LastPath,
    /// What results have in common that are attempts.
    retried: HashSet<Fingerprint>,
    /// Which results are bad.
    bad: HashSet<Fingerprint>,
}

impl Known {
    /// Gives what an entry tells; says whether more is wanted.
    fn give(&mut self, mut entry: Entry, sink: &mut Sink<'_>) -> bool {
        let is_bad = |uuid: &String| self.bad.contains(&Fingerprint::of([uuid.as_bytes()]));
        if !entry.object.get("children").texts().iter().any(is_bad) {
            let suite = entry.name("name").map(tidy_suite).filter(|suite| !suite.is_empty());
            for mut case in mem::take(&mut entry.fixtures) {
                if case.name.is_empty() {
                    case.name = suite.clone().unwrap_or_else(|| "test run".to_owned());
                }
                sink.case(Case { suite: suite.as_deref().map(Into::into), ..case });
            }
        }
        if entry.is_result() {
            let attempt = entry.key().filter(|key| self.retried.contains(key));
            let suites = entry.suites();
            let suite = self.paths.of(&suites.iter().map(String::as_str).collect::<Vec<_>>());
            sink.case(entry.case(suite, attempt));
        }
        !sink.is_stopped()
    }
}

/// The ending that a status tells. A result that has none did not end, unless it did not begin.
fn ending(status: Option<&str>, stage: Option<&str>, says_something: bool) -> Ending {
    match status.and_then(Ending::of_word) {
        Some(ending) => ending,
        None if !says_something && matches!(stage, Some("scheduled" | "pending")) => Ending::Skipped,
        None => Ending::Error,
    }
}

fn trouble(details: &Failure, status: Option<&str>) -> Trouble {
    let mut trouble = Trouble::default();
    trouble.add(&details.message, &details.text);
    if trouble.is_empty() {
        let status = status.unwrap_or("unknown");
        return Trouble::remark(format!("it ended as {status}, and does not say why"));
    }
    trouble
}

fn details(tree: &Tree) -> Failure {
    tree.failure(&["message"], &["trace"])
}

/// What a test's full name says before its own name.
fn head<'f>(full: &'f str, name: Option<&str>) -> Option<&'f str> {
    let marks = ['.', '#', ':', '/', '>', ' '];
    let own = name.and_then(|name| full.strip_suffix(name)).filter(|head| head.ends_with(marks));
    let guessed = || full.rsplit_once('#').or_else(|| full.rsplit_once('.').filter(|_| !full.contains(' ')));
    let head = own.or_else(|| guessed().map(|(head, _)| head))?;
    Some(head.trim_end_matches(marks)).filter(|head| !head.is_empty())
}

/// A name with the parameters that it does not show already.
fn with_parameters<'t>(name: &str, parameters: impl Iterator<Item = &'t Tree>) -> String {
    let is_shown = |tree: &&Tree| matches!(&*tree.get("mode").name().to_ascii_lowercase(), "" | "default");
    let missing: Vec<String> = parameters
        .filter(is_shown)
        .filter_map(|parameter| {
            let value = parameter.get("value").name();
            let value = ['\'', '"']
                .iter()
                .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote))
                .unwrap_or(&value);
            let text = shortened(&format!("{}={value}", parameter.get("name").name()), PARAMETER_CHARS_MAX);
            (!has_word(name, value)).then_some(text)
        })
        .take(TAGS_MAX)
        .collect();
    if missing.is_empty() { name.to_owned() } else { tidy(&format!("{name} [{}]", missing.join(", "))) }
}

/// Whether a value stands in a name, and not as part of another word.
fn has_word(name: &str, value: &str) -> bool {
    let is_part = |letter: Option<char>| letter.is_some_and(char::is_alphanumeric);
    name.match_indices(value).any(|(at, _)| {
        !is_part(name[..at].chars().next_back()) && !is_part(name[at + value.len()..].chars().next())
    })
}
