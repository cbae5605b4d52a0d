//! The format of a report, told by its content.

use std::io::Read as _;
use std::path::Path;

use crate::decode::Decoded;
use crate::fault::{Fault, Place, Unfit};
use crate::format::Format;
use crate::formats::tap;
use crate::json::{Handler, ITEM, Spot, Tree, Want, walk};
use crate::lines::Lines;
use crate::source::Source;
use crate::text::words;
use crate::xml::{Step, Vocabulary, Xml};

/// How much of a report is looked at to tell what kind of text it is, in bytes.
const HEAD_BYTES: u64 = 64 * 1024;

/// How many lines may stand before the first one that tells.
const LINES_MAX: usize = 1_000;

/// The formats that are read, for people.
const KNOWN: &str = "JUnit, CTRF, TRX, NUnit, xUnit, TestNG, `go test -json`, TAP, Cucumber JSON, Allure results, \
                     Playwright's and Jest's JSON";

/// What a report's content says of its form; none: it is no report of a form that is known, or can't be read.
#[must_use]
pub fn recognise(source: &Source) -> Option<Format> {
    detect(source).ok()
}

/// Finds the format.
///
/// # Errors
/// It can't be read, is empty, or is none that is known; then what it is, if that is known, and what would be right.
pub(crate) fn detect(source: &Source) -> Result<Format, Unfit> {
    if let Some(folder) = source.folder() {
        return if is_allure(folder) {
            Ok(Format::Allure)
        } else {
            Err(unknown(1, "a folder without Allure's results").into())
        };
    }
    let mut head = Vec::new();
    Decoded::new(source.open()?)?.take(HEAD_BYTES).read_to_end(&mut head)?;
    let head = String::from_utf8_lossy(&head);
    let start = head.trim_start();
    if start.is_empty() {
        return Err(Place::new(1, Fault::Empty).into());
    }
    if start.starts_with('<') {
        return of_xml(source);
    }
    if start.trim_end() == "[]" {
        // What Cucumber writes when it had nothing to do.
        return Ok(Format::Cucumber);
    }
    if start.starts_with(['{', '['])
        && let Some(format) = of_json(source)?
    {
        return Ok(format);
    }
    if let Some(format) = of_lines(source)? {
        return Ok(format);
    }
    // There may be something before the report: a warning that went into the same file.
    if head.contains('<')
        && let Ok(format) = of_xml(source)
    {
        return Ok(format);
    }
    Err(of_other(start).into())
}

/// Whether a folder has results of Allure.
pub(crate) fn is_allure(folder: &Path) -> bool {
    let Ok(entries) = folder.read_dir() else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().ends_with("-result.json"))
}

fn of_xml(source: &Source) -> Result<Format, Unfit> {
    let mut xml = Xml::open(source, Vocabulary { structure: &[], result: None })?;
    loop {
        match xml.step() {
            Step::Start => {
                let foreign = || unknown(xml.line(), &foreign_root(xml.name())).into();
                return of_root(xml.name()).ok_or_else(foreign);
            }
            Step::Eof => return Err(unknown(1, "XML without an element").into()),
            Step::Text | Step::End | Step::ImpliedEnd => {}
        }
    }
}

fn of_root(name: &str) -> Option<Format> {
    match name {
        "testsuites" | "testsuite" => Some(Format::Junit),
        "TestRun" => Some(Format::Trx),
        "test-run" | "test-results" | "test-suite" => Some(Format::Nunit),
        "assemblies" | "assembly" => Some(Format::Xunit),
        "testng-results" => Some(Format::Testng),
        _ => None,
    }
}

/// What XML of this root is, and how to get a report instead.
fn foreign_root(root: &str) -> String {
    let cure = match root {
        "robot" => {
            "Robot Framework's output.xml; let `robot --xunit report.xml` or `rebot --xunit` write one"
        }
        "checkstyle" => "Checkstyle's; it tells of no test",
        "coverage" | "report" => "a report of coverage",
        "html" => "a web page",
        "Site" => "CTest's dashboard XML; let `ctest --output-junit report.xml` write one",
        "Catch" | "Catch2TestRun" => "Catch2's own XML; run it with `-r junit -o report.xml`",
        "doctest" => "doctest's own XML; run it with `-r=junit -o=report.xml`",
        "TestLog" | "TestResult" => "Boost.Test's own XML; run it with `--logger=JUNIT,all,report.xml`",
        "TestCase" => "Qt Test's own XML; run it with `-o report.xml,junitxml`",
        "project" => "a project's file, not a report",
        _ => "",
    };
    if cure.is_empty() {
        format!("the first element is `{}`; {KNOWN} are read", crate::text::shortened(root, 40))
    } else {
        format!("the first element is `{root}`: {cure}")
    }
}

/// The keys by which formats are told apart.
const KEYS: &[&str] = words![
    results tests reportFormat testResults numFailedTests numTotalTests suites config errors stats Action
    uuid historyId testCaseId elements keyword uri project test examples passes
];

/// The keys at the top of a document, or of the first element of a list.
#[derive(Default)]
struct Keys {
    top: Vec<&'static str>,
    has_tests_in_results: bool,
    is_list: bool,
}

impl Handler for Keys {
    fn words(&self) -> &'static [&'static str] {
        KEYS
    }

    fn want(&mut self, path: &[&'static str]) -> Want {
        match path {
            [] | [ITEM] => return Want::Enter,
            ["results"] => {
                self.top.push("results");
                return Want::Enter;
            }
            ["results", "tests"] => self.has_tests_in_results = true,
            [ITEM, key] => {
                self.is_list = true;
                self.top.push(key);
            }
            [key] => self.top.push(key),
            _ => {}
        }
        Want::Skip
    }

    fn take(&mut self, _path: &[&'static str], _tree: Tree, _at: Spot) {}

    fn is_done(&self) -> bool {
        self.told().is_some()
    }
}

impl Keys {
    fn told(&self) -> Option<Format> {
        let has = |key| self.top.contains(&key);
        if self.is_list {
            return (has("elements") || has("keyword") || has("uri")).then_some(Format::Cucumber);
        }
        let told = [
            (has("Action"), Format::GoTest),
            (has("reportFormat") || self.has_tests_in_results, Format::Ctrf),
            (has("testResults") || has("numFailedTests") || has("numTotalTests"), Format::Jest),
            (has("suites") && (has("config") || has("stats") || has("errors")), Format::Playwright),
            (has("uuid") || has("historyId") || has("testCaseId"), Format::Allure),
        ];
        told.into_iter().find_map(|(is_told, format)| is_told.then_some(format))
    }

    /// Whether it is what Nightbell makes of reports.
    fn is_event(&self) -> bool {
        self.top.contains(&"project") && self.top.contains(&"test")
    }

    /// What a document that is no report is.
    fn foreign(&self) -> String {
        let has = |key| self.top.contains(&key);
        let known = [
            (self.is_event(), "events; give them on standard input, one a line"),
            (
                has("stats") && (has("passes") || has("results")),
                "Mocha's own JSON or Mochawesome's; let mocha-junit-reporter write one",
            ),
            (has("examples"), "RSpec's own JSON; let rspec_junit_formatter write one"),
            (has("tests"), "JSON of another kind; let pytest write one with `--junit-xml=report.xml`"),
        ];
        let cure = known.into_iter().find_map(|(is_it, cure)| is_it.then(|| cure.to_owned()));
        cure.unwrap_or_else(|| format!("JSON of another kind; {KNOWN} are read"))
    }
}

fn of_json(source: &Source) -> Result<Option<Format>, Unfit> {
    let mut keys = Keys::default();
    let damage = walk(source, &mut keys)?;
    match keys.told() {
        Some(format) => Ok(Some(format)),
        // One document a line is no document, nor is TAP that begins with a bracket.
        None if damage.is_some() && !keys.is_event() => Ok(None),
        None => Err(unknown(1, &keys.foreign()).into()),
    }
}

/// By the first line that only one format has.
fn of_lines(source: &Source) -> Result<Option<Format>, Unfit> {
    let mut lines = Lines::open(source)?;
    for _ in 0..LINES_MAX {
        let Some(line) = lines.next() else { break };
        let is_unbuilt = line.starts_with("FAIL\t") && line.ends_with(" failed]");
        if is_unbuilt || line.starts_with('{') && line.contains("\"Action\"") {
            return Ok(Some(Format::GoTest));
        }
        if tap::is_tap(line) {
            return Ok(Some(Format::Tap));
        }
    }
    Ok(None)
}

fn of_other(start: &str) -> Place {
    if start.starts_with("%PDF") || start.starts_with("PK") {
        return unknown(1, "a document or an archive");
    }
    if start.starts_with(['{', '[']) {
        let cure = "JSON that is damaged before it tells its form; force it with the flag of its format";
        return unknown(1, cure);
    }
    unknown(1, &format!("a text of another kind; {KNOWN} are read"))
}

fn unknown(line: u64, what: &str) -> Place {
    Place { line, fault: Fault::Unknown { problem: what.to_owned() } }
}
