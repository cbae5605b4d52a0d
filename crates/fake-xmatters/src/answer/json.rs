//! Answers as JSON, for script files and the admin routes.

use std::time::Duration;

use serde::Deserialize;

use super::{Answer, Kind};

/// A text that is no answer, or no list of answers.
#[derive(Debug, thiserror::Error)]
pub enum BadAnswer {
    /// It is not the JSON of an answer.
    #[error("not the JSON of an answer")]
    Json(#[source] serde_json::Error),
    /// A status that no final answer has.
    #[error("{0} is no status of an answer; one lies between 200 and 599")]
    Status(u16),
    /// A slow answer without its measures.
    #[error("a slow answer has at least 1 byte at a time: add \"slow_bytes\" and \"slow_every_ms\"")]
    Slow,
    /// A header that would end the head.
    #[error("the header `{0}` has a line end in it")]
    Header(String),
}

/// Reads one answer: an object with any of `status` (202), `headers` (an object), `retry_after`, `body` (a text),
/// `delay_ms`, `kind` (`whole`, `half_then_close`, `half_head_then_close`, `close`, `reset`, `garbage`, `hang`,
/// `slow_bytes` with `slow_bytes` and `slow_every_ms`) and `taken`.
///
/// # Errors
/// [`BadAnswer`] says what is wrong with it.
pub fn answer_from_json(json: &[u8]) -> Result<Answer, BadAnswer> {
    serde_json::from_slice::<Written>(json).map_err(BadAnswer::Json)?.read()
}

/// Reads a list of answers: an array of what [`answer_from_json`] reads.
///
/// # Errors
/// [`BadAnswer`] says what is wrong with the first bad one.
pub fn answers_from_json(json: &[u8]) -> Result<Vec<Answer>, BadAnswer> {
    let written: Vec<Written> = serde_json::from_slice(json).map_err(BadAnswer::Json)?;
    written.into_iter().map(Written::read).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default = "accepted")]
    status: u16,
    #[serde(default)]
    headers: std::collections::BTreeMap<String, String>,
    retry_after: Option<String>,
    body: Option<String>,
    #[serde(default)]
    delay_ms: u64,
    #[serde(default)]
    kind: WrittenKind,
    #[serde(default)]
    slow_bytes: usize,
    #[serde(default)]
    slow_every_ms: u64,
    taken: Option<bool>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WrittenKind {
    #[default]
    Whole,
    HalfThenClose,
    HalfHeadThenClose,
    Close,
    Reset,
    Garbage,
    Hang,
    SlowBytes,
}

fn accepted() -> u16 {
    202
}

impl Written {
    fn read(self) -> Result<Answer, BadAnswer> {
        if !(200..=599).contains(&self.status) {
            return Err(BadAnswer::Status(self.status));
        }
        let every = Duration::from_millis(self.slow_every_ms);
        let kind = match self.kind {
            WrittenKind::Whole => Kind::Whole,
            WrittenKind::HalfThenClose => Kind::HalfThenClose,
            WrittenKind::HalfHeadThenClose => Kind::HalfHeadThenClose,
            WrittenKind::Close => Kind::Close,
            WrittenKind::Reset => Kind::Reset,
            WrittenKind::Garbage => Kind::Garbage,
            WrittenKind::Hang => Kind::Hang,
            WrittenKind::SlowBytes if self.slow_bytes == 0 => return Err(BadAnswer::Slow),
            WrittenKind::SlowBytes => Kind::SlowBytes { bytes: self.slow_bytes, every },
        };
        let retry_after = self.retry_after.map(|value| ("Retry-After".to_owned(), value));
        let headers: Vec<_> = self.headers.into_iter().chain(retry_after).collect();
        let broken = |text: &str| text.contains(['\r', '\n']);
        if let Some((name, _)) = headers.iter().find(|(name, value)| broken(name) || broken(value)) {
            return Err(BadAnswer::Header(name.escape_default().to_string()));
        }
        let delay = Duration::from_millis(self.delay_ms);
        let answer = Answer { headers, delay, kind, taken: self.taken, ..Answer::status(self.status) };
        Ok(match self.body {
            Some(body) => answer.text(body),
            None => answer,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, want: &Answer) {
        assert_eq!(&answer_from_json(json.as_bytes()).unwrap(), want, "{json}");
    }

    #[test]
    fn an_answer_is_read_from_json() {
        check("{}", &Answer::accepted());
        check(r#"{"status":503,"retry_after":"5"}"#, &Answer::status(503).retry_after("5"));
        check(
            r#"{"status":400,"body":"no","headers":{"A":"b"}}"#,
            &Answer::status(400).header("A", "b").text("no"),
        );
        check(r#"{"delay_ms":20}"#, &Answer::accepted().after(Duration::from_millis(20)));
        check(r#"{"kind":"half_then_close","taken":true}"#, &Answer::half());
        check(r#"{"kind":"half_head_then_close"}"#, &Answer::half_head());
        check(r#"{"kind":"close"}"#, &Answer::close());
        check(r#"{"kind":"reset"}"#, &Answer::reset());
        check(r#"{"kind":"garbage"}"#, &Answer::garbage());
        check(r#"{"kind":"hang","taken":true}"#, &Answer::hang().taken(true));
        check(
            r#"{"kind":"slow_bytes","slow_bytes":2,"slow_every_ms":3}"#,
            &Answer::slow(2, Duration::from_millis(3)),
        );
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let bad = |json: &str| answer_from_json(json.as_bytes()).unwrap_err();
        assert!(matches!(bad("[]"), BadAnswer::Json(_)));
        assert!(matches!(bad(r#"{"statsu":503}"#), BadAnswer::Json(_)));
        assert!(matches!(bad(r#"{"status":99}"#), BadAnswer::Status(99)));
        assert!(matches!(bad(r#"{"kind":"slow_bytes"}"#), BadAnswer::Slow));
        assert!(matches!(bad(r#"{"retry_after":"5\r\nA: b"}"#), BadAnswer::Header(_)));
        assert!(matches!(answers_from_json(b"{}").unwrap_err(), BadAnswer::Json(_)));
    }

    #[test]
    fn a_list_keeps_its_order() {
        let answers = answers_from_json(br#"[{"status":503},{}]"#).unwrap();
        assert_eq!(answers, [Answer::status(503), Answer::accepted()]);
    }
}
