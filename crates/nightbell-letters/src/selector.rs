//! Which dead letters are meant, as an operator says it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use nightbell_core::connector::Connector;
use nightbell_core::dead::Reason;
use nightbell_core::routing::{BadPattern, Pattern};
use nightbell_core::time::{UnixMillis, millis};

use crate::letter::Letter;

/// Which dead letters; every condition that is given must hold.
#[derive(Debug, Clone, Default, Args)]
pub struct Selector {
    /// Of this connector.
    #[arg(long)]
    pub connector: Option<Connector>,
    /// For this reason: invalid, expired, refused, unrouted or `delivery_limit`.
    #[arg(long)]
    pub reason: Option<Reason>,
    /// Of this project; `*` stands for any characters.
    #[arg(long, value_name = "PATTERN")]
    pub project: Option<String>,
    /// Dead since this time (RFC 3339), or for no longer than this duration (`2h`).
    #[arg(long, value_name = "TIME")]
    pub since: Option<Moment>,
    /// Dead until this time (RFC 3339), or for at least this duration (`2h`).
    #[arg(long, value_name = "TIME")]
    pub until: Option<Moment>,
    /// With this id, or an id that begins so; may be given several times.
    #[arg(long, value_name = "ID", value_parser = start_of_id)]
    pub id: Vec<String>,
    /// At most so many, the longest dead first.
    #[arg(long, value_name = "COUNT")]
    pub limit: Option<usize>,
}

/// A point in time, or a time before now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// A point in time.
    At(UnixMillis),
    /// So long ago.
    Ago(Duration),
}

impl Moment {
    /// The point in time, seen from `now`.
    #[must_use]
    pub fn seen_from(self, now: UnixMillis) -> UnixMillis {
        match self {
            Self::At(time) => time,
            Self::Ago(ago) => UnixMillis(now.0.saturating_sub(millis(ago))),
        }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(time) => time.fmt(out),
            Self::Ago(ago) => humantime::format_duration(*ago).fmt(out),
        }
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(ago) = humantime::parse_duration(text) {
            return Ok(Self::Ago(ago));
        }
        let time: jiff::Timestamp = text.parse().map_err(|_| {
            format!("`{text}` is neither a time like 2026-11-21T03:00:00Z nor a duration like 2h")
        })?;
        Ok(Self::At(UnixMillis(u64::try_from(time.as_millisecond()).unwrap_or_default())))
    }
}

/// Reads an id of a dead letter, or the start of one. No text is the start of every id, and a script that means one letter
/// must not meet all of them because a variable is not set.
///
/// # Errors
/// It is none, in words for whoever wrote it.
pub fn start_of_id(text: &str) -> Result<String, String> {
    let fits = (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    fits.then(|| text.to_owned()).ok_or_else(|| format!("`{text}` is not 1 to 32 hexadecimal digits"))
}

/// A selector with its pattern compiled and its times fixed.
#[derive(Debug, Clone)]
pub(crate) struct Selection {
    connector: Option<Connector>,
    reason: Option<Reason>,
    project: Option<Pattern>,
    since: Option<UnixMillis>,
    until: Option<UnixMillis>,
    ids: Vec<String>,
    /// At most so many.
    pub(crate) limit: usize,
}

impl Selection {
    /// Fixes a selector at `now`.
    pub(crate) fn new(selector: &Selector, now: UnixMillis) -> Result<Self, BadPattern> {
        Ok(Self {
            connector: selector.connector.clone(),
            reason: selector.reason,
            project: selector.project.as_deref().map(str::parse).transpose()?,
            since: selector.since.map(|moment| moment.seen_from(now)),
            until: selector.until.map(|moment| moment.seen_from(now)),
            ids: selector.id.iter().map(|id| id.to_ascii_lowercase()).collect(),
            limit: selector.limit.unwrap_or(usize::MAX),
        })
    }

    /// Whether a letter is meant. A letter whose time of death is not known is meant by no `since` and no `until`.
    pub(crate) fn means(&self, letter: &Letter) -> bool {
        let id = letter.id.to_string();
        self.connector.as_ref().is_none_or(|connector| letter.death.connector.as_ref() == Some(connector))
            && self.reason.is_none_or(|reason| letter.death.reason == reason)
            && self
                .project
                .as_ref()
                .is_none_or(|pattern| letter.project().is_some_and(|name| pattern.fits(name)))
            && self.since.is_none_or(|since| letter.death.at.is_some_and(|at| at >= since))
            && self.until.is_none_or(|until| letter.death.at.is_some_and(|at| at <= until))
            && (self.ids.is_empty() || self.ids.iter().any(|start| id.starts_with(start)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::letter::tests::{NOW, letter};

    #[track_caller]
    fn check(selector: Selector, want: bool) {
        assert_eq!(Selection::new(&selector, NOW).unwrap().means(&letter()), want, "{selector:?}");
    }

    #[test]
    fn every_condition_of_a_selector_must_hold() {
        let any = Selector::default;
        let ago = |hours: u64| Some(Moment::Ago(Duration::from_secs(hours * 3_600)));
        check(any(), true);
        check(Selector { connector: Some("sre".parse().unwrap()), ..any() }, true);
        check(Selector { connector: Some("web".parse().unwrap()), ..any() }, false);
        check(Selector { reason: Some(Reason::Refused), ..any() }, true);
        check(Selector { reason: Some(Reason::Invalid), ..any() }, false);
        check(Selector { project: Some("sh*".into()), ..any() }, true);
        check(Selector { project: Some("web".into()), ..any() }, false);
        check(Selector { since: ago(2), ..any() }, true);
        check(Selector { since: ago(0), ..any() }, false);
        check(Selector { until: ago(0), ..any() }, true);
        check(Selector { until: ago(2), ..any() }, false);
        check(Selector { id: vec![letter().id.to_string()[..6].to_uppercase()], ..any() }, true);
        check(Selector { id: vec!["zz".into()], ..any() }, false);
        check(Selector { reason: Some(Reason::Refused), project: Some("web".into()), ..any() }, false);
    }

    #[test]
    fn a_moment_is_a_time_or_a_duration_before_now() {
        let now = UnixMillis(10_000_000);
        let seen = |text: &str| text.parse::<Moment>().unwrap().seen_from(now);
        assert_eq!(seen("2h"), UnixMillis(2_800_000));
        assert_eq!(seen("1970-01-01T00:00:05Z"), UnixMillis(5_000));
        assert!("soon".parse::<Moment>().is_err());
    }
}
