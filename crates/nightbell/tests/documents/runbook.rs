//! The alerts and the runbook.

use std::collections::BTreeMap;

use crate::Wrong;
use crate::page::{Page, pages, root, words};

/// The rules: names with severities.
fn rules() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(root().join("deploy/prometheus/nightbell.rules.yml")).unwrap();
    let rules = text.split("- alert: ").skip(1).map(|rule| {
        let severity = rule.split("severity: ").nth(1).and_then(|rest| rest.split('}').next()).unwrap();
        (rule.lines().next().unwrap().to_owned(), severity.to_owned())
    });
    rules.collect()
}

#[test]
fn the_runbook_begins_with_all_alerts_and_a_command_for_each() {
    let (rules, mut wrong) = (rules(), Wrong::default());
    let runbook = pages().into_iter().find(|page| page.path == "deploy/RUNBOOK.md").unwrap();
    let (index, _) = runbook.text.split_once("\n## ").unwrap();
    let mut severity = String::new();
    let mut listed = Vec::new();
    for row in index.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let Some(name) = cells[0].strip_prefix('[').and_then(|cell| cell.split(']').next()) else {
            cells[0].clone_into(&mut severity);
            continue;
        };
        wrong.unless(rules.get(name) == Some(&severity), &runbook, &format!("{name}, {severity}"));
        wrong.unless(cells.len() == 3 && cells[2].starts_with('`'), &runbook, &format!("a command in {row}"));
        listed.push(name.to_owned());
    }
    for name in rules.keys() {
        wrong.unless(listed.contains(name), &runbook, &format!("{name} in the index"));
    }
}

#[test]
fn every_alert_that_is_told_of_is_a_rule() {
    let (rules, mut wrong) = (rules(), Wrong::default());
    for page in pages().iter().filter(|page| page.is_of_today()) {
        for word in words(&page.text).filter(|word| is_alert(word)) {
            wrong.unless(rules.contains_key(word), page, word);
        }
        tell_count(page, rules.len(), &mut wrong);
    }
}

fn is_alert(word: &str) -> bool {
    word.strip_prefix("Nightbell")
        .is_some_and(|rest| rest.starts_with(|sign: char| sign.is_ascii_uppercase()))
}

/// Where it says how many alerts there are, it is so many.
fn tell_count(page: &Page, count: usize, wrong: &mut Wrong) {
    let words: Vec<&str> = page.text.split_whitespace().collect();
    for pair in words.windows(2).filter(|pair| pair[1].trim_end_matches(['*', '.', ',']) == "alerts") {
        let said: Option<usize> = pair[0].parse().ok();
        let is_of_rules = said.filter(|said| (20..40).contains(said));
        wrong.unless(is_of_rules.is_none_or(|said| said == count), page, &pair.join(" "));
    }
}
