//! Runs a script in the Python on the PATH, for comparisons.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::thread;

/// The output of `script` for `input`. `None`, with a message on standard error, if the PATH has no
/// Python of a version with the behaviour of CPython 3.11.
pub(crate) fn run(script: &str, input: Vec<u8>) -> Option<Vec<u8>> {
    const CHECK: &str = "import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))";
    let found = Command::new("python3").args(["-c", CHECK]).status();
    if !found.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: comparing with Python needs python3 of version 3.11 or 3.12");
        return None;
    }
    let mut child = Command::new("python3")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 starts");
    let mut stdin = child.stdin.take().expect("standard input is piped");
    let feeder = thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("python3 ends");
    feeder.join().expect("no panic").expect("python3 reads all");
    assert!(output.status.success(), "the script failed");
    Some(output.stdout)
}
