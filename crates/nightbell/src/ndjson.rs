//! Events as text: one JSON object a line. A bad line is said and passed over, so that the caller decides
//! what follows.

use std::io::{self, BufRead, Read as _};

use nightbell_core::event::{self, BadEvent, Event};
use nightbell_core::limits::EVENT_BYTES_MAX;

/// The most bytes of a line that are held: an event, and the line's end.
const LINE_BYTES_MAX: u64 = EVENT_BYTES_MAX as u64 + "\r\n".len() as u64;

/// One event, and the line that it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The line's number, from 1; blank lines count.
    pub number: u64,
    /// The event's bytes as they stand in the line, without its end.
    pub body: Vec<u8>,
    /// What they say.
    pub event: Event,
}

/// Why a line gives no event.
#[derive(Debug, thiserror::Error)]
pub enum NdjsonError {
    /// It is longer than an event may be. It was passed over without being held.
    #[error("line {line}: it is longer than {EVENT_BYTES_MAX} bytes, the most that an event may have")]
    TooLong {
        /// The line's number, from 1.
        line: u64,
    },
    /// It is no event.
    #[error("line {line}: {}", in_a_line(problem))]
    NoEvent {
        /// The line's number, from 1.
        line: u64,
        /// Why.
        problem: BadEvent,
    },
    /// It can't be read. No more lines follow.
    #[error("line {line}: it can't be read")]
    Unreadable {
        /// The line's number, from 1.
        line: u64,
        /// Why.
        source: io::Error,
    },
}

/// The events of a text, line by line. Blank lines are skipped.
#[derive(Debug)]
pub struct Events<R> {
    from: R,
    line: u64,
    ended: bool,
}

impl<R: BufRead> Events<R> {
    /// Reads events from `from`, holding one line at a time.
    pub fn new(from: R) -> Self {
        Self { from, line: 0, ended: false }
    }

    /// The next line without its end, or none at the end of the text.
    fn next_line(&mut self) -> Result<Option<Vec<u8>>, NdjsonError> {
        self.line += 1;
        let line = self.line;
        let unreadable = |source| NdjsonError::Unreadable { line, source };
        let mut body = Vec::new();
        if self.from.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut body).map_err(unreadable)? == 0 {
            return Ok(None);
        }
        if body.pop_if(|last| *last == b'\n').is_none() {
            self.from.skip_until(b'\n').map_err(unreadable)?;
        }
        body.pop_if(|last| *last == b'\r');
        if body.len() > EVENT_BYTES_MAX { Err(NdjsonError::TooLong { line }) } else { Ok(Some(body)) }
    }
}

impl<R: BufRead> Iterator for Events<R> {
    type Item = Result<Line, NdjsonError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            let body = self.next_line();
            self.ended = matches!(body, Ok(None) | Err(NdjsonError::Unreadable { .. }));
            match body {
                Ok(Some(body)) if !body.trim_ascii().is_empty() => {
                    let number = self.line;
                    return Some(match event::read(&body) {
                        Ok(event) => Ok(Line { number, body, event }),
                        Err(problem) => Err(NdjsonError::NoEvent { line: number, problem }),
                    });
                }
                Ok(_) => {}
                Err(error) => return Some(Err(error)),
            }
        }
        None
    }
}

/// The problem without the parser's own line number, which is always 1.
fn in_a_line(problem: &BadEvent) -> String {
    problem.to_string().replace(" at line 1 column ", " at column ")
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Cursor, Read};

    use proptest::prelude::*;

    use super::*;

    /// What each line gives: the event's test, or what is wrong.
    fn read(text: impl AsRef<[u8]>) -> Vec<String> {
        // A small buffer lets every line run across its end.
        let from = BufReader::with_capacity(7, Cursor::new(text.as_ref().to_vec()));
        let show = |line: Result<Line, NdjsonError>| match line {
            Ok(line) => format!("{} {}", line.number, line.event.test),
            Err(error) => error.to_string(),
        };
        Events::new(from).map(show).collect()
    }

    #[test]
    fn every_line_is_an_event() {
        let text = "{\"project\":\"p\",\"test\":\"a\"}\n{\"project\":\"p\",\"test\":\"b\"}\r\n{\"project\":\"p\",\"test\":\"c\"}";
        assert_eq!(read(text), ["1 a", "2 b", "3 c"]);
    }

    #[test]
    fn the_bytes_are_those_of_the_line() {
        let text = " {\"project\":\"p\", \"test\":\"a\", \"more\":1}\r\n";
        let line = Events::new(text.as_bytes()).next().unwrap().unwrap();
        assert_eq!(line.body, text.trim_end().as_bytes());
    }

    #[test]
    fn blank_lines_are_skipped_and_counted() {
        assert_eq!(read("\n \t\r\n{\"project\":\"p\",\"test\":\"a\"}\n\n"), ["3 a"]);
        assert!(read("").is_empty() && read("\n").is_empty());
    }

    #[test]
    fn a_bad_line_names_its_number_and_the_next_is_read() {
        let text = "{\"project\":\"p\"}\n[]\n{\"project\":\"p\",\"test\":\"a\"}\n\u{fffd}\n";
        let want = [
            "line 1: field `.`: missing field `test` at column 15",
            "line 2: not a JSON object: invalid type: sequence, expected an event, which is a JSON object at column 0",
            "3 a",
            "line 4: not a JSON object: expected value at column 1",
        ];
        assert_eq!(read(text), want);
        assert_eq!(read(b"{\"project\":\"\xff\"}"), ["line 1: not UTF-8 at byte 12"]);
    }

    #[test]
    fn a_line_may_be_as_long_as_an_event_and_no_longer() {
        let event = |bytes: usize| {
            let head = r#"{"project":"p","test":"a","message":""#;
            format!("{head}{}\"}}", "x".repeat(bytes - head.len() - 2))
        };
        for end in ["\n", "\r\n", ""] {
            assert_eq!(read(format!("{}{end}", event(EVENT_BYTES_MAX))), ["1 a"]);
        }
        let text = format!("{}\n{}\n", event(EVENT_BYTES_MAX + 1), event(100));
        assert_eq!(
            read(text),
            ["line 1: it is longer than 1048576 bytes, the most that an event may have", "2 a"]
        );
    }

    #[test]
    fn an_endless_line_is_not_held() {
        let from = BufReader::new(io::repeat(b'x').take(200 << 20));
        let mut events = Events::new(from);
        assert!(matches!(events.next(), Some(Err(NdjsonError::TooLong { line: 1 }))));
        assert!(events.next().is_none());
    }

    #[test]
    fn a_text_that_can_not_be_read_ends_it() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
        let mut events = Events::new(BufReader::new(Broken));
        assert!(matches!(events.next(), Some(Err(NdjsonError::Unreadable { line: 1, .. }))));
        assert!(events.next().is_none());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            read(text);
        }

        #[test]
        fn every_line_that_is_not_blank_gives_one_answer(lines in proptest::collection::vec("[{}\":a-z ]{0,20}", 0..8)) {
            let filled = lines.iter().filter(|line| !line.trim().is_empty()).count();
            prop_assert_eq!(read(lines.join("\n")).len(), filled);
        }
    }
}
