//! Named points at which a test kills the process, as `kill -9` would. Without the feature `failpoints` they are
//! nothing.

/// The steps of an alert's life after which a test may kill the worker, by the names used in `FAILPOINTS`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum After {
    /// A delivery was received.
    Received,
    /// The ledger was asked.
    Looked,
    /// The gate let it pass; nothing is sent.
    Gated,
    /// The answer was seen; nothing is recorded.
    Answered,
    /// The ledger is durable; the delivery or the death is not acknowledged.
    Recorded,
    /// A retry's claim is durable; nothing is published. The same point as [`After::Recorded`], before the publish.
    Claimed,
    /// A copy in a retry queue is confirmed; nothing is acknowledged.
    RetryPublished,
    /// A dead letter is confirmed; nothing is recorded.
    DeadPublished,
    /// The ack was sent.
    Acked,
}

/// Kills the process here if `FAILPOINTS` says so.
pub(crate) fn point(after: After) {
    match after {
        After::Received => fail::fail_point!("received", die),
        After::Looked => fail::fail_point!("looked", die),
        After::Gated => fail::fail_point!("gated", die),
        After::Answered => fail::fail_point!("answered", die),
        After::Recorded => fail::fail_point!("recorded", die),
        After::Claimed => fail::fail_point!("claimed", die),
        After::RetryPublished => fail::fail_point!("retry-published", die),
        After::DeadPublished => fail::fail_point!("dead-published", die),
        After::Acked => fail::fail_point!("acked", die),
    }
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
