//! `cargo xtask smoke`, against the service under test.

use local_stack::functions;

use crate::service::Service;

/// Runs the command. Returns whether it succeeded, and its output.
fn smoke(service: &Service, key: Option<&str>) -> (bool, String) {
    let mut command = functions::cargo();
    command.args(["run", "--quiet", "--package", "xtask", "--", "smoke"]);
    command.args(["--url", &service.url()]);
    if let Some(key) = key {
        command.args(["--key", key]);
    }
    let output = command.output().expect("cargo runs");
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    (output.status.success(), said)
}

pub fn passes(service: &Service) {
    let (passed, said) = smoke(service, service.key());
    assert!(passed, "{said}");
}

pub fn reports_an_invalid_key(service: &Service) {
    let (passed, said) = smoke(service, Some("as_1_2"));
    let expected = match service.key() {
        Some(_) => "✗ a task completes",
        None => "✗ requests without a key are refused",
    };
    assert!(!passed && said.contains(expected), "{said}");
}
