//! One simulation: its histories, found wrong or not, and the bugs that are planted in it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use crate::bugs::{Bug, Shows};
use crate::world::Went;

const TRACE_LINES_MAX: usize = 60;

/// A simulation. Its seeds, with or without a bug, are its histories.
pub(crate) struct Simulation {
    /// Lives through one, and traces it if it is told to.
    pub(crate) live: fn(u64, Option<Bug>, bool) -> Went,
    /// Which bugs it has to show, beside those that both have to.
    pub(crate) shows: Shows,
    /// How many are lived through, unless the environment says otherwise.
    pub(crate) histories: u64,
    /// Names the variable with their number.
    pub(crate) count: &'static str,
    /// Names the variable with a seed that is replayed.
    pub(crate) seed: &'static str,
    /// In how many histories a planted bug has to show.
    pub(crate) histories_per_bug_max: u64,
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

impl Simulation {
    pub(crate) fn every_history_keeps_the_promise(&self) {
        if let Some(seed) = number(self.seed) {
            assert_eq!(self.show(seed).wrong, None, "seed {seed}");
            return;
        }
        let (count, start) = (number(self.count).unwrap_or(self.histories), Instant::now());
        let (wrong, [delivered, suppressed, filtered, dead], twice, days) =
            search(count, |seed| (self.live)(seed, None, false));
        if let Some(seed) = wrong {
            let (wrong, name) = (self.show(seed).wrong, self.seed);
            panic!(
                "{wrong:?}; again: {name}={seed} cargo test -p nightbell-tests --test simulation -- every_history"
            );
        }
        let took = start.elapsed().as_secs_f64();
        println!(
            "{count} histories, {days} days in {took:.1} s; delivered {delivered}, suppressed {suppressed}, filtered {filtered}, dead {dead}, accepted once more in the window {twice}"
        );
        assert!([delivered, suppressed, filtered, dead].into_iter().all(|count| count > 0) && twice > 0);
    }

    pub(crate) fn a_seed_gives_the_same_history_again(&self, seeds: u64) {
        for seed in 0..seeds {
            let [one, other] = [(); 2].map(|()| (self.live)(seed, None, true));
            assert_eq!((one.trace, one.digest), (other.trace, other.digest), "seed {seed}");
        }
    }

    pub(crate) fn every_planted_bug_is_found(&self) {
        let mut missed = Vec::new();
        let is_shown = |shows: Shows| shows == self.shows || shows == Shows::Both;
        for &(bug, _, what) in Bug::ALL.iter().filter(|(_, shows, _)| is_shown(*shows)) {
            match search(self.histories_per_bug_max, |seed| (self.live)(seed, Some(bug), false)).0 {
                Some(seed) => {
                    let wrong = (self.live)(seed, Some(bug), false).wrong.unwrap_or_default();
                    println!("{what:<70} history {seed}: {wrong}");
                }
                None => missed.push(what),
            }
        }
        assert!(missed.is_empty(), "not found: {missed:#?}");
    }

    /// Lives through it again and shows what led to it.
    fn show(&self, seed: u64) -> Went {
        let went = (self.live)(seed, None, true);
        let skipped = went.trace.len().saturating_sub(TRACE_LINES_MAX);
        went.trace.iter().skip(skipped).for_each(|line| eprintln!("{line}"));
        went
    }
}

/// The first seed below `count` whose history goes wrong, and the sums over all.
fn search(count: u64, live: impl Fn(u64) -> Went + Sync) -> (Option<u64>, [usize; 4], u32, u64) {
    let (next, worst) = (AtomicU64::new(0), AtomicU64::new(u64::MAX));
    let sums = Mutex::new(([0_usize; 4], 0_u32, 0_u64));
    let work = || {
        let (mut ended, mut twice, mut days) = ([0; 4], 0, 0);
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= count || worst.load(Ordering::Relaxed) < seed {
                break;
            }
            let went = live(seed);
            if went.wrong.is_some() {
                worst.fetch_min(seed, Ordering::Relaxed);
            }
            (0..4).for_each(|end| ended[end] += went.ended[end]);
            twice += went.twice;
            days += went.days;
        }
        let mut sums = sums.lock().expect("no thread panics with it");
        (0..4).for_each(|end| sums.0[end] += ended[end]);
        sums.1 += twice;
        sums.2 += days;
    };
    thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        (0..threads).for_each(|_| drop(scope.spawn(work)));
    });
    let (ended, twice, days) = *sums.lock().expect("no thread panics with it");
    let worst = worst.into_inner();
    ((worst < u64::MAX).then_some(worst), ended, twice, days)
}
