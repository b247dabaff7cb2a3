//! This service and the FastAPI service that it replaces answer the same requests in the same way.
//!
//! Both run for real. They are sent the same bytes: first a written table, then random requests. The
//! status, `content-type`, `location`, `allow` and the body must be equal, but for the deliberate
//! differences that `differences.rs` and `docs/FASTAPI.md` list.
//!
//! `PARITY_REQUESTS` sets how many random requests are sent and `PARITY_SEED` which. One that differs
//! is made as small as it can be before it is shown.

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

/// How many differences are shown before the test gives up.
const SHOWN: usize = 10;

#[test]
fn this_service_answers_as_fastapi_does() {
    // First, since it is around the environment of FastAPI.
    setup::run_tools().expect("the local stack's tools");
    let python = setup::python_with_fastapi().expect("FastAPI");
    if !speaks_as_ours(&python) {
        eprintln!(
            "SKIPPED: comparing with FastAPI needs Python 3.11 or 3.12, the decoder of 3.13 has other words"
        );
        return;
    }
    let services = Services::start(&python).expect("both services");
    let mut comparison = Comparison {
        services,
        met: HashMap::new(),
        found: Vec::new(),
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
    let told: Vec<&str> = DIFFERENCES
        .iter()
        .map(|difference| difference.told)
        .collect();
    for told in told.iter().chain([&DIRECT]) {
        assert!(
            list.contains(&format!("\n* {told}")),
            "not in docs/FASTAPI.md: {told}"
        );
    }
    for entry in list.split("\n* ").skip(1) {
        let tested = told
            .iter()
            .chain([&DIRECT])
            .any(|told| entry.starts_with(told));
        assert!(tested, "not in the test: {entry}");
    }
}

/// Whether a Python's JSON decoder has the words of 3.11.
fn speaks_as_ours(python: &Path) -> bool {
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
    /// How often each deliberate difference was met.
    met: HashMap<usize, usize>,
    /// What nothing explains.
    found: Vec<String>,
}

/// The place of [`DIRECT`] among those that were met.
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
                self.found.push(described(&exchange));
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
                self.found.push(described(&exchange));
            }
            if self.found.len() >= SHOWN {
                return;
            }
        }
        println!("{count} random requests in {:.1?}", started.elapsed());
    }

    fn agree(&mut self, request: &Request) -> bool {
        let exchange = self.services.ask(request);
        self.judge(&exchange)
    }

    /// Whether the answers are the same, or differ on purpose.
    fn judge(&mut self, exchange: &Exchange) -> bool {
        let explained = if exchange.ours == exchange.theirs {
            None
        } else {
            let mut known = DIFFERENCES.iter();
            match known.position(|difference| (difference.explains)(exchange)) {
                None => return false,
                place => place,
            }
        };
        let followed = exchange.followed.then_some(FOLLOWED);
        for met in explained.into_iter().chain(followed) {
            *self.met.entry(met).or_default() += 1;
        }
        true
    }

    fn finish(self) {
        let told = DIFFERENCES.iter().map(|difference| difference.told);
        for (place, told) in told.chain([DIRECT]).enumerate() {
            let count = self.met.get(&place).copied().unwrap_or(0);
            println!("{count:>6} × {told}");
        }
        let unmet = (0..=FOLLOWED)
            .filter(|place| !self.met.contains_key(place))
            .count();
        let found = self.found.len();
        assert!(
            found == 0,
            "{found} requests differ:\n\n{}",
            self.found.join("\n\n")
        );
        assert!(
            unmet == 0,
            "{unmet} deliberate differences were never met: see above"
        );
    }
}

fn described(exchange: &Exchange) -> String {
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
