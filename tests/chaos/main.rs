//! The chaos suite: everything that can go wrong around the worker does, and nothing is lost. Real processes over a real
//! RabbitMQ, or on the embedded queue. What the acceptance tests show is not repeated: each crash point, brokers that are
//! down or killed, connections that are closed, full disks, unreachable destinations and wrong certificates.
//!
//! `NIGHTBELL_KILLS` and `NIGHTBELL_BACKLOG` make two of them as large as wanted.

mod bounded;
mod broker;
mod clock;
mod destination;
mod full;
mod hostile;
mod kills;
mod ledger;
mod poison;
mod removed;

use std::process::ExitCode;
use std::thread::available_parallelism;

use anyhow::{Context as _, Result};
use nightbell_tests::facts;
use nightbell_tests::suite::{self, Test};

fn main() -> Result<ExitCode> {
    // Some facts only wait: for an alarm to be noticed, or a heartbeat to be missed.
    suite::run(available_parallelism()?.saturating_add(1), over_both_queues(), over_rabbitmq())
}

/// What holds whichever queue there is.
fn over_both_queues() -> Vec<(&'static str, Test)> {
    facts![
        kills::kills_at_random_moments_lose_nothing,
        clock::a_clock_set_back_delays_no_retry,
        clock::a_publisher_with_a_slow_or_a_fast_clock_gets_its_events_delivered,
        full::a_full_data_dir_is_taken_up_again_by_itself_when_it_has_room,
        clock::a_clock_set_back_and_forth_expires_nothing_and_sends_nothing_twice,
        destination::a_destination_that_breaks_in_every_way_gets_everything_once,
        bounded::a_storm_on_one_key_is_one_post_in_bounded_memory,
        bounded::a_flood_of_large_events_stays_within_the_memory,
        bounded::a_connector_that_never_answers_leaves_its_neighbour_alone,
        bounded::a_backlog_is_worked_off_in_bounded_memory,
        hostile::hostile_publishing_delays_no_good_event,
        removed::a_data_dir_removed_under_the_worker_loses_no_event,
    ]
    .into()
}

/// What is about RabbitMQ itself, or about one of the two queues.
fn over_rabbitmq() -> Vec<(&'static str, Test)> {
    facts![
        kills::two_workers_that_relieve_each_other_lose_nothing,
        broker::a_broker_killed_restarted_and_paused_under_load_loses_nothing,
        broker::alarms_of_the_broker_hold_no_alert_back,
        broker::a_queue_deleted_under_its_consumer_is_made_again,
        broker::revoked_permissions_are_said_and_lose_nothing,
        ledger::a_torn_ledger_delays_nothing,
        ledger::a_ledger_that_may_not_be_written_is_said_at_the_start,
        poison::ten_thousand_poison_messages_die_and_the_good_arrive,
        removed::what_waits_in_a_removed_queue_file_outlives_the_worker,
        removed::a_queue_file_that_was_moved_away_is_named_and_kept,
    ]
    .into()
}

/// A count from the environment, or the default.
fn count(name: &str, default: usize) -> Result<usize> {
    std::env::var(name).map_or(Ok(default), |text| text.parse().with_context(|| format!("{name}={text}")))
}
