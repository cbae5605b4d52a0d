//! What is known of tests that have begun and not ended: of all of them together no more than fits into named bounds.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::case::{Failure, OUTPUT_BYTES_MAX, push_bounded};
use crate::names::{NAME_CHARS_MAX, path, tidy};

/// How much of the names of all packages and tests that run at a time is kept, in bytes. What does not fit is not
/// remembered: a failure of it is still a failure.
const NAMES_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What a package or a test costs besides its name, in bytes.
const ENTRY_BYTES: usize = 300;

/// The most builds that are remembered.
const BUILDS_MAX: usize = 1_000;

/// How much is kept of what all of them printed, in bytes.
const PRINTED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Which part of what is left of it one of them may take, so that those that print much leave something to others.
const SHARE: usize = 64;

/// How much of what a test says is an error is kept apart, in bytes.
const ERRORS_BYTES_MAX: usize = 8 * 1024;

/// How much of a line is kept until its end is known, in bytes.
const LINE_BYTES_MAX: usize = 4 * 1024;

/// All that has begun.
#[derive(Debug)]
pub(super) struct Running {
    packages: BTreeMap<Box<str>, Package>,
    builds: BTreeMap<Box<str>, Build>,
    room: Room,
}

/// How much may still be kept, in bytes.
#[derive(Debug)]
struct Room {
    names: usize,
    printed: usize,
}

/// A package that is tested.
#[derive(Debug, Default)]
pub(super) struct Package {
    /// Its tests that run.
    pub(super) tests: BTreeMap<Box<str>, Test>,
    /// What was printed outside of them.
    pub(super) printed: Printed,
    /// Something other than output came of it.
    pub(super) has_begun: bool,
    /// A failing test of it was seen.
    pub(super) has_failed: bool,
    suite: Option<Arc<str>>,
}

/// A test that runs.
#[derive(Debug, Default)]
pub(super) struct Test {
    pub(super) printed: Printed,
    /// A failing test inside of it was seen.
    pub(super) has_failed_inside: bool,
    pub(super) is_paused: bool,
    /// It is known that it ran, and not only that it printed.
    pub(super) has_begun: bool,
    /// Those inside of it that have begun and not ended, when it ends.
    pub(super) inside: Vec<Box<str>>,
}

/// What was said of a build.
#[derive(Debug, Default)]
struct Build {
    printed: Printed,
    has_failed: bool,
    /// A package that failed by it was told with it.
    is_told: bool,
}

/// What was printed, without what the testing framework puts around: its beginning, and its end, where the reason of a
/// failure often is.
#[derive(Debug, Default)]
pub(super) struct Printed {
    head: String,
    tail: String,
    /// Something between the two was left out.
    is_cut: bool,
    /// A line whose end did not come yet.
    line: String,
    /// What it says is an error.
    errors: String,
}

impl Default for Running {
    fn default() -> Self {
        let room = Room { names: NAMES_BYTES_MAX, printed: PRINTED_BYTES_MAX };
        Self { packages: BTreeMap::new(), builds: BTreeMap::new(), room }
    }
}

/// A name as it is remembered, which is not longer than names may be.
fn key(name: &str) -> Cow<'_, str> {
    if name.len() <= NAME_CHARS_MAX { Cow::Borrowed(name) } else { Cow::Owned(tidy(name)) }
}

impl Running {
    /// The package of this name; none: there is no room for it.
    fn package(&mut self, name: &str) -> Option<(&mut Package, &mut Room)> {
        let new = |name: &str| Package { suite: path(None, name).map(Into::into), ..Package::default() };
        Some((self.room.entry(&mut self.packages, name, new)?, &mut self.room))
    }

    pub(super) fn begin_package(&mut self, name: &str) {
        if let Some((package, _)) = self.package(name) {
            package.has_begun = true;
        }
    }

    /// The suite of its tests.
    pub(super) fn suite(&self, name: &str) -> Option<Arc<str>> {
        let known = self.packages.get(&*key(name));
        known.map_or_else(|| path(None, name).map(Into::into), |package| package.suite.clone())
    }

    pub(super) fn print_package(&mut self, name: &str, output: &str) {
        if let Some((package, room)) = self.package(name) {
            package.printed.push(output, false, room);
        }
    }

    /// Forgets a package, whose result came.
    pub(super) fn end_package(&mut self, name: &str) -> Package {
        let Some((name, mut package)) = self.packages.remove_entry(&*key(name)) else {
            return Package::default();
        };
        self.room.give(&name, &package.printed);
        for (name, test) in &package.tests {
            self.room.give(name, &test.printed);
        }
        package.printed.end_line();
        package.tests.values_mut().for_each(|test| test.printed.end_line());
        package
    }

    /// The test of this name; none: there is no room for it.
    fn test(&mut self, package: &str, name: &str) -> Option<(&mut Test, &mut Room)> {
        let (package, room) = self.package(package)?;
        package.has_begun = true;
        Some((room.entry(&mut package.tests, name, |_| Test::default())?, room))
    }

    /// A test begins; false: it had begun already, and never ended.
    pub(super) fn begin_test(&mut self, package: &str, name: &str) -> bool {
        let runs =
            self.packages.get(&*key(package)).is_some_and(|package| package.tests.contains_key(&*key(name)));
        if runs {
            self.end_test(package, name);
        }
        if let Some((test, _)) = self.test(package, name) {
            test.has_begun = true;
        }
        !runs
    }

    pub(super) fn pause_test(&mut self, package: &str, name: &str, is_paused: bool) {
        if let Some((test, _)) = self.test(package, name) {
            test.has_begun = true;
            test.is_paused = is_paused;
        }
    }

    pub(super) fn print_test(&mut self, package: &str, name: &str, output: &str, is_error: bool) {
        if let Some((test, room)) = self.test(package, name) {
            test.printed.push(output, is_error, room);
        }
    }

    /// Forgets a test, whose result came, and what is inside of it.
    pub(super) fn end_test(&mut self, package: &str, name: &str) -> Test {
        let Some((package, room)) = self.package(package) else { return Test::default() };
        package.has_begun = true;
        let name = key(name);
        let mut ended = Test::default();
        if let Some((name, test)) = package.tests.remove_entry(&*name) {
            room.give(&name, &test.printed);
            ended = test;
        }
        for (name, mut test) in take_inside(&mut package.tests, &name) {
            room.give(&name, &test.printed);
            test.printed.end_line();
            ended.printed.append(&test.printed);
            ended.inside.push(name);
        }
        ended.printed.end_line();
        ended
    }

    /// Remembers that a test failed, for the package and for the tests around it.
    pub(super) fn fail_test(&mut self, package: &str, name: &str) {
        let Some((package, _)) = self.package(package) else { return };
        package.has_failed = true;
        let name = key(name);
        for (at, _) in name.match_indices('/') {
            if let Some(around) = package.tests.get_mut(&name[..at]) {
                around.has_failed_inside = true;
            }
        }
    }

    fn build(&mut self, import_path: &str) -> Option<(&mut Build, &mut Room)> {
        if self.builds.len() >= BUILDS_MAX && !self.builds.contains_key(&*key(import_path)) {
            return None;
        }
        Some((self.room.entry(&mut self.builds, import_path, |_| Build::default())?, &mut self.room))
    }

    pub(super) fn print_build(&mut self, import_path: &str, output: &str) {
        if let Some((build, room)) = self.build(import_path) {
            // A heading only says what is built.
            let lines = output.split_inclusive('\n').filter(|line| !line.starts_with("# "));
            lines.for_each(|line| build.printed.push(line, false, room));
        }
    }

    /// Remembers that a build failed; false: there is no room for it.
    pub(super) fn fail_build(&mut self, import_path: &str) -> bool {
        let build = self.build(import_path);
        build.map(|(build, _)| build.has_failed = true).is_some()
    }

    /// What the build said by which a package failed.
    pub(super) fn build_failure(&mut self, package: &str, failed: &str, why: Option<&str>) -> Failure {
        let mut text = String::new();
        for (name, build) in &mut self.builds {
            if **name == *key(failed) || is_build_of(name, package) {
                build.is_told = true;
                push_bounded(&mut text, &build.printed.whole(), OUTPUT_BYTES_MAX);
            }
        }
        if !text.trim().is_empty() {
            return Failure::new("", &text);
        }
        // That of another package may be the reason, or not.
        for build in self.builds.values().filter(|build| !build.is_told) {
            push_bounded(&mut text, &build.printed.whole(), OUTPUT_BYTES_MAX);
            if text.len() > OUTPUT_BYTES_MAX / 2 {
                break;
            }
        }
        Failure::new(why.unwrap_or("build failed"), &text)
    }

    /// The builds that failed without a package that says so, with what they said.
    pub(super) fn untold_builds(&self) -> impl Iterator<Item = (&str, String)> {
        let untold = self.builds.iter().filter(|(_, build)| build.has_failed && !build.is_told);
        untold.map(|(name, build)| (base(name), build.printed.whole()))
    }

    /// The first package whose result did not come, and its tests that ran.
    pub(super) fn unended(&self) -> Option<(&str, &Package)> {
        self.packages.iter().find(|(_, package)| package.has_begun).map(|(name, package)| (&**name, package))
    }
}

/// Takes those whose names begin with this one and a slash.
fn take_inside(tests: &mut BTreeMap<Box<str>, Test>, name: &str) -> Vec<(Box<str>, Test)> {
    if tests.is_empty() {
        return Vec::new();
    }
    let start = format!("{name}/");
    let from = tests.range(Box::from(start.as_str())..);
    let names: Vec<_> =
        from.map(|(name, _)| name.clone()).take_while(|name| name.starts_with(&start)).collect();
    names.into_iter().filter_map(|name| tests.remove_entry(&name)).collect()
}

/// An import path without the variant that was built: `a/b [a/b.test]`.
fn base(import_path: &str) -> &str {
    import_path.split(" [").next().unwrap_or(import_path)
}

fn is_build_of(import_path: &str, package: &str) -> bool {
    let base = base(import_path);
    let variant = import_path[base.len()..].trim_start_matches(" [").trim_end_matches(']');
    base == package
        || base.strip_suffix("_test") == Some(package)
        || variant.strip_suffix(".test") == Some(package)
}

impl Room {
    /// What is remembered by a name, if there is room for it.
    fn entry<'m, T>(
        &mut self,
        map: &'m mut BTreeMap<Box<str>, T>,
        name: &str,
        new: impl Fn(&str) -> T,
    ) -> Option<&'m mut T> {
        let name = key(name);
        if !map.contains_key(&*name) {
            self.names = self.names.checked_sub(name.len() + ENTRY_BYTES)?;
            map.insert(name.as_ref().into(), new(&name));
        }
        map.get_mut(&*name)
    }

    fn give(&mut self, name: &str, printed: &Printed) {
        self.names += name.len() + ENTRY_BYTES;
        self.printed += printed.bytes();
    }
}

impl Printed {
    fn push(&mut self, output: &str, is_error: bool, room: &mut Room) {
        room.printed += self.bytes();
        let bound = OUTPUT_BYTES_MAX.min(room.printed / SHARE);
        for part in output.split_inclusive('\n') {
            if is_error {
                push_bounded(&mut self.errors, part, ERRORS_BYTES_MAX.min(bound / 2));
            }
            if !part.ends_with('\n') {
                push_bounded(&mut self.line, part, LINE_BYTES_MAX.min(bound));
            } else if self.line.is_empty() {
                self.add(part, bound);
            } else {
                let mut line = std::mem::take(&mut self.line);
                line.push_str(part);
                self.add(&line, bound);
            }
        }
        room.printed = room.printed.saturating_sub(self.bytes());
    }

    fn add(&mut self, line: &str, bound: usize) {
        if is_frame(line) {
            return;
        }
        let half = bound / 2;
        if self.tail.is_empty() && !self.is_cut && self.head.len() + line.len() <= half {
            self.head.push_str(line);
            return;
        }
        let kept = line.floor_char_boundary(half.saturating_sub(1));
        self.tail.push_str(&line[..kept]);
        if kept < line.len() {
            self.tail.push('\n');
        }
        if self.tail.len() > half {
            let least = self.tail.ceil_char_boundary(self.tail.len() - half / 2);
            let end = self.tail[least..].find('\n').map_or(least, |at| least + at + 1);
            self.tail.drain(..end);
            self.is_cut = true;
        }
    }

    /// A line that never ended is one as well.
    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.add(&line, OUTPUT_BYTES_MAX);
        }
    }

    fn append(&mut self, other: &Self) {
        for line in other.whole().split_inclusive('\n') {
            self.add(line, OUTPUT_BYTES_MAX);
        }
        push_bounded(&mut self.errors, &other.errors, ERRORS_BYTES_MAX);
    }

    fn bytes(&self) -> usize {
        self.head.len() + self.tail.len() + self.line.len() + self.errors.len()
    }

    pub(super) fn whole(&self) -> String {
        let gap = if self.is_cut { "…\n" } else { "" };
        [&self.head, gap, &self.tail].concat()
    }

    /// What it says is an error.
    pub(super) fn errors(&self) -> &str {
        &self.errors
    }

    /// Whether no line says anything.
    pub(super) fn is_silent(&self) -> bool {
        let says = |line: &str| {
            let line = line.trim();
            !line.is_empty() && !line.starts_with("exit status ") && !line.starts_with("coverage: ")
        };
        !self.head.lines().chain(self.tail.lines()).any(says)
    }
}

/// Whether a line is one that the testing framework puts around what tests print.
fn is_frame(line: &str) -> bool {
    let line = line.trim();
    match line.as_bytes() {
        [b'=', b'=', b'=', b' ', ..] => ["RUN", "PAUSE", "CONT", "NAME", "ATTR", "ARTIFACTS", "FUZZ"]
            .iter()
            .any(|word| line[4..].starts_with(word)),
        [b'-', b'-', b'-', b' ', ..] => {
            ["FAIL: ", "PASS: ", "SKIP: ", "BENCH: "].iter().any(|word| line[4..].starts_with(word))
        }
        _ => line == "FAIL" || line == "PASS" || line.starts_with("FAIL\t") && !line.ends_with(']'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_what_was_printed_is_kept_as_well_as_its_beginning() {
        let mut running = Running::default();
        for line in 0..10_000 {
            running.print_test("p", "A", &format!("line {line}\n"), false);
        }
        let whole = running.end_test("p", "A").printed.whole();
        assert!(whole.starts_with("line 0\nline 1\n") && whole.ends_with("line 9998\nline 9999\n"));
        assert!(whole.contains("\n…\n") && whole.len() <= OUTPUT_BYTES_MAX + 4);
    }

    #[test]
    fn all_that_runs_is_held_within_one_bound() {
        let mut running = Running::default();
        let log = format!("{}\n", "x".repeat(100)).repeat(500);
        for test in 0..50_000 {
            let name = format!("Test{test}");
            running.begin_test("p", &name);
            running.print_test("p", &name, if test % 100 == 0 { &log } else { "a line\n" }, false);
        }
        let tests = &running.packages["p"].tests;
        let printed: usize = tests.values().map(|test| test.printed.bytes()).sum();
        assert!(printed <= PRINTED_BYTES_MAX && tests.len() * ENTRY_BYTES <= NAMES_BYTES_MAX);
        assert_eq!(running.room.printed, PRINTED_BYTES_MAX - printed);
        // What is over gives its room back.
        running.end_package("p");
        assert_eq!((running.room.printed, running.room.names), (PRINTED_BYTES_MAX, NAMES_BYTES_MAX));
    }

    #[test]
    fn a_build_belongs_to_its_package_and_its_tests() {
        for path in ["a/b", "a/b [a/b.test]", "a/b_test [a/b.test]", "lib [a/b.test]"] {
            assert!(is_build_of(path, "a/b"), "{path}");
        }
        assert!(!is_build_of("a/b [a/c.test]", "a/c.test") && !is_build_of("a/bc", "a/b"));
    }
}
