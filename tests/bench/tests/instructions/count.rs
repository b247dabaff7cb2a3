//! Counts the instructions of one function's process with callgrind.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bench::runtime::Function;
use bench::stage::Stage;
use bench::workload::Workload;
use local_stack::{Context, Error, Result, project};
use serde_json::Value;

/// The number of processes of each function. Counts differ between processes because of random hash
/// keys and of the order in which the kernel delivers data.
const PROCESSES: usize = 3;

/// Invocations before the measured ones: the first one opens connections, and in the second one
/// some buffers still grow.
const WARM_UP: usize = 2;

/// The measured invocations of each process.
const MEASURED: usize = 3;

/// Rows of each kind before the first measurement. With so many rows a page of a list is always
/// full, and so is a page of each partition that a list reads; tasks have eight partitions.
const ROWS: usize = 250;

/// The instructions of a function, in user mode, of all threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// From the start of the process to its first request for an event.
    pub start: u64,
    /// For one invocation of a warm process, up to its next request for an event.
    pub warm: u64,
}

/// Starts a stage with rows.
pub fn stage(executables: &Path) -> Result<Stage> {
    let mut stage = Stage::start(executables)?;
    for creator in ["create_item", "create_user", "process"] {
        fill(&mut stage, creator)?;
    }
    Ok(stage)
}

/// Creates rows with the function `creator`.
fn fill(stage: &mut Stage, creator: &str) -> Result<()> {
    let workload = Workload::of(creator)?;
    let (mut function, _) = Function::start(&stage.program(creator)?)?;
    for _ in 0..ROWS {
        let event = workload.event(stage)?;
        function.invoke(event.as_bytes())?;
    }
    Ok(())
}

/// Counts the instructions of a workload: the medians over processes and invocations.
pub fn count(stage: &mut Stage, name: &str) -> Result<Counts> {
    let workload = Workload::named(name)?;
    stage.change_function();
    if name == "list_tasks" {
        // The list starts with the newest task, and other functions have left tasks in other
        // states.
        fill(stage, "process")?;
    }
    let (mut starts, mut warm) = (Vec::new(), Vec::new());
    for _ in 0..PROCESSES {
        let mut counted = Counted::start(stage, workload.function, name)?;
        starts.push(counted.read()?);
        for number in 0..WARM_UP + MEASURED {
            let event = workload.event(stage)?;
            let answer = counted.function.invoke(event.as_bytes())?;
            expect_success(name, &answer.body)?;
            let instructions = counted.read()?;
            if number >= WARM_UP {
                warm.push(instructions);
            }
        }
    }
    Ok(Counts {
        start: median(starts),
        warm: median(warm),
    })
}

/// The functions that may answer 404: for a path without a route, and to a report without a good token.
const MISSING: [&str; 2] = ["fallback", "report_progress"];

/// Returns an error for a failed invocation, whose cost means nothing.
fn expect_success(name: &str, answer: &[u8]) -> Result<()> {
    let value: Value = serde_json::from_slice(answer).context("an answer")?;
    let status = value["statusCode"].as_u64().unwrap_or(200);
    let failures = value["batchItemFailures"].as_array().map_or(0, Vec::len);
    if failures == 0 && (status < 400 || (MISSING.contains(&name) && status == 404)) {
        return Ok(());
    }
    Err(Error::new(format!("{name} failed: {value}")))
}

fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values[values.len() / 2]
}

/// A process under callgrind.
struct Counted {
    function: Function,
    folder: PathBuf,
    dumps: usize,
}

impl Counted {
    /// Starts a function. `name` is the name of a folder.
    fn start(stage: &Stage, function: &str, name: &str) -> Result<Counted> {
        let folder = project::target().join("instructions").join(name);
        let _ = fs::remove_dir_all(&folder);
        let created = fs::create_dir_all(&folder);
        created.context(format_args!("cannot create {}", folder.display()))?;
        let mut program = stage.program(function)?;
        let valgrind = [
            "valgrind".to_owned(),
            "--tool=callgrind".to_owned(),
            "--quiet".to_owned(),
            prefix(&folder),
            format!("--callgrind-out-file={}", folder.join("counts").display()),
        ];
        program.command.splice(0..0, valgrind);
        let (function, _) = Function::start(&program)?;
        let dumps = 0;
        Ok(Counted {
            function,
            folder,
            dumps,
        })
    }

    /// The instructions since the last call, or since the start of the process.
    fn read(&mut self) -> Result<u64> {
        self.function.rest()?;
        let mut command = Command::new("vgdb");
        command
            .arg(format!("--pid={}", self.function.pid()))
            .arg(prefix(&self.folder))
            // The process waits in a system call, so vgdb need not wait for it to run.
            .args(["--max-invoke-ms=1", "--cmd-time-out=30", "dump"])
            // vgdb and callgrind use the user's name in the names of their pipes.
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let output = command.output().context("cannot run vgdb")?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(Error::new(format!("callgrind does not answer: {said}")));
        }
        self.dumps += 1;
        let path = self.folder.join(format!("counts.{}", self.dumps));
        let text = fs::read_to_string(&path);
        let text = text.context(format_args!("cannot read {}", path.display()))?;
        let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
        let total = total.and_then(|text| text.trim().parse().ok());
        total.ok_or_else(|| Error::new(format!("{} has no totals", path.display())))
    }
}

/// The prefix of callgrind's pipes, for both programs.
fn prefix(folder: &Path) -> String {
    format!("--vgdb-prefix={}", folder.join("vgdb").display())
}
