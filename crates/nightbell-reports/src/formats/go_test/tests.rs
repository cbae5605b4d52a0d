//! What `go test -json` gives, of real runs and of odd ones.

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

/// What failed, each as `ending: suite | name: message`.
fn failing(text: impl AsRef<[u8]>) -> Vec<String> {
    let shown = |case: &Case| {
        let (suite, message) =
            (case.suite.as_deref().unwrap_or_default(), case.message().unwrap_or_default());
        format!("{:?}: {suite} | {}: {message}", case.ending, case.name)
    };
    cases(text).0.iter().filter(|case| case.ending.is_bad()).map(shown).collect()
}

/// The lines of a package `p`, each `action`, `action test` or `action test output`; output alone with `-` as test.
fn events(events: &[&str]) -> String {
    let mut text = String::new();
    for event in events {
        let mut words = event.splitn(3, ' ');
        let mut word = || words.next().unwrap_or_default();
        let (action, test, output) = (word(), word(), word());
        let test = if matches!(test, "" | "-") { String::new() } else { format!(r#","Test":"{test}""#) };
        let output = if action == "output" {
            format!(r#","Output":{:?}"#, format!("{output}\n"))
        } else {
            String::new()
        };
        let time = r#""Time":"2026-11-27T14:52:41.5Z""#;
        writeln!(text, r#"{{{time},"Action":"{action}","Package":"p"{test}{output}}}"#).unwrap();
    }
    text
}

fn fault(place: Option<Place>) -> String {
    place.map(|place| place.to_string()).unwrap_or_default()
}

#[test]
fn real_runs_give_what_failed() {
    assert_eq!(
        failing(real("gotestsum/go-test.json")),
        [
            "Failed: example.com/shop | TestGivesADiscount: shop_test.go:12: price is 90, want 80",
            "Failed: example.com/shop | TestDivides/by_nothing: shop_test.go:20: no order",
            "Failed: example.com/shop | TestDivides: a test inside of it failed",
            "Failed: example.com/shop | TestPaysTheSecondTime: shop_test.go:32: the gateway was asleep",
        ]
    );
    assert_eq!(
        failing(real("gotestsum/panic.json")),
        [
            "Failed: example.com/shop/panic | TestPanics: panic: runtime error: invalid memory address or nil pointer \
         dereference [recovered]"
        ]
    );
    assert_eq!(
        failing(real("gotestsum/broken.json")),
        ["Error: example.com/shop/broken | example.com/shop/broken: build failed"]
    );
    for (file, passed, skipped) in [("go-test", 1, 1), ("panic", 0, 0), ("broken", 0, 0)] {
        let (cases, damage) = cases(real(&format!("gotestsum/{file}.json")));
        let count = |ending| cases.iter().filter(|case| case.ending == ending).count();
        assert_eq!(
            (count(Ending::Passed), count(Ending::Skipped), damage),
            (passed, skipped, None),
            "{file}"
        );
    }
}

#[test]
fn real_runs_give_as_many_as_were_counted() {
    let counts = String::from_utf8(real("counts.tsv")).unwrap();
    for file in ["gotestsum/go-test.json", "gotestsum/panic.json", "gotestsum/broken.json"] {
        let row = counts.lines().find(|row| row.starts_with(file)).unwrap();
        let counted: usize = row.split('\t').nth(1).unwrap().parse().unwrap();
        assert_eq!(failing(real(file)).len(), counted, "{file}");
    }
}

#[test]
fn what_a_test_printed_is_told_without_what_go_puts_around() {
    let report = events(&[
        "run TestA",
        "output TestA === RUN   TestA",
        "output TestA connecting",
        "output TestA     a_test.go:3: price is 90,",
        "output TestA         want 80",
        "output TestA --- FAIL: TestA (0.00s)",
        "fail TestA",
        "output - FAIL",
        "fail",
    ]);
    let (cases, damage) = cases(&report);
    let [case] = cases.as_slice() else { panic!("{cases:?}") };
    assert_eq!((case.suite.as_deref(), &case.class, &case.file, damage), (Some("p"), &None, &None, None));
    assert_eq!(case.message().unwrap(), "a_test.go:3: price is 90,");
    assert_eq!(case.trouble.failures[0].text, "    a_test.go:3: price is 90,\n        want 80\n");
    assert_eq!(case.trouble.outputs, ["connecting\n", ""]);
    assert_eq!(case.stamp, Stamp::read("2026-11-27T14:52:41.5Z"));
}

#[test]
fn a_line_may_come_in_several_events() {
    let report = events(&[
        "run TestA",
        "output TestA 1",
        "output TestA --- FA",
        "output TestA IL: TestA (0.00s)",
        "fail TestA",
    ]);
    let report = report.replace(r"1\n", "price is 90, ").replace(r"--- FA\n", "want 80\\n--- FA");
    assert_eq!(cases(&report).0[0].trouble.outputs[0], "price is 90, want 80\n");
    // A line that never ends is one as well.
    let report = events(&["run TestA", "output TestA no order", "fail TestA"]).replace(r"\n", "");
    assert_eq!(failing(&report), ["Failed: p | TestA: no order"]);
}

#[test]
fn what_go_says_is_an_error_goes_before_what_was_logged() {
    let report = events(&[
        "run TestA",
        "output TestA === RUN   TestA",
        "output TestA     a_test.go:3: connecting",
        "output TestA     a_test.go:4: price is 90",
        "output TestA         want 80",
        "fail TestA",
    ]);
    let report = report
        .replace(r#"RUN   TestA\n""#, r#"RUN   TestA\n","OutputType":"frame""#)
        .replace(r#"price is 90\n""#, r#"price is 90\n","OutputType":"error""#)
        .replace(r#"want 80\n""#, r#"want 80\n","OutputType":"error-continue""#);
    let case = &cases(&report).0[0];
    assert_eq!(case.message().unwrap(), "a_test.go:4: price is 90");
    assert_eq!(case.trouble.failures[0].text, "    a_test.go:4: price is 90\n        want 80\n");
    assert!(case.trouble.outputs[0].starts_with("    a_test.go:3: connecting\n"));
}

#[test]
fn a_test_that_failed_by_those_inside_of_it_is_a_result_that_says_so() {
    let inside = "a test inside of it failed";
    let sub = ["run T", "run T/a", "run T/a/b", "fail T/a/b", "fail T/a", "fail T", "fail"];
    let all = [
        "Failed: p | T/a/b: ".to_owned(),
        format!("Failed: p | T/a: {inside}"),
        format!("Failed: p | T: {inside}"),
    ];
    assert_eq!(failing(events(&sub)), all);
    let says = ["run T", "output T     a_test.go:3: set up", "run T/a", "fail T/a", "fail T", "fail"];
    assert_eq!(failing(events(&says)), ["Failed: p | T/a: ", "Failed: p | T: a_test.go:3: set up"]);
    let alone = ["run T", "run T/a", "pass T/a", "fail T", "fail"];
    assert_eq!(failing(events(&alone)), ["Failed: p | T: "]);
    // What another one has inside says nothing of it.
    let other = ["run T", "run T2", "run T2/a", "fail T2/a", "fail T2", "fail T", "fail"];
    assert_eq!(failing(events(&other))[2], "Failed: p | T: ");
    // One inside of it that never ended may have failed it.
    let unended = ["run T", "run T/a", "run T/b", "output T/b panic: boom", "fail T/a", "fail T", "fail"];
    assert_eq!(failing(events(&unended)), ["Failed: p | T/a: ", "Failed: p | T: panic: boom"]);
}

#[test]
fn each_run_of_a_test_is_a_result() {
    let report = events(&["run T", "fail T", "run T", "pass T", "run T", "fail T", "fail"]);
    let (cases, damage) = cases(&report);
    assert_eq!(cases.iter().filter(|case| case.ending == Ending::Failed).count(), 2);
    assert!(cases.iter().all(|case| case.attempt.is_none()));
    assert_eq!((cases.len(), damage), (3, None));
}

#[test]
fn a_package_that_fails_without_a_failing_test_is_a_result() {
    let package = |lines: &[&str]| failing(events(lines));
    let main = [
        "start",
        "run T",
        "pass T",
        "output - PASS",
        "output - leak: 3 goroutines",
        "output - exit status 1",
        "fail",
    ];
    assert_eq!(package(&main), ["Error: p | p: leak: 3 goroutines"]);
    assert_eq!(package(&["output - panic: no config", "fail"]), ["Error: p | p: panic: no config"]);
    assert_eq!(
        package(&["start", "output - FAIL\tp\t0.1s", "fail"]),
        ["Error: p | p: the package failed, and no test of it did"]
    );
    let by_test =
        ["start", "run T", "fail T", "output - closing", "output - FAIL", "output - exit status 1", "fail"];
    assert_eq!(package(&by_test), ["Failed: p | T: "]);
    let grave = ["run T", "fail T", "output - panic: in clean-up", "fail"];
    assert_eq!(package(&grave), ["Failed: p | T: ", "Error: p | p: panic: in clean-up"]);
}

#[test]
fn tests_that_never_ended_are_named() {
    let package = |lines: &[&str]| failing(events(lines));
    let exits = ["run A", "pass A", "run B", "output B no route", "output B exit status 3", "fail"];
    assert_eq!(package(&exits), ["Error: p | p: B never ended: exit status 3"]);
    let slow = ["run A", "fail A", "run B", "run B/in", "output B/in panic: test timed out after 1s", "fail"];
    assert_eq!(
        package(&slow),
        ["Failed: p | A: ", "Error: p | p: B/in never ended: panic: test timed out after 1s"]
    );
    let many = ["run A", "pause A", "run B", "pause B", "run C", "run D", "run E", "cont B", "fail"];
    assert_eq!(package(&many), ["Error: p | p: B, C, D and 2 more never ended"]);
    let details = cases(events(&exits)).0.pop().unwrap().details().unwrap();
    assert_eq!(details, "B:\nno route\nexit status 3");
    // A benchmark that logs nothing never says that it ended.
    assert_eq!(package(&["run A", "fail A", "run BenchmarkB", "fail"]), ["Failed: p | A: "]);
    assert!(cases(events(&["run BenchmarkB", "output BenchmarkB fast", "pass"])).1.is_none());
}

#[test]
fn a_result_behind_what_a_test_printed_counts() {
    let report = events(&[
        "run A",
        "output A hello--- PASS: A (0.00s)",
        "run B",
        "output B no order--- FAIL: B (0.00s)",
        "fail",
    ]);
    assert_eq!(failing(report), ["Failed: p | B: no order--- FAIL: B (0.00s)"]);
}

#[test]
fn a_package_that_can_not_be_built_is_a_result() {
    let plain = "# p [p.test]\n./a.go:3:2: undefined: x\n# p/q\n./q.go:1:1: expected 'package'\nFAIL\tp [build failed]\n\
                 FAIL\tp/q [setup failed]\nFAIL\n";
    assert_eq!(
        failing(plain),
        ["Error: p | p: ./a.go:3:2: undefined: x", "Error: p/q | p/q: ./q.go:1:1: expected 'package'"]
    );
    let spaced = "go: downloading x v1\ngo: x@v1: no such host\nFAIL    p [setup failed]\n";
    assert_eq!(failing(spaced), ["Error: p | p: setup failed"]);
    assert_eq!(cases(spaced).0[0].trouble.outputs[1], "go: x@v1: no such host\n");
    let events = r##"{"ImportPath":"p [p.test]","Action":"build-output","Output":"# p [p.test]\n"}
{"ImportPath":"p [p.test]","Action":"build-output","Output":"./a.go:3:2: undefined: x\n"}
{"ImportPath":"p [p.test]","Action":"build-fail"}
{"Action":"start","Package":"p"}
{"Action":"output","Package":"p","Output":"FAIL\tp [build failed]\n"}
{"Action":"fail","Package":"p","Elapsed":0,"FailedBuild":"p [p.test]"}
{"ImportPath":"lib","Action":"build-output","Output":"lib.go:1:1: no\n"}
{"ImportPath":"lib","Action":"build-fail"}
{"Action":"fail","Package":"q","FailedBuild":"lib"}
{"Action":"fail","Package":"r","FailedBuild":"lib"}
{"ImportPath":"tool [tool.test]","Action":"build-fail"}
"##;
    assert_eq!(
        failing(events),
        [
            "Error: p | p: ./a.go:3:2: undefined: x",
            "Error: q | q: lib.go:1:1: no",
            "Error: r | r: lib.go:1:1: no",
            "Error: tool | tool: build failed",
        ]
    );
}

#[test]
fn what_is_damaged_costs_nothing_that_is_sound() {
    let (cut, damage) = cases(events(&["run A", "fail A", "run B"]));
    assert_eq!(
        (cut.len(), fault(damage)),
        (1, "line 3: it ends before the result of `p`, where `B` ran".to_owned())
    );
    let (cut, damage) = cases(format!("{}{{\"Time\":\"20", events(&["run A", "fail A", "fail"])));
    let said = "line 4: an event that is not JSON: EOF while parsing a string";
    assert_eq!((cut.len(), fault(damage).starts_with(said)), (1, true));
    // Two writers of one file.
    let glued = events(&["run A", "fail A", "fail"]).replace("}\n{", "}{");
    assert_eq!((failing(&glued).len(), cases(&glued).1), (1, None));
    let halves = events(&["run A", "fail A", "fail"]).replacen("{\"Time\"", "{\"Time\":\"2026{\"Time\"", 2);
    assert_eq!(
        (failing(&halves), fault(cases(&halves).1).is_empty()),
        (vec!["Failed: p | A: ".to_owned()], false)
    );
    let behind = format!("warning: {}", events(&["run A", "fail A", "fail"]));
    assert_eq!((failing(&behind).len(), cases(&behind).1), (1, None));
    // The first of two reports is cut off.
    let two = format!("{}{}", events(&["run A"]), events(&["run A", "pass A", "pass"]));
    assert_eq!(fault(cases(two).1), "line 2: it ends before the result of `A`");
}

#[test]
fn odd_values_are_read_as_well_as_can_be() {
    let odd = r#"{"Action":"fail","Package":7,"Test":["a","b"],"Elapsed":"x"}
{"Action":"FAIL","Package":"p","Test":"A","Output":null}
{"Action":"timeout","Package":"p","Test":"B"}
{"Action":"explodes","Package":"p","Test":"C","Output":"boom"}
{"Action":null,"Package":"p","Test":"D"}
{"Action":{"fail":1},"Package":"p","Test":"E"}
{"Action":"fail"}
{"level":"info","msg":"a log of another tool"}
[1]
{"Action":"fail","Package":"p"}"#;
    assert_eq!(
        failing(odd),
        [
            "Failed: 7 | a b: ",
            "Failed: p | A: ",
            "Error: p | B: ",
            "Error:  | test run: the package failed, and no test of it did",
        ]
    );
    let escapes = r#"{"Action":"fail","Package":"p","Test":"caf\u00e9 \ud83d\ude00 \"\\ \u003ca\u003e"}"#;
    assert_eq!(failing(escapes), ["Failed: p | café 😀 \"\\ <a>: "]);
}

#[test]
fn what_is_no_report_is_said() {
    let said = |text: &str| match told(text) {
        Err(Unfit::Foreign(place)) => place.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(said(""), "line 1: it is empty");
    assert_eq!(said(" \n\n"), "line 2: it is empty");
    assert_eq!(said("ok  \tp\t0.1s\n"), "line 1: no go test -json report: it has no event of a test");
    assert_eq!(said("{\"level\":\"info\"}\n"), "line 1: no go test -json report: it has no event of a test");
    assert!(said("{\"Action").starts_with("line 1: no go test -json report: an event that is not JSON"));
}

#[test]
fn a_report_cut_anywhere_gives_what_was_whole() {
    let whole =
        events(&["run A", "output A     a_test.go:1: größe \t\"", "fail A", "run B", "pass B", "fail"]);
    let fails = whole.find("\"fail\"").map(|at| at + whole[at..].find('\n').unwrap()).unwrap();
    for end in 0..whole.len() {
        match told(&whole.as_bytes()[..end]) {
            Ok((cases, damage)) => {
                let failed = cases.iter().filter(|case| case.ending == Ending::Failed).count();
                assert_eq!(failed, usize::from(end >= fails), "{end}");
                assert!(damage.is_some() || end + 1 == whole.len(), "{end}");
            }
            Err(Unfit::Foreign(_)) => assert!(end < whole.find('\n').unwrap(), "{end}"),
            Err(Unfit::Unreadable(error)) => panic!("{error}"),
        }
    }
}

#[test]
fn hostile_reports_are_read_within_bounds() {
    let deep = format!("{{\"Action\":{}\n{}", "[".repeat(100_000), events(&["run A", "fail A", "fail"]));
    assert_eq!((failing(&deep).len(), fault(cases(&deep).1).is_empty()), (1, false));
    let many = "{\"Time\":".repeat(100_000) + "\n" + &events(&["run A", "fail A", "fail"]);
    assert_eq!(failing(&many).len(), 1);
    let name = "n".repeat(100_000);
    let long = events(&[
        &format!("run {name}"),
        &format!("output {name} no order"),
        &format!("fail {name}"),
        "fail",
    ]);
    let case = &cases(long).0[0];
    assert_eq!(
        (case.name.chars().count(), case.message().unwrap()),
        (crate::names::NAME_CHARS_MAX, "no order".to_owned())
    );
    let wordy = events(&[
        "run A",
        &format!("output A {}", "word ".repeat(200_000)),
        "output A the reason",
        "fail A",
        "fail",
    ]);
    let case = &cases(wordy).0[0];
    assert!(case.trouble.room() > TEXT_BYTES_MAX / 2 && case.trouble.outputs[0].ends_with("the reason\n"));
}

#[test]
fn more_tests_than_are_remembered_fail_all_the_same() {
    let mut report = String::new();
    for action in ["run", "fail"] {
        for test in 0..30_000 {
            writeln!(report, r#"{{"Action":"{action}","Package":"p","Test":"T{test}"}}"#).unwrap();
        }
    }
    let (cases, damage) = cases(report + "{\"Action\":\"fail\",\"Package\":\"p\"}");
    assert_eq!((cases.len(), damage), (30_000, None));
}
