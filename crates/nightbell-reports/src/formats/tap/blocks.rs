//! Sub-tests within sub-tests, and how many of their tests ran.

use std::sync::Arc;

use super::OpenResult;
use super::line::Point;
use crate::case::Failure;
use crate::text::counted;

/// OpenResult sub-tests, or the report itself.
#[derive(Default)]
pub(super) struct Block {
    pub(super) indent: usize,
    /// The line with which they began.
    pub(super) line: u64,
    pub(super) name: Option<String>,
    /// The names of all sub-tests up to these.
    pub(super) path: Option<Arc<str>>,
    pub(super) stream: Stream,
    /// A failure inside was seen.
    pub(super) has_failed: bool,
    /// A comment within them may name them.
    pub(super) awaits_name: bool,
    /// Their result, where it stands before them.
    pub(super) parent: Option<OpenResult>,
}

/// What sub-tests were, when they are over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Inside {
    pub(super) indent: usize,
    pub(super) line: u64,
    pub(super) is_named: bool,
    pub(super) has_failed: bool,
}

/// Tests with one plan. A report that is put together of several has several one after the other.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// The file of the tests, where `prove` names it.
    pub(super) file: Option<Arc<str>>,
    pub(super) has_version: bool,
    pub(super) has_failed: bool,
    /// Testing was given up.
    pub(super) is_given_up: bool,
    /// What it says went wrong with the whole of it.
    trouble: Option<String>,
    plan: Option<u64>,
    /// The plan came after tests.
    is_plan_last: bool,
    ran: u64,
    last: u64,
    highest: u64,
    is_numbered: bool,
    /// The last result is a set-up, in whose place tests are missing.
    is_after_setup: bool,
    /// How many tests are missing for which something else stands.
    stood_for: u64,
}

/// A result of bats that is of no test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hook {
    /// In the place of a test; the other tests of its file are missing.
    SetUp,
    /// Beyond what was planned.
    TearDown,
}

impl Hook {
    /// By what bats calls it when it failed.
    pub(super) fn of(description: &str) -> Option<Self> {
        match description.strip_suffix(" failed").unwrap_or(description) {
            "setup_file" | "setup_suite" | "source" => Some(Self::SetUp),
            "teardown_file" | "teardown_suite" => Some(Self::TearDown),
            _ => None,
        }
    }
}

impl Block {
    pub(super) fn inside(&self) -> Inside {
        let Self { indent, line, has_failed, .. } = *self;
        Inside { indent, line, has_failed, is_named: self.name.is_some() }
    }
}

impl Stream {
    /// Whether there is any of it.
    pub(super) fn has_begun(&self) -> bool {
        self.has_version || self.plan.is_some() || self.ran > 0
    }

    pub(super) fn has_plan(&self) -> bool {
        self.plan.is_some()
    }

    /// Whether all tests ran that were planned.
    pub(super) fn is_full(&self) -> bool {
        self.plan.is_some_and(|plan| self.ran >= plan)
    }

    pub(super) fn is_numbered(&self) -> bool {
        self.is_numbered
    }

    /// Takes what went wrong with the whole of it; the first counts.
    pub(super) fn trouble(&mut self, text: &str) {
        if self.trouble.is_none() {
            self.trouble = Some(text.to_owned());
        }
    }

    pub(super) fn plan(&mut self, count: u64) {
        self.plan = Some(count);
        self.is_plan_last = self.ran > 0;
    }

    /// Whether a point is the first of another stream: the plan of this one is met, or stood at its end, and the numbers
    /// begin anew.
    pub(super) fn is_over_at(&self, point: &Point<'_>) -> bool {
        let Some(plan) = self.plan else { return false };
        match point.number {
            _ if plan == 0 => self.ran == 0,
            Some(number) => number <= self.last.min(1) && (self.is_plan_last || self.ran >= plan),
            None => self.is_plan_last && self.ran >= plan,
        }
    }

    /// Counts a point. Returns its number.
    pub(super) fn count(&mut self, point: &Point<'_>, hook: Option<Hook>) -> u64 {
        let next = self.last.saturating_add(1);
        let number = point.number.unwrap_or(next);
        // Where others have numbers, one without is a line that only looks like a point.
        if self.is_numbered && !point.is_plain() || hook == Some(Hook::TearDown) {
            return number;
        }
        if self.is_after_setup {
            self.stood_for = self.stood_for.saturating_add(number.saturating_sub(next));
        }
        // What has the number of another one is none that was planned.
        if self.ran == 0 || number != self.last {
            self.ran += 1;
        }
        self.is_numbered |= point.number.is_some();
        self.is_after_setup = hook == Some(Hook::SetUp);
        self.last = number;
        self.highest = self.highest.max(number);
        number
    }

    /// Something else stands for one test more that is missing.
    pub(super) fn stand_for_one(&mut self) {
        self.stood_for = self.stood_for.saturating_add(1);
    }

    /// What is wrong with the whole of it, when it is over. `heard`: what was printed after its last result.
    pub(super) fn problem(&self, heard: &str) -> Option<Failure> {
        if self.is_given_up {
            return None;
        }
        let trouble = |kind: &String| Failure { kind: kind.clone(), ..Failure::new("", heard) };
        let mismatch = self.mismatch().map(|message| Failure::new(&message, heard));
        mismatch.or_else(|| self.trouble.as_ref().map(trouble))
    }

    /// How what ran differs from the plan.
    fn mismatch(&self) -> Option<String> {
        let plan = self.plan?;
        let after_setup = if self.is_after_setup { plan.saturating_sub(self.last) } else { 0 };
        let missing =
            plan.saturating_sub(self.ran).saturating_sub(self.stood_for).saturating_sub(after_setup);
        let is_over = self.highest > plan || self.ran > plan;
        if missing == 0 && is_over && self.ran <= plan {
            return Some(format!("planned {}, and number {} ran", counted(plan, "test"), self.highest));
        }
        (missing > 0 || is_over).then(|| format!("planned {}, {} ran", counted(plan, "test"), self.ran))
    }
}
