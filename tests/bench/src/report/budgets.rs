//! The budgets, and whether the figures meet them.

use super::format::{NOTHING, met, range, table, value};
use crate::groups::{
    CELERY, FASTAPI, LAMBDA_HTTP, LOOP, MANGUM, NODE, PREFORK, REDIS, REPLACED, SOLO, THIS, celery,
    invocations, profile, start, tasks, upstream, urls,
};
use crate::series::{Series, Unit};

/// The columns of the sides that are Lambda functions.
const FUNCTIONS: [&str; 4] = [MANGUM, NODE, LAMBDA_HTTP, LOOP];

/// The measured series, for look-ups.
struct Found<'a>(&'a [Series]);

/// The key of a figure: its group, function and name.
type Place<'a> = (&'a str, &'a str, &'a str);

const START: Place = (start::GROUP.name, "root", start::START);
const CPU: Place = (invocations::GROUP.name, "root", invocations::CPU);
const RESIDENT: Place = (invocations::GROUP.name, "root", invocations::RESIDENT);
const SIZE: Place = (invocations::GROUP.name, "root", invocations::SIZE);
const TASKS: Place = (tasks::GROUP.name, "", tasks::CPU);
const BACKLOG: Place = (celery::GROUP.name, "", celery::BACKLOG);
const TEN: Place = (urls::GROUP.name, "", urls::TEN);
const TEN_CPU: Place = (urls::GROUP.name, "", urls::TEN_CPU);
const CSV: Place = (profile::GROUP.name, "", profile::CSV_CPU);
const LINES: Place = (profile::GROUP.name, "", profile::LINES_CPU);
const USERS: Place = (upstream::GROUP.name, "", invocations::CPU);

/// The table of all budgets.
#[must_use]
pub fn budgets(series: &[Series]) -> String {
    let found = Found(series);
    let rows = [
        found.start(),
        found.memory(),
        found.size(),
        found.times(
            "CPU of 1,000 invocations without I/O (`root`)",
            CPU,
            found.text(CPU, FASTAPI),
            &[(LAMBDA_HTTP, "`lambda_http`")],
            &[1.15, 1.05],
        ),
        found.times(
            "CPU of 1,000 tasks, submit to stored result",
            TASKS,
            found.text(TASKS, REPLACED),
            &[(REPLACED, "FastAPI, Celery and Redis")],
            &[0.3],
        ),
        found.times(
            "CPU of 1,000 tasks of a Celery client, at the worker",
            BACKLOG,
            format!(
                "prefork {}, solo {}",
                found.text(BACKLOG, PREFORK),
                found.text(BACKLOG, SOLO)
            ),
            &[(PREFORK, "prefork"), (SOLO, "solo")],
            &[0.3],
        ),
        found.ten("10 URLs, each answering after 100 ms", TEN, 0.105),
        found.ten("the same, CPU", TEN_CPU, 0.003),
        found.row(
            "CPU of 1,000 `GET /users/{id}` through the upstream",
            USERS,
            FASTAPI,
            0.5,
        ),
        found.statistics("CPU of a file's statistics, CSV", CSV, 2.0),
        found.statistics("the same, JSON Lines", LINES, 1.2),
    ];
    let head = [
        "What",
        "FastAPI service",
        "as a Lambda (Mangum)",
        "Node.js loop",
        "bare `lambda_http`",
        "bare loop, `std` only",
        "this service",
        "Budget",
        "Met",
    ];
    table(&head, &rows)
}

impl Found<'_> {
    fn series(&self, (group, subject, what): Place, side: &str) -> Option<&Series> {
        self.0.iter().find(|series| {
            let place = (series.group, series.subject.as_str(), series.what.as_str());
            place == (group, subject, what) && series.side == side
        })
    }

    /// A median as text.
    fn text(&self, place: Place, side: &str) -> String {
        let found = self.series(place, side);
        found.map_or(NOTHING.to_owned(), |series| {
            value(series.unit, series.median())
        })
    }

    fn median(&self, place: Place, side: &str) -> f64 {
        self.series(place, side).map_or(f64::NAN, Series::median)
    }

    /// The medians of all functions.
    fn of_all(&self, (group, _, what): Place) -> Vec<f64> {
        let own = { self.0.iter() }
            .filter(|series| series.group == group && series.what == what && series.side == THIS);
        own.map(Series::median).collect()
    }

    /// The cells of a row; the first one is the FastAPI service's.
    fn cells(&self, what: &str, replaced: String, place: Place) -> Vec<String> {
        let functions = FUNCTIONS.iter().map(|side| self.text(place, side));
        [what.to_owned(), replaced]
            .into_iter()
            .chain(functions)
            .collect()
    }

    /// A row for one figure of this service.
    fn row(&self, what: &str, place: Place, replaced: &str, budget: f64) -> Vec<String> {
        let mut cells = self.cells(what, self.text(place, replaced), place);
        cells.push(self.text(place, THIS));
        cells.push(value(Unit::CpuPerThousand, budget));
        cells.push(met(self.median(place, THIS), budget));
        cells
    }

    /// A row for a figure whose budgets, in order of time, are multiples of the first peer's figure. A peer
    /// is a side and the words for it.
    fn times(
        &self,
        what: &str,
        place: Place,
        replaced: String,
        peers: &[(&str, &str)],
        budgets: &[f64],
    ) -> Vec<String> {
        let mut cells = self.cells(what, replaced, place);
        let own = self.median(place, THIS);
        let mut text = self.text(place, THIS);
        for (side, words) in peers {
            let ratio = own / self.median(place, side);
            if !ratio.is_nan() {
                text.push_str(&format!(", {ratio:.2} × {words}"));
            }
        }
        cells.push(text);
        let (side, words) = peers[0];
        let each = budgets.iter();
        let each = each.map(|budget| format!("{budget:.2} × {words}"));
        cells.push(each.collect::<Vec<_>>().join(", then "));
        let ratio = own / self.median(place, side);
        let verdicts = budgets.iter().map(|budget| met(ratio, *budget));
        cells.push(verdicts.collect::<Vec<_>>().join(", then "));
        cells
    }

    /// The span of a figure that all functions have, and its largest median.
    fn span(&self, place: Place, unit: Unit) -> (String, f64) {
        let all = self.of_all(place);
        let low = all.iter().copied().fold(f64::NAN, f64::min);
        let high = all.iter().copied().fold(f64::NAN, f64::max);
        if all.is_empty() {
            return (NOTHING.to_owned(), high);
        }
        let text = value(unit, high);
        let name = text.rsplit_once(' ').map_or("", |(_, name)| name);
        let span = range(unit, (low, high), high);
        (format!("{span} {name}, {} functions", all.len()), high)
    }

    fn start(&self) -> Vec<String> {
        let worker = (START.0, "worker", START.2);
        let replaced = format!(
            "{} (uvicorn), {} (Celery worker)",
            self.text(START, FASTAPI),
            self.text(worker, CELERY)
        );
        let mut cells = self.cells("process start to first `/next`", replaced, START);
        let (span, most) = self.span(START, Unit::Seconds);
        let (budget, ratio) = (1.5, most / self.median(START, LAMBDA_HTTP));
        cells.push(match ratio.is_nan() {
            true => span,
            false => format!("{span}, at most {ratio:.2} × `lambda_http`"),
        });
        cells.push(format!("{budget:.2} × `lambda_http`"));
        cells.push(met(ratio, budget));
        cells
    }

    fn memory(&self) -> Vec<String> {
        let worker = (RESIDENT.0, "worker", RESIDENT.2);
        let replaced = format!(
            "{} + Celery {} + Redis {}",
            self.text(RESIDENT, FASTAPI),
            self.text(worker, CELERY),
            self.text(worker, REDIS)
        );
        let mut cells = self.cells("resident memory, warm", replaced, RESIDENT);
        let (span, most) = self.span(RESIDENT, Unit::Bytes);
        let budget = 8e6;
        cells.extend([span, value(Unit::Bytes, budget), met(most, budget)]);
        cells
    }

    fn size(&self) -> Vec<String> {
        let mut cells = self.cells("executable", NOTHING.to_owned(), SIZE);
        let others = self.0.iter().filter(|series| series.subject != "worker");
        let others: Vec<Series> = others.cloned().collect();
        let (_, largest) = Found(&others).span(SIZE, Unit::Bytes);
        let worker = self.median((SIZE.0, "worker", SIZE.2), THIS);
        // Only the worker contains all decoders of text encodings and compressions.
        let [least, most] = [6e6, 8e6];
        let text = |bytes: f64| match bytes.is_nan() {
            true => NOTHING.to_owned(),
            false => value(Unit::Bytes, bytes),
        };
        cells.push(format!(
            "at most {}; the worker {}",
            text(largest),
            text(worker)
        ));
        cells.push(format!("{}; the worker {}", text(least), text(most)));
        cells.push(format!("{}; {}", met(largest, least), met(worker, most)));
        cells
    }

    fn ten(&self, what: &str, place: Place, budget: f64) -> Vec<String> {
        let replaced = format!(
            "`requests` {}, `httpx` {}",
            self.text(place, "requests"),
            self.text(place, "httpx")
        );
        let mut cells = self.cells(what, replaced, place);
        cells.push(self.text(place, THIS));
        cells.push(value(Unit::Seconds, budget));
        cells.push(met(self.median(place, THIS), budget));
        cells
    }

    /// A row for a file's statistics.
    fn statistics(&self, what: &str, place: Place, budget: f64) -> Vec<String> {
        let polars = format!("`polars` {}", self.text(place, "polars"));
        self.times(what, place, polars, &[("polars", "`polars`")], &[budget])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(
        (group, subject, what): Place<'static>,
        side: &str,
        unit: Unit,
        median: f64,
    ) -> Series {
        let mut series = Series::new(group, what, side, unit).of(subject);
        series.samples = vec![median];
        series
    }

    #[test]
    fn each_budget_has_a_verdict() {
        let all = [
            series(START, THIS, Unit::Seconds, 0.001),
            series((START.0, "worker", START.2), THIS, Unit::Seconds, 0.003),
            series(START, FASTAPI, Unit::Seconds, 0.5),
            series(START, LAMBDA_HTTP, Unit::Seconds, 0.0015),
            series(CPU, THIS, Unit::CpuPerThousand, 0.055),
            series(CPU, LAMBDA_HTTP, Unit::CpuPerThousand, 0.05),
            series(TASKS, THIS, Unit::CpuPerThousand, 0.6),
            series(BACKLOG, THIS, Unit::CpuPerThousand, 0.4),
            series(BACKLOG, PREFORK, Unit::CpuPerThousand, 1.0),
            series(BACKLOG, SOLO, Unit::CpuPerThousand, 0.8),
            series(TEN, THIS, Unit::Seconds, 0.104),
            series(CSV, THIS, Unit::Seconds, 0.6),
            series(CSV, "polars", Unit::Seconds, 0.4),
        ];
        let text = budgets(&all);
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert!(lines[0].contains("500 ms (uvicorn), — (Celery worker)"));
        assert!(lines[0].contains("1.00–3.00 ms, 2 functions, at most 2.00 × `lambda_http`"));
        assert!(lines[0].contains("no, 33.3 % over"));
        assert!(lines[3].contains("1.15 × `lambda_http`, then 1.05 × `lambda_http`"));
        assert!(lines[3].contains("yes, then no, 4.76 % over"));
        assert!(lines[5].contains("0.400 s, 0.40 × prefork, 0.50 × solo"));
        assert!(lines[5].contains("no, 33.3 % over"));
        assert!(lines[6].contains("104 ms") && lines[6].contains("yes"));
        assert!(lines[9].contains("`polars` 400 ms") && lines[9].contains("1.50 × `polars`"));
        assert!(lines[9].contains("| yes"));
        assert_eq!(lines.len(), 11);
        for unknown in [lines[8], lines[10]] {
            assert!(unknown.trim_end().ends_with("—   |") || unknown.contains("| —"));
        }
    }
}
