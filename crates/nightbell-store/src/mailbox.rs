//! The way to a store's thread. Whoever sends wakes the thread only if it sleeps and has enough to do; it takes out what has
//! gathered meanwhile, all at once.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What is sent, as far as it matters for the size of a group.
pub trait Request {
    /// What it adds to the weight of its group.
    fn weight(&self) -> usize;

    /// Whether it is one of those for which a group waits.
    fn joins(&self) -> bool;
}

/// The bounds of one group. A request is never divided: the one that reaches a bound is the group's last.
#[derive(Debug, Clone, Copy)]
pub struct GroupBounds {
    /// The most requests.
    pub requests_max: usize,
    /// The weight that ends a group.
    pub weight_max: usize,
}

/// How long a group waits for more to join.
#[derive(Debug, Clone, Copy)]
pub struct Joining {
    /// Once so many have joined, it waits for no more.
    pub enough: usize,
    /// How long it waits, from when the thread first found a request.
    pub wait: Duration,
}

/// Requests that are dealt with together, in their order.
#[derive(Debug)]
pub struct Group<T> {
    /// The requests; none if nothing came in time.
    pub requests: Vec<T>,
    /// How long after the waiting for more had begun the last of those that joined came.
    pub joined_until: Duration,
    /// Set if nothing is left and nothing more comes.
    pub ended: Option<Ended>,
}

/// Why nothing more comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The mailbox was closed.
    Closed,
    /// Nobody is left who could send.
    Abandoned,
}

/// Where requests are sent. Dropping it tells the thread that nobody is left.
#[derive(Debug)]
pub struct Mailbox<T>(Arc<Channel<T>>);

/// The thread's end. Once it is dropped, nothing can be sent, and what was not taken is dropped.
#[derive(Debug)]
pub struct Requests<T>(Arc<Channel<T>>);

#[derive(Debug)]
struct Channel<T> {
    state: Mutex<State<T>>,
    wake: Condvar,
}

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<T>,
    /// How many of them join, and what all weigh.
    joined: usize,
    weight: usize,
    last_joined: Option<Instant>,
    thread: Thread,
    ended: Option<Ended>,
    /// The thread takes nothing more.
    deaf: bool,
}

/// What the thread is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thread {
    /// It works, or was woken.
    Awake,
    /// It sleeps until there is anything.
    Idle,
    /// It sleeps until this many have joined, or weigh so much.
    Joining { enough: usize, weight_max: usize },
}

/// A mailbox, and its end.
#[must_use]
pub fn mailbox<T: Request>() -> (Mailbox<T>, Requests<T>) {
    let state = State {
        waiting: VecDeque::new(),
        joined: 0,
        weight: 0,
        last_joined: None,
        thread: Thread::Awake,
        ended: None,
        deaf: false,
    };
    let shared = Arc::new(Channel { state: Mutex::new(state), wake: Condvar::new() });
    (Mailbox(Arc::clone(&shared)), Requests(shared))
}

impl<T: Request> Mailbox<T> {
    /// Sends a request. False: it was in vain, since the mailbox was closed or its thread has ended.
    #[must_use]
    pub fn send(&self, request: T) -> bool {
        let mut state = self.0.state();
        if state.deaf || state.ended.is_some() {
            return false;
        }
        state.push(request);
        self.0.wake_if_due(state);
        true
    }

    /// Lets the thread end once it has dealt with what was sent before.
    pub fn close(&self) {
        self.0.end(Ended::Closed);
    }

    /// The same, told apart by the thread: nobody has said that this is the end.
    pub fn abandon(&self) {
        self.0.end(Ended::Abandoned);
    }
}

impl<T> Drop for Mailbox<T> {
    fn drop(&mut self) {
        self.0.end(Ended::Abandoned);
    }
}

impl<T: Request> Requests<T> {
    /// Waits for a request, at most as long as the thread has nothing to do by itself (`idle`), then for others to join; takes
    /// out what is there by then, as far as the bounds allow.
    #[must_use]
    pub fn gather(&self, idle: Duration, joining: Joining, bounds: GroupBounds) -> Group<T> {
        let mut state = self.0.sleep(self.0.state(), Thread::Idle, idle);
        let began = Instant::now();
        if !state.waiting.is_empty() {
            let enough = joining.enough.min(bounds.requests_max);
            let thread = Thread::Joining { enough, weight_max: bounds.weight_max };
            state = self.0.sleep(state, thread, joining.wait);
        }
        let joined_until =
            state.last_joined.map_or(Duration::ZERO, |last| last.saturating_duration_since(began));
        let requests = state.take(bounds);
        let ended = state.ended.filter(|_| state.waiting.is_empty());
        Group { requests, joined_until, ended }
    }
}

impl<T> Drop for Requests<T> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.deaf = true;
        let unanswered = std::mem::take(&mut state.waiting);
        drop(state);
        drop(unanswered);
    }
}

impl<T> Channel<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        // All that is done under the lock leaves it sound.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps as the given state says, at most this long.
    fn sleep<'a>(
        &'a self,
        mut state: MutexGuard<'a, State<T>>,
        thread: Thread,
        wait: Duration,
    ) -> MutexGuard<'a, State<T>> {
        state.thread = thread;
        let asleep = |state: &mut State<T>| !state.is_due();
        let slept = self.wake.wait_timeout_while(state, wait, asleep);
        let (mut state, _) = slept.unwrap_or_else(PoisonError::into_inner);
        state.thread = Thread::Awake;
        state
    }

    fn wake_if_due(&self, mut state: MutexGuard<'_, State<T>>) {
        if state.thread != Thread::Awake && state.is_due() {
            state.thread = Thread::Awake;
            drop(state);
            self.wake.notify_one();
        }
    }

    fn end(&self, ended: Ended) {
        let mut state = self.state();
        state.ended.get_or_insert(ended);
        self.wake_if_due(state);
    }
}

impl<T> State<T> {
    /// Whether a thread that sleeps is to go on.
    fn is_due(&self) -> bool {
        let is_due = match self.thread {
            Thread::Awake => true,
            Thread::Idle => !self.waiting.is_empty(),
            Thread::Joining { enough, weight_max } => self.joined >= enough || self.weight >= weight_max,
        };
        is_due || self.ended.is_some()
    }
}

impl<T: Request> State<T> {
    fn push(&mut self, request: T) {
        self.weight += request.weight();
        if request.joins() {
            self.joined += 1;
            self.last_joined = Some(Instant::now());
        }
        self.waiting.push_back(request);
    }

    fn take(&mut self, bounds: GroupBounds) -> Vec<T> {
        let (mut taken, mut weight) = (Vec::new(), 0);
        while taken.len() < bounds.requests_max
            && weight < bounds.weight_max
            && let Some(request) = self.waiting.pop_front()
        {
            weight += request.weight();
            self.joined -= usize::from(request.joins());
            taken.push(request);
        }
        self.weight -= weight;
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);
    const BOUNDS: GroupBounds = GroupBounds { requests_max: 4, weight_max: 100 };

    /// A request of this weight; the others join it if it weighs anything.
    #[derive(Debug, PartialEq, Eq)]
    struct Weighing(usize);

    impl Request for Weighing {
        fn weight(&self) -> usize {
            self.0
        }

        fn joins(&self) -> bool {
            self.0 > 0
        }
    }

    fn filled(weights: &[usize]) -> (Mailbox<Weighing>, Requests<Weighing>) {
        let (mailbox, requests) = mailbox();
        assert!(weights.iter().all(|weight| mailbox.send(Weighing(*weight))));
        (mailbox, requests)
    }

    fn gather(requests: &Requests<Weighing>, enough: usize, wait: Duration) -> (Vec<usize>, Option<Ended>) {
        let group = requests.gather(Duration::ZERO, Joining { enough, wait }, BOUNDS);
        (group.requests.into_iter().map(|Weighing(weight)| weight).collect(), group.ended)
    }

    #[test]
    fn what_has_gathered_is_taken_as_far_as_the_bounds_allow() {
        let (_mailbox, requests) = filled(&[1, 2, 3, 4, 5, 60, 60, 7]);
        let next = || gather(&requests, 1, LONG).0;
        assert_eq!([next(), next(), next(), next()], [vec![1, 2, 3, 4], vec![5, 60, 60], vec![7], vec![]]);
    }

    #[test]
    fn a_group_waits_for_those_that_join_and_for_no_others() {
        let (_mailbox, requests) = filled(&[0, 0, 0]);
        assert_eq!(gather(&requests, 1, Duration::from_millis(1)), (vec![0, 0, 0], None));
        let (mailbox, requests) = filled(&[0, 1]);
        let sending = thread::spawn(move || mailbox.send(Weighing(2)));
        assert_eq!(gather(&requests, 2, LONG).0, [0, 1, 2]);
        assert!(sending.join().unwrap());
    }

    #[test]
    fn what_weighs_enough_is_not_kept_waiting() {
        let (_mailbox, requests) = filled(&[100]);
        assert_eq!(gather(&requests, 2, LONG), (vec![100], None));
    }

    #[test]
    fn what_was_sent_before_the_end_is_taken_and_nothing_after_it() {
        let (mailbox, requests) = filled(&[1, 2, 3, 4, 5]);
        mailbox.close();
        assert!(!mailbox.send(Weighing(6)));
        drop(mailbox);
        assert_eq!(gather(&requests, 9, LONG), (vec![1, 2, 3, 4], None));
        assert_eq!(gather(&requests, 9, LONG), (vec![5], Some(Ended::Closed)));
        let (mailbox, requests) = filled(&[]);
        drop(mailbox);
        assert_eq!(gather(&requests, 9, LONG), (vec![], Some(Ended::Abandoned)));
    }

    #[test]
    fn a_sleeping_thread_is_woken_by_the_first_request_and_by_the_end() {
        let (mailbox, requests) = filled(&[]);
        let sleeping = thread::spawn(move || {
            let joining = Joining { enough: 1, wait: LONG };
            let first = requests.gather(LONG, joining, BOUNDS).requests;
            (first, requests.gather(LONG, joining, BOUNDS).ended)
        });
        assert!(mailbox.send(Weighing(1)));
        drop(mailbox);
        let (first, ended) = sleeping.join().unwrap();
        assert_eq!((first, ended), (vec![Weighing(1)], Some(Ended::Abandoned)));
    }

    #[test]
    fn a_thread_that_ended_takes_nothing_and_answers_nobody() {
        let (mailbox, requests) = filled(&[1]);
        drop(requests);
        assert!(!mailbox.send(Weighing(2)));
    }
}
