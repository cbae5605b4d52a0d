//! The ways in over real sockets, with a stand-in for the queue.

mod bounds;
mod events;
mod others;
mod queue;
mod world;
