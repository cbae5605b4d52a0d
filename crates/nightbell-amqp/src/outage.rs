//! What is logged of an outage: its beginning, now and then that it goes on, and its end.

use std::time::Instant;

use crate::error::{AmqpError, Nature};
use crate::limits::OUTAGE_SAID_EVERY;

/// How grave a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gravity {
    /// It may pass by itself: WARN.
    Passing,
    /// An operator must act: ERROR.
    Standing,
}

impl Gravity {
    pub(crate) fn of(error: &AmqpError) -> Self {
        match error.nature() {
            Nature::Standing => Self::Standing,
            Nature::Silence | Nature::Passing => Self::Passing,
        }
    }
}

/// One outage at a time of one thing, and what was said of it. The decisions are pure; [`Outage::failed`] and
/// [`Outage::ended`] log them.
#[derive(Debug)]
pub(crate) struct Outage {
    what: String,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    began: Instant,
    said: Instant,
    failures: u64,
    standing: Option<String>,
}

impl Outage {
    /// No outage yet of `what`.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), current: None }
    }

    /// A failure: logged if it begins an outage, if it newly asks an operator to act, or if nothing was said
    /// for long.
    pub(crate) fn failed(&mut self, gravity: Gravity, reason: &str, now: Instant) {
        let Some(failures) = self.note(gravity, reason, now) else { return };
        let what = &self.what;
        match gravity {
            Gravity::Passing => {
                tracing::warn!(what, failures, reason, "the queue's connection failed; trying again");
            }
            Gravity::Standing => {
                tracing::error!(what, failures, reason, "the queue can't be used as it is set up");
            }
        }
    }

    /// The end of the outage, if there was one.
    pub(crate) fn ended(&mut self, now: Instant) {
        if let Some(current) = self.current.take() {
            let seconds = now.saturating_duration_since(current.began).as_secs();
            tracing::info!(
                what = self.what,
                failures = current.failures,
                seconds,
                "the queue's connection is back"
            );
        }
    }

    /// The count of failures so far if this one is to be said.
    fn note(&mut self, gravity: Gravity, reason: &str, now: Instant) -> Option<u64> {
        let news = (gravity == Gravity::Standing).then(|| reason.to_owned());
        let Some(current) = &mut self.current else {
            self.current = Some(Current { began: now, said: now, failures: 1, standing: news });
            return Some(1);
        };
        current.failures = current.failures.saturating_add(1);
        let new_text = news.is_some() && news != current.standing;
        let due = now.saturating_duration_since(current.said) >= OUTAGE_SAID_EVERY;
        if new_text {
            current.standing = news;
        }
        if !new_text && !due {
            return None;
        }
        current.said = now;
        Some(current.failures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_outage_is_said_when_it_begins_and_then_every_five_minutes() {
        let (mut outage, start) = (Outage::new("x"), Instant::now());
        assert_eq!(outage.note(Gravity::Passing, "refused", start), Some(1));
        assert_eq!(outage.note(Gravity::Passing, "timed out", start + Duration::from_secs(299)), None);
        assert_eq!(outage.note(Gravity::Passing, "refused", start + Duration::from_secs(300)), Some(3));
        assert_eq!(outage.note(Gravity::Passing, "refused", start + Duration::from_secs(301)), None);
        outage.ended(start + Duration::from_secs(302));
        assert_eq!(outage.note(Gravity::Passing, "refused", start + Duration::from_secs(303)), Some(1));
    }

    #[test]
    fn what_an_operator_must_do_is_said_once_per_text() {
        let (mut outage, start) = (Outage::new("x"), Instant::now());
        assert_eq!(outage.note(Gravity::Passing, "refused", start), Some(1));
        assert_eq!(outage.note(Gravity::Standing, "mismatch a", start), Some(2));
        assert_eq!(outage.note(Gravity::Standing, "mismatch a", start), None);
        assert_eq!(outage.note(Gravity::Passing, "refused", start), None);
        assert_eq!(outage.note(Gravity::Standing, "mismatch a", start), None);
        assert_eq!(outage.note(Gravity::Standing, "mismatch b", start), Some(6));
    }
}
