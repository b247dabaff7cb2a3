//! The report of a storm, as a table.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::clients::Submitted;
use crate::fault::Fault;
use crate::judge;
use crate::kills::Victims;
use crate::observer::{Counts, Observer};
use crate::service::Service;

/// The figures of a storm.
pub struct Report<'a> {
    pub seed: u64,
    pub submitted: &'a Submitted,
    pub victims: &'a Victims,
    /// All records after the storm.
    pub records: &'a [Value],
    pub counts: &'a Counts,
    pub poison: usize,
    /// The time until each of these events.
    pub times: &'a [(&'static str, Duration)],
}

/// Log messages about kills, and about faults that outlasted the SDK's retries.
const TROUBLE: [&str; 7] = [
    "record could not be written",
    "visibility timeouts are unchanged",
    "a heartbeat failed",
    "the lease was lost",
    "was not dead-lettered",
    "a one-time schedule was not deleted",
    "Runtime exited",
];

impl Report<'_> {
    /// Prints the report.
    pub fn print(&self, service: &Service) {
        let observer = service.observer();
        println!("\n── storm, seed {} ──", self.seed);
        let times = self.times.iter();
        let times: Vec<String> = times
            .map(|(what, time)| format!("{what} {:.1} s", time.as_secs_f64()))
            .collect();
        line("from the start until", &times.join(", "));
        self.print_faults(observer);
        line("processes", &pairs(self.victims));
        let trouble = TROUBLE.map(|text| (text, service.lines_with(text)));
        line("logged", &pairs(&BTreeMap::from(trouble)));
        let accepted = &self.submitted.accepted;
        line("accepted", &accepted.len().to_string());
        line(
            "  by kind",
            &pairs(&tally(accepted.iter().map(|task| task.order.kind.name()))),
        );
        line("not accepted, by status", &pairs(&self.submitted.refused));
        line("poison and duplicates sent", &self.poison.to_string());
        let states = self
            .records
            .iter()
            .filter_map(|record| record["state"].as_str());
        line("final states", &pairs(&tally(states)));
        line("final writes", &self.final_writes());
        line("writes to records", &pairs(&self.counts.writes));
        line("  refused", &pairs(&self.counts.refused));
        line("calls", &pairs(&self.counts.calls));
        line("  retries of the SDK", &pairs(&self.counts.tries));
        let attempts = self
            .records
            .iter()
            .map(|record| judge::outcomes(record).count());
        line("tasks by attempts", &pairs(&tally(attempts)));
        let outcomes = self.records.iter().flat_map(judge::outcomes);
        line("attempts by outcome", &pairs(&tally(outcomes)));
        println!();
    }

    fn print_faults(&self, observer: &Observer) {
        let faults = observer.faults();
        let total: u64 = faults.values().sum();
        line("faults", &total.to_string());
        for fault in Fault::ALL {
            let of_it = faults.iter().filter(|((one, _), _)| *one == fault);
            let of_it: BTreeMap<&str, u64> = of_it
                .map(|((_, operation), count)| (operation.as_str(), *count))
                .collect();
            let count: u64 = of_it.values().sum();
            line(
                &format!("  {}", fault.name()),
                &format!("{count}: {}", pairs(&of_it)),
            );
        }
    }

    fn final_writes(&self) -> String {
        let runs = self
            .records
            .iter()
            .filter_map(|record| record["run"].as_u64());
        let writes: u64 = crate::call::FINAL
            .iter()
            .chain([&crate::call::MOVED])
            .map(|state| self.counts.writes(state))
            .sum();
        format!("{writes} of {} runs", runs.sum::<u64>())
    }
}

fn line(name: &str, value: &str) {
    println!("{name:<28} {value}");
}

fn tally<K: Ord>(all: impl Iterator<Item = K>) -> BTreeMap<K, u64> {
    let mut counts = BTreeMap::new();
    for one in all {
        *counts.entry(one).or_default() += 1;
    }
    counts
}

fn pairs<K: std::fmt::Display>(counts: &BTreeMap<K, u64>) -> String {
    let pairs: Vec<String> = counts
        .iter()
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    pairs.join(", ")
}
