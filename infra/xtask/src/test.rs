//! `cargo xtask test`: runs all checks in order and stops at the first failure.

use std::process::Command;
use std::time::{Duration, Instant};

use local_stack::deploy::sam;
use local_stack::process::{Log, Process};
use local_stack::{Context, Error, Result, functions, process, project, setup};

use crate::arguments::TestOptions;
use crate::bench;

/// A check: its name and its command.
type Step = (&'static str, fn() -> Result<Command>);

/// Checks that need only cargo.
const QUICK: [Step; 7] = [
    ("format", || Ok(cargo("fmt --all --check"))),
    ("lints", || {
        Ok(cargo(
            "clippy --workspace --all-targets --quiet -- --deny warnings",
        ))
    }),
    ("format of the bare functions", || {
        let mut command = cargo("fmt --check");
        command.args(["--manifest-path", bench::BARE]);
        Ok(command)
    }),
    ("lints of the bare functions", || {
        let mut command = cargo("clippy --quiet --locked");
        command.args(["--manifest-path", bench::BARE, "--target-dir"]);
        command.arg(project::target());
        command.args(["--", "--deny", "warnings"]);
        Ok(command)
    }),
    ("tests of the service", || Ok(cargo("test --quiet"))),
    ("tests of the tools", || {
        Ok(cargo(
            "test --quiet -p local-stack -p xtask -p keys -p bench",
        ))
    }),
    ("documentation", || {
        let mut command = cargo("doc --workspace --no-deps --quiet");
        command.env("RUSTDOCFLAGS", "--deny warnings");
        Ok(command)
    }),
];

/// Checks that need the Python tools and take longer.
const FULL: [Step; 16] = [
    ("template.yaml", sam_validate),
    ("CloudFormation's rules", cfn_lint),
    ("gradual deployments", lint_gradual_deployment),
    ("permissions after the transformation", processed_rights),
    ("security of the deployment", checkov),
    ("the running service", || Ok(cargo("test --quiet -p e2e"))),
    ("the running service with keys", || Ok(with_keys("match"))),
    ("with keys, a final slash sent to $default", || {
        Ok(with_keys("default"))
    }),
    ("with keys, a final slash past the authorizer", || {
        Ok(with_keys("bare"))
    }),
    (
        "the running service, a final slash sent to $default",
        || {
            // The queues and what is behind them do not depend on how a request comes in.
            let mut command = cargo(
                "test --quiet -p e2e -- --skip recurring:: --skip remote:: --skip worker:: \
                 --skip jobs:: --skip schedules:: --skip bulk:: --skip flower:: --skip stats::",
            );
            command.env("E2E_SLASH", "default");
            Ok(command)
        },
    ),
    ("Celery's clients", || {
        Ok(cargo("test --quiet -p celery-clients --test clients"))
    }),
    ("the handler of task bodies in Python", handler),
    ("a Celery application's task bodies", || {
        Ok(cargo("test --quiet -p celery-clients --test bodies"))
    }),
    ("the rules of schedules", rules),
    ("parity with FastAPI", || {
        Ok(cargo("test --quiet -p parity -- --nocapture"))
    }),
    ("the delivery contract under faults", || {
        Ok(cargo("test --quiet -p faults --test faults"))
    }),
];

/// The end-to-end tests with API keys. `slash` says how the gateway handles a trailing slash.
fn with_keys(slash: &str) -> Command {
    let mut command = cargo("test --quiet -p e2e");
    command.envs([("E2E_KEYS", "1"), ("E2E_SLASH", slash)]);
    command
}

/// The deployed templates.
const TEMPLATES: [&str; 3] = ["template.yaml", "infra/monitoring.yaml", BODIES];

/// The template of the function that runs the task bodies of a Celery application.
const BODIES: &str = "infra/celery-app.yaml";

/// The workflows on GitHub.
const WORKFLOWS: [&str; 3] = [
    ".github/workflows/deploy-one.yml",
    ".github/workflows/deploy.yml",
    ".github/workflows/test.yml",
];

/// Checks of the deployed functions, which need Linux as Lambda does.
const ON_LINUX: [Step; 2] = [
    ("the deployed service", || {
        let mut command = cargo("test --quiet -p e2e");
        command.env("E2E_DEPLOYED", "1");
        Ok(command)
    }),
    ("the functions' instructions", || {
        Ok(cargo("test --quiet -p bench --test instructions"))
    }),
];

/// Runs the checks.
///
/// # Errors
/// When a check fails; the message has the check's name.
pub fn run(options: TestOptions) -> Result<()> {
    let started = Instant::now();
    let mut done = Vec::new();
    if !options.quick {
        time("tools", &mut done, || setup::run_tools().map(drop))?;
    }
    run_all(&QUICK, &mut done)?;
    if !options.quick {
        // Beside the checks that follow, because these mostly wait.
        let optimized = cfg!(target_os = "linux").then(compile_optimized);
        let optimized = optimized.transpose()?;
        run_all(&FULL, &mut done)?;
        if let Some(optimized) = optimized {
            time("the optimized functions", &mut done, || optimized.finish())?;
            run_all(&ON_LINUX, &mut done)?;
        }
    }
    println!(
        "\nAll {} checks passed in {}:",
        done.len(),
        seconds(started.elapsed())
    );
    for (name, elapsed) in done {
        println!("  {:>8}  {name}", seconds(elapsed));
    }
    Ok(())
}

fn run_all(steps: &[Step], done: &mut Vec<(&'static str, Duration)>) -> Result<()> {
    for (name, command) in steps {
        time(name, done, || execute(name, command()?))?;
    }
    Ok(())
}

/// Starts to compile the optimized functions, for the checks [`ON_LINUX`].
fn compile_optimized() -> Result<Process> {
    let log = Log::create(&project::target().join("optimized-functions.log"), true)?;
    sam::compile_beside(&setup::run_tools()?, &log)
}

fn time(
    name: &'static str,
    done: &mut Vec<(&'static str, Duration)>,
    step: impl FnOnce() -> Result<()>,
) -> Result<()> {
    println!("▶ {name}");
    let started = Instant::now();
    step()?;
    let elapsed = started.elapsed();
    println!("✓ {name} ({})", seconds(elapsed));
    done.push((name, elapsed));
    Ok(())
}

fn execute(name: &str, command: Command) -> Result<()> {
    if process::run(name, command)?.success() {
        return Ok(());
    }
    Err(Error::new(format!(
        "the check `{name}` failed: see the messages above"
    )))
}

fn cargo(words: &str) -> Command {
    let mut command = functions::cargo();
    command.args(words.split_whitespace());
    command
}

fn sam_validate() -> Result<Command> {
    let mut command = Command::new(setup::sam()?);
    command
        .current_dir(project::root())
        .args(["validate", "--lint", "--template", "template.yaml"])
        // SAM needs any region; by default it checks for updates and sends telemetry.
        .args(["--region", "us-east-1"])
        .env("SAM_CLI_TELEMETRY", "0")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test");
    Ok(command)
}

fn cfn_lint() -> Result<Command> {
    let mut command = Command::new(setup::cfn_lint()?);
    command.current_dir(project::root());
    command
        .args(["--regions", "us-east-1", "--"])
        .args(TEMPLATES);
    Ok(command)
}

/// Lints the template with `GradualDeployment` set. With that parameter SAM adds resources that
/// depend on each other, and cfn-lint only tries a parameter's default value.
fn lint_gradual_deployment() -> Result<Command> {
    let folder = project::target().join("lint");
    for file in TEMPLATES {
        let text = std::fs::read_to_string(project::root().join(file));
        let text = text.context(format_args!("cannot read {file}"))?;
        let gradual = text.replace("Default: none\n", "Default: Canary10Percent5Minutes\n");
        if file == TEMPLATES[0] && gradual == text {
            return Err(Error::new(format!("{file} has no GradualDeployment")));
        }
        let path = folder.join(file);
        let parent = path.parent().unwrap_or(&folder);
        let written = std::fs::create_dir_all(parent).and_then(|()| std::fs::write(&path, gradual));
        written.context(format_args!("cannot write {}", path.display()))?;
    }
    let mut command = Command::new(setup::cfn_lint()?);
    command.current_dir(folder);
    command.args(["--regions", "us-east-1", "--", TEMPLATES[0]]);
    Ok(command)
}

/// Looks for permissions that SAM adds to the template's.
fn processed_rights() -> Result<Command> {
    let mut command = Command::new(setup::sam()?.with_file_name("python"));
    command.current_dir(project::root());
    command.args([
        "-B",
        "infra/xtask/src/processed_rights.py",
        TEMPLATES[0],
        BODIES,
    ]);
    // The transformation needs any region.
    command.env("AWS_DEFAULT_REGION", "us-east-1");
    Ok(command)
}

/// Compares the times of random rules with Celery's and croniter's. `tests/celery/rules.py` draws the rules.
fn rules() -> Result<Command> {
    let folder = project::target().join("rules");
    let mut references = Command::new("python3");
    references.current_dir(project::root().join("tests/celery"));
    references.args(["-B", "rules.py"]).arg(&folder);
    execute("references of rules", references)?;
    let mut command = cargo("test --quiet --lib schedules::rule::tests::reference");
    command.env("RULES", folder);
    Ok(command)
}

/// The tests of `infra/python/`.
fn handler() -> Result<Command> {
    let mut command = Command::new(setup::python_of_bodies()?);
    command.current_dir(project::root());
    command.args(["-B", "-m", "pytest", "-q", "-p", "no:cacheprovider"]);
    command.arg("infra/python");
    Ok(command)
}

/// `infra/checkov.yaml` has all settings of checkov; the most important one keeps it offline.
fn checkov() -> Result<Command> {
    let mut command = Command::new(setup::checkov()?);
    command.current_dir(project::root());
    command.args(["--config-file", "infra/checkov.yaml", "--file"]);
    command.args(TEMPLATES).args(WORKFLOWS);
    // Without these variables checkov cannot report to its vendor.
    for name in ["BC_API_KEY", "PRISMA_API_URL", "CKV_OPENAI_API_KEY"] {
        command.env_remove(name);
    }
    Ok(command)
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
