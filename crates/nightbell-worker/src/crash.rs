//! Named points at which a test kills the process, as `kill -9` would. Without the feature `failpoints` they are
//! nothing.

/// A step of an alert's life after which a test may kill the worker, by its name in `FAILPOINTS`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct After(&'static str);

impl After {
    /// A delivery was received.
    pub(crate) const RECEIVED: Self = Self("received");
    /// The ledger was asked.
    pub(crate) const LOOKED: Self = Self("looked");
    /// The gate let it pass; nothing is sent.
    pub(crate) const GATED: Self = Self("gated");
    /// The answer was seen; nothing is recorded.
    pub(crate) const ANSWERED: Self = Self("answered");
    /// The ledger is durable; the delivery or the death is not acknowledged.
    pub(crate) const RECORDED: Self = Self("recorded");
    /// A retry's claim is durable; nothing is published. The same point as [`After::RECORDED`], before the publish.
    pub(crate) const CLAIMED: Self = Self("claimed");
    /// A copy in a retry queue is confirmed; nothing is acknowledged.
    pub(crate) const RETRY_PUBLISHED: Self = Self("retry-published");
    /// A dead letter is confirmed; nothing is recorded.
    pub(crate) const DEAD_PUBLISHED: Self = Self("dead-published");
    /// The ack was sent.
    pub(crate) const ACKED: Self = Self("acked");
}

/// Kills the process here if `FAILPOINTS` says so.
pub(crate) fn point(After(_name): After) {
    fail::fail_point!(_name, die);
}

/// Reads `FAILPOINTS`, such as `recorded=return`, when the feature is on; else does nothing.
pub fn arm() {
    #[cfg(feature = "failpoints")]
    {
        // The scenario disarms all points when dropped, and this one is for the life of the process.
        let _armed = std::mem::ManuallyDrop::new(fail::FailScenario::setup());
    }
}

#[cfg(feature = "failpoints")]
fn die(_: Option<String>) {
    // SIGKILL and not abort: nothing may run, no buffer may be flushed.
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    std::process::abort();
}
