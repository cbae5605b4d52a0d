//! The `Retry-After` header (RFC 9110 10.2.3).

use std::time::{Duration, SystemTime};

use nightbell_core::limits::RETRY_AFTER_MAX;
use nightbell_core::time::{UnixMillis, millis};

/// How long to wait by a `Retry-After`: whole seconds, or an HTTP date in any of its three forms. A date that has
/// passed is no wait; nonsense is none; nothing is longer than [`RETRY_AFTER_MAX`].
pub(crate) fn read(value: &str, now: UnixMillis) -> Option<Duration> {
    let value = value.trim();
    let wait = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // Only a number too large for a u64 fails here.
        Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        let date = httpdate::parse_http_date(value).ok()?;
        now.until(UnixMillis(millis(date.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())))
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT
    const NOW: UnixMillis = UnixMillis(784_111_777_000);

    #[track_caller]
    fn check(value: &str, want_seconds: Option<u64>) {
        assert_eq!(read(value, NOW), want_seconds.map(Duration::from_secs), "{value}");
    }

    #[test]
    fn seconds_are_read_and_bounded() {
        check("0", Some(0));
        check("5", Some(5));
        check(" 120 ", Some(120));
        check("3600", Some(3_600));
        check("3601", Some(3_600));
        check("99999999999999999999999999", Some(3_600));
    }

    #[test]
    fn dates_are_read_in_all_three_forms() {
        check("Sun, 06 Nov 1994 08:49:47 GMT", Some(10));
        check("Sunday, 06-Nov-94 08:49:47 GMT", Some(10));
        check("Sun Nov  6 08:49:47 1994", Some(10));
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some(0));
        check("Sun, 06 Nov 1994 08:49:36 GMT", Some(0));
        check("Thu, 01 Jan 1970 00:00:00 GMT", Some(0));
        check("Fri, 31 Dec 9999 23:59:59 GMT", Some(3_600));
    }

    #[test]
    fn nonsense_says_nothing() {
        for value in ["", " ", "-1", "+5", "1.5", "5s", "0x5", "soon", "Sun, 06 Nov 1994", "٣", "5, 6"] {
            check(value, None);
        }
    }

    proptest! {
        #[test]
        fn a_value_that_is_nearly_right_panics_not_and_waits_not_too_long(
            value in "[ ]?[0-9]{1,25}[ s]?|(Sun|Mon|Xyz), [0-9]{1,2} (Nov|Feb) [0-9]{1,6} [0-9]{1,2}:[0-9]{2}:[0-9]{2} (GMT|UTC|)",
            now in any::<u64>(),
        ) {
            prop_assert!(read(&value, UnixMillis(now)).is_none_or(|wait| wait <= RETRY_AFTER_MAX));
        }

        #[test]
        fn no_value_panics_or_waits_too_long(value in ".{0,40}", now in any::<u64>()) {
            prop_assert!(read(&value, UnixMillis(now)).is_none_or(|wait| wait <= RETRY_AFTER_MAX));
        }
    }
}
