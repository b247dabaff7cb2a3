//! Groups of figures that belong together. Each group has a table, a plot and a section in the
//! report.

use local_stack::{Error, Result};

use crate::peers::Peers;
use crate::series::{Series, Unit};
use crate::stage::Stage;

pub(crate) mod batch;
pub(crate) mod celery;
pub(crate) mod client;
pub(crate) mod invocations;
pub(crate) mod mapping;
pub(crate) mod profile;
pub(crate) mod scaling;
pub(crate) mod schedules;
pub(crate) mod start;
pub(crate) mod tasks;
pub(crate) mod upstream;
pub(crate) mod urls;

/// All groups, in the order in which they are measured and reported.
pub const GROUPS: &[Group] = &[
    start::GROUP,
    invocations::GROUP,
    upstream::GROUP,
    urls::GROUP,
    profile::GROUP,
    tasks::GROUP,
    batch::GROUP,
    celery::GROUP,
    scaling::workers::GROUP,
    scaling::table::GROUP,
    schedules::GROUP,
];

/// The side that all others are compared with: this service.
pub const THIS: &str = "this service";
/// This service with the bodies of tasks in Python.
pub const PYTHON_BODIES: &str = "this service, bodies in Python";
/// The FastAPI service.
pub const FASTAPI: &str = "FastAPI on uvicorn";
/// The worker of the FastAPI service.
pub const CELERY: &str = "Celery worker";
/// The queue and the results of the FastAPI service.
pub const REDIS: &str = "Redis";
/// A Celery worker with a pool of processes, and Redis.
pub const PREFORK: &str = "Celery worker (prefork) and Redis";
/// A Celery worker with one process, and Redis.
pub const SOLO: &str = "Celery worker (solo) and Redis";
/// All processes of the FastAPI service together.
pub const REPLACED: &str = "FastAPI, Celery and Redis";
/// The FastAPI service as one Lambda function.
pub const MANGUM: &str = "FastAPI and Mangum";
/// A minimal function in Node.js.
pub const NODE: &str = "Node.js loop";
/// A minimal function with `lambda_http`.
pub const LAMBDA_HTTP: &str = "bare lambda_http";
/// A minimal function with only `std`.
pub const LOOP: &str = "bare loop";

/// The size of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Effort {
    /// Whether the run is a quick check that everything works, in a few minutes.
    pub quick: bool,
    /// The number of rounds; `None` for each group's own number.
    pub rounds: Option<usize>,
}

/// The programs and settings that the groups measure with.
pub struct Bench {
    /// The stage of this service's functions.
    pub stage: Stage,
    /// The programs that this service is compared with.
    pub peers: Peers,
    /// The size of the run.
    pub effort: Effort,
}

/// A group of figures.
#[derive(Debug, Clone, Copy)]
pub struct Group {
    /// The group's name on the command line and in file names.
    pub name: &'static str,
    /// The title of the group's section.
    pub title: &'static str,
    /// The group's method, in Markdown.
    pub about: &'static str,
    /// The figures ([`Series::what`]) in the plot, each in its own panel.
    pub drawn: &'static [&'static str],
    /// Measures the group.
    pub run: fn(&mut Bench) -> Result<Vec<Series>>,
}

impl Effort {
    /// The number of rounds: the requested number, otherwise `full`, or two in a quick run.
    #[must_use]
    pub fn rounds(self, full: usize) -> usize {
        self.rounds.unwrap_or(self.of(full, 2)).max(1)
    }

    /// A value for a full run, or for a quick run.
    #[must_use]
    pub fn of<T>(self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }
}

/// The groups with these names, which are separated by commas.
///
/// # Errors
/// When a group does not exist.
pub fn named(names: &str) -> Result<Vec<&'static Group>> {
    let of_name = |name: &str| {
        let known: Vec<&str> = GROUPS.iter().map(|group| group.name).collect();
        let found = GROUPS.iter().find(|group| group.name == name);
        found.ok_or_else(|| {
            Error::new(format!(
                "no group {name}; the groups are {}",
                known.join(", ")
            ))
        })
    };
    names.split(',').map(of_name).collect()
}

/// Prints the progress of a group.
fn progress(group: &str, round: usize, rounds: usize) {
    println!("  {group}: round {round} of {rounds}");
}

/// Collects samples into series, which are in order of their first samples.
#[derive(Debug)]
pub struct Figures {
    group: &'static str,
    series: Vec<Series>,
}

impl Figures {
    /// An empty collection for the group with this name.
    #[must_use]
    pub fn new(group: &'static str) -> Figures {
        Figures {
            group,
            series: Vec::new(),
        }
    }

    /// Adds a sample to the series with these names.
    pub fn add(&mut self, what: &str, side: &str, unit: Unit, sample: f64) {
        self.add_of("", what, side, unit, sample);
    }

    /// Adds a sample to the series of one of several functions.
    pub fn add_of(&mut self, subject: &str, what: &str, side: &str, unit: Unit, sample: f64) {
        let known = self
            .series
            .iter_mut()
            .find(|series| series.subject == subject && series.what == what && series.side == side);
        match known {
            Some(series) => series.samples.push(sample),
            None => {
                let mut series = Series::new(self.group, what, side, unit).of(subject);
                series.samples.push(sample);
                self.series.push(series);
            }
        }
    }

    /// The collected series.
    #[must_use]
    pub fn into_series(self) -> Vec<Series> {
        self.series
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_with_the_same_names_are_one_series() {
        let mut figures = Figures::new("g");
        for (subject, side, sample) in [("", "a", 1.0), ("f", "a", 2.0), ("", "a", 3.0)] {
            figures.add_of(subject, "w", side, Unit::Seconds, sample);
        }
        let series = figures.into_series();
        assert_eq!(series[0].samples, [1.0, 3.0]);
        assert_eq!((series[1].subject.as_str(), series.len()), ("f", 2));
    }

    #[test]
    fn groups_are_found_by_name() {
        let found = named("urls,start").unwrap();
        let names: Vec<&str> = found.iter().map(|group| group.name).collect();
        assert_eq!(names, ["urls", "start"]);
        assert!(named("urls,x").unwrap_err().to_string().contains("start, "));
    }

    #[test]
    fn a_quick_run_is_short_unless_it_has_a_number_of_rounds() {
        let quick = Effort {
            quick: true,
            rounds: None,
        };
        assert_eq!((quick.rounds(7), quick.of(300, 50)), (2, 50));
        let asked = Effort {
            rounds: Some(5),
            ..quick
        };
        assert_eq!((asked.rounds(7), Effort::default().rounds(7)), (5, 7));
    }
}
