//! TRX, the results of Visual Studio and `dotnet test`: its schema is Visual Studio's `vstst.xsd`, and what is written of it
//! is seen in <https://github.com/microsoft/vstest/tree/main/src/Microsoft.TestPlatform.Extensions.TrxLogger>.
//!
//! A result is what stands in `<Results>` or `<InnerResults>`. One with inner results is their sum, and a case only if it
//! went wrong and they don't tell why. What went wrong with the run as a whole is one case. The format knows no attempts.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use nightbell_core::fingerprint::Fingerprint;

use crate::case::{Case, Ending, Failure, OUTPUT_BYTES_MAX, Output, Trouble};
use crate::fault::{Place, Unfit};
use crate::format::Format;
use crate::names::{tidy, within_class};
use crate::sink::{End, Sink};
use crate::source::Source;
use crate::tally::CASES_MAX;
use crate::text::words;
use crate::time::Stamp;
use crate::xml::{Elements, Vocabulary, Xml, walk};

const STRUCTURE: &[&str] = words![
    TestRun Results InnerResults UnitTestResult TestResult TestResultAggregation ManualTestResult
    WebTestResult GenericTestResult LoadTestResult TestDefinitions UnitTest TestEntries ResultSummary
    Counters RunInfos RunInfo
];

const VOCABULARY: Vocabulary = Vocabulary { structure: STRUCTURE, result: None };

/// How much of all names of classes is kept, in bytes.
const CLASSES_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The most messages of inner results to which that of their sum is compared.
const MESSAGES_MAX: usize = 1_000;

/// The most words of outcomes that are remembered.
const OUTCOMES_MAX: usize = 20;

/// What is a result wherever it stands.
const RESULTS: &[&str] = words![
    UnitTestResult TestResult TestResultAggregation ManualTestResult WebTestResult GenericTestResult
    LoadTestResult
];

/// What counts results that went wrong.
const COUNTERS: [&str; 6] = ["failed", "error", "timeout", "aborted", "disconnected", "inProgress"];

/// Gives each result. The classes of tests stand after their results, so a first walk learns them.
pub(crate) fn read(source: &Source, sink: &mut Sink<'_>) -> Result<Option<Place>, Unfit> {
    let mut classes = Classes::default();
    read_elements(source, &mut classes)?;
    let mut reader = Reader { sink, classes, open: Vec::new(), run: Run::default(), shown: Shown::default() };
    let damage = read_elements(source, &mut reader)?;
    reader.end_run();
    Ok(damage)
}

fn read_elements(source: &Source, elements: &mut dyn Elements) -> Result<Option<Place>, Unfit> {
    walk(source, Format::Trx, &["TestRun"], VOCABULARY, elements)
}

/// The classes of tests, by the ids of these.
#[derive(Debug, Default)]
struct Classes {
    of: HashMap<u128, Arc<str>>,
    names: HashSet<Arc<str>>,
    bytes: usize,
    /// The test whose class comes next.
    id: Option<u128>,
}

impl Elements for Classes {
    fn begin(&mut self, xml: &mut Xml) {
        match xml.name() {
            "UnitTest" => self.id = xml.filled("id").map(|id| key(&id)),
            "TestMethod" => {
                if let (Some(id), Some(class)) = (self.id.take(), xml.filled("className")) {
                    self.insert(id, &class);
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, _: &Xml, _: End) {}

    fn is_done(&self) -> bool {
        false
    }
}

impl Classes {
    fn insert(&mut self, id: u128, class: &str) {
        if self.of.len() >= CASES_MAX {
            return;
        }
        let class = tidy(class_name(class));
        let class = match self.names.get(class.as_str()) {
            Some(known) => Arc::clone(known),
            None if self.bytes + class.len() > CLASSES_BYTES_MAX => return,
            None => {
                self.bytes += class.len();
                let class: Arc<str> = class.into();
                self.names.insert(Arc::clone(&class));
                class
            }
        };
        self.of.insert(id, class);
    }

    fn get(&self, id: &str) -> Option<Arc<str>> {
        self.of.get(&key(id)).cloned()
    }
}

/// The name of a class, without the assembly that Visual Studio names with it, and without the half of a method that
/// `dotnet test` takes for it if an argument has a dot.
fn class_name(written: &str) -> &str {
    match (written.find(", "), written.find('(')) {
        (Some(at), None) => &written[..at],
        (_, Some(at)) if !written[at..].contains(')') => {
            written[..at].rsplit_once('.').map_or(written, |(class, _)| class)
        }
        (_, _) => written,
    }
}

/// An id as a number: as a rule it is a GUID, in some spelling.
fn key(id: &str) -> u128 {
    let digits: String = id.chars().filter(|digit| !matches!(digit, '-' | '{' | '}')).collect();
    let number = u128::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 32);
    let other = || u128::from_be_bytes(Fingerprint::of([id.trim().to_ascii_lowercase().as_bytes()]).0);
    number.unwrap_or_else(other)
}

struct Reader<'s, 'a> {
    sink: &'s mut Sink<'a>,
    classes: Classes,
    /// The open results, the innermost last.
    open: Vec<OpenResult>,
    run: Run,
    shown: Shown,
}

/// A result that is being read.
#[derive(Debug, Default)]
struct OpenResult {
    case: Case,
    outcome: Option<String>,
    /// How many elements are open with it.
    depth: usize,
    is_inner: bool,
    has_inner: bool,
    /// Whether an inner result went wrong, and what those say that did.
    is_explained: bool,
    messages: HashSet<Fingerprint>,
}

/// What is said of the run as a whole.
#[derive(Debug, Default)]
struct Run {
    outcome: Option<String>,
    /// How many results went wrong.
    counted: u64,
    stamp: Stamp,
    trouble: Trouble,
    /// What only repeats that a test failed, and how often that is.
    echoes: Trouble,
    echo_count: u64,
}

/// How many results went wrong so far. Tools count them in several ways.
#[derive(Debug, Default)]
struct Shown {
    /// With those that sum others up.
    all: u64,
    /// Without them.
    leaves: u64,
    /// In no other result.
    tops: u64,
    /// As cases.
    cases: u64,
    /// The words of their outcomes.
    outcomes: HashSet<String>,
}

impl Shown {
    /// Whether so many were shown, in any way of counting.
    fn covers(&self, counted: u64) -> bool {
        counted == self.all || counted == self.leaves || counted <= self.tops
    }
}

impl Elements for Reader<'_, '_> {
    fn begin(&mut self, xml: &mut Xml) {
        let parent = xml.parent();
        let is_inner = parent == Some("InnerResults");
        match xml.name() {
            name if is_inner || parent == Some("Results") || RESULTS.contains(&name) => {
                self.begin_result(xml, is_inner);
            }
            "ErrorInfo" => {
                let trouble = self.trouble();
                trouble.push(xml.failure(trouble.room()));
            }
            "StdOut" | "DebugTrace" => self.output(xml, Output::Standard),
            "Message" if parent == Some("TextMessages") => self.output(xml, Output::Standard),
            "StdErr" => self.output(xml, Output::Error),
            "Times" => self.run.stamp = xml.stamp("start").unwrap_or_default(),
            "ResultSummary" => self.run.outcome = xml.filled("outcome"),
            "Counters" => self.run.counted = self.run.counted.saturating_add(xml.sum(&COUNTERS)),
            "RunInfo" => self.run_info(xml),
            _ => {}
        }
    }

    fn end(&mut self, xml: &Xml, end: End) {
        let depth = xml.path().len() + 1;
        if let Some(open) = self.open.pop_if(|open| open.depth == depth) {
            self.end_result(open, end);
        }
    }

    fn is_done(&self) -> bool {
        self.sink.is_stopped()
    }
}

impl Reader<'_, '_> {
    fn begin_result(&mut self, xml: &Xml, is_inner: bool) {
        let class = xml.filled("testId").and_then(|id| self.classes.get(&id));
        let name = xml.tidied("testName").unwrap_or_default();
        let outcome = xml.filled("outcome");
        let case = Case {
            name: class.as_deref().map_or(name.as_str(), |class| within_class(&name, class)).to_owned(),
            class: class.as_deref().map(str::to_owned),
            suite: class,
            // Rows may have the name of their test alone.
            variant: xml.tidied("dataRowInfo").map(|row| format!("row {row}")),
            stamp: xml.stamp("startTime").unwrap_or_else(|| self.run.stamp.clone()),
            ending: ending(outcome.as_deref()),
            ..Case::default()
        };
        if is_inner && let Some(around) = self.open.last_mut() {
            around.has_inner = true;
        }
        self.open.push(OpenResult {
            case,
            outcome,
            depth: xml.path().len(),
            is_inner,
            ..OpenResult::default()
        });
    }

    fn end_result(&mut self, open: OpenResult, end: End) {
        let OpenResult { mut case, outcome, is_inner, has_inner, is_explained, messages, .. } = open;
        let says_something = case.trouble.failures.iter().any(|failure| !failure.message.is_empty());
        if says_something && outcome.as_deref().is_some_and(|word| word.eq_ignore_ascii_case("NotRunnable")) {
            case.ending = Ending::Error;
        }
        if !case.ending.is_bad() {
            if !has_inner {
                self.sink.ended(case, end);
            }
            return;
        }
        self.shown.all += 1;
        self.shown.leaves += u64::from(!has_inner);
        self.shown.tops += u64::from(!is_inner);
        if self.shown.outcomes.len() < OUTCOMES_MAX {
            self.shown.outcomes.insert(outcome.unwrap_or_default().to_ascii_lowercase());
        }
        let said = |failure: &Failure| Fingerprint::of([failure.message.as_bytes()]);
        if is_inner && let Some(around) = self.open.last_mut() {
            around.is_explained = true;
            if around.messages.len() < MESSAGES_MAX {
                around.messages.extend(case.trouble.failures.iter().map(said));
            }
        }
        if has_inner {
            let is_own =
                |failure: &Failure| !failure.message.is_empty() && !messages.contains(&said(failure));
            if is_explained && !case.trouble.failures.iter().any(is_own) {
                return;
            }
            case.ending = Ending::Error;
        }
        self.shown.cases += 1;
        self.sink.case(case);
    }

    fn output(&mut self, xml: &mut Xml, to: Output) {
        let Failure { text, message, .. } = xml.failure(OUTPUT_BYTES_MAX * 2);
        self.trouble().print(to, &format!("{text}{message}\n"));
    }

    /// Takes what is said of the run.
    fn run_info(&mut self, xml: &mut Xml) {
        let outcome = xml.filled("outcome");
        let Failure { text, .. } = xml.failure(self.run.trouble.room());
        if !ending(outcome.as_deref()).is_bad() {
            return;
        }
        let is_echo = is_echo(&text);
        let kind = if text.is_empty() { "the run had an error".to_owned() } else { String::new() };
        let failure = Failure { message: text, kind, ..Failure::default() };
        if is_echo {
            self.run.echo_count += 1;
            self.run.echoes.push(failure);
        } else {
            self.run.trouble.push(failure);
        }
    }

    /// What the run says of itself, and what it counts and does not show, are one case.
    fn end_run(&mut self) {
        let Run { outcome, counted, stamp, mut trouble, echoes, echo_count } = std::mem::take(&mut self.run);
        if echo_count > self.shown.cases {
            trouble.extend(echoes);
        }
        if !self.shown.covers(counted) {
            trouble.extend(Case::uncovered(counted, self.shown.cases).trouble);
        }
        if let Some(word) = outcome
            && trouble.failures.is_empty()
            && !self.explains(&word)
        {
            let said = format!("the run ended as {}, and shows no result that did", tidy(&word));
            trouble.note(said);
        }
        if !trouble.failures.is_empty() {
            self.sink.case(Case { stamp, ..Case::error("test run", trouble) });
        }
    }

    /// Whether results tell why the run has this outcome.
    fn explains(&self, outcome: &str) -> bool {
        match ending(Some(outcome)) {
            Ending::Failed => self.shown.cases > 0,
            Ending::Error => self.shown.outcomes.contains(&outcome.to_ascii_lowercase()),
            Ending::Passed | Ending::Flaky | Ending::Skipped => true,
        }
    }

    /// That of the innermost open result; else of the run.
    fn trouble(&mut self) -> &mut Trouble {
        match self.open.last_mut() {
            Some(open) => &mut open.case.trouble,
            None => &mut self.run.trouble,
        }
    }
}

/// What an outcome stands for.
fn ending(outcome: Option<&str>) -> Ending {
    let word = outcome.unwrap_or_default().to_ascii_lowercase();
    match word.as_str() {
        "notrunnable" => Ending::Skipped,
        "passedbutrunaborted" | "warning" | "completed" => Ending::Passed,
        // `Error` is the default, which is not written.
        word => Ending::of_word(word).unwrap_or(Ending::Error),
    }
}

/// Whether a text of the run only says that a test failed, which xUnit.net's adapter does for each.
fn is_echo(text: &str) -> bool {
    !text.is_empty() && text.lines().all(|line| line.starts_with("[xUnit.net ") && line.ends_with(" [FAIL]"))
}
