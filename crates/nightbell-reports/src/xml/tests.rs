//! Sound XML is read as others read it, and the rest as well as it can be.

use std::path::Path;

use quick_xml::Reader;
use quick_xml::events::Event;

use super::{Step, Vocabulary, Xml};
use crate::fault::Fault;
use crate::source::Source;

const VOCABULARY: Vocabulary = Vocabulary { structure: &["suite", "case"], result: Some("case") };

/// What is in a text, a word for each thing, and what is wrong with it.
fn read(text: &[u8]) -> (Vec<String>, Option<String>) {
    let mut xml = Xml::open(&Source::memory(text.into()), VOCABULARY).unwrap();
    let mut read: Vec<String> = Vec::new();
    loop {
        match xml.step() {
            Step::Start => read.push(format!("<{}", xml.name())),
            Step::End => read.push(format!(">{}", xml.name())),
            Step::ImpliedEnd => read.push(format!("!{}", xml.name())),
            Step::Text => {
                let text = xml.text().trim().to_owned();
                match read.last_mut().filter(|last| last.starts_with('=')) {
                    Some(last) => last.push_str(&text),
                    None if text.is_empty() => {}
                    None => read.push(format!("={text}")),
                }
            }
            Step::Eof => return (read, xml.damage().map(|place| place.to_string())),
        }
    }
}

#[track_caller]
fn check(text: &str, want: &str, damage: Option<&str>) {
    let (read, wrong) = read(text.as_bytes());
    assert_eq!((read.join(" ").as_str(), wrong.as_deref()), (want, damage), "{text}");
}

#[test]
fn elements_and_texts_are_given_in_order() {
    check("<a><b/>x &lt; y</a>", "<a <b >b =x < y >a", None);
    check("<n:a>\n<n:b x='1'>t</n:b></n:a>", "<a <b =t >b >a", None);
    check(
        "<?xml version='1.0'?><!-- c --><!DOCTYPE a [<!ENTITY x '>'>]><a><![CDATA[<b>&amp;]]></a>",
        "<a =<b>&amp; >a",
        None,
    );
    check("", "", None);
}

#[test]
fn what_is_left_open_is_ended_and_said() {
    check("<a><b>x", "<a <b =x !b !a", Some("line 1: it ends before `</b>`"));
    check("<a><b>x</a>", "<a <b =x !b >a", Some("line 1: not XML: expected `</b>`, but `</a>` was found"));
    check("<a></b></a>", "<a >a", Some("line 1: not XML: expected `</a>`, but `</b>` was found"));
    check("<a/></b>", "<a >a", Some("line 1: not XML: `</b>` ends what did not begin"));
}

#[test]
fn a_result_that_begins_in_another_one_ends_it() {
    check(
        "<suite><case><x>\n<case/></suite>",
        "<suite <case <x !x !case <case >case >suite",
        Some("line 2: not XML: expected `</case>`, but `<case>` was found"),
    );
    check(
        "<suite><case><suite/></suite>",
        "<suite <case !case <suite >suite >suite",
        Some("line 1: not XML: expected `</case>`, but `<suite>` was found"),
    );
}

#[test]
fn a_broken_tag_ends_before_the_next_one_of_the_structure() {
    let not_closed = Some("line 1: not XML: a tag is not closed before the next one");
    check("<suite><case name='x<case/></suite>", "<suite <case >case >suite", not_closed);
    check("<suite><case><x a='b\n<case/></suite>", "<suite <case <x >x !case <case >case >suite", not_closed);
    check("<suite><case name=<x/></case></suite>", "<suite <x >x >suite", not_closed);
}

/// What quick-xml finds in a sound document.
fn by_another(text: &str) -> Vec<String> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let (mut read, mut words): (Vec<String>, String) = (Vec::new(), String::new());
    let settle = |words: &mut String, next: Option<String>, read: &mut Vec<String>| {
        if !words.trim().is_empty() {
            read.push(format!("={}", words.trim()));
        }
        words.clear();
        read.extend(next);
    };
    loop {
        match reader.read_event().unwrap() {
            Event::Start(tag) => {
                settle(&mut words, Some(format!("<{}", tag.local_name().as_ref())), &mut read);
            }
            Event::End(tag) => settle(&mut words, Some(format!(">{}", tag.local_name().as_ref())), &mut read),
            Event::Text(text) => words.push_str(&text.xml10_content()),
            Event::CData(text) => words.push_str(&text.xml10_content()),
            Event::GeneralRef(name) => {
                let letter = name.resolve_char_ref().unwrap().map(String::from);
                words.push_str(&letter.unwrap_or_else(|| {
                    quick_xml::escape::resolve_predefined_entity(&name).unwrap().to_owned()
                }));
            }
            Event::Eof => {
                settle(&mut words, None, &mut read);
                return read;
            }
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
}

#[test]
fn real_reports_are_read_as_others_read_them() {
    fn files(folder: &Path, into: &mut Vec<std::path::PathBuf>) {
        for entry in folder.read_dir().unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                files(&path, into);
            } else if path.extension().is_some_and(|ending| ending == "xml") {
                into.push(path);
            }
        }
    }
    let mut all = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data"), &mut all);
    assert!(all.len() > 30);
    let squeezed = |read: Vec<String>| {
        let parts = read
            .iter()
            .filter(|part| part.trim() != "=")
            .map(|part| part.split_whitespace().collect::<String>());
        parts.collect::<Vec<_>>()
    };
    for path in all {
        let text = std::fs::read_to_string(&path).unwrap();
        let (own, damage) = read(text.as_bytes());
        assert_eq!(
            (squeezed(own), damage),
            (squeezed(by_another(text.trim_start_matches('\u{feff}'))), None),
            "{}",
            path.display()
        );
    }
}

#[test]
fn whatever_the_size_of_the_pieces_lines_are_counted() {
    let text = format!("<a>{}\n<b>\n{}</b>", "x\n".repeat(100_000), "y".repeat(400_000));
    let (read, damage) = read(text.as_bytes());
    assert_eq!((read.len(), damage.as_deref()), (6, Some("line 100003: it ends before `</a>`")));
}

#[test]
fn nesting_is_bounded_and_what_follows_is_read() {
    let deep = format!("<a>{}{}<b/></a>", "<x>".repeat(1_000), "</x>".repeat(1_000));
    let (read, damage) = read(deep.as_bytes());
    assert_eq!(read.last().map(String::as_str), Some(">a"));
    assert!(read.contains(&"<b".to_owned()));
    assert_eq!(damage, Some(format!("line 1: {}", Fault::TooDeep)));
}
