//! TAP, the Test Anything Protocol: <https://testanything.org/tap-version-14-specification.html>, its versions 12 and 13,
//! and what Perl, Node, bats and the Linux kernel make of it.
//!
//! A result is a test point; one that is `TODO` or `SKIP` does not fail. A point behind its sub-tests is none if it
//! failed only because of them. Tests that were planned and did not run are one result, and so is `Bail out!`.
//!
//! A plan, a version or a number that begins anew is another stream behind the first: reports are often put together so.

mod blocks;
mod line;
mod names;
#[cfg(test)]
mod tests;
mod trouble;
mod yaml;

use std::sync::Arc;

use self::blocks::{Block, Hook, Inside};
use self::line::{Directive, Line, Point, begins_tap, named, prove_heading};
use self::names::{Found, Names};
use self::trouble::{Diagnosis, push_latest};
use crate::case::{Case, Ending, Failure, TEXT_BYTES_MAX, Trouble, push_bounded};
use crate::fault::{DEPTH_MAX, Fault, Place, Unfit};
use crate::format::Format;
use crate::lines::Lines;
use crate::names::{path, tidy};
use crate::sink::Sink;
use crate::source::Source;

/// How far the lines of a sub-test are indented.
const INDENT: usize = 4;

/// What Perl says when something is wrong with a run as a whole.
const TROUBLES: [&str; 3] =
    ["Looks like your test exited with ", "Looks like your test died", "No tests run!"];

/// What only sums up what was seen.
const SUMS: [&str; 3] = ["Looks like you failed ", "Looks like you planned ", "bats warning: Executed "];

/// Whether a line is one that only TAP has.
pub(crate) fn is_tap(line: &str) -> bool {
    match line::parse(line) {
        (0, Line::Version | Line::KernelVersion | Line::Plan(_)) => true,
        (0, Line::Point(point)) => point.is_plain() || matches!(line.trim_end(), "ok" | "not ok"),
        (_, _) => false,
    }
}

/// Gives each result.
pub(crate) fn read(source: &Source, sink: &mut Sink<'_>) -> Result<Option<Place>, Unfit> {
    Reader::new(source, sink, Names::Unknown).run().map(|_| None)
}

struct Reader<'s, 'a> {
    source: &'s Source,
    sink: &'s mut Sink<'a>,
    names: Names,
    /// The open sub-tests, the innermost last; the first is the report itself.
    blocks: Vec<Block>,
    /// The name of the sub-tests that are to come, as a comment has it.
    announced: Option<String>,
    /// The result that came last. What follows may tell of it.
    open: Option<OpenResult>,
    /// The YAML that is being read, and how far it is indented.
    yaml: Option<(usize, String)>,
    /// What was printed since the last result.
    heard: String,
    /// The file that `prove` names, until its tests begin.
    file: Option<Arc<str>>,
    /// Why testing was given up.
    given_up: Option<String>,
    line: u64,
    has_text: bool,
    has_tap: bool,
}

/// A result of which more may be said.
struct OpenResult {
    indent: usize,
    case: Case,
    said: Diagnosis,
    /// What it has inside of it, if it has.
    inside: Option<Inside>,
    /// Its sub-tests follow it.
    is_opening: bool,
}

impl<'s, 'a> Reader<'s, 'a> {
    fn new(source: &'s Source, sink: &'s mut Sink<'a>, names: Names) -> Self {
        Self {
            source,
            sink,
            names,
            blocks: vec![Block::default()],
            announced: None,
            open: None,
            yaml: None,
            heard: String::new(),
            file: None,
            given_up: None,
            line: 0,
            has_text: false,
            has_tap: false,
        }
    }

    fn run(mut self) -> Result<Found, Unfit> {
        let mut lines = Lines::open(self.source)?;
        while !self.sink.is_stopped() {
            self.line = lines.number() + 1;
            let Some(line) = lines.next() else { break };
            self.take(line);
        }
        if !self.sink.is_stopped() {
            self.line = lines.number();
            self.sink.damage(lines.broken());
            self.end()?;
        }
        Ok(self.names.found())
    }

    fn take(&mut self, line: &str) {
        if self.is_in_yaml(line) {
            return;
        }
        let (indent, line) = line::parse(line);
        self.has_text |= line != Line::Blank;
        match line {
            Line::Blank => {}
            Line::Comment(text) => self.comment(text),
            Line::Other("---") if self.open.as_ref().is_some_and(|open| open.indent < indent) => {
                self.yaml = Some((indent, String::new()));
            }
            Line::Other(text) => self.other(text),
            Line::Subtest(name) => self.subtest(indent, name),
            Line::Opening => self.open.iter_mut().for_each(|open| open.is_opening = true),
            Line::Closing if self.closes(indent) => self.leave(indent),
            Line::Closing => self.other("}"),
            Line::Point(point) if !self.counts(indent, &point) => {
                self.other(if point.is_ok { "ok" } else { "not ok" });
            }
            Line::Point(point) => self.point(indent, &point),
            Line::Version => self.version(indent),
            Line::KernelVersion => {
                self.version(indent);
                self.here().awaits_name = self.blocks.len() > 1;
            }
            Line::Plan(count) => self.plan(indent, count),
            Line::Bail(reason) => self.bail(&reason),
            Line::Pragma => self.has_tap = true,
        }
    }

    /// Takes a line that is in the YAML of a result; false: it is not.
    fn is_in_yaml(&mut self, line: &str) -> bool {
        let Some((edge, text)) = &mut self.yaml else { return false };
        let indent = line.len() - line.trim_start_matches(' ').len();
        let is_end = indent == *edge && line.trim() == "...";
        let is_out = indent < *edge && begins_tap(line);
        if !is_end && !is_out {
            push_bounded(text, line.get(indent.min(*edge)..).unwrap_or_default(), TEXT_BYTES_MAX / 2);
            push_bounded(text, "\n", TEXT_BYTES_MAX / 2);
            return true;
        }
        self.end_yaml();
        if is_out {
            self.damage(Fault::odd("the YAML of a result does not end"));
        }
        is_end
    }

    fn end_yaml(&mut self) {
        if let (Some((_, text)), Some(open)) = (self.yaml.take(), &mut self.open) {
            open.said.yaml(text);
        }
    }

    /// Whether a point is a result, and not only a line that looks like one.
    fn counts(&self, indent: usize, point: &Point<'_>) -> bool {
        let Some(here) = self.blocks.last() else { return true };
        if !point.is_ok || point.is_plain() {
            return true;
        }
        // `prove` ends each file with its own `ok`.
        let is_verdict = point.description.is_empty() && here.stream.is_full();
        let is_announced = self.announced.is_some() || self.open.as_ref().is_some_and(|open| open.is_opening);
        !is_verdict && !here.stream.is_numbered() && (indent <= here.indent || is_announced)
    }

    /// Whether sub-tests are over whose result stands before them, at this indent.
    fn closes(&self, indent: usize) -> bool {
        self.blocks.iter().any(|block| block.parent.as_ref().is_some_and(|parent| parent.indent == indent))
    }

    fn here(&mut self) -> &mut Block {
        if self.blocks.is_empty() {
            self.blocks.push(Block::default());
        }
        let last = self.blocks.len() - 1;
        &mut self.blocks[last]
    }

    /// Goes to the sub-tests that are indented so far. Returns those that are over by it.
    fn enter(&mut self, indent: usize) -> Option<Inside> {
        self.has_tap = true;
        let mut inside = None;
        if indent <= self.here().indent {
            self.settle();
            while self.here().indent > indent {
                inside = self.end_block();
            }
        }
        self.begin_blocks(indent);
        inside
    }

    /// Goes back to the sub-tests in which those stand that are indented further.
    fn leave(&mut self, indent: usize) {
        self.settle();
        while self.here().indent > indent {
            self.end_block();
        }
    }

    fn begin_blocks(&mut self, indent: usize) {
        if indent <= self.here().indent {
            return;
        }
        let mut parent = self.open.take_if(|open| open.is_opening);
        self.settle();
        while self.here().indent < indent {
            if self.blocks.len() > DEPTH_MAX {
                return self.damage(Fault::TooDeep);
            }
            // Where nothing else names them, several may begin with one line.
            let gap = indent - self.here().indent;
            let step = if gap.is_multiple_of(INDENT) { INDENT } else { gap };
            let at = self.here().indent + step;
            let name = match (&parent, self.announced.take()) {
                (Some(open), _) => Some(open.case.name.clone()),
                (None, Some(name)) => Some(name),
                (None, None) => self.names.of(self.source, self.line, at),
            };
            let path = path(self.here().path.as_deref(), name.as_deref().unwrap_or_default()).map(Into::into);
            self.blocks.push(Block {
                indent: at,
                line: self.line,
                name,
                path,
                parent: parent.take(),
                ..Block::default()
            });
        }
    }

    /// The innermost sub-tests are over. Returns what they were, if their result is still to come.
    fn end_block(&mut self) -> Option<Inside> {
        self.end_stream();
        let block = self.blocks.pop()?;
        let inside = block.inside();
        self.here().has_failed |= inside.has_failed;
        let Some(open) = block.parent else { return Some(inside) };
        self.open = Some(OpenResult { inside: Some(inside), ..open });
        self.settle();
        None
    }

    fn point(&mut self, indent: usize, point: &Point<'_>) {
        let inside = self.enter(indent);
        self.announced = None;
        self.here().awaits_name = false;
        if self.here().stream.is_over_at(point) {
            self.end_stream();
        }
        self.begin_stream();
        let ending = match (point.is_ok, point.directive) {
            (_, Directive::Skip) | (false, Directive::Todo) => Ending::Skipped,
            (true, Directive::None | Directive::Todo) => Ending::Passed,
            (false, Directive::None) => Ending::Failed,
        };
        let hook = Hook::of(&point.description).filter(|_| ending.is_bad());
        let number = self.here().stream.count(point, hook);
        let name = named(point, number);
        self.names.learn(inside, &point.description);
        let before = std::mem::take(&mut self.heard);
        let file = self.blocks.first().and_then(|top| top.stream.file.clone());
        let case = Case { suite: self.here().path.clone(), name, file, ending, ..Case::default() };
        let said = Diagnosis::new(before, point.note);
        self.open = Some(OpenResult { indent, case, said, inside, is_opening: point.is_opening });
    }

    /// Gives the result that came last: all is said of it.
    fn settle(&mut self) {
        let Some(OpenResult { mut case, said, inside, .. }) = self.open.take() else { return };
        if case.ending.is_bad() {
            let here = self.here();
            here.has_failed = true;
            here.stream.has_failed = true;
            if inside.is_some_and(|inside| inside.has_failed) && !said.is_own(&case.name) {
                return;
            }
            if inside.is_some() {
                case.ending = Ending::Error;
            }
            case.trouble = said.trouble(&case.name);
        }
        self.sink.case(case);
    }

    fn version(&mut self, indent: usize) {
        self.enter(indent);
        if self.here().stream.has_begun() {
            self.end_stream();
        }
        self.begin_stream();
        self.here().stream.has_version = true;
    }

    fn plan(&mut self, indent: usize, count: u64) {
        self.enter(indent);
        self.here().awaits_name = false;
        if self.here().stream.has_plan() {
            self.end_stream();
        }
        self.begin_stream();
        self.here().stream.plan(count);
    }

    /// A stream of the report itself is of the file that was named before.
    fn begin_stream(&mut self) {
        if let [top] = self.blocks.as_mut_slice()
            && !top.stream.has_begun()
        {
            top.stream.file = self.file.take();
            self.given_up = None;
        }
    }

    /// The innermost stream is over: something stands for what is missing of it.
    fn end_stream(&mut self) {
        let is_top = self.blocks.len() == 1;
        let stream = std::mem::take(&mut self.here().stream);
        if let Some(problem) = stream.problem(&self.heard) {
            self.heard.clear();
            let file = if is_top && !stream.has_begun() { self.file.take() } else { stream.file.clone() };
            self.error(problem, file);
        }
        if is_top && stream.has_begun() && !stream.has_plan() && !stream.is_given_up {
            self.damage(Fault::ends_before("its plan"));
        }
    }

    /// Something is wrong with the sub-tests, or the run, as a whole.
    fn error(&mut self, failure: Failure, file: Option<Arc<str>>) {
        let here = self.here();
        here.has_failed = true;
        let name = here.name.as_deref().map_or_else(|| "test run".to_owned(), tidy);
        let case = Case { suite: here.path.clone(), file, ..Case::error(name, Trouble::of(failure)) };
        self.sink.case(case);
    }

    fn bail(&mut self, reason: &str) {
        self.has_tap = true;
        self.settle();
        self.blocks.iter_mut().for_each(|block| block.stream.is_given_up = true);
        // Sub-tests say it, and all around them say it again.
        if self.given_up.as_deref() == Some(reason) {
            return;
        }
        self.given_up = Some(reason.to_owned());
        let message = if reason.is_empty() { "Bail out!" } else { reason };
        let failure = Failure::new(message, &std::mem::take(&mut self.heard));
        let file = self.blocks.first().and_then(|top| top.stream.file.clone());
        self.error(failure, file);
    }

    fn subtest(&mut self, indent: usize, name: String) {
        self.leave(indent);
        let name = Some(name).filter(|name| !name.is_empty());
        if self.here().indent == indent && std::mem::take(&mut self.here().awaits_name) {
            return self.rename(name);
        }
        if self.here().indent < indent && self.announced.is_none() {
            // Perl of old writes it within the sub-tests.
            self.announced = name;
            return self.begin_blocks(indent);
        }
        self.begin_blocks(indent);
        self.announced = name;
    }

    /// The innermost sub-tests say themselves what they are called.
    fn rename(&mut self, name: Option<String>) {
        let around = self.blocks.iter().rev().nth(1).and_then(|block| block.path.clone());
        let here = self.here();
        here.path = path(around.as_deref(), name.as_deref().unwrap_or_default()).map(Into::into);
        here.name = name;
    }

    fn comment(&mut self, text: &str) {
        if TROUBLES.iter().any(|start| text.starts_with(start)) {
            self.blocks.iter_mut().take(1).for_each(|top| top.stream.trouble(text));
        }
        if SUMS.iter().any(|start| text.starts_with(start)) {
            return;
        }
        self.hear(text, Diagnosis::comment);
    }

    /// Takes what is said of the result that came last, or of what comes next.
    fn hear(&mut self, text: &str, take: fn(&mut Diagnosis, &str)) {
        match &mut self.open {
            Some(open) if open.case.ending.is_bad() && open.said.is_open() => take(&mut open.said, text),
            Some(_) | None => push_latest(&mut self.heard, text),
        }
    }

    fn other(&mut self, text: &str) {
        if let Some(file) = prove_heading(text) {
            return self.file_begins(file);
        }
        if text.starts_with("Dubious, test returned ") {
            self.leave(0);
            let stream = &mut self.here().stream;
            if !stream.has_failed {
                stream.trouble(text);
            }
        }
        self.hear(text, Diagnosis::line);
    }

    /// `prove` says which file's tests come next.
    fn file_begins(&mut self, file: &str) {
        let top = self.blocks.first().map(|top| &top.stream);
        if top.is_some_and(|stream| stream.is_full() || !stream.has_begun()) {
            self.leave(0);
            self.end_stream();
        }
        self.heard.clear();
        self.file = Some(file.into());
    }

    fn damage(&mut self, fault: Fault) {
        self.sink.damage(Place { line: self.line.max(1), fault });
    }

    fn end(&mut self) -> Result<(), Unfit> {
        if !self.has_tap {
            let fault = if self.has_text {
                Fault::foreign(Format::Tap, "it has no plan and no result")
            } else {
                Fault::Empty
            };
            return Err(Place { line: self.line.max(1), fault }.into());
        }
        if self.yaml.is_some() {
            self.end_yaml();
            self.damage(Fault::ends_before("the end of the YAML of a result"));
        }
        self.settle();
        while self.blocks.len() > 1 {
            let inside = self.end_block();
            if inside.is_some_and(|inside| inside.has_failed) {
                self.here().stream.stand_for_one();
            }
        }
        self.end_stream();
        Ok(())
    }
}
