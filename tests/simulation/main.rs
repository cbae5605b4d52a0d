//! The simulation: the real owner lives through days of faults in a simulated world, one seed a history.
//!
//! Every history is held against the promise: accepted = delivered + suppressed + filtered + dead, no delivery outside
//! the rules, more than one acceptance only in the documented window, every bound kept, nothing waiting for ever.
//!
//! `NIGHTBELL_HISTORIES` is how many are lived through, and `NIGHTBELL_SEED` replays one and prints its trace. In
//! [`worker`] the same plans befall the worker's own loop.

mod bugs;
mod chance;
mod destination;
mod executor;
mod lane;
mod plan;
mod rules;
mod search;
mod store;
mod truth;
mod worker;
mod worker_around;
mod worker_bugs;
mod worker_faults;
mod worker_happens;
mod worker_ports;
mod worker_queue;
mod worker_requests;
mod worker_rules;
mod world;

use bugs::Bug;
use search::Simulation;

const OWNER: Simulation<Bug> = Simulation {
    live: world::live,
    histories: 20_000,
    count: "NIGHTBELL_HISTORIES",
    seed: "NIGHTBELL_SEED",
    histories_per_bug_max: 3_000,
};

#[test]
fn every_history_keeps_the_promise() {
    OWNER.every_history_keeps_the_promise();
}

#[test]
fn a_seed_gives_the_same_history_again() {
    OWNER.a_seed_gives_the_same_history_again(50);
}

#[test]
fn every_planted_bug_is_found() {
    OWNER.every_planted_bug_is_found();
}
