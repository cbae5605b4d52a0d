//! xMatters' alert flood control.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// How many alerts of one trigger for the same recipients are let through within [`FLOOD_WINDOW`].
pub const FLOOD_ALERTS_MAX: usize = 4;

/// The time over which flood control counts.
pub const FLOOD_WINDOW: Duration = Duration::from_secs(60);

/// Remembers, per trigger and recipients, when the latest alerts came.
#[derive(Debug, Default)]
pub(crate) struct Flood {
    latest: HashMap<(String, Vec<String>), VecDeque<Instant>>,
}

impl Flood {
    /// Whether flood control suppresses the alert that has just come. Suppressed alerts count as well: a flood ends
    /// only when its rate drops.
    pub(crate) fn suppresses(&mut self, function: &str, recipients: &[String], now: Instant) -> bool {
        let mut sorted = recipients.to_vec();
        sorted.sort_unstable();
        let latest = self.latest.entry((function.to_owned(), sorted)).or_default();
        let full = latest.len() == FLOOD_ALERTS_MAX;
        let oldest = if full { latest.pop_front() } else { None };
        latest.push_back(now);
        oldest.is_some_and(|oldest| now.duration_since(oldest) < FLOOD_WINDOW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(after_s: &[u64], want: &[bool]) {
        let (mut flood, start) = (Flood::default(), Instant::now());
        let got: Vec<_> = after_s
            .iter()
            .map(|&second| flood.suppresses("f", &["a".into()], start + Duration::from_secs(second)))
            .collect();
        assert_eq!(got, want, "{after_s:?}");
    }

    #[test]
    fn the_fifth_alert_within_a_minute_is_suppressed() {
        check(&[0, 0, 0, 0, 0, 59], &[false, false, false, false, true, true]);
        check(&[0, 1, 2, 3, 60, 60], &[false, false, false, false, false, true]);
        check(&[0, 20, 40, 60, 80, 100], &[false; 6]);
    }

    #[test]
    fn other_recipients_and_triggers_count_apart() {
        let (mut flood, now) = (Flood::default(), Instant::now());
        let (one, two) = (vec!["a".to_owned(), "b".to_owned()], vec!["b".to_owned(), "a".to_owned()]);
        for _ in 0..4 {
            assert!(!flood.suppresses("f", &one, now));
        }
        assert!(!flood.suppresses("g", &one, now));
        assert!(!flood.suppresses("f", &["a".to_owned()], now));
        assert!(flood.suppresses("f", &two, now), "the order of recipients does not matter");
    }
}
