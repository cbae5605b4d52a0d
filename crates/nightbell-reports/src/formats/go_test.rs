//! The lines of `go test -json`, each an event, as <https://pkg.go.dev/cmd/test2json> and `go help buildjson` describe
//! them; and of what the tool prints besides, the packages that could not be built.
//!
//! A result is an event that says that a test failed, each one by itself, however often a test is run, and also that of
//! a test which failed only because of those inside of it: Go counts it. A package that failed is one if no test of it did, if a test of it
//! never ended, or if it says something grave of its own.

mod event;
mod running;
#[cfg(test)]
mod tests;

use self::event::Event;
use self::running::{Package, Printed, Running, Test};
use crate::case::{Case, Ending, Failure, OUTPUT_BYTES_MAX, Output, Trouble, push_bounded};
use crate::fault::{Fault, Place, Unfit};
use crate::format::Format;
use crate::lines::Lines;
use crate::names::{path, tidy};
use crate::sink::Sink;
use crate::source::Source;
use crate::time::Stamp;

/// How much of a time is the same for a second, in bytes.
const SECOND_BYTES: usize = "2026-11-27T14:52:41".len();

/// How many tests that never ended are named in a message.
const NAMED_MAX: usize = 3;

/// How many of them are told with what they printed.
const TOLD_MAX: usize = 50;

/// Gives each result.
pub(crate) fn read(source: &Source, sink: &mut Sink<'_>) -> Result<Option<Place>, Unfit> {
    let mut lines = Lines::open(source)?;
    let mut reader = Reader::new(sink);
    while !reader.sink.is_stopped() {
        reader.line = lines.number() + 1;
        let Some(line) = lines.next() else { break };
        reader.take(line);
    }
    if reader.sink.is_stopped() {
        return Ok(None);
    }
    reader.line = lines.number();
    reader.sink.damage(lines.broken());
    reader.end()
}

struct Reader<'s, 'a> {
    sink: &'s mut Sink<'a>,
    running: Running,
    /// The number of the current line.
    line: u64,
    has_text: bool,
    has_event: bool,
    /// The package whose result came last.
    ended: String,
    /// What the tool printed, save for what it says of one package.
    loose: String,
    /// The package of which the tool speaks.
    built: Option<String>,
    odd: Option<Place>,
    /// The time that was read last, and as it is written.
    stamp: (String, Stamp),
}

impl<'s, 'a> Reader<'s, 'a> {
    fn new(sink: &'s mut Sink<'a>) -> Self {
        Self {
            sink,
            running: Running::default(),
            line: 0,
            has_text: false,
            has_event: false,
            ended: String::new(),
            loose: String::new(),
            built: None,
            odd: None,
            stamp: Default::default(),
        }
    }

    fn take(&mut self, line: &str) {
        self.has_text |= !line.trim().is_empty();
        let Some(at) = event::beginning(line) else { return self.plain(line) };
        if !line[..at].trim().is_empty() {
            self.plain(&line[..at]);
        }
        if let Err(problem) = event::each(&line[at..], &mut |event| self.event(event)) {
            let problem = format!("an event that is not JSON: {problem}");
            self.odd.get_or_insert_with(|| Place { line: self.line, fault: Fault::odd(&problem) });
        }
    }

    fn event(&mut self, event: &Event<'_>) {
        match &*event.action {
            // A line of another tool's log.
            "" => return,
            "build-output" => self.running.print_build(&event.import_path, &event.output),
            "build-fail" => self.fail_build(event),
            _ if event.test.is_empty() => self.package_event(event),
            _ => self.test_event(event),
        }
        self.has_event = true;
    }

    fn fail_build(&mut self, event: &Event<'_>) {
        if !self.running.fail_build(&event.import_path) {
            self.failed_build(&event.import_path, "");
        }
    }

    fn package_event(&mut self, event: &Event<'_>) {
        let package = &*event.package;
        match (&*event.action, Ending::of_word(&event.action)) {
            ("start", _) => {
                self.begin_again(package);
                self.running.begin_package(package);
            }
            (_, Some(Ending::Failed | Ending::Error)) => self.fail_package(event, None),
            (_, Some(Ending::Passed | Ending::Skipped | Ending::Flaky)) => drop(self.end_package(package)),
            // After its result, what it prints begins nothing new.
            (_, None) if event.output.is_empty() || package == self.ended => {}
            (_, None) => self.running.print_package(package, &event.output),
        }
    }

    fn begin_again(&mut self, package: &str) {
        if self.ended == package {
            self.ended.clear();
        }
    }

    fn end_package(&mut self, name: &str) -> Package {
        name.clone_into(&mut self.ended);
        self.running.end_package(name)
    }

    fn test_event(&mut self, event: &Event<'_>) {
        let (package, test) = (&*event.package, &*event.test);
        self.begin_again(package);
        match &*event.action {
            "run" => {
                if !self.running.begin_test(package, test) {
                    let fault = Fault::ends_before(&format!("the result of `{test}`"));
                    self.odd.get_or_insert(Place { line: self.line, fault });
                }
            }
            "pause" | "cont" => self.running.pause_test(package, test, event.action == "pause"),
            "bench" => self.end_test(event, Ending::Passed),
            "output" => self.output(event),
            action => match Ending::of_word(action) {
                Some(ending) => self.end_test(event, ending),
                // Whatever else happens to it, what it says then counts.
                None => self.output(event),
            },
        }
    }

    fn output(&mut self, event: &Event<'_>) {
        if !event.output.is_empty() && event.output_type != "frame" {
            let is_error = event.output_type.starts_with("error");
            self.running.print_test(&event.package, &event.test, &event.output, is_error);
        }
    }

    fn end_test(&mut self, event: &Event<'_>, ending: Ending) {
        let (package, name) = (&*event.package, &*event.test);
        let test = self.running.end_test(package, name);
        let mut case = self.case(package, name, ending, &event.time);
        if ending.is_bad() {
            self.running.fail_test(package, name);
            case.trouble = trouble(&test.printed);
            if test.has_failed_inside && test.printed.is_silent() && test.inside.is_empty() {
                case.trouble.note("a test inside of it failed".to_owned());
            }
        }
        self.sink.case(case);
    }

    fn case(&mut self, package: &str, name: &str, ending: Ending, time: &str) -> Case {
        let stamp = self.stamp(time, ending.is_bad());
        Case { suite: self.running.suite(package), name: tidy(name), ending, stamp, ..Case::default() }
    }

    /// A time; unless it has to be exact, the one that was read last, if that is of the same second: it takes long to
    /// read, and what passed needs it only to be put in order.
    fn stamp(&mut self, time: &str, is_exact: bool) -> Stamp {
        let (last, stamp) = &mut self.stamp;
        let is_near = last.get(..SECOND_BYTES).is_some_and(|seconds| time.starts_with(seconds));
        if is_exact || !is_near {
            time.clone_into(last);
            *stamp = Stamp::read(time);
        }
        stamp.clone()
    }

    /// A package failed, as an event says, or a line that is none. `why`: what that line gives as the reason.
    fn fail_package(&mut self, event: &Event<'_>, why: Option<&str>) {
        let name = &*event.package;
        let mut package = self.end_package(name);
        self.end_glued(event, &mut package);
        let unended = unended(&package);
        let printed = package.printed.whole();
        let why = why.or_else(|| bracketed(&printed));
        let is_build = why.is_some_and(|why| why.ends_with("failed"));
        if package.has_failed && unended.is_empty() && !is_build && grave_line(&printed).is_none() {
            return;
        }
        let is_build = is_build || !event.failed_build.is_empty();
        let mut trouble = if is_build {
            Trouble::of(self.running.build_failure(name, &event.failed_build, why))
        } else {
            trouble(&package.printed)
        };
        tell_unended(&mut trouble, &unended);
        let is_silent = trouble.is_empty();
        if let Some(failure) = trouble.failures.first_mut() {
            failure.kind = why.unwrap_or("the package failed, and no test of it did").to_owned();
        }
        if is_build || is_silent {
            trouble.print(Output::Error, &self.loose);
        }
        self.sink.case(of_package(name, &event.time, trouble));
    }

    /// Before Go 1.20 a result that stands behind what a test printed without a line's end is no event.
    fn end_glued(&mut self, event: &Event<'_>, package: &mut Package) {
        let mut ended = Vec::new();
        package.tests.retain(|name, test| {
            let result = glued(&test.printed.whole(), name);
            if let Some(ending) = result {
                ended.push((name.clone(), ending, trouble(&test.printed)));
            }
            result.is_none()
        });
        for (name, ending, trouble) in ended {
            package.has_failed |= ending.is_bad();
            let case = Case { trouble, ..self.case(&event.package, &name, ending, &event.time) };
            self.sink.case(case);
        }
    }

    fn failed_build(&mut self, import_path: &str, text: &str) {
        let failure = Failure { kind: "build failed".to_owned(), ..Failure::new("", text) };
        self.sink.case(of_package(import_path, "", Trouble::of(failure)));
    }

    /// A line of the tool itself.
    fn plain(&mut self, line: &str) {
        let line = line.trim_end();
        if let Some((package, why)) = failed_package(line) {
            self.has_event = true;
            self.built = None;
            self.fail_package(&Event { package: package.into(), ..Event::default() }, why);
        } else if let Some(package) = line.strip_prefix("# ") {
            self.built = Some(package.to_owned());
        } else if line.starts_with("go: ") || self.built.is_none() {
            let is_noise = line.is_empty() || line.starts_with("go: downloading ");
            if !is_noise && line != "FAIL" {
                push_bounded(&mut self.loose, line, OUTPUT_BYTES_MAX);
                push_bounded(&mut self.loose, "\n", OUTPUT_BYTES_MAX);
            }
        } else if let Some(package) = &self.built {
            self.running.print_build(package, &format!("{line}\n"));
        }
    }

    fn foreign(self) -> Place {
        let foreign = |line, problem: &str| Place { line, fault: Fault::foreign(Format::GoTest, problem) };
        match self.odd {
            Some(Place { line, fault }) => foreign(line, &fault.to_string()),
            None if self.has_text => foreign(1, "it has no event of a test"),
            None => Place { line: self.line.max(1), fault: Fault::Empty },
        }
    }

    fn end(mut self) -> Result<Option<Place>, Unfit> {
        if !self.has_event {
            return Err(self.foreign().into());
        }
        let untold: Vec<_> =
            self.running.untold_builds().map(|(path, text)| (path.to_owned(), text)).collect();
        for (import_path, text) in untold {
            self.failed_build(&import_path, &text);
        }
        let unended = self.running.unended().map(|(name, package)| {
            let running =
                package.tests.keys().next().map(|test| format!(", where `{test}` ran")).unwrap_or_default();
            let fault = Fault::ends_before(&format!("the result of `{name}`{running}"));
            Place { line: self.line, fault }
        });
        Ok(self.odd.or(unended))
    }
}

/// A package that failed by itself.
fn of_package(name: &str, time: &str, trouble: Trouble) -> Case {
    let shown = if name.is_empty() { "test run" } else { name };
    let suite = path(None, name).map(Into::into);
    Case { suite, stamp: Stamp::read(time), ..Case::error(tidy(shown), trouble) }
}

/// What went wrong, by what was printed: what the framework said is apart from what the test printed before.
fn trouble(printed: &Printed) -> Trouble {
    let whole = printed.whole();
    let mut trouble = Trouble::of(Failure::new("", printed.errors()));
    let mut output = whole.as_str();
    if printed.errors().trim() == whole.trim() {
        output = "";
    } else if printed.errors().trim().is_empty() {
        let before: usize = whole
            .split_inclusive('\n')
            .take_while(|line| !is_log(line) && !is_grave(line))
            .map(str::len)
            .sum();
        if before < whole.len() {
            trouble.failures = vec![Failure::new("", &whole[before..])];
            output = &whole[..before];
        }
    }
    trouble.print(Output::Standard, output);
    trouble
}

/// Whether a line is one of `t.Log` and `t.Error`: `    a_test.go:12: …`.
fn is_log(line: &str) -> bool {
    let Some(text) = line.strip_prefix("    ") else { return false };
    let Some((file, rest)) = text.trim_start().split_once(".go:") else { return false };
    let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    !file.contains(char::is_whitespace) && after.len() < rest.len() && after.starts_with(':')
}

/// Whether a line says that a whole program is at its end.
fn is_grave(line: &str) -> bool {
    const STARTS: &str =
        "panic: |fatal error: |WARNING: DATA RACE|signal: |testing: race detected|*** Test killed";
    STARTS.split('|').any(|start| line.starts_with(start))
}

fn grave_line(text: &str) -> Option<&str> {
    text.lines().find(|line| is_grave(line))
}

/// The tests of a package that never ended; of nested ones the innermost. Benchmarks say nothing when they end.
fn unended(package: &Package) -> Vec<(&str, &Test)> {
    let counts =
        |name: &str, test: &Test| !package.has_failed || test.has_begun && !name.starts_with("Benchmark");
    let tests = package.tests.iter().map(|(name, test)| (&**name, test));
    let tests: Vec<(&str, &Test)> = tests.filter(|(name, test)| counts(name, test)).collect();
    let has_inside = |name: &str| {
        let start = format!("{name}/");
        let at = tests.partition_point(|(other, _)| *other < start.as_str());
        tests.get(at).is_some_and(|(other, _)| other.starts_with(&start))
    };
    let mut unended: Vec<_> = tests.iter().copied().filter(|(name, _)| !has_inside(name)).collect();
    // Those that waited for others are the least to blame.
    unended.sort_by_key(|(_, test)| test.is_paused);
    unended
}

/// Names the tests that never ended, with what they printed.
fn tell_unended(trouble: &mut Trouble, unended: &[(&str, &Test)]) {
    if unended.is_empty() {
        return;
    }
    let names: Vec<&str> = unended.iter().take(NAMED_MAX).map(|(name, _)| *name).collect();
    let more = match unended.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let mut text = String::new();
    for (name, test) in unended.iter().take(TOLD_MAX) {
        push_bounded(&mut text, &format!("{name}:\n{}\n", test.printed.whole()), OUTPUT_BYTES_MAX);
    }
    let exit = || text.lines().find(|line| line.starts_with("exit status "));
    let reason = grave_line(&text).or_else(exit).map(|line| format!(": {line}")).unwrap_or_default();
    let message = format!("{}{more} never ended{reason}", names.join(", "));
    trouble.failures.insert(0, Failure::new(&message, &text));
    trouble.failures.retain(|failure| !failure.is_empty());
}

/// A result behind what a test printed.
fn glued(printed: &str, name: &str) -> Option<Ending> {
    let words = [("PASS", Ending::Passed), ("SKIP", Ending::Skipped), ("FAIL", Ending::Failed)];
    let said = |word: &str| printed.contains(&format!("--- {word}: {name} ("));
    words.into_iter().find(|(word, _)| said(word)).map(|(_, ending)| ending)
}

/// The package that a line of the tool says has failed, and why.
fn failed_package(line: &str) -> Option<(&str, Option<&str>)> {
    let rest = line.strip_prefix("FAIL").filter(|rest| rest.starts_with(['\t', ' ']))?;
    let why = bracketed(line);
    let is_told = rest.starts_with('\t') || why.is_some_and(|why| why.ends_with("failed"));
    let package = rest.split_whitespace().next()?;
    is_told.then_some((package, why))
}

/// The reason at the end of a line such as `FAIL a/b [build failed]`.
fn bracketed(text: &str) -> Option<&str> {
    let line = text.lines().find(|line| line.starts_with("FAIL") && line.ends_with(']'))?;
    line.strip_suffix(']')?.rsplit('[').next()
}
