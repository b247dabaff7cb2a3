//! The tables of a group.

use super::format::{range, ratio, summary, table, value};
use crate::groups::THIS;
use crate::series::Series;

/// All tables of a group's series.
#[must_use]
pub fn tables(series: &[Series]) -> String {
    let parts = [compared(series), of_functions(series)];
    let parts = parts.into_iter().filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("\n")
}

/// The comparison of the sides. A figure of one of several functions is included only if another
/// side has the figure too.
fn compared(series: &[Series]) -> String {
    let mut done: Vec<(&str, &str)> = Vec::new();
    let mut rows = Vec::new();
    for first in series {
        let key = (first.subject.as_str(), first.what.as_str());
        if done.contains(&key) {
            continue;
        }
        done.push(key);
        let alike = series.iter();
        let mut alike: Vec<&Series> = alike
            .filter(|other| (other.subject.as_str(), other.what.as_str()) == key)
            .collect();
        if alike.len() > 1 || key.0.is_empty() {
            // This service is first; the other sides stay in order.
            alike.sort_by_key(|series| series.side != THIS);
            rows.extend(rows_of(&alike));
        }
    }
    if rows.is_empty() {
        return String::new();
    }
    table(
        &["Figure", "Side", "Median", "Quartiles", "To this service"],
        &rows,
    )
}

fn rows_of(alike: &[&Series]) -> Vec<Vec<String>> {
    let this = alike.iter().find(|series| series.side == THIS);
    let this = this.map_or(f64::NAN, |series| series.median());
    let row = |series: &&Series| {
        let median = series.median();
        let to_this = match series.side.as_str() {
            THIS => String::new(),
            _ => ratio(median, this),
        };
        vec![
            title(series),
            series.side.clone(),
            value(series.unit, median),
            range(series.unit, series.spread(), median),
            to_this,
        ]
    };
    alike.iter().map(row).collect()
}

fn title(series: &Series) -> String {
    match series.subject.as_str() {
        "" => series.what.clone(),
        subject => format!("{}, {}", name(subject), series.what),
    }
}

/// A function's name is formatted as code; a text with spaces is no function's name.
fn name(subject: &str) -> String {
    if subject.contains(' ') {
        subject.to_owned()
    } else {
        format!("`{subject}`")
    }
}

/// This service's functions, with a column for each figure.
///
fn of_functions(series: &[Series]) -> String {
    let own = || {
        let own = series.iter();
        own.filter(|series| series.side == THIS && !series.subject.is_empty())
    };
    let (mut functions, mut figures) = (Vec::new(), Vec::new());
    for series in own() {
        if !functions.contains(&series.subject.as_str()) {
            functions.push(series.subject.as_str());
        }
        if !figures.contains(&series.what.as_str()) {
            figures.push(series.what.as_str());
        }
    }
    if functions.is_empty() {
        return String::new();
    }
    let cell = |function: &str, figure: &str| {
        let found = own().find(|series| series.subject == function && series.what == figure);
        found.map_or(String::new(), |series| match series.samples[..] {
            [only] => value(series.unit, only),
            _ => summary(series),
        })
    };
    let rows: Vec<Vec<String>> = functions
        .iter()
        .map(|function| {
            let cells = figures.iter().map(|figure| cell(function, figure));
            [name(function)].into_iter().chain(cells).collect()
        })
        .collect();
    let head: Vec<&str> = ["Function"]
        .into_iter()
        .chain(figures.iter().copied())
        .collect();
    table(&head, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::Unit;

    fn series(subject: &str, what: &str, side: &str, samples: &[f64]) -> Series {
        let mut series = Series::new("g", what, side, Unit::Count).of(subject);
        series.samples = samples.to_vec();
        series
    }

    #[test]
    fn sides_are_compared_with_this_one() {
        let all = [
            series("", "w", "other", &[4.0, 4.0, 8.0]),
            series("", "w", THIS, &[2.0]),
            series("", "alone", "other", &[1.0]),
        ];
        let text = tables(&all);
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].contains(THIS) && !lines[0].contains('×'));
        assert!(lines[1].contains("4.00–6.00") && lines[1].contains("2.00 ×"));
        assert!(lines[2].contains("alone"));
    }

    #[test]
    fn functions_have_a_row_each() {
        let all = [
            series("root", "CPU", THIS, &[1.0, 3.0]),
            series("root", "CPU", "other", &[4.0]),
            series("worker", "CPU", THIS, &[5.0]),
            series("worker", "size", THIS, &[6.0]),
        ];
        let text = tables(&all);
        assert!(text.contains("| `root`, CPU | other"));
        assert!(text.contains("| `root`   | 2.00 (1.50–2.50) |      |"));
        assert!(text.contains("| `worker` | 5.00             | 6.00 |"));
    }
}
