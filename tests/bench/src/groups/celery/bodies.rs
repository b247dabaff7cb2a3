//! Tasks whose bodies are Python code in a Lambda function: the worker invokes the function for each attempt.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use local_stack::celery_client::Broker;
use local_stack::{Error, Result};

use super::sides::Service;
use super::{Emulated, INTERVALS, crowds, get, memory, one_by_one};
use crate::groups::{Bench, Figures, PYTHON_BODIES};
use crate::peers::Peers;
use crate::runtime::Function;
use crate::series::Unit;
use crate::stage::Stage;
use crate::usage::Meter;

/// The name of the task, which is no job in Rust.
pub const TASK: &str = "bodies.process_data";

/// The processes of the function, as many as Celery's pool has. Lambda would have one for each body that
/// runs at the same time.
const PROCESSES: usize = 2;

/// The CPU time of a body's process, and its parts.
const PROCESS: &str = "CPU time of a body's process, one task after the other";
/// AWS' client of the Runtime API, which every function in Python has.
const RUNTIME: &str = "Lambda's runtime client for Python";
/// What a worker of Celery does in its process, too.
const TRACER: &str = "Celery's tracer and the body";
/// The rest of the process: what this service adds to both.
const HANDLER: &str = "this service's handler";

/// The processes that run bodies; dropping them ends the processes.
pub struct Bodies {
    pool: Arc<Pool>,
    pids: Vec<u32>,
    variables: Vec<(String, String)>,
}

/// The processes that wait for an event, and the last event.
struct Pool {
    idle: Mutex<Receiver<Function>>,
    back: SyncSender<Function>,
    last: Mutex<Vec<u8>>,
}

impl Pool {
    /// Has the next idle process handle an event.
    fn invoke(&self, event: &[u8]) -> Result<Vec<u8>> {
        event.clone_into(&mut lock(&self.last));
        let mut function = self.take()?;
        let answer = function.invoke(event);
        let _ = self.back.send(function);
        Ok(answer?.body)
    }

    fn take(&self) -> Result<Function> {
        let gone = |_| Error::new("the processes of the bodies have ended");
        lock(&self.idle).recv().map_err(gone)
    }
}

impl Bodies {
    /// Starts the processes, which the endpoint of the stage invokes from then on.
    ///
    /// # Errors
    /// When a process does not start.
    pub fn start(stage: &Stage, peers: &Peers, broker: &Broker) -> Result<Bodies> {
        let (back, idle) = sync_channel(PROCESSES);
        let pool = Arc::new(Pool {
            idle: Mutex::new(idle),
            back,
            last: Mutex::default(),
        });
        let mut pids = Vec::new();
        for _ in 0..PROCESSES {
            let program = peers.bodies("async_service_celery.handler", broker);
            let (function, _) = Function::start(&program)?;
            pids.push(function.pid());
            let full = |_| Error::new("there is no room for a process");
            pool.back.try_send(function).map_err(full)?;
        }
        let weak = Arc::downgrade(&pool);
        stage.endpoint().on_invocation(Some(Arc::new(move |event| {
            let gone = || Error::new("the bodies have ended");
            weak.upgrade().ok_or_else(gone)?.invoke(event)
        })));
        let endpoint = broker.endpoint.clone().unwrap_or_default();
        let variables = [
            ("REMOTE_JOBS", format!("{TASK}=bodies")),
            ("AWS_ENDPOINT_URL_LAMBDA", endpoint),
        ];
        Ok(Bodies {
            pool,
            pids,
            variables: variables
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
        })
    }

    /// The variables of the worker.
    pub fn variables(&self) -> Vec<(String, String)> {
        self.variables.clone()
    }

    /// The event of the last attempt.
    fn last_event(&self) -> Vec<u8> {
        lock(&self.pool.last).clone()
    }
}

/// Measures tasks with bodies in Python.
///
/// # Errors
/// When a part does not start or fails.
pub fn measure(bench: &Bench, figures: &mut Figures) -> Result<()> {
    let (stage, effort) = (&bench.stage, bench.effort);
    let mut service = Service::with_bodies(stage, &bench.peers)?;
    let pids = |service: &Service| service.bodies.as_ref().map(|bodies| bodies.pids.clone());
    let python = pids(&service).unwrap_or_default();
    let parts = [
        (
            "`worker` (bodies in Python)",
            service.mapping.workers().to_vec(),
        ),
        ("Python function", python.clone()),
    ];
    crowds(
        stage,
        &mut service,
        (PYTHON_BODIES, &parts),
        effort,
        figures,
    )?;
    memory(&parts, PYTHON_BODIES, figures)?;
    let emulated = Emulated::start(stage, &service.mapping);
    let meter = Meter::start(python)?;
    let (board, producer) = (&service.board, &mut service.producer);
    let count = one_by_one(board, producer, PYTHON_BODIES, &parts, effort, figures)?;
    let process = meter.read()?.as_secs_f64() / count as f64;
    service.mapping.settle()?;
    emulated.add(stage, &service.mapping, (PYTHON_BODIES, count), figures);
    for interval in INTERVALS {
        get(
            &mut service.producer,
            PYTHON_BODIES,
            interval,
            effort,
            figures,
        )?;
    }
    service.mapping.settle()?;
    let event = service.bodies.as_ref().map(Bodies::last_event);
    stage.endpoint().on_invocation(None);
    drop(service);
    shares(bench, process, &event.unwrap_or_default(), figures)
}

/// The parts of a body's process, whose CPU time for a task is `process` in seconds. `event` is that of an
/// attempt.
fn shares(bench: &Bench, process: f64, event: &[u8], figures: &mut Figures) -> Result<()> {
    let count = bench.effort.of(400, 50);
    let runtime = runtime_client(bench, event, count)?;
    let traced = bench.effort.of(5_000, 500);
    let tracer = bench
        .peers
        .measured(&["trace_loop.py", &traced.to_string()], "tasks")?;
    let tracer = tracer.cpu.as_secs_f64() / tracer.count as f64;
    for (side, cpu) in [
        (PYTHON_BODIES, process),
        (RUNTIME, runtime),
        (TRACER, tracer),
        (HANDLER, process - runtime - tracer),
    ] {
        figures.add(PROCESS, side, Unit::CpuPerThousand, cpu * 1_000.0);
    }
    Ok(())
}

/// The CPU time in seconds of a handler that does nothing, for an event.
fn runtime_client(bench: &Bench, event: &[u8], count: usize) -> Result<f64> {
    let endpoint = format!("http://127.0.0.1:{}", bench.stage.endpoint().port());
    let program = bench.peers.bodies("bodies.bare", &Broker::sqs(&endpoint));
    let (mut function, _) = Function::start(&program)?;
    function.invoke(event)?;
    function.settle()?;
    let meter = Meter::start([function.pid()])?;
    for _ in 0..count {
        function.invoke(event)?;
        function.settle()?;
    }
    Ok(meter.read()?.as_secs_f64() / count as f64)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
