//! The acceptance tests: the real programs against real RabbitMQ nodes, or on the embedded queue, and a stand-in xMatters.
//! Each test is named as the fact that it shows. RabbitMQ missing is a failure, never a skip.

mod benchmarks;
mod brokers;
mod composed;
mod crashes;
mod delivery;
mod demo;
mod deployment;
mod destinations;
mod doctor;
mod embedded;
mod examples;
mod first_run;
mod hostile;
mod ingest;
mod links;
mod listener;
mod monitoring;
mod operators;
mod private;
mod producers;
mod recipes;
mod returned;
mod systemd;
mod telemetry;
mod terminal;
mod workers;

use std::process::ExitCode;
use std::thread::available_parallelism;

use anyhow::Result;
use nightbell_tests::facts;
use nightbell_tests::suite::{self, Test};

fn main() -> Result<ExitCode> {
    // Most facts wait most of their time.
    let threads = available_parallelism()?;
    suite::run(threads.saturating_add(threads.get()), over_both_queues(), over_rabbitmq())
}

/// What holds whichever queue there is.
fn over_both_queues() -> Vec<(&'static str, Test)> {
    facts![
        delivery::an_event_is_delivered_once,
        delivery::a_repeat_within_the_window_is_suppressed,
        delivery::a_503_is_retried_and_delivered,
        delivery::retry_after_is_honoured_by_the_whole_connector,
        delivery::a_401_opens_the_breaker_and_spends_no_attempt,
        delivery::an_unreachable_destination_is_tried_until_it_is_back,
        delivery::an_expired_alert_is_kept,
        delivery::an_alert_goes_to_every_connector_that_wants_it,
        operators::a_400_is_dead_lettered_then_put_right_and_replayed_once,
        operators::dead_letters_are_listed_grouped_shown_exported_and_discarded,
        operators::metrics_pass_promtool_and_every_series_is_there_from_the_start,
        operators::no_secret_shows_anywhere,
        operators::a_reload_changes_the_routing_and_a_bad_file_changes_nothing,
        operators::an_alert_whose_group_moved_while_it_was_retried_is_replayed_to_where_it_goes_now,
        private::commands_read_only_what_they_need,
        producers::a_failing_pytest_rings_once,
        producers::ndjson_is_published_line_by_line_and_bad_lines_are_said,
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
        workers::the_worker_has_its_allocator_give_back_what_is_freed,
        workers::twenty_kills_under_load_lose_nothing,
        workers::a_stop_finishes_what_is_in_flight_and_hands_the_rest_back,
        workers::a_second_signal_ends_at_once,
        workers::a_damaged_ledger_is_moved_aside_and_delivery_goes_on,
        ingest::events_posted_over_http_are_delivered,
        ingest::a_report_posted_over_http_rings_for_each_failure,
        ingest::an_api_fortress_event_rings,
        ingest::what_is_not_valid_is_refused_as_a_whole_and_named,
        ingest::only_those_with_the_token_may_post,
        listener::two_thousand_idle_connections_and_few_file_handles_stop_nothing,
        telemetry::an_alerts_spans_are_in_its_publishers_trace_through_retry_death_and_replay,
    ]
    .into()
}

/// What is about RabbitMQ itself, or about one of the two queues.
fn over_rabbitmq() -> Vec<(&'static str, Test)> {
    facts![
        delivery::an_invalid_message_is_kept_with_its_error,
        delivery::an_unrouted_event_is_kept,
        operators::no_log_level_shows_a_secret,
        operators::an_unrouted_event_is_replayed_to_the_connectors_that_are_there_now,
        operators::status_and_check_say_what_is_there,
        producers::publish_gives_up_with_69_when_the_broker_is_down,
        producers::any_amqp_client_can_publish,
        examples::an_event_published_by_pythons_pika_is_delivered,
        examples::an_event_published_by_nodes_amqplib_is_delivered,
        examples::an_event_published_by_rusts_lapin_is_delivered,
        examples::an_example_that_gets_no_confirm_fails_and_says_why,
        recipes::the_github_action_publishes_a_jobs_failures,
        recipes::the_gitlab_template_publishes_a_jobs_failures,
        recipes::the_jenkins_step_publishes_a_builds_failures,
        recipes::no_recipe_fails_a_build,
        workers::a_standby_takes_over_when_the_first_is_killed,
        workers::a_full_disk_stops_the_acks_shows_in_readyz_and_loses_nothing,
        hostile::a_header_nested_as_deep_as_a_frame_allows_is_one_invalid_dead_letter,
        returned::dead_letters_moved_back_by_rabbitmqs_own_tools_are_delivered_or_dead_again,
        returned::headers_forged_by_a_publisher_are_not_believed,
        hostile::thousands_of_headers_cost_one_line_and_little_time,
        brokers::a_broker_killed_under_load_loses_nothing,
        brokers::a_worker_waits_for_a_broker_that_is_down_and_says_so_once,
        brokers::a_queue_declared_otherwise_is_said_with_its_cure,
        brokers::a_missing_queue_of_one_connector_stops_no_other,
        brokers::a_queue_of_one_connector_declared_otherwise_stops_no_other,
        brokers::a_queue_deleted_while_it_is_consumed_is_declared_again,
        brokers::a_deleted_queue_of_dead_letters_is_declared_again,
        brokers::a_forbidden_queue_of_one_connector_stops_no_other,
        links::a_broker_of_a_private_authority_is_reached_by_its_ca_file,
        links::a_broker_that_wants_a_client_certificate_gets_ours,
        links::tls_on_a_plain_port_and_the_reverse_are_named,
        links::a_certificate_for_another_name_is_named,
        links::a_host_that_swallows_everything_keeps_nobody_from_the_next,
        links::a_frozen_broker_shows_in_readyz_and_is_left_for_the_next_host,
        links::a_password_of_its_own_needs_no_escaping_and_one_that_breaks_the_url_is_told,
        brokers::connections_closed_by_the_administrator_are_made_again,
        doctor::the_doctor_names_a_queue_that_was_declared_otherwise,
        doctor::the_doctor_names_permissions_that_are_missing,
        doctor::the_doctor_names_policies_that_take_from_the_queues,
        doctor::the_doctor_reads_certificates_and_posts_nothing,
        doctor::the_doctor_gives_one_document,
        demo::the_demo_shows_every_ending_and_ends_with_0,
        demo::the_demo_is_plain_through_a_pipe,
        demo::the_demo_fits_eighty_columns_in_a_terminal,
        demo::the_demo_stays_up_until_it_is_interrupted_and_metrics_answers,
        demo::a_demo_that_is_stopped_midway_leaves_nothing_behind,
        ingest::the_http_interface_is_as_its_description_says,
        destinations::a_private_authority_is_trusted_when_it_is_named,
        destinations::an_authority_that_can_not_be_read_is_an_error_at_the_start,
        destinations::an_expired_certificate_and_a_wrong_name_are_refused,
        destinations::the_end_of_a_certificate_shows_before_an_alert_needs_it,
        destinations::a_client_certificate_is_shown_where_it_is_demanded,
        destinations::a_proxy_with_credentials_is_gone_through,
        destinations::a_token_is_fetched_once_and_again_when_it_is_refused,
        destinations::a_host_that_is_not_allowed_is_refused_at_the_start,
        destinations::connectors_test_says_what_happened_and_what_it_means,
        destinations::no_secret_shows_behind_tls_proxy_and_tokens,
        destinations::each_payload_profile_arrives_as_its_workflow_expects,
        destinations::an_acceptance_without_a_request_id_is_delivered_counted_and_warned_of_once,
    ]
    .into_iter()
    .chain(as_it_is_shipped())
    .collect()
}

/// What is about the files that are shipped, one of the two queues, or the benchmark.
fn as_it_is_shipped() -> Vec<(&'static str, Test)> {
    facts![
        monitoring::promtool_finds_the_rules_and_the_scrape_configuration_right,
        monitoring::every_rule_is_tested_each_way_and_has_a_place_in_the_runbook,
        deployment::the_compose_file_and_the_manifests_fit_their_schemas,
        deployment::what_a_network_policy_offers_as_a_comment_is_valid_too,
        deployment::a_changed_configuration_restarts_the_pods_and_no_drain_waits_for_them,
        deployment::every_service_rotates_its_log_and_has_a_bound_on_memory,
        deployment::folders_are_mounted_and_looked_at_before_the_start,
        deployment::a_second_worker_is_ready_and_an_old_compose_is_told_what_it_lacks,
        deployment::the_build_sees_what_cargo_compiles_and_no_secret,
        deployment::every_configuration_that_is_shipped_is_valid,
        deployment::the_definitions_are_what_the_topology_command_prints,
        deployment::the_unit_is_sound_and_hardened,
        deployment::the_program_needs_no_library_that_its_image_lacks,
        composed::what_compose_runs_delivers_with_the_least_privileges,
        composed::every_query_of_the_dashboard_and_every_rule_finds_its_data,
        first_run::init_check_and_run_deliver_with_one_variable_and_no_rabbitmq,
        first_run::a_variable_that_is_not_set_is_one_clear_error,
        first_run::init_full_has_every_key_and_is_for_its_owner_alone,
        embedded::a_second_worker_says_that_the_queue_is_in_use,
        embedded::publishing_needs_no_worker_and_goes_through_one_that_runs,
        embedded::nothing_is_given_to_the_worker_of_another_queue,
        embedded::a_drain_moves_all_that_waits_and_the_dead_letters,
        embedded::a_drain_keeps_what_waits_for_a_connector_that_is_gone_as_dead_letters,
        embedded::status_and_check_say_what_is_in_the_file,
        embedded::a_queue_file_without_bytes_is_said,
        embedded::a_full_disk_refuses_what_it_can_not_keep,
        private::data_dir_and_all_in_it_are_for_their_owner_alone_whatever_the_umask,
        private::a_wide_data_dir_and_a_readable_configuration_are_warned_of,
        private::a_worker_and_its_commands_leave_no_core_dump,
        private::a_reload_says_what_changed_and_what_needs_a_restart,
        terminal::hostile_texts_do_not_reach_the_terminal_by_any_command,
        terminal::a_foreign_listener_does_not_reach_the_terminal,
        listener::who_listens_in_a_dead_workers_place_hears_neither_token_nor_event,
        listener::dead_letters_are_discarded_only_when_they_are_named_or_all_are_meant,
        listener::weak_tokens_are_warned_of_by_check_and_once_by_run,
        listener::the_listener_speaks_tls_and_a_reload_takes_a_new_certificate,
        listener::a_certificate_that_can_not_be_served_is_named_with_its_cure,
        systemd::systemd_is_told_ready_reloading_and_stopping,
        systemd::a_worker_without_its_broker_is_ready_for_systemd_and_says_what_is_missing,
        systemd::a_worker_whose_owner_stands_still_stops_its_pings,
        telemetry::a_collector_that_is_down_costs_one_warning,
        telemetry::each_attempt_is_one_line_with_all_that_is_known_of_it,
        telemetry::nobody_waits_for_whoever_reads_the_log,
        benchmarks::the_benchmark_of_delivery_runs_and_draws,
        benchmarks::the_benchmark_of_latency_runs,
        benchmarks::the_benchmark_of_a_storm_posts_each_key_once,
        benchmarks::the_benchmark_of_isolation_runs,
        benchmarks::the_benchmark_of_the_ledger_runs,
    ]
    .into()
}
