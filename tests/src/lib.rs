//! What acceptance tests and benchmarks stand on: private RabbitMQ nodes, sites with a configuration of their own, and
//! the real programs as processes. It must never use a broker that it did not start, or traffic beyond loopback.

pub mod collector;
pub mod node;
pub mod process;
pub mod program;
pub mod prometheus;
pub mod queues;
pub mod site;
pub mod suite;
pub mod wait;
pub mod wire;
