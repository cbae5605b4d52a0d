//! The test cases of a report, one by one.

use std::io::{self, BufRead, Seek};
use std::mem;

use quick_xml::Reader;
use quick_xml::escape::{resolve_predefined_entity, unescape};
use quick_xml::events::{BytesRef, BytesStart, Event};

use super::source::Source;
use crate::case::{Case, Ending, Failure, NAME_CHARS_MAX, push_bounded, tidy};
use crate::decode::Decoded;
use crate::fault::{DEPTH_MAX, Fault, Place};
use crate::text::{clean, shortened, time};

/// An element that is open.
#[derive(Debug)]
enum Open {
    Suites,
    Suite(Suite),
    Case,
    /// The first `<failure>`, `<error>` or flaky failure of a case.
    Failure,
    /// What the test printed, inside of that.
    Output,
    Other,
}

#[derive(Debug, Clone, Default)]
struct Suite {
    name: Option<String>,
    timestamp: Option<String>,
    host: Option<String>,
    /// Its number in the file.
    element: u32,
}

/// The test cases of a report. After a fault nothing follows.
#[derive(Debug)]
pub(crate) struct Cases<R> {
    xml: Reader<Source<Decoded<R>>>,
    buffer: Vec<u8>,
    /// The open elements with their names.
    open: Vec<(Open, String)>,
    has_root: bool,
    /// How many suites have begun.
    suites: u32,
    case: Option<Case>,
    ended: bool,
}

impl<R: BufRead + Seek> Cases<R> {
    /// Reads `from` from its beginning.
    pub(crate) fn new(from: R) -> io::Result<Self> {
        let mut xml = Reader::from_reader(Source::new(Decoded::new(from)?));
        xml.config_mut().expand_empty_elements = true;
        Ok(Self {
            xml,
            buffer: Vec::new(),
            open: Vec::new(),
            has_root: false,
            suites: 0,
            case: None,
            ended: false,
        })
    }
}

impl<R: BufRead> Iterator for Cases<R> {
    type Item = Result<Case, Place>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            match self.step() {
                Ok(Some(case)) => return Some(Ok(case)),
                Ok(None) => {}
                Err(fault) => {
                    self.ended = true;
                    return Some(Err(Place { line: self.xml.get_ref().item_line(), fault }));
                }
            }
        }
        None
    }
}

impl<R: BufRead> Cases<R> {
    /// Reads one item; gives the case that it ends, if it ends one.
    fn step(&mut self) -> Result<Option<Case>, Fault> {
        let mut buffer = mem::take(&mut self.buffer);
        buffer.clear();
        self.xml.get_mut().begin_item();
        let event = self.xml.read_event_into(&mut buffer);
        let result = event.map_err(Fault::from).and_then(|event| self.take(event));
        self.buffer = buffer;
        result
    }

    fn take(&mut self, event: Event<'_>) -> Result<Option<Case>, Fault> {
        match event {
            Event::Start(tag) => self.start(&tag)?,
            Event::Empty(tag) => {
                self.start(&tag)?;
                return Ok(self.end());
            }
            Event::End(_) => return Ok(self.end()),
            Event::Text(text) => self.text(&text.xml10_content())?,
            Event::CData(text) => self.text(&text.xml10_content())?,
            Event::GeneralRef(reference) => self.reference(&reference)?,
            Event::Eof => self.finish()?,
            // A document type may define entities; since it is not read, none of them is ever known.
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
        Ok(None)
    }

    fn start(&mut self, tag: &BytesStart<'_>) -> Result<(), Fault> {
        let name = shortened(tag.local_name().as_ref(), NAME_CHARS_MAX);
        if self.open.len() >= DEPTH_MAX {
            return Err(Fault::TooDeep);
        }
        let open = match (self.open.last().map(|(open, _)| open), name.as_str()) {
            (None, _) if self.has_root => return Err(Fault::not_xml("a second root element")),
            (None, "testsuites") => Open::Suites,
            (None | Some(Open::Suites | Open::Suite(_)), "testsuite") => Open::Suite(self.suite_of(tag)?),
            (None, _) => return Err(Fault::Root { root: name }),
            (Some(Open::Suites | Open::Suite(_)), "testcase") => {
                self.case = Some(self.case_of(tag)?);
                Open::Case
            }
            (Some(Open::Case), _) => self.result(&name, tag)?,
            (Some(Open::Failure), "system-out" | "system-err") => Open::Output,
            (Some(Open::Suites | Open::Suite(_) | Open::Failure | Open::Output | Open::Other), _) => {
                Open::Other
            }
        };
        self.has_root = true;
        self.open.push((open, name));
        Ok(())
    }

    /// Takes an element inside a test case, which may say how the case ended.
    fn result(&mut self, name: &str, tag: &BytesStart<'_>) -> Result<Open, Fault> {
        let Some(case) = &mut self.case else { return Ok(Open::Other) };
        case.ending = match (&case.ending, name) {
            (Ending::Passed | Ending::Flaky(_) | Ending::Skipped, "failure") => {
                Ending::Failed(failure_of(tag)?)
            }
            (Ending::Passed | Ending::Flaky(_) | Ending::Skipped, "error") => Ending::Error(failure_of(tag)?),
            (Ending::Passed, "flakyFailure" | "flakyError") => Ending::Flaky(failure_of(tag)?),
            (Ending::Passed, "skipped") => {
                case.ending = Ending::Skipped;
                return Ok(Open::Other);
            }
            (
                Ending::Passed | Ending::Flaky(_) | Ending::Skipped | Ending::Failed(_) | Ending::Error(_),
                _,
            ) => return Ok(Open::Other),
        };
        Ok(Open::Failure)
    }

    fn end(&mut self) -> Option<Case> {
        let (open, _) = self.open.pop()?;
        match open {
            Open::Case => {
                let mut case = self.case.take()?;
                case.line = self.xml.get_ref().item_line();
                Some(case)
            }
            Open::Failure => {
                if let Some(failure) = self.failure() {
                    failure.text = clean(&failure.text);
                }
                None
            }
            Open::Suites | Open::Suite(_) | Open::Output | Open::Other => None,
        }
    }

    fn text(&mut self, text: &str) -> Result<(), Fault> {
        if self.open.is_empty() && !text.trim().is_empty() {
            return Err(Fault::not_xml("text outside of all elements"));
        }
        let mut innermost = self.open.iter().rev().map(|(open, _)| open);
        let is_wanted = innermost.find(|open| matches!(open, Open::Failure | Open::Output));
        if matches!(is_wanted, Some(Open::Failure))
            && let Some(failure) = self.failure()
        {
            push_bounded(&mut failure.text, text);
        }
        Ok(())
    }

    fn reference(&mut self, reference: &BytesRef<'_>) -> Result<(), Fault> {
        if let Some(letter) = reference.resolve_char_ref()? {
            return self.text(letter.encode_utf8(&mut [0; 4]));
        }
        let text = resolve_predefined_entity(reference).ok_or_else(|| Fault::entity(reference))?;
        self.text(text)
    }

    fn finish(&mut self) -> Result<(), Fault> {
        self.ended = true;
        match self.open.last() {
            Some((_, element)) => Err(Fault::Truncated { element: element.clone() }),
            None if self.has_root => Ok(()),
            None => Err(Fault::Empty),
        }
    }

    /// The failure that is being read.
    fn failure(&mut self) -> Option<&mut Failure> {
        match &mut self.case.as_mut()?.ending {
            Ending::Flaky(failure) | Ending::Failed(failure) | Ending::Error(failure) => Some(failure),
            Ending::Passed | Ending::Skipped => None,
        }
    }

    fn suite_of(&mut self, tag: &BytesStart<'_>) -> Result<Suite, Fault> {
        let [name, timestamp, host] = attributes(tag, ["name", "timestamp", "hostname"])?;
        let around = self.suite();
        self.suites = self.suites.saturating_add(1);
        Ok(Suite {
            name: name.map(|name| tidy(&name)).filter(|name| !name.is_empty()).or(around.name),
            timestamp: timestamp.map(|time| tidy(&time)).or(around.timestamp),
            host: host.map(|host| tidy(&host)).or(around.host),
            element: self.suites,
        })
    }

    fn case_of(&self, tag: &BytesStart<'_>) -> Result<Case, Fault> {
        let [name, classname, timestamp] = attributes(tag, ["name", "classname", "timestamp"])?;
        let suite = self.suite();
        let timestamp = timestamp.map(|time| tidy(&time)).or(suite.timestamp);
        Ok(Case {
            suite: suite.name,
            classname: classname.map(|name| tidy(&name)).filter(|name| !name.is_empty()),
            name: name.map(|name| tidy(&name)).unwrap_or_default(),
            element: suite.element,
            host: suite.host,
            occurred_at: timestamp.as_deref().and_then(time),
            timestamp,
            ..Case::default()
        })
    }

    /// The innermost suite that is open.
    fn suite(&self) -> Suite {
        let innermost = self.open.iter().rev().find_map(|(open, _)| match open {
            Open::Suite(suite) => Some(suite),
            Open::Suites | Open::Case | Open::Failure | Open::Output | Open::Other => None,
        });
        innermost.cloned().unwrap_or_default()
    }
}

fn failure_of(tag: &BytesStart<'_>) -> Result<Failure, Fault> {
    let [message, kind] = attributes(tag, ["message", "type"])?;
    let message = message.map(|message| clean(&message)).filter(|message| !message.trim().is_empty());
    let has_message = message.is_some();
    let mut headline = String::new();
    push_bounded(&mut headline, &message.unwrap_or_else(|| tidy(&kind.unwrap_or_default())));
    Ok(Failure { headline, text: String::new(), has_message })
}

/// The values of these attributes, with their line ends as they stand: a message of several lines is still
/// one.
fn attributes<const N: usize>(tag: &BytesStart<'_>, names: [&str; N]) -> Result<[Option<String>; N], Fault> {
    let mut values = [const { None }; N];
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(quick_xml::Error::from)?;
        if let Some(at) = names.iter().position(|name| attribute.key.as_ref() == *name) {
            values[at] = Some(unescape(&attribute.value).map_err(quick_xml::Error::from)?.into_owned());
        }
    }
    Ok(values)
}
