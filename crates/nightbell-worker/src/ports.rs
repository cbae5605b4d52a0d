//! What owners work through.

use nightbell_core::ports::{Clock, Dice, Ledger, Outlet, Sender, Subscription};
use nightbell_trace::Tracer;

/// A name for the world that owners work in: which type takes the part of each of core's ports.
pub trait Ports: Clone + 'static {
    /// A connector's queue.
    type Subscription: Subscription;
    /// The way into the queues.
    type Outlet: Outlet;
    /// The ledger.
    type Ledger: Ledger;
    /// The way to a connector's destination.
    type Sender: Sender;
    /// The clock.
    type Clock: Clock;
    /// Chance.
    type Dice: Dice;
}

/// What all owners share.
#[derive(Clone)]
pub struct SharedPorts<P: Ports> {
    /// The way into the queues.
    pub outlet: P::Outlet,
    /// The ledger.
    pub ledger: P::Ledger,
    /// The clock.
    pub clock: P::Clock,
    /// Chance.
    pub dice: P::Dice,
    /// The way to make spans.
    pub tracer: Tracer,
}
