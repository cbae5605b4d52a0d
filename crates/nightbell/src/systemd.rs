//! What systemd is told: ready, reloading, stopping, what the worker is doing, and that it turns. Under anything but
//! systemd (no `NOTIFY_SOCKET`) all of it is nothing.

use std::sync::Arc;
use std::time::Duration;

use nightbell_core::connector::Connector;
use nightbell_core::owner::View;
use nightbell_http::{BreakerState, Status};
use sd_notify::NotifyState;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::worker::Worker;

/// How often the worker's state is looked at, at the longest; owners say theirs once a second.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The longest that `READY=1` waits for the queue: one that is down must not fail the start, since the worker waits for
/// it without end.
const READY_WAIT_MAX: Duration = Duration::from_secs(5);

/// The least time of silence after which an owner counts as standing still: a machine may be busy for a second or two.
const STILL_MIN: Duration = Duration::from_secs(3);

/// The longest `STATUS=`, in characters.
const STATUS_CHARS_MAX: usize = 200;

/// Tells that the configuration is being read again; [`reloaded`] must follow.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => warn!(%error, "systemd is not told of the reload: the clock can't be read"),
    }
}

/// Tells that the reload is over, whether or not it succeeded: the worker works on either way.
pub fn reloaded() {
    tell(&[NotifyState::Ready]);
}

/// Tells that the worker stops.
pub fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("stopping: attempts in flight may finish")]);
}

/// Starts telling of a worker until `stop`: that it is ready, what it is doing, and, if a watchdog is set, that it turns.
pub fn attend(worker: &Worker, stop: CancellationToken) {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    let watchdog = sd_notify::watchdog_enabled().filter(|time| !time.is_zero());
    let half = watchdog.map(|time| time / 2);
    let views = worker.owners.iter().map(|owner| (owner.connector.clone(), owner.view.clone())).collect();
    let pulse = Pulse::new(views, half.unwrap_or_default().max(STILL_MIN), Instant::now());
    let attendant = Attendant { status: Arc::clone(&worker.status), pulse, half, said: String::new() };
    tokio::spawn(async move { stop.run_until_cancelled(attendant.run()).await });
}

struct Attendant {
    status: Arc<dyn Fn() -> Status + Send + Sync>,
    pulse: Pulse,
    /// Half the watchdog's time, if there is one.
    half: Option<Duration>,
    said: String,
}

impl Attendant {
    async fn run(mut self) {
        let began = Instant::now();
        let mut looks = interval(self.half.unwrap_or(LOOK_EVERY).min(LOOK_EVERY));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut is_ready, mut pinged) = (false, None);
        loop {
            looks.tick().await;
            let now = Instant::now();
            let status = (self.status)();
            if !is_ready && (status.ready || began.elapsed() >= READY_WAIT_MAX) {
                is_ready = true;
                tell(&[NotifyState::Ready]);
            }
            self.say(&status);
            let due = self.half.is_some_and(|half| pinged.is_none_or(|at| now.duration_since(at) >= half));
            if self.pulse.turns(now) && due {
                pinged = Some(now);
                tell(&[NotifyState::Watchdog]);
            }
        }
    }

    /// Tells what the worker is doing, if that is something new.
    fn say(&mut self, status: &Status) {
        let line = line(status);
        if line != self.said {
            tell(&[NotifyState::Status(&line)]);
            self.said = line;
        }
    }
}

/// One line about the worker's state.
fn line(status: &Status) -> String {
    let text = if status.ready {
        let open = |state| state != BreakerState::Closed;
        let open = status.connectors.iter().filter(|one| open(one.breaker)).map(|one| one.name.as_str());
        let open = open.collect::<Vec<_>>().join(", ");
        let open = if open.is_empty() { open } else { format!("; breaker open: {open}") };
        let dead = status.queue.dead_letters.filter(|count| *count > 0);
        let dead = dead.map(|count| format!("; dead letters: {count}")).unwrap_or_default();
        format!("connectors: {}{open}{dead}", status.connectors.len())
    } else {
        format!("not ready: {}", status.missing.join("; "))
    };
    // A line end would begin another field.
    text.chars().map(|one| if one.is_control() { ' ' } else { one }).take(STATUS_CHARS_MAX).collect()
}

/// Whether all owners turn: each says once a second what it is doing, from the same loop that does all its work.
struct Pulse {
    owners: Vec<Heard>,
    still_max: Duration,
    stands: bool,
}

struct Heard {
    connector: Connector,
    view: watch::Receiver<View>,
    at: Instant,
}

impl Pulse {
    fn new(owners: Vec<(Connector, watch::Receiver<View>)>, still_max: Duration, now: Instant) -> Self {
        let heard = |(connector, view)| Heard { connector, view, at: now };
        Self { owners: owners.into_iter().map(heard).collect(), still_max, stands: false }
    }

    /// Listens to all owners; false if one has said nothing for too long. The first such look is logged, and the end.
    fn turns(&mut self, now: Instant) -> bool {
        for heard in &mut self.owners {
            // An owner that ended is not heard any more. The worker stops then, or systemd ends it.
            if heard.view.has_changed().unwrap_or(false) {
                heard.view.mark_unchanged();
                heard.at = now;
            }
        }
        let still = self.owners.iter().find(|heard| now.duration_since(heard.at) >= self.still_max);
        match (still, self.stands) {
            (Some(heard), false) => error!(connector = %heard.connector, "an owner stands still"),
            (None, true) => info!("all owners turn again"),
            (Some(_), true) | (None, false) => {}
        }
        self.stands = still.is_some();
        !self.stands
    }
}

/// Never worse than a warning: the worker works without systemd.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "systemd can't be told");
    }
}

#[cfg(test)]
mod tests {
    use nightbell_core::breaker::Breaker;
    use nightbell_http::{ConnectorStatus, LedgerStatus, QueueStatus};

    use super::*;

    const VIEW: View = View {
        held: 0,
        attempting: 0,
        breaker: Breaker::Closed { failures: 0 },
        paused_until: None,
        oldest_since: None,
        halted: false,
    };

    #[test]
    fn a_worker_turns_while_each_owner_is_heard_in_time() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let ((first, heard_1), (second, heard_2)) = (watch::channel(VIEW), watch::channel(VIEW));
        let owners = vec![("a".parse().unwrap(), heard_1), ("b".parse().unwrap(), heard_2)];
        let mut pulse = Pulse::new(owners, Duration::from_secs(3), start);
        let mut say = |second_too: bool, seconds| {
            first.send_replace(VIEW);
            if second_too {
                second.send_replace(VIEW);
            }
            pulse.turns(at(seconds))
        };
        assert!(say(true, 1));
        assert!(say(false, 2));
        assert!(say(false, 3));
        assert!(!say(false, 4), "three seconds of silence");
        assert!(!say(false, 5));
        assert!(say(true, 6));
    }

    #[test]
    fn an_owner_that_ended_does_not_turn() {
        let start = Instant::now();
        let (owner, heard) = watch::channel(VIEW);
        let mut pulse = Pulse::new(vec![("a".parse().unwrap(), heard)], Duration::from_secs(3), start);
        drop(owner);
        assert!(pulse.turns(start + Duration::from_secs(2)));
        assert!(!pulse.turns(start + Duration::from_secs(3)));
    }

    fn status(missing: &[&str], breaker: BreakerState, dead_letters: Option<u64>) -> Status {
        let connector = ConnectorStatus {
            name: "sre".into(),
            depth: None,
            in_hand: 0,
            in_flight: 0,
            breaker,
            paused_until: None,
            oldest_seconds: None,
            halted: false,
        };
        Status {
            version: String::new(),
            ready: missing.is_empty(),
            missing: missing.iter().map(|&text| text.to_owned()).collect(),
            queue: QueueStatus {
                at: String::new(),
                connected: true,
                dead_letters,
                counted_seconds_ago: None,
            },
            ledger: LedgerStatus { entries: 0, failure: None },
            connectors: vec![connector],
        }
    }

    #[test]
    fn one_line_says_what_the_worker_does() {
        let check = |missing: &[&str], breaker, dead, want: &str| {
            assert_eq!(line(&status(missing, breaker, dead)), want);
        };
        check(&[], BreakerState::Closed, Some(0), "connectors: 1");
        check(&[], BreakerState::Probing, Some(7), "connectors: 1; breaker open: sre; dead letters: 7");
        let missing = ["queue: refused\nREADY=1", "ledger: full"];
        check(&missing, BreakerState::Closed, None, "not ready: queue: refused READY=1; ledger: full");
        assert_eq!(line(&status(&["x"; 300], BreakerState::Closed, None)).chars().count(), 200);
    }
}
