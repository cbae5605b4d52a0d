//! What Allure's results give.

use super::*;
use crate::testing::{self, counted, real_path as real};

fn read_source(source: &Source) -> Result<(Vec<Case>, Option<Place>), Unfit> {
    testing::read_source(read, source)
}

fn read_all(bytes: &[u8]) -> Result<(Vec<Case>, Option<Place>), Unfit> {
    testing::read_text(read, bytes)
}

/// Every case that is no pass, as people see it.
fn shown(cases: &[Case]) -> Vec<String> {
    testing::shown(cases.iter().filter(|case| case.ending != Ending::Passed))
}

/// What a folder of these files gives.
fn folder(files: &[(&str, &str)]) -> (Vec<Case>, Option<Place>) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    read_source(&Source::file(folder.path().to_owned())).unwrap()
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

/// What a person hears of, as the tally tells it: of the attempts of one test the last.
fn heard(cases: &[Case]) -> Vec<&Case> {
    let mut tally = crate::tally::Tally::default();
    assert!(cases.iter().all(|case| tally.remember(0, case).is_continue()));
    let numbered = cases.iter().enumerate();
    numbered
        .filter(|(number, case)| tally.verdict(0, *number, case, false).is_some())
        .map(|(_, case)| case)
        .collect()
}

#[test]
fn a_real_folder_shows_tests_and_their_attempts() {
    let (cases, damage) = read_source(&Source::file(real("allure/results"))).unwrap();
    let heard: Vec<Case> = heard(&cases).into_iter().cloned().collect();
    assert_eq!((heard.len(), damage), (counted("allure/results"), None));
    assert_eq!(
        shown(&heard),
        [
            "Failed: test_shop | test_gives_a_discount: AssertionError: a discount of <20> & nothing else",
            "Error: test_shop | test_stores_the_order: ConnectionError: the database does not answer",
            "Error: test_shop | test_divides: ZeroDivisionError: division by zero",
            "Failed: test_shop | converts [currency=USD]: AssertionError: USD rate missing",
            "Error: test_shop | test_cleans_up: OSError: the shelf does not shut",
            "Failed: test_shop | test_never_pays: AssertionError: assert 'declined' == 'accepted'",
            "Failed: test_stock | test_adds_up: AssertionError: assert [1, 2] == [1, 3]",
        ]
    );
    let of = |name: &str| cases.iter().filter(|case| case.name == name && case.attempt.is_some()).count();
    assert_eq!((of("test_pays_the_second_time"), of("test_never_pays"), of("test_divides")), (2, 2, 0));
    assert_eq!(cases[0].host.as_deref(), Some("ci.example.com"));
}

#[test]
fn a_single_file_is_read_too() {
    check(
        r#"{"name":"t","status":"broken","statusDetails":{"message":"m","trace":"at a"},"labels":[{"name":"suite","value":"s"}]}"#,
        &["Error: s | t: m"],
    );
    let container = r#"{"uuid":"c","children":["1"],"befores":[{"name":"db","status":"broken","statusDetails":{"message":"m"}}]}"#;
    check(container, &["Error:  | db: m"]);
    check(
        r#"{"errors":[{"message":"the set-up broke","trace":"at a"}],"attachments":[]}"#,
        &["Error:  | test run: the set-up broke"],
    );
}

#[test]
fn how_a_test_ended() {
    let ending = |fields: &str| cases(&format!(r#"{{"name":"t","uuid":"1",{fields}}}"#)).0[0].ending;
    for (fields, want) in [
        (r#""status":"passed","statusDetails":{"flaky":true}"#, Ending::Passed),
        (r#""status":"failed","statusDetails":{"known":true,"muted":true}"#, Ending::Failed),
        (r#""status":"broken""#, Ending::Error),
        (r#""status":"skipped","statusDetails":{"message":"later"}"#, Ending::Skipped),
        (r#""status":"unknown""#, Ending::Error),
        (r#""status":null"#, Ending::Error),
        (r#""stage":"finished""#, Ending::Error),
        (r#""stage":"running""#, Ending::Error),
        (r#""stage":"scheduled""#, Ending::Skipped),
        (r#""stage":"pending","statusDetails":{"message":"m"}"#, Ending::Error),
        (r#""status":"exploded""#, Ending::Error),
    ] {
        assert_eq!(ending(fields), want, "{fields}");
    }
    check(r#"{"name":"t","status":"unknown"}"#, &["Error:  | t: it ended as unknown, and does not say why"]);
}

#[test]
fn the_suite_is_what_says_the_most() {
    let suite =
        |fields: &str| cases(&format!(r#"{{"name":"pays","status":"failed",{fields}}}"#)).0[0].suite.clone();
    let check =
        |fields: &str, want: &str| assert_eq!(suite(fields).unwrap_or_default().as_ref(), want, "{fields}");
    let label = |name: &str| format!(r#"{{"name":"{name}","value":"{name}1"}}"#);
    let labels = |names: &[&str]| {
        let labels: Vec<_> = names.iter().map(|name| label(name)).collect();
        format!(r#""titlePath":["a.py"],"fullName":"x.Y.pays","labels":[{}]"#, labels.join(","))
    };
    check(
        &labels(&["package", "testClass", "subSuite", "suite", "parentSuite", "feature"]),
        "parentSuite1 > suite1 > subSuite1",
    );
    check(&labels(&["package", "testClass", "subSuite"]), "subSuite1");
    check(&labels(&["package", "testClass"]), "testClass1");
    check(&labels(&["package"]), "package1");
    check(&labels(&["host"]), "a.py");
    for (full, want) in [
        ("com.example.Shop.pays", "com.example.Shop"),
        ("test_shop#pays", "test_shop"),
        ("a.spec.js > basket pays", "a.spec.js > basket"),
        ("com.example.Shop.other", "com.example.Shop"),
        ("shop.js#basket other one", "shop.js"),
        ("pays", ""),
        ("it pays. And more", ""),
    ] {
        check(&format!(r#""fullName":"{full}""#), want);
    }
    check(r#""labels":[{"name":"suite"},{"value":"x"},7]"#, "");
}

#[test]
fn parameters_are_in_the_name_once() {
    let name = |name: &str, parameters: &str| {
        cases(&format!(r#"{{"name":"{name}","status":"failed","parameters":[{parameters}]}}"#)).0[0]
            .name
            .clone()
    };
    let usd = r#"{"name":"currency","value":"'USD'"}"#;
    assert_eq!(name("converts", usd), "converts [currency=USD]");
    assert_eq!(name("converts[USD]", usd), "converts[USD]");
    assert_eq!(name("converts USDT", usd), "converts USDT [currency=USD]");
    assert_eq!(name("converts", r#"{"name":"a","value":1},{"name":"b","value":""}"#), "converts [a=1, b=]");
    assert_eq!(
        name(
            "converts",
            r#"{"name":"id","value":"x","mode":"hidden"},{"name":"at","value":"y","excluded":true}"#
        ),
        "converts"
    );
    assert_eq!(name("converts", "7,null"), "converts");
}

/// A result of the test `h`, of these milliseconds after some time.
fn result(status: &str, start: u32, stop: u32, more: &str) -> String {
    let [start, stop] = [start, stop].map(|at| 1_795_791_107_000 + u64::from(at));
    format!(
        r#"{{"name":"t","uuid":"{status}{start}","historyId":"h","status":"{status}","start":{start},"stop":{stop}{more}}}"#
    )
}

/// How many of these results somebody hears of, and how many are attempts.
fn counts(results: &[String]) -> (usize, usize) {
    let names: Vec<_> = (0..results.len()).map(|number| format!("{}-result.json", 9 - number)).collect();
    let files: Vec<_> =
        names.iter().zip(results).map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let (cases, damage) = folder(&files);
    assert_eq!(damage, None);
    (heard(&cases).len(), cases.iter().filter(|case| case.attempt.is_some()).count())
}

#[test]
fn results_of_one_history_are_attempts_of_which_the_latest_counts() {
    assert_eq!(counts(&[result("failed", 1, 2, ""), result("passed", 3, 4, "")]), (0, 2));
    assert_eq!(counts(&[result("passed", 3, 4, ""), result("failed", 1, 3, "")]), (0, 2));
    assert_eq!(counts(&[result("failed", 1, 2, ""), result("broken", 3, 4, "")]), (1, 2));
    assert_eq!(
        counts(&[result("failed", 1, 2, ""), result("broken", 3, 4, ""), result("passed", 5, 6, "")]),
        (0, 3)
    );
    assert_eq!(counts(&[result("failed", 1, 2, ""), result("skipped", 3, 4, "")]), (1, 2));
}

#[test]
fn what_only_looks_like_attempts_is_each_its_own() {
    // At one time.
    assert_eq!(counts(&[result("failed", 1, 5, ""), result("passed", 3, 8, "")]), (1, 0));
    assert_eq!(counts(&[result("failed", 1, 1, ""), result("passed", 1, 1, "")]), (1, 0));
    // At no known time.
    assert_eq!(
        counts(&[r#"{"historyId":"h","status":"failed"}"#.into(), result("passed", 1, 2, "")]),
        (1, 0)
    );
    // What passed was not run again for that: a loop, say.
    assert_eq!(
        counts(&[result("passed", 1, 2, ""), result("failed", 3, 4, ""), result("passed", 5, 6, "")]),
        (1, 0)
    );
    // With other parameters, save for those that do not count.
    let with = |value: u32, excluded: bool| {
        format!(r#","parameters":[{{"name":"n","value":{value},"excluded":{excluded}}}]"#)
    };
    assert_eq!(
        counts(&[result("failed", 1, 2, &with(1, false)), result("passed", 3, 4, &with(2, false))]),
        (1, 0)
    );
    assert_eq!(
        counts(&[result("failed", 1, 2, &with(1, true)), result("passed", 3, 4, &with(2, true))]),
        (0, 2)
    );
    // Without an id.
    let without =
        |status: &str, start: u32| result(status, start, start + 1, "").replace(r#""historyId":"h","#, "");
    assert_eq!(counts(&[without("failed", 1), without("passed", 3)]), (1, 0));
}

#[test]
fn results_come_in_the_order_in_which_they_began() {
    let named = |name: &str, start: u32| {
        result("failed", start, start, "")
            .replace(r#""h""#, &format!("{name:?}"))
            .replace(r#""t""#, &format!("{name:?}"))
    };
    let (cases, _) = folder(&[
        ("1-result.json", &named("b", 2)),
        ("2-result.json", &named("a", 1)),
        ("3-result.json", &named("c", 3)),
    ]);
    assert_eq!(cases.iter().map(|case| case.name.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
}

#[test]
fn a_fixture_that_failed_is_a_result_if_no_test_of_it_is() {
    let test = |status: &str| {
        format!(r#"{{"name":"t","uuid":"1","status":"{status}","statusDetails":{{"message":"m"}}}}"#)
    };
    let container = r#"{"uuid":"c","name":"Shop","children":["0","1"],
        "befores":[{"name":"db","status":"passed"},{"name":"net","status":"broken","statusDetails":{"message":"no net","trace":"at a"}}],
        "afters":[{"name":"db::0"},{"name":"shut","status":"failed","statusDetails":{"message":"stuck"}},{"status":"failed"}]}"#;
    let with = |status: &str| {
        let (cases, damage) = folder(&[
            ("1-result.json", &test(status)),
            ("2-container.json", container),
            ("executor.json", "{"),
        ]);
        assert_eq!(damage, None);
        shown(&cases)
    };
    let fixtures = [
        "Error: Shop | net: no net",
        "Error: Shop | shut: stuck",
        "Error: Shop | Shop: it ended as unknown, and does not say why",
    ];
    assert_eq!(with("passed"), fixtures);
    assert_eq!(
        with("skipped"),
        ["Skipped:  | t: "].iter().chain(&fixtures).map(|line| (*line).to_owned()).collect::<Vec<_>>()
    );
    assert_eq!(with("failed"), ["Failed:  | t: m"]);
    assert_eq!(with("broken"), ["Error:  | t: m"]);
}

#[test]
fn a_damaged_file_costs_no_other_and_is_named() {
    let sound = r#"{"name":"t","status":"failed"}"#;
    let told = |text: &str| {
        let (cases, damage) =
            folder(&[("1-result.json", sound), ("2-result.json", text), ("3-result.json", sound)]);
        (cases.len(), damage.map(|place| place.to_string()).unwrap_or_default())
    };
    let line = |line: u64, fault: &str| format!("line {line}: 2-result.json: {fault}");
    assert_eq!(told(""), (2, line(1, "it is empty")));
    assert_eq!(told("[]"), (2, line(1, "no Allure report: it is no result")));
    assert_eq!(told(&format!("[{sound}]")), (2, line(1, "no Allure report: it is not one result")));
    assert_eq!(
        told("{\"name\":\n\"u\",\"status\":\"passed\""),
        (2, line(2, "not JSON: column 21: EOF while parsing an object"))
    );
    // What failed is told even of a file that is cut off.
    assert_eq!(
        told("{\"name\":\"u\",\"status\":\"failed\",\"st"),
        (3, line(1, "not JSON: column 33: EOF while parsing a string"))
    );
    assert_eq!(told(&format!("{sound}\n{sound}")), (4, line(2, "not JSON: column 1: trailing characters")));
    let (cases, damage) = {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("2-result.json")).unwrap();
        std::fs::write(folder.path().join("1-result.json"), sound).unwrap();
        read_source(&Source::file(folder.path().to_owned())).unwrap()
    };
    assert_eq!(cases.len(), 1);
    assert!(damage.unwrap().to_string().starts_with("line 1: 2-result.json: it can't be read on: "));
}

#[test]
fn what_is_no_report_is_refused() {
    for foreign in [
        "[]",
        "{}",
        "7",
        "{\"results\":[]}",
        "<a/>",
        "{\"name\":",
        "{\"name\":\"Jenkins\",\"buildName\":\"7\"}",
        "[{\"name\":\"t\"}]",
    ] {
        assert!(
            matches!(read_all(foreign.as_bytes()), Err(Unfit::Foreign(place)) if place.fault != Fault::Empty),
            "{foreign}"
        );
    }
    assert!(matches!(read_all(b""), Err(Unfit::Foreign(Place { fault: Fault::Empty, .. }))));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("executor.json"), "{}").unwrap();
    assert!(matches!(read_source(&Source::file(folder.path().to_owned())), Err(Unfit::Foreign(_))));
    assert!(matches!(read_source(&Source::file(folder.path().join("none"))), Err(Unfit::Unreadable(_))));
}

#[test]
fn a_cut_report_gives_what_is_known_to_have_failed() {
    let report = r#"{"name":"t","status":"failed","statusDetails":{"message":"m"},"labels":[{"name":"suite","value":"s"}]}"#;
    let known = report.find(r#","statusDetails"#).unwrap();
    for cut in 0..report.len() {
        match read_all(&report.as_bytes()[..cut]) {
            Ok((cases, damage)) => {
                assert!(cut >= known && damage.is_some(), "{cut}");
                assert_eq!((cases.len(), cases[0].ending), (1, Ending::Failed));
            }
            Err(_) => assert!(cut < known, "{cut}"),
        }
    }
}

#[test]
fn hostile_input_is_bounded() {
    let deep = format!(r#"{{"name":"t","status":"failed","labels":{}"#, "[".repeat(100_000));
    let (found, damage) = cases(&deep);
    assert_eq!((found.len(), damage.unwrap().fault), (1, Fault::TooDeep));
    let long = "x".repeat(300_000);
    let labels = vec![format!(r#"{{"name":"tag","value":"{}"}}"#, &long[..2_000]); 1_000].join(",");
    let parameters =
        vec![format!(r#"{{"name":"{}","value":"{}y"}}"#, &long[..3_000], &long[..3_000]); 1_000].join(",");
    let befores = vec![r#"{"name":"b","status":"passed"}"#; 30_000].join(",");
    let (cases, damage) = cases(&format!(
        r#"{{"befores":[{befores},{{"name":"{long}","status":"broken"}}],"labels":[{labels}],"parameters":[{parameters}],
           "name":"{long}","fullName":"{long}.{long}","historyId":"{long}","start":1e308,"stop":-1,
           "statusDetails":{{"message":"{long}","trace":"{long}"}},"status":"failed"}}"#
    ));
    assert_eq!((cases.len(), damage), (2, None));
    assert!(cases.iter().all(|case| case.name.len() < 5_000 && case.ending.is_bad()));
    let test = &cases[1];
    assert!(test.tags.len() == TAGS_MAX && test.tags.iter().all(|tag| tag.len() < 1_000));
    let failure = &test.trouble.failures[0];
    assert!(failure.message.len() + failure.text.len() <= crate::case::TEXT_BYTES_MAX);
}
