//! The real deployment on one machine: `sam build` and `sam deploy` deploy `template.yaml` into
//! local AWS endpoints, which run the functions.
//!
//! The steps, in order:
//!
//! 1. `sam` builds and packages the functions,
//! 2. the demo upstream and the AWS endpoints start, unless they run already,
//! 3. `sam` deploys,
//! 4. `routes` creates the routes of the HTTP API, which the endpoints ignore, and `mappings`
//!    corrects the queues' event source mappings.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use ureq::http::{Request, StatusCode};

use crate::aws::{Aws, expect};
use crate::emulator::{self, Emulator};
use crate::error::{Context, Error, Result};
use crate::gateway::Slash;
use crate::process::{self, Log};
use crate::setup::{self, DeployTools};
use crate::stack::Steps;
use crate::template::Template;
use crate::upstream::Upstream;
use crate::{cloudformation, functions, project, resources};

pub use crate::template::STACK;

mod mappings;
mod routes;
pub mod sam;

/// The logical name of the functions' log group in the template.
const LOG_GROUP: &str = "FunctionsLogGroup";

/// The events of one answer of CloudWatch Logs: its greatest number.
const LOG_PAGE: usize = 10_000;

/// The services that the endpoints load: the stack's own services, and the services that a
/// deployment uses.
const SERVICES: &str =
    "apigateway,cloudformation,dynamodb,events,iam,lambda,logs,monitoring,s3,scheduler,sns,sqs,sts";

/// The settings of a deployment. The defaults are for tests: free ports and no output.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The port of the AWS endpoints, 0 for any free one.
    pub aws_port: u16,
    /// The port of the demo upstream, 0 for any free one.
    pub upstream_port: u16,
    /// Whether the functions are built with optimizations.
    pub release: bool,
    /// The delay of the demo upstream's answers.
    pub delay: Duration,
    /// Values for the template's parameters.
    pub parameters: Vec<(String, String)>,
    /// Variables for all functions that the template does not set.
    pub environment: Vec<(String, String)>,
    /// How the HTTP API handles a trailing slash.
    pub slash: Slash,
    /// Whether each step is printed on the terminal.
    pub progress: bool,
}

/// A running deployment. Dropping it stops everything that it has started.
#[derive(Debug)]
pub struct Deployment {
    port: u16,
    api: String,
    /// The physical name of each function, by the name of the function's binary.
    functions: BTreeMap<String, String>,
    /// The log group of all functions.
    log_group: String,
    // Fields are dropped in this order: callers before the services that they call.
    emulator: Emulator,
    upstream: Upstream,
    _unpacked: Folder,
}

/// A folder that is deleted when its owner is dropped.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn create(path: PathBuf) -> Result<Self> {
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).context(format_args!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The deployed stack.
struct Deployed {
    api: String,
    functions: BTreeMap<String, String>,
    log_group: String,
}

impl Deployment {
    /// Starts AWS endpoints and the demo upstream, deploys, and returns when the service answers.
    ///
    /// # Errors
    /// One line for people when a tool is missing, a port is in use, or a part does not start.
    /// Parts that were started before are stopped.
    pub fn start(options: &Options) -> Result<Self> {
        let steps = Steps {
            told: options.progress,
        };
        let claim = |port, what, option: &str| {
            project::claim_port(port, what, &format!("choose another with {option}"))
        };
        let port = claim(options.aws_port, "the AWS endpoints", "--aws-port")?;
        let upstream_port = claim(
            options.upstream_port,
            "the demo upstream",
            "--upstream-port",
        )?;
        let tools = prepare(options, &steps, port)?;
        let upstream = steps.run("demo upstream", || {
            Upstream::start(upstream_port, options.delay)
        })?;
        let unpacked = Folder::create(project::scratch(port).join("unpacked"))?;
        let emulator = steps.run("AWS endpoints", || {
            start_emulator(&tools, port, &unpacked, options)
        })?;
        let mut parameters = upstream_parameters(upstream.port());
        parameters.extend_from_slice(&options.parameters);
        let deployed = deploy(
            &steps,
            &tools,
            &emulator.aws,
            port,
            &parameters,
            options.slash,
        )?;
        Ok(Self {
            port,
            api: deployed.api,
            functions: deployed.functions,
            log_group: deployed.log_group,
            emulator,
            upstream,
            _unpacked: unpacked,
        })
    }

    /// The address of the service: the template's output `ApiUrl`. Its host name resolves to
    /// 127.0.0.1.
    #[must_use]
    pub fn url(&self) -> String {
        url(&self.api, self.port)
    }

    /// The same address with an IP address, for clients that cannot resolve names below
    /// `localhost`. Links in answers don't have this form.
    #[must_use]
    pub fn url_by_address(&self) -> String {
        url_by_address(&self.api, self.port)
    }

    /// The port of the AWS endpoints.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address of the AWS endpoints.
    #[must_use]
    pub fn aws_endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The address of the demo upstream.
    #[must_use]
    pub fn upstream_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.upstream.port())
    }

    /// The process ids of a function, by the name of its binary; empty before the function's first
    /// invocation.
    #[must_use]
    pub fn pids_of(&self, function: &str) -> Vec<u32> {
        let Some(name) = self.functions.get(function) else {
            return Vec::new();
        };
        process::descendants(self.emulator.process_id(), "bootstrap")
            .into_iter()
            .filter(|pid| process::has_variable(*pid, "AWS_LAMBDA_FUNCTION_NAME", name))
            .collect()
    }

    /// All log lines of the functions so far, each prefixed by its log stream.
    ///
    /// # Errors
    /// When the endpoints don't answer.
    pub fn logs(&self) -> Result<String> {
        log_lines(&self.emulator.aws, &self.log_group)
    }

    /// Checks that the AWS endpoints still run.
    ///
    /// # Errors
    /// When the endpoints have ended by themselves.
    pub fn check(&mut self) -> Result<()> {
        self.emulator.check()
    }

    /// Stops everything, like dropping the deployment.
    pub fn stop(self) {
        drop(self);
    }
}

/// Whether AWS endpoints for deployments run at this port.
///
/// # Errors
/// When other endpoints run at the port, such as those of `cargo xtask run`.
pub fn is_running(port: u16) -> Result<bool> {
    let Some(services) = endpoints(port).services() else {
        return Ok(false);
    };
    let lacks = |wanted: &&str| !services.iter().any(|service| service == wanted);
    match SERVICES.split(',').find(lacks) {
        None => Ok(true),
        Some(service) => Err(Error::new(format!(
            "the AWS endpoints at port {port} have no {service}: they are another command's; \
             stop it, or choose another port with --aws-port"
        ))),
    }
}

/// Deploys again into the endpoints at the options' port. Values of parameters stay, unless the
/// options set them. Returns the service's address in both forms.
///
/// # Errors
/// When the build or the deployment fails.
pub fn update(options: &Options) -> Result<(String, String)> {
    let steps = Steps {
        told: options.progress,
    };
    let port = options.aws_port;
    let tools = prepare(options, &steps, port)?;
    let (parameters, slash) = (&options.parameters, options.slash);
    let deployed = deploy(&steps, &tools, &endpoints(port), port, parameters, slash)?;
    Ok((
        url(&deployed.api, port),
        url_by_address(&deployed.api, port),
    ))
}

fn endpoints(port: u16) -> Aws {
    Aws::new(&format!("http://127.0.0.1:{port}"), sam::REGION)
}

fn url(api: &str, port: u16) -> String {
    format!("http://{api}.execute-api.localhost:{port}")
}

fn url_by_address(api: &str, port: u16) -> String {
    format!("http://127.0.0.1:{port}/_aws/execute-api/{api}")
}

/// Installs the tools and builds everything.
fn prepare(options: &Options, steps: &Steps, port: u16) -> Result<DeployTools> {
    let release = options.release;
    let tools = steps.run("tools", setup::deploy_tools)?;
    steps.run("functions built", || sam::compile(&tools.run, release))?;
    steps.run("sam build", || sam::build(&tools, port, release))?;
    Ok(tools)
}

fn start_emulator(
    tools: &DeployTools,
    port: u16,
    unpacked: &Folder,
    options: &Options,
) -> Result<Emulator> {
    let runner = functions::build_runner()?;
    let log = Log::create(&project::scratch(port).join("ministack.log"), false)?;
    let unpacked = unpacked.0.display().to_string();
    let mut environment = vec![
        // Lambda sets the variable according to the template's LoggingConfig; the endpoints do not.
        ("AWS_LAMBDA_LOG_FORMAT".to_owned(), "JSON".to_owned()),
        // The endpoints unpack functions into this folder.
        ("TMPDIR".to_owned(), unpacked),
    ];
    environment.extend_from_slice(&options.environment);
    let settings = emulator::Settings {
        program: &tools.run.ministack,
        runner: &runner,
        port,
        services: SERVICES,
        data: None,
        environment: &environment,
    };
    Emulator::start(&settings, &log)
}

/// The parameters with which the functions call the demo upstream.
fn upstream_parameters(port: u16) -> Vec<(String, String)> {
    let hosts = format!("127.0.0.1:{port},localhost:{port}");
    vec![
        (
            "UsersUpstreamUrl".to_owned(),
            format!("http://127.0.0.1:{port}"),
        ),
        ("FetchAllowHosts".to_owned(), hosts),
    ]
}

fn deploy(
    steps: &Steps,
    tools: &DeployTools,
    aws: &Aws,
    port: u16,
    parameters: &[(String, String)],
    slash: Slash,
) -> Result<Deployed> {
    let template = Template::read(&project::root().join("template.yaml"))?;
    steps.run("sam deploy", || sam::deploy(tools, aws, port, parameters))?;
    let names = cloudformation::physical_names(aws)?;
    let api = steps.run("routes of the HTTP API", || {
        let processed = cloudformation::processed_template(aws)?;
        let parameters = cloudformation::parameters(aws)?;
        routes::create(aws, &processed, &names, &parameters, slash)
    })?;
    steps.run("concurrency of the queues' workers", || {
        mappings::number_concurrency(aws)
    })?;
    steps.run("expiry of rows", || {
        for (table, attribute) in template.ttl_attributes() {
            if let Some(table) = names.get(table) {
                resources::enable_expiry_of(aws, table, attribute)?;
            }
        }
        Ok(())
    })?;
    steps.run("the service answers", || answers(&api, port))?;
    let binaries = template.binaries().into_iter();
    let functions = binaries.filter_map(|(name, binary)| {
        let physical = names.get(name)?;
        Some((binary.to_owned(), physical.clone()))
    });
    Ok(Deployed {
        api,
        functions: functions.collect(),
        log_group: names.get(LOG_GROUP).cloned().unwrap_or_default(),
    })
}

/// Makes one request to the deployed service.
fn answers(api: &str, port: u16) -> Result<()> {
    let request = Request::get(format!("http://127.0.0.1:{port}/"))
        .header("host", format!("{api}.execute-api.localhost:{port}"))
        .body(())
        .context("a request to the service")?;
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(30)))
        .build()
        .new_agent();
    let answer = agent.run(request).context("the service does not answer")?;
    // Without open documentation the greeting requires a key.
    if answer.status().is_success() || answer.status() == StatusCode::UNAUTHORIZED {
        return Ok(());
    }
    Err(Error::new(format!(
        "the service was deployed, but answers GET / with status {}: see {}",
        answer.status().as_u16(),
        project::scratch(port).join("ministack.log").display()
    )))
}

/// The lines of a log group, each prefixed by its log stream. The local CloudWatch Logs gives at most
/// [`LOG_PAGE`] events and no token for the next ones, so the next page begins at the time of the last event,
/// whose events are read again.
fn log_lines(aws: &Aws, group: &str) -> Result<String> {
    let mut lines = String::new();
    let mut wanted = json!({"logGroupName": group, "limit": LOG_PAGE});
    loop {
        let text = expect(
            "the read of the logs",
            aws.logs("FilterLogEvents", &wanted)?,
        )?;
        let page: Value = serde_json::from_str(&text).context("the logs")?;
        let events = page["events"].as_array().map_or(&[][..], Vec::as_slice);
        let time = |event: &Value| event["timestamp"].as_u64();
        let next = events.last().and_then(time);
        let is_full = events.len() >= LOG_PAGE;
        if is_full && events.first().and_then(time) == next {
            return Err(Error::new("too many lines of the log have one time"));
        }
        for event in events
            .iter()
            .filter(|event| !is_full || time(event) != next)
        {
            let text = |name: &str| event[name].as_str().unwrap_or_default();
            lines.push_str(&format!(
                "{} | {}\n",
                text("logStreamName"),
                text("message")
            ));
        }
        if !is_full {
            return Ok(lines);
        }
        wanted["startTime"] = json!(next);
    }
}

/// The variables with which `aws` and `sam` reach the endpoints.
#[must_use]
pub fn aws_settings(port: u16) -> String {
    format!(
        "AWS_ENDPOINT_URL=http://127.0.0.1:{port} AWS_DEFAULT_REGION={} \
         AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test",
        sam::REGION
    )
}
