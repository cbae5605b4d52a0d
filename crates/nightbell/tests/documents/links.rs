//! Links lead somewhere, and files that are named are there.

use crate::Wrong;
use crate::page::{Page, files, pages, root};

#[test]
fn every_link_leads_somewhere() {
    let (pages, mut wrong) = (pages(), Wrong::default());
    for page in &pages {
        for link in page.links() {
            if !["https://", "http://"].iter().any(|scheme| link.starts_with(scheme)) {
                wrong.unless(leads_somewhere(page, &link, &pages), page, &link);
            }
        }
    }
}

fn leads_somewhere(page: &Page, link: &str, pages: &[Page]) -> bool {
    let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
    let beside = root().join(&page.path);
    let target = if path.is_empty() { beside } else { beside.parent().unwrap().join(path) };
    let Ok(target) = target.canonicalize() else { return false };
    let Some(anchor) = anchor else { return true };
    let known = pages.iter().find(|other| root().join(&other.path) == target);
    known.is_some_and(|other| other.anchors().iter().any(|own| own == anchor))
}

#[test]
fn every_file_that_is_named_is_there() {
    let mut wrong = Wrong::default();
    for page in pages().iter().filter(|page| page.is_of_today()) {
        for span in page.spans() {
            let path = span.split([':', ' ']).next().unwrap_or_default();
            let is_ours = ["crates/", "deploy/", "tests/"].iter().any(|top| path.starts_with(top));
            if is_ours && !path.contains(['*', '…']) {
                wrong.unless(root().join(path).exists(), page, path);
            }
        }
    }
}

#[test]
fn every_document_that_a_file_names_is_there() {
    let mut wrong = Wrong::default();
    for path in files() {
        let Ok(text) = std::fs::read_to_string(root().join(&path)) else { continue };
        let page = Page { path, text };
        let words = page.text.split(|sign: char| !sign.is_ascii_alphanumeric() && !"/._-".contains(sign));
        let is_ours =
            |word: &&str| page.is_of_today() && word.starts_with("deploy/") && word.ends_with(".md");
        for word in words.filter(is_ours) {
            wrong.unless(root().join(word).exists(), &page, word);
        }
    }
}
