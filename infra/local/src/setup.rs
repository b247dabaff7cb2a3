//! The Python tools. They are installed into `.venv/` when their pinned versions change; a missing
//! prerequisite is one clear line.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::error::{Context, Error, Result};
use crate::project;

/// The tools for running the stack.
#[derive(Debug, Clone)]
pub struct Tools {
    /// The program of the local AWS endpoints.
    pub ministack: PathBuf,
    /// The program of the watcher.
    pub cargo_lambda: PathBuf,
}

/// The tools for a deployment.
#[derive(Debug, Clone)]
pub struct DeployTools {
    /// The tools for running the stack.
    pub run: Tools,
    /// The program that builds and deploys the template.
    pub sam: PathBuf,
}

/// The usual names of Python interpreters.
const PYTHONS: [&str; 5] = [
    "python3",
    "python3.14",
    "python3.13",
    "python3.12",
    "python3.11",
];

/// Installs the tools for running the stack.
///
/// # Errors
/// When a tool is missing and cannot be installed; the message names the solution.
pub fn run_tools() -> Result<Tools> {
    let pins = read_pins("requirements.txt")?;
    let installed = installed_cargo_lambda(&pins);
    let wanted: Vec<String> = pins
        .into_iter()
        .filter(|pin| installed.is_none() || !pin.starts_with("cargo-lambda=="))
        .collect();
    let environment = Environment::ready("run", &wanted)?;
    Ok(Tools {
        ministack: environment.program("ministack"),
        cargo_lambda: installed.unwrap_or_else(|| environment.program("cargo-lambda")),
    })
}

/// Installs the tools for a deployment.
///
/// # Errors
/// As [`run_tools`].
pub fn deploy_tools() -> Result<DeployTools> {
    Ok(DeployTools {
        run: run_tools()?,
        sam: sam()?,
    })
}

/// Installs `sam`, which validates the template, and returns its path.
///
/// # Errors
/// As [`run_tools`].
pub fn sam() -> Result<PathBuf> {
    let environment = Environment::ready("test", &read_pins("requirements-test.txt")?)?;
    Ok(environment.program("sam"))
}

/// Returns the path of `cfn-lint`, which is installed with [`sam`].
///
/// # Errors
/// As [`run_tools`].
pub fn cfn_lint() -> Result<PathBuf> {
    let environment = Environment::ready("test", &read_pins("requirements-test.txt")?)?;
    Ok(environment.program("cfn-lint"))
}

/// Installs `checkov`, which checks the security of the deployment, and returns its path.
///
/// # Errors
/// As [`run_tools`].
pub fn checkov() -> Result<PathBuf> {
    let environment = Environment::apart("checkov", &read_pins("requirements-checkov.txt")?)?;
    Ok(environment.program("checkov"))
}

/// Installs FastAPI, which this service is compared with, and returns the path of its Python.
///
/// # Errors
/// As [`run_tools`].
pub fn python_with_fastapi() -> Result<PathBuf> {
    let environment = Environment::apart("parity", &read_pins("requirements-parity.txt")?)?;
    Ok(environment.program("python"))
}

/// Installs what the tests of `infra/python/` need, and returns the path of its Python.
///
/// # Errors
/// As [`run_tools`].
pub fn python_of_bodies() -> Result<PathBuf> {
    let environment = Environment::apart("python", &read_pins("requirements-python.txt")?)?;
    Ok(environment.program("python"))
}

/// Installs botocore, which has AWS' models of its services and which the local endpoints depend
/// on. Returns the path of its Python.
///
/// # Errors
/// As [`run_tools`].
pub fn python_with_botocore() -> Result<PathBuf> {
    Ok(run_tools()?.ministack.with_file_name("python"))
}

/// Installs the Python packages that this service is compared with in benchmarks, and returns the
/// path of their Python.
///
/// # Errors
/// As [`run_tools`].
pub fn bench_peers() -> Result<PathBuf> {
    let environment = Environment::apart("bench", &read_pins("requirements-bench.txt")?)?;
    Ok(environment.program("python"))
}

/// Installs the tools that use the OpenAPI document, and returns the folder of their programs.
///
/// # Errors
/// As [`run_tools`].
pub fn openapi_tools() -> Result<PathBuf> {
    let pins = read_pins("requirements-clients.txt")?;
    let environment = Environment::apart("clients", &pins)?;
    Ok(environment.folder.join("bin"))
}

/// A Python virtual environment of the project.
struct Environment {
    folder: PathBuf,
}

impl Environment {
    /// The common environment with these packages installed.
    fn ready(what: &str, pins: &[String]) -> Result<Self> {
        Self::at(".venv", what, pins)
    }

    /// A separate environment, for packages whose dependencies conflict with the common
    /// environment.
    fn apart(what: &str, pins: &[String]) -> Result<Self> {
        Self::at(&format!(".venv/apart/{what}"), what, pins)
    }

    fn at(folder: &str, what: &str, pins: &[String]) -> Result<Self> {
        let environment = Self {
            folder: project::root().join(folder),
        };
        let _lock = lock()?;
        let stamp = environment.folder.join(format!("installed-for-{what}"));
        let pins_text = pins.join("\n");
        if environment.works() {
            if std::fs::read_to_string(&stamp).is_ok_and(|text| text == pins_text) {
                return Ok(environment);
            }
        } else {
            environment.create()?;
        }
        environment.install(pins)?;
        std::fs::write(&stamp, pins_text)
            .context(format_args!("cannot write {}", stamp.display()))?;
        Ok(environment)
    }

    fn program(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }

    /// Whether the interpreter still runs. An upgrade of the system's Python may have removed it.
    fn works(&self) -> bool {
        output(
            Command::new(self.program("python"))
                .arg("-c")
                .arg("import pip"),
        )
        .is_ok_and(|output| output.status.success())
    }

    fn create(&self) -> Result<()> {
        let python = find_python()?;
        println!("  creating .venv with {python} …");
        let mut command = Command::new(&python);
        command.args(["-m", "venv", "--clear"]).arg(&self.folder);
        let output = output(&mut command)?;
        if output.status.success() {
            return Ok(());
        }
        Err(Error::new(format!(
            "cannot create .venv: {} (on Debian or Ubuntu, `apt install python3-venv` helps)",
            last_line(&output)
        )))
    }

    fn install(&self, pins: &[String]) -> Result<()> {
        println!("  installing {} …", pins.join(", "));
        let mut command = Command::new(self.program("python"));
        command
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
            ])
            .args(["--no-input", "--retries", "2"])
            .args(pins);
        let output = output(&mut command)?;
        if output.status.success() {
            return Ok(());
        }
        Err(Error::new(install_failure(
            pins,
            &String::from_utf8_lossy(&output.stderr),
        )))
    }
}

/// One process at a time: two stacks that start together share the environment.
pub(crate) fn lock() -> Result<File> {
    let folder = project::target().join("local-stack");
    std::fs::create_dir_all(&folder).context(format_args!("cannot create {}", folder.display()))?;
    let file = File::create(folder.join("setup.lock")).context("cannot write setup.lock")?;
    file.lock().context("cannot lock setup.lock")?;
    Ok(file)
}

fn find_python() -> Result<String> {
    let check = "import sys\nif sys.version_info < (3, 11): sys.exit(3)\n\
                 try: import venv, ensurepip\nexcept ImportError: sys.exit(4)";
    let mut without_venv = None;
    for name in PYTHONS {
        let Ok(output) = output(Command::new(name).args(["-c", check])) else {
            continue;
        };
        match output.status.code() {
            Some(0) => return Ok(name.to_owned()),
            Some(4) => without_venv = without_venv.or(Some(name)),
            _ => {}
        }
    }
    Err(match without_venv {
        Some(name) => Error::new(format!(
            "{name} has no venv module: install it (on Debian or Ubuntu, `apt install python3-venv`)"
        )),
        None => Error::new(
            "Python 3.11 or newer is missing: install it (`apt install python3 python3-venv`, or from python.org)",
        ),
    })
}

/// Explains pip's failure to a user who only wants to run the service.
pub(crate) fn install_failure(pins: &[String], said: &str) -> String {
    let unreachable = [
        "NewConnectionError",
        "Temporary failure in name",
        "ConnectTimeout",
        "ReadTimeout",
        "Connection refused",
        "Network is unreachable",
        "ProxyError",
    ];
    let tools = pins.join(" and ");
    if unreachable.iter().any(|sign| said.contains(sign)) {
        return format!(
            "cannot download {tools}: there is no way to the package index; \
             check the network, or name a mirror with PIP_INDEX_URL"
        );
    }
    let line = said
        .lines()
        .rev()
        .find(|line| line.contains("ERROR"))
        .unwrap_or("pip failed");
    format!("cannot install {tools}: {}", line.trim())
}

fn read_pins(file: &str) -> Result<Vec<String>> {
    let path = project::root().join("infra/local").join(file);
    let text =
        std::fs::read_to_string(&path).context(format_args!("cannot read {}", path.display()))?;
    Ok(parse_pins(&text))
}

fn parse_pins(text: &str) -> Vec<String> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

/// The path of an installed `cargo-lambda` whose version is new enough.
fn installed_cargo_lambda(pins: &[String]) -> Option<PathBuf> {
    let wanted = pins
        .iter()
        .find_map(|pin| pin.strip_prefix("cargo-lambda=="))?;
    let output = output(Command::new("cargo-lambda").args(["lambda", "--version"])).ok()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let version = said.split_whitespace().nth(1)?;
    serves(version, wanted).then(|| PathBuf::from("cargo-lambda"))
}

/// Whether a version is compatible with the wanted version.
fn serves(version: &str, wanted: &str) -> bool {
    let parts = |text: &str| -> Vec<u64> {
        text.split('.')
            .map(|part| part.parse().unwrap_or(0))
            .collect()
    };
    let (version, wanted) = (parts(version), parts(wanted));
    version.first() == wanted.first() && version >= wanted
}

fn output(command: &mut Command) -> Result<Output> {
    let name = Path::new(command.get_program()).display().to_string();
    command.output().context(format_args!("cannot run {name}"))
}

pub(crate) fn last_line(output: &Output) -> String {
    let text = [&output.stdout[..], b"\n", &output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let line = text.lines().rev().find(|line| !line.trim().is_empty());
    line.unwrap_or("no reason given").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_are_read_without_comments() {
        assert_eq!(parse_pins("# why\na==1\n\n  b==2\n"), ["a==1", "b==2"]);
        assert_eq!(read_pins("requirements.txt").unwrap().len(), 2);
    }

    #[test]
    fn parity_and_bench_pin_the_same_versions() {
        let measured = read_pins("requirements-bench.txt").unwrap();
        for pin in read_pins("requirements-parity.txt").unwrap() {
            assert!(measured.contains(&pin), "{pin}");
        }
    }

    #[test]
    fn a_newer_version_with_the_same_major_version_is_compatible() {
        assert!(serves("1.9.2", "1.9.2") && serves("1.10.0", "1.9.2"));
        assert!(!serves("1.9.1", "1.9.2") && !serves("2.0.0", "1.9.2") && !serves("", "1.9.2"));
    }

    #[test]
    fn pip_s_failures_are_one_line() {
        let pins = ["a==1".to_owned()];
        let offline = "WARNING: Retrying after NewConnectionError\nERROR: No matching distribution";
        assert!(install_failure(&pins, offline).contains("check the network"));
        let other = "x\nERROR: No matching distribution found for a==1\n\n";
        assert_eq!(
            install_failure(&pins, other),
            "cannot install a==1: ERROR: No matching distribution found for a==1"
        );
    }
}
