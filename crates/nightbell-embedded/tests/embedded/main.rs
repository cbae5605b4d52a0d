//! The embedded queue as others use it, on real files, with processes that are killed and disks that fill up.

#![expect(clippy::unwrap_used, reason = "a test that unwraps in vain fails, as it should")]

mod common;
mod consuming;
mod crash;
mod damage;
mod dead;
mod fixture;
mod metrics;
mod model;

mod publishing;
mod restart;
