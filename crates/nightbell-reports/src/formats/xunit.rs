//! xUnit.net XML: version 2 as <https://xunit.net/docs/format-xml-v2> has it, with what xUnit.net 3 adds, and version 1 as
//! <https://xunit.net/docs/format-xml-v1> has it.
//!
//! A result is a `<test>`. An `<error>` of an assembly is one as well, and so is a class of version 1 with a `<failure>`. The
//! format knows no attempts.

#[cfg(test)]
mod tests;

use crate::case::{Case, Ending, Failure, OUTPUT_BYTES_MAX, TEXT_BYTES_MAX, Trouble, push_bounded};
use crate::fault::Unfit;
use crate::format::Format;
use crate::names::{file, tidy};
use crate::sink::Sink;
use crate::source::Source;
use crate::text::clean;
use crate::time::Stamp;
use crate::xml::{Step, Vocabulary, Xml};

const STRUCTURE: &[&str] = &["assemblies", "assembly", "collection", "class", "errors", "error", "test"];

const VOCABULARY: Vocabulary = Vocabulary { structure: STRUCTURE, result: Some("test") };

/// Gives each result.
pub(crate) fn read(source: &Source, sink: &mut Sink<'_>) -> Result<(), Unfit> {
    let mut xml = Xml::open(source, VOCABULARY)?;
    xml.root(Format::Xunit, &["assemblies", "assembly"])?;
    let mut reader = Reader { xml, sink, groups: Vec::new(), test: None, shown: Counts::default() };
    reader.begin();
    reader.run();
    reader.sink.damage(reader.xml.damage());
    Ok(())
}

struct Reader<'s, 'a> {
    xml: Xml,
    sink: &'s mut Sink<'a>,
    /// The open assemblies, collections and classes, the innermost last.
    groups: Vec<Group>,
    test: Option<Case>,
    /// What was shown so far.
    shown: Counts,
}

/// An assembly, a collection of version 2, or a class of version 1.
#[derive(Debug, Default)]
struct Group {
    name: Option<String>,
    class: Option<String>,
    /// The assembly and what it ran on, which tell the same tests of two assemblies apart.
    variant: Option<String>,
    stamp: Stamp,
    counted: Counts,
    before: Counts,
    trouble: Trouble,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    failed: u64,
    errors: u64,
}

impl Counts {
    fn since(self, before: Self) -> Self {
        Self { failed: self.failed - before.failed, errors: self.errors - before.errors }
    }

    /// How many of these are not among the shown ones.
    fn missing(self, shown: Self) -> Self {
        Self {
            failed: self.failed.saturating_sub(shown.failed),
            errors: self.errors.saturating_sub(shown.errors),
        }
    }

    fn all(self) -> u64 {
        self.failed.saturating_add(self.errors)
    }
}

impl Reader<'_, '_> {
    fn run(&mut self) {
        while !self.sink.is_stopped() {
            match self.xml.step() {
                Step::Start => self.begin(),
                Step::End => self.end(false),
                Step::ImpliedEnd => self.end(true),
                Step::Text => {}
                Step::Eof => return,
            }
        }
    }

    fn begin(&mut self) {
        match self.xml.name() {
            "assemblies" | "assembly" | "collection" | "class" => self.begin_group(),
            "test" => self.test = Some(self.case_of()),
            "error" => self.error(),
            "failure" => self.failure(),
            "output" => self.output(),
            _ => {}
        }
    }

    fn end(&mut self, is_implied: bool) {
        match self.xml.name() {
            "assemblies" | "assembly" | "collection" | "class" => self.end_group(),
            "test" => self.end_test(is_implied),
            _ => {}
        }
    }

    fn begin_group(&mut self) {
        let xml = &mut self.xml;
        let is_class = xml.name() == "class";
        let [name, framework, start] = ["name", "target-framework", "start-rtf"].map(|name| xml.filled(name));
        let [date, time] = ["run-date", "run-time"].map(|name| xml.filled(name).unwrap_or_default());
        let start = start.unwrap_or_else(|| format!("{date}T{time}"));
        let around = self.groups.last();
        let mut group = Group {
            class: name.as_deref().filter(|_| is_class).map(tidy),
            variant: around.and_then(|around| around.variant.clone()),
            stamp: Some(Stamp::read(&start))
                .filter(|stamp| stamp.order() != 0)
                .unwrap_or_else(|| around.map(|around| around.stamp.clone()).unwrap_or_default()),
            counted: Counts { failed: count(xml, "failed"), errors: count(xml, "errors") },
            before: self.shown,
            ..Group::default()
        };
        if xml.name() == "assembly" {
            let assembly = name.as_deref().and_then(file);
            let parts = [assembly.clone(), framework.map(|framework| tidy(&framework))];
            group.variant = Some(parts.into_iter().flatten().collect::<Vec<_>>().join(", "));
            group.name = assembly.map(|path| path.rsplit('/').next().unwrap_or_default().to_owned());
        } else {
            group.name = name.map(|name| tidy(&name));
        }
        self.groups.push(group);
    }

    /// A group's own failures, and what it counts and does not show, are one result.
    fn end_group(&mut self) {
        let Some(mut group) = self.groups.pop() else { return };
        let shown = self.shown.since(group.before);
        let missing = group.counted.missing(shown);
        if group.trouble.failures.is_empty() && missing == Counts::default() {
            return;
        }
        if missing != Counts::default() {
            self.shown.failed = self.shown.failed.saturating_add(missing.failed);
            self.shown.errors = self.shown.errors.saturating_add(missing.errors);
            let kind = format!("it counts {} failed, of which it shows {}", group.counted.all(), shown.all());
            group.trouble.push(Failure { kind, ..Failure::default() });
        }
        self.sink.case(Case {
            suite: group.class.as_deref().map(Into::into),
            name: group.name.or_else(|| group.class.clone()).unwrap_or_else(|| "test run".to_owned()),
            class: group.class,
            variant: group.variant,
            stamp: group.stamp,
            ending: Ending::Error,
            trouble: group.trouble,
            ..Case::default()
        });
    }

    fn case_of(&mut self) -> Case {
        let xml = &mut self.xml;
        let [name, class, method, file] =
            ["name", "type", "method", "source-file"].map(|name| xml.filled(name));
        let [word, time] = ["result", "start-rtf"].map(|name| xml.filled(name));
        let group = self.groups.last();
        let class = class.map(|class| tidy(&class)).or_else(|| group.and_then(|group| group.class.clone()));
        let name = tidy(&name.or(method).unwrap_or_default());
        Case {
            suite: class.as_deref().map(Into::into),
            name: class.as_deref().map_or(name.as_str(), |class| within_class(&name, class)).to_owned(),
            class,
            file: file.map(Into::into),
            variant: group.and_then(|group| group.variant.clone()),
            stamp: match time {
                Some(time) => Stamp::read(&time),
                None => group.map(|group| group.stamp.clone()).unwrap_or_default(),
            },
            ending: match word {
                Some(word) => Ending::of_word(&word).unwrap_or(Ending::Error),
                // Until it shows a failure.
                None => Ending::Skipped,
            },
            ..Case::default()
        }
    }

    fn end_test(&mut self, is_implied: bool) {
        let Some(mut case) = self.test.take() else { return };
        match case.ending {
            Ending::Failed | Ending::Error | Ending::Flaky => {
                self.shown.failed = self.shown.failed.saturating_add(1);
            }
            // Of a test that is cut off it is not known that it passed.
            Ending::Passed | Ending::Skipped if is_implied => return,
            Ending::Passed | Ending::Skipped => case.trouble = Trouble::default(),
        }
        self.sink.case(case);
    }

    /// Takes a failure of a test; or of a class, of version 1.
    fn failure(&mut self) {
        let room = match (&self.test, self.groups.last()) {
            (Some(test), _) => test.trouble.room(),
            (None, Some(group)) => group.trouble.room(),
            (None, None) => 0,
        };
        let failure = failure(&mut self.xml, room);
        match (&mut self.test, self.groups.last_mut()) {
            (Some(test), _) => {
                if !test.ending.is_bad() {
                    test.ending = Ending::Failed;
                }
                test.trouble.push(failure);
            }
            (None, Some(group)) => {
                self.shown.failed = self.shown.failed.saturating_add(1);
                group.trouble.push(failure);
            }
            (None, None) => {}
        }
    }

    /// Takes what went wrong outside of tests. Its kind tells of what its name is one.
    fn error(&mut self) {
        let [kind, name] = ["type", "name"].map(|name| self.xml.filled(name).map(|name| tidy(&name)));
        let mut failure = failure(&mut self.xml, TEXT_BYTES_MAX);
        if failure.is_empty() {
            failure.kind.clone_from(&kind.clone().unwrap_or_default());
        }
        let class = name.clone().filter(|_| kind.as_deref() == Some("test-class-cleanup"));
        let group = self.groups.last();
        let assembly = || group.and_then(|group| group.name.clone());
        let name = match kind.as_deref() {
            // Its name is the path of the assembly.
            Some("assembly-cleanup") => assembly().or(name),
            Some(_) | None => name.or_else(assembly),
        };
        let variants = [group.and_then(|group| group.variant.clone()), kind];
        self.shown.errors = self.shown.errors.saturating_add(1);
        self.sink.case(Case {
            suite: class.as_deref().map(Into::into),
            class,
            name: name.unwrap_or_else(|| "test run".to_owned()),
            variant: Some(variants.into_iter().flatten().collect::<Vec<_>>().join(", ")),
            stamp: group.map(|group| group.stamp.clone()).unwrap_or_default(),
            ending: Ending::Error,
            trouble: Trouble::of(failure),
            ..Case::default()
        });
    }

    fn output(&mut self) {
        let text = self.xml.whole_text(OUTPUT_BYTES_MAX);
        if let Some(case) = &mut self.test {
            push_bounded(&mut case.trouble.outputs[0], &clean(&text), OUTPUT_BYTES_MAX);
        }
    }
}

/// Reads an element with a message and a stack trace, by whatever of their names; what stands in no element of its own is
/// long text.
pub(super) fn failure(xml: &mut Xml, room: usize) -> Failure {
    const KINDS: [&str; 2] = ["exception-type", "class"];
    let mut kind = KINDS.into_iter().find_map(|name| xml.filled(name));
    let (mut message, mut text, mut loose) = (String::new(), String::new(), String::new());
    xml.within(|xml, step, inside| {
        if step == Step::Text {
            let into = match part(inside) {
                Part::Message => &mut message,
                Part::Trace => &mut text,
                Part::Loose => &mut loose,
            };
            push_bounded(into, &xml.text(), room / 2);
        } else if xml.name() == "failure" && kind.is_none() {
            kind = xml.filled("exception-type");
        }
    });
    if text.trim().is_empty() {
        text = loose;
    } else if message.trim().is_empty() {
        message = loose;
    }
    Failure {
        message: clean(&message).trim().to_owned(),
        text: clean(&text).trim().to_owned(),
        kind: kind.map(|kind| tidy(&kind)).unwrap_or_default(),
    }
}

/// What a text within a failure is.
enum Part {
    Message,
    Trace,
    Loose,
}

fn part(inside: &[String]) -> Part {
    let known = inside.iter().rev().find_map(|name| match name.as_str() {
        "message" | "Message" => Some(Part::Message),
        "stack-trace" | "StackTrace" | "full-stacktrace" | "short-stacktrace" => Some(Part::Trace),
        _ => None,
    });
    known.unwrap_or(Part::Loose)
}

/// How many an attribute counts; what is no number counts none.
pub(super) fn count(xml: &mut Xml, name: &str) -> u64 {
    xml.attribute(name).and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

/// A test's name without the name of its class before it.
pub(super) fn within_class<'a>(name: &'a str, class: &str) -> &'a str {
    let own = name.strip_prefix(class).and_then(|rest| rest.strip_prefix('.'));
    own.filter(|own| !own.is_empty()).unwrap_or(name)
}
