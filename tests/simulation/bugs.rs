//! Bugs, each planted at one point: in the owner's driver, or in the world around a driver, whose ports break what they
//! promise.

/// Which driver has to show a bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shows {
    Owner,
    Worker,
    Both,
}

macro_rules! bugs {
    ($($shows:expr => { $($name:ident: $what:literal,)* })*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Bug {
            $($($name,)*)*
        }

        impl Bug {
            pub(crate) const ALL: &'static [(Self, Shows, &'static str)] = &[$($((Self::$name, $shows, $what),)*)*];
        }
    };
}

bugs! {
    Shows::Owner => {
        AckBeforeRecord: "a delivery is acked before its record is durable",
        AckBeforeConfirm: "a retry is acked before its copy is confirmed",
        RetryWithoutConfirm: "a retry's confirm is not waited for",
        MarkedBeforePost: "an event is marked as delivered before its POST",
        ReplayWithoutMark: "a replay carries no mark of its own",
        ReplayKeepsFirstAge: "a replay keeps the age of the first journey",
        SettledTwice: "a delivery is settled twice",
        ReturnedTakenForConfirmed: "a returned message is taken for confirmed",
        DeadAckedBeforeConfirm: "a dead letter is acked before its confirm",
        FilteredDelivered: "a filtered event is delivered",
        ReroutedRetryFiltered: "a retry that is no longer routed to its connector is filtered",
        DueIgnored: "a retry's due time is ignored",
        ClaimNotWritten: "a claim is not written",
        AlertKeyNotRecorded: "a delivery is recorded under its event alone",
        AgeNotChecked: "an alert's age is not checked",
        StampDecides: "an alert's age counts from its publisher's stamp",
        SeverityIgnored: "what was told at a lower severity suppresses a higher one",
        PublishTimeOutForgotten: "a publish that times out is never answered",
        NoTicks: "time passing is not told",
        TwinsOfLimitDropped: "the queue drops at its delivery limit instead of dead-lettering",
        SlotsIgnored: "the slots are not kept to",
    }
    Shows::Both => {
        CommitBeforeFlush: "the ledger answers before its flush",
        FailedCommitToldAsDurable: "the ledger says `durable` after a failure",
        FailedLookToldAsUnknown: "the ledger says `unknown` after a failure",
        DeadLetterNotPublished: "a dead letter is not published",
        RungLosesMessages: "a rung dead-letters at most once",
        HandBackForAck: "what is acknowledged is handed back",
        LostNotTold: "a lost subscription is not told",
        PrefetchIgnored: "the consumer has no prefetch",
        TimeOutToldAsAccepted: "a time-out is told as accepted",
        RefusedToldAsAccepted: "a refusal is told as accepted",
        RetryAfterDropped: "Retry-After is dropped",
        UnauthorizedToldAsUnavailable: "a 401 is told as an outage, and spends attempts",
    }
    Shows::Worker => {
        LookOfAnotherConnector: "the ledger answers for another connector",
        UnconfirmedToldAsConfirmed: "a publish is told as confirmed when it was not",
        ConfirmNotWaitedFor: "a publish does not wait for its confirm",
        DueDropped: "a publish drops the due time's header",
        AckForHandBack: "what is handed back is acknowledged",
        AckNotSent: "an acknowledgement is not sent",
        LostToldLate: "a lost subscription is told after the next one's first delivery",
        NextNotCancelSafe: "a delivery is dropped with the future that waits for it",
        OldSubscriptionKept: "a dead process keeps its subscription",
        TimeOutNotTold: "the sender has no time-out",
    }
}
