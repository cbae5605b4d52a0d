//! The place of a message in a distributed trace, as W3C Trace Context writes it (<https://www.w3.org/TR/trace-context/>).
//! It travels in the message's headers, and from there in a header of the POST.

use std::fmt;
use std::str::FromStr;

use crate::message::{HeaderValue, Headers};

/// The header that says where in which trace a message was published.
pub const TRACEPARENT: &str = "traceparent";
/// The header with what tracing systems add to it. It is carried on, and not read.
pub const TRACESTATE: &str = "tracestate";

/// The longest `tracestate` that is taken in, in bytes: what every system must carry on at least.
pub const TRACESTATE_BYTES_MAX: usize = 512;

/// The flags that are carried on: sampled, and random trace id. All others are to be cleared.
const FLAGS_KNOWN: u8 = 0b11;

/// A place in a trace. Neither id is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    trace_id: u128,
    span_id: u64,
    flags: u8,
}

/// A text that is no `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no traceparent, which looks like 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")]
pub struct BadTraceParent;

impl TraceParent {
    /// A place; none if an id is zero.
    #[must_use]
    pub fn new(trace_id: u128, span_id: u64, flags: u8) -> Option<Self> {
        let is_sound = trace_id != 0 && span_id != 0;
        is_sound.then_some(Self { trace_id, span_id, flags: flags & FLAGS_KNOWN })
    }

    /// The place that a message's headers name, if they name one. A broken one counts as none, as the standard wants it.
    #[must_use]
    pub fn of(headers: &Headers) -> Option<Self> {
        match headers.get(TRACEPARENT)? {
            HeaderValue::Text(text) => text.parse().ok(),
            HeaderValue::Number(_) | HeaderValue::Flag(_) => None,
        }
    }

    /// The trace's id.
    #[must_use]
    pub fn trace_id(self) -> TraceId {
        TraceId(self.trace_id)
    }

    /// The id of the span that published the message.
    #[must_use]
    pub fn span_id(self) -> u64 {
        self.span_id
    }

    /// The flags; bit 0: the trace is recorded.
    #[must_use]
    pub fn flags(self) -> u8 {
        self.flags
    }
}

/// Headers that put a message at a place in a trace. An unreadable `traceparent` makes none, and a `tracestate` without
/// a `traceparent`, or too long, is left out.
#[must_use]
pub fn headers(traceparent: Option<&str>, tracestate: Option<&str>) -> Headers {
    let mut headers = Headers::new();
    let Some(parent) = traceparent.and_then(|text| text.trim().parse::<TraceParent>().ok()) else {
        return headers;
    };
    headers.insert(TRACEPARENT.to_owned(), HeaderValue::Text(parent.to_string()));
    let printable = |text: &&str| text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let fits = |text: &&str| (1..=TRACESTATE_BYTES_MAX).contains(&text.len());
    if let Some(state) = tracestate.map(str::trim).filter(fits).filter(printable) {
        headers.insert(TRACESTATE.to_owned(), HeaderValue::Text(state.to_owned()));
    }
    headers
}

impl FromStr for TraceParent {
    type Err = BadTraceParent;

    /// Reads version 00, and of later versions the part that version 00 has.
    fn from_str(text: &str) -> Result<Self, BadTraceParent> {
        let mut parts = text.splitn(5, '-');
        let mut next = |digits| parts.next().and_then(|part| hex(part, digits));
        let (version, trace_id, span_id, flags) = (next(2), next(32), next(16), next(2));
        let rest = parts.next();
        let version = version.filter(|version| *version != 0xff && (*version > 0 || rest.is_none()));
        let span_id = span_id.and_then(|id| u64::try_from(id).ok());
        let flags = flags.and_then(|flags| u8::try_from(flags).ok());
        let parent = version.zip(trace_id).zip(span_id).zip(flags);
        let parent = parent.and_then(|(((_, trace), span), flags)| Self::new(trace, span, flags));
        parent.ok_or(BadTraceParent)
    }
}

/// A number of exactly so many lower-case hexadecimal digits.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let fits = text.len() == digits && text.bytes().all(is_digit);
    fits.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

/// Version 00.
impl fmt::Display for TraceParent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, self.flags)
    }
}

/// A trace's id; shown as 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceId(pub u128);

impl fmt::Display for TraceId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[track_caller]
    fn check(text: &str, want: Option<&str>) {
        let read = text.parse::<TraceParent>().ok().map(|parent| parent.to_string());
        assert_eq!(read.as_deref(), want, "{text}");
    }

    #[test]
    fn a_traceparent_is_read_and_written_the_same() {
        check(PARENT, Some(PARENT));
        let parent: TraceParent = PARENT.parse().unwrap();
        assert_eq!(parent.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!((parent.span_id(), parent.flags()), (0x00f0_67aa_0ba9_02b7, 1));
    }

    #[test]
    fn what_is_not_sound_is_none() {
        check("", None);
        check(&PARENT.to_uppercase(), None);
        check(&PARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)), None);
        check(&PARENT.replace("00f067aa0ba902b7", &"0".repeat(16)), None);
        check(&PARENT.replace("-01", "-1"), None);
        check(&PARENT.replace("-01", "-+1"), None);
        check(&format!("ff{}", &PARENT[2..]), None);
        check(&format!("{PARENT}-more"), None);
    }

    #[test]
    fn of_a_later_version_the_known_part_is_read_and_unknown_flags_are_cleared() {
        check(&format!("cc{}-more-yet", &PARENT[2..]), Some(PARENT));
        check(&format!("cc{}", &PARENT[2..]), Some(PARENT));
        check(&PARENT.replace("-01", "-ff"), Some(&PARENT.replace("-01", "-03")));
    }

    #[test]
    fn headers_are_made_of_what_is_sound() {
        fn names(parent: Option<&str>, state: Option<&str>) -> String {
            headers(parent, state).into_keys().collect::<Vec<_>>().join(" ")
        }
        assert_eq!(names(Some(PARENT), Some("a=1,b=2")), "traceparent tracestate");
        assert_eq!(names(Some(PARENT), Some("ä=1")), "traceparent");
        assert_eq!(names(Some(PARENT), Some(&"x".repeat(513))), "traceparent");
        assert_eq!(names(Some("00-1"), Some("a=1")), "");
        assert_eq!(names(None, Some("a=1")), "");
        assert_eq!(TraceParent::of(&headers(Some(PARENT), None)), PARENT.parse().ok());
        assert_eq!(TraceParent::of(&Headers::from([(TRACEPARENT.into(), HeaderValue::Number(1))])), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_what_is_read_is_written_the_same(text in "[0-9a-f-]{0,3}-?[0-9a-fé]{0,33}-[0-9a-f]{0,17}-[0-9a-f]{0,3}-?|\\PC{0,60}") {
            if let Ok(parent) = text.parse::<TraceParent>() {
                prop_assert_eq!(parent.to_string().parse(), Ok(parent));
            }
        }

        #[test]
        fn every_place_is_read_as_it_was_written(trace in 1..=u128::MAX, span in 1..=u64::MAX, flags in 0..4_u8) {
            let parent = TraceParent::new(trace, span, flags).unwrap();
            prop_assert_eq!(parent.to_string().parse(), Ok(parent));
        }
    }
}
