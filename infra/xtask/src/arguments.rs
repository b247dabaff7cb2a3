//! Parses the command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt};
use local_stack::celery::Application;
use local_stack::keys::Place;
use local_stack::{Error, Logs, Options, Result, deploy, stack};

use crate::smoke;

/// What `cargo xtask help` prints.
pub const HELP: &str = "\
cargo xtask run    Runs the whole service on this machine until Ctrl-C.
  --port N            the service's port (default 9000; 0 for a free port)
  --aws-port N        the port of the local AWS endpoints (default 4566)
  --upstream-port N   the port of the demo upstream (default 9100)
  --data DIR          keeps rows and messages in this folder between runs
  --release           optimized functions
  --delay MS          the delay of the demo upstream's answers
  --concurrency N     processes for each function (default 4; 12 with --celery,
                      as a worker waits for the bodies of its tasks)
  --auth              requires API keys from callers, and prints a new key
  --allow-host HOST:PORT
                      lets /fetch/ and sources of tasks read from this server
                      on this machine, with the host as in URLs; repeatable
  --celery DIR        runs the task bodies of the Celery application in this
                      folder, in a Python function with the packages of its
                      requirements.txt or pyproject.toml
  --celery-app MODULE:APP
                      the application, if it is not found by itself
  --celery-queues Q,Q further queues of the application
  --celery-beat       the application's own scheduler ticks in a function, each
                      minute, in place of a process of `celery beat`
  --slash WAY         how the gateway handles a trailing slash: match (default)
                      uses the route without the slash, default uses $default,
                      bare uses the route without its authorizer

cargo xtask deploy --local
                   Deploys template.yaml into local AWS endpoints. Starts the
                   endpoints until Ctrl-C, or deploys again into running ones.
  --aws-port N        the port of the local AWS endpoints (default 4566; 0 for a
                      free port)
  --upstream-port N   the port of the demo upstream (default 9100)
  --release           optimized functions
  --delay MS          the delay of the demo upstream's answers
  --parameter N=V     sets the template's parameter N, such as AuthMode=none
  --slash WAY         as above

cargo xtask keys create --name NAME --scopes read,write,admin [--expires-days N]
cargo xtask keys list
cargo xtask keys revoke ID
                   Creates an API key for a caller and shows it once, lists all
                   keys without their secrets, or revokes a key.
  --local             in the AWS endpoints on this machine at their default
                      port (default)
  --endpoint URL      in AWS endpoints at another address
  --stack NAME        in this stack of the account whose credentials and
                      region are in the environment

cargo xtask smoke --url URL
                   Tests a running service, local or in an account, in less
                   than a minute: routes, authentication, items, users, tasks,
                   and the documentation. Deletes everything that it creates,
                   except a few small tasks.
  --key KEY           a key or token with the scopes read and write; without it
                      the service must require no key
  --origin ORIGIN     one of the origins in CorsAllowOrigins, to test CORS

cargo xtask test   Runs all checks: format, lints, tests, documentation,
                   template.yaml, and end-to-end tests of the service, both
                   running and deployed.
  --quick             without template.yaml and the end-to-end tests

cargo xtask faults Submits tasks while calls to AWS fail and processes die, and
                   checks that each task ended once, with the right result.
  --seed N            the seed of all random choices (default: random, printed)
  --tasks N           how many tasks (default 10000)

cargo xtask bench  Compares this service with the FastAPI application that it
                   replaces, and writes docs/PERFORMANCE.md. The first build of
                   the optimized functions takes a quarter of an hour, the
                   measurement up to 40 minutes.
  --quick             a few samples of everything, into target/bench/
  --only G,G          only these groups of figures, into target/bench/; an
                      unknown name prints the names of all groups
  --rounds N          how many rounds each side is measured

cargo xtask generate
                   Writes everything that follows from functions/*.rs, their
                   events in template.yaml and the jobs: parts of Cargo.toml and
                   template.yaml, the table of routes for 405, and openapi.json.

cargo xtask help   Prints this help.
";

/// A command of the program.
#[derive(Debug)]
pub enum Command {
    /// Print [`HELP`].
    Help,
    /// Run the service.
    Run(Box<Options>),
    /// Deploy the service on this machine.
    Deploy(Box<deploy::Options>),
    /// Create, list or revoke API keys: where they are stored, and the key program's arguments.
    Keys(Place, Vec<String>),
    /// Test a running service.
    Smoke(smoke::Options),
    /// Run all checks.
    Test(TestOptions),
    /// Test the delivery contract.
    Faults(FaultOptions),
    /// Measure the service.
    Bench(BenchOptions),
    /// Write the generated files.
    Generate,
}

/// The options of `bench`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BenchOptions {
    /// Whether to take only a few samples of everything.
    pub quick: bool,
    /// The names of the groups to measure, separated by commas; `None` for all groups.
    pub only: Option<String>,
    /// The number of rounds; `None` for each group's own number.
    pub rounds: Option<usize>,
}

/// The options of `faults`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultOptions {
    /// The seed of all random choices; `None` for a random seed.
    pub seed: Option<u64>,
    /// The number of submitted tasks.
    pub tasks: u64,
}

/// The options of `test`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TestOptions {
    /// Whether to leave out the checks with a long set-up.
    pub quick: bool,
}

/// Reads the arguments that follow the program's name.
///
/// # Errors
/// When an argument is unknown, or its value is invalid.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command> {
    let mut parser = Parser::from_args(arguments);
    let parsed = match parser.next() {
        Ok(None | Some(Arg::Short('h') | Arg::Long("help"))) => Ok(Command::Help),
        Ok(Some(Arg::Value(word))) => match word.to_str() {
            Some("help") => Ok(Command::Help),
            Some("run") => parse_run(&mut parser),
            Some("deploy") => parse_deploy(&mut parser),
            Some("smoke") => parse_smoke(&mut parser),
            Some("test") => parse_test(&mut parser),
            Some("keys") => parse_keys(&mut parser),
            Some("faults") => parse_faults(&mut parser),
            Some("bench") => parse_bench(&mut parser),
            Some("generate") => Ok(Command::Generate),
            _ => Err(format!("unknown command {}", word.to_string_lossy()).into()),
        },
        Ok(Some(other)) => Err(other.unexpected()),
        Err(error) => Err(error),
    };
    parsed.map_err(|error| Error::new(format!("{error} (see `cargo xtask help`)")))
}

fn parse_run(parser: &mut Parser) -> std::result::Result<Command, lexopt::Error> {
    let mut options = Options {
        http_port: stack::HTTP_PORT,
        aws_port: stack::AWS_PORT,
        upstream_port: stack::UPSTREAM_PORT,
        reload: true,
        concurrency: 0,
        logs: Logs::Terminal,
        progress: true,
        ..Options::default()
    };
    let mut celery: Option<Application> = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("port") => options.http_port = parser.value()?.parse()?,
            Arg::Long("aws-port") => options.aws_port = parser.value()?.parse()?,
            Arg::Long("upstream-port") => options.upstream_port = parser.value()?.parse()?,
            Arg::Long("data") => options.data = Some(absolute(parser.value()?)),
            Arg::Long("release") => options.release = true,
            Arg::Long("auth") => options.auth_mode = "api-key".to_owned(),
            Arg::Long("allow-host") => options.allow_hosts.push(server(parser.value()?)?),
            Arg::Long("celery") => {
                celery.get_or_insert_default().folder = absolute(parser.value()?)
            }
            Arg::Long("celery-app") => {
                celery.get_or_insert_default().app = Some(parser.value()?.string()?);
            }
            Arg::Long("celery-queues") => {
                celery.get_or_insert_default().queues = words(&parser.value()?.string()?);
            }
            Arg::Long("celery-beat") => celery.get_or_insert_default().beat = true,
            Arg::Long("slash") => options.slash = parser.value()?.parse()?,
            Arg::Long("delay") => {
                options.delay = Duration::from_millis(parser.value()?.parse()?);
            }
            Arg::Long("concurrency") => {
                options.concurrency = parser.value()?.parse::<std::num::NonZero<usize>>()?.get();
            }
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected()),
        }
    }
    if celery
        .as_ref()
        .is_some_and(|celery| celery.folder.as_os_str().is_empty())
    {
        return Err("--celery-app, --celery-queues and --celery-beat need --celery DIR".into());
    }
    if options.concurrency == 0 {
        options.concurrency = if celery.is_some() { 12 } else { 4 };
    }
    options.celery = celery;
    Ok(Command::Run(Box::new(options)))
}

fn parse_deploy(parser: &mut Parser) -> std::result::Result<Command, lexopt::Error> {
    let mut options = deploy::Options {
        aws_port: stack::AWS_PORT,
        upstream_port: stack::UPSTREAM_PORT,
        progress: true,
        ..deploy::Options::default()
    };
    let mut local = false;
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("local") => local = true,
            Arg::Long("aws-port") => options.aws_port = parser.value()?.parse()?,
            Arg::Long("upstream-port") => options.upstream_port = parser.value()?.parse()?,
            Arg::Long("release") => options.release = true,
            Arg::Long("delay") => {
                options.delay = Duration::from_millis(parser.value()?.parse()?);
            }
            Arg::Long("slash") => options.slash = parser.value()?.parse()?,
            Arg::Long("parameter") => options.parameters.push(pair(parser.value()?)?),
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected()),
        }
    }
    if !local {
        return Err(
            "only `deploy --local` is done here; an account is deployed to with \
                    `sam build` and `sam deploy --guided`"
                .into(),
        );
    }
    Ok(Command::Deploy(Box::new(options)))
}

/// A host and a port with `:` between, in the form that the functions accept.
fn server(given: OsString) -> std::result::Result<String, lexopt::Error> {
    let given = given.string()?;
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-._[:]".contains(c);
    let is_server = given.rsplit_once(':').is_some_and(|(host, port)| {
        let is_whole = host.starts_with('[') == host.ends_with(']') && host != "[]";
        let is_one = host.starts_with('[') || !host.contains([':', '[', ']']);
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        let port: Option<u16> = port.parse().ok().filter(|_| digits);
        !host.is_empty() && host.chars().all(is_part) && is_whole && is_one && port > Some(0)
    });
    match is_server {
        true => Ok(given),
        false => Err(format!("{given:?} is not HOST:PORT").into()),
    }
}

/// A name and a value, with `=` between.
fn pair(given: OsString) -> std::result::Result<(String, String), lexopt::Error> {
    let given = given.string()?;
    let (name, value) = given
        .split_once('=')
        .ok_or("--parameter takes NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Parses the place of the keys. The other arguments are for the key program.
fn parse_keys(parser: &mut Parser) -> std::result::Result<Command, lexopt::Error> {
    let mut place = Place::default();
    let mut words = Vec::new();
    let mut given = parser.raw_args()?;
    while let Some(word) = given.next() {
        let word = word.string()?;
        let (option, attached) = match word.split_once('=') {
            Some((option, value)) => (option, Some(value.to_owned())),
            None => (word.as_str(), None),
        };
        let value = |given: &mut lexopt::RawArgs| match attached {
            Some(value) => Ok(value),
            None => given.next().ok_or("an option has no value")?.string(),
        };
        match option {
            "--local" => place = Place::default(),
            "--endpoint" => place = Place::Local(value(&mut given)?),
            "--stack" => place = Place::Account(value(&mut given)?),
            "-h" | "--help" => return Ok(Command::Help),
            _ => words.push(word),
        }
    }
    Ok(Command::Keys(place, words))
}

fn parse_smoke(parser: &mut Parser) -> std::result::Result<Command, lexopt::Error> {
    let mut options = smoke::Options::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("url") => options.url = parser.value()?.string()?,
            Arg::Long("key") => options.key = Some(parser.value()?.string()?),
            Arg::Long("origin") => options.origin = Some(parser.value()?.string()?),
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected()),
        }
    }
    match options.url.is_empty() {
        true => Err("smoke needs --url".into()),
        false => Ok(Command::Smoke(options)),
    }
}

fn parse_test(parser: &mut Parser) -> std::result::Result<Command, lexopt::Error> {
    let mut options = TestOptions::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("quick") => options.quick = true,
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Command::Test(options))
}

fn parse_faults(parser: &mut Parser) -> std::result::Result<Command, lexopt::Error> {
    let mut options = FaultOptions {
        seed: None,
        tasks: 10_000,
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("seed") => options.seed = Some(parser.value()?.parse()?),
            Arg::Long("tasks") => options.tasks = parser.value()?.parse()?,
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Command::Faults(options))
}

fn parse_bench(parser: &mut Parser) -> std::result::Result<Command, lexopt::Error> {
    let mut options = BenchOptions::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("quick") => options.quick = true,
            Arg::Long("only") => options.only = Some(parser.value()?.string()?),
            Arg::Long("rounds") => {
                let rounds = parser.value()?.parse::<std::num::NonZero<usize>>()?;
                options.rounds = Some(rounds.get());
            }
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Command::Bench(options))
}

/// The words of a list with commas.
fn words(list: &str) -> Vec<String> {
    let words = list.split(',').map(str::trim);
    words
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The absolute path of a folder, relative to the caller's working directory.
fn absolute(folder: OsString) -> PathBuf {
    std::path::absolute(&folder).unwrap_or_else(|_| folder.into())
}

#[cfg(test)]
mod tests;
