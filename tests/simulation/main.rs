//! The simulation: days of faults in a simulated world, one seed a history, and every history held against the promise:
//! accepted = delivered + suppressed + filtered + dead, no delivery outside the rules, more than one acceptance only in the
//! documented window, every bound kept, nothing waiting for ever.
//!
//! One [`world`] with its ledger, its broker and its destinations, and two drivers that live in it by the same requests:
//! [`owner`] has core's owners alone and performs their steps without a runtime, thousands of histories a second; [`worker`]
//! has the worker's own loop. Each driver adds to the world's rules what it alone can know.
//!
//! `NIGHTBELL_HISTORIES` and `NIGHTBELL_WORKER_HISTORIES` are how many are lived through, and `NIGHTBELL_SEED` and
//! `NIGHTBELL_WORKER_SEED` replay one and print its trace.

mod bugs;
mod chance;
mod destination;
mod faults;
mod happens;
mod owner;
mod owner_rules;
mod plan;
mod ports;
mod queue;
mod requests;
mod rules;
mod search;
mod store;
mod truth;
mod worker;
mod world;
