//! The machine and the versions of a measurement.

use std::fs;
use std::path::Path;
use std::process::Command;

use local_stack::project;

use crate::peers::Peers;

/// Names and values for people.
pub type Facts = Vec<(&'static str, String)>;

/// The machine, the versions, and the date.
#[must_use]
pub fn facts(peers: &Peers) -> Facts {
    let system = |name: &str| read(&format!("/proc/sys/kernel/{name}"));
    vec![
        ("Date", today()),
        ("Commit", commit()),
        ("CPU", cpu()),
        ("Memory", memory()),
        (
            "Kernel",
            format!("{} {}", system("ostype"), system("osrelease")),
        ),
        ("Rust", said(Path::new("rustc"), &["--version"])),
        ("Python", said(&peers.python, &["--version"])),
        ("Python packages", packages()),
        (
            "Redis",
            of(peers.redis.as_deref(), |said| {
                let version = said
                    .split_whitespace()
                    .find_map(|word| word.strip_prefix("v="));
                version.unwrap_or(&said).to_owned()
            }),
        ),
        ("Node.js", of(peers.node.as_deref(), |said| said)),
    ]
}

fn today() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()
}

/// The commit, and whether the working tree differs from it.
fn commit() -> String {
    let git = |words: &[&str]| {
        let mut command = Command::new("git");
        command.arg("-C").arg(project::root()).args(words);
        output(command)
    };
    let head = git(&["rev-parse", "--short=12", "HEAD"]);
    let head = head.unwrap_or_else(|| "unknown".to_owned());
    // This program writes these files itself.
    let except = [":!docs/PERFORMANCE.md", ":!docs/performance"];
    let changed = git(&["status", "--porcelain", "--", ".", except[0], except[1]]);
    match changed.as_deref() {
        None | Some("") => head,
        Some(_) => format!("{head}, with changes that are not committed"),
    }
}

fn cpu() -> String {
    let text = read("/proc/cpuinfo");
    let model = text.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split_once(':'));
    let model = model.map_or("unknown", |(_, name)| name.trim());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{model}, {cores} cores")
}

fn memory() -> String {
    let text = read("/proc/meminfo");
    let kilobytes = text.split_whitespace().nth(1);
    let kilobytes: Option<f64> = kilobytes.and_then(|text| text.parse().ok());
    kilobytes.map_or("unknown".to_owned(), |kilobytes| {
        format!("{:.1} GB", kilobytes * 1024.0 / 1e9)
    })
}

/// The pinned versions of the peers' packages.
fn packages() -> String {
    let pins = read(
        &project::root()
            .join("infra/local/requirements-bench.txt")
            .display()
            .to_string(),
    );
    let pins = pins.lines().filter(|line| line.contains("=="));
    pins.map(|pin| pin.replace("==", " "))
        .collect::<Vec<_>>()
        .join(", ")
}

fn of(program: Option<&Path>, version: impl Fn(String) -> String) -> String {
    program.map_or("not installed: not measured".to_owned(), |program| {
        version(said(program, &["--version"]))
    })
}

fn said(program: &Path, words: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(words);
    output(command).unwrap_or_else(|| "unknown".to_owned())
}

fn output(mut command: Command) -> Option<String> {
    let output = command
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn read(path: &str) -> String {
    fs::read_to_string(path)
        .unwrap_or_default()
        .trim()
        .to_owned()
}

// Only Linux has /proc.
#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_described() {
        assert!(cpu().ends_with(" cores") && memory().ends_with(" GB"));
        assert!(packages().contains("fastapi 0."));
        assert_eq!(today().len(), 10);
        assert_eq!(of(None, |said| said), "not installed: not measured");
    }
}
