//! What a connector's body looks like.

use nightbell_core::event::Severity;
use nightbell_core::priority::{Priorities, Priority};
use nightbell_xmatters::{Payload, Template};

use super::table::Table;
use super::values;

/// The words for priorities, the most urgent first.
pub(super) const PRIORITIES: [(&str, Priority); 3] =
    [("high", Priority::High), ("medium", Priority::Medium), ("low", Priority::Low)];

/// The priority of each severity unless the file says otherwise, by their words.
const DEFAULTS: [(&str, Severity, &str); 5] = [
    ("critical", Severity::Critical, "high"),
    ("high", Severity::High, "high"),
    ("medium", Severity::Medium, "medium"),
    ("low", Severity::Low, "low"),
    ("minimal", Severity::Minimal, "low"),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Form,
    Elastic,
    ApiFortress,
    Template,
}

/// The words for payloads.
const KINDS: [(&str, Kind); 4] = [
    ("form", Kind::Form),
    ("elastic", Kind::Elastic),
    ("apifortress", Kind::ApiFortress),
    ("template", Kind::Template),
];

/// Reads `payload` and `template`. None: the template is at fault.
pub(super) fn payload(table: &mut Table<'_, '_>) -> Option<Payload> {
    let kind = table.text_or("payload", "form", |text| values::word(text, &KINDS));
    let path = table.text("template", values::filled);
    let sound = match kind {
        Kind::Form => Payload::Form,
        Kind::Elastic => Payload::Elastic,
        Kind::ApiFortress => Payload::ApiFortress,
        Kind::Template => {
            table
                .require("template", "`payload = \"template\"` needs it; write the path of a minijinja file");
            let path = path?;
            return template(table, &path).map(Payload::Template);
        }
    };
    if table.has("template") {
        table.problem("template", "it is used only with `payload = \"template\"`; remove it, or set that");
    }
    Some(sound)
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
        let read = |map: Priorities, (word, severity, default): (&'static str, Severity, &str)| {
            map.with(severity, table.text_or(word, default, |text| values::word(text, &PRIORITIES)))
        };
        DEFAULTS.into_iter().fold(Priorities::default(), read)
    })
}
