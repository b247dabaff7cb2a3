//! Live edit: a changed file of the application, or of the handler, has new processes run the bodies.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use super::function::Function;
use crate::aws::Aws;
use crate::process::Log;
use crate::project;

/// The pause between two looks at the files.
const PAUSE: Duration = Duration::from_millis(250);

/// How many folders deep files are looked at.
const DEPTH: u8 = 8;

/// When each file was changed, and its size.
type Files = BTreeMap<PathBuf, (SystemTime, u64)>;

/// Looks for changes until it is dropped.
#[derive(Debug)]
pub(super) struct Reload {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Reload {
    /// Publishes `function` when a file below `root` changes. Sets `stop` when it is dropped.
    pub(super) fn start(
        function: Function,
        aws: Aws,
        log: Log,
        root: &Path,
        stop: Arc<AtomicBool>,
    ) -> Self {
        let stopped = Arc::clone(&stop);
        let folders = [root.to_path_buf(), project::root().join("infra/python/src")];
        let before = files(&folders);
        let thread =
            thread::spawn(move || watch(&function, &aws, &log, &folders, before, &stopped));
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Reload {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn watch(
    function: &Function,
    aws: &Aws,
    log: &Log,
    folders: &[PathBuf],
    mut known: Files,
    stop: &AtomicBool,
) {
    while !stop.load(Ordering::SeqCst) {
        let started = Instant::now();
        let found = files(folders);
        // A large project is looked at less often: at most a tenth of the time.
        thread::sleep(PAUSE.max(started.elapsed() * 10));
        // An editor may write several files: publish when nothing has changed since the last look.
        if found == known || files(folders) != found {
            continue;
        }
        known = found;
        match function.publish(aws) {
            Ok(version) => log.line(
                "bodies",
                &format!("a file has changed: version {version} runs from now on"),
            ),
            Err(error) => log.line(
                "bodies",
                &format!("a file has changed, and was not loaded: {error}"),
            ),
        }
    }
}

fn files(folders: &[PathBuf]) -> Files {
    let mut files = Files::new();
    for folder in folders {
        collect(folder, DEPTH, &mut files);
    }
    files
}

/// Adds the Python files of a folder, without environments and hidden folders.
fn collect(folder: &Path, depth: u8, files: &mut Files) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        let is_left_out = name.to_string_lossy().starts_with('.')
            || name == "__pycache__"
            || name == "node_modules"
            || path.join("pyvenv.cfg").exists();
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_dir() && depth > 0 && !is_left_out {
            collect(&path, depth - 1, files);
        } else if path.extension().is_some_and(|extension| extension == "py")
            && let Ok(data) = std::fs::metadata(&path)
        {
            let changed = data.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            files.insert(path, (changed, data.len()));
        }
    }
}
