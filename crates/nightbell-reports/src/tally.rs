//! What is remembered of results between two readings, in a few bytes each: how many have one name, and which attempt of
//! a test was its last.

use std::collections::HashMap;
use std::ops::ControlFlow;

use nightbell_core::fingerprint::Fingerprint;

use crate::case::{Case, Ending};
use crate::time::later;

/// The most results in the reports that are read together.
pub const CASES_MAX: usize = 1_000_000;

/// Which results are those of one test, so that only the last one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Repeats {
    /// What the format itself calls attempts. Results that only have one name are tests of their own: data rows, tests made
    /// in a loop, two files; a pass of one must not hide the failure of another.
    #[default]
    Declared,
    /// Those of one name in all files, which are attempts of one run. The later time wins, else the later place.
    AcrossFiles,
}

/// What reports hold. Of several attempts only the last result is counted.
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
    /// How many reports are damaged, each of which is an event.
    pub damaged: usize,
    /// How many events they give: `failed`, `errors` and `damaged`, and `flaky` if those were asked for.
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
        self.damaged += other.damaged;
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

/// What is remembered of the results that are read together.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    repeats: Repeats,
    /// Whether the suites' hosts tell cases apart, as Playwright's projects do.
    hosts_differ: bool,
    /// A suite that stands for what the reports call it.
    suite: Option<String>,
    /// How many results there were, which numbers them.
    results: usize,
    alone: Summary,
    attempts: HashMap<Fingerprint, Seen>,
    /// How many tests have this suite and name, and this variant besides.
    names: HashMap<Fingerprint, u32>,
    /// Whether any name is that of several tests.
    has_namesakes: bool,
    /// How many of them were met again.
    met: HashMap<Fingerprint, u32>,
}

/// What is remembered of a test of several attempts.
#[derive(Debug, Clone, Copy)]
struct Seen {
    /// When the result that counts was made; 0: unknown.
    time: i64,
    /// The number of that result.
    last: usize,
    /// The number of the last failure, if there was any.
    failure: Option<usize>,
    ending: Ending,
    /// Its place among those of its name, once that was asked for.
    place: u32,
}

impl Tally {
    pub(crate) fn new(repeats: Repeats, hosts_differ: bool, suite: Option<String>) -> Self {
        Self { repeats, hosts_differ, suite, ..Self::default() }
    }

    /// How many results were remembered, which is the number of the next one.
    pub(crate) fn results(&self) -> usize {
        self.results
    }

    /// Takes the next result, unless there are too many.
    pub(crate) fn remember(&mut self, file: usize, case: &Case) -> ControlFlow<()> {
        if self.results >= CASES_MAX {
            return ControlFlow::Break(());
        }
        let number = self.results;
        self.results += 1;
        let Some(key) = self.attempt_key(file, case) else {
            self.alone += Summary::of(case.ending);
            self.name(case);
            return ControlFlow::Continue(());
        };
        // What a format numbers tells nothing of other files.
        let time = match (self.repeats, &case.attempt) {
            (Repeats::Declared, Some(attempt)) => attempt.number.cast_signed(),
            (Repeats::AcrossFiles, _) | (Repeats::Declared, None) => case.stamp.order(),
        };
        let failed = case.ending.is_bad().then_some(number);
        let Some(seen) = self.attempts.get_mut(&key) else {
            self.attempts
                .insert(key, Seen { time, last: number, failure: failed, ending: case.ending, place: 0 });
            self.name(case);
            return ControlFlow::Continue(());
        };
        seen.failure = failed.or(seen.failure);
        // A test that is not run again has not passed.
        let outlives = seen.ending.is_bad() && case.ending == Ending::Skipped;
        if later(time, seen.time).is_ge() && !outlives {
            *seen = Seen { time, last: number, ending: case.ending, ..*seen };
        }
        ControlFlow::Continue(())
    }

    fn name(&mut self, case: &Case) {
        let (name, variant) = self.keys(case);
        let count = self.names.entry(name).or_default();
        *count += 1;
        self.has_namesakes |= *count > 1;
        if variant != name {
            *self.names.entry(variant).or_default() += 1;
        }
    }

    /// Whether and as what the result of this number is published, when it is met again.
    pub(crate) fn verdict(&self, file: usize, number: usize, case: &Case, flaky: bool) -> Option<Verdict> {
        let seen = match self.attempt_key(file, case) {
            Some(key) => *self.attempts.get(&key)?,
            None => Seen { time: 0, last: number, failure: None, ending: case.ending, place: 0 },
        };
        match seen.ending {
            Ending::Failed if seen.last == number => Some(Verdict::Failed),
            Ending::Error if seen.last == number => Some(Verdict::Error),
            Ending::Flaky if flaky && seen.last == number => Some(Verdict::Flaky),
            Ending::Passed if flaky && seen.failure == Some(number) => Some(Verdict::Flaky),
            Ending::Failed | Ending::Error | Ending::Flaky | Ending::Passed | Ending::Skipped => None,
        }
    }

    /// What the name of this result needs besides, when it is met again in order, so that no two tests of the reports
    /// are called alike: its variant where that tells it apart, else its place among them.
    pub(crate) fn label(&mut self, file: usize, case: &Case) -> String {
        if !self.has_namesakes {
            return String::new();
        }
        let (name, variant) = self.keys(case);
        let count = |key| self.names.get(&key).copied().unwrap_or(1);
        let (all, alike) = (count(name), count(variant));
        if all <= 1 {
            return String::new();
        }
        let mut label = String::new();
        if alike < all {
            label = format!(" ({})", self.variant(case));
        }
        if alike > 1 && self.repeats == Repeats::Declared {
            label = format!("{label} #{}", self.place(file, case, variant));
        }
        label
    }

    /// The place of a test among those of its name and variant, the same for all of its attempts.
    fn place(&mut self, file: usize, case: &Case, alike: Fingerprint) -> u32 {
        let met = self.met.get(&alike).copied().unwrap_or(0) + 1;
        let key = self.attempt_key(file, case);
        let place = match key.and_then(|key| self.attempts.get_mut(&key)) {
            Some(Seen { place, .. }) if *place > 0 => return *place,
            Some(seen) => {
                seen.place = met;
                met
            }
            None => met,
        };
        self.met.insert(alike, place);
        place
    }

    /// What the results hold together. `flaky`: whether those are events too.
    pub(crate) fn summary(&self, flaky: bool) -> Summary {
        let mut sum = self.alone;
        for seen in self.attempts.values() {
            sum += match (seen.ending, seen.failure) {
                (Ending::Passed, Some(_)) => Summary::of(Ending::Flaky),
                (ending, _) => Summary::of(ending),
            };
        }
        sum.repeated = self.results - sum.cases;
        sum.events = sum.failed + sum.errors + if flaky { sum.flaky } else { 0 };
        sum
    }

    /// The suite as alerts name it.
    pub(crate) fn suite(&self, case: &Case) -> Option<String> {
        self.suite.clone().or_else(|| case.shown_suite())
    }

    fn variant(&self, case: &Case) -> String {
        let own = self.suite.as_ref().and_then(|_| case.shown_suite());
        let parts = [own, Some(case.variant()).filter(|variant| !variant.is_empty())];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// What suite and name make, and what they make with the variant.
    fn keys(&self, case: &Case) -> (Fingerprint, Fingerprint) {
        let (suite, test, variant) =
            (self.suite(case).unwrap_or_default(), case.shown_test(), self.variant(case));
        let name = Fingerprint::of([suite.as_bytes(), test.as_bytes()]);
        if variant.is_empty() {
            return (name, name);
        }
        (name, Fingerprint::of([&name.0[..], variant.as_bytes()]))
    }

    /// What makes two results attempts of one test; none: it stands alone.
    fn attempt_key(&self, file: usize, case: &Case) -> Option<Fingerprint> {
        let file = file.to_be_bytes();
        match (self.repeats, &case.attempt) {
            (Repeats::Declared, None) => None,
            (Repeats::Declared, Some(attempt)) => Some(Fingerprint::of([&file[..], attempt.of.as_bytes()])),
            (Repeats::AcrossFiles, _) => {
                let host = case.host.as_deref().filter(|_| self.hosts_differ);
                let names = [
                    case.suite.as_deref(),
                    case.class.as_deref(),
                    case.file.as_deref(),
                    host,
                    case.variant.as_deref(),
                ];
                let names = names.map(|name| name.unwrap_or_default().as_bytes());
                Some(Fingerprint::of(names.into_iter().chain([case.name.as_bytes()])))
            }
        }
    }
}

impl Summary {
    fn of(ending: Ending) -> Self {
        let mut one = Self { cases: 1, ..Self::default() };
        match ending {
            Ending::Passed => {}
            Ending::Flaky => one.flaky = 1,
            Ending::Skipped => one.skipped = 1,
            Ending::Failed => one.failed = 1,
            Ending::Error => one.errors = 1,
        }
        one
    }
}
