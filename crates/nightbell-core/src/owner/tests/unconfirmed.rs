//! Retries that the queue does not take: they are made from hand, each when it is due.

use super::super::*;
use super::{Rig, message};

/// Lives second by second through a time in which no publish is confirmed; every attempt is answered with the next of
/// `retry_after`. When the attempts were made, in seconds.
fn attempted_at(retry_after: &[u64], seconds: u64) -> Vec<u64> {
    let mut rig = Rig::new();
    let mut times = Vec::new();
    let (tag, mut steps) = rig.receive(message("a", "a"));
    for second in 0..seconds {
        while let Some(step) = steps.pop() {
            steps.extend(match step {
                Step::Look { .. } => rig.looked(tag, Looked::default()),
                Step::Attempt { .. } => {
                    let retry_after = retry_after.get(times.len()).copied().map(Duration::from_secs);
                    times.push(second);
                    rig.attempted(tag, Outcome::Unavailable { detail: String::new(), retry_after })
                }
                Step::Record { .. } => rig.recorded(tag),
                Step::Publish { .. } => rig.published(tag, false),
                other @ (Step::Note(_)
                | Step::Tell { .. }
                | Step::Skewed { .. }
                | Step::Ack { .. }
                | Step::HandBack { .. }
                | Step::Halt) => unreachable!("{other:?}"),
            });
        }
        steps = rig.pass_time(1);
    }
    times
}

#[test]
fn a_retry_waits_its_own_time_after_the_alert_was_parked_in_vain() {
    assert_eq!(attempted_at(&[100, 30, 60, 500], 300), [0, 100, 130, 190]);
}
