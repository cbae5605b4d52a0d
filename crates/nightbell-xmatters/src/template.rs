//! The `template` payload: the user's own JSON.
//!
//! A template is checked when it is read, by rendering samples in all statuses and severities. It sees the values of
//! [`NAMES`] and nothing else: no file, no environment variable, no other template. Its loops, its values and its output
//! are bounded.

mod context;
mod error;
mod growth;
pub(crate) mod sample;

use std::fmt;
use std::io;
use std::sync::Arc;

use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior};
use nightbell_core::event::Event;
use nightbell_core::ports::Alert;
use serde_json::Value;

use self::context::{NAMES, context};
pub use self::error::TemplateError;
use self::error::{NotJson, Unrendered};
use self::sample::Sample;
use crate::body::{BODY_BYTES_MAX, json};
use crate::form::Form;
use crate::text::start;
use crate::view::View;

/// The longest template that is read, in bytes.
pub const TEMPLATE_BYTES_MAX: usize = 64 * 1024;

/// The most steps of one rendering. A printed value takes two or three.
const STEPS_MAX: u64 = 50_000;

/// How much of a text is quoted in the alert of an event that the template can't show, in characters.
const QUOTED_CHARS_MAX: usize = 500;

/// What a template may call. `namespace` is not there because a loop that carries values can double a text until
/// memory ends, and `format` and `indent` because a width has no bound.
const FUNCTIONS: [&str; 2] = ["dict", "range"];
const REMOVED_FUNCTIONS: [&str; 2] = ["debug", "namespace"];
const REMOVED_FILTERS: [&str; 3] = ["format", "indent", "pprint"];

/// A body of the user's own, checked. Cheap to clone.
#[derive(Clone)]
pub struct Template(Arc<Compiled>);

struct Compiled {
    name: String,
    environment: Environment<'static>,
}

impl fmt::Debug for Template {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Template").field(&self.0.name).finish()
    }
}

impl Template {
    /// Reads a template and checks it; `name` is its file's, for the errors. It is in the language of Jinja. What it
    /// prints becomes JSON: a text comes with its quotes, a list or a map whole, and what an event does not have as
    /// `null`.
    ///
    /// It knows `alert_id`, `alert_key`, `attempt`, `details`, `environment`, `event_id`, `labels`, `message`,
    /// `occurred_at`, `priority`, `project`, `recipients`, `report_url`, `run_id`, `severity`, `status`, `suite`,
    /// `summary`, `tags` and `test`. Every result must be a JSON object or array that has the `alert_id` in it.
    ///
    /// # Errors
    /// [`TemplateError`] says what is wrong and where.
    pub fn compile(source: &str, name: &str) -> Result<Self, TemplateError> {
        if source.len() > TEMPLATE_BYTES_MAX {
            return Err(TemplateError::too_long(name));
        }
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::Json);
        environment.set_fuel(Some(STEPS_MAX));
        environment.set_debug(true);
        REMOVED_FUNCTIONS.iter().for_each(|function| environment.remove_global(function));
        REMOVED_FILTERS.iter().for_each(|filter| environment.remove_filter(filter));
        environment
            .add_template_owned(name.to_owned(), source.to_owned())
            .map_err(|error| TemplateError::syntax(name, &error))?;
        let template = Self(Arc::new(Compiled { name: name.into(), environment }));
        template.check_names(source)?;
        growth::check(source).map_err(|growth| TemplateError::growth(name, &growth))?;
        Sample::all().try_for_each(|sample| template.check_sample(&sample))?;
        Ok(template)
    }

    /// The file's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Finds unknown names also where no sample leads.
    fn check_names(&self, source: &str) -> Result<(), TemplateError> {
        let read = self.compiled().map_err(|error| TemplateError::syntax(self.name(), &error))?;
        let known = |name: &String| NAMES.contains(&name.as_str()) || FUNCTIONS.contains(&name.as_str());
        let unknown = read.undeclared_variables(false).into_iter().filter(|name| !known(name)).min();
        match unknown {
            Some(variable) => Err(TemplateError::unknown_name(self.name(), &variable, source)),
            None => Ok(()),
        }
    }

    fn check_sample(&self, sample: &Sample) -> Result<(), TemplateError> {
        let failed = |fault: Unrendered| TemplateError::of_sample(self.name(), sample, &fault);
        self.body(&sample.view()).map(drop).map_err(failed)
    }

    /// A body for any alert. An event that the template can't show becomes an alert that says so: first of the
    /// template's own shape, with nothing of the event that a minimal sample does not have; at the worst, a form.
    pub(crate) fn render(&self, view: &View<'_>) -> Vec<u8> {
        let fault = match self.body(view) {
            Ok(body) => return body.into_bytes(),
            Err(fault) => fault,
        };
        let alert = Alert { event: Arc::new(self.reduced(view, &fault)), ..view.alert.clone() };
        let view = View { alert: &alert, report_url: None, ..view.clone() };
        self.body(&view).map_or_else(|_| json(&Form(&view)), String::into_bytes)
    }

    fn body(&self, view: &View<'_>) -> Result<String, Unrendered> {
        let mut bounded = Bounded(Vec::new());
        let rendered =
            self.compiled().and_then(|template| template.render_captured_to(context(view), &mut bounded));
        // The write that found no room is known by what it left.
        let Bounded(bytes) = bounded;
        if bytes.len() > BODY_BYTES_MAX {
            return Err(Unrendered::TooBig);
        }
        if let Err(error) = rendered {
            return Err(Unrendered::of(&error));
        }
        let body = String::from_utf8(bytes).expect("a template prints text");
        match serde_json::from_str::<Value>(&body) {
            Ok(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => Err(Unrendered::Scalar),
            // As a receiver reads it, with the last of two equal keys: a label can hide what was printed before it.
            Ok(read) if has_text(&read, &view.alert.alert_id.to_string()) => Ok(body),
            Ok(_) => Err(Unrendered::NoAlertId),
            Err(source) => Err(Unrendered::NotJson(NotJson::of(&body, source))),
        }
    }

    fn compiled(&self) -> Result<minijinja::Template<'_, '_>, minijinja::Error> {
        self.0.environment.get_template(&self.0.name)
    }

    /// What must be told of an event that the template can't show.
    fn reduced(&self, view: &View<'_>, fault: &Unrendered) -> Event {
        let event = view.event();
        let quoted = |text: &str| start(text, QUOTED_CHARS_MAX).to_owned();
        let mut message = format!("The template `{}` can't show this event: {fault}", self.name());
        for more in [event.message.as_deref(), view.report_url.as_deref()].into_iter().flatten() {
            message.push_str("\n\n");
            message.push_str(&quoted(more));
        }
        Event {
            status: event.status,
            severity: event.severity,
            message: Some(message),
            ..Event::new(quoted(&event.project), quoted(&event.test))
        }
    }
}

/// Whether a text is anywhere within a value, be it as a part of a longer one or of a key.
fn has_text(value: &Value, text: &str) -> bool {
    match value {
        Value::String(found) => found.contains(text),
        Value::Array(items) => items.iter().any(|item| has_text(item, text)),
        Value::Object(entries) => {
            entries.iter().any(|(key, entry)| key.contains(text) || has_text(entry, text))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Takes at most one write beyond [`BODY_BYTES_MAX`].
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        let room = (BODY_BYTES_MAX + 1).saturating_sub(self.0.len());
        self.0.extend_from_slice(&part[..part.len().min(room)]);
        if self.0.len() > BODY_BYTES_MAX { Err(io::ErrorKind::StorageFull.into()) } else { Ok(part.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Unrendered {
    fn of(error: &minijinja::Error) -> Self {
        let line = error.line();
        #[expect(clippy::wildcard_enum_match_arm, reason = "the enum is non-exhaustive")]
        match error.kind() {
            ErrorKind::OutOfFuel => Self::Endless { line },
            _ => Self::Step { line, problem: error::problem(error) },
        }
    }
}

#[cfg(test)]
mod tests;
