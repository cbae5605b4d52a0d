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
use crate::formats::jest::{LastPath, add};
use crate::json::{Handler, ITEM, Tree, Want, walk};
use crate::names::{tidy, tidy_suite};
use crate::sink::Sink;
use crate::source::Source;
use crate::tally::CASES_MAX;
use crate::text::shortened;
use crate::time::Stamp;

/// What the names of the files end in that have results, fixtures or errors.
const ENDS: [&str; 3] = ["-result.json", "-container.json", "-globals.json"];

/// The most tags of a test, and the longest of them, in characters.
const TAGS_MAX: usize = 50;
const TAG_CHARS_MAX: usize = 200;

/// The longest parameter in a test's name, in characters.
const PARAMETER_CHARS_MAX: usize = 100;

const VOCABULARY: &[&str] = &[
    "uuid",
    "historyId",
    "fullName",
    "name",
    "status",
    "statusDetails",
    "message",
    "trace",
    "stage",
    "start",
    "stop",
    "timestamp",
    "labels",
    "value",
    "parameters",
    "excluded",
    "mode",
    "titlePath",
    "children",
    "befores",
    "afters",
    "errors",
];

/// Gives each result.
pub(crate) fn read(source: &Source, sink: &mut Sink<'_>) -> Result<(), Unfit> {
    match source.folder() {
        Some(folder) => read_folder(folder, sink),
        None => read_file(source, sink),
    }
}

fn read_folder(folder: &Path, sink: &mut Sink<'_>) -> Result<(), Unfit> {
    let mut files = files(folder)?;
    if files.is_empty() {
        return Err(foreign(1, "the folder has no results").into());
    }
    if files.len() > CASES_MAX {
        files.truncate(CASES_MAX);
        sink.damage(Place { line: 1, fault: Fault::TooManyCases });
    }
    let mut learned = Learned::default();
    for file in &mut files {
        // What can't be read is said the second time.
        let _ = entries(&Source::file(folder.join(&file.name)), &mut |entry| {
            file.start = entry.start.order();
            learned.take(&entry);
            true
        });
    }
    files.sort_by(|one, other| (one.start, &one.name).cmp(&(other.start, &other.name)));
    let mut known = learned.known();
    for file in &files {
        if sink.is_stopped() {
            break;
        }
        let read = entries(&Source::file(folder.join(&file.name)), &mut |entry| known.give(entry, sink));
        sink.damage(damage_in(&file.name.to_string_lossy(), read));
    }
    Ok(())
}

fn read_file(source: &Source, sink: &mut Sink<'_>) -> Result<(), Unfit> {
    let mut learned = Learned::default();
    entries(source, &mut |entry| {
        learned.take(&entry);
        true
    })?;
    let mut known = learned.known();
    let Read { damage, odd, has_entry } = entries(source, &mut |entry| known.give(entry, sink))?;
    if !has_entry {
        let place = odd.or_else(|| damage.map(|place| foreign(place.line, &place.fault.to_string())));
        return Err(place.unwrap_or_else(|| foreign(1, "it is no result")).into());
    }
    sink.damage(damage);
    sink.damage(odd);
    Ok(())
}

fn foreign(line: u64, problem: &str) -> Place {
    Place { line, fault: Fault::foreign(Format::Allure, problem) }
}

/// A file of a folder, and when what is in it began; 0: unknown.
struct Listed {
    start: i64,
    name: OsString,
}

/// The files that count, by their names; one more than may be read, if there are as many.
fn files(folder: &Path) -> io::Result<Vec<Listed>> {
    let mut files = Vec::new();
    for entry in folder.read_dir()? {
        let name = entry?.file_name();
        if files.len() <= CASES_MAX && ENDS.iter().any(|end| name.to_string_lossy().ends_with(end)) {
            files.push(Listed { start: 0, name });
        }
    }
    files.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(files)
}

/// What is wrong with a file of a folder; its name stands in the place of the report's.
fn damage_in(file: &str, read: Result<Read, Unfit>) -> Option<Place> {
    let Place { line, fault } = match read {
        Ok(Read { damage, odd, has_entry }) => {
            damage.or(odd).or_else(|| (!has_entry).then(|| foreign(1, "it is no result")))?
        }
        Err(Unfit::Foreign(place)) => place,
        Err(Unfit::Unreadable(error)) => {
            Place { line: 1, fault: Fault::Unreadable { problem: error.to_string() } }
        }
    };
    Some(Place { line, fault: Fault::odd(&format!("{file}: {fault}")) })
}

/// How a file was read.
#[derive(Debug, Default)]
struct Read {
    damage: Option<Place>,
    /// The first entry that is none.
    odd: Option<Place>,
    has_entry: bool,
}

/// Gives what is in a file to `each`, until that wants no more.
fn entries(source: &Source, each: &mut dyn FnMut(Entry) -> bool) -> Result<Read, Unfit> {
    let mut document = Document { each, entry: None, read: Read::default(), is_done: false };
    let damage = walk(source, VOCABULARY, &mut document)?;
    // Of what is cut off only what went wrong is known.
    if document.entry.as_ref().is_some_and(Entry::went_wrong) {
        document.end(&[], 1);
    }
    Ok(Read { damage, ..document.read })
}

struct Document<'e> {
    each: &'e mut dyn FnMut(Entry) -> bool,
    entry: Option<Entry>,
    read: Read,
    is_done: bool,
}

/// What a file holds: a result, or the fixtures of some.
#[derive(Debug, Default)]
struct Entry {
    uuid: Option<String>,
    history: Option<String>,
    name: Option<String>,
    full_name: Option<String>,
    status: Option<String>,
    stage: Option<String>,
    details: Failure,
    start: Stamp,
    stop: Stamp,
    labels: Vec<[String; 2]>,
    parameters: Vec<Parameter>,
    title_path: Vec<String>,
    children: Vec<String>,
    /// Fixtures, or errors of the whole run, that went wrong.
    fixtures: Vec<Fixture>,
    is_container: bool,
}

#[derive(Debug)]
struct Parameter {
    name: String,
    value: String,
    /// It does not tell one test from another.
    is_excluded: bool,
    is_shown: bool,
}

#[derive(Debug)]
struct Fixture {
    name: Option<String>,
    details: Failure,
    start: Stamp,
}

impl Handler for Document<'_> {
    fn want(&mut self, path: &[&'static str]) -> Want {
        match path {
            [] | ["befores" | "afters" | "errors"] => Want::Enter,
            [_] | ["befores" | "afters" | "errors", ITEM] => Want::Whole,
            _ => Want::Skip,
        }
    }

    fn begin(&mut self, path: &[&'static str]) {
        match (path, &mut self.entry) {
            ([], entry) => *entry = Some(Entry::default()),
            (_, Some(entry)) => entry.is_container = true,
            (_, None) => {}
        }
    }

    fn take(&mut self, path: &[&'static str], tree: Tree, line: u64) {
        match (path, &mut self.entry) {
            ([ITEM] | [], _) => {
                self.read.odd.get_or_insert(foreign(line, "it is not one result"));
                self.entry = None;
            }
            ([list, ITEM], Some(entry)) => entry.fixture(list, &tree),
            ([key], Some(entry)) => entry.take(key, &tree),
            (_, _) => {}
        }
    }

    fn end(&mut self, path: &[&'static str], line: u64) {
        let (true, Some(entry)) = (path.is_empty(), &mut self.entry) else { return };
        let entry = mem::take(entry);
        self.entry = None;
        if !entry.says_something() {
            self.read.odd.get_or_insert(foreign(line, "it is no result"));
            return;
        }
        self.read.has_entry = true;
        self.is_done = !(self.each)(entry);
    }

    fn is_done(&self) -> bool {
        self.is_done
    }
}

impl Entry {
    fn take(&mut self, key: &str, tree: &Tree) {
        match key {
            "uuid" => self.uuid = tree.filled(),
            "historyId" => self.history = tree.filled(),
            "name" => self.name = tree.filled(),
            "fullName" => self.full_name = tree.filled(),
            "status" => self.status = tree.filled(),
            "stage" => self.stage = tree.filled(),
            "statusDetails" => self.details = details(tree),
            "start" => self.start = stamp(tree),
            "stop" => self.stop = stamp(tree),
            "labels" => self.labels = tree.items().iter().filter_map(label).collect(),
            "parameters" => self.parameters = tree.items().iter().filter_map(Parameter::of).collect(),
            "titlePath" => self.title_path = tree.texts(),
            "children" => {
                self.is_container = true;
                self.children = tree.texts();
            }
            _ => {}
        }
    }

    fn fixture(&mut self, list: &str, tree: &Tree) {
        let [details, start] = match list {
            "errors" => [tree, tree.get("timestamp")],
            _ => [tree.get("statusDetails"), tree.get("start")],
        };
        let details = self::details(details);
        // One without a status is written while it runs.
        let is_bad = list == "errors" && !details.is_empty()
            || tree
                .get("status")
                .filled()
                .is_some_and(|word| ending(Some(&word), None, !details.is_empty()).is_bad());
        if is_bad {
            self.fixtures.push(Fixture { name: tree.get("name").filled(), details, start: stamp(start) });
        }
    }

    /// Whether it is of Allure; a name alone, other files have as well.
    fn says_something(&self) -> bool {
        let texts = [&self.uuid, &self.history, &self.full_name, &self.status, &self.stage];
        self.is_container || texts.iter().any(|text| text.is_some()) || !self.details.is_empty()
    }

    fn ending(&self) -> Ending {
        ending(self.status.as_deref(), self.stage.as_deref(), !self.details.is_empty())
    }

    /// Whether it is known to have gone wrong, whatever else it says.
    fn went_wrong(&self) -> bool {
        !self.fixtures.is_empty() || self.status.is_some() && self.ending().is_bad()
    }

    fn is_result(&self) -> bool {
        !self.is_container || self.status.is_some() || self.history.is_some()
    }

    /// What is the same for all attempts of a test, and for nothing else.
    fn key(&self) -> Option<Fingerprint> {
        let history = self.history.as_deref()?;
        let counting = self.parameters.iter().filter(|parameter| !parameter.is_excluded);
        let parts = counting.flat_map(|parameter| [parameter.name.as_str(), &parameter.value]);
        Some(Fingerprint::of([history].into_iter().chain(parts).map(str::as_bytes)))
    }

    fn label(&self, wanted: &str) -> Option<&str> {
        let mut labels = self.labels.iter().filter(|[name, _]| name == wanted);
        labels.next().map(|[_, value]| value.as_str())
    }

    /// The names of the suites around it, from what says the most.
    fn suites(&self) -> Vec<&str> {
        let labelled = |names: &[&str]| names.iter().filter_map(|name| self.label(name)).collect::<Vec<_>>();
        let labels: [&[&str]; 3] = [&["parentSuite", "suite", "subSuite"], &["testClass"], &["package"]];
        let told = labels.iter().map(|names| labelled(names)).chain([self
            .title_path
            .iter()
            .map(String::as_str)
            .collect()]);
        let head = || self.full_name.as_deref().and_then(|full| head(full, self.name.as_deref()));
        told.into_iter().find(|names| !names.is_empty()).unwrap_or_else(|| head().into_iter().collect())
    }

    fn case(self, suite: Option<Arc<str>>, attempt: Option<Fingerprint>) -> Case {
        let ending = self.ending();
        let name = self.name.as_ref().or(self.full_name.as_ref()).map(|name| tidy(name)).unwrap_or_default();
        let host = self.label("host").map(|host| tidy(host).into());
        let tags = self.labels.iter().filter(|[name, _]| name == "tag").take(TAGS_MAX);
        Case {
            suite,
            name: with_parameters(&name, &self.parameters),
            host,
            attempt: attempt
                .map(|of| Attempt { of: of.to_string(), number: self.start.order().unsigned_abs() }),
            tags: tags.map(|[_, tag]| shortened(&tidy(tag), TAG_CHARS_MAX)).collect(),
            stamp: self.start,
            ending,
            trouble: if ending.is_bad() {
                trouble(self.details, self.status.as_deref())
            } else {
                Trouble::default()
            },
            ..Case::default()
        }
    }
}

impl Parameter {
    fn of(tree: &Tree) -> Option<Self> {
        let value = tree.get("value").text().unwrap_or_default();
        let name = tree.get("name").text().unwrap_or_default();
        let is_shown = tree.get("mode").text().is_none_or(|mode| mode.eq_ignore_ascii_case("default"));
        tree.is_object().then(|| Self { name, value, is_excluded: tree.get("excluded").is_true(), is_shown })
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
        if let Some(uuid) = entry.uuid.as_deref().filter(|_| is_bad) {
            self.bad.insert(Fingerprint::of([uuid.as_bytes()]));
        }
        if let Some(key) = entry.key() {
            let [start, stop] = [&entry.start, &entry.stop].map(Stamp::order);
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
        let (fixtures, suite) = (mem::take(&mut entry.fixtures), entry.name.as_deref().map(tidy_suite));
        if !entry.children.iter().any(is_bad) {
            give_fixtures(fixtures, suite.filter(|suite| !suite.is_empty()), sink);
        }
        if entry.is_result() {
            let attempt = entry.key().filter(|key| self.retried.contains(key));
            let suite = self.paths.of(&entry.suites());
            sink.case(entry.case(suite, attempt));
        }
        !sink.is_stopped()
    }
}

fn give_fixtures(fixtures: Vec<Fixture>, suite: Option<String>, sink: &mut Sink<'_>) {
    for Fixture { name, details, start } in fixtures {
        let name = name.map(|name| tidy(&name)).filter(|name| !name.is_empty());
        sink.case(Case {
            suite: suite.as_deref().map(Into::into),
            name: name.or_else(|| suite.clone()).unwrap_or_else(|| "test run".to_owned()),
            stamp: start,
            ending: Ending::Error,
            trouble: trouble(details, None),
            ..Case::default()
        });
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

fn trouble(details: Failure, status: Option<&str>) -> Trouble {
    let mut trouble = Trouble::default();
    add(&mut trouble, &details.message, &details.text);
    if trouble.is_empty() {
        let kind = format!("it ended as {}, and does not say why", status.map_or("unknown".to_owned(), tidy));
        trouble.push(Failure { kind, ..Failure::default() });
    }
    trouble
}

fn details(tree: &Tree) -> Failure {
    let [message, trace] = ["message", "trace"].map(|key| tree.get(key).text().unwrap_or_default());
    Failure::new(&message, &trace)
}

fn label(tree: &Tree) -> Option<[String; 2]> {
    Some([tree.get("name").filled()?, tree.get("value").filled()?])
}

fn stamp(tree: &Tree) -> Stamp {
    tree.text().map(|time| Stamp::read(&time)).unwrap_or_default()
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
fn with_parameters(name: &str, parameters: &[Parameter]) -> String {
    let telling = parameters.iter().filter(|parameter| parameter.is_shown && !parameter.is_excluded);
    let missing: Vec<String> = telling
        .filter_map(|parameter| {
            let value = tidy(&parameter.value);
            let value = ['\'', '"']
                .iter()
                .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote))
                .unwrap_or(&value);
            let text = shortened(&format!("{}={value}", tidy(&parameter.name)), PARAMETER_CHARS_MAX);
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
