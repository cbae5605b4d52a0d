//! The verbs that only read: list, groups, show, export.

use std::collections::BTreeMap;

use nightbell_core::connector::Connector;
use nightbell_core::dead::Reason;
use serde_json::{Value, json};

use super::browse::browse;
use crate::cli::{AsJson, Selector};
use crate::config::Config;
use crate::exit::{Code, Failure, OrFail as _};
use crate::letter::Letter;
use crate::output::{count, one_line, print_json, print_line, print_table, table};

/// How much of an id a table shows; `--id` takes as much.
const ID_CHARS: usize = 12;

/// How much of a detail a table shows.
const DETAIL_CHARS: usize = 60;

pub(super) async fn list(config: &Config, selector: &Selector, as_json: AsJson) -> Result<(), Failure> {
    let mut summaries = Vec::new();
    let mut rows = table(&["id", "connector", "reason", "died at", "attempts", "project", "test", "detail"]);
    let browsed = browse(config, selector, |letter, _| {
        if as_json.json {
            summaries.push(letter.summary());
        } else {
            rows.add_row(row(&letter));
        }
        Ok(())
    })
    .await?;
    browsed.queue.close().await.or_fail(Code::Unavailable)?;
    if as_json.json {
        print_json(&summaries)
    } else if rows.is_empty() {
        print_line("no dead letters")
    } else {
        print_table(&rows)
    }
}

/// A letter as a row of `list` and of a dry run.
pub(super) fn row(letter: &Letter) -> [String; 8] {
    let or_dash = |text: Option<&str>| text.map_or("-".to_owned(), |text| one_line(text, 40));
    [
        letter.id.to_string().chars().take(ID_CHARS).collect(),
        letter.death.connector.as_ref().map_or("-", Connector::as_str).to_owned(),
        letter.death.reason.to_string(),
        letter.death.at.map_or("-".to_owned(), |at| at.to_string()),
        letter.journey.attempts.to_string(),
        or_dash(letter.project()),
        or_dash(letter.test()),
        one_line(&letter.death.detail, DETAIL_CHARS),
    ]
}

/// Letters that died of the same.
type Group = (Option<Connector>, Reason, String);

pub(super) async fn groups(config: &Config, selector: &Selector, as_json: AsJson) -> Result<(), Failure> {
    let mut groups: BTreeMap<Group, (usize, Option<String>, Option<String>)> = BTreeMap::new();
    let browsed = browse(config, selector, |letter, _| {
        let detail = one_line(&letter.death.detail, DETAIL_CHARS);
        let died = letter.death.at.map(|at| at.to_string());
        let key = (letter.death.connector, letter.death.reason, detail);
        let (count, first, last) = groups.entry(key).or_insert((0, died.clone(), died.clone()));
        *count += 1;
        // RFC 3339 in UTC with a fixed number of digits sorts as time does.
        *first = first.take().min(died.clone());
        *last = last.take().max(died);
        Ok(())
    })
    .await?;
    browsed.queue.close().await.or_fail(Code::Unavailable)?;
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
        let connector = connector.map_or("-".to_owned(), |connector| connector.to_string());
        let time = |time: Option<String>| time.unwrap_or("-".to_owned());
        rows.add_row([count.to_string(), connector, reason.to_string(), detail, time(first), time(last)]);
    }
    print_table(&rows)
}

pub(super) async fn show(config: &Config, ids: Vec<String>, as_json: AsJson) -> Result<(), Failure> {
    let selector = Selector { id: ids, ..Selector::default() };
    let mut letters = Vec::new();
    let browsed = browse(config, &selector, |letter, _| {
        letters.push(letter.whole());
        Ok(())
    })
    .await?;
    browsed.queue.close().await.or_fail(Code::Unavailable)?;
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
            Value::Null => continue,
            Value::String(text) => one_line(text, 2_000),
            other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                other.to_string()
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
            Ok(json) => format!("{json:#}"),
            Err(_) => one_line(body, 4_000),
        }),
        (None, Some(base64)) => lines.push(format!("{:<13}{base64}", "body, base64")),
        (None, None) => {}
    }
    lines.push(String::new());
    lines.join("\n")
}

pub(super) async fn export(config: &Config, selector: &Selector) -> Result<(), Failure> {
    let mut written = 0;
    let browsed = browse(config, selector, |letter, _| {
        written += 1;
        print_line(&letter.whole().to_string())
    })
    .await?;
    browsed.queue.close().await.or_fail(Code::Unavailable)?;
    eprintln!("exported {}; they stay where they are", count(written, "dead letter"));
    Ok(())
}
