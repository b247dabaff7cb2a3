//! End-to-end tests: they start the service on free ports, talk HTTP to it as a client does, and
//! leave nothing running.
//!
//! The service is the local stack, open to everybody; or with `E2E_KEYS=1` the same asking for API
//! keys, for the tests of these; or with `E2E_DEPLOYED=1` the template deployed into local AWS
//! endpoints, which asks for keys too. One of it serves all tests, one test after the other, since some of them make the
//! upstream fail or kill the worker.
//!
//! `E2E_SLASH` is what the gateway makes of a path that ends in a slash: `match` (default), `default`
//! or `bare`, as `cargo xtask run --slash` has it.

mod auth;
mod aws;
mod bodies;
mod browser;
mod calls;
mod clients;
mod deployment;
mod docs;
mod fetch;
mod items;
mod jobs;
mod metrics;
mod routes;
mod schedules;
mod service;
mod smoke;
mod tasks;
mod users;
mod worker;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};

use service::Service;

type Test = fn(&Service);

/// The tests of one file, each under its own name.
macro_rules! tests {
    ($($module:ident: $($name:ident)+;)+) => {
        [$($((concat!(stringify!($module), "::", stringify!($name)), $module::$name as Test)),+),+]
    };
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let tests = tests! {
        routes: greets refuses_what_it_does_not_know refuses_options
            redirects_to_the_form_that_it_knows answers_with_and_without_a_slash
            are_each_one_call_without_a_redirect decode_their_parameters
            logs_each_request_and_no_payload;
        items: live_and_die echo_what_was_sent are_listed_page_by_page are_checked;
        bodies: of_any_size_get_a_clear_answer that_are_not_text_are_refused;
        docs: the_document_is_the_file pages_load_only_their_own_files;
        browser: docs_submit_a_task redoc_shows_the_routes;
        users: live_and_die are_read_through_the_upstream are_refreshed_when_they_expire
            are_served_stale_when_the_upstream_fails are_fetched_concurrently are_checked
            may_be_ours_in_spite_of_the_upstream are_listed;
        fetch: answers_json refuses_private_places tells_what_went_wrong;
        jobs: a_posted_object_is_profiled a_source_is_profiled_as_python_does
            many_urls_are_fetched_at_once an_unknown_task_is_not_found;
        tasks: tell_all_that_is_known_of_them are_checked_before_they_are_queued
            are_submitted_once_under_one_key wait_for_their_time_and_expire are_cancelled
            run_again_after_a_failure are_listed_newest_first have_jobs_that_describe_themselves;
        schedules: go_with_their_tasks send_their_tasks_once;
        worker: a_killed_worker_does_not_lose_its_task a_duplicate_message_runs_once
            poison_is_put_aside what_a_queue_gives_up_on_is_failed_and_can_run_again;
        metrics: count_tasks_and_calls_and_name_no_ids;
        auth: every_route_refuses_who_has_no_key a_key_is_taken_in_either_header
            the_documentation_is_open scopes_are_kept wrong_and_expired_keys_are_refused
            a_revoked_key_is_refused_in_time a_gateway_may_keep_what_it_is_told_of_a_key only_one_key_in_one_header_counts
            oversized_headers_let_nobody_in another_callers_task_is_unknown
            callers_idempotency_keys_do_not_meet keys_are_listed_without_their_secrets;
        deployment: an_update_fails_no_request;
        smoke: finds_nothing_wrong tells_of_a_key_that_is_worth_nothing;
        // Last, since the tester may delete the users that other tests read.
        clients: a_validator_accepts_the_document a_generated_client_submits_a_task
            a_tester_finds_no_answer_outside_of_the_document secrets_are_in_no_log;
        // After all that makes calls.
        calls: that_aws_would_refuse_are_found are_as_aws_takes_them;
    };
    if arguments.list {
        return libtest_mimic::run(&arguments, trials(&tests, None)).exit_code();
    }
    let is_set = |name| std::env::var_os(name).is_some_and(|value| value == "1");
    let (deployed, keys) = (is_set("E2E_DEPLOYED"), is_set("E2E_KEYS"));
    let tests = match (deployed, keys) {
        (true, _) => without(&tests, &IMPOSSIBLE_WHEN_DEPLOYED),
        (false, true) => tests
            .iter()
            .filter(|(name, _)| is_of_keys(name) || is_of_both(name))
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

/// What the local AWS endpoints do otherwise than API Gateway does, or where they are, so that no
/// function could make these tests pass.
const IMPOSSIBLE_WHEN_DEPLOYED: [(&str, &str); 7] = [
    (
        RECORDED,
        "the functions call the endpoints that run them, and nothing is between",
    ),
    (
        "routes::refuses_options",
        "OPTIONS is answered by the endpoints",
    ),
    (
        "bodies::that_are_not_text_are_refused",
        "bytes that are not UTF-8 are replaced before the function gets them",
    ),
    (
        "clients::a_tester_finds_no_answer_outside_of_the_document",
        "it would find what the endpoints answer themselves, such as to OPTIONS",
    ),
    (
        "auth::a_gateway_may_keep_what_it_is_told_of_a_key",
        "the deployment's gateway has one mode, and here that is the other",
    ),
    (
        "browser::docs_submit_a_task",
        "the page's links lead to the root of a host, and the address has a prefix",
    ),
    (
        "browser::redoc_shows_the_routes",
        "the page's links lead to the root of a host, and the address has a prefix",
    ),
];

/// The test of what the tests before it had the functions call.
const RECORDED: &str = "calls::are_as_aws_takes_them";

/// Whether a test is of a service that asks for keys and of one that does not.
fn is_of_both(name: &str) -> bool {
    name == RECORDED || name.starts_with("smoke::")
}

/// Whether a test needs a service that asks for keys. The tester is one, since it also finds a route
/// that does not ask although the document says so.
fn is_of_keys(name: &str) -> bool {
    let others = [
        "clients::a_tester_finds_no_answer_outside_of_the_document",
        "clients::secrets_are_in_no_log",
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
            "{name} is no test"
        );
        println!("left out: {name}: {reason}");
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
