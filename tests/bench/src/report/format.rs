//! Figures as text for people.

use crate::series::{Series, Unit};

/// The text for a missing figure.
pub const NOTHING: &str = "—";

/// A number with three significant digits, and commas between thousands.
#[must_use]
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return NOTHING.to_owned();
    }
    let size = value.abs();
    let decimals = match size {
        0.0 | 100.0.. => 0,
        10.0..100.0 => 1,
        1.0..10.0 => 2,
        // For 0.0123: the significant digits start after one zero.
        _ => 2 + (-size.log10()).ceil() as usize,
    };
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text.split_once('.').unwrap_or((&text, ""));
    let whole = thousands(whole);
    if rest.is_empty() {
        whole
    } else {
        format!("{whole}.{rest}")
    }
}

fn thousands(digits: &str) -> String {
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        let left = digits.len() - at;
        if at > 0 && left.is_multiple_of(3) && !text.ends_with('-') {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The divisor and the name of the unit for a value.
fn scale(unit: Unit, value: f64) -> (f64, &'static str) {
    match unit {
        Unit::Seconds if value < 1e-3 => (1e-6, " µs"),
        Unit::Seconds if value < 1.0 => (1e-3, " ms"),
        Unit::Seconds | Unit::CpuPerThousand => (1.0, " s"),
        Unit::Bytes if value < 1e6 => (1e3, " kB"),
        Unit::Bytes => (1e6, " MB"),
        Unit::PerSecond => (1.0, " /s"),
        Unit::Count => (1.0, ""),
    }
}

/// A value with its unit.
#[must_use]
pub fn value(unit: Unit, value: f64) -> String {
    if !value.is_finite() {
        return NOTHING.to_owned();
    }
    let (factor, name) = scale(unit, value);
    format!("{}{name}", number(value / factor))
}

/// A range of values, in the unit for the value `of`.
#[must_use]
pub fn range(unit: Unit, (low, high): (f64, f64), of: f64) -> String {
    if !low.is_finite() || !high.is_finite() {
        return NOTHING.to_owned();
    }
    let (factor, _) = scale(unit, of);
    let (low, high) = (number(low / factor), number(high / factor));
    if low == high {
        low
    } else {
        format!("{low}–{high}")
    }
}

/// A series' median, with the quartiles in parentheses.
#[must_use]
pub fn summary(series: &Series) -> String {
    let median = series.median();
    let spread = range(series.unit, series.spread(), median);
    format!("{} ({spread})", value(series.unit, median))
}

/// The ratio of a figure to another one.
#[must_use]
pub fn ratio(figure: f64, other: f64) -> String {
    if other > 0.0 && figure.is_finite() && other.is_finite() {
        format!("{} ×", number(figure / other))
    } else {
        String::new()
    }
}

/// Whether a figure is within a budget, and if not, by how much it is over.
#[must_use]
pub fn met(figure: f64, budget: f64) -> String {
    if !figure.is_finite() {
        NOTHING.to_owned()
    } else if figure <= budget {
        "yes".to_owned()
    } else {
        format!("no, {} % over", number((figure / budget - 1.0) * 100.0))
    }
}

/// A Markdown table with aligned columns, so that its source is readable too.
#[must_use]
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let widths = cells.map(|cell| cell.chars().count());
        widths
            .chain([head[column].chars().count(), 3])
            .max()
            .unwrap_or(3)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &[String]| {
        let cells = widths.iter().zip(cells);
        let cells = cells.map(|(width, cell)| format!("{cell:width$}"));
        format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
    };
    let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    let mut text = line(&head) + &line(&rule);
    for row in rows {
        text.push_str(&line(row));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_significant_digits() {
        for (value, text) in [
            (0.0, "0"),
            (0.012_34, "0.0123"),
            (0.5, "0.500"),
            (1.0, "1.00"),
            (12.34, "12.3"),
            (123.4, "123"),
            (1234.5, "1,234"),
            (1_234_567.0, "1,234,567"),
            (-123_456.0, "-123,456"),
            (f64::NAN, "—"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn values_have_a_unit_of_their_magnitude() {
        assert_eq!(value(Unit::Seconds, 0.000_25), "250 µs");
        assert_eq!(value(Unit::Seconds, 0.0365), "36.5 ms");
        assert_eq!(value(Unit::Seconds, 1.75), "1.75 s");
        assert_eq!(value(Unit::Bytes, 1.6e6), "1.60 MB");
        assert_eq!(value(Unit::Bytes, 300e3), "300 kB");
        assert_eq!(value(Unit::CpuPerThousand, 0.035), "0.0350 s");
        assert_eq!(value(Unit::PerSecond, 4321.0), "4,321 /s");
        assert_eq!(range(Unit::Seconds, (0.0009, 0.002), 0.0015), "0.900–2.00");
    }

    #[test]
    fn ratios_and_budget_verdicts_are_formatted() {
        assert_eq!(ratio(3.0, 1.5), "2.00 ×");
        assert_eq!(ratio(3.0, 0.0), "");
        assert_eq!(
            (met(2.0, 2.0), met(f64::NAN, 1.0)),
            ("yes".into(), "—".into())
        );
        assert_eq!(met(0.6, 0.5), "no, 20.0 % over");
    }

    #[test]
    fn tables_are_aligned() {
        let rows = [vec!["é".to_owned(), "22222".to_owned()]];
        assert_eq!(
            table(&["a", "b"], &rows),
            "| a   | b     |\n| --- | ----- |\n| é   | 22222 |\n"
        );
    }
}
