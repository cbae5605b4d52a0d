//! The acceptance tests: the real programs against real RabbitMQ nodes and a stand-in xMatters. Each test is named as
//! the fact that it shows. RabbitMQ missing is a failure, never a skip.

mod brokers;
mod crashes;
mod delivery;
mod operators;
mod producers;
mod workers;

use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use libtest_mimic::{Arguments, Trial};
use nightbell_tests::node::RabbitNode;
use nightbell_tests::program;

/// A test: what it is given is the URL of the node that all tests share.
type Test = fn(String) -> Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// Lists tests by their functions' names.
macro_rules! tests {
    ($($module:ident::$name:ident),* $(,)?) => {
        [$((stringify!($name), (|url| Box::pin($module::$name(url))) as Test)),*]
    };
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::from_args();
    let runtime = Arc::new(tokio::runtime::Builder::new_multi_thread().enable_all().build()?);
    // Listing tests needs neither programs nor a node.
    let node = if arguments.list {
        None
    } else {
        program::build()?;
        Some(runtime.block_on(RabbitNode::start())?)
    };
    let url = node.as_ref().map(|node| node.url("/")).unwrap_or_default();
    let trial = |(name, test): (&str, Test)| {
        let (runtime, url) = (Arc::clone(&runtime), url.clone());
        Trial::test(name.replace('_', " "), move || {
            runtime.block_on(test(url)).map_err(|error| format!("{error:#}").into())
        })
    };
    let conclusion = libtest_mimic::run(&arguments, all().into_iter().map(trial).collect());
    drop(node);
    Ok(conclusion.exit_code())
}

fn all() -> Vec<(&'static str, Test)> {
    tests![
        delivery::an_event_is_delivered_once,
        delivery::a_repeat_within_the_window_is_suppressed,
        delivery::a_503_is_retried_and_delivered,
        delivery::retry_after_is_honoured_by_the_whole_connector,
        delivery::a_401_opens_the_breaker_and_spends_no_attempt,
        delivery::an_unreachable_destination_is_tried_until_it_is_back,
        delivery::an_invalid_message_is_kept_with_its_error,
        delivery::an_unrouted_event_is_kept,
        delivery::an_expired_alert_is_kept,
        delivery::an_alert_goes_to_every_connector_that_wants_it,
        operators::a_400_is_dead_lettered_then_put_right_and_replayed_once,
        operators::dead_letters_are_listed_grouped_shown_exported_and_discarded,
        operators::an_unrouted_event_is_replayed_to_the_connectors_that_are_there_now,
        operators::metrics_pass_promtool_and_every_series_is_there_from_the_start,
        operators::no_secret_shows_anywhere,
        operators::status_and_check_say_what_is_there,
        operators::a_reload_changes_the_routing_and_a_bad_file_changes_nothing,
        producers::a_failing_pytest_rings_once,
        producers::ndjson_is_published_line_by_line_and_bad_lines_are_said,
        producers::publish_gives_up_with_69_when_the_broker_is_down,
        producers::any_amqp_client_can_publish,
        crashes::a_crash_after_receive_loses_nothing,
        crashes::a_crash_after_the_look_loses_nothing,
        crashes::a_crash_before_the_post_loses_nothing,
        crashes::a_crash_with_the_answer_outstanding_sends_again_under_the_same_id,
        crashes::a_crash_between_the_answer_and_the_record_is_the_one_duplicate_window,
        crashes::a_crash_between_the_record_and_the_ack_sends_nothing_again,
        crashes::a_crash_after_the_ack_sends_nothing_again,
        crashes::a_crash_between_claim_and_retry_loses_nothing,
        crashes::a_crash_between_retry_and_ack_lets_one_copy_through,
        crashes::a_crash_between_dead_letter_and_record_delivers_one_copy_when_replayed,
        crashes::a_crash_between_the_record_of_a_death_and_the_ack_keeps_one_letter,
        workers::twenty_kills_under_load_lose_nothing,
        workers::a_standby_takes_over_when_the_first_is_killed,
        workers::a_stop_finishes_what_is_in_flight_and_hands_the_rest_back,
        workers::a_second_signal_ends_at_once,
        workers::a_full_disk_stops_the_acks_shows_in_readyz_and_loses_nothing,
        workers::a_damaged_ledger_is_moved_aside_and_delivery_goes_on,
        brokers::a_broker_killed_under_load_loses_nothing,
        brokers::a_worker_waits_for_a_broker_that_is_down_and_says_so_once,
        brokers::a_queue_declared_otherwise_is_said_with_its_cure,
        brokers::connections_closed_by_the_administrator_are_made_again,
    ]
    .into()
}
