//! The stored instruction counts, and comparisons with them.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use local_stack::{Context, Error, Result, project};
use serde_json::Value;

use crate::count::Counts;

/// The tolerance in per cent: a count above fails the test, and a count below prints a hint.
/// Repeated runs differ by less than one per cent.
const TOLERANCE: f64 = 5.0;

/// The tolerance for the list of tasks, in per cent. Its count depends on the random ids of the
/// tasks: the list reads eight partitions, and the rows in them change the count by up to a fifth
/// from run to run.
const TOLERANCE_OF_TASKS: f64 = 25.0;

/// The properties of the machine that a count depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform(BTreeMap<String, String>);

/// The counts of all functions, and the platform that they are valid for.
#[derive(Debug, Clone)]
pub struct Figures {
    /// The platform of the counts.
    pub platform: Platform,
    /// The counts of each function, by name.
    pub functions: BTreeMap<String, Counts>,
}

impl Platform {
    /// The platform of this machine.
    ///
    /// The C library is a part of it because its dynamic linker runs at each start. Valgrind is a
    /// part because it determines the processor features that the program sees.
    pub fn here() -> Result<Platform> {
        let rustc = say("rustc", &["--version"])?;
        let rustc = rustc
            .split_whitespace()
            .nth(1)
            .unwrap_or_default()
            .to_owned();
        let parts = [
            ("architecture", std::env::consts::ARCH.to_owned()),
            ("libc", say("getconf", &["GNU_LIBC_VERSION"])?),
            ("rustc", rustc),
            ("valgrind", say("valgrind", &["--version"])?),
        ];
        let parts = parts.map(|(name, value)| (name.to_owned(), value));
        Ok(Platform(parts.into()))
    }

    /// The differences from another platform, as a text for people; `None` if there are none.
    pub fn difference(&self, other: &Platform) -> Option<String> {
        let differing = self.0.iter().filter_map(|(name, value)| {
            let there = other.0.get(name).map_or("unknown", String::as_str);
            (there != value).then(|| format!("{name} is {value} and not {there}"))
        });
        let differing: Vec<String> = differing.collect();
        (!differing.is_empty()).then(|| differing.join(", "))
    }
}

/// The first line of a program's output.
fn say(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.context(format_args!("cannot run {program}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().next().unwrap_or_default().trim();
    Ok(line.to_owned())
}

fn path() -> PathBuf {
    project::root().join("tests/bench/instructions.json")
}

impl Figures {
    /// Reads the stored counts; empty if the file does not exist.
    pub fn read() -> Result<Figures> {
        let text = match fs::read_to_string(path()) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => "{}".to_owned(),
            Err(error) => return Err(error).context("cannot read the figures"),
        };
        let value: Value = serde_json::from_str(&text).context("instructions.json")?;
        let entries = |name: &str| value[name].as_object().into_iter().flatten();
        let platform = entries("platform").map(|(name, part)| {
            let part = part.as_str().unwrap_or_default();
            (name.clone(), part.to_owned())
        });
        let functions = entries("functions").map(|(name, counts)| {
            let figure = |figure: &str| {
                let missing = || Error::new(format!("instructions.json: {name} has no {figure}"));
                counts[figure].as_u64().ok_or_else(missing)
            };
            let (start, warm) = (figure("start")?, figure("warm")?);
            Ok((name.clone(), Counts { start, warm }))
        });
        Ok(Figures {
            platform: Platform(platform.collect()),
            functions: functions.collect::<Result<_>>()?,
        })
    }

    /// Writes the counts to the file.
    pub fn write(&self) -> Result<()> {
        fs::write(path(), self.to_string()).context("cannot write the figures")
    }
}

impl Display for Figures {
    /// The text of the file: sorted, with one line for each function.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let platform = self.platform.0.iter();
        let platform = platform.map(|(name, part)| format!("{name:?}: {part:?}"));
        let functions = self.functions.iter().map(|(name, counts)| {
            format!(
                "{name:?}: {{\"start\": {}, \"warm\": {}}}",
                counts.start, counts.warm
            )
        });
        let block = |lines: Vec<String>| lines.join(",\n    ");
        writeln!(
            out,
            "{{\n  \"platform\": {{\n    {}\n  }},\n  \"functions\": {{\n    {}\n  }}\n}}",
            block(platform.collect()),
            block(functions.collect())
        )
    }
}

/// The result of a comparison with the stored counts.
#[derive(Debug)]
pub enum Verdict {
    /// A count is above the tolerance; the text has the counts.
    Over(String),
    /// A count is below the tolerance; the text has the counts.
    Under(String),
    /// All counts are within the tolerance.
    Same,
}

/// Compares a function's counts with the stored ones. A count above the tolerance decides over a
/// count below.
pub fn compare(name: &str, counts: Counts, stored: Counts) -> Verdict {
    let tolerance = match name {
        "list_tasks" => TOLERANCE_OF_TASKS,
        _ => TOLERANCE,
    };
    let (mut over, mut under) = (String::new(), String::new());
    for (what, count, before) in [
        ("start", counts.start, stored.start),
        ("warm invocation", counts.warm, stored.warm),
    ] {
        let change = (count as f64 / before.max(1) as f64 - 1.0) * 100.0;
        let list = match change {
            change if change > tolerance => &mut over,
            change if change < -tolerance => &mut under,
            _ => continue,
        };
        let comma = if list.is_empty() { "" } else { ", " };
        let (before, count) = (grouped(before), grouped(count));
        let _ = write!(list, "{comma}{what} {before} → {count} ({change:+.1} %)");
    }
    match (over.is_empty(), under.is_empty()) {
        (false, _) => Verdict::Over(over),
        (true, false) => Verdict::Under(under),
        (true, true) => Verdict::Same,
    }
}

/// A number with separators between thousands.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev();
    let groups: Vec<_> = groups.map(String::from_utf8_lossy).collect();
    groups.join(",")
}
