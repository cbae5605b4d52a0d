//! The verbs that only read: list, groups, show, export.

use std::collections::BTreeMap;

use nightbell_core::connector::Connector;
use nightbell_letters::{LetterView, Selector};
use serde_json::{Value, json};

use super::table::{self, DETAIL_CHARS};
use super::{Access, browse, collect};
use crate::cli::AsJson;
use crate::exit::{Code, Failure};
use crate::output::{complain, count, one_line, print_json, print_json_line, print_line, print_table, table};
use crate::terminal::fit_json;

/// How much of a field, and of a body that is no JSON, is shown, in characters.
const FIELD_CHARS: usize = 2_000;
const BODY_CHARS: usize = 4_000;

pub(super) async fn list(access: &Access, selector: &Selector, as_json: AsJson) -> Result<(), Failure> {
    let mut summaries = Vec::new();
    let mut rows = table::head();
    browse(access, selector, |letter| {
        if as_json.json {
            summaries.push(letter.without_body());
        } else {
            rows.add_row(table::row(&letter));
        }
        Ok(())
    })
    .await?;
    if as_json.json {
        print_json(&summaries)
    } else if rows.is_empty() {
        print_line("no dead letters")
    } else {
        print_table(&rows)
    }
}

/// Letters that died of the same: connector, reason and detail.
type Group = (Option<Connector>, &'static str, String);

pub(super) async fn groups(access: &Access, selector: &Selector, as_json: AsJson) -> Result<(), Failure> {
    let mut groups: BTreeMap<Group, (usize, Option<String>, Option<String>)> = BTreeMap::new();
    browse(access, selector, |letter| {
        let detail = one_line(&letter.detail, DETAIL_CHARS);
        let (key, died) = ((letter.connector, letter.reason.as_str(), detail), letter.died_at);
        let (count, first, last) = groups.entry(key).or_insert((0, died.clone(), died.clone()));
        *count += 1;
        *first = first.take().min(died.clone());
        *last = last.take().max(died);
        Ok(())
    })
    .await?;
    if as_json.json {
        let list: Vec<Value> = groups
            .iter()
            .map(|((connector, reason, detail), (count, first, last))| {
                json!({
                    "connector": connector, "reason": reason, "detail": detail,
                    "count": count, "first_died_at": first, "last_died_at": last,
                })
            })
            .collect();
        return print_json(&list);
    }
    if groups.is_empty() {
        return print_line("no dead letters");
    }
    let mut rows = table(&["count", "connector", "reason", "detail", "first", "last"]);
    for ((connector, reason, detail), (count, first, last)) in groups {
        let or_dash = |text: Option<String>| text.unwrap_or("-".to_owned());
        let connector = or_dash(connector.map(|connector| connector.to_string()));
        rows.add_row([count.to_string(), connector, reason.into(), detail, or_dash(first), or_dash(last)]);
    }
    print_table(&rows)
}

pub(super) async fn show(access: &Access, ids: Vec<String>, as_json: AsJson) -> Result<(), Failure> {
    let selector = Selector { id: ids, ..Selector::default() };
    let letters = collect(access, &selector, |letter| letter).await?;
    if as_json.json {
        print_json(&letters)?;
    } else {
        for letter in &letters {
            print_line(&text(letter))?;
        }
    }
    for id in &selector.id {
        let id = id.to_ascii_lowercase();
        if !letters.iter().any(|letter| letter.id.starts_with(&id)) {
            return Err(Failure::new(Code::NoInput, format!("no dead letter's id begins with `{id}`")));
        }
    }
    Ok(())
}

/// A letter for a person: its fields, its history, and the body as it was published.
fn text(letter: &LetterView) -> String {
    let fields = [
        ("id", Some(letter.id.as_str())),
        ("connector", letter.connector.as_ref().map(Connector::as_str)),
        ("reason", Some(letter.reason.as_str())),
        ("detail", Some(letter.detail.as_str())),
        ("died at", letter.died_at.as_deref()),
        ("accepted at", letter.accepted_at.as_deref()),
        ("attempts", Some(table::attempts(letter).as_str())),
        ("project", letter.project.as_deref()),
        ("test", letter.test.as_deref()),
        ("event id", letter.event_id.as_deref()),
        ("replayed at", letter.replayed_at.as_deref()),
        ("routing key", letter.routing_key.as_deref()),
    ]
    .map(|(name, value)| value.map(|value| format!("{name:<13}{}", one_line(value, FIELD_CHARS))));
    let mut lines: Vec<_> = fields.into_iter().flatten().collect();
    for attempt in letter.history.iter().flatten() {
        let part = |text: &str| one_line(text, 200);
        let (at, outcome, detail) = (&attempt.at, attempt.outcome.as_str(), &attempt.detail);
        lines.push(format!("{:<13}{} {outcome} ({})", "attempt", part(at), part(detail)));
    }
    if let Some(body) = &letter.body {
        lines.push(match serde_json::from_str::<Value>(body) {
            // It is JSON, so it has escapes of its own.
            Ok(json) => fit_json(&format!("{json:#}")).into_owned(),
            Err(_) => one_line(body, BODY_CHARS),
        });
    } else if let Some(base64) = &letter.body_base64 {
        lines.push(format!("{:<13}{base64}", "body, base64"));
    }
    lines.push(String::new());
    lines.join("\n")
}

pub(super) async fn export(access: &Access, selector: &Selector) -> Result<(), Failure> {
    let mut written = 0;
    browse(access, selector, |letter| {
        written += 1;
        print_json_line(&letter)
    })
    .await?;
    complain(&format!("exported {}; they stay where they are", count(written, "dead letter")));
    Ok(())
}
