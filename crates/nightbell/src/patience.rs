//! When a worker whose disk failed is to be taken up again: soon, and less often if that does not last, because what was
//! sent and not recorded is sent again each time.

use std::time::Duration;

use tokio::time::Instant;

/// The wait after a failure, and between two tries.
const WAIT: Duration = Duration::from_secs(2);

/// The longest wait, where one failure follows the other.
const WAIT_MAX: Duration = Duration::from_secs(300);

/// What works for so long has not failed again, but anew.
const LASTING: Duration = Duration::from_secs(600);

/// When to try.
#[derive(Debug)]
pub struct Patience {
    wait: Duration,
    next: Option<Instant>,
    revived: Option<Instant>,
}

impl Default for Patience {
    fn default() -> Self {
        Self { wait: WAIT, next: None, revived: None }
    }
}

impl Patience {
    /// Whether it is time to try, asked again and again since the failure.
    pub fn is_over(&mut self, now: Instant) -> bool {
        let next = *self.next.get_or_insert_with(|| {
            let is_relapse = self.revived.is_some_and(|at| now < at + LASTING);
            self.wait = if is_relapse { (self.wait * 2).min(WAIT_MAX) } else { WAIT };
            now + self.wait
        });
        next <= now
    }

    /// It was tried in vain.
    pub fn was_in_vain(&mut self, now: Instant) {
        self.next = Some(now + WAIT);
    }

    /// It was tried, and works.
    pub fn was_rewarded(&mut self, now: Instant) {
        (self.next, self.revived) = (None, Some(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many seconds after a failure at `failed` the first try is.
    fn waits(patience: &mut Patience, failed: Instant) -> u64 {
        let mut seconds = 0;
        while !patience.is_over(failed + Duration::from_secs(seconds)) {
            seconds += 1;
        }
        seconds
    }

    #[test]
    fn a_failure_that_comes_again_and_again_is_tried_less_often() {
        let (start, mut patience) = (Instant::now(), Patience::default());
        let mut now = start;
        for want in [2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            assert_eq!(waits(&mut patience, now), want);
            now += Duration::from_secs(want);
            patience.was_rewarded(now);
        }
        assert_eq!(waits(&mut patience, now + LASTING), 2, "that lasted");
    }

    #[test]
    fn while_the_disk_stays_full_it_is_looked_at_every_other_second() {
        let (start, mut patience) = (Instant::now(), Patience::default());
        assert_eq!(waits(&mut patience, start), 2);
        patience.was_in_vain(start);
        assert_eq!(waits(&mut patience, start), 2);
    }
}
