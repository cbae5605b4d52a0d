//! JSON is walked through, and what is odd in it costs nothing else.

use super::{Bracket, Handler, ITEM, Spot, Tree, Want, line, walk};
use crate::source::Source;

const VOCABULARY: &[&str] = &["list", "name", "deep", "flag"];

/// Keeps the items of `list`, and what else it is handed.
#[derive(Default)]
struct Kept {
    taken: Vec<String>,
    enough: usize,
}

impl Handler for Kept {
    fn words(&self) -> &'static [&'static str] {
        VOCABULARY
    }

    fn want(&mut self, path: &[&'static str]) -> Want {
        match path {
            [] | ["list"] => Want::Enter,
            ["list", ITEM] | ["name"] => Want::Whole,
            _ => Want::Skip,
        }
    }

    fn begin(&mut self, path: &[&'static str], _: Bracket, _: Spot) {
        self.taken.push(format!("begin {}", path.join(".")));
    }

    fn take(&mut self, path: &[&'static str], tree: Tree, Spot { line, .. }: Spot) {
        self.taken.push(format!(
            "{line} {}: {}",
            path.join("."),
            tree.get("name").text().or_else(|| tree.text()).unwrap_or_default()
        ));
    }

    fn end(&mut self, path: &[&'static str], line: u64) {
        self.taken.push(format!("{line} end {}", path.join(".")));
    }

    fn is_done(&self) -> bool {
        self.enough > 0 && self.taken.len() >= self.enough
    }
}

fn walked(text: &str) -> (Vec<String>, Option<String>) {
    let mut kept = Kept::default();
    let damage = walk(&Source::memory(text.as_bytes().into()), &mut kept).unwrap();
    (kept.taken, damage.map(|place| place.to_string()))
}

#[test]
fn what_is_wanted_is_given_in_order() {
    let (taken, damage) = walked("{\"other\":[{}],\"name\":5,\n\"list\":[{\"name\":\"a\"},\n7,null]}");
    assert_eq!(
        taken,
        [
            "begin ",
            "1 name: 5",
            "begin list",
            "2 list.*: a",
            "3 list.*: 7",
            "3 list.*: ",
            "3 end list",
            "3 end "
        ]
    );
    assert_eq!(damage, None);
}

#[test]
fn what_was_read_before_the_damage_is_given() {
    let (taken, damage) = walked("{\"list\":[{\"name\":\"a\"},\n{\"name\":");
    assert_eq!(taken.last().map(String::as_str), Some("1 list.*: a"));
    assert!(damage.unwrap().starts_with("line 2: not JSON: column 8: EOF"));
}

#[test]
fn documents_one_after_the_other_are_all_read_and_said() {
    let (taken, damage) = walked("{\"name\":1}\n{\"name\":2} rest");
    assert!(taken.contains(&"1 name: 1".to_owned()) && taken.contains(&"2 name: 2".to_owned()), "{taken:?}");
    assert_eq!(damage.as_deref(), Some("line 2: not JSON: column 1: trailing characters"));
}

#[test]
fn who_wants_no_more_gets_no_more() {
    let mut kept = Kept { enough: 2, ..Kept::default() };
    let text = "{\"name\":1,\"list\":[1,2,3";
    assert_eq!(walk(&Source::memory(text.as_bytes().into()), &mut kept).unwrap(), None);
    assert_eq!(kept.taken.len(), 2);
}

#[test]
fn a_tree_tells_what_there_is_instead_of_what_should_be() {
    let tree = line(
        r#"{"name":"a","name":"b","list":["x",1,{"name":2},true],"flag":"True","deep":-1,"other":1}"#,
        VOCABULARY,
    )
    .unwrap();
    assert_eq!(tree.get("name").text().as_deref(), Some("b"));
    assert_eq!(tree.get("list").texts(), ["x", "1", "true"]);
    assert_eq!(tree.get("list").text().as_deref(), Some("x\n1\ntrue"));
    assert!(tree.get("flag").is_true() && !tree.get("name").is_true());
    assert_eq!((tree.get("deep").count(), tree.get("deep").number()), (0, Some(-1.0)));
    assert_eq!(tree.get("other"), &Tree::Nothing);
    assert_eq!(tree.get("list").get("name"), &Tree::Nothing);
    assert!(tree.is_object() && tree.items().is_empty());
    assert!(line("{} {}", VOCABULARY).is_err() && line("", VOCABULARY).is_err());
}

#[test]
fn a_tree_is_bounded() {
    let many = format!("[{}1]", "1,".repeat(100_000));
    assert!(line(&many, VOCABULARY).unwrap().items().len() <= 20_000);
    let long = format!("[{}1]", format!("\"{}\",", "x".repeat(200_000)).repeat(20));
    let kept: usize = line(&long, VOCABULARY).unwrap().texts().iter().map(String::len).sum();
    assert!(kept <= 2 * 1024 * 1024 + 1, "{kept}");
}
