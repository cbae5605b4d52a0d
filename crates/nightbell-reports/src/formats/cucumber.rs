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

use std::io::Read as _;
use std::mem;
use std::sync::Arc;

use crate::case::{Case, Ending, OUTPUT_BYTES_MAX, Trouble, push_bounded};
use crate::decode::Decoded;
use crate::fault::{Fault, Place, Unfit};
use crate::format::Format;
use crate::formats::jest::{Held, add};
use crate::json::{Handler, ITEM, Tree, Want, walk};
use crate::names::{path, tidy};
use crate::sink::Sink;
use crate::source::Source;
use crate::text::{clean, shortened};
use crate::time::Stamp;

/// How much of all features' names that come late is kept, in bytes.
const NAMES_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The most tags of a scenario, and the longest of them, in characters.
const TAGS_MAX: usize = 50;
const TAG_CHARS_MAX: usize = 200;

const VOCABULARY: &[&str] = &[
    "elements",
    "steps",
    "before",
    "after",
    "around",
    "hooks",
    "keyword",
    "name",
    "id",
    "type",
    "uri",
    "location",
    "tags",
    "status",
    "result",
    "error_message",
    "output",
    "start_timestamp",
];

/// Gives each result.
pub(crate) fn read(source: &Source, sink: &mut Sink<'_>) -> Result<(), Unfit> {
    let is_list = begins_with_list(source)?;
    let mut reader = Reader {
        source,
        sink,
        features: None,
        held: Held::default(),
        begun: 0,
        feature: None,
        background: None,
        element: None,
        odd: None,
    };
    let damage = walk(source, VOCABULARY, &mut reader)?;
    reader.end_early();
    let Reader { begun, odd, .. } = reader;
    // No feature may have been chosen.
    if begun == 0 && (!is_list || odd.is_some() || damage.is_some()) {
        let place = odd.or_else(|| damage.map(|place| foreign(place.line, &place.fault.to_string())));
        return Err(place.unwrap_or_else(|| foreign(1, "it has no list of features")).into());
    }
    sink.damage(damage);
    sink.damage(odd);
    Ok(())
}

fn foreign(line: u64, problem: &str) -> Place {
    Place { line, fault: Fault::foreign(Format::Cucumber, problem) }
}

fn begins_with_list(source: &Source) -> Result<bool, Unfit> {
    let mut text = Decoded::new(source.open()?)?.bytes().map_while(Result::ok);
    Ok(text.find(|byte| !byte.is_ascii_whitespace()) == Some(b'['))
}

/// Learns what the features are called, in their order.
#[derive(Default)]
struct Features {
    all: Vec<Feature>,
    bytes: usize,
}

impl Handler for Features {
    fn want(&mut self, path: &[&'static str]) -> Want {
        match path {
            [] | [ITEM] => Want::Enter,
            [ITEM, "name" | "uri" | "location"] => Want::Whole,
            _ => Want::Skip,
        }
    }

    fn begin(&mut self, path: &[&'static str]) {
        if matches!(path, [ITEM]) {
            self.all.push(Feature::default());
        }
    }

    fn take(&mut self, path: &[&'static str], tree: Tree, _line: u64) {
        if let ([ITEM, key], Some(feature)) = (path, self.all.last_mut())
            && self.bytes < NAMES_BYTES_MAX
        {
            self.bytes += feature.take(key, &tree);
        }
    }
}

struct Reader<'s, 'a> {
    source: &'s Source,
    sink: &'s mut Sink<'a>,
    /// What all features are called, if that was learned.
    features: Option<Vec<Feature>>,
    held: Held,
    /// How many features have begun.
    begun: usize,
    feature: Option<Feature>,
    /// A background that went wrong, until its scenario comes.
    background: Option<Element>,
    element: Option<Element>,
    /// The first entry that is none.
    odd: Option<Place>,
}

#[derive(Debug, Clone, Default)]
struct Feature {
    name: Option<Arc<str>>,
    file: Option<Arc<str>>,
    status: Option<String>,
    /// Whether one of its scenarios went wrong.
    is_bad: bool,
}

/// A scenario, or a background.
#[derive(Debug, Default)]
struct Element {
    name: Option<String>,
    keyword: Option<String>,
    kind: Option<String>,
    id: Option<String>,
    tags: Vec<String>,
    stamp: Stamp,
    status: Option<String>,
    ending: Ending,
    trouble: Trouble,
    has_steps: bool,
}

impl Handler for Reader<'_, '_> {
    fn want(&mut self, path: &[&'static str]) -> Want {
        match path {
            [] | [ITEM] | [ITEM, "elements"] | [ITEM, "elements", ITEM] => Want::Enter,
            [ITEM, "elements", ITEM, "steps" | "before" | "after" | "around" | "hooks"] => Want::Enter,
            [ITEM, _] | [ITEM, "elements", ITEM, _] | [ITEM, "elements", ITEM, _, ITEM] => Want::Whole,
            _ => Want::Skip,
        }
    }

    fn begin(&mut self, path: &[&'static str]) {
        match path {
            [ITEM] => {
                self.begun += 1;
                self.feature = Some(self.learned());
            }
            [ITEM, "elements", ITEM] => self.element = Some(Element::default()),
            _ => {}
        }
    }

    fn take(&mut self, path: &[&'static str], tree: Tree, line: u64) {
        match (path, &mut self.element, &mut self.feature) {
            // A feature without scenarios may say so in whatever way.
            ([ITEM, "elements"], _, _) if tree == Tree::Nothing => {}
            ([ITEM, "elements", ITEM, list, ITEM], Some(element), _) => element.step(list, &tree),
            ([ITEM, "elements", ITEM, key], Some(element), _) => element.take(key, &tree),
            ([ITEM, "elements"] | [ITEM, "elements", ITEM] | [ITEM] | [], _, _) => {
                let what = if path.len() > 1 { "an entry of `elements`" } else { "an entry of the list" };
                self.odd.get_or_insert(foreign(line, &format!("{what} is not what it is in Cucumber's")));
            }
            ([ITEM, key], _, Some(feature)) => drop(feature.take(key, &tree)),
            (_, _, _) => {}
        }
    }

    fn end(&mut self, path: &[&'static str], line: u64) {
        match path {
            [ITEM] => self.end_feature(),
            [ITEM, "elements", ITEM] => self.end_element(line),
            _ => {}
        }
    }

    fn is_done(&self) -> bool {
        self.sink.is_stopped()
    }
}

impl Reader<'_, '_> {
    fn end_element(&mut self, line: u64) {
        let Some(mut element) = self.element.take() else { return };
        if !element.says_something() {
            let problem = format!("an entry of the elements of feature {} is no scenario", self.begun);
            self.odd.get_or_insert(Place { line, fault: Fault::odd(&problem) });
            return;
        }
        element.settle();
        if element.is_background() {
            self.end_background();
            self.background = Some(element).filter(|background| background.ending.is_bad());
            return;
        }
        if let Some(background) = self.background.take() {
            element.follow(background);
        }
        self.give(element);
    }

    /// A background that went wrong and has no scenario is a result itself.
    fn end_background(&mut self) {
        if let Some(background) = self.background.take() {
            self.give(background);
        }
    }

    fn give(&mut self, element: Element) {
        let feature = self.feature.get_or_insert_default();
        feature.is_bad |= element.ending.is_bad();
        let name = element.shown_name();
        let Element { tags, stamp, ending, mut trouble, .. } = element;
        if !ending.is_bad() {
            trouble = Trouble::default();
        }
        let is_named = feature.name.is_some() && feature.file.is_some() || self.features.is_some();
        let is_full = self.held.push(Case { name, stamp, tags, ending, trouble, ..Case::default() });
        if is_full && !is_named {
            self.learn();
        }
        if is_full || is_named {
            self.give_held();
        }
    }

    fn give_held(&mut self) {
        let Feature { name, file, .. } = self.feature.clone().unwrap_or_default();
        for case in self.held.take() {
            self.sink.case(Case { suite: name.clone(), file: file.clone(), ..case });
        }
    }

    /// Learns what all features are called, and so the one whose scenarios wait.
    fn learn(&mut self) {
        let mut features = Features::default();
        // What is wrong with the report is said by the walk that this one is part of.
        let _ = walk(self.source, VOCABULARY, &mut features);
        self.features = Some(features.all);
        let Feature { name, file, .. } = self.learned();
        let feature = self.feature.get_or_insert_default();
        feature.name = feature.name.take().or(name);
        feature.file = feature.file.take().or(file);
    }

    /// The feature that was begun last, as far as it is learned.
    fn learned(&self) -> Feature {
        let feature = self.features.as_ref().zip(self.begun.checked_sub(1));
        feature.and_then(|(features, at)| features.get(at).cloned()).unwrap_or_default()
    }

    /// A feature that went wrong, as behave says of it, with no scenario that did, is a result itself.
    fn end_feature(&mut self) {
        self.end_background();
        self.give_held();
        let Some(Feature { name, file, status, is_bad }) = self.feature.take() else { return };
        let Some(word) = status.filter(|word| !is_bad && of_word(word, false).is_bad()) else { return };
        let mut trouble = Trouble::default();
        add(&mut trouble, &format!("the feature ended as {word}, and shows no scenario that went wrong"), "");
        let title = name.as_deref().map_or_else(|| "feature".to_owned(), str::to_owned);
        self.sink.case(Case {
            suite: name,
            name: title,
            file,
            ending: Ending::Error,
            trouble,
            ..Case::default()
        });
    }

    /// The report is cut off: of what was open only what went wrong is known.
    fn end_early(&mut self) {
        if let Some(element) = &mut self.element {
            element.settle();
        }
        if self.element.as_ref().is_some_and(|element| element.ending.is_bad()) {
            self.end_element(0);
        }
        self.end_background();
        self.give_held();
    }
}

impl Feature {
    /// Takes a field; says how much of it is kept, in bytes.
    fn take(&mut self, key: &str, tree: &Tree) -> usize {
        let kept = match key {
            "name" => {
                self.name = tree.text().and_then(|name| path(None, &name)).map(Into::into);
                &self.name
            }
            "uri" | "location" => {
                self.file = tree.filled().map(|place| source_file(&place).into());
                &self.file
            }
            "status" => {
                self.status = tree.filled();
                return 0;
            }
            _ => return 0,
        };
        kept.as_ref().map_or(0, |text| text.len())
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

impl Element {
    fn take(&mut self, key: &str, tree: &Tree) {
        match key {
            "name" => self.name = tree.filled(),
            "keyword" => self.keyword = tree.filled(),
            "type" => self.kind = tree.filled(),
            "id" => self.id = tree.filled(),
            "status" => self.status = tree.filled(),
            "start_timestamp" => self.stamp = tree.text().map(|time| Stamp::read(&time)).unwrap_or_default(),
            "tags" => {
                let names =
                    tree.items().iter().filter_map(|tag| tag.get("name").filled().or_else(|| tag.filled()));
                let tags = names
                    .take(TAGS_MAX)
                    .map(|tag| shortened(&tidy(tag.trim_start_matches('@')), TAG_CHARS_MAX));
                self.tags = tags.collect();
            }
            _ => {}
        }
    }

    /// Takes a step, or a hook around the scenario, with the hooks around it.
    fn step(&mut self, list: &str, step: &Tree) {
        self.has_steps = true;
        let name = [step.get("keyword").filled(), step.get("name").filled()];
        let name = name.iter().flatten().map(|part| tidy(part)).collect::<Vec<_>>().join(" ");
        let what = match list {
            "steps" => name,
            "hooks" => format!("hook {name}").trim_end().to_owned(),
            when => format!("{when} hook {name}").trim_end().to_owned(),
        };
        for hook in step.get("before").items() {
            self.outcome(&format!("hook before `{what}`"), hook);
        }
        self.outcome(&what, step);
        for hook in step.get("after").items() {
            self.outcome(&format!("hook after `{what}`"), hook);
        }
    }

    fn outcome(&mut self, what: &str, step: &Tree) {
        for printed in step.get("output").texts() {
            push_bounded(&mut self.trouble.outputs[0], &format!("{}\n", clean(&printed)), OUTPUT_BYTES_MAX);
        }
        let result = step.get("result");
        let message = result.get("error_message").filled();
        let word = result.get("status").text().unwrap_or_default();
        let ending = of_word(&word, message.is_some());
        self.ending = worse(self.ending, ending);
        if !ending.is_bad() {
            return;
        }
        match message {
            Some(message) => add(&mut self.trouble, &message, &format!("{what}\n{message}")),
            None => add(
                &mut self.trouble,
                &format!("{}: {what}", if word.is_empty() { "failed" } else { &word }),
                "",
            ),
        }
    }

    /// What it says of itself counts if none of its steps says why, as with behave's hooks.
    fn settle(&mut self) {
        let Some(word) = &self.status else { return };
        let ending = of_word(word, false);
        if ending.is_bad() && !self.ending.is_bad() {
            add(
                &mut self.trouble,
                &format!("the scenario ended as {word}, and shows no step that went wrong"),
                "",
            );
        }
        if !self.ending.is_bad() {
            self.ending = ending;
        }
    }

    /// Takes what went wrong in its background.
    fn follow(&mut self, background: Self) {
        let own = mem::replace(&mut self.trouble, background.trouble);
        for failure in own.failures {
            add(&mut self.trouble, &failure.message, &failure.text);
        }
        for (output, more) in self.trouble.outputs.iter_mut().zip(own.outputs) {
            push_bounded(output, &more, OUTPUT_BYTES_MAX);
        }
        self.ending = worse(background.ending, self.ending);
    }

    fn says_something(&self) -> bool {
        self.has_steps
            || self.name.is_some()
            || self.kind.is_some()
            || self.keyword.is_some()
            || self.status.is_some()
    }

    fn is_background(&self) -> bool {
        match (&self.kind, &self.keyword) {
            (Some(kind), _) => kind.eq_ignore_ascii_case("background"),
            (None, keyword) => {
                keyword.as_deref().is_some_and(|word| word.trim().eq_ignore_ascii_case("background"))
            }
        }
    }

    /// Its name, with the row of a table where its id has that: `feature;outline;examples;2`, the first row being 2.
    fn shown_name(&self) -> String {
        let name = self.name.as_ref().or(self.keyword.as_ref()).map(|name| tidy(name)).unwrap_or_default();
        let parts: Vec<&str> = self.id.as_deref().unwrap_or_default().rsplitn(4, ';').collect();
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
}

/// The ending that a status tells.
fn of_word(word: &str, has_message: bool) -> Ending {
    match word.to_ascii_lowercase().as_str() {
        "pending" | "hook_error" | "cleanup_error" => Ending::Error,
        "" | "unknown" | "untested" | "unused" | "executing" | "xfailed" | "xpassed" | "pending_warn"
        | "untested_pending" | "untested_undefined"
            if !has_message =>
        {
            if word.is_empty() {
                Ending::Passed
            } else {
                Ending::Skipped
            }
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
