//! `nightbell route`: where an event would go, and what would be posted.

mod decision;

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;

use bytes::Bytes;
use nightbell_core::event::{self, When};
use nightbell_core::limits::EVENT_BYTES_MAX;
use nightbell_core::ports::Clock as _;
use nightbell_worker::SystemClock;

use self::decision::{Condition, Decision, Post, decide};
use crate::cli::Route;
use crate::config::Config;
use crate::exit::{Code, Failure};
use crate::output::{one_line, print, print_json};
use crate::terminal::fit_json;

/// How much of one line of the answer is shown, in characters.
const LINE_CHARS_MAX: usize = 300;

/// Prints where an event would go, with the reasons, its alert key, and the bodies that would be posted.
///
/// # Errors
/// The file can't be read, or is no event.
pub fn route(config: &Config, flags: &Route) -> Result<(), Failure> {
    let body = read(&flags.file)?;
    let shown = flags.file.display();
    let mut event = event::read(&body).map_err(|bad| Failure {
        code: Code::Data,
        error: anyhow::Error::new(bad).context(format!("{shown}")),
    })?;
    // As when it is accepted now.
    event.occurred_at.get_or_insert_with(|| When(SystemClock.now()));
    let decision = decide(config, &config.routing, event, body);
    if flags.as_json.json { print_json(&decision) } else { print(&text(&decision)) }
}

fn read(path: &Path) -> Result<Bytes, Failure> {
    let mut body = Vec::new();
    let limit = EVENT_BYTES_MAX as u64 + 1;
    let read = if path.as_os_str() == "-" {
        std::io::stdin().lock().take(limit).read_to_end(&mut body)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut body))
    };
    read.map_err(|error| {
        let error = anyhow::Error::new(error).context(format!("read {}", path.display()));
        Failure { code: Code::NoInput, error }
    })?;
    Ok(body.into())
}

/// A decision for people. What came from the event is kept to one line each, so that it can't drive a terminal.
fn text(decision: &Decision) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        writeln!(text, "{name:<10} {}", one_line(value, LINE_CHARS_MAX)).expect("a String takes all text");
    };
    line("event", &format!("{} / {}", decision.project, decision.test));
    line("status", &format!("{}, severity {}", decision.status.as_str(), decision.severity.as_str()));
    line("alert key", &decision.alert_key);
    for group in &decision.alert_groups {
        line(
            "group",
            &format!("{}: {}", group.name, if group.wants { "wants it" } else { "does not want it" }),
        );
        for Condition { on, holds, reason } in &group.conditions {
            line("", &format!("{} {on}: {reason}", if *holds { "yes" } else { "no " }));
        }
    }
    line("defaults", decision.default_connectors);
    for target in &decision.connectors {
        line(
            "connector",
            &format!("{}: {}", target.name, if target.goes { "gets it" } else { "does not get it" }),
        );
        line("", &target.reason);
    }
    if !decision.connectors.iter().any(|target| target.goes) {
        line("result", "it goes nowhere: it would be acknowledged and counted as filtered");
    }
    let posts = decision.connectors.iter().filter_map(|target| Some((target, target.post.as_ref()?)));
    for (target, post) in posts {
        text.push_str(&post_text(&target.name, post));
    }
    text
}

fn post_text(connector: &str, post: &Post) -> String {
    let Post { alert_id, payload, recipients, priority, report_left_out, body } = post;
    let mut overrides = Vec::new();
    overrides.extend(recipients.as_ref().map(|list| format!("recipients [{}]", list.join(", "))));
    overrides.extend(priority.map(|priority| format!("priority {priority}")));
    let overrides = if overrides.is_empty() { "none".to_owned() } else { overrides.join(", ") };
    let body = format!("{body:#}");
    let body = fit_json(&body);
    let left_out = report_left_out.map(|reason| format!("left out   the report's link: {reason}\n"));
    let left_out = left_out.unwrap_or_default();
    format!(
        "\npost to    {connector}, payload {payload}\nalert id   {alert_id}\noverrides  {}\n{left_out}{body}\n",
        one_line(&overrides, LINE_CHARS_MAX)
    )
}

#[cfg(test)]
mod tests;
