//! What Cucumber's JSON gives, and behave's.

use super::*;
use crate::fault::Place;
use crate::names::TAGS_MAX;
use crate::testing::{self, counted, real};
use crate::time::Stamp;

fn read_all(bytes: &[u8]) -> Result<(Vec<Case>, Option<Place>), Unfit> {
    testing::read_text(read, bytes)
}

/// Every case that is no pass, as people see it.
fn shown(cases: &[Case]) -> Vec<String> {
    testing::shown(cases.iter().filter(|case| case.ending != Ending::Passed))
}

#[track_caller]
fn cases(text: &str) -> (Vec<Case>, Option<Place>) {
    read_all(text.as_bytes()).unwrap()
}

#[track_caller]
fn check(text: &str, want: &[&str]) {
    let (cases, damage) = cases(text);
    assert_eq!(shown(&cases), want, "{text}");
    assert_eq!(damage, None, "{text}");
}

#[track_caller]
fn check_real(report: &str, want: &[&str]) {
    let (cases, damage) = read_all(&real(report)).unwrap();
    assert_eq!(cases.iter().filter(|case| case.ending.is_bad()).count(), counted(report));
    assert_eq!((shown(&cases), damage), (want.iter().map(|line| (*line).to_owned()).collect(), None));
}

#[test]
fn a_real_report_shows_each_scenario_that_does_not_pass() {
    check_real(
        "cucumber/report.json",
        &[
            "Failed: database | stores the order: Error: the database does not answer",
            "Failed: database | finds the order: Error: the database does not answer",
            "Failed: features/shop.feature > basket | gives a discount: \
         AssertionError [ERR_ASSERTION]: the discount is <wrong> & more",
            "Failed: features/shop.feature > basket | divides: RangeError: division by zero",
            "Skipped: features/shop.feature > basket | ships to mars: ",
            "Error: features/shop.feature > basket | wraps as a gift: undefined: Given some paper",
            "Error: features/shop.feature > basket | writes a card: pending: Given a card without words",
            "Failed: features/shop.feature > basket | converts: AssertionError [ERR_ASSERTION]: USD rate missing",
            "Failed: features/shop.feature > basket | counts the pieces: Error: the store is shut",
            "Error: features/shop.feature > basket | picks a box: ambiguous: Given a box",
            "Failed: stock | adds up: AssertionError [ERR_ASSERTION]: Expected values to be strictly equal: 42 !== 43",
        ],
    );
}

/// A report of one feature with these elements.
fn of(elements: &str) -> String {
    format!(
        r#"[{{"elements":[{elements}],"keyword":"Feature","name":"shop","uri":"features/shop.feature"}}]"#
    )
}

fn scenario(name: &str, steps: &str) -> String {
    format!(r#"{{"keyword":"Scenario","name":"{name}","type":"scenario","steps":[{steps}]}}"#)
}

fn step(name: &str, status: &str, message: &str) -> String {
    let message = if message.is_empty() { String::new() } else { format!(r#","error_message":"{message}""#) };
    format!(r#"{{"keyword":"Given ","name":"{name}","result":{{"status":"{status}"{message}}}}}"#)
}

#[test]
fn the_worst_step_says_how_a_scenario_ended() {
    let ending = |statuses: &[&str]| {
        let steps: Vec<_> = statuses.iter().map(|status| step("s", status, "")).collect();
        cases(&of(&scenario("t", &steps.join(",")))).0[0].ending
    };
    for (statuses, want) in [
        (&["passed", "passed"][..], Ending::Passed),
        (&[], Ending::Passed),
        (&["passed", "skipped"], Ending::Skipped),
        (&["passed", "failed", "skipped"], Ending::Failed),
        (&["undefined", "failed"], Ending::Failed),
        (&["passed", "undefined", "skipped"], Ending::Error),
        (&["ambiguous"], Ending::Error),
        (&["pending", "skipped"], Ending::Error),
        (&["UNDEFINED"], Ending::Error),
        (&["unknown", "untested"], Ending::Skipped),
        (&["exploded"], Ending::Error),
        (&["error"], Ending::Error),
    ] {
        assert_eq!(ending(statuses), want, "{statuses:?}");
    }
    let odd = |result: &str| {
        cases(&of(&scenario("t", &format!(r#"{{"name":"s","result":{result}}}"#)))).0[0].ending
    };
    assert_eq!(odd("null"), Ending::Passed);
    assert_eq!(odd("{}"), Ending::Passed);
    assert_eq!(odd(r#"{"error_message":"m"}"#), Ending::Error);
    assert_eq!(odd(r#"{"status":"unknown","error_message":["a","b"]}"#), Ending::Error);
}

#[test]
fn each_step_that_went_wrong_is_told_by_its_own_words() {
    let steps = [
        step("a", "failed", r"no order\n    at a.js:1"),
        step("b", "undefined", ""),
        step("c", "skipped", ""),
    ];
    let (cases, _) = cases(&of(&scenario("t", &steps.join(","))));
    let failures = &cases[0].trouble.failures;
    let want = [("no order\n    at a.js:1", "Given a\nno order\n    at a.js:1"), ("undefined: Given b", "")];
    assert_eq!(failures.iter().map(|it| (it.message.as_str(), it.text.as_str())).collect::<Vec<_>>(), want);
    assert_eq!(cases[0].message().as_deref(), Some("no order"));
    assert!(cases[0].details().unwrap().starts_with("Given a\nno order"));
}

#[test]
fn a_hook_that_failed_is_its_scenarios_failure() {
    let hook = r#"[{"result":{"status":"passed"}},{"output":["printed"],"result":{"status":"failed","error_message":"shut"}}]"#;
    for list in ["before", "after", "around", "hooks"] {
        let scenario = format!(r#"{{"{list}":{hook},"name":"t","steps":[{}]}}"#, step("s", "skipped", ""));
        let (cases, damage) = cases(&of(&scenario));
        assert_eq!((shown(&cases), damage), (vec!["Failed: shop | t: shut".to_owned()], None));
        assert_eq!(cases[0].trouble.outputs[0], "printed\n");
        assert!(cases[0].trouble.failures[0].text.contains("hook"));
    }
    for list in ["before", "after"] {
        let step =
            format!(r#"{{"{list}":{hook},"keyword":"Given ","name":"s","result":{{"status":"passed"}}}}"#);
        let (cases, _) = cases(&of(&scenario("t", &step)));
        assert_eq!(shown(&cases), ["Failed: shop | t: shut"]);
        assert_eq!(cases[0].trouble.failures[0].text, format!("hook {list} `Given s`\nshut"));
    }
}

#[test]
fn a_background_belongs_to_the_scenario_that_follows() {
    let background = |status: &str| {
        format!(
            r#"{{"type":"background","keyword":"Background","name":"","steps":[{}]}}"#,
            step("a shop", status, "shut")
        )
    };
    let with = |elements: &[String]| of(&elements.join(","));
    let skipped = |name: &str| scenario(name, &step("s", "skipped", ""));
    let passed = |name: &str| scenario(name, &step("s", "passed", ""));
    check(
        &with(&[background("failed"), skipped("one"), background("failed"), skipped("two")]),
        &["Failed: shop | one: shut", "Failed: shop | two: shut"],
    );
    check(&with(&[background("passed"), passed("one")]), &[]);
    check(
        &with(&[background("undefined"), scenario("one", &step("s", "failed", "m"))]),
        &["Failed: shop | one: shut"],
    );
    // Ruby writes no scenario that has no steps of its own.
    check(
        &with(&[background("failed"), background("failed"), passed("two")]),
        &["Failed: shop | Background: shut", "Failed: shop | two: shut"],
    );
    check(&with(&[passed("one"), background("failed")]), &["Failed: shop | Background: shut"]);
}

#[test]
fn a_row_of_a_table_is_named_where_the_id_has_it() {
    let name = |id: &str| {
        let outline =
            format!(r#"{{"id":"{id}","keyword":"Scenario Outline","name":"converts","type":"scenario"}}"#);
        cases(&of(&outline)).0[0].name.clone()
    };
    assert_eq!(name("shop;converts;;2"), "converts - #1");
    assert_eq!(name("shop;converts;;11"), "converts - #10");
    assert_eq!(name("shop;converts;west-coast;3"), "converts - west-coast - #2");
    assert_eq!(name("shop;rule;converts;;2"), "converts - #1");
    for id in [
        "shop;converts",
        "shop;rule;2",
        "shop;converts;;1",
        "shop;converts;;x",
        "",
        ";;;",
        "shop;to-<currency>;;2",
    ] {
        assert_eq!(name(id), "converts", "{id}");
    }
}

#[test]
fn names_stand_before_or_after_the_scenarios() {
    let failing = scenario("t", &step("s", "failed", "m"));
    let want = &["Failed: shop | t: m"];
    check(&of(&failing), want);
    check(&format!(r#"[{{"uri":"features/shop.feature","name":"shop","elements":[{failing}]}}]"#), want);
    check(&format!(r#"[{{"name":"shop","elements":[{failing}],"uri":"features/shop.feature"}}]"#), want);
    check(
        &format!(r#"[{{"elements":[{failing}]}},{{"elements":[{failing}],"name":"b"}}]"#),
        &["Failed:  | t: m", "Failed: b | t: m"],
    );
    let file = |uri: &str| {
        cases(&of("").replace("features/shop.feature", uri).replace("[]", &format!("[{failing}]"))).0[0]
            .file
            .clone()
            .unwrap()
    };
    assert_eq!(&*file("classpath:com/shop/a.feature"), "com/shop/a.feature");
    assert_eq!(&*file("file:src/test/a.feature"), "src/test/a.feature");
    assert_eq!(&*file("file:///srv/shop/a.feature"), "file:///srv/shop/a.feature");
    assert_eq!(&*file("C:/shop/a.feature"), "C:/shop/a.feature");
    assert_eq!(&*file("features/a.feature:12"), "features/a.feature");
}

#[test]
fn a_feature_with_more_scenarios_than_may_wait_has_its_name_too() {
    let scenarios: Vec<_> = (0..5_000).map(|number| scenario(&format!("t{number}"), "")).collect();
    let feature = |name: &str| {
        format!(r#"{{"elements":[{}],"name":"{name}","uri":"{name}.feature"}}"#, scenarios.join(","))
    };
    let (cases, damage) = cases(&format!("[{},{}]", feature("a"), feature("b")));
    assert_eq!((cases.len(), damage), (10_000, None));
    for (number, case) in cases.iter().enumerate() {
        let name = if number < 5_000 { "a" } else { "b" };
        assert_eq!(
            (&*case.name, case.suite.as_deref()),
            (format!("t{}", number % 5_000).as_str(), Some(name))
        );
        assert_eq!(case.file.as_deref(), Some(format!("{name}.feature").as_str()));
    }
}

#[test]
fn what_behave_says_by_a_status_alone_is_a_result() {
    // behave 1.3.3, `-f json.pretty`.
    check(
        r#"[{"keyword":"Feature","location":"features/archive.feature:2","name":"archive","status":"hook_error","tags":["archive"]},
            {"elements":[
               {"keyword":"Background","location":"features/database.feature:3","name":"","type":"background",
                "steps":[{"keyword":"Given","name":"a database","step_type":"given"}]},
               {"keyword":"Scenario","location":"features/database.feature:6","name":"stores the order","status":"error","tags":[],
                "type":"scenario","steps":[{"keyword":"Given","name":"a database","result":{"duration":0.0009,"status":"error"}},
                {"keyword":"Given","name":"19 and 23"}]}],
             "keyword":"Feature","location":"features/database.feature:1","name":"database","status":"error","tags":[]},
            {"elements":[
               {"keyword":"Scenario","name":"gives a discount","status":"failed","type":"scenario","steps":[{"keyword":"Then",
                "name":"the price is 80","result":{"error_message":"ASSERT FAILED: the discount is wrong","status":"failed"}}]},
               {"keyword":"Scenario","name":"ships to mars","status":"skipped","tags":["skip"],"type":"scenario",
                "steps":[{"keyword":"When","name":"I divide by 0"}]},
               {"keyword":"Scenario Outline","name":"knows -- @1.1 west","status":"passed","type":"scenario","steps":[]},
               {"keyword":"Scenario","name":"counts the pieces","status":"hook_error","tags":["hook"],"type":"scenario",
                "steps":[{"keyword":"Given","name":"19 and 23"}]}],
             "keyword":"Feature","location":"features/shop.feature:1","name":"basket","status":"failed","tags":[]}]"#,
        &[
            "Error: archive | archive: the feature ended as hook_error, and shows no scenario that went wrong",
            "Error: database | stores the order: error: Given a database",
            "Failed: features/shop.feature > basket | gives a discount: ASSERT FAILED: the discount is wrong",
            "Skipped: features/shop.feature > basket | ships to mars: ",
            "Error: features/shop.feature > basket | counts the pieces: \
             the scenario ended as hook_error, and shows no step that went wrong",
        ],
    );
}

#[test]
fn tags_and_times_are_kept() {
    let tags = r#"[{"name":"@slow","line":1},"ui",{"line":2},7]"#;
    let (cases, _) = cases(&of(&format!(
        r#"{{"start_timestamp":"2026-11-27T14:54:48.167Z","name":"t","tags":{tags},"steps":[{}]}}"#,
        step("s", "failed", "m")
    )));
    assert_eq!(cases[0].tags, ["slow", "ui", "7"]);
    assert_eq!(cases[0].stamp, Stamp::read("2026-11-27T14:54:48.167Z"));
}

#[test]
fn an_odd_entry_costs_no_other() {
    let failing = scenario("t", &format!("null,5,[],{{}},{}", step("s", "failed", "m")));
    let odd = r#"null,7,{},[],{"id":"x"},{"steps":"none","name":["n"]}"#;
    let (cases, damage) = cases(&format!(
        "[null,{{\"elements\":null}},\n{{\"elements\":\"none\"}},[],{}]",
        &of(&format!("{odd},{failing}"))[1..].trim_end_matches(']')
    ));
    assert_eq!(shown(&cases), ["Failed: shop | t: m"]);
    assert_eq!(cases.len(), 2);
    assert_eq!(
        damage.unwrap().to_string(),
        "line 1: no Cucumber JSON report: an entry of the list is not what it is in Cucumber's"
    );
}

#[test]
fn reports_one_after_the_other_are_all_read() {
    let one = of(&scenario("t", &step("s", "failed", "m")));
    let (cases, damage) = cases(&format!("{one}\n{one}"));
    assert_eq!(shown(&cases), ["Failed: shop | t: m"; 2]);
    assert_eq!(damage.unwrap().line, 2);
}

#[test]
fn what_is_no_report_is_refused_and_an_empty_list_is_none() {
    for foreign in ["{}", "7", "{\"elements\":[]}", "[7]", "[", "<a/>", "[\"a\"]"] {
        assert!(
            matches!(read_all(foreign.as_bytes()), Err(Unfit::Foreign(place)) if place.fault != Fault::Empty),
            "{foreign}"
        );
    }
    assert!(matches!(read_all(b"\n"), Err(Unfit::Foreign(Place { fault: Fault::Empty, .. }))));
    check(" []\n", &[]);
}

#[test]
fn a_cut_report_gives_what_was_whole() {
    let failing = |name: &str| scenario(name, &step("s", "failed", "m"));
    let background =
        format!(r#"{{"type":"background","keyword":"Background","steps":[{}]}}"#, step("b", "failed", "m"));
    let report = of(&[failing("one"), failing("two"), background, scenario("three", "")].join(","));
    let ends = [failing("one"), failing("two")].map(|test| report.find(&test).unwrap() + test.len());
    for cut in 0..report.len() {
        let Ok((cases, damage)) = read_all(&report.as_bytes()[..cut]) else {
            assert!(cut < ends[0], "{cut}");
            continue;
        };
        let titles: Vec<_> = cases.iter().map(|case| case.name.as_str()).collect();
        let whole = ends.iter().filter(|end| **end <= cut).count();
        // Of a scenario that is cut off what failed is told.
        assert!(
            titles.len() >= whole && ["one", "two", "Background"].starts_with(&titles)
                || titles.ends_with(&["three"]),
            "{cut}: {titles:?}"
        );
        assert!(cases.iter().all(|case| case.ending.is_bad()) && damage.is_some(), "{cut}");
    }
}

#[test]
fn hostile_input_is_bounded() {
    assert_eq!(cases(&format!(r#"[{{"elements":[{}"#, "[".repeat(100_000))).1.unwrap().fault, Fault::TooDeep);
    let long = "x".repeat(300_000);
    let failing = vec![step(&long, "failed", &long); 20].join(",");
    let tags = vec![r#"{"name":"t"}"#; 30_000].join(",");
    // What failed stands after more than is kept of one value.
    let passed = vec![step("s", "passed", ""); 10_000].join(",");
    let element = format!(r#"{{"name":"{long}","tags":[{tags}],"steps":[{passed},{failing}]}}"#);
    let (cases, damage) = cases(&of(&element).replace("shop", &long));
    assert_eq!((cases.len(), damage), (1, None));
    let case = &cases[0];
    assert_eq!((case.ending, case.tags.len()), (Ending::Failed, TAGS_MAX));
    assert!(
        [&*case.name, case.suite.as_deref().unwrap(), case.file.as_deref().unwrap()]
            .iter()
            .all(|name| name.len() < 5_000)
    );
    let kept: usize =
        case.trouble.failures.iter().map(|failure| failure.message.len() + failure.text.len()).sum();
    assert!(kept <= crate::case::TEXT_BYTES_MAX);
}
