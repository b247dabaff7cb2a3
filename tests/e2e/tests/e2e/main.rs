//! End-to-end tests. They start the service on free ports, send HTTP requests as a client does, and
//! leave nothing running.
//!
//! By default the service is the local stack without authentication. With `E2E_KEYS=1` the local
//! stack requires API keys, and only tests that need keys run. With `E2E_DEPLOYED=1` the service is
//! the template deployed into local AWS endpoints, with API keys. All tests share one service and
//! run in sequence, because some of them make the upstream fail or kill the worker.
//!
//! `E2E_SLASH` determines how the gateway handles a trailing slash: `match` (default), `default` or
//! `bare`, as in `cargo xtask run --slash`.

mod auth;
mod aws;
mod bodies;
mod browser;
mod bulk;
mod calls;
mod clients;
mod dashboard;
mod deployment;
mod docs;
mod fetch;
mod flower;
mod items;
mod jobs;
mod metrics;
mod recurring;
mod remote;
mod routes;
mod schedules;
mod service;
mod smoke;
mod stats;
mod tasks;
mod users;
mod webdriver;
mod worker;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};
use local_stack::gateway::Slash;

use service::Service;

type Test = fn(&Service);

/// The tests of each module, each with the name `module::function`.
macro_rules! tests {
    ($($module:ident: $($name:ident)+;)+) => {
        [$($((concat!(stringify!($module), "::", stringify!($name)), $module::$name as Test)),+),+]
    };
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let tests = tests! {
        routes: greets
            answers_404_and_405_to_unknown_paths_and_methods refuses_options
            redirects_to_the_canonical_path
            answers_with_and_without_a_slash
            need_one_invocation_and_no_redirect_for_each_request decode_their_parameters
            logs_each_request_and_no_payload;
        items: are_created_read_replaced_and_deleted are_stored_as_sent are_listed_page_by_page
            are_validated;
        bodies: of_any_size_get_a_clear_answer that_are_not_text_are_refused;
        docs: the_document_is_the_file pages_load_only_their_own_files;
        browser: docs_submit_a_task redoc_shows_the_routes;
        dashboard: shows_every_page submits_a_task_by_its_form_and_shows_its_end
            shows_new_tasks_live_and_pauses cancels_and_retries_a_task
            retries_all_that_match_a_link_s_filters is_used_with_the_keyboard_alone
            recovers_from_a_lost_network asks_for_a_key_and_shows_what_the_key_allows;
        users: are_created_read_replaced_and_deleted are_read_through_the_upstream
            are_refreshed_when_they_expire
            are_served_stale_when_the_upstream_fails are_fetched_concurrently are_validated
            can_be_replaced_and_deleted_although_the_upstream_has_them are_listed;
        fetch: answers_json refuses_private_addresses explains_failures;
        jobs: a_posted_object_is_profiled a_source_is_profiled_as_python_does
            many_urls_are_fetched_concurrently an_unknown_task_is_not_found;
        tasks: show_their_whole_record are_validated_before_they_are_queued
            are_submitted_once_for_each_idempotency_key wait_for_their_time_and_expire are_cancelled
            run_again_after_a_failure are_listed_newest_first have_jobs_that_describe_themselves
            carry_the_trace_of_their_request;
        stats: show_what_ended are_of_a_window_that_is_checked;
        bulk: are_submitted_in_one_request are_counted_and_run_again_by_a_filter
            are_changed_by_a_task_in_the_background are_found_by_filters;
        recurring: are_created_changed_and_deleted are_checked_before_they_are_stored run_at_once
            fire_once_for_each_time_though_a_ticker_dies make_up_for_missed_times_as_they_say;
        schedules: are_deleted_with_their_tasks send_their_task_s_message_once;
        worker: a_killed_worker_does_not_lose_its_task a_duplicate_message_runs_once
            poison_messages_go_to_the_dead_letter_queue dead_lettered_tasks_fail_and_can_run_again
            dead_letters_are_shown_and_handled;
        remote: run_in_a_function report_their_progress run_behind_a_url
            are_listed_without_their_secrets;
        flower: answers_as_flower_does metrics_count_tasks keys_open_its_routes
            a_caller_sees_own_tasks_alone;
        metrics: count_tasks_and_calls_and_contain_no_ids;
        auth: every_route_refuses_requests_without_a_key a_key_is_accepted_in_either_header
            the_documentation_is_open scopes_are_enforced wrong_and_expired_keys_are_refused
            a_revoked_key_is_refused_in_time a_gateway_may_cache_the_authorizer_s_answer
            only_one_key_in_one_header_counts oversized_headers_do_not_authenticate
            another_caller_s_task_is_not_found another_caller_s_tasks_are_not_changed
            numbers_are_of_own_tasks_alone
            idempotency_keys_of_two_callers_are_separate keys_are_listed_without_their_secrets;
        deployment: an_update_fails_no_request;
        smoke: passes reports_an_invalid_key;
        // Near the end, since the tester may delete users that other tests read.
        clients: a_validator_accepts_the_document a_generated_client_submits_a_task
            a_tester_finds_no_answer_outside_of_the_document secrets_are_in_no_log;
        // After all tests that make calls.
        calls: that_aws_refuses_are_detected are_accepted_by_aws;
    };
    if arguments.list {
        return libtest_mimic::run(&arguments, trials(&tests, None)).exit_code();
    }
    let is_set = |name| std::env::var_os(name).is_some_and(|value| value == "1");
    let (deployed, keys) = (is_set("E2E_DEPLOYED"), is_set("E2E_KEYS"));
    let is_default_slash = service::slash().is_ok_and(|way| way == Slash::default());
    let tests = match (deployed, keys) {
        (true, _) => {
            // Of the dashboard, as of the other pages, only the files are tried there.
            let tests: Vec<_> = { tests.iter().copied() }
                .filter(|(name, _)| !name.starts_with("dashboard::"))
                .collect();
            without(&tests, &IMPOSSIBLE_WHEN_DEPLOYED)
        }
        (false, true) => tests
            .iter()
            .filter(|(name, _)| is_of_keys(name) || is_of_both(name))
            // The tester asks for no path with a final slash.
            .filter(|(name, _)| *name != TESTER || is_default_slash)
            .copied()
            .collect(),
        (false, false) => tests
            .iter()
            .filter(|(name, _)| !is_of_keys(name) && !name.starts_with("deployment::"))
            .copied()
            .collect(),
    };
    let service = match (deployed, keys) {
        (true, _) => Service::deploy(),
        (false, true) => Service::start_with_keys(),
        (false, false) => Service::start(),
    };
    let service = match service {
        Ok(service) => Arc::new(service),
        Err(error) => {
            eprintln!("the service did not start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let conclusion = libtest_mimic::run(&arguments, trials(&tests, Some(&service)));
    if conclusion.has_failed() {
        println!("the functions' last lines:\n{}", service.last_lines(60));
    }
    drop(service);
    conclusion.exit_code()
}

/// Tests that cannot pass on a deployed service, because the local AWS endpoints differ from API
/// Gateway, or because of the service's address.
const IMPOSSIBLE_WHEN_DEPLOYED: [(&str, &str); 13] = [
    (
        "recurring::fire_once_for_each_time_though_a_ticker_dies",
        "the test calls the ticker by its local name",
    ),
    (
        "recurring::make_up_for_missed_times_as_they_say",
        "the test calls the ticker by its local name",
    ),
    (
        RECORDED,
        "the functions call the endpoints directly, without the recorder",
    ),
    (
        "routes::refuses_options",
        "the endpoints themselves answer OPTIONS",
    ),
    (
        "bodies::that_are_not_text_are_refused",
        "the endpoints replace bytes that are not UTF-8",
    ),
    (
        TESTER,
        "the tester would find the endpoints' own answers, such as to OPTIONS",
    ),
    (
        "auth::a_gateway_may_cache_the_authorizer_s_answer",
        "the deployed gateway does not cache the authorizer's answers",
    ),
    (
        "browser::docs_submit_a_task",
        "the page's links have no prefix, but the service's address has one",
    ),
    (
        "browser::redoc_shows_the_routes",
        "the page's links have no prefix, but the service's address has one",
    ),
    ("remote::run_in_a_function", NO_BODIES),
    ("remote::report_their_progress", NO_BODIES),
    ("remote::run_behind_a_url", NO_BODIES),
    ("remote::are_listed_without_their_secrets", NO_BODIES),
];

const NO_BODIES: &str = "the deployment has no remote jobs";

/// The test that takes its requests from the OpenAPI document.
const TESTER: &str = "clients::a_tester_finds_no_answer_outside_of_the_document";

/// The test that checks the recorded calls of all tests before it.
const RECORDED: &str = "calls::are_accepted_by_aws";

/// Whether a test runs both with and without API keys.
fn is_of_both(name: &str) -> bool {
    name == RECORDED || name.starts_with("smoke::")
}

/// Whether a test needs a service with API keys. The tester is such a test, because it also finds
/// routes that require no key although the document says so.
fn is_of_keys(name: &str) -> bool {
    let others = [
        "flower::keys_open_its_routes",
        "flower::a_caller_sees_own_tasks_alone",
        TESTER,
        "clients::secrets_are_in_no_log",
        "dashboard::asks_for_a_key_and_shows_what_the_key_allows",
    ];
    name.starts_with("auth::") || others.contains(&name)
}

fn without(
    tests: &[(&'static str, Test)],
    left_out: &[(&'static str, &'static str)],
) -> Vec<(&'static str, Test)> {
    for (name, reason) in left_out {
        assert!(
            tests.iter().any(|(test, _)| test == name),
            "there is no test {name}"
        );
        println!("skipped: {name}: {reason}");
    }
    let possible =
        |(test, _): &&(&'static str, Test)| left_out.iter().all(|(name, _)| name != test);
    tests.iter().filter(possible).copied().collect()
}

fn trials(tests: &[(&'static str, Test)], service: Option<&Arc<Service>>) -> Vec<Trial> {
    let trial = |&(name, test): &(&'static str, Test)| {
        let service = service.cloned();
        Trial::test(name, move || {
            if let Some(service) = service {
                service.calm();
                test(&service);
            }
            Ok(())
        })
    };
    tests.iter().map(trial).collect()
}
