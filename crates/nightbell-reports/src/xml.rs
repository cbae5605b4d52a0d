//! XML as reports have it, sound or not. What a parser would refuse is read as well as it can be: a report that was cut
//! off, or in which somebody forgot an escape, still tells of failures. The first such place is remembered as damage.
//!
//! No XML library goes on after a fault, or bounds what it holds of one item, hence this.

mod attributes;
mod split;
#[cfg(test)]
mod tests;
mod walk;

use std::borrow::Cow;

use self::attributes::{Attributes, has_sound_references, unescape};
use self::split::{Piece, Split};
pub(crate) use self::walk::{Elements, walk};
use crate::case::push_bounded;
use crate::decode::Decoded;
use crate::fault::{DEPTH_MAX, Fault, Place, Unfit};
use crate::format::Format;
use crate::source::Source;

/// The elements of a format by which a reader finds its way back after damage.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Vocabulary {
    /// What its results stand in, from outside to inside.
    pub(crate) structure: &'static [&'static str],
    /// The one that is a result, if it holds no others of its structure: one that begins within ends the one around it.
    pub(crate) result: Option<&'static str>,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// An element begins: [`Xml::name`] and [`Xml::attribute`] tell which.
    Start,
    /// [`Xml::text`].
    Text,
    /// The element [`Xml::name`] ends.
    End,
    /// It ends only because what is around it does, or the report.
    ImpliedEnd,
    /// All elements have ended.
    Eof,
}

/// A report's elements, one by one.
pub(crate) struct Xml {
    split: Split,
    vocabulary: Vocabulary,
    attributes: Attributes,
    /// The names of the open elements.
    open: Vec<String>,
    /// How many elements are open beyond those.
    too_deep: u64,
    /// The name of what began or ended last.
    name: String,
    has_root: bool,
    /// How many elements end before what was read last counts.
    implied: usize,
    next: Option<Next>,
    /// The element that began last is to be given once more.
    is_unread: bool,
    damage: Option<Place>,
}

/// What was read, and counts only after the ends before it.
#[derive(Debug, Clone, Copy)]
enum Next {
    Start { is_empty: bool },
    End,
    Eof,
}

impl Xml {
    /// Reads from the beginning.
    pub(crate) fn open(source: &Source, vocabulary: Vocabulary) -> Result<Self, Unfit> {
        let split = Split::new(Decoded::new(source.open()?)?, vocabulary.structure);
        Ok(Self {
            split,
            vocabulary,
            attributes: Attributes::default(),
            open: Vec::new(),
            too_deep: 0,
            name: String::new(),
            has_root: false,
            implied: 0,
            next: None,
            is_unread: false,
            damage: None,
        })
    }

    /// The first element that begins, for readers that want a certain one.
    ///
    /// # Errors
    /// Its name is none of these.
    pub(crate) fn root(&mut self, format: Format, names: &[&str]) -> Result<(), Unfit> {
        let wanted = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ");
        loop {
            match self.step() {
                Step::Start if names.contains(&self.name()) => return Ok(()),
                Step::Start => {
                    let found = format!("the first element is `{}`, not {wanted}", self.name());
                    return Err(Place::new(self.line(), Fault::foreign(format, &found)).into());
                }
                Step::Eof => return Err(self.nothing(format).into()),
                Step::Text | Step::End | Step::ImpliedEnd => {}
            }
        }
    }

    fn nothing(&mut self, format: Format) -> Place {
        let line = self.line();
        match self.damage.take() {
            Some(place) => Place::new(place.line, Fault::foreign(format, &place.fault.to_string())),
            None => Place::new(line, Fault::Empty),
        }
    }

    /// The line in which the current item began, from 1.
    pub(crate) fn line(&self) -> u64 {
        self.split.item_line()
    }

    /// The local name of the element that begins or ends.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The element around the one that begins.
    pub(crate) fn parent(&self) -> Option<&str> {
        self.open.iter().rev().nth(1).map(String::as_str)
    }

    /// The names of the open elements, the current one last.
    pub(crate) fn path(&self) -> &[String] {
        &self.open
    }

    /// An attribute of the element that begins, with its line ends as they stand: a message of several lines is still
    /// one.
    pub(crate) fn attribute(&self, name: &str) -> Option<String> {
        Some(unescape(self.attributes.get(self.split.item(), name)?).into_owned())
    }

    /// An attribute that says something.
    pub(crate) fn filled(&self, name: &str) -> Option<String> {
        self.attribute(name).filter(|value| !value.trim().is_empty())
    }

    /// The text, its references resolved.
    pub(crate) fn text(&self) -> Cow<'_, str> {
        if self.split.is_literal() { Cow::Borrowed(self.split.item()) } else { unescape(self.split.item()) }
    }

    /// Goes on after the end of the current element, and gives each element and each text in it to `each`, texts with the
    /// names of what is open within. An element that is not closed ends where one of the structure begins, which is
    /// given next.
    pub(crate) fn within(&mut self, mut each: impl FnMut(&Self, Step, &[String])) {
        let depth = self.open.len();
        while self.open.len() >= depth {
            match self.step() {
                Step::Start if self.vocabulary.structure.contains(&self.name()) => {
                    self.is_unread = true;
                    break;
                }
                step @ (Step::Text | Step::Start) => {
                    each(self, step, self.open.get(depth..).unwrap_or_default());
                }
                Step::End | Step::ImpliedEnd => {}
                Step::Eof => break,
            }
        }
    }

    /// The text within the current element that is wanted, by what it stands in, at most so much.
    pub(crate) fn text_within(&mut self, bytes_max: usize, is_wanted: impl Fn(&[String]) -> bool) -> String {
        let mut whole = String::new();
        self.within(|xml, step, inside| {
            if step == Step::Text && is_wanted(inside) {
                push_bounded(&mut whole, &xml.text(), bytes_max);
            }
        });
        whole
    }

    /// What is wrong, by the first place where something is.
    pub(crate) fn damage(&mut self) -> Option<Place> {
        if let Some(problem) = self.split.broken() {
            let fault = Fault::Unreadable { problem };
            self.damaged(fault);
        }
        self.damage.clone()
    }

    /// Reads on.
    pub(crate) fn step(&mut self) -> Step {
        if std::mem::take(&mut self.is_unread) {
            return Step::Start;
        }
        loop {
            if self.implied > 0 {
                self.implied -= 1;
                self.name = self.open.pop().unwrap_or_default();
                return Step::ImpliedEnd;
            }
            match self.next.take() {
                Some(Next::Start { is_empty }) if self.start(is_empty) => return Step::Start,
                Some(Next::Start { .. }) => {}
                Some(Next::End) => {
                    self.name = self.open.pop().unwrap_or_default();
                    return Step::End;
                }
                Some(Next::Eof) => {
                    self.next = Some(Next::Eof);
                    return Step::Eof;
                }
                None => {}
            }
            let piece = self.split.next();
            if let Some(problem) = self.split.take_problem() {
                self.damaged(Fault::not_xml(problem));
            }
            if !self.split.is_literal() && !has_sound_references(self.split.item()) {
                self.damaged(Fault::not_xml("a `&` that begins no reference"));
            }
            match piece {
                Piece::Text if !self.open.is_empty() => return Step::Text,
                Piece::Text => self.text_outside(),
                Piece::Tag { is_empty } => self.tag(is_empty),
                Piece::End => self.end_tag(),
                Piece::Eof => self.eof(),
            }
        }
    }

    fn text_outside(&mut self) {
        if !self.split.item().trim().is_empty() {
            self.damaged(Fault::not_xml("text outside of all elements"));
        }
    }

    fn tag(&mut self, is_empty: bool) {
        if !self.attributes.read(self.split.item()) {
            self.damaged(Fault::not_xml("an attribute is not of the form name=\"value\""));
        }
        let name = local(self.attributes.name(self.split.item()));
        if let Some(result) = self.vocabulary.result
            && self.vocabulary.structure.contains(&name)
            && let Some(at) = self.open.iter().position(|open| open == result)
        {
            self.implied = self.open.len() - at;
            let expected = format!("expected `</{result}>`, but `<{name}>` was found");
            self.damaged(Fault::not_xml(&expected));
        }
        self.next = Some(Next::Start { is_empty });
    }

    /// Opens an element; false: it is nested too deeply, and passed over.
    fn start(&mut self, is_empty: bool) -> bool {
        if self.open.len() >= DEPTH_MAX {
            self.too_deep += u64::from(!is_empty);
            self.damaged(Fault::TooDeep);
            return false;
        }
        if self.open.is_empty() {
            if self.has_root {
                self.damaged(Fault::not_xml("a second root element"));
            }
            self.has_root = true;
        }
        self.name.clear();
        self.name.push_str(local(self.attributes.name(self.split.item())));
        self.open.push(self.name.clone());
        if is_empty {
            self.next = Some(Next::End);
        }
        true
    }

    fn end_tag(&mut self) {
        if self.too_deep > 0 {
            self.too_deep -= 1;
            return;
        }
        let name = local(self.split.item().trim());
        match self.open.iter().rposition(|open| open == name) {
            Some(at) if at + 1 == self.open.len() => self.next = Some(Next::End),
            Some(at) => {
                self.implied = self.open.len() - at - 1;
                self.next = Some(Next::End);
                self.mismatch();
            }
            None => self.mismatch(),
        }
    }

    fn mismatch(&mut self) {
        let found = self.split.item().trim();
        let problem = match self.open.last() {
            Some(open) => format!("expected `</{open}>`, but `</{found}>` was found"),
            None => format!("`</{found}>` ends what did not begin"),
        };
        self.damaged(Fault::not_xml(&problem));
    }

    fn eof(&mut self) {
        if let Some(open) = self.open.last() {
            let missing = format!("`</{open}>`");
            self.damaged(Fault::ends_before(&missing));
        }
        self.implied = self.open.len();
        self.too_deep = 0;
        self.next = Some(Next::Eof);
    }

    fn damaged(&mut self, fault: Fault) {
        let line = self.split.item_line();
        self.damage.get_or_insert(Place { line, fault });
    }
}

/// A name without its namespace's prefix.
fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}
