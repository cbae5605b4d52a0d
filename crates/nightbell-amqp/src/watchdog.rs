//! The watchdog of a subscription: a queue that has messages while none arrive means a consumer that went
//! silent, or a standby behind a queue's single active consumer, which sees exactly the same.

/// After how many quiet checks a subscription that has received something is built again.
const PATIENCE_MIN: u32 = 2;

/// After how many quiet checks, at most, one that has never received anything is: 15 minutes.
const PATIENCE_MAX: u32 = 30;

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    /// Nothing is wrong, or not for long enough.
    Fine,
    /// It received messages before and went silent.
    Silent,
    /// It never received any; most likely another worker is the active one.
    NeverHeard,
}

/// One subscription's watchdog; it outlives the rebuilds that it asks for.
#[derive(Debug)]
pub(crate) struct Watchdog {
    patience: u32,
    quiet: u32,
    heard: bool,
}

impl Watchdog {
    pub(crate) fn new() -> Self {
        Self { patience: PATIENCE_MIN, quiet: 0, heard: false }
    }

    /// A message has arrived.
    pub(crate) fn arrived(&mut self) {
        *self = Self { heard: true, ..Self::new() };
    }

    /// The subscription was built anew, for whatever reason.
    pub(crate) fn rebuilt(&mut self) {
        self.quiet = 0;
        self.heard = false;
    }

    /// The regular check: `ready` messages wait in the queue, `in_hand` are delivered and not settled.
    pub(crate) fn check(&mut self, ready: u32, in_hand: usize) -> Finding {
        if ready == 0 || in_hand > 0 {
            self.quiet = 0;
            return Finding::Fine;
        }
        self.quiet += 1;
        if self.quiet < self.patience {
            return Finding::Fine;
        }
        self.quiet = 0;
        if self.heard {
            return Finding::Silent;
        }
        self.patience = (self.patience * 2).min(PATIENCE_MAX);
        Finding::NeverHeard
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many checks of a queue with messages it takes until the watchdog asks for a rebuild.
    fn checks(watchdog: &mut Watchdog) -> (u32, Finding) {
        for count in 1.. {
            let finding = watchdog.check(7, 0);
            if finding != Finding::Fine {
                watchdog.rebuilt();
                return (count, finding);
            }
        }
        unreachable!("it asks for a rebuild in the end")
    }

    #[test]
    fn a_subscription_that_went_silent_is_built_again_after_two_checks() {
        let mut watchdog = Watchdog::new();
        watchdog.arrived();
        assert_eq!(checks(&mut watchdog), (2, Finding::Silent));
    }

    #[test]
    fn a_standby_is_built_again_ever_more_rarely() {
        let mut watchdog = Watchdog::new();
        let counts: Vec<u32> = (0..6).map(|_| checks(&mut watchdog).0).collect();
        assert_eq!(counts, [2, 4, 8, 16, 30, 30]);
        watchdog.arrived();
        assert_eq!(checks(&mut watchdog), (2, Finding::Silent));
        assert_eq!(checks(&mut watchdog), (2, Finding::NeverHeard));
        assert_eq!(checks(&mut watchdog), (4, Finding::NeverHeard));
    }

    #[test]
    fn an_empty_queue_and_messages_in_hand_are_no_silence() {
        let mut watchdog = Watchdog::new();
        watchdog.arrived();
        for (ready, in_hand) in [(7, 0), (0, 0), (7, 0), (7, 1), (7, 0), (0, 1)] {
            assert_eq!(watchdog.check(ready, in_hand), Finding::Fine);
        }
    }
}
