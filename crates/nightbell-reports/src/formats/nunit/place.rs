//! What a test of NUnit is called: by its class and its own name, which each version writes in another way.

use super::{Kind, Suite};
use crate::case::Case;
use crate::names::within_class;

/// A test, by its attributes and the suites around it.
pub(super) fn called(name: &str, full: Option<&str>, class: Option<&str>, suites: &[Suite]) -> Case {
    let full = full.unwrap_or_default();
    let around = full
        .strip_suffix(name)
        .and_then(|around| around.strip_suffix('.'))
        .filter(|around| !around.is_empty());
    let Some(class) = class.or(around) else {
        return by_name(if name.is_empty() { full } else { name }, suites);
    };
    // A fixture with arguments: they stand in the full name alone.
    let fixture = around.filter(|around| {
        let plain = class.split('`').next().unwrap_or_default();
        around.strip_prefix(plain).is_some_and(|rest| rest.starts_with(['(', '<']))
    });
    let suite = fixture.unwrap_or(class);
    // What is no NUnit may have the method alone as the name, and the row in the full name.
    let own = within_class(full, class);
    let name = if around.is_none() && !full.is_empty() { own } else { name };
    of_class(suite, name)
}

fn of_class(class: &str, name: &str) -> Case {
    Case {
        suite: Some(class.into()),
        class: Some(class.to_owned()),
        name: name.to_owned(),
        ..Case::default()
    }
}

/// NUnit 2 has only a full name; others have a name in suites that are no classes.
fn by_name(name: &str, suites: &[Suite]) -> Case {
    let fixture =
        suites.iter().rev().find(|suite| suite.kind == Kind::Fixture).map(|suite| suite.name.as_str());
    let in_fixture = fixture.and_then(|fixture| {
        let at = name.find(&format!("{fixture}."))?;
        let is_whole = at == 0 || name[..at].ends_with(['.', '+']);
        is_whole.then(|| name.split_at(at + fixture.len()))
    });
    let head = name.split(['(', '<']).next().unwrap_or_default();
    let is_plain = head.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '+' | '`'));
    let by_dot = head.rfind('.').filter(|at| is_plain && *at > 0).map(|at| name.split_at(at));
    match in_fixture.or(by_dot) {
        Some((class, method)) if method.len() > 1 => of_class(class, method.trim_start_matches('.')),
        Some(_) | None => {
            let suite = suites.last();
            let class = suite.filter(|suite| suite.kind == Kind::Fixture || suite.kind == Kind::Method);
            match class.and_then(|suite| suite.class.as_deref()) {
                Some(class) => of_class(class, name),
                None => Case {
                    suite: suite.and_then(|suite| suite.path.clone()),
                    name: name.to_owned(),
                    ..Case::default()
                },
            }
        }
    }
}
