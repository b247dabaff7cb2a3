//! Child processes that end when this program ends, however it ends.
//!
//! Each child has its own process group, so that Ctrl-C in a terminal reaches only this program,
//! which stops the children in order. If this program is killed, the kernel kills the children (see
//! [`tether`]).

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::error::{Context, Error, Result};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Makes every wait in this crate return an error; safe in a signal handler.
pub fn interrupt() {
    INTERRUPTED.store(true, Ordering::SeqCst);
}

/// Whether [`interrupt`] was called.
#[must_use]
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// Sleeps between two checks of a condition.
///
/// # Errors
/// When [`interrupt`] was called.
pub fn pause() -> Result<()> {
    if interrupted() {
        return Err(Error::new("stopped"));
    }
    thread::sleep(Duration::from_millis(30));
    Ok(())
}

/// A running child; dropping it ends the child's whole process group.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    grace: Duration,
    log: Log,
    pumps: Vec<thread::JoinHandle<()>>,
}

impl Process {
    /// Starts `command`. Its output is written line by line into `log`.
    ///
    /// # Errors
    /// When the program can't be started.
    pub fn start(name: &str, mut command: Command, log: &Log, grace: Duration) -> Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = spawn(command).context(format_args!("cannot start {name}"))?;
        let mut pumps = Vec::new();
        if let Some(out) = child.stdout.take() {
            pumps.push(log.pump(out));
        }
        if let Some(err) = child.stderr.take() {
            pumps.push(log.pump(err));
        }
        Ok(Self {
            name: name.to_owned(),
            child,
            grace,
            log: log.clone(),
            pumps,
        })
    }

    /// The process id, which is also the id of the process group.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Checks that the process still runs.
    ///
    /// # Errors
    /// When the process has ended; the error has its exit status.
    pub fn check(&mut self) -> Result<()> {
        match self
            .child
            .try_wait()
            .context(format_args!("cannot check {}", self.name))?
        {
            Some(status) => Err(Error::new(format!("{} has ended ({status})", self.name))),
            None => Ok(()),
        }
    }

    /// Waits until the process has ended.
    ///
    /// # Errors
    /// When the process fails, or the wait is interrupted.
    pub fn finish(mut self) -> Result<()> {
        loop {
            let status = self.child.try_wait();
            match status.context(format_args!("cannot wait for {}", self.name))? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(Error::new(format!("{} failed ({status})", self.name))),
                None => pause()?,
            }
        }
    }

    /// Sends SIGTERM to the process group, and SIGKILL after the grace period. From then on the
    /// process' lines go only to the log file.
    pub fn stop(&mut self) {
        self.log.mute();
        let group = group_of(&self.child);
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = killpg(group, Signal::SIGTERM);
            let end = Instant::now() + self.grace;
            while Instant::now() < end && matches!(self.child.try_wait(), Ok(None)) {
                thread::sleep(Duration::from_millis(10));
            }
        }
        let _ = killpg(group, Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
        self.pumps.clear();
    }
}

/// Runs a command to its end, with its output on the terminal.
///
/// # Errors
/// When the command cannot be started, or the wait is interrupted, which also ends the command.
pub fn run(name: &str, command: Command) -> Result<ExitStatus> {
    let mut child = spawn(command).context(format_args!("cannot start {name}"))?;
    loop {
        if let Some(status) = child
            .try_wait()
            .context(format_args!("cannot wait for {name}"))?
        {
            return Ok(status);
        }
        if let Err(error) = pause() {
            let _ = killpg(group_of(&child), Signal::SIGTERM);
            let _ = child.wait();
            return Err(error);
        }
    }
}

/// The descendants of `ancestor` whose program has this name.
///
/// Reads `/proc`, so the result is empty on systems without it.
#[must_use]
pub fn descendants(ancestor: u32, name: &str) -> Vec<u32> {
    let mut found = all();
    found.retain(|pid| command_name(*pid).as_deref() == Some(name));
    found.retain(|pid| has_ancestor(*pid, ancestor));
    found
}

/// All processes.
fn all() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten();
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect()
}

/// The descendants of `ancestor` that were started with this environment variable. Reads `/proc`, like
/// [`descendants`].
#[must_use]
pub fn descendants_with(ancestor: u32, name: &str, value: &str) -> Vec<u32> {
    let mut found = all();
    found.retain(|pid| command_name(*pid).is_some() && has_variable(*pid, name, value));
    found.retain(|pid| has_ancestor(*pid, ancestor));
    found
}

/// Whether a process was started with this environment variable. Reads `/proc`, like
/// [`descendants`].
#[must_use]
pub fn has_variable(pid: u32, name: &str, value: &str) -> bool {
    let wanted = format!("{name}={value}");
    std::fs::read(format!("/proc/{pid}/environ"))
        .unwrap_or_default()
        .split(|byte| *byte == 0)
        .any(|variable| variable == wanted.as_bytes())
}

/// Sends SIGKILL to one process.
pub fn kill_now(pid: u32) {
    send(pid, Signal::SIGKILL);
}

/// Stops a process with SIGSTOP until [`thaw`].
pub fn freeze(pid: u32) {
    send(pid, Signal::SIGSTOP);
}

/// Continues a process that [`freeze`] stopped.
pub fn thaw(pid: u32) {
    send(pid, Signal::SIGCONT);
}

fn send(pid: u32, signal: Signal) {
    if let Ok(pid) = i32::try_from(pid) {
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

/// The name of a running process; `None` for a zombie, which has ended but whose parent has not
/// noticed.
fn command_name(pid: u32) -> Option<String> {
    if stat_field(pid, 0)? == "Z" {
        return None;
    }
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(name.trim_end().to_owned())
}

fn has_ancestor(pid: u32, ancestor: u32) -> bool {
    std::iter::successors(Some(pid), |pid| parent(*pid)).any(|pid| pid == ancestor)
}

fn parent(pid: u32) -> Option<u32> {
    stat_field(pid, 1)?.parse().ok()
}

/// A field of the process' `stat` file; fields are counted from the one after the name.
fn stat_field(pid: u32, index: usize) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name is in parentheses and may contain any character.
    let after = stat.rsplit_once(')')?.1;
    after.split_whitespace().nth(index).map(str::to_owned)
}

fn group_of(child: &Child) -> Pid {
    // A process id fits: the kernel's own type is an i32.
    Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX))
}

type Job = (Command, Sender<std::io::Result<Child>>);

/// Starts a command from a thread that lives as long as this program.
///
/// The kernel ties a tethered child to the *thread* that created it, and the calling thread may be
/// a test that ends long before its stack.
fn spawn(mut command: Command) -> std::io::Result<Child> {
    static SPAWNER: OnceLock<Mutex<Sender<Job>>> = OnceLock::new();
    command.process_group(0);
    let spawner = SPAWNER.get_or_init(|| {
        let (jobs, inbox) = channel::<Job>();
        thread::spawn(move || {
            for (mut command, answer) in inbox {
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(jobs)
    });
    let (answer, result) = channel();
    let lost = || std::io::Error::other("the spawning thread has ended");
    let jobs = spawner.lock().map_err(|_| lost())?;
    jobs.send((command, answer)).map_err(|_| lost())?;
    drop(jobs);
    result.recv().map_err(|_| lost())?
}

/// Wraps a command so that the kernel kills the program when this process ends.
#[must_use]
pub fn tether(runner: &Path, program: &Path) -> Command {
    let mut command = Command::new(runner);
    command.arg("tether").arg(program);
    command
}

/// Replaces this process by `program`, which the kernel kills when the parent ends. Returns only on
/// failure.
#[must_use]
pub fn become_tethered(program: &str, arguments: &[String]) -> Error {
    let parent = nix::unistd::getppid();
    #[cfg(target_os = "linux")]
    if let Err(cause) = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL) {
        return Error::new(format!("cannot tie {program} to its parent: {cause}"));
    }
    // The parent may have ended before `prctl` took effect.
    if nix::unistd::getppid() != parent {
        return Error::new(format!("the parent of {program} has ended"));
    }
    let cause = Command::new(program).args(arguments).exec();
    Error::new(format!("cannot start {program}: {cause}"))
}

/// The destination of child processes' lines: a file, and optionally the terminal.
#[derive(Clone, Debug)]
pub struct Log {
    file: Arc<Mutex<File>>,
    /// Whether the lines are also written to the terminal.
    terminal: Arc<AtomicBool>,
}

impl Log {
    /// Starts an empty log file.
    ///
    /// # Errors
    /// When the file can't be created.
    pub fn create(path: &Path, terminal: bool) -> Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .context(format_args!("cannot create {}", folder.display()))?;
        }
        let file = File::create(path).context(format_args!("cannot write {}", path.display()))?;
        Ok(Self {
            file: Arc::new(Mutex::new(file)),
            terminal: Arc::new(AtomicBool::new(terminal)),
        })
    }

    /// Stops writing to the terminal; lines are still written to the file.
    fn mute(&self) {
        self.terminal.store(false, Ordering::SeqCst);
    }

    fn pump(&self, from: impl Read + Send + 'static) -> thread::JoinHandle<()> {
        let log = self.clone();
        thread::spawn(move || {
            let mut reader = BufReader::new(from);
            let mut line = Vec::new();
            while matches!(reader.read_until(b'\n', &mut line), Ok(1..)) {
                log.write(&line);
                line.clear();
            }
        })
    }

    /// Writes a line with a label, as the functions' lines have one.
    pub(crate) fn line(&self, label: &str, text: &str) {
        self.write(format!("{label} | {text}\n").as_bytes());
    }

    /// Copies what is written into a file from now on, with a label in front of each line, until `stop` is
    /// set.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub(crate) fn follow(&self, label: &str, path: &Path, stop: Arc<AtomicBool>) -> Result<()> {
        File::create(path).context(format_args!("cannot write {}", path.display()))?;
        let file = File::open(path).context(format_args!("cannot read {}", path.display()))?;
        let (log, label) = (self.clone(), label.to_owned());
        thread::spawn(move || {
            let mut reader = BufReader::new(file);
            let mut line = String::new();
            while !stop.load(Ordering::SeqCst) {
                match reader.read_line(&mut line) {
                    Ok(1..) if line.ends_with('\n') => {
                        log.line(&label, line.trim_end());
                        line.clear();
                    }
                    _ => thread::sleep(Duration::from_millis(50)),
                }
            }
        });
        Ok(())
    }

    fn write(&self, line: &[u8]) {
        if let Ok(mut file) = self.file.lock() {
            let _ = file.write_all(line);
        }
        // The watcher writes many INFO lines about itself; only the file has them.
        if self.terminal.load(Ordering::SeqCst) && !line.starts_with(b" INFO ") {
            let _ = std::io::stdout().lock().write_all(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_ends_the_children_of_a_process() {
        let path = std::env::temp_dir().join(format!("local-stack-{}.log", std::process::id()));
        let log = Log::create(&path, false).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 61 & echo started; wait"]);
        let mut process = Process::start("sh", command, &log, Duration::from_secs(5)).unwrap();
        while !std::fs::read_to_string(&path).unwrap().contains("started") {
            thread::sleep(Duration::from_millis(10));
        }
        let id = process.id();
        assert_eq!(descendants(id, "sleep").len(), 1);
        let sleeper = descendants(id, "sleep")[0];
        process.stop();
        assert!(process.check().is_err());
        thread::sleep(Duration::from_millis(100));
        assert_ne!(command_name(sleeper).as_deref(), Some("sleep"));
        let _ = std::fs::remove_file(&path);
    }

    #[test]
    fn the_error_names_a_program_that_cannot_start() {
        let error = run("nothing", Command::new("/no/such/program")).unwrap_err();
        assert!(error.to_string().starts_with("cannot start nothing: "));
    }
}
