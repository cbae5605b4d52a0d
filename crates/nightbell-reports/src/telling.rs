//! The one line of a failure that a person would read out: what went wrong, and not only that something did, or where.

use std::sync::LazyLock;

use regex_lite::Regex;

use crate::case::{Case, Failure, Trouble};
use crate::text::shortened;

/// The longest message, which is one line, in characters.
pub(crate) const MESSAGE_CHARS_MAX: usize = 1_000;

/// How many lines may follow one that only announces them.
const CONTINUED_MAX: usize = 4;

/// How many lines after one are looked at.
const FOLLOWING_MAX: usize = 12;

/// What begins the lines that tell what was wanted, and what there was instead; in lower case.
const EXPECTED: [&str; 1] = ["expected"];
const ACTUAL: [&str; 7] = ["got", "received", "actual", "but was", "but got", "found", "was:"];

/// How far a text is searched, in lines.
const LINES_MAX: usize = 2_000;

/// What says only that something failed; lower case, without marks at its ends, parted by bars.
const EMPTY_WORDS: &str = "\
    failed|failure|fail|failing|failures|error|errors|errored|exception|broken|test failed|test failure|\
    test error|test failed with error|tests failed|null|undefined|none|nil|false|true|not ok|ok|unknown|\
    unknown error|assertion failed|assertion error|assertionerror|assert|problem|n/a|message|output|stdout|\
    stderr|system-out|system-err|stack trace|stacktrace|stack|details|test suite failed to run|\
    testcodefailure|subtestsfailed|unhandledrejection|suite failed";

/// What a runner puts around what it has to say.
static FRAME: LazyLock<Regex> = LazyLock::new(|| {
    sound(concat!(
        r"^(?:not ok \d+.*|unknown file|=== (?:RUN|PAUSE|CONT|NAME) .*|--- (?:FAIL|PASS|SKIP): .*|FAIL(?:\s+\S+)?(?:\s+\[[^\]]*\])?|",
        r"● .*|thread '.*' (?:\([^)]*\) )?panicked at .*|\d+\) .*|Error Trace:.*|Test:\s.*|Messages:\s*|",
        r"Traceback \(most recent call last\):|During handling of the above exception.*|",
        r"#?\s*Failed test .*|\((?:in|from function .* in) test file .*|Failure/Error: .*|Stack(?: trace)?:|goroutine \d+ .*|",
        r"Test Name:.*|Test FullName:.*|Test Source:.*|Test Outcome:.*|Test Duration:.*|Result StackTrace:.*|",
        r"test_.*\(.*\) \.\.\. .*|(?:setUpClass|setUpModule|tearDownClass) .*|",
        r"\[?\d\d:\d\d:\d\d[\].,\d]*\]?)$",
    ))
});

/// A place in a source, or a call on the way there.
static PLACE: LazyLock<Regex> = LazyLock::new(|| {
    sound(concat!(
        r"^(?:(?:at|in|from)\s+\S.*[:(]\d+.*|at\s+[\w$.<>/]+\(.*\)|at\s+[\w$.<>]+|File .*, line \d+.*|",
        r"#?\s*at \S+ line \d+\.?|\.{3} \d+ more|(?:file://)?[\w./\\@+~%-]*[\w)]\.\w{1,5}[:(]\d+(?:[:,]\d+)*\)?:?|",
        r"(?:file://)?[\w./\\@+~%-]+\.\w{1,5}:\d+(?::\d+)?:?\s+(?:Failure|Error|in .*)|--> .*)$",
    ))
});

/// The name of an exception, and no more.
static TYPE_ALONE: LazyLock<Regex> =
    LazyLock::new(|| sound(r"^[\w.:$\\]*(?:Error|Exception|Failure|Failed):?$"));

/// The place before what is said.
static PLACE_BEFORE: LazyLock<Regex> = LazyLock::new(|| {
    sound(
        r"^(?:[\w./\\@+~%-]+\.(?:cc|cpp|cxx|c|h|hpp|rs|swift|m|mm|cs|fs|vb|kt|java|ex|exs):\d+(?::\d+)?:?\s+)",
    )
});

/// The number of one of several reasons.
static NUMBER_BEFORE: LazyLock<Regex> = LazyLock::new(|| sound(r"^\d+[.)] "));

/// What looks like the reason of a failure in what a test printed.
static REASON: LazyLock<Regex> = LazyLock::new(|| {
    sound(concat!(
        r"(?i)(?:error|fail|exception|panic|expected|assert|fatal|refused|timed? ?out|denied|cannot|can't|could not|",
        r"unable|not found|no such|not ok|abort|segmentation|mismatch|invalid|unexpected|missing)",
    ))
});

fn sound(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is sound")
}

impl Case {
    /// One line that says what went wrong.
    pub(crate) fn message(&self) -> Option<String> {
        let line = self.trouble.line(&self.name)?;
        Some(shortened(&line, MESSAGE_CHARS_MAX))
    }

    /// The long text: of each failure its own, with its message where that is no line of its own in the event; then what
    /// the test printed.
    pub(crate) fn details(&self) -> Option<String> {
        let mut parts: Vec<String> = match self.trouble.failures.as_slice() {
            [only] if only.message.trim().lines().count() <= 1 => vec![only.text.trim().to_owned()],
            all => all.iter().map(Failure::whole).collect(),
        };
        for (name, output) in ["standard output:", "standard error:"].iter().zip(&self.trouble.outputs) {
            if !output.trim().is_empty() {
                parts.push(format!("{name}\n{}", output.trim_end()));
            }
        }
        parts.retain(|part| !part.is_empty());
        (!parts.is_empty()).then(|| parts.join("\n\n"))
    }
}

impl Trouble {
    /// By all failures, then by what was printed; what says the least only if there is nothing else.
    fn line(&self, name: &str) -> Option<String> {
        let said = self.failures.iter().flat_map(|failure| [&failure.message, &failure.text]);
        let telling = self.failures.iter().find_map(|failure| failure.line(name));
        let [out, err] = &self.outputs;
        telling
            .or_else(|| [out, err].into_iter().find_map(|text| reason(text, name)))
            .or_else(|| [out, err].into_iter().find_map(|text| telling_line(text, name)))
            .or_else(|| self.failures.iter().find_map(|failure| some_line(&failure.kind)))
            .or_else(|| said.clone().find_map(|text| some_line(text)))
    }
}

impl Failure {
    /// By the message, with the values that the text may give where it repeats that; else by the text.
    fn line(&self, name: &str) -> Option<String> {
        let Some(line) = telling_line(&self.message, name) else { return telling_line(&self.text, name) };
        let lines: Vec<&str> = self.text.lines().take(LINES_MAX).collect();
        let at = lines.iter().position(|other| other.trim_end().ends_with(&line));
        Some(at.map_or_else(|| line.clone(), |at| continued(&line, &lines[at + 1..], name)))
    }

    fn whole(&self) -> String {
        let (message, text) = (self.message.trim(), self.text.trim());
        if message.is_empty() || says(text, message) {
            text.to_owned()
        } else {
            format!("{message}\n{text}").trim_end().to_owned()
        }
    }
}

/// Whether a text has a message in it already, or the message says nothing.
fn says(text: &str, message: &str) -> bool {
    text.contains(message) || !text.is_empty() && telling_line(message, "").is_none()
}

/// The first line that says something of the failure.
pub(crate) fn telling_line(text: &str, name: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().take(LINES_MAX).collect();
    let mut at = 0;
    while at < lines.len() {
        if lines[at].trim_start().starts_with("Traceback (most recent call last)") {
            at = after_traceback(&lines, at);
        }
        let line = lines.get(at)?;
        if let Some(told) = told(line, name) {
            return Some(continued(told, &lines[at + 1..], name));
        }
        at += 1;
    }
    None
}

/// Where Python's traceback ends: at the first line that is not indented, which names the exception.
fn after_traceback(lines: &[&str], at: usize) -> usize {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let own = indent(lines[at]);
    let rest = lines[at + 1..].iter().position(|line| !line.trim().is_empty() && indent(line) <= own);
    rest.map_or(lines.len(), |rest| at + 1 + rest)
}

/// What a line says; none: nothing.
fn told<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let line = line.trim();
    let line = line.strip_prefix("# ").unwrap_or(line).trim_start();
    // What pytest and Rust put before the lines that matter.
    let line = line.strip_prefix("E  ").map_or(line, str::trim_start);
    let line = PLACE_BEFORE.find(line).map_or(line, |place| &line[place.end()..]);
    let line =
        line.strip_prefix("Error:").map(str::trim).filter(|rest| rest.starts_with("Not ")).unwrap_or(line);
    let bare = line.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    let is_empty = bare.is_empty() || EMPTY_WORDS.split('|').any(|word| word == bare);
    // An exception's name alone says what, and not why.
    let is_empty = is_empty || TYPE_ALONE.is_match(line);
    let is_name =
        !name.is_empty() && (line == name || line.ends_with(&format!("::{name}")) || is_heading(line, name));
    (!is_empty && !is_name && !FRAME.is_match(line) && !PLACE.is_match(line)).then_some(line)
}

/// PHPUnit's text begins with a line that only repeats the test's name, with its data.
fn is_heading(line: &str, name: &str) -> bool {
    line.find("::").is_some_and(|at| line[at + 2..].starts_with(name))
}

/// A line that only announces what follows, with that: `Expected:`, then the value.
fn continued(line: &str, rest: &[&str], name: &str) -> String {
    let following: Vec<&str> =
        rest.iter().take(FOLLOWING_MAX).filter_map(|line| told_value(line, name)).collect();
    let diff = following.iter().position(|line| is_diff(line)).unwrap_or(following.len());
    let following = &following[..diff];
    if line.ends_with(':') || line.starts_with("Value of:") {
        let parts = following.iter().take(CONTINUED_MAX).take_while(|part| !PLACE.is_match(part));
        let parts = parts.copied().collect::<Vec<_>>().join(" · ");
        return format!("{line} {parts}").trim_end().to_owned();
    }
    let starts = |line: &str, words: &[&str]| {
        let line = line.to_lowercase();
        words.iter().any(|word| line.starts_with(word))
    };
    if starts(line, &EXPECTED) {
        let other = following.first().filter(|other| starts(other, &ACTUAL));
        return other.map_or_else(|| line.to_owned(), |other| format!("{line}, {other}"));
    }
    // Jest, Playwright and xUnit tell the values in lines of their own.
    let values: Vec<_> = following
        .iter()
        .filter(|line| starts(line, &EXPECTED) || starts(line, &ACTUAL))
        .take(2)
        .copied()
        .collect();
    if values.len() < 2 || !line.contains(['(', ')']) {
        line.to_owned()
    } else {
        format!("{line}: {}", values.join(", "))
    }
}

/// Where a comparison by lines begins, which repeats the values.
fn is_diff(line: &str) -> bool {
    line.starts_with("+ expected")
        || line.starts_with("- Expected")
        || line.starts_with("--- ")
        || line.starts_with("@@ ")
}

/// What a line says that follows another one: a value, which may be a number alone.
fn told_value<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let bare = line.trim().strip_prefix("E  ").map_or(line.trim(), str::trim);
    let bare = NUMBER_BEFORE.find(bare).map_or(bare, |number| &bare[number.end()..]);
    let is_marks = !bare.contains(char::is_alphanumeric);
    (!is_marks && bare != name && !FRAME.is_match(bare)).then_some(bare)
}

/// The first line of an output that looks like the reason.
fn reason(text: &str, name: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().take(LINES_MAX).collect();
    let at = lines.iter().position(|line| told(line, name).is_some_and(|line| REASON.is_match(line)))?;
    telling_line(&lines[at..].join("\n"), name)
}

/// The first line that is not blank, or a row of marks.
fn some_line(text: &str) -> Option<String> {
    let line = text.lines().map(str::trim).find(|line| line.contains(char::is_alphanumeric))?;
    Some(line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: &str) {
        assert_eq!(telling_line(text, "t").unwrap_or_default(), want, "{text}");
    }

    #[test]
    fn what_says_only_that_something_failed_is_passed_over() {
        for empty in [
            "Failed",
            "failed",
            " FAILURE! ",
            "AssertionError",
            "Error:",
            "--------",
            "***",
            "",
            "null",
            "test failure",
            "t",
        ] {
            check(&format!("{empty}\nthe reason"), "the reason");
            check(empty, "");
        }
        check("Failed to pay", "Failed to pay");
    }

    #[test]
    fn a_place_alone_says_nothing() {
        for place in [
            "gt.cc:4",
            "cart_test.cc:4:",
            "/srv/a.js:3:5",
            "at login.js:3",
            "    at Object.<anonymous> (/srv/a.test.js:3:5)",
            "at com.example.Shop.pay(Shop.java:12)",
            "File \"a.py\", line 3, in pay",
            "a_test.cc:12: Failure",
            "#   at t/a.t line 5.",
            "--> src/lib.rs:3:4",
        ] {
            check(&format!("{place}\nthe reason"), "the reason");
        }
        check("a_test.go:12: 90, want 80", "a_test.go:12: 90, want 80");
        check("src/a.rs:3:4: no order", "no order");
    }

    #[test]
    fn what_a_runner_puts_around_says_nothing() {
        check(
            "=== RUN   TestA\n    a_test.go:12: 90, want 80\n--- FAIL: TestA (0.00s)",
            "a_test.go:12: 90, want 80",
        );
        check("=== RUN   TestA\n--- FAIL: TestA (0.00s)\n", "");
        check("thread 'a::b' (7) panicked at src/lib.rs:1:2:\nno order", "no order");
        check("  ● Test suite failed to run\n\n    Cannot find it", "Cannot find it");
        check("#   Failed test 'pays'\n#   at t/a.t line 5.\n#          got: '90'", "got: '90'");
    }

    #[test]
    fn a_traceback_tells_its_exception() {
        let text = "Traceback (most recent call last):\n  File \"a.py\", line 3, in pay\n    raise Broke()\nshop.Broke: no money";
        check(text, "shop.Broke: no money");
    }

    #[test]
    fn a_line_that_announces_values_is_read_with_them() {
        check(
            "Expected equality of these values:\n  90\n  80\nthe discount is wrong\na.cc:5",
            "Expected equality of these values: 90 · 80 · the discount is wrong",
        );
        check(
            "Expected values to be strictly equal:\n\n90 !== 80\n",
            "Expected values to be strictly equal: 90 !== 80",
        );
        check("expected: 80\n     got: 90\n\n(compared using ==)", "expected: 80, got: 90");
        check(
            "Error: expect(received).toBe(expected) // Object.is equality\n\nExpected: 80\nReceived: 90\n",
            "Error: expect(received).toBe(expected) // Object.is equality: Expected: 80, Received: 90",
        );
        check("Expected: it", "Expected: it");
    }

    fn case(failures: &[(&str, &str)], outputs: [&str; 2]) -> Case {
        let failures = failures.iter().map(|(message, text)| Failure::new(message, text)).collect();
        let outputs = outputs.map(str::to_owned);
        Case { name: "pays".into(), trouble: Trouble { failures, outputs }, ..Case::default() }
    }

    #[test]
    fn all_that_a_case_says_is_searched_in_order() {
        let message =
            |failures: &[(&str, &str)], outputs| case(failures, outputs).message().unwrap_or_default();
        assert_eq!(message(&[("one", "two")], ["three", ""]), "one");
        assert_eq!(message(&[("", "two")], ["three", ""]), "two");
        assert_eq!(message(&[("", ""), ("second", "")], ["three", ""]), "second");
        assert_eq!(
            message(&[("Failed", "")], ["Starting\nexpected 90 got 80", "trace"]),
            "expected 90 got 80"
        );
        assert_eq!(message(&[("", "")], ["Starting", "Error: refused"]), "Error: refused");
        assert_eq!(message(&[("", "")], ["Starting", "more"]), "Starting");
        assert_eq!(message(&[("Failed", "")], ["", ""]), "Failed");
        assert_eq!(message(&[], ["", ""]), "");
    }

    #[test]
    fn the_details_have_all_failures_and_what_was_printed() {
        let details =
            |failures: &[(&str, &str)], outputs| case(failures, outputs).details().unwrap_or_default();
        assert_eq!(details(&[("m", "")], ["", ""]), "");
        assert_eq!(details(&[("m", "text m")], ["", ""]), "text m");
        assert_eq!(details(&[("m", "text")], ["", ""]), "text");
        assert_eq!(details(&[("Failed", "text")], ["", ""]), "text");
        assert_eq!(details(&[("one\ntwo", "")], ["", ""]), "one\ntwo");
        assert_eq!(
            details(&[("a", "one"), ("b", "two")], ["out\n", "err"]),
            "a\none\n\nb\ntwo\n\nstandard output:\nout\n\nstandard error:\nerr"
        );
    }
}
