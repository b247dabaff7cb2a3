//! Reads the command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt};
use local_stack::keys::Place;
use local_stack::{Error, Logs, Options, Result, deploy, stack};

use crate::smoke;

/// What `cargo xtask help` prints.
pub const HELP: &str = "\
cargo xtask run    Runs the whole service on this machine; Ctrl-C stops it.
  --port N            where it answers (default 9000; 0 for a free port)
  --aws-port N        the local AWS endpoints (default 4566)
  --upstream-port N   the demo upstream (default 9100)
  --data DIR          keeps rows and messages there from one run to the next
  --release           optimized functions
  --delay MS          how long the demo upstream waits before it answers
  --concurrency N     processes for each function (default 4)
  --auth              asks callers for an API key, and prints a fresh one
  --allow-host HOST:PORT
                      lets /fetch/ and sources read from this server on this
                      machine, as URLs name it; may be given several times
  --slash WAY         what the gateway makes of a path that ends in a slash:
                      match (default) has the route without the slash, default
                      has $default, bare leaves the authorizer out

cargo xtask deploy --local
                   Deploys template.yaml into AWS endpoints on this machine,
                   which it starts and Ctrl-C stops; into running ones again.
  --aws-port N        the local AWS endpoints (default 4566; 0 for a free port)
  --upstream-port N   the demo upstream (default 9100)
  --release           optimized functions
  --delay MS          how long the demo upstream waits before it answers
  --parameter N=V     sets the template's parameter N, such as AuthMode=none
  --slash WAY         as above

cargo xtask keys create --name NAME --scopes read,write,admin [--expires-days N]
cargo xtask keys list
cargo xtask keys revoke ID
                   Makes an API key for a caller and shows it once, shows what
                   is known of all keys, switches one off.
  --local             in the AWS endpoints on this machine, at their default
                      port (default)
  --endpoint URL      in AWS endpoints at another address
  --stack NAME        in that stack of the account whose credentials and
                      region are in the environment

cargo xtask smoke --url URL
                   Tries a running service from outside, here or in an account,
                   within a minute: its routes, who gets in, items, users,
                   tasks, and the documentation. What it makes it deletes, but
                   for a few small tasks.
  --key KEY           a key (or a token) with the scopes read and write;
                      without it, everybody is to get in
  --origin ORIGIN     one of CorsAllowOrigins, whose pages are to get in too

cargo xtask test   Checks everything: format, lints, tests, documentation,
                   template.yaml, and the service from end to end, both
                   running and deployed.
  --quick             without template.yaml and the service

cargo xtask faults Submits tasks while calls to AWS fail and processes die, and
                   checks that each ended once, and truly.
  --seed N            what is decided by chance (default: random, and printed)
  --tasks N           how many (default 10000)

cargo xtask bench  Measures this service side by side with what it replaces, and
                   writes docs/PERFORMANCE.md. The functions are built
                   optimized first, which takes a quarter of an hour from
                   nothing; the measuring takes up to 40 minutes.
  --quick             a few samples of everything, into target/bench/
  --only G,G          only these groups of figures, into target/bench/; one
                      that is none tells their names
  --rounds N          how often each side has its turn

cargo xtask generate
                   Writes what follows from functions/*.rs, their events in
                   template.yaml and the jobs: parts of Cargo.toml and
                   template.yaml, the table behind 405, and openapi.json.

cargo xtask help   Prints this.
";

/// What is to be done.
#[derive(Debug)]
pub enum Command {
    /// Print [`HELP`].
    Help,
    /// Run the service.
    Run(Box<Options>),
    /// Deploy the service on this machine.
    Deploy(Box<deploy::Options>),
    /// Make, show or revoke API keys: where, and the words that say what.
    Keys(Place, Vec<String>),
    /// Try a running service.
    Smoke(smoke::Options),
    /// Check everything.
    Test(TestOptions),
    /// Try the delivery contract.
    Faults(FaultOptions),
    /// Measure the service.
    Bench(BenchOptions),
    /// Write the generated files.
    Generate,
}

/// What to measure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BenchOptions {
    /// Only a few samples of everything.
    pub quick: bool,
    /// The names of groups with commas between, where not all are wanted.
    pub only: Option<String>,
    /// How often each side has its turn, where it is to be a certain number.
    pub rounds: Option<usize>,
}

/// How to try the delivery contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultOptions {
    /// The seed of all that is decided by chance, where it is to be a certain one.
    pub seed: Option<u64>,
    /// How many tasks are submitted.
    pub tasks: u64,
}

/// What to check.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TestOptions {
    /// Leave out what takes long to set up.
    pub quick: bool,
}

/// Reads the arguments that follow the program's name.
///
/// # Errors
/// When one is unknown, or its value makes no sense.
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
        concurrency: 4,
        logs: Logs::Terminal,
        progress: true,
        ..Options::default()
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("port") => options.http_port = parser.value()?.parse()?,
            Arg::Long("aws-port") => options.aws_port = parser.value()?.parse()?,
            Arg::Long("upstream-port") => options.upstream_port = parser.value()?.parse()?,
            Arg::Long("data") => options.data = Some(absolute(parser.value()?)),
            Arg::Long("release") => options.release = true,
            Arg::Long("auth") => options.auth_mode = "api-key".to_owned(),
            Arg::Long("allow-host") => options.allow_hosts.push(server(parser.value()?)?),
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

/// A host and a port, with `:` between, as the functions take them.
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
        .ok_or("a parameter is set as NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Takes out where the keys are; the rest is for the program that makes them.
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
            None => given.next().ok_or("it lacks a value")?.string(),
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
        true => Err("it lacks --url".into()),
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

/// A folder as seen from where the command was called.
fn absolute(folder: OsString) -> PathBuf {
    std::path::absolute(&folder).unwrap_or_else(|_| folder.into())
}

#[cfg(test)]
mod tests;
