//! What the demo says: short sentences, none longer than 80 columns.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use comfy_table::{Cell, Table};
use console::style;
use nightbell_core::connector::Connector;
use nightbell_letters::LetterView;
use nightbell_reports::Summary;

use super::board::{Board, Counts, Fate};
use super::screen::{cell, coloured};
use super::stand_in::Request;
use crate::output::{count, one_line, table};

/// How much of a test's name is shown.
const TEST_CHARS: usize = 28;

/// How far lists and tables are set in, in columns.
const MARGIN: u16 = 2;

pub(super) const PROLOGUE: &str = "\
Nightbell carries failing tests to the people on call, through xMatters.
This demo shows it on this machine. Nobody is alerted: xMatters is a stand-in.

  event      one failing test, as a test run publishes it
  connector  one destination in xMatters. Here there are two:
             shop gets every failing test
             sre gets only tests that could not run
  alert      an event on its way to one connector";

/// What is in the report.
pub(super) fn report(summary: &Summary) -> String {
    let Summary { cases, failed, errors, skipped, events, .. } = summary;
    format!(
        "pytest wrote report.xml: {}, {failed} failed, {errors} could not run, {skipped} skipped.\n\
         It is published, as by: nightbell publish report.xml --project shop\n\
         Each failing test is an event now: {}. The queue has them on the disk.\n\
         From here on none of them can get lost.",
        count(*cases, "test"),
        count(*events, "event"),
    )
}

/// What is about to happen.
pub(super) fn alerts(board: &Board) -> String {
    format!(
        "The test that could not run is for both connectors. That makes {}.\n\
         xMatters has two faults now. It is overloaded, and answers with 503 at times.\n\
         And its group for sre is missing: there it answers with 400.\n",
        count(board.rows.len(), "alert"),
    )
}

/// One request to the stand-in.
pub(super) fn request(request: &Request, at: Duration) -> String {
    let fate = Fate::after(request.status);
    let then = match fate {
        Fate::Delivered => "delivered",
        Fate::Refused => "dead letter",
        Fate::Retried => "sent again later",
    };
    format!(
        "  {:>5.2} s  {:<4}  {:<TEST_CHARS$}  attempt {}  {}  {}",
        at.as_secs_f64(),
        request.connector,
        one_line(&request.test, TEST_CHARS),
        request.attempt,
        request.status.as_u16(),
        coloured(then, fate),
    )
}

/// How each alert ended.
pub(super) fn endings(board: &Board) -> String {
    let mut rows = framed(&["alert", "connector", "attempts", "ended as", "after"]);
    for row in &board.rows {
        // All have ended by now.
        let Some((fate, took)) = row.latest() else { continue };
        let ended = if fate == Fate::Delivered { "delivered" } else { "dead letter" };
        rows.add_row([
            Cell::new(one_line(&row.test, TEST_CHARS)),
            Cell::new(&row.connector),
            Cell::new(row.answers.len()),
            cell(ended, fate),
            Cell::new(format!("{:.2} s", took.as_secs_f64())),
        ]);
    }
    format!("\n{}", indented(&rows.trim_fmt()))
}

pub(super) const RETRIES: &str = "
503 means later: the alert is sent again after about 1 s, then 2 s, 4 s, 8 s …
400 means never: the same request would only be refused again.
One connector's trouble delays no other.";

/// A dead letter, as `dead list --json` gives it.
pub(super) fn letter(letter: &LetterView) -> String {
    let text = |text: Option<&str>| one_line(text.unwrap_or("-"), 60);
    format!(
        "  id         {}\n  connector  {}\n  test       {}\n  reason     {}\n  answer     {}\n\n\
         Somebody makes the group in xMatters, and replays the dead letter:\n",
        text(Some(&letter.id)),
        text(letter.connector.as_ref().map(Connector::as_str)),
        text(letter.test.as_deref()),
        text(Some(letter.reason.as_str())),
        text(Some(&letter.detail)),
    )
}

/// What the second run publishes.
pub(super) fn again(events: usize) -> String {
    format!("Its report is published: {}, for the same tests as before.", count(events, "event"))
}

/// What became of the second run.
pub(super) fn suppressed(repeats: usize) -> String {
    format!(
        "{} were suppressed, and xMatters got no request.\n\
         Nobody is called twice for one failure within an hour (dedup.window).",
        count(repeats, "repeat")
    )
}

/// How the connectors' deliveries were settled.
pub(super) fn counts(events: usize, counts: &BTreeMap<String, Counts>) -> String {
    let mut rows = framed(&["connector", "delivered", "suppressed", "filtered", "dead letters"]);
    for (connector, &Counts { delivered, duplicate, filtered, dead }) in counts {
        let numbers = [delivered, duplicate, filtered, dead].map(|number| number.to_string());
        rows.add_row([connector.clone()].into_iter().chain(numbers));
    }
    format!(
        "The two runs published {}. Each connector looked at all of them:\n\n{}\n\n\
         Filtered means: not for this connector. There is no fifth way to end.\n\
         The dead letter of sre counts twice: it was replayed, and then delivered.\n\
         All alerts have arrived, each of them once.",
        count(events, "event"),
        indented(&rows.trim_fmt()),
    )
}

/// What there would have been to see.
pub(super) fn once(at: SocketAddr) -> String {
    format!("\nWithout --once the demo stays up, with metrics at http://{at}/metrics")
}

/// What there is to try while the demo stays up.
pub(super) fn stay(at: SocketAddr, config: &Path) -> String {
    let path = folder().map(|folder| format!("  export PATH=\"$PWD/{folder}:$PATH\"\n")).unwrap_or_default();
    format!(
        "Its metrics are at http://{at}/metrics\n\
         Try it from a second terminal. What arrives shows here.\n\n{path}  \
         export NIGHTBELL_CONFIG={}\n  \
         nightbell publish --project shop --test test_opens --message \"HTTP 500\"\n  \
         nightbell publish --project shop --test test_opens --message \"HTTP 500\"\n  \
         nightbell status\n\n\
         The second publish is a repeat of the first: it does not arrive.\n",
        config.display(),
    )
}

/// The last words: the way to a worker of one's own.
pub(super) fn farewell() -> String {
    let place = folder().map(|folder| format!("\n\nThe program is {folder}/nightbell.")).unwrap_or_default();
    let title = style("Next, with your own xMatters:").bold();
    format!(
        "\nThe demo has removed all that it made on this machine.\n\n{title}\n\n  \
         nightbell init     writes nightbell.toml; it needs one variable to be set\n  \
         nightbell check    says what is wrong with it\n  \
         nightbell run      runs the worker; RabbitMQ may come later\n  \
         nightbell publish  publishes one event, or the failures of a report{place}",
    )
}

/// The folder of this program as seen from where we are, if it is below.
fn folder() -> Option<String> {
    let program = std::env::current_exe().ok()?;
    let folder = program.parent()?.strip_prefix(std::env::current_dir().ok()?).ok()?;
    Some(folder.to_str()?.to_owned())
}

/// A table that leaves room for its margin.
fn framed(head: &[&str]) -> Table {
    let mut rows = table(head);
    if let Some(columns) = rows.width() {
        rows.set_width(columns.saturating_sub(MARGIN));
    }
    rows
}

/// A table with its margin. Without a frame it is set in by one column already.
fn indented(lines: &str) -> String {
    let is_set_in = lines.lines().all(|line| line.starts_with(' '));
    let margin = " ".repeat(usize::from(MARGIN - u16::from(is_set_in)));
    lines.lines().map(|line| format!("{margin}{line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_fixed_line_is_longer_than_eighty_columns() {
        let summary = Summary { cases: 7, failed: 3, errors: 1, skipped: 1, events: 4, ..Summary::default() };
        let at = SocketAddr::from(([127, 0, 0, 1], 65_535));
        let detail = "x".repeat(99);
        let long = serde_json::json!({ "id": "f".repeat(99), "reason": "refused", "detail": detail });
        let all = [
            PROLOGUE.to_owned(),
            RETRIES.to_owned(),
            report(&summary),
            alerts(&Board::default()),
            letter(&serde_json::from_value(long).unwrap()),
            again(4),
            suppressed(5),
            farewell(),
            once(at),
            stay(at, Path::new("/tmp/nightbell-demo-XXXXXX/nightbell.toml")),
        ]
        .join("\n");
        let long: Vec<_> = all.lines().filter(|line| line.chars().count() > 80).collect();
        assert!(long.is_empty(), "{long:#?}");
    }
}
