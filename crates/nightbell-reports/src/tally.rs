//! What is remembered of results between two readings: of each case the last one, in a few bytes.

use std::collections::HashMap;

use nightbell_core::fingerprint::Fingerprint;

use crate::case::{Case, Ending};
use crate::fault::Fault;
use crate::junit::CASES_MAX;

/// Which results are those of one case, so that only the last one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Repeats {
    /// Those of one name within one suite element of one file, as runners write when they run a test again. What
    /// differs in file or element is never set off against each other: a matrix or two browsers run the same tests,
    /// and a pass in one must not hide a failure in the other.
    #[default]
    InSuite,
    /// Those of one name in all files, which are attempts of one run. The later time wins, else the later file.
    AcrossFiles,
}

/// What reports hold. Of a repeated case only the last result is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// How many test cases.
    pub cases: usize,
    /// How many of them failed.
    pub failed: usize,
    /// How many of them could not run to their end.
    pub errors: usize,
    /// How many were skipped.
    pub skipped: usize,
    /// How many failed first and passed in the end.
    pub flaky: usize,
    /// How many results were set aside for a later one of the same case.
    pub repeated: usize,
    /// How many events they give: `failed` and `errors`, and `flaky` if those were asked for.
    pub events: usize,
}

impl std::ops::AddAssign for Summary {
    fn add_assign(&mut self, other: Self) {
        self.cases += other.cases;
        self.failed += other.failed;
        self.errors += other.errors;
        self.skipped += other.skipped;
        self.flaky += other.flaky;
        self.repeated += other.repeated;
        self.events += other.events;
    }
}

/// What becomes of a result that is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Failed,
    Error,
    Flaky,
}

/// What is remembered of the results in a run.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    repeats: Repeats,
    /// Whether the suites' hosts tell cases apart, as Playwright's projects do.
    hosts_differ: bool,
    /// How many results there were, which numbers them.
    results: u32,
    seen: HashMap<Fingerprint, Seen>,
}

/// What is remembered of a case: under 100 bytes, with its key and its share of the table.
#[derive(Debug, Clone, Copy)]
struct Seen {
    /// When the result that counts was made, in milliseconds since 1970; 0: unknown.
    time: u64,
    /// The number of that result.
    last: u32,
    /// The number of the last failure, if there was any.
    failure: Option<u32>,
    kind: Kind,
}

/// How a case ended, without the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Passed,
    Flaky,
    Skipped,
    Failed,
    Error,
}

impl Tally {
    pub(crate) fn new(repeats: Repeats, hosts_differ: bool) -> Self {
        Self { repeats, hosts_differ, results: 0, seen: HashMap::new() }
    }

    /// How many results were remembered, which is the number of the next one.
    pub(crate) fn results(&self) -> u32 {
        self.results
    }

    /// Takes the next result.
    ///
    /// # Errors
    /// There are too many.
    pub(crate) fn remember(&mut self, file: u32, case: &Case) -> Result<(), Fault> {
        let (key, kind) = (self.key(file, case), Kind::of(&case.ending));
        let number = self.results;
        self.results += 1;
        if usize::try_from(self.results).is_ok_and(|results| results > CASES_MAX) {
            return Err(Fault::TooManyCases);
        }
        let failed = matches!(kind, Kind::Failed | Kind::Error).then_some(number);
        let time = case.occurred_at.map_or(0, |when| when.0.0);
        let Some(seen) = self.seen.get_mut(&key) else {
            self.seen.insert(key, Seen { time, last: number, failure: failed, kind });
            return Ok(());
        };
        seen.failure = failed.or(seen.failure);
        let is_older = self.repeats == Repeats::AcrossFiles && time != 0 && time < seen.time;
        if !is_older && !seen.kind.outlives(kind, case) {
            *seen = Seen { time, last: number, failure: seen.failure, kind };
        }
        Ok(())
    }

    /// Whether and as what the result of this number is published, when it is met again.
    pub(crate) fn verdict(&self, file: u32, number: u32, case: &Case, flaky: bool) -> Option<Verdict> {
        let seen = self.seen.get(&self.key(file, case))?;
        match seen.kind {
            Kind::Failed if seen.last == number => Some(Verdict::Failed),
            Kind::Error if seen.last == number => Some(Verdict::Error),
            Kind::Flaky if flaky && seen.last == number => Some(Verdict::Flaky),
            Kind::Passed if flaky && seen.failure == Some(number) => Some(Verdict::Flaky),
            Kind::Failed | Kind::Error | Kind::Flaky | Kind::Passed | Kind::Skipped => None,
        }
    }

    pub(crate) fn summary(&self, flaky: bool) -> Summary {
        let results = usize::try_from(self.results).unwrap_or(usize::MAX);
        let cases = self.seen.len();
        let mut summary = Summary { cases, repeated: results - cases, ..Summary::default() };
        for seen in self.seen.values() {
            match seen.kind {
                Kind::Passed if seen.failure.is_some() => summary.flaky += 1,
                Kind::Passed => {}
                Kind::Flaky => summary.flaky += 1,
                Kind::Skipped => summary.skipped += 1,
                Kind::Failed => summary.failed += 1,
                Kind::Error => summary.errors += 1,
            }
        }
        summary.events = summary.failed + summary.errors + if flaky { summary.flaky } else { 0 };
        summary
    }

    /// What makes two results those of one case.
    fn key(&self, file: u32, case: &Case) -> Fingerprint {
        let place = match self.repeats {
            Repeats::InSuite => [file.to_be_bytes(), case.element.to_be_bytes()],
            Repeats::AcrossFiles => [[0; 4]; 2],
        };
        let host = case.host.as_deref().filter(|_| self.hosts_differ);
        let names = [
            case.suite.as_deref(),
            case.classname.as_deref(),
            case.variant.as_deref(),
            host,
            Some(&*case.name),
        ];
        let names = names.map(|name| name.unwrap_or_default().as_bytes());
        Fingerprint::of(place.iter().map(<[u8; 4]>::as_slice).chain(names))
    }
}

impl Kind {
    fn of(ending: &Ending) -> Self {
        match ending {
            Ending::Passed => Self::Passed,
            Ending::Flaky(_) => Self::Flaky,
            Ending::Skipped => Self::Skipped,
            Ending::Failed(_) => Self::Failed,
            Ending::Error(_) => Self::Error,
        }
    }

    /// Whether this result stands although another one follows.
    fn outlives(self, next: Self, case: &Case) -> bool {
        /// What jest-junit calls a file that can't be loaded; it says so twice, the second time as raw JSON.
        const JEST_BROKEN_SUITE: &str = "Test suite failed to run";

        let has_failed = matches!(self, Self::Failed | Self::Error);
        // A test that is not run again has not passed.
        has_failed && (next == Self::Skipped || case.classname.as_deref() == Some(JEST_BROKEN_SUITE))
    }
}
