//! The times of a report, which say when a test ran, and tell one run's report from another's.

use std::cmp::Ordering;
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use nightbell_core::event::When;
use nightbell_core::time::UnixMillis;

/// What is before 2000 is a zero in disguise, as jest-junit writes it for a file that it can't load.
const YEAR_2000_MS: i64 = 946_684_800_000;

/// A time without a zone that is older than this is not believed: more likely it is of another zone, or of another day.
const AGE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// A time that is further ahead than this is not believed.
const AHEAD_MAX: Duration = Duration::from_secs(60);

/// What is now, and where.
#[derive(Debug, Clone)]
pub struct Now {
    /// The time.
    pub at: UnixMillis,
    /// The machine's zone, in which reports without a zone are taken to be written.
    pub zone: TimeZone,
}

impl Default for Now {
    fn default() -> Self {
        Self { at: UnixMillis(0), zone: TimeZone::UTC }
    }
}

/// When a result was made, as its report has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// As it is written; part of ids, if it tells one run from another.
    text: Option<String>,
    moment: Option<Moment>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// With a zone, or counted since 1970: milliseconds.
    Instant(i64),
    /// Without a zone.
    Local(DateTime),
}

impl Stamp {
    /// A time with or without its zone: RFC 3339 and its relatives, or a number of seconds or milliseconds since 1970.
    pub(crate) fn read(text: &str) -> Self {
        let text = text.trim();
        let moment = number(text)
            .or_else(|| {
                text.parse::<jiff::Timestamp>().ok().map(|time| Moment::Instant(time.as_millisecond()))
            })
            .or_else(|| with_short_offset(text))
            .or_else(|| text.parse::<DateTime>().ok().map(Moment::Local));
        let moment = moment.filter(|moment| moment.order() >= YEAR_2000_MS);
        Self { text: moment.map(|_| text.to_owned()), moment }
    }

    /// This, or if it is unknown another one.
    pub(crate) fn or_else(self, other: impl FnOnce() -> Self) -> Self {
        if self.moment.is_some() { self } else { other() }
    }

    /// As written, if it is exact enough to tell one run from the next: a date alone is not.
    pub(crate) fn exact(&self) -> Option<&str> {
        let text = self.text.as_deref()?;
        let digits = text.bytes().filter(u8::is_ascii_digit).count();
        (digits >= 10).then_some(text)
    }

    /// When it was, if that can be believed.
    pub(crate) fn when(&self, now: &Now) -> Option<When> {
        let now_ms = i64::try_from(now.at.0).ok()?;
        let oldest = now_ms.saturating_sub_unsigned(millis(AGE_MAX));
        let (at, oldest) = match self.moment? {
            Moment::Instant(at) => (at, YEAR_2000_MS),
            Moment::Local(at) => (now.zone.to_timestamp(at).ok()?.as_millisecond(), oldest),
        };
        let newest = now_ms.saturating_add_unsigned(millis(AHEAD_MAX));
        let is_believed = (oldest..=newest).contains(&at);
        is_believed.then_some(When(UnixMillis(u64::try_from(at).ok()?)))
    }

    /// A number that grows with the time, to tell which of two results of one report's kind is later; 0: unknown.
    pub(crate) fn order(&self) -> i64 {
        self.moment.map_or(0, Moment::order)
    }
}

impl Moment {
    fn order(self) -> i64 {
        match self {
            Self::Instant(at) => at,
            Self::Local(at) => TimeZone::UTC.to_timestamp(at).map_or(0, jiff::Timestamp::as_millisecond),
        }
    }
}

/// Milliseconds since 1970, or seconds, as some reporters write them.
fn number(text: &str) -> Option<Moment> {
    /// The year 5138 in seconds, 1973 in milliseconds.
    const SECONDS_MAX: f64 = 100_000_000_000.0;
    let number: f64 = text.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0)?;
    let millis = if number < SECONDS_MAX { number * 1000.0 } else { number };
    format!("{millis:.0}").parse().ok().map(Moment::Instant)
}

/// `+0000`, and a time whose parts are parted by spaces, as Ruby writes it.
fn with_short_offset(text: &str) -> Option<Moment> {
    let formats = ["%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%d %H:%M:%S%.f %z", "%Y-%m-%d %H:%M:%S%.f%z"];
    let text = text.strip_suffix(" UTC").map_or_else(|| text.to_owned(), |head| format!("{head} +0000"));
    let time = formats.iter().find_map(|format| jiff::Timestamp::strptime(format, &text).ok())?;
    Some(Moment::Instant(time.as_millisecond()))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Which of two is later; what has no time is neither.
pub(crate) fn later(a: i64, b: i64) -> Ordering {
    if a == 0 || b == 0 { Ordering::Equal } else { a.cmp(&b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 1_795_780_800_000; // 2026-11-27T12:00:00Z

    fn now(zone: i8) -> Now {
        let zone = TimeZone::fixed(jiff::tz::offset(zone));
        Now { at: UnixMillis(u64::try_from(NOON).unwrap()), zone }
    }

    #[track_caller]
    fn check(text: &str, zone: i8, want: Option<&str>) {
        let want = want.map(|time| time.parse::<jiff::Timestamp>().unwrap().as_millisecond());
        let when = Stamp::read(text).when(&now(zone)).map(|when| i64::try_from(when.0.0).unwrap());
        assert_eq!(when, want, "{text} in {zone}");
    }

    #[test]
    fn every_form_of_timestamp_is_read() {
        check("2017-12-29T16:36:31+02:00", 0, Some("2017-12-29T14:36:31Z"));
        check("2017-12-29T14:36:31.000Z", 0, Some("2017-12-29T14:36:31Z"));
        check("2017-12-29T14:36:31.250+0000", 0, Some("2017-12-29T14:36:31.250Z"));
        check("2017-12-29 15:36:31 +0100", 0, Some("2017-12-29T14:36:31Z"));
        check("2017-12-29 14:36:31 UTC", 0, Some("2017-12-29T14:36:31Z"));
        check("1514558191000", 0, Some("2017-12-29T14:36:31Z"));
        check("1514558191", 0, Some("2017-12-29T14:36:31Z"));
        check("1514558191.25", 0, Some("2017-12-29T14:36:31.250Z"));
        for none in
            ["Fri Dec 29 2017", "1969-12-31T00:00:00", "1970-01-01T00:00:00", "", "0", "-5", "1e300", "NaN"]
        {
            check(none, 0, None);
        }
    }

    #[test]
    fn a_time_without_a_zone_is_of_this_machines() {
        check("2026-11-27T11:00:00", 0, Some("2026-11-27T11:00:00Z"));
        check("2026-11-27T11:00:00", 2, Some("2026-11-27T09:00:00Z"));
        check("2026-11-27 04:00:00.5", -8, Some("2026-11-27T12:00:00.500Z"));
    }

    #[test]
    fn a_time_in_the_future_or_of_yesterday_without_a_zone_is_not_believed() {
        check("2026-11-27T11:00:00", -8, None);
        check("2026-11-26T11:00:00", 0, None);
        check("2026-11-26T12:00:01", 0, Some("2026-11-26T12:00:01Z"));
        check("2026-11-27T13:00:00Z", 0, None);
        check("2026-11-20T12:00:00Z", 0, Some("2026-11-20T12:00:00Z"));
    }

    #[test]
    fn a_time_tells_runs_apart_if_it_is_more_than_a_date() {
        assert_eq!(Stamp::read("2026-11-20T10:00:00").exact(), Some("2026-11-20T10:00:00"));
        assert_eq!(Stamp::read("2026-11-20").exact(), None);
        assert_eq!(Stamp::read("1970-01-01T00:00:00").exact(), None);
    }
}
