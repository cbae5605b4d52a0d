//! What TAP gives, of real runs and of odd ones.

use std::fmt::Write as _;

use super::*;
use crate::case::TEXT_BYTES_MAX;
use crate::testing::{self, real};

/// The results of a report, and where it is damaged.
fn cases(text: impl AsRef<[u8]>) -> (Vec<Case>, Option<Place>) {
    told(text).expect("it is a report")
}

fn told(text: impl AsRef<[u8]>) -> Result<(Vec<Case>, Option<Place>), Unfit> {
    testing::read_text(read, text.as_ref())
}

/// What failed, each as `ending: suite | name: message`, and at the end the damage, if there is any.
fn failing(text: impl AsRef<[u8]>) -> Vec<String> {
    let (cases, damage) = cases(text);
    let shown = |case: &Case| {
        let (suite, message) =
            (case.suite.as_deref().unwrap_or_default(), case.message().unwrap_or_default());
        format!("{:?}: {suite} | {}: {message}", case.ending, case.name)
    };
    let failing = cases.iter().filter(|case| case.ending.is_bad()).map(shown);
    failing.chain(damage.map(|place| place.to_string())).collect()
}

/// The only result of a line, behind a plan of one.
#[track_caller]
fn one(line: &str) -> Case {
    let (mut cases, damage) = cases(format!("1..1\n{line}\n"));
    assert_eq!((cases.len(), damage), (1, None), "{line}");
    cases.remove(0)
}

#[test]
fn real_runs_give_what_failed() {
    assert_eq!(
        failing(real("node/report.tap")),
        [
            "Failed:  | /srv/shop/broken.test.js: Error: Cannot find module './is-not-there'",
            "Failed: basket | gives a discount: the discount is wrong",
            "Failed: basket | divides: division by zero",
            "Failed:  | converts: USD rate missing",
            "Failed: database | stores the order: test did not finish before its parent and was cancelled",
            "Error:  | database: the database does not answer",
            "Failed: checkout | charges it: Expected values to be strictly equal: + actual - expected · + 'declined' · \
         - 'accepted'",
            "Failed: basket | adds up: Expected values to be strictly deep-equal: + actual - expected · 1, · +   2 · -   3",
        ]
    );
    assert_eq!(
        failing(real("perl/report.tap")),
        [
            "Failed:  | gives a discount: expected: '80', got: '90'",
            "Failed:  | divides: expected: '0', got: 'Illegal division by zero at lib/Shop.pm line 8.",
            "Failed:  | converts: USD rate missing",
            "Failed: checkout | charges it: expected: 'accepted', got: 'declined'",
            "Failed:  | a # sign and <angles> & more: Structures begin differing at: $got->[1]{a} = '2' · \
         $expected->[1]{a} = '3'",
            "Failed:  | test 11: Failed test at t/shop.t line 30.",
        ]
    );
    let bats = failing(real("bats/report.tap"));
    assert_eq!(
        bats.iter().map(|line| line.split(": ").nth(1).unwrap()).collect::<Vec<_>>(),
        [
            " | setup_file failed",
            " | gives a discount",
            " | divides",
            " | is not there",
            " | converts",
            " | adds up",
            " | counts",
        ]
    );
    assert_eq!(bats[3], "Failed:  | is not there: `is_not_there' failed with status 127");
}

#[test]
fn real_runs_give_as_many_as_were_counted() {
    let counts = String::from_utf8(real("counts.tsv")).unwrap();
    for file in ["node/report.tap", "perl/report.tap", "bats/report.tap"] {
        let row = counts.lines().find(|row| row.starts_with(file)).unwrap();
        let counted: usize = row.split('\t').nth(1).unwrap().parse().unwrap();
        assert_eq!(failing(real(file)).len(), counted, "{file}");
    }
}

#[test]
fn only_tap_is_taken_for_tap() {
    for line in [
        "TAP version 13",
        "TAP version 14",
        "KTAP version 1",
        "1..5",
        "1..0 # skip no network",
        "ok",
        "not ok",
        "ok 1",
        "ok 1 adds",
        "not ok 12 - adds",
        "ok - adds",
        "not ok - adds",
        "ok 3 # SKIP",
        "ok\t1",
    ] {
        assert!(is_tap(line), "{line}");
    }
    for line in [
        "",
        "ok then",
        "ok, 3 of them",
        "okay 1",
        "not ok then",
        "ok  \texample.com/shop\t0.1s",
        "ok 3D printing",
        "ok: 1",
        "1..",
        "1..x",
        "1...5",
        "1..5 apples",
        "TAP is a format",
        " ok 1",
        "# ok 1",
        "not 1",
        "{\"ok\":1}",
    ] {
        assert!(!is_tap(line), "{line}");
    }
}

#[test]
fn a_point_has_a_name_and_an_ending() {
    #[track_caller]
    fn check(line: &str, ending: Ending, name: &str) {
        let case = one(line);
        assert_eq!((case.ending, case.name.as_str()), (ending, name), "{line}");
        assert_eq!((case.suite, case.class, case.file, case.attempt), (None, None, None, None), "{line}");
    }
    check("ok 1 - adds up", Ending::Passed, "adds up");
    check("ok 1 adds up", Ending::Passed, "adds up");
    check("ok - adds up", Ending::Passed, "adds up");
    check("ok", Ending::Passed, "test 1");
    check("not ok", Ending::Failed, "test 1");
    check("not ok 1", Ending::Failed, "test 1");
    check("not ok 1 -", Ending::Failed, "test 1");
    check("not ok 3D printing", Ending::Failed, "3D printing");
    check("not ok 1 - a-b - c", Ending::Failed, "a-b - c");
    check("not ok 1 - a \\# b \\\\ c\\d", Ending::Failed, "a # b \\ c\\d");
    check("not ok 1 - begin 1 adds up", Ending::Failed, "adds up");
    check("not ok 1 - begin 4 letters", Ending::Failed, "begin 4 letters");
    check("not ok 1 - adds up # TODO later", Ending::Skipped, "adds up");
    check("not ok 1 - adds up # todo", Ending::Skipped, "adds up");
    check("not ok 1 - adds up #TODO: later", Ending::Skipped, "adds up");
    check("ok 1 - adds up # TODO later", Ending::Passed, "adds up");
    check("ok 1 - adds up # SKIP not here", Ending::Skipped, "adds up");
    check("not ok 1 - adds up # Skipped: not here", Ending::Skipped, "adds up");
    check("ok 1 # skip not here", Ending::Skipped, "test 1");
    // What only looks like a directive lets a failure stand.
    check("not ok 1 - adds up \\# TODO", Ending::Failed, "adds up # TODO");
    check("not ok 1 - page.html#skip", Ending::Failed, "page.html#skip");
    check("not ok 1 - issue #12", Ending::Failed, "issue #12");
    check("not ok 1 - asks # todoist", Ending::Failed, "asks # todoist");
    check("not ok 1 - a # b # TODO later", Ending::Skipped, "a # b");
    check("not ok 1 - a \\\\\\# TODO", Ending::Failed, "a \\# TODO");
}

#[test]
fn a_time_is_no_part_of_a_name() {
    for note in ["# time=12.3ms", "# in 12 ms", "# timeout after 5 s", "# TIMEOUT 45 seconds", "# exit=1"] {
        let case = one(&format!("not ok 1 - adds up {note}"));
        assert_eq!((case.ending, case.name.as_str()), (Ending::Failed, "adds up"), "{note}");
    }
    assert_eq!(one("not ok 1 adds up in 12ms").name, "adds up");
    assert_eq!(one("not ok 1 - answers in 12ms").name, "answers in 12ms");
    assert_eq!(one("not ok 1 - adds up # timeout after 5 s").message().unwrap(), "timeout after 5 s");
    assert_eq!(one("not ok 1 - adds up # time=5ms # TODO later").ending, Ending::Skipped);
}

#[test]
fn sub_tests_are_in_the_suites_that_are_named_before_or_behind_them() {
    let commented = "
# Subtest: outer
    # Subtest: inner
        not ok 1 - a
        1..1
    not ok 1 - inner
    not ok 2 - b
    1..2
not ok 1 - outer
1..1";
    let want = ["Failed: outer > inner | a: ", "Failed: outer | b: "];
    assert_eq!(failing(commented), want);
    let bare: String = commented
        .lines()
        .filter(|line| !line.contains("Subtest"))
        .fold(String::new(), |all, line| all + line + "\n");
    assert_eq!(failing(bare), want);
    let perl_of_old = "
    # Subtest: outer
        # Subtest: inner
        not ok 1 - a
        1..1
    not ok 1 - inner
    not ok 2 - b
    1..2
not ok 1 - outer
1..1";
    assert_eq!(failing(perl_of_old), want);
    let buffered = "
not ok 1 - outer # time=5ms {
    not ok 1 - inner {
        not ok 1 - a
        1..1
    }
    not ok 2 - b
    1..2
}
1..1";
    assert_eq!(failing(buffered), want);
    let kernel = "
KTAP version 1
1..1
  KTAP version 1
  # Subtest: outer
  1..2
    KTAP version 1
    1..1
    not ok 1 a
  not ok 1 inner
  not ok 2 b
not ok 1 outer";
    assert_eq!(failing(kernel), want);
    let at_once = "
        not ok 1 - a
        1..1
    not ok 1 - inner
    not ok 2 - b
    1..2
not ok 1 - outer
1..1";
    assert_eq!(failing(at_once), want);
}

#[test]
fn a_name_of_its_own_is_that_of_the_next_sub_tests_only() {
    let report = "
# Subtest: a leaf
not ok 1 - a leaf
    not ok 1 - x
    1..1
not ok 2 - parent
# Subtest
    not ok 1 - y
    1..1
not ok 3
1..3";
    assert_eq!(failing(report), ["Failed:  | a leaf: ", "Failed: parent | x: ", "Failed:  | y: "]);
}

#[test]
fn a_parent_is_a_result_if_it_failed_by_itself() {
    let parent = |inside: &str, said: &str| {
        failing(format!("# Subtest: p\n    {inside}\n    1..1\nnot ok 1 - p\n{said}\n1..1\n"))
    };
    let none: [&str; 1] = ["Failed: p | a: "];
    assert_eq!(parent("not ok 1 - a", ""), none);
    assert_eq!(parent("not ok 1 - a", "#   Failed test 'p'\n#   at t/a.t line 27."), none);
    assert_eq!(
        parent("not ok 1 - a", "  ---\n  failureType: 'subtestsFailed'\n  error: '1 subtest failed'\n  ..."),
        none
    );
    assert_eq!(parent("not ok 1 - a", "  ---\n  fail: 1\n  ..."), none);
    assert_eq!(
        parent("not ok 1 - a", "  ---\n  failureType: 'hookFailed'\n  error: 'no database'\n  ..."),
        ["Failed: p | a: ", "Error:  | p: no database"]
    );
    assert_eq!(parent("not ok 1 - a", "# and the clean-up died")[1], "Error:  | p: and the clean-up died");
    assert_eq!(parent("ok 1 - a", ""), ["Error:  | p: "]);
    assert_eq!(parent("not ok 1 - a # TODO", ""), ["Error:  | p: "]);
    // A failure inside counts, whatever its parent says.
    assert_eq!(failing("    not ok 1 - a\n    1..1\nok 1 - p\n1..1"), none);
    assert_eq!(failing("    not ok 1 - a\n    1..1\nnot ok 1 - p # TODO\n1..1"), none);
}

#[test]
fn tests_that_are_missing_are_a_result() {
    assert_eq!(failing("1..5\nok 1\nok 2\nok 3\n"), ["Error:  | test run: planned 5 tests, 3 ran"]);
    assert_eq!(failing("ok 1\n1..2\n"), ["Error:  | test run: planned 2 tests, 1 ran"]);
    assert_eq!(failing("1..1\n"), ["Error:  | test run: planned 1 test, 0 ran"]);
    assert_eq!(failing("1..2\nok 1\nok 2\nok 3\n"), ["Error:  | test run: planned 2 tests, 3 ran"]);
    assert_eq!(
        failing("1..3\nok 2\nok 4\nok 1\n"),
        ["Error:  | test run: planned 3 tests, and number 4 ran"]
    );
    assert_eq!(
        failing("1..99999999999999999999999\nok 1\n"),
        ["Error:  | test run: planned 18446744073709551615 tests, 1 ran"]
    );
    assert!(failing("1..3\nok 2\nok 3\nok 1\n").is_empty());
    assert!(failing("1..5\nok\nok\nok\nok\nok\n").is_empty());
    assert!(failing("1..0 # skip no network\n").is_empty() && failing("1..0\n").is_empty());
    let inside = "# Subtest: p\n    1..3\n    ok 1\n    # died\nnot ok 1 - p\n#   Failed test 'p'\n1..1\n";
    assert_eq!(failing(inside), ["Error: p | p: planned 3 tests, 1 ran"]);
    let case = &cases("1..2\nok 1\n# the shelf is shut\n# Looks like you planned 2 tests but ran 1.\n").0[1];
    assert_eq!(case.details().unwrap(), "the shelf is shut");
    // A set-up that failed stands for the tests of its file.
    assert_eq!(failing("1..4\nnot ok 1 setup_file failed\nok 4 a\n"), ["Failed:  | setup_file failed: "]);
    assert_eq!(failing("1..4\nok 1 a\nnot ok 2 setup_file failed\n"), ["Failed:  | setup_file failed: "]);
    assert_eq!(
        failing("1..2\nok 1 a\nnot ok 2 teardown_file failed\nok 2 b\n"),
        ["Failed:  | teardown_file failed: "]
    );
    assert_eq!(failing("1..4\nnot ok 1 setup_file failed\nok 3 a\n").len(), 2);
}

#[test]
fn a_report_without_a_plan_is_cut_off() {
    assert_eq!(failing("ok 1\nnot ok 2 - a\n"), ["Failed:  | a: ", "line 2: it ends before its plan"]);
    assert_eq!(failing("TAP version 14\n"), ["line 1: it ends before its plan"]);
    assert_eq!(failing("    not ok 1 - a\n    1..1\n"), ["Failed:  | a: "]);
}

#[test]
fn bailing_out_is_a_result() {
    assert_eq!(failing("1..9\nok 1\nBail out! no \\# database\n"), ["Error:  | test run: no # database"]);
    assert_eq!(failing("ok 1\nbail out!\n"), ["Error:  | test run: Bail out!"]);
    let inside = "# Subtest: p\n    1..9\n    ok 1\n    Bail out!  no database\nBail out!  no database\n";
    assert_eq!(failing(inside), ["Error: p | p: no database"]);
    let two = "1..2\nBail out! one\nTAP version 13\n1..2\nok 1\nBail out! one\n";
    assert_eq!(failing(two), ["Error:  | test run: one", "Error:  | test run: one"]);
}

#[test]
fn streams_that_are_put_together_are_read_one_after_the_other() {
    let first = [
        "TAP version 13\n1..2\nok 1\nnot ok 2 - a\n",
        "1..2\nok 1\nnot ok 2 - a\n",
        "ok 1\nnot ok 2 - a\n1..2\n",
    ];
    let second = [
        "TAP version 13\n1..3\nok 1\nok 2\nnot ok 3 - b\n",
        "1..3\nok 1\nok 2\nnot ok 3 - b\n",
        "ok 1\nok 2\nnot ok 3 - b\n1..3\n",
    ];
    for first in first {
        for second in second {
            assert_eq!(
                failing([first, second].concat()),
                ["Failed:  | a: ", "Failed:  | b: "],
                "{first}{second}"
            );
            assert_eq!(failing(["1..0 # skip\n", second].concat()), ["Failed:  | b: "], "{second}");
        }
    }
    // The first is cut off.
    assert_eq!(failing("1..5\nok 1\n1..1\nok 1\n"), ["Error:  | test run: planned 5 tests, 1 ran"]);
    assert_eq!(
        failing("not ok 1 - a\nTAP version 13\n1..1\nok 1\n"),
        ["Failed:  | a: ", "line 2: it ends before its plan"]
    );
    // A plan in the middle is no end.
    assert!(failing("ok 1\n1..3\nok 2\nok 3\n").is_empty());
    assert_eq!(failing("1..2\nok\nok\n1..2\nok\nnot ok - b\n"), ["Failed:  | b: "]);
}

#[test]
fn what_prove_prints_around_tells_the_file_and_what_failed_besides() {
    let report = "t/a.t ..
the database does not answer
Dubious, test returned 255 (wstat 65280, 0xff00)
No subtests run
t/b.t ......
1..1
ok 1 - adds up
ok
t/c.t ...... skipped: not before spring
t/d.t ......
1..2
not ok 1 - adds up
ok 2 - counts
Dubious, test returned 1 (wstat 256, 0x100)
Failed 1/2 subtests
t/e.t ..
1..1
ok 1
# Looks like your test exited with 3 just after 1.
Dubious, test returned 3 (wstat 768, 0x300)

Test Summary Report
";
    let (cases, damage) = cases(report);
    let bad = cases.iter().filter(|case| case.ending.is_bad());
    let shown = bad.map(|case| {
        format!("{} {}: {}", case.file.as_deref().unwrap(), case.name, case.message().unwrap_or_default())
    });
    assert_eq!(
        shown.collect::<Vec<_>>(),
        [
            "t/a.t test run: the database does not answer",
            "t/d.t adds up: ",
            "t/e.t test run: Looks like your test exited with 3 just after 1.",
        ]
    );
    assert_eq!((cases.len(), damage), (6, None));
}

#[test]
fn the_yaml_tells_the_message_and_more() {
    #[track_caller]
    fn check(yaml: &str, message: &str) -> Case {
        let block: String = yaml.lines().map(|line| format!("  {line}\n")).collect();
        let case = one(&format!("not ok 1 - adds up\n  ---\n{block}  ...\n# of the next"));
        assert_eq!(case.message().unwrap_or_default(), message, "{yaml}");
        case
    }
    check("message: 'it''s wrong'", "it's wrong");
    check("message: \"a\\nb \\\"c\\\"\"", "a");
    check("Message: plain", "plain");
    check("error: |-\n  \n  the reason\n  and more\nstack: |-\n  at a.js:1:2", "the reason");
    check("error: >\n  the reason\n  and more", "the reason");
    check("message: two\n  lines", "two");
    check("message: ~\nfound: 3\nwanted: 4", "wanted: 4, found: 3");
    check("operator: equal\nexpected: 80\nactual: 90\nat: a.js:3:4", "expected: 80, actual: 90");
    check("data:\n  got: 1\n  expect: 2", "got: 1");
    check("expected:\n  - 1\n  - 2\nactual:\n  - 1", "expected: - 1 - 2, actual: - 1");
    check("message: failed\nerror: 'no order'", "no order");
    check("message: |\n  (in test file a.bats, line 7)\n    `false' failed", "`false' failed");
    check(
        "error: 'test failed'\nlocation: 'a.js:1:1'\nstack: |-\n  TypeError: no order",
        "TypeError: no order",
    );
    check("{ \"a\": 1 }", "");
    let case =
        check("duration_ms: 5\nerror: 'no order'\ncode: 7\nstack: |-\n  at pay\nname: 'E'", "no order");
    let failure = &case.trouble.failures[0];
    assert_eq!(
        (failure.kind.as_str(), failure.text.as_str()),
        ("E", "code: 7\nstack: |-\n  at pay\nname: 'E'\n")
    );
}

#[test]
fn what_is_printed_after_a_failure_is_of_it_and_what_is_before_too() {
    let report = "1..3
# loading
node: no such file
not ok 1 - a
  the reason
  Error: more
ok 2
# of c
not ok 3 - c
  ---
  error: 'why'
  ...
# of nothing
";
    let (cases, damage) = cases(report);
    assert_eq!(damage, None);
    assert_eq!(
        cases[0].details().unwrap(),
        "the reason\nError: more\n\nstandard output:\nloading\nnode: no such file"
    );
    assert_eq!(cases[2].details().unwrap(), "standard output:\nof c");
    assert!(cases[1].trouble.is_empty());
}

#[test]
fn lines_that_are_no_tap_are_passed_over() {
    let report = "TAP version 14
pragma +strict
1..2
begin 1 a
ok 1 - a
{
  \"ok\": 1
}
ok then
   ok
okay
not a test
1...5
ok 2 - b
";
    let (cases, damage) = cases(report);
    assert_eq!((cases.len(), damage), (2, None));
    // Whatever could be a failure is one.
    assert_eq!(failing("1..1\nok 1\nnot ok, said the test\n"), ["Failed:  | , said the test: "]);
}

#[test]
fn yaml_that_does_not_end_costs_no_result() {
    let report = "1..2\nnot ok 1 - a\n  ---\n  error: 'why'\nnot ok 2 - b\n";
    assert_eq!(
        failing(report),
        ["Failed:  | a: why", "Failed:  | b: ", "line 5: the YAML of a result does not end"]
    );
    let cut = "1..1\nnot ok 1 - a\n  ---\n  error: 'why'\n";
    assert_eq!(failing(cut), ["Failed:  | a: why", "line 4: it ends before the end of the YAML of a result"]);
    // Its lines may look like results.
    let within = "1..1\nnot ok 1 - a\n  ---\n  error: |-\n    not ok 1 - b\n  not ok 2 - c\n  ...\n";
    assert_eq!(failing(within).len(), 1);
}

#[test]
fn what_is_no_report_is_said() {
    let said = |text: &str| match told(text) {
        Err(Unfit::Foreign(place)) => place.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(said(""), "line 1: it is empty");
    assert_eq!(said(" \n\n"), "line 2: it is empty");
    assert_eq!(said("# a comment\nprose\n"), "line 2: no TAP report: it has no plan and no result");
}

#[test]
fn a_report_cut_anywhere_gives_what_was_whole() {
    let whole = "TAP version 14
# Subtest: größe
    not ok 1 - a
      ---
      error: |-
        why
      ...
    1..1
not ok 1 - größe
not ok 2 - b
# why
ok 3 - c # SKIP
1..3
";
    let ends: Vec<usize> = ["not ok 1 - a\n", "not ok 2 - b\n"]
        .iter()
        .map(|line| whole.find(line).unwrap() + line.len())
        .collect();
    for end in 0..whole.len() {
        match told(&whole.as_bytes()[..end]) {
            Ok((cases, damage)) => {
                let failed = cases.iter().filter(|case| case.ending.is_bad()).count();
                assert!(failed >= ends.iter().filter(|at| **at <= end).count(), "{end}");
                assert!(
                    failed > 2 || damage.is_some() || end + 1 == whole.len(),
                    "{end}: {:?}",
                    &whole[..end.min(20)]
                );
            }
            Err(Unfit::Foreign(_)) => assert!(end < "TAP version 14".len(), "{end}"),
            Err(Unfit::Unreadable(error)) => panic!("{error}"),
        }
    }
}

#[test]
fn hostile_reports_are_read_within_bounds() {
    let mut deep = String::new();
    for depth in 0..10_000 {
        writeln!(deep, "{}not ok 1 - a", " ".repeat(depth)).unwrap();
    }
    let said = failing(&deep);
    assert!(said.len() > 10_000 && said.last().unwrap().contains("nested deeper"), "{:?}", said.last());
    let waves = format!("{}not ok 1 - a\nok 1\n", " ".repeat(4 * DEPTH_MAX)).repeat(1_000);
    assert_eq!(cases(waves).0.iter().filter(|case| case.name == "a").count(), 1_000);
    let marks = format!("1..1\nnot ok 1 - {}\n", "# time= ".repeat(100_000));
    assert_eq!(failing(marks).len(), 1);
    let long = "x".repeat(TEXT_BYTES_MAX);
    let wordy = format!(
        "1..1\n# {long}\nnot ok 1 - {long}\n  ---\n  message: {long}\n  stack: |-\n    {long}\n    {long}\n  ...\n"
    );
    let case = &cases(wordy).0[0];
    assert_eq!(case.name.chars().count(), crate::names::NAME_CHARS_MAX);
    assert!(case.details().unwrap().len() < 2 * TEXT_BYTES_MAX);
    let bare: String =
        (0..50_000).map(|test| format!("    ok 1\n    1..1\nok {test} - {}\n", "n".repeat(100))).collect();
    assert_eq!(cases(bare).0.len(), 100_000);
}
