//! `GET /api/workers`: the stack's worker, and the functions and URLs with the bodies of remote jobs.

use lambda_http::{Body, Request, Response};

use super::Flower;
use super::arguments::{flag, text};
use super::failure::Failure;
use super::task::seconds;
use crate::celery::builtins::is_builtin;
use crate::celery::control::{Listed, VirtualWorker};
use crate::clock::now_ms;
use crate::json::Json;
use crate::remote::bodies::Bodies;
use crate::tasks::client::Reader;
use crate::tasks::record::TaskRecord;
use crate::web::{Extract, StatusCode, answer};

/// The workers. The first is the stack's own.
#[derive(Debug, Clone)]
pub struct Workers {
    all: Vec<VirtualWorker>,
    bodies: Bodies,
    /// The jobs that run in the worker itself.
    jobs: Vec<String>,
}

impl Workers {
    /// The worker `hostname`, as `celery@host`, with these jobs and queues, and a worker for each place in `bodies`, as
    /// `place@host`.
    pub fn new(
        hostname: &str,
        jobs: impl Iterator<Item = &'static str>,
        queues: Vec<String>,
        bodies: Bodies,
        reader: &Reader,
    ) -> Workers {
        let jobs: Vec<String> = jobs.map(str::to_owned).collect();
        let worker = |name: String, jobs: Vec<String>, queues: Vec<String>| {
            VirtualWorker::new(name, jobs, queues, reader.clone())
        };
        let mut all = vec![worker(hostname.to_owned(), jobs.clone(), queues)];
        for body in bodies.iter() {
            let name = at_host(&body.target.place(), hostname);
            match all.iter_mut().find(|known| known.hostname == name) {
                Some(known) => known.jobs.push(body.pattern.clone()),
                None => all.push(worker(name, vec![body.pattern.clone()], Vec::new())),
            }
        }
        Workers { all, bodies, jobs }
    }

    /// Whether a task of this name has a body here.
    pub(super) fn know(&self, task: &str) -> bool {
        let is_own = self.jobs.iter().any(|job| job == task);
        is_own || is_builtin(task) || self.bodies.find(task).is_some()
    }

    /// The names of all workers.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.all.iter().map(|worker| worker.hostname.as_str())
    }

    /// The names of all tasks, with the patterns of remote jobs.
    pub(super) fn types(&self) -> Json {
        let names = self.all.iter().flat_map(|worker| &worker.jobs);
        let mut names: Vec<&str> = names.map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        Json::array(names)
    }

    /// The name of the worker that runs tasks of this name.
    pub(super) fn of(&self, task: &str) -> String {
        let hostname = &self.all[0].hostname;
        let is_own = self.jobs.iter().any(|job| job == task);
        let body = self.bodies.find(task).filter(|_| !is_own);
        body.map_or_else(
            || hostname.clone(),
            |body| at_host(&body.target.place(), hostname),
        )
    }

    fn find(&self, name: &str) -> Option<&VirtualWorker> {
        self.all.iter().find(|worker| worker.hostname == name)
    }
}

/// The name of a worker at the place, on the host of another worker.
fn at_host(place: &str, hostname: &str) -> String {
    let host = hostname.split_once('@').map_or(hostname, |(_, host)| host);
    format!("{place}@{host}")
}

impl Flower {
    /// `GET /api/workers`. Nothing is asked again by `refresh`: each answer is the present state.
    pub(super) async fn list_workers(&self, request: &Request) -> Result<Response<Body>, Failure> {
        flag(request, "refresh")?;
        let status = flag(request, "status")?;
        let name = text(request, "workername").filter(|name| !name.is_empty());
        let workers = &self.workers.all;
        let listed = match (status, name) {
            (true, _) => {
                let online = |worker: &VirtualWorker| (worker.hostname.clone(), true.into());
                Json::object(workers.iter().map(online))
            }
            (false, None) => {
                let described =
                    |worker: &VirtualWorker| (worker.hostname.clone(), described(worker));
                Json::object(workers.iter().map(described))
            }
            (false, Some(name)) => {
                let worker = self.worker_named(&name)?;
                let mut about = described(worker);
                self.add_tasks(request, worker, &mut about).await?;
                Json::object([(name, about)])
            }
        };
        Ok(answer::raw(StatusCode::OK, listed.to_string()))
    }

    /// The worker with this name.
    pub(super) fn worker_named(&self, name: &str) -> Result<&VirtualWorker, Failure> {
        let found = self.workers.find(name);
        found.ok_or_else(|| Failure::unknown("worker", name))
    }

    /// Adds the tasks of one worker to what is known of it.
    async fn add_tasks(
        &self,
        request: &Request,
        worker: &VirtualWorker,
        about: &mut Json,
    ) -> Result<(), Failure> {
        let is_own = |task: &TaskRecord| {
            let job = task.job.as_deref().unwrap_or_default();
            self.workers.of(job) == worker.hostname
        };
        let listed = Listed {
            viewer: request.viewer(),
            is_own: &is_own,
        };
        let lists = [
            ("active", worker.active(&listed).await?),
            ("scheduled", worker.scheduled(&listed).await?),
            ("reserved", worker.reserved(&listed).await?),
            ("revoked", worker.revoked(&listed).await?),
        ];
        if let Some(about) = about.as_object_mut() {
            about.extend(lists.map(|(name, list)| (name.to_owned(), list)));
        }
        Ok(())
    }
}

/// What is known of a worker without its tasks.
fn described(worker: &VirtualWorker) -> Json {
    Json::object([
        ("stats", worker.stats(0)),
        ("active_queues", worker.active_queues()),
        ("registered", worker.registered()),
        ("conf", worker.conf()),
        ("timestamp", seconds(now_ms()).into()),
    ])
}
