//! Bugs planted in the adapters around the real worker: each port may break what it promises, at one point.

use crate::search::bugs;

bugs! {
    Planted:
    CommitBeforeFlush => "the ledger answers before its flush",
    FailedCommitToldAsDurable => "the ledger says `durable` after a failure",
    FailedLookToldAsUnknown => "the ledger says `unknown` after a failure",
    LookOfAnotherConnector => "the ledger answers for another connector",
    UnconfirmedToldAsConfirmed => "a publish is told as confirmed when it was not",
    ConfirmNotWaitedFor => "a publish does not wait for its confirm",
    DeadLetterNotPublished => "a dead letter is not published",
    DueDropped => "a publish drops the due time's header",
    RungLosesMessages => "a rung dead-letters at most once",
    AckForHandBack => "what is handed back is acknowledged",
    HandBackForAck => "what is acknowledged is handed back",
    AckNotSent => "an acknowledgement is not sent",
    LostNotTold => "a lost subscription is not told",
    LostToldLate => "a lost subscription is told after the next one's first delivery",
    NextNotCancelSafe => "a delivery is dropped with the future that waits for it",
    OldSubscriptionKept => "a dead process keeps its subscription",
    PrefetchIgnored => "the consumer has no prefetch",
    TimeOutToldAsAccepted => "a time-out is told as accepted",
    TimeOutNotTold => "the sender has no time-out",
    RefusedToldAsAccepted => "a refusal is told as accepted",
    RetryAfterDropped => "Retry-After is dropped",
    UnauthorizedToldAsUnavailable => "a 401 is told as an outage",
}
