//! Bugs planted around the real core: each changes what the executor, the broker or the ledger does at one point.

use crate::search::bugs;

bugs! {
    Bug:
    AckBeforeRecord => "a delivery is acked before its record is durable",
    AckBeforeConfirm => "a retry is acked before its copy is confirmed",
    RetryWithoutConfirm => "a retry's confirm is not waited for",
    MarkedBeforePost => "an event is marked as delivered before its POST",
    UnauthorizedSpendsAttempts => "a 401 is taken for an outage and spends attempts",
    ReplayWithoutMark => "a replay carries no mark of its own",
    ReplayKeepsFirstAge => "a replay keeps the age of the first journey",
    SettledTwice => "a delivery is settled twice",
    ReturnedTakenForConfirmed => "a returned message is taken for confirmed",
    FlushSkipped => "the ledger answers before its flush",
    LostNotTold => "the owner is not told of a lost subscription",
    DeadLetterNotPublished => "a dead letter is not published",
    DeadAckedBeforeConfirm => "a dead letter is acked before its confirm",
    RetryAfterDropped => "Retry-After is dropped",
    FilteredDelivered => "a filtered event is delivered",
    PrefetchIgnored => "the consumer has no prefetch",
    ReroutedRetryFiltered => "a retry that is no longer routed to its connector is filtered",
    DueIgnored => "a retry's due time is ignored",
    ClaimNotWritten => "a claim is not written",
    AlertKeyNotRecorded => "a delivery is recorded under its event alone",
    HandBackInsteadOfAck => "a settled delivery is handed back",
    AgeNotChecked => "an alert's age is not checked",
    FailedLedgerTakenForDurable => "a failed ledger write is taken for durable",
    FailedLookTakenForUnknown => "a failed lookup is taken for `unknown`",
    PublishTimeOutForgotten => "a publish that times out is never answered",
    NoTicks => "time passing is not told",
    TwinsOfLimitDropped => "the queue drops at its delivery limit instead of dead-lettering",
    RungLosesMessages => "a rung dead-letters at most once",
    SlotsIgnored => "the slots are not kept to",
    TimeOutTakenForAccepted => "a time-out is taken for accepted",
    RefusedTakenForAccepted => "a refusal is taken for accepted",
}
