//! The rule above all others: every failing or erroring result in a report becomes an event of its own, or is an attempt
//! that the format itself declares as one, or the command ends with a code that says what was not published.

use std::collections::HashSet;
use std::fmt::Write as _;

use crate::naive::failing;
use crate::support::{Told, one};

/// How many reports are generated, unless `NIGHTBELL_REPORTS` says otherwise.
const REPORTS: u64 = 3_000;

/// Chance from a seed (SplitMix64), so that each report can be made again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % sides as u64).unwrap()
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.roll(all.len())]
    }
}

/// A report: suites nested at will, names repeated at will, attempts, failures of suites, counts right and wrong.
fn report(dice: &mut Dice) -> String {
    let head = dice.of(&["", "<?xml version='1.0' encoding='UTF-8'?>\n"]);
    let suites: String = (0..dice.roll(4)).map(|_| suite(dice, 3)).collect();
    match dice.roll(4) {
        0 => format!("{head}{}", suite(dice, 3)),
        _ => format!("{head}<testsuites{}>{suites}</testsuites>\n", counts(dice)),
    }
}

fn suite(dice: &mut Dice, depth_left: usize) -> String {
    let mut inside = String::new();
    for _ in 0..dice.roll(6) {
        let piece = match dice.roll(12) {
            0 | 1 if depth_left > 0 => suite(dice, depth_left - 1),
            2 => bad(dice, &["failure", "error"]),
            3 => dice
                .of(&[
                    "<properties><property name='p' value='v'/></properties>",
                    "<system-err>went wrong</system-err>",
                ])
                .to_owned(),
            _ => case(dice),
        };
        inside.push_str(&piece);
    }
    let attributes = [
        name(dice),
        dice.of(&["", " timestamp='2026-11-20T10:00:00'", " hostname='h'"]).to_owned(),
        counts(dice),
    ];
    format!("<testsuite{}>{inside}</testsuite>", attributes.concat())
}

fn counts(dice: &mut Dice) -> String {
    let [failures, errors] = [dice.roll(4), dice.roll(3)];
    match dice.roll(3) {
        0 => format!(" failures='{failures}' errors=\"{errors}\""),
        1 => format!(" errors='{errors}'"),
        _ => String::new(),
    }
}

fn case(dice: &mut Dice) -> String {
    let attributes = [
        name(dice),
        dice.of(&["", " classname='shop.Cart'", " classname='a'", " class='b'"]).to_owned(),
        dice.of(&["", "", " file='/srv/a.test.js'", " file='b.test.js'"]).to_owned(),
    ]
    .concat();
    let kinds = ["failure", "error", "failure", "rerunFailure", "flakyFailure", "flakyError", "skipped"];
    let inside: String = (0..dice.roll(3)).map(|_| bad(dice, &kinds)).collect();
    match dice.roll(3) {
        0 => format!("<testcase{attributes}/>"),
        1 => format!("<testcase{attributes}>{inside}</testcase>\n"),
        _ => format!("<testcase{attributes}><system-out>&lt;failure&gt; ok</system-out>{inside}</testcase>"),
    }
}

fn name(dice: &mut Dice) -> String {
    let name = dice.of(&[
        "",
        "a",
        "a",
        "b",
        "pays &amp; goes",
        "größe",
        "[1] EUR",
        "a.b-20261120100000",
        "x &gt; y",
    ]);
    if name.is_empty() { String::new() } else { format!(" name=\"{name}\"") }
}

fn bad(dice: &mut Dice, kinds: &[&str]) -> String {
    let kind = dice.of(kinds);
    match dice.roll(3) {
        0 => format!("<{kind}/>"),
        1 => format!("<{kind} message='it&apos;s &#10;wrong'>text &lt;1&gt;</{kind}>"),
        _ => format!("<{kind} type='T'><stackTrace>at a.js:1</stackTrace></{kind}>"),
    }
}

/// A report with something wrong at any of its bytes.
fn damaged(dice: &mut Dice, report: &str) -> Vec<u8> {
    let mut bytes = report.as_bytes().to_vec();
    for _ in 0..=dice.roll(2) {
        let at = dice.roll(bytes.len() + 1);
        let until = (at + dice.roll(20)).min(bytes.len());
        match dice.roll(6) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..until)),
            2 => bytes.insert(
                at,
                *dice
                    .of(&["<", ">", "&", "\"", "'", "/", "x", " ", "\0", ";", "="])
                    .as_bytes()
                    .first()
                    .unwrap(),
            ),
            3 => drop(bytes.splice(
                at..until,
                dice.of(&["</testcase>", "<failure>", "]]>", "<testcase name='a'>", "&a;"]).bytes(),
            )),
            4 => bytes.extend_from_slice(report.as_bytes()),
            _ => bytes.extend_from_slice(b"\nnpm ERR! code 1\n"),
        }
    }
    bytes
}

/// How many failing results were told of, besides that a report is damaged.
fn told_of(told: &Told) -> usize {
    told.events.len() - told.summary.damaged
}

#[track_caller]
fn check_apart(told: &Told, what: &str) {
    let ids: HashSet<_> = told.ids().into_iter().collect();
    let keys: HashSet<_> = told.events.iter().map(|event| (&event.suite, &event.test)).collect();
    assert_eq!((ids.len(), keys.len()), (told.events.len(), told.events.len()), "{what}");
}

#[test]
fn no_failing_test_is_lost_before_the_queue() {
    let reports = std::env::var("NIGHTBELL_REPORTS").map_or(REPORTS, |count| count.parse().unwrap());
    let mut what = String::new();
    for seed in 0..reports {
        let mut dice = Dice(seed);
        let whole = report(&mut dice);
        what.clear();
        write!(what, "seed {seed}: {whole}").unwrap();
        let told = one(&whole);
        assert_eq!((Some(told_of(&told)), told.is_damaged()), (failing(&whole), false), "{what}");
        check_apart(&told, &what);

        let broken = damaged(&mut dice, &whole);
        let text = String::from_utf8_lossy(&broken);
        write!(what, "\nbroken: {text}").unwrap();
        let told = one(&broken);
        check_apart(&told, &what);
        // What is not said to be damaged is told of whole; and what is damaged is said to be.
        if !told.is_damaged() {
            assert_eq!(Some(told_of(&told)), failing(&text), "{what}");
        }
    }
}

#[test]
fn what_was_whole_before_a_cut_is_told_of() {
    for seed in 0..200 {
        let mut dice = Dice(seed);
        let whole = report(&mut dice);
        let all: Vec<_> = whole.match_indices("</testcase>").map(|(at, end)| at + end.len()).collect();
        for cut in all {
            let (told, before) = (one(&whole.as_bytes()[..cut]), &whole[..cut]);
            let cases = before.match_indices("<testcase").map(|(at, _)| &before[at..]).filter(|case| {
                let case = case.split("</testcase>").next().unwrap_or_default();
                !case.split_once('>').is_some_and(|(tag, _)| tag.ends_with('/'))
                    && (case.contains("<failure") || case.contains("<error"))
            });
            assert!(told_of(&told) >= cases.count(), "seed {seed}: {before}");
        }
    }
}
