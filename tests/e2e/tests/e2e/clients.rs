//! Programs that use the service through its OpenAPI document.

use std::path::{Path, PathBuf};
use std::process::Command;

use local_stack::{project, setup};

use crate::auth::secret_of;
use crate::service::Service;

/// How many cases the tester tries for each operation.
const EXAMPLES: &str = "25";

fn tool(name: &str) -> Command {
    let folder = setup::openapi_tools().unwrap();
    let mut command = Command::new(folder.join(name));
    // The generator runs a formatter from the same folder.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = std::env::split_paths(&path);
    let all = std::env::join_paths(std::iter::once(folder).chain(paths)).unwrap();
    command.env("PATH", all).current_dir(scratch());
    command
}

/// A folder for the tools' output.
fn scratch() -> PathBuf {
    let folder = project::target().join("e2e-clients");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn document() -> PathBuf {
    project::root().join("openapi.json")
}

#[track_caller]
fn succeed(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

pub fn a_validator_accepts_the_document(_: &Service) {
    succeed(
        tool("openapi-spec-validator")
            .args(["--schema", "3.1", "--validation-errors", "all"])
            .arg(document()),
    );
}

pub fn a_generated_client_submits_a_task(service: &Service) {
    let generated = scratch().join("generated");
    succeed(
        tool("openapi-python-client")
            .args([
                "generate",
                "--meta",
                "none",
                "--overwrite",
                "--fail-on-warning",
            ])
            .arg("--path")
            .arg(document())
            .arg("--output-path")
            .arg(&generated),
    );
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/use_client.py");
    succeed(
        tool("python")
            .arg(script)
            .arg(service.url())
            .args(service.key())
            .env("PYTHONPATH", scratch())
            .env("PYTHONDONTWRITEBYTECODE", "1"),
    );
}

pub fn a_tester_finds_no_answer_outside_of_the_document(service: &Service) {
    let task_id = service.process(r#"{"values":[1,2,3]}"#);
    service.result(&task_id);
    let config = scratch().join("schemathesis.toml");
    std::fs::write(&config, tester_config(service, &task_id)).unwrap();
    succeed(
        tool("schemathesis")
            .arg("--config-file")
            .arg(&config)
            .arg("run")
            .arg(document())
            .arg("--url")
            .arg(service.url())
            .args(
                service
                    .key()
                    .map(|key| format!("--header=x-api-key: {key}")),
            )
            .args(["--max-examples", EXAMPLES])
            // Another seed tests other cases: SCHEMATHESIS_SEED sets the seed.
            .args([
                "--seed",
                &std::env::var("SCHEMATHESIS_SEED").unwrap_or("1".to_owned()),
            ])
            .args(["--continue-on-failure", "--no-color"]),
    );
}

/// Covers the requests of all other tests, with keys in headers, queries and cookies.
pub fn secrets_are_in_no_log(service: &Service) {
    let key = service.key().expect("a key");
    let wrong = format!("as_0123456789abcdef_{}", "Z".repeat(43));
    let secrets = [secret_of(key), secret_of(&wrong)];
    service.bare("GET", "/items/", &[("x-api-key", &wrong)], "");
    let path = format!("/items/?x-api-key={key}");
    service.bare("GET", &path, &[("cookie", key)], "");
    let bearer = format!("Bearer {key}");
    let broken = [("authorization", &*bearer), ("x-api-key", "x")];
    service.bare("POST", "/tasks/", &broken, key);
    service.get("/nope");
    let logs = service.eventually("the log has the refusal", || {
        let logs = service.logs();
        logs.contains("0123456789abcdef").then_some(logs)
    });
    for secret in secrets {
        assert!(!logs.contains(secret), "a secret is in the log");
    }
    let hashed = logs.lines().find(|line| line.contains("KeyHash"));
    assert_eq!(hashed, None);
}

/// Values that the tester cannot invent, an existing task and an existing URL, and the checks in
/// which FastAPI's behaviour, which this service follows, differs from the tester's expectation.
fn tester_config(service: &Service, task_id: &str) -> String {
    let url = service.upstream("/json/7");
    format!(
        r#"
[checks]
enabled = true

# FastAPI's Allow header has only the methods of the first route of a path.
[checks.allow_header_conformance]
enabled = false

# A deleted item is 200 and null, as an item that never existed.
[checks.use_after_free]
enabled = false

[[operations]]
include-path = "/result/{{task_id}}"
parameters = {{ "path.task_id" = "{task_id}" }}

[[operations]]
include-path = "/fetch/"
parameters = {{ "query.url" = "{url}" }}

[[operations]]
include-path = ["/tasks/{{task_id}}", "/tasks/{{task_id}}/retry"]
parameters = {{ "path.task_id" = "{task_id}" }}

# The schema does not say which cursors are valid.
[[operations]]
include-path = ["/items/", "/users/", "/tasks/", "/schedules/"]
include-method = "GET"
[operations.checks.positive_data_acceptance]
enabled = false

[[operations]]
include-path = ["/schedules/{{name}}", "/schedules/{{name}}/next"]
parameters = {{ "path.name" = "nightly" }}

[[operations]]
include-path = "/schedules/{{name}}/{{action}}"
parameters = {{ "path.name" = "nightly", "path.action" = "run" }}

# The schema does not say which input fits the job, which rules fire, or which version a schedule has.
[[operations]]
include-path = ["/schedules/", "/schedules/{{name}}", "/schedules/{{name}}/{{action}}"]
include-method = ["POST", "PUT", "PATCH", "DELETE"]
[operations.checks.positive_data_acceptance]
enabled = false

# The schema does not say which input fits the job, or which idempotency key was used before.
[[operations]]
include-path = "/tasks/"
include-method = "POST"
[operations.checks.positive_data_acceptance]
enabled = false

# Each task of a batch has an outcome of its own: a task that is refused is no error of the request.
[[operations]]
include-path = "/tasks/batch"
[operations.checks.negative_data_rejection]
enabled = false
[operations.checks.positive_data_acceptance]
enabled = false
"#
    )
}
