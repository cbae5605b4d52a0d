//! The verbs that only read: list, groups, show, export.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::browse;
use crate::cli::{AsJson, Selector};
use crate::exit::{Code, Failure};
use crate::letter::{DETAIL_CHARS, HEAD, row, without_body};
use crate::letters::access::Access;
use crate::output::{complain, count, one_line, print_json, print_json_line, print_line, print_table, table};
use crate::terminal::fit_json;

pub(super) async fn list(access: &Access, selector: &Selector, as_json: AsJson) -> Result<(), Failure> {
    let mut summaries = Vec::new();
    let mut rows = table(&HEAD);
    browse(access, selector, |letter| {
        if as_json.json {
            summaries.push(without_body(letter));
        } else {
            rows.add_row(row(&letter));
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
type Group = (Option<String>, String, String);

pub(super) async fn groups(access: &Access, selector: &Selector, as_json: AsJson) -> Result<(), Failure> {
    let mut groups: BTreeMap<Group, (usize, Option<String>, Option<String>)> = BTreeMap::new();
    browse(access, selector, |letter| {
        let text = |name: &str| letter[name].as_str().map(ToOwned::to_owned);
        let detail = one_line(letter["detail"].as_str().unwrap_or_default(), DETAIL_CHARS);
        let died = text("died_at");
        let key = (text("connector"), text("reason").unwrap_or_default(), detail);
        let (count, first, last) = groups.entry(key).or_insert((0, died.clone(), died.clone()));
        *count += 1;
        // RFC 3339 in UTC with a fixed number of digits sorts as time does.
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
        rows.add_row([count.to_string(), or_dash(connector), reason, detail, or_dash(first), or_dash(last)]);
    }
    print_table(&rows)
}

pub(super) async fn show(access: &Access, ids: Vec<String>, as_json: AsJson) -> Result<(), Failure> {
    let selector = Selector { id: ids, ..Selector::default() };
    let mut letters = Vec::new();
    browse(access, &selector, |letter| {
        letters.push(letter);
        Ok(())
    })
    .await?;
    if as_json.json {
        print_json(&letters)?;
    } else {
        for letter in &letters {
            print_line(&text(letter))?;
        }
    }
    for id in &selector.id {
        let id = id.to_ascii_lowercase();
        if !letters.iter().any(|letter| letter["id"].as_str().is_some_and(|own| own.starts_with(&id))) {
            return Err(Failure::new(Code::NoInput, format!("no dead letter's id begins with `{id}`")));
        }
    }
    Ok(())
}

/// A letter for a person: its fields, its history, and the body as it was published.
fn text(letter: &Value) -> String {
    let mut lines = Vec::new();
    for field in [
        "id",
        "connector",
        "reason",
        "detail",
        "died_at",
        "accepted_at",
        "attempts",
        "project",
        "test",
        "event_id",
        "replayed_at",
        "routing_key",
    ] {
        let value = match &letter[field] {
            Value::Null if field == "attempts" => "unknown".to_owned(),
            Value::Null => continue,
            Value::String(text) => one_line(text, 2_000),
            other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                one_line(&other.to_string(), 2_000)
            }
        };
        lines.push(format!("{:<13}{value}", field.replace('_', " ")));
    }
    for attempt in letter["history"].as_array().into_iter().flatten() {
        let part = |name: &str| one_line(attempt[name].as_str().unwrap_or_default(), 200);
        lines.push(format!("{:<13}{} {} ({})", "attempt", part("at"), part("outcome"), part("detail")));
    }
    match (letter["body"].as_str(), letter["body_base64"].as_str()) {
        (Some(body), _) => lines.push(match serde_json::from_str::<Value>(body) {
            // It is JSON, so it has escapes of its own.
            Ok(json) => fit_json(&format!("{json:#}")).into_owned(),
            Err(_) => one_line(body, 4_000),
        }),
        (None, Some(base64)) => lines.push(format!("{:<13}{base64}", "body, base64")),
        (None, None) => {}
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
