//! What a connector's body looks like.

use nightbell_core::event::Severity;
use nightbell_core::priority::Priorities;
use nightbell_xmatters::{Payload, Template};

use super::table::Table;
use super::values;

/// The words for payloads.
const WORDS: [&str; 4] = ["form", "elastic", "apifortress", TEMPLATE];

/// The word for the user's own.
const TEMPLATE: &str = "template";

/// Severities, the gravest first.
pub(super) const SEVERITIES: [Severity; 5] =
    [Severity::Critical, Severity::High, Severity::Medium, Severity::Low, Severity::Minimal];

/// Reads `payload` and `template`. None: the template is at fault.
pub(super) fn payload(table: &mut Table<'_, '_>) -> Option<Payload> {
    let word = table.text_or("payload", "form", |text| values::word(text, &WORDS, |word| word));
    let path = table.text("template", values::filled);
    if word == TEMPLATE {
        table.require("template", "`payload = \"template\"` needs it; write the path of a minijinja file");
        return template(table, &path?).map(Payload::Template);
    }
    if table.has("template") {
        table.problem("template", "it is used only with `payload = \"template\"`; remove it, or set that");
    }
    [Payload::Form, Payload::Elastic, Payload::ApiFortress].into_iter().find(|one| one.as_str() == word)
}

/// Compiles a template, which renders sample events to see that it can.
fn template(table: &mut Table<'_, '_>, path: &str) -> Option<Template> {
    let text = table.file("template", path)?;
    let compiled = Template::compile(&text, path).map_err(anyhow::Error::from);
    compiled.map_err(|error| table.problem("template", format!("{error:#}"))).ok()
}

/// Reads `priorities`: the priority of each severity.
pub(super) fn priorities(table: &mut Table<'_, '_>) -> Priorities {
    table.inline("priorities", |table| {
        SEVERITIES.into_iter().fold(Priorities::default(), |priorities, severity| {
            let default = priorities.of(severity).as_str().to_ascii_lowercase();
            priorities.with(severity, table.text_or(severity.as_str(), &default, values::priority))
        })
    })
}
