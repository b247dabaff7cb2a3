//! The stage of a measured function: tables, queues, an upstream, and helper functions that prepare
//! its data.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use local_stack::emulator::{self, Emulator};
use local_stack::http::Request;
use local_stack::process::Log;
use local_stack::template::{Route, Template};
use local_stack::upstream::Upstream;
use local_stack::{Context, Error, Result, functions, gateway, project, resources, setup};
use serde_json::{Value, json};

use crate::aws::Endpoint;
use crate::queue::Queue;
use crate::runtime::{Answer, Function, Program};

/// The stage of a measured function.
pub struct Stage {
    endpoint: Endpoint,
    emulator: Emulator,
    upstream: Upstream,
    template: Template,
    routes: Vec<Route>,
    executables: PathBuf,
    /// The port of the emulator.
    port: u16,
    helpers: HashMap<String, Function>,
    is_drained: bool,
    completed: Option<String>,
}

impl Stage {
    /// Starts a stage. `executables` is the folder that `cargo lambda build` writes executables to.
    ///
    /// # Errors
    /// When a part of the local stack does not start.
    pub fn start(executables: &Path) -> Result<Stage> {
        let template = Template::read(&project::root().join("template.yaml"))?;
        let tools = setup::run_tools()?;
        let runner = functions::build_runner()?;
        let port = project::claim_port(0, "the AWS endpoints", "try again")?;
        let log = Log::create(&project::scratch(port).join("ministack.log"), false)?;
        let emulator = Emulator::start(
            &emulator::Settings {
                program: &tools.ministack,
                runner: &runner,
                port,
                services: emulator::SERVICES,
                data: None,
                environment: &[],
            },
            &log,
        )?;
        resources::create_storage(&emulator.aws, &template)?;
        let endpoint = Endpoint::start(&template, Some(format!("http://127.0.0.1:{port}")))?;
        Ok(Stage {
            endpoint,
            emulator,
            upstream: Upstream::start(0, Duration::ZERO)?,
            routes: template.routes(),
            template,
            executables: executables.to_owned(),
            port,
            helpers: HashMap::new(),
            is_drained: false,
            completed: None,
        })
    }

    /// Starts a second stage with the same executables, and with its own tables and queues.
    ///
    /// # Errors
    /// As [`Stage::start`].
    pub fn another(&self) -> Result<Stage> {
        Stage::start(&self.executables)
    }

    /// All functions of the template, by the names of their executables.
    #[must_use]
    pub fn functions(&self) -> Vec<String> {
        let binaries = self.template.binaries();
        binaries.values().map(|name| (*name).to_owned()).collect()
    }

    /// The program of a function.
    ///
    /// # Errors
    /// When the checked-in environment cannot be read.
    pub fn program(&self, name: &str) -> Result<Program> {
        let environment = self.environment()?;
        Ok(Program::function(
            &self.executable(name),
            name,
            &environment,
        ))
    }

    /// The path of a function's executable.
    #[must_use]
    pub fn executable(&self, name: &str) -> PathBuf {
        self.executables.join(name).join("bootstrap")
    }

    /// The environment of the local stack, with the ports of this stage.
    fn environment(&self) -> Result<Vec<(String, String)>> {
        let path = project::root().join("infra/local/env");
        let text = std::fs::read_to_string(&path).context("cannot read infra/local/env")?;
        let text = text
            .replace(":4566", &format!(":{}", self.endpoint.port()))
            .replace(":9100", &format!(":{}", self.upstream.port()));
        let mut environment = functions::parse_env(&text);
        environment.push(("METRICS_NAMESPACE".to_owned(), "async-service".to_owned()));
        Ok(environment)
    }

    /// The upstream's URL.
    #[must_use]
    pub fn upstream(&self) -> String {
        format!("http://127.0.0.1:{}", self.upstream.port())
    }

    /// The endpoint of AWS calls.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The emulator with the queues, behind the endpoint.
    #[must_use]
    pub fn emulator(&self) -> &Emulator {
        &self.emulator
    }

    /// The event of an HTTP request, and the function of its route.
    ///
    /// # Errors
    /// When no route matches.
    pub fn event(
        &self,
        method: &str,
        target: &str,
        body: Option<&str>,
    ) -> Result<(String, String)> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let headers = [
            ("host", "api.example.com"),
            ("accept", "application/json"),
            ("user-agent", "client/1.0"),
            ("content-type", "application/json"),
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-proto", "https"),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let request = Request {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: headers.into(),
            body: body.unwrap_or_default().into(),
        };
        let invocation = gateway::invocation(&self.routes, &request);
        let (function, event) =
            invocation.ok_or_else(|| Error::new(format!("no route for {method} {target}")))?;
        Ok((function, event.to_string()))
    }

    /// Sends a request to the function of its route, which is started at its first request. Returns
    /// the answer's body.
    ///
    /// # Errors
    /// When the function fails, or answers with an error.
    pub fn ask(&mut self, method: &str, target: &str, body: Option<&str>) -> Result<Value> {
        let (name, event) = self.event(method, target, body)?;
        let answer = http_answer(&self.helper(&name)?.invoke(event.as_bytes())?)?;
        if answer.0 >= 400 {
            return Err(Error::new(format!(
                "{method} {target}: {} {}",
                answer.0, answer.1
            )));
        }
        Ok(answer.1)
    }

    /// A helper function of this stage, started at its first use.
    fn helper(&mut self, name: &str) -> Result<&mut Function> {
        if !self.helpers.contains_key(name) {
            let (function, _) = Function::start(&self.program(name)?)?;
            self.helpers.insert(name.to_owned(), function);
        }
        let gone = || Error::new(format!("{name} has ended"));
        self.helpers.get_mut(name).ok_or_else(gone)
    }

    /// Receives up to ten messages from the task queue, in the form of a Lambda event's records.
    ///
    /// # Errors
    /// When the queue does not answer.
    pub fn receive(&self) -> Result<Vec<Value>> {
        self.queue().receive(Duration::from_secs(1))
    }

    /// Deletes messages from the task queue by their receipt handles.
    ///
    /// # Errors
    /// When the queue does not answer.
    pub fn delete(&self, records: &[Value]) -> Result<()> {
        self.queue().delete(records)
    }

    /// Submits `count` tasks, at most ten, and takes their messages out of the queue.
    ///
    /// # Errors
    /// When the messages do not arrive.
    pub fn fresh_messages(&mut self, count: usize) -> Result<Vec<Value>> {
        self.drain()?;
        for _ in 0..count {
            self.ask("POST", "/process/", Some(r#"{"values":[1,2,3]}"#))?;
        }
        let mut records = Vec::new();
        for _ in 0..10 {
            let received = self.receive()?;
            self.delete(&received)?;
            records.extend(received);
            if records.len() == count {
                return Ok(records);
            }
        }
        let arrived = records.len();
        Err(Error::new(format!(
            "{arrived} messages arrived, {count} were sent"
        )))
    }

    /// Deletes all messages in the task queue.
    ///
    /// # Errors
    /// When the queue does not answer.
    pub fn drain(&mut self) -> Result<()> {
        if self.is_drained {
            return Ok(());
        }
        self.queue().purge()?;
        self.is_drained = true;
        Ok(())
    }

    /// Tells the stage that another function is measured from now on, since the last one may have
    /// left messages.
    pub fn change_function(&mut self) {
        self.is_drained = false;
    }

    /// The id of a completed task: the same one in each call.
    ///
    /// # Errors
    /// When the task does not complete.
    pub fn completed_task(&mut self) -> Result<String> {
        if let Some(id) = &self.completed {
            return Ok(id.clone());
        }
        self.purge()?;
        let task = self.ask("POST", "/process/", Some(r#"{"values":[1,2,3]}"#))?;
        let records = self.receive()?;
        self.delete(&records)?;
        let event = json!({"Records": records}).to_string();
        self.helper("worker")?.invoke(event.as_bytes())?;
        let id = task["task_id"].as_str().unwrap_or_default().to_owned();
        let result = self.ask("GET", &format!("/result/{id}"), None)?;
        if result["status"] != "completed" {
            return Err(Error::new(format!("the task did not complete: {result}")));
        }
        self.completed = Some(id.clone());
        Ok(id)
    }

    /// Deletes all messages in the task queue, also new ones since the last call.
    ///
    /// # Errors
    /// When the queue does not answer.
    pub fn purge(&mut self) -> Result<()> {
        self.is_drained = false;
        self.drain()
    }

    /// Deletes all users.
    ///
    /// # Errors
    /// When the database fails.
    pub fn forget_users(&self) -> Result<()> {
        self.endpoint.empty(&self.template, "async-service-users")
    }

    /// The task queue, for use in many threads.
    #[must_use]
    pub fn queue(&self) -> Queue {
        self.queue_named("async-service-tasks")
    }

    /// A queue of the stack, for use in many threads.
    #[must_use]
    pub fn queue_named(&self, name: &str) -> Queue {
        let url = format!("http://127.0.0.1:{}/000000000000/{name}", self.port);
        Queue::new(self.emulator.aws.clone(), url)
    }
}

/// The status and the body of a function's HTTP answer.
///
/// # Errors
/// When the answer is not an HTTP answer.
pub fn http_answer(answer: &Answer) -> Result<(u64, Value)> {
    let value: Value = serde_json::from_slice(&answer.body).context("not JSON")?;
    let status = value["statusCode"].as_u64();
    let status = status.ok_or_else(|| Error::new("an answer without a status"))?;
    let body = value["body"].as_str().unwrap_or_default();
    Ok((status, serde_json::from_str(body).unwrap_or(Value::Null)))
}
