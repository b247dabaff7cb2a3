//! Compares this service with the FastAPI service that it replaces.
//!
//! Both services run. The test sends the same bytes to both: first the requests of a table, then random
//! requests. The status, `content-type`, `location`, `allow` and the body must be equal, except for the
//! deliberate differences that `differences.rs` and `docs/FASTAPI.md` list.
//!
//! `PARITY_REQUESTS` is the number of random requests, `PARITY_SEED` the seed of the generator. A request
//! with different answers is shrunk before it is shown.

mod differences;
mod random;
mod services;
mod table;
mod wire;

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use differences::{DIFFERENCES, DIRECT};
use local_stack::{project, setup};
use random::Random;
use services::{Exchange, Services};
use wire::{Request, shown};

/// The most requests with different answers that are shown before the test stops.
const SHOWN: usize = 10;

#[test]
fn this_service_answers_as_fastapi_does() {
    // First, since the environment of FastAPI is a folder in the environment of the tools.
    setup::run_tools().expect("the local stack's tools");
    let python = setup::python_with_fastapi().expect("FastAPI");
    if !has_the_same_json_errors(&python) {
        eprintln!(
            "SKIPPED: comparing with FastAPI needs Python 3.11 or 3.12: the JSON decoder of 3.13 has other error messages"
        );
        return;
    }
    let services = Services::start(&python).expect("both services");
    let mut comparison = Comparison {
        services,
        occurred: HashMap::new(),
        unexplained: Vec::new(),
    };
    let seed = number("PARITY_SEED", 1);
    let count = number("PARITY_REQUESTS", 5_000);
    println!("PARITY_SEED={seed} PARITY_REQUESTS={count}");
    comparison.table();
    comparison.random(seed, count);
    comparison.finish();
}

#[test]
fn the_documentation_lists_every_difference() {
    let page = std::fs::read_to_string(project::root().join("docs/FASTAPI.md")).expect("the page");
    let (_, list) = page
        .split_once("## Differences that the comparison tests\n")
        .expect("the list");
    let list = list.split("\n## ").next().unwrap_or_default();
    let entries: Vec<&str> = DIFFERENCES
        .iter()
        .map(|difference| difference.entry)
        .collect();
    for entry in entries.iter().chain([&DIRECT]) {
        assert!(
            list.contains(&format!("\n* {entry}")),
            "not in docs/FASTAPI.md: {entry}"
        );
    }
    for entry in list.split("\n* ").skip(1) {
        let tested = entries
            .iter()
            .chain([&DIRECT])
            .any(|beginning| entry.starts_with(beginning));
        assert!(tested, "not in the test: {entry}");
    }
}

/// Whether a Python's JSON decoder has the error messages of 3.11.
fn has_the_same_json_errors(python: &Path) -> bool {
    const CHECK: &str = "import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))";
    let status = Command::new(python).args(["-c", CHECK]).status();
    status.is_ok_and(|status| status.success())
}

fn number(name: &str, default: u64) -> u64 {
    let Ok(text) = std::env::var(name) else {
        return default;
    };
    text.parse()
        .unwrap_or_else(|_| panic!("{name} is no number: {text}"))
}

struct Comparison {
    services: Services,
    /// How often each deliberate difference occurred, by its index.
    occurred: HashMap<usize, usize>,
    /// The requests with differences that are not deliberate.
    unexplained: Vec<String>,
}

/// The index of [`DIRECT`] in `occurred`.
const FOLLOWED: usize = DIFFERENCES.len();

impl Comparison {
    fn table(&mut self) {
        let started = Instant::now();
        let cases = table::cases(&self.services.upstream_url());
        let count = cases.len();
        assert!(count >= 150);
        for case in cases {
            let exchange = match case.when_ended {
                true => self.services.ask_when_ended(&case.request),
                false => self.services.ask(&case.request),
            };
            if !self.judge(&exchange) {
                self.unexplained.push(description(&exchange));
            }
        }
        println!("{count} written requests in {:.1?}", started.elapsed());
    }

    fn random(&mut self, seed: u64, count: u64) {
        let started = Instant::now();
        let mut random = Random::new(seed);
        for _ in 0..count {
            let request = random::request(&mut random);
            if !self.agree(&request) {
                let smallest = random::shrink(&request, |request| !self.agree(request));
                let exchange = self.services.ask(&smallest);
                self.unexplained.push(description(&exchange));
            }
            if self.unexplained.len() >= SHOWN {
                return;
            }
        }
        println!("{count} random requests in {:.1?}", started.elapsed());
    }

    fn agree(&mut self, request: &Request) -> bool {
        let exchange = self.services.ask(request);
        self.judge(&exchange)
    }

    /// Whether the answers are equal, or differ deliberately.
    fn judge(&mut self, exchange: &Exchange) -> bool {
        let explained = if exchange.ours == exchange.theirs {
            None
        } else {
            let mut known = DIFFERENCES.iter();
            match known.position(|difference| (difference.explains)(exchange)) {
                None => return false,
                index => index,
            }
        };
        let followed = exchange.followed.then_some(FOLLOWED);
        for index in explained.into_iter().chain(followed) {
            *self.occurred.entry(index).or_default() += 1;
        }
        true
    }

    fn finish(self) {
        let entries = DIFFERENCES.iter().map(|difference| difference.entry);
        for (index, entry) in entries.chain([DIRECT]).enumerate() {
            let count = self.occurred.get(&index).copied().unwrap_or(0);
            println!("{count:>6} × {entry}");
        }
        let missing = (0..=FOLLOWED)
            .filter(|index| !self.occurred.contains_key(index))
            .count();
        let count = self.unexplained.len();
        assert!(
            count == 0,
            "{count} requests differ:\n\n{}",
            self.unexplained.join("\n\n")
        );
        assert!(
            missing == 0,
            "{missing} deliberate differences never occurred: see above"
        );
    }
}

fn description(exchange: &Exchange) -> String {
    let answer = |seen: &services::Seen| {
        let headers = [&seen.content_type, &seen.location, &seen.allow];
        format!("{} {headers:?} {}", seen.status, shown(&seen.body))
    };
    let followed = if exchange.followed {
        " (redirected)"
    } else {
        ""
    };
    format!(
        "{}\n  here:    {}\n  FastAPI: {}{followed}",
        exchange.request,
        answer(&exchange.ours),
        answer(&exchange.theirs)
    )
}
