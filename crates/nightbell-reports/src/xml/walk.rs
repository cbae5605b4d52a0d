//! The walk through a report's elements that all formats share, and what they read of an element in the same way.

use super::{Step, Vocabulary, Xml};
use crate::case::{Failure, push_bounded};
use crate::fault::{Place, Unfit};
use crate::format::Format;
use crate::names::tidy;
use crate::sink::End;
use crate::source::Source;
use crate::text::clean;
use crate::time::Stamp;

/// Who makes results of elements.
pub(crate) trait Elements {
    /// An element begins.
    fn begin(&mut self, xml: &mut Xml);

    /// An element has ended, and is no more among the open ones.
    fn end(&mut self, xml: &Xml, end: End);

    /// No more is wanted.
    fn is_done(&self) -> bool;
}

/// Walks through a report whose first element is one of `roots`. Returns the first place where it is damaged.
///
/// # Errors
/// It can't be read, or is no report of this format.
pub(crate) fn walk(
    source: &Source,
    format: Format,
    roots: &[&str],
    vocabulary: Vocabulary,
    elements: &mut dyn Elements,
) -> Result<Option<Place>, Unfit> {
    let mut xml = Xml::open(source, vocabulary)?;
    xml.root(format, roots)?;
    elements.begin(&mut xml);
    while !elements.is_done() {
        match xml.step() {
            Step::Start => elements.begin(&mut xml),
            Step::End => elements.end(&xml, End::Written),
            Step::ImpliedEnd => elements.end(&xml, End::CutOff),
            Step::Text => {}
            Step::Eof => break,
        }
    }
    Ok(xml.damage())
}

/// What a text within a failure is.
enum Part {
    Message,
    Trace,
    Loose,
}

impl Part {
    fn of(inside: &[String]) -> Self {
        let known = inside.iter().rev().find_map(|name| match name.as_str() {
            "message" | "Message" => Some(Self::Message),
            "stack-trace" | "StackTrace" | "full-stacktrace" | "short-stacktrace" => Some(Self::Trace),
            _ => None,
        });
        known.unwrap_or(Self::Loose)
    }
}

impl Xml {
    /// An attribute that says something, on one line.
    pub(crate) fn tidied(&self, name: &str) -> Option<String> {
        self.filled(name).map(|value| tidy(&value))
    }

    /// How many an attribute counts; what is no number counts none.
    pub(crate) fn count(&self, name: &str) -> u64 {
        self.attribute(name).and_then(|count| count.trim().parse().ok()).unwrap_or(0)
    }

    /// How many these attributes count together.
    pub(crate) fn sum(&self, names: &[&str]) -> u64 {
        names.iter().map(|name| self.count(name)).fold(0, u64::saturating_add)
    }

    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.attribute(name).is_some_and(|told| told.eq_ignore_ascii_case("true"))
    }

    /// The time in an attribute, if it has any; one that can't be understood is unknown.
    pub(crate) fn stamp(&self, name: &str) -> Option<Stamp> {
        self.filled(name).map(|time| Stamp::read(&time))
    }

    /// The text within the current element, fit for people.
    pub(crate) fn printed(&mut self, bytes_max: usize) -> String {
        clean(&self.text_within(bytes_max, |_| true))
    }

    /// Reads an element with a message and a stack trace, by whatever of their names; what stands in no element of its own is
    /// long text.
    pub(crate) fn failure(&mut self, room: usize) -> Failure {
        const KINDS: [&str; 2] = ["exception-type", "class"];
        let mut kind = KINDS.into_iter().find_map(|name| self.filled(name));
        let (mut message, mut text, mut loose) = (String::new(), String::new(), String::new());
        self.within(|xml, step, inside| {
            if step == Step::Text {
                let into = match Part::of(inside) {
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
}
