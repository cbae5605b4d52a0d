//! `crates/README.md`: the life of an alert, the code map, the invariants.

use std::collections::{BTreeMap, BTreeSet};

use crate::Wrong;
use crate::page::{Page, files, pages, root};

fn house() -> Page {
    pages().into_iter().find(|page| page.path == "crates/README.md").unwrap()
}

/// A section as a page of its own.
fn part(house: &Page, title: &str) -> Page {
    Page { path: format!("{}, {title}", house.path), text: house.section(title).to_owned() }
}

/// The cells of a table's rows, without its head.
fn rows(page: &Page) -> Vec<Vec<&str>> {
    let rows = page.text.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix('|'));
    rows.skip(1).map(|row| row.split('|').map(str::trim).collect()).collect()
}

#[test]
fn the_life_of_an_alert_is_told_by_functions_that_are_there() {
    let (life, mut wrong, mut count) = (part(&house(), "The life of an alert"), Wrong::default(), 0);
    for span in life.spans() {
        let Some((path, function)) = span.split_once(".rs:") else { continue };
        let path = format!("{path}.rs");
        let has = |path: &str| has_function(path, function);
        if !has(&path) {
            let others: Vec<_> = sources().into_iter().filter(|path| has(path)).collect();
            wrong.unless(false, &life, &format!("{span}; perhaps it is in {}", others.join(", ")));
        }
        count += 1;
    }
    assert!(count > 30, "only {count} functions");
}

/// Whether a file of the sources has this function.
fn has_function(path: &str, name: &str) -> bool {
    let text = std::fs::read_to_string(root().join(path)).unwrap_or_default();
    ["(", "<"].iter().any(|after| text.contains(&format!("fn {name}{after}")))
}

/// The files of all crates' sources.
fn sources() -> Vec<String> {
    let is_source =
        |path: &String| path.starts_with("crates/") && path.contains("/src/") && path.ends_with(".rs");
    files().into_iter().filter(is_source).collect()
}

#[test]
fn the_code_map_has_every_crate_and_what_it_names() {
    let (map, mut wrong) = (part(&house(), "The code map"), Wrong::default());
    let named = |cell: &str| {
        cell.split(", ").filter(|name| !name.is_empty()).map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let told: BTreeMap<String, BTreeSet<String>> = rows(&map)
        .into_iter()
        .map(|cells| {
            let name = cells[0].trim_start_matches('[').split(']').next().unwrap();
            (name.to_owned(), named(cells[2]))
        })
        .collect();
    let crates = std::fs::read_dir(root().join("crates")).unwrap().map(|entry| entry.unwrap());
    let crates: BTreeSet<String> = crates
        .filter(|entry| entry.path().join("Cargo.toml").exists())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(told.keys().cloned().collect::<BTreeSet<_>>(), crates);
    for (name, told) in told {
        let manifest = std::fs::read_to_string(root().join("crates").join(&name).join("Cargo.toml")).unwrap();
        let (_, from) = manifest.split_once("[dependencies]").unwrap();
        let lines = from.lines().skip(1).take_while(|line| !line.starts_with('['));
        let names = lines.filter_map(|line| line.split(['.', ' ']).next()).map(str::to_owned);
        let names: BTreeSet<String> = names.filter(|name| crates.contains(name)).collect();
        wrong.unless(told == names, &map, &format!("{name} names {names:?}"));
    }
}

#[test]
fn every_invariant_is_shown_by_something() {
    let (invariants, mut wrong) = (part(&house(), "Invariants"), Wrong::default());
    let rows = rows(&invariants);
    assert!(rows.len() > 5, "{rows:?}");
    for cells in rows {
        wrong.unless(cells[1].contains('`'), &invariants, cells[0]);
    }
}
