//! Cucumber's JSON, as Cucumber for JavaScript, the JVM and Ruby write it, and behave with small differences:
//! <https://github.com/cucumber/cucumber-json-formatter/tree/main/testdata> and
//! <https://github.com/cucumber/cucumber-ruby/blob/main/lib/cucumber/formatter/json.rb>.
//!
//! A scenario is a result, with all of its steps and hooks that went wrong. A background that stands by itself belongs to
//! the scenario that follows. A step that is undefined, ambiguous or pending is an error, as it fails the run. With
//! `--retry` Cucumber writes only the last attempt, or each as a scenario that says nothing of the others, which then is a
//! result of its own. Scenarios wait for a feature's name that stands after
//! them; where they are too many, the names are learned in a walk of their own.

#[cfg(test)]
mod tests;

use std::mem;
use std::sync::Arc;

use crate::case::{Case, Ending, Output, Trouble};
use crate::fault::{Fault, Place, Unfit};
use crate::format::Format;
use crate::json::document::{Kind, Misfit, Object, Report, Schema, read as read_documents};
use crate::json::late::{LateNames, Waiting};
use crate::json::{Bracket, Tree};
use crate::names::{path, tags, tidy};
use crate::sink::{End, Sink};
use crate::source::Source;
use crate::text::words;

static SCHEMA: Schema = Schema {
    format: Format::Cucumber,
    root: Bracket::List,
    kinds: &[
        Kind::of("").names(words![name uri location status]).objects(words![elements]),
        Kind::of("elements")
            .names(words![name keyword type id status start_timestamp])
            .fields(words![tags])
            .items(words![steps before after around hooks]),
    ],
    words: words![name keyword before after result status error_message output],
    // A list of no feature is a report too: none may have been chosen.
    signs: &[],
    missing: "it has no list of features",
    misfit,
};

fn misfit(misfit: &Misfit<'_>) -> Option<Fault> {
    let place = match (misfit.key, misfit.is_item) {
        (Some("elements"), is_item) if is_item || !misfit.is_nothing => "an entry of `elements`",
        (None, _) => "an entry of the list",
        (Some(_), _) => return None,
    };
    let problem = format!("{place} is not what it is in Cucumber's");
    (!misfit.is_object).then(|| Fault::foreign(Format::Cucumber, &problem))
}

/// Gives each result.
pub(crate) fn read(source: &Source, sink: &mut Sink<'_>) -> Result<Option<Place>, Unfit> {
    let mut reader = Reader {
        source,
        sink,
        late: None,
        waiting: Waiting::default(),
        begun: 0,
        is_bad: false,
        background: None,
        outcome: Outcome::default(),
    };
    read_documents(source, &SCHEMA, &mut reader)
}

struct Reader<'s, 'a> {
    source: &'s Source,
    sink: &'s mut Sink<'a>,
    /// What all features are called, if that was learned.
    late: Option<LateNames>,
    waiting: Waiting,
    /// How many features have begun.
    begun: usize,
    /// Whether one of the feature's scenarios went wrong.
    is_bad: bool,
    /// A background that went wrong, until its scenario comes.
    background: Option<(Object, Outcome)>,
    /// What the steps and hooks of the open scenario or background come to.
    outcome: Outcome,
}

#[derive(Debug, Default)]
struct Outcome {
    ending: Ending,
    trouble: Trouble,
    has_steps: bool,
}

impl Report for Reader<'_, '_> {
    fn begin(&mut self, open: &[Object]) {
        self.outcome = Outcome::default();
        if open.len() == 1 {
            self.begun += 1;
            self.is_bad = false;
        }
    }

    fn item(&mut self, _open: &[Object], list: &'static str, step: &Tree) -> Result<(), Fault> {
        self.outcome.step(list, step);
        Ok(())
    }

    fn end(&mut self, open: &[Object], object: Object, end: End) -> Result<(), Fault> {
        match open {
            [feature, ..] => self.end_element(feature, object, end),
            [] => {
                self.end_feature(&object, end);
                Ok(())
            }
        }
    }

    fn is_done(&self) -> bool {
        self.sink.is_stopped()
    }
}

impl Reader<'_, '_> {
    fn end_element(&mut self, feature: &Object, element: Object, end: End) -> Result<(), Fault> {
        let mut outcome = mem::take(&mut self.outcome);
        let says_something = outcome.has_steps
            || ["name", "type", "keyword", "status"].iter().any(|key| element.name(key).is_some());
        outcome.settle(element.name("status"));
        // Of what is cut off only what went wrong is known.
        if end == End::CutOff && !outcome.ending.is_bad() {
            return Ok(());
        }
        if !says_something {
            return Err(Fault::odd(&format!(
                "an entry of the elements of feature {} is no scenario",
                self.begun
            )));
        }
        if is_background(&element) {
            self.end_background(feature);
            self.background = Some((element, outcome)).filter(|(_, outcome)| outcome.ending.is_bad());
            return Ok(());
        }
        if let Some((_, background)) = self.background.take() {
            outcome.follow(background);
        }
        self.give(feature, &element, outcome);
        Ok(())
    }

    /// A background that went wrong and has no scenario is a result itself.
    fn end_background(&mut self, feature: &Object) {
        if let Some((background, outcome)) = self.background.take() {
            self.give(feature, &background, outcome);
        }
    }

    fn give(&mut self, feature: &Object, element: &Object, outcome: Outcome) {
        let Outcome { ending, mut trouble, .. } = outcome;
        self.is_bad |= ending.is_bad();
        if ending.is_silent() {
            trouble = Trouble::default();
        }
        let written = element.get("tags").items().iter();
        let written = written.filter_map(|tag| tag.get("name").filled().or_else(|| tag.filled()));
        let is_full = self.waiting.push(Case {
            name: shown_name(element),
            stamp: element.stamp("start_timestamp"),
            tags: tags(written.map(|tag| tag.trim_start_matches('@').to_owned())),
            ending,
            trouble,
            ..Case::default()
        });
        let is_named = feature.has("name") && (feature.has("uri") || feature.has("location"));
        if is_full && !is_named && self.late.is_none() {
            self.late = Some(LateNames::learn(self.source, &SCHEMA, &[""]));
        }
        if is_named || self.late.is_some() {
            self.give_waiting(feature);
        }
    }

    fn give_waiting(&mut self, feature: &Object) {
        let (suite, file) = self.place_of(feature);
        for case in self.waiting.take() {
            self.sink.case(Case { suite: suite.clone(), file: file.clone(), ..case });
        }
    }

    /// What a feature is called, and its file, as far as that is known.
    fn place_of(&self, feature: &Object) -> (Option<Arc<str>>, Option<Arc<str>>) {
        let late = |key| self.late.as_ref().and_then(|names| names.get(feature, key));
        let name = |key| feature.name(key).or_else(|| late(key));
        let file = name("uri").or_else(|| name("location"));
        (
            name("name").and_then(|name| path(None, name)).map(Into::into),
            file.map(|place| source_file(place).into()),
        )
    }

    /// A feature that went wrong, as behave says of it, with no scenario that did, is a result itself.
    fn end_feature(&mut self, feature: &Object, end: End) {
        self.end_background(feature);
        self.give_waiting(feature);
        let is_untold = end == End::Written && !self.is_bad;
        let Some(word) = feature.name("status").filter(|word| is_untold && of_word(word, false).is_bad())
        else {
            return;
        };
        let said = format!("the feature ended as {word}, and shows no scenario that went wrong");
        let (suite, file) = self.place_of(feature);
        let name = suite.as_deref().unwrap_or("feature").to_owned();
        self.sink.case(Case { suite, file, ..Case::error(name, Trouble::said(&said)) });
    }
}

/// The file of a place, as the JVM and behave write it: `classpath:a.feature`, `a.feature:3`.
fn source_file(place: &str) -> String {
    let place = tidy(place);
    let place = place.strip_prefix("classpath:").unwrap_or(&place);
    let place = place.strip_prefix("file:").filter(|path| !path.starts_with("//")).unwrap_or(place);
    match place.rsplit_once(':') {
        Some((file, line)) if !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_digit()) => {
            file.to_owned()
        }
        Some(_) | None => place.to_owned(),
    }
}

impl Outcome {
    /// Takes a step, or a hook around the scenario, with the hooks around it.
    fn step(&mut self, list: &str, step: &Tree) {
        self.has_steps = true;
        let name = ["keyword", "name"].iter().filter_map(|key| step.get(key).filled());
        let name = name.map(|part| tidy(&part)).collect::<Vec<_>>().join(" ");
        let what = match list {
            "steps" => name,
            "hooks" => format!("hook {name}").trim_end().to_owned(),
            when => format!("{when} hook {name}").trim_end().to_owned(),
        };
        for hook in step.get("before").items() {
            self.take(&format!("hook before `{what}`"), hook);
        }
        self.take(&what, step);
        for hook in step.get("after").items() {
            self.take(&format!("hook after `{what}`"), hook);
        }
    }

    fn take(&mut self, what: &str, step: &Tree) {
        for printed in step.get("output").texts() {
            self.trouble.print(Output::Standard, &format!("{printed}\n"));
        }
        let result = step.get("result");
        let message = result.get("error_message").filled();
        let word = result.get("status").text().unwrap_or_default();
        let ending = of_word(&word, message.is_some());
        self.ending = worse(self.ending, ending);
        if ending.is_bad() {
            match message {
                Some(message) => self.trouble.add(&message, &format!("{what}\n{message}")),
                None if word.is_empty() => self.trouble.add(&format!("failed: {what}"), ""),
                None => self.trouble.add(&format!("{word}: {what}"), ""),
            }
        }
    }

    /// What the scenario says of itself counts if none of its steps says why, as with behave's hooks.
    fn settle(&mut self, status: Option<&str>) {
        let Some(word) = status.filter(|_| !self.ending.is_bad()) else { return };
        self.ending = of_word(word, false);
        if self.ending.is_bad() {
            let said = format!("the scenario ended as {word}, and shows no step that went wrong");
            self.trouble.add(&said, "");
        }
    }

    /// Takes what went wrong in its background.
    fn follow(&mut self, background: Self) {
        let own = mem::replace(&mut self.trouble, background.trouble);
        for failure in own.failures {
            self.trouble.add(&failure.message, &failure.text);
        }
        for (to, more) in [Output::Standard, Output::Error].into_iter().zip(own.outputs) {
            self.trouble.print(to, &more);
        }
        self.ending = worse(background.ending, self.ending);
    }
}

fn is_background(element: &Object) -> bool {
    element
        .name("type")
        .or(element.name("keyword"))
        .is_some_and(|word| word.eq_ignore_ascii_case("background"))
}

/// The name of a scenario, with the row of a table where its id has that: `feature;outline;examples;2`, the first row being 2.
fn shown_name(element: &Object) -> String {
    let name = element.name("name").or(element.name("keyword")).unwrap_or_default().to_owned();
    let parts: Vec<&str> = element.name("id").unwrap_or_default().rsplitn(4, ';').collect();
    let [row, examples, outline, _] = parts.as_slice() else { return name };
    match row.parse::<u64>() {
        // An outline's name with a placeholder was filled in, and tells its row.
        Ok(row @ 2..) if !outline.contains('<') => {
            let table = if examples.is_empty() { String::new() } else { format!("{examples} - ") };
            tidy(&format!("{name} - {table}#{}", row - 1))
        }
        Ok(_) | Err(_) => name,
    }
}

/// The ending that a status tells.
fn of_word(word: &str, has_message: bool) -> Ending {
    match word.to_ascii_lowercase().as_str() {
        "pending" => Ending::Error,
        "" if !has_message => Ending::Passed,
        "unknown" | "untested" | "unused" | "executing" | "xfailed" | "xpassed" | "pending_warn"
        | "untested_pending" | "untested_undefined"
            if !has_message =>
        {
            Ending::Skipped
        }
        word => Ending::of_word(word).unwrap_or(Ending::Error),
    }
}

fn worse(one: Ending, other: Ending) -> Ending {
    [Ending::Failed, Ending::Error, Ending::Skipped]
        .into_iter()
        .find(|ending| [one, other].contains(ending))
        .unwrap_or(one)
}
