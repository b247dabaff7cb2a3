//! The report: a Markdown document with tables, and a plot for each group.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use local_stack::{Context, Result};
use serde_json::json;

use crate::groups::{GROUPS, Group};
use crate::machine::Facts;
use crate::series::Series;

mod budgets;
mod charts;
pub(crate) mod format;
mod tables;

pub use tables::tables;

/// The text above the table of budgets.
const INTRODUCTION: &str = include_str!("introduction.md");

/// All results of a run.
#[derive(Debug)]
pub struct Report {
    /// The machine and the versions.
    pub facts: Facts,
    /// All measured series.
    pub series: Vec<Series>,
}

impl Report {
    /// Writes the document, and the plots into the folder `performance` next to it.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, document: &Path) -> Result<()> {
        let folder = document.with_file_name("performance");
        fs::create_dir_all(&folder).context(format_args!("cannot create {}", folder.display()))?;
        let mut text = self.head();
        for group in GROUPS {
            let series = self.of(group);
            if series.is_empty() {
                continue;
            }
            let plot = folder.join(format!("{}.svg", group.name));
            let drawn = charts::draw(group, &series, &plot)?;
            text.push_str(&section(group, &series, drawn));
        }
        fs::write(document, text).context(format_args!("cannot write {}", document.display()))
    }

    /// Writes all samples as JSON, for other programs.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_samples(&self, path: &Path) -> Result<()> {
        let facts: serde_json::Map<_, _> = self
            .facts
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect();
        let text = json!({"measured": facts, "series": self.series}).to_string();
        fs::write(path, text).context(format_args!("cannot write {}", path.display()))
    }

    fn of(&self, group: &Group) -> Vec<Series> {
        let own = self
            .series
            .iter()
            .filter(|series| series.group == group.name);
        own.cloned().collect()
    }

    /// The text before the groups.
    fn head(&self) -> String {
        let mut text = INTRODUCTION.replace("{budgets}", budgets::budgets(&self.series).trim_end());
        text.push_str("\n## Measured on\n\n");
        for (name, value) in &self.facts {
            let _ = writeln!(text, "* {name}: {value}");
        }
        text
    }
}

fn section(group: &Group, series: &[Series], drawn: bool) -> String {
    let mut text = format!("\n## {}\n\n{}\n", group.title, group.about.trim_end());
    if drawn {
        let name = group.name;
        let _ = write!(
            text,
            "\n![{}: medians, and the quartiles as lines](performance/{name}.svg)\n",
            group.title
        );
    }
    let rounds = series.iter().map(|series| series.samples.len());
    let (least, most) = (rounds.clone().min().unwrap_or(0), rounds.max().unwrap_or(0));
    let samples = if least == most {
        format!("{most}")
    } else {
        format!("{least} to {most}")
    };
    let _ = write!(
        text,
        "\nSamples of each figure: {samples}.\n\n{}",
        tables(series)
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::groups::THIS;
    use crate::series::Unit;

    #[test]
    fn a_document_contains_the_measured_figures() {
        let mut series = Series::new("upstream", "CPU", THIS, Unit::CpuPerThousand);
        series.samples = vec![0.25];
        let other = Series {
            side: "FastAPI on uvicorn".to_owned(),
            samples: vec![25.0],
            ..series.clone()
        };
        let folder = std::env::temp_dir().join(format!("bench-report-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let report = Report {
            facts: vec![("CPU", "two".to_owned())],
            series: vec![series, other],
        };
        report.write(&folder.join("P.md")).unwrap();
        report.write_samples(&folder.join("samples.json")).unwrap();
        let text = fs::read_to_string(folder.join("P.md")).unwrap();
        assert!(text.contains("* CPU: two\n") && text.contains("100 ×"));
        assert!(text.contains("(performance/upstream.svg)") && !text.contains("urls.svg"));
        assert!(!text.contains("{budgets}") && folder.join("performance/upstream.svg").is_file());
        let _ = fs::remove_dir_all(&folder);
    }
}
