//! The virtual environment with an application's packages, in `target/local-stack/celery/`.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::{Context, Error, Result};
use crate::{project, setup};

/// What the handler needs besides the application's own packages, which may name a version or not.
const HANDLER: [&str; 2] = ["celery<5.8", "boto3"];

/// Prints the dependencies of a `pyproject.toml` that lists them, one in a line.
const DEPENDENCIES: &str = "import sys, tomllib\n\
    project = tomllib.load(open(sys.argv[1], 'rb')).get('project')\n\
    sys.exit(3) if project is None else print(*project.get('dependencies', []), sep='\\n')";

/// An environment with an application's packages.
#[derive(Debug, Clone)]
pub(super) struct Packages {
    /// The environment's interpreter.
    pub(super) python: PathBuf,
    /// The folder with the packages.
    pub(super) site: PathBuf,
}

impl Packages {
    /// The packages of the environment with this interpreter.
    ///
    /// # Errors
    /// When the interpreter does not run.
    pub(super) fn of(python: &Path) -> Result<Self> {
        let site = "import sysconfig; print(sysconfig.get_path('purelib'))";
        let site = said(Command::new(python).args(["-c", site]))?;
        Ok(Self {
            python: python.to_owned(),
            site: site.trim().into(),
        })
    }
}

/// Installs the packages that `requirements.txt` or `pyproject.toml` of the folder names. An environment whose
/// files have not changed is used as it is.
///
/// # Errors
/// When a package cannot be installed.
pub(super) fn ready(application: &Path) -> Result<Packages> {
    // The function's processes are processes of this interpreter.
    let base = setup::python_with_botocore()?;
    let _lock = setup::lock()?;
    let folder = place(application);
    let python = folder.join("bin").join("python");
    let wanted = Wanted::of(application, &base)?;
    let stamp = folder.join("installed");
    if !python.exists() || said(Command::new(&python).args(["-c", "import pip"])).is_err() {
        println!("  creating an environment for {} …", application.display());
        let mut command = Command::new(&base);
        said(command.args(["-m", "venv", "--clear"]).arg(&folder))?;
    }
    if std::fs::read_to_string(&stamp).ok().as_ref() != Some(&wanted.text) {
        println!("  installing the packages of {} …", wanted.source);
        let _ = std::fs::remove_file(&stamp);
        install(&python, application, &wanted)?;
        std::fs::write(&stamp, &wanted.text).context("cannot write into the environment")?;
    }
    Packages::of(&python)
}

/// The folder of the environment: one for each application.
fn place(application: &Path) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    application.hash(&mut hasher);
    let name = application
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let folder = format!("{name}-{:08x}", hasher.finish() & 0xffff_ffff);
    project::target()
        .join("local-stack")
        .join("celery")
        .join(folder)
}

/// What pip is asked for.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    /// For people: where the list comes from.
    source: String,
    /// The arguments of `pip install`.
    arguments: Vec<String>,
    /// The arguments and the files that they name: a change has pip run again.
    text: String,
}

impl Wanted {
    fn of(application: &Path, python: &Path) -> Result<Self> {
        let requirements = application.join("requirements.txt");
        let project = application.join("pyproject.toml");
        let (source, mut arguments, files) = if requirements.is_file() {
            let text = all_requirements(&requirements, 3)?;
            (
                "requirements.txt",
                vec!["-r".to_owned(), "requirements.txt".to_owned()],
                text,
            )
        } else if project.is_file() {
            let text = read(&project)?;
            ("pyproject.toml", dependencies(&project, python)?, text)
        } else {
            println!(
                "  {} has no requirements.txt and no pyproject.toml: Celery is installed alone",
                application.display()
            );
            ("the handler", Vec::new(), String::new())
        };
        arguments.extend(HANDLER.map(str::to_owned));
        let text = format!("{}\n{files}", arguments.join("\n"));
        Ok(Self {
            source: source.to_owned(),
            arguments,
            text,
        })
    }
}

/// The text of a requirements file and of those that it includes.
fn all_requirements(path: &Path, depth: u8) -> Result<String> {
    let mut text = read(path)?;
    let folder = path.parent().unwrap_or(path);
    let included: Vec<PathBuf> = text
        .lines()
        .filter_map(|line| {
            let line = line.trim();
            let words = ["-r", "--requirement", "-c", "--constraint"];
            words.iter().find_map(|word| line.strip_prefix(word))
        })
        .map(|name| folder.join(name.trim_start_matches('=').trim()))
        .collect();
    for path in included {
        if depth > 0 && path.is_file() {
            text.push_str(&all_requirements(&path, depth - 1)?);
        }
    }
    Ok(text)
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).context(format_args!("cannot read {}", path.display()))
}

/// The packages that a `pyproject.toml` lists, or the project itself where another tool lists them.
fn dependencies(path: &Path, python: &Path) -> Result<Vec<String>> {
    let output = Command::new(python)
        .args(["-c", DEPENDENCIES])
        .arg(path)
        .output();
    let output = output.context("cannot run Python")?;
    match output.status.code() {
        Some(0) => Ok(String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(str::to_owned)
            .collect()),
        Some(3) => Ok(vec![".".to_owned()]),
        _ => Err(Error::new(format!("{} is not valid TOML", path.display()))),
    }
}

/// Runs pip, and prints the name of each package that it takes up.
fn install(python: &Path, application: &Path, wanted: &Wanted) -> Result<()> {
    let mut command = Command::new(python);
    command
        .current_dir(application)
        .args([
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
            "--no-input",
        ])
        .args(["--retries", "2", "--progress-bar", "off"])
        .args(&wanted.arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().context("cannot run pip")?;
    let errors = child.stderr.take().map(|mut stream| {
        std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stream.read_to_string(&mut text);
            text
        })
    });
    for line in child
        .stdout
        .take()
        .into_iter()
        .flat_map(|out| BufReader::new(out).lines())
    {
        if let Some(package) = line
            .ok()
            .as_deref()
            .and_then(|line| line.trim().strip_prefix("Collecting "))
        {
            println!("    {package}");
        }
    }
    let status = child.wait().context("cannot wait for pip")?;
    let errors = errors
        .and_then(|thread| thread.join().ok())
        .unwrap_or_default();
    match status.success() {
        true => Ok(()),
        false => Err(Error::new(setup::install_failure(
            std::slice::from_ref(&wanted.source),
            &errors,
        ))),
    }
}

/// The output of a command that has to succeed.
fn said(command: &mut Command) -> Result<String> {
    let output = command.output().context("cannot run Python")?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Error::new(format!(
        "Python failed: {}",
        setup::last_line(&output)
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn included_requirements_are_part_of_what_is_wanted() {
        let folder = std::env::temp_dir().join(format!("packages-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("requirements.txt"), "-r base.txt\nredis\n").unwrap();
        std::fs::write(folder.join("base.txt"), "celery==5.7.0\n").unwrap();
        let wanted = Wanted::of(&folder, Path::new("python3")).unwrap();
        assert_eq!(
            wanted.arguments,
            ["-r", "requirements.txt", "celery<5.8", "boto3"]
        );
        assert!(wanted.text.contains("celery==5.7.0"));
        std::fs::write(folder.join("base.txt"), "celery==5.6.2\n").unwrap();
        assert_ne!(Wanted::of(&folder, Path::new("python3")).unwrap(), wanted);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
