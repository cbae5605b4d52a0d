//! What the documents name of the sources: functions, tests, variables of the environment.

use std::collections::BTreeSet;

use crate::Wrong;
use crate::page::{files, pages, root, words};

/// The text of all programs and scripts.
fn sources() -> String {
    let read = |path: String| {
        let is_ours =
            ["crates/", "deploy/", "tests/", "docker-compose"].iter().any(|top| path.starts_with(top));
        let is_source = is_ours && !path.ends_with(".md") && !path.starts_with("tests/data/");
        is_source.then(|| std::fs::read_to_string(root().join(path)).ok()).flatten()
    };
    files().into_iter().filter_map(read).collect()
}

#[test]
fn every_test_that_is_named_is_there() {
    let (sources, mut wrong) = (sources(), Wrong::default());
    for page in pages().iter().filter(|page| page.is_of_today()) {
        for span in page.spans() {
            let is_test = span.matches('_').count() > 2
                && !span.starts_with("nightbell_")
                && span.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
            if is_test {
                wrong.unless(sources.contains(&format!("fn {span}(")), page, &span);
            }
        }
    }
}

#[test]
fn every_variable_of_the_environment_is_read_somewhere() {
    let (sources, mut wrong) = (sources(), Wrong::default());
    let read: BTreeSet<&str> = words(&sources).filter(|word| word.starts_with("NIGHTBELL_")).collect();
    for page in pages().iter().filter(|page| page.is_of_today()) {
        for word in words(&page.text).filter(|word| word.starts_with("NIGHTBELL_")) {
            wrong.unless(read.contains(word), page, word);
        }
    }
}
